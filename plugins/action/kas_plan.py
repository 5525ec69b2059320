# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather what Ansible knows of every host of the deployment, and plan; documented in the module of this name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _report, _report_data
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import (
    everybody,
    plain,
    started_playbooks,
    waits_for_all,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployments import misnamed_groups
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ignored import ignored_variables
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._outside import unknown
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import ROLES, Plan, plan
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_page import Details
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence, joined
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._tags import tag_problem
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

NO_WAITING = (
    "In this play no host waits for the others (strategy free or host_pinned), but the plan needs all of them;"
    " set strategy: ansible.builtin.linear in the play."
)


def slice_of(variables: Mapping[str, Any]) -> str:
    """The job template of AWX of which this job is a slice, '' if it is none.

    AWX tells a job neither the number nor the count of slices; but their jobs belong to a workflow that has the name of
    the template. A slice that is launched again has not even that: kas_expected_nodes is for it.
    """
    for prefix in ("awx", "tower"):
        template = variables.get(f"{prefix}_job_template_name")
        if template and variables.get(f"{prefix}_workflow_job_name") == template:
            return str(template)
    return ""


def missing_hooks(made: Plan, gathered: Sequence[Gathered]) -> list[Sentence]:
    """What is said of the files of tasks around a node's turn that are not on the controller."""
    found = [
        Sentence(
            (each.name,),
            f"{variable} is {shown(path)}, which is no file on the controller; give an absolute path, such as"
            " '{{ inventory_dir }}/tasks.yml'.",
        )
        for each in gathered
        if each.in_play and each.name in made.nodes
        for variable, path in made.nodes[each.name]["hooks"].items()
        if path and not (Path(path).is_absolute() and Path(path).is_file())
    ]
    return [replace(each, fails=each.hosts) for each in joined(found)]


class ActionModule(ActionBase):  # type: ignore[misc]
    _requires_connection = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {
            "roles": {"type": "list", "elements": "str", "choices": list(ROLES), "default": list(ROLES)},
            "stages": {"type": "bool", "default": False},
        }
        _validation, args = self.validate_argument_spec(spec)
        if not waits_for_all(self._task):
            return {**result, "failed": True, "msg": NO_WAITING, "refusals": [], "upgrade": []}
        gathered = list(everybody(self._task, self._loader, task_vars or {}))
        groups = {str(name): list(map(str, hosts)) for name, hosts in (task_vars or {})["groups"].items()}
        ignored = list(self._ignored(gathered, groups, task_vars or {}))
        made = plan(gathered, args["roles"], slice_of=slice_of(task_vars or {}), ignored=ignored)
        if args["stages"]:
            asked, skipped = (plain((task_vars or {})[f"ansible_{kind}_tags"]) for kind in ("run", "skip"))
            self._refuse(made, gathered, tag_problem(asked, skipped))
        made.refusals += missing_hooks(made, gathered)
        for text in misnamed_groups(groups):
            self._refuse(made, gathered, text)
        self._refuse(made, gathered, unknown(made.outside, groups["all"]))
        started = time.time()
        report = self._report(gathered, made, started)
        if made.report_path:
            try:
                _report_data.save(made.report_path, report, Details(made.refusals))
            except FileError as error:  # it is refused now, before anything changes
                self._refuse(made, gathered, str(error))
                report = self._report(gathered, made, started)
        for warning in made.warnings:
            Display().warning(str(warning), formatted=True)
        for line in made.upgrade:
            Display().display(line)
        result.update(
            changed=False,
            refusals=[asdict(each) for each in made.refusals],
            upgrade=made.upgrade,
            ansible_stats={"data": {_report_data.NAME: report}, "per_host": False},
        )
        if made.refusals:
            return result  # kas_node fails the hosts that they are about
        # The settings of the nodes hold secrets, so this is never shown.
        return {
            **result,
            "nodes": made.nodes,
            "started": started,
            "serial": made.serial,
            "outside": made.outside,
            "report_path": made.report_path,
            "_ansible_no_log": True,
        }

    @staticmethod
    def _ignored(
        gathered: Sequence[Gathered], groups: Mapping[str, Sequence[str]], variables: Mapping[str, Any]
    ) -> Iterator[str]:
        """Ansible says nothing of files of variables that it does not read."""
        read = [
            Path(str(variables[name])).resolve() for name in ("playbook_dir", "inventory_dir") if variables.get(name)
        ]
        folders = [folder for folder in started_playbooks() if folder not in read]
        owners = {"group_vars": groups, "host_vars": [host for members in groups.values() for host in members]}
        values = (pair for each in gathered for pair in (*each.variables.items(), *each.errors.items()))
        yield from ignored_variables(folders, owners, {name for name, value in values if value is not None})

    @staticmethod
    def _refuse(made: Plan, gathered: Sequence[Gathered], text: str) -> None:
        hosts = tuple(each.name for each in gathered if each.in_play)
        made.refusals += [Sentence(hosts, text, fails=hosts)] if text else []

    def _report(self, gathered: Sequence[Gathered], made: Plan, now: float) -> dict[str, Any]:
        """What is known by now, should the run come no further."""
        is_check = bool(self._task.check_mode)
        nodes = [
            _report.checked(
                each.name, made.nodes[each.name], _report.Results(info=each.result or {}), is_check=is_check
            )
            for each in ([] if made.refusals else gathered)
            if each.in_play and each.name in made.nodes
        ]
        result = _report_data.REFUSED if made.refusals else _report_data.PLANNED
        return _report_data.report(result, made.refusals, nodes, is_check=is_check, started=now, now=now)
