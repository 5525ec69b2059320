"""Calls of KAS as its neighbours and Rails make them: for no agent at all, so that only the token counts.

KAS refuses the empty message of whoever shows the right token as incomplete (3), so that is the answer meant.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import SplitResult, unquote, urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, TrailersReceived
from h2.exceptions import ProtocolError

from gitlab_kas.config import reason
from gitlab_kas.grpc import CONTENT_TYPE, EMPTY_MESSAGE, INVALID_ARGUMENT, UNAVAILABLE, UNKNOWN, RpcError

NAMES = {2: "Unknown", 3: "InvalidArgument", 12: "Unimplemented", 14: "Unavailable", 16: "Unauthenticated"}


def shown(error: RpcError) -> str:
    return f"rpc error: code = {NAMES.get(error.code, error.code)} desc = {error.text}"


async def call(url: str, path: str, bearer: str, tls: ssl.SSLContext, server_name: str) -> None:
    """Call a KAS at `url`; raises RpcError with gRPC's text unless it knows the secret."""
    parts = urlsplit(url)
    target = parts.path if parts.scheme == "unix" else parts.netloc
    try:
        reader, writer = await connect(parts, tls, server_name)
    except ssl.SSLError as error:
        raise failed(f"authentication handshake failed: {tls_reason(error)}") from None
    except OSError as error:
        raise failed(f"Error while dialing: dial tcp {target}: connect: {reason(error)}") from None
    except ValueError as error:  # not a URL that can be dialled
        raise failed(f"Error while dialing: {error}") from None
    try:
        code, text = await exchange(reader, writer, target, path, bearer)
    except (ProtocolError, OSError, EOFError):
        raise failed("error reading server preface: EOF") from None
    finally:
        writer.close()
    if code != INVALID_ARGUMENT:
        raise RpcError(code, text)


async def connect(
    parts: SplitResult, tls: ssl.SSLContext, server_name: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(parts.path)
    if parts.scheme == "grpcs":
        name = server_name or parts.hostname
        return await asyncio.open_connection(parts.hostname, parts.port, ssl=tls, server_hostname=name)
    return await asyncio.open_connection(parts.hostname, parts.port)


def failed(cause: str) -> RpcError:
    return RpcError(UNAVAILABLE, f'connection error: desc = "transport: {cause}"')


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
