"""Listening as Go's net.Listen does: one socket for each address, wildcards on IPv4 and IPv6 together."""

from __future__ import annotations

import os
import re
import socket

from gitlab_kas import own_url
from gitlab_kas.dial import lookup
from gitlab_kas.errors import KasError, part, reason

FAMILIES = {"tcp4": socket.AF_INET, "tcp6": socket.AF_INET6}


def listen(network: str, address: str) -> socket.socket:
    """A socket that listens; raises KasError with Go's text."""
    try:
        with part(f"listen {network}"):
            bound = unix_socket(address) if network == "unix" else tcp_socket(network, address)
        bound.listen(socket.SOMAXCONN)
    except OSError as error:
        raise KasError(f"listen {network} {address}: bind: {reason(error)}") from None
    return bound


def unix_socket(path: str) -> socket.socket:
    name = b"\0" + os.fsencode(path[1:]) if path.startswith("@") else os.fsencode(path)
    if len(name) > 107 or b"\0" in name[1:]:
        raise OSError(22, "invalid argument")
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(name)
    except OSError:
        bound.close()
        raise
    return bound


def tcp_socket(network: str, address: str) -> socket.socket:
    host, port = own_url.split(address)
    number = port_number(network, port)
    family, host = chosen(network, host)
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, network == "tcp6")
        bound.bind(socket.getaddrinfo(host, number, family, socket.SOCK_STREAM)[0][4])  # the zone of a local address
    except OSError:
        bound.close()
        raise
    return bound


def port_number(network: str, port: str) -> int:
    """A port, perhaps by its name."""
    if re.fullmatch("[+-]?[0-9]+", port):
        if not 0 <= int(port) <= 65535:
            raise KasError(f"address {port}: invalid port")
        return int(port)
    try:
        return socket.getservbyname(port, "tcp") if port else 0
    except (OSError, ValueError):
        raise KasError(f"lookup {network}/{port}: unknown port") from None


def chosen(network: str, host: str) -> tuple[int, str]:
    """Family and address to bind. An IPv6 wildcard stands for an IPv4 one, not the other way round."""
    wanted = FAMILIES.get(network, socket.AF_UNSPEC)
    if host and own_url.parse_address(host) is None:
        try:
            found = [(item[0], str(item[4][0])) for item in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError, ValueError):
            raise KasError(f"{lookup(host)}: no such host") from None
        found.sort(key=lambda item: item[0] != socket.AF_INET)  # of a name's addresses, an IPv4 one first
        fitting = [item for item in found if wanted in (socket.AF_UNSPEC, item[0])]
        if not fitting:
            raise KasError(f"address {host}: no suitable address found")
        return fitting[0]
    if not host or own_url.is_unspecified(host):
        if network == "tcp6" and host not in ("", "::"):
            raise KasError(f"address {host}: no suitable address found")
        return (socket.AF_INET, "0.0.0.0") if network == "tcp4" else (socket.AF_INET6, "::")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if wanted not in (socket.AF_UNSPEC, family):
        raise KasError(f"address {host}: no suitable address found")
    return family, host


def described(bound: socket.socket) -> dict[str, str]:
    """The log fields of a listener."""
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        path = "@" + name[1:].decode() if isinstance(name, bytes) else name
        return {"net_network": "unix", "net_address": path}
    return {"net_network": "tcp", "net_address": own_url.join(name[0], str(name[1]))}
