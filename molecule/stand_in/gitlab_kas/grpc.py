"""A gRPC server as KAS has it: the services of one listener, and a token for each call.

Source of what is answered, and of the bytes: calls of a real KAS and of Go's gRPC server.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import jwt
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from hyperframe.frame import SettingsFrame

from gitlab_kas.hpack import Encoder

KAS = "gitlab-kas"
CONTENT_TYPE = "application/grpc"
EMPTY_MESSAGE = struct.pack("!BI", 0, 0)
OK, UNKNOWN, INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 0, 2, 3, 12, 13, 14, 16
CODES = {2: "Unknown", 3: "InvalidArgument", 12: "Unimplemented", 14: "Unavailable", 16: "Unauthenticated"}
BDP_PING = bytes.fromhex("02041010090e0707")  # Go measures the connection with it when data comes in

Headers = list[tuple[str, str]]


class RpcError(Exception):
    """How a call ends when it does not end well."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True)
class Method:
    """What becomes of a call: `answer` gets its headers and raises RpcError; where it does not, the call stays open.

    A stream is answered when its headers are there, a single request when its message is.
    """

    answer: Callable[[Headers], None]
    is_stream: bool = False


@dataclass(frozen=True)
class Listener:
    """The services of a listener, and who may call them (raises RpcError)."""

    services: dict[str, dict[str, Method]]
    authenticate: Callable[[str], None]
    handled: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # path, "bidi_stream" or "unary", code

    def method(self, path: str) -> Method:
        """The method at `/SERVICE/METHOD`. Whoever asks for another one is told so before any token is looked at."""
        service, slash, name = path.removeprefix("/").rpartition("/")
        if not slash:
            raise RpcError(UNIMPLEMENTED, f'malformed method name: "{path}"')
        if service not in self.services:
            raise RpcError(UNIMPLEMENTED, f"unknown service {service}")
        if name not in self.services[service]:
            raise RpcError(UNIMPLEMENTED, f"unknown method {name} for service {service}")
        return self.services[service][name]


class Writer(Protocol):
    """Where the bytes of a connection go: a stream, or a WebSocket."""

    def write(self, data: bytes) -> None:
        """Send these."""

    def close(self) -> None:
        """Send no more."""


@dataclass
class Call:
    """A call that has no answer yet."""

    headers: Headers
    method: Method | None = None
    data: bytes = b""

    def get(self, name: str) -> str:
        return next((value for header, value in self.headers if header == name), "")


@dataclass
class Connection:
    """One HTTP/2 connection of a client."""

    listener: Listener
    writer: Writer
    calls: dict[int, Call] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)  # by the client
    is_measured: bool = False

    def __post_init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.h2.encoder = Encoder()
        self.h2.initiate_connection()
        self.h2.data_to_send()  # instead of its settings, those of Go
        self.writer.write(SettingsFrame(0, settings={SettingsFrame.MAX_FRAME_SIZE: 16384}).serialize())

    def receive(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
            self.ended |= {event.stream_id for event in events if isinstance(event, StreamEnded)}
            for event in events:
                self.handle(event)
        except (ProtocolError, ValueError, IndexError):  # the library does not foresee everything
            self.writer.close()
            return
        self.writer.write(self.h2.data_to_send())

    def handle(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.writer.close()
        elif isinstance(event, RequestReceived):
            self.start(event.stream_id, Call(event.headers))
        elif isinstance(event, DataReceived):
            self.measure(event.flow_controlled_length)
            call = self.calls.get(event.stream_id)
            if call:
                call.data += event.data
                self.go_on(event.stream_id, call)

    def measure(self, size: int) -> None:
        if size:
            self.h2.increment_flow_control_window(size)
        if not self.is_measured:
            self.h2.ping(BDP_PING)
            self.is_measured = True

    def start(self, stream: int, call: Call) -> None:
        self.calls[stream] = call
        content_type = call.get("content-type")
        if content_type.partition("+")[0].partition(";")[0] != CONTENT_TYPE:
            self.end(stream, INVALID_ARGUMENT, f'invalid gRPC request content-type "{content_type}"', http=415)
            return
        if call.get(":method") != "POST":
            text = f"http2Server.operateHeaders parsed a :method field: {call.get(':method')} which should be POST"
            self.end(stream, INTERNAL, text, http=405)
            return
        try:
            call.method = self.listener.method(call.get(":path"))
        except RpcError as error:
            self.end(stream, error.code, error.text)
            return
        self.go_on(stream, call)

    def go_on(self, stream: int, call: Call) -> None:
        """Answer if all is there that the answer needs."""
        if call.method is None or not (call.method.is_stream or len(call.data) >= len(EMPTY_MESSAGE)):
            return
        try:
            self.listener.authenticate(call.get("authorization"))
            call.method.answer(call.headers)
        except RpcError as error:
            kind = "bidi_stream" if call.method.is_stream else "unary"
            self.listener.handled[call.get(":path"), kind, CODES.get(error.code, "Unknown")] += 1
            self.end(stream, error.code, error.text)

    def end(self, stream: int, code: int, text: str, http: int = 200) -> None:
        """Status and trailers in one frame, as Go writes an answer without a message."""
        call = self.calls.pop(stream)
        content_type = call.get("content-type") if http == 200 else CONTENT_TYPE
        headers = [(":status", str(http)), ("content-type", content_type), ("grpc-status", str(code))]
        self.h2.send_headers(stream, [*headers, ("grpc-message", quote(text, safe=MESSAGE_SAFE))], end_stream=True)
        if stream not in self.ended:
            self.h2.reset_stream(stream)


MESSAGE_SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


async def serve(
    listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes = b""
) -> None:
    """A connection that speaks gRPC alone; `start` was read already."""
    connection = Connection(listener, writer)
    connection.receive(start)
    while data := await reader.read(65536):
        connection.receive(data)


def bearer(authorization: str) -> str:
    """The token of an authorization header; raises RpcError."""
    scheme, space, token = authorization.partition(" ")
    if authorization and not space:
        raise RpcError(UNAUTHENTICATED, "Bad authorization string")
    if scheme.lower() != "bearer":
        raise RpcError(UNAUTHENTICATED, "Request unauthenticated with bearer")
    return token


def signed(secret: bytes, issuer: str | None, debug: Callable[..., None]) -> Callable[[str], None]:
    """Who shows a token signed with the secret may call; its times count to the second, without leeway."""

    def authenticate(authorization: str) -> None:
        token = bearer(authorization)
        algorithms, options = ["HS256", "HS384", "HS512"], {"verify_iat": False}
        try:
            jwt.decode(token, secret, algorithms=algorithms, audience=KAS, issuer=issuer, options=options)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            debug("JWT validation failed", error=str(error))
            raise RpcError(UNAUTHENTICATED, "JWT validation failed") from None

    return authenticate


def token(secret: bytes, issuer: str) -> str:
    """What a caller shows to KAS: valid from five seconds before to five after now."""
    now = int(time.time())
    claims: dict[str, Any] = {"iss": issuer, "aud": KAS, "nbf": now - 5, "exp": now + 5}
    return jwt.encode(claims, secret, algorithm="HS256")
