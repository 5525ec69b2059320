# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replacing a file so that at every moment the old or the new one is there, never a mix.

``AnsibleModule.atomic_move`` keeps owner, mode and SELinux context, but neither POSIX ACLs nor other extended
attributes, does not sync, and falls back to writing in place; on a production gitlab.rb none of that will do.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pwd
import re
import stat
import struct
import tempfile
import time
from contextlib import suppress
from pathlib import Path

MOUNTS = "/proc/self/mountinfo"
TEMPLATE = "/opt/gitlab/etc/gitlab.rb.template"  # what the package makes a gitlab.rb of, when it is installed

_FLAGS = 0x80086601  # FS_IOC_GETFLAGS on 64 bits, <linux/fs.h>: what lsattr shows
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20

_REMEDIES = {
    errno.EBUSY: "it is a mount of its own, which nothing can replace: mount its directory instead",
    errno.EROFS: "mount its file system read-write",
    errno.ENOSPC: "make room on its file system: df -h shows the space, df -i the number of files",
    errno.EDQUOT: "make room, or raise the quota of its owner",
    errno.ENOENT: "correct the path",
    errno.ENOTDIR: "correct the path, of which a part is no directory",
    errno.EEXIST: "move away what is there",
    errno.EISDIR: "give the path of a file, or move that directory away",
    errno.ELOOP: "correct the symbolic links on its path, which lead in a circle",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.EIO: "look for errors of the disk in dmesg",
    errno.ESTALE: "mount its file system again",
    errno.ETXTBSY: "it is a program that runs or is being written: wait for its end, and run again",
    errno.ENOEXEC: "it is no program of this kind of machine: install the one that is",
    errno.ENOMEM: "make room in its memory, which free -m shows",
    errno.EMFILE: "raise the limit of open files, which ulimit -n shows",
    errno.ENFILE: "raise the limit of open files, which sysctl fs.file-max shows",
}


class FileError(Exception):
    """The file cannot be read or replaced; it is as it was. The text names the file, the cause and the remedy."""


def remedy(error: OSError) -> str:
    """What to do about an error of the system, as part of a sentence; each has its own."""
    if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
        return f"run it as root (become: true); it ran as {_name_of_user()}"
    if error.errno == errno.EPERM:
        return "take its attribute i or a away, which lsattr -d shows, with chattr -i -a, also that of its directory"
    if error.errno == errno.EACCES:
        return "root itself is denied: see what SELinux denies (ausearch -m avc -ts recent), and whether it is on NFS"
    return _REMEDIES.get(error.errno or 0, "look for the cause in the system's log")


def _name_of_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def read(path: str) -> bytes:
    """The content of a regular file, symlinks followed. Raises FileError."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise FileError(f"{path} is not a regular file; give the path of one.")
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        if Path(path).is_symlink():
            raise FileError(
                f"{path} is a symbolic link to {os.path.realpath(path)}, which does not exist; correct the link."
            ) from error
        how = "install the GitLab Linux package or correct the path"
        if Path(TEMPLATE).exists():
            how = f"copy {TEMPLATE} there, as the package does, or correct the path"
        raise FileError(f"{path} does not exist; {how}.") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}); {remedy(error)}.") from error


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
        _foresee(target, len(content))
        temporary = _write_beside(target, content, mode=mode)
        try:
            if expected is not None and Path(target).read_bytes() != expected:
                raise FileError(f"{path} was changed by somebody else at the same moment. Run again.")
            Path(temporary).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise FileError(
            f"{path} cannot be replaced ({error.strerror}); {remedy(error)}. The file is unchanged."
        ) from error
    _sync_directory(target)


def check(path: str, content: bytes | None, *, makes_directories: bool = False, mounts: str = MOUNTS) -> None:
    """Whether write() with this content, or remove() for None, would succeed, as far as the system can tell before.

    For the preview, which changes nothing. With ``makes_directories`` those that are missing count as writable if the
    nearest one is. Raises FileError with the text of write() or remove().
    """
    target = Path(os.path.realpath(path))
    if makes_directories:
        target = next(parent for parent in target.parents if parent.exists()) / target.name
    try:
        _foresee(str(target), len(content or b""), mounts=mounts)
    except OSError as error:
        what = "removed" if content is None else "replaced"
        raise FileError(
            f"{path} cannot be {what} ({error.strerror}); {remedy(error)}. The file is unchanged."
        ) from error


def remove(path: str, *, expected: bytes) -> None:
    """Take a file away that still has this content; a symlink goes with the file that it leads to. Raises FileError."""
    target = os.path.realpath(path)
    try:
        if Path(target).read_bytes() != expected:
            raise FileError(f"{path} was changed by somebody else at the same moment. Run again.")
        for name in dict.fromkeys([path, target]):
            Path(name).unlink()
    except OSError as error:
        raise FileError(
            f"{path} cannot be removed ({error.strerror}); {remedy(error)}. The file is unchanged."
        ) from error
    _sync_directory(target)


def keep(path: str, data: object) -> None:
    """Write data as JSON for root alone, in a directory that is made where it is missing. Raises FileError."""
    make_directory(Path(path).parent)
    write(path, json.dumps(data, indent=1).encode())


def make_directory(path: Path) -> None:
    """Make a directory for root alone, if there is none, and those above it. Raises FileError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{path} cannot be created ({error.strerror}); {remedy(error)}.") from error


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
        raise FileError(
            f"{path} cannot be backed up ({error.strerror}); {remedy(error)}. The file is unchanged."
        ) from error
    return copy


def _foresee(target: str, size: int, *, mounts: str = MOUNTS) -> None:
    """Raise the OSError that replacing a file would end in. ``size`` is that of the new one in bytes."""
    directory = str(Path(target).parent)
    status = os.statvfs(directory)
    is_root = os.geteuid() == 0
    free = (status.f_bfree if is_root else status.f_bavail) * status.f_frsize
    limits = [
        (errno.ENOTDIR, not Path(directory).is_dir()),
        (errno.EBUSY, target in _mount_points(mounts)),
        (errno.EROFS, bool(status.f_flag & os.ST_RDONLY)),
        (errno.EPERM, _is_fixed(target) or _is_fixed(directory)),
        (errno.EACCES, not os.access(directory, os.W_OK | os.X_OK, effective_ids=True)),
        # Some file systems count neither blocks nor files.
        (errno.ENOSPC, (status.f_blocks and free < size) or (status.f_files and not status.f_ffree)),
    ]
    for number, is_met in limits:
        if is_met:
            raise OSError(number, os.strerror(number), target)


def _mount_points(mounts: str) -> set[str]:
    """The paths on which something is mounted: the fifth field of proc(5), which writes blanks in octal."""
    try:
        lines = Path(mounts).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return set()
    fields = (line.split(" ")[4] for line in lines if line.count(" ") > 4)
    return {re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field) for field in fields}


def _is_fixed(path: str) -> bool:
    """Whether a file or directory is immutable, or can only be appended to (chattr +i, +a)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        flags = struct.unpack("l", fcntl.ioctl(descriptor, _FLAGS, struct.pack("l", 0)))[0]
    except OSError:  # this file system has no such attributes
        return False
    finally:
        os.close(descriptor)
    return bool(flags & (_IMMUTABLE | _APPEND_ONLY))


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
