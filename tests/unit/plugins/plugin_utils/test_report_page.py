# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a report: what it says, for whom it can be read, and that no text can become a part of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _report_page
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report import Results, checked, findings
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_data import report
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_page import Details, details, page
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence

VOID = {"meta"}
INFO = {
    "gitlab_version": "19.3.0",
    "enabled": True,
    "running": True,
    "ready": True,
    "secrets": {"private_api_secret_key": {"fingerprint": "aaaaaaaaaaaa"}},
}
DOWN = {"running": False, "ready": False, "readiness": "connection refused"}


class Read(HTMLParser):
    """The elements and the text of a page; one that is not well-formed fails."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _value in attrs]
        assert len(set(names)) == len(names)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag, **attributes):
        return [given for name, given in self.elements if name == tag and attributes.items() <= given.items()]


def call(url, kind="up"):
    text = {"up": "reachable", "down": "connection refused", "doubt": "reachable, but refuses calls without TLS"}[kind]
    up = kind != "down"
    return {"url": url, "reachable": up, "answered": kind == "up", "text": text, "remedy": "start it there"}


def nodes(names, *, lost=(), doubt=(), down=(), deployment="", **results):
    """Nodes that call each other; lost and doubt are pairs, down nodes whose KAS does not run."""
    urls = {name: f"grpc://10.0.{number // 250}.{number % 250}:8155" for number, name in enumerate(names)}
    made = []
    for name in names:
        kinds = {
            other: "down"
            if {name, other} & set(down) or (name, other) in lost
            else "doubt"
            if (name, other) in doubt
            else "up"
            for other in names
            if other != name
        }
        info = {**INFO, "own_private_api_urls": [urls[name]], **(DOWN if name in down else {})}
        plan = {
            "deployment": deployment,
            "state": "present",
            "runs_kas": True,
            "own_urls": [urls[name]],
            "secrets": ["private_api_secret_key"],
        }
        probe = {"peers": [call(urls[other], kind) for other, kind in kinds.items()]}
        reached = {"probe": probe, "rails_probe": {"peers": [call("grpc://localhost:8153")]}}
        given = {"info": {"kas": info}, "reached": reached, **results.get(name, {})}
        made.append(checked(name, plan, Results(**given), is_check=False))
    return made, {url: name for name, url in urls.items()}


def shown(result, made=((), {}), sentences=None, is_check=False, logs=None, **more):
    """The page of a run."""
    of_nodes, names = made
    told = findings(of_nodes, names) if sentences is None else sentences
    data = report(result, told, of_nodes, is_check=is_check, started=1795581195, now=1795581236, findings=logs)
    return page({**data, **more}, details(of_nodes, told, names))


FEW = nodes(["kas1", "kas2", "kas3"], lost=[("kas1", "kas2")], doubt=[("kas2", "kas3")])
CHANGED = {
    "written": {"changed": True, "settings_changed": ["gitlab_kas['enable']", "gitlab_kas['env']"]},
    "reconfigured": {"reason": "It has changed.", "duration_s": 95.4},
}
MANY = [f"kas{number}" for number in range(1, 101)]
FINDING = {
    "name": "redis-refused",
    "severity": "error",
    "log": "KAS",
    "what": "Redis is not there",
    "cause": "Redis is down",
    "remedy": "start Redis; see `kas_redis`",
    "count": 2,
    "first": "2026-11-24T20:00:00Z",
    "last": "2026-11-24T21:00:00Z",
    "example": "dial tcp 10.0.0.9:6379: connect: connection refused",
    "nodes": ["kas1"],
}
HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&`b`\x00\u202e\ud800{{ 1 }}"
PAGES = {
    "ok": shown("ok", nodes(["kas1", "kas2"])),
    "one": shown("ok", nodes(["kas1"])),
    "problems": shown("problems", FEW),
    "changed": shown("ok", nodes(["kas1", "kas2"], kas1=CHANGED)),
    "several": shown("ok", (nodes(["a"], deployment="x")[0] + nodes(["b", "c"], deployment="y")[0], {})),
    "refused": shown("refused", sentences=[Sentence(("kas1", "kas2"), "x is 1; set x to 2.")]),
    "diagnose": shown("problems", sentences=[Sentence(("kas1",), "Redis is not there (2 lines).")], logs=[FINDING]),
    "many": shown("problems", nodes(MANY, down=["kas66"], lost=[("kas3", "kas7")])),
    "hostile": shown(
        "problems",
        nodes([HOSTILE + "1", HOSTILE + "2", "kas3"], deployment=HOSTILE, down=[HOSTILE + "1"], kas3=CHANGED),
        logs=[{**FINDING, **dict.fromkeys(("what", "cause", "remedy", "example", "first"), HOSTILE)}],
        **{HOSTILE: [{HOSTILE: HOSTILE, "more": [HOSTILE], "map": {HOSTILE: HOSTILE}}]},
    ),
}


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES)
def test_structure(text):
    read = Read(text)
    assert text.startswith("<!DOCTYPE html>\n")
    assert [attributes["lang"] for _tag, attributes in read.elements[:1]] == ["en"]
    # Nothing is fetched, run or sent, whatever the texts hold.
    assert {tag for tag, _attributes in read.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "section"),
        *("h1", "h2", "h3", "p", "b", "bdi", "code", "pre", "div", "span", "dl", "dt", "dd", "ol", "ul", "li"),
        *("table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    }
    attributes = {name for _tag, given in read.elements for name in given}
    assert attributes <= {
        *("lang", "charset", "name", "content", "http-equiv", "class", "scope", "role", "title", "tabindex"),
        *("aria-label", "aria-hidden", "data-label"),
    }
    assert not re.search(r"url\(|@import|https?:", re.search("<style>(.*?)</style>", text, re.DOTALL)[1])
    assert read.all("meta", content="default-src 'none'; style-src 'unsafe-inline'")
    text.encode()  # also of half a character


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES)
def test_accessible(text):
    read = Read(text)
    levels = [int(tag[1]) for tag, _attributes in read.elements if re.fullmatch("h[1-6]", tag)]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(deeper <= level + 1 for level, deeper in zip(levels, levels[1:]))
    assert all("scope" in given for given in read.all("th"))
    # What a colour says, a sign and a word say, too.
    for given in read.all("span", **{"aria-hidden": "true"}):
        assert set(given["class"].split()) & {"good", "bad", "doubt", "none"}
    assert not re.search(r'<span class="sign \w+" aria-hidden="true">[^<]*</span>\s*</', text)


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("colours", [_report_page.LIGHT, _report_page.DARK], ids=["light", "dark"])
def test_contrast(colours):
    """At least 4.5 to 1, as WCAG asks for text (1.4.3)."""
    pairs = [(text, ground) for text in ("text", "quiet", "good", "bad", "doubt") for ground in ("ground", "card")]
    pairs += [(kind, f"{kind}-ground") for kind in ("good", "bad", "doubt")]
    for pair in pairs:
        dark, light = sorted(luminance(colours[name]) for name in pair)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "problems",
            [
                "Something is wrong",
                "2026-11-25 04:33:15 to 04:33:56 UTC, 41 s",
                "KAS ready 3 of 3 Calls answered 5 of 6 Release 19.3.0 Changed 0 of 3",
                "What is wrong, and what to do kas1 KAS does not reach kas2 at grpc://10.0.0.1:8155 (connection"
                " refused). To do: Start it there.",
                "The nodes share one set of secrets.",
                "kas1 ✓ ready 19.3.0 grpc://10.0.0.0:8155 ✕ 1 of 2 ✓ reaches KAS",
                "5 of 6 calls reach the other KAS kas1 does not reach kas2 : connection refused.",
                "1 2 3 1. kas1 ✕ ✓ 2. kas2 ✓ ! 3. kas3 ✓ ✓",
            ],
        ),
        (
            "changed",
            [
                "All is well",
                "Changed 1 of 2",
                "kas1 ✓ ready 19.3.0 grpc://10.0.0.0:8155 ✓ 1 of 1 ✓ reaches KAS ✓ proved gitlab.rb, reconfigured"
                " (1 min 35 s) 2 settings gitlab_kas['enable'] gitlab_kas['env']",
            ],
        ),
        ("refused", ["Refused, nothing has changed", "kas1 kas2 x is 1. To do: Set x to 2."]),
        (
            "diagnose",
            [
                "Errors in the logs",
                "kas1 ✕ Redis is not there 2 lines in the log of KAS, 2026-11-24T20:00:00Z to 2026-11-24T21:00:00Z"
                " Cause: Redis is down To do: Start Redis; see kas_redis dial tcp 10.0.0.9:6379",
            ],
        ),
        ("several", ["Deployment x", "Deployment y"]),
        (
            "many",
            [
                "99 nodes",
                "kas66 is reached by no other KAS. kas66 reaches no other KAS. kas3 does not reach kas7 : connection"
                " refused.",
                "98 other nodes",
                "Every call of 100 nodes",
                "and 97 more",
            ],
        ),
    ],
)
def test_what_it_says(name, parts):
    text = Read(PAGES[name]).text.replace(" ,", ",")
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("result", "given", "headline"),
    [
        ("ok", {}, "✓ All is well"),
        ("failed", {}, "✕ A node has failed"),
        ("planned", {}, "! Planned, and nothing is known of what came after"),
        ("unverified", {"is_check": True}, "! A dry-run, nothing has changed"),
        ("unverified", {}, "! No KAS was called"),
        ("ok", {"logs": []}, "✓ No known problem in the logs"),
        ("ok", {"logs": [{**FINDING, "severity": "warning"}]}, "! Warnings in the logs"),
        ("problems", {"logs": []}, "✕ No log was read"),
        ("paused", {}, "! Paused"),
    ],
)
def test_how_far_the_run_came(result, given, headline):
    assert f"GitLab agent server for Kubernetes {headline} 2026-11-25" in Read(shown(result, **given)).text


def test_the_worst_comes_first():
    read = PAGES["many"]
    order = [read.index(f'scope="row" role="rowheader"><bdi>{name}</bdi>') for name in ("kas66", "kas3", "kas1")]
    assert order == sorted(order)


def test_a_hundred_nodes_stay_readable():
    """What is closed at first is most of it."""
    body = PAGES["many"].split("</head>")[1].split("</html>")[0]
    at_first = re.sub("<details.*?</details>", "", body, flags=re.DOTALL)
    assert len(Read(at_first).text) < 2500
    assert PAGES["many"].count('<td class="good">') == 9900 - 2 * 99 - 1
    assert len(PAGES["many"]) < 500_000


def test_hostile_text_is_text():
    read = Read(PAGES["hostile"])
    said = HOSTILE.replace("\x00", "\\u0000").replace("\u202e", "\\u202e").replace("\ud800", "\\ud800")
    inert = said.replace("{{", "{ {")
    assert f"Deployment {inert}" in read.text
    assert PAGES["hostile"].count("&lt;script&gt;") > 20
    assert [title for title in (given.get("title", "") for given in read.all("td")) if title.startswith(inert)]
    assert "\x00" not in PAGES["hostile"]
    assert "\u202e" not in PAGES["hostile"]


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"clocks_apart": [{"a": 1}, {"b": None}]}, "Clocks apart A B 1 \N{EN DASH} \N{EN DASH} \N{EN DASH}"),
        ({"later": {"a": True}}, "Later a: ✓ yes"),
        ({"later": "text"}, "Later text"),
    ],
)
def test_parts_that_it_does_not_know(part, text):
    assert text in Read(shown("ok", **part)).text


TRIED = {
    "from": "localhost",
    "deployment": "",
    "check": "agents",
    "url": "wss://gitlab.example.com/-/kubernetes-agent/",
    "ok": True,
    "part": "",
    "text": "reachable",
    "warnings": ["the certificate ends in 9 days"],
}
FAILS = {
    **TRIED,
    "check": "kubernetes_api",
    "ok": False,
    "part": "proxy",
    "text": "it answers <b>502</b>",
    "warnings": [],
}
UNTRIED = dict.fromkeys(("check", "url", "part", "text"))


def test_from_outside():
    """What fails comes first."""
    said = Read(shown("problems", outside=[TRIED, FAILS, {**FAILS, **UNTRIED, "from": "kas2"}])).text
    assert (
        "From outside, as an agent comes From To URL What came of it"
        " localhost Kubernetes API proxy wss://gitlab.example.com/-/kubernetes-agent/ ✕ proxy : it answers <b>502</b>"
        " kas2 \N{EN DASH} \N{EN DASH} ✕"
        " localhost agents wss://gitlab.example.com/-/kubernetes-agent/ ✓ reachable ! the certificate ends in 9 days"
    ) in said
    assert "outside" not in Read(shown("ok", outside=[])).text
    several = (nodes(["a"], deployment="x")[0] + nodes(["b"], deployment="y")[0], {})
    assert " localhost y agents wss:" in Read(shown("ok", several, outside=[{**TRIED, "deployment": "y"}])).text


def test_only_the_data():
    """Where nothing else is known."""
    data = report("ok", [], FEW[0], is_check=False, started=0, now=1)
    text = Read(page(data, Details())).text
    assert "Who reaches whom" not in text
    assert "kas1 ✓ ready" in text
