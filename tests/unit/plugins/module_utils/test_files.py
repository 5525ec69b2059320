"""What is said where a file cannot be read or replaced, before it is tried where that can be known."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _files
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, check, remedy

MOUNT = "36 25 0:32 / {} rw,relatime shared:1 - ext4 /dev/sda1 rw"
FREE = {"f_bfree": 9, "f_bavail": 9, "f_frsize": 4096, "f_blocks": 9, "f_files": 9, "f_ffree": 9, "f_flag": 0}

REMEDIES: list[tuple[int, int, str]] = [
    (errno.EACCES, 4711, "run it as root (become: true); it ran as user 4711"),
    (errno.EPERM, 4711, "run it as root (become: true); it ran as user 4711"),
    (
        errno.EPERM,
        0,
        "take its attribute i or a away, which lsattr -d shows, with chattr -i -a, also that of its directory",
    ),
    (
        errno.EACCES,
        0,
        "root itself is denied: see what SELinux denies (ausearch -m avc -ts recent), and whether it is on NFS",
    ),
    (errno.EBUSY, 0, "it is a mount of its own, which nothing can replace: mount its directory instead"),
    (errno.EROFS, 0, "mount its file system read-write"),
    (errno.ENOSPC, 0, "make room on its file system: df -h shows the space, df -i the number of files"),
    (errno.EDQUOT, 0, "make room, or raise the quota of its owner"),
    (errno.ELOOP, 0, "correct the symbolic links on its path, which lead in a circle"),
    (errno.ENOTDIR, 0, "correct the path, of which a part is no directory"),
    (errno.EIO, 0, "look for errors of the disk in dmesg"),
    (errno.ETXTBSY, 0, "it is a program that runs or is being written: wait for its end, and run again"),
    (errno.ENOMEM, 0, "make room in its memory, which free -m shows"),
    (errno.ENXIO, 0, "look for the cause in the system's log"),
]


@pytest.mark.parametrize(("number", "user", "expected"), REMEDIES)
def test_every_error_has_a_remedy_of_its_own(
    monkeypatch: pytest.MonkeyPatch, number: int, user: int, expected: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    assert remedy(OSError(number, "")) == expected


@pytest.fixture
def gitlab_rb(tmp_path: Path) -> Path:
    path = tmp_path / "git lab" / "gitlab.rb"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(FileError) as error:
        check(str(path), b"new", **more)
    assert path.read_bytes() == b"old"
    return str(error.value)


def test_what_can_be_replaced(gitlab_rb: Path) -> None:
    check(str(gitlab_rb), b"new")
    check(str(gitlab_rb.with_name("other.rb")), b"new")
    check(str(gitlab_rb.parent / "to/be/made/other.rb"), b"new", makes_directories=True)
    assert list(gitlab_rb.parent.iterdir()) == [gitlab_rb]


def test_a_mount_of_its_own(gitlab_rb: Path, tmp_path: Path) -> None:
    """Also through a symbolic link: its target is what would be replaced."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNT.format("/") + "\n" + MOUNT.format(str(gitlab_rb).replace(" ", "\\040")) + "\n")
    link = tmp_path / "link.rb"
    link.symlink_to(gitlab_rb)
    for path in (gitlab_rb, link):
        assert refusal(path, mounts=str(mounts)) == (
            f"{path} cannot be replaced (Device or resource busy); it is a mount of its own, which nothing can replace:"
            " mount its directory instead. The file is unchanged."
        )


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ({"f_flag": os.ST_RDONLY}, "(Read-only file system); mount its file system read-write."),
        ({"f_bfree": 0, "f_bavail": 0}, "(No space left on device); make room on its file system: df -h shows the"),
        ({"f_ffree": 0}, "(No space left on device); make room on its file system: df -h shows the"),
    ],
)
def test_what_its_file_system_forbids(
    gitlab_rb: Path, monkeypatch: pytest.MonkeyPatch, status: dict[str, int], cause: str
) -> None:
    monkeypatch.setattr("os.statvfs", lambda _path: SimpleNamespace(**{**FREE, **status}))
    assert refusal(gitlab_rb).startswith(f"{gitlab_rb} cannot be replaced {cause}")


def test_file_systems_that_count_nothing(gitlab_rb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda _path: SimpleNamespace(**dict.fromkeys(FREE, 0)))
    check(str(gitlab_rb), b"new")


def test_a_directory_that_is_not_there(gitlab_rb: Path) -> None:
    path = gitlab_rb.parent / "missing/other.rb"
    with pytest.raises(FileError) as error:
        check(str(path), b"new")
    assert str(error.value) == (
        f"{path} cannot be replaced (No such file or directory); correct the path. The file is unchanged."
    )


def test_a_directory_of_somebody_else(gitlab_rb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_arguments, **_options: False)
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    assert refusal(gitlab_rb) == (
        f"{gitlab_rb} cannot be replaced (Permission denied); run it as root (become: true); it ran as user 4711. The"
        " file is unchanged."
    )


@pytest.mark.parametrize("flag", ["i", "a"])
def test_an_attribute_that_fixes_it(gitlab_rb: Path, flag: str) -> None:
    chattr = shutil.which("chattr")
    if not chattr or subprocess.run([chattr, f"+{flag}", str(gitlab_rb)], capture_output=True, check=False).returncode:
        pytest.skip("no chattr, or not on this file system")
    try:
        assert "(Operation not permitted); take its attribute i or a away" in refusal(gitlab_rb)
    finally:
        subprocess.run([chattr, f"-{flag}", str(gitlab_rb)], check=True)


def test_the_attributes_are_read_as_the_kernel_gives_them(gitlab_rb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files.fcntl, "ioctl", lambda *_arguments: (0x80010).to_bytes(8, "little"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert refusal(gitlab_rb) == (
        f"{gitlab_rb} cannot be replaced (Operation not permitted); take its attribute i or a away, which lsattr -d"
        " shows, with chattr -i -a, also that of its directory. The file is unchanged."
    )


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.rb").symlink_to("b.rb")
    (tmp_path / "b.rb").symlink_to("a.rb")
    with pytest.raises(FileError) as error:
        _files.read(str(tmp_path / "a.rb"))
    assert str(error.value) == (
        f"{tmp_path}/a.rb cannot be read (Too many levels of symbolic links); correct the symbolic links on its path,"
        " which lead in a circle."
    )


def test_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "gitlab.rb").symlink_to("/nowhere/gitlab.rb")
    with pytest.raises(FileError) as error:
        _files.read(str(tmp_path / "gitlab.rb"))
    assert str(error.value) == (
        f"{tmp_path}/gitlab.rb is a symbolic link to /nowhere/gitlab.rb, which does not exist; correct the link."
    )
