# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask one node everything that a plan needs to know of it; documented in the module of this name."""

from __future__ import annotations

import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._adopt import SECTIONS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import HostVariables, answer, uncensored
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import GROUPS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, read
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._nginx import named_files
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import inputs
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._steps import DIRECTORIES
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._turns import not_over, rescued, rolls_back, way_back
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import did_not_run


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {
            "host": {"type": "str"},
            "names": {"type": "dict", "default": {}},
            "secret_values": {"type": "bool", "default": False, "no_log": False},
            "wait_until_ready": {"type": "bool", "default": False},
            "gitlab_rb": {"type": "bool", "default": False},
        }
        _validation, args = self.validate_argument_spec(spec)
        here = str(task_vars["inventory_hostname"])
        name = args["host"] or here
        variables = (
            HostVariables(task_vars, self._loader) if name == here else HostVariables.of(name, self._task, self._loader)
        )
        values, _errors = variables.evaluate(VARIABLES)  # the plan says what is wrong with them
        groups = frozenset(group for group in GROUPS if name in task_vars["groups"].get(group, ()))
        host, _wrong = read(Gathered(name, groups, in_play=name == here, variables=values))
        waits = args["wait_until_ready"] and host.runs_kas and not self._task.check_mode
        include = host.values["kas_gitlab_rb_include"]
        others = args["names"] if host.runs_kas else {}
        peers = (each for other, found in others.items() if other != name for each in found)
        arguments = {
            "path": host.values["kas_gitlab_rb_path"],
            **({"include": include} if include else {}),
            "listen_hosts": host.listen_hosts,
            "ports": host.listen_ports,
            "directories_record": DIRECTORIES,
            "names": list(dict.fromkeys([*host.names, *peers])),
            "nginx_files": named_files(host),
            "secret_values": args["secret_values"],
            "wait_s": host.values["kas_ready_timeout_s"] if waits else 0,
            **inputs(host),
        }
        asked = time.time()
        info, cut_off = answer(
            lambda: self._execute_module(
                module_name="kasops.gitlab_kas.kas_info", module_args=arguments, task_vars=task_vars
            )
        )
        info = uncensored(info, self._connection)
        if "kas" in info:
            info["kas"] = {**info["kas"], **_ahead(info["kas"].get("time"), asked, time.time())}
        is_silent = bool(info.get("unreachable"))
        if cut_off:  # the plan makes a sentence of it
            info["msg"] = did_not_run("kas_info", cut_off) if args["wait_until_ready"] else cut_off
        if host.values["kas_own_private_api_query"] and not (info.get("failed") or is_silent):
            facts, cut_off = answer(
                lambda: self._execute_module(
                    module_name="ansible.builtin.setup",
                    module_args={"gather_subset": ["!all", "!min", "network"]},
                    task_vars=task_vars,
                )
            )
            info["network_facts"] = facts.get("ansible_facts", {})
            info["network_facts_error"] = cut_off or facts.get("msg", "")
        if args["gitlab_rb"] and "kas" in info and not info["kas"]["blocking_errors"]:
            read_all, cut_off = answer(
                lambda: self._execute_module(
                    module_name="kasops.gitlab_kas.gitlab_rb_info",
                    module_args={"path": arguments["path"], "sections": list(SECTIONS)},
                    task_vars=task_vars,
                )
            )
            info["gitlab_rb"] = read_all.get("gitlab_rb")
            info["gitlab_rb_error"] = cut_off or read_all.get("msg", "")
        if waits and "kas" in info and not info["kas"]["ready"]:
            info["failed"] = True
            info["msg"] = (
                f"KAS is not ready after {host.values['kas_ready_timeout_s']} s ({info['kas']['readiness']}); read"
                " /var/log/gitlab/gitlab-kas/current there."
            )
        if args["wait_until_ready"] and "msg" in info:
            left = not_over(name, task_vars["groups"], task_vars["ansible_play_batch"])
            undo = [] if rolls_back(host.values["kas_rollback"], task_vars) else way_back(name, task_vars)
            info["msg"] = "\n".join([f"{name}: {info['msg']}", *left, *undo])
        return {**result, **(rescued(info, task_vars) if args["wait_until_ready"] else info)}


def _ahead(there: float | None, asked: float, answered: float) -> dict[str, list[float]]:
    """By how many seconds the node's clock is ahead of the controller's, at least and at most."""
    return {"ahead_s": [there - answered, there - asked]} if there is not None else {}
