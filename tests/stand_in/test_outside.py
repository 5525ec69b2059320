"""Agents' way to KAS through real proxies: as docs/proxies.md has them, and each with a known mistake."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._outside import (
    Found,
    Vantage,
    agents,
    kubernetes_api,
    metadata,
)
from certificates import Authority
from imitation import Kas
from proxies import GitLab, Proxy, free_port, serving_gitlab

AGENTS, API = "/-/kubernetes-agent/", "/-/kubernetes-agent/k8s-proxy/"


@pytest.fixture(scope="module")
def gitlab() -> Iterator[int]:
    with serving_gitlab() as port:
        yield port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki") / "ca")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return joined(*authority.issue("localhost", "DNS:localhost"))


def joined(*files: Path) -> Path:
    """One file of several."""
    whole = files[0].with_suffix(".pem")
    whole.write_bytes(b"".join(file.read_bytes() for file in files))
    return whole


@pytest.fixture
def ports(running: Kas, gitlab: int) -> dict[str, int]:
    return {
        "agents": running.address("Agentk API")[1],
        "api": running.address("Kubernetes API")[1],
        "gitlab": gitlab,
    }


@pytest.fixture
def vantage(authority: Authority) -> Vantage:
    return Vantage(ca=[authority.certificate.read_text()], timeout=5, min_valid_days=1)


PROXIES = ("nginx", "haproxy")
REACHABLE = Found(True)


@pytest.mark.parametrize("program", PROXIES)
def test_the_documented_way(
    tmp_path: Path, certificate: Path, ports: dict[str, int], vantage: Vantage, program: str
) -> None:
    with Proxy(program, tmp_path, certificate, ports).running() as port:
        assert agents(f"wss://localhost:{port}{AGENTS}", vantage, idle=1) == REACHABLE
        assert agents(f"grpcs://localhost:{port}", vantage) == REACHABLE
        assert kubernetes_api(f"https://localhost:{port}{API}", vantage) == REACHABLE


def plain_text(found: Found) -> tuple[str, str]:
    """What is at fault and why, without the versions of the servers."""
    return found.part, re.sub(r"(nginx|gitlab-kas|BaseHTTP)/[^\s)]+( Python/[^\s)]+)?", r"\1", found.text)


# Of the documented nginx: what is replaced by what, and what is found then.
WEBSOCKET_ON_NGINX = [
    (
        "HTTP/1.0 towards KAS",
        [("proxy_http_version 1.1;", "")],
        ("proxy", "the proxy does not pass on the header Upgrade (HTTP 426 from nginx)"),
    ),
    (
        "no Upgrade",
        [("proxy_set_header Upgrade $http_upgrade;", "")],
        ("proxy", "the proxy does not pass on the header Upgrade (HTTP 426 from nginx)"),
    ),
    (
        "no Connection",
        [("proxy_set_header Connection $connection_upgrade;", "")],
        ("proxy", "the proxy does not pass on the header Upgrade (HTTP 426 from nginx)"),
    ),
    (
        "no subprotocol",
        [("proxy_http_version 1.1;", 'proxy_http_version 1.1; proxy_set_header Sec-WebSocket-Protocol "";')],
        (
            "proxy",
            "the WebSocket has no subprotocol ws-tunnel: the proxy does not pass on Sec-WebSocket-Protocol",
        ),
    ),
    (
        "no key of the WebSocket",
        [("proxy_http_version 1.1;", 'proxy_http_version 1.1; proxy_set_header Sec-WebSocket-Version "";')],
        ("proxy", "the proxy does not pass on the headers Sec-WebSocket-* (HTTP 400 from nginx)"),
    ),
    (
        "another path",
        [("location = /-/kubernetes-agent/ {", "location = /gitlab/-/kubernetes-agent/ {")],
        ("path", "the path /-/kubernetes-agent/ leads to GitLab's login, not to KAS (HTTP 302 from nginx)"),
    ),
    (
        "a path that is nowhere",
        [
            ("location = /-/kubernetes-agent/ {", "location = /gitlab/-/kubernetes-agent/ {"),
            ("location / {", "location / { return 404;"),
        ],
        ("path", "the path /-/kubernetes-agent/ does not lead to KAS (HTTP 404 from nginx)"),
    ),
    (
        "the Kubernetes API proxy's port",
        [("AGENTS;", "API;")],
        ("path", "the path /-/kubernetes-agent/ leads to the Kubernetes API proxy (HTTP 401 from nginx)"),
    ),
    ("KAS is down", [("AGENTS;", "CLOSED;")], ("KAS", "the proxy does not get through to KAS (HTTP 502 from nginx)")),
    (
        "KAS does not answer",
        [("AGENTS;", "SILENT; proxy_read_timeout 1s;"), ("    proxy_read_timeout 2h;\n", "")],
        ("time-out", "the proxy gets no answer from KAS in time (HTTP 504 from nginx)"),
    ),
    (
        "the proxy waits longer than we do",
        [("AGENTS;", "SILENT;")],
        ("time-out", "the connection stands, but there is no answer within 5 s"),
    ),
    (
        "a short time-out",
        [("    proxy_read_timeout 2h;\n    proxy_send_timeout 2h;\n", "    proxy_read_timeout 1s;\n")],
        ("time-out", "the proxy ends a connection without traffic after 1 s"),
    ),
    (
        "a login of its own",
        [("location = /-/kubernetes-agent/ {", "location = /-/kubernetes-agent/ { deny all;")],
        ("proxy", "somebody else than KAS asks who it is (HTTP 403 from nginx)"),
    ),
    (
        "TLS towards KAS, which has none",
        [("http://AGENTS;", "https://AGENTS;")],
        ("KAS", "the proxy does not get through to KAS (HTTP 502 from nginx)"),
    ),
    (
        "a redirect elsewhere",
        [
            (
                "location = /-/kubernetes-agent/ {",
                "location = /-/kubernetes-agent/ { return 301 https://kas.example.com/;",
            )
        ],
        (
            "proxy",
            "the proxy redirects to https://kas.example.com/, and clients do not follow (HTTP 301 from nginx)",
        ),
    ),
    (
        "no TLS",
        [(" ssl http2;", ";")],
        ("proxy", "answers, but not TLS"),
    ),
]


@pytest.fixture(scope="module")
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


Changes = list[tuple[str, str]]
Expected = tuple[str, str]


class Stage:
    """The proxies with everything behind them."""

    def __init__(
        self, directory: Path, certificate: Path, ports: dict[str, int], silent: int, vantage: Vantage
    ) -> None:
        self.directory, self.certificate, self.ports, self.vantage = directory, certificate, ports, vantage
        self.places = {"AGENTS": ports["agents"], "API": ports["api"], "CLOSED": free_port(), "SILENT": silent}

    def find(self, program: str, changes: Changes, ask: Callable[[int], Found]) -> Found:
        """What is found at a proxy in which something was changed."""
        proxy = Proxy(program, self.directory, self.certificate, self.ports)
        proxy.change(*((self._placed(old), self._placed(new)) for old, new in changes))
        with proxy.running() as port:
            found = ask(port)
        assert bool(found.part) is bool(found.remedy) is not found.ok
        return found

    def _placed(self, text: str) -> str:
        for place, port in self.places.items():
            text = text.replace(place, f"127.0.0.1:{port}")
        return text


@pytest.fixture
def stage(tmp_path: Path, certificate: Path, ports: dict[str, int], silent: int, vantage: Vantage) -> Stage:
    return Stage(tmp_path, certificate, ports, silent, vantage)


def rows(*cases: tuple[str, Changes, Expected]) -> pytest.MarkDecorator:
    """A test for each: its name, what is replaced in the documented configuration, and what is found then."""
    return pytest.mark.parametrize(("changes", "expected"), [pytest.param(*rest, id=name) for name, *rest in cases])


@rows(*WEBSOCKET_ON_NGINX)
def test_agents_through_a_wrong_nginx(stage: Stage, changes: Changes, expected: Expected) -> None:
    found = stage.find("nginx", changes, lambda port: agents(f"wss://localhost:{port}{AGENTS}", stage.vantage, idle=2))
    assert plain_text(found) == expected


@rows(
    (
        "no time-out of tunnels",
        [("  timeout tunnel 2h\n", ""), ("timeout client 1m", "timeout client 1s")],
        ("time-out", "the proxy ends a connection without traffic after 1 s"),
    ),
    (
        "connections closed after each answer",
        [("  mode http\n", "  mode http\n  option httpclose\n")],
        ("", "reachable"),
    ),
    ("KAS is down", [("AGENTS\n", "CLOSED\n")], ("KAS", "the proxy does not get through to KAS (HTTP 503)")),
    (
        "KAS does not answer",
        [("kas1 AGENTS\n\nbackend kas_grpc", "kas1 SILENT\n  timeout server 1s\n\nbackend kas_grpc")],
        ("time-out", "the proxy gets no answer from KAS in time (HTTP 504)"),
    ),
    (
        "another path",
        [("{ path /-/kubernetes-agent/ }", "{ path /gitlab/-/kubernetes-agent/ }")],
        ("path", "the path /-/kubernetes-agent/ leads to GitLab's login, not to KAS (HTTP 302 from BaseHTTP)"),
    ),
    (
        "PROXY protocol",
        [("kas1 AGENTS\n\nbackend kas_grpc", "kas1 AGENTS send-proxy\n\nbackend kas_grpc")],
        ("proxy", "the handshake is refused as no proper request (HTTP 400)"),
    ),
    (
        "no Upgrade",
        [("backend kas_agents\n", "backend kas_agents\n  http-request del-header Upgrade\n")],
        ("proxy", "the proxy does not pass on the header Upgrade (HTTP 426 from gitlab-kas)"),
    ),
    (
        "a login",
        [("backend kas_agents\n", "backend kas_agents\n  http-request auth\n")],
        ("proxy", "somebody else than KAS asks who it is (HTTP 401)"),
    ),
    (
        "HTTP/2 towards KAS",
        [("kas1 AGENTS\n\nbackend kas_grpc", "kas1 AGENTS proto h2\n\nbackend kas_grpc")],
        ("KAS", "the proxy does not get through to KAS (HTTP 502)"),
    ),
)
def test_agents_through_a_wrong_haproxy(stage: Stage, changes: Changes, expected: Expected) -> None:
    found = stage.find(
        "haproxy", changes, lambda port: agents(f"wss://localhost:{port}{AGENTS}", stage.vantage, idle=2)
    )
    assert plain_text(found) == expected


@rows(
    ("no HTTP/2", [(" ssl http2;", " ssl;")], ("proxy", "answers with TLS, but does not offer HTTP/2 (ALPN h2)")),
    (
        "no path of gRPC",
        [("location /gitlab.agent. {", "location /gitlab.agents. {")],
        ("path", "answers, but not gRPC (HTTP status 404)"),
    ),
    ("KAS is down", [("grpc://AGENTS", "grpc://CLOSED")], ("KAS", "the proxy does not get through to KAS (HTTP 502)")),
    (
        "passed on as HTTP/1.1",
        [("grpc_pass grpc://AGENTS;", "proxy_pass http://AGENTS;")],
        ("path", "answers, but not gRPC (HTTP status 426)"),
    ),
    (
        "the Kubernetes API proxy's port",
        [("grpc://AGENTS", "grpc://API")],
        ("KAS", "the proxy does not get through to KAS (HTTP 502)"),
    ),
    (
        "KAS does not answer",
        [("grpc://AGENTS", "grpc://SILENT")],
        ("time-out", "speaks HTTP/2, but does not answer the call in time"),
    ),
)
def test_grpc_through_a_wrong_nginx(stage: Stage, changes: Changes, expected: Expected) -> None:
    found = stage.find("nginx", changes, lambda port: agents(f"grpcs://localhost:{port}", stage.vantage))
    assert plain_text(found) == expected


@rows(
    (
        "no HTTP/2",
        [("alpn h2,http/1.1", "alpn http/1.1")],
        ("proxy", "answers with TLS, but does not offer HTTP/2 (ALPN h2)"),
    ),
    (
        "KAS is down",
        [("AGENTS proto h2", "CLOSED proto h2")],
        ("KAS", "the proxy does not get through to KAS (HTTP 503)"),
    ),
    (
        "passed on as HTTP/1.1",
        [("AGENTS proto h2", "AGENTS")],
        ("path", "answers, but not gRPC (HTTP status 426)"),
    ),
)
def test_grpc_through_a_wrong_haproxy(stage: Stage, changes: Changes, expected: Expected) -> None:
    found = stage.find("haproxy", changes, lambda port: agents(f"grpcs://localhost:{port}", stage.vantage))
    assert plain_text(found) == expected


@rows(
    (
        "no path of its own",
        [("location /-/kubernetes-agent/k8s-proxy/ {", "location /k8s-proxy/ {")],
        ("path", "the path /-/kubernetes-agent/k8s-proxy/ leads to GitLab's login, not to KAS (HTTP 302 from nginx)"),
    ),
    (
        "passed on to agents",
        [("http://API/;", "http://AGENTS/;")],
        ("path", "the path of the Kubernetes API proxy leads to the listener of agents (HTTP 426 from nginx)"),
    ),
    (
        "KAS is down",
        [("http://API/;", "http://CLOSED/;")],
        ("KAS", "the proxy does not get through to KAS (HTTP 502 from nginx)"),
    ),
    (
        "a header that is taken away",
        [("http://API/;", "http://API/; proxy_hide_header Gitlab-Unauthorized;")],
        ("proxy", "the proxy does not pass back the header Gitlab-Unauthorized (HTTP 401 from nginx)"),
    ),
    (
        "a login",
        [("http://API/;", "http://API/; auth_basic KAS; auth_basic_user_file /dev/null;")],
        ("proxy", "somebody else than KAS asks who it is (HTTP 401 from nginx)"),
    ),
    (
        "a redirect",
        [("http://API/;", "http://API/; return 308 https://kas.example.com$request_uri?a=secret;")],
        (
            "proxy",
            "the proxy redirects to https://kas.example.com/-/kubernetes-agent/k8s-proxy/version, and clients do not"
            " follow (HTTP 308 from nginx)",
        ),
    ),
    (
        "413",
        [("http://API/;", "http://API/; return 413;")],
        ("proxy", "the proxy limits the size of requests (HTTP 413 from nginx)"),
    ),
)
def test_the_kubernetes_api_proxy_through_a_wrong_nginx(stage: Stage, changes: Changes, expected: Expected) -> None:
    found = stage.find("nginx", changes, lambda port: kubernetes_api(f"https://localhost:{port}{API}", stage.vantage))
    assert plain_text(found) == expected


def test_a_prefix_that_kas_does_not_know(tmp_path: Path, redis_socket: Path, stage: Stage) -> None:
    """Where KAS has a prefix of its own; at the package's, any path is refused alike."""
    kas = Kas(tmp_path, redis_socket)
    kas.set("agent.kubernetes_api.url_path_prefix", "/k8s/")
    kas.start()
    try:
        stage.ports["api"] = kas.address("Kubernetes API")[1]
        found = stage.find("nginx", [], lambda port: kubernetes_api(f"https://localhost:{port}{API}", stage.vantage))
    finally:
        kas.kill()
    assert plain_text(found) == ("path", "KAS does not know this path (HTTP 400 from nginx)")


def test_http_that_is_redirected(stage: Stage) -> None:
    """Of a URL that says http where the proxy wants https."""
    redirecting = [(" ssl http2;", "; return 301 https://$host$request_uri;")]
    found = stage.find("nginx", redirecting, lambda port: agents(f"ws://localhost:{port}{AGENTS}", stage.vantage))
    assert plain_text(found) == (
        "proxy",
        "the proxy redirects to https, and clients do not follow (HTTP 301 from nginx)",
    )
    assert found.remedy == "let the URL start with wss://"


def test_no_slash_at_the_end(stage: Stage) -> None:
    """What nginx does by itself where a location ends with a slash."""
    changes = [("location = /-/kubernetes-agent/ {", "location /-/kubernetes-agent/ {")]
    found = stage.find(
        "nginx", changes, lambda port: agents(f"wss://localhost:{port}/-/kubernetes-agent", stage.vantage)
    )
    assert plain_text(found) == (
        "path",
        "the URL has no slash at its end, and clients do not follow the redirect (HTTP 301 from nginx)",
    )


@pytest.mark.parametrize("program", PROXIES)
def test_http_to_a_port_with_tls(stage: Stage, program: str) -> None:
    found = stage.find(program, [], lambda port: agents(f"ws://localhost:{port}{AGENTS}", stage.vantage))
    assert found.part == "proxy"
    assert "let the URL start with wss://" in found.remedy


# Certificates


@pytest.fixture(scope="module")
def intermediate(authority: Authority) -> Authority:
    return authority.subordinate("intermediate")


@pytest.mark.parametrize("program", PROXIES)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(
            lambda authority, intermediate: joined(*authority.issue("other", "DNS:gitlab.example.com", "IP:192.0.2.1")),
            ("certificate", "certificate is for gitlab.example.com, 192.0.2.1, not localhost"),
            id="another name",
        ),
        pytest.param(
            lambda authority, intermediate: joined(*authority.issue("nameless")),
            ("certificate", "certificate is for no name at all, not localhost"),
            id="a common name alone",
        ),
        pytest.param(
            lambda authority, intermediate: joined(*intermediate.issue("alone", "DNS:localhost")),
            ("certificate", "certificate signed by an unknown authority"),
            id="no intermediate",
        ),
        pytest.param(
            lambda authority, intermediate: joined(
                *intermediate.issue("both", "DNS:localhost"), intermediate.certificate
            ),
            ("", "reachable"),
            id="with the intermediate",
        ),
        pytest.param(
            lambda authority, intermediate: joined(*authority.issue("old", "DNS:localhost", days=-1)),
            ("certificate", "certificate has expired"),
            id="expired",
        ),
    ],
)
def test_certificates(
    stage: Stage,
    authority: Authority,
    intermediate: Authority,
    program: str,
    make: Callable[[Authority, Authority], Path],
    expected: Expected,
) -> None:
    stage.certificate = make(authority, intermediate)
    found = stage.find(program, [], lambda port: agents(f"wss://localhost:{port}{AGENTS}", stage.vantage))
    assert plain_text(found) == expected


def test_an_authority_of_which_nobody_has_heard(stage: Stage) -> None:
    found = stage.find("nginx", [], lambda port: agents(f"wss://localhost:{port}{AGENTS}", Vantage()))
    assert plain_text(found) == ("certificate", "certificate signed by an unknown authority")
    assert found.remedy == (
        "let the proxy send the intermediate certificates behind its own, and if the authority is your own, name it in"
        " kas_ca_certificates and give it to the agents"
    )


def test_a_certificate_that_ends_soon(stage: Stage) -> None:
    """It is told, and all is well."""
    ports = []

    def ask(port: int) -> Found:
        ports.append(port)
        return agents(f"wss://localhost:{port}{AGENTS}", stage.vantage._replace(min_valid_days=30))

    found = stage.find("nginx", [], ask)
    assert found == REACHABLE._replace(
        warnings=(f"the certificate of localhost:{ports[0]} expires in 1 days; renew it.",)
    )


# What GitLab tells


KNOWN = {
    "enabled": True,
    "version": "19.3.0",
    "externalUrl": "wss://gitlab.example.com/-/kubernetes-agent/",
    "externalK8sProxyUrl": "https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/",
}
URLS = {"agents_url": KNOWN["externalUrl"], "proxy_url": KNOWN["externalK8sProxyUrl"]}


@pytest.mark.parametrize(
    ("kas", "token", "path", "expected"),
    [
        (KNOWN, GitLab.token, "", ("", "reachable")),
        ({**KNOWN, "externalUrl": KNOWN["externalUrl"].rstrip("/")}, GitLab.token, "", ("", "reachable")),
        (
            {name: value for name, value in KNOWN.items() if name != "externalK8sProxyUrl"},
            GitLab.token,
            "/",
            ("", "reachable"),
        ),
        (KNOWN, "glpat-other", "", ("GitLab", "GitLab refuses the token (HTTP 401 from BaseHTTP)")),
        (KNOWN, GitLab.token, "/gitlab", ("GitLab", "GitLab does not answer there (HTTP 302 from BaseHTTP)")),
        ({**KNOWN, "enabled": False}, GitLab.token, "", ("GitLab", "Rails says that KAS is off")),
        (
            {**KNOWN, "version": None},
            GitLab.token,
            "",
            ("GitLab", "Rails does not reach KAS, so it knows no version of it"),
        ),
        (
            {**KNOWN, "externalUrl": "wss://kas.example.com/"},
            GitLab.token,
            "",
            (
                "GitLab",
                "Rails tells people wss://kas.example.com/, but wss://gitlab.example.com/-/kubernetes-agent/ follows"
                " from the inventory",
            ),
        ),
        (None, GitLab.token, "", ("GitLab", "GitLab does not answer there (HTTP 200 from BaseHTTP)")),
    ],
)
def test_metadata(
    monkeypatch: pytest.MonkeyPatch,
    gitlab: int,
    vantage: Vantage,
    kas: dict[str, object] | None,
    token: str,
    path: str,
    expected: Expected,
) -> None:
    monkeypatch.setattr(GitLab, "kas", kas)
    found = metadata(f"http://127.0.0.1:{gitlab}{path}", token, vantage, **URLS)
    assert plain_text(found) == expected
    if found.ok:
        assert found.told == {"gitlab": {name: value for name, value in kas.items() if name != "enabled"}}
    assert token not in str(found)
