# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks and tasks give our modules options that they have: ansible-lint does not look at those."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "kasops.gitlab_kas."
FOLDERS = ("examples", "molecule", "playbooks", "roles")
FILES = [path for folder in FOLDERS for path in sorted(ROOT.joinpath(folder).rglob("*.yml"))]
PLAY = re.compile(r"^  (hosts|ansible\.builtin\.import_playbook):", re.MULTILINE)
PLAYBOOKS = [path for path in sorted(ROOT.glob("examples/**/*.yml")) if PLAY.search(path.read_text())]


class Loader(yaml.SafeLoader):
    """YAML with the tags of Ansible, whose values do not matter here."""


Loader.add_multi_constructor("!", lambda _loader, _tag, node: str(node.value))


def ansible(program: str, *arguments: str | Path) -> str:
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections")}
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def options() -> dict[str, set[str]]:
    """The options and their aliases of each module."""
    names = [f"{COLLECTION}{path.stem}" for path in ROOT.glob("plugins/modules/*.py")]
    docs = json.loads(ansible("ansible-doc", "--json", "--type", "module", *names))
    known = {name: docs[name]["doc"].get("options", {}) for name in names}
    return {
        name: {*known[name], *(alias for option in known[name].values() for alias in option.get("aliases", []))}
        for name in names
    }


def calls(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every module of ours that something in a file runs, with what it gives it."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if str(name).startswith(COLLECTION) and (inner is None or isinstance(inner, dict)):
            yield name, inner or {}
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from calls(inner)


def test_options_are_the_modules(options: dict[str, set[str]]) -> None:
    unknown, seen = [], 0
    for path in FILES:
        for name, given in calls(yaml.load(path.read_text(), Loader)):
            seen += 1
            unknown += [f"{path.relative_to(ROOT)}: {name}: {option}" for option in {*given} - options[name]]
    assert seen > 20
    assert unknown == []


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_syntax_of_examples(playbook: Path) -> None:
    inventory = ROOT / "examples" / "molecule" / "molecule" / "default" / "inventory.yml"
    ansible("ansible-playbook", "--syntax-check", "--inventory", inventory, playbook)
