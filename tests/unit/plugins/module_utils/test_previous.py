# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of the files before a change, and how they come back."""

from __future__ import annotations

import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_files import Write
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._previous import command, forget, keep, restore


class Node:
    """A gitlab.rb, a file that it includes, and what is kept of them."""

    def __init__(self, folder: Path) -> None:
        self.gitlab_rb, self.include = folder / "gitlab.rb", folder / "it's kas.rb"
        self.gitlab_rb.write_text("A")
        self.kept = folder / "state" / "previous"

    def change(self, in_effect=True, dies=False, **new):
        """Change files, of which None is removed; in_effect says whether what they say was ever applied."""
        paths = {name: getattr(self, name) for name in new}
        writes = [
            Write(
                str(path),
                path.read_bytes() if path.exists() else None,
                None if new[name] is None else new[name].encode(),
            )
            for name, path in paths.items()
        ]
        kept = keep(str(self.kept), writes, in_effect=in_effect)
        for write in [] if dies else writes:
            if write.new is None:
                Path(write.path).unlink()
            else:
                Path(write.path).write_bytes(write.new)
        return command(kept)

    def restore(self, **options):
        return [Path(path).name for path in restore(str(self.kept), **options)]

    @property
    def text(self):
        """gitlab.rb, and where there is one, the other file."""
        return "+".join(path.read_text() for path in (self.gitlab_rb, self.include) if path.exists())


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_back_and_no_further(node):
    node.change(gitlab_rb="B")
    assert node.restore(check_mode=True) == ["gitlab.rb"]
    assert node.text == "B"
    assert node.restore() == ["gitlab.rb"]
    assert node.text == "A"
    assert node.restore() == []


def test_for_root_alone(node):
    node.gitlab_rb.chmod(0o644)
    node.change(gitlab_rb="B")
    assert {stat.S_IMODE(path.stat().st_mode) for path in node.kept.iterdir()} == {0o600}
    assert stat.S_IMODE(node.kept.stat().st_mode) == 0o700
    node.restore()
    assert stat.S_IMODE(node.gitlab_rb.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("second", "back"),
    [
        ({"in_effect": True, "gitlab_rb": "C"}, "B"),  # B worked
        ({"in_effect": False, "gitlab_rb": "C"}, "A"),  # the reconfigure with B failed
        ({"in_effect": False, "gitlab_rb": "C", "include": "K"}, "A"),
        ({"in_effect": False, "include": "K"}, "A"),
        ({"in_effect": False, "gitlab_rb": "C", "dies": True}, "A"),
        ({"in_effect": True, "gitlab_rb": "C", "dies": True}, "B"),
    ],
)
def test_what_was_last_in_effect_comes_back(second, back, node):
    node.change(gitlab_rb="B")
    node.change(**second)
    node.restore()
    assert node.text == back


def test_a_third_try_after_one_that_died(node):
    node.change(gitlab_rb="B")
    node.change(in_effect=False, gitlab_rb="C", dies=True)
    node.change(in_effect=False, gitlab_rb="D")
    node.restore()
    assert node.text == "A"


def test_an_edit_of_somebody_else_is_kept(node):
    """After a change that never took effect; then what he wrote is what comes back."""
    node.change(gitlab_rb="B")
    node.gitlab_rb.write_text("mine")
    with pytest.raises(FileError, match=r"^\S+/gitlab.rb was changed by other means since, so it is not put back; "):
        node.restore()
    assert node.text == "mine"
    node.change(in_effect=False, gitlab_rb="C")
    node.restore()
    assert node.text == "mine"


@pytest.mark.parametrize("by_hand", [False, True])
def test_files_that_were_not_there_or_are_gone(by_hand, node):
    """The settings move into a file of their own, and back; by the command that a person types, too."""
    for change in ({"include": "K", "gitlab_rb": "B"}, {"include": None, "gitlab_rb": "C"}):
        before = node.text
        undo = node.change(**change)
        assert node.text != before
        if by_hand:
            subprocess.run(undo.replace("gitlab-ctl reconfigure", "true"), shell=True, check=True)
        else:
            node.restore()
        assert node.text == before
        node.change(**{name: "B" if name == "gitlab_rb" else "K" for name in change})


def test_the_command(node):
    undo = node.change(gitlab_rb="B", include="K")
    copy = node.kept / str(node.gitlab_rb).strip("/").replace("/", "-")
    steps = [f"cp {copy} {node.gitlab_rb}", f"rm -f {shlex.quote(str(node.include))}", "gitlab-ctl reconfigure"]
    assert undo == " && ".join(steps)


def test_nothing_is_kept(node):
    with pytest.raises(
        FileError, match=r" keeps no file, so nothing can be put back; give the directory of a change\.$"
    ):
        node.restore()
    assert not forget(str(node.kept))


def test_forgotten(node):
    node.change(gitlab_rb="B")
    assert forget(str(node.kept), check_mode=True)
    assert node.kept.exists()
    assert forget(str(node.kept))
    assert not node.kept.exists()


def test_a_damaged_list(node):
    node.change(gitlab_rb="B")
    (node.kept / "files.json").write_text("{")
    for act in (node.restore, lambda: node.change(gitlab_rb="C")):
        with pytest.raises(FileError, match=r"/files\.json is damaged; move it away to continue without what was kept"):
            act()
    assert node.text == "B"
