"""HTTP/1.1 as Go's server speaks it: a handler takes a request and gives back a response."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

import h11

IDLE_S = 60
Headers = list[tuple[str, str]]
Upgraded = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Headers
    version: str

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def get(self, name: str) -> str:
        """The first header of that name, in small letters, or nothing."""
        return next((value for header, value in self.headers if header == name), "")

    def has_token(self, name: str, token: str) -> bool:
        """Whether a list in the headers of that name holds the token."""
        items = [item.strip().lower() for header, value in self.headers if header == name for item in value.split(",")]
        return token.lower() in items


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    upgraded: Upgraded | None = None  # goes on with the connection after a 101


Handler = Callable[[Request], Awaitable[Response]]
TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


def text(status: int, body: str, *headers: tuple[str, str]) -> Response:
    """As Go's http.Error."""
    return Response(status, f"{body}\n".encode(), (*headers, *TEXT, ("X-Content-Type-Options", "nosniff")))


async def serve(
    handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes = b""
) -> None:
    """All requests of one connection; `start` was read already."""
    connection = h11.Connection(h11.SERVER)
    if start:
        connection.receive_data(start)
    try:
        while True:
            asked = await request(connection, reader)
            response = await handler(asked)
            await send(connection, writer, response, is_head=asked.method == "HEAD")
            if response.upgraded:
                await response.upgraded(reader, writer, connection.trailing_data[0])
                return
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()
    except EOFError:
        return
    except h11.RemoteProtocolError:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n")
        writer.write(b"Connection: close\r\n\r\n400 Bad Request")


async def request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request:
    """The next request, its body passed over; raises EOFError at the end of the connection."""
    found = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(IDLE_S):
                data = await reader.read(65536)
            if not data and found is None:
                raise EOFError
            connection.receive_data(data)
        elif isinstance(event, h11.Request):
            headers = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
            method, target, version = (part.decode() for part in (event.method, event.target, event.http_version))
            found = Request(method, target, headers, version)
        elif isinstance(event, h11.EndOfMessage) and found:
            return found
        elif isinstance(event, h11.ConnectionClosed):
            raise EOFError


async def send(connection: h11.Connection, writer: asyncio.StreamWriter, response: Response, is_head: bool) -> None:
    headers = [("Date", formatdate(usegmt=True)), *response.headers]
    reason = HTTPStatus(response.status).phrase
    if response.upgraded:
        events = [h11.InformationalResponse(status_code=response.status, headers=response.headers, reason=reason)]
    else:
        headers.append(("Content-Length", str(len(response.body))))
        body = [] if is_head else [h11.Data(response.body)]
        head = h11.Response(status_code=response.status, headers=headers, reason=reason)
        events = [head, *body, h11.EndOfMessage()]
    for event in events:
        writer.write(connection.send(event) or b"")
    await writer.drain()
