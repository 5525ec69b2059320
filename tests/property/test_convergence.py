# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment comes to rest: the second run changes nothing, whatever the first one found, removed or restored.

What is planned follows from what the gitlab.rb of each node says, and that from what was planned before.
KAS_FUZZ_DEPLOYMENTS sets the number of inventories of a run (default 15), KAS_FUZZ_SEED the first one (default 0).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import GitlabRbError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import find_ruby, literal
from ansible_collections.kasops.gitlab_kas.plugins.modules import gitlab_rb, kas_info
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import WRITERS, written
from inventories import Row, inventory
from test_plan import planned

DEPLOYMENTS = int(os.environ.get("KAS_FUZZ_DEPLOYMENTS", "15"))
FIRST = int(os.environ.get("KAS_FUZZ_SEED", "0"))


class Unplanned(Exception):
    """An inventory that is refused, or a gitlab.rb that cannot be changed as planned."""


class Outcome(NamedTuple):
    """The settings that a run has changed, and those that it could not restore."""

    changed: list[str]
    left: list[str]


class Nodes:
    """The nodes of an inventory, each with a gitlab.rb and a record of its own."""

    def __init__(self, rows: Sequence[Row], root: Path) -> None:
        self._root = root
        root.mkdir()
        self._names = [row.name for row in rows]
        for row in rows:
            self._path(row.name).write_bytes(text_of((row.info or {}).get("settings", {})))

    def lines(self) -> dict[str, list[bytes]]:
        """What each gitlab.rb says, wherever it stands: what was removed comes back in a section at the end."""
        texts = {name: self._path(name).read_bytes().splitlines() for name in self._names}
        return {name: sorted(line for line in lines if line and line[:1] != b"#") for name, lines in texts.items()}

    def deploy(self, rows: Sequence[Row]) -> Outcome:
        """Run once, as the playbook deploy does."""
        rows = [self._as_found(row) for row in rows]
        made = planned(rows, WRITERS)
        if made.refusals:
            raise Unplanned
        return self._write({row.name: written(made.nodes[row.name], WRITERS) for row in rows if row.in_play})

    def revert(self) -> Outcome:
        return self._write({name: {"state": "reverted", "settings": {}, "remove": {}} for name in self._names})

    def _write(self, options: Mapping[str, Mapping[str, Any]]) -> Outcome:
        outcome = Outcome([], [])
        for name, asked in options.items():
            params = {"record_for": {}, "include": None, **asked}
            params.update(record=str(self._root / f"{name}.json"), backup=False, previous=None)
            params.update(path=str(self._path(name)), ruby=find_ruby())
            try:
                result = gitlab_rb.run(params, check_mode=False, diff=False)
            except GitlabRbError as error:
                raise Unplanned from error
            outcome.changed.extend(f"{name}: {setting}" for setting in result["settings_changed"])
            outcome.left.extend(result["settings_left"])
        return outcome

    def _as_found(self, row: Row) -> Row:
        if row.info is None:
            return row
        params = {"path": str(self._path(row.name)), "ruby": find_ruby(), "include": None}
        reading, _gitlab_rb = kas_info._read_settings(params, lambda sentence: None)
        return replace(row, info={**row.info, "settings": reading.settings, "unreadable": reading.unreadable})

    def _path(self, name: str) -> Path:
        return self._root / f"{name}.rb"


def text_of(settings: Mapping[str, Any]) -> bytes:
    lines = []
    for name, value in settings.items():
        section = value if isinstance(value, Mapping) else {}
        lines += [f"{name}[{literal(str(key))}] = {literal(item)}" for key, item in section.items()]
        if isinstance(value, str):
            lines.append(f"{name} {literal(value)}")
    return "".join(f"{line}\n" for line in lines).encode()


def without_some(rows: Sequence[Row], random: Random) -> list[Row]:
    """The same inventory with some of its variables taken out."""
    fewer = []
    for row in rows:
        kept = {name: value for name, value in row.variables.items() if random.random() < 0.6}
        fewer.append(replace(row, variables=kept))
    return fewer


def check(seed: int, root: Path) -> None:
    rows = inventory(seed)[:3]
    fewer = without_some(rows, Random(seed))
    nodes, others = Nodes(rows, root / "nodes"), Nodes(rows, root / "others")
    nodes.deploy(rows)
    again = nodes.deploy(rows).changed
    assert not again, f"the second run changes {again}"
    left = nodes.deploy(fewer).left
    # What comes back may be a leftover of others, which goes in the run after.
    left += nodes.deploy(fewer).left
    again = nodes.deploy(fewer).changed
    assert not again, f"after variables were taken out, the third run changes {again}"
    others.deploy(fewer)
    if not left:
        assert nodes.lines() == others.lines(), "it is not as if the variables had never been there"
    if not left + nodes.revert().left:
        assert nodes.lines() == Nodes(rows, root / "untouched").lines(), "reverted, it is not what it was"


def test_deployments_come_to_rest(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    seed = FIRST
    while outcomes["planned"] < DEPLOYMENTS:
        root = tmp_path / str(seed)
        root.mkdir()
        try:
            check(seed, root)
            outcomes["planned"] += 1
        except Unplanned:
            outcomes["refused"] += 1
        except AssertionError as error:
            pytest.fail(f"KAS_FUZZ_SEED={seed}: {error}")
        seed += 1
    print(f"\n{dict(outcomes)}")
