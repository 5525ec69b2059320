"""A gRPC server as KAS has it: the services of one listener, and a token for each call.

Source of what is answered, and of the bytes: calls of a real KAS and of Go's gRPC server.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import jwt
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError, StreamClosedError
from hyperframe.frame import SettingsFrame

from gitlab_kas.hpack import Encoder

KAS = "gitlab-kas"
CONTENT_TYPE = "application/grpc"
EMPTY_MESSAGE = struct.pack("!BI", 0, 0)
OK, UNKNOWN, INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 0, 2, 3, 12, 13, 14, 16
BDP_PING = bytes.fromhex("02041010090e0707")  # Go measures the connection with it when data comes in

Headers = list[tuple[str, str]]


class RpcError(Exception):
    """How a call ends when it does not end well."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True)
class Method:
    """What becomes of a call: `answer` gets its headers and raises RpcError; what it returns is a wait without end.

    A stream is answered when its headers are there, a single request when its message is.
    """

    answer: Callable[[Headers], None]
    is_stream: bool = False


@dataclass(frozen=True)
class Listener:
    """The services of a listener, and who may call them (raises RpcError)."""

    services: dict[str, dict[str, Method]]
    authenticate: Callable[[str], None]

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
    """Where the bytes of a connection go: a transport, or a WebSocket."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


@dataclass
class Call:
    """A call that has no answer yet."""

    headers: Headers
    method: Method | None = None
    data: bytes = b""
    is_ended: bool = False

    def get(self, name: str) -> str:
        return next((value for header, value in self.headers if header == name), "")


@dataclass
class Connection:
    """One HTTP/2 connection of a client."""

    listener: Listener
    writer: Writer
    calls: dict[int, Call] = field(default_factory=dict)
    is_measured: bool = False

    def __post_init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.h2.encoder = Encoder()
        self.h2.initiate_connection()
        self.h2.data_to_send()  # instead of its settings, those of Go
        self.writer.write(SettingsFrame(0, settings={SettingsFrame.MAX_FRAME_SIZE: 16384}).serialize())

    def receive(self, data: bytes) -> None:
        try:
            for event in self.h2.receive_data(data):
                self.handle(event)
        except ProtocolError:
            self.writer.close()
            return
        self.writer.write(self.h2.data_to_send())

    def handle(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.writer.close()
        elif isinstance(event, RequestReceived):
            self.start(event.stream_id, Call(event.headers, is_ended=event.stream_ended is not None))
        elif isinstance(event, DataReceived):
            self.measure(event.flow_controlled_length)
            call = self.calls.get(event.stream_id)
            if call:
                call.data += event.data
                call.is_ended = event.stream_ended is not None
                self.go_on(event.stream_id, call)
        elif isinstance(event, StreamEnded) and event.stream_id in self.calls:
            self.calls[event.stream_id].is_ended = True

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
            self.end(stream, error.code, error.text)

    def end(self, stream: int, code: int, text: str, http: int = 200) -> None:
        """Status and trailers in one frame, as Go writes an answer without a message."""
        call = self.calls.pop(stream)
        content_type = call.get("content-type") if http == 200 else CONTENT_TYPE
        headers = [(":status", str(http)), ("content-type", content_type), ("grpc-status", str(code))]
        self.h2.send_headers(stream, [*headers, ("grpc-message", quote(text, safe=MESSAGE_SAFE))], end_stream=True)
        if not call.is_ended:
            with contextlib.suppress(StreamClosedError):  # its end has come in the same segment
                self.h2.reset_stream(stream)


MESSAGE_SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class Server(asyncio.Protocol):
    """A TCP or UNIX connection that speaks gRPC alone."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.connection = Connection(self.listener, transport)

    def data_received(self, data: bytes) -> None:
        self.connection.receive(data)


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
