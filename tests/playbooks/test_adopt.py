# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""adopt on simulated nodes (tests/bench/simulated.py): the files that it writes, and that deploy takes them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

EXPECTED = """\
---
# What the nodes had in gitlab.rb when they were adopted. Yours to edit: deploy makes the nodes say it.
kas_own_private_api_cidr: 10.87.0.0/24
kas_private_api_listen_address: 0.0.0.0:8155
kas_redis:
  host: 10.87.255.1
  port: 6379
kas_write_defaults: false
"""
PASSWORD = (
    "/etc/gitlab/gitlab.rb, line 9: gitlab_kas['redis_password'] holds a secret, which stays here and is in no file of"
    " the inventory."
)


def made_by_hand(folder: Path, answers: Mapping[str, Any] | None = None, **more: Any) -> Path:
    """Two nodes, and an inventory that says nothing of them; answers maps NODE.MODULE to what else is answered."""
    read_there = {}
    for name, info in simulated.kas_infos(2).items():
        place = {"file": "/etc/gitlab/gitlab.rb", "line": 9}
        lines = [
            {"name": f"gitlab_kas['{key}']", "symbols": False, **place} for key in info["kas"]["settings"]["gitlab_kas"]
        ]
        read = {"settings": info["kas"]["settings"], "lines": lines, "unreadable": []}
        read_there[f"{name}.gitlab_rb_info"] = {"changed": False, "gitlab_rb": read}
    inventory = simulated.make(folder, 2, answers={**read_there, **(answers or {})}, **more)
    content = json.loads(inventory.read_text())
    for variable in simulated.ROLE_VARIABLES:
        content["all"]["vars"].pop(variable)
    content["all"]["vars"]["kas_adopt_path"] = str(folder)
    inventory.write_text(json.dumps(content))
    return inventory


def adopt(inventory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = simulated.run("adopt", inventory, *options)
    assert not re.search("WARN|DEPRECAT|Traceback", done.stdout + done.stderr), done.stdout + done.stderr
    assert "sesame" not in done.stdout + done.stderr
    for secret in simulated._SECRETS.values():
        assert secret not in done.stdout + done.stderr
    return done


def written(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.glob("*_vars/*"))}


def test_adopted_and_deployed(tmp_path: Path) -> None:
    inventory = made_by_hand(tmp_path / "nodes")
    folder = inventory.parent
    done = adopt(inventory)
    assert done.returncode == 0, done.stdout
    assert written(folder) == {"group_vars/gitlab_kas.yml": EXPECTED}
    end = f"  node1, node2: {PASSWORD}\nDeploy would change nothing.\nWritten: {folder}/group_vars/gitlab_kas.yml\n"
    assert end in done.stdout
    assert simulated.module_runs(folder) == {name: ["kas_info", "gitlab_rb_info"] for name in ("node1", "node2")}
    again = adopt(inventory)
    assert (again.returncode, "changed=1" in again.stdout) == (0, False), again.stdout
    assert "\nAll files are there already.\n" in again.stdout
    assert written(folder) == {"group_vars/gitlab_kas.yml": EXPECTED}
    deployed = simulated.run("deploy", inventory)
    assert deployed.returncode == 0, deployed.stdout
    assert "changed=1" not in deployed.stdout


def test_shown_only(tmp_path: Path) -> None:
    inventory = made_by_hand(tmp_path / "nodes")
    for options, said in (
        (["--extra-vars", "kas_adopt_path="], "Nothing is written; with kas_adopt_path, such as the directory of your"),
        (["--check"], f"Would be written: {inventory.parent}/group_vars/gitlab_kas.yml\n"),
    ):
        done = adopt(inventory, *options)
        assert done.returncode == 0, done.stdout
        assert "--- group_vars/gitlab_kas.yml\n" in done.stdout
        assert "kas_own_private_api_cidr: 10.87.0.0/24\n" in done.stdout
        assert f"\nDeploy would change nothing.\n{said}" in done.stdout
        assert written(inventory.parent) == {}


def test_no_file_is_replaced(tmp_path: Path) -> None:
    inventory = made_by_hand(tmp_path / "nodes")
    file = inventory.parent / "group_vars/gitlab_kas.yml"
    file.parent.mkdir()
    theirs = "kas_serial: 2\nkas_redis:\n  password: sesame\n"
    file.write_text(theirs)
    done = adopt(inventory)
    assert done.returncode == 2
    assert written(inventory.parent) == {"group_vars/gitlab_kas.yml": theirs}
    said = message(done.stdout)
    assert said.startswith(
        f"kas_adopt_path is '{inventory.parent}', but files are there that say something else, and none is replaced;"
        " move them away, or set another path and merge by hand.\n"
    )
    assert "-kas_serial: 2\n" in said and "-  password: ********\n" in said
    assert "+kas_own_private_api_cidr: 10.87.0.0/24\n" in said


BROKEN = {"failed": True, "msg": "/etc/gitlab/gitlab.rb, line 3: it is no Ruby."}


@pytest.mark.parametrize(
    ("special", "options", "said", "marked"),
    [
        (
            {"unreachable": {"node2": "kas_info"}},
            [],
            "node2: this host of group gitlab_kas and gitlab_rails does not answer (",
            ["node2"],
        ),
        (
            {"answers": {"node2.gitlab_rb_info": BROKEN}},
            [],
            "node2: /etc/gitlab/gitlab.rb, line 3: it is no Ruby.",
            ["node2"],
        ),
        (
            {},
            ["--limit", "node1"],
            "node2: not in this run, but a deployment is described as a whole; leave the limit out.",
            ["node1"],
        ),
        (
            {"variables": {"node1": {"kas_adopt_path": "/tmp"}}},
            [],
            "node1, node2: their kas_adopt_path differs; set one path for all hosts.",
            ["node1", "node2"],
        ),
        (
            {},
            ["--extra-vars", "kas_adopt_path=/nowhere"],
            "kas_adopt_path is '/nowhere', but there is no directory /nowhere on the controller; make it, or set"
            " another path.",
            ["node1"],
        ),
        (
            {},
            ["--extra-vars", "kas_adopt_path=~nobody-of-this-name/x"],
            "kas_adopt_path is '~nobody-of-this-name/x', but there is no directory ",
            ["node1"],
        ),
    ],
)
def test_refused(
    tmp_path: Path, special: Mapping[str, Any], options: list[str], said: str, marked: Sequence[str]
) -> None:
    """In one sentence, on the right hosts, with nothing written."""
    inventory = made_by_hand(tmp_path / "nodes", **special)
    done = adopt(inventory, *options)
    assert done.returncode in (2, 4), done.stdout
    assert message(done.stdout).startswith(said)
    assert re.findall(r"^(node\d) .* (?:unreachable|failed)=1", done.stdout, re.MULTILINE) == marked
    assert written(inventory.parent) == {}


def message(shown: str) -> str:
    """What the first host that fails says; one that fails with it, too, only names it."""
    results = re.findall(r"^fatal: \[\S+\]: (?:FAILED|UNREACHABLE)! => (\{.*\"msg\".*\})$", shown, re.MULTILINE)
    messages = [str(json.loads(result)["msg"]) for result in results]
    return next(each for each in messages if "is about this host, too" not in each)


def test_what_is_written_is_yaml() -> None:
    assert yaml.safe_load(EXPECTED)["kas_redis"] == {"host": "10.87.255.1", "port": 6379}
