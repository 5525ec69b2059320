"""Connections as Go makes them: what a certificate must say, and Go's words for what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from pathlib import Path
from typing import Any

from gitlab_kas.errors import reason

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class DialError(Exception):
    """No connection; the text is Go's."""


def lookup(host: str) -> str:
    """What was asked for, and whom: the first name server, if there is one."""
    with contextlib.suppress(OSError):
        found = re.search(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(encoding="utf-8"), re.MULTILINE)
        return f"lookup {host} on {found[1]}:53" if found else f"lookup {host}"
    return f"lookup {host}"


async def tcp(host: str, port: str | int) -> Streams:
    """A plain connection; raises DialError."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return await asyncio.open_connection(host, port)
    except socket.gaierror:
        raise DialError(f"dial tcp: {lookup(host)}: no such host") from None
    except (UnicodeError, OverflowError):
        raise DialError(f"dial tcp: address {host}:{port}: invalid") from None
    except OSError as error:
        raise DialError(f"dial tcp {target}: connect: {reason(error)}") from None


async def unix(path: str) -> Streams:
    """A connection to a UNIX socket; raises DialError."""
    try:
        return await asyncio.open_unix_connection(path)
    except OSError as error:
        raise DialError(f"dial unix {path}: connect: {reason(error)}") from None


async def tls(streams: Streams, context: ssl.SSLContext, name: str) -> Streams:
    """TLS on a plain connection, to the holder of a certificate for `name`; raises DialError."""
    reader, writer = streams
    try:
        await writer.start_tls(context, server_hostname=sent(name))
        problem = name_fault(writer.get_extra_info("peercert"), name)
    except ssl.SSLError as error:
        problem = tls_reason(error)
    except OSError as error:
        problem = f"read: {reason(error)}"
    if problem:
        writer.close()
        raise DialError(problem)
    return reader, writer


def sent(name: str) -> str:
    """The server's name as Go sends it: without a final dot. (For an address nothing is sent, as with Go.)"""
    return name.rstrip(".") or "invalid"


def client_context(directory: str, ca: str | None = None, pair: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Trust in every certificate of a directory, also in one that is no CA, as Go trusts what SSL_CERT_DIR holds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # see name_fault
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    paths = [*(sorted(Path(directory).iterdir()) if Path(directory).is_dir() else []), *([Path(ca)] if ca else [])]
    for path in paths:
        with contextlib.suppress(OSError, ValueError, ssl.SSLError):  # no certificate
            context.load_verify_locations(cadata=path.read_text(encoding="ascii"))
    if pair:
        context.load_cert_chain(*pair)
    return context


def tls_reason(error: ssl.SSLError) -> str:
    """Go's words for what OpenSSL found."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "tls: first record does not look like a TLS handshake"
    if "expired" in error.verify_message or "not yet valid" in error.verify_message:
        return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
    return "tls: failed to verify certificate: x509: certificate signed by unknown authority"


def name_fault(certificate: dict[str, Any], name: str) -> str:
    """Why the certificate is not one for `name`: its alternative names count and nothing else. Empty if it is."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    addresses = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "IP Address"]
    common = [value for part in certificate["subject"] for key, value in part if key == "commonName"]
    cause = ""
    try:
        wanted = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        if not any(matches(pattern, name) for pattern in names):
            if not names and not addresses and any(matches(pattern, name) for pattern in common):
                cause = "certificate relies on legacy Common Name field, use SANs instead"
            elif names:
                cause = f"certificate is valid for {', '.join(names)}, not {name}"
            else:
                cause = f"certificate is not valid for any names, but wanted to match {name}"
    else:
        if wanted not in [ipaddress.ip_address(address) for address in addresses]:
            cause = f"cannot validate certificate for {wanted} because it doesn't contain any IP SANs"
            if addresses:
                cause = f"certificate is valid for {', '.join(addresses)}, not {wanted}"
    return f"tls: failed to verify certificate: x509: {cause}" if cause else ""


def matches(pattern: str, name: str) -> bool:
    """A star stands for the first label as a whole."""
    ours, theirs = pattern.lower().split("."), name.lower().rstrip(".").split(".")
    return len(ours) == len(theirs) and ours[1:] == theirs[1:] and ours[0] in ("*", theirs[0])
