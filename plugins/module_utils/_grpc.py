# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One small gRPC call after another on an open connection: what it takes to ask, and to read the status.

The protocols are RFC 9113 (HTTP/2, its frames), RFC 7541 (HPACK, its headers) and gRPC's own "gRPC over HTTP2". What
goes wrong is told as the rest of a sentence: "answers, but not HTTP/2".
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import left

# gRPC's codes that mean something to us.
OK, INVALID_ARGUMENT, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 0, 3, 12, 14, 16

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_ACK = _END_STREAM = 0x1
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20
_FRAME_HEADER_BYTES = 9
_FRAME_BYTES = 16384  # what a server may send unless it is allowed more
# Let the server's encoder remember nothing, so that its headers can be read without a table of our own.
_NO_HEADER_TABLE = (1).to_bytes(2, "big") + (0).to_bytes(4, "big")
_EMPTY_MESSAGE = bytes(5)  # not compressed, no bytes
_MESSAGE_SHOWN = 200
_TLS_ALERT = b"\x15\x03"
NOT_HTTP2 = "answers, but not HTTP/2"
NO_ANSWER_TO_CALL = "speaks HTTP/2, but does not answer the call in time"
NO_ANSWER = "closes the connection without an answer"
ANSWERS_WITH_TLS = "answers with TLS"
_CLOSES = "closes the connection without answering the call"

# HPACK's static table has 61 entries, of which an answer needs only these.
_STATIC_ENTRIES = 61
_STATUSES = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}
# HPACK's Huffman code by the length of its codes in bits. It is canonical: each code is the one before plus one. The
# bytes that are left out have longer codes; they are not ASCII, or not printable.
_HUFFMAN = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
    19: "\\",
}


class GrpcError(Exception):
    """The server does not speak as a gRPC server does; http_status is what it answered instead, if it is HTTP."""

    def __init__(self, text: str, http_status: str = "") -> None:
        super().__init__(text)
        self.http_status = http_status


class Answer(NamedTuple):
    """What came of a call."""

    status: int
    message: str  # for people, often empty


class _Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class Connection(Protocol):
    """What a client needs of a socket."""

    def settimeout(self, value: float, /) -> None:
        """Let what follows take so many seconds."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it; raise OSError."""

    def recv(self, size: int, /) -> bytes:
        """Receive so many bytes or fewer, none at the end; raise OSError."""


class Client:
    """A client on a connection, plain, with TLS or within a WebSocket, that its user opens and closes.

    Every method raises GrpcError, and OSError of the connection; deadline is in seconds of time.monotonic.
    """

    def __init__(self, connection: Connection, *, authority: str, scheme: str, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._target = [(":method", "POST"), (":scheme", scheme), (":authority", authority)]
        self._stream = -1

    def greet(self) -> None:
        """Begin as HTTP/2 begins, and see that the server does so, too: its first frame is SETTINGS."""
        with contextlib.suppress(ConnectionError):
            self._send(_PREFACE + _frame(_SETTINGS, 0, 0, _NO_HEADER_TABLE))
        head = self._receive(_FRAME_HEADER_BYTES)
        if not head:
            raise GrpcError(NO_ANSWER)
        if head.startswith(_TLS_ALERT):
            raise GrpcError(ANSWERS_WITH_TLS)
        if head[3:] != bytes([_SETTINGS, 0, 0, 0, 0, 0]):
            raise GrpcError(NOT_HTTP2)
        self._react(self._read_frame(head))

    def call(self, path: str, token: str | None = None) -> Answer:
        """Call a method with an empty message, and with a bearer's token if there is one."""
        try:
            fields = self._ask(path, token)
        except ConnectionError as error:
            raise GrpcError(_CLOSES) from error
        except socket.timeout as error:
            raise GrpcError(NO_ANSWER_TO_CALL) from error
        status = fields.get("grpc-status", "")
        if not status.isdigit():
            http_status = fields.get(":status", "")
            raise GrpcError(f"answers, but not gRPC (HTTP status {http_status or 'missing'})", http_status)
        words = unquote(fields.get("grpc-message", "")).split()
        message = "".join(filter(str.isprintable, " ".join(words)))
        return Answer(int(status), message[:_MESSAGE_SHOWN])

    def hold(self, deadline: float) -> None:
        """Keep the connection until then, without any call; raise GrpcError if it is ended before."""
        self._deadline = deadline
        with contextlib.suppress(socket.timeout):
            while True:
                frame = self._read_frame(self._receive(_FRAME_HEADER_BYTES))
                if frame.kind == _GOAWAY:
                    raise GrpcError("ends the connection")
                self._react(frame)

    def _ask(self, path: str, token: str | None) -> dict[str, str]:
        """Make the call and return the headers and trailers of its answer."""
        self._stream += 2
        headers = [*self._target, (":path", path), ("te", "trailers"), ("content-type", "application/grpc")]
        if token:
            headers.append(("authorization", f"Bearer {token}"))
        self._send(
            _frame(_HEADERS, _END_HEADERS, self._stream, encode(headers))
            + _frame(_DATA, _END_STREAM, self._stream, _EMPTY_MESSAGE)
        )
        fields: dict[str, str] = {}
        for frame in self._frames_of_call():
            if frame.kind == _HEADERS:
                fields.update(decode(self._header_block(frame)))
            if frame.flags & _END_STREAM:
                break
        return fields

    def _frames_of_call(self) -> Iterator[_Frame]:
        """The frames of the call's stream, as long as the server does not end it by force."""
        while True:
            frame = self._read_frame(self._receive(_FRAME_HEADER_BYTES))
            if frame.kind == _RST_STREAM and frame.stream == self._stream:
                raise GrpcError(f"breaks the call off (HTTP/2 error {int.from_bytes(frame.payload, 'big')})")
            if frame.kind == _GOAWAY and int.from_bytes(frame.payload[:4], "big") < self._stream:
                raise GrpcError(_CLOSES)
            if frame.stream == self._stream and frame.kind in (_DATA, _HEADERS):
                yield frame
            else:
                self._react(frame)

    def _header_block(self, frame: _Frame) -> bytes:
        block = frame.payload
        if frame.flags & _PADDED:
            block = block[1 : len(block) - block[0]] if block else block
        if frame.flags & _PRIORITY:
            block = block[5:]
        while not frame.flags & _END_HEADERS:
            frame = self._read_frame(self._receive(_FRAME_HEADER_BYTES))
            if frame.kind != _CONTINUATION or frame.stream != self._stream:
                raise GrpcError(NOT_HTTP2)
            block += frame.payload
        return block

    def _react(self, frame: _Frame) -> None:
        """Acknowledge what must be acknowledged; nothing else about the connection matters for a few calls."""
        if frame.kind in (_SETTINGS, _PING) and not frame.flags & _ACK:
            with contextlib.suppress(ConnectionError):  # there may be an answer all the same
                self._send(_frame(frame.kind, _ACK, 0, frame.payload if frame.kind == _PING else b""))

    def _read_frame(self, head: bytes) -> _Frame:
        """The frame that begins so; raise GrpcError if there is none or not all of it."""
        size = int.from_bytes(head[:3], "big")
        if size > _FRAME_BYTES:
            raise GrpcError(NOT_HTTP2)
        payload = self._receive(size)
        if len(head) < _FRAME_HEADER_BYTES or len(payload) < size:
            raise GrpcError(_CLOSES)
        return _Frame(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload)

    def _send(self, data: bytes) -> None:
        self._connection.settimeout(left(self._deadline))
        self._connection.sendall(data)

    def _receive(self, size: int) -> bytes:
        """So many bytes, or fewer if the server closes the connection before."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while len(data) < size:
                self._connection.settimeout(left(self._deadline))
                part = self._connection.recv(size - len(data))
                if not part:
                    break
                data += part
        return data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def encode(headers: Sequence[tuple[str, str]]) -> bytes:
    """HPACK in its plainest form: literals that are not to be remembered, without Huffman code."""
    return b"".join(b"\0" + _encode_text(name) + _encode_text(value) for name, value in headers)


def decode(block: bytes) -> dict[str, str]:
    """Read HPACK of a server whose encoder remembers nothing; raise GrpcError for anything else.

    Names of the static table that no answer needs are left empty. In a text in Huffman code, a byte that is not
    printable ASCII ends what is read of it.
    """
    fields = {}
    position = 0
    try:
        while position < len(block):
            first = block[position]
            if first & 0xE0 == 0x20:  # a new size of the table that is not used
                _size, position = _integer(block, position, 5)
                continue
            index, position = _integer(block, position, 7 if first & 0x80 else 6 if first & 0x40 else 4)
            name, value = _static(index) if index else ("", "")
            if not index and first & 0x80:
                raise IndexError
            if not index:
                name, position = _text(block, position)
            if not first & 0x80:
                value, position = _text(block, position)
            fields[name] = value
    except IndexError:
        raise GrpcError("answers, but its HTTP/2 headers cannot be read") from None
    return fields


def _static(index: int) -> tuple[str, str]:
    if index > _STATIC_ENTRIES:
        raise IndexError
    return (":status", _STATUSES[index]) if index in _STATUSES else ("", "")


def _integer(block: bytes, position: int, bits: int) -> tuple[int, int]:
    """The integer in the lowest bits of a byte and, if those are all set, in those that follow; and what follows it."""
    limit = (1 << bits) - 1
    value = block[position] & limit
    position += 1
    if value < limit:
        return value, position
    for shift in range(0, 28, 7):
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
    raise IndexError


def _text(block: bytes, position: int) -> tuple[str, int]:
    is_huffman = block[position] & 0x80
    size, position = _integer(block, position, 7)
    end = position + size
    if end > len(block):
        raise IndexError
    data = block[position:end]
    return _huffman(data) if is_huffman else data.decode("ascii", "replace"), end


def _encode_text(text: str) -> bytes:
    data = text.encode()
    size, head = len(data), bytearray()
    if size >= 0x7F:
        head.append(0x7F)
        size -= 0x7F
        while size > 0x7F:
            head.append(size & 0x7F | 0x80)
            size >>= 7
    head.append(size)
    return bytes(head) + data


def _huffman_codes() -> dict[tuple[int, int], str]:
    codes = {}
    code, before = 0, 0
    for length, characters in _HUFFMAN.items():
        code <<= length - before
        before = length
        for character in characters:
            codes[length, code] = character
            code += 1
    return codes


_CHARACTERS = _huffman_codes()
_LONGEST_CODE = max(_HUFFMAN)


def _huffman(data: bytes) -> str:
    """Read Huffman code; what is left at the end are fewer than eight bits of padding, all set."""
    text = ""
    length = code = 0
    for byte in data:
        for bit in range(7, -1, -1):
            length, code = length + 1, code << 1 | byte >> bit & 1
            if length > _LONGEST_CODE:
                return text
            character = _CHARACTERS.get((length, code))
            if character is not None:
                text += character
                length = code = 0
    if length > 7 or code != (1 << length) - 1:
        raise IndexError
    return text
