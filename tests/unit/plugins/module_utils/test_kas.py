"""The KAS of a node: files as in fixtures/kas, and real sockets on loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import (
    KasError,
    Listener,
    Readiness,
    configuration,
    internal_api_secret,
    internal_url,
    listeners,
    private_api_secret,
    readiness,
    stale_sockets,
)
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.servers import (
    Handler,
    closing,
    free_port,
    serving,
    silent,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kas"


# Listeners


def test_listeners() -> None:
    assert listeners((FIXTURES / "gitlab-kas-config.yml").read_text()) == {
        "agent": Listener("tcp", "10.0.0.1:8150"),
        "kubernetes_api": Listener("tcp", "localhost:8154"),
        "observability": Listener("tcp", "localhost:8151"),
        "internal_api": Listener("unix", "/var/opt/gitlab/gitlab-kas/sockets/internal-api.socket"),
        "private_api": Listener("tcp", "[fd00::1]:8155"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("api:\n  listen:\n", {}),
        ("api:\n  listen:\n    network: tcp\n", {}),
        ("api:\n  listen:\n    address: :8153\n    network: tcp4\n", {"internal_api": Listener("tcp4", ":8153")}),
        ('api:\n  listen:\n    address: "[::1]:8153"\n', {"internal_api": Listener("tcp", "[::1]:8153")}),
        ("api:\n  other:\n    address: :8153\nlisten:\n  address: :1\naddress: :2\n", {}),
    ],
)
def test_listeners_of_other_texts(text: str, expected: dict[str, Listener]) -> None:
    assert listeners(text) == expected


# The files that the package makes


def write(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            "#!/bin/bash\nexec chpst -P -u git:git \\\n  /opt/…/bin/gitlab-kas --configuration-file /srv/kas.yml\n",
            "srv/kas.yml",
        ),
        ("exec gitlab-kas --configuration-file=/srv/kas.yml", "srv/kas.yml"),
        ("exec gitlab-kas\n", "var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml"),
        (None, "var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml"),
    ],
)
def test_configuration(tmp_path: Path, script: str | None, expected: str) -> None:
    if script is not None:
        write(tmp_path, "opt/gitlab/sv/gitlab-kas/run", script)
    assert configuration(tmp_path) == tmp_path / expected


CONFIG = "var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml"
SECRET_FILE = "var/opt/gitlab/gitlab-kas/private_api_authentication_secret_file"
RAILS_SECRET_FILE = "opt/gitlab/embedded/service/gitlab-rails/.gitlab_kas_secret"
GITLAB_YML = "opt/gitlab/embedded/service/gitlab-rails/config/gitlab.yml"


@pytest.mark.parametrize("text", ["c2VjcmV0", "c2VjcmV0\n", "c2Vj\r\ncmV0\r\n"])
def test_secrets(tmp_path: Path, text: str) -> None:
    write(tmp_path, CONFIG, (FIXTURES / "gitlab-kas-config.yml").read_text())
    write(tmp_path, SECRET_FILE, text)
    write(tmp_path, RAILS_SECRET_FILE, text)
    assert private_api_secret(tmp_path) == internal_api_secret(tmp_path) == b"secret"


@pytest.mark.parametrize(
    ("config", "secret", "expected"),
    [
        (None, None, f"{{root}}/{CONFIG} does not exist; run gitlab-ctl reconfigure."),
        ("api:\n", None, f"{{root}}/{CONFIG} names no secret of the private API; run gitlab-ctl reconfigure."),
        ("full", None, f"{{root}}/{SECRET_FILE} does not exist; run gitlab-ctl reconfigure."),
        ("full", "c2Vj cmV0", f"{{root}}/{SECRET_FILE} does not hold a secret in Base64; run gitlab-ctl reconfigure."),
        ("full", "ä", f"{{root}}/{SECRET_FILE} does not hold a secret in Base64; run gitlab-ctl reconfigure."),
    ],
)
def test_a_secret_that_cannot_be_read(tmp_path: Path, config: str | None, secret: str | None, expected: str) -> None:
    if config:
        write(tmp_path, CONFIG, (FIXTURES / "gitlab-kas-config.yml").read_text() if config == "full" else config)
    if secret:
        write(tmp_path, SECRET_FILE, secret)
    with pytest.raises(KasError) as caught:
        private_api_secret(tmp_path)
    assert str(caught.value) == expected.format(root=tmp_path)


def test_a_secret_that_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / RAILS_SECRET_FILE).mkdir(parents=True)
    with pytest.raises(KasError) as caught:
        internal_api_secret(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/{RAILS_SECRET_FILE} cannot be read (Is a directory); give the path of a file, or"
        " move that directory away."
    )


@pytest.mark.parametrize(
    ("enabled", "url", "expected"),
    [
        ("true", "grpc://localhost:8153", "grpc://localhost:8153"),
        (
            "true",
            "'unix:///var/opt/gitlab/gitlab-kas/sockets/internal-api.socket'",
            "unix:///var/opt/gitlab/gitlab-kas/sockets/internal-api.socket",
        ),
        ("true", "grpcs://kas.example.com", "grpcs://kas.example.com:443"),
        ("true", "grpc://kas.example.com/", "grpc://kas.example.com:443"),
        ("true", "grpc://[fd00::1]", "grpc://[fd00::1]:443"),
        ("true", "grpc://[fd00::1]:8153", "grpc://[fd00::1]:8153"),
        ("true", "", ""),
        ("false", "grpc://localhost:8153", ""),
    ],
)
def test_internal_url(tmp_path: Path, enabled: str, url: str, expected: str) -> None:
    text = (FIXTURES / "gitlab.yml").read_text().format(enabled=enabled, internal_url=url)
    write(tmp_path, GITLAB_YML, text)
    assert internal_url(tmp_path) == expected


# Sockets that keep KAS from starting


def test_stale_sockets(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a socket")
    (tmp_path / "link").symlink_to("left")
    for name in ("left", "other"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / name))
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(tmp_path / "alive"))
        alive.listen()
        names = ("left", "alive", "file", "link", "missing", "x" * 108)
        found = [Listener("tcp", "localhost:8150"), *(Listener("unix", f"/{name}") for name in names)]
        assert stale_sockets(found, tmp_path) == [tmp_path / "left"]
    assert stale_sockets(found, tmp_path) == [tmp_path / "left", tmp_path / "alive"]
    assert {path.name for path in tmp_path.iterdir()} == {"left", "other", "alive", "file", "link"}


# Readiness


def answering(status: str, body: str) -> Handler:
    def answer(connection: socket.socket) -> None:
        request = connection.recv(1000)
        assert request.startswith(b"GET /readiness HTTP/1.1\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())

    return answer


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (answering("200 OK", ""), Readiness(True, "ok")),
        (
            answering("500 Internal Server Error", "redis: dial tcp: refused\nprivateApiServer: not ready yet\n"),
            Readiness(False, "redis: dial tcp: refused privateApiServer: not ready yet"),
        ),
        (answering("404 Not Found", ""), Readiness(False, "status 404")),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH\r\n"), "answers, but not HTTP"),
        (closing, "remote end closed connection without response"),
    ],
)
def test_readiness(handler: Handler, expected: Readiness | str) -> None:
    with serving(handler) as address:
        result = readiness(Listener("tcp", address))
    assert result == (Readiness(False, f"{address}: {expected}") if isinstance(expected, str) else expected)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "[::]", "localhost"])
def test_readiness_of_every_address(host: str) -> None:
    with serving(answering("200 OK", "")) as address:
        port = address.rpartition(":")[2]
        assert readiness(Listener("tcp", f"{host}:{port}")) == Readiness(True, "ok")


def test_readiness_of_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "kas.socket"
    with serving(answering("200 OK", ""), unix=path):
        assert readiness(Listener("unix", str(path))) == Readiness(True, "ok")


def test_readiness_without_an_answer() -> None:
    address = f"127.0.0.1:{free_port()}"
    assert readiness(Listener("tcp", address)) == Readiness(False, f"{address}: connection refused")
    assert readiness(Listener("tcp", "localhost")) == Readiness(False, "localhost: not an address to listen on")
    with serving(silent) as address:
        result = readiness(Listener("tcp", address), timeout=0.2)
    assert result == Readiness(False, f"{address}: no answer within 0.2 s")
