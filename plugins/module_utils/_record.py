# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was changed on a node, kept there so that it can be taken back, and only that.

A thing is a setting of a gitlab.rb, or a file; its name is a path. The record holds what each thing was before the
first change, and the digest of what it was made. Who changes a thing by other means has it from then on. No secret is
kept: what may hold one is known by its digest alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, keep

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


class Record:
    """The changes on record, by name. Raises FileError where the file cannot be read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.changes = _load(path)

    def note(self, name: Name, before: Mark, after: Mark) -> None:
        """Add a change that is about to be made.

        A run may die between save() and the change, so what the thing is before counts as made, too.
        """
        known = self.changes.get(name)
        if known and before.digest in known.made:
            self.changes[name] = Change(known.before, (before.digest, after.digest))
        else:
            self.changes[name] = Change(before, (after.digest,))

    def is_ours(self, name: Name, now: Mark) -> bool:
        """Whether a thing is still what it was made, and not what it was before."""
        before, made = self.changes[name]
        return now.digest in made and now.digest != before.digest

    def save(self) -> None:
        """Write the record, for root alone. Raises FileError."""
        keep(self.path, [{"name": name, **change._asdict()} for name, change in self.changes.items()])

    def forget(self) -> None:
        """Take the record away. Raises FileError."""
        try:
            Path(self.path).unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"{self.path} cannot be removed ({error.strerror}); run with become: true.") from error
        self.changes = {}


def digest(content: bytes) -> str:
    """The SHA-256 of what a thing is, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _load(path: str) -> dict[Name, Change]:
    try:
        return {
            tuple(entry["name"]): Change(Mark(*entry["before"]), tuple(entry["made"]))
            for entry in json.loads(Path(path).read_bytes())
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(
            f"{path} is damaged, so what was changed on this node is not known any more; move it away to go on without."
        ) from error
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}); run with become: true.") from error
