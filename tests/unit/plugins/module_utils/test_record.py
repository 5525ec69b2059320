# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of changes: whose a thing is, what survives a run that dies, and who may read it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import NOTHING, Change, Mark, Record, digest

NAME = ("gitlab_kas", "log_level")
INFO, DEBUG, WARN = (Mark(digest(word.encode()), True, word) for word in ("info", "debug", "warn"))


@pytest.mark.parametrize(
    ("changes", "now", "before", "is_ours"),
    [
        pytest.param([(NOTHING, DEBUG)], DEBUG, NOTHING, True, id="made"),
        pytest.param([(NOTHING, DEBUG)], NOTHING, NOTHING, False, id="the run died before it was made"),
        pytest.param([(NOTHING, DEBUG)], WARN, NOTHING, False, id="changed since by other means"),
        pytest.param([(NOTHING, DEBUG), (DEBUG, WARN)], WARN, NOTHING, True, id="made twice"),
        pytest.param([(NOTHING, DEBUG), (DEBUG, WARN)], DEBUG, NOTHING, True, id="the second run died"),
        pytest.param([(INFO, NOTHING)], NOTHING, INFO, True, id="taken away"),
        pytest.param([(INFO, DEBUG), (WARN, NOTHING)], NOTHING, WARN, True, id="between two runs it was another's"),
        pytest.param([(INFO, DEBUG), (DEBUG, INFO)], INFO, INFO, False, id="back to what it was"),
        pytest.param([(INFO, DEBUG), (DEBUG, INFO), (INFO, WARN)], WARN, INFO, True, id="there and back again"),
    ],
)
def test_whose_it_is(tmp_path: Path, changes: list[tuple[Mark, Mark]], now: Mark, before: Mark, is_ours: bool) -> None:
    path = str(tmp_path / "kept" / "record.json")
    for change in changes:
        record = Record(path)
        record.note(NAME, *change)
        record.save()
    read = Record(path)
    assert read.changes[NAME].before == before
    assert read.is_ours(NAME, now) is is_ours


@pytest.mark.parametrize(
    ("asked_by", "asked", "let_go", "then"),
    [
        pytest.param(("kas",), {"kas": [NAME]}, False, ("kas",), id="still asked for"),
        pytest.param(("kas",), {"kas": []}, True, ("kas",), id="asked for no more"),
        pytest.param(("kas",), {"kas_rails": []}, False, ("kas",), id="another's turn"),
        pytest.param(("kas",), {}, False, ("kas",), id="nobody's turn"),
        pytest.param(("kas",), {"kas": [], "kas_rails": [NAME]}, False, ("kas_rails",), id="handed over"),
        pytest.param(("kas",), {"kas_rails": [NAME]}, False, ("kas", "kas_rails"), id="asked for by another, too"),
        pytest.param(("kas", "kas_rails"), {"kas": []}, False, ("kas_rails",), id="one of two lets go"),
        pytest.param(("kas", "kas_rails"), {"kas": [], "kas_rails": []}, True, ("kas", "kas_rails"), id="both do"),
        pytest.param((), {"kas": []}, False, (), id="nobody knows who asked for it"),
        pytest.param((), {"kas": [NAME]}, False, ("kas",), id="now it is known"),
        pytest.param(("kas",), {"kas": [NAME[:1]]}, False, ("kas",), id="all of its section"),
        pytest.param(("kas",), {"kas": [(*NAME, "x")]}, False, ("kas",), id="something below it"),
        pytest.param(("kas",), {"kas": [("gitlab_kas", "log")]}, True, ("kas",), id="a name that is only alike"),
    ],
)
def test_who_asks_for_it(
    tmp_path: Path,
    asked_by: tuple[str, ...],
    asked: dict[str, list[tuple[str, ...]]],
    let_go: bool,
    then: tuple[str, ...],
) -> None:
    path = str(tmp_path / "record.json")
    record = Record(path)
    record.note(NAME, INFO, DEBUG)
    record.claim({who: [NAME] for who in asked_by})
    record.save()
    record = Record(path)
    assert record.claim(asked) == ([NAME] if let_go else [])
    record.save()
    assert Record(path).changes == {NAME: Change(INFO, (DEBUG.digest,), then)}


def test_what_is_forgotten_is_on_record_no_more(tmp_path: Path) -> None:
    path = str(tmp_path / "record.json")
    record = Record(path)
    for name in ("a", "b"):
        record.note((name,), NOTHING, DEBUG)
    record.save()
    record.forget([("a",)])
    assert list(Record(path).changes) == [("b",)]


def test_a_record_that_says_nothing_new_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    Record(str(path)).save()
    assert not path.exists()
    record = Record(str(path))
    record.note(NAME, NOTHING, DEBUG)
    record.save()
    inode = path.stat().st_ino
    record.save()
    Record(str(path)).save()
    assert path.stat().st_ino == inode


def test_for_root_alone_and_gone_when_forgotten(tmp_path: Path) -> None:
    record = Record(str(tmp_path / "kept" / "record.json"))
    record.note(NAME, NOTHING, DEBUG)
    record.save()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (Path(record.path), Path(record.path).parent)]
    assert modes == [0o600, 0o700]
    record.forget([NAME])
    record.forget([NAME])
    assert not Path(record.path).exists()
    assert Record(record.path).changes == record.changes == {}


@pytest.mark.parametrize("text", ["", "{}x", '{"name": 1}', "[1]", '[{"name": ["a"]}]'])
def test_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        Record(str(path))
    assert str(caught.value) == (
        f"{path} is damaged, so the changes made on this node are no longer known; move it away to continue without it."
    )
