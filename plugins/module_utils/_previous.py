# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a gitlab.rb as they were when they were last in effect, kept so that they can be put back.

A change that was never applied, because its reconfigure failed, takes nothing away from what is kept: the next try
keeps what was there before the first one. What is kept holds the whole files, so root alone may read it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _files
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_files import Write
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import digest

_LIST = "files.json"


class Kept(NamedTuple):
    """A file that was changed."""

    path: str
    copy: str  # where its content from before lies; '' where there was no such file
    made: list[str]  # the digests of what it was made, and of what that replaced; '' where there is no file


def keep(directory: str, writes: Sequence[Write], *, in_effect: bool) -> list[Kept]:
    """Keep what these files are before they change; in_effect says whether what they say now was ever applied.

    Raises FileError, and then nothing has changed but what is kept.
    """
    older = _load(directory)
    if in_effect or not all(_now(each.path) in each.made for each in older):
        older = []
    found = {each.path: each for each in older}
    for write in writes:
        copy = found[write.path].copy if write.path in found else _copied(directory, write)
        # A run may die between this and the change.
        found[write.path] = Kept(write.path, copy, [_digest(write.old), _digest(write.new)])
    kept = list(found.values())
    _files.keep(_list(directory), [each._asdict() for each in kept])
    return kept


def restore(directory: str, *, check_mode: bool = False) -> list[str]:
    """Put the files back that the last change made, and say which; none if all are as they were.

    One that somebody has changed since stays, and so do all others. Raises FileError.
    """
    kept = _load(directory)
    if not kept:
        raise FileError(f"{directory} keeps no file, so nothing can be put back; give the directory of a change.")
    changed = []
    for each in kept:
        now = _now(each.path)
        if now == (_now(each.copy) if each.copy else ""):
            continue
        if now not in each.made:
            raise FileError(
                f"{each.path} was changed by other means since, so it is not put back; correct it by hand, or compare"
                f" it with {each.copy or 'what you know of it'} first. The file is unchanged."
            )
        changed.append(each)
    for each in changed if not check_mode else ():
        content = _files.read_if_there(each.path)
        if each.copy:
            _files.write(each.path, _files.read(each.copy), expected=content)
        elif content is not None:
            _files.remove(each.path, expected=content)
    return [each.path for each in changed]


def forget(directory: str, *, check_mode: bool = False) -> bool:
    """Remove what is kept; whether there was anything. Raises FileError."""
    if not Path(directory).exists():
        return False
    try:
        for file in Path(directory).iterdir() if not check_mode else ():
            file.unlink()
        if not check_mode:
            Path(directory).rmdir()
    except OSError as error:
        raise FileError(f"{directory} cannot be removed ({error.strerror}); {_files.remedy(error)}.") from error
    return True


def command(kept: Sequence[Kept]) -> str:
    """What a person types on the node to have it all back, and in effect."""
    steps = [f"cp {shlex.quote(each.copy)} {shlex.quote(each.path)}" for each in kept if each.copy]
    steps += [f"rm -f {shlex.quote(each.path)}" for each in kept if not each.copy]
    return " && ".join([*steps, "gitlab-ctl reconfigure"])


def _copied(directory: str, write: Write) -> str:
    if write.old is None:
        return ""
    copy = f"{directory}/{write.path.strip('/').replace('/', '-')}"
    _files.make_directory(Path(directory))
    _files.write(copy, write.old, mode=0o600)
    return copy


def _now(path: str) -> str:
    return _digest(_files.read_if_there(path))


def _digest(content: bytes | None) -> str:
    return "" if content is None else digest(content)


def _list(directory: str) -> str:
    return f"{directory}/{_LIST}"


def _load(directory: str) -> list[Kept]:
    path = _list(directory)
    try:
        return [Kept(**each) for each in json.loads(_files.read_if_there(path) or b"[]")]
    except (ValueError, TypeError) as error:
        raise FileError(f"{path} is damaged; move it away to continue without what was kept there.") from error
