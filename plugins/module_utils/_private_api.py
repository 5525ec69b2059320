# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a KAS names itself: the URL of its private API, which it publishes in Redis for the other KAS.

KAS takes that URL from OWN_PRIVATE_API_URL, or works it out from OWN_PRIVATE_API_CIDR and the host's addresses,
or from its listener. The rules are KAS's own. Up to GitLab 17.7 there is one URL: constructOwnUrl in
kasapp/private_api_server.go. From 17.8 there may be several: options 1 to 3 in GitLab's documentation,
administration/clusters/kas.

own_private_api_url and own_private_api_urls take the same options:

- url (OWN_PRIVATE_API_URL): used as it is.
- cidr (OWN_PRIVATE_API_CIDR): text, several separated by commas, or a list; host bits are allowed.
- port (OWN_PRIVATE_API_PORT): 1 to 65535, a number or text; without it, the listener's.
- scheme (OWN_PRIVATE_API_SCHEME): grpc, the default, or grpcs.
- listen_network (private_api_listen_network): tcp, the default, tcp4, tcp6 or unix.
- listen_address (private_api_listen_address): HOST:PORT, by default localhost:8155, or the path of a socket.

As in KAS, an empty text is the same as nothing given; an empty listen_network or listen_address is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple, Union

Address = Union[IPv4Address, IPv6Address]
Network = Union[IPv4Network, IPv6Network]

# net.ParseCIDR and netip.ParsePrefix take neither a netmask nor a bare address; ipaddress would.
_CIDR = re.compile(r"[0-9A-Fa-f:.]+/(?:0|[1-9][0-9]{0,2})")
# net.SplitHostPort: a name, an IPv4 address or nothing, or an IPv6 address in brackets; then the port.
_HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+(?:%[^\]\s]+)?)\]|(?P<host>[^\s:/?#@\[\]]*))(?::(?P<port>.*))?")
_URL = re.compile(r"(?P<scheme>grpcs?)://(?P<authority>[^/]+)/?|unix://(?P<path>/.+)")
# The names that the /etc/hosts of Debian and Red Hat give the loopback addresses, and RFC 6761's .localhost.
_LOOPBACK_NAME = re.compile(r"(?:.+\.)?localhost[46]?(?:\.localdomain[46]?)?|ip6-(?:localhost|loopback)")
# HostWithPort in KAS's grpctool/tools.go: where its peers connect if the URL names no port.
_DEFAULT_PORTS = {"grpc": 80, "grpcs": 443}
_IP_VERSIONS = {"tcp": (4, 6), "tcp4": (4,), "tcp6": (6,)}


class PrivateApiError(Exception):
    """KAS cannot name itself so; the text is one sentence: what was found, and what to give.

    A ``remedy`` names options in braces, ``{cidr}``, since variables of a role have other names than options.
    """

    def __init__(self, found: str, remedy: str = "") -> None:
        self._found, self._remedy = found, remedy
        super().__init__(self.sentence())

    def sentence(self, prefix: str = "") -> str:
        """The text, with this before the names of options."""
        remedy = self._remedy.format(cidr=f"{prefix}cidr", url=f"{prefix}url")
        return f"{self._found}; {remedy}." if remedy else self._found


_ONE_OF_THEM = "set {cidr} to a network that contains exactly one of them, or set {url}"


class HostPort(NamedTuple):
    """HOST:PORT, where something listens on TCP."""

    host: str  # a name, or an address without brackets; empty for all addresses of the node
    port: int

    @property
    def is_wildcard(self) -> bool:
        ip = _ip(self.host)
        return not self.host or (ip is not None and ip.is_unspecified)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Endpoint(NamedTuple):
    """Where a URL leads: a host and its TCP port, or (scheme unix) the path of a socket."""

    scheme: str
    host: str
    port: int | None
    path: str


def addresses(candidates: object) -> list[str]:
    """A host's addresses as KAS prints them, in the order given, each once; raises PrivateApiError.

    That is Go's net.IP.String(): compressed, without a zone, an IPv4-mapped IPv6 address as IPv4.
    """
    if not isinstance(candidates, Sequence) or isinstance(candidates, (str, bytes)):
        raise PrivateApiError(f"The host's addresses must be a list, not {_kind(candidates)}.")
    return list(dict.fromkeys(str(_address(candidate)) for candidate in candidates))


def own_private_api_url(candidates: object, **options: Any) -> str:
    """The one URL of a KAS on a host with these addresses, fit for OWN_PRIVATE_API_URL of every version.

    Exactly one address must lie in cidr, else PrivateApiError. Without url and cidr the result is the listener's
    address as it stands, whatever port says.
    """
    settings = _Settings(**options)
    known = addresses(candidates)
    if settings.url:
        return settings.url
    if settings.networks:
        hosts = _matches(known, settings.networks)
        if len(hosts) > 1:
            raise PrivateApiError(
                f"Several of the host's addresses lie in {_listed(settings.networks)} ({_listed(hosts)}),"
                " but one URL takes one",
                _ONE_OF_THEM,
            )
        return settings.url_of(hosts[0])
    listener = settings.known_listener()
    if not listener.where:
        return f"unix://{listener.address}"
    if listener.where.is_wildcard:  # KAS up to 17.7 refuses it too, but for :8155, which it took over as grpc://:8155
        raise PrivateApiError(
            f"listen_address {listener.address} stands for all of the host's addresses ({_listed(known)}),"
            " but one URL takes one",
            _ONE_OF_THEM,
        )
    return f"{settings.scheme}://{listener.address}"


def own_private_api_urls(candidates: object, **options: Any) -> list[str]:
    """The URLs, at least one, that a KAS of GitLab 17.8 or later publishes on a host with these addresses.

    KAS would also resolve a name that it listens on; here the name stays.
    """
    settings = _Settings(**options)
    known = addresses(candidates)
    if settings.url:
        return [settings.url]
    if settings.networks:
        hosts = _matches(known, settings.networks)
    else:
        listener = settings.known_listener()
        if not listener.where:
            return [f"unix://{listener.address}"]
        hosts = _published(known, listener, listener.where)
    return [settings.url_of(host) for host in hosts]


def parse_url(url: object) -> Endpoint:
    """Where a private API URL leads the other KAS, by the rules of their connection pool (grpctool/pool.go)."""
    text = _text("The URL of a private API", url)
    parts = _URL.fullmatch(text)
    if parts and parts["path"]:
        return Endpoint("unix", "", None, parts["path"])
    where = host_port(parts["authority"], _DEFAULT_PORTS[parts["scheme"]]) if parts else None
    if not parts or not where or not where.host:
        raise PrivateApiError(
            f"{text!r} is not the URL of a private API;"
            " give grpc://HOST:PORT, grpcs://HOST:PORT or unix:///PATH, with an IPv6 address in brackets."
        )
    return Endpoint(parts["scheme"], *where, "")


def unreachable_reason(url: object) -> str | None:
    """Why other hosts cannot reach a KAS at this URL, as what follows the URL in a sentence; None if they may."""
    endpoint = parse_url(url)
    if endpoint.scheme == "unix":
        return "is a UNIX socket"
    if _LOOPBACK_NAME.fullmatch(endpoint.host.lower().rstrip(".")):
        return "is a loopback name"
    ip = _ip(endpoint.host)
    if ip is None:
        return None
    if ip.is_unspecified:
        return "is a wildcard address"
    if ip.is_loopback:
        return "is a loopback address"
    return "is a link-local address" if ip.is_link_local else None


class _Listener(NamedTuple):
    """Where KAS listens for other KAS: HOST:PORT, or a UNIX socket and where is None."""

    network: str
    address: str
    where: HostPort | None


class _Settings:
    """The options of own_private_api_url and own_private_api_urls, checked one by one and together."""

    def __init__(
        self,
        *,
        url: object = None,
        cidr: object = None,
        port: object = None,
        scheme: object = "grpc",
        listen_network: object = "tcp",
        listen_address: object = "localhost:8155",
    ) -> None:
        self.url = _text("url", url)
        self.networks = _networks(cidr)
        self.scheme = _choice("scheme", scheme, _DEFAULT_PORTS) or "grpc"
        self._port = _port(port)
        self._listener = _listener(
            _choice("listen_network", listen_network, [*_IP_VERSIONS, "unix"]),
            _text("listen_address", listen_address),
        )
        if self.url and self.networks:
            raise PrivateApiError(
                f"url ({self.url}) and cidr ({_listed(self.networks)}) are both given, but KAS takes only one of them;"
                " leave one out."
            )

    def known_listener(self) -> _Listener:
        if self._listener is None:
            raise PrivateApiError(
                "Neither url nor cidr is given, and the listener is not known;"
                " give one of the two, or both listen_network and listen_address."
            )
        return self._listener

    def url_of(self, host: str) -> str:
        """The URL of an address or a name, with the given port, else the listener's."""
        port = self._port or (self._listener.where.port if self._listener and self._listener.where else None)
        if port is None:
            raise PrivateApiError(
                f"The port for the URL of {host} is not known, because the listener names none; give port."
            )
        return f"{self.scheme}://{HostPort(host, port)}"


def _matches(known: list[str], networks: Mapping[str, Network]) -> list[str]:
    """Those of the host's addresses that lie in one of the networks: at least one."""
    if not known:
        raise PrivateApiError(
            f"None of the host's addresses is known, so none can lie in {_listed(networks)};"
            " gather the host's network facts first, or give a list of addresses."
        )
    found = [host for host in known if any(ip_address(host) in network for network in networks.values())]
    if not found:
        raise PrivateApiError(
            f"None of the host's addresses ({_listed(known)}) lies in {_listed(networks)}",
            "set {cidr} to a network that contains one of them, or set {url}",
        )
    return found


def _published(known: list[str], listener: _Listener, where: HostPort) -> list[str]:
    """The hosts that KAS 17.8 or later publishes for a TCP listener without a CIDR: at least one."""
    fixed = _ip(where.host)
    if where.is_wildcard:
        ips = [ip for ip in map(ip_address, known) if not (ip.is_loopback or ip.is_link_local)]
    elif fixed is None:
        return [where.host]
    else:
        ips = [fixed]
    published = [str(ip) for ip in ips if ip.version in _IP_VERSIONS[listener.network]]
    if not published:
        raise PrivateApiError(
            f"A listener on {listener.network} {listener.address} leaves KAS nothing to publish of the host's"
            f" addresses ({_listed(known)}), loopback and link-local ones not counted",
            "set {cidr} or {url}",
        )
    return published


def _networks(cidr: object) -> dict[str, Network]:
    """What cidr holds: each network by its text."""
    if cidr is None or cidr == "":
        return {}
    networks = {}
    for text in cidr if isinstance(cidr, Sequence) and not isinstance(cidr, str) else [cidr]:
        if not isinstance(text, str):
            raise PrivateApiError(f"cidr must be text or a list of texts, but there is {_kind(text)}.")
        networks.update({part.strip(): _network(part.strip()) for part in text.split(",")})
    return networks


def _network(text: str) -> Network:
    try:
        if _CIDR.fullmatch(text):
            return ip_network(text, strict=False)
    except ValueError:
        pass
    raise PrivateApiError(
        f"{text!r} in cidr is not a network; give an address and a prefix length, such as 10.0.0.0/8 or fd00::/8."
    )


def _port(port: object) -> int | None:
    if port is None or port == "":
        return None
    number = _port_number(str(port)) if isinstance(port, (str, int)) else None
    if number is None:
        shown = repr(port) if isinstance(port, (str, int, float)) else _kind(port)
        raise PrivateApiError(f"port must be a whole number from 1 to 65535, not {shown}.")
    return number


def _choice(name: str, value: object, choices: Iterable[str]) -> str:
    text = _text(name, value)
    if text and text not in choices:
        raise PrivateApiError(f"{name} must be one of {_listed(choices)}, not {text!r}.")
    return text


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise PrivateApiError(f"{name} must be text, not {_kind(value)}.")
    return value


def _listener(network: str, address: str) -> _Listener | None:
    """The listener, None if it is not known."""
    if not network or not address:
        return None
    if network == "unix":
        return _Listener(network, address, None)
    where = host_port(address)
    if where is None:
        raise PrivateApiError(
            f"listen_address must be HOST:PORT, such as 10.0.0.1:8155, [fd00::1]:8155 or :8155, not {address!r}."
        )
    return _Listener(network, address, where)


def host_port(text: str, default_port: int | None = None) -> HostPort | None:
    """The two parts of HOST:PORT; None if the text is not that."""
    parts = _HOST_PORT.fullmatch(text)
    if not parts or (parts["ipv6"] and not _ip(parts["ipv6"])):
        return None
    port = default_port if parts["port"] is None else _port_number(parts["port"])
    return HostPort(parts["ipv6"] or parts["host"], port) if port else None


def ip_version(host: str) -> int | None:
    """4 or 6 of an address, None of a name."""
    ip = _ip(host)
    return ip.version if ip else None


def _port_number(text: str) -> int | None:
    number = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    return number if 1 <= number <= 65535 else None


def _address(candidate: object) -> Address:
    if not isinstance(candidate, str):
        raise PrivateApiError(f"An address of a host must be text, not {_kind(candidate)}.")
    ip = _ip(candidate)
    if ip is None:
        raise PrivateApiError(
            f"{candidate!r} is not an IP address; give the host's addresses alone, such as 10.0.0.1 or fd00::1,"
            " without a prefix length."
        )
    return ip


def _ip(text: str) -> Address | None:
    """The address as Go's net.IP holds it, without a zone and IPv4-mapped as IPv4; None if it is none."""
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    if isinstance(ip, IPv6Address):
        return ip.ipv4_mapped or IPv6Address(int(ip))
    return ip


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts) or "none known"


def _kind(value: object) -> str:
    """What a value is in YAML's words."""
    if value is None:
        return "null"
    kinds: list[tuple[Any, str]] = [
        (bool, "a boolean"),
        (str, "text"),
        ((int, float), "a number"),
        (Mapping, "a mapping"),
        (Sequence, "a list"),
    ]
    return next((kind for types, kind in kinds if isinstance(value, types)), f"a {type(value).__name__}")
