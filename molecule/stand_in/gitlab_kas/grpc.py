"""The little of gRPC that KAS and its neighbours need: a server that wants a signed token, and a call to it."""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from urllib.parse import quote, unquote, urlsplit

import jwt
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, RequestReceived, ResponseReceived, StreamEnded, TrailersReceived
from h2.exceptions import ProtocolError

from gitlab_kas.config import reason
from gitlab_kas.log import Log

KAS = "gitlab-kas"
PING = "/gitlab.agent.stand_in.rpc.Peer/Ping"
EMPTY_MESSAGE = struct.pack("!BI", 0, 0)
OK, UNKNOWN, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 0, 2, 12, 14, 16
NAMES = {UNKNOWN: "Unknown", UNIMPLEMENTED: "Unimplemented", UNAVAILABLE: "Unavailable"}
NAMES[UNAUTHENTICATED] = "Unauthenticated"


class RpcError(Exception):
    """A call failed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"rpc error: code = {NAMES.get(code, code)} desc = {text}")


class Server(asyncio.Protocol):
    """One connection of a gRPC server: every request needs a token signed with the shared secret."""

    def __init__(self, secret: bytes, issuer: str | None, log: Log) -> None:
        self.secret, self.issuer, self.log = secret, issuer, log
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:
            self.transport.close()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                self.answer(event.stream_id, dict(event.headers))
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def answer(self, stream: int, headers: dict[str, str]) -> None:
        code, text = self.status(headers)
        start = [(":status", "200"), ("content-type", "application/grpc")]
        end = [("grpc-status", str(code)), ("grpc-message", quote(text))]
        if code != OK:
            self.h2.send_headers(stream, start + end, end_stream=True)
            return
        self.h2.send_headers(stream, start)
        self.h2.send_data(stream, EMPTY_MESSAGE)
        self.h2.send_headers(stream, end, end_stream=True)

    def status(self, headers: dict[str, str]) -> tuple[int, str]:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return UNAUTHENTICATED, "Request unauthenticated with bearer"
        algorithms = ["HS256", "HS384", "HS512"]
        try:
            jwt.decode(token, self.secret, algorithms=algorithms, audience=KAS, issuer=self.issuer)
        except jwt.InvalidTokenError as error:
            self.log.debug("JWT validation failed", error=str(error))
            return UNAUTHENTICATED, "JWT validation failed"
        if headers[":path"] != PING:
            return UNIMPLEMENTED, f"unknown service {headers[':path'].lstrip('/').rpartition('/')[0]}"
        return OK, ""


def token(secret: bytes, issuer: str) -> str:
    """What a caller shows to KAS."""
    now = int(time.time())
    return jwt.encode({"iss": issuer, "aud": KAS, "nbf": now - 5, "exp": now + 5}, secret, algorithm="HS256")


async def ping(url: str, secret: bytes, tls: ssl.SSLContext, server_name: str, issuer: str = KAS) -> None:
    """Call a KAS at `url`; raises RpcError with gRPC's text."""
    parts = urlsplit(url)
    target = parts.path if parts.scheme == "unix" else parts.netloc
    try:
        if parts.scheme == "unix":
            reader, writer = await asyncio.open_unix_connection(parts.path)
        elif parts.scheme == "grpcs":
            name = server_name or parts.hostname
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=tls, server_hostname=name)
        else:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except ssl.SSLError as error:
        raise RpcError(UNAVAILABLE, failed(f"authentication handshake failed: {tls_reason(error)}")) from None
    except OSError as error:
        cause = f"Error while dialing: dial tcp {target}: connect: {reason(error)}"
        raise RpcError(UNAVAILABLE, failed(cause)) from None
    except ValueError as error:  # not a URL that can be dialled
        raise RpcError(UNAVAILABLE, failed(f"Error while dialing: {error}")) from None
    try:
        code, text = await exchange(reader, writer, target, token(secret, issuer))
    except (ProtocolError, OSError, EOFError):
        raise RpcError(UNAVAILABLE, failed("error reading server preface: EOF")) from None
    finally:
        writer.close()
    if code != OK:
        raise RpcError(code, text)


def failed(cause: str) -> str:
    return f'connection error: desc = "transport: {cause}"'


def tls_reason(error: ssl.SSLError) -> str:
    """Go's words for what OpenSSL found."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "tls: first record does not look like a TLS handshake"
    text = error.verify_message
    if "ostname mismatch" in text or "IP address mismatch" in text:
        return f"tls: failed to verify certificate: x509: {text.lower()}"
    if "expired" in text:
        return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
    return "tls: failed to verify certificate: x509: certificate signed by unknown authority"


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, bearer: str
) -> tuple[int, str]:
    """One empty request and its status."""
    h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    h2.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", PING), (":authority", target)]
    headers += [("te", "trailers"), ("content-type", "application/grpc")]
    h2.send_headers(1, [*headers, ("authorization", f"Bearer {bearer}")])
    h2.send_data(1, EMPTY_MESSAGE, end_stream=True)
    status: dict[str, str] = {}
    while True:
        writer.write(h2.data_to_send())
        await writer.drain()
        data = await reader.read(65536)
        if not data:
            raise EOFError
        for event in h2.receive_data(data):
            if isinstance(event, (ResponseReceived, TrailersReceived)):
                status.update(event.headers)
            elif isinstance(event, StreamEnded):
                return int(status.get("grpc-status", UNKNOWN)), unquote(status.get("grpc-message", ""))
            elif isinstance(event, ConnectionTerminated):
                raise EOFError
