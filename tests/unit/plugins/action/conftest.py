# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugins in a play of Ansible's own classes; only modules are not run."""

from __future__ import annotations

import json

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader, init_plugin_loader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager


class Stage:
    """An inventory and a play, in which an action plugin runs on one host after another.

    hosts maps names to inventory variables, groups names to hosts; play_vars and strategy are the play's.
    """

    def __init__(self, path, hosts, groups, batch=None, play_vars=None, strategy=None):
        inventory = {
            "all": {
                "hosts": hosts,
                "children": {name: {"hosts": dict.fromkeys(members)} for name, members in groups.items()},
            }
        }
        path.write_text(json.dumps(inventory), encoding="utf-8")
        self.loader = DataLoader()
        self.inventory = InventoryManager(self.loader, sources=[str(path)])
        self.manager = VariableManager(self.loader, self.inventory)
        self.hostvars = HostVars(self.inventory, self.manager, self.loader)
        self.batch = batch or list(hosts)
        self.play = {"hosts": "all", "vars": play_vars or {}, **({"strategy": strategy} if strategy else {})}
        self.modules = []  # what was run: host, name, arguments

    def register(self, host, **results):
        """What earlier tasks have kept of a host."""
        self.manager.set_nonpersistent_facts(host, results)

    def run(self, plugin, host, answers=None, check_mode=False, **arguments):
        """The result of the action on a host. answers maps modules to what they return there."""
        play = Play.load(self.play, variable_manager=self.manager, loader=self.loader)
        # Its name plays no part here: the plugin is made below.
        data = {"ansible.builtin.debug": {}}
        task = Task.load(data, block=Block(play=play), variable_manager=self.manager, loader=self.loader)
        task.check_mode = check_mode
        task.args = arguments
        variables = self.manager.get_vars(play=play, host=self.inventory.get_host(host), task=task)
        variables = {
            **variables,
            "ansible_play_batch": self.batch,
            "ansible_play_hosts": self.batch,
            "hostvars": self.hostvars,
        }
        context = PlayContext(play=play)
        connection = connection_loader.get("ansible.builtin.local", context)
        action = plugin(task, connection, context, self.loader, Templar(loader=self.loader, variables=variables), None)

        def execute(module_name, module_args, task_vars):
            self.modules.append((host, module_name.rpartition(".")[2], module_args))
            answer = (answers or {})[module_name.rpartition(".")[2]]
            return dict(answer(module_args) if callable(answer) else answer)

        action._execute_module = execute
        action.cleanup = lambda force=False: None
        return action.run(task_vars=variables)


@pytest.fixture(scope="session")
def _loaders():
    init_plugin_loader()


@pytest.fixture
def stage(tmp_path, _loaders):
    """Make a stage of hosts and groups."""

    def make(hosts, groups=None, **more):
        groups = groups if groups is not None else {"gitlab_kas": hosts, "gitlab_rails": hosts}
        return Stage(tmp_path / "inventory.json", hosts, groups, **more)

    return make


@pytest.fixture
def warned(monkeypatch):
    """The warnings that were shown."""
    found = []
    monkeypatch.setattr("ansible.utils.display.Display.warning", lambda _self, text, **_options: found.append(text))
    return found
