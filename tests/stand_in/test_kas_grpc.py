"""gRPC on KAS's listeners: who gets which answer, and in which bytes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import jwt
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, StreamReset
from imitation import API_SECRET, PRIVATE_SECRET, Kas

PRIVATE_CALL = "/gitlab.agent.kubernetes_api.rpc.KubernetesApi/MakeRequest"
INTERNAL_CALL = "/gitlab.agent.agent_tracker.rpc.AgentTracker/GetConnectedAgents"
AGENT_CALL = "/gitlab.agent.agent_configuration.rpc.AgentConfiguration/GetConfiguration"
ROUTING = ("kas-hop-routing-agent-id", "1")


def token(secret: bytes, *, issuer: str = "gitlab-kas", audience: str = "gitlab-kas", shift_s: int = 0) -> str:
    now = int(time.time()) + shift_s
    claims = {"iss": issuer, "aud": audience, "nbf": now - 5, "exp": now + 5}
    return "Bearer " + jwt.encode(claims, secret, algorithm="HS256")


class Answer:
    """What came back for one call: the raw bytes too."""

    def __init__(
        self, kas: Kas, what: str, path: str, *extra: tuple[str, str], method: str = "POST", end: bool = False
    ) -> None:
        self.raw, self.headers, self.is_reset = b"", {}, False
        h2 = H2Connection(H2Configuration(header_encoding="latin-1"))
        h2.initiate_connection()
        headers = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "kas")]
        if method == "POST":
            headers += [("te", "trailers"), ("content-type", "application/grpc")]
        h2.send_headers(1, headers + list(extra), end_stream=method != "POST")
        if method == "POST":
            h2.send_data(1, bytes(5), end_stream=end)  # an empty message
        with socket.create_connection(kas.address(what), timeout=10) as connection:
            connection.sendall(h2.data_to_send())
            while not self.headers or (method == "POST" and not end and not self.is_reset):
                data = connection.recv(65536)
                assert data, "closed"
                self.raw += data
                for event in h2.receive_data(data):
                    if isinstance(event, ResponseReceived):
                        self.headers = dict(event.headers)
                    self.is_reset = self.is_reset or isinstance(event, StreamReset)

    @property
    def status(self) -> tuple[str, str]:
        return self.headers["grpc-status"], self.headers["grpc-message"]


INVALID = ("16", "JWT validation failed")
NO_TOKEN = ("16", "Request unauthenticated with bearer")
ROUTED = ("3", "Expecting a single kas-hop-routing-agent-id, got 0")
LACKING = ("3", "invalid GetConnectedAgentsRequest.Request: value is required")


@pytest.mark.parametrize(
    ("what", "path", "authorization", "expected"),
    [
        ("Private API", PRIVATE_CALL, lambda: token(PRIVATE_SECRET), ROUTED),
        ("Private API", PRIVATE_CALL, lambda: token(b"x" * 32), INVALID),
        ("Private API", PRIVATE_CALL, lambda: token(PRIVATE_SECRET, issuer="gitlab"), INVALID),
        ("Private API", PRIVATE_CALL, lambda: token(PRIVATE_SECRET, audience="gitlab"), INVALID),
        ("Private API", PRIVATE_CALL, lambda: token(PRIVATE_SECRET, shift_s=3600), INVALID),
        ("Private API", PRIVATE_CALL, lambda: token(PRIVATE_SECRET, shift_s=-8), INVALID),
        ("Private API", PRIVATE_CALL, "Bearer x.y.z", INVALID),
        ("Private API", PRIVATE_CALL, "", NO_TOKEN),
        ("Private API", PRIVATE_CALL, "Basic eDp5", NO_TOKEN),
        ("Private API", PRIVATE_CALL, "Bearer", ("16", "Bad authorization string")),
        ("API", INTERNAL_CALL, lambda: token(API_SECRET), LACKING),
        ("API", INTERNAL_CALL, lambda: token(API_SECRET, issuer="anybody"), LACKING),
        ("API", INTERNAL_CALL, lambda: token(API_SECRET, audience="gitlab"), INVALID),
        ("API", INTERNAL_CALL, lambda: token(PRIVATE_SECRET), INVALID),
        ("API", INTERNAL_CALL, "", NO_TOKEN),
        ("Agentk API", AGENT_CALL, "", NO_TOKEN),
        ("Agentk API", AGENT_CALL, "Bearer x", ("16", "unauthenticated")),
        # Whoever asks at the wrong door is told so before any token is looked at.
        ("API", PRIVATE_CALL, "", ("12", "unknown service gitlab.agent.kubernetes_api.rpc.KubernetesApi")),
        ("Agentk API", PRIVATE_CALL, "", ("12", "unknown service gitlab.agent.kubernetes_api.rpc.KubernetesApi")),
        ("Private API", INTERNAL_CALL, "", ("12", "unknown service gitlab.agent.agent_tracker.rpc.AgentTracker")),
        ("Private API", "/grpc.health.v1.Health/Check", "", ("12", "unknown service grpc.health.v1.Health")),
        (
            "Private API",
            PRIVATE_CALL[:-1],
            "",
            ("12", "unknown method MakeReques for service gitlab.agent.kubernetes_api.rpc.KubernetesApi"),
        ),
        ("Private API", "/", "", ("12", 'malformed method name: "/"')),
    ],
)
def test_answer(
    running: Kas, what: str, path: str, authorization: str | Callable[[], str], expected: tuple[str, str]
) -> None:
    shown = authorization() if callable(authorization) else authorization  # a token does not live for long
    headers = [("authorization", shown)] if shown else []
    for end in (False, True):  # a caller that would go on, and one that has said all
        answer = Answer(running, what, path, *headers, end=end)
        assert answer.status == expected
        assert answer.is_reset is not end


def test_bytes(running: Kas) -> None:
    """As Go's gRPC server: SETTINGS with one value at once; an answer in one frame, its digits not in Huffman code."""
    raw = Answer(running, "Private API", PRIVATE_CALL, ("authorization", token(PRIVATE_SECRET))).raw
    settings = bytes.fromhex("000006 04 00 00000000 0005 00004000")
    headers = bytes.fromhex("88 5f8b1d75d0620d263d4c4d6564 40889acac8b21234da8f0133 40899acac8b5254207317f a4")
    assert raw.startswith(settings)
    assert headers in raw
    assert bytes.fromhex("000004 03 00 00000001 00000000") in raw  # RST_STREAM without an error


def test_repeated_header(running: Kas) -> None:
    answer = Answer(running, "Private API", PRIVATE_CALL, ("authorization", token(PRIVATE_SECRET)), ROUTING, ROUTING)
    assert answer.status == ("3", "Expecting a single kas-hop-routing-agent-id, got 2")


@pytest.mark.parametrize(("method", "http"), [("GET", "415")])
def test_not_grpc(running: Kas, method: str, http: str) -> None:
    answer = Answer(running, "Private API", "/", method=method)
    assert answer.headers[":status"] == http
    assert answer.status == ("3", 'invalid gRPC request content-type ""')
