# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how the nodes of the deployment are; documented in the module of this name."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _outside, _report, _report_data
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import HostVariables, plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import NO_PLAN, PLAN
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_page import details

# What the roles keep of every host of the play.
RESULTS = {
    "info": "__kas_info",
    "dry_run": "__kas_dry_run",
    "written": "__kas_written",
    "reconfigured": "__kas_reconfigured",
    "tidied": "__kas_tidied",
    "rolled_back": "__kas_rolled_back",
    "reached": "__kas_reached",
}
# What they keep of those who tried agents' way to KAS, on any host.
OUTSIDE = "__kas_tried"


class ActionModule(ActionBase):  # type: ignore[misc]
    _requires_connection = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        if PLAN not in task_vars:
            return {**result, "failed": True, "msg": NO_PLAN}
        is_check = bool(self._task.check_mode)
        plan = plain(task_vars[PLAN])
        nodes = []
        is_verified = False
        for name, node in plan["nodes"].items():
            variables = task_vars["hostvars"][name]
            found = {key: plain(variables[kept]) for key, kept in RESULTS.items() if kept in variables}
            if "info" in found:  # it is in the play; it may have failed since
                nodes.append(_report.checked(name, node, _report.Results(**found), is_check=is_check))
                is_verified |= "reached" in found and not is_check
        names = {url: name for name, node in plan["nodes"].items() for url in node["own_urls"]}
        outside = HostVariables(task_vars, self._loader).results(OUTSIDE)
        table = [*_report.table(nodes, names), *_outside.lines(outside)]
        for line in table:
            Display().display(line)
        failures = _report.failures(nodes)
        findings = _report.findings(nodes, names) if is_verified else failures
        # kas_node fails the hosts that they are about.
        findings = [replace(each, fails=each.hosts) for each in findings] + _outside.findings(outside)
        outcome = _report_data.PROBLEMS if findings else _report_data.OK
        if not is_verified:
            outcome = _report_data.UNVERIFIED
        if failures:
            outcome = _report_data.FAILED
        report = _report_data.report(
            outcome,
            findings,
            nodes,
            is_check=is_check,
            started=plan["started"],
            now=time.time(),
            outside=_outside.data(outside),
        )
        result.update(
            changed=False,
            table=table,
            findings=[asdict(each) for each in findings],
            ansible_stats={"data": {_report_data.NAME: report}, "per_host": False},
        )
        if plan["report_path"]:
            try:
                _report_data.save(plan["report_path"], report, details(nodes, findings, names))
            except FileError as error:  # nobody is asked afterwards, so all is said here
                return {**result, "failed": True, "msg": "\n".join(map(str, [*findings, error]))}
        return result
