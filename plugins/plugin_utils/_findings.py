# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logs of all nodes say together: one finding for each known problem, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._problems import ERROR, PROBLEMS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._query import QueryError, search
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

CONTROLLER = "the controller"  # where logs lie that were handed in, and where kubectl runs

Finding = Mapping[str, Any]

_FEW = 12  # hosts that are named
_ORDER = {problem.name: order for order, problem in enumerate(PROBLEMS)}


def merged(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The findings of all nodes, errors first, then in the order of the table.

    results maps a node, or CONTROLLER, to what kas_log_info returned there. A finding has what it has there, and the
    nodes on which it was found in place of the files.
    """
    whole: dict[str, dict[str, Any]] = {}
    for node, result in results.items():
        for finding in result.get("findings", ()):
            name = finding["name"]
            if name not in whole:
                whole[name] = {**finding, "nodes": [], "count": 0}
                del whole[name]["files"]
            one = whole[name]
            one["nodes"].append(node)
            one["count"] += finding["count"]
            for key, choose in (("first", min), ("last", max)):
                times = [when for when in (one[key], finding[key]) if when]
                one[key] = choose(times) if times else None
    return sorted(whole.values(), key=lambda one: (one["severity"] != ERROR, _ORDER[one["name"]]))


def queried(findings: Sequence[dict[str, Any]], query: str) -> list[dict[str, Any]]:
    """Those that a JMESPath expression selects from the list of findings. Raises QueryError."""
    if not query:
        return list(findings)
    found = search("kas_diagnose_query", query, list(findings))
    if not isinstance(found, list) or not all(each in findings for each in found):
        raise QueryError(
            f"kas_diagnose_query {shown(query)} does not yield a list of findings; give a JMESPath expression that"
            " selects some of them, such as [?severity=='error']."
        )
    return found


def lines(findings: Sequence[Finding], results: Mapping[str, Mapping[str, Any]], hours: int) -> Iterator[str]:
    """What is shown: what was read, and a paragraph for each finding."""
    files, size = (sum(result.get(key, 0) for result in results.values()) for key in ("files", "bytes"))
    when = f"of the last {hours} hours" if hours else "whatever their age"
    yield f"Logs read: {files} on {_names(list(results))}; {size / 1e6:.1f} MB, {when}."
    if files and not findings:
        yield "No known problem was found."
    for finding in findings:
        yield from (
            "",
            f"{finding['severity']}: {finding['what']}",
            f"    found:  {_often(finding)}, on {_names(finding['nodes'])}",
            f"    log:    {finding['example']}",
            f"    cause:  {_plain(finding['cause'])}",
            f"    remedy: {_plain(finding['remedy'])}",
        )


def sentences(findings: Iterable[Finding], hosts: Sequence[str]) -> list[Sentence]:
    """What nodes fail with: one sentence for each error. With those of the controller, the first of the hosts fails."""
    return [
        Sentence(
            tuple(finding["nodes"]),
            f"{finding['what']} ({_often(finding)}).",
            fails=tuple(dict.fromkeys(node if node in hosts else hosts[0] for node in finding["nodes"])),
        )
        for finding in findings
        if finding["severity"] == ERROR
    ]


def _names(nodes: Sequence[str]) -> str:
    return f"{len(nodes)} hosts" if len(nodes) > _FEW or not nodes else ", ".join(nodes)


def _often(finding: Finding) -> str:
    lines_ = f"{finding['count']} line{'s' if finding['count'] > 1 else ''}"
    if not finding["first"]:
        return lines_
    if finding["first"] == finding["last"]:
        return f"{lines_}, {finding['last']}"
    return f"{lines_}, {finding['first']} to {finding['last']}"


def _plain(text: str) -> str:
    """Markdown as plain text."""
    return text.replace("`", "")
