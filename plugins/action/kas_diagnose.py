# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the logs of KAS, and say which known problems are in them; documented in the module of this name."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _findings, _report_data
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import HostVariables, answer, plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import GROUPS, KAS_GROUP
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._query import QueryError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_page import Details
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence, failure
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sources import expanded
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES, normalise
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import did_not_run

# What the role keeps.
NODE = "__kas_node_logs"
CONTROLLER = "__kas_controller_logs"
REPORT = "__kas_diagnosis"

NAMES = {name: VARIABLES[name] for name in VARIABLES if name.startswith("kas_diagnose_") or name == "kas_report_path"}


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._task_vars = task_vars or {}
        result: dict[str, Any] = {**super().run(tmp, task_vars), "changed": False}
        steps = ["node", "controller", "report", "judge"]
        _validation, args = self.validate_argument_spec({"step": {"type": "str", "choices": steps, "required": True}})
        self._name = str(self._task_vars["inventory_hostname"])
        values, errors = HostVariables(self._task_vars, self._loader).evaluate(NAMES)
        self._values, wrong = normalise(values, NAMES, errors)
        if wrong:
            return {**result, "failed": True, "msg": f"\n{self._name}: ".join(["", *wrong]).lstrip("\n")}
        return {**result, **getattr(self, f"_{args['step']}")()}

    def _node(self) -> dict[str, Any]:
        groups = [group for group in GROUPS if self._name in self._task_vars["groups"].get(group, ())]
        reads_kas, paths = KAS_GROUP in groups, self._values["kas_diagnose_paths"]
        if not (groups and (reads_kas or paths)):
            return {}
        return self._read({"kas": reads_kas, "paths": paths})

    def _controller(self) -> dict[str, Any]:
        paths = [expanded(path).absolute() for path in self._values["kas_diagnose_files"]]
        missing = [str(path) for path in paths if not path.exists()]
        if missing:
            msg = (
                f"kas_diagnose_files names {', '.join(missing)}, but there is no such file on the controller; correct"
                " the path. A relative one starts where ansible-playbook was started."
            )
            return {"failed": True, "msg": msg}
        namespace = self._values["kas_diagnose_namespace"]
        if not (paths or namespace):
            return {}
        return self._read(
            {"kas": False, "paths": list(map(str, paths)), **({"namespace": namespace} if namespace else {})}
        )

    def _read(self, arguments: dict[str, Any]) -> dict[str, Any]:
        found, cut_off = answer(
            lambda: self._execute_module(
                module_name="kasops.gitlab_kas.kas_log_info",
                module_args={**arguments, "hours": self._values["kas_diagnose_hours"]},
                task_vars=self._task_vars,
            )
        )
        if cut_off:
            found["msg"] = f"{self._name}: {did_not_run('kas_log_info', cut_off)}"
        return found

    def _report(self) -> dict[str, Any]:
        now, hosts = time.time(), [str(name) for name in self._task_vars["ansible_play_hosts"]]
        kept = {name: self._task_vars["hostvars"][name].get(NODE) for name in hosts}
        kept[_findings.CONTROLLER] = self._task_vars.get(CONTROLLER)
        results = {name: found for name, found in plain(kept).items() if found and "files" in found}
        for name, found in results.items():
            for sentence in found["unread"]:
                Display().warning(f"{name}: {sentence}", formatted=True)
        try:
            findings = _findings.queried(_findings.merged(results), self._values["kas_diagnose_query"])
        except QueryError as error:
            return {"failed": True, "msg": str(error)}
        for line in _findings.lines(findings, results, self._values["kas_diagnose_hours"]):
            Display().display(line)
        sentences = _findings.sentences(findings, hosts)
        if not sum(found["files"] for found in results.values()):
            text = "No log was read; name nodes in the group gitlab_kas, or logs in kas_diagnose_files."
            sentences.append(Sentence(hosts[:1], text, fails=hosts[:1]))
        report = _report_data.report(
            _report_data.PROBLEMS if sentences else _report_data.OK,
            sentences,
            [],
            is_check=bool(self._task.check_mode),
            started=now,
            now=now,
            findings=findings,
        )
        told = {
            "findings": findings,
            "sentences": [asdict(each) for each in sentences],
            "ansible_stats": {"data": {_report_data.NAME: report}, "per_host": False},
        }
        if self._values["kas_report_path"]:
            try:
                _report_data.save(self._values["kas_report_path"], report, Details(sentences))
            except FileError as error:
                return {**told, "failed": True, "msg": str(error)}
        return told

    def _judge(self) -> dict[str, Any]:
        kept = plain(self._task_vars[REPORT])
        return failure(self._name, [Sentence(**each) for each in kept.get("sentences", ())])
