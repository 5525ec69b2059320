# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages by tags, and the report of each run: whole playbooks on simulated nodes (tests/bench/simulated.py).

Nothing is changed without a plan, what a stage needs runs before it, and no run is green that does nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._tags import tag_problem

ROOT = Path(__file__).resolve().parent.parent.parent
COLLECTIONS = ROOT / ".ansible" / "collections"
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

LOOK = ["kas_info", "gitlab_rb"]
CHANGE = ["gitlab_rb", "gitlab_reconfigure", "kas_info"]
CALL = ["kas_probe"]
NO_PLAN = "There is no plan, and nothing is done without; leave out --skip-tags always, and plan before anything else."


@pytest.mark.parametrize(
    ("tags", "modules", "result"),
    [
        ("", [*LOOK, *CHANGE, *CALL], "ok"),
        ("--tags preflight", LOOK, "unverified"),
        ("--tags deploy", [*LOOK, *CHANGE], "unverified"),
        ("--tags verify", [*LOOK, *CALL], "ok"),
        ("--tags deploy,verify --skip-tags preflight", [*LOOK, *CHANGE, *CALL], "ok"),
        ("--skip-tags deploy", [*LOOK, *CALL], "ok"),
        ("--skip-tags preflight,verify", [*LOOK, *CHANGE], "unverified"),
        ("--skip-tags all", LOOK, "unverified"),
    ],
)
def test_stages(tmp_path: Path, tags: str, modules: Sequence[str], result: str) -> None:
    folder = tmp_path / "nodes"
    done, report = run("deploy", simulated.make(folder, 1, ["node1"]), *tags.split())
    assert done.returncode == 0, done.stdout + done.stderr
    assert simulated.module_runs(folder) == {"node1": modules}
    assert report is not None
    assert (report["result"], [node["name"] for node in report["nodes"]]) == (result, ["node1"])
    assert re.findall(r"^node1  19", done.stdout, re.MULTILINE), "the table is shown"
    assert "skipping" not in done.stdout


STAGES = ("preflight", "deploy", "verify")
SUBSETS = [frozenset(chosen) for size in range(4) for chosen in combinations(STAGES, size)]


def test_every_combination(tmp_path: Path) -> None:
    """Which tasks are left with any tags and any tags to skip: each task's tags, and Ansible's own rule for them."""
    listed = simulated.run("deploy", simulated.make(tmp_path / "nodes", 1), "--list-tasks").stdout
    tasks = {}
    for name, tags in re.findall(r"^      (.+)\tTAGS: \[(.*)\]$", listed, re.MULTILINE):
        tasks[name] = Task(block=Block(play=Play()))
        tasks[name].tags = tags.split(", ")
    assert set(TASKS) <= set(tasks)
    for only, skipped in product(SUBSETS, SUBSETS):
        wanted = {"always", *((only or set(STAGES)) - skipped)}
        for name, stage in TASKS.items():
            runs = tasks[name].evaluate_tags(only or ["all"], skipped, {})
            assert runs == (stage in wanted), (name, only, skipped)


TASKS = {
    "Check that there is something to do": "always",
    "kasops.gitlab_kas.kas : Plan the settings of every node": "always",
    "kasops.gitlab_kas.kas : Dry-run the changes of this node": "always",
    "Find the nodes with pending changes": "always",
    "Change this node": "deploy",
    "kasops.gitlab_kas.kas_verify : Call every other KAS": "verify",
    "kasops.gitlab_kas.kas_verify : Report the state of the nodes": "always",
    "kasops.gitlab_kas.kas_verify : Fail the nodes with which anything is wrong": "verify",
}


NO_STAGE = "node1: --tags or --skip-tags names {}, which is no stage of this playbook; its"


@pytest.mark.parametrize(
    ("tags", "said", "modules"),
    [
        ("--tags depoly,verify", NO_STAGE.format("depoly"), ["kas_info"]),
        ("--skip-tags depoly", NO_STAGE.format("depoly"), ["kas_info"]),
        ("--tags untagged", NO_STAGE.format("untagged"), ["kas_info"]),
        ("--skip-tags always", f"node1: {NO_PLAN}", []),
        ("--tags verify --skip-tags always", f"node1: {NO_PLAN}", []),
    ],
)
def test_refused_tags(tmp_path: Path, tags: str, said: str, modules: list[str]) -> None:
    folder = tmp_path / "nodes"
    done, _report = run("deploy", simulated.make(folder, 1, ["node1"]), *tags.split(), "--limit", "node1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f'"msg": "{said}' in done.stdout
    assert simulated.module_runs(folder).get("node1", []) == modules


@pytest.mark.parametrize(
    ("asked", "skipped", "wrong"),
    [
        (["all"], [], ""),
        (["deploy", "verify"], ["preflight"], ""),
        (["always"], ["tagged"], ""),
        (["all"], ["molecule-notest", "notest", "slow"], ""),
        (["nginx"], [], "nginx"),
        (["deploy", "verfy"], [], "verfy"),
        (["untagged"], [], "untagged"),
        (["all"], ["deply", "Verify", "preflght"], "deply, Verify, preflght"),
    ],
)
def test_tags_that_are_no_stage(asked: list[str], skipped: list[str], wrong: str) -> None:
    expected = f"{NO_STAGE.format(wrong).removeprefix('node1: ')} stages are preflight, deploy, verify."
    assert tag_problem(asked, skipped) == (expected if wrong else "")


BROKEN = {"failed": True, "msg": "It is broken."}
NOT_BEGUN = "node2: not changed yet, or not to the end, since node1 has failed; fix the cause"


@pytest.mark.parametrize(
    ("special", "options", "expected", "rows"),
    [
        pytest.param(
            {"variables": {"node2": {"kas_enabled": "maybe"}}},
            [],
            ("refused", ["node2"], ["node2: kas_enabled is 'maybe'; set true or false."]),
            {},
            id="refused",
        ),
        pytest.param(
            {"pending": ["node1"], "answers": {"node2.gitlab_rb": BROKEN}},
            [],
            ("failed", ["node2"], ["node2: It is broken."]),
            {"node1": ([], True, False), "node2": ([], None, True)},
            id="dry-run",
        ),
        pytest.param(
            {"variables": {"node2": {"kas_certificate_src": "/no.crt", "kas_key": "/k.key"}}},
            [],
            ("failed", ["node2"], ["node2: kas_certificate_src is '/no.crt', but there is no such file"]),
            {"node1": ([], False, False), "node2": ([], None, True)},
            id="a certificate that is nowhere",
        ),
        pytest.param(
            {"unreachable": {"node2": "gitlab_rb"}},
            [],
            ("failed", ["node2"], ["node2: Data could not be sent"]),
            {"node1": ([], False, False), "node2": ([], None, True)},
            id="no answer to the dry-run",
        ),
        pytest.param(
            {"unreachable": {"node1": "gitlab_rb", "node2": "gitlab_rb"}},
            [],
            ("failed", ["node1", "node2"], ["node1: Data could not be sent", "node2: Data could not be sent"]),
            {"node1": ([], None, True), "node2": ([], None, True)},
            id="no answer of all to the dry-run",
        ),
        pytest.param(
            {"pending": ["node1", "node2"], "unreachable": {"node1": "gitlab_reconfigure"}},
            [],
            ("failed", ["node1"], ["node1: Data could not be sent", NOT_BEGUN]),
            {"node1": (["gitlab.rb"], False, True), "node2": ([], True, False)},
            id="no answer in the first batch",
        ),
        pytest.param(
            {"pending": ["node1", "node2"], "unreachable": {"node2": "gitlab_reconfigure"}},
            [],
            ("failed", ["node2"], ["node2: Data could not be sent"]),
            {"node1": (["gitlab.rb", "reconfigured"], False, False), "node2": (["gitlab.rb"], False, True)},
            id="no answer in the last batch",
        ),
        pytest.param(
            {"pending": ["node1", "node2"], "unreachable": {"node2": "gitlab_reconfigure"}},
            ["--extra-vars", "kas_serial=2"],
            ("failed", ["node2"], ["node2: Data could not be sent", "node1: not changed yet, or not to the end"]),
            {"node1": (["gitlab.rb", "reconfigured"], False, False), "node2": (["gitlab.rb"], False, True)},
            id="no answer in the only batch",
        ),
        pytest.param(
            {"unreachable": {"node1": "kas_probe", "node2": "kas_probe"}},
            [],
            ("failed", ["node1", "node2"], ["node1: Data could not be sent", "node2: Data could not be sent"]),
            {"node1": ([], False, True), "node2": ([], False, True)},
            id="no answer of all when they are verified",
        ),
        pytest.param(
            {"pending": ["node1", "node2"], "answers": {"node1.gitlab_reconfigure": BROKEN}},
            [],
            ("failed", ["node1"], ["node1: It is broken.", NOT_BEGUN]),
            {"node1": (["gitlab.rb"], False, True), "node2": ([], True, False)},
            id="a turn",
        ),
        pytest.param(
            {"answers": {"node1.kas_probe": {**BROKEN, "peers": []}}},
            [],
            ("problems", ["node1"], ["node1: It is broken."]),
            {"node1": ([], False, False), "node2": ([], False, False)},
            id="problems",
        ),
        pytest.param(
            {"pending": ["node1"]},
            ["--check"],
            ("unverified", [], []),
            {"node1": (["gitlab.rb", "reconfigured"], False, False), "node2": ([], False, False)},
            id="check mode",
        ),
        pytest.param(
            {"pending": ["node1"]},
            ["--limit", "node2"],
            ("ok", [], []),
            {"node2": ([], False, False)},
            id="limit",
        ),
    ],
)
def test_reports(
    tmp_path: Path, special: dict[str, Any], options: list[str], expected: tuple[Any, ...], rows: dict[str, Any]
) -> None:
    """In the artifacts and in the file alike, however the run ends."""
    path = tmp_path / "report.json"
    options = [*options, "--extra-vars", f"kas_report_path={path}"]
    _done, report = run("deploy", simulated.make(tmp_path / "nodes", 2, **special), *options)
    assert report == json.loads(path.read_text())
    assert (report["result"], report["failed"]) == expected[:2]
    assert [problem[: len(begin)] for problem, begin in zip(report["problems"], expected[2])] == expected[2]
    assert report["check"] is ("--check" in options)
    found = {node["name"]: (node["changed"], node["pending"], node["failed"]) for node in report["nodes"]}
    assert found == rows


def run(
    playbook: str, inventory: Path, *options: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any] | None]:
    """What ansible-playbook shows, and the report among its statistics."""
    done = simulated.run(playbook, inventory, *options, ANSIBLE_SHOW_CUSTOM_STATS="true")
    shown = re.search(r"^\tRUN: (.*)$", done.stdout, re.MULTILINE)
    return done, json.loads(shown[1])["gitlab_kas_report"] if shown else None
