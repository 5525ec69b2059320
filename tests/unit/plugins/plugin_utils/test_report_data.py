# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others read of a run: the fields that docs/report.md promises, never too much of it, and never a template."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._diagnosis import Finding
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._problems import PROBLEMS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._findings import merged
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report import Results, checked
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_data import report, report_path, save
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report_page import Details
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import NAMES, shown

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "report.md"
NODE = {"deployment": "", "state": "present", "runs_kas": True, "own_urls": [], "secrets": ["api_secret_key"]}
RAILS = {**NODE, "runs_kas": False}
INFO = {
    "gitlab_version": "19.3.0",
    "ready": True,
    "own_private_api_urls": ["grpc://10.0.0.1:8155"],
    "secrets": {"api_secret_key": {"fingerprint": "aaaaaaaaaaaa"}},
}
UP = {"url": "grpc://10.0.0.2:8155", "reachable": True, "answered": True, "text": "reachable", "remedy": ""}
DOWN = {**UP, "reachable": False, "answered": False, "text": "connection refused", "remedy": "start it"}


def row(name="kas1", plan=None, info=None, is_check=False, **returned):
    plan = NODE if plan is None else plan
    info = INFO if info is None else info
    return checked(name, plan, Results(info={"kas": info}, **returned), is_check=is_check)


def whole(result="ok", sentences=(), nodes=(), is_check=False, outside=()):
    return report(result, sentences, nodes, is_check=is_check, started=1795581195.2, now=1795581236.4, outside=outside)


TRIED = {
    "from": "localhost",
    "deployment": "",
    "check": "agents",
    "url": "wss://gitlab.example.com/-/kubernetes-agent/",
    "ok": True,
    "part": "",
    "text": "reachable",
    "warnings": [],
}


CHANGED = {
    "written": {"changed": True, "settings_changed": ["roles"]},
    "reconfigured": {"reason": "It has changed.", "duration_s": 35.4},
    "reached": {"probe": {"peers": [UP, DOWN]}, "rails_probe": {"peers": [UP]}},
}


def test_the_whole():
    found = whole("problems", [Sentence(("kas1",), "It is.", fails=("kas1",))], [row(**CHANGED)], outside=[TRIED])
    assert found == {
        "version": 1,
        "result": "problems",
        "check": False,
        "finished": "2026-11-25T04:33:56Z",
        "duration_s": 41,
        "failed": ["kas1"],
        "problems": ["kas1: It is."],
        "problem_count": 1,
        "deployments": [
            {
                "name": "",
                "nodes": 1,
                "kas_nodes": 1,
                "ready": 1,
                "changed": 1,
                "pending": 0,
                "secrets_equal": True,
            }
        ],
        "nodes": [
            {
                "name": "kas1",
                "deployment": "",
                "present": True,
                "runs_kas": True,
                "release": "19.3.0",
                "own_urls": ["grpc://10.0.0.1:8155"],
                "ready": True,
                "peers": 2,
                "reached": 1,
                "rails_reached": True,
                "secrets": "same",
                "pending": False,
                "changed": ["gitlab.rb", "reconfigured"],
                "reconfigure_s": 35.4,
                "failed": False,
            }
        ],
        "outside": [TRIED],
    }
    described = re.findall(r"^\| `(\w+)` \| (?:boolean|list|number|text)\b", DOCUMENT.read_text(), re.MULTILINE)
    (finding,) = merged({"kas1": {"findings": [Finding(PROBLEMS[0]).as_dict()]}})
    fields = [*found, "findings", *found["deployments"][0], *found["nodes"][0], *TRIED, *finding]
    assert described == fields, "docs/report.md describes each field, in this order"


def test_findings():
    """Of logs; with no more of them and no longer texts than fit."""
    found = [{"example": "x" * 600, "count": 3}] * 30
    told = report("ok", [], [], is_check=False, started=0, now=0, findings=found)
    assert told["findings"] == [{"example": "x" * 499 + "…", "count": 3}] * 20
    assert "findings" not in report("ok", [], [], is_check=False, started=0, now=0)


@pytest.mark.parametrize(
    ("node", "result", "special"),
    [
        (row(), "unverified", {"peers": None, "reached": None, "rails_reached": None, "changed": [], "pending": None}),
        (row(dry_run={"pending": []}), "unverified", {"pending": False}),
        (row(dry_run={"failed": True, "msg": "kas1: Broken."}), "failed", {"failed": True, "pending": None}),
        (row(reached={"error": {"unreachable": True, "msg": "No route."}}), "failed", {"failed": True}),
        (row(), "planned", {"changed": None, "pending": None}),
        (row(dry_run={"pending": ["roles"]}), "unverified", {"pending": True}),
        (row(plan=RAILS), "ok", {"runs_kas": False, "ready": None, "own_urls": [], "secrets": "same"}),
        (row(plan={**RAILS, "state": "reverted"}), "ok", {"present": False}),
        (row(plan={**NODE, "secrets": []}), "ok", {"secrets": None}),
        (row(written={"failed": True, "msg": "kas1: Broken."}), "failed", {"failed": True, "changed": []}),
        (row(info={}), "failed", {"release": None, "ready": None, "secrets": None, "own_urls": []}),
    ],
)
def test_what_is_not_known_is_null(node, result, special):
    (found,) = whole(result, nodes=[node])["nodes"]
    assert {name: found[name] for name in special} == special


def test_several_deployments():
    other = {**INFO, "secrets": {"api_secret_key": {"fingerprint": "bbbbbbbbbbbb"}}}
    nodes = [
        row("kas1", {**NODE, "deployment": "production"}),
        row("kas2", {**NODE, "deployment": "production"}, other),
        row("kas3", {**NODE, "deployment": "staging"}, other),
        row("rails1", {**RAILS, "deployment": "staging", "secrets": []}),
    ]
    found = {each["name"]: each for each in whole(nodes=nodes)["deployments"]}
    assert [(name, each["nodes"], each["kas_nodes"], each["secrets_equal"]) for name, each in found.items()] == [
        ("production", 2, 2, False),
        ("staging", 2, 1, True),
    ]


def test_it_stays_small():
    """100 nodes of which none reaches any other: 10,000 sentences, each long."""
    peers = {"reached": {"probe": {"peers": [DOWN] * 99}}}
    nodes = [row(f"gitlab-{number:03}.example.com", **{**CHANGED, **peers}) for number in range(100)]
    sentences = [Sentence((node.name,), 600 * "x", fails=(node.name,)) for node in nodes for _peer in node.peers]
    found = whole("problems", sentences, nodes)
    assert (len(found["problems"]), found["problem_count"], len(found["failed"])) == (20, 9900, 100)
    assert {len(problem) for problem in found["problems"]} == {500}
    assert len(json.dumps(found)) < 50_000


def test_nothing_in_it_is_a_template():
    """As an extra variable of a later job it would be evaluated there, maybe."""
    nodes = [row(info={**INFO, "gitlab_version": "{{ 7 * 7 }}"})]
    sentences = [Sentence(("kas1",), "{% set x = 1 %}{# no #}{{{ x }}}"), Sentence(("{kas}",), '{"a": {}}')]
    found = whole("failed", sentences, nodes)
    assert found["problems"] == ["kas1: { % set x = 1 %}{ # no #}{ { { x }}}", '{kas}: {"a": {}}']
    assert found["nodes"][0]["release"] == "{ { 7 * 7 }}"


def test_it_is_no_variable_of_ours():
    assert "gitlab_kas_report" not in NAMES


@pytest.mark.parametrize(
    ("rows", "path", "sentences"),
    [
        ({"kas1": {}, "kas2": {}}, "", []),
        ({"kas1": {"kas_report_path": "r.json"}, "kas2": {}}, "r.json", []),
        (
            {"kas1": {"kas_report_path": "r.json"}, "kas2": {"kas_report_path": "s.json", "in_play": False}},
            "r.json",
            [],
        ),
        (
            {"kas1": {"kas_report_path": "r.json"}, "kas2": {"kas_report_path": "s.json"}, "kas3": {}},
            "",
            [
                "kas1, kas2: kas_report_path differs ('r.json' and 's.json'), but there is one report of a run; set one"
                " path for all hosts."
            ],
        ),
    ],
)
def test_one_path(rows, path, sentences, hosts_of):
    found, wrong = report_path(hosts_of(rows))
    assert (found, list(map(str, wrong))) == (path, sentences)


def test_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = whole("ok", nodes=[row(**CHANGED)])
    save("report.json", {})
    save("report.json", report)
    path = tmp_path / "report.json"
    assert json.loads(path.read_text()) == report
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    (tmp_path / "link").symlink_to(path)
    monkeypatch.setenv("HOME", str(tmp_path))
    save("~/link", {})
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("{}\n", 0o644)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "report.json"]


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_half_a_character(name, tmp_path):
    data = whole("problems", [Sentence(("kas1",), "It is \ud800.")])
    save(str(tmp_path / name), data, Details([Sentence(("kas1",), "It is \ud800.")]))
    text = (tmp_path / name).read_text()
    assert "It is \\ud800." in text
    assert name.endswith("html") or json.loads(text) == data


@pytest.mark.parametrize(("name", "is_page"), [("r.html", True), ("R.HTML", True), ("html", False), ("r.htm", False)])
def test_the_page(name, is_page, tmp_path):
    """By the ending alone; with the same mode as the data."""
    sentences = [Sentence(("kas1",), "It is; correct it.")]
    save(str(tmp_path / name), whole("problems", sentences, [row(**CHANGED)]), Details(sentences))
    text = (tmp_path / name).read_text()
    assert text.startswith("<!DOCTYPE html>" if is_page else "{")
    assert ("<b>To do: </b>Correct it." in text) is is_page
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "missing/report.json",
            "kas_report_path is {path}, but there is no directory {folder}/missing on the controller; make it, or set"
            " another path.",
        ),
        (
            "",
            "kas_report_path is {path}, but {folder} on the controller is no regular file; set the path of one.",
        ),
        (
            "file/report.json",
            "kas_report_path is {path}, but there is no directory {folder}/file on the controller; make it, or set"
            " another path.",
        ),
    ],
)
def test_a_path_that_does_not_do(path, sentence, tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "file").touch()
    given = str(folder / path)
    expected = sentence.format(path=shown(given), folder=folder)
    with pytest.raises(FileError, match=f"^{re.escape(expected)}$"):
        save(given, {})
    assert [each.name for each in folder.iterdir()] == ["file"]


def test_a_directory_of_somebody_else(tmp_path, monkeypatch):
    """On the controller nobody becomes root."""
    monkeypatch.setattr("os.access", lambda *_arguments, **_options: False)
    path = tmp_path / "report.json"
    with pytest.raises(FileError) as caught:
        save(str(path), whole())
    assert str(caught.value) == (
        f"kas_report_path is {shown(str(path))}, but the user of Ansible may not write into {tmp_path}; set another"
        " path."
    )


def test_a_file_that_cannot_be_written(tmp_path):
    """Whatever else is wrong is said in the words of whoever found it."""
    name = 300 * "r"
    with pytest.raises(
        FileError, match=r"^kas_report_path is '.*', but on the controller .* cannot be replaced \(File"
    ):
        save(str(tmp_path / name), {})
