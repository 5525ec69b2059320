# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the values of GitLab's Helm chart from one host's variables; documented in the module of this name."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _chart
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import HostVariables
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import NAMES

HEADER = """\
# Written by the Ansible role kasops.gitlab_kas.kas_chart; changes made here do not last.
# The Secrets that are named here must be in the cluster before Helm runs, or the chart makes them up.
"""


class ActionModule(ActionBase):  # type: ignore[misc]
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        name = str(task_vars["inventory_hostname"])
        variables = HostVariables(task_vars, self._loader)
        given, errors = variables.evaluate(NAMES)
        chart, wrong = _chart.read_chart(name, given, errors, variables.misspelt())
        refusals = wrong or _chart.refusals(chart)
        if refusals:
            return {**result, "failed": True, "msg": "\n".join(refusals), "refusals": refusals}
        for warning in _chart.warnings(chart):
            Display().warning(warning, formatted=True)
        values = _chart.helm_values(chart)
        text = HEADER + yaml.safe_dump(values, indent=2, sort_keys=False, allow_unicode=True)
        place = {"path": chart.values["kas_chart_values_path"], "host": chart.values["kas_chart_host"]}
        return {**result, "changed": False, "chart_values": values, "text": text, **place}
