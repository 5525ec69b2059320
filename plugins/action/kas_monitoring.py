# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what the Prometheus of one host needs; documented in the module of this name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any

import yaml
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import HostPort, host_port
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import HostVariables, answer, plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import KAS_GROUP
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import meant, misspelt_refusals
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._monitoring import (
    Kas,
    MonitoringError,
    groups,
    job,
    package_settings,
    rules_directory,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES, normalise
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import did_not_run

_OF_PROMETHEUS = ("kas_monitoring_directory", "kas_monitoring_gitlab_rb", "kas_gitlab_rb_path", "kas_gitlab_rb_include")
_OF_KAS = ("kas_state", "kas_enabled", "kas_deployment", "kas_observability_listen_address", "kas_monitoring_target")

_HEADER = "# Written by the Ansible role kasops.gitlab_kas.kas_monitoring; changes made here do not last.\n"
_INFO = "kasops.gitlab_kas.gitlab_rb_info"
_TIMEOUT_S = 2.0
_AT_ONCE = 16


class ActionModule(ActionBase):  # type: ignore[misc]
    _supports_check_mode = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._task_vars = task_vars or {}
        result: dict[str, Any] = {**super().run(tmp, task_vars), "changed": False}
        self.validate_argument_spec({})
        self._name = str(self._task_vars["inventory_hostname"])
        self._refusals: list[str] = []
        told = self._told()
        if self._refusals:
            return {**result, "failed": True, "msg": "\n".join(self._refusals), "refusals": self._refusals}
        return {**result, **told}

    def _told(self) -> dict[str, Any]:
        """What the tasks need; what is wrong goes to the refusals."""
        here = HostVariables(self._task_vars, self._loader)
        connection, _errors = here.evaluate(["ansible_connection"])
        values = self._values(self._name, here, _OF_PROMETHEUS)
        directory, path = values["kas_monitoring_directory"], values["kas_gitlab_rb_path"]
        nodes = self._nodes()
        if self._refusals:
            return {}
        if not (directory or values["kas_monitoring_gitlab_rb"]):
            self._refuse(
                "There is nothing to write; set kas_monitoring_directory for a Prometheus of your own, or"
                " kas_monitoring_gitlab_rb for the package's."
            )
        if not nodes:
            self._refuse(f"No host of the group {KAS_GROUP} runs KAS; put the nodes that run KAS into it.")
        if self._refusals:
            return {}
        told: dict[str, Any] = {"directory": directory, "gitlab_rb_path": path, "settings": {}, "rules_directory": ""}
        if directory:
            found, wrong = groups(nodes, self._name)
            self._refusals += wrong
            told["targets"] = _HEADER + yaml.safe_dump(found, sort_keys=False)
            if connection.get("ansible_connection") != "local":  # else the controller is where Prometheus runs
                self._warn_of_profiles([target for each in found for target in each["targets"]])
        if values["kas_monitoring_gitlab_rb"]:
            # As it does with all else, the package's Prometheus on a node with KAS asks that one.
            found, wrong = groups([kas for kas in nodes if kas.name == self._name] or nodes, self._name)
            self._refusals += wrong
            try:
                gitlab_rb = self._read(path)
                is_ours = not values["kas_gitlab_rb_include"]
                told["settings"] = package_settings(gitlab_rb, job(found), is_ours=is_ours)
                told["rules_directory"] = rules_directory(gitlab_rb)
            except MonitoringError as error:
                self._refuse(str(error))
        return told

    def _refuse(self, text: str) -> None:
        self._refusals.append(f"{self._name}: {text}")

    def _values(self, name: str, variables: HostVariables, names: Collection[str]) -> dict[str, Any]:
        given, errors = variables.evaluate(names)
        values, wrong = normalise(given, {each: VARIABLES[each] for each in names}, errors)
        misspelt = {alike: ours for alike, ours in variables.misspelt().items() if ours in names}
        wrong += misspelt_refusals(meant(misspelt, names, given, errors))
        self._refusals += [f"{name}: {text}" for text in wrong]
        return values

    def _nodes(self) -> list[Kas]:
        """The nodes that run KAS, by the inventory."""
        nodes = []
        for name in map(str, self._task_vars["groups"].get(KAS_GROUP, ())):
            variables = HostVariables.of(name, self._task, self._loader)
            values = self._values(name, variables, _OF_KAS)
            address, _errors = variables.evaluate(["ansible_host"])
            if values["kas_state"] == "present" and values["kas_enabled"]:
                nodes.append(
                    Kas(
                        name=name,
                        deployment=values["kas_deployment"],
                        listener=values["kas_observability_listen_address"],
                        target=values["kas_monitoring_target"],
                        address=str(address.get("ansible_host") or name),
                    )
                )
        return nodes

    def _read(self, path: str) -> dict[str, Any]:
        """What gitlab.rb says of Prometheus."""
        arguments = {"path": path, "sections": ["prometheus"]}
        result, cut_off = answer(
            lambda: self._execute_module(module_name=_INFO, module_args=arguments, task_vars=self._task_vars)
        )
        if cut_off or result.get("failed") or result.get("unreachable"):
            raise MonitoringError(did_not_run("gitlab_rb_info", cut_off) if cut_off else str(result.get("msg")))
        return dict(plain(result["gitlab_rb"]))

    def _warn_of_profiles(self, targets: Sequence[str]) -> None:
        """The controller is nobody whom a firewall should let through to the port of the metrics."""
        found = [place for place in map(host_port, targets) if place and place.host != "localhost"]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            open_ones = [place for place, is_open in zip(found, pool.map(shows_profiles, found)) if is_open]
        if open_ones:
            Display().warning(
                f"Profiles of KAS, with its arguments, can be read from here at {', '.join(map(str, open_ones))}; let a"
                " firewall open the port for Prometheus alone, or serve nothing but /metrics there:"
                " docs/monitoring.md.",
                formatted=True,
            )


def shows_profiles(place: HostPort) -> bool:
    """Whether who asks there gets /debug/pprof of a KAS."""
    connection = HTTPConnection(place.host, place.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/debug/pprof/cmdline")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
