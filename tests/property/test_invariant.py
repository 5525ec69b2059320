# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The invariant of gitlab_rb: an edit does what was asked for and nothing else, or refuses and does nothing.

KAS_FUZZ_EXAMPLES sets the number of examples of a run (default 2,000).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import read_included
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import (
    Change,
    GitlabRb,
    GitlabRbError,
    without,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_files import GitlabRbFiles
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import Record
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby
from figures import FIGURES, reason
from grammar import (
    CALLS,
    INCLUDED,
    SECTIONS,
    TRAPS,
    GeneratedFile,
    Settings,
    files,
    leaves,
    put,
    related,
    removals,
    settings_trees,
    value_at,
)
from hypothesis import HealthCheck, event, given, note, reject, settings
from hypothesis import strategies as st
from invariant import (
    differences,
    expected,
    into_no_hash,
    misread,
    missing_part,
    overlooked,
    same_settings,
    untouched,
    without_nothing,
)
from referee import Referee

TOTAL = int(os.environ.get("KAS_FUZZ_EXAMPLES", "2000"))
FREE, BENIGN = TOTAL * 35 // 100, TOTAL // 10
EACH = -(-(TOTAL - FREE - 3 * BENIGN) // len(TRAPS))


def examples(number: int) -> settings:
    unhealthy = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=number, deadline=None, print_blob=True, suppress_health_check=unhealthy)


class Case(NamedTuple):
    """A file, what is asked of it, what it says, and whether its traps are about other settings only."""

    file: GeneratedFile
    wanted: Settings
    remove: Settings
    before: dict[str, Any]
    unrelated: bool


class Court:
    """Hears one case: a file, settings to ask for, names to remove."""

    def __init__(self, ruby: Ruby, referee: Referee, etc_gitlab: Path) -> None:
        self._ruby, self._referee, self._path = ruby, referee, etc_gitlab / "gitlab.rb"

    def _document(self, text: bytes) -> GitlabRb:
        return GitlabRb(text, self._ruby, path=str(self._path), read_file=read_included)

    def _change(self, text: bytes, wanted: Settings, remove: Settings) -> Change:
        document = self._document(text)
        try:
            return document.change(wanted, remove)
        finally:
            assert document.text == text, "the document itself must not change"

    def settings(self, text: bytes) -> dict[str, Any] | None:
        return self._referee.evaluate(text, self._path).settings

    def read(self, file: GeneratedFile) -> None:
        """What the module reads without running the file is what comes of running it, of all that the file names."""
        real, nothing = self.settings(file.text), self.settings(b"")
        if real is None or nothing is None:
            reject()
        note(file.text.decode())
        document = self._document(file.text)
        names = document.names()
        for asked in ((*SECTIONS, *CALLS), names):
            reading = document.read(asked)
            for name in real if asked is names else asked:
                wrong = misread(reading.settings.get(name, {}), real[name], name)
                wrong += overlooked(reading, real[name], (name,)) if real[name] != nothing.get(name) else []
                assert not wrong, "\n".join(wrong)

    def hear(self, file: GeneratedFile, wanted: Settings, remove: Settings) -> None:
        before = self.settings(file.text)
        FIGURES.rejected_by_ruby += before is None
        if before is None:
            reject()
        FIGURES.examples += 1
        FIGURES.labels.update(file.labels)
        note(f"{file.text.decode()}\n--- settings: {wanted!r}\n--- remove: {remove!r}")
        asked = [*leaves(wanted), *leaves(remove)]
        unrelated = not any(related(name, about) for trap in file.traps for about in trap.about for name in asked)
        FIGURES.with_unrelated_traps += unrelated and bool(file.traps)
        free = unrelated and not into_no_hash(before, file, wanted, remove)
        try:
            change = self._change(file.text, wanted, remove)
        except GitlabRbError as error:
            self._refused(str(error), file, free)
            return
        note(f"--- result:\n{change.text.decode()}\n--- names: {change.names}")
        self._obeys(Case(file, wanted, remove, before, unrelated), change)

    def hear_own_file(self, file: GeneratedFile, wanted: Settings) -> None:
        """The same with our settings in a file of their own: gitlab.rb gets one line, and loses it again."""
        before = self.settings(file.text)
        if before is None:
            reject()
        FIGURES.examples += 1
        note(f"{file.text.decode()}\n--- settings: {wanted!r}")
        own = self._path.with_name("own.rb")
        texts: dict[str, bytes | None] = {str(self._path): file.text}
        record = Record(str(self._path.with_name("no-record.json")))
        unrelated = not any(
            related(name, about) for trap in file.traps for about in trap.about for name in leaves(wanted)
        )
        try:
            self._put(texts, self._files(texts, record, own, wanted))
        except GitlabRbError as error:
            self._refused(str(error), file, unrelated and not into_no_hash(before, file, wanted, {}))
            return
        text, own_text = texts[str(self._path)] or b"", texts.get(str(own))
        note(f"--- result:\n{text.decode()}\n--- {own.name}:\n{(own_text or b'').decode()}")
        try:
            if own_text is not None:
                own.write_bytes(own_text)
            after = self._referee.evaluate(text, self._path)
            assert not self._files(texts, record, own, wanted).writes(), "a second run would change something"
        finally:
            own.unlink(missing_ok=True)
        assert after.error is None, f"Ruby does not take the result: {after.error}"
        assert after.settings is not None
        right = expected(before, wanted, {})
        assert same_settings(after.settings, right, {}, may_be_read=not unrelated), "\n".join(
            differences(after.settings, right)
        )
        assert missing_part(untouched(file, []), text) is None
        self._put(texts, self._files(texts, record, None, {}))
        assert texts.get(str(own)) is None
        assert texts[str(self._path)] == file.text, "it was not taken back to the byte"
        FIGURES.changed += 1
        FIGURES.own_files += 1

    def _files(
        self, texts: dict[str, bytes | None], record: Record, own: Path | None, wanted: Settings
    ) -> GitlabRbFiles:
        files = GitlabRbFiles(
            self._ruby,
            str(self._path),
            read=texts.get,
            read_included=read_included,
            include=str(own) if own else None,
            record=record,
        )
        files.change(wanted, {}, [] if own else record.changes)
        files.note(record, wanted, {})
        return files

    @staticmethod
    def _put(texts: dict[str, bytes | None], files: GitlabRbFiles) -> None:
        texts.update({write.path: write.new for write in files.writes()})

    @staticmethod
    def _refused(message: str, file: GeneratedFile, free: bool) -> None:
        why = reason(message)
        event(f"refused: {why}")
        FIGURES.refusals[why] += 1
        sentence = re.fullmatch(r"(\S+\.rb)(?:, |: )line (\d+)\b[^\n]+; [^\n]+\.", message)
        assert sentence, f"not a sentence that names file, line, cause and remedy: {message!r}"
        texts = {"gitlab.rb": file.text.decode(), **INCLUDED}
        assert 1 <= int(sentence[2]) <= texts[Path(sentence[1]).name].count("\n") + 1
        if free and file.traps:
            FIGURES.refused_though_unrelated[why] += 1
        assert not free or file.traps, "refused, though nothing in the file stands in the way"

    def _obeys(self, case: Case, change: Change) -> None:
        file, wanted, remove, before, unrelated = case
        right = expected(before, wanted, remove)
        after = self._referee.evaluate(change.text, self._path)
        assert after.error is None, f"Ruby does not take the result: {after.error}"
        assert after.settings is not None
        assert same_settings(after.settings, right, remove, may_be_read=not unrelated), "\n".join(
            differences(after.settings, right)
        )

        lost = missing_part(untouched(file, [*leaves(wanted), *leaves(remove)], strict=not remove), change.text)
        assert lost is None, f"a part that was not touched is not the same: {lost!r}"
        assert bool(change.names) == (change.text != file.text), "names say what changed"
        event("changed" if change.names else "nothing to change")
        FIGURES.changed += bool(change.names)
        FIGURES.unchanged += not change.names

        again = self._change(change.text, wanted, remove)
        assert again.text == change.text and not again.names, f"a second run changed it again:\n{again.text.decode()}"
        if not remove and change.names:
            self._restores(case, change)
        self._reverts(case, change)
        self._lets_go(case, change)

    def _restores(self, case: Case, change: Change) -> None:
        """What was only added to comes back to the byte."""
        asked = list(leaves(case.wanted))
        if any(piece.is_about(name) for piece in case.file.pieces for name in asked):
            return
        tree: Settings = {}
        for name in asked:
            put(tree, name, None)
        try:
            restored = self._change(change.text, {}, tree)
        except GitlabRbError:
            assert not case.unrelated, "what was added cannot be removed"
            return
        assert restored.text == case.file.text, f"absent did not restore the file:\n{restored.text.decode()}"
        FIGURES.appended_only += 1

    def _reverts(self, case: Case, change: Change) -> None:
        """What is on record comes back, except for what may not be kept."""
        record = Record(str(self._path.with_name("no-record.json")))
        self._document(case.file.text).note(record, change, case.wanted, case.remove)
        try:
            back = change.document.restored(record, record.changes)
        except GitlabRbError as error:
            FIGURES.not_reverted[reason(str(error))] += case.unrelated
            return
        if not back.left:
            after = self.settings(back.document.text)
            was, now = (without_nothing({"mash": settings})["mash"] for settings in (case.before, after))
            assert now == was, "\n".join(differences(now, was))
            FIGURES.reverted += bool(record.changes)

    def _lets_go(self, case: Case, change: Change) -> None:
        """What is asked for no more is restored, and the rest is as if it had never been asked for."""
        asked, removed = list(leaves(case.wanted)), list(leaves(case.remove))
        kept: Settings = {}
        for name in asked[::2]:
            put(kept, name, value_at(case.wanted, name))
        record = Record(str(self._path.with_name("no-record.json")))
        self._document(case.file.text).note(record, change, case.wanted, case.remove)
        record.claim({"role": [*asked, *removed]})
        let_go = record.claim({"role": [*asked[::2], *removed]})
        try:
            back = change.document.restored(record, let_go)
            if back.left or not let_go:
                return
            alone = self._change(case.file.text, kept, case.remove).text
            text = self._change(back.document.text, kept, without(case.remove, back.settings)).text
        except GitlabRbError as error:
            FIGURES.not_reverted[reason(str(error))] += case.unrelated
            return
        right, now = (without_nothing({"mash": self.settings(each)})["mash"] for each in (alone, text))
        assert now == right, "\n".join(differences(now, right))
        FIGURES.reverted += 1
        about_them = any(piece.is_about(name) for piece in case.file.pieces for name in (*asked, *removed))
        if case.unrelated and not about_them:
            assert text == alone, f"what was added is not gone to the byte:\n{text.decode()}"


@pytest.fixture(scope="session")
def court(ruby: Ruby, referee: Referee, etc_gitlab: Path) -> Court:
    return Court(ruby, referee, etc_gitlab)


def draw_request(data: st.DataObject, file: GeneratedFile) -> tuple[Settings, Settings]:
    wanted = data.draw(settings_trees(file))
    return wanted, data.draw(removals(wanted))


@examples(FREE)
@given(st.data(), files())
def test_any_file(court: Court, data: st.DataObject, file: GeneratedFile) -> None:
    court.hear(file, *draw_request(data, file))


@examples(BENIGN)
@given(st.data(), files(traps=False))
def test_files_without_traps_are_never_refused(court: Court, data: st.DataObject, file: GeneratedFile) -> None:
    court.hear(file, *draw_request(data, file))


@examples(BENIGN)
@given(st.data(), files())
def test_own_file_beside_any_file(court: Court, data: st.DataObject, file: GeneratedFile) -> None:
    court.hear_own_file(file, data.draw(settings_trees(file)))


@examples(BENIGN)
@given(st.data(), files(traps=False))
def test_own_file_is_never_refused(court: Court, data: st.DataObject, file: GeneratedFile) -> None:
    court.hear_own_file(file, data.draw(settings_trees(file)))


@examples(BENIGN)
@given(files())
def test_reading(court: Court, file: GeneratedFile) -> None:
    court.read(file)


@pytest.mark.parametrize("construct", TRAPS, ids=lambda construct: construct[0])
def test_construct(court: Court, construct: tuple[str, str, str]) -> None:
    @examples(EACH)
    @given(st.data(), files(construct=construct))
    def every_example(data: st.DataObject, file: GeneratedFile) -> None:
        court.hear(file, *draw_request(data, file))

    every_example()


def test_traps_stand_in_the_way_of_what_they_are_about_only() -> None:
    """A share, since a refusal is always allowed where it is right to be careful. Runs after the others, too."""
    refused = sum(FIGURES.refused_though_unrelated.values())
    assert refused <= 0.02 * FIGURES.with_unrelated_traps, FIGURES.refused_though_unrelated


def test_what_was_changed_can_be_taken_back() -> None:
    """But for a share: with the last key of a hash an earlier value of it may come to light that nobody can know."""
    assert sum(FIGURES.not_reverted.values()) <= 0.02 * FIGURES.reverted, FIGURES.not_reverted


def test_every_construct_was_there() -> None:
    """The grammar still reaches all of what issue and facts list; runs after the others of this file."""
    if FIGURES.examples < TOTAL // 2:
        pytest.skip("only after a whole run of this file")
    listed = {
        *(f"heredoc <<{mark}{quote}" for mark in ("", "-", "~") for quote in ("", "'", '"')),
        *(f"percent {letter}" for letter in ("", "q", "Q")),
        *("heredoc interpolated", "several heredocs on one line", "commented hash", "=begin", "__END__", "BOM"),
        *("CRLF", "no final newline", "empty file", "call with brackets", "call without brackets", "words"),
        *("interpolated", "escapes", "adjacent", "character", "regexp", "symbol", "number", "expression"),
        *("; between statements", "trailing comment", "nested assignment", "magic comment", "other encoding"),
        *("hash key: new symbol", "hash key: old symbol", "hash key: quoted symbol", "hash key: string"),
    }
    assert listed <= FIGURES.labels.keys()
