# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the sockets: made with its owner, and removed only if it was made here."""

from __future__ import annotations

import getpass
import grp
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_socket_directory import main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args


class Node:
    """A node, and how often its directory was given an owner."""

    def __init__(self, root: Path) -> None:
        self.path = root / "run/kas"
        self.record = root / "kept/directories.json"
        self.has_attributes = False

    def set_attributes(self, path: str) -> bool:
        assert path == str(self.path)
        had, self.has_attributes = self.has_attributes, True
        return not had

    def run(self, state: str, *, check_mode: bool = False) -> bool:
        params = {"path": str(self.path), "record": str(self.record), "state": state}
        return run(params, self.set_attributes, check_mode=check_mode)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_made_once_and_removed_once(node: Node) -> None:
    assert node.run("present")
    assert stat.S_IMODE(node.path.stat().st_mode) == 0o700
    assert node.has_attributes
    assert not node.run("present")
    assert node.run("absent")
    assert not node.path.exists()
    assert not node.record.exists()
    assert not node.run("absent")


def test_somebody_elses_stays(node: Node) -> None:
    node.path.mkdir(parents=True)
    assert node.run("present")
    assert not node.run("present")
    assert not node.run("absent")
    assert node.path.is_dir()


def test_one_with_something_in_it_stays_until_it_is_empty(node: Node) -> None:
    node.run("present")
    (node.path / "theirs").touch()
    assert not node.run("absent")
    (node.path / "theirs").unlink()
    assert node.run("absent")
    assert not node.path.exists()


def test_one_that_somebody_has_removed(node: Node) -> None:
    node.run("present")
    node.path.rmdir()
    assert not node.run("absent")
    node.path.mkdir()
    assert not node.run("absent")
    assert node.path.is_dir()


def test_check_mode(node: Node) -> None:
    assert node.run("present", check_mode=True)
    assert not node.path.exists()
    assert not node.record.exists()
    node.run("present")
    assert node.run("absent", check_mode=True)
    assert node.path.is_dir()
    assert node.record.exists()


def test_a_file_in_the_way(node: Node) -> None:
    node.path.parent.mkdir()
    node.path.touch()
    with pytest.raises(FileError) as caught:
        node.run("present")
    assert str(caught.value) == f"{node.path} cannot be created (File exists); move away what is there."


@pytest.mark.parametrize("state", ["present", "absent"])
def test_main(node: Node, state: str, capsys: pytest.CaptureFixture[str]) -> None:
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    if state == "absent":
        node.run("present")
    arguments: dict[str, Any] = {"path": str(node.path), "record": str(node.record), "user": user, "state": state}
    arguments["group"] = group
    with patch_module_args(arguments), pytest.raises(SystemExit) as caught:
        main()
    result = json.loads(capsys.readouterr().out)
    assert (caught.value.code, result["changed"]) == (0, True)
    there, gone = f"{node.path}, mode 0700, owner {user}:{group}\n", ""
    assert result["diff"] == (
        {"before": gone, "after": there} if state == "present" else {"before": there, "after": gone}
    )
    assert node.path.is_dir() == (state == "present")
