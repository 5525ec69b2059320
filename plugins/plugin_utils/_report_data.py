# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run as data, for those who read no table: docs/report.md says what it holds.

It grows with the number of nodes and nothing else, and holds no secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, write
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report import Checked, inert, secrets
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_page import Details, page
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sources import expanded
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

# The name among the artifacts of AWX, which hands them to later jobs as extra variables; so it is no variable of ours.
NAME = "gitlab_kas_report"
VERSION = 1

# How far a run came.
REFUSED = "refused"  # nothing has changed
PLANNED = "planned"  # nothing is known of what came after the plan
FAILED = "failed"  # a node failed, or does not answer any more
UNVERIFIED = "unverified"  # no KAS was called: in check mode, or without the stage verify
PROBLEMS = "problems"
OK = "ok"

_MOST_PROBLEMS = 20
_MOST_CHARACTERS = 500


def report(
    result: str,
    sentences: Sequence[Sentence],
    nodes: Sequence[Checked],
    *,
    is_check: bool,
    started: float,
    now: float,
    outside: Sequence[dict[str, Any]] = (),
    findings: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The whole. started and now are seconds since 1970; outside is what came of agents' way, findings are those of
    logs, if any were read."""
    rows = [_row(node, nodes, result) for node in nodes]
    problems = [line for each in sentences for line in str(each).splitlines()]
    failed = dict.fromkeys(host for each in sentences for host in each.fails)
    whole = {
        "version": VERSION,
        "result": result,
        "check": is_check,
        "finished": datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration_s": round(now - started),
        "failed": list(failed),
        "problems": [_cut(line) for line in problems[:_MOST_PROBLEMS]],
        "problem_count": len(problems),
        "deployments": _deployments(rows),
        "nodes": rows,
        "outside": [dict(each) for each in outside],
    }
    if findings is not None:
        whole["findings"] = [
            {name: _cut(value) if isinstance(value, str) else value for name, value in finding.items()}
            for finding in findings[:_MOST_PROBLEMS]
        ]
    return {name: inert(value) for name, value in whole.items()}


def _row(node: Checked, nodes: Sequence[Checked], result: str) -> dict[str, Any]:
    is_known = result != PLANNED  # what has changed, and what is pending
    return {
        "name": node.name,
        "deployment": node.deployment,
        "present": node.is_present,
        "runs_kas": node.runs_kas,
        "release": node.info["gitlab_version"],
        "own_urls": list(node.urls),
        "ready": node.info["ready"] if node.runs_kas else None,
        "peers": len(node.peers) if node.peers else None,
        "reached": sum(peer["reachable"] for peer in node.peers) if node.peers else None,
        "rails_reached": all(peer["reachable"] for peer in node.rails_peers) if node.rails_peers else None,
        "secrets": secrets(node, nodes),
        "pending": node.is_pending if is_known else None,
        "changed": list(node.changed) if is_known else None,
        "reconfigure_s": node.seconds,
        "failed": bool(node.failures),
    }


def _deployments(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        parts.setdefault(row["deployment"], []).append(row)
    return [
        {
            "name": name,
            "nodes": len(members),
            "kas_nodes": sum(row["runs_kas"] for row in members),
            "ready": sum(bool(row["ready"]) for row in members),
            "changed": sum(bool(row["changed"]) for row in members),
            "pending": sum(bool(row["pending"]) for row in members),
            "secrets_equal": _are_equal([row["secrets"] for row in members]),
        }
        for name, members in parts.items()
    ]


def _are_equal(found: Sequence[str | None]) -> bool | None:
    return "differ" not in found if any(found) else None


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def report_path(hosts: Sequence[Host]) -> tuple[str, list[Sentence]]:
    """kas_report_path of a run, '' if it is not set, and what is wrong with it. Only hosts of the play count."""
    given = {host.name: str(host.values["kas_report_path"]) for host in hosts if host.in_play}
    paths = sorted({path for path in given.values() if path})
    if len(paths) < 2:
        return "".join(paths), []
    setting = tuple(name for name, path in given.items() if path)
    text = (
        f"kas_report_path differs ({' and '.join(map(shown, paths))}), but there is one report of a run; set one path"
        " for all hosts."
    )
    return "", [Sentence(setting, text)]


def save(path: str, whole: dict[str, Any], details: Details | None = None) -> None:
    """Write the report into a file of the controller: as a page if its name ends with .html, else as JSON.

    A relative path starts where ansible-playbook was started. details are what the page shows beside the report.

    A new file gets mode 0600; one that is there keeps its own. Raises FileError with a sentence, and then the file is
    as it was.
    """
    given, target = f"kas_report_path is {shown(path)}", expanded(path).absolute()
    with suppress(OSError):  # what else is wrong with the path is said when it is written
        if not target.parent.is_dir():
            raise FileError(
                f"{given}, but there is no directory {target.parent} on the controller; make it, or set another path."
            )
        if target.exists() and not target.is_file():
            raise FileError(f"{given}, but {target} on the controller is no regular file; set the path of one.")
        if not os.access(target.parent, os.W_OK | os.X_OK):  # become does not help there
            raise FileError(f"{given}, but the user of Ansible may not write into {target.parent}; set another path.")
    is_page = target.suffix.lower() == ".html"
    text = page(whole, details or Details()) if is_page else json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
    try:
        write(str(target), text.encode(errors="backslashreplace"))  # half a character, out of a damaged log
    except FileError as error:
        raise FileError(f"{given}, but on the controller {error}") from error
