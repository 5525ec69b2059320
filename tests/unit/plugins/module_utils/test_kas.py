"""A running KAS: files as in fixtures/kas, and real sockets on loopback."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import (
    KasError,
    Listener,
    Reach,
    Readiness,
    listeners,
    published_urls,
    reach,
    readiness,
    start_failure,
    start_log_lines,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kas"

Handler = Callable[[socket.socket], None]


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


# The log


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("current_17.6", ["grpc://10.0.0.8:8155"]),
        ("current_18.6", ["grpc://10.0.0.1:8155", "grpc://[fd00::1]:8155"]),
        ("current_aborted", []),
    ],
)
def test_published_urls(name: str, expected: list[str]) -> None:
    assert published_urls((FIXTURES / name).read_text().splitlines()) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("grpc:172.16.123.1|8155", ["grpc://172.16.123.1:8155"]),
        ("grpcs:10.0.0.1,10.0.0.2|8155", ["grpcs://10.0.0.1:8155", "grpcs://10.0.0.2:8155"]),
        ("grpc:fd00::1|8155", ["grpc://[fd00::1]:8155"]),
        ("grpc:kas1.example.com|8155", ["grpc://kas1.example.com:8155"]),
        ("grpc://kas1.example.com:8155", ["grpc://kas1.example.com:8155"]),
        ("unix:///run/kas.socket", ["unix:///run/kas.socket"]),
        ("unix:/run/kas.socket", ["unix:///run/kas.socket"]),
    ],
)
def test_published_urls_of_many_forms(url: str, expected: list[str]) -> None:
    line = f'2025-11-20_10:12:30.64011 {{"msg":"Using own private API multi URL","url":"{url}"}}'
    assert published_urls([line]) == expected


def log_directory(tmp_path: Path, files: dict[str, str]) -> Path:
    """Make a directory of logs; the text of a name that ends with .gz is compressed, the name loses the end."""
    for name, text in files.items():
        data = text.encode()
        (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return tmp_path


STARTED_1 = (
    '2025-11-19 {"msg":"Running KAS"}\n2025-11-19 {"msg":"Using own private API URL","url":"grpc://10.0.0.1:1"}\n'
)
STARTED_2 = STARTED_1.replace("10.0.0.1:1", "10.0.0.2:2")
NOISE = '2025-11-20 {"msg":"Handled a connection"}\npanic: \xff\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"current": NOISE + STARTED_1 + NOISE}, ["grpc://10.0.0.1:1"]),
        ({"@40000000691e.s": STARTED_1, "current": STARTED_2}, ["grpc://10.0.0.2:2"]),
        ({"@40000000691e.s": STARTED_1, "current": NOISE}, ["grpc://10.0.0.1:1"]),
        ({"@40000000691e.s.gz": STARTED_1 + NOISE, "current": ""}, ["grpc://10.0.0.1:1"]),
        ({"@40000000691e.s": STARTED_1, "@40000000691f.u": STARTED_2, "current": NOISE}, ["grpc://10.0.0.2:2"]),
        ({"@40000000691e.s": STARTED_1, "@40000000691f.s.gz": NOISE, "current": NOISE}, ["grpc://10.0.0.1:1"]),
        (
            {"@40000000691e.s": NOISE + STARTED_1.splitlines()[0], "current": STARTED_1.splitlines()[1]},
            ["grpc://10.0.0.1:1"],
        ),
        ({"current": NOISE}, []),
        ({"current": "", "config": STARTED_1, "@40000000691e.t": STARTED_1}, []),
    ],
)
def test_start_log_lines(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    assert published_urls(start_log_lines(log_directory(tmp_path, files))) == expected


ABORTED = '2025-11-19 {"msg":"Program aborted","error":"redis client: dial tcp redis:6379: connection refused"}\n'
UP = '2025-11-19 {"msg":"Observability endpoint is up"}\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STARTED_1 + UP, ""),
        (STARTED_1 + ABORTED + STARTED_1 + UP, ""),
        (STARTED_1 + UP + STARTED_1 + ABORTED, "redis client: dial tcp redis:6379: connection refused"),
        (STARTED_1 + ABORTED + STARTED_1, "redis client: dial tcp redis:6379: connection refused"),
        (NOISE, ""),
    ],
)
def test_start_failure(tmp_path: Path, text: str, expected: str) -> None:
    assert start_failure(start_log_lines(log_directory(tmp_path, {"current": text}))) == expected


def test_start_log_lines_without_a_log(tmp_path: Path) -> None:
    with pytest.raises(KasError) as caught:
        start_log_lines(tmp_path)
    assert str(caught.value) == (
        f"The log of KAS in {tmp_path} cannot be read "
        f"([Errno 2] No such file or directory: '{tmp_path}/current'); run with become: true."
    )


# Servers to talk to


@contextlib.contextmanager
def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, unix: Path | None = None, connections: int = 1
) -> Iterator[str]:
    """Serve some connections in a thread; yield the address, HOST:PORT or the path of the socket."""
    server = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    server.bind(str(unix) if unix else ("127.0.0.1", 0))
    server.listen()
    server.settimeout(20)

    def serve() -> None:
        for _number in range(connections):
            plain, _address = server.accept()
            with contextlib.suppress(OSError), plain:
                plain.settimeout(20)
                with tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
                    handler(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(unix) if unix else f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        thread.join(20)
        server.close()
        assert not thread.is_alive()


def http2(connection: socket.socket) -> None:
    """Answer as a gRPC server begins: SETTINGS with one setting, then an acknowledgement."""
    connection.recv(24 + 9)
    connection.sendall(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0]) + bytes(6) + bytes([0, 0, 0, 4, 1, 0, 0, 0, 0]))
    connection.recv(1)


def slow_http2(connection: socket.socket) -> None:
    connection.recv(24 + 9)
    for byte in bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]):
        connection.sendall(bytes([byte]))
        time.sleep(0.01)


def http1(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def silent(connection: socket.socket) -> None:
    while connection.recv(1000):
        pass


def closing(connection: socket.socket) -> None:
    connection.recv(1000)


def tls_alert(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")


def ping_frame(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Reaching a peer

CLOSES = "closes the connection without an answer; if it speaks TLS, its URL must start with grpcs://"


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (http2, Reach(True, "reachable")),
        (slow_http2, Reach(True, "reachable")),
        (http1, Reach(False, "answers, but not HTTP/2")),
        (ping_frame, Reach(False, "answers, but not HTTP/2")),
        (closing, Reach(False, CLOSES)),
        (tls_alert, Reach(False, "answers with TLS, so its URL must start with grpcs://")),
    ],
)
def test_reach(handler: Handler, expected: Reach) -> None:
    with serving(handler) as address:
        assert reach(f"grpc://{address}", timeout=10) == expected


def test_reach_a_peer_that_says_nothing() -> None:
    begin = time.monotonic()
    with serving(silent) as address:
        assert reach(f"grpc://{address}", timeout=0.2) == Reach(False, "no answer within 0.2 s")
    assert time.monotonic() - begin < 5


def test_reach_a_closed_port() -> None:
    assert reach(f"grpc://127.0.0.1:{free_port()}", timeout=5) == Reach(False, "connection refused")


def test_reach_an_unknown_name() -> None:
    assert reach("grpc://kas1.invalid:8155", timeout=5) == Reach(False, "the name kas1.invalid is not known")


def test_reach_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "kas.socket"
    assert reach(f"unix://{path}", timeout=5) == Reach(False, "no such socket")
    with serving(http2, unix=path):
        assert reach(f"unix://{path}", timeout=5) == Reach(True, "reachable")
    assert reach(f"unix://{path}", timeout=5) == Reach(False, "connection refused")
    assert reach(f"unix:///{'x' * 108}", timeout=5) == Reach(False, "af_unix path too long")


def test_reach_no_url() -> None:
    with pytest.raises(PrivateApiError):
        reach("http://127.0.0.1", timeout=5)


# TLS

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority with one key for all, and servers' contexts made by it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.trusted = directory / "trusted"
        self.trusted.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test CA")])
        certificate = self.sign(self.name, [], ca=True)
        (self.trusted / "test-ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.trusted / "README").write_text("not a certificate")
        (self.trusted / "directory").mkdir()

    def sign(
        self,
        subject: x509.Name,
        names: list[x509.GeneralName],
        *,
        ca: bool = False,
        days: tuple[int, int] = (-1, 1),
        issuer: x509.Name | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def context(
        self, names: list[str], *, common_name: str = "kas", days: tuple[int, int] = (-1, 1), alpn: str = "h2"
    ) -> ssl.SSLContext:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        certificate = self.sign(subject, [general_name(name) for name in names], days=days)
        file = self.directory / "server.pem"
        file.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.set_alpn_protocols([alpn])
        return context


def general_name(name: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    ("names", "options", "server_name", "expected"),
    [
        (["kas.example.com"], {}, "kas.example.com", Reach(True, "reachable")),
        (["*.example.com"], {}, "kas.example.com", Reach(True, "reachable")),
        (["127.0.0.1"], {}, None, Reach(True, "reachable")),
        (
            ["a.example.com"],
            {},
            "b.example.com",
            Reach(False, "certificate is for a.example.com, not b.example.com"),
        ),
        (
            ["a.example.com", "10.0.0.1"],
            {},
            None,
            Reach(False, "certificate is for a.example.com, 10.0.0.1, not 127.0.0.1"),
        ),
        (
            [],
            {"common_name": "kas.example.com"},
            "kas.example.com",
            Reach(False, "certificate is for no name at all, not kas.example.com"),
        ),
        (["kas.example.com"], {"days": (-9, -8)}, "kas.example.com", Reach(False, "certificate has expired")),
        (["kas.example.com"], {"days": (8, 9)}, "kas.example.com", Reach(False, "certificate is not valid yet")),
        (
            ["kas.example.com"],
            {"alpn": "http/1.1"},
            "kas.example.com",
            Reach(False, "answers with TLS, but does not offer HTTP/2 (ALPN h2)"),
        ),
    ],
)
def test_reach_with_tls(
    authority: Authority, names: list[str], options: dict, server_name: str | None, expected: Reach
) -> None:
    """To name what is in a certificate for somebody else takes a second connection."""
    connections = 2 if "certificate is for" in expected.text else 1
    with serving(http2, tls=authority.context(names, **options), connections=connections) as address:
        reached = reach(f"grpcs://{address}", server_name=server_name, ca_dir=authority.trusted, timeout=10)
    assert reached == expected


def test_reach_with_tls_behind_an_unknown_authority(authority: Authority, tmp_path: Path) -> None:
    with serving(http2, tls=authority.context(["127.0.0.1"])) as address:
        reached = reach(f"grpcs://{address}", ca_dir=tmp_path, timeout=10)
    assert reached == Reach(False, "certificate signed by an unknown authority")


def test_reach_with_tls_without_a_directory_of_authorities(authority: Authority, tmp_path: Path) -> None:
    with serving(closing) as address:
        reached = reach(f"grpcs://{address}", ca_dir=tmp_path / "none", timeout=10)
    assert reached == Reach(False, f"there is no directory {tmp_path}/none with the certificates of CAs")


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (http2, "answers, but not TLS"),
        (http1, "answers, but not TLS"),
        (closing, "closes the connection instead of speaking TLS"),
        (tls_alert, "TLS fails: tlsv1 alert protocol version"),
    ],
)
def test_reach_with_tls_where_there_is_none(authority: Authority, handler: Handler, expected: str) -> None:
    with serving(handler) as address:
        assert reach(f"grpcs://{address}", ca_dir=authority.trusted, timeout=10) == Reach(False, expected)


def test_reach_with_tls_a_peer_that_closes(authority: Authority) -> None:
    with serving(closing, tls=authority.context(["127.0.0.1"])) as address:
        reached = reach(f"grpcs://{address}", ca_dir=authority.trusted, timeout=10)
    assert reached == Reach(False, "closes the connection without an answer")


def test_reach_with_tls_a_peer_that_says_nothing(authority: Authority) -> None:
    with serving(silent) as address:
        reached = reach(f"grpcs://{address}", ca_dir=authority.trusted, timeout=0.2)
    assert reached == Reach(False, "no answer within 0.2 s")


def test_reach_without_tls_where_there_is_one(authority: Authority) -> None:
    with serving(http2, tls=authority.context(["127.0.0.1"])) as address:
        reached = reach(f"grpc://{address}", timeout=10)
    assert reached == Reach(False, CLOSES)


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
