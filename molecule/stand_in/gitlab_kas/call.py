"""Calls of KAS as its neighbours and Rails make them: for no agent at all, so that only the token counts.

KAS refuses the empty message of whoever shows the right token as incomplete (3), so that is the answer meant.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import unquote, urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, TrailersReceived
from h2.exceptions import ProtocolError

from gitlab_kas import dial
from gitlab_kas.grpc import CODES, CONTENT_TYPE, EMPTY_MESSAGE, INVALID_ARGUMENT, UNAVAILABLE, UNKNOWN, RpcError


def shown(error: RpcError) -> str:
    return f"rpc error: code = {CODES.get(error.code, error.code)} desc = {error.text}"


async def call(url: str, path: str, bearer: str, tls: ssl.SSLContext, server_name: str) -> None:
    """Call a KAS at `url`; raises RpcError with gRPC's text unless it knows the secret."""
    try:
        reader, writer = await connect(url, tls, server_name)
    except ValueError as error:  # not a URL that can be dialled
        raise failed(f"Error while dialing: {error}") from None
    try:
        code, text = await exchange(reader, writer, urlsplit(url).netloc or "localhost", path, bearer)
    except (ProtocolError, OSError, EOFError):
        raise failed("error reading server preface: EOF") from None
    finally:
        writer.close()
    if code != INVALID_ARGUMENT:
        raise RpcError(code, text)


async def connect(url: str, tls: ssl.SSLContext, server_name: str) -> dial.Streams:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        if parts.scheme == "unix":
            return await dial.unix(parts.path)
        streams = await dial.tcp(host, parts.port or (443 if parts.scheme == "grpcs" else 80))
    except dial.DialError as error:
        raise failed(f"Error while dialing: {error}") from None
    if parts.scheme != "grpcs":
        return streams
    try:
        return await dial.tls(streams, tls, server_name or host)
    except dial.DialError as error:
        raise failed(f"authentication handshake failed: {error}") from None


def failed(cause: str) -> RpcError:
    return RpcError(UNAVAILABLE, f'connection error: desc = "transport: {cause}"')


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, path: str, bearer: str
) -> tuple[int, str]:
    """One empty request and its status."""
    h2 = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1"))
    h2.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", target)]
    headers += [("te", "trailers"), ("content-type", CONTENT_TYPE), ("authorization", f"Bearer {bearer}")]
    h2.send_headers(1, headers)
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
