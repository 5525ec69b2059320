"""Certificates made for a test with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A CA in a directory of its own; its own certificate is in `certificate`."""

    def __init__(self, directory: Path, parent: Authority | None = None) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self.certificate, self.key = directory / "ca.crt", directory / "ca.key"
        signed = ["-CA", parent.certificate, "-CAkey", parent.key] if parent else []
        made = ["-subj", f"/CN=Test CA {directory.name}", "-keyout", self.key, "-out", self.certificate]
        openssl("req", "-x509", *NEW, "-days", 2, *signed, *made)

    def subordinate(self, name: str) -> Authority:
        """A CA that this one has signed."""
        return Authority(self.directory / name, self)

    def issue(self, name: str, *sans: str, days: int = 2) -> tuple[Path, Path]:
        """Certificate and key with the common name `name`, and with these alternative names."""
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        request = certificate.with_suffix(".csr")
        extensions = ["-addext", f"subjectAltName={','.join(sans)}"] if sans else []
        openssl("req", *NEW, "-subj", f"/CN={name}", *extensions, "-keyout", key, "-out", request)
        signed = ["-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-copy_extensions", "copy"]
        openssl("x509", "-req", "-in", request, *signed, "-days", days, "-out", certificate)
        return certificate, key


NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
