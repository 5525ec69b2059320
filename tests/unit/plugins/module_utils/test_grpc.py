"""One gRPC call: headers beside the library hpack, and frames as servers send them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence

import hpack
import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._grpc import Answer, Client, GrpcError, decode, encode
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.servers import frame
from hypothesis import given
from hypothesis import strategies as st

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
UNREADABLE = "answers, but its HTTP/2 headers cannot be read"


# HPACK


@given(st.lists(st.tuples(st.text(PRINTABLE, min_size=1), st.text(PRINTABLE, max_size=300))))
def test_what_is_encoded_is_read_by_the_library(headers: list[tuple[str, str]]) -> None:
    assert hpack.Decoder().decode(encode(headers)) == headers


@given(
    st.lists(st.tuples(st.text(PRINTABLE, min_size=1).map("x-".__add__), st.text(PRINTABLE, max_size=300))),
    st.sampled_from(["200", "204", "206", "304", "400", "404", "500", "502"]),
    st.booleans(),
)
def test_what_the_library_encodes_is_read(headers: list[tuple[str, str]], status: str, huffman: bool) -> None:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0  # as the client asks for
    block = encoder.encode([(":status", status), *headers], huffman=huffman)
    assert decode(block) == {":status": status, **dict(headers)}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        # A real KAS: "grpc-status" in Huffman code, its digit plain.
        ("88 40 88 9acac8b21234da8f 01 33", {":status": "200", "grpc-status": "3"}),
        ("", {}),
        ("20 88", {":status": "200"}),  # the table's new size, 0
        ("3f e1 1f 8d", {":status": "404"}),  # 4096, over several bytes
        ("48 03 353032", {":status": "502"}),  # a value of its own for a name of the table
        ("08 82 6402", {":status": "302"}),
        ("5f 01 61", {"": "a"}),  # content-type, which nobody needs
        ("00 01 61 01 ff", {"a": "\ufffd"}),
        ("00 01 61 84 ffffffff", {"a": ""}),  # a character of 30 bits that no answer needs
    ],
)
def test_decode(block: str, expected: dict[str, str]) -> None:
    assert decode(bytes.fromhex(block)) == expected


@pytest.mark.parametrize(
    "block",
    [
        "80",  # there is no entry 0
        "be",  # nor an entry 62, as the table is empty
        "7f 00 01 61",
        "88 40",  # ends too early
        "00 05 61",
        "00 01 61",
        "00 01 61 01",
        "ff",
        "ff ff ff ff ff 7f",  # an integer that is too large
        "00 01 61 81 00",  # padding that is not of ones
        "00 01 61 82 07ff",  # eight bits of padding and more
    ],
)
def test_decode_what_cannot_be_read(block: str) -> None:
    with pytest.raises(GrpcError) as caught:
        decode(bytes.fromhex(block))
    assert str(caught.value) == UNREADABLE


@given(st.binary(max_size=100))
def test_decode_anything(block: bytes) -> None:
    try:
        decode(block)
    except GrpcError as error:
        assert str(error) == UNREADABLE


# Frames

STATUS_3 = encode([("grpc-status", "3"), ("grpc-message", "a%20b")])
HALF = len(STATUS_3) // 2


class Peer:
    """The other end of a connection: it has said these bytes, and keeps what it hears."""

    def __init__(self, *said: bytes, closes: bool = True) -> None:
        self.heard = b""
        self.client_end, self.end = socket.socketpair()
        self.end.sendall(b"".join(said))
        self.listener = threading.Thread(target=self.listen)
        if closes:
            self.end.shutdown(socket.SHUT_WR)
        self.listener.start()

    def listen(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client closed without reading everything
            while part := self.end.recv(65536):
                self.heard += part

    def ask(self, timeout: float = 10) -> Answer:
        client = Client(self.client_end, authority="kas", scheme="http", deadline=time.monotonic() + timeout)
        try:
            client.greet()
            return client.call("/service/Method", "token")
        finally:
            self.client_end.close()
            self.listener.join()
            self.end.close()


SETTINGS = frame(4, 0, 0, bytes.fromhex("000500004000"))
ACKNOWLEDGED = frame(4, 1, 0, b"")


@pytest.mark.parametrize(
    "frames",
    [
        [frame(1, 5, 1, STATUS_3)],
        [frame(1, 1, 1, STATUS_3[:HALF]), frame(9, 4, 1, STATUS_3[HALF:])],
        [frame(1, 1, 1, STATUS_3[:1]), frame(9, 0, 1, STATUS_3[1:HALF]), frame(9, 4, 1, STATUS_3[HALF:])],
        [frame(1, 4, 1, b"\x88"), frame(0, 0, 1, b"message"), frame(1, 5, 1, STATUS_3)],
        [frame(1, 4 | 8 | 1, 1, b"\x02" + STATUS_3 + b"\0\0")],
        [frame(1, 4 | 32 | 1, 1, bytes(5) + STATUS_3)],
        [frame(1, 4 | 8 | 32 | 1, 1, b"\x02" + bytes(5) + STATUS_3 + b"\0\0")],
        [ACKNOWLEDGED, frame(8, 0, 0, bytes(4)), frame(6, 0, 0, b"12345678"), frame(1, 5, 1, STATUS_3)],
        [frame(7, 0, 0, (2**31 - 1).to_bytes(4, "big") + bytes(4)), frame(1, 5, 1, STATUS_3)],  # Go says goodbye first
        [frame(99, 255, 7, b"unknown"), frame(1, 5, 1, STATUS_3)],
    ],
)
def test_frames_of_an_answer(frames: Sequence[bytes]) -> None:
    assert Peer(SETTINGS, *frames).ask() == Answer(3, "a b")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", ""),
        ("no%20such%20thing", "no such thing"),
        ("two%0A%20lines%1B[31m", "two lines[31m"),
        ("%C3%A4", "ä"),
        ("50%", "50%"),
        ("x" * 1000, "x" * 200),
    ],
)
def test_the_message_of_an_answer(message: str, expected: str) -> None:
    block = encode([("grpc-status", "13"), ("grpc-message", message)])
    assert Peer(SETTINGS, frame(1, 5, 1, block)).ask() == Answer(13, expected)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], "closes the connection without an answer"),
        ([b"\x15\x03\x01\x00\x02\x02\x46"], "answers with TLS"),
        ([b"HTTP/1.1 400 Bad Request\r\n"], "answers, but not HTTP/2"),
        ([b"SSH"], "answers, but not HTTP/2"),
        ([ACKNOWLEDGED], "answers, but not HTTP/2"),
        ([SETTINGS[:-1]], "closes the connection without answering the call"),
        ([SETTINGS], "closes the connection without answering the call"),
        ([SETTINGS, frame(1, 1, 1, b""), frame(0, 1, 1, b"")], "answers, but not HTTP/2"),
        ([SETTINGS, frame(1, 1, 1, b""), frame(9, 4, 3, b"")], "answers, but not HTTP/2"),
        ([SETTINGS, frame(1, 4 | 8 | 1, 1, b"")], "answers, but not gRPC (HTTP status missing)"),
        ([SETTINGS, frame(1, 5, 1, b"\x88")], "answers, but not gRPC (HTTP status 200)"),
        ([SETTINGS, frame(0, 1, 1, b"")], "answers, but not gRPC (HTTP status missing)"),
        ([SETTINGS, frame(3, 0, 1, bytes([0, 0, 0, 11]))], "breaks the call off (HTTP/2 error 11)"),
        ([SETTINGS, (16385).to_bytes(3, "big") + bytes(6)], "answers, but not HTTP/2"),
    ],
)
def test_what_is_no_answer(said: Sequence[bytes], expected: str) -> None:
    with pytest.raises(GrpcError) as caught:
        Peer(*said).ask()
    assert str(caught.value) == expected


def test_no_answer_in_time() -> None:
    with pytest.raises(GrpcError) as caught:
        Peer(SETTINGS, closes=False).ask(timeout=0.2)
    assert str(caught.value) == "speaks HTTP/2, but does not answer the call in time"


def test_no_greeting_in_time() -> None:
    with pytest.raises(socket.timeout):
        Peer(closes=False).ask(timeout=0.2)


def test_what_the_server_hears() -> None:
    ping = frame(6, 0, 0, b"12345678")
    peer = Peer(SETTINGS, ping, frame(1, 5, 1, STATUS_3))
    peer.ask()
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "kas"),
        (":path", "/service/Method"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("authorization", "Bearer token"),
    ]
    assert peer.heard == b"".join(
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            frame(4, 0, 0, bytes.fromhex("000100000000")),
            ACKNOWLEDGED,
            frame(1, 4, 1, encode(headers)),
            frame(0, 1, 1, bytes(5)),
            frame(6, 1, 0, b"12345678"),
        ]
    )
