"""How KAS names itself to the other KAS: one URL up to 17.7, and since 17.8 one with several addresses.

Sources: what a real KAS of 16.5 answered to 54 inputs; GitLab's documentation and public logs since 17.8.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Union

from gitlab_kas.dial import lookup
from gitlab_kas.errors import KasError, KasPanic, part
from gitlab_kas.release import Release

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Addresses = Callable[[], list[Address]]
URL = "OWN_PRIVATE_API_URL"
CIDR = "OWN_PRIVATE_API_CIDR"
SCHEME = "OWN_PRIVATE_API_SCHEME"
PORT = "OWN_PRIVATE_API_PORT"
SEVERAL: Release = (17, 8)


@dataclass(frozen=True)
class OwnUrl:
    """What is published: `urls` as another KAS dials them, `shown` as the log says it, `hosts` for the warning."""

    shown: str
    urls: tuple[str, ...]
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listener:
    """Where the private API listens."""

    network: str
    address: str

    def split(self) -> tuple[str, str]:
        with part("listener address"):
            return split(self.address)


def own_url(env: Mapping[str, str], network: str, address: str, release: Release, addresses: Addresses) -> OwnUrl:
    """The own URL; raises KasError or KasPanic with KAS's text."""
    listener = Listener(network, address)
    if release < SEVERAL:
        return one(env, listener, addresses)
    with part("construct own private API multi URL"):
        return several(env, listener, release, addresses)


def one(env: Mapping[str, str], listener: Listener, addresses: Addresses) -> OwnUrl:
    """Up to 17.7. A URL is taken as it is: a wrong one only fails when a peer dials it."""
    url, cidr = exclusive(env)
    if url:
        return OwnUrl(url, (url,))
    port, scheme = own_port(env.get(PORT, "")), own_scheme(env.get(SCHEME, ""))
    if cidr:
        found = in_networks([network(cidr)], addresses())
        if len(found) > 1:
            shown = " ".join(found)
            raise KasError(f"multiple IPs matched CIDR specified in the {CIDR} environment variable: [{shown}]")
        url = f"{scheme}://{join(found[0], port or listened_port(listener))}"
    elif listener.network == "unix":
        url = f"unix://{listener.address}"
    else:
        if is_unspecified(listener.split()[0]):  # but `:8155` is as good as any name
            raise KasError(f"could't determine own URL. Please set {URL} or {CIDR} environment variable")
        url = f"{scheme}://{listener.address}"
    return OwnUrl(url, (url,))


def several(env: Mapping[str, str], listener: Listener, release: Release, addresses: Addresses) -> OwnUrl:
    """Since 17.8."""
    url, cidr = exclusive(env)
    if url:
        return given(url, release)
    port, scheme = own_port(env.get(PORT, "")), own_scheme(env.get(SCHEME, ""))
    if cidr:
        networks = [network(item) for item in cidr.split(",")] if release >= (17, 8, 1) else [network(cidr)]
        return multi(scheme, in_networks(networks, addresses()), port or listened_port(listener))
    if listener.network == "unix":
        return OwnUrl(f"unix:{listener.address}", (f"unix://{listener.address}",))
    host, listened = listener.split()
    if host and not is_unspecified(host):
        return named(scheme, host, port or listened, release, f"listener address {listener.address}")
    version = {"tcp4": 4, "tcp6": 6}.get(listener.network)
    reachable = [str(ip) for ip in addresses() if not is_internal(ip) and version in (None, ip.version)]
    if not reachable:
        raise KasError(f"couldn't determine own private API URL. Please set {URL} or {CIDR} environment variable")
    return multi(scheme, reachable, port or listened)


def exclusive(env: Mapping[str, str]) -> tuple[str, str]:
    url, cidr = env.get(URL, ""), env.get(CIDR, "")
    if url and cidr:
        raise KasError(f"either {URL} or {CIDR} should be specified, not both")
    return url, cidr


def given(url: str, release: Release) -> OwnUrl:
    """A URL of the environment, which is taken apart since 17.8."""
    scheme, _mark, rest = url.partition("://")
    if scheme == "unix":
        return OwnUrl(f"unix:{rest}", (url,))
    host, _colon, port = rest.rpartition(":")
    if scheme not in ("grpc", "grpcs") or not host or not port.isdecimal():
        raise KasError(f"failed to parse {URL} {url}")
    return named(scheme, host.strip("[]"), port, release, f"failed to parse {URL} {url}")


def named(scheme: str, host: str, port: str, release: Release, what: str) -> OwnUrl:
    """One host. What becomes of a name differs within 17.8 and 17.9."""
    if parse_address(host):
        return multi(scheme, [host], port)
    if release[:3] == (17, 8, 0):
        raise KasError(f"{what}: ParseAddr({json.dumps(host)}): unable to parse IP")
    if release[:2] == (17, 8):
        return multi(scheme, resolved(host), port)
    if release[:3] == (17, 9, 0):
        raise KasPanic("multi URL: no addresses and no host")
    return OwnUrl(f"{scheme}:/{host}/|{port}", (f"{scheme}://{join(host, port)}",))


def multi(scheme: str, hosts: list[str], port: str) -> OwnUrl:
    urls = tuple(f"{scheme}://{join(host, port)}" for host in hosts)
    return OwnUrl(f"{scheme}:{','.join(hosts)}|{port}", urls, tuple(hosts))


def resolved(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise KasError(f"{lookup(host)}: no such host") from None
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def own_port(text: str) -> str:
    if not text:
        return ""
    number = int(text) if re.fullmatch("[0-9]+", text) else None
    if number is None or number > 65535:
        cause = "invalid syntax" if number is None else "value out of range"
        raise KasError(
            f"error parsing {PORT} environment variable: strconv.ParseUint: parsing {json.dumps(text)}: {cause}"
        )
    if not number:
        raise KasError(f"invalid port in {PORT} environment variable: 0")
    return str(number)


def own_scheme(text: str) -> str:
    if text not in ("", "grpc", "grpcs"):
        raise KasError(f"{SCHEME} environment variable schould be either grpc or grpcs, got: {text}")
    return text or "grpc"


def network(cidr: str) -> Network:
    """The network; host bits are fine, and IPv4 within IPv6 is IPv4. A netmask is none."""
    address, slash, bits = cidr.partition("/")
    try:
        if not slash or not re.fullmatch("[0-9]{1,3}", bits) or "%" in address:
            raise ValueError
        mapped = getattr(parse_address(address), "ipv4_mapped", None)
        if mapped and 96 <= int(bits) <= 128:
            address, bits = str(mapped), str(int(bits) - 96)
        return ipaddress.ip_network(f"{address}/{int(bits)}", strict=False)
    except ValueError:
        raise KasError(f"failed to parse {CIDR} environment variable: invalid CIDR address: {cidr}") from None


def in_networks(networks: list[Network], addresses: list[Address]) -> list[str]:
    found = [str(address) for address in addresses if any(address in network for network in networks)]
    if not found:
        raise KasError(f"no IPs matched CIDR specified in the {CIDR} environment variable")
    return found


def listened_port(listener: Listener) -> str:
    """The port to publish beside a CIDR where none is given."""
    if listener.network == "unix":
        raise KasError(f"cannot determine port for own URL. Specify {PORT}")
    return listener.split()[1]


def split(address: str) -> tuple[str, str]:
    """Host and port, an IPv6 address without its brackets; raises KasError as net.SplitHostPort."""
    if ":" not in address:
        raise KasError(f"address {address}: missing port in address" if address else "missing port in address")
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        if not bracket:
            raise KasError(f"address {address}: missing ']' in address")
        if not port.startswith(":"):
            raise KasError(f"address {address}: missing port in address")
        port = port[1:]
    else:
        host, _colon, port = address.rpartition(":")
    if ":" in (port if address.startswith("[") else host):
        raise KasError(f"address {address}: too many colons in address")
    for bracket in "[]":
        if bracket in host + port:
            raise KasError(f"address {address}: unexpected '{bracket}' in address")
    return host, port


def join(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_unspecified(host: str) -> bool:
    """A wildcard in any of its spellings."""
    address = parse_address(host)
    return address is not None and (getattr(address, "ipv4_mapped", None) or address).is_unspecified


def is_internal(address: Address) -> bool:
    """A loopback or link-local address: no other node reaches it."""
    return address.is_loopback or address.is_link_local
