# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gitlab.rb as a document: read, set and remove settings, and leave every other byte alone.

The invariant of this module: after a change, evaluating the file gives the settings asked for and every other setting
as before; where that cannot be promised without running the file, GitlabRbError names the line and the reason, and
nothing changes. The proof is Ruby's: it outlines the result once more before anybody gets to see it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._characters import (
    instead,
    invisible,
    shown,
    strange,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import (
    CALL_FORM,
    READS,
    SECTION_BEGIN,
    SECTION_END,
    Document,
    Event,
    GitlabRbError,
    Path,
    State,
    Tree,
    descend,
    put,
    show,
    spans,
    takes_one_value,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_editor import (
    Editor,
    is_gone,
    is_set,
    kind_of,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_remarks import Foreign
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import (
    MASK,
    is_secret,
    is_value,
    mask,
    mask_line,
    names_secret,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import NOTHING, Mark, Record, digest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import (
    NO_LITERAL,
    Span,
    Statement,
    Symbol,
    Value,
    literal,
)

_INCLUDE = "include, of the roles kas_gitlab_rb_include"
_NAME = re.compile(r"[a-z_][A-Za-z0-9_]*")

__all__ = ["Change", "GitlabRb", "GitlabRbError", "is_secret", "mask"]


class Change(NamedTuple):
    """A changed document. ``names`` are the settings that it sets or removes, as ``gitlab_kas['enable']``."""

    document: GitlabRb
    names: tuple[str, ...]

    @property
    def text(self) -> bytes:
        return self.document.text


class Restored(NamedTuple):
    """A document in which changes on record are taken back."""

    document: GitlabRb
    names: tuple[str, ...]  # of what was restored
    settings: Tree  # those of them that have a value again
    left: list[str]  # the names of what stays


class GitlabRb(Document):
    """A gitlab.rb that can be changed."""

    def change(self, settings: Mapping[str, Any], remove: Mapping[str, Any] | None = None) -> Change:
        """The text in which ``settings`` are in effect and those named in ``remove`` are not set.

        ``settings`` is a tree: a scalar or list at the top is the call form, a mapping a section, a mapping below
        that a hash that is merged key by key into what the file assigns. In ``remove`` only the names count.
        Raises GitlabRbError where the invariant cannot be kept; a text that already says it comes back unchanged.
        """
        leaves = list(_leaves(settings))
        gone = list(names_in(remove or {}))
        document = self._knowing(commented_names(settings, remove or {}))
        document._check(settings, leaves, gone)
        without, removed = document._edited(remove=gone)
        result, names = without._edited(settings=leaves)
        if removed:
            result = result.without_empty_sections()
        if result.text != self.text:
            self.prove(result, leaves, gone)
        return Change(result, tuple(dict.fromkeys(removed + names)))

    def restored(self, record: Record, paths: Iterable[Path]) -> Restored:
        """Take back some of what is on record. What somebody else has set since stays, and what was replaced and not
        kept: to remove it would leave neither value. So does a setting that somebody else has set, too, without
        effect: to remove it takes every line of it. What this file includes is none of its business here. A line of
        ours behind another one goes, and the other one counts again.
        """
        alone = self.alone
        settings: Tree = {}
        remove: Tree = {}
        lines: dict[Path, Statement] = {}
        left = []
        for path in paths:
            name = self.on_record(path)
            change, now = record.changes[name], alone.mark(path)
            if now.digest == change.before.digest:
                continue
            was_unset = change.before == NOTHING
            is_ours = record.is_ours(name, now) and not (was_unset and alone._is_set_twice(path))
            line = alone._line_behind(path, change.before) if is_ours and not was_unset else None
            if line:
                lines[path] = line
            elif not (is_ours and change.before.is_kept):
                left.append(show(path))
            elif was_unset:
                put(remove, path, None)
            else:
                put(settings, path, change.before.value)
        back = alone._without_lines(lines).change(settings, remove)
        names = (*map(show, lines), *back.names)
        return Restored(self.with_text(back.text), names, merged(settings, _tree(lines)), left)

    def on_record(self, path: Path) -> Path:
        """The name of a setting on record."""
        return (self._path, *path) if self.is_included else path

    def note(self, record: Record, change: Change, settings: Mapping[str, Any], remove: Mapping[str, Any]) -> None:
        """Put on record which of these settings the change makes another."""
        for path in dict.fromkeys([*(path for path, _value in _leaves(settings)), *names_in(remove)]):
            before, after = self.mark(path), change.document.mark(path)
            if before != after:
                record.note(self.on_record(path), before, after)

    def mark(self, path: Path) -> Mark:
        """What the file alone makes of a setting, for the record; what holds a secret is not kept there."""
        return self._mark(path, self.alone.state(path))

    def _mark(self, path: Path, state: State) -> Mark:
        if is_gone(state):
            return NOTHING
        value = state.value.literal if state.kind == "found" and state.value and not state.rest else NO_LITERAL
        if value is NO_LITERAL:
            return Mark("not known")
        tree: Tree = {}
        put(tree, path, value)
        is_kept = _is_plain(value) and mask(tree) == tree
        return Mark(digest(repr(value).encode()), is_kept, value if is_kept else None)

    @cached_property
    def alone(self) -> GitlabRb:
        """This file without what it includes."""
        has_runs = any(statement.runs for statement in self.outline.statements)
        return self._like_this(self.text, self._commented, alone=True) if has_runs and not self._alone else self

    def without_hashes_there(self, settings: Mapping[str, Any], at: Path = ()) -> Tree:
        """These settings without the empty mappings that ask for a hash where there is one.

        Raises GitlabRbError where nobody knows whether there is one.
        """
        left: Tree = {}
        for key, value in settings.items():
            path = (*at, str(key))
            if isinstance(value, Mapping) and value:
                inner = self.without_hashes_there(value, path)
                left.update({key: inner} if inner else {})
                continue
            if not at or not isinstance(value, Mapping):
                left[key] = value
                continue
            state = self.state(path)
            if is_gone(state):
                left[key] = value
            elif not is_set(state, value) and state.event:
                why = f"this line may set {show(path)}, which must be a hash"
                self.refuse(state.event.line, why, "write it as one, or remove it", file=state.event.file)
        return left

    def including(self, file: str, settings: Mapping[str, Any]) -> GitlabRb:
        """This file with a line that includes another one, which sets these settings. Raises GitlabRbError."""
        if self.includes(file):
            return self
        editor = Editor(self)
        editor.include(file, [path for path, _value in _leaves(settings)])
        return self._with_lines(editor)

    def not_including(self, file: str) -> GitlabRb:
        """This file without lines of ours that include another one. Raises GitlabRbError."""
        editor = Editor(self)
        editor.exclude(file)
        return self._with_lines(editor).without_empty_sections()

    def refuse_what_beats(
        self, file: str, settings: Mapping[str, Any], remove: Mapping[str, Any], was: GitlabRb
    ) -> None:
        """Raise GitlabRbError unless what an included file sets is in effect, and what is not to be set is not.

        ``was`` is this file before the change.
        """
        for path, value in _leaves(settings):
            if not is_set(was.state(path), value):
                self._refuse_later_reads(path, file)
            for size in range(1, len(path)):
                self._refuse_no_hash(path, size, file)
            state = self.state(path)
            if not is_set(state, value) and state.event:
                why, remedy = f"this line may set {show(path)} after {file}", f"remove it, or include {file} after it"
                if state.kind == "blocked":
                    why = f"{show(path)} {state.why}, so {file} may set it without effect"
                    remedy = f"{state.remedy}, and include {file} after it"
                self.refuse(state.event.line, why, remedy, file=state.event.file)
        for path in names_in(remove):
            state = self.state(path)
            if not is_gone(state) and state.event:
                why = f"this line may set {show(path)}, which must not be set beside what {file} sets"
                self.refuse(state.event.line, why, "remove it", file=state.event.file)

    def warnings_of(self, change: Change) -> list[str]:
        """Which lines another tool seems to write, of those that a change of this file sets or removes."""
        lines = {}
        for document in (self, change.document):
            for event in document._all_events if change.names else ():
                for path, line in document._lines_of(event):
                    if show(path) in change.names:
                        lines[show(path)] = (document, line)
        whole = [each for each in self.foreign if not each.is_block]
        sentences = [self._is_written_elsewhere(each) for each in whole[:1] if change.names]
        for document, name, line in [(document, name, line) for name, (document, line) in lines.items()]:
            sentences += [
                document._stands_elsewhere([name], line, each)
                for each in document.foreign
                if each.is_block and each.holds(line)
            ]
        return list(dict.fromkeys(sentences))

    def warnings(self, is_about: Callable[[Path], bool], *, is_written: bool = True) -> list[str]:
        """The same of all settings that something is about; ``is_written`` says that the file gets some of ours."""
        whole = [each for each in self.foreign if not each.is_block]
        sentences = [self._is_written_elsewhere(each) for each in whole[:1] if is_written]
        for each in (each for each in self.foreign if each.is_block):
            held = [
                (show(path), line)
                for event in self._all_events
                for path, line in self._lines_of(event)
                if each.holds(line) and is_about(path)
            ]
            if held:
                sentences.append(
                    self._stands_elsewhere(list(dict.fromkeys(name for name, _line in held)), held[0][1], each)
                )
        return sentences + self.troubles + list(self._oddities(is_about))

    def _oddities(self, is_about: Callable[[Path], bool]) -> Iterator[str]:
        """What Ruby takes, and is most likely not what somebody meant."""
        mentions = [mention for statement in self.outline.statements for mention in statement.mentions]
        unknown = {mention.name: mention.line for mention in reversed(mentions) if not mention.deferred}
        for name in self.outline.unknown:
            # A library may bring it; so may the package, whose own ones are called so.
            if name in unknown and b"require" not in self.text and not name.endswith("Helper"):
                yield (
                    f"{self._path}, line {unknown[name]}: Ruby does not know the constant {name} by itself, so"
                    " gitlab-ctl reconfigure fails there unless the package brings it; see that the name is right."
                )
        for name, line in self.outline.locals.items():
            if name in CALL_FORM:
                yield (
                    f"{self._path}, line {line}: `{name} = …` makes {name} a Ruby variable, so GitLab ignores it; write"
                    f" {name} 'value' without the equals sign."
                )
        for event in self._all_events:
            for path, line in self._lines_of(event):
                bad = strange(path[-1]) if is_about(path) else []
                if bad:
                    yield (
                        f"{self._path}, line {line}: {show(path[:-1])} has a key with {shown(bad)}, so GitLab does not"
                        f" find it; {instead(bad)}."
                    )
                value = self.state(path).value if is_about(path) else None
                unseen = invisible(value.literal) if value and isinstance(value.literal, str) else []
                if unseen:
                    yield (
                        f"{self._path}, line {line}: the value of {show(path)} holds {shown(unseen)};"
                        f" {instead(unseen)}, unless it is meant."
                    )

    def _lines_of(self, event: Event) -> Iterator[tuple[Path, int]]:
        """The settings of an assignment in this file, and their lines; of a hash those in it."""
        path = tuple(str(key) for key in event.path)
        if event.kind == "set" and event.value and not event.file:
            yield from _lines_below(path, event.value, event.line)

    def _is_written_elsewhere(self, each: Foreign) -> str:
        return (
            f"{self._path}, line {each.line}: another tool seems to write this file ({each.says!r}), so its next run"
            " may undo what is set here; set it there, or let that tool write the line from_file for a file of yours"
            f" ({_INCLUDE})."
        )

    def _stands_elsewhere(self, names: Sequence[str], line: int, each: Foreign) -> str:
        stand, it = ("stand", "them") if len(names) > 1 else ("stands", "it")
        return (
            f"{self._path}, line {line}: {', '.join(names)} {stand} where another tool seems to write"
            f" (line {each.line}: {each.says!r}), so each would undo what the other sets; leave {it} out there, or set"
            f" the same value there, or keep your settings in a file of their own ({_INCLUDE})."
        )

    def masked_diff(self, other: GitlabRb) -> str:
        """The lines that differ, as a unified diff without context, with every secret masked."""
        import difflib  # only where somebody wants to see a diff

        old, new = (_lines(document.text) for document in (self, other))
        shown_old, shown_new = self._masked_lines(), other._masked_lines()
        out = [f"--- {self._path} (before)", f"+++ {self._path} (after)"]
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            out.append(f"@@ -{_hunk(i1, i2)} +{_hunk(j1, j2)} @@")
            out += [f"-{line}" for line in shown_old[i1:i2]]
            out += [f"+{line}" for line in shown_new[j1:j2]]
        return "\n".join(out) + "\n"

    def with_text(self, text: bytes) -> GitlabRb:
        try:
            return self._like_this(text, self._commented)
        except GitlabRbError:
            self._give_up(text, "a change here would not leave valid Ruby")

    def without_empty_sections(self) -> GitlabRb:
        """Our marked sections go with their last setting, and leave the text as it was before them."""
        text = self.text
        for start, end in reversed(self.sections):
            if len(text[start:end].split()) > len((SECTION_BEGIN + b" " + SECTION_END).split()):
                continue
            eol = next((e for e in (b"\r\n", b"\n") if text[:start].endswith(e)), b"")
            blank = text[:start].endswith((b"\n\n", b"\n\r\n"))
            if eol and (blank or end == len(text)):
                start -= len(eol)  # the blank line before the section, or the newline that the file did not have
            text = text[:start] + text[end:]
        return self if text == self.text else self.with_text(text)

    def prove(self, result: GitlabRb, leaves: Sequence[tuple[Path, Any]], gone: Sequence[Path]) -> None:
        """Raise GitlabRbError unless ``result`` says what was asked and all else as before."""
        touched = [path for path, _value in leaves] + list(gone)
        for old, new in zip(self._line_numbers(), result._line_numbers()):
            if old != new:
                self.refuse(old, "this line uses its own line number, which would change", "give it a plain value")
        lost = {result._code(event.statement) for event, _path, is_there in result.grounds() if not is_there}
        for event, path, is_there in self.grounds():
            if is_there and self._code(event.statement) in lost:
                self.refuse(event.line, f"this line needs {show(path)}, which would not be set", "assign it as a whole")
        right = (
            all(is_set(result.state(path), value) for path, value in leaves)
            and all(is_gone(result.state(path)) for path in gone)
            and list(self._untouched(touched)) == list(result._untouched(touched))
        )
        for end in re.finditer(rb"[\0\x04\x1a]", b"" if right else self.text):
            self.refuse(
                self.line_of(end.start()), "Ruby takes a control character for the end of the file", "remove it"
            )
        if not right:
            self._give_up(result.text, "a change here would not mean what was asked")

    # -- Inside --

    def _give_up(self, text: bytes, why: str) -> NoReturn:
        """Refuse at the first line that would change."""
        both = zip(self.text.split(b"\n"), text.split(b"\n"))
        line = next((number for number, (old, new) in enumerate(both, 1) if old != new), 1)
        self.refuse(line, why, "make it manually, and please report this file as a bug")

    def _check(self, settings: Mapping[str, Any], leaves: Sequence[tuple[Path, Any]], gone: Sequence[Path]) -> None:
        """Refuse what could not be a setting, before looking at what the file makes of it."""
        for path in (*(path for path, _value in leaves), *gone):
            self._check_name(path)
        for name, value in settings.items():
            self._check_form(str(name), value)
        for path, value in leaves:
            _check_value(path, value)
        for path in gone:
            for other, _value in leaves:
                if _overlap(path, other):
                    raise GitlabRbError(
                        f"{show(path)} stands in remove and {show(other)} in settings; keep one of them."
                    )

    def _check_form(self, name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            if name in CALL_FORM:
                raise GitlabRbError(f"{name} takes one value but was given a mapping; give a string.")
        elif not (takes_one_value(name) or any(event.path == (name,) for event in self.events((name,)))):
            raise GitlabRbError(f"{name} is a section of gitlab.rb but was given {kind_of(value)}; give a mapping.")

    def _check_name(self, path: Path) -> None:
        name = path[0]
        if not _NAME.fullmatch(name) or name in self.outline.reserved:
            raise GitlabRbError(f"{name!r} cannot be the name of a setting in gitlab.rb; correct the name.")
        line = self.outline.locals.get(name)
        if line:
            self.refuse(
                line,
                f"`{name} = …` makes {name} a Ruby variable, so GitLab ignores it and every later {name}",
                f"write {name}['key'] = value for each key"
                if len(path) > 1
                else f"write {name} 'value' without the equals sign",
            )

    def _edited(
        self, *, settings: Iterable[tuple[Path, Any]] = (), remove: Iterable[Path] = ()
    ) -> tuple[GitlabRb, list[str]]:
        """The document after some edits, and the names that they touch."""
        editor = Editor(self)
        for path in remove:
            editor.remove(path)
        for path, value in settings:
            editor.set(path, value)
        return (self.with_text(editor.apply()), editor.names) if editor.names else (self, [])

    def _is_set_twice(self, path: Path) -> bool:
        """Whether there is an assignment of this setting beside the one in effect."""
        return sum(event.kind == "set" and len(event.path) == len(path) for event in self.events(path)) > 1

    def _line_behind(self, path: Path, before: Mark) -> Statement | None:
        """The line of ours that sets this again, where it is ``before`` without it."""
        events = [event for event in self.events(path) if event.kind == "set" and event.path == path]
        if len(events) < 2 or not Editor(self).is_ours(events[-1].statement):
            return None
        is_so = self._mark(path, self.state(path, before=events[-1])).digest == before.digest
        return events[-1].statement if is_so else None

    def _without_lines(self, lines: Mapping[Path, Statement]) -> GitlabRb:
        """This file without lines that set something again."""
        if not lines:
            return self
        editor = Editor(self)
        for statement in lines.values():
            editor.cut(statement)
        result = self.with_text(editor.apply())
        if list(self._untouched(list(lines))) != list(result._untouched(list(lines))):
            self._give_up(result.text, "a change here would not mean what was asked")
        return result.without_empty_sections()

    def _with_lines(self, editor: Editor) -> GitlabRb:
        """The document after edits that only concern lines of ours that include a file."""
        result = self.with_text(editor.apply())
        self.prove(result, [], [])
        return result

    def _refuse_later_reads(self, path: Path, file: str) -> None:
        """Another setting that is made from this one would change with it."""
        is_set_there = False
        for event in self.events(path):
            is_set_there = is_set_there or event.file == file
            if event.kind in READS and (is_set_there or event.deferred) and event.file != file:
                why = f"this line reads {show(path)} and would change with it"
                self.refuse(event.line, why, "give it a value of its own", file=event.file)

    def _refuse_no_hash(self, path: Path, size: int, file: str) -> None:
        """What an included file adds to a hash needs one, or nothing, before it.

        Of what another file may have set there nobody knows; but GitLab itself takes only a hash for ``env``.
        """
        outer = path[:size]
        culprit = None
        for event in self.events(outer):
            if event.kind == "set" and event.file == file:
                break
            if event.value and event.kind == "set" and len(event.path) <= size:
                there = descend(event.value, outer[len(event.path) :]).value
                culprit = None if there and there.type == "hash" else event
            may_replace = event.kind in ("include", "unknown") and size > 1 and outer[-1] != "env"
            if may_replace or (event.kind == "touch" and len(event.path) <= size):
                culprit = event
        if culprit:
            why = f"{show(outer)} may be no plain hash, so {file} cannot set {show(path)} in it"
            self.refuse(culprit.line, why, "write it as a hash, or remove it", file=culprit.file)

    def _knowing(self, names: Sequence[tuple[str, str | None]]) -> GitlabRb:
        """The same document, outlined with a look for these names in its comments."""
        return self if set(names) <= set(self._commented) else self._like_this(self.text, names)

    def _like_this(
        self, text: bytes, commented: Sequence[tuple[str, str | None]], *, alone: bool | None = None
    ) -> GitlabRb:
        return GitlabRb(
            text,
            self._ruby,
            path=self._path,
            read_file=self._read_file,
            upcoming=self._upcoming,
            commented=commented,
            alone=self._alone if alone is None else alone,
            is_included=self.is_included,
        )

    def _untouched(self, touched: Sequence[Path]) -> Iterator[tuple[bytes, ...]]:
        """The text of every statement, and of every pair of a hash, that no touched setting stands for; lines of ours
        that include a file are no such statements.
        """
        ours = self.our_lines()
        for statement in (statement for statement in self.outline.statements if statement not in ours):
            paths = [path for path in touched if statement.name and _overlap(path, statement.path)]
            if not paths:
                yield self._texts(spans(statement))
            elif all(len(path) > len(statement.path) for path in paths) and statement.value:
                yield from self._untouched_pairs(statement.path, statement.value, paths)

    def _untouched_pairs(self, at: Path, value: Value, touched: Sequence[Path]) -> Iterator[tuple[bytes, ...]]:
        for item in value.pairs:
            here = (*at, item.key) if item.key is not None else None
            paths = [path for path in touched if here and _overlap(path, here)]
            if not paths:
                yield self._texts((item.span, *item.bodies))
            elif here and item.value and all(len(path) > len(here) for path in paths):
                yield from self._untouched_pairs(here, item.value, paths)

    def _texts(self, where: Iterable[Span]) -> tuple[bytes, ...]:
        """The last line of a file may lack the newline that it gets when something follows."""
        return tuple(self.text[start:end].rstrip(b"\r\n") for start, end in where)

    def _code(self, statement: Statement) -> bytes:
        return self.text[statement.span[0] : statement.span[1]]

    def _line_numbers(self) -> list[int]:
        """The lines that ask Ruby for their number."""
        asking = ("__LINE__", "caller", "caller_locations")
        return [m.line for s in self.outline.statements for m in s.mentions if m.name in asking]

    def _masked_lines(self) -> list[str]:
        text = self.text
        hidden = {span: b"'" + MASK.encode() + b"'" for span in self._secret_spans()}
        hidden.update((span, b"# " + MASK.encode()) for span in self._secret_comments(list(hidden)))
        for start, end in sorted(hidden, reverse=True):
            lines = [hidden[start, end] if line.strip() else line for line in text[start:end].split(b"\n")]
            text = text[:start] + b"\n".join(lines) + text[end:]
        return [mask_line(line) for line in _lines(text)]

    def _secret_spans(self) -> Iterator[Span]:
        """The values of secrets, and all code that may hold one somewhere: each byte once."""
        for statement in self.outline.statements:
            if statement.value:
                yield from self._secrets_in(statement.path, statement.value)
            else:
                yield from self._speaking_of_secrets(spans(statement))

    def _secrets_in(self, path: Path, value: Value) -> Iterator[Span]:
        where = (value.span, *value.bodies)
        if any(map(is_secret, path)):
            yield from where if value.literal is NO_LITERAL or is_value(value.literal) else ()
        elif value.type != "hash":
            yield from self._speaking_of_secrets(where)
        for item in value.pairs if not any(map(is_secret, path)) else ():
            if item.value:
                yield from self._secrets_in((*path, item.key or "secret"), item.value)
            else:
                yield from self._speaking_of_secrets((item.span, *item.bodies))

    def _speaking_of_secrets(self, where: Sequence[Span]) -> Iterator[Span]:
        """All of these spans if one of them names a secret: the heredoc of a call, the call of a heredoc."""
        if any(names_secret(self.text[start:end].decode("utf-8", "replace")) for start, end in where):
            yield from where

    def _secret_comments(self, hidden: Sequence[Span]) -> Iterator[Span]:
        """The comments that may hold a secret: an old one, or a word about the value on their line."""
        lines = {line for span in hidden for line in range(self.line_of(span[0]), self.line_of(span[1] - 1) + 1)}
        for start, end in self._gaps():
            for match in re.finditer(rb"#[^\r\n]*|[^\s;,#{}][^\r\n]*", self.text[start:end]):
                at, text = start + match.start(), match[0].decode("utf-8", "replace")
                is_seen = not any(first <= at < last for first, last in hidden)
                if is_seen and (names_secret(text) or self.line_of(at) in lines):
                    yield at, start + match.end()

    def _gaps(self) -> Iterator[Span]:
        """What lies between the statements, and in hashes between the pairs: blanks, separators and comments."""
        edge = 0
        for start, end in sorted(each for statement in self.outline.statements for each in _code(statement)):
            if start > edge:
                yield edge, start
            edge = max(edge, end)
        yield edge, len(self.text)


def _lines_below(path: Path, value: Value, line: int) -> Iterator[tuple[Path, int]]:
    yield path, line
    for item in value.pairs:
        if item.key is not None and item.value:
            yield from _lines_below((*path, item.key), item.value, item.value.line)


def _code(statement: Statement) -> Iterator[Span]:
    """Where the code of a statement lies, without what stands between the pairs of its hashes."""
    start, end = statement.span
    yield from (body for body in statement.bodies if body[0] >= end)
    yield from _code_of(start, end, statement.value)


def _code_of(start: int, end: int, value: Value | None) -> Iterator[Span]:
    if value is None or value.type != "hash" or not value.pairs:
        yield start, end
        return
    yield start, value.span[0] + 1
    for item in value.pairs:
        yield from item.bodies
        yield from _code_of(*item.span, item.value)
    yield value.span[1] - 1, end


def commented_names(*trees: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """The settings (name, key) that trees name: what to look for in comments, in one go with the outline."""
    names: dict[tuple[str, str | None], None] = {}
    for name, keys in (item for tree in trees for item in tree.items() if _NAME.fullmatch(str(item[0]))):
        below = [key for key in map(str, keys) if key.isprintable()] if isinstance(keys, Mapping) else [None]
        names.update(((name, key), None) for key in below)
    return list(names)


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Tree:
    """Two trees as one. Where only one of them goes on below a name, the other says all of it."""
    both = dict(one)
    for key, value in other.items():
        if not (isinstance(value, Mapping) and key in both):
            both[key] = value
        elif isinstance(both[key], Mapping):
            both[key] = merged(both[key], value)
    return both


def without(tree: Mapping[str, Any], other: Mapping[str, Any]) -> Tree:
    """A tree of what one names and the other does not."""
    left: Tree = {}
    others = set(names_in(other))
    for path in names_in(tree):
        if path not in others:
            put(left, path, None)
    return left


def _leaves(tree: Mapping[str, Any], at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The settings of a tree. An empty mapping is one: at least an empty hash. An empty section asks for nothing."""
    for key, value in tree.items():
        path = (*at, str(key))
        if isinstance(value, Mapping) and (value or not at):
            yield from _leaves(value, path)
        else:
            yield path, value


def names_in(tree: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    """The paths that a tree names. What stands at their ends does not count, but an empty mapping names nothing."""
    for key, value in tree.items():
        path = (*at, str(key))
        if isinstance(value, Mapping):
            yield from names_in(value, path)
        else:
            yield path


def _tree(paths: Iterable[Path]) -> Tree:
    tree: Tree = {}
    for path in paths:
        put(tree, path, None)
    return tree


def _is_plain(value: Any) -> bool:
    """Whether JSON holds a literal so that it can be set again: it knows no symbols, and a hash would be merged."""
    return all(map(_is_plain, value)) if isinstance(value, list) else not isinstance(value, (Symbol, dict))


def _check_value(path: Path, value: Any) -> None:
    try:
        for text in (literal(value), *map(literal, path)):
            text.encode()
    except ValueError as error:
        name = ".".join(path).encode("ascii", "backslashreplace").decode()
        raise GitlabRbError(f"{name} cannot be written to gitlab.rb ({error}); give another value.") from error


def _overlap(mine: Path, theirs: Path) -> bool:
    return all(a == b for a, b in zip(mine, theirs))


def _lines(text: bytes) -> list[str]:
    lines = [line.rstrip("\r") for line in text.decode("utf-8", "replace").split("\n")]
    return lines if lines[-1] else lines[:-1]


def _hunk(start: int, end: int) -> str:
    return f"{start + 1 if end > start else start},{end - start}"
