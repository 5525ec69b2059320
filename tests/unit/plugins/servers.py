"""Servers on loopback for the tests to talk to, good ones and others."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

Handler = Callable[[socket.socket], None]
KUBERNETES_API = "/gitlab.agent.kubernetes_api.rpc.KubernetesApi/MakeRequest"
AGENT_TRACKER = "/gitlab.agent.agent_tracker.rpc.AgentTracker/GetConnectedAgents"
SERVER_INFO = "/gitlab.agent.server_info.rpc.ServerInfo/GetServerInfo"
TUNNEL = "/gitlab.agent.reverse_tunnel.rpc.ReverseTunnel/Connect"


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


# Servers of gRPC


class Kas(grpc.GenericRpcHandler):
    """A listener of KAS as Google's own gRPC server: it knows some methods, and whoever has the secret."""

    def __init__(
        self, *methods: str, secret: bytes = b"", status: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT
    ) -> None:
        self.methods, self.secret, self.status = methods, secret, status
        self.fast_s = 0  # how far its clock is ahead
        self.asked: list[str] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        self.asked.append(details.method)
        return grpc.unary_unary_rpc_method_handler(self.answer) if details.method in self.methods else None

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        assert request == b""
        kind, _space, token = dict(context.invocation_metadata()).get("authorization", "").partition(" ")
        try:
            assert kind in ("", "Bearer")
            claims = jwt.decode(
                token,
                self.secret,
                algorithms=["HS256"],
                audience="gitlab-kas",
                issuer="gitlab-kas",
                options={"require": ["nbf", "exp"], "verify_nbf": False, "verify_exp": False},
            )
            if not claims["nbf"] <= time.time() + self.fast_s <= claims["exp"]:
                raise jwt.InvalidTokenError
        except jwt.InvalidTokenError:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "JWT validation failed")
        if self.status is not grpc.StatusCode.OK:
            context.abort(self.status, "Expecting a single kas-hop-routing-agent-id, got 0")
        return b""

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        server = grpc.server(ThreadPoolExecutor(2), handlers=[self])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


def answering_with(*headers: tuple[str, str], data: bytes = b"") -> Handler:
    """A server of HTTP/2 made of the library h2, which answers every request with these headers, Huffman coded."""

    def answer(connection: socket.socket) -> None:
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        connection.sendall(h2.data_to_send())
        while received := connection.recv(65536):
            for event in h2.receive_data(received):
                if isinstance(event, RequestReceived):
                    h2.send_headers(event.stream_id, headers, end_stream=not data)
                    if data:
                        h2.send_data(event.stream_id, data, end_stream=True)
            connection.sendall(h2.data_to_send())

    return answer


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def saying(*frames: bytes) -> Handler:
    """A server that says just that, after SETTINGS, and then reads until the client closes."""

    def say(connection: socket.socket) -> None:
        connection.sendall(frame(4, 0, 0, b"") + b"".join(frames))
        while connection.recv(65536):
            pass

    return say


def breaking_off(*frames: bytes) -> Handler:
    """A server that hears the first call, says just that, and closes."""
    end_of_call = frame(0, 1, 1, bytes(5))

    def say(connection: socket.socket) -> None:
        connection.sendall(frame(4, 0, 0, b""))
        heard = b""
        while end_of_call not in heard and (part := connection.recv(65536)):
            heard += part
        connection.sendall(b"".join(frames))

    return say


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
