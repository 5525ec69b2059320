"""Secrets, and the certificate and key of a listener."""

from __future__ import annotations

import base64
import re
import ssl
from pathlib import Path
from typing import Any

from gitlab_kas.config import opened
from gitlab_kas.errors import KasError, part

ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def secret(path: str, size: int | None = None) -> bytes:
    """A Base64 secret, of exactly `size` bytes if one is given; raises KasError that does not show it."""
    with part("read file"):
        text = read(path)
    at = illegal_byte(text)
    if at is not None:
        raise KasError(f"decoding: illegal base64 data at input byte {at}")
    found = base64.b64decode(re.sub(rb"[\r\n]", b"", text))
    if size is not None and len(found) != size:
        raise KasError(f"decoding: expecting {size} bytes, was {len(found)}")
    return found


def illegal_byte(text: bytes) -> int | None:
    """Where Go's decoder stops: line ends may stand anywhere, padding must be there and end the text."""
    places = [at for at, byte in enumerate(text) if byte not in b"\r\n"]
    for index, at in enumerate(places):
        position = index % 4
        if text[at] in ALPHABET:
            continue
        if text[at : at + 1] != b"=" or position < 2:
            return at
        rest = places[index + 1 :]
        if position == 2:
            if not rest:
                return len(text)
            if text[rest[0] : rest[0] + 1] != b"=":
                return rest[0] - 1
            rest = rest[1:]
        return rest[0] if rest else None
    return len(text) - len(places) % 4 if len(places) % 4 else None


def server_tls(listener: dict[str, Any], protocols: list[str]) -> ssl.SSLContext | None:
    """TLS where both certificate and key are configured; raises KasError."""
    certificate, key = listener.get("certificate_file", ""), listener.get("key_file", "")
    if bool(certificate) != bool(key):
        raise KasError(f"both certificate file ({certificate}) and key file ({key}) must be either specified or not")
    if not certificate:
        return None
    with part(f"loading certificate ({certificate}) and key ({key}) files"):
        context = pair(certificate, key)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(protocols)
    return context


def pair(certificate: str, key: str) -> ssl.SSLContext:
    """A context with the certificate and its key; raises KasError as Go's tls.LoadX509KeyPair."""
    texts = {path: read(path) for path in (certificate, key)}
    if b"-----BEGIN CERTIFICATE-----" not in texts[certificate]:
        raise KasError("tls: failed to find any PEM data in certificate input")
    if b"PRIVATE KEY-----" not in texts[key]:
        raise KasError("tls: failed to find any PEM data in key input")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        cause = "private key does not match public key" if mismatch else "failed to parse private key"
        raise KasError(f"tls: {cause}") from None
    return context


def read(path: str) -> bytes:
    """A file's bytes; raises KasError."""
    if not path:  # for Python the present directory
        raise KasError("open : no such file or directory")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise KasError(opened(path, error)) from None


def check_ca(path: str) -> None:
    """Raises KasError unless the file holds a certificate of a CA (or of anybody)."""
    with part("CA certificate file"):
        text = read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text.decode("ascii", "replace"))
    except ssl.SSLError:
        raise KasError(f"AppendCertsFromPEM({path}) failed") from None
