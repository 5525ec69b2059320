# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters kas_chart_values, kas_chart_secrets and kas_chart_owed, on which the role kas_chart rests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml
from ansible_collections.kasops.gitlab_kas.plugins.filter.own_private_api_url import plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _chart


def kas_chart_values(variables: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The chart's values and Helm's commands, or why there are none; documented in kas_chart_values.yml."""
    chart, wrong = _chart.read_chart(str(host), plain(variables), yaml.safe_load)
    refusals = wrong or _chart.refusals(chart)
    if refusals:
        return {"refusals": refusals, "warnings": [], "chart_values": {}, "other_values": [], "commands": {}}
    return {
        "refusals": [],
        "warnings": _chart.warnings(chart),
        "chart_values": _chart.helm_values(chart),
        "other_values": chart.values["kas_chart_other_values"],
        "commands": _chart.commands(chart),
    }


def kas_chart_secrets(variables: Mapping[str, Any], host: str) -> list[dict[str, Any]]:
    """The Kubernetes Secrets that the chart's values name; documented in kas_chart_secrets.yml."""
    chart, _wrong = _chart.read_chart(str(host), plain(variables), yaml.safe_load)
    return _chart.manifests(chart)


def kas_chart_owed(
    releases: Sequence[Mapping[str, Any]],
    version: str,
    values: Mapping[str, Any],
    *,
    current: Mapping[str, Any] | None,
    others: Sequence[Mapping[str, Any] | None] = (),
) -> str:
    """Why the release has to be upgraded, if it has; documented in kas_chart_owed.yml."""
    return _chart.owed(
        plain(releases), version=str(version), values=plain(values), current=plain(current), others=plain(others)
    )


class FilterModule:
    """What Ansible asks for the filters in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {function.__name__: function for function in (kas_chart_values, kas_chart_secrets, kas_chart_owed)}
