"""How KAS names itself to the other KAS: facts of two generations, up to 17.7 and since 17.8.

Source: `constructOwnUrl` in KAS's app_private_api_server.go and its test table; GitLab's documentation of 17.8.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Union

from gitlab_kas.errors import KasError, KasPanic

Version = tuple[int, ...]
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
URL = "OWN_PRIVATE_API_URL"
CIDR = "OWN_PRIVATE_API_CIDR"
SCHEME = "OWN_PRIVATE_API_SCHEME"
PORT = "OWN_PRIVATE_API_PORT"
TCP = ("tcp", "tcp4", "tcp6")


@dataclass(frozen=True)
class OwnUrl:
    """Where this KAS is reached: one or more hosts at one port, or the path of a UNIX socket."""

    scheme: str
    hosts: tuple[str, ...] = ()
    port: str = ""
    path: str = ""

    def urls(self) -> list[str]:
        if self.scheme == "unix":
            return [f"unix://{self.path}"]
        return [f"{self.scheme}://{join(host, self.port)}" for host in self.hosts]

    def multi(self) -> str:
        """As 17.8 and later log it."""
        if self.scheme == "unix":
            return f"unix:{self.path}"
        return f"{self.scheme}:{','.join(self.hosts)}|{self.port}"


def own_url(
    env: Mapping[str, str],
    network: str,
    address: str,
    version: Version,
    interface_addresses: Callable[[], list[Address]],
) -> OwnUrl:
    """The own URL; raises KasError or KasPanic with KAS's text."""
    url, cidr = env.get(URL, ""), env.get(CIDR, "")
    if url and cidr:
        raise KasError(f"either {URL} or {CIDR} should be specified, not both")
    if version[:3] == (17, 8, 0) and not cidr and is_name(url.partition("://")[2] or address):
        # 17.8.0 does not start with its default, localhost, but with 127.0.0.1: so no name does.
        raise KasError("couldn't determine own private API URL")
    if url:
        return parse_url(url, version)
    port = own_port(env.get(PORT, ""))
    scheme = own_scheme(env.get(SCHEME, ""))
    if cidr:
        return from_cidr(cidr, scheme, port or listen_port(network, address), version, interface_addresses())
    if version < (17, 8):
        return from_listener_old(scheme, network, address)
    return from_listener(scheme, network, address, port, version, interface_addresses)


def own_port(text: str) -> str:
    if not text:
        return ""
    if not (text.isascii() and text.isdigit()):
        cause = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise KasError(f"error parsing {PORT} environment variable: {cause}")
    if not 1 <= int(text) <= 65535:
        raise KasError(f"invalid port in {PORT} environment variable: {text}")
    return str(int(text))


def own_scheme(text: str) -> str:
    if text not in ("", "grpc", "grpcs"):
        raise KasError(f"{SCHEME} environment variable schould be either grpc or grpcs, got: {text}")
    return text or "grpc"


def from_cidr(cidr: str, scheme: str, port: str, version: Version, addresses: list[Address]) -> OwnUrl:
    networks = []
    for item in cidr.split(",") if version >= (17, 8, 1) else [cidr]:
        if "/" not in item:
            raise KasError(f"failed to parse {CIDR} environment variable: invalid CIDR address: {item}")
        try:
            networks.append(ipaddress.ip_network(item, strict=False))
        except ValueError:
            raise KasError(f"failed to parse {CIDR} environment variable: invalid CIDR address: {item}") from None
    found = [address for address in addresses if any(address in network for network in networks)]
    if not found:
        raise KasError(f"no IPs matched CIDR specified in the {CIDR} environment variable")
    if len(found) > 1 and version < (17, 8):
        shown = " ".join(map(str, found))
        raise KasError(f"multiple IPs matched CIDR specified in the {CIDR} environment variable: [{shown}]")
    if not port:
        raise KasError(f"cannot determine port for own URL. Specify {PORT}")
    return OwnUrl(scheme, tuple(map(str, found)), port)


def from_listener_old(scheme: str, network: str, address: str) -> OwnUrl:
    if network == "unix":
        return OwnUrl("unix", path=address)
    host, port = split_listener(address)
    if is_wildcard(host):
        raise KasError(f"could't determine own URL. Please set {URL} or {CIDR} environment variable")
    return OwnUrl(scheme, (host,), port)


def from_listener(
    scheme: str,
    network: str,
    address: str,
    port: str,
    version: Version,
    interface_addresses: Callable[[], list[Address]],
) -> OwnUrl:
    if network == "unix":
        return OwnUrl("unix", path=address)
    host, listened = split_listener(address)
    if not is_wildcard(host):
        if version[:3] == (17, 9, 0) and parse_address(host) is None:
            raise KasPanic("multi URL: no addresses and no host")
        return OwnUrl(scheme, (host,), port or listened)
    family = {"tcp4": 4, "tcp6": 6}.get(network)
    reachable = tuple(
        str(ip)
        for ip in interface_addresses()
        if not (ip.is_loopback or ip.is_link_local) and family in (None, ip.version)
    )
    if not reachable:
        raise KasError(f"couldn't determine own private API URL. Please set {URL} or {CIDR} environment variable")
    return OwnUrl(scheme, reachable, port or listened)


def parse_url(url: str, version: Version) -> OwnUrl:
    """The URL as given. Since 17.8 KAS takes it apart; before, a wrong one only fails when a peer dials it."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return OwnUrl(scheme, path=rest)
    host, _, port = rest.rpartition(":")
    if version >= (17, 8) and not (scheme in ("grpc", "grpcs") and host and port.isdigit()):
        raise KasError(f"failed to parse {URL} environment variable: {url}")
    return OwnUrl(scheme, (host.strip("[]"),), port)


def listen_port(network: str, address: str) -> str:
    return split_listener(address)[1] if network in TCP else ""


def split_listener(address: str) -> tuple[str, str]:
    try:
        return split(address)
    except KasError as error:
        raise KasError(f"listener address: {error}") from None


def split(address: str) -> tuple[str, str]:
    """Host and port, an IPv6 address without its brackets; raises KasError as net.SplitHostPort."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        raise KasError(f"address {address}: missing port in address")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise KasError(f"address {address}: too many colons in address")
    return host.strip("[]"), port


def join(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_name(address: str) -> bool:
    """Whether HOST:PORT has a name for its host."""
    host = address.rpartition(":")[0].strip("[]")
    return not address.startswith("/") and not is_wildcard(host) and parse_address(host) is None


def is_wildcard(host: str) -> bool:
    address = parse_address(host)
    return not host or (address is not None and address.is_unspecified)


def is_internal(host: str) -> bool:
    """A loopback or link-local address: no other node reaches it."""
    address = parse_address(host)
    return address is not None and (address.is_loopback or address.is_link_local)
