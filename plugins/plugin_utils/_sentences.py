# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences about hosts: what is refused, found or worth a warning; and which hosts fail with one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Sentence:
    """Something that is said of hosts."""

    hosts: Sequence[str]
    text: str  # what follows their names, with a full stop
    is_unreachable: bool = False  # they do not answer
    fails: Sequence[str] = ()  # the hosts of the play that fail with it

    def __str__(self) -> str:
        return f"{', '.join(self.hosts)}: {self.text}"


def of(host: str, texts: Iterable[str]) -> list[Sentence]:
    """The sentences about one host."""
    return [Sentence((host,), text) for text in texts]


def joined(sentences: Iterable[Sentence]) -> list[Sentence]:
    """The same text is said once, with the names of all its hosts, where it comes first."""
    said: dict[tuple[str, bool], dict[str, None]] = {}
    for each in sentences:
        said.setdefault((each.text, each.is_unreachable), {}).update(dict.fromkeys(each.hosts))
    return [Sentence(tuple(hosts), *key) for key, hosts in said.items()]


def with_fails(
    sentences: Iterable[Sentence], in_play: Collection[str], deployments: Mapping[str, str]
) -> list[Sentence]:
    """The same, with the hosts of the play that fail.

    A sentence fails the hosts that it is about. One about hosts outside of the play fails all that wait for them: the
    hosts of the play that are of the same deployment. deployments maps every host to the name of its own.
    """
    decided = []
    for each in sentences:
        waiting = {deployments[host] for host in each.hosts}
        fails = [host for host in each.hosts if host in in_play]
        fails = fails or [host for host in in_play if deployments[host] in waiting]
        decided.append(replace(each, fails=tuple(fails)))
    return decided


def failure(host: str, sentences: Sequence[Sentence]) -> dict[str, Any]:
    """How one host fails, in the terms of a task's result; empty if nothing is said of it.

    The first of the hosts that fail with a sentence says it, the others name that one.
    """
    mine = [each for each in sentences if host in each.fails]
    if not mine:
        return {}
    lines = [str(each) for each in mine if each.fails[0] == host]
    others = dict.fromkeys(each.fails[0] for each in mine if each.fails[0] != host)
    if others:
        lines.append(f"{host}: what is said of {' and of '.join(others)} is about this host, too.")
    is_unreachable = any(each.is_unreachable for each in mine)
    return {"unreachable" if is_unreachable else "failed": True, "msg": "\n".join(lines)}
