# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters kas_chart_values and kas_chart_secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _chart
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._chart import Chart
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import NAMES


def kas_chart_values(variables: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The chart's values; documented in kas_chart_values.yml."""
    return _chart.helm_values(_accepted(variables, host, _chart.refusals))


def kas_chart_secrets(variables: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The Kubernetes Secrets that the chart's values name; documented in kas_chart_secrets.yml."""
    return _chart.secrets_manifest(_accepted(variables, host, _chart.secrets_refusals))


def _accepted(variables: Mapping[str, Any], host: str, refused: Callable[[Chart], list[str]]) -> Chart:
    # Only what is documented is evaluated: the mapping may be hostvars[host], and hold anything else.
    known = {name: plain(variables[name]) for name in NAMES if name in variables}
    chart, wrong = _chart.read_chart(str(host), known)
    refusals = wrong or refused(chart)
    if refusals:
        raise AnsibleFilterError("\n".join(refusals))
    return chart


class FilterModule:
    """What Ansible asks for the filters in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {function.__name__: function for function in (kas_chart_values, kas_chart_secrets)}
