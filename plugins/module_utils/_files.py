# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replacing a file so that at every moment the old or the new one is there, never a mix.

``AnsibleModule.atomic_move`` keeps owner, mode and SELinux context, but neither POSIX ACLs nor other extended
attributes, does not sync, and falls back to writing in place; on a production gitlab.rb none of that will do.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path


class FileError(Exception):
    """The file cannot be read or replaced; it is as it was. The text names the file, the cause and the remedy."""


def read(path: str) -> bytes:
    """The content of a regular file, symlinks followed. Raises FileError."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise FileError(f"{path} is not a regular file; give the path of one.")
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist; install the GitLab Linux package or correct the path.") from error
    except OSError as error:
        raise FileError(
            f"{path} cannot be read ({error.strerror}); run with become: true, or correct its mode."
        ) from error


def read_if_there(path: str) -> bytes | None:
    """The content of a regular file; None where there is none. Raises FileError."""
    return read(path) if os.path.lexists(path) else None


def read_included(path: str) -> bytes:
    """The content of a file that a gitlab.rb includes. Raises OSError."""
    return Path(path).read_bytes()


def write(path: str, content: bytes, *, expected: bytes | None = None, mode: int | None = None) -> None:
    """Replace a file's content; owner, group, mode, ACL and SELinux context stay, unless a mode is given.

    A symlink stays one: the file that it leads to is replaced. A file that does not exist yet gets mode 0600.
    With ``expected`` the file must still have that content. Raises FileError, and then nothing has changed.
    """
    target = os.path.realpath(path)
    try:
        temporary = _write_beside(target, content, mode=mode)
        try:
            if expected is not None and Path(target).read_bytes() != expected:
                raise FileError(f"{path} was changed by somebody else at the same moment; run again.")
            Path(temporary).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise FileError(f"{path} cannot be replaced ({error.strerror}); it is as it was, correct that.") from error
    _sync_directory(target)


def remove(path: str, *, expected: bytes) -> None:
    """Take a file away that still has this content; a symlink goes with the file that it leads to. Raises FileError."""
    target = os.path.realpath(path)
    try:
        if Path(target).read_bytes() != expected:
            raise FileError(f"{path} was changed by somebody else at the same moment; run again.")
        for name in dict.fromkeys([path, target]):
            Path(name).unlink()
    except OSError as error:
        raise FileError(f"{path} cannot be removed ({error.strerror}); it is as it was, correct that.") from error
    _sync_directory(target)


def keep(path: str, data: object) -> None:
    """Write data as JSON for root alone, in a directory that is made where it is missing. Raises FileError."""
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{Path(path).parent} cannot be made ({error.strerror}); run with become: true.") from error
    write(path, json.dumps(data, indent=1).encode())


def backup(path: str) -> str:
    """Copy a file beside itself, mode 0600, in the name style of Ansible's own backups; returns the copy's path."""
    stamp = time.strftime("%Y-%m-%d@%H:%M:%S~")
    copy = f"{path}.{os.getpid()}.{stamp}"
    try:
        temporary = _write_beside(copy, read(path), owner=os.path.realpath(path))
        try:
            Path(temporary).replace(copy)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
        _sync_directory(copy)
    except OSError as error:
        raise FileError(f"{path} cannot be backed up ({error.strerror}); it is as it was, correct that.") from error
    return copy


def _write_beside(target: str, content: bytes, *, owner: str | None = None, mode: int | None = None) -> str:
    """A synced file with this content in the same directory: with the attributes of ``target`` if it exists, but for
    the mode if one is given, or with mode 0600 and the owner of another file.
    """
    # mkstemp makes it with mode 0600: the content holds secrets before the owner is right.
    descriptor, temporary = tempfile.mkstemp(prefix=".ansible_", dir=str(Path(target).parent))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if owner is not None:
                _copy_owner(owner, file.fileno())
            elif Path(target).exists():
                _copy_attributes(target, file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    return temporary


def _copy_owner(source: str, descriptor: int) -> None:
    status = Path(source).stat()
    os.fchown(descriptor, status.st_uid, status.st_gid)


def _copy_attributes(source: str, descriptor: int, mode: int | None) -> None:
    _copy_owner(source, descriptor)
    for name in _attributes(source):  # system.posix_acl_access and security.selinux are two of them
        os.setxattr(descriptor, name, os.getxattr(source, name))
    # Last: the mode's group bits are the mask of the ACL, and let nobody in before it stands.
    os.fchmod(descriptor, stat.S_IMODE(Path(source).stat().st_mode) if mode is None else mode)


def _attributes(path: str) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return []
        raise


def _sync_directory(path: str) -> None:
    """Make a rename survive a power cut, where the file system can; the rename itself is done."""
    with suppress(OSError):
        descriptor = os.open(str(Path(path).parent), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
