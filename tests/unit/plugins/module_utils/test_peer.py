"""Asking a KAS elsewhere: real servers on loopback, good ones and others."""

from __future__ import annotations

import base64
import errno
import json
import socket
import time
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _peer
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._grpc import Client, encode
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import cause, remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._peer import (
    INTERNAL_API,
    PRIVATE_API,
    Api,
    Credentials,
    Reach,
    reach,
    token,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.servers import (
    AGENT_TRACKER,
    KUBERNETES_API,
    SERVER_INFO,
    TUNNEL,
    Authority,
    Handler,
    Kas,
    answering_with,
    breaking_off,
    closing,
    frame,
    free_port,
    http1,
    http2,
    ping_frame,
    saying,
    serving,
    silent,
    slow_http2,
    tls_alert,
)

SECRET, OTHER_SECRET = b"s" * 32, b"o" * 32
REACHABLE = Reach(True, "reachable")
ANSWERED = Reach(True, "reachable", answered=True)
NO_ANSWER = "make sure that that host is up, and that no firewall drops the packets on the way there or back"
LOOK_WHAT = "check what listens there, and correct the URL or the listener"


def credentials(api: Api = PRIVATE_API, secret: bytes = SECRET, release: str = "18.6.1") -> Credentials:
    return Credentials(api, secret, release)


# Whether anything answers


@pytest.mark.parametrize("handler", [http2, slow_http2])
def test_reach(handler: Handler) -> None:
    with serving(handler) as address:
        assert reach(f"grpc://{address}", timeout=10) == REACHABLE


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (http1, "answers, but not HTTP/2"),
        (ping_frame, "answers, but not HTTP/2"),
        (closing, "closes the connection without an answer; if it speaks TLS, its URL must start with grpcs://"),
        (tls_alert, "answers with TLS, so its URL must start with grpcs://"),
    ],
)
@pytest.mark.parametrize("asks", [None, credentials()])
def test_reach_something_else(handler: Handler, expected: str, asks: Credentials | None) -> None:
    with serving(handler) as address:
        assert reach(f"grpc://{address}", credentials=asks, timeout=10) == Reach(False, expected, LOOK_WHAT)


def test_reach_a_peer_that_says_nothing() -> None:
    begin = time.monotonic()
    with serving(silent) as address:
        reached = reach(f"grpc://{address}", credentials=credentials(), timeout=0.2)
    assert reached == Reach(False, "no answer within 0.2 s", NO_ANSWER)
    assert time.monotonic() - begin < 5


def test_reach_a_closed_port() -> None:
    reached = reach(f"grpc://127.0.0.1:{free_port()}", credentials=credentials(), timeout=5)
    assert reached == Reach(
        False,
        "connection refused",
        "make sure that KAS runs there and listens on that address, and that no firewall rejects it",
    )


def test_reach_an_unknown_name() -> None:
    reached = reach("grpc://kas1.invalid:8155", timeout=5)
    assert reached == Reach(
        False,
        "the name kas1.invalid is not known",
        "let this node know the name, by DNS or in /etc/hosts, or correct the URL",
    )


@pytest.mark.parametrize(
    ("error", "text", "what_to_do"),
    [
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            "the name kas1 cannot be resolved: Temporary failure in name resolution",
            "make sure that the name servers in /etc/resolv.conf of this node answer",
        ),
        (
            OSError(errno.EHOSTUNREACH, "No route to host"),
            "no route to the host",
            "make sure that that host is up, and that no firewall rejects it",
        ),
        (
            OSError(errno.ENETUNREACH, "Network is unreachable"),
            "network unreachable",
            "give this node a route to it, or let the URL name an address to which it has one",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files", LOOK_WHAT),
    ],
)
def test_why_a_host_is_not_reached(error: OSError, text: str, what_to_do: str) -> None:
    assert (cause(error, 5, "kas1"), remedy(error)) == (text, what_to_do)


def test_reach_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "kas.socket"
    assert reach(f"unix://{path}", timeout=5).text == "no such socket"
    with serving(http2, unix=path):
        assert reach(f"unix://{path}", timeout=5) == REACHABLE
    assert reach(f"unix://{path}", timeout=5).text == "connection refused"
    assert reach(f"unix:///{'x' * 108}", timeout=5).text == "af_unix path too long"


def test_reach_no_url() -> None:
    with pytest.raises(PrivateApiError):
        reach("http://127.0.0.1", timeout=5)


# Calls


@pytest.mark.parametrize(
    ("api", "methods", "status", "asked"),
    [
        (PRIVATE_API, [KUBERNETES_API], grpc.StatusCode.INVALID_ARGUMENT, [KUBERNETES_API]),
        (INTERNAL_API, [AGENT_TRACKER], grpc.StatusCode.INVALID_ARGUMENT, [SERVER_INFO, AGENT_TRACKER]),
        (INTERNAL_API, [AGENT_TRACKER, SERVER_INFO], grpc.StatusCode.OK, [SERVER_INFO]),
    ],
)
def test_a_call_with_the_same_secret(api: Api, methods: list[str], status: grpc.StatusCode, asked: list[str]) -> None:
    kas = Kas(*methods, secret=SECRET, status=status)
    with kas.serving() as address:
        assert reach(f"grpc://{address}", credentials=credentials(api), timeout=10) == ANSWERED
    assert kas.asked == asked


@pytest.mark.parametrize("api", [PRIVATE_API, INTERNAL_API])
def test_a_call_with_another_secret(api: Api) -> None:
    with Kas(KUBERNETES_API, SERVER_INFO, secret=OTHER_SECRET).serving() as address:
        assert reach(f"grpc://{address}", credentials=credentials(api), timeout=10) == Reach(
            False,
            f"refuses the token, so its {api.secret} is not the one that this node has",
            f"give all nodes the same {api.secret}, reconfigure, and restart KAS where it has not read it since",
        )


@pytest.mark.parametrize(
    ("api", "fast_s", "is_refused"),
    [
        (PRIVATE_API, -3, False),
        (PRIVATE_API, 3, False),
        (PRIVATE_API, -30, True),
        (PRIVATE_API, 30, True),
        (PRIVATE_API, -3600, True),
        (INTERNAL_API, -30, True),
        (INTERNAL_API, 30, False),
        (INTERNAL_API, 90, True),
    ],
)
def test_a_call_where_the_clock_is_another(api: Api, fast_s: int, is_refused: bool) -> None:
    kas = Kas(KUBERNETES_API, SERVER_INFO, secret=SECRET)
    kas.fast_s = fast_s
    with kas.serving() as address:
        reached = reach(f"grpc://{address}", credentials=credentials(api), timeout=10)
    if not is_refused:
        assert reached == ANSWERED
        return
    assert reached == Reach(
        False,
        "refuses the token because its clock and this node's are more than 5 s apart",
        "set both clocks right, with chrony or another client of NTP",
    )


def test_a_long_token_goes_only_where_the_usual_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lifetimes = []

    def noted(secret: bytes, lifetime_s: tuple[int, int]) -> str:
        lifetimes.append(lifetime_s)
        return token(secret, lifetime_s)

    monkeypatch.setattr(_peer, "token", noted)
    kas = Kas(KUBERNETES_API, secret=SECRET)
    with kas.serving() as address:
        reach(f"grpc://{address}", credentials=credentials(), timeout=10)
        assert lifetimes == [(5, 5)]
        reach(f"grpc://{address}", credentials=credentials(secret=OTHER_SECRET), timeout=10)
    assert lifetimes == [(5, 5), (5, 5), (86400, 600)]


UNKNOWN = "reachable, answer not known (gRPC status 12, Method not found!)"
WRONG_PORT = {
    PRIVATE_API: "let the URL name the port of the private API, 8155 unless set",
    INTERNAL_API: "let the URL name the port of the internal API, 8153 unless set",
}


@pytest.mark.parametrize(
    ("api", "release", "methods", "expected"),
    [
        (PRIVATE_API, "18.6.1", [AGENT_TRACKER], "is the internal API of a KAS, not its private API"),
        (PRIVATE_API, "18.6.1", [SERVER_INFO], "is the internal API of a KAS, not its private API"),
        (PRIVATE_API, "18.6.1", [TUNNEL], "is the API of agents of a KAS, not its private API"),
        (INTERNAL_API, "18.6.1", [KUBERNETES_API], "is the private API of a KAS, not its internal API"),
        (INTERNAL_API, "18.6.1", [TUNNEL], "is the API of agents of a KAS, not its internal API"),
        (PRIVATE_API, "16.11.5", [], "answers, but is not the private API of a KAS"),
        (PRIVATE_API, "17.0.0", [], UNKNOWN),
        (INTERNAL_API, "19.3.0", [], UNKNOWN),
    ],
)
def test_a_call_of_a_method_that_is_not_there(api: Api, release: str, methods: list[str], expected: str) -> None:
    with Kas(*methods, secret=SECRET).serving() as address:
        reached = reach(f"grpc://{address}", credentials=credentials(api, release=release), timeout=10)
    remedy = WRONG_PORT[api] if expected != UNKNOWN else ""
    assert reached == Reach(expected == UNKNOWN, expected, remedy)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (answering_with((":status", "200"), ("grpc-status", "3")), ANSWERED),
        (answering_with((":status", "200"), ("grpc-status", "0")), ANSWERED),
        (
            answering_with((":status", "200"), ("grpc-status", "13"), ("grpc-message", "no%20such%20\\ thing")),
            Reach(True, "reachable, answer not known (gRPC status 13, no such \\ thing)"),
        ),
        (
            answering_with((":status", "200"), ("grpc-status", "7")),
            Reach(True, "reachable, answer not known (gRPC status 7)"),
        ),
        (answering_with((":status", "502")), Reach(False, "answers, but not gRPC (HTTP status 502)", LOOK_WHAT)),
        (
            answering_with((":status", "404"), ("content-type", "text/html"), data=b"<html>"),
            Reach(False, "answers, but not gRPC (HTTP status 404)", LOOK_WHAT),
        ),
        (
            answering_with((":status", "200"), ("grpc-status", "none")),
            Reach(False, "answers, but not gRPC (HTTP status 200)", LOOK_WHAT),
        ),
        (
            saying(frame(3, 0, 1, (7).to_bytes(4, "big"))),
            Reach(False, "breaks the call off (HTTP/2 error 7)", LOOK_WHAT),
        ),
        (saying(frame(1, 5, 1, b"\xbe")), Reach(False, "answers, but its HTTP/2 headers cannot be read", LOOK_WHAT)),
        (
            breaking_off(),
            Reach(False, "closes the connection without answering the call", LOOK_WHAT),
        ),
        (
            saying(frame(7, 0, 0, bytes(8))),
            Reach(False, "closes the connection without answering the call", LOOK_WHAT),
        ),
        (breaking_off(b"\0\0\x09\x01"), Reach(False, "closes the connection without answering the call", LOOK_WHAT)),
        (saying(b"\xff" * 9), Reach(False, "answers, but not HTTP/2", LOOK_WHAT)),
    ],
)
def test_other_answers(handler: Handler, expected: Reach) -> None:
    with serving(handler) as address:
        assert reach(f"grpc://{address}", credentials=credentials(), timeout=10) == expected


def test_a_server_that_closes_after_a_refusal() -> None:
    refusal = encode([(":status", "200"), ("grpc-status", "16")])
    with serving(breaking_off(frame(1, 5, 1, refusal))) as address:
        reached = reach(f"grpc://{address}", credentials=credentials(), timeout=10)
    assert reached.text.startswith("refuses the token, so its private_api_secret_key")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("grpc://kas1.example.com:8155", "kas1.example.com:8155"),
        ("grpcs://[fd00::1]:8155", "[fd00::1]:8155"),
        ("unix:///run/kas.socket", "localhost"),
    ],
)
def test_whom_a_proxy_sends_the_call_to(url: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Noted(Client):
        def __init__(self, *args: Any, authority: str, **options: Any) -> None:
            asked.append(authority)
            super().__init__(*args, authority=authority, **options)

    here = free_port()
    monkeypatch.setattr(_peer, "Client", Noted)
    monkeypatch.setattr(_peer, "_addresses", lambda endpoint: [(socket.AF_INET, ("127.0.0.1", here))])
    with serving(http2) as address:
        here = int(address.rpartition(":")[2])
        reach(url.replace("grpcs", "grpc"), timeout=10)
    assert asked == [expected]


def test_a_call_that_is_never_answered() -> None:
    with serving(saying()) as address:
        reached = reach(f"grpc://{address}", credentials=credentials(), timeout=0.3)
    assert reached == Reach(False, "speaks HTTP/2, but does not answer the call in time", LOOK_WHAT)


def test_token() -> None:
    text = token(SECRET, (5, 60))
    claims = jwt.decode(text, SECRET, algorithms=["HS256"], audience="gitlab-kas", issuer="gitlab-kas")
    assert claims["exp"] - claims["nbf"] == 65
    assert abs(claims["nbf"] + 5 - time.time()) < 5
    head = text.partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))) == {"alg": "HS256", "typ": "JWT"}


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


NAME = "kas.example.com"
RENEW = "renew it, or set this node's clock right"


@pytest.mark.parametrize(
    ("names", "options", "server_name", "expected"),
    [
        ([NAME], {}, NAME, ANSWERED),
        ([NAME], {}, f"{NAME}.", ANSWERED),
        (["*.example.com"], {}, NAME, ANSWERED),
        (["127.0.0.1"], {}, None, ANSWERED),
        (
            ["a.example.com"],
            {},
            "b.example.com",
            Reach(
                False,
                "certificate is for a.example.com, not b.example.com",
                "have one made out to b.example.com, or let OWN_PRIVATE_API_HOST or the URL name one that it holds",
            ),
        ),
        (
            ["a.example.com", "10.0.0.1"],
            {},
            None,
            Reach(
                False,
                "certificate is for a.example.com, 10.0.0.1, not 127.0.0.1",
                "have one made out to 127.0.0.1, or let OWN_PRIVATE_API_HOST or the URL name one that it holds",
            ),
        ),
        (
            [],
            {"common_name": NAME},
            NAME,
            Reach(
                False,
                f"certificate is for no name at all, not {NAME}",
                f"have one made out to {NAME}, or let OWN_PRIVATE_API_HOST or the URL name one that it holds",
            ),
        ),
        ([NAME], {"days": (-9, -8)}, NAME, Reach(False, "certificate has expired", RENEW)),
        ([NAME], {"days": (8, 9)}, NAME, Reach(False, "certificate is not valid yet", RENEW)),
        (
            [NAME],
            {"alpn": "http/1.1"},
            NAME,
            Reach(False, "answers with TLS, but does not offer HTTP/2 (ALPN h2)", LOOK_WHAT),
        ),
    ],
)
def test_reach_with_tls(
    authority: Authority, names: list[str], options: dict, server_name: str | None, expected: Reach
) -> None:
    """To name what is in a certificate for somebody else takes a second connection."""
    connections = 2 if "certificate is for" in expected.text else 1
    handler = answering_with((":status", "200"), ("grpc-status", "3"))
    with serving(handler, tls=authority.context(names, **options), connections=connections) as address:
        reached = reach(
            f"grpcs://{address}",
            credentials=credentials(),
            server_name=server_name,
            ca_dir=authority.trusted,
            timeout=10,
        )
    assert reached == expected


def test_reach_with_tls_a_name_with_a_final_dot_in_the_url(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_peer, "tcp_addresses", lambda host, port: [(socket.AF_INET, ("127.0.0.1", port))])
    with serving(http2, tls=authority.context([NAME])) as address:
        port = address.rpartition(":")[2]
        reached = reach(f"grpcs://{NAME}.:{port}", ca_dir=authority.trusted, timeout=10)
    assert reached == REACHABLE


def test_reach_with_tls_behind_an_unknown_authority(authority: Authority, tmp_path: Path) -> None:
    with serving(http2, tls=authority.context(["127.0.0.1"])) as address:
        reached = reach(f"grpcs://{address}", ca_dir=tmp_path, timeout=10)
    assert reached == Reach(
        False,
        "certificate signed by an unknown authority",
        "put the certificate of its CA into /etc/gitlab/trusted-certs here, and reconfigure",
    )


def test_reach_with_tls_without_a_directory_of_authorities(tmp_path: Path) -> None:
    with serving(closing) as address:
        reached = reach(f"grpcs://{address}", ca_dir=tmp_path / "none", timeout=10)
    assert reached == Reach(
        False,
        f"there is no directory {tmp_path}/none with the certificates of CAs",
        "repair the GitLab Linux package here",
    )


NO_TLS = Reach(False, "answers, but not TLS", "give that listener its certificate, or let its URL start with grpc://")


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (http2, NO_TLS),
        (http1, NO_TLS),
        (closing, Reach(False, "closes the connection instead of speaking TLS", LOOK_WHAT)),
        (tls_alert, Reach(False, "TLS fails: tlsv1 alert protocol version", LOOK_WHAT)),
    ],
)
def test_reach_with_tls_where_there_is_none(authority: Authority, handler: Handler, expected: Reach) -> None:
    """To see whether it is TLS at all takes a second connection."""
    with serving(handler, connections=2) as address:
        assert reach(f"grpcs://{address}", ca_dir=authority.trusted, timeout=10) == expected


def test_reach_with_tls_a_peer_that_closes(authority: Authority) -> None:
    with serving(closing, tls=authority.context(["127.0.0.1"])) as address:
        reached = reach(f"grpcs://{address}", ca_dir=authority.trusted, timeout=10)
    assert reached == Reach(False, "closes the connection without an answer", LOOK_WHAT)


def test_reach_with_tls_a_peer_that_says_nothing(authority: Authority) -> None:
    with serving(silent) as address:
        reached = reach(f"grpcs://{address}", ca_dir=authority.trusted, timeout=0.2)
    assert reached == Reach(False, "no answer within 0.2 s", NO_ANSWER)


def test_reach_without_tls_where_there_is_one(authority: Authority) -> None:
    with serving(http2, tls=authority.context(["127.0.0.1"])) as address:
        reached = reach(f"grpc://{address}", timeout=10)
    assert reached.text.startswith("closes the connection without an answer; if it speaks TLS")
