# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ruby text: an outline of it made by Ruby's own parser, and Python values as Ruby literals.

What is code and what is text is never guessed here: a Ruby process (Ripper, from its standard library) reads
the text and says which statements stand at the top level, what they assign, where their bytes lie, and which
other places mention a name. Nothing of the text is run; only literals are evaluated, by Ruby itself.

All offsets are in bytes from the start of the text, all lines count from 1.
"""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask_line
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby_outline import OUTLINE

PACKAGE_RUBY = "/opt/gitlab/embedded/bin/ruby"
"""Every Linux-package node has a complete Ruby there."""

BOM = b"\xef\xbb\xbf"

NO_LITERAL = object()
"""In place of the value of an expression that Ruby would have to run."""


class RubyError(Exception):
    """The text is not valid Ruby. ``line`` is None where no line is to blame.

    ``words`` are the words in the text that hold other characters than ASCII: a quote of the web may be the cause.
    """

    def __init__(self, message: str, line: int | None = None, words: Sequence[Word] = ()) -> None:
        super().__init__(message)
        self.line = line
        self.words = words


class NoRubyError(RubyError):
    """There is no Ruby that answers, whatever the text is."""


class Symbol(NamedTuple):
    """A Ruby symbol: not the same value as the string of that name."""

    name: str


Span = tuple[int, int]
"""From the first byte to the one after the last."""


class Value(NamedTuple):
    """What a statement or a pair of a hash assigns."""

    type: str
    """``string``, ``scalar`` (number, symbol, nil, true, false), ``array``, ``hash`` or ``expression``."""
    span: Span
    bodies: tuple[Span, ...]
    """The bodies of its heredocs that lie beyond ``span``: whole lines, terminator included."""
    line: int
    literal: Any
    """The value where it is a literal all through, else :data:`NO_LITERAL`."""
    effects: bool
    """Running it may do more than yield a value: it assigns, mutates, or calls with a block."""
    tangled: bool
    """Lines of another statement's heredoc lie between its first and its last byte."""
    pairs: tuple[Pair, ...] = ()


class Pair(NamedTuple):
    """A pair of a hash literal; ``key`` and ``value`` are None for ``**splat`` and for a computed key."""

    key: str | None
    span: Span
    bodies: tuple[Span, ...]
    value: Value | None


class Mention(NamedTuple):
    """A use of a name beside the plain assignments: ``name['key']``, ``name('x')``, ``name.method``."""

    name: str
    keys: tuple[str | None, ...]
    """None stands for a key that is not a plain literal."""
    access: str
    """``read``; ``write`` (assigned below the top level); ``change`` (by a method or operator); ``call``."""
    via: str | None
    """The method or operator of ``change``."""
    deferred: bool
    """It stands in a block, method or lambda: it may run later than its place says."""
    line: int

    @property
    def path(self) -> tuple[str | None, ...]:
        return (self.name, *self.keys)


class Run(NamedTuple):
    """A call that runs another file at its place: ``from_file``, ``load``, ``require`` of a path."""

    name: str
    paths: tuple[str, ...] | None
    """None where only running it would tell."""
    pattern: bool
    """The paths are patterns of ``Dir.glob``."""
    sorted: bool
    """The files are sorted by their whole path."""
    guarded: bool
    """A file that is not there is left out."""
    always: bool
    """Nothing else decides whether it runs."""
    deferred: bool
    """It stands in a block, method or lambda that may be called later."""
    line: int


class Statement(NamedTuple):
    """A statement at the top level. ``name`` and ``value`` are set where it is a plain assignment."""

    type: str
    """Ripper's name of it: ``assign``, ``command``, ``if``, ``method_add_block``, …"""
    line: int
    span: Span
    bodies: tuple[Span, ...]
    mentions: tuple[Mention, ...]
    name: str | None = None
    keys: tuple[str, ...] = ()
    value: Value | None = None
    runs: tuple[Run, ...] = ()

    @property
    def path(self) -> tuple[str, ...]:
        return (self.name, *self.keys) if self.name else ()


class Commented(NamedTuple):
    """A statement that stands commented out, on whole lines at any depth."""

    path: tuple[str, ...]
    span: Span


class Word(NamedTuple):
    """A token that holds other characters than ASCII. A name, or a part of a text."""

    line: int
    is_name: bool
    text: str


class Outline(NamedTuple):
    """What a Ruby text says, as far as that can be known without running it."""

    statements: tuple[Statement, ...]
    locals: Mapping[str, int]
    """Names that are local variables somewhere, and the first line that shows it."""
    commented: tuple[Commented, ...]
    reserved: tuple[str, ...]
    """Names asked for with ``commented`` that are methods of Ruby itself, such as ``system``."""
    end: int
    """Where the code ends: the size of the text, or the start of the line ``__END__``."""
    remarks: tuple[int, ...]
    """Where the comments begin, also those behind code."""
    unknown: tuple[str, ...]
    """Constants that Ruby, Chef and this text know nothing of."""
    words: tuple[Word, ...]


def find_ruby(given: str | None = None, *, package_ruby: str = PACKAGE_RUBY) -> str:
    """The path of the Ruby to ask: the given one, else the package's own, else the one in PATH.

    Raises NoRubyError where there is none.
    """
    found = shutil.which(given or package_ruby) or (None if given else shutil.which("ruby"))
    if found:
        return found
    missing = f"There is no Ruby at {given}" if given else f"There is neither {package_ruby} nor a ruby in PATH"
    raise NoRubyError(f"{missing}, so gitlab.rb cannot be checked; {_remedy(given or package_ruby)}.")


def _remedy(executable: str) -> str:
    """What to do about a Ruby that does not work."""
    if executable == PACKAGE_RUBY:
        return "install the GitLab Linux package, of which it is a part, once more if it is there"
    return "give the path of a Ruby 2.7 or later with its libraries (the module's option ruby)"


class Ruby:
    """One Ruby process that answers any number of questions; a context manager.

    ``executable`` is the path of a Ruby with its standard library (Ripper, JSON), 2.7 or later.
    """

    def __init__(self, executable: str, *, popen: Any = subprocess.Popen) -> None:
        self._executable = executable
        self._popen = popen
        self._process: Any = None
        self._stderr: IO[bytes] = io.BytesIO()

    def __enter__(self) -> Ruby:
        self._start()  # it gets ready while the caller reads the text
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop()

    def outline(self, text: bytes, commented: Sequence[tuple[str, str | None]] = ()) -> Outline:
        """The outline of a text. ``commented`` names the statements (name, key) to look for in comments.

        Raises RubyError with the line where the text is not valid Ruby, and NoRubyError.
        """
        skipped = len(BOM) if text.startswith(BOM) else 0
        answer = self._ask({"bytes": len(text) - skipped, "commented": list(commented)}, text[skipped:])
        if "failure" in answer:
            raise RubyError(answer["failure"])
        problem = answer.get("problem")
        if problem:
            why = f" ({problem['why']})" if problem["why"] else ""
            raise RubyError(
                f"line {problem['line']} is not valid Ruby{why}", problem["line"], _words(answer, text[skipped:])
            )
        return _Reader(skipped).outline(answer)._replace(words=_words(answer, text[skipped:]))

    def files(self, patterns: Sequence[str], *, is_sorted: bool = False, upcoming: str | None = None) -> list[str]:
        """The files that ``Dir.glob`` lists for these patterns, in the order of this very Ruby.

        ``upcoming`` is a file that does not exist yet; it is listed if it fits and if its place is known.
        """
        return list(self._ask({"glob": list(patterns), "sorted": is_sorted, "upcoming": upcoming}, b"")["files"])

    def _ask(self, question: Mapping[str, Any], text: bytes) -> dict[str, Any]:
        process = self._process or self._start()
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n" + text)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer.endswith(b"\n"):
            raise self._broken_off(process)
        return dict(json.loads(answer))

    def _broken_off(self, process: Any) -> NoRubyError:
        """A process that ended before it could answer, with what it said: the first line, since a trace follows."""
        with suppress(BrokenPipeError):
            process.communicate()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        said = next((mask_line(line.strip()) for line in lines if line.strip()), "it said nothing")
        self._stop()
        if process.returncode < 0:
            return NoRubyError(
                f"{self._executable} was ended by signal {-process.returncode} while it read gitlab.rb ({said}); look"
                " in dmesg for the reason, such as a lack of memory, and run again."
            )
        return NoRubyError(
            f"{self._executable} ended with exit code {process.returncode} while it read gitlab.rb ({said});"
            f" {_remedy(self._executable)}."
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(BrokenPipeError):
                process.communicate()
            self._stderr.close()

    def _start(self) -> Any:
        try:
            self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe that nobody empties could fill)
            self._process = self._popen(  # pylint: disable=ansible-bad-function
                [self._executable, "--disable=gems", "-W0", "-e", OUTLINE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                # Nothing of the caller's Ruby (RUBYOPT, RUBYLIB, bundler) may change what is parsed.
                env={"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"},
            )
        except OSError as error:
            self._stderr.close()
            raise NoRubyError(f"{self._executable} cannot be started ({error.strerror}); {remedy(error)}.") from error
        return self._process


class _Reader:
    """Reads the answer of the Ruby process; ``skip`` is the number of bytes that Ruby was not shown."""

    def __init__(self, skip: int) -> None:
        self._skip = skip

    def outline(self, raw: Mapping[str, Any]) -> Outline:
        return Outline(
            statements=tuple(self._statement(item) for item in raw["statements"]),
            locals=raw["locals"],
            commented=tuple(
                Commented((name, *keys), self._span((start, end))) for name, keys, start, end in raw["commented"]
            ),
            reserved=tuple(raw["reserved"]),
            end=raw["end"] + self._skip,
            remarks=tuple(start + self._skip for start in raw["remarks"]),
            unknown=tuple(raw["unknown"]),
            words=(),
        )

    def _statement(self, raw: Mapping[str, Any]) -> Statement:
        return Statement(
            type=raw["type"],
            line=raw["line"],
            span=self._span(raw["span"]),
            bodies=self._spans(raw["bodies"]),
            mentions=tuple(
                Mention(m["name"], tuple(m["keys"]), m["access"], m["via"], m["deferred"], m["line"])
                for m in raw["mentions"]
            ),
            name=raw.get("name"),
            keys=tuple(raw.get("keys", ())),
            value=self._value(raw.get("value")),
            runs=tuple(Run(**{**run, "paths": run["paths"] and tuple(run["paths"])}) for run in raw["runs"]),
        )

    def _value(self, raw: Mapping[str, Any] | None) -> Value | None:
        if raw is None:
            return None
        return Value(
            type=raw["type"],
            span=self._span(raw["span"]),
            bodies=self._spans(raw["bodies"]),
            line=raw["line"],
            literal=_decode(raw["literal"]) if "literal" in raw else NO_LITERAL,
            effects=raw["effects"],
            tangled=raw["tangled"],
            pairs=tuple(
                Pair(p["key"], self._span(p["span"]), self._spans(p["bodies"]), self._value(p["value"]))
                for p in raw.get("pairs") or ()
            ),
        )

    def _spans(self, raw: Sequence[Span]) -> tuple[Span, ...]:
        return tuple(self._span(item) for item in raw)

    def _span(self, raw: Span) -> Span:
        return (raw[0] + self._skip, raw[1] + self._skip)


def _words(answer: Mapping[str, Any], text: bytes) -> tuple[Word, ...]:
    return tuple(Word(text.count(b"\n", 0, at) + 1, is_name, word) for at, is_name, word in answer["words"])


def _decode(raw: Any) -> Any:
    """A value as the Ruby process writes it: hashes and symbols are tagged, since JSON has neither."""
    if isinstance(raw, list):
        return [_decode(item) for item in raw]
    if not isinstance(raw, dict):
        return raw
    if "symbol" in raw:
        return Symbol(raw["symbol"])
    return {_key(_decode(key)): _decode(value) for key, value in raw["hash"]}


def _key(key: Any) -> Any:
    """A hash key as the package's ConfigMash sees it: symbols and strings are the same."""
    if isinstance(key, Symbol):
        return key.name
    return repr(key) if isinstance(key, (list, dict)) else key


# -- Python values as Ruby text --

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\", "#": "\\#"}


def literal(value: Any, *, quote: str = "'", indent: str = "", eol: str = "\n") -> str:
    """A value as one Ruby literal that evaluates to the same value and type.

    Takes None, bool, int, finite float, str, and lists and mappings of these; raises ValueError for anything
    else. ``quote`` is the quote that a plain string gets; what that cannot hold gets double quotes with
    escapes, so nothing in a value can become code. Mappings take a line for each pair, ``indent`` being the
    indentation of the line that they start on.
    """
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _string(value, quote)
    if isinstance(value, Mapping):
        return _hash(value, quote, indent, eol)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return f"[{', '.join(_inline(item, quote) for item in value)}]"
    raise ValueError(f"a {type(value).__name__} has no Ruby literal")


def _hash(value: Mapping[Any, Any], quote: str, indent: str, eol: str) -> str:
    if not value:
        return "{}"
    inner = indent + "  "
    lines = [f"{inner}{pair(key, item, quote=quote, indent=inner, eol=eol)}," for key, item in value.items()]
    return eol.join(["{", *lines, f"{indent}}}"])


def pair(key: Any, value: Any, *, quote: str = "'", indent: str = "", eol: str = "\n") -> str:
    """``'key' => value`` as it stands in a hash literal."""
    return f"{_string(str(key), quote)} => {literal(value, quote=quote, indent=indent, eol=eol)}"


def inline_pair(key: Any, value: Any, *, quote: str = "'") -> str:
    """``'key' => value`` on one line."""
    return f"{_string(str(key), quote)} => {_inline(value, quote)}"


def _inline(value: Any, quote: str) -> str:
    if isinstance(value, Mapping):
        pairs = ", ".join(inline_pair(key, item, quote=quote) for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return literal(value, quote=quote)


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no Ruby literal")
    mantissa, _e, exponent = repr(value).partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _string(text: str, quote: str) -> str:
    plain = text.isascii() and text.isprintable()
    if plain and quote == "'":
        return "'" + re.sub(r"\\(?=[\\']|$)|'", r"\\\g<0>", text) + "'"
    if plain and not re.search(r'["#\\]', text):
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(char) or _char(char) for char in text) + '"'


def _char(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    if 0xD800 <= ord(char) <= 0xDFFF:
        raise ValueError("a lone surrogate has no Ruby literal")
    # Escaped, so that neither the file's encoding nor the locale of its reader matters.
    return f"\\u{{{ord(char):x}}}"
