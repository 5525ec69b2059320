# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an edit of gitlab.rb must do: the settings asked for, nothing else, and every other byte."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import Reading, unreadable_as
from grammar import SECTIONS, GeneratedFile, Name, Settings, leaves, value_at
from referee import Typed, typed

HASHES = ("config_mash", "mash", "hash")


def hash_of(value: Typed) -> dict[str, Typed] | None:
    """The pairs of a typed hash, None for anything else."""
    if isinstance(value, dict):
        for kind in HASHES:
            if kind in value:
                return value[kind]
    return None


def without_nothing(value: Typed) -> Typed:
    """A tree in which nil and a hash without keys count as not there: to the package they say nothing."""
    pairs = hash_of(value)
    if pairs is None:
        return value
    inner = {key: without_nothing(item) for key, item in pairs.items()}
    return {next(iter(value)): {key: item for key, item in inner.items() if item is not None and hash_of(item) != {}}}


def expected(before: Mapping[str, Typed], settings: Settings, remove: Settings) -> dict[str, Typed]:
    """The settings after a change: asked ones merged in, removed ones gone, the others as before."""
    after = copy.deepcopy(dict(before))
    for name, value in settings.items():
        if isinstance(value, Mapping):
            _merge(after, name, value, "config_mash")
        else:
            after[name] = typed(value, "hash")
    for name, inner in remove.items():
        section = hash_of(after.get(name))
        if inner is None:
            after[name] = {"config_mash": {}} if name in SECTIONS else None
        elif section is not None:
            _remove(section, inner)
    return after


def _merge(holder: dict[str, Typed], key: str, value: Any, kind: str) -> None:
    """Set a value of a hash of this kind; what stands in a mash becomes one."""
    if not isinstance(value, Mapping):
        holder[key] = typed(value, kind)
        return
    if hash_of(holder.get(key)) is None:
        holder[key] = {kind: {}}
    ((inner_kind, inner),) = holder[key].items()
    for name, item in value.items():
        _merge(inner, f"s:{name}", item, inner_kind)


def _remove(pairs: dict[str, Typed], tree: Settings) -> None:
    for key, inner in tree.items():
        found = hash_of(pairs.get(f"s:{key}"))
        if inner is None:
            pairs.pop(f"s:{key}", None)
        elif found:
            _remove(found, inner)
            if not found:  # an emptied hash says nothing; see same_settings
                del pairs[f"s:{key}"]


def same_settings(
    actual: Mapping[str, Typed], wanted: Mapping[str, Typed], remove: Settings, may_be_read: bool
) -> bool:
    """Equal; a hash that lost its last key by the change may stay as an empty hash.

    Where the file may read a removed setting, it may be one, too: reading what is not set makes an empty hash.
    """
    actual = copy.deepcopy(dict(actual))
    for name, inner in remove.items():
        section, should = hash_of(actual.get(name)), hash_of(wanted.get(name))
        for key, deeper in (inner or {}).items():
            if section is not None and should is not None and (may_be_read or isinstance(deeper, Mapping)):
                pair = f"s:{key}"
                if pair not in should and hash_of(section.get(pair)) == {}:
                    del section[pair]
    return actual == wanted


def differences(actual: Mapping[str, Typed], wanted: Mapping[str, Typed], above: str = "") -> list[str]:
    """For people: where two results differ."""
    found: list[str] = []
    for key in sorted({*actual, *wanted}):
        if key not in actual or key not in wanted or actual[key] != wanted[key]:
            one, other = hash_of(actual.get(key)), hash_of(wanted.get(key))
            if one is not None and other is not None and one != other:
                found += differences(one, other, f"{above}{key} / ")
            else:
                nothing = "(nothing)"
                found.append(f"{above}{key}: is {actual.get(key, nothing)}, should be {wanted.get(key, nothing)}")
    return found


def untouched(file: GeneratedFile, asked: Iterable[Name], strict: bool = True) -> list[bytes]:
    """The parts of the file that no change of the asked settings may alter, in order.

    A part ends where an edit may begin: at a touched piece, and at a line end, where statements may be inserted.
    Not strict is for removals: what stands around a removed statement or pair (blanks, separators, in a hash also
    the comment beside it) may go with it.
    """
    asked = list(asked)
    parts: list[bytes] = []
    for piece in file.pieces:
        if any(map(piece.touched_by if strict else piece.is_about, asked)):
            continue
        text = piece.text.encode()
        parts += text.splitlines(keepends=True) if strict else (word for word in text.split() if word.strip(b";,"))
    return parts


def missing_part(parts: Iterable[bytes], text: bytes) -> bytes | None:
    """The first of the parts that does not stand in the text after the parts before it; None when all do."""
    position = 0
    for part in parts:
        found = text.find(part, position)
        if found < 0:
            return part
        position = found + len(part)
    return None


def into_no_hash(before: Mapping[str, Typed], file: GeneratedFile, settings: Settings, remove: Settings) -> bool:
    """Whether a hash is asked for where another value stands, or one that only running the file would tell."""
    for name in (*leaves(settings), *leaves(remove)):
        holders = len(name) + isinstance(value_at(settings, name), Mapping)
        for size in range(2, holders):
            if name[:size] in file.computed:
                return True
            value = hash_of(before.get(name[0])) or {}
            for key in name[1:size]:
                pair = f"s:{key}"
                if pair in value and hash_of(value[pair]) is None:
                    return True
                value = hash_of(value.get(pair)) or {}
    return False


def misread(read: Any, real: Typed, above: str = "") -> list[str]:
    """Where what was read from the text, as plain values, differs from what Ruby says. Symbols read as their names."""
    if isinstance(read, Mapping):
        pairs = hash_of(real) or {}
        return [text for key, item in read.items() for text in misread(item, pairs.get(f"s:{key}"), f"{above}/{key}")]
    return [] if _plain(typed(read)) == _plain(real) else [f"{above} was read as {read!r}, but is {real}"]


def overlooked(reading: Reading, real: Typed, path: Name) -> list[str]:
    """What Ruby says is set, of which the reading says that it is not. A hash without keys is as good as not set."""
    pairs = hash_of(_plain(real))
    if pairs is not None:
        names = {key: (*path, key.split(":", 1)[1]) for key in pairs}
        return [text for key, item in pairs.items() for text in overlooked(reading, item, names[key])]
    if real is None or unreadable_as(path, reading.unreadable):
        return []
    above = value_at(reading.settings, path[:-1]) if path[1:] else reading.settings
    return [] if isinstance(above, Mapping) and path[-1] in above else [f"{path} is {real}, but was read as not set"]


def _plain(value: Typed) -> Typed:
    """Symbols as strings, also in lists and hashes."""
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "y":
        return {"s": inner}
    if kind == "a":
        return {"a": [_plain(item) for item in inner]}
    if kind in HASHES:
        return {"hash": {re.sub(r'^\{"y":"(.*)"\}$', r"s:\1", key): _plain(item) for key, item in inner.items()}}
    return value
