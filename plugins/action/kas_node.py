# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do a step of the plan on one node; documented in the module of this name."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _sources, _steps
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import (
    HostVariables,
    VariableError,
    answer,
    plain,
    source_folders,
    unvaulted,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._modules import ModuleError, Modules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import NO_PLAN, PLAN, ROLES
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence, failure
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._turns import (
    WRITTEN,
    not_over,
    rescued,
    rolls_back,
    turns,
    way_back,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import did_not_run

# What the role keeps.
INFO = "__kas_info"
CHECKED = "__kas_certificates"
DRY_RUN = "__kas_dry_run"
RECONFIGURED = "__kas_reconfigured"
REPORT = "__kas_report"

TOKEN = "kas_verify_token"  # in no plan, since whoever reads a plan needs no token

TURN = ("write", "reconfigure", "tidy")
STEPS = ("check", "dry_run", *TURN, "rollback", "reach", "outside", "judge")
LATER = ("check", "reach", "outside")  # what goes wrong in these is told by a step that follows: dry_run, judge


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {
            "step": {"type": "str", "choices": list(STEPS), "required": True},
            "job": {"type": "dict", "default": {}},
            "roles": {"type": "list", "elements": "str", "choices": list(ROLES), "default": list(ROLES)},
        }
        _validation, args = self.validate_argument_spec(spec)
        self._name = str(self._task_vars["inventory_hostname"])
        if PLAN not in self._task_vars:
            return {**result, "failed": True, "msg": f"{self._name}: {NO_PLAN}"}
        refusals = plain(self._task_vars[PLAN]["refusals"])
        if refusals:  # the others end here, since the first task after the plan has any_errors_fatal
            return {**result, **self._failure(refusals)}
        self._variables = HostVariables(self._task_vars, self._loader)
        # A copy of what this node needs alone: with many nodes, one of the whole plan on each would be most of the run.
        self._nodes = self._task_vars[PLAN]["nodes"]
        self._node = plain(self._nodes[self._name])
        self._job = args["job"]
        self._modules = Modules(self._execute)
        self._contents = _steps.Contents(self._node, self._read_file, self._variables.get)
        try:
            returned = getattr(self, f"_{args['step']}")(args["roles"])
        except ModuleError as error:
            failed = dict(error.result)
        except (_steps.StepError, _sources.SourceError, VariableError) as error:
            failed = {"failed": True, "msg": str(error)}
        else:
            return {**result, **self._modules.result(), **returned}
        if args["step"] in LATER:
            return {**result, "error": failed}
        lines = [f"{self._name}: {failed['msg']}"] if "msg" in failed else []
        if args["step"] in TURN:
            lines += not_over(self._name, self._task_vars["groups"], self._task_vars["ansible_play_batch"])
            lines += [] if self._rolls_back else way_back(self._name, self._task_vars)
        failed |= {"msg": "\n".join(lines)} if lines else {}
        return {**result, **rescued(failed, self._task_vars)}

    def _failure(self, sentences: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return failure(self._name, [Sentence(**each) for each in sentences])

    def _check(self, roles: list[str]) -> dict[str, Any]:
        if "kas_certificates" not in roles:
            return {}
        checked = _steps.check_certificates(self._node, self._modules, self._contents)
        for each in checked:
            for warning in each["certificate"]["warnings"]:
                Display().warning(f"{self._name}: {warning}", formatted=True)
        return {"certificates": checked}

    def _dry_run(self, roles: list[str]) -> dict[str, Any]:
        hostvars, groups = self._task_vars["hostvars"], self._task_vars["groups"]
        error = self._kept(CHECKED).get("error")
        if error:
            raise ModuleError(error)
        checked = {
            str(name): plain(hostvars[name][CHECKED]).get("certificates", [])
            for name in self._task_vars["ansible_play_hosts"]
            if self._nodes[name]["certificates"] and CHECKED in hostvars[name]
        }
        # What is wrong with a node's own certificates waits until here, to be said with what the others show to it.
        problems = [text for own in checked.get(self._name, ()) for text in own["certificate"]["problems"]]
        problems += _steps.untrusted(self._name, groups, checked, self._modules, self._contents)
        if problems:
            raise _steps.StepError(f"\n{self._name}: ".join(dict.fromkeys(problems)))
        names = _steps.write(self._node, roles, self._modules, self._contents)
        dry_run = {**self._modules.result(), **names}
        pending = _steps.pending(self._node, self._kept(INFO)["kas"], dry_run)
        return {**dry_run, "pending": pending, "tidies": _steps.tidies(self._node, roles)}

    def _write(self, roles: list[str]) -> dict[str, Any]:
        self._announce()
        written = _steps.write(self._node, roles, self._modules, self._contents)
        if written["settings_left"]:
            Display().warning(
                f"{self._name}: {', '.join(written['settings_left'])} in {self._node['gitlab_rb']['path']} stays as it"
                " is, since it was changed by other means, or replaced a value that is kept nowhere.",
                formatted=True,
            )
        return {**written, "was_ready": bool(self._kept(INFO)["kas"]["ready"])}

    def _announce(self) -> None:
        """Whose turn it is, and what for; a role alone has no turns."""
        in_turn = turns(self._task_vars["groups"])
        if self._name in in_turn:
            turn = f"node {in_turn.index(self._name) + 1} of {len(in_turn)}"
            elapsed = round(time.time() - self._task_vars[PLAN]["started"])
            pending = "; ".join(self._kept(DRY_RUN)["pending"])
            Display().display(f"{self._name}: {turn}, {elapsed} s after the plan; pending: {pending}")

    def _reconfigure(self, roles: list[str]) -> dict[str, Any]:
        return _steps.reconfigure(self._node, self._kept(WRITTEN), self._modules, is_check=bool(self._task.check_mode))

    def _rollback(self, roles: list[str]) -> dict[str, Any]:
        """After a failure in the node's turn; the report tells what came of it."""
        written = self._kept(WRITTEN)
        failed = [found for found in map(self._kept, (RECONFIGURED, INFO)) if found.get("failed")]
        is_lost = any(found.get("is_lost") for found in failed)
        if not (failed and written.get("undo") and self._rolls_back) or is_lost:
            return {}
        try:
            return {"said": _steps.rollback(self._node, written, self._modules)}
        except ModuleError as error:
            why = str(error.result.get("msg") or "it did not come to its end").rstrip(".")
            return {"said": f"the settings from before could not be put back ({why}); run there: {written['undo']}"}

    @property
    def _rolls_back(self) -> bool:
        return rolls_back(self._node["rolls_back"], self._task_vars)

    def _kept(self, name: str) -> dict[str, Any]:
        """What an earlier task returned here; empty if it did not run."""
        return dict(plain(self._task_vars.get(name) or {}))

    def _tidy(self, roles: list[str]) -> dict[str, Any]:
        _steps.tidy(self._node, roles, self._modules)
        return {}

    def _reach(self, roles: list[str]) -> dict[str, Any]:
        if self._task.check_mode:  # nothing has changed yet
            return {}
        others = {
            str(name): plain({key: node[key] for key in ("deployment", "peer_urls")})
            for name, node in self._nodes.items()
        }
        return _steps.reach(self._name, {**others, self._name: self._node}, self._modules)

    def _outside(self, roles: list[str]) -> dict[str, Any]:
        job = plain(self._job)
        if self._task.check_mode or not job:
            return {}
        variables = HostVariables.of(job["host"], self._task, self._loader)
        contents = _steps.Contents(plain(self._nodes[job["host"]]), self._read_file, variables.get)
        token = str(variables.get(TOKEN) or "").strip()
        return {"checks": _steps.outside(job, contents.authorities(), token, self._modules)["checks"]}

    def _judge(self, roles: list[str]) -> dict[str, Any]:
        return self._failure(self._kept(REPORT)["findings"])

    def _execute(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        result, cut_off = answer(
            lambda: self._execute_module(module_name=name, module_args=dict(arguments), task_vars=self._task_vars)
        )
        result.pop("invocation", None)  # of several modules, none is that of the task
        if cut_off:
            result["msg"] = did_not_run(name.rpartition(".")[2], cut_off)
        return result

    def _read_file(self, variable: str, source: str) -> str:
        folders = source_folders(self._task_vars)
        return _sources.read(variable, source, folders, lambda data: unvaulted(data, self._loader))
