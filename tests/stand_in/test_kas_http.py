"""HTTP on KAS's listeners: the agents' WebSocket, the Kubernetes API proxy, and what is for monitoring."""

from __future__ import annotations

import http.client
import json
import socket

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived
from imitation import Kas

HANDSHAKE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "ws-tunnel",
}
SETTINGS = bytes.fromhex("000006040000000000000500004000")
VIOLATION = "WebSocket protocol violation:"
NO_VERSION = 'unsupported WebSocket protocol version (only 13 is supported): ""'
NO_CREDENTIALS = "GitLab Agent Server: Unauthorized: no valid credentials provided"


def ask(kas: Kas, what: str, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*kas.address(what), timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


def without(*names: str, **others: str) -> dict[str, str]:
    return {name: value for name, value in HANDSHAKE.items() if name not in names} | others


@pytest.mark.parametrize(("method", "headers", "status", "text"), [
    ("GET", {}, 426, f'{VIOLATION} Connection header "" does not contain Upgrade'),
    ("POST", {}, 426, f'{VIOLATION} Connection header "" does not contain Upgrade'),
    ("GET", {"Connection": "close"}, 426, f'{VIOLATION} Connection header "close" does not contain Upgrade'),
    ("GET", without("Upgrade", Upgrade="h2c"), 426, f'{VIOLATION} Upgrade header "h2c" does not contain websocket'),
    ("POST", HANDSHAKE, 405, f'{VIOLATION} handshake request method is not GET but "POST"'),
    ("GET", without("Sec-WebSocket-Version", "Sec-WebSocket-Key"), 400, NO_VERSION),
    ("GET", without("Sec-WebSocket-Key"), 400, f"{VIOLATION} missing Sec-WebSocket-Key"),
    ("GET", {**HANDSHAKE, "Host": "kas.example.com", "Origin": "https://other.example.com"}, 403,
     'request Origin "https://other.example.com" is not authorized for Host "kas.example.com"'),
])  # fmt: skip
def test_no_agent(running: Kas, method: str, headers: dict[str, str], status: int, text: str) -> None:
    answer = ask(running, "Agentk API", "/-/kubernetes-agent/", method, **headers)
    assert (answer.status, answer.text) == (status, f"{text}\n")
    assert answer.headers["Server"] == "gitlab-kas/v19.3.0/stand-in"
    if status == 426:
        connection = headers.get("Connection") if headers.get("Connection") == "close" else "Upgrade"
        assert (answer.headers["Connection"], answer.headers["Upgrade"]) == (connection, "websocket")


def shake_hands(connection: socket.socket, path: str, headers: dict[str, str]) -> tuple[bytes, bytes]:
    """Head of the answer, and what came with it."""
    lines = [f"GET {path} HTTP/1.1", "Host: kas", *(f"{name}: {value}" for name, value in headers.items())]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.partition(b"\r\n\r\n")[2]:
        answer += connection.recv(65536)
    head, _blank, rest = answer.partition(b"\r\n\r\n")
    return head, rest


@pytest.mark.parametrize("path", ["/-/kubernetes-agent/", "/", "/anything?x"])
@pytest.mark.parametrize("origin", [{}, {"Origin": "https://KAS"}])
def test_agent(running: Kas, path: str, origin: dict[str, str]) -> None:
    """On every path, HTTP/2 within binary messages: first its settings, then what is answered to a call."""
    with socket.create_connection(running.address("Agentk API"), timeout=10) as connection:
        head, rest = shake_hands(connection, path, HANDSHAKE | origin)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert b"\r\nSec-Websocket-Protocol: ws-tunnel" in head
        assert rest == b"\x82\x0f" + SETTINGS


def test_a_call_within_a_websocket(running: Kas) -> None:
    h2 = H2Connection(H2Configuration(header_encoding="latin-1"))
    h2.initiate_connection()
    path = "/gitlab.agent.agent_configuration.rpc.AgentConfiguration/GetConfiguration"
    headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "kas")]
    h2.send_headers(1, [*headers, ("content-type", "application/grpc")])
    data = h2.data_to_send()
    with socket.create_connection(running.address("Agentk API"), timeout=10) as connection:
        shake_hands(connection, "/", HANDSHAKE)
        connection.sendall(b"\x82\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data)  # masked with zeros
        answer = connection.recv(65536)
        while bytes.fromhex("40889acac8b21234da8f023136") not in answer:  # grpc-status: 16
            answer += connection.recv(65536)
    events = []
    while answer:  # one short message after another
        size = answer[1] if answer[1] < 126 else int.from_bytes(answer[2:4], "big")
        start = 2 if answer[1] < 126 else 4
        events += h2.receive_data(SETTINGS * (not events) + answer[start : start + size])
        answer = answer[start + size :]
    answered = [dict(event.headers) for event in events if isinstance(event, ResponseReceived)]
    assert [headers["grpc-status"] for headers in answered] == ["16"]


def test_without_the_subprotocol(running: Kas) -> None:
    with socket.create_connection(running.address("Agentk API"), timeout=10) as connection:
        head, rest = shake_hands(connection, "/", without("Sec-WebSocket-Protocol"))
        assert b" 101 " in head
        assert rest == b"\x88\x2b\x03\xea" + b'Expecting "ws-tunnel" subprotocol, got ""'


def test_without_websocket_there_is_only_http2(kas: Kas) -> None:
    kas.set("agent.listen.websocket", False)
    kas.start()
    assert '"is_websocket":false' in kas.log
    with socket.create_connection(kas.address("Agentk API"), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: kas\r\n\r\n")
        assert connection.recv(65536) == SETTINGS  # Go speaks first, then hangs up


GITLAB = {"Origin": "https://gitlab.example.com"}
CORS = {
    "Access-Control-Allow-Origin": "https://gitlab.example.com",
    "Access-Control-Allow-Credentials": "true",
    "Vary": "Origin",
}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Headers": "x-csrf-token",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH",
    "Access-Control-Max-Age": "86400",
}
UNAUTHORIZED = {"Gitlab-Unauthorized": "true", "Content-Type": "application/json"}


@pytest.mark.parametrize(("method", "headers", "status", "expected"), [
    ("GET", {}, 401, UNAUTHORIZED),
    ("POST", {"Accept": "*/*"}, 401, UNAUTHORIZED),
    ("GET", {"Accept": "application/json;as=Table, application/json"}, 401, UNAUTHORIZED),
    ("GET", {"Accept": "text/html"}, 406, {"Gitlab-Unauthorized": "true"}),
    ("GET", {"Origin": "https://other.example.com"}, 403, {"Gitlab-Unauthorized": None}),
    ("GET", GITLAB, 401, UNAUTHORIZED | CORS),
    ("OPTIONS", GITLAB | {"Access-Control-Request-Headers": "x-csrf-token"}, 200, PREFLIGHT),
])  # fmt: skip
def test_kubernetes_api(running: Kas, method: str, headers: dict[str, str], status: int, expected: dict) -> None:
    answer = ask(running, "Kubernetes API", "/api/v1/pods", method, **headers)
    assert answer.status == status
    assert {name: answer.headers[name] for name in expected} == expected


def test_status_of_kubernetes(running: Kas) -> None:
    answer = ask(running, "Kubernetes API", "/version")
    assert json.loads(answer.text) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": NO_CREDENTIALS,
        "reason": "Unauthorized",
        "code": 401,
    }


def test_path_outside_of_the_prefix(kas: Kas) -> None:
    kas.set("agent.kubernetes_api.url_path_prefix", "/k8s-proxy")
    kas.start()
    answer = ask(kas, "Kubernetes API", "/version")
    assert answer.status == 400
    assert json.loads(answer.text)["message"] == (
        "GitLab Agent Server: Bad request: URL does not start with expected prefix"
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(("path", "status", "text"), [
    ("/readiness", 200, ""),
    ("/liveness", 200, ""),
    ("/readiness/", 404, "404 page not found\n"),
    ("/debug/pprof/cmdline", 200, None),
])  # fmt: skip
def test_observability(running: Kas, method: str, path: str, status: int, text: str | None) -> None:
    answer = ask(running, "Observability", path, method)
    assert answer.status == status
    assert answer.headers["Server"] == (None if status == 404 else "gitlab-kas/v19.3.0/stand-in")
    if text is not None:
        assert answer.text == ("" if method == "HEAD" else text)


def test_command_line(running: Kas) -> None:
    arguments = ask(running, "Observability", "/debug/pprof/cmdline").text.split("\0")
    assert arguments[1:] == ["--configuration-file", str(running.directory / "config.yml")]


@pytest.mark.parametrize(("release", "there", "away"), [
    ("16.5.0", "k8s_api_proxy_routing_timeout_total 0", "tunnel_routing_timeout_connected_recently_total"),
    ("19.3.0", "tunnel_routing_timeout_connected_recently_total 0", "k8s_api_proxy_routing_timeout_total"),
])  # fmt: skip
def test_metrics(kas: Kas, release: str, there: str, away: str) -> None:
    if release == "16.5.0":
        del kas.config["agent"]["kubernetes_api"]
    kas.start(release)
    text = ask(kas, "Observability", "/metrics").text
    assert f'gitlab_build_info{{built="-",version="v{release}"}} 1\n' in text
    assert f"\n{there}\n" in text
    assert away not in text


def test_no_http(running: Kas) -> None:
    with socket.create_connection(running.address("Kubernetes API"), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 Bad Request\r\n")
