"""KAS from its start to its end: what it says and in which order, what it refuses, how long it takes."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from certificates import Authority
from gitlab_kas import sockets
from gitlab_kas.errors import KasError
from imitation import Kas

OLD, NEW = "16.5.0", "19.3.0"
AWAY = "192.0.2.1:8155"  # nobody's address
HOST = (
    "OWN_PRIVATE_API_HOST environment variable is not set. Set it to the kas' host name if you want to use TLS for"
    " kas->kas communication"
)

SCHEME = "OWN_PRIVATE_API_SCHEME environment variable schould be either grpc or grpcs, got: x"
HALF = "both certificate file ({}/crt) and key file () must be either specified or not"


def old(kas: Kas) -> None:
    """Without what the old release does not know."""
    del kas.config["agent"]["kubernetes_api"]["websocket_token_secret_file"]


def readiness(kas: Kas) -> tuple[int, str]:
    host, port = kas.address("Observability")
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/readiness") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def is_open(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def test_new_log(kas: Kas) -> None:
    kas.start(NEW)
    kas.stop()
    lines = [json.loads(line) for line in kas.log.splitlines()]
    assert list(lines[0]) == ["time", "level", "msg", "version"]
    messages = [line["msg"] for line in lines]
    assert messages[:3] == [
        "Running KAS",
        "Using own private API multi URL",
        "Own private API multi URL contains a loopback or a link-local IP address(es)",
    ]
    assert sorted(messages[3:8]) == [
        "API endpoint is up",
        "Agentk API endpoint is up",
        "Kubernetes API endpoint is up",
        "Observability endpoint is up",
        "Private API endpoint is up",
    ]
    assert messages[8:] == ["Received shutdown signal", "KAS shutdown done, exiting"]
    assert {line["level"] for line in lines} == {"INFO", "WARN"}


def test_old_log(kas: Kas) -> None:
    old(kas)
    kas.start(OLD)
    assert kas.stop() == 0
    lines = [json.loads(line) for line in kas.log.splitlines()]
    assert list(lines[0]) == ["level", "time", "msg", "url"]
    assert lines[0]["msg"] == "Using own private API URL"
    assert lines[0]["url"] == "grpc://127.0.0.1:0"
    assert len(lines) == 6


def test_order_of_the_listeners(tmp_path: Path, redis_socket: Path) -> None:
    """Every start has another one; of 12 starts two are alike in all 120 with hardly any chance."""
    seen = set()
    for number in range(12):
        directory = tmp_path / str(number)
        directory.mkdir()
        kas = Kas(directory, redis_socket)
        kas.start()
        seen.add(tuple(re.findall(r"(\w+) endpoint is up", kas.log)))
        kas.stop()
        if len(seen) > 1:
            return
    pytest.fail("always the same order")


@pytest.mark.parametrize(("release", "text"), [
    (OLD, "Program aborted: {}\n"),
    (NEW, '"level":"ERROR","msg":"Program aborted","error":"{}"}}\n'),
])  # fmt: skip
def test_abort(kas: Kas, release: str, text: str) -> None:
    old(kas)
    kas.set("observability.sentry.dsn", "sentry")
    log = kas.abort(release)
    assert log.endswith(text.format("error tracker: [Sentry] DsnParseError: invalid scheme"))


def test_redis_comes_before_the_own_url(kas: Kas) -> None:
    old(kas)
    kas.set("redis.server.address", str(kas.directory / "none"))
    kas.env["OWN_PRIVATE_API_SCHEME"] = "http"
    assert kas.abort(OLD) == (f"Program aborted: dial unix {kas.directory}/none: connect: no such file or directory\n")


# Before Redis, what is checked first, and after it; each case also breaks everything that is checked later.
@pytest.mark.parametrize(("broken", "text"), [
    ("dsn", "error tracker: [Sentry] DsnParseError: empty username"),
    ("gitlab ca", "CA certificate file: open {}/none: no such file or directory"),
    ("gitlab", "authentication secret: read file: open {}/none: no such file or directory"),
    ("redis", "dial unix {}/none: connect: no such file or directory"),
    ("private", "private API server: auth secret file: read file: open {}/none: no such file or directory"),
    ("scheme", f"private API server: {SCHEME}"),
    ("ca", "private API server: kas pool: CA certificate file: open {}/none: no such file or directory"),
    ("pair", f"private API server: new server: {HALF}"),
    ("agents", f"agent server: {HALF}"),
    ("api", "API server: auth secret file: decoding: illegal base64 data at input byte 0"),
    ("api pair", f"API server: {HALF}"),
    ("kubernetes", f"kubernetes_api: {HALF}"),
])  # fmt: skip
def test_order_of_the_checks(kas: Kas, broken: str, text: str) -> None:
    old(kas)
    none, certificate = str(kas.directory / "none"), str(kas.directory / "crt")
    (kas.directory / "bad").write_text("-")
    steps = {
        "dsn": lambda: kas.set("observability.sentry.dsn", "https://sentry.example.com/1"),
        "gitlab ca": lambda: kas.set("gitlab.ca_certificate_file", none),
        "gitlab": lambda: kas.set("gitlab.authentication_secret_file", none),
        "redis": lambda: kas.set("redis.server.address", none),
        "private": lambda: kas.set("private_api.listen.authentication_secret_file", none),
        "scheme": lambda: kas.env.update(OWN_PRIVATE_API_SCHEME="x"),
        "ca": lambda: kas.set("private_api.listen.ca_certificate_file", none),
        "pair": lambda: kas.set("private_api.listen.certificate_file", certificate),
        "agents": lambda: kas.set("agent.listen.certificate_file", certificate),
        "api": lambda: kas.set("api.listen.authentication_secret_file", str(kas.directory / "bad")),
        "api pair": lambda: kas.set("api.listen.certificate_file", certificate),
        "kubernetes": lambda: kas.set("agent.kubernetes_api.listen.certificate_file", certificate),
    }
    names = list(steps)
    for name in names[names.index(broken) :]:
        steps[name]()
    assert kas.abort(OLD).splitlines()[-1] == "Program aborted: " + text.format(kas.directory)


def test_private_certificate(kas: Kas) -> None:
    """A pair needs OWN_PRIVATE_API_HOST; nothing else about it matters at the start, a SAN neither."""
    old(kas)
    certificate, key = Authority(kas.directory / "ca").issue("kas.example.com")
    kas.set("private_api.listen.certificate_file", str(certificate))
    kas.set("private_api.listen.key_file", str(key))
    assert kas.abort(OLD).endswith(f"Program aborted: private API server: new server: {HOST}\n")
    kas.env["OWN_PRIVATE_API_HOST"] = "other.example.com"
    kas.start(OLD)


@pytest.mark.parametrize(("certificate", "key", "text"), [
    ("a.crt", "none", "open {d}/none: no such file or directory"),
    ("a.crt", "b.key", "tls: private key does not match public key"),
    ("a.crt", "text", "tls: failed to find any PEM data in key input"),
    ("text", "a.key", "tls: failed to find any PEM data in certificate input"),
])  # fmt: skip
def test_certificate_files(kas: Kas, certificate: str, key: str, text: str) -> None:
    old(kas)
    authority = Authority(kas.directory / "ca")
    for name in ("a", "b"):
        authority.issue(name)
    (authority.directory / "text").write_text("text")
    first, second = authority.directory / certificate, authority.directory / key
    kas.set("agent.listen.certificate_file", str(first))
    kas.set("agent.listen.key_file", str(second))
    cause = text.format(d=authority.directory)
    expected = f"agent server: loading certificate ({first}) and key ({second}) files: {cause}"
    assert kas.abort(OLD).splitlines()[-1] == f"Program aborted: {expected}"


@pytest.mark.parametrize("secret", [b"", b"x" * 31, b"x" * 33])
def test_size_of_the_private_secret_does_not_matter(kas: Kas, secret: bytes) -> None:
    (kas.directory / "private").write_bytes(base64.b64encode(secret) + b"\r\n")
    kas.start()


def test_websocket_secret_by_release(kas: Kas) -> None:
    old(kas)
    assert "websocket_token_secret_file: read file: open : no such file or directory" in kas.abort("18.0.1")
    kas.start("17.11.0")


@pytest.mark.parametrize(("part", "address", "probe", "reason"), [
    ("private_api", AWAY, "privateApiServer", f"listen tcp {AWAY}: bind: cannot assign requested address"),
    ("api", "127.0.0.1:x", "apiServer", "listen tcp: lookup tcp/x: unknown port"),
    ("agent", AWAY, "agentServer", f"listen tcp {AWAY}: bind: cannot assign requested address"),
])  # fmt: skip
def test_a_listener_that_cannot_bind(kas: Kas, part: str, address: str, probe: str, reason: str) -> None:
    """The others serve on for the time that an end takes; only then comes the reason."""
    old(kas)
    kas.set(f"{part}.listen.address", address)
    kas.grace("0.6s")
    started = time.monotonic()
    kas.run(OLD)
    kas.wait(lambda: kas.log.count("endpoint is up") == 4)
    assert readiness(kas) == (500, f"{probe}: not ready yet\n")
    assert is_open(kas.address("Kubernetes API"))
    assert "aborted" not in kas.log
    assert kas.process.wait(10) == 1
    assert time.monotonic() - started >= 1.2
    assert kas.log.endswith(f"Program aborted: {reason}\n")


def test_a_port_that_is_taken(kas: Kas) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        kas.set("agent.kubernetes_api.listen.address", address)
        assert f"listen tcp {address}: bind: address already in use" in kas.abort()


@pytest.mark.parametrize(("network", "address", "expected"), [
    ("tcp", "localhost:0", "127.0.0.1:"),
    ("tcp", "0.0.0.0:0", "[::]:"),
    ("tcp", "[::]:0", "[::]:"),
    ("tcp", ":0", "[::]:"),
    ("tcp4", "0.0.0.0:0", "0.0.0.0:"),
    ("tcp4", "[::]:0", "0.0.0.0:"),
    ("tcp6", "[::]:0", "[::]:"),
    ("tcp", "[::1]:0", "[::1]:"),
    ("tcp", "127.0.0.1:http", "127.0.0.1:80"),
])  # fmt: skip
def test_bind(network: str, address: str, expected: str) -> None:
    with sockets.listen(network, address) as bound:
        assert sockets.described(bound)["net_address"].startswith(expected)


@pytest.mark.parametrize(("network", "address", "text"), [
    ("tcp6", "0.0.0.0:0", "listen tcp6: address 0.0.0.0: no suitable address found"),
    ("tcp6", "127.0.0.1:0", "listen tcp6: address 127.0.0.1: no suitable address found"),
    ("tcp4", "[::1]:0", "listen tcp4: address ::1: no suitable address found"),
    ("tcp", "127.0.0.1", "listen tcp: address 127.0.0.1: missing port in address"),
    ("tcp", "::1:1", "listen tcp: address ::1:1: too many colons in address"),
    ("tcp", "127.0.0.1:65536", "listen tcp: address 65536: invalid port"),
    ("tcp", "127.0.0.1:-1", "listen tcp: address -1: invalid port"),
    ("tcp4", "127.0.0.1:x", "listen tcp4: lookup tcp4/x: unknown port"),
    ("unix", "/missing/kas.socket", "listen unix /missing/kas.socket: bind: no such file or directory"),
    ("unix", "/" + "x" * 107, f"listen unix /{'x' * 107}: bind: invalid argument"),
])  # fmt: skip
def test_no_bind(network: str, address: str, text: str) -> None:
    with pytest.raises(KasError) as caught:
        sockets.listen(network, address)
    assert str(caught.value) == text


def test_unknown_host_cannot_be_bound() -> None:
    with pytest.raises(KasError, match=r"^listen tcp: lookup kas\.invalid( on \S+:53)?: no such host$"):
        sockets.listen("tcp", "kas.invalid:1")


def unix(kas: Kas, directory: Path) -> Path:
    """All listeners on sockets in a directory; the private API's."""
    directory.mkdir()
    for part in ("agent", "observability", "api", "private_api"):
        kas.set(f"{part}.listen.network", "unix")
        kas.set(f"{part}.listen.address", str(directory / part))
    return directory / "private_api"


def test_unix_sockets(kas: Kas) -> None:
    path = unix(kas, kas.directory / "sockets")
    kas.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert f'"url":"unix:{path}"' in kas.log
    assert kas.stop() == 0
    assert not path.exists()


def test_a_socket_that_a_killed_kas_left(kas: Kas) -> None:
    """No start until the file is removed, and a failed start does not remove it."""
    path = unix(kas, kas.directory / "sockets")
    kas.start()
    kas.process.send_signal(signal.SIGKILL)
    kas.process.wait()
    for name in ("agent", "observability", "api"):
        (path.parent / name).unlink()
    for _turn in range(2):
        assert f"listen unix {path}: bind: address already in use" in kas.abort()
        assert path.exists()
    path.unlink()
    kas.start()


def test_a_directory_that_is_not_writable(kas: Kas) -> None:
    locked = kas.directory / "locked"
    locked.mkdir(mode=0o555)
    if os.geteuid() == 0:  # who may write anywhere, unless that right is taken away
        os.chown(locked, 65534, 65534)
        kas.prefix = ["setpriv", "--bounding-set=-dac_override"]
    kas.set("private_api.listen.network", "unix")
    kas.set("private_api.listen.address", str(locked / "private"))
    assert f"listen unix {locked}/private: bind: permission denied" in kas.abort()


def test_without_its_section_there_is_no_kubernetes_api(kas: Kas) -> None:
    del kas.config["agent"]["kubernetes_api"]
    kas.start()
    assert "Kubernetes API" not in kas.log


def test_the_end(kas: Kas) -> None:
    """In steps: 8154 closes after the first, the others after the second, and the readiness says nothing of it."""
    kas.grace("1s")
    kas.start()
    private, kubernetes = kas.address("Private API"), kas.address("Kubernetes API")
    started = time.monotonic()
    kas.process.send_signal(signal.SIGTERM)
    kas.wait(lambda: not is_open(kubernetes))
    assert time.monotonic() - started >= 1
    assert is_open(private)
    assert readiness(kas) == (200, "")
    assert kas.stop() == 0
    assert time.monotonic() - started >= 2


def test_the_end_takes_ten_seconds(kas: Kas) -> None:
    kas.grace(None)
    kas.start()
    started = time.monotonic()
    assert kas.stop() == 0
    assert 10 <= time.monotonic() - started < 13
