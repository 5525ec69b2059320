# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several deployments in one inventory: which hosts are one, and what two of them must not share."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import combinations

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    GROUPS,
    KAS_GROUP,
    RAILS_GROUP,
    Host,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

_REDIS_PORT = 6379
_LIKE_OURS = re.compile("^(?!__kas_).*(kas|gitlab)", re.IGNORECASE)  # not the groups of our own plays


def deployments(hosts: Sequence[Host]) -> dict[str, list[Host]]:
    """The hosts of each deployment that this job is about, by its name; '' is that of hosts without a name.

    A job may take one, some or all of them: with none of its hosts in the play, a deployment is left alone.
    """
    parts: dict[str, list[Host]] = {}
    for host in hosts:
        parts.setdefault(_name(host), []).append(host)
    return {name: members for name, members in parts.items() if any(host.in_play for host in members)}


def deployment_refusals(hosts: Sequence[Host]) -> list[Sentence]:
    """What is wrong with how the hosts are parted, before any of them is planned for."""
    found = []
    for name, members in deployments(hosts).items():
        # Without a name it is the whole inventory, of which node_refusals() says the same.
        if name and not any(KAS_GROUP in host.groups for host in members):
            text = (
                f"kas_deployment is {shown(name)}, but no host of group {KAS_GROUP} has that; correct it, or give a KAS"
                " node the same."
            )
            found.append(Sentence(tuple(host.name for host in members), text))
    for one, other in _pairs(hosts):
        if not (one.in_play or other.in_play):
            continue
        redis = sorted(_redis(one) & _redis(other))
        if redis:
            text = (
                f"but they use the same Redis {redis[0]}, in which every KAS finds every other one; set a Redis of its"
                " own for each, or the same kas_deployment."
            )
            found.append(_of_both(one, other, text))
        elif _addresses(one) and _addresses(one) == _addresses(other):
            text = (
                f"but they have the same addresses {', '.join(sorted(_addresses(one)))}, so they are one machine; take"
                " one of the names out of the inventory's groups, or set the same kas_deployment."
            )
            found.append(_of_both(one, other, text))
    return found


def nothing_to_do(groups: Mapping[str, Sequence[str]], in_play: Collection[str], limit: str) -> str:
    """Why a run on these hosts would do nothing, as a sentence: by the inventory's groups, or a limit; '' if not."""
    if not groups.get(KAS_GROUP):
        others = ", ".join(sorted(name for name in groups if _LIKE_OURS.search(name) and name not in GROUPS))
        return (
            f"The inventory's group {KAS_GROUP} has no host, and what is in {others} does not count; put the nodes that"
            " run KAS into it."
            if others
            else f"The inventory's group {KAS_GROUP} has no host; put the nodes that run KAS into it."
        )
    if limit and not any(name in in_play for group in GROUPS for name in groups.get(group, ())):
        return (
            f"The limit {shown(limit)} leaves out every host of the groups {' and '.join(GROUPS)}; name nodes in it, or"
            " leave it out."
        )
    return ""


def misnamed_groups(groups: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The inventory's groups whose names are almost ours, with hosts that are not in ours, as sentences."""
    for name in sorted(groups):
        meant = nearest(name, GROUPS)
        hosts = [host for host in groups[name] if meant and host not in groups.get(meant, ())]
        if hosts:
            yield (
                f"the inventory has a group {name} with {', '.join(hosts)}, which is not {meant}, so it does nothing;"
                f" name it {meant}, or put its hosts into that one, too."
            )


def inventory_refusals(hosts: Sequence[Host], slice_of: str = "") -> list[Sentence]:
    """Whether the job's inventory holds every node of its deployments: a part alone would get secrets of its own.

    slice_of: the job template of which this job is a slice, as AWX makes them of a part of the inventory's hosts.
    """
    found = []
    if slice_of:
        text = (
            f"this job is a slice of the job template {shown(slice_of)}, so its inventory has only a part of the nodes;"
            " set the template's number of slices to 1. If it is none, give the workflow another name than the"
            " template's."
        )
        found.append(Sentence(tuple(host.name for host in hosts if host.in_play), text))
    for members in deployments(hosts).values():
        names = tuple(host.name for host in members)
        expected = {tuple(sorted(host.values["kas_expected_nodes"])) for host in members}
        if len(expected) > 1:
            found.append(Sentence(names, "their kas_expected_nodes differs; set it once for all of them."))
        elif expected != {()}:
            found += [Sentence(names, text) for text in _unexpected(expected.pop(), names)]
    return found


def _unexpected(expected: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    remedy = (
        "take the slices off the job template, enable hosts that are disabled, or correct kas_expected_nodes."
        " To leave nodes out of a run, use a limit"
    )
    if len(expected) == 1 and expected[0].isdecimal():
        if int(expected[0]) > len(names):
            yield (
                f"kas_expected_nodes is {expected[0]}, but the job's inventory has only {len(names)} of them; {remedy}."
            )
        elif int(expected[0]) < len(names):
            yield f"kas_expected_nodes is {expected[0]}, but the inventory has {len(names)} nodes; correct it."
        return
    missing = [name for name in expected if name not in names]
    others = [name for name in names if name not in expected]
    if missing:
        yield (
            f"kas_expected_nodes names {', '.join(map(shown, missing))}, not found in the groups {KAS_GROUP} and"
            f" {RAILS_GROUP} of the job's inventory; {remedy}."
        )
    if others:
        yield f"kas_expected_nodes does not name {', '.join(map(shown, others))}; add what is new."


def url_refusals(hosts: Sequence[Host], own_urls: Mapping[str, Sequence[str]]) -> list[Sentence]:
    """Two deployments whose KAS have the same private API URL."""
    return [
        _of_both(one, other, f"but they have the same private API URL {url}; set an address of its own for each.")
        for one, other in _pairs(hosts)
        for url in own_urls.get(one.name, ())
        if url in own_urls.get(other.name, ()) and not url.startswith("unix://") and not _is_local(url)
    ]


def _pairs(hosts: Sequence[Host]) -> Iterator[tuple[Host, Host]]:
    """Any two hosts of different deployments."""
    return ((one, other) for one, other in combinations(hosts, 2) if _name(one) != _name(other))


def _name(host: Host) -> str:
    return str(host.values["kas_deployment"])


def _of_both(one: Host, other: Host, text: str) -> Sentence:
    """A sentence about two hosts of different deployments."""
    names = " and ".join(shown(_name(host)) if _name(host) else "none" for host in (one, other))
    return Sentence((one.name, other.name), f"their kas_deployment differs ({names}), {text}")


def _redis(host: Host) -> set[str]:
    """Where the Redis of a KAS node is, as far as kas_redis says it; what is on the node itself is nobody else's."""
    redis = host.values["kas_redis"] if host.runs_kas else {}
    places = {f"{each['host']}:{each['port']}" for each in redis.get("sentinels", ())}
    if redis.get("host") and not places:
        places = {f"{redis['host']}:{redis.get('port') or _REDIS_PORT}"}
    return {place for place in places if not _is_local(f"//{place}")}


def _addresses(host: Host) -> frozenset[str]:
    """The addresses of a node that are its own in the network."""
    addresses = map(ip_address, host.reported.get("addresses") or ())
    return frozenset(str(each) for each in addresses if not (each.is_loopback or each.is_link_local))


def _is_local(url: str) -> bool:
    """Whether a URL leads back to whoever asks."""
    host = url.rpartition("//")[2].rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")
