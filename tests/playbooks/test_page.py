# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kas_report_path as a page, however the run ends; what is on it is tested beside _report_page.py."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

FAILED = {"failed": True, "msg": "gitlab-ctl reconfigure failed (exit code 1); read its log."}
REDIS = {
    "name": "redis-refused",
    "severity": "error",
    "log": "KAS",
    "what": "Redis is not there",
    "cause": "It is down",
    "remedy": "start Redis",
    "count": 3,
    "first": None,
    "last": None,
    "example": "refused",
    "files": ["current"],
}
READ = {"changed": False, "findings": [REDIS], "unread": [], "files": 1, "bytes": 9}


@pytest.mark.parametrize(
    ("playbook", "made", "options", "parts"),
    [
        pytest.param("verify", {}, [], ["All is well", "2 of 2 calls reach the other KAS"], id="ok"),
        pytest.param(
            "deploy",
            {"pending": ["node1"]},
            ["--check"],
            ["A dry-run, nothing has changed", "Would change 1 of 2", "would: gitlab.rb", "1 setting roles"],
            id="check",
        ),
        pytest.param(
            "deploy",
            {"pending": ["node1"], "answers": {"node1.gitlab_reconfigure": FAILED}},
            [],
            ["A node has failed", "node1 gitlab-ctl reconfigure failed (exit code 1). To do: Read its log."],
            id="failed",
        ),
        pytest.param(
            "deploy",
            {"variables": {"node1": {"kas_own_private_api_cidr": "10.99.0.0/16"}}},
            [],
            ["Refused, nothing has changed", "What is wrong, and what to do node1", "To do: "],
            id="refused",
        ),
        pytest.param(
            "diagnose",
            {"answers": {"node2.kas_log_info": READ}},
            [],
            ["Errors in the logs", "node2 ✕ Redis is not there 3 lines in the log of KAS"],
            id="diagnose",
        ),
    ],
)
def test_page(tmp_path: Path, playbook: str, made: dict[str, Any], options: list[str], parts: list[str]) -> None:
    path = tmp_path / "report.html"
    options = [*options, "--extra-vars", f"kas_report_path={path}"]
    done = simulated.run(playbook, simulated.make(tmp_path / "nodes", 2, **made), *options)
    page = path.read_text()
    assert page.startswith("<!DOCTYPE html>"), done.stdout
    text = " ".join(html.unescape(re.sub("<[^>]*>", " ", page.split("</style>")[1])).split())
    for part in parts:
        assert part in text.replace(" .", ".")
    secrets = [
        *simulated.kas_infos(1)["node1"]["kas"]["secret_values"].values(),
        simulated.ROLE_VARIABLES["kas_redis"]["password"],
    ]
    assert [secret for secret in secrets if secret in page] == []
