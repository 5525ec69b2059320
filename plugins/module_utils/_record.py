# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was changed on a node, kept there so that it can be taken back, and only that.

A thing is a setting of a gitlab.rb, or a file; its name is a path. The record holds what each thing was before the
first change, the digest of what it was made, and for whom. Who changes a thing by other means has it from then on. No
secret is kept: what may hold one is known by its digest alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, keep, remedy

Name = tuple[str, ...]


class Mark(NamedTuple):
    """What a thing is at one moment."""

    digest: str  # '' where there is nothing
    is_kept: bool = False  # whether value says it
    value: Any = None


NOTHING = Mark("", is_kept=True)


class Change(NamedTuple):
    """What became of a thing."""

    before: Mark
    made: tuple[str, ...]  # by digest: what it was made last, and what that replaced if it was ours, too
    asked_by: tuple[str, ...] = ()  # those who ask for it; none where that is not known


class Record:
    """The changes on record, by name. Raises FileError where the file cannot be read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.changes = _load(path)
        self._saved = dict(self.changes)

    def note(self, name: Name, before: Mark, after: Mark) -> None:
        """Add a change that is about to be made.

        A run may die between save() and the change, so what the thing is before counts as made, too.
        """
        known = self.changes.get(name)
        if known and before.digest in known.made:
            self.changes[name] = known._replace(made=(before.digest, after.digest))
        else:
            self.changes[name] = Change(before, (after.digest,))

    def claim(self, asked: Mapping[str, Collection[Name]]) -> list[Name]:
        """Note who asks for what; returns what nobody asks for any more, which stays on record as it is.

        Only those count who are named here: what others asked for stays theirs. A name stands for all below it.
        """
        let_go = []
        for name, change in self.changes.items():
            here = {who for who, names in asked.items() if any(_overlap(name, each) for each in names)}
            asked_by = tuple(sorted(here | (set(change.asked_by) - set(asked))))
            if change.asked_by and not asked_by:
                let_go.append(name)
            else:
                self.changes[name] = change._replace(asked_by=asked_by)
        return let_go

    def is_ours(self, name: Name, now: Mark) -> bool:
        """Whether a thing is still what it was made, and not what it was before."""
        change = self.changes[name]
        return now.digest in change.made and now.digest != change.before.digest

    @property
    def is_changed(self) -> bool:
        """Whether it says something that is not saved."""
        return self.changes != self._saved

    def save(self) -> None:
        """Write the record, for root alone, if it says something new. Raises FileError."""
        if self.is_changed:
            keep(self.path, [{"name": name, **change._asdict()} for name, change in self.changes.items()])
            self._saved = dict(self.changes)

    def forget(self, names: Collection[Name]) -> None:
        """Take changes off the record, and with the last one its file. Raises FileError."""
        self.changes = {name: change for name, change in self.changes.items() if name not in names}
        if self.changes:
            self.save()
            return
        try:
            Path(self.path).unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"{self.path} cannot be removed ({error.strerror}); {remedy(error)}.") from error


def digest(content: bytes) -> str:
    """The SHA-256 of what a thing is, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _load(path: str) -> dict[Name, Change]:
    try:
        return {
            tuple(entry["name"]): Change(Mark(*entry["before"]), tuple(entry["made"]), tuple(entry.get("asked_by", ())))
            for entry in json.loads(Path(path).read_bytes())
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(
            f"{path} is damaged, so the changes made on this node are no longer known; move it away to continue"
            " without it."
        ) from error
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}); {remedy(error)}.") from error


def _overlap(mine: Name, theirs: Name) -> bool:
    return all(a == b for a, b in zip(mine, theirs))
