# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Prometheus needs to know of the KAS of an inventory: where each answers for its metrics.

The package's Prometheus does not scrape KAS by itself. What it takes from gitlab.rb was read in
files/gitlab-cookbooks/monitoring (libraries/prometheus.rb, recipes/prometheus.rb).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    HostPort,
    host_port,
    unreachable_reason,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import inline_pair
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

# The alert rules and the dashboard have the name of the job, too.
JOB = "gitlab-kas"
RULES = "gitlab-kas.rules"  # the package's Prometheus reads *.rules
TARGETS = "gitlab-kas.targets.yml"
DASHBOARD = "gitlab-kas.dashboard.json"

# The package's defaults: attributes/default.rb, and _kas.OBSERVABILITY on the node.
LISTENER = "localhost:8151"
_HOME = "/var/opt/gitlab/prometheus"

Group = dict[str, Any]


class MonitoringError(Exception):
    """Why Prometheus cannot be told; the text is a sentence."""


@dataclass(frozen=True)
class Kas:
    """A node that runs KAS, by the inventory."""

    name: str
    deployment: str
    listener: str  # kas_observability_listen_address, '' for the package's default
    target: str  # kas_monitoring_target: HOST:PORT, '' if it follows from the listener
    address: str  # how Ansible reaches the node


def groups(nodes: Sequence[Kas], scraper: str) -> tuple[list[Group], list[str]]:
    """The targets of a Prometheus on the host scraper, with the node's name as the instance.

    And a sentence for each KAS that it cannot reach.
    """
    found, wrong = [], []
    for kas in nodes:
        labels = {"instance": kas.name, **({"deployment": kas.deployment} if kas.deployment else {})}
        try:
            found.append({"targets": [_target(kas, scraper)], "labels": labels})
        except MonitoringError as error:
            wrong.append(f"{kas.name}: {error}")
    return found, wrong


def _target(kas: Kas, scraper: str) -> str:
    if kas.target:
        return kas.target
    listener = host_port(kas.listener or LISTENER)
    if listener is None:
        raise MonitoringError(
            f"kas_observability_listen_address is {shown(kas.listener)}, but KAS serves its metrics on TCP alone; set"
            " ADDRESS:PORT."
        )
    if listener.is_wildcard:
        return str(HostPort("localhost" if kas.name == scraper else kas.address, listener.port))
    reason = unreachable_reason(f"grpc://{listener}")
    if kas.name != scraper and reason:
        raise MonitoringError(
            f"KAS answers for its metrics at {listener}, which {reason}, so a Prometheus on {scraper} does"
            " not reach it; set kas_monitoring_target to where something on the node serves /metrics alone, or"
            " kas_observability_listen_address to an address that a firewall opens for Prometheus only."
        )
    return str(listener)


def job(found: Sequence[Group]) -> dict[str, Any]:
    """The scrape job, as a Prometheus of any release takes it."""
    return {"job_name": JOB, "static_configs": list(found)}


def package_settings(gitlab_rb: Mapping[str, Any], wanted: Mapping[str, Any], *, is_ours: bool) -> dict[str, Any]:
    """The settings of gitlab.rb that give the package's Prometheus this job; none if it has it.

    gitlab_rb is what gitlab_rb_info returned of the section prometheus; is_ours is false where other means make the
    file. Jobs of the user's own are never written anew: they may hold secrets and Ruby. Raises MonitoringError with
    the job to add by hand.
    """
    if gitlab_rb["settings"].get("prometheus", {}).get("enable") is False:
        raise MonitoringError(
            "prometheus['enable'] in gitlab.rb is false, so no Prometheus of the package runs here; leave this host"
            " out, or set kas_monitoring_gitlab_rb to false for it."
        )
    there = _setting(gitlab_rb, "scrape_configs")
    jobs = [] if there is None else there
    if isinstance(jobs, list) and wanted in jobs:
        return {}
    ruby = inline_pair("", [dict(wanted)]).partition(" => ")[2][1:-1]
    if not is_ours:
        raise MonitoringError(
            "kas_gitlab_rb_include says that gitlab.rb is made by other means, so it stays as it is; add this job to"
            f" prometheus['scrape_configs'] there: {ruby}."
        )
    if not isinstance(jobs, list) or any(not isinstance(each, Mapping) or each.get("job_name") != JOB for each in jobs):
        raise MonitoringError(
            "prometheus['scrape_configs'] in gitlab.rb has jobs of your own, which stay as they are; add this one to"
            f" them, in place of one of the same name: {ruby}."
        )
    return {"prometheus": {"scrape_configs": [dict(wanted)]}}


def rules_directory(gitlab_rb: Mapping[str, Any]) -> str:
    """Where the package's Prometheus has its alert rules. Raises MonitoringError."""
    directory, home = (_setting(gitlab_rb, name) for name in ("rules_directory", "home"))
    return str(directory or f"{home or _HOME}/rules")


def _setting(gitlab_rb: Mapping[str, Any], name: str) -> Any:
    """What gitlab.rb sets, None if it does not. Raises MonitoringError if only running it would tell."""
    settings = gitlab_rb["settings"].get("prometheus", {})
    if name in settings:
        return settings[name]
    for each in gitlab_rb["unreadable"]:
        if each["path"] in (["prometheus"], ["prometheus", name], ["*"]):
            raise MonitoringError(
                f"prometheus[{shown(name)}] cannot be read without running gitlab.rb ({each['file']}, line"
                f" {each['line']}, where {each['name']} {each['why']}); set kas_monitoring_gitlab_rb to false, and add"
                " the job by hand: docs/monitoring.md."
            )
    return None
