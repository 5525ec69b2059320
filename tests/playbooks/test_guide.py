# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/gitlab-rb.md shows what Ansible really does: every task in it is run, and what follows is what came out.

A comment before a block says what it is: ``before``, the gitlab.rb of the tasks behind it, each on a copy of its own;
``task``; ``after``, the file that the task leaves; ``message``, ``diff`` and ``returned``, what it says.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

GUIDE = Path(__file__).resolve().parent.parent.parent / "docs/gitlab-rb.md"
BLOCK = re.compile(r"<!-- (before|task|after|message|diff|returned) -->\n```\w*\n(.*?)```\n", re.DOTALL)


class Example(NamedTuple):
    before: str
    task: str
    what: str  # after, message, diff or returned
    shown: str


def examples(text: str) -> list[Example]:
    found, before, task = [], "", ""
    for what, content in BLOCK.findall(text):
        if what == "before":
            before = content
        elif what == "task":
            task = content
        else:
            found.append(Example(before, task, what, content))
    return found


EXAMPLES = examples(GUIDE.read_text())


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What each example has left and said, from one playbook that runs them all on this machine."""
    folders, tasks = [], []
    for example in EXAMPLES:
        folder = tmp_path_factory.mktemp("gitlab")
        (folder / "gitlab.rb").write_text(example.before)
        [task] = yaml.safe_load(example.task.replace("/etc/gitlab", str(folder)))
        result = {
            "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": f"{folder}/result.json"},
            "diff": False,
        }
        tasks += [{**task, "register": "result", "ignore_errors": True}, result]
        path = {"path": f"{folder}/gitlab.rb"}
        tasks[-2]["module_defaults"] = {f"kasops.gitlab_kas.{name}": path for name in ("gitlab_rb", "gitlab_rb_info")}
        folders.append(folder)
    playbook = folders[0] / "playbook.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook.write_text(json.dumps([{**play, "vars": {"ansible_python_interpreter": sys.executable}}]))
    ansible = Path(sys.executable).with_name("ansible-playbook")
    run = subprocess.run([ansible, "-i", "localhost,", "--diff", playbook], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    return [_outcome(folder) for folder in folders]


def _outcome(folder: Path) -> dict[str, str]:
    result = json.loads((folder / "result.json").read_text())
    said = {
        "after": (folder / "gitlab.rb").read_text(),
        "message": f"{result.get('msg', '')}\n",
        "returned": json.dumps(result.get("gitlab_rb")),
        "diff": result["diff"].get("prepared", "") if isinstance(result.get("diff"), dict) else "",
    }
    return {what: text.replace(str(folder), "/etc/gitlab") for what, text in said.items()}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(outcomes: list[dict[str, str]], number: int) -> None:
    example = EXAMPLES[number]
    found = outcomes[number][example.what]
    if example.what == "returned":
        assert json.loads(found) == yaml.safe_load(example.shown)
    else:
        assert found == example.shown


def test_there_are_examples_of_each_kind() -> None:
    assert {example.what for example in EXAMPLES} == {"after", "message", "diff", "returned"}
