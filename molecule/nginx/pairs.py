"""Certificates and keys as people put them before nginx, and whether nginx starts with them.

The scenario holds nginx itself to it, and the unit tests what we say of the files.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

DAY = datetime.timedelta(days=1)
PASSPHRASE = b"sesame"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Case(NamedTuple):
    """A certificate and a key."""

    name: str
    certificate: bytes
    key: bytes
    starts: bool = True  # whether nginx does
    of_certificate: str = ""  # what we say of that file
    of_key: str = ""
    is_pair: bool = True
    passphrases: bytes | None = None  # of ssl_password_file
    opens: bool = False  # one of them opens the key


class Pair:
    """A certificate for a name, signed by its own key."""

    def __init__(self, key: Key, name: str = "kas.example.com") -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        self._key = key
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - DAY).not_valid_after(now + DAY)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        request = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
        self.request = request.public_bytes(serialization.Encoding.PEM)
        self.public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key = self._private(serialization.PrivateFormat.PKCS8)

    def old_key(self, passphrase: bytes = b"") -> bytes:
        """As openssl wrote them before 1.0, such as BEGIN EC PRIVATE KEY."""
        return self._private(serialization.PrivateFormat.TraditionalOpenSSL, passphrase)

    def encrypted(self) -> bytes:
        return self._private(serialization.PrivateFormat.PKCS8, PASSPHRASE)

    def _private(self, form: serialization.PrivateFormat, passphrase: bytes = b"") -> bytes:
        how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self._key.private_bytes(serialization.Encoding.PEM, form, how)


def cases() -> Iterator[Case]:
    own, other = (Pair(ec.generate_private_key(ec.SECP256R1())) for _turn in range(2))
    rsa_pair = Pair(rsa.generate_private_key(65537, 2048))
    crt, key, lines = own.certificate, own.key, own.certificate.splitlines(keepends=True)
    damaged = "holds a certificate that is damaged"
    for name, certificate in (
        ("a certificate", crt),
        ("with its authority behind it", crt + other.certificate),
        ("with a text before it", b"subject=/CN=kas \xc3\xa9\n\n" + crt),
        ("with a text behind it", crt + b"the end\n"),
        ("lines of Windows", crt.replace(b"\n", b"\r\n")),
        ("a byte order mark", b"\xef\xbb\xbf" + crt),
        ("all on one line", lines[0] + b"".join(lines[1:-1]).replace(b"\n", b"") + b"\n" + lines[-1]),
        ("its key in the same file", crt + key),
        ("the key before it", key + crt),
    ):
        yield Case(name, certificate, key)
    for name, certificate, said in (
        ("an empty file", b"", "is empty"),
        ("DER", own.der, "holds nothing in PEM form"),
        ("UTF-16", crt.decode().encode("utf-16"), "holds nothing in PEM form"),
        ("indented, as in YAML", b"".join(b"  " + line for line in lines), "holds nothing in PEM form"),
        ("a request", own.request, "holds no certificate, only CERTIFICATE REQUEST"),
        ("a key instead", key, "holds no certificate, only PRIVATE KEY"),
        ("no line break between two", crt.rstrip() + other.certificate, "has an END and the next BEGIN on one line"),
        ("line breaks written out", crt.replace(b"\n", b"\\n"), damaged),
        ("cut off", crt[:400], damaged),
        ("no end", b"".join(lines[:-1]), damaged),
        ("a line of something else", lines[0] + b"!" * 64 + b"\n" + b"".join(lines[2:]), damaged),
        ("its authority is cut off", crt + other.certificate[:300], f"{damaged} (bad end line)"),
    ):
        yield Case(name, certificate, key, starts=False, of_certificate=said)
    yield Case("another key", crt, other.key, starts=False, is_pair=False)
    yield Case("the authority first", other.certificate + crt, key, starts=False, is_pair=False)
    yield Case("a key of another kind, so that nobody gets in", crt, rsa_pair.key, is_pair=False)
    yield Case("RSA", rsa_pair.certificate, rsa_pair.key)
    yield Case("a key of the old form", crt, own.old_key())
    yield Case("a key with lines of Windows", crt, key.replace(b"\n", b"\r\n"))
    for name, text, said in (
        ("no key", b"\n", "is empty"),
        ("a certificate instead of the key", crt, "holds no private key, only CERTIFICATE"),
        ("the public half of the key", own.public, "holds no private key, only PUBLIC KEY"),
        ("a key that is cut off", key[:120], "holds a private key that is damaged"),
    ):
        yield Case(name, crt, text, starts=False, of_key=said)
    for name, text in (("a passphrase", own.encrypted()), ("a passphrase of the old form", own.old_key(PASSPHRASE))):
        yield Case(name, crt, text, starts=False, is_pair=False)
        for passphrases, opens in (
            (PASSPHRASE, True),
            (b"wrong\n\n" + PASSPHRASE + b"\r\nwrong\n", True),
            (PASSPHRASE + b" \n", False),
            (b"", False),
        ):
            title = f"{name}, and a file with {passphrases!r}"
            yield Case(title, crt, text, starts=opens, is_pair=opens, passphrases=passphrases, opens=opens)
        title = f"{name} of another certificate"
        yield Case(title, other.certificate, text, False, is_pair=False, passphrases=PASSPHRASE, opens=True)
    yield Case("passphrases that nobody needs", crt, key, passphrases=b"")
