# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logs of all nodes say together."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._findings import (
    CONTROLLER,
    lines,
    merged,
    queried,
    sentences,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._query import QueryError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence


def finding(name: str, severity: str = "error", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "severity": severity,
        "log": "KAS",
        "what": f"{name} is wrong",
        "cause": "the `cause`",
        "remedy": "run `deploy`",
        "count": 1,
        "first": "2025-02-20T20:00:00Z",
        "last": "2025-02-20T20:00:00Z",
        "example": "a line",
        "files": ["/var/log/gitlab/gitlab-kas/current"],
        **more,
    }


def result(*findings: dict[str, Any], files: int = 2) -> dict[str, Any]:
    return {"changed": False, "findings": list(findings), "unread": [], "files": files, "bytes": 1_250_000}


RESULTS = {
    "kas1": result(finding("agent-not-found", "warning"), finding("panic")),
    "kas2": result(finding("redis-refused", count=4, first="2025-02-20T19:00:00Z", last="2025-02-20T23:00:00Z")),
    "kas3": result(finding("redis-refused"), finding("panic", first=None, last=None)),
    CONTROLLER: result(finding("agent-426", first=None, last=None)),
}


def test_merged() -> None:
    """Errors first, then in the order of the table."""
    whole = merged(RESULTS)
    assert [(one["name"], one["nodes"], one["count"], one["first"], one["last"]) for one in whole] == [
        ("redis-refused", ["kas2", "kas3"], 5, "2025-02-20T19:00:00Z", "2025-02-20T23:00:00Z"),
        ("agent-426", [CONTROLLER], 1, None, None),
        ("panic", ["kas1", "kas3"], 2, "2025-02-20T20:00:00Z", "2025-02-20T20:00:00Z"),
        ("agent-not-found", ["kas1"], 1, "2025-02-20T20:00:00Z", "2025-02-20T20:00:00Z"),
    ]
    assert "files" not in whole[0]
    assert merged({}) == []


def test_lines() -> None:
    results = {name: RESULTS[name] for name in ("kas2", "kas3")}
    assert list(lines(merged(results), results, 24)) == [
        "Logs read: 4 on kas2, kas3; 2.5 MB, of the last 24 hours.",
        "",
        "error: redis-refused is wrong",
        "    found:  5 lines, 2025-02-20T19:00:00Z to 2025-02-20T23:00:00Z, on kas2, kas3",
        "    log:    a line",
        "    cause:  the cause",
        "    remedy: run deploy",
        "",
        "error: panic is wrong",
        "    found:  1 line, on kas3",
        "    log:    a line",
        "    cause:  the cause",
        "    remedy: run deploy",
    ]


@pytest.mark.parametrize(
    ("results", "hours", "expected"),
    [
        (
            {"kas1": result()},
            0,
            ["Logs read: 2 on kas1; 1.2 MB, whatever their age.", "No known problem was found."],
        ),
        (
            {f"kas{n}": result() for n in range(100)},
            8,
            ["Logs read: 200 on 100 hosts; 125.0 MB, of the last 8 hours.", "No known problem was found."],
        ),
        ({}, 24, ["Logs read: 0 on 0 hosts; 0.0 MB, of the last 24 hours."]),
    ],
)
def test_lines_without_findings(results: dict[str, dict[str, Any]], hours: int, expected: list[str]) -> None:
    assert list(lines([], results, hours)) == expected


def test_sentences() -> None:
    """Warnings fail nobody; logs of the controller the first host."""
    assert sentences(merged(RESULTS), ["kas1", "kas2", "kas3"]) == [
        Sentence(
            ("kas2", "kas3"),
            "redis-refused is wrong (5 lines, 2025-02-20T19:00:00Z to 2025-02-20T23:00:00Z).",
            fails=("kas2", "kas3"),
        ),
        Sentence((CONTROLLER,), "agent-426 is wrong (1 line).", fails=("kas1",)),
        Sentence(("kas1", "kas3"), "panic is wrong (2 lines, 2025-02-20T20:00:00Z).", fails=("kas1", "kas3")),
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["redis-refused", "agent-426", "panic", "agent-not-found"]),
        ("[?severity=='warning']", ["agent-not-found"]),
        ("[?count > `1` && name!='panic']", ["redis-refused"]),
        ("[?contains(nodes, 'kas1')]", ["panic", "agent-not-found"]),
        ("[?last >= '2025-02-20T23']", ["redis-refused"]),
        ("[0:1]", ["redis-refused"]),
        ("[]", ["redis-refused", "agent-426", "panic", "agent-not-found"]),
    ],
)
def test_queries(query: str, names: list[str]) -> None:
    assert [one["name"] for one in queried(merged(RESULTS), query)] == names


@pytest.mark.parametrize("query", ["[].name", "[0]", "length(@)", "to_number(@[0])", "[].{name: name}", "abs(@)"])
def test_queries_that_select_no_findings(query: str) -> None:
    with pytest.raises(QueryError) as caught:
        queried(merged(RESULTS), query)
    assert str(caught.value) == (
        f"kas_diagnose_query '{query}' does not yield a list of findings; give a JMESPath expression that selects some"
        " of them, such as [?severity=='error']."
    )


def test_a_query_that_is_none() -> None:
    with pytest.raises(QueryError) as caught:
        queried([], "[?")
    assert str(caught.value).startswith("kas_diagnose_query '[?' is not a JMESPath expression (")
    assert str(caught.value).endswith("); correct it.")
