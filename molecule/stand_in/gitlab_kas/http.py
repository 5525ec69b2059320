"""HTTP/1.1, just enough: a handler takes method, path and headers and gives back a status and a text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

Headers = dict[str, str]
Handler = Callable[[str, str, Headers], Awaitable[tuple[int, str]]]


def server(handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A connection handler for asyncio.start_server; it answers one request and closes."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)).decode("latin-1")
            request, *lines = head.split("\r\n")
            method, path, _version = request.split(" ")
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            status, text = await handler(method, path.partition("?")[0], headers)
            body = text.encode()
            writer.write(
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
                f"Content-Type: text/plain; charset=utf-8\r\nServer: gitlab-kas\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            )
            writer.write(body)
            await writer.drain()
        except (ValueError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass  # not HTTP: drop the connection
        finally:
            writer.close()

    return connection


async def agents(method: str, path: str, headers: Headers) -> tuple[int, str]:
    """The agents' endpoint: WebSockets only, and no agent is known here."""
    if headers.get("upgrade") != "websocket":
        return 426, "WebSocket protocol violation: Connection header does not contain Upgrade\n"
    return 401, "unauthenticated\n"


async def kubernetes_api(method: str, path: str, headers: Headers) -> tuple[int, str]:
    """The Kubernetes API proxy: nobody is known here."""
    return 401, "GitLab Agent Server: Unauthorized\n"
