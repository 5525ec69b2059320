# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ruby takes for a name in a gitlab.rb, and nobody meant as one: words of Python or YAML, characters of the web.

Both are valid Ruby, and end in an error when the file is evaluated (mixlib-config: "Reading unsupported config value",
Ruby: "uninitialized constant").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._characters import instead, quotes, shown, strange
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Outline, Word

_MEANT = {
    **dict.fromkeys(["True", "TRUE", "Yes", "YES", "yes", "On", "ON", "on"], "true"),
    **dict.fromkeys(["False", "FALSE", "No", "NO", "no", "Off", "OFF", "off"], "false"),
    **dict.fromkeys(["None", "NONE", "Nil", "NIL", "Null", "NULL", "null", "none", "undefined"], "nil"),
}


class Mistake(NamedTuple):
    """A line, what is wrong there, and what to write."""

    line: int
    why: str
    remedy: str


def mistakes(outline: Outline) -> Iterator[Mistake]:
    """What would end in an error of Ruby's, in the order of the lines; one for all lines of a kind."""
    found = [*_characters(word for word in outline.words if word.is_name), *_words(outline)]
    yield from sorted(found)


def characters_behind(words: Sequence[Word], line: int) -> list[Mistake]:
    """The characters that may be why a text is no Ruby: those in names, else quotes in a text up to that line."""
    in_names = list(_characters(word for word in words if word.is_name))
    texts = (Word(word.line, True, "".join(quotes(word.text))) for word in words if word.line <= line)
    return in_names or list(_characters(texts))


def _characters(words: Iterable[Word]) -> Iterator[Mistake]:
    # What the name is stays unsaid: between quotes of the web it may be a secret.
    bad = [(word.line, char) for word in words for char in strange(word.text)]
    if bad:
        lines, chars = (
            list(dict.fromkeys(line for line, _char in bad)),
            list(dict.fromkeys(char for _line, char in bad)),
        )
        why = f"{shown(chars)} is no sign to Ruby and only looks like one{_also(lines[1:])}"
        if len(chars) > 1:
            why = f"{shown(chars)} are no signs to Ruby and only look like ones{_also(lines[1:])}"
        yield Mistake(lines[0], why, instead(chars))


def _words(outline: Outline) -> Iterator[Mistake]:
    mentions = [mention for statement in outline.statements for mention in statement.mentions]
    own = {mention.name for mention in mentions if mention.access == "change"} | set(outline.locals)
    found: dict[str, list[int]] = {}
    for mention in mentions:
        is_known = mention.name in own or (mention.name[0].isupper() and mention.name not in outline.unknown)
        is_bare = mention.access == "read" and not mention.keys and not mention.deferred
        if mention.name in _MEANT and is_bare and not is_known:
            found.setdefault(mention.name, []).append(mention.line)
    for name, lines in found.items():
        lines = list(dict.fromkeys(lines))
        yield Mistake(
            lines[0],
            f"Ruby knows no {name}, so gitlab-ctl reconfigure would fail{_also(lines[1:])}",
            f"write {_MEANT[name]}",
        )


def _also(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    return f", also in line{'s' if lines[1:] else ''} {', '.join(map(str, lines))}"
