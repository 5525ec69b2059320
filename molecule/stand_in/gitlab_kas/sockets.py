"""Listening as Go's net.Listen does: one socket for each address, wildcards on IPv4 and IPv6 together."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

from gitlab_kas import own_url
from gitlab_kas.config import reason
from gitlab_kas.errors import KasError


def listen(network: str, address: str) -> socket.socket:
    """A bound socket; raises KasError with Go's text."""
    try:
        return unix_socket(address) if network == "unix" else tcp_socket(network, address)
    except OSError as error:
        raise KasError(f"listen {network} {address}: bind: {reason(error)}") from None


def unix_socket(path: str) -> socket.socket:
    if len(os.fsencode(path)) > 107:
        raise KasError(f"listen unix {path}: bind: invalid argument")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(path)
    return bound


def tcp_socket(network: str, address: str) -> socket.socket:
    host, port = own_url.split(address)
    if own_url.is_wildcard(host) and network != "tcp4":
        family, host = socket.AF_INET6, "::"
    else:
        wanted = {"tcp4": socket.AF_INET, "tcp6": socket.AF_INET6}.get(network, socket.AF_UNSPEC)
        found = socket.getaddrinfo(host or "0.0.0.0", port, wanted, socket.SOCK_STREAM)
        found.sort(key=lambda item: item[0] != socket.AF_INET)  # of a name's addresses, an IPv4 one first
        family, host = found[0][0], str(found[0][4][0])
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, network == "tcp6")
    bound.bind((host, int(port)))
    return bound


def described(bound: socket.socket) -> dict[str, str]:
    """The log fields of a listener."""
    if bound.family == socket.AF_UNIX:
        return {"net_network": "unix", "net_address": bound.getsockname()}
    host, port = bound.getsockname()[:2]
    return {"net_network": "tcp", "net_address": own_url.join(host, str(port))}


def server_tls(listener: dict[str, str], protocols: list[str]) -> ssl.SSLContext | None:
    """TLS where both certificate and key are configured; raises KasError."""
    certificate, key = listener.get("certificate_file", ""), listener.get("key_file", "")
    if bool(certificate) != bool(key):
        raise KasError("both certificate_file and key_file must be specified")
    if not certificate:
        return None
    for path in (certificate, key):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise KasError(f"tls.LoadX509KeyPair: open {path}: {reason(error)}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        cause = "private key does not match public key" if mismatch else "failed to parse certificate or key"
        raise KasError(f"tls.LoadX509KeyPair: tls: {cause}") from None
    context.set_alpn_protocols(protocols)
    return context
