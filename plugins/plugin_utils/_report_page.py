# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run as one HTML page that needs nothing from elsewhere: no script, no font, no picture.

It shows the report as data (_report_data) and, beside that, whole sentences and single calls, of which the data holds
a part and the numbers. Every text may hold anything, for it comes from inventories, nodes and logs: it becomes HTML in
one place, _html. A part of the report that is not known here is shown as a plain table.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report import REACHABLE, Checked, inert
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence

_FEW = 12  # of more nodes the grid is closed at first, and those of which nothing is to be said are, too

# How something is: the class that it has on the page, and the sign that says the same without colour.
GOOD, BAD, DOUBT, NONE = "good", "bad", "doubt", "none"
_SIGNS = {GOOD: "✓", BAD: "✕", DOUBT: "!", NONE: "\N{EN DASH}"}


@dataclass(frozen=True)
class Call:
    """What came of a call from one KAS to another."""

    peer: str  # the node, or the URL of a KAS that is no node of the run
    kind: str  # GOOD, BAD, or DOUBT: reached, but not proved
    text: str


@dataclass(frozen=True)
class Details:
    """What the page shows beside the report as data."""

    sentences: Sequence[Sentence] = ()
    calls: Mapping[str, Sequence[Call]] = field(default_factory=dict)  # by the node that calls
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)  # the names that changed, by node


def details(nodes: Sequence[Checked], sentences: Sequence[Sentence], names: Mapping[str, str]) -> Details:
    """What the page needs of the nodes; names maps the URLs of all peers to the names of their nodes.

    Names are as they are in the report as data.
    """

    def call(peer: Mapping[str, Any]) -> Call:
        kind = BAD if not peer["reachable"] else GOOD if peer["text"] == REACHABLE else DOUBT
        return Call(inert(names.get(peer["url"], peer["url"])), kind, peer["text"])

    return Details(
        sentences=sentences,
        calls={inert(node.name): [call(peer) for peer in node.peers] for node in nodes},
        settings={inert(node.name): node.settings for node in nodes},
    )


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def _html(part: Any) -> Html:
    """Any text as HTML; what cannot be seen, or turns the order of others, shows as its number."""
    if isinstance(part, Html):
        return part
    return Html(html.escape(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(part))))


def _all(parts: Iterable[Any]) -> Html:
    return Html("".join(_html(part) for part in parts))


def _tag(name: str, *parts: Any, **attributes: str) -> Html:
    """An element; class_ is the attribute class, and aria_label is aria-label."""
    given = "".join(f' {key.strip("_").replace("_", "-")}="{_html(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{_all(parts)}</{name}>")


def page(report: Mapping[str, Any], details: Details) -> str:
    """The whole page of a report as _report_data.report() makes it."""
    kind, headline = _headline(report)
    title = f"KAS: {headline}"
    body = _tag(
        "main",
        _head(report, kind, headline),
        _numbers(report, details),
        _wrong(report, details),
        _findings(report),
        *(_deployment(part, report, details) for part in report["deployments"]),
        *_outside(report),
        *_further(report),
    )
    foot = _tag("footer", "Made by the Ansible collection kasops.gitlab_kas; it holds no secret")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="robots" content="noindex">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"{_tag('title', title)}\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n{foot}\n</body>\n</html>\n"
    )


# -- The top --


def _headline(report: Mapping[str, Any]) -> tuple[str, str]:
    result = report["result"]
    if "findings" in report:
        if result == "ok":
            return (DOUBT, "warnings in the logs") if report["findings"] else (GOOD, "no known problem in the logs")
        return BAD, "errors in the logs" if report["findings"] else "no log was read"
    if result == "unverified":
        return (DOUBT, "a dry-run, nothing has changed") if report["check"] else (DOUBT, "no KAS was called")
    headlines = {
        "ok": (GOOD, "all is well"),
        "problems": (BAD, "something is wrong"),
        "failed": (BAD, "a node has failed"),
        "refused": (BAD, "refused, nothing has changed"),
        "planned": (DOUBT, "planned, and nothing is known of what came after"),
    }
    return headlines.get(result, (DOUBT, str(result)))


def _head(report: Mapping[str, Any], kind: str, headline: str) -> Html:
    when = f"{report['finished'].replace('T', ' ').replace('Z', '')} UTC"
    if report["duration_s"]:
        began = datetime.strptime(report["finished"], "%Y-%m-%dT%H:%M:%SZ") - timedelta(seconds=report["duration_s"])
        when = f"{began:%Y-%m-%d %H:%M:%S} to {when[11:]}, {_duration(report['duration_s'])}"
    mode = ", in check mode" if report["check"] else ""
    return _tag(
        "header",
        _tag("p", "GitLab agent server for Kubernetes", class_="kicker"),
        _tag("h1", _sign(kind), " ", headline[:1].upper() + headline[1:]),
        _tag("p", when, mode, class_="quiet"),
    )


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _numbers(report: Mapping[str, Any], details: Details) -> Html:
    """The state in a few numbers."""
    nodes = report["nodes"]
    if not nodes:
        return Html("")
    runs = [node for node in nodes if node["runs_kas"]]
    ready = sum(bool(node["ready"]) for node in runs)
    calls = [call for each in details.calls.values() for call in each]
    reached = sum(call.kind != BAD for call in calls)
    releases = Counter(node["release"] or "not known" for node in nodes)
    pending = sum(bool(node["pending"]) for node in nodes)
    changed = sum(bool(node["changed"]) for node in nodes)
    shown = [
        ("KAS ready", f"{ready} of {len(runs)}", GOOD if ready == len(runs) else BAD),
        ("Calls answered", f"{reached} of {len(calls)}", GOOD if reached == len(calls) else BAD) if calls else None,
        ("Release" if len(releases) == 1 else "Releases", _counted(releases), GOOD if len(releases) == 1 else DOUBT),
        ("Would change" if report["check"] else "Changed", f"{changed} of {len(nodes)}", NONE),
        ("Pending", str(pending), DOUBT) if pending else None,
    ]
    return _tag(
        "dl",
        *(_tag("div", _tag("dt", label), _tag("dd", value), class_=kind) for label, value, kind in filter(None, shown)),
        class_="numbers",
    )


def _counted(found: Counter[str]) -> str:
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{name} ({count})" for name, count in sorted(found.items()))


# -- What is wrong --


def _wrong(report: Mapping[str, Any], details: Details) -> Html:
    told = [finding["what"] for finding in report.get("findings") or ()]
    sentences = (
        [each for each in details.sentences if not each.text.startswith(tuple(told))] if told else (details.sentences)
    )
    if not sentences:
        return Html("")
    return _section("What is wrong, and what to do", _tag("ol", *_cards(sentences), class_="cards"))


def _cards(sentences: Iterable[Sentence]) -> Iterator[Html]:
    """What is said of the same hosts with the same remedy is one thing to do."""
    cards: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for each in sentences:
        for line in each.text.splitlines():
            # The last semicolon of a message stands before the remedy.
            what, semicolon, remedy = line.rpartition("; ")
            cards.setdefault((tuple(each.hosts), remedy if semicolon else ""), []).append(
                f"{what}." if semicolon else line
            )
    for (hosts, remedy), said in cards.items():
        lines = [_tag("p", _marked(text)) for text in said]
        if len(lines) > _FEW:
            lines = [lines[0], _tag("details", _tag("summary", f"and {len(lines) - 1} more"), *lines[1:])]
        yield _tag("li", _hosts(hosts), *lines, _remedy(remedy) if remedy else "", class_="card bad")


def _remedy(text: str) -> Html:
    return _tag("p", _tag("b", "To do: "), _marked(text[:1].upper() + text[1:]), class_="remedy")


def _marked(text: str) -> Html:
    """What stands between backquotes is code."""
    parts = re.split("`([^`]+)`", text)
    return _all(_tag("code", part) if number % 2 else part for number, part in enumerate(parts))


def _hosts(names: Sequence[str]) -> Html:
    shown = [_tag("bdi", name, class_="host") for name in names]
    if len(shown) <= _FEW:
        return _tag("p", *shown, class_="hosts")
    return _tag("details", _tag("summary", _tag("b", f"{len(shown)} nodes")), *shown, class_="hosts")


def _findings(report: Mapping[str, Any]) -> Html:
    """The known problems in the logs."""
    items = []
    for one in report.get("findings") or ():
        kind = BAD if one["severity"] == "error" else DOUBT
        times = " to ".join(dict.fromkeys(when for when in (one["first"], one["last"]) if when))
        often = f"{one['count']} line{'' if one['count'] == 1 else 's'} in the log of {one['log']}"
        items.append(
            _tag(
                "li",
                _hosts(one["nodes"]),
                _tag("h3", _sign(kind), " ", one["what"]),
                _tag("p", often, f", {times}" if times else "", class_="quiet"),
                _tag("p", _tag("b", "Cause: "), _marked(one["cause"])),
                _remedy(one["remedy"]),
                _tag("pre", one["example"]),
                class_=f"card {kind}",
            )
        )
    return _section("Known problems in the logs", _tag("ol", *items, class_="cards")) if items else Html("")


# -- A deployment --


def _deployment(part: Mapping[str, Any], report: Mapping[str, Any], details: Details) -> Html:
    nodes = [node for node in report["nodes"] if node["deployment"] == part["name"]]
    calls = _by_peer([node["name"] for node in nodes], details)
    unreached = _unreached(calls)
    ranks = {node["name"]: _rank(node, calls[node["name"]], unreached) for node in nodes}
    nodes.sort(key=lambda node: ranks[node["name"]])
    name = f"Deployment {part['name']}" if part["name"] else "Nodes"
    secrets = {True: (GOOD, "The nodes share one set of secrets."), False: (BAD, "The nodes have different secrets.")}
    said = secrets.get(part["secrets_equal"])
    return _section(
        name,
        _tag("p", _sign(said[0]), " ", said[1]) if said else "",
        _nodes(nodes, ranks, report, details),
        _grid({node["name"]: calls[node["name"]] for node in nodes if node["runs_kas"]}),
    )


def _rank(node: Mapping[str, Any], calls: Mapping[str, Call], unreached: Collection[str]) -> int:
    """What is wrong comes first; that nobody reaches a node is the matter of that one."""
    order = (
        node["failed"],
        _state(node)[0] == BAD,
        any(call.kind == BAD and peer not in unreached for peer, call in calls.items()),
        node["rails_reached"] is False or node["secrets"] == "differ",
        node["pending"],
        node["changed"],
    )
    return next((number for number, applies in enumerate(order) if applies), len(order))


def _state(node: Mapping[str, Any]) -> tuple[str, str]:
    if node["failed"]:
        return BAD, "failed"
    if not node["present"]:
        return NONE, "uninstalled"
    if not node["runs_kas"]:
        return NONE, "no KAS"
    return {True: (GOOD, "ready"), False: (BAD, "not ready")}.get(node["ready"], (DOUBT, "not known"))


_COLUMNS = ("Node", "KAS", "Release", "Own URL", "Reaches", "Rails", "Secrets", "Changed")


def _nodes(
    nodes: Sequence[Mapping[str, Any]], ranks: Mapping[str, int], report: Mapping[str, Any], details: Details
) -> Html:
    """Of many nodes, those of which the most is to be said; the others are closed at first."""
    rows = [(ranks[node["name"]], _node(node, report, details)) for node in nodes]
    calm = max(ranks.values())
    first = [row for rank, row in rows if rank < calm or len(rows) <= _FEW]
    rest = [row for rank, row in rows if rank == calm and len(rows) > _FEW]
    parts = [_table(_COLUMNS, first)] if first else []
    if rest:
        which = f"{len(rest)} {'other ' if first else ''}nodes"
        parts.append(_tag("details", _tag("summary", which), _table(_COLUMNS, rest)))
    return _all(parts)


def _node(node: Mapping[str, Any], report: Mapping[str, Any], details: Details) -> list[Html]:
    rails = {True: (GOOD, "reaches KAS"), False: (BAD, "does not reach KAS")}.get(node["rails_reached"])
    secrets = {"proved": (GOOD, "proved"), "same": (GOOD, "the same"), "differ": (BAD, "differ")}.get(node["secrets"])
    reaches = ""
    if node["peers"] is not None:
        kind = GOOD if node["reached"] == node["peers"] else BAD
        reaches = _signed((kind, f"{node['reached']} of {node['peers']}"))
    return [
        _tag("bdi", node["name"]),
        _signed(_state(node)),
        _html(node["release"] or _SIGNS[NONE]),
        _all(_tag("code", url) for url in node["own_urls"]) or _html(_SIGNS[NONE]),
        _html(reaches or _SIGNS[NONE]),
        _signed(rails) if rails else _html(_SIGNS[NONE]),
        _signed(secrets) if secrets else _html(_SIGNS[NONE]),
        _changed(node, report, details),
    ]


def _changed(node: Mapping[str, Any], report: Mapping[str, Any], details: Details) -> Html:
    parts: list[Any] = []
    if node["changed"]:
        parts.append(("would: " if report["check"] else "") + ", ".join(node["changed"]))
        if node["reconfigure_s"] is not None:
            parts.append(f" ({_duration(round(node['reconfigure_s']))})")
    if node["pending"]:
        parts += [" " if parts else "", _signed((DOUBT, "pending"))]
    settings = details.settings.get(node["name"], ())
    if settings:
        many = f"{len(settings)} setting{'' if len(settings) == 1 else 's'}"
        listed = _tag("ul", *(_tag("li", _tag("code", name)) for name in settings))
        parts.append(_tag("details", _tag("summary", many), listed))
    return _all(parts) if parts else _html(_SIGNS[NONE])


def _grid(calls: Mapping[str, Mapping[str, Call]]) -> Html:
    """Who reaches whom: a row for each KAS that calls, a column for each that is called."""
    known = [*calls, *sorted({peer for each in calls.values() for peer in each} - set(calls))]
    if not any(calls.values()) or len(known) < 2:
        return Html("")
    every = [call for each in calls.values() for call in each.values()]
    lost = sum(call.kind == BAD for call in every)
    head = [_tag("th", number, scope="col", title=name) for number, name in enumerate(known, 1)]
    rows = [
        _tag(
            "tr",
            _tag("th", number, ". ", _tag("bdi", name), scope="row", title=name),
            *(_cell(name, other, calls[name].get(other)) for other in known),
        )
        for number, name in enumerate(calls, 1)
    ]
    table = _tag(
        "table",
        _tag("thead", _tag("tr", _tag("th", "From \u2193 to \u2192", scope="col"), *head)),
        _tag("tbody", *rows),
        class_="grid",
    )
    further = [f"{number} is {name}. " for number, name in enumerate(known, 1) if name not in calls]
    legend = _tag("p", *(_all([_sign(kind), f" {text}  "]) for kind, text in _LEGEND.items()), class_="quiet legend")
    grid = [
        legend,
        _tag("p", "The number of a column is the node in the row of this number. ", *further, class_="quiet"),
        _tag("div", table, class_="wide", tabindex="0", role="region", aria_label="Who reaches whom"),
    ]
    if len(known) > _FEW:
        grid = [_tag("details", _tag("summary", f"Every call of {len(calls)} nodes"), *grid)]
    said = _signed((BAD if lost else GOOD, f"{len(every) - lost} of {len(every)} calls reach the other KAS"))
    return _all([_tag("h3", "Who reaches whom"), _tag("p", said), _lost(calls), *grid])


_LEGEND = {GOOD: "reached", BAD: "not reached", DOUBT: "reached, the secret is not proved", NONE: "not called"}


def _by_peer(names: Sequence[str], details: Details) -> dict[str, dict[str, Call]]:
    """The calls of each of these KAS; of several to one peer the worst one counts."""
    worst = (BAD, DOUBT, GOOD)
    found: dict[str, dict[str, Call]] = {name: {} for name in names}
    for name in names:
        for call in details.calls.get(name, ()):
            other = found[name].get(call.peer)
            if other is None or worst.index(call.kind) < worst.index(other.kind):
                found[name][call.peer] = call
    return found


def _cell(name: str, other: str, call: Call | None) -> Html:
    if call is None:
        return _tag("td", "" if name == other else _SIGNS[NONE], class_="self" if name == other else NONE)
    if call.kind == GOOD:  # most of ten thousand
        return _tag("td", _SIGNS[GOOD], class_=GOOD)
    return _tag("td", _SIGNS[call.kind], class_=call.kind, title=f"{name} to {other}: {call.text}")


def _unreached(calls: Mapping[str, Mapping[str, Call]]) -> set[str]:
    """The KAS that nobody reaches, where several have tried."""
    tried = Counter(peer for each in calls.values() for peer in each)
    failed = Counter(peer for each in calls.values() for peer, call in each.items() if call.kind == BAD)
    return {peer for peer, count in failed.items() if count == tried[peer] > 1}


def _lost(calls: Mapping[str, Mapping[str, Call]]) -> Html:
    """The calls that failed, in words; those of one that nobody reaches, or that reaches nobody, together."""
    unreached = _unreached(calls)
    items = [_tag("li", _tag("bdi", peer), " is reached by no other KAS.") for peer in sorted(unreached)]
    for name, each in calls.items():
        lost = {peer: call for peer, call in each.items() if call.kind == BAD}
        if len(lost) == len(each) > 1:
            items.append(_tag("li", _tag("bdi", name), " reaches no other KAS."))
            continue
        items += [
            _tag("li", _tag("bdi", name), " does not reach ", _tag("bdi", peer), f": {call.text}.")
            for peer, call in lost.items()
            if peer not in unreached
        ]
    if len(items) > _FEW:
        more = _tag("details", _tag("summary", f"and {len(items) - _FEW} more"), _tag("ul", *items[_FEW:]))
        return _all([_tag("ul", *items[:_FEW]), more])
    return _tag("ul", *items) if items else Html("")


# -- Further parts --

_KNOWN = {
    *("version", "result", "check", "finished", "duration_s", "failed", "problems", "problem_count"),
    *("deployments", "nodes", "findings", "outside"),
}


_CHECKS = {"agents": "agents", "kubernetes_api": "Kubernetes API proxy", "gitlab": "GitLab"}


def _outside(report: Mapping[str, Any]) -> Iterator[Html]:
    """What became of agents' way to KAS, as far as it was tried."""
    several = len(report["deployments"]) > 1
    rows = [
        [
            _tag("bdi", one["from"]),
            *([_tag("bdi", one["deployment"])] if several else []),
            _html(_CHECKS.get(one["check"], one["check"] or _SIGNS[NONE])),
            _tag("code", one["url"]) if one["url"] else _html(_SIGNS[NONE]),
            _came_of(one),
        ]
        for one in sorted(report.get("outside") or (), key=lambda one: bool(one["ok"]))
    ]
    if rows:
        headings = ["From", *(["Deployment"] if several else []), "To", "URL", "What came of it"]
        yield _section("From outside, as an agent comes", _table(headings, rows))


def _came_of(one: Mapping[str, Any]) -> Html:
    """One try: whose fault, why, and what will be wrong before long."""
    said = [_sign(GOOD if one["ok"] else BAD), " "]
    if one["part"]:
        said += [_tag("b", one["part"]), ": "]
    warnings = [_tag("div", _sign(DOUBT), " ", warning) for warning in one["warnings"] or ()]
    return _all([_tag("div", *said, one["text"] or ""), *warnings])


def _further(report: Mapping[str, Any]) -> Iterator[Html]:
    """Parts that this page does not know."""
    for name, rows in report.items():
        if name not in _KNOWN and rows:
            yield _section(name.replace("_", " ").capitalize(), _plain_table(rows))


def _plain_table(rows: Any) -> Html:
    """A list of mappings as a table; anything else as text."""
    if not (isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows)):
        return _tag("p", _plain(rows))
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    headings = [column.replace("_", " ").capitalize() for column in columns]
    return _table(headings, [[_plain(row.get(column)) for column in columns] for row in rows])


def _plain(value: Any) -> Html:
    if value is None or value in ("", [], {}):
        return _html(_SIGNS[NONE])
    if isinstance(value, bool):
        return _signed((GOOD, "yes") if value else (BAD, "no"))
    if isinstance(value, list):
        return _all(_tag("div", _plain(item)) for item in value)
    if isinstance(value, Mapping):
        return _all(_tag("div", f"{key}: ", _plain(item)) for key, item in value.items())
    return _tag("bdi", value)


# -- Small things --


def _section(heading: str, *parts: Any) -> Html:
    return _tag("section", _tag("h2", heading), *parts)


def _table(headings: Sequence[str], rows: Sequence[Sequence[Html]]) -> Html:
    """A table that becomes a list of cards where there is little room; so it says its roles itself."""
    head = _tag("tr", *(_tag("th", each, scope="col", role="columnheader") for each in headings), role="row")
    body = [
        _tag(
            "tr",
            _tag("th", row[0], scope="row", role="rowheader"),
            *(_tag("td", _tag("div", cell), role="cell", data_label=name) for name, cell in zip(headings[1:], row[1:])),
            role="row",
        )
        for row in rows
    ]
    return _tag(
        "table",
        _tag("thead", head, role="rowgroup"),
        _tag("tbody", *body, role="rowgroup"),
        role="table",
        class_="list",
    )


def _sign(kind: str) -> Html:
    return _tag("span", _SIGNS[kind], class_=f"sign {kind}", aria_hidden="true")


def _signed(state: tuple[str, str]) -> Html:
    kind, text = state
    return _tag("span", _sign(kind), f" {text}", class_="state")


# Light first; test_report_page.py holds every text to a contrast of 4.5 to 1 on its ground.
LIGHT = {
    "ground": "#f6f7f9",
    "card": "#ffffff",
    "line": "#d5d9e0",
    "text": "#1c2128",
    "quiet": "#59626e",
    "good": "#0f6b35",
    "bad": "#b3202c",
    "doubt": "#855000",
    "good-ground": "#e3f5e8",
    "bad-ground": "#fdebec",
    "doubt-ground": "#fdf3d8",
}
DARK = {
    "ground": "#10141a",
    "card": "#181d25",
    "line": "#333b47",
    "text": "#e6eaf0",
    "quiet": "#a0a9b6",
    "good": "#5fd38a",
    "bad": "#ff8a84",
    "doubt": "#e9b949",
    "good-ground": "#13301f",
    "bad-ground": "#3a1a1d",
    "doubt-ground": "#33280d",
}


def _colours(names: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in names.items())


STYLE = (
    f":root{{color-scheme:light dark;{_colours(LIGHT)}}}\n"
    f"@media(prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}\n"
    """\
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main,footer{max-width:76rem;margin:0 auto;padding:0 1rem}
header{padding:1.5rem 0 .5rem}
h1{font-size:1.75rem;line-height:1.2;margin:.1rem 0 .4rem}
h2{font-size:1.2rem;margin:2.2rem 0 .7rem}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{margin:.35rem 0}
ul{margin:.35rem 0;padding-left:1.2rem}
.kicker{font-size:.8rem;letter-spacing:.04em;color:var(--quiet);margin:0}
.quiet,footer,dt{color:var(--quiet)}
footer{padding:2rem 1rem;font-size:.85rem}
code,pre{font:.87em/1.45 ui-monospace,Menlo,Consolas,monospace}
td code{display:block}
pre{white-space:pre-wrap;background:var(--ground);border:1px solid var(--line);border-radius:6px;\
padding:.5rem .7rem;margin:.6rem 0 0}
.sign{display:inline-block;min-width:1.35em;text-align:center;font-weight:700;border-radius:.35em}
.good.sign{color:var(--good);background:var(--good-ground)}
.bad.sign{color:var(--bad);background:var(--bad-ground)}
.doubt.sign{color:var(--doubt);background:var(--doubt-ground)}
.none.sign{color:var(--quiet)}
.state{white-space:nowrap}
.numbers{display:flex;flex-wrap:wrap;gap:.7rem;margin:1rem 0 0}
.numbers div{flex:1 1 9rem;background:var(--card);border:1px solid var(--line);border-left:4px solid var(--line);\
border-radius:8px;padding:.6rem .9rem}
.numbers .good{border-left-color:var(--good)}
.numbers .bad{border-left-color:var(--bad)}
.numbers .doubt{border-left-color:var(--doubt)}
dt{font-size:.85rem}
dd{margin:0;font-size:1.3rem;font-weight:600;line-height:1.3}
.cards{list-style:none;margin:0;padding:0}
.card{background:var(--card);border:1px solid var(--line);border-left:4px solid var(--line);border-radius:8px;\
padding:.7rem 1rem;margin:0 0 .7rem}
.card.bad{border-left-color:var(--bad)}
.card.doubt{border-left-color:var(--doubt)}
.card h3{margin:.3rem 0}
.host{display:inline-block;font-weight:600;margin:0 .5rem .15rem 0;padding:0 .45rem;\
border:1px solid var(--line);border-radius:5px}
.remedy{border-top:1px dashed var(--line);padding-top:.4rem;margin-top:.5rem}
table{border-collapse:collapse;background:var(--card)}
.list{width:100%;border:1px solid var(--line)}
.list th,.list td{text-align:left;vertical-align:top;padding:.45rem .7rem;border-top:1px solid var(--line)}
.list td,.list th{overflow-wrap:normal}
.list bdi,.list code{overflow-wrap:anywhere}
.list code{min-width:11.7rem}
.list tbody th{min-width:9rem}
.list thead th{font-size:.85rem;font-weight:600;color:var(--quiet);border-top:0}
.wide{overflow:auto;max-width:100%;max-height:85vh;margin:.5rem 0}
.grid th,.grid td{border:1px solid var(--line);padding:.1rem .2rem;text-align:center;min-width:1.7em;font-size:.85rem;\
white-space:nowrap}
.grid thead th{position:sticky;top:0;background:var(--card)}
.grid tr:hover td{box-shadow:inset 0 0 0 99px #8882}
.grid tbody th{position:sticky;left:0;background:var(--card);text-align:left;font-weight:500;padding-right:.7rem;\
max-width:20rem;overflow:hidden;text-overflow:ellipsis}
.grid td.good{color:var(--good)}
.grid td.bad{color:var(--bad);background:var(--bad-ground);font-weight:700}
.grid td.doubt{color:var(--doubt);background:var(--doubt-ground);font-weight:700}
.grid td.none{color:var(--quiet)}
.grid td.self{background:var(--line)}
.legend{white-space:pre-wrap}
details{margin:.6rem 0}
summary{cursor:pointer;padding:.2rem 0}
@media(max-width:46rem){
.list,.list thead,.list tbody,.list tr,.list th,.list td{display:block}
.list thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.list tr{border-top:1px solid var(--line);padding:.4rem 0}
.list tr:first-child{border-top:0}
.list th,.list td{border:0;padding:.12rem .8rem}
.list code,.list tbody th{min-width:0}
.list td{display:grid;grid-template-columns:6.2rem 1fr;gap:.5rem}
.list td::before{content:attr(data-label);color:var(--quiet);font-size:.85rem}
.grid tbody th{max-width:9rem}
}
@media print{details>*{display:block}}"""
)
