"""kas_certificate: what is put in place, for whom, and what a diff says of it."""

from __future__ import annotations

import errno
import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import (
    Account,
    Node,
    access,
    find_openssl,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import run as run_program
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_certificate import main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args

ME = pwd.getpwuid(os.getuid()).pw_name


NOTHING_DONE = {"changed": False, "files_changed": [], "files_left": [], "diff": {"before": "", "after": ""}}


class Place:
    """Where a certificate and its key are to be."""

    def __init__(self, directory: Path, pki: Any) -> None:
        self.certificate = directory / "ssl-kas/kas.crt"
        self.key = directory / "ssl-kas/kas.key"
        self.node = Node(run_program, find_openssl(), b"", pki.now)

    def run(self, issued: Any = None, *, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        contents = {}
        if issued:
            contents = {"certificate_content": issued.certificate.decode(), "key_content": issued.key.decode()}
        defaults = {
            "state": "present",
            "record": None,
            "certificate_content": None,
            "key_content": None,
            "user": ME,
            "group": None,
        }
        paths = {"certificate": str(self.certificate), "key": str(self.key)}
        result = run({**defaults, **paths, **contents, **params}, self.node, check_mode=check_mode)
        assert set(result) - {"failed", "msg"} == {"changed", "files_changed", "files_left", "diff"}
        assert "-----" not in json.dumps(result)
        return result


@pytest.fixture
def place(tmp_path: Path, pki: Any) -> Place:
    return Place(tmp_path, pki)


def test_put_and_put_again(place: Place, pki: Any) -> None:
    issued = pki.root.issue("kas.internal")
    result = place.run(issued)
    assert result["files_changed"] == [str(place.key), str(place.certificate)]
    assert (place.certificate.read_bytes(), place.key.read_bytes()) == (issued.certificate, issued.key)
    assert [path.stat().st_mode & 0o7777 for path in (place.certificate, place.key)] == [0o644, 0o640]
    assert {path.stat().st_gid for path in (place.certificate, place.key)} == {Account(ME).gid}
    assert place.run(issued) == NOTHING_DONE


def test_check_mode_changes_nothing(place: Place, pki: Any, tmp_path: Path) -> None:
    issued = pki.root.issue("kas.internal")
    tried = place.run(issued, check_mode=True)
    assert list(tmp_path.iterdir()) == []
    assert tried == place.run(issued)


def test_diff(place: Place, pki: Any) -> None:
    old, new = pki.root.issue("old.internal"), pki.root.issue("kas.internal", days=(-1, 30))
    place.run(old)
    diff = place.run(new)["diff"]
    mode = {number: access(Account(ME).gid, number) for number in (0o644, 0o640)}
    before, after = diff["before"].splitlines(), diff["after"].splitlines()
    assert [line.split(", public key ")[0] for line in (*before, *after)] == [
        f"{place.key}: private key",
        f"{place.certificate}: certificate of CN=common.name, DNS:old.internal, valid until 2026-08-30T12:00:00Z",
        f"{place.key}: private key",
        f"{place.certificate}: certificate of CN=common.name, DNS:kas.internal, valid until 2026-07-01T12:00:00Z",
    ]
    fingerprints = [line.split(", public key ")[1].split(" ")[0] for line in (*before, *after)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2] == fingerprints[3]
    assert [line.endswith(f"({mode[number]})") for line, number in zip(before, (0o640, 0o644))] == [True, True]


def test_diff_where_only_the_mode_changes(place: Place, pki: Any) -> None:
    issued = pki.root.issue("kas.internal")
    place.run(issued)
    place.key.chmod(0o600)
    result = place.run(issued)
    assert result["files_changed"] == [str(place.key)]
    assert result["diff"]["before"].replace("mode 0600", "mode 0640") == result["diff"]["after"]


def test_diff_over_something_else(place: Place, pki: Any) -> None:
    place.run(pki.root.issue("kas.internal"))
    place.key.write_text("hello")
    result = place.run(key_content=pki.root.issue("a").key.decode())
    assert result["msg"].startswith(f"{place.key} is not the key of {place.certificate}; ")
    issued = pki.root.issue("kas.internal")
    mode = access(Account(ME).gid, 0o640)
    assert place.run(issued)["diff"]["before"].startswith(f"{place.key}: something else ({mode})\n")


def test_a_certificate_renewed_for_its_key(place: Place, pki: Any) -> None:
    issued = pki.root.issue("kas.internal")
    place.run(issued)
    place.certificate.write_text("")
    result = place.run(certificate_content=issued.certificate.decode())
    assert result["files_changed"] == [str(place.certificate)]


def test_a_certificate_alone(place: Place, pki: Any) -> None:
    result = place.run(certificate_content=pki.root.pem.decode(), key=None)
    assert result["files_changed"] == [str(place.certificate)]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            lambda pki: {"key_content": pki.root.issue("a").key.decode()},
            "{key} is not the key of {certificate}; give a certificate and the key that belongs to it.",
        ),
        (
            lambda pki: {"key_content": pki.root.issue("a").encrypted_key.decode()},
            "{key} is encrypted, and KAS cannot be given a passphrase; decrypt it, for example with openssl pkey.",
        ),
        (
            lambda pki: {"user": "nobody-here"},
            "There is no user nobody-here on this node; run gitlab-ctl reconfigure once, which makes it.",
        ),
        (
            lambda pki: {"group": "nobody-here"},
            "There is no group nobody-here on this node; run gitlab-ctl reconfigure once, which makes it.",
        ),
    ],
)
def test_refused_before_anything_changes(place: Place, pki: Any, params: Any, expected: str, tmp_path: Path) -> None:
    result = place.run(pki.root.issue("kas.internal"), **params(pki))
    assert (result["failed"], result["msg"]) == (True, expected.format(key=place.key, certificate=place.certificate))
    assert list(tmp_path.iterdir()) == []


def test_main(capsys: pytest.CaptureFixture[str], place: Place, pki: Any) -> None:
    issued = pki.root.issue("kas.internal")
    args = {
        "certificate": str(place.certificate),
        "certificate_content": issued.certificate.decode(),
        "key": str(place.key),
        "key_content": issued.key.decode(),
        "user": ME,
        "_ansible_diff": True,
    }
    with patch_module_args(args), pytest.raises(SystemExit) as caught:
        main()
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert json.loads(text)["diff"]["after"].count("\n") == 2
    assert not any(line in text for line in issued.key.decode().splitlines() if "PRIVATE" not in line)


def test_main_needs_a_place_for_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"certificate": "/a", "key_content": "secret"}), pytest.raises(SystemExit) as caught:
        main()
    text = capsys.readouterr().out
    assert (caught.value.code, json.loads(text)["msg"]) == (1, "missing parameter(s) required by 'key_content': key")


# -- The record of changes --


def test_revert(place: Place, pki: Any, tmp_path: Path) -> None:
    record = str(tmp_path / "kept/files.json")
    place.run(pki.root.issue("old.internal"), record=record)
    issued = pki.root.issue("kas.internal")
    place.run(issued, record=record)
    assert issued.key.decode() not in Path(record).read_text()
    tried = place.run(record=record, state="reverted", check_mode=True)
    assert place.key.exists()
    assert Path(record).exists()
    result = place.run(record=record, state="reverted")
    assert result == tried
    assert result["files_changed"] == [str(place.key), str(place.certificate)]
    assert [line.split(":")[0] for line in result["diff"]["before"].splitlines()] == result["files_changed"]
    assert not (place.key.exists() or place.certificate.exists() or Path(record).exists())
    assert place.run(record=record, state="reverted") == NOTHING_DONE


def test_what_the_system_says_of_the_old_file(place: Place, pki: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = pki.root.issue("kas.internal")
    place.run(issued)

    def broken(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "read_bytes", broken)
    result = place.run(pki.root.issue("kas.internal"))
    assert (result["failed"], result["msg"], result["changed"]) == (
        True,
        f"{place.key} cannot be read (Input/output error); look for errors of the disk in dmesg.",
        False,
    )


def test_revert_leaves_what_is_not_ours(place: Place, pki: Any, tmp_path: Path) -> None:
    """A file that was there before, one that was there with the same content, and one that was changed since."""
    record = str(tmp_path / "kept/files.json")
    mine, theirs = pki.root.issue("kas.internal"), pki.root.issue("theirs.internal")
    place.run(theirs)
    place.run(mine, record=record)
    assert place.run(record=record, state="reverted")["files_left"] == [str(place.key), str(place.certificate)]
    place.run(mine, record=record)
    assert place.run(record=record, state="reverted") == NOTHING_DONE
    place.key.unlink()
    place.certificate.unlink()
    place.run(mine, record=record)
    place.run(theirs)
    assert place.run(record=record, state="reverted")["files_left"] == [str(place.key), str(place.certificate)]
    assert place.certificate.read_bytes() == theirs.certificate
