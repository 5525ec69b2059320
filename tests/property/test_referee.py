# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The referee evaluates as the package does, and the invariant convicts a wrong edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from grammar import GeneratedFile, Piece, Settings
from invariant import expected, missing_part, same_settings, untouched
from referee import Referee, typed


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("external_url 'http://a'", "external_url", "http://a"),
        ("external_url('http://a')", "external_url", "http://a"),
        ("external_url 'a', 'b'", "external_url", ["a", "b"]),
        ("self.external_url = 'a'", "external_url", "a"),
        ("external_url = 'a'", "external_url", None),
        ("external_url 'a'\nexternal_url 'b'", "external_url", "b"),
        ("external_url 'a'\nreturn\nexternal_url 'b'", "external_url", "a"),
        ("external_url 'a'\n__END__\nexternal_url 'b'", "external_url", "a"),
        ("external_url 'a'\nputs 'x'; system 'echo x'", "external_url", "a"),
        ("gitlab_kas['a'] = true", "gitlab_kas", {"a": True}),
        ("gitlab_kas[:a] = 1", "gitlab_kas", {"a": 1}),
        ("gitlab_kas['a']['b'][:c] = 1.5", "gitlab_kas", {"a": {"b": {"c": 1.5}}}),
        ("gitlab_kas['a'] = { b: [{ c: nil }] }", "gitlab_kas", {"a": {"b": [{"c": None}]}}),
        ("gitlab_kas['a'] = { 'x' => 1 }\ngitlab_kas['a'] = { 'y' => 2 }", "gitlab_kas", {"a": {"y": 2}}),
        ("x = gitlab_kas['a']", "gitlab_kas", {"a": {}}),
        ("gitlab_kas = {}\ngitlab_kas['a'] = 1", "gitlab_kas", {}),
        ("gitlab_kas[:a] = 1 if gitlab_kas.key?('a')", "gitlab_kas", {}),
        ("gitlab_kas['a'] = 1\ngitlab_kas.merge!(a: 2, b: { c: 3 })", "gitlab_kas", {"a": 2, "b": {"c": 3}}),
        ("from_file 'other.rb'\ngitlab_kas['b'] = 2", "gitlab_kas", {"a": 1, "b": 2}),
        ('YAML.load("a: [1]").each { |k, v| gitlab_kas[k] = v }', "gitlab_kas", {"a": [1]}),
    ],
)
def test_value(referee: Referee, tmp_path: Path, text: str, name: str, value: object) -> None:
    (tmp_path / "other.rb").write_text("gitlab_kas['a'] = 1\n")
    evaluation = referee.evaluate(text.encode(), tmp_path / "gitlab.rb")
    assert evaluation.error is None
    assert evaluation.settings is not None
    assert evaluation.settings[name] == typed(value)


@pytest.mark.parametrize(
    ("value", "is_typed"),
    [
        ("'1'", {"s": "1"}),
        (":on", {"y": "on"}),
        ("1", {"i": "1"}),
        ("1.0", {"f": "3ff0000000000000"}),
        ("-0.0", {"f": "8000000000000000"}),
        ("nil", None),
        ("'\\xff'.b", {"s": "\\xff"}),
        ('"\\xff"', {"b": "UTF-8:ff"}),
        ("/x/i", {"o": "/x/i"}),
        ("{ 'a' => 1, b: 2, 3 => 4 }", {"hash": {"s:a": {"i": "1"}, '{"y":"b"}': {"i": "2"}, '{"i":"3"}': {"i": "4"}}}),
        ("[{}]", {"a": [{"hash": {}}]}),
    ],
)
def test_types_are_told_apart(referee: Referee, tmp_path: Path, value: str, is_typed: object) -> None:
    settings = referee.evaluate(f"external_url({value})".encode(), tmp_path / "gitlab.rb").settings
    assert settings is not None
    assert settings["external_url"] == is_typed


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("no_such_setting 1", "Cannot set unsupported config value no_such_setting."),
        ("x = no_such_setting", "Reading unsupported config value no_such_setting."),
        ("external_url 'a", "SyntaxError"),
        ("external_url '\udcff'", "invalid multibyte char"),
        ("from_file 'missing.rb'", "No such file"),
        ("from_file 'other.rb'\ngitlab_kas['env']['A'] = 1", "undefined method `[]=' for nil"),
        ("gitlab_kas.enable = true", "undefined method `enable='"),
        ("exit", "SystemExit"),
        ("exit!", "the evaluation did not come to an end"),
    ],
)
def test_error(referee: Referee, tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "other.rb").write_text("gitlab_rails['a'] = 1\n")
    evaluation = referee.evaluate(text.encode(errors="surrogateescape"), tmp_path / "gitlab.rb")
    assert evaluation.settings is None
    assert error in (evaluation.error or "")


def test_one_evaluation_leaves_nothing_for_the_next(referee: Referee, tmp_path: Path) -> None:
    path = tmp_path / "gitlab.rb"
    clean = referee.evaluate(b"", path)
    referee.evaluate(b"gitlab_kas['a'] = 1\nclass String; def to_s = 'x'; end\ndef external_url = 1", path)
    assert referee.evaluate(b"", path) == clean


def test_a_nested_file_ends_the_strictness(referee: Referee, tmp_path: Path) -> None:
    (tmp_path / "other.rb").write_text("")
    settings = referee.evaluate(b"from_file 'other.rb'\nno_such_setting 1", tmp_path / "gitlab.rb").settings
    assert settings is not None
    assert settings["no_such_setting"] == typed(1)


FILE = "gitlab_kas['env'] = { 'A' => '1', B: '2' } # ours\ngitlab_rails['url'] = gitlab_kas['url'] = 'x'\n"


@pytest.mark.parametrize(
    ("settings", "remove", "result"),
    [
        ({"external_url": "new"}, {}, FILE),
        ({"external_url": "new"}, {}, FILE + "external_url = 'new'\n"),
        ({"external_url": "new"}, {}, "external_url 'new'\n"),
        ({"external_url": "1"}, {}, FILE + "external_url 1\n"),
        ({"gitlab_kas": {"env": {"A": "new"}}}, {}, FILE + "gitlab_kas['env'] = { 'A' => 'new' }\n"),
        ({"gitlab_kas": {"url": "new"}}, {}, FILE.replace("'x'", "'new'")),
        ({}, {"gitlab_kas": {"env": {"A": None}}}, FILE + "gitlab_kas['env']['A'] = nil\n"),
        ({}, {"gitlab_kas": {"env": {"A": None}}}, FILE + "gitlab_kas['env'] = {}\n"),
        ({}, {"gitlab_kas": {"env": None}}, FILE + "gitlab_kas['env'] = {}\n"),
    ],
)
def test_wrong_result_is_convicted(
    referee: Referee, tmp_path: Path, settings: Settings, remove: Settings, result: str
) -> None:
    before = referee.evaluate(FILE.encode(), tmp_path / "gitlab.rb").settings
    after = referee.evaluate(result.encode(), tmp_path / "gitlab.rb").settings
    assert before is not None
    assert after is not None
    assert not same_settings(after, expected(before, settings, remove), remove, may_be_read=False)


@pytest.mark.parametrize(
    "result",
    [
        "a = 'new'\n# two\n",
        "# one\na = 'new'\n",
        "# one \na = 'new'\n# two\n",
        "# two\na = 'new'\n# one\n",
        "# one\n\ta = 'new' # two\n",
    ],
)
def test_lost_bytes_are_noticed(result: str) -> None:
    pieces = (Piece("# one\n"), Piece("a = ", frame=("a",)), Piece("'old'", frozenset({("a",)})), Piece("\n# two\n"))
    file = GeneratedFile(pieces, (), frozenset(), frozenset())
    assert missing_part(untouched(file, [("a",)]), result.encode()) is not None
    assert missing_part(untouched(file, [("a",)]), b"# one\nadded\na = 'new'\n# two\n") is None
