# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a deployment: sentences that forbid it or warn, or else what every node's gitlab.rb should say."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import TRUSTED_CERTS
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import merged
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import Random
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _rules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._certificates import (
    certificate_refusals,
    certificates,
    read_at_start,
)
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
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployments import (
    deployment_refusals,
    deployments,
    inventory_refusals,
    url_refusals,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, read
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._outside import jobs
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_data import report_path
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence, joined, of, with_fails
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._upgrade import upgrade


@dataclass
class Plan:
    """What a deployment comes to; with refusals there is nothing else but what an upgrade means."""

    refusals: list[Sentence] = field(default_factory=list)
    warnings: list[Sentence] = field(default_factory=list)
    upgrade: list[str] = field(default_factory=list)  # what breaks or changes on the way to kas_target_version
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)  # host → role → settings, for hosts of the play
    own_urls: dict[str, list[str]] = field(default_factory=dict)  # host → its private API's URLs, if decided here
    peer_urls: dict[str, list[str]] = field(default_factory=dict)  # host → those that others should reach by now
    tls_names: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # host → API → names in its certificate
    secret_names: dict[str, list[str]] = field(default_factory=dict)  # host → the secrets that it shares
    socket_dirs: dict[str, str] = field(default_factory=dict)  # host → the directory that its sockets need
    spare_dirs: dict[str, str] = field(default_factory=dict)  # host → such a directory that no socket needs any more
    outside: list[dict[str, Any]] = field(default_factory=list)  # who tries agents' way to KAS, and how

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)  # host → what the tasks need to know of it
    serial: str = ""  # how many nodes change at a time
    report_path: str = ""  # where on the controller the report goes; '' for nowhere


# What the roles keep of a plan, and what is said where there is none.
PLAN = "__kas_plan"
NO_PLAN = "There is no plan, and nothing is done without; leave out --skip-tags always, and plan before anything else."

WRITERS = ("kas", "kas_rails", "kas_secrets")  # the roles that write into gitlab.rb
HOOKS = ("kas_before_node_tasks", "kas_after_node_tasks")  # files of tasks around the turn of a node
ROLES = (*WRITERS, "kas_certificates")


def plan(
    gathered: Sequence[Gathered],
    roles: Collection[str] = ROLES,
    *,
    slice_of: str = "",
    ignored: Sequence[str] = (),
    random: Random = os.urandom,
) -> Plan:
    """Plan for every host that Ansible knows of, from its variables to what is to be done there.

    slice_of: the job template of AWX of which this job is a slice; '' if it is none. ignored: a sentence for each file
    of variables that Ansible does not read, of which everything else that is wrong may follow. Nothing is planned
    before every node answers and every variable can be what it is.
    """
    if ignored:
        names = tuple(each.name for each in gathered if each.in_play)
        return Plan([Sentence(names, text, fails=names) for text in ignored])
    doubts = _unset(gathered)
    found = [(each, *read(each)) for each in gathered]
    everybody = [host for _each, host, _wrong in found]
    parts = deployments(everybody)
    hosts = [host for part in parts.values() for host in part]
    doubts += [sentence for each, host, _wrong in found if host in hosts for sentence in _misspelt(each)]
    refusals = [sentence for _each, host, wrong in found if host in hosts for sentence in of(host.name, wrong)]
    path, differing = report_path(hosts)
    refusals += inventory_refusals(everybody, slice_of)
    refusals += _rules.node_refusals(hosts) + deployment_refusals(everybody) + differing
    if refusals:
        return Plan(refusals=_refused(refusals, everybody), warnings=joined(doubts), report_path=path)
    if {"kas", "kas_certificates"}.intersection(roles):
        refusals += [
            Sentence((host.name,), f"{text}.") for host in hosts if host.in_play for text in certificate_refusals(host)
        ]
    made = _joined([make_plan(part, roles, random=random) for part in parts.values()])
    refusals += made.refusals or url_refusals(hosts, made.own_urls)
    if refusals:
        return Plan(_refused(refusals, everybody), joined(doubts), made.upgrade, report_path=path)
    of_nodes = [
        Sentence((host.name,), text) for host in hosts if host.in_play for text in host.reported.get("warnings") or []
    ]
    made.warnings = joined([*doubts, *made.warnings, *of_nodes])
    made.nodes = {host.name: _node(host, made) for host in hosts}
    made.serial = next(host.values["kas_serial"] for host in hosts if host.in_play)
    made.report_path = path
    return made


def _unset(gathered: Sequence[Gathered]) -> list[Sentence]:
    """Whether nobody has set anything: one node may mean that, and group_vars in the wrong place look the same."""
    if any(each.errors or any(value is not None for value in each.variables.values()) for each in gathered):
        return []
    text = (
        "no variable of this collection is set on any host, so all have their defaults. If you have set some: Ansible"
        " reads group_vars and host_vars beside the inventory, and beside a playbook, but not beside one that only"
        " imports a playbook of this collection."
    )
    return [Sentence(tuple(each.name for each in gathered if each.in_play), text)]


def _misspelt(gathered: Gathered) -> list[Sentence]:
    return of(
        gathered.name,
        (
            f"{name} is not a variable of this collection, so it does nothing; if you mean {near}, correct it."
            for name, near in gathered.misspelt.items()
            if name not in gathered.meant
        ),
    )


def _refused(refusals: Sequence[Sentence], hosts: Sequence[Host]) -> list[Sentence]:
    in_play = [host.name for host in hosts if host.in_play]
    return with_fails(joined(refusals), in_play, {host.name: host.values["kas_deployment"] for host in hosts})


def _joined(plans: Sequence[Plan]) -> Plan:
    """One plan of several, each for hosts of its own."""
    whole = Plan()
    for each in plans:
        for name, value in vars(each).items():
            joined = getattr(whole, name)
            if isinstance(joined, dict):
                joined.update(value)
            elif isinstance(joined, list):
                joined.extend(value)
    return whole


def inputs(host: Host) -> dict[str, list[str]]:
    """The files beside gitlab.rb whose change makes a reconfigure or a restart of KAS pending.

    A reconfigure makes every service trust new authorities, but it does not restart KAS for that.
    """
    trusted = [str(TRUSTED_CERTS)] if certificates(host) or not host.is_present else []
    settings = [host.values["kas_gitlab_rb_include"]] if host.values["kas_gitlab_rb_include"] else []
    settings += [file for file in host.reported.get("included_files") or [] if file not in settings]
    return {"inputs": [*trusted, *settings], "restart_inputs": [*trusted, *read_at_start(host)]}


def _node(host: Host, plan: Plan) -> dict[str, Any]:
    """What the tasks need to know of a host. Its settings hold secrets."""
    secrets = plan.secret_names.get(host.name, [])
    return {
        "deployment": host.values["kas_deployment"],
        "state": "present" if host.is_present else "reverted",
        "runs_kas": host.runs_kas,
        "own_urls": plan.own_urls.get(host.name, []),
        "peer_urls": plan.peer_urls.get(host.name, []),
        "secrets": secrets,
        **dict(zip(("user", "group"), host.account, strict=True)),
        "socket_dir": plan.socket_dirs.get(host.name, ""),
        "spare_dir": plan.spare_dirs.get(host.name, ""),
        "certificates": certificates(host, plan.tls_names.get(host.name, {})),
        "min_valid_days": host.values["kas_certificate_min_valid_days"],
        "reconfigure": {**inputs(host), "timeout_s": host.values["kas_reconfigure_timeout_s"]},
        "ready_timeout_s": host.values["kas_ready_timeout_s"],
        "rolls_back": host.values["kas_rollback"],
        "hooks": {name: host.values[name] for name in HOOKS},
        "asks_kas": host.in_rails and "api_secret_key" in secrets and host.values["kas_probe_call"],
        "probe": {
            "call": "private_api" if host.values["kas_probe_call"] else "none",
            "server_name": host.values["kas_own_private_api_host"] or None,
            "timeout_s": host.values["kas_probe_timeout_s"],
        },
        "gitlab_rb": {
            "path": host.values["kas_gitlab_rb_path"],
            "include": host.values["kas_gitlab_rb_include"] or None,
            "backup": host.values["kas_gitlab_rb_backup"],
        },
        "parts": {role: _written(part) for role, part in plan.parts.get(host.name, {}).items()},
    }


def written(node: Mapping[str, Any], roles: Collection[str]) -> dict[str, Any]:
    """What some roles together write into a node's gitlab.rb, in the terms of the module gitlab_rb."""
    options: dict[str, Any] = {"state": node["state"], "settings": {}, "remove": {}, "record_for": {}}
    for role in roles if node["state"] == "present" else ():
        part = node["parts"][role]
        for tree in ("settings", "remove"):
            options[tree] = merged(options[tree], part[tree])
        if part["is_complete"]:
            options["record_for"][role] = part["asked"]
    return options


def _written(part: Part) -> dict[str, Any]:
    """What a role writes on one node, and what it asks for there."""
    return {
        "settings": part.settings,
        "remove": merged(part.remove, part.leftovers),
        "asked": part.asked,
        "is_complete": part.is_complete,
    }


def make_plan(hosts: Sequence[Host], roles: Collection[str] = WRITERS, *, random: Random = os.urandom) -> Plan:
    """Decide what these roles should write into the gitlab.rb of every host.

    random is for the secrets that no node has. Only what the roles are about is checked: a role may
    be used without the variables of the others.
    """
    deployment = Deployment(hosts, random=random)
    to_come = upgrade(hosts, roles)
    forbidden = _rules.refusals(deployment, roles)
    if forbidden:
        return Plan(refusals=forbidden, upgrade=to_come)
    parts = {host.name: _parts(host, deployment, roles) for host in deployment.hosts if host.in_play}
    left = [
        Sentence((name,), f"{text}.")
        for name, of_host in parts.items()
        for part in of_host.values()
        for text in part.left
    ]
    return Plan(
        warnings=_rules.warnings(deployment) + left,
        upgrade=to_come,
        parts=parts,
        own_urls={host.name: deployment.urls.get(host.name, []) for host in deployment.kas if deployment.manages(host)},
        peer_urls={host.name: _peer_urls(host, deployment) for host in deployment.kas},
        tls_names={host.name: tls_names(host, deployment) for host in deployment.kas},
        secret_names={host.name: secret_names(host, deployment) for host in deployment.hosts},
        socket_dirs={
            host.name: host.values["kas_socket_dir"] for host in deployment.kas if host.values["kas_unix_sockets"]
        },
        outside=jobs(deployment),
        spare_dirs={
            host.name: host.values["kas_socket_dir"]
            for host in hosts
            if KAS_GROUP in host.groups
            and not host.needs_socket_dir
            and host.values["kas_socket_dir"] in host.directories_on_record
        },
    )


def _parts(host: Host, deployment: Deployment, roles: Collection[str]) -> dict[str, Part]:
    parts: dict[str, Callable[[], Part]] = {
        "kas": lambda: kas_part(host, deployment),
        "kas_rails": lambda: rails_part(host, deployment),
        "kas_secrets": lambda: secrets_part(host, deployment),
    }
    return {role: parts[role]() for role in WRITERS if role in roles}


def _peer_urls(host: Host, deployment: Deployment) -> list[str]:
    """A node outside of the play counts as a peer once it publishes what it should."""
    published = host.reported.get("own_private_api_urls") or []
    return [url for url in deployment.urls.get(host.name, []) if host.in_play or url in published]
