# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a gitlab.rb says: its settings, in the order in which the package evaluates them, and what is known of each.

gitlab.rb is Ruby, evaluated from top to bottom by the package (mixlib-config): the last assignment of a setting
wins, a hash assigned again is replaced, and symbols and strings are the same key (ConfigMash).

A path names a setting: ``("external_url",)`` is the call form ``external_url '…'``, ``("gitlab_kas", "enable")``
is ``gitlab_kas['enable'] = …``, a longer path goes on into a hash: ``("gitlab_kas", "env", "SSL_CERT_DIR")``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_mistakes import (
    characters_behind,
    mistakes,
    not_ruby,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_remarks import Comment, Foreign, foreign
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask_line
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import (
    BOM,
    NO_LITERAL,
    Mention,
    NoRubyError,
    Outline,
    Ruby,
    RubyError,
    Run,
    Span,
    Statement,
    Symbol,
    Value,
    literal,
)

Path = tuple[str, ...]
Tree = dict[str, Any]

SECTION_BEGIN = b"# BEGIN kasops.gitlab_kas"
SECTION_END = b"# END kasops.gitlab_kas"
_SECTION = re.compile(SECTION_BEGIN + rb"\r?\n(?:.*\n)*?" + SECTION_END + rb"[ \t]*(?:\r?\n|\Z)")

CALL_FORM = frozenset(
    {"edition", "external_url", "gitlab_kas_external_url", "mattermost_external_url", "pages_external_url"}
    | {"registry_external_url", "roles", "runtime_dir"}
)
"""The package's top-level settings that are not sections (``attribute(…, default: nil)`` in its config/gitlab.rb)."""

# Names through which a setting can be reached without naming it.
_REFLECTION = frozenset(
    {"self", "Gitlab", "send", "__send__", "public_send", "eval", "instance_eval", "instance_exec", "class_eval"}
    | {"module_eval", "binding", "method", "public_method", "define_method", "define_singleton_method", "alias"}
    | {"undef", "BEGIN", "END", "at_exit", "extend", "method_missing", "singleton_class", "itself", "then", "tap"}
    | {"yield_self", "instance_variable_get", "instance_variable_set", "ObjectSpace", "Kernel", "Object", "Module"}
    | {"Class", "Proc", "TOPLEVEL_BINDING", "ConfigMash", "Mash", "Mixlib", "SettingsDSL"}
    # mixlib-config's own methods, and the package's
    | {"@configuration", "configuration", "config_store", "configurables", "configurable", "configure", "default"}
    | {"restore", "reset", "save", "apply", "merge!", "internal_set", "internal_get", "config_context", "from_hash"}
    | {"config_context_list", "config_context_hash", "config_strict_mode", "config_attr_writer", "config_parent"}
    | {"from_json", "from_yaml", "from_toml", "attribute", "attribute_block", "ee_attribute", "role", "from_file"}
    | {"autoload"}
)

# Methods that neither change a value nor hand it on.
_PURE = frozenset(
    {
        "nil?",
        "empty?",
        "any?",
        "none?",
        "key?",
        "has_key?",
        "include?",
        "member?",
        "is_a?",
        "kind_of?",
        "size",
        "length",
    }
    | {"to_s", "to_i", "to_sym", "inspect", "strip", "chomp", "sub", "gsub", "split", "upcase", "downcase", "join"}
    | {"start_with?", "end_with?", "match?", "eql?", "respond_to?", "keys", "count", "class"}
)

READS = ("read", "peek")
_RETURNS = ("return", "return0")
_RUNS = ("runs", "may run")
_FILE = "\0file"  # in the place of a setting's name
HANDED_ON = "is handed on to other code"
_SETTING = re.compile(r"[a-z_][A-Za-z0-9_]*")
_METHOD = "is defined as a method"

_INSIDE = {
    "if": "an if",
    "if_mod": "an if",
    "unless": "an unless",
    "unless_mod": "an unless",
    "ifop": "a condition",
    "case": "a case",
    "while": "a loop",
    "until": "a loop",
    "while_mod": "a loop",
    "until_mod": "a loop",
    "for": "a loop",
    "begin": "begin … end",
    "rescue_mod": "a rescue",
    "method_add_block": "a block",
    "def": "a method",
    "defs": "a method",
    "binary": "an expression",
}


class GitlabRbError(Exception):
    """The file cannot be read or changed as asked; the text names the file, the line, the cause and the remedy."""


class Event(NamedTuple):
    """Something that a statement does to a setting, in the order of evaluation."""

    # set (plain, top level), read, peek (reads only), touch (may set it), include (a file that may set it here),
    # unknown (may set it at any time), return (may end the file); runs (a file for certain), may run
    kind: str
    path: tuple[str | None, ...]  # () is every setting
    line: int
    statement: Statement
    how: str = ""
    deferred: bool = False
    file: str | None = None  # of a file that is included
    value: Value | None = None
    remedy: str = ""  # what to do there, for a setting that cannot be edited because of it

    def concerns(self, path: Path) -> bool:
        return all(mine is None or mine == theirs for mine, theirs in zip(self.path, path))


class State(NamedTuple):
    """What is known of a setting after the whole file was evaluated."""

    kind: str  # unset, found, missing (from the hash ``value``), below (only parts of it are set), beyond, blocked
    event: Event | None = None
    value: Value | None = None
    rest: Path = ()  # of the path, below ``value``
    why: str = ""  # nothing is known: what follows the name in a sentence
    remedy: str = ""  # what to do in that line


class Said(NamedTuple):
    """One setting as a file says it: a literal in effect, or a place that only running the file would read."""

    path: Path
    """A section or hash stands for all of its keys that are not said; :data:`ANYTHING` for every other setting."""
    value: Any
    """In the terms of YAML; :data:`NO_LITERAL` where it cannot be read."""
    line: int
    file: str | None
    """The included file in which the line stands."""
    why: str
    """Why it cannot be read, as what follows its name."""
    has_symbols: bool = False
    """Whether a symbol stands in the value by its name."""

    @property
    def name(self) -> str:
        return show(self.path)

    @property
    def where(self) -> str:
        return f"line {self.line} of {self.file}" if self.file else f"line {self.line}"


class Reading(NamedTuple):
    """What a file says of some settings, as far as that can be known without running it."""

    settings: Tree
    """The literals in effect."""
    unreadable: dict[str, str]
    """What is set to something that only running the file would tell, and where: ``{"external_url": "line 3"}``.

    A section or hash stands here for all of its keys that are in neither part, ``*`` for every other setting: there
    is a line that may set anything.
    """


_UNSET = State("unset")
ANYTHING = "*"  # in Reading.unreadable
_ANY_OTHER = "\0"  # in a path: a key that the file does not mention


class Document:
    """A gitlab.rb as it stands.

    ``text`` is the file's content, ``ruby`` the running Ruby that outlines it, ``path`` the name for messages.
    ``read_file`` reads a file that it includes (absolute path; OSError where it cannot); without it included files
    count as unreadable. ``upcoming`` is such a file that does not exist yet, but can be read. ``commented`` names the
    settings (name, key) to look for in comments. ``alone`` leaves out whatever it includes; ``is_included`` says that
    it is itself included, behind settings that it does not show. Raises GitlabRbError where the text is not valid Ruby,
    and NoRubyError.
    """

    def __init__(
        self,
        text: bytes,
        ruby: Ruby,
        *,
        path: str = "/etc/gitlab/gitlab.rb",
        read_file: Callable[[str], bytes] | None = None,
        upcoming: str | None = None,
        commented: Sequence[tuple[str, str | None]] = (),
        alone: bool = False,
        is_included: bool = False,
    ) -> None:
        self.text = text
        self.is_included = is_included
        self._alone = alone
        self._ruby = ruby
        self._path = path
        self._read_file = read_file
        self._upcoming = upcoming
        self._commented = tuple(commented)
        try:
            self.outline = ruby.outline(text, commented)
        except NoRubyError:
            raise
        except RubyError as error:
            if error.line is None:
                raise GitlabRbError(f"{path} cannot be read, since {error}; simplify it.") from error
            for mistake in (*characters_behind(error.words, error.line), *not_ruby(text)):
                self.refuse(mistake.line, mistake.why, mistake.remedy)
            raise GitlabRbError(f"{path}: {error}. The file is unchanged. Fix the cause and run again.") from error
        for mistake in mistakes(self.outline):
            self.refuse(mistake.line, mistake.why, mistake.remedy)
        self.included: list[str] = []  # the files that it includes, also those that are not there yet, and its patterns
        self.troubles: list[str] = []  # why one of them cannot be read
        self._all_events = list(self._events_of(self.outline))
        self._by_name: dict[str, list[Event]] = {}

    def read(self, names: Iterable[str]) -> Reading:
        """What the file says of these sections and call forms: what is in neither part of the result is not set."""
        settings: Tree = {}
        unreadable: dict[str, str] = {}
        for each in self.said(names):
            if each.value is NO_LITERAL:
                unreadable[each.name] = each.where
            else:
                put(settings, each.path, each.value)
        return Reading(settings, unreadable)

    def said(self, names: Iterable[str]) -> Iterator[Said]:
        """The same setting by setting, each with its line; of a hash that is a literal all through, the whole."""
        unreadable: dict[str, str] = {}
        mentioned = dict.fromkeys(path for name in names for path in self._mentioned(name))
        literals: set[Path] = set()
        for path in mentioned:
            state = self.state(path)
            if path[:-1] in literals:
                literals.add(path)  # known with the whole hash
            elif state.event and (value := _literal_of(path, state)) is not NO_LITERAL:
                literals.add(path)
                yield _said(path, state.event, state.value, _plain(value))._replace(has_symbols=_has_symbols(value))
            elif (*path, _ANY_OTHER) in mentioned:
                continue  # a hash: its keys are looked at one by one
            elif state.event and _is_unreadable(state):
                found = _said(_named(path, state), state.event, state.value, NO_LITERAL, _why(state))
                if unreadable.get(unreadable_as(path, unreadable) or "") != found.where:
                    unreadable[found.name] = found.where
                    yield found

    def names(self) -> list[str]:
        """The sections and call forms that the file sets, or may set by its name, and :data:`ANYTHING` for the rest."""
        found: dict[str, None] = {}
        methods: set[str] = set()
        for event in self._all_events:
            name = event.path[0] if event.path else None
            if event.kind in ("peek", "runs", "may run") or not name or not _SETTING.fullmatch(name):
                continue
            if event.how == _METHOD:
                methods.add(name)
            elif len(event.path) > 1 or takes_one_value(name) or name not in methods:
                found[name] = None
        of_ruby = self._ruby.outline(b"", [(name, None) for name in found]).reserved  # such as puts
        return [*(name for name in found if name not in of_ruby), ANYTHING]

    def state(self, path: Path, *, before: Event | None = None) -> State:
        """What the file makes of a setting, or has made of it before an event."""
        state = _UNSET
        stuck = ended = None
        for event in itertools.takewhile(lambda event: event is not before, self.events(path)):
            why, remedy = _sticks(event, path, state)
            if why:
                stuck = State("blocked", event, why=why, remedy=remedy)
            elif event.kind == "return":
                ended = ended or event
            elif event.kind in ("include", "unknown"):
                state = state if state.kind == "blocked" else State("beyond", event)
            elif event.kind == "touch":
                state = State("blocked", event, why=event.how, remedy=event.remedy)
            elif event.kind == "set" and ended:
                why = f"is assigned after line {ended.line}, which may end the file"
                state = State("blocked", event, why=why, remedy="assign it before that line")
            elif event.kind == "set" and event.value:
                state = _assigned(state, event, event.value, path)
        return stuck or state

    def events(self, path: Path) -> Iterator[Event]:
        """What concerns a setting, in the order of evaluation."""
        name = path[0]
        if name not in self._by_name:
            self._by_name[name] = [e for e in self._all_events if e.path[:1] == (name,) or e.concerns((name,))]
        return (event for event in self._by_name[name] if event.concerns(path))

    def includes(self, file: str) -> bool:
        """Whether a file is included for certain."""
        return any(event.kind == "runs" and event.file == file for event in self._all_events)

    def needs(self, file: str) -> bool:
        """Whether a line includes a file without asking whether it is there."""
        return any(event.kind in _RUNS and event.file == file and event.how for event in self._all_events)

    def grounds(self) -> Iterator[tuple[Event, Path, bool]]:
        """What goes into a hash after a file was included: the event, the hash, and whether it is known to be there.

        Until then a hash comes into being when something is set in it; from then on Ruby raises an error.
        """
        has_included = False
        for event in self._all_events:
            has_included = has_included or bool(event.file or event.statement.runs)
            path = _known(event.path)
            if has_included and not event.file and len(path) > 2:
                state = self.state(path[:-1], before=event)
                is_hash = state.value is not None and state.value.type == "hash" and not state.rest
                yield event, path[:-1], state.kind == "below" or (state.kind == "found" and is_hash)

    def refuse(self, line: int, why: str, remedy: str, *, file: str | None = None) -> NoReturn:
        raise GitlabRbError(f"{file or self._path}, line {line}: {why}; {remedy}.")

    # -- Places in the text --

    def line_of(self, offset: int) -> int:
        return self.text.count(b"\n", 0, offset) + 1

    def line_start(self, offset: int) -> int:
        return self.text.rfind(b"\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """The start of the next line, or the end of the text."""
        found = self.text.find(b"\n", offset)
        return len(self.text) if found < 0 else found + 1

    def indent_at(self, offset: int) -> str:
        start = self.line_start(offset)
        blank = re.match(rb"[ \t]*", self.text[start:])
        return blank.group().decode() if blank else ""

    def quote_at(self, offset: int) -> str:
        """The quote that a string begins with there; Ruby's plain one where there is none."""
        return '"' if self.text.startswith(b'"', offset) else "'"

    def starts_line(self, offset: int) -> bool:
        return not self.text[self.line_start(offset) : offset].strip()

    @cached_property
    def eol(self) -> bytes:
        crlf = self.text.count(b"\r\n")
        return b"\r\n" if crlf * 2 > self.text.count(b"\n") else b"\n"

    @cached_property
    def end(self) -> int:
        """Where nothing is evaluated any more: at a plain ``return``, at ``__END__`` or at the end of the text."""
        ends = (s.span[0] for s in self.outline.statements if s.type in _RETURNS and self.starts_line(s.span[0]))
        return min((self.line_start(start) for start in ends), default=self.outline.end)

    @cached_property
    def sections(self) -> list[Span]:
        """Our marked sections, from the first byte of BEGIN to the end of the line of END."""
        found = []
        for match in _SECTION.finditer(self.text):
            own_line = self.text[self.line_start(match.start()) : match.start()] in (b"", BOM)
            if own_line and match.end() <= self.end and not self.inside_code(match.start()):
                found.append(match.span())
        return found

    @cached_property
    def foreign(self) -> list[Foreign]:
        """The parts of the file that another tool seems to write, as its comments say."""
        comments = []
        for start in self.outline.remarks:
            text = self.text[start : self.line_end(start)].decode("utf-8", "replace").rstrip()
            comments.append(Comment(self.line_of(start), mask_line(text), self.starts_line(start)))
        code = [(statement.line, self.line_of(extent(statement)[1] - 1)) for statement in self.outline.statements]
        return foreign(comments, code, self.line_of(len(self.text)))

    def our_lines(self, file: str | None = None) -> list[Statement]:
        """The lines in our sections that include this file, or any."""
        return [
            statement
            for statement in self.outline.statements
            if any(first <= statement.span[0] < last for first, last in self.sections)
            and any(
                run.always and not run.pattern and run.paths and file in (None, *run.paths) for run in statement.runs
            )
        ]

    def inside_code(self, offset: int) -> bool:
        """Whether an offset lies within a statement or the body of one of its heredocs."""
        return any(
            start < offset < end for statement in self.outline.statements for start, end in spans(statement)
        ) or any(start <= offset < end for statement in self.outline.statements for start, end in statement.bodies)

    # -- Inside --

    def _mentioned(self, name: str) -> list[Path]:
        """The paths below a name that the file mentions, and any other key of each hash; the outer ones first."""
        found: dict[Path, None] = {(name,): None}
        if not takes_one_value(name):
            found[(name, _ANY_OTHER)] = None
        for event in self.events((name,)):
            path = _known(event.path)
            for size in range(1, len(path)):
                found.update({(*path[:size], _ANY_OTHER): None, path[: size + 1]: None})
            if event.value:
                found.update((below, None) for below in _pairs_below(path, event.value))
        return sorted(found, key=lambda path: (len(path), path[-1] != _ANY_OTHER))

    def _events_of(
        self, outline: Outline, include: Statement | None = None, files: tuple[str, ...] = ()
    ) -> Iterator[Event]:
        """What a file does to settings. ``files`` are the included ones around it, the last one its own name."""
        file = files[-1] if files else None
        may_have_ended = has_ended = False
        for statement in outline.statements:
            if has_ended and statement.type != "BEGIN":
                continue
            for event in self._events_in(statement, include or statement, files):
                if event.kind != "return":
                    yield _perhaps(event, f"is set after a return in {file}") if may_have_ended else event
                elif not file and not (statement.type in _RETURNS and self.starts_line(statement.span[0])):
                    yield event
                else:
                    # It ends this file alone.
                    has_ended = has_ended or statement.type in _RETURNS
                    may_have_ended = bool(file)

    def _events_in(self, statement: Statement, where: Statement, files: tuple[str, ...]) -> Iterator[Event]:
        file = files[-1] if files else None
        for mention in statement.mentions:
            kind, how, remedy = _classify(mention, statement.type)
            everything = kind in ("unknown", "return")
            if kind == "unknown" and file and not mention.deferred:
                kind = "include"  # it has run when the file has
            path = () if everything else mention.path
            yield Event(kind, path, mention.line, where, how, mention.deferred, file, remedy=remedy)
        for run in statement.runs:
            yield from self._included(run, where, files)
        if statement.name in _REFLECTION:
            how, remedy = _through(statement.name)
            yield Event("include" if file else "unknown", (), statement.line, where, how, file=file, remedy=remedy)
        elif statement.name:
            yield Event("set", statement.path, statement.line, where, file=file, value=statement.value)

    def _included(self, run: Run, where: Statement, files: tuple[str, ...]) -> Iterator[Event]:
        """The events of the files that a call runs, or one that stands for anything where one cannot be read."""
        file = files[-1] if files else None
        if self._alone:
            return
        if run.deferred:
            how, remedy = _through(run.name)[0], f"call `{run.name}` outside of any method or block"
            yield Event("unknown", (), run.line, where, how, True, file, remedy=remedy)
            return
        try:
            for name, outline in self._files(run, files):
                for mistake in mistakes(outline) if run.always else ():
                    self.refuse(mistake.line, mistake.why, mistake.remedy, file=name)
                how = "" if run.guarded or run.pattern else "whether it is there or not"
                yield Event("runs" if run.always else "may run", (_FILE, name), run.line, where, how, file=name)
                for event in self._events_of(outline, where, (*files, name)):
                    yield event if run.always else _perhaps(event, f"may be set by {name}")
        except NoRubyError:
            raise
        except (OSError, RubyError) as error:
            if self._read_file and run.paths and run.paths[0].startswith("/"):
                self._note_trouble(run.paths[0], run.line, error, file)
            yield Event("include", (), run.line, where, "may be set by what this line runs", file=file)

    def _note_trouble(self, path: str, line: int, error: Exception, file: str | None) -> None:
        """Why a file that this line includes cannot be read."""
        what = getattr(error, "filename", None) or path
        why = getattr(error, "strerror", None) or str(error)
        self.troubles.append(
            f"{file or self._path}, line {line}: {what}, which this line includes, cannot be read ({why}), so"
            " nobody knows what it sets; correct that, since gitlab-ctl reconfigure reads it, too."
        )

    def _files(self, run: Run, files: tuple[str, ...]) -> Iterator[tuple[str, Outline]]:
        """The files that a call runs, in order. Raises OSError or RubyError where one cannot be read."""
        names: Sequence[str] | None = run.paths
        if self._read_file is None or not names or not all(name.startswith("/") for name in names):
            raise FileNotFoundError(run.name)
        if run.pattern:
            self.included += [pattern for pattern in names if pattern not in self.included]
            names = self._ruby.files(names, is_sorted=run.sorted, upcoming=self._upcoming)
        elif run.sorted:
            names = sorted(names)
        for name in names:
            self.included += [name] if name not in self.included else []
            if name in files:
                raise OSError(f"{name} includes itself")
            try:
                text = self._read_file(name)
            except FileNotFoundError:
                if run.guarded or run.pattern:
                    continue
                raise
            yield name, self._ruby.outline(text)


def _perhaps(event: Event, how: str) -> Event:
    """An event that may not take place: nobody knows what the setting is then, until it is set again."""
    if event.kind == "runs":
        return event._replace(kind="may run")
    if event.kind not in ("set", "touch") or event.deferred:
        return event
    return event._replace(kind="include", how=how, value=None)


def _classify(mention: Mention, statement: str) -> tuple[str, str, str]:
    """The kind of event that a mention is, how to say it, and what to do about it."""
    name, access, via = mention.name, mention.access, mention.via
    if name == "return":
        return "return", "", ""
    if name in _REFLECTION:
        return ("unknown", *_through(name))
    if access == "read":
        return "read", "", ""
    if via in _PURE:
        return "peek", "", ""
    if access == "write" and None in mention.keys:
        return "touch", "may be what a computed key names", "write that key out"
    if access in ("write", "call"):
        inside = _INSIDE.get(statement, "a block" if mention.deferred else "an expression")
        verb = "assigned" if access == "write" else "called"
        outside = re.sub("^an? ", "the ", inside)
        return "touch", f"is {verb} inside {inside}", f"assign it outside of {outside}, on a line of its own"
    if via:
        remedy = "assign its whole value with = there" if mention.keys else f"write {name}['key'] = value there"
        return "touch", f"is changed by `{via}`", remedy
    return "touch", _METHOD, "take that method away"


def _through(name: str) -> tuple[str, str]:
    """What may set anything at any time, and what to do about it."""
    return f"may be set through `{name}`", f"do without `{name}` there"


def _sticks(event: Event, path: Path, state: State) -> tuple[str, str]:
    """Why no later assignment makes a setting known again, and what to do about it; empty where one does."""
    if event.kind == "read":
        # What was handed on may be changed where it went.
        plain = state.kind == "found" and state.value is not None and state.value.type in ("string", "scalar")
        if len(event.path) < len(path) + (not plain) and event.statement.type == "massign":
            return "stands in a multiple assignment", "give each setting a line of its own"
        if len(event.path) < len(path) + (not plain):
            return HANDED_ON, f"do without `{show(event.path)}` there"
    elif event.kind == "set":
        # The section is a plain Hash from then on, to which symbols are not strings.
        if len(event.path) == 1 < len(path):
            return "is set with its whole section", f"write {path[0]}['key'] = value for each key instead"
    elif event.kind == "unknown" or (event.kind == "touch" and event.deferred):
        return event.how, event.remedy
    return "", ""


def _assigned(state: State, event: Event, value: Value, path: Path) -> State:
    """The state of ``path`` after a plain assignment of a value that concerns it."""
    if len(event.path) > len(path):
        return state if state.kind == "blocked" else State("below", event)
    if (
        state.rest
        and state.value
        and state.value.type == "expression"
        and len(event.path) > len(path) - len(state.rest)
    ):
        # The same hash may be another setting's, too.
        why = "belongs to a hash that is computed"
        return State("blocked", state.event, why=why, remedy="write that hash out, with its keys and values")
    return descend(value, path[len(event.path) :])._replace(event=event)


def descend(value: Value, rest: Path) -> State:
    """What a value holds at the end of the rest of a path."""
    if not rest:
        return State("found", value=value)
    if value.type != "hash":
        return State("found", value=value, rest=rest)
    for item in reversed(value.pairs):
        if item.key is None:
            break
        if item.key == rest[0] and item.value:
            return descend(item.value, rest[1:])
    return State("missing", value=value, rest=rest)


def unreadable_as(path: Path, unreadable: Mapping[str, str]) -> str | None:
    """What stands for a setting that is not among the literals read; None if it is not set."""
    names = [*(show(path[:size]) for size in range(len(path), 0, -1)), ANYTHING]
    return next((name for name in names if name in unreadable), None)


def _pairs_below(path: Path, value: Value) -> Iterator[Path]:
    """The paths of what stands in a hash literal."""
    if value.type == "hash":
        yield (*path, _ANY_OTHER)
    for item in value.pairs:
        if item.key is not None and item.value:
            yield (*path, item.key)
            yield from _pairs_below((*path, item.key), item.value)


def _literal_of(path: Path, state: State) -> Any:
    """The literal that a setting is set to as a whole, or NO_LITERAL."""
    is_setting = len(path) > 1 or takes_one_value(path[0])
    whole = state.value if state.kind == "found" and not state.rest else None
    return whole.literal if is_setting and whole else NO_LITERAL


def _is_unreadable(state: State) -> bool:
    """Whether only running the file would tell what is set there."""
    if state.kind == "missing":  # from this hash, unless one of its keys is computed
        return state.value is not None and any(item.key is None for item in state.value.pairs)
    if state.kind == "found":
        return state.value is not None and state.value.literal is NO_LITERAL
    return state.kind in ("beyond", "blocked")


def _named(path: Path, state: State) -> Path:
    """The name of a setting among those that cannot be read."""
    if state.event and not state.event.path:
        return (ANYTHING,)
    return path[:-1] if path[-1] == _ANY_OTHER else path


def _said(path: Path, event: Event, value: Value | None, literal_value: Any, why: str = "") -> Said:
    return Said(path, literal_value, value.line if value else event.line, event.file, why)


def _why(state: State) -> str:
    """Why a setting cannot be read."""
    if state.kind == "missing":
        return "may be in this hash, a part of which is computed"
    if state.kind == "found":
        return "is computed"
    return state.why or (state.event.how if state.event else "")


def show(path: Sequence[str | None]) -> str:
    """A path as it stands in gitlab.rb."""
    keys = (literal(key) if key is not None else "…" for key in path[1:])
    return f"{path[0]}{''.join(f'[{key}]' for key in keys)}"


def _plain(value: Any) -> Any:
    """A literal for readers of YAML: symbols are their names."""
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _has_symbols(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, Symbol) or any(map(_has_symbols, items))


def put(tree: Tree, path: Path, value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[path[-1]] = value


def takes_one_value(name: str) -> bool:
    """Whether the package knows a name in call form; ``puts 'x'`` is no setting."""
    return name in CALL_FORM or name.endswith("_url") or name == "git_data_dirs"  # which takes a hash


def _known(path: Sequence[str | None]) -> Path:
    """A path as far as its keys are known."""
    return tuple(itertools.takewhile(lambda key: key is not None, path))  # type: ignore[arg-type]


def spans(statement: Statement) -> tuple[Span, ...]:
    end = statement.span[1]
    return (statement.span, *(body for body in statement.bodies if body[0] >= end))


def extent(statement: Statement) -> Span:
    return statement.span[0], max(end for _start, end in spans(statement))
