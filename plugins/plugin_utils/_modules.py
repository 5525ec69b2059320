# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several modules that run on a node one after another, as one task."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask_line

# Runs a module with its arguments on the node, and returns its result.
Execute = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


_WORDS_SHOWN = 3  # lines
_CLOSED = re.compile(r"(Shared )?[Cc]onnection to \S+ closed\.$")


def words(result: Mapping[str, Any]) -> str:
    """What the node said in place of a module's result, such as sudo's refusal; '' if it is known without.

    A line with a brace may be a part of the result, in which there may be secrets; others are masked by their looks.
    """
    lines = [
        line.strip()
        for name in ("module_stderr", "module_stdout")
        for line in str(result.get(name) or "").splitlines()
        if line.strip() and "{" not in line and not _CLOSED.match(line.strip())
    ]
    return " ".join(map(mask_line, lines[-_WORDS_SHOWN:]))


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
