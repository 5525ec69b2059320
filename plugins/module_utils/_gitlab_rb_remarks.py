# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comments of a gitlab.rb that say that another tool writes it, or a part of it.

Tools mark a part by two comments that differ in BEGIN and END alone (Ansible's blockinfile, concat of Puppet, many
scripts), and a whole file by a word at its head («Ansible managed», «This file is managed by Puppet. DO NOT EDIT»).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOOLS = (
    r"(?:ansible|puppet|chef|cinc|salt(?:stack)?|terraform|opentofu|pulumi|cloud-?init|cfengine|rudder|consul-template"
    r"|confd|kustomize|helm|packer|foreman)"
)
_DONE = r"(?:managed|maintained|generated|auto-?generated|controlled|rendered|templated|provisioned|deployed|written)"
_WRITER = re.compile(
    rf"\b(?<!will be ){_DONE}\s+(?:automatically\s+)?(?:by|with|from|using|via)\b|\b{_TOOLS}[ _-]+{_DONE}\b"
    rf"|\b(?:automatically|auto)[ -]?{_DONE}\b|\b(?:by|with|from|via)\s+{_TOOLS}\b"
    r"|\bdo(?:n't| not) (?:edit|modify|change|touch) (?:this|the|by|manually|it|below|anything)\b|\bdo not edit\b"
    r"|\b(?:changes|edits|modifications)\b.*\b(?:be|get|are) (?:lost|overwritten|overridden|reverted|discarded)\b",
    re.IGNORECASE,
)
_BELOW = re.compile(r"\bbelow\b", re.IGNORECASE)
_EDGE = re.compile(r"(?P<begin>\b(?:BEGIN|START)\b|>>>)|(?P<end>\b(?:END|STOP)\b|<<<)")
_ANY_CASE = re.compile(_EDGE.pattern, re.IGNORECASE)
_PEM = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]+-----")
_OWN = "kasops.gitlab_kas"
_REMARK_OF_THE_PACKAGE = re.compile(r"#+!")


class Comment(NamedTuple):
    """A comment; ``alone`` if nothing else stands on its line."""

    line: int
    text: str
    alone: bool


class Foreign(NamedTuple):
    """Lines that another tool seems to write, and the comment that says so."""

    first: int
    last: int
    line: int
    says: str
    is_block: bool

    def holds(self, line: int) -> bool:
        return self.first <= line <= self.last


def foreign(comments: Sequence[Comment], code: Sequence[tuple[int, int]], last: int) -> list[Foreign]:
    """What other tools seem to write. ``code`` are the lines of the statements, ``last`` is the last one of the file.

    A word before any code speaks of the whole file, one right above or behind a statement of that statement.
    """
    ours = [each for each in comments if not _REMARK_OF_THE_PACKAGE.match(each.text) and _OWN not in each.text]
    found = list(_blocks([each for each in ours if each.alone]))
    edges = {line for each in found for line in (each.first, each.last)}
    begin = min((first for first, _last in code), default=last + 1)
    lines_of_comments = {each.line for each in comments if each.alone}
    for comment in ours:
        if comment.line in edges or not _WRITER.search(comment.text):
            continue
        below = comment.line
        while below + 1 in lines_of_comments:
            below += 1
        is_head = comment.alone and comment.line < begin
        if is_head or (comment.alone and _BELOW.search(comment.text)):
            found.append(Foreign(1 if is_head else comment.line, last, comment.line, _words(comment.text), False))
            continue
        at = below + 1 if comment.alone else comment.line
        found += [
            Foreign(first, end, comment.line, _words(comment.text), True)
            for first, end in code
            if (first == at if comment.alone else first <= at <= end)
        ]
    return found


def _blocks(comments: Sequence[Comment]) -> Iterator[Foreign]:
    """Pairs of comments that differ in BEGIN and END alone."""
    opened: list[tuple[str, Comment]] = []
    for comment in comments:
        text = comment.text
        edge = _EDGE.search(text) or (_ANY_CASE.search(text) if _WRITER.search(text) or _names_tool(text) else None)
        if not edge or _PEM.search(text):
            continue
        name = re.sub(r"[\W_]+", " ", _ANY_CASE.sub(" ", text)).strip().casefold()
        if edge["begin"]:
            opened.append((name, comment))
            continue
        for number in reversed(range(len(opened))):
            if opened[number][0] == name:
                first = opened[number][1]
                del opened[number:]
                yield Foreign(first.line, comment.line, first.line, _words(first.text), True)
                break


def _names_tool(text: str) -> bool:
    return bool(re.search(rf"\b{_TOOLS}\b", text, re.IGNORECASE))


def _words(comment: str) -> str:
    """What a comment says, without its signs and not too long."""
    text = comment.strip().strip("#").strip()
    return text if len(text) <= 60 else f"{text[:57]}…"
