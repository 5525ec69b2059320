# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs and shows: whole playbooks on simulated nodes (tests/bench/simulated.py)."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402


@pytest.mark.parametrize(
    ("playbook", "modules"),
    [
        ("deploy", ["kas_info", "gitlab_rb", "kas_probe"]),
        ("verify", ["kas_info", "gitlab_rb", "kas_probe"]),
        ("preflight", ["kas_info", "gitlab_rb"]),
    ],
)
def test_few_runs_of_modules_and_little_to_read(tmp_path: Path, playbook: str, modules: list[str]) -> None:
    folder = tmp_path / "nodes"
    shown = run(playbook, simulated.make(folder, 3))
    assert simulated.module_runs(folder) == dict.fromkeys(("node1", "node2", "node3"), modules)
    assert headers(shown) <= 12
    assert not re.search("skipping|WARNING|changed=[1-9]", shown), shown


CHANGES = ["gitlab_rb", "gitlab_reconfigure", "kas_info"]


@pytest.mark.parametrize("pending", [["node1", "node2", "node3"], ["node3"]])
def test_only_nodes_with_anything_pending_have_a_turn(tmp_path: Path, pending: list[str]) -> None:
    folder = tmp_path / "nodes"
    shown = run("deploy", simulated.make(folder, 3, pending))
    assert simulated.module_runs(folder) == {
        name: ["kas_info", "gitlab_rb", *(CHANGES if name in pending else []), "kas_probe"]
        for name in ("node1", "node2", "node3")
    }
    assert headers(shown) <= 25
    assert re.findall(r"^(node\d) .* changed=[1-9]", shown, re.MULTILINE) == pending
    assert not re.search("skipping|WARNING", shown), shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["deploy", "--limit", "node1,node2"],  # node3 is asked by one of them, the other asks nobody
        ["deploy", "--check", "--diff"],
        ["disable", "--check", "--diff"],
        ["verify", "--limit", "node1"],
    ],
    ids=" ".join,
)
def test_ansible_warns_of_nothing(tmp_path: Path, arguments: list[str]) -> None:
    """Nor of anything deprecated: each release of ansible-core has other words for it (scripts/compat.sh runs them)."""
    folder = tmp_path / "nodes"
    shown = run(arguments[0], simulated.make(folder, 3, ["node1"]), *arguments[1:])
    assert not re.search("WARN|DEPRECAT", shown), shown


def test_a_node_outside_of_the_limit_that_keeps_another_secret(tmp_path: Path) -> None:
    """Known from the question that it is asked anyway; named, and never shown."""
    folder, secret = tmp_path / "nodes", base64.b64encode(b"o" * 32).decode()
    info = simulated.kas_infos(2)["node2"]
    info["kas"]["secret_values"] = {**info["kas"]["secret_values"], "private_api_secret_key": secret}
    found = {**info["kas"]["secrets"]["private_api_secret_key"], "fingerprint": "0123456789ab"}
    info["kas"]["secrets"] = {**info["kas"]["secrets"], "private_api_secret_key": found}
    shown = run("deploy", simulated.make(folder, 2, answers={"node2.kas_info": info}), "--limit", "node1", "-vvv")
    assert re.search(
        r"WARNING\]:\s+node2: it is outside of this play and keeps another private_api_secret_key than", shown
    )
    assert secret not in shown
    assert simulated.module_runs(folder)["node2"] == ["kas_info"]


@pytest.mark.parametrize(("serial", "batches"), [("2", 2), ("", 3)])
def test_batches(tmp_path: Path, serial: str, batches: int) -> None:
    """By the inventory; the plan hands it to the play."""
    inventory = simulated.make(
        tmp_path / "nodes", 3, ["node1", "node2", "node3"], variables={"node1": {"kas_serial": serial}}
    )
    assert run("deploy", inventory).count("PLAY [Change one node after another]") == batches


def run(playbook: str, inventory: Path, *options: str) -> str:
    """What ansible-playbook shows."""
    done = simulated.run(playbook, inventory, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def headers(shown: str) -> int:
    return len(re.findall(r"^TASK \[", shown, re.MULTILINE))
