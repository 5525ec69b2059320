# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edits that make a gitlab.rb say something: byte ranges and what goes there, written as an administrator would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import (
    HANDED_ON,
    READS,
    SECTION_BEGIN,
    SECTION_END,
    Document,
    Event,
    Path,
    State,
    Tree,
    extent,
    put,
    show,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import (
    BOM,
    NO_LITERAL,
    Pair,
    Span,
    Statement,
    Symbol,
    Value,
    inline_pair,
    literal,
    pair,
)

_SETS = ("set", "touch", "include", "unknown")


class Place(NamedTuple):
    """Where new lines go: an offset at the start of a line, or at the end of the code in a section of their own."""

    offset: int
    in_new_section: bool = False


class _Edit(NamedTuple):
    span: Span
    text: bytes


class Editor:
    """Collects the edits that make a document say something; the document itself stays as it is."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._edits: list[_Edit] = []
        self._statements: dict[Place, list[bytes]] = {}  # new lines, by where they go
        self._pairs: dict[Span, tuple[Value, Tree]] = {}  # new pairs, by the hash they go into
        self._hashes: dict[Path, tuple[Place, Tree]] = {}  # new hashes, and where they go
        self._removed: dict[Span, tuple[Value, list[Pair]]] = {}  # pairs to take out, by their hash
        self._owners: dict[Span, tuple[Value, Pair]] = {}  # the pair whose value a hash is, and its hash
        self.names: list[str] = []

    # -- What is asked --

    def set(self, path: Path, value: Any) -> None:
        state = self._document.state(path)
        if is_set(state, value):
            return
        self.names.append(show(path))
        if state.kind == "blocked" and state.event:
            self._document.refuse(
                state.event.line,
                f"{show(path)} {state.why}, so it cannot be edited safely",
                f"{state.remedy}, or manage it manually",
                file=state.event.file,
            )
        self._refuse_deferred_reads(path)
        if state.value and state.event and not state.event.file:
            into = self._replace if state.kind == "found" else self._insert_pair
            into(path, state.value, state.rest, state.event, value)
        else:
            self._add(path, state, value)

    def remove(self, path: Path) -> None:
        document = self._document
        found = list(document.events(path))
        # What may have set it in a hash that is assigned as a whole behind has no effect any more.
        until = next((place for place, event in enumerate(found) if event.kind == "return"), len(found))
        wholes = [
            place for place, event in enumerate(found[:until]) if event.kind == "set" and len(event.path) < len(path)
        ]
        for place, event in enumerate(found):
            counts = event.deferred or event.kind == "unknown" or place >= max(wholes, default=0)
            may_set = event.kind in ("touch", "include", "unknown") and counts
            if may_set or (event.kind == "read" and len(event.path) <= len(path)):
                why = event.how or HANDED_ON
                is_over = event.kind == "include" and len(path) > 2
                document.refuse(
                    event.line,
                    f"{show(path)} {why}, so it cannot be removed safely",
                    _renew(path) if is_over else "edit that line manually",
                    file=event.file,
                )
        events = [event for event in found if event.kind == "set"]
        # A hash that is assigned again later has no effect any more.
        whole = max((number for number, event in enumerate(events) if len(event.path) < len(path)), default=0)
        touched = [event for event in events[whole:] if event.value and self._remove_from(event, event.value, path)]
        if touched:
            self.names.append(show(path))
            self._refuse_reads(path, touched[0].statement.span[0])
            self._refuse_deferred_reads(path)

    def include(self, file: str, paths: Iterable[Path]) -> None:
        """A line that includes a file, behind everything that concerns these settings."""
        document = self._document
        events = [event for path in paths for event in document.events(path)]
        line = self._assignment(("from_file",), file)
        place = self._first(events, [document.text.rfind(SECTION_END, *section) for section in document.sections])
        if place is None:
            document.refuse(
                self._end(events),
                f"the file may end there, before {file} is included",
                f"put {line.decode()} before it",
            )
        self._line(place, line)

    def exclude(self, file: str) -> None:
        """Take out the lines of ours that include a file."""
        for statement in self._document.our_lines(file):
            self.cut(statement)

    # -- What is done for it --

    def _replace(self, path: Path, old: Value, rest: Path, event: Event, value: Any) -> None:
        """The value in effect gives way to another one."""
        into_hash = bool(rest) or value == {}
        if into_hash:
            hash_path = path[: len(path) - len(rest)]
            if old.type == "expression" or old.literal is NO_LITERAL:
                self._document.refuse(
                    old.line,
                    f"{show(hash_path)} is computed, so {show(path)} cannot be set in it",
                    "write it as a hash",
                )
            if old.literal is not None:
                self._document.refuse(
                    old.line,
                    f"{show(hash_path)} is {kind_of(old.literal)}, but a mapping was given for it",
                    "give one value or remove the line",
                )
        self._refuse_reads(path, event.statement.span[0], but=event)
        self._refuse_effects(path, old, event.statement)
        if rest:
            put(self._pairs.setdefault(old.span, (old, {}))[1], rest, value)
            return
        start = old.span[0]
        self._edit(old.span, self._literal(value, self._document.quote_at(start), self._document.indent_at(start)))
        self._cut(old.bodies)

    def _insert_pair(self, path: Path, old: Value, rest: Path, event: Event, value: Any) -> None:
        """The hash in effect has no such key."""
        self._refuse_reads(path, event.statement.span[0], but=event)
        if old.tangled:
            self._document.refuse(
                old.line,
                f"{show(path)} would stand between the lines of another value",
                "write that value outside of the hash",
            )
        put(self._pairs.setdefault(old.span, (old, {}))[1], rest, value)

    def _add(self, path: Path, state: State, value: Any) -> None:
        """No assignment in this file is in effect: a new one goes beside its commented line or to the end."""
        # In an included file a hash that is not set comes into being, until that file includes another one itself.
        flat = self._document.is_included and not any(statement.runs for statement in self._document.outline.statements)
        into_hash = (len(path) > 2 or value == {}) and not flat
        if not into_hash:
            self._line(self._place(path), self._assignment(path, value))
            return
        for size in range(len(path) - 1, 1, -1):
            parent = self._document.state(path[:size])
            if parent.kind == "blocked" and parent.event:
                self._document.refuse(
                    parent.event.line,
                    f"{show(path[:size])} {parent.why}, so {show(path)} cannot be set in it",
                    f"{parent.remedy}, or manage it manually",
                    file=parent.event.file,
                )
            if is_set(parent, {}):
                self._line(self._place(path), self._assignment(path[: size + 1], _nest(path[size + 1 :], value)))
                return
        if state.kind != "unset" and state.event:
            self._document.refuse(
                state.event.line,
                f"this line may set {show(path[:2])} too, and a hash assigned again would replace it",
                _renew(path),
                file=state.event.file,
            )
        if path[:2] not in self._hashes:
            self._hashes[path[:2]] = (self._place(path[:2]), {})
        if path[2:]:
            put(self._hashes[path[:2]][1], path[2:], value)

    def _remove_from(self, event: Event, assigned: Value, path: Path) -> bool:
        """Take a setting out of one assignment; whether there was something to take."""
        if event.file:
            self._document.refuse(event.line, f"this line sets {show(path)}", "remove it there", file=event.file)
        if len(event.path) >= len(path):
            self._refuse_effects(path, assigned, event.statement)
            self.cut(event.statement)
            return True
        found = False
        value: Value | None = assigned
        rest = path[len(event.path) :]
        while value is not None and rest:
            if value.type != "hash" and value.literal is NO_LITERAL:
                self._document.refuse(
                    value.line,
                    f"{show(event.path)} is computed, so {show(path)} cannot be removed",
                    "edit it manually",
                )
            items = [item for item in value.pairs if item.key == rest[0]]
            if any(item.key is None for item in value.pairs):
                self._document.refuse(
                    value.line, f"{show(event.path)} has computed keys, so {show(path)} may be one", "edit it manually"
                )
            if len(rest) == 1 and items:
                for item in items:
                    self._refuse_effects(path, item.value or value, event.statement)
                self._removed.setdefault(value.span, (value, []))[1].extend(items)
                found = True
            if items and items[-1].value:
                self._owners[items[-1].value.span] = (value, items[-1])
            value, rest = (items[-1].value if items else None), rest[1:]
        return found

    # -- Where it may stand --

    def _place(self, path: Path) -> Place:
        """Where a new assignment of ``path`` goes: the first place that keeps the invariant."""
        document = self._document
        events = list(document.events(path))
        places = [c.span[1] for c in document.outline.commented if c.path == path[:2] and not self._is_inside(c.span)]
        places = [place for place in places if place <= document.end and not self._is_foreign(place)]
        places += [document.text.rfind(SECTION_END, *section) for section in document.sections]
        place = self._first(events, places)
        if place is None:
            document.refuse(
                self._end(events),
                f"the file may end there, before a new {show(path)} is read",
                f"set {show(path)} before it",
            )
        return place

    def _end(self, events: Iterable[Event]) -> int:
        """The line where the file may end."""
        at_end = self._document.line_of(self._document.end)
        return next((event.line for event in events if event.kind == "return"), at_end)

    def _first(self, events: Sequence[Event], places: Iterable[int]) -> Place | None:
        """The first of some places, or a new section, behind all that may set something and before nothing that reads
        it; None where the file may end before.
        """
        document = self._document
        after = max((extent(e.statement)[1] for e in events if e.kind in _SETS), default=0)
        readers = [e.statement.span[0] for e in events if e.kind in READS]
        ends = [e.statement.span[0] for e in events if e.kind == "return"]
        new_section = Place(document.end, in_new_section=True)
        for place in (*map(Place, places), new_section):
            at = place.offset
            whole_line = place is new_section or document.text[at - 1 : at] == b"\n"
            is_read = any(reader >= at for reader in readers)
            has_ended = any(end < at for end in ends)
            if at >= after and whole_line and not is_read and not has_ended:
                return place
        return None

    def _is_foreign(self, place: int) -> bool:
        """Whether another tool writes the lines around; of a whole file there is no better place."""
        line = self._document.line_of(place)
        return any(each.is_block and each.first < line <= each.last for each in self._document.foreign)

    def _is_inside(self, span: Span) -> bool:
        return self._document.inside_code(span[0]) or self._document.inside_code(span[1])

    def _refuse_reads(self, path: Path, offset: int, but: Event | None = None) -> None:
        """Another setting that is made from this one would change too."""
        for event in self._document.events(path):
            own = but is not None and event.statement is but.statement
            if event.kind in READS and event.statement.span[0] >= offset and not own:
                self._document.refuse(
                    event.line,
                    f"this line reads {show(path)} and would change with it",
                    "give it a value of its own",
                    file=event.file,
                )

    def _refuse_effects(self, path: Path, value: Value, statement: Statement) -> None:
        """A value whose evaluation leaves traces, or that lies between the lines of another text, cannot go."""
        # Reading a setting that is not set makes it an empty hash; calling a method may do anything.
        traces = value.literal is NO_LITERAL and any(
            None in mention.path or self._document.state(tuple(map(str, mention.path))).kind != "found"
            for mention in statement.mentions
            if not re.match(r"[A-Z@]|(format|sprintf|node)$", mention.name)
        )
        if value.tangled:
            self._document.refuse(
                value.line,
                f"lines of another value stand between those of {show(path)}, so it cannot be replaced or removed",
                "put them on lines of their own",
            )
        if value.effects or traces:
            self._document.refuse(
                value.line,
                f"the value of {show(path)} does more than give a value, so it cannot be replaced or removed",
                "assign a plain value there",
            )

    def _refuse_deferred_reads(self, path: Path) -> None:
        for event in self._document.events(path):
            if event.kind in READS and event.deferred:
                self._document.refuse(
                    event.line,
                    f"this line reads {show(path)} and may change with it",
                    "give it a value of its own",
                    file=event.file,
                )

    # -- Bytes --

    def apply(self) -> bytes:
        for path, (place, tree) in self._hashes.items():
            self._line(place, self._assignment(path, tree))
        for value, tree in self._pairs.values():
            self._write_pairs(value, tree)
        # Inner hashes first: one that has become empty may take its pair in the outer one along.
        while self._removed:
            self._cut_pairs(*self._removed.pop(max(self._removed)))
        # Where a comment ends the file, the line beside it comes before the section at the end.
        for place in sorted(self._statements):
            self._write_lines(place, self._statements[place])
        return _apply(self._document.text, self._edits)

    def _edit(self, span: Span, text: str | bytes) -> None:
        self._edits.append(_Edit(span, text if isinstance(text, bytes) else text.encode()))

    def _cut(self, spans: Iterable[Span]) -> None:
        for span in spans:
            self._edit(span, b"")

    def _literal(self, value: Any, quote: str = "'", indent: str = "") -> str:
        return literal(value, quote=quote, indent=indent, eol=self._document.eol.decode())

    def _assignment(self, path: Path, value: Any) -> bytes:
        text = self._literal(value)
        return f"{path[0]} {text}".encode() if len(path) == 1 else f"{show(path)} = {text}".encode()

    def _line(self, place: Place, line: bytes) -> None:
        self._statements.setdefault(place, []).append(line)

    def _write_lines(self, place: Place, lines: Sequence[bytes]) -> None:
        eol = self._document.eol
        block = eol.join(lines) + eol
        if place.in_new_section:
            # A blank line before it, or the newline that the last line lacks.
            lead = eol if self._document.text[: place.offset].removeprefix(BOM) else b""
            block = lead + SECTION_BEGIN + eol + block + SECTION_END + eol
        self._edit((place.offset, place.offset), block)

    def _write_pairs(self, value: Value, tree: Tree) -> None:
        text = self._document.text
        if value.type != "hash" or not value.pairs:
            self._edit(value.span, self._literal(tree, indent=self._document.indent_at(value.span[0])))
            self._cut(value.bodies)
            return
        last = value.pairs[-1]
        quote = self._document.quote_at(last.span[0])
        rest = text[last.span[1] : self._document.line_end(last.span[1])]
        comma = rest.lstrip(b" \t").startswith(b",")
        line_end = max(self._document.line_end(last.span[1]), *(end for _start, end in last.bodies), 0)
        if line_end > value.span[1] - 1:  # the closing brace stands on the line of the last pair
            added = ", ".join(inline_pair(key, item, quote=quote) for key, item in tree.items())
            self._edit((last.span[1], last.span[1]), f", {added}")
            return
        own_line = self._document.starts_line(last.span[0])
        indent = self._document.indent_at(last.span[0]) + ("" if own_line else "  ")
        eol = self._document.eol.decode()
        lines = [indent + pair(key, item, quote=quote, indent=indent, eol=eol) for key, item in tree.items()]
        if not comma:
            self._edit((last.span[1], last.span[1]), ",")
        self._edit((line_end, line_end), f",{eol}".join(lines) + ("," if comma else "") + eol)

    def cut(self, statement: Statement) -> None:
        document = self._document
        start, end = statement.span
        self._cut(body for body in statement.bodies if body[0] >= end)
        line_end = document.line_end(end)
        rest = document.text[end:line_end]
        if not rest.strip() and document.starts_line(start):
            self._edit((document.line_start(start), line_end), b"")
        elif rest.lstrip(b" \t").startswith(b";"):
            semicolon = document.text.index(b";", end) + 1
            self._edit((start, semicolon + len(re.match(rb"[ \t]*", document.text[semicolon:]).group())), b"")  # type: ignore[union-attr]
        elif document.starts_line(start):
            self._edit((start, end + len(rest) - len(rest.lstrip(b" \t"))), b"")
        else:
            before = document.text[:start].rstrip(b" \t")
            self._edit((len(before) - before.endswith(b";"), end), b"")

    def _cut_pairs(self, value: Value, items: Sequence[Pair]) -> None:
        empty = len(items) == len(value.pairs)
        if empty and self._cut_hash(value):
            return
        if empty and not self._between(value).strip(b" \t\r\n,"):
            self._edit(value.span, b"{}")
            self._cut(value.bodies)
            return
        for item in items:
            self._cut(item.bodies)
            self._edit(self._extent_of_pair(value, item), b"")

    def _between(self, value: Value) -> bytes:
        """What stands in a hash beside its pairs: comments, mostly."""
        edges = [value.span[0] + 1, *(edge for item in value.pairs for edge in item.span), value.span[1] - 1]
        return b"".join(self._document.text[start:end] for start, end in zip(edges[::2], edges[1::2]))

    def _cut_hash(self, value: Value) -> bool:
        """Take out an empty hash as a whole if it was only written for its keys: by this module, that is."""
        statement = next(s for s in self._document.outline.statements if s.span[0] <= value.span[0] < s.span[1])
        if not self.is_ours(statement):
            return False
        if value.span in self._owners:
            outer, item = self._owners[value.span]
            self._removed.setdefault(outer.span, (outer, []))[1].append(item)
        else:
            self.cut(statement)
        return True

    def is_ours(self, statement: Statement) -> bool:
        """Whether a statement stands where this module puts a new one: in its section, or right after its comment."""
        document = self._document
        start = statement.span[0]
        return any(first <= start < last for first, last in document.sections) or any(
            comment.path == statement.path and comment.span[1] == document.line_start(start)
            for comment in document.outline.commented
        )

    def _extent_of_pair(self, value: Value, item: Pair) -> Span:
        """A pair with its comma, and with its lines where it has them for itself."""
        document = self._document
        start, end = item.span
        comma = re.match(rb"[ \t]*,[ \t]*", document.text[end : value.span[1]])
        line_end = document.line_end(end)
        rest = document.text[end:line_end].strip(b" \t\r\n,")
        if document.starts_line(start) and (not rest or rest.startswith(b"#")) and line_end <= value.span[1]:
            return document.line_start(start), line_end
        if comma:
            return start, end + comma.end()
        previous = [pair for pair in value.pairs if pair.span[1] <= start]
        alone = previous and not document.text[previous[-1].span[1] : start].strip(b" \t,")
        return (previous[-1].span[1] if alone else start), end


def _apply(text: bytes, edits: Iterable[_Edit]) -> bytes:
    """The text after the edits. Cuts may overlap: the separator between two statements goes with either."""
    parts = []
    done = 0
    for edit in sorted(edits, key=lambda e: e.span):
        start = max(edit.span[0], done)
        parts += [text[done:start], edit.text]
        done = max(done, edit.span[1])
    return b"".join((*parts, text[done:]))


def is_set(state: State, value: Any) -> bool:
    """Whether a setting is known to have this value; an empty mapping asks for any hash."""
    if isinstance(value, Mapping) and not value:
        return state.kind == "below" or bool(state.value and not state.rest and state.value.type == "hash")
    if state.kind != "found" or state.rest or state.value is None:
        return False
    return state.value.literal is not NO_LITERAL and _same(state.value.literal, value)


def is_gone(state: State) -> bool:
    """Whether a setting is known not to be set; below a value that is no hash there is nothing."""
    below_plain = bool(state.rest) and state.value is not None and state.value.literal is not NO_LITERAL
    return state.kind in ("unset", "missing") or below_plain


def _same(mine: Any, theirs: Any) -> bool:
    """Equal in value and type: 1, 1.0, true and '1' are four values."""
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        return {str(k) for k in mine} == {str(k) for k in theirs} and all(
            _same(item, theirs[key]) for key, item in mine.items() if key in theirs
        )
    if isinstance(mine, list) and is_list(theirs):
        return len(mine) == len(theirs) and all(map(_same, mine, theirs))
    for plain in (bool, int, float, str):
        if isinstance(theirs, plain):
            alike = isinstance(mine, plain) and isinstance(mine, bool) == isinstance(theirs, bool)
            return alike and repr(mine) == repr(theirs)  # 0.0 and -0.0 are two values
    return mine is None and theirs is None


def is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def kind_of(value: Any) -> str:
    """What a value is, for people; never the value itself."""
    if value is None:
        return "nil"
    if isinstance(value, Symbol):
        return "a symbol"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if is_list(value) else "a string"


def _renew(path: Path) -> str:
    """What to do about a hash in which code that has run by then may have set something."""
    return f"assign {show(path[:2])} as a whole behind it, such as {show(path[:2])} = {{}}"


def _nest(path: Path, value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value
