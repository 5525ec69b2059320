# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller; what starts a run in which way finds them is in tests/playbooks/test_sources.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sources import SourceError, VaultError, expanded, read

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def plainly(data: bytes) -> bytes:
    return data


def without_password(data: bytes) -> bytes:
    raise VaultError("Attempting to decrypt but no vault secrets found")


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (["a/kas.crt"], "a/kas.crt"),
        (["a/files/kas.crt"], "a/files/kas.crt"),
        (["b/kas.crt"], "b/kas.crt"),
        (["a/kas.crt", "a/files/kas.crt"], "a/files/kas.crt"),  # as for Ansible's own copy
        (["a/kas.crt", "b/files/kas.crt"], "a/kas.crt"),
        (["a/kas.crt/another", "b/kas.crt"], "b/kas.crt"),  # the first one is a directory
    ],
)
def test_where_a_relative_path_is_looked_for(tmp_path: Path, there: list[str], expected: str) -> None:
    for place in there:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(place)
    folders = [tmp_path / name for name in ("a", "b", "a", "missing")]
    assert read("kas_certificate_src", "kas.crt", folders, plainly) == expected


@pytest.mark.parametrize("given", ["{path}/kas.crt", "~/kas.crt", "certificates/../kas.crt", "./kas.crt"])
def test_ways_to_write_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "certificates").mkdir()
    (tmp_path / "kas.crt").write_text(PEM)
    assert read("kas_certificate_src", given.format(path=tmp_path), [tmp_path], plainly) == PEM


def test_the_home_of_nobody() -> None:
    assert expanded("~nobody-of-this-name/kas.crt") == Path("~nobody-of-this-name/kas.crt")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PEM.encode(), PEM),
        (PEM.replace("\n", "\r\n").encode(), PEM.replace("\n", "\r\n")),  # which KAS reads as well
        (b"\xef\xbb\xbf" + PEM.encode(), PEM),
        ("# Zertifikat für KAS\n".encode() + PEM.encode(), "# Zertifikat für KAS\n" + PEM),
    ],
)
def test_what_is_read(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / "kas.crt").write_bytes(data)
    assert read("kas_certificate_src", "kas.crt", [tmp_path], plainly) == expected


def test_what_ansible_vault_has_encrypted(tmp_path: Path) -> None:
    (tmp_path / "kas.key").write_bytes(b"$ANSIBLE_VAULT")
    assert read("kas_key_src", "kas.key", [tmp_path], lambda data: data + b" opened") == "$ANSIBLE_VAULT opened"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "kas.crt",
            "there is no such file on the controller in {path}/files, {path}, {path}/b/files, {path}/b; put it there,"
            " or set an absolute path.",
        ),
        ("/no/kas.crt", "there is no such file on the controller; correct the path."),
        ("~/kas.crt", "there is no such file on the controller; correct the path."),
        (
            "~nobody-of-this-name/kas.crt",
            "there is no such file on the controller in {path}/files, {path}, {path}/b/files, {path}/b; put it there,"
            " or set an absolute path.",
        ),
        (
            "directory",
            "on the controller {path}/directory is a directory, and {path}/b/directory is a directory; name a file that"
            " the user who runs Ansible can read.",
        ),
        (
            "{path}/directory",
            "on the controller {path}/directory is a directory; name a file that the user who runs Ansible can read.",
        ),
        (
            "/dev/null",
            "on the controller /dev/null is no regular file; name a file that the user who runs Ansible can read.",
        ),
        (
            "/proc/self/mem",
            "on the controller /proc/self/mem cannot be read (Input/output error); name a file that the user who runs"
            " Ansible can read.",
        ),
        (
            "{path}/" + "k" * 300,
            "on the controller {path}/" + "k" * 300 + " cannot be read (File name too long); name a file that the user"
            " who runs Ansible can read.",
        ),
        ("empty.crt", "{path}/empty.crt is empty; put there what kas_certificate_src is for."),
        ("blank.crt", "{path}/blank.crt is empty; put there what kas_certificate_src is for."),
        ("der.crt", "{path}/der.crt is no text in UTF-8, and PEM is; convert it, as by openssl."),
        ("utf16.crt", "{path}/utf16.crt is no text in UTF-8, and PEM is; convert it, as by openssl."),
    ],
)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, expected: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("directory", "b/directory"):
        (tmp_path / name).mkdir(parents=True)
    files = {"empty": b"", "blank": b"\r\n \n", "der": b"0\x82\x01\x0a", "utf16": "PEM".encode("utf-16")}
    for name, data in files.items():
        (tmp_path / f"{name}.crt").write_bytes(data)
    given = given.format(path=tmp_path)
    with pytest.raises(SourceError) as raised:
        read("kas_certificate_src", given, [tmp_path, tmp_path / "b"], plainly)
    assert str(raised.value) == f"kas_certificate_src is '{given}', but {expected.format(path=tmp_path)}"


def test_what_cannot_be_decrypted(tmp_path: Path) -> None:
    (tmp_path / "kas.key").write_bytes(b"$ANSIBLE_VAULT")
    with pytest.raises(SourceError) as raised:
        read("kas_key_src", "kas.key", [tmp_path], without_password)
    assert str(raised.value) == (
        f"kas_key_src is 'kas.key', but {tmp_path}/kas.key is encrypted by Ansible Vault, and cannot be decrypted"
        " (Attempting to decrypt but no vault secrets found); run with the password that belongs to it, as by"
        " --ask-vault-pass or --vault-password-file."
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "kas.key").write_text(PEM)
    (tmp_path / "kas.key").chmod(0)
    with pytest.raises(SourceError, match=r"kas\.key cannot be read \(Permission denied\); name a"):
        read("kas_key_src", "kas.key", [tmp_path], plainly)
