# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how the nodes of the deployment are; documented in the module of this name."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _report
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import plain

# What the roles keep of every host of the play.
PLAN = "__kas_plan"
INFO = "__kas_info"
REACHED = "__kas_reached"
RECONFIGURED = "__kas_reconfigured"
WRITTEN = "__kas_written"
RESULTS = (INFO, REACHED, RECONFIGURED, WRITTEN)


class ActionModule(ActionBase):  # type: ignore[misc]
    _requires_connection = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        nodes = plain(task_vars[PLAN])["nodes"]
        checked = []
        for name in map(str, task_vars["ansible_play_hosts"]):
            variables = task_vars["hostvars"][name]
            found = {key: plain(variables[key]) if key in variables else {} for key in RESULTS}
            if nodes[name]["state"] == "present":
                checked.append(
                    _report.checked(
                        name,
                        nodes[name],
                        info=found[INFO]["kas"],
                        written=found[WRITTEN],
                        reconfigured=found[RECONFIGURED],
                        reached=found[REACHED],
                        is_check=bool(self._task.check_mode),
                    )
                )
        names = {url: name for name, node in nodes.items() for url in node["own_urls"]}
        table = _report.table(checked, names)
        for line in table:
            Display().display(line)
        findings = [] if self._task.check_mode else _report.findings(checked, names)
        # kas_node fails the hosts that they are about.
        failing = [asdict(replace(each, fails=each.hosts)) for each in findings]
        return {**result, "changed": False, "table": table, "findings": failing}
