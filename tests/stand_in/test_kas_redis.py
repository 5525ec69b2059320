"""KAS and a real Redis: what ends the start, and what only makes KAS not ready."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Authority
from imitation import Kas

OLD = "16.5.0"
REFUSED = "dial tcp {}: connect: connection refused"


class Redis:
    """A Redis of one test on a TCP port."""

    def __init__(self, directory: Path, *options: str, host: str = "127.0.0.1") -> None:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
            self.port = taken.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.command = ["redis-server", "--bind", host, "--save", "", "--dir", str(directory), *options]
        if "--tls-port" not in options:
            self.command += ["--port", str(self.port)]
        self.host, self.process = host, None

    def start(self) -> None:
        self.process = subprocess.Popen([word.replace("PORT", str(self.port)) for word in self.command], stdout=-3)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        for _turn in range(500):
            with socket.socket(family) as probe:
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("Redis does not start")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


Make = Callable[..., Redis]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Make]:
    """Starts a Redis with these options."""
    made: list[Redis] = []

    def make(*options: str, host: str = "127.0.0.1") -> Redis:
        made.append(Redis(tmp_path, *options, host=host))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def kas(kas: Kas) -> Kas:
    kas.set("redis", {"network": "tcp", "key_prefix": "test"})
    del kas.config["agent"]["kubernetes_api"]
    return kas


def use(kas: Kas, redis: Redis, **settings: object) -> None:
    kas.set("redis.server.address", redis.address)
    for name, value in settings.items():
        kas.set(f"redis.{name}", value)


def password_file(kas: Kas, text: str) -> str:
    path = kas.directory / "password"
    path.write_text(text)
    return str(path)


def readiness(kas: Kas) -> tuple[int, str]:
    host, port = kas.address("Observability")
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/readiness") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(("release", "prefix"), [(OLD, "Program aborted: "), ("19.3.0", '"error":"redis client: ')])
def test_down_at_the_start(kas: Kas, redis: Make, release: str, prefix: str) -> None:
    store = redis()
    store.stop()
    use(kas, store)
    assert prefix + REFUSED.format(store.address) in kas.abort(release)


def test_down_later(kas: Kas, redis: Make) -> None:
    store = redis()
    use(kas, store)
    kas.start(OLD)
    assert readiness(kas) == (200, "")
    store.stop()
    for count in (1, 2):
        assert readiness(kas) == (500, f"redis: redis: {REFUSED.format(store.address)}\n")
        assert kas.log.count('"msg":"ReadinessProbe failed"') == count
    store.start()
    kas.wait(lambda: readiness(kas) == (200, ""))


def test_frozen(kas: Kas, redis: Make) -> None:
    store = redis()
    use(kas, store)
    kas.start(OLD)
    store.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    assert readiness(kas) == (500, "redis: redis: context deadline exceeded\n")
    assert 4.5 < time.monotonic() - started < 5.5


PASSWORD = "NOAUTH HELLO must be called with the client already authenticated"
WRONG = "WRONGPASS invalid username-password pair or user is disabled."


@pytest.mark.parametrize(("text", "username", "error"), [
    (None, None, PASSWORD),
    ("wrong", None, WRONG),
    ("right\n", None, WRONG),  # the line end is part of it
    ("right", "nobody", WRONG),
    ("right", None, ""),
    ("right", "default", ""),
])  # fmt: skip
def test_password(kas: Kas, redis: Make, text: str | None, username: str | None, error: str) -> None:
    settings = {"password_file": password_file(kas, text)} if text else {}
    use(kas, redis("--requirepass", "right"), **settings, **({"username": username} if username else {}))
    if error:
        assert kas.abort(OLD).startswith(f"Program aborted: {error}")
    else:
        kas.start(OLD)


@pytest.mark.parametrize(("channels", "is_quiet"), [("resetchannels", False), ("&kas_events", True), ("&*", True)])
def test_user_without_the_channel(kas: Kas, redis: Make, channels: str, is_quiet: bool) -> None:
    """It starts and is ready, but says again and again that it may not listen to the other KAS."""
    user = f"kas on >right ~* +@all -@dangerous {channels}"
    use(kas, redis("--user", *user.split()), username="kas", password_file=password_file(kas, "right"))
    kas.start(OLD)
    assert readiness(kas) == (200, "")
    refused = '"msg":"Error handling Redis SUBSCRIBE","error":"NOPERM '
    if is_quiet:
        time.sleep(0.3)
        assert refused not in kas.log
    else:
        kas.wait(lambda: kas.log.count(refused) >= 2)


def secured(tmp_path: Path, *sans: str) -> tuple[Authority, tuple[str, ...]]:
    """A CA, and Redis's options for a certificate of it."""
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("redis.example.com", *sans)
    files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    others = ["--tls-ca-cert-file", str(authority.certificate), "--tls-auth-clients", "no"]
    return authority, ("--port", "0", "--tls-port", "PORT", *files, *others)


NO_NAME = "tls: failed to verify certificate: x509: certificate"


@pytest.mark.parametrize(("sans", "is_trusted", "error"), [
    (("DNS:redis.example.com", "IP:127.0.0.1"), True, ""),
    (("DNS:redis.example.com", "IP:127.0.0.1"), False, f"{NO_NAME} signed by unknown authority"),
    (("IP:127.0.0.2",), True, f"{NO_NAME} is valid for 127.0.0.2, not 127.0.0.1"),
    (("DNS:redis.example.com",), True,
     "tls: failed to verify certificate: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain"
     " any IP SANs"),
    ((), True,
     "tls: failed to verify certificate: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain"
     " any IP SANs"),
])  # fmt: skip
def test_tls(kas: Kas, redis: Make, sans: tuple[str, ...], is_trusted: bool, error: str) -> None:
    authority, options = secured(kas.directory, *sans)
    store = redis(*options)
    trust = {"ca_certificate_file": str(authority.certificate)} if is_trusted else {}
    use(kas, store, tls={"enabled": True, **trust})
    kas.env["SSL_CERT_DIR"] = "/var/empty"
    if error:
        assert kas.abort(OLD) == f"Program aborted: {error}\n"
    else:
        kas.start(OLD)


def test_a_name_in_the_common_name_alone(kas: Kas, redis: Make) -> None:
    authority, options = secured(kas.directory)
    store = redis(*options)
    use(kas, store, tls={"enabled": True, "ca_certificate_file": str(authority.certificate)})
    kas.set("redis.server.address", f"localhost:{store.port}")
    assert f"{NO_NAME} is not valid for any names, but wanted to match localhost" in kas.abort(OLD)


def test_tls_to_an_ipv6_address_never_works(kas: Kas, redis: Make) -> None:
    """A fault of KAS: the name that it checks ends at the first colon."""
    authority, options = secured(kas.directory, "DNS:redis.example.com", "IP:::1")
    store = redis(*options, host="::1")
    use(kas, store, tls={"enabled": True, "ca_certificate_file": str(authority.certificate)})
    assert kas.abort(OLD) == f"Program aborted: {NO_NAME} is valid for redis.example.com, not [\n"


def test_tls_against_plain_redis(kas: Kas, redis: Make) -> None:
    use(kas, redis(), tls={"enabled": True}, dial_timeout="1s")
    assert kas.abort(OLD) == "Program aborted: context deadline exceeded\n"


def test_plain_against_tls(kas: Kas, redis: Make) -> None:
    _authority, options = secured(kas.directory, "DNS:redis.example.com")
    use(kas, redis(*options))
    assert "connection reset by peer" in kas.abort(OLD)


@pytest.mark.parametrize(("tls", "text"), [
    ({"certificate_file": "/c"}, "both certificate (/c) and key () files must be specified"),
    ({"key_file": "/k"}, "both certificate () and key (/k) files must be specified"),
    ({"ca_certificate_file": "/none"}, "CA certificate file: open /none: no such file or directory"),
    ({"certificate_file": "/none", "key_file": "/none"}, "open /none: no such file or directory"),
])  # fmt: skip
def test_tls_files(kas: Kas, tls: dict[str, str], text: str) -> None:
    kas.set("redis.server.address", "127.0.0.1:1")
    kas.set("redis.tls", {"enabled": True, **tls})
    assert kas.abort(OLD) == f"Program aborted: {text}\n"


def test_sentinels(kas: Kas, redis: Make, tmp_path: Path) -> None:
    """The first one is away; the second names the master."""
    master, away = redis("--requirepass", "right"), redis()
    away.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = tmp_path / "sentinel.conf"
    settings.write_text(
        f"bind 127.0.0.1\nport {port}\nsentinel monitor kas 127.0.0.1 {master.port} 1\nsentinel auth-pass kas right\n"
    )
    sentinel = subprocess.Popen(["redis-server", str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        addresses = [away.address, f"127.0.0.1:{port}"]
        kas.set("redis.sentinel", {"master_name": "kas", "addresses": addresses})
        kas.set("redis.password_file", password_file(kas, "right"))
        time.sleep(0.3)
        kas.start(OLD)
        assert readiness(kas) == (200, "")
    finally:
        sentinel.kill()
        sentinel.wait()
