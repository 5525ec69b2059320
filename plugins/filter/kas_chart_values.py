# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters kas_chart_values, kas_chart_check and kas_chart_secrets; the role kas_chart rests on the first two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _chart
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._chart import Chart
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES


def kas_chart_values(variables: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The chart's values; documented in kas_chart_values.yml."""
    return _chart.helm_values(_accepted(variables, host, _chart.refusals))


def kas_chart_check(variables: Mapping[str, Any], host: str) -> dict[str, list[str]]:
    """Why there are no values, and what else to know; documented in kas_chart_check.yml."""
    chart, wrong = _read(variables, host)
    refusals = wrong or _chart.refusals(chart)
    return {"refusals": refusals, "warnings": [] if refusals else _chart.warnings(chart)}


def kas_chart_secrets(variables: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The Kubernetes Secrets that the chart's values name; documented in kas_chart_secrets.yml."""
    return _chart.secrets_manifest(_accepted(variables, host, _chart.secrets_refusals))


def _accepted(variables: Mapping[str, Any], host: str, refused: Callable[[Chart], list[str]]) -> Chart:
    chart, wrong = _read(variables, host)
    refusals = wrong or refused(chart)
    if refusals:
        raise AnsibleFilterError("\n".join(refusals))
    return chart


def _read(variables: Mapping[str, Any], host: str) -> tuple[Chart, list[str]]:
    """Only what is documented is evaluated: the mapping may be hostvars[host], and hold anything else."""
    known = {name: plain(variables[name]) for name in (*VARIABLES, *_chart.CHART_VARIABLES) if name in variables}
    return _chart.read_chart(str(host), known, yaml.safe_load)


class FilterModule:
    """What Ansible asks for the filters in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {function.__name__: function for function in (kas_chart_values, kas_chart_check, kas_chart_secrets)}
