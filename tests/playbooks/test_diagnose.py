# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook diagnose on simulated nodes; logs on the controller are really read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

LOGS = ROOT / "tests" / "unit" / "fixtures" / "logs"

READ = {"changed": False, "findings": [], "unread": [], "files": 3, "bytes": 4_000_000}
REDIS = {
    "name": "redis-refused",
    "severity": "error",
    "log": "KAS",
    "what": "Redis is not there",
    "cause": "Redis is down",
    "remedy": "start Redis; `kas_redis`",
    "count": 3,
    "first": "2025-02-20T20:00:00Z",
    "last": "2025-02-20T20:10:00Z",
    "example": "Program aborted: dial tcp 10.0.0.9:6379: connect: connection refused",
    "files": ["/var/log/gitlab/gitlab-kas/current"],
}
AGENT = {**REDIS, "name": "agent-not-found", "severity": "warning", "what": "KAS finds no connection of an agent"}


def found(**findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the module answers on the nodes that have findings."""
    return {f"{node}.kas_log_info": {**READ, "findings": each} for node, each in findings.items()}


def failed(shown: str) -> list[str]:
    return re.findall(r"^(node\d|localhost) .* failed=1", shown, re.MULTILINE)


def test_healthy_nodes(tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    done = simulated.run("diagnose", simulated.make(folder, 3))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nLogs read: 6 on node1, node2, node3; 4.5 MB, of the last 24 hours.\nNo known problem was found.\n" in (
        done.stdout
    )
    assert simulated.module_runs(folder) == {name: ["kas_log_info"] for name in ("node1", "node2", "node3")}
    assert not re.search(r"skipping|WARN|DEPRECAT|changed=[1-9]", done.stdout + done.stderr)


@pytest.mark.parametrize("options", [[], ["--check", "--diff"], ["--tags", "verify"]], ids=" ".join)
def test_errors_fail_the_nodes_that_have_them(tmp_path: Path, options: list[str]) -> None:
    inventory = simulated.make(tmp_path / "nodes", 3, answers=found(node1=[AGENT], node2=[REDIS, AGENT], node3=[REDIS]))
    done = simulated.run("diagnose", inventory, *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert (
        "error: Redis is not there\n"
        "    found:  6 lines, 2025-02-20T20:00:00Z to 2025-02-20T20:10:00Z, on node2, node3\n"
        "    log:    Program aborted: dial tcp 10.0.0.9:6379: connect: connection refused\n"
        "    cause:  Redis is down\n"
        "    remedy: start Redis; kas_redis\n"
        "\n"
        "warning: KAS finds no connection of an agent\n"
    ) in done.stdout
    assert sorted(failed(done.stdout)) == ["node2", "node3"]
    said = "node2, node3: Redis is not there (6 lines, 2025-02-20T20:00:00Z to 2025-02-20T20:10:00Z)."
    others = "node3: what is said of node2 is about this host, too."
    assert sorted(messages(done.stdout)) == [said, others]


def messages(shown: str) -> list[str]:
    return [json.loads(each)["msg"] for each in re.findall(r"^fatal: .* => (\{.*\})$", shown, re.MULTILINE)]


def test_warnings_fail_no_node(tmp_path: Path) -> None:
    done = simulated.run("diagnose", simulated.make(tmp_path / "nodes", 2, answers=found(node1=[AGENT])))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: KAS finds no connection of an agent\n" in done.stdout


def test_a_query_leaves_findings_out(tmp_path: Path) -> None:
    inventory = simulated.make(tmp_path / "nodes", 2, answers=found(node1=[REDIS, AGENT]))
    done = simulated.run("diagnose", inventory, "-e", '{"kas_diagnose_query": "[?name!=\'redis-refused\']"}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall("^(error|warning): (.*)", done.stdout, re.MULTILINE) == [("warning", AGENT["what"])]


def test_a_node_that_does_not_answer(tmp_path: Path) -> None:
    """The others are read, and it is not green."""
    inventory = simulated.make(
        tmp_path / "nodes", 3, answers=found(node3=[AGENT]), unreachable={"node1": "kas_log_info"}
    )
    done = simulated.run("diagnose", inventory)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "Logs read: 5 on node2, node3; 5.5 MB, of the last 24 hours.\n" in done.stdout
    assert "KAS finds no connection of an agent" in done.stdout


def test_what_is_not_read_is_a_warning(tmp_path: Path) -> None:
    answers = {"node2.kas_log_info": {**READ, "unread": ["/x is no text, so it was not read."]}}
    done = simulated.run("diagnose", simulated.make(tmp_path / "nodes", 2, answers=answers))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"\[WARNING\]:\s+(.*)", done.stdout + done.stderr) == [
        "node2: /x is no text, so it was not read."
    ]


def test_logs_of_the_controller_beside_those_of_nodes(tmp_path: Path) -> None:
    (tmp_path / "handed-in").symlink_to(LOGS / "known")
    given = {"kas_diagnose_files": str(tmp_path / "handed-in/agent-426.log"), "kas_diagnose_hours": "0"}
    report = tmp_path / "report.json"
    inventory = simulated.make(tmp_path / "nodes", 2, answers=found(node1=[AGENT]))
    done = simulated.run("diagnose", inventory, "-e", json.dumps({**given, "kas_report_path": str(report)}))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Logs read: 6 on node1, node2, the controller; " in done.stdout
    assert failed(done.stdout) == ["node1"]
    told = json.loads(report.read_text())
    assert (told["result"], told["failed"], told["problem_count"], told["nodes"]) == ("problems", ["node1"], 1, [])
    assert [(one["name"], one["severity"], one["nodes"], one["count"]) for one in told["findings"]] == [
        ("agent-426", "error", ["the controller"], 3),
        ("agent-not-found", "warning", ["node1"], 3),
    ]


def test_rails_nodes_without_kas(tmp_path: Path) -> None:
    """They are read only if they are to be: their own KAS is none of the deployment's."""
    inventory = simulated.make(tmp_path / "nodes", 2)
    whole = json.loads(inventory.read_text())
    del whole["all"]["children"]["gitlab_kas"]["hosts"]["node2"]
    whole["all"]["children"]["gitlab_rails"]["hosts"]["node2"] = {
        "ansible_python_interpreter": str(tmp_path / "nodes/node2")
    }
    inventory.write_text(json.dumps(whole))
    for options, nodes in (([], ["node1"]), (["-e", "kas_diagnose_paths=/var/log/gitlab/nginx"], ["node1", "node2"])):
        for runs in (tmp_path / "nodes").glob("*.runs"):
            runs.unlink()
        done = simulated.run("diagnose", inventory, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(simulated.module_runs(tmp_path / "nodes")) == nodes


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """An inventory without nodes."""
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "inventory.json").write_text("{}")
    return tmp_path / "inventory.json"


def diagnose(inventory: Path, given: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
    return simulated.run("diagnose", inventory, "-e", json.dumps(given), **environment)


def test_without_nodes(alone: Path) -> None:
    given = {"kas_diagnose_files": [str(LOGS / "known"), str(LOGS / "healthy")], "kas_diagnose_hours": 0}
    done = diagnose(alone, given)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout.count("\nerror: ") > 40
    assert done.stdout.count("\nwarning: ") > 10
    done = diagnose(alone, {**given, "kas_diagnose_files": [str(LOGS / "healthy")]})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nNo known problem was found.\n" in done.stdout


def test_kas_in_kubernetes(alone: Path) -> None:
    kubectl = alone.parent / "kubectl"
    kubectl.write_text(f"#!/bin/sh\ncat {LOGS}/known/private-secret.log\n")
    kubectl.chmod(0o755)
    path = {"PATH": f"{alone.parent}:{os.environ['PATH']}"}
    done = diagnose(alone, {"kas_diagnose_namespace": "gitlab", "kas_diagnose_hours": 0}, **path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error: another KAS refuses this one\n    found:  2 lines, " in done.stdout  # it shows both, now and before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {},
            "localhost: No log was read; name nodes in the group gitlab_kas, or logs in kas_diagnose_files.",
        ),
        (
            {"kas_diagnose_files": ["/none.log", "/"]},
            "kas_diagnose_files names /none.log, but there is no such file on the controller; correct the path. A"
            " relative one starts where ansible-playbook was started.",
        ),
        ({"kas_diagnose_hours": "x"}, "localhost: kas_diagnose_hours is 'x'; set whole hours, 0 for all."),
        ({"kas_diagnose_hours": -1}, "localhost: kas_diagnose_hours is -1; set whole hours, 0 for all."),
        (
            {"kas_diagnose_query": "[?", "kas_diagnose_files": [str(LOGS / "healthy")]},
            "kas_diagnose_query '[?' is not a JMESPath expression",
        ),
        (
            {"kas_diagnose_query": "[0]", "kas_diagnose_files": [str(LOGS / "healthy")]},
            "kas_diagnose_query '[0]' does not yield a list of findings; give a JMESPath expression that selects some"
            " of them, such as [?severity=='error'].",
        ),
        (
            {"kas_report_path": "/none/report.json", "kas_diagnose_files": [str(LOGS / "healthy")]},
            "kas_report_path is '/none/report.json', but there is no directory /none on the controller; make it, or set"
            " another path.",
        ),
    ],
)
def test_refusals(alone: Path, given: dict[str, Any], message: str) -> None:
    done = diagnose(alone, given)
    assert done.returncode == 2, done.stdout + done.stderr
    (said,) = messages(done.stdout)
    assert said.startswith(message)


def test_no_secret_of_a_log_is_shown(alone: Path) -> None:
    secret = "S3cretOfTheCompany0815xyzABCDEFGHIJKLMNOPQR"
    line = {
        "level": "error",
        "msg": "Program aborted",
        "error": f"redis://kas:{secret}@r: password={secret}",
        "token": secret,
    }
    (alone.parent / "kas.log").write_text(json.dumps(line) + "\n" + f"panic: Authorization: Bearer {secret}\n")
    done = diagnose(alone, {"kas_diagnose_files": [str(alone.parent / "kas.log")]}, ANSIBLE_SHOW_CUSTOM_STATS="true")
    assert "redis://********@r" in done.stdout
    assert secret not in done.stdout + done.stderr
