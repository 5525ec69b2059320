# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is marked when something goes wrong: whole playbooks on simulated nodes (tests/bench/simulated.py).

A node fails with what is said of it, an unreachable one stays unreachable, and no healthy one is marked: AWX takes the
marks for "relaunch on failed hosts". The exit code says that something is wrong, and no node changes that must not.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

WRONG = {"kas_enabled": "maybe"}
REFUSED = "kas_enabled is 'maybe'; set true or false."
BROKEN = {"failed": True, "msg": "It is broken."}
UNREADY = {"kas": {**simulated.kas_infos(1)["node1"]["kas"], "ready": False, "readiness": "no Redis"}}
ALL = ("node1", "node2", "node3", "node4")
SSH = 'Data could not be sent to remote host "node2". Make sure this host can be reached over ssh: No route to host'


def later(failed: str, *nodes: str) -> str:
    return f"\n{', '.join(nodes)}: not changed yet, or not to the end, since {failed} has failed; fix the cause"


@pytest.mark.parametrize(
    ("playbook", "special", "options", "marks", "said"),
    [
        pytest.param(
            "deploy",
            {"unreachable": {"node2": "kas_info"}},
            [],
            {"node2": "unreachable"},
            {"node2": f"node2: this host of group gitlab_kas and gitlab_rails does not answer ({SSH});"},
            id="no answer",
        ),
        pytest.param(
            "deploy",
            {"variables": {"node2": WRONG}},
            [],
            {"node2": "failed"},
            {"node2": f"node2: {REFUSED}"},
            id="a variable of one node",
        ),
        pytest.param(
            "deploy",
            {"variables": {"node3": WRONG, "node2": WRONG}, "unreachable": {"node4": "kas_info"}},
            [],
            {"node2": "failed", "node3": "failed", "node4": "unreachable"},
            {
                "node2": f"node2, node3: {REFUSED}",
                "node3": "node3: what is said of node2 is about this host, too.",
                "node4": "node4: this host of group",
            },
            id="a variable of two nodes and no answer of another",
        ),
        pytest.param(
            "deploy",
            {"variables": {"node2": WRONG}},
            ["--limit", "node3,node4"],
            {"node3": "failed", "node4": "failed"},
            {"node3": f"node2: {REFUSED}", "node4": "node4: what is said of node3 is about this host, too."},
            id="outside of the limit",
        ),
        pytest.param(
            "deploy",
            {"pending": ALL},
            ["--extra-vars", "awx_job_template_name=KAS awx_workflow_job_name=KAS"],
            dict.fromkeys(ALL, "failed"),
            {
                "node1": "node1, node2, node3, node4: this job is a slice of the job template 'KAS', so its",
                **{name: f"{name}: what is said of node1 is about this host, too." for name in ALL[1:]},
            },
            id="a slice",
        ),
        pytest.param(
            "deploy",
            {"pending": ALL, "variables": {name: {"kas_expected_nodes": 6} for name in ALL}},
            [],
            dict.fromkeys(ALL, "failed"),
            {
                "node1": "node1, node2, node3, node4: kas_expected_nodes is 6, but the job's inventory has only 4",
                **{name: f"{name}: what is said of node1 is about this host, too." for name in ALL[1:]},
            },
            id="a slice launched again",
        ),
        pytest.param(
            "deploy",
            {"answers": {"node2.gitlab_rb": BROKEN}},
            [],
            {"node2": "failed"},
            {"node2": "node2: It is broken."},
            id="dry-run",
        ),
        pytest.param(
            "deploy",
            {"unreachable": {"node2": "gitlab_rb"}},
            [],
            {"node2": "unreachable"},
            {"node2": f"node2: {SSH}"},
            id="no answer to the dry-run",
        ),
        pytest.param(
            "deploy",
            {"pending": ALL, "answers": {"node2.gitlab_reconfigure": BROKEN}},
            [],
            {"node2": "failed"},
            {"node2": "node2: It is broken." + later("node2", "node3", "node4")},
            id="reconfigure",
        ),
        pytest.param(
            "deploy",
            {"pending": ALL, "unreachable": {"node2": "gitlab_reconfigure"}},
            ["--extra-vars", "kas_serial=2"],
            {"node2": "unreachable"},
            {"node2": f"node2: {SSH}" + later("node2", "node1", "node3", "node4")},
            id="no answer in a batch of two",
        ),
        pytest.param(
            "verify",
            {"unreachable": {"node2": "kas_probe"}},
            [],
            {"node2": "unreachable"},
            {"node2": f"node2: {SSH}"},
            id="no answer when it is verified",
        ),
        pytest.param(
            "verify",
            {"answers": {"node1.kas_info": UNREADY}},
            [],
            {"node1": "failed"},
            {"node1": "node1: KAS is not ready (no Redis); read /var"},
            id="a finding",
        ),
    ],
)
def test_marks(
    tmp_path: Path,
    playbook: str,
    special: dict[str, Any],
    options: list[str],
    marks: dict[str, str],
    said: dict[str, str],
) -> None:
    folder = tmp_path / "nodes"
    done = simulated.run(playbook, simulated.make(folder, 4, **special), *options)
    assert done.returncode in (2, 4), done.stdout + done.stderr
    assert marked(done.stdout) == marks
    found = messages(done.stdout)
    assert {name: text[: len(said[name])] for name, text in found.items()} == said
    assert not re.search("WARNING|Traceback", done.stdout + done.stderr)
    changed = {name for name, modules in simulated.module_runs(folder).items() if "gitlab_reconfigure" in modules}
    begun = {"node1", "node2"} if "pending" in special else set()
    assert changed <= begun
    assert not {"node3", "node4"} & writers(folder)


@pytest.mark.parametrize(
    ("groups", "options", "said"),
    [
        (("gitlab_kas", "gitlab_rails"), ["--limit", "web"], "The limit 'web' leaves out every host of the groups"),
        ((), [], "The inventory's group gitlab_kas has no host; put the nodes"),
        ((), ["--limit", "node1"], "The inventory's group gitlab_kas has no host; put the nodes"),
        (("gitlab_rails",), ["--limit", "node1"], "The inventory's group gitlab_kas has no host; put the nodes"),
    ],
)
def test_never_green_and_empty(tmp_path: Path, groups: tuple[str, ...], options: list[str], said: str) -> None:
    lines = ["web", "node1", *(f"[{group}]\nnode1" for group in groups)]
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "hosts").write_text("\n".join(lines) + "\n")
    done = simulated.run("deploy", tmp_path / "hosts", *options)
    assert done.returncode == 2, done.stdout
    assert [text[: len(said)] for text in messages(done.stdout).values()] == [said]


def marked(shown: str) -> dict[str, str]:
    """The hosts that the recap counts as unreachable or failed."""
    counts = re.findall(r"^(\S+) +: .*unreachable=(\d+) +failed=(\d+)", shown, re.MULTILINE)
    return {
        name: "unreachable" if int(unreachable) else "failed"
        for name, unreachable, failed in counts
        if int(unreachable) or int(failed)
    }


def messages(shown: str) -> dict[str, str]:
    """What is said of each host that fails; not of what is ignored, which has no_log."""
    results = re.findall(r"^fatal: \[(\S+)\]: \w+! => (\{.*\})$", shown, re.MULTILINE)
    return {name: json.loads(result)["msg"] for name, result in results if "censored" not in result}


def writers(folder: Path) -> set[str]:
    """The nodes on which more was run than the question, the dry-run and the calls."""
    runs = simulated.module_runs(folder)
    return {name for name, modules in runs.items() if modules.count("gitlab_rb") > 1}
