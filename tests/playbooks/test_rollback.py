# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that fails in its turn: how to go back is said, or done. Whole playbooks on simulated nodes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

UNDO = "cp /var/lib/kasops.gitlab_kas/previous/g /etc/gitlab/gitlab.rb && gitlab-ctl reconfigure"
WRITTEN = {"changed": True, "settings_changed": ["roles"], "settings_left": [], "undo": UNDO}
BROKEN = {"failed": True, "msg": "It is broken."}
LEFT = (
    "node3: not changed yet, or not to the end, since node2 has failed; fix the cause and run the playbook deploy"
    " without a limit (in AWX relaunch it on all hosts, not on the failed ones)."
)


@pytest.mark.parametrize(
    ("rolls_back", "runs", "said"),
    [
        (False, [], f"node2: the settings from before are kept; to go back to them, run there: {UNDO}"),
        (
            True,
            ["gitlab_rb_restore", "gitlab_reconfigure"],
            f"node2: the settings from before could not be put back (It is broken); run there: {UNDO}",
        ),
    ],
)
def test_a_reconfigure_that_fails(tmp_path: Path, rolls_back: bool, runs: list[str], said: str) -> None:
    folder = tmp_path / "nodes"
    answers = {
        **{f"{name}.gitlab_rb": WRITTEN for name in ("node1", "node2", "node3")},
        "node2.gitlab_reconfigure": BROKEN,
        "node2.gitlab_rb_restore": {"changed": True, "files": ["/etc/gitlab/gitlab.rb"]},
    }
    inventory = simulated.make(folder, 3, ["node1", "node2", "node3"], answers=answers)
    done = simulated.run("deploy", inventory, "--extra-vars", f"kas_rollback={rolls_back}")
    assert done.returncode == 2
    [failed] = re.findall(r"^fatal: \[node2\]: FAILED! => \{.*\"msg\": \"(.*)\"\}$", done.stdout, re.MULTILINE)[-1:]
    assert failed.split("\\n") == ["node2: It is broken.", LEFT, said]
    turn = ["gitlab_rb", "gitlab_reconfigure"]
    assert simulated.module_runs(folder) == {
        "node1": ["kas_info", "gitlab_rb", *turn, "kas_info"],
        "node2": ["kas_info", "gitlab_rb", *turn, *runs],
        "node3": ["kas_info", "gitlab_rb"],
    }
    assert ("rolled back" in done.stdout) is rolls_back


def test_tasks_around_the_turn_of_each_node(tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    variables = {}
    for when in ("before", "after"):
        text = f"{when} {{{{ inventory_hostname }}}}"
        tasks = [{"name": text, "ansible.builtin.debug": {"msg": text}}]
        (tmp_path / f"{when}.yml").write_text(json.dumps(tasks))
        variables[f"kas_{when}_node_tasks"] = str(tmp_path / f"{when}.yml")
    inventory = simulated.make(folder, 3, ["node1", "node3"], variables=dict.fromkeys(("node1", "node2"), variables))
    done = simulated.run("deploy", inventory)
    assert done.returncode == 0, done.stdout + done.stderr
    titles = re.findall(r"^TASK \[(?:kasops.gitlab_kas.kas\S* : )?(.*?)\] \**$", done.stdout, re.MULTILINE)
    turn = ["Write the planned changes of this node", "Reconfigure GitLab", "Wait until KAS is ready"]
    before, after = (f"Run the tasks {when} the turn of this node" for when in ("before", "after"))
    change = "Change this node"
    turns = [change, before, "before node1", change, *turn, after, "after node1", change, *turn]
    begin = titles.index(before) - 1
    assert titles[begin : begin + len(turns)] == turns
    assert not re.search("skipping|WARNING", done.stdout), done.stdout


def test_a_file_of_tasks_that_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    inventory = simulated.make(folder, 2, ["node1", "node2"])
    done = simulated.run("deploy", inventory, "--extra-vars", "kas_after_node_tasks=undrain.yml")
    assert done.returncode == 2
    said = (
        "node1, node2: kas_after_node_tasks is 'undrain.yml', which is no file on the controller; give an absolute"
        " path, such as '{{ inventory_dir }}/tasks.yml'."
    )
    assert said in done.stdout
    assert simulated.module_runs(folder) == {name: ["kas_info"] for name in ("node1", "node2")}
