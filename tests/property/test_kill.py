# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever ends the module, the file is the old one or the new one, and nobody else can read what it leaves."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kasops.gitlab_kas.plugins.modules import gitlab_rb

OLD = b"# Ours since 2019\nexternal_url 'http://old.example.com'\ngitlab_rails['smtp_password'] = 'old secret'\n"
SETTINGS = {"gitlab_kas": {"api_secret_key": "new secret", "env": {"A": "1"}}, "external_url": "http://new.example.com"}

# Every function of Python's C modules that can change a file or a directory.
STEPS = frozenset(
    {"open", "fdopen", "write", "flush", "close", "fsync", "fdatasync", "truncate", "ftruncate", "sendfile"}
    | {"copy_file_range", "rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "chmod"}
    | {"fchmod", "lchmod", "chown", "fchown", "lchown", "utime", "setxattr", "removexattr"}
)
Hook = Callable[[str], None]


class Node:
    """A directory with a gitlab.rb, and the module run in a process of its own."""

    def __init__(self, directory: Path, ruby: str) -> None:
        self._ruby = ruby
        self.directory = directory
        self.file = directory / "gitlab.rb"
        self.file.write_bytes(OLD)
        self.file.chmod(0o600)

    def run(self, before: Callable[[], object] = lambda: None, **arguments: Any) -> tuple[int, dict[str, Any]]:
        """The wait status and the module's result; before() is called in its process."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._child(writer, before, {"path": str(self.file), "settings": SETTINGS, "ruby": self._ruby, **arguments})
        os.close(writer)
        with os.fdopen(reader) as output:
            text = output.read()
        _pid, status = os.waitpid(child, 0)
        return status, json.loads(text or "{}")

    @staticmethod
    def _child(writer: int, before: Callable[[], object], arguments: dict[str, Any]) -> None:
        code = 1
        try:
            sys.stdout = os.fdopen(writer, "w")
            with patch_module_args(arguments):
                before()
                gitlab_rb.main()
        except SystemExit as end:
            sys.setprofile(None)
            code = int(end.code or 0)
            sys.stdout.flush()
        finally:
            os._exit(code)

    def state(self) -> tuple[tuple[str, int, bytes], ...]:
        """Name, mode and content of everything in the directory."""
        found = []
        for entry in sorted(self.directory.iterdir()):
            found.append((entry.name, stat.S_IMODE(entry.stat().st_mode), entry.read_bytes()))
        return tuple(found)

    def check(self, *contents: bytes) -> None:
        """The file is one of the contents; nothing that lies beside it can be read by others."""
        assert self.file.read_bytes() in contents
        for name, mode, _content in self.state():
            assert mode & 0o077 == 0, f"{name} has mode {mode:04o}"


@pytest.fixture
def node(tmp_path: Path, ruby_path: str) -> Node:
    directory = tmp_path / "etc"
    directory.mkdir()
    return Node(directory, ruby_path)


def at_steps(act: Hook) -> None:
    """Call act with the name of each step, before it and after it."""

    def profile(_frame: object, event: str, function: Any) -> None:
        of_text = isinstance(getattr(function, "__self__", None), str)  # str.replace is none of them
        if event in ("c_call", "c_return", "c_exception") and function.__name__ in STEPS and not of_text:
            act(f"{event} {function.__name__}")

    sys.setprofile(profile)


@pytest.mark.parametrize(
    "arguments", [{}, {"backup": True}, {"include": "kas.rb"}], ids=["no backup", "backup", "a file of its own"]
)
def test_killed_at_any_step(node: Node, tmp_path: Path, arguments: dict[str, Any]) -> None:
    own = node.directory / "kas.rb"
    if "include" in arguments:
        arguments = {"include": str(own)}
    steps = tmp_path / "steps"

    def count() -> None:
        states: list[tuple[str, bool]] = []
        last = node.state()

        def note(step: str) -> None:
            nonlocal last
            state = node.state()
            states.append((step, state != last))
            last = state
            sys.setprofile(None)
            steps.write_text(json.dumps(states))
            at_steps(note)

        at_steps(note)

    status, result = node.run(count, **arguments)
    assert (status, result["changed"]) == (0, True)
    new = node.file.read_bytes()
    included = own.read_bytes() if own.exists() else None
    seen = json.loads(steps.read_text())
    changes = [number for number, (_step, changed) in enumerate(seen) if changed]
    assert len(changes) >= 3, f"the steps of the write were not seen: {seen}"

    contents = set()
    for kill_at in range(changes[0] - 1, len(seen)):
        for entry in node.directory.iterdir():
            entry.unlink()
        node.file.write_bytes(OLD)
        node.file.chmod(0o600)
        left = kill_at

        def kill(_step: str) -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

        status, result = node.run(lambda kill=kill: at_steps(kill), **arguments)  # type: ignore[misc]
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        node.check(OLD, new)
        if included is not None and node.file.read_bytes() == new:
            assert own.read_bytes() == included, "the line is there before its file"
        contents.add(node.file.read_bytes())
    assert contents == {OLD, new}, "the kills reached to both sides of the replacement"


@pytest.mark.parametrize("size", [0, 1, len(OLD), len(OLD) + 50])
@pytest.mark.parametrize("backup", [False, True], ids=["no backup", "backup"])
def test_disk_full(node: Node, size: int, backup: bool) -> None:
    """A file that cannot grow beyond a size fails as a full disk does, anywhere in the write."""
    before = node.state()
    status, result = node.run(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)), backup=backup)
    assert os.WEXITSTATUS(status) == 1
    assert str(node.file) in result["msg"]
    after = [entry for entry in node.state() if "gitlab.rb." not in entry[0]]  # a whole backup may have been made
    assert tuple(after) == before
    node.check(OLD)


def test_symlink_is_followed_and_stays(node: Node, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    target = real / "production.rb"
    node.file.rename(target)
    node.file.symlink_to("../real/production.rb")
    assert node.run()[1]["changed"]
    assert node.file.is_symlink()
    assert b"new.example.com" in target.read_bytes()
    assert [entry.name for entry in real.iterdir()] == ["production.rb"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o4750])
def test_mode_is_kept(node: Node, mode: int) -> None:
    node.file.chmod(mode)
    assert node.run()[1]["changed"]
    assert stat.S_IMODE(node.file.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_and_group_are_kept(node: Node) -> None:
    os.chown(node.file, 1234, 5678)
    assert node.run()[1]["changed"]
    status = node.file.stat()
    assert (status.st_uid, status.st_gid) == (1234, 5678)


# An access ACL as the kernel stores it: version 2, then tag, permissions and id of each entry:
# owner rw, user 1234 r, group -, mask r, others -.
ACL = bytes.fromhex("02000000") + b"".join(
    tag.to_bytes(2, "little") + permissions.to_bytes(2, "little") + who.to_bytes(4, "little")
    for tag, permissions, who in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 1234),
        (0x04, 0, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)


@pytest.mark.parametrize(
    ("name", "value"), [("system.posix_acl_access", ACL), ("user.comment", b"kept by the administrators")]
)
def test_extended_attributes_are_kept(node: Node, name: str, value: bytes) -> None:
    try:
        os.setxattr(node.file, name, value)
    except OSError as error:
        pytest.skip(f"this file system takes no {name} ({error.strerror})")
    assert node.run()[1]["changed"]
    assert os.getxattr(node.file, name) == value


def test_backup_is_the_old_file_for_root_alone(node: Node) -> None:
    node.file.chmod(0o644)
    backup = Path(node.run(backup=True)[1]["backup_file"])
    assert backup.parent == node.directory
    assert backup.read_bytes() == OLD
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_no_backup_and_no_write_without_a_change(node: Node) -> None:
    node.run()
    before = (node.state(), node.file.stat().st_mtime_ns, node.file.stat().st_ino)
    _status, result = node.run(backup=True)
    assert not result["changed"]
    assert "backup_file" not in result
    assert (node.state(), node.file.stat().st_mtime_ns, node.file.stat().st_ino) == before
