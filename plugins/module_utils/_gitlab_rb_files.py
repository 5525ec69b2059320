# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gitlab.rb and a file of ours that it includes, changed together.

All our settings stand in one file: in gitlab.rb, or in one of their own, which gitlab.rb includes. What the record
says of any other file is taken back there, so going from one way to the other leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import (
    Change,
    GitlabRb,
    GitlabRbError,
    without,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import Path, show
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import Record
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby, literal


class Write(NamedTuple):
    """A file that becomes another one; None where there is none."""

    path: str
    old: bytes | None
    new: bytes | None


class GitlabRbFiles:
    """The files as they are and as they will be.

    ``path`` is gitlab.rb, ``include`` the file for our settings, if they are not to stand in gitlab.rb; ``record`` says
    which other files held some. ``read`` gives the content of a file or None, ``read_included`` that of a file that is
    none of ours (OSError where it cannot). Raises GitlabRbError, and whatever ``read`` raises.
    """

    def __init__(
        self,
        ruby: Ruby,
        path: str,
        *,
        read: Callable[[str], bytes | None],
        read_included: Callable[[str], bytes],
        include: str | None = None,
        record: Record | None = None,
        commented: Sequence[tuple[str, str | None]] = (),
    ) -> None:
        if include is not None and (not include.startswith("/") or os.path.realpath(include) == os.path.realpath(path)):
            raise GitlabRbError(
                f"{include} cannot be the file that {path} includes; give the absolute path of another."
            )
        self._ruby, self._path, self._include, self._commented = ruby, path, include, commented
        self._read_included = read_included
        self._record = record
        self._documents: dict[tuple[object, ...], GitlabRb] = {}
        on_record = [name[0] for name in record.changes if name[0].startswith("/")] if record else []
        self._own = list(dict.fromkeys([*([include] if include else []), *on_record]))
        self._old = {name: read(name) for name in (path, *self._own)}
        self._new = dict(self._old)
        self.names: list[str] = []
        self.taken_back: list[Path] = []  # names on record
        self.restored: list[str] = []
        self.left: list[str] = []

    @property
    def paths(self) -> list[str]:
        """gitlab.rb, and the files of ours beside it that hold settings or held some."""
        return list(self._old)

    @property
    def target(self) -> str:
        """The file in which our settings stand."""
        return self._include or self._path

    def document(self, path: str | None = None) -> GitlabRb:
        """A file as it will be; gitlab.rb, unless another one is named."""
        return self._document(path or self._path, self._new)

    def on_record(self, path: Path) -> Path:
        """The name that a setting of ours has on record."""
        return (self._include, *path) if self._include else path

    def change(self, settings: Mapping[str, Any], remove: Mapping[str, Any], let_go: Iterable[Path] = ()) -> None:
        """Make these settings be in effect and those named in ``remove`` not set; restore what is let go on record."""
        was = self.document()
        let_go = set(let_go)
        on_record: dict[str, list[Path]] = {}
        for name in self._record.changes if self._record else ():
            file, path = (name[0], name[1:]) if name[0].startswith("/") else (self._path, name)
            if file != self.target or name in let_go:
                self.taken_back.append(name)
                on_record.setdefault(file, []).append(path)
        back = {file: self._restore(file, paths, self._record) for file, paths in on_record.items() if self._record}
        for file in self._own:
            if file != self._include:
                self._exclude(file)
        if self._include:
            settings = self._document(self._path, {**self._new, self._include: b""}).without_hashes_there(settings)
        remove = without(remove, back.get(self.target, {}))
        self._settle(self.target, self.document(self.target).change(settings, remove))
        if self._include and self._new[self._include] is not None:
            self._line(self.document().including(self._include, settings), self._include)
            self.document().refuse_what_beats(self._include, settings, remove, was)
        elif self._include:
            self._exclude(self._include)

    def note(self, record: Record, settings: Mapping[str, Any], remove: Mapping[str, Any]) -> None:
        """Put on record what became of these settings."""
        before, after = self._document(self.target, self._old), self.document(self.target)
        before.note(record, Change(after, ()), settings, remove)

    def writes(self) -> list[Write]:
        """What to write, in order: a file before the line that includes it, and that line goes before its file."""
        first = [self._include] if self._include and self._new[self._include] is not None else []
        order = [*first, self._path, *(file for file in self._own if file not in first)]
        return [Write(file, self._old[file], self._new[file]) for file in order if self._old[file] != self._new[file]]

    def warnings(self) -> list[str]:
        """Which lines of gitlab.rb that change another tool seems to write."""
        before, after = self._document(self._path, self._old), self.document()
        return before.warnings_of(Change(after, tuple(self.names) if before.text != after.text else ()))

    def masked_diff(self) -> str:
        """The lines that differ, with every secret masked."""
        return "".join(
            self._document(path, self._old).masked_diff(self.document(path)) for path, _old, _new in self.writes()
        )

    # -- Inside --

    def _document(self, path: str, texts: Mapping[str, bytes | None]) -> GitlabRb:
        key = (path, *texts.items())
        if key not in self._documents:
            self._documents[key] = self._outlined(path, dict(texts))
        return self._documents[key]

    def _outlined(self, path: str, texts: Mapping[str, bytes | None]) -> GitlabRb:
        def read_file(name: str) -> bytes:
            text = texts[name] if name in texts else self._read_included(name)
            if text is None:
                raise FileNotFoundError(name)
            return text

        is_new = self._include and self._old[self._include] is None and texts[self._include] is not None
        return GitlabRb(
            texts[path] or b"",
            self._ruby,
            path=path,
            read_file=read_file,
            upcoming=self._include if is_new else None,
            commented=self._commented,
            is_included=path != self._path,
        )

    def _restore(self, file: str, paths: Sequence[Path], record: Record) -> Mapping[str, Any]:
        """Take back what is on record of a file; the settings that have a value again."""
        restored = self.document(file).restored(record, paths)
        self._settle(file, Change(restored.document, restored.names))
        self.left += restored.left
        self.restored += [name for name in map(show, paths) if name in restored.names]
        return restored.settings

    def _settle(self, file: str, change: Change) -> None:
        """A file of ours goes with the last thing in it."""
        self.names += [name for name in change.names if name not in self.names]
        if change.text != (self._new[file] or b""):
            self._new[file] = change.text if change.text.strip() or file == self._path else None

    def _line(self, document: GitlabRb, file: str) -> None:
        """Note a gitlab.rb that has a line for this file now, or has it no more."""
        if document.text != self._new[self._path]:
            self._settle(self._path, Change(document, (f"from_file {literal(file)}",)))

    def _exclude(self, file: str) -> None:
        """See that no line of ours includes a file, and that no line of somebody else's needs one that goes."""
        self._line(self.document().not_including(file), file)
        if self._new[file] is None and self._old[file] is not None:
            self._new[file] = b""
            if not self.document().needs(file):
                self._new[file] = None
