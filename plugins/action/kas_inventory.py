# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the inventory's groups before any node is asked; documented in the module of this name.

Once for all nodes: each would evaluate the variables of every other to know its name, most of the time of a run on 100.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import HostVariables
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import KAS_GROUP, PUBLISHED_BY
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployments import nothing_to_do
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, read


class ActionModule(ActionBase):  # type: ignore[misc]
    _requires_connection = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        groups = {str(name): list(map(str, hosts)) for name, hosts in task_vars["groups"].items()}
        problem = nothing_to_do(groups, task_vars["ansible_play_hosts_all"], str(task_vars.get("ansible_limit", "")))
        if problem:
            return {**result, "failed": True, "msg": problem}
        names = {name: self._names_of(name) for name in groups[KAS_GROUP]}
        return {**result, "changed": False, "names": {name: found for name, found in names.items() if found}}

    def _names_of(self, name: str) -> list[str]:
        values, _errors = HostVariables.of(name, self._task, self._loader).evaluate(PUBLISHED_BY)  # the plan says them
        host, _wrong = read(Gathered(name, frozenset([KAS_GROUP]), in_play=False, variables=values))
        return host.private_api_names
