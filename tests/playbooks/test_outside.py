# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents' way to KAS, tried by whole runs: from whom, how often, and what becomes of what is found."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

URL = "wss://gitlab.example.com/-/kubernetes-agent/"
WORKS = {"check": "agents", "url": URL, "ok": True, "part": "", "text": "reachable", "remedy": ""}
WORKS |= {"warnings": [], "told": {}}
FAILS = {**WORKS, "ok": False, "part": "proxy", "text": "the proxy does not pass on the header Upgrade", "remedy": "do"}
TOLD = f"agents do not get through to KAS at {URL}: the proxy does not pass on the header Upgrade; do."


def answer(*checks: dict[str, Any]) -> dict[str, Any]:
    return {"changed": False, "checks": list(checks), "reachable": all(check["ok"] for check in checks)}


def everywhere(count: int, **variables: object) -> dict[str, dict[str, object]]:
    return {f"node{number}": variables for number in range(1, count + 1)}


def asked(folder: Path) -> list[str]:
    """The nodes that have tried it, once for each time."""
    return [name for name, ran in simulated.module_runs(folder).items() for each in ran if each == "kas_agent_probe"]


@pytest.mark.parametrize("arguments", [["verify"], ["deploy"], ["deploy", "--tags", "verify"]], ids=" ".join)
def test_it_is_tried_once(tmp_path: Path, arguments: list[str]) -> None:
    folder, report = tmp_path / "nodes", tmp_path / "report.json"
    variables = everywhere(3, kas_verify_from="node2", kas_report_path=str(report))
    inventory = simulated.make(folder, 3, answers={"node2.kas_agent_probe": answer(WORKS)}, variables=variables)
    done = simulated.run(*(arguments[0], inventory), *arguments[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert asked(folder) == ["node2"]
    assert f"\nnode2: agents get through to KAS at {URL}.\n" in done.stdout
    assert len(re.findall(r"^TASK \[", done.stdout, re.MULTILINE)) <= 12
    assert not re.search("skipping|WARN|DEPRECAT", done.stdout + done.stderr), done.stdout + done.stderr
    found = json.loads(report.read_text())
    assert (found["result"], [each["from"] for each in found["outside"]]) == ("ok", ["node2"])


@pytest.mark.parametrize(
    "arguments", [["preflight"], ["deploy", "--check"], ["deploy", "--tags", "deploy"]], ids=" ".join
)
def test_it_is_not_tried(tmp_path: Path, arguments: list[str]) -> None:
    folder = tmp_path / "nodes"
    inventory = simulated.make(folder, 2, variables=everywhere(2, kas_verify_from="node2"))
    done = simulated.run(*(arguments[0], inventory), *arguments[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert asked(folder) == []


def test_what_is_wrong_fails_one_node(tmp_path: Path) -> None:
    """And is said once, also if two hosts find it."""
    folder = tmp_path / "nodes"
    answers = {f"node{number}.kas_agent_probe": answer(FAILS) for number in (2, 3)}
    inventory = simulated.make(folder, 3, answers=answers, variables=everywhere(3, kas_verify_from="node2,node3"))
    done = simulated.run("verify", inventory)
    assert done.returncode == 2
    assert asked(folder) == ["node2", "node3"]
    assert re.findall(r"^fatal: \[(node\d)\]", done.stdout, re.MULTILINE) == ["node1"]
    assert f"node2, node3: {TOLD}" in done.stdout


def test_the_controller_tries_it(tmp_path: Path) -> None:
    """With the module itself."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{closed.getsockname()[1]}/"
        variables = everywhere(1, kas_verify_from=["localhost"], kas_external_url=url, kas_cookie_check="ignore")
        done = simulated.run("verify", simulated.make(tmp_path / "nodes", 1, variables=variables))
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert f"localhost: agents do not get through to KAS at {url}: connection refused; make sure that" in said


def test_a_host_that_does_not_answer(tmp_path: Path) -> None:
    """It is lost for this question alone."""
    folder = tmp_path / "nodes"
    inventory = simulated.make(
        folder,
        2,
        variables=everywhere(2, kas_verify_from="node2"),
        unreachable={"node2": "kas_agent_probe"},
    )
    done = simulated.run("verify", inventory)
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert re.search(r"node2: this host of kas_verify_from does not answer \(.*No route to host.*\); make sure", said)
    assert re.findall(r"^(node\d) .* unreachable=0 +failed=(\d)", said, re.MULTILINE) == [
        ("node1", "1"),
        ("node2", "0"),
    ]


def test_several_deployments(tmp_path: Path) -> None:
    """Each has its own, or none."""
    folder = tmp_path / "nodes"
    redis = {name: {"host": f"10.87.254.{number}"} for number, name in enumerate(("node1", "node2", "node3"), 1)}
    variables: dict[str, dict[str, object]] = {
        name: {"kas_deployment": name, "kas_redis": redis[name], "kas_verify_from": "node3"} for name in redis
    }
    variables["node2"]["kas_verify_from"] = ""
    answers: dict[str, Any] = {"node3.kas_agent_probe": answer(FAILS)}
    infos = simulated.kas_infos(3)
    for name in redis:
        infos[name]["kas"]["settings"]["external_url"] = f"https://{name}.example.com"
        answers[f"{name}.kas_info"] = infos[name]
    done = simulated.run("verify", simulated.make(folder, 3, answers=answers, variables=variables))
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert asked(folder) == ["node3", "node3"]
    assert re.findall(r"^(node\d) .* failed=1", said, re.MULTILINE) == ["node1", "node3"]


def test_the_token_is_never_shown(tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    variables = everywhere(1, kas_verify_from="node1", kas_verify_token="glpat-of-a-test")
    inventory = simulated.make(folder, 1, answers={"node1.kas_agent_probe": answer(WORKS)}, variables=variables)
    done = simulated.run("verify", inventory, "-vvvv")
    assert (done.returncode, asked(folder)) == (0, ["node1"])
    assert "glpat-of-a-test" not in done.stdout + done.stderr
