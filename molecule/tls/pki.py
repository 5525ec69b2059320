"""Make certificates for the scenario: pki.py DIRECTORY NAME... for the hosts of these names."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


class Writer:
    """Signs certificates and writes them into a directory, NAME.crt beside NAME.key."""

    def __init__(self, directory: Path, authority: str) -> None:
        self.directory, self.authority = directory, authority
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.write(authority, self.key, [x509.BasicConstraints(ca=True, path_length=None)], 365)

    def server(self, name: str, *names: str, days: int = 365) -> None:
        extension = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        self.write(name, ec.generate_private_key(ec.SECP256R1()), [extension], days)

    def write(
        self, name: str, key: ec.EllipticCurvePrivateKey, extensions: list[x509.ExtensionType], days: int
    ) -> None:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(common_name(name))
            .issuer_name(common_name(self.authority))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + days * DAY)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        (self.directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        for file, protection in (
            (f"{name}.key", serialization.NoEncryption()),
            (f"{name}.encrypted", serialization.BestAvailableEncryption(b"sesame")),
        ):
            pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
            (self.directory / file).write_bytes(pem)
            (self.directory / file).chmod(0o600)


def common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    ours, foreign = Writer(directory, "ca"), Writer(directory, "foreign-ca")
    for host in sys.argv[2:]:
        ours.server(host, "kas.internal", "localhost")
    ours.server("web", "gitlab.example.com", "*.gitlab.example.com")
    ours.server("renewed", "kas.internal", "localhost")
    ours.server("expired", "kas.internal", days=-1)
    ours.server("expiring", "kas.internal", days=20)
    foreign.server("foreign", "kas.internal")
    bundle = (directory / "ca.crt").read_bytes() + (directory / "foreign-ca.crt").read_bytes()
    (directory / "bundle.crt").write_bytes(bundle)


main()
