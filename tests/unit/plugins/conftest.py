"""Certificates for the tests, made while they run."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.timezone.utc)


class Issued(NamedTuple):
    """A certificate and its key, in PEM form."""

    certificate: bytes
    key: bytes
    encrypted_key: bytes


class Authority:
    """Signs certificates; itself signed by another one, or by itself."""

    def __init__(self, name: str, issuer: Authority | None = None, days: tuple[float, float] = (-1000, 1000)) -> None:
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        issuer = issuer or self
        self.pem = issuer.sign(self.name, self.key, days, [x509.BasicConstraints(ca=True, path_length=None)])

    def issue(
        self,
        *names: str,
        days: tuple[float, float] = (-10, 90),
        usage: x509.ObjectIdentifier = x509.ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> Issued:
        """A certificate for these names and addresses; days are its validity, counted from NOW."""
        key = ec.generate_private_key(ec.SECP256R1())
        extensions: list[x509.ExtensionType] = [x509.ExtendedKeyUsage([usage])]
        if names:
            extensions.append(x509.SubjectAlternativeName([_general_name(name) for name in names]))
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "common.name")])
        return Issued(
            self.sign(subject, key, days, extensions),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"sesame"),
            ),
        )

    def sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        days: tuple[float, float],
        extensions: Sequence[x509.ExtensionType],
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Pki(NamedTuple):
    """An authority that the node trusts, one below it, and one that it does not know; and a time to look at it all."""

    root: Authority
    intermediate: Authority
    foreign: Authority
    now: float


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture(scope="session")
def pki() -> Pki:
    root = Authority("root")
    return Pki(root, Authority("intermediate", root), Authority("foreign"), NOW.timestamp())
