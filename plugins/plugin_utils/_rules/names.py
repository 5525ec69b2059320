# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about names, each of which is what the node that asks for it makes of it. What a rule is: see rule.py."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    HostPort,
    ip_version,
    parse_url,
    unreachable_reason,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    PRIVATE_API_PORT,
    Deployment,
    Host,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import source
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.urls import same_url
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown


@refusal(unless=same_url)
def own_url(host: Host, deployment: Deployment) -> Iterator[str]:
    """Other KAS call it at the URL that it publishes; they must not call themselves or somebody else."""
    yield from _said(host, deployment, is_certain=True)


@warning(where="kas")
def own_url_elsewhere(host: Host, deployment: Deployment) -> Iterator[str]:
    """The address may be translated on the way, which only those know who made the network."""
    yield from _said(host, deployment, is_certain=False)


@refusal(where="rails", roles=("kas_rails",))
def internal_url(host: Host, deployment: Deployment) -> Iterator[str]:
    """Rails on a node without KAS."""
    url = host.values["kas_internal_url"]
    for name in host.names if url and deployment.kas and host.in_play and not host.runs_kas else ():
        problem = host.resolved(name).get("problem")
        if problem:
            yield (
                f"kas_internal_url is {shown(url)}, but on this node {name} {problem}, so Rails would not reach KAS;"
                " see that this node knows the name, or set a URL with an address"
            )


def _said(host: Host, deployment: Deployment, *, is_certain: bool) -> Iterator[str]:
    """What is wrong with its own URL on the nodes that call it, certainly or unless the network leads there."""
    for url in deployment.urls.get(host.name, []) if deployment.several else ():
        if unreachable_reason(url):
            continue
        name = parse_url(url).host
        there: dict[str, list[str]] = {}
        others = [other for other in deployment.kas if other is not host]
        for peer in others[:1] if ip_version(name) else others:  # an address is the same everywhere
            for is_sure, text in _faults(name, host, peer, deployment):
                if is_sure is is_certain:
                    there.setdefault(text, []).append(peer.name)
        for text, peers in there.items():
            where = "" if ip_version(name) else f"on {', '.join(peers)} "
            yield f"{source(host)}, but {where}{text}"


def _faults(name: str, host: Host, peer: Host, deployment: Deployment) -> Iterator[tuple[bool, str]]:
    """Whether another node surely does not reach a host by this name or address, and what is wrong, as a sentence."""
    found, own = peer.resolved(name), deployment.addresses[host.name]
    if found.get("problem"):
        yield (
            True,
            f"{name} {found['problem']}, so KAS there cannot call this one; see that every KAS node knows the name"
            " (DNS, /etc/hosts), or set a URL with an address",
        )
    is_name = ip_version(name) is None
    for address in found.get("addresses", ()) if own else ():
        name_is = f"{name} is {address}," if is_name else f"{address} is"
        remedy = f"set one of this node's addresses, such as grpc://{HostPort(own[0], PRIVATE_API_PORT)}"
        if is_name:
            remedy = f"give the name an address of this node there (DNS, /etc/hosts), or {remedy}"
        owner = deployment.owners.get(address, "")
        if is_name and (ip_address(address).is_loopback or address in deployment.addresses[peer.name]):
            yield True, f"{name} is {address}, that node itself, so KAS there would call itself; {remedy}"
        elif owner and address not in own:
            yield True, f"{name_is} an address of {owner}; {remedy}"
        elif address not in own:
            yield (
                False,
                f"{name_is} none of this node's addresses ({', '.join(own)}); see that it leads to this node and to no"
                f" other, or {remedy}",
            )
