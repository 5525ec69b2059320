# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 on a connection that is open already, and the WebSocket that it may become (RFC 9112, RFC 6455).

http.client reads the answers; its own connections follow no deadline, and lose what follows the head of an answer.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import left

_BODY_BYTES = 65536
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _BINARY, _CLOSE, _PING, _PONG = 0, 2, 8, 9, 10
_FIN = _MASKED = 0x80


class Answer(NamedTuple):
    """What was answered to a request."""

    status: int
    headers: http.client.HTTPMessage
    body: str


class _Reading(io.RawIOBase):
    """What a connection receives, until a deadline in seconds of time.monotonic."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self.deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(left(self.deadline))
        return self._connection.recv_into(buffer)


class _Reader(io.BufferedReader):
    def close(self) -> None:
        """Stay open: http.client closes what it has read from, but more may come."""


class Web:
    """One request on a connection, plain or with TLS, that its user opens and closes.

    Every method raises http.client.HTTPException for an answer that is not HTTP, and OSError of the connection;
    deadline is in seconds of time.monotonic.
    """

    def __init__(self, connection: socket.socket, *, authority: str, deadline: float) -> None:
        self._connection = connection
        self._authority = authority
        self._reading = _Reading(connection, deadline)
        self._reader = _Reader(self._reading)

    def get(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Ask for a path with its query; of a long body, the beginning is returned."""
        lines = [f"GET {target} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._connection.settimeout(left(self._reading.deadline))
        self._connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        response = http.client.HTTPResponse(self, method="GET")  # type: ignore[arg-type]
        response.begin()
        body = b""
        if response.status != http.client.SWITCHING_PROTOCOLS:
            try:
                body = response.read(_BODY_BYTES)
            except http.client.IncompleteRead as error:
                body = error.partial
        return Answer(response.status, response.headers, body.decode("utf-8", "replace"))

    def makefile(self, _mode: str) -> io.BufferedReader:
        """For http.client, which takes this for a socket."""
        return self._reader

    def shake_hands(self, target: str, subprotocol: str) -> tuple[Answer, WebSocket | None]:
        """Ask for a WebSocket; there is one if the server agrees to it."""
        key = base64.b64encode(os.urandom(16)).decode()
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Protocol": subprotocol,
        }
        answer = self.get(target, headers)
        accept = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
        is_agreed = (
            answer.status == http.client.SWITCHING_PROTOCOLS and answer.headers["Sec-WebSocket-Accept"] == accept
        )
        return answer, WebSocket(self._connection, self._reader, self._reading) if is_agreed else None


class WebSocket:
    """The client's end of a WebSocket as a connection of the bytes in its binary messages: _grpc.Client speaks on it.

    Methods are those of a socket.
    """

    def __init__(self, connection: socket.socket, reader: io.BufferedReader, reading: _Reading) -> None:
        self._connection = connection
        self._reader = reader
        self._reading = reading
        self._received = b""

    def settimeout(self, seconds: float) -> None:
        self._reading.deadline = time.monotonic() + seconds

    def sendall(self, data: bytes) -> None:
        self._send(_BINARY, data)

    def recv(self, size: int) -> bytes:
        while not self._received:
            opcode, payload = self._read_frame()
            if opcode == _CLOSE:
                return b""
            if opcode == _PING:
                self._send(_PONG, payload)
            elif opcode in (_BINARY, _CONTINUATION):
                self._received = payload
        data, self._received = self._received[:size], self._received[size:]
        return data

    def _send(self, opcode: int, data: bytes) -> None:
        """Send one frame of up to 65535 bytes, masked as a client must."""
        size = [_MASKED | len(data)] if len(data) < 126 else [_MASKED | 126, *len(data).to_bytes(2, "big")]
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[position % 4] for position, byte in enumerate(data))
        self._connection.settimeout(left(self._reading.deadline))
        self._connection.sendall(bytes([_FIN | opcode, *size]) + mask + masked)

    def _read_frame(self) -> tuple[int, bytes]:
        """The operation and the content of a frame; the end of the connection is an end of the WebSocket, too."""
        head = self._reader.read(2)
        if len(head) < 2:
            return _CLOSE, b""
        size = head[1] & 0x7F
        if size > 125:
            size = int.from_bytes(self._reader.read(2 if size == 126 else 8), "big")
        if size > _BODY_BYTES:
            return _CLOSE, b""
        return head[0] & 0x0F, self._reader.read(size)
