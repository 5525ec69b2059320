# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a deployment: sentences that forbid it or warn, or else what every node's gitlab.rb should say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import Choice, Found, Node, choose
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _rules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    KAS_GROUP,
    Deployment,
    Host,
    Part,
    kas_part,
    rails_part,
    secret_names,
    secrets_part,
    tls_names,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._upgrade import upgrade


@dataclass
class Plan:
    """What a deployment comes to; with refusals there is nothing else but what an upgrade means."""

    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    upgrade: list[str] = field(default_factory=list)  # what breaks or changes on the way to kas_target_version
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)  # host → role → settings, for hosts of the play
    own_urls: dict[str, list[str]] = field(default_factory=dict)  # host → its private API's URLs, if decided here
    peer_urls: dict[str, list[str]] = field(default_factory=dict)  # host → those that others should reach by now
    tls_names: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # host → API → names in its certificate
    secret_names: dict[str, list[str]] = field(default_factory=dict)  # host → the secrets that it shares
    socket_dirs: dict[str, str] = field(default_factory=dict)  # host → the directory that its sockets need
    spare_dirs: dict[str, str] = field(default_factory=dict)  # host → such a directory that no socket needs any more


ROLES = ("kas", "kas_rails", "kas_secrets")


def make_plan(hosts: Sequence[Host], roles: Collection[str] = ROLES, *, seed: bytes) -> Plan:
    """Decide what these roles should write into the gitlab.rb of every host. seed makes the secrets that no node has.

    Only what the roles are about is checked: a role may be used without the variables of the others.
    """
    deployment = Deployment(hosts)
    to_come = upgrade(hosts, roles)
    forbidden = _rules.refusals(deployment, roles)
    if forbidden:
        return Plan(refusals=forbidden, upgrade=to_come)
    # KAS nodes first: with equal claims the first one's secret is taken.
    ordered = sorted(deployment.hosts, key=lambda host: not host.runs_kas)
    given = {name: value for host in deployment.hosts for name, value in host.values["kas_secrets_values"].items()}
    choice = choose([_secret_node(host) for host in ordered], seed=seed, given=given)
    forbidden = _rules.secret_refusals(deployment, choice)
    if forbidden and "kas_secrets" in roles:
        return Plan(refusals=forbidden, upgrade=to_come)
    parts = {host.name: _parts(host, deployment, choice, roles) for host in deployment.hosts if host.in_play}
    left = [f"{name}: {text}." for name, of_host in parts.items() for part in of_host.values() for text in part.left]
    return Plan(
        warnings=_rules.warnings(deployment, choice) + left,
        upgrade=to_come,
        parts=parts,
        own_urls={host.name: deployment.urls.get(host.name, []) for host in deployment.kas if deployment.manages(host)},
        peer_urls={host.name: _peer_urls(host, deployment) for host in deployment.kas},
        tls_names={host.name: tls_names(host, deployment) for host in deployment.kas},
        secret_names={host.name: secret_names(host, deployment) for host in deployment.hosts},
        socket_dirs={
            host.name: host.values["kas_socket_dir"] for host in deployment.kas if host.values["kas_unix_sockets"]
        },
        spare_dirs={
            host.name: host.values["kas_socket_dir"]
            for host in hosts
            if KAS_GROUP in host.groups and not host.needs_socket_dir
        },
    )


def _parts(host: Host, deployment: Deployment, choice: Choice, roles: Collection[str]) -> dict[str, Part]:
    parts: dict[str, Callable[[], Part]] = {
        "kas": lambda: kas_part(host, deployment),
        "kas_rails": lambda: rails_part(host, deployment),
        "kas_secrets": lambda: secrets_part(host, deployment, choice),
    }
    return {role: parts[role]() for role in roles}


def _peer_urls(host: Host, deployment: Deployment) -> list[str]:
    """A node outside of the play counts as a peer once it publishes what it should."""
    published = host.reported.get("own_private_api_urls") or []
    return [url for url in deployment.urls.get(host.name, []) if host.in_play or url in published]


def _secret_node(host: Host) -> Node:
    sources = {name: found["source"] for name, found in (host.reported.get("secrets") or {}).items()}
    found = {name: Found(value, sources[name]) for name, value in host.secrets.items()}
    runs_kas = bool(host.reported.get("enabled"))
    return Node(host.name, host.in_rails, found, runs_kas, host.runs_kas, host.is_configured)
