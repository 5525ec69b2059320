"""KAS to KAS: what a certificate must say. Seen through an instrument of these tests that no real KAS has."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from imitation import PRIVATE_SECRET, Kas

UNAVAILABLE = "rpc error: code = Unavailable desc = connection error: desc = "
HANDSHAKE = f'{UNAVAILABLE}\\"transport: authentication handshake failed: tls: '
X509 = f"{HANDSHAKE}failed to verify certificate: x509: "
REACHED = '"msg":"Reached KAS"'


@pytest.fixture
def pair(tmp_path: Path, redis_socket: Path) -> Iterator[tuple[Kas, Kas]]:
    """Two KAS that find each other."""
    both = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        kas = Kas(tmp_path / name, redis_socket)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
        kas.set("redis.key_prefix", str(tmp_path))
        kas.set("private_api.listen.address", address)
        both.append(kas)
    yield both[0], both[1]
    for kas in both:
        kas.kill()


def says(pair: tuple[Kas, Kas], text: str) -> None:
    for kas in pair:
        kas.start()
    pair[0].wait(lambda: text in pair[0].log)


@pytest.mark.parametrize(("secret", "text"), [
    (PRIVATE_SECRET, REACHED),
    (b"x" * 32, '"error":"rpc error: code = Unauthenticated desc = JWT validation failed"'),
])  # fmt: skip
def test_secret(pair: tuple[Kas, Kas], secret: bytes, text: str) -> None:
    pair[1].secret("private", secret)
    says(pair, text)


# The name that is asked for, and the certificate's; what the caller says.
@pytest.mark.parametrize(("name", "sans", "text"), [
    ("kas.example.com", ("DNS:kas.example.com",), REACHED),
    ("KAS.example.COM", ("DNS:kas.example.com",), REACHED),
    ("kas.example.com.", ("DNS:kas.example.com",), REACHED),
    ("kas.example.com", ("DNS:*.example.com",), REACHED),
    ("127.0.0.1", ("IP:127.0.0.1",), REACHED),
    ("kas.example.com", (), f"{X509}certificate relies on legacy Common Name field, use SANs instead"),
    ("kas.example.com", ("DNS:a.example.com", "DNS:b.example.com"),
     f"{X509}certificate is valid for a.example.com, b.example.com, not kas.example.com"),
])  # fmt: skip
def test_certificate(pair: tuple[Kas, Kas], tmp_path: Path, name: str, sans: tuple[str, ...], text: str) -> None:
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("kas.example.com", *sans)
    secure(pair, certificate, key, name, authority.certificate)
    says(pair, text)


def test_unknown_authority(pair: tuple[Kas, Kas], tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "ca").issue("kas.example.com", "DNS:kas.example.com")
    secure(pair, certificate, key, "kas.example.com", None)
    says(pair, f"{X509}certificate signed by unknown authority")


def test_a_certificate_may_be_its_own_anchor(pair: tuple[Kas, Kas], tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path / "ca").issue("kas.example.com", "DNS:kas.example.com")
    secure(pair, certificate, key, "kas.example.com", certificate)
    says(pair, REACHED)


def test_grpcs_against_a_plain_peer(pair: tuple[Kas, Kas]) -> None:
    """A scheme without a pair: up, and nothing said at the start."""
    for kas in pair:
        kas.env["OWN_PRIVATE_API_SCHEME"] = "grpcs"
    says(pair, f"{HANDSHAKE}first record does not look like a TLS handshake")


def secure(pair: tuple[Kas, Kas], certificate: Path, key: Path, name: str, trusted: Path | None) -> None:
    for kas in pair:
        kas.set("private_api.listen.certificate_file", str(certificate))
        kas.set("private_api.listen.key_file", str(key))
        trust = kas.directory / "trust"
        trust.mkdir()
        if trusted:
            (trust / "anchor.crt").write_bytes(trusted.read_bytes())
        kas.env |= {"OWN_PRIVATE_API_HOST": name, "OWN_PRIVATE_API_SCHEME": "grpcs", "SSL_CERT_DIR": str(trust)}
