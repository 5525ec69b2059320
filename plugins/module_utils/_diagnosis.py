# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the known problems of _problems.py in logs of any size, in bounded memory.

Nothing is parsed but the few lines that are shown. Most of a log are lines that nobody wrote as an error, so a block of
it is first searched for a handful of words; bytes.find does that at gigabytes a second. In an outage every line has
one of them. Then lines differ in little but numbers: without digits, capital letters and a to f, which make up every
kind of id, most are the same few, and of each of these it is known which signs it may have.
"""

from __future__ import annotations

import codecs
import errno
import gzip
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask_text
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._problems import HARMLESS, PROBLEMS, Problem

# One of these is in every line that anybody wrote as an error or a warning: levels in the letters of KAS, agentk, nginx
# and Rails, fields named error, what a KAS says that ends, and what Rails calls the errors of gRPC.
_MARKS = (b"rror", b"RROR", b"warn", b"WARN", b"ailed", b"aborted", b"panic: ", b"GRPC::")
# In an access log it is the status; only there, because these cost the most.
_ACCESS = b"/-/kubernetes-agent"
_STATUSES = tuple(b'" %d ' % status for status in (301, 413, 426, 502, 504))

_BLOCK = 1 << 20  # bytes read at once, and the longest line that is looked at as one
_LINE = 8192  # bytes of a line that are kept
_DENSE = 1024  # bytes: with more than one marked line in so many, all lines are looked at
_SHAPE_BYTES = 8 << 20  # of different lines, that are remembered
_ENTRY = 200  # bytes that each takes besides
_WORD_SETS = 2000  # that are remembered
_EXAMPLE = 400  # characters
_FILES = 5  # named with a finding
_VARIABLE = b"0123456789abcdefABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ONLY_WORDS = bytes(character if character in b"ghijklmnopqrstuvwxyz" else ord(" ") for character in range(256))

_TIME = re.compile(
    rb"(\d{4})[-/](\d\d)[-/](\d\d)[T_ ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?"
    rb"|(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})"
)
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_SVLOGD = re.compile(rb"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d\.\d{5} ")
_POD = re.compile(rb"\[pod/[^\]]*\] ")
_MESSAGES = ("msg", "message", "exception.class", "error_class")
_DETAILS = ("error", "err", "exception.message", "error_message", "kas_url", "grpc_service")


class LogError(Exception):
    """A log that cannot be read; the text says which, why, and what to do."""


class Log(NamedTuple):
    """A log: what it is called, and its bytes in pieces of any size."""

    name: str
    blocks: Iterable[bytes]


class Finding:
    """A known problem, and how it showed: how often, when, where."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.count = 0
        self.first = self.last = ""  # UTC, such as 2025-02-20T21:56:20Z; without Z where a log names no time zone
        self.line = b""
        self.files: list[str] = []

    def as_dict(self) -> dict[str, Any]:
        """The finding as data, without any secret."""
        return {
            "name": self.problem.name,
            "severity": self.problem.severity,
            "log": self.problem.log,
            "what": self.problem.what,
            "cause": self.problem.cause,
            "remedy": self.problem.remedy,
            "count": self.count,
            "first": self.first or None,
            "last": self.last or None,
            "example": example(self.line),
            "files": self.files[:_FILES],
        }

    def add(self, name: str, seen: _Seen) -> None:
        times = [when for when in map(time_of, (seen.first, seen.last)) if when]
        if times:
            self.first = min(filter(None, [self.first, *times]))
            if not self.last or max(times) >= self.last:
                self.last = max(times)
                self.line = seen.last
        self.count += seen.count
        self.line = self.line or seen.last
        if name not in self.files:
            self.files.append(name)


class _Seen:
    """The lines of one block that are about one problem."""

    def __init__(self, line: bytes) -> None:
        self.count = 0
        self.first = self.last = line


class _Sign(NamedTuple):
    order: int  # of the problem in the table
    parts: tuple[bytes, ...]
    unless: tuple[bytes, ...]
    shapes: tuple[bytes, ...]  # of the parts, the longest first


class Diagnosis:
    """Reads one log after another, and knows what it has found."""

    def __init__(self, problems: Sequence[Problem] = PROBLEMS, since: str = "") -> None:
        """since: only lines from then on count, in UTC, such as 2025-02-20T21:56:20Z; '' for all."""
        self._problems = problems
        self._since = since
        self._signs: dict[bytes, list[_Sign]] = {}  # by the longest word of their shape
        for order, problem in enumerate(problems):
            unless = tuple(part.encode() for part in problem.unless)
            for sign in problem.signs:
                parts = tuple(part.encode() for part in sign)
                self._signs.setdefault(_longest_word(parts), []).append(
                    _Sign(order, parts, unless, tuple(sorted(map(_shape, parts), key=len, reverse=True)))
                )
        self._shapes: dict[bytes, list[_Sign]] = {}
        self._shape_bytes = 0
        self._known = frozenset(self._signs)
        self._words: dict[frozenset[bytes], list[tuple[bytes, _Sign]]] = {}
        self._found: dict[int, Finding] = {}
        self.bytes = 0

    @property
    def findings(self) -> list[Finding]:
        """What was found, in the order of the table; nothing harmless, and nothing that is too rare to matter."""
        return [
            found
            for _order, found in sorted(self._found.items())
            if found.problem.severity != HARMLESS and found.count >= found.problem.at_least
        ]

    def read(self, log: Log) -> None:
        """Read a log to its end. Raises LogError; what was found before that counts."""
        for block in _whole_lines(log.blocks):
            self.bytes += len(block)
            since = self._since
            if since:
                begin, end = _times_around(block)
                if end and end < since:
                    continue
                since = "" if begin and begin >= since else since
            for order, seen in self._scan(block, since).items():
                found = self._found.get(order)
                if found is None:
                    found = self._found[order] = Finding(self._problems[order])
                found.add(log.name, seen)

    def _scan(self, block: bytes, since: str) -> dict[int, _Seen]:
        seen_by: dict[int, _Seen] = {}
        for line in _marked(block):
            order = self._order(line)
            if order is None or (since and (time_of(line) or since) < since):
                continue
            seen = seen_by.get(order)
            if seen is None:
                seen = seen_by[order] = _Seen(line)
            seen.count += 1
            seen.last = line
        for seen in seen_by.values():  # so that no block is kept
            seen.first, seen.last = seen.first[:_LINE], seen.last[:_LINE]
        return seen_by

    def _order(self, line: bytes) -> int | None:
        """Which problem of the table a line is about."""
        shape = line.translate(None, _VARIABLE)
        signs = self._shapes.get(shape)
        if signs is None:
            signs = self._possible(shape)
            self._shape_bytes += len(shape) + _ENTRY
            if self._shape_bytes > _SHAPE_BYTES:
                self._shapes.clear()
                self._shape_bytes = len(shape) + _ENTRY
            self._shapes[shape] = signs
        for order, parts, unless, _shapes in signs:
            for part in parts:  # in half the time of all()
                if part not in line:
                    break
            else:
                if not unless or not any(part in line for part in unless):
                    return order
        return None

    def _possible(self, shape: bytes) -> list[_Sign]:
        """The signs that lines of this shape may have, in the order of the table."""
        words = self._known.intersection(_words(shape))
        signs = self._words.get(words)
        if signs is None:
            signs = [(sign.shapes[0], sign) for sign in sorted(sign for word in words for sign in self._signs[word])]
            if len(self._words) < _WORD_SETS:
                self._words[words] = signs
        # The longest part first, without all(), which takes the most of a log whose lines all differ.
        likely = [sign for longest, sign in signs if longest in shape]
        return [sign for sign in likely if all(part in shape for part in sign.shapes)]


def example(line: bytes) -> str:
    """What a log line says, for people: its message and error, without secrets and time, of at most 400 characters."""
    line = _SVLOGD.sub(b"", _POD.sub(b"", line, count=1), count=1)
    text = line.decode(errors="replace").strip()
    try:
        entry = json.loads(text[text.index("{") :])
    except (ValueError, RecursionError):
        entry = None
    if isinstance(entry, Mapping):
        told = [str(entry[name]) for name in (*_MESSAGES, *_DETAILS) if entry.get(name)]
        text = ": ".join(told) or text
    # Twice, because a secret may stand behind quotes that JSON or another text has escaped.
    text = mask_text(mask_text(" ".join(text.split())).replace("\\", ""))
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _EXAMPLE else text[: _EXAMPLE - 1] + "…"


def time_of(line: bytes) -> str:
    """The first time in a line, in UTC, such as 2025-02-20T21:56:20Z; '' if there is none.

    Without Z if the line names no time zone; svlogd, whose date and time have _ between them, writes UTC.
    """
    match = _TIME.search(line)
    if match is None:
        return ""
    if match[1]:
        parts, zone = match.group(1, 2, 3, 4, 5, 6), match[7] or b""
        if not zone and line[match.start() + 10 : match.start() + 11] == b"_":
            zone = b"Z"
    else:
        month = _MONTHS.find(match[9]) // 3 + 1
        parts, zone = (match[10], b"%02d" % month, match[8], *match.group(11, 12, 13)), match[14]
    text = "{}-{}-{}T{}:{}:{}".format(*(part.decode() for part in parts))
    if zone in (b"", b"Z"):
        return text + zone.decode()
    try:
        hours, minutes = int(zone[:3]), int(zone[-2:]) * (-1 if zone[:1] == b"-" else 1)
        there = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S") - timedelta(hours=hours, minutes=minutes)
    except (ValueError, OverflowError):  # no such day, such as 31/Xyz
        return ""
    return f"{there:%Y-%m-%dT%H:%M:%S}Z"


def hours_ago(hours: int, now: float) -> str:
    """The time so many hours before now, as time_of writes it; now is seconds since 1970."""
    return f"{datetime.fromtimestamp(now - hours * 3600, timezone.utc):%Y-%m-%dT%H:%M:%S}Z"


def logs(path: Path, since: float = 0) -> Iterator[Path]:
    """The logs at a path: itself, or those in the directory and below it, the oldest first.

    since: files that were last written before that are left out; seconds since 1970. Raises LogError.
    """
    try:
        if not path.is_dir():
            path.stat()
            yield path
            return
        files = [file for file in sorted(path.rglob("*")) if _is_log(file)]
        # The names of svlogd are times; current comes last.
        for file in sorted(files, key=lambda file: file.name == "current"):
            if file.stat().st_mtime >= since:
                yield file
    except OSError as error:
        raise _log_error(path, error) from error


def _is_log(file: Path) -> bool:
    """svlogd's own names, and those of whoever writes NAME.log and rotates it; not its configuration and lock."""
    name = file.name
    rotated = name.startswith("@") and not name.endswith(".t")  # .t is what svlogd is at work on
    return (rotated or name == "current" or re.search(r"\.log\b", name) is not None) and file.is_file()


@contextmanager
def opened(path: Path) -> Iterator[Log]:
    """A file as a log, whatever it is packed with, also in UTF-16. Raises LogError, also while it is read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise LogError(f"{path} is no file; name a file or a directory.")
        with path.open("rb") as file:
            yield Log(str(path), _text(path, _blocks(path, file)))
    except OSError as error:
        raise _log_error(path, error) from error


def _blocks(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    begin = file.read(6)
    file.seek(0)
    reader: Any = file
    if begin.startswith(b"\x1f\x8b"):
        reader = gzip.GzipFile(fileobj=file)
    elif begin.startswith(b"BZh"):
        import bz2  # a Python may have been built without it

        reader = bz2.BZ2File(file)
    elif begin == b"\xfd7zXZ\0":
        import lzma

        reader = lzma.LZMAFile(file)  # noqa: SIM115 - closed with the file in it
    pieces: list[bytes] = []
    size = 0
    error = None
    while True:
        try:
            piece = reader.read1(_BLOCK)  # not read(), which keeps what stands before the damage to itself
        except Exception as caught:  # EOFError, zlib.error, lzma.LZMAError, an OSError or ValueError of each package
            piece, error = b"", caught
        pieces.append(piece)
        size += len(piece)
        if size >= _BLOCK or not piece:
            yield b"".join(pieces)
            pieces, size = [], 0
        if not piece:
            break
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    if error is not None:
        raise LogError(f"{path} is damaged, so only its beginning was read ({error}).") from error


def _text(path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks as they are; those of UTF-16, which PowerShell writes, as UTF-8."""
    decoder = None
    for number, block in enumerate(blocks):
        if number == 0 and block[:2] in (b"\xff\xfe", b"\xfe\xff"):
            decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
        elif number == 0 and b"\0" in block[:1024]:
            raise LogError(f"{path} is no text, so it was not read.")
        yield decoder.decode(block).encode() if decoder else block


def _log_error(path: Path, error: OSError) -> LogError:
    if error.errno == errno.ENOENT:
        return LogError(f"{path} does not exist; correct the path.")
    why = os.strerror(error.errno) if error.errno else str(error)
    return LogError(f"{path} cannot be read ({why}); {remedy(error)}.")


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, parted behind ends of lines; within a line only if it is longer than a block."""
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end] if rest else block[:end]
            rest = block[end:]
        else:
            rest += block
        if len(rest) > _BLOCK:
            yield rest
            rest = b""
    if rest:
        yield rest


def _marked(block: bytes) -> Iterable[bytes]:
    """The lines with a mark in them; all lines where most have one."""
    starts: set[int] = set()
    most = len(block) // _DENSE + 16
    for mark in _MARKS + (_STATUSES if _ACCESS in block else ()):
        at = block.find(mark)
        while at >= 0:
            starts.add(block.rfind(b"\n", 0, at) + 1)
            if len(starts) > most:
                return block.split(b"\n")
            end = block.find(b"\n", at)
            at = block.find(mark, end) if end >= 0 else -1
    return [_line_at(block, start) for start in sorted(starts)]


def _line_at(block: bytes, start: int) -> bytes:
    end = block.find(b"\n", start)
    return block[start:] if end < 0 else block[start:end]


def _times_around(block: bytes) -> tuple[str, str]:
    """The times of the first and the last line, '' where they have none."""
    last = block.rstrip(b"\n")
    return time_of(_line_at(block, 0)[:_LINE]), time_of(last[last.rfind(b"\n") + 1 :][:_LINE])


def _longest_word(parts: Iterable[bytes]) -> bytes:
    return max((word for part in parts for word in _words(_shape(part))), key=len)


def _words(shape: bytes) -> list[bytes]:
    return shape.translate(_ONLY_WORDS).split()


def _shape(line: bytes) -> bytes:
    """What is left of a line without the characters of which ids are made."""
    return line.translate(None, _VARIABLE)
