"""Certificates made for a test with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A CA in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self.certificate = directory / "ca.crt"
        openssl("req", "-x509", *NEW, "-subj", "/CN=Test CA", "-keyout", directory / "ca.key", "-out", self.certificate)

    def issue(self, name: str, *sans: str) -> tuple[Path, Path]:
        """Certificate and key with the common name `name`, and with these alternative names."""
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        extensions = ["-addext", f"subjectAltName={','.join(sans)}"] if sans else []
        signed = ["-CA", self.certificate, "-CAkey", self.directory / "ca.key"]
        openssl("req", "-x509", *NEW, "-subj", f"/CN={name}", *extensions, *signed, "-keyout", key, "-out", certificate)
        return certificate, key


NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
