# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters kas_plan, kas_report, kas_sealed and kas_settings, through which the roles see the whole deployment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import yaml
from ansible.errors import AnsibleError, AnsibleFilterError
from ansible.template import Templar
from ansible_collections.kasops.gitlab_kas.plugins.filter.own_private_api_url import plain, private_api_addresses
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import merged
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    PrivateApiError,
    ip_version,
    parse_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SecretError, seal, unseal
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _report
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import KAS_GROUP, RAILS_GROUP, Host, Part
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import ROLES, make_plan
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import node_refusals
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import normalise, shown
from jinja2 import UndefinedError

# What the roles keep for every host of the play.
VARIABLES = "__kas_sealed_variables"
INFO = "__kas_info"
OUTSIDE = "__kas_outside_infos"  # of this host at its share of the nodes outside of the play
PROBE = "__kas_probe"
RAILS_PROBE = "__kas_rails_probe"


def kas_sealed(variables: Mapping[str, Any], key: str) -> str:
    """One host's variables as a text that shows none of them; documented in kas_sealed.yml."""
    return seal(json.dumps(plain(variables), default=str), str(key))


def kas_plan(
    hostvars: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
    play_hosts: Sequence[str],
    key: str,
    roles: Sequence[str] = ROLES,
) -> dict[str, Any]:
    """The plan of the whole deployment, settings sealed; documented in kas_plan.yml."""
    key = str(key)
    infos = {name: plain(hostvars[name][INFO]) for name in play_hosts}
    for name in play_hosts:
        infos.update((result["item"], result) for result in plain(hostvars[name][OUTSIDE])["results"])
    hosts, wrong = [], []
    for name in _members(groups, play_hosts):
        memberships = frozenset(group for group in (KAS_GROUP, RAILS_GROUP) if name in groups.get(group, ()))
        in_play = name in play_hosts
        given, unknown = _given(hostvars, name, in_play, key)
        host, sentences = _host(name, memberships, hostvars[name], given, in_play, infos[name], key)
        hosts.append(host)
        wrong += unknown + sentences
    wrong += node_refusals(hosts)
    if wrong:
        return {"refusals": wrong, "warnings": [], "upgrade": [], "nodes": {}}
    plan = make_plan(hosts, [str(role) for role in roles], seed=key.encode())
    return {
        "refusals": plan.refusals,
        "warnings": plan.warnings,
        "upgrade": plan.upgrade,
        "nodes": {
            host.name: {
                "state": "present" if host.is_present else "reverted",
                "runs_kas": host.runs_kas,
                "probe_call": "private_api" if host.values["kas_probe_call"] else "none",
                "asks_kas": host.in_rails and "api_secret_key" in secrets and host.values["kas_probe_call"],
                "own_urls": plan.own_urls.get(host.name, []),
                "peer_urls": plan.peer_urls.get(host.name, []),
                "secrets": secrets,
                "user": host.values["kas_user"],
                "socket_dir": plan.socket_dirs.get(host.name, ""),
                "spare_dir": plan.spare_dirs.get(host.name, ""),
                "sealed": {
                    role: seal(json.dumps(_written(part), default=str), key)
                    for role, part in plan.parts.get(host.name, {}).items()
                },
            }
            for host in hosts
            if not plan.refusals
            for secrets in [plan.secret_names.get(host.name, [])]
        },
    }


def kas_settings(node: Mapping[str, Any], roles: Iterable[str], key: str) -> dict[str, Any]:
    """What some roles together write on one node; documented in kas_settings.yml."""
    written: dict[str, Any] = {"state": node["state"], "settings": {}, "remove": {}, "record_for": {}}
    for role in roles if node["state"] == "present" else ():
        try:
            part = json.loads(unseal(str(node["sealed"][role]), str(key)))
        except SecretError as error:
            raise AnsibleFilterError(str(error)) from None
        for tree in ("settings", "remove"):
            written[tree] = merged(written[tree], part[tree])
        if part["is_complete"]:
            written["record_for"][str(role)] = part["asked"]
    return written


def kas_report(hostvars: Mapping[str, Any], hosts: Sequence[str], plan: Mapping[str, Any]) -> dict[str, Any]:
    """A table of the KAS nodes and sentences about what is wrong; documented in kas_report.yml."""
    plan = plain(plan)
    names = {url: name for name, node in plan["nodes"].items() for url in node["own_urls"]}
    nodes = []
    for name in hosts:
        variables = hostvars[name]
        node = plan["nodes"][name]
        if node["state"] != "present":
            continue
        probe, rails_probe = (plain(variables[each]) if each in variables else {} for each in (PROBE, RAILS_PROBE))
        nodes.append(
            _report.Checked(
                name=str(name),
                runs_kas=node["runs_kas"],
                own_urls=node["own_urls"],
                info=plain(variables[INFO])["kas"],
                secret_names=node["secrets"],
                probe=probe,
                rails_probe=None if not rails_probe or rails_probe.get("skipped") else rails_probe,
            )
        )
    return {"table": _report.table(nodes, names), "findings": _report.findings(nodes, names)}


def _members(groups: Mapping[str, Sequence[str]], play_hosts: Sequence[str]) -> list[str]:
    """Every host that counts: of both groups, KAS first, and of the play."""
    return list(dict.fromkeys(map(str, [*groups.get(KAS_GROUP, ()), *groups.get(RAILS_GROUP, ()), *play_hosts])))


def _given(hostvars: Any, name: str, in_play: bool, key: str) -> tuple[dict[str, Any], list[str]]:
    """The public variables of a host, and sentences about those that cannot be evaluated from outside of its play.

    There hostvars[name] evaluates without hostvars (VariableManager.get_vars, include_hostvars=False), which such a
    variable may well refer to. Ansible's own words are left out: they may quote a part of the value.
    """
    if in_play:
        return json.loads(unseal(str(hostvars[name][VARIABLES]), key)), []
    variables = hostvars.raw_get(name)
    templar = Templar(loader=hostvars._loader, variables={**variables, "hostvars": hostvars})
    given, wrong = {}, []
    for variable in map(str, variables):
        if not variable.startswith("kas_"):
            continue
        try:
            given[variable] = plain(templar.template(variables[variable]))
        except (AnsibleError, UndefinedError):
            wrong.append(
                f"{name}: {variable} cannot be evaluated for this host, which stands outside of the play; correct it,"
                " or take the host into the play, where Ansible says why."
            )
    return given, wrong


def _host(
    name: str,
    groups: frozenset[str],
    variables: Mapping[str, Any],
    given: Mapping[str, Any],
    in_play: bool,
    result: Mapping[str, Any],
    key: str,
) -> tuple[Host, list[str]]:
    """One host of the inventory, and sentences about its variables."""
    values, wrong = normalise(name, given, load=yaml.safe_load)
    info = result.get("kas")
    candidates = None
    query, facts = values["kas_own_private_api_query"], variables.get("ansible_facts")
    if query and facts:
        try:
            candidates = private_api_addresses(plain(facts), query)
        except PrivateApiError as error:
            wrong.append(f"{name}: kas_own_private_api_query does not do: {error}")
    elif query and in_play and info:
        wrong.append(
            f"{name}: kas_own_private_api_query is {shown(query)}, but the host's facts could not be gathered; see"
            " that ansible.builtin.setup works there, or leave the query out."
        )
    elif query and not in_play:
        # Its facts are not there; what its KAS has published is what the query chose.
        published = [parse_url(url).host for url in (info or {}).get("own_private_api_urls") or []]
        candidates = [address for address in published if ip_version(address)] or None
    host = Host(
        name=name,
        groups=groups,
        values=values,
        info=info,
        is_reached="msg" in result and not result.get("unreachable"),
        unreachable=" ".join(str(result.get("msg") or "no answer").split()).replace("Task failed: ", "", 1),
        secrets={each: unseal(sealed, key) for each, sealed in (info or {}).get("sealed_secrets", {}).items()},
        candidates=candidates,
        in_play=in_play,
    )
    return host, wrong


def _written(part: Part) -> dict[str, Any]:
    """What a role writes on one node, and what it asks for there."""
    return {
        "settings": part.settings,
        "remove": merged(part.remove, part.leftovers),
        "asked": part.asked,
        "is_complete": part.is_complete,
    }


class FilterModule:
    """What Ansible asks for the filters in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {function.__name__: function for function in (kas_plan, kas_report, kas_sealed, kas_settings)}
