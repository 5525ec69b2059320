# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that no proxy of ours gives; what real ones give stands in tests/stand_in/test_outside.py."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._outside import (
    Found,
    Vantage,
    agents,
    kubernetes_api,
    metadata,
)
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.servers import (
    Authority,
    Handler,
    answering_with,
    closing,
    http1,
    serving,
    silent,
    tls_alert,
)

VANTAGE = Vantage(timeout=10)
SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0]) + bytes(6)


def answering(status: str, *headers: str, body: str = "") -> Handler:
    """A web server that answers so to whatever is asked."""

    def answer(connection: socket.socket) -> None:
        read_head(connection)
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", body]
        connection.sendall("\r\n".join(lines).encode())

    return answer


def read_head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1000)
    return head.decode()


def websocket(*frames: bytes, stays: bool = False) -> Handler:
    """A WebSocket with these frames, which then ends, or stays as long as the client does."""

    def serve(connection: socket.socket) -> None:
        key = re.findall("Sec-WebSocket-Key: (.*)\r\n", read_head(connection))[0]
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Connection: Upgrade",
            "Upgrade: websocket",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
            "Sec-WebSocket-Protocol: ws-tunnel",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + b"".join(frames))
        while stays and connection.recv(1000):
            pass

    return serve


def frame(opcode: int, payload: bytes, *, size: bytes = b"") -> bytes:
    return bytes([0x80 | opcode]) + (size or bytes([len(payload)])) + payload


@pytest.mark.parametrize(
    "frames",
    [
        [frame(2, SETTINGS)],
        [frame(9, b"are you there?"), frame(2, SETTINGS[:4]), frame(0, SETTINGS[4:])],
        [frame(2, SETTINGS + bytes([0, 0, 200, 7, 0, 0, 0, 0, 0]) + bytes(200), size=b"\x7e\x00\xe0")],
    ],
    ids=["one message", "a ping, and a message in pieces", "a size of two bytes"],
)
def test_a_websocket(frames: list[bytes]) -> None:
    with serving(websocket(*frames, stays=True)) as address:
        assert agents(f"ws://{address}/", VANTAGE) == Found(True)


@pytest.mark.parametrize(
    ("handler", "part", "text"),
    [
        (
            websocket(frame(8, b"\x03\xea")),
            "path",
            "the WebSocket is made, but nothing of KAS comes through it (closes the connection without an answer)",
        ),
        (
            websocket(frame(1, b"Hello")),
            "path",
            "the WebSocket is made, but nothing of KAS comes through it (closes the connection without an answer)",
        ),
        (
            websocket(frame(2, b"Hello, agent! Who are you?")),
            "path",
            "the WebSocket is made, but nothing of KAS comes through it (answers, but not HTTP/2)",
        ),
        (
            websocket(frame(2, b"", size=b"\x7f" + bytes([255] * 8))),
            "path",
            "the WebSocket is made, but nothing of KAS comes through it (closes the connection without an answer)",
        ),
        (
            answering("101 Switching Protocols", "Sec-WebSocket-Accept: no", "Server: a proxy"),
            "proxy",
            "the handshake of the WebSocket is answered wrongly (HTTP 101 from a proxy)",
        ),
        (closing, "proxy", "the connection is closed without an answer"),
        (tls_alert, "proxy", "answers, but not as a web server does"),
        (answering("200 OK"), "path", "the path /a/ does not lead to KAS (HTTP 200)"),
        (answering("500 Oh", "Server: \x1b[31m\xff" + 200 * "x"), "proxy", None),
        (
            answering("400 Bad", body="Client sent an HTTP request to an HTTPS server."),
            "proxy",
            re.compile(r"TLS is spoken at port \d+ \(HTTP 400\)"),
        ),
        (
            answering("307 Go", "Location: /elsewhere?token=secret"),
            "proxy",
            "the proxy redirects to /elsewhere, and clients do not follow (HTTP 307)",
        ),
        (answering("302 Go"), "proxy", "the proxy redirects to nowhere, and clients do not follow (HTTP 302)"),
    ],
)
def test_no_websocket(handler: Handler, part: str, text: str | re.Pattern[str] | None) -> None:
    with serving(handler) as address:
        found = agents(f"ws://{address}/a/", VANTAGE)
    assert found.part == part
    if isinstance(text, re.Pattern):
        assert text.fullmatch(found.text)
    elif text:
        assert found.text == text
    else:  # what is not ours is told as far as it is printable, and not all of it
        assert re.fullmatch(r"what answers is no KAS \(HTTP 500 from \?\[31m\?+x+\)", found.text)
        assert len(found.text) < 150


def test_plain_http_to_a_kas_with_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.context(["localhost"])
    context.set_alpn_protocols(["http/1.1"])
    body = "Client sent an HTTP request to an HTTPS server."
    with serving(answering("400 Bad Request", body=body), tls=context) as address:
        found = agents(f"wss://localhost:{address.rpartition(':')[2]}/", trusting(authority))
    assert (found.part, found.text) == ("proxy", "the proxy speaks plain HTTP to a KAS with a certificate (HTTP 400)")


def trusting(authority: Authority) -> Vantage:
    return Vantage(ca=[(authority.trusted / "test-ca.crt").read_text()], timeout=10, min_valid_days=0)


@pytest.mark.parametrize(
    ("scheme", "alpn", "expected"),
    [
        ("wss", "h2", "answers with TLS, but does not offer HTTP/1.1 (ALPN http/1.1)"),
        ("grpcs", "http/1.1", "answers with TLS, but does not offer HTTP/2 (ALPN h2)"),
    ],
)
def test_what_tls_does_not_offer(tmp_path: Path, scheme: str, alpn: str, expected: str) -> None:
    """OpenSSL's servers in Python go on without; a proxy may end it with an alert, as HAProxy does."""
    authority = Authority(tmp_path)
    context = authority.context(["localhost"], alpn=alpn)
    context.sni_callback = refuse_protocol if scheme == "wss" else None
    with serving(closing, tls=context, connections=1 if scheme == "grpcs" else 2) as address:
        found = agents(f"{scheme}://localhost:{address.rpartition(':')[2]}/", trusting(authority))
    assert (found.part, found.text) == ("proxy", expected)


def refuse_protocol(_socket: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> int:
    return 120  # the alert no_application_protocol


@pytest.mark.parametrize(
    ("handler", "part", "text"),
    [
        (http1, "proxy", "answers, but not HTTP/2"),
        (closing, "proxy", "closes the connection without an answer"),
        (answering_with((":status", "404")), "path", "answers, but not gRPC (HTTP status 404)"),
        (answering_with((":status", "200"), ("grpc-status", "14")), "KAS", None),
        (answering_with((":status", "200"), ("grpc-status", "16")), "", "reachable"),
        (answering_with((":status", "200"), ("grpc-status", "7")), "", "reachable"),
    ],
)
def test_grpc(handler: Handler, part: str, text: str | None) -> None:
    with serving(handler) as address:
        found = agents(f"grpc://{address}", VANTAGE)
    assert (found.part, found.text) == (part, text or "the proxy does not get through to KAS (gRPC status 14)")


def test_an_answer_to_grpc_that_is_not_known() -> None:
    with serving(answering_with((":status", "200"), ("grpc-status", "7"), ("grpc-message", "no"))) as address:
        assert agents(f"grpc://{address}", VANTAGE).told == {"answer": "answer not known (gRPC status 7, no)"}


@pytest.mark.parametrize("host", ["kas..example.com", f"{64 * 'k'}.example.com"])
def test_a_name_that_is_none(host: str) -> None:
    found = agents(f"wss://{host}/", VANTAGE)
    assert (found.part, found.text) == ("name", f"{host} is no name of a host")


def test_an_answer_in_time() -> None:
    with serving(silent) as address:
        found = kubernetes_api(f"http://{address}/", Vantage(timeout=0.2))
    assert (found.part, found.text) == ("time-out", "the connection stands, but there is no answer within 0.2 s")


@pytest.mark.parametrize(
    ("headers", "body", "part"),
    [
        (
            ["Transfer-Encoding: chunked"],
            'a\r\n{"kas": {"\r\n1e\r\nenabled": true, "version": "1"\r\n2\r\n}}\r\n0\r\n\r\n',
            "",
        ),
        ([], '{"kas": {"enabled": true, "version": "1"}}', ""),
        ([], "[1, 2]", "GitLab"),
        ([], "{", "GitLab"),
        ([], "", "GitLab"),
    ],
)
def test_metadata(headers: list[str], body: str, part: str) -> None:
    """However it comes; and whatever comes."""

    def answer(connection: socket.socket) -> None:
        assert "\r\nPRIVATE-TOKEN: glpat\r\n" in read_head(connection)
        length = [] if headers else [f"Content-Length: {len(body)}"]
        connection.sendall("\r\n".join(["HTTP/1.1 200 OK", *headers, *length, "", body]).encode())

    with serving(answer) as address:
        assert metadata(f"http://{address}/", "glpat", VANTAGE).part == part
