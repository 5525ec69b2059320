"""The agents' door: HTTP/2 as it is, or within a WebSocket, told apart by how a connection begins."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from urllib.parse import urlsplit

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import ProtocolError

from gitlab_kas import grpc, http

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TUNNEL = "ws-tunnel"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"))


class Agents:
    """A connection of an agent."""

    def __init__(self, listener: grpc.Listener, server: str) -> None:
        self.listener, self.server = listener, ("Server", server)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = b""
        while start != PREFACE and PREFACE.startswith(start):
            data = await reader.read(len(PREFACE) - len(start))
            if not data:
                return
            start += data
        if start == PREFACE:
            await grpc.serve(self.listener, reader, writer, start)
        else:
            await http.serve(self.answer, reader, writer, start)

    async def answer(self, request: http.Request) -> http.Response:
        return refusal(request, self.server) or self.accept(request)

    def accept(self, request: http.Request) -> http.Response:
        digest = hashlib.sha1((request.get("sec-websocket-key") + GUID).encode()).digest()
        headers = [self.server, *UPGRADE, ("Sec-WebSocket-Accept", base64.b64encode(digest).decode())]
        if request.has_token("sec-websocket-protocol", TUNNEL):
            return http.Response(101, b"", (*headers, ("Sec-Websocket-Protocol", TUNNEL)), self.tunnel)
        return http.Response(101, b"", tuple(headers), no_tunnel)

    async def tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes) -> None:
        """HTTP/2 in binary messages."""
        frames = Frames(ConnectionType.SERVER)
        inner = grpc.Connection(self.listener, Messages(frames, writer))
        data: bytes | None = start or None
        while data is not None or (data := await reader.read(65536)):
            try:
                frames.receive_data(data)
                for event in frames.events():
                    if isinstance(event, BytesMessage):
                        inner.receive(bytes(event.data))
                    elif isinstance(event, Ping):
                        writer.write(frames.send(event.response()))
                    elif isinstance(event, CloseConnection):
                        writer.write(frames.send(event.response()))
                        return
                    elif isinstance(event, TextMessage):
                        writer.write(frames.send(CloseConnection(1003, "unexpected frame type read")))
                        return
            except ProtocolError:
                return
            data = None


class Messages:
    """Writes each piece as one binary message."""

    def __init__(self, frames: Frames, writer: asyncio.StreamWriter) -> None:
        self.frames, self.writer = frames, writer

    def write(self, data: bytes) -> None:
        if data:
            self.writer.write(self.frames.send(BytesMessage(data)))

    def close(self) -> None:
        self.writer.close()


async def no_tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes) -> None:
    writer.write(Frames(ConnectionType.SERVER).send(CloseConnection(1002, f'Expecting "{TUNNEL}" subprotocol, got ""')))


def refusal(request: http.Request, server: tuple[str, str]) -> http.Response | None:
    """Why this is no handshake of an agent, or None. The order is that of the real one."""
    violation = "WebSocket protocol violation:"
    if request.version != "1.1":
        shown = json.dumps(f"HTTP/{request.version}")
        return http.text(426, f"{violation} handshake request must be at least HTTP/1.1: {shown}", server)
    for name, value in (("Connection", "Upgrade"), ("Upgrade", "websocket")):
        if not request.has_token(name.lower(), value):
            shown = json.dumps(request.get(name.lower()))
            return http.text(426, f"{violation} {name} header {shown} does not contain {value}", server, *UPGRADE)
    if request.method != "GET":
        text = f"{violation} handshake request method is not GET but {json.dumps(request.method)}"
        return http.text(405, text, server)
    version = request.get("sec-websocket-version")
    if version != "13":
        text = f"unsupported WebSocket protocol version (only 13 is supported): {json.dumps(version)}"
        return http.text(400, text, server, ("Sec-Websocket-Version", "13"))
    if not request.get("sec-websocket-key"):
        return http.text(400, f"{violation} missing Sec-WebSocket-Key", server)
    return foreign(request, server)


def foreign(request: http.Request, server: tuple[str, str]) -> http.Response | None:
    """A browser's page of another host is refused."""
    origin, host = request.get("origin"), request.get("host")
    if not origin:
        return None
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return http.text(403, f"failed to parse Origin header {json.dumps(origin)}", server)
    if netloc.lower() == host.lower():
        return None
    text = f"request Origin {json.dumps(origin)} is not authorized for Host {json.dumps(host)}"
    return http.text(403, text, server)
