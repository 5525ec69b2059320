# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several modules that run on a node one after another, as one task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Runs a module with its arguments on the node, and returns its result.
Execute = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


class ModuleError(Exception):
    """A module that failed; result is what it returned."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        super().__init__(str(result.get("msg")))
        self.result = result


class Modules:
    """Runs modules, and keeps what they changed and the differences they showed."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self.changed = False
        self.diff: list[Any] = []

    def run(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one module; an argument that is None is left out. Raises ModuleError if it fails."""
        result = self.ask(name, arguments)
        if result.get("failed"):
            raise ModuleError(result)
        self.changed |= bool(result.get("changed"))
        diff = result.get("diff") or []
        self.diff += diff if isinstance(diff, list) else [diff]
        return result

    def ask(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one module that changes nothing, and return its result, also of a failure.

        Raises ModuleError where the node does not answer.
        """
        result = self._execute(name, {key: value for key, value in arguments.items() if value is not None})
        if result.get("unreachable"):
            raise ModuleError(result)
        return result

    def result(self) -> dict[str, Any]:
        """What the task returns."""
        return {"changed": self.changed, **({"diff": self.diff} if self.diff else {})}
