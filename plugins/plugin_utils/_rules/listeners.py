# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about where KAS listens. What a rule is: see the package."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    HostPort,
    host_port,
    ip_version,
    parse_url,
    unreachable_reason,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    INTERNAL_API_PORT,
    LISTEN_ADDRESSES,
    PRIVATE_API_PORT,
    PRIVATE_API_VARIABLES,
    TCP_ADDRESSES,
    Deployment,
    Host,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._nginx import PASSED_ON, serves_gitlab
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import (
    listed,
    listens_for_itself,
    source,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

SOCKET_PATH_BYTES = 107  # Linux's sockaddr_un holds 108, the last of them a NUL

# The package's own (attributes/default.rb).
_DEFAULT_PORTS = {
    "kas_listen_address": 8150,
    "kas_observability_listen_address": 8151,
    "kas_internal_api_listen_address": INTERNAL_API_PORT,
    "kas_kubernetes_api_listen_address": 8154,
    "kas_private_api_listen_address": PRIVATE_API_PORT,
}

_OTHER_IP_VERSION = {"tcp4": 6, "tcp6": 4}


@refusal()
def unix_sockets(host: Host, deployment: Deployment) -> Iterator[str]:
    values = host.values
    if not values["kas_unix_sockets"]:
        return
    if deployment.several:
        yield (
            "kas_unix_sockets is true, but KAS runs on several nodes, and none reaches the UNIX socket of another; set"
            " it to false"
        )
        return
    for name in (*PRIVATE_API_VARIABLES, "kas_internal_api_listen_address", "kas_internal_api_listen_network"):
        if values[name]:
            yield f"kas_unix_sockets is true, and {name} is {shown(listed(values[name]))}; set only one of them"
    for path in (host.private_api_socket, host.internal_api_socket):
        yield from _socket_path("kas_socket_dir", path)


@refusal()
def addresses(host: Host, deployment: Deployment) -> Iterator[str]:
    for api in ("kas_private_api", "kas_internal_api"):
        network, address = host.values[f"{api}_listen_network"], host.values[f"{api}_listen_address"]
        if (network == "unix") != address.startswith("/"):
            yield (
                f"{api}_listen_network is {shown(network)}, and {api}_listen_address is {shown(address)}; set network"
                " unix with the path of a socket, or another one with ADDRESS:PORT"
            )
        elif network == "unix":
            yield from _socket_path(f"{api}_listen_address", address)
    for name in TCP_ADDRESSES:
        if host.values[name].startswith("/"):
            yield f"{name} is {shown(host.values[name])}, but it takes no UNIX socket; set ADDRESS:PORT"
    for name in LISTEN_ADDRESSES:
        listener = host_port(host.values[name])
        if listener and ":" in listener.host:
            wildcard = "0.0.0.0" if name in PASSED_ON and serves_gitlab(host) is not False else ""
            yield (
                f"{name} is {shown(host.values[name])}, but the Linux package writes it into YAML without quotes, where"
                f" it is no text; set '{wildcard}:{listener.port}', or a name and the port"
            )


@refusal()
def known_to_the_node(host: Host, deployment: Deployment) -> Iterator[str]:
    """Names are resolved where KAS resolves them, and only the kernel knows where it may listen."""
    for name in LISTEN_ADDRESSES:
        listener = host_port(host.values[name])
        found = host.found_at(listener)
        if not listener or not found.get("problem"):
            continue
        where = found["address"]
        remedy = "set one that this node has" if where else "see that this node knows the name, or set an address"
        is_other = where not in (None, listener.host)
        yield (
            f"{name} is {shown(host.values[name])}, but on this node {listener.host}"
            f" {f'is {where}, which ' if is_other else ''}{found['problem']}, so KAS would not start; {remedy}, or a"
            f" wildcard, such as 0.0.0.0:{listener.port}"
        )


@refusal()
def ports(host: Host, deployment: Deployment) -> Iterator[str]:
    """One port is for one listener: of KAS itself, and of all programs of the node, which the kernel knows."""
    told = {name: where for name in LISTEN_ADDRESSES if (where := host_port(host.values[name]))}
    default = {name: where for name, where in _defaults(host, deployment).items() if name not in told}
    if host.values["kas_own_private_api_port"] and "kas_private_api_listen_address" in default:
        told["kas_own_private_api_port"] = default.pop("kas_private_api_listen_address")
    said: set[str] = set()
    for name, where in told.items():
        for other, there in {**default, **told}.items():
            if other != name and other not in said and where.port == there.port and _overlap(where.host, there.host):
                how = " by default" if other in default else ""
                yield (
                    f"{name} is {shown(host.values[name])}, but {other} is '{there}'{how}, and one port is for one"
                    " listener; set another port"
                )
        said.add(name)
        here = host.found_at(where).get("address") or where.host
        for taken in host.reported.get("ports") or []:
            # One whose name is not known may be the KAS itself, as it ends.
            if taken["program"] and where.port == taken["port"] and _overlap(here, taken["address"]):
                yield (
                    f"{name} is {shown(host.values[name])}, but on this node {taken['program']}"
                    f" listens on {HostPort(taken['address'], taken['port'])} already, so KAS would not start; set"
                    " another port"
                )
                break


def _defaults(host: Host, deployment: Deployment) -> dict[str, HostPort]:
    """Where KAS listens without being told."""
    ports = {**_DEFAULT_PORTS, "kas_private_api_listen_address": host.own_port}
    names = TCP_ADDRESSES if host.values["kas_unix_sockets"] else LISTEN_ADDRESSES
    found = {name: HostPort("localhost", ports[name]) for name in names}
    if deployment.several and "kas_private_api_listen_address" in found:
        found["kas_private_api_listen_address"] = HostPort("0.0.0.0", host.own_port)
    return found


def _overlap(one: str, other: str) -> bool:
    """Whether two listeners on the same port of these hosts would be in each other's way."""
    hosts = {"127.0.0.1" if host in ("localhost", "::1") else host for host in (one, other)}
    return len(hosts) == 1 or any(HostPort(host, 0).is_wildcard for host in hosts)


def _socket_path(variable: str, path: str) -> Iterator[str]:
    size = len(path.encode())
    if size > SOCKET_PATH_BYTES:
        yield (
            f"{variable} makes the socket path {shown(path)} of {size} bytes, but the path of a UNIX socket holds at"
            f" most {SOCKET_PATH_BYTES}; set a shorter one"
        )


@refusal()
def reach(host: Host, deployment: Deployment) -> Iterator[str]:
    """The others reach its URL, and it listens there."""
    values = host.values
    address = values["kas_private_api_listen_address"]
    if not deployment.several or values["kas_unix_sockets"]:
        return
    if address.startswith("/"):
        yield (
            f"kas_private_api_listen_address is {shown(address)}, but the other KAS nodes cannot reach a UNIX socket;"
            " set ADDRESS:PORT"
        )
        return
    reason = listens_for_itself(address)
    if reason:
        yield (
            f"kas_private_api_listen_address is {shown(address)}, which {reason}, so the other KAS nodes cannot reach"
            f" it; set 0.0.0.0:{PRIVATE_API_PORT}, or an address that they reach"
        )
        return
    here = host.found_at(host_port(address)).get("address")
    if here and unreachable_reason(f"grpc://{HostPort(here, PRIVATE_API_PORT)}"):
        yield (
            f"kas_private_api_listen_address is {shown(address)}, but on this node that name is {here}, so the other"
            " nodes cannot reach it; give the name another address there (/etc/hosts), or set"
            f" 0.0.0.0:{PRIVATE_API_PORT}"
        )
        return
    urls = deployment.urls.get(host.name, [])
    for url in urls:
        reason = unreachable_reason(url)
        if reason:
            yield (
                f"{source(host)}, which makes its own private API URL {url}; it {reason}, so the other KAS nodes"
                " cannot reach it; set kas_own_private_api_cidr to a network that they reach, or set"
                " kas_own_private_api_url"
            )
    hosts = [parse_url(url).host for url in urls]
    listener = host_port(address)
    is_fixed = listener and ip_version(listener.host) and not listener.is_wildcard
    if values["kas_own_private_api_cidr"] and listener and is_fixed and hosts and listener.host not in hosts:
        yield (
            f"kas_private_api_listen_address is {shown(address)}, but kas_own_private_api_cidr"
            f" {shown(listed(values['kas_own_private_api_cidr']))} makes {', '.join(hosts)} its own address; set an"
            " address of the same network, or leave the listen address out"
        )
    network = values["kas_private_api_listen_network"]
    for url in urls:
        if ip_version(parse_url(url).host) == _OTHER_IP_VERSION.get(network, 0):
            yield (
                f"kas_private_api_listen_network is '{network}', but {source(host)}, which makes its own private API"
                f" URL {url}, where it would not listen; leave the network out, or set a URL or CIDR that fits it"
            )
