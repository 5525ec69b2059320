# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx makes of its files. Scenario nginx holds a real one to the same table (molecule/nginx/pairs.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._nginx_files import NO_FILES, look_at_files
from cryptography.x509 import ExtendedKeyUsageOID

sys.path.append(str(Path(__file__).resolve().parents[4] / "molecule" / "nginx"))

from pairs import Case, cases

CRT, KEY = "/etc/gitlab/ssl/kas.crt", "/etc/gitlab/ssl/kas.key"


def write(root: Path, **files: bytes | None) -> None:
    directory = root / "etc/gitlab/ssl"
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if content is not None:
            (directory / name.replace("_", ".")).write_bytes(content)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases()])
def test_a_pair(case: Case, tmp_path: Path) -> None:
    write(tmp_path, kas_crt=case.certificate, kas_key=case.key, kas_pass=case.passphrases)
    named = [("ssl_password_file", "/etc/gitlab/ssl/kas.pass")] if case.passphrases is not None else []
    found = look_at_files(tmp_path, named)
    wrong = {CRT: case.of_certificate, KEY: case.of_key}
    assert {path: said.removesuffix(" instead of two") for path, said in found["unusable"].items()} == {
        path: said for path, said in wrong.items() if said
    }
    is_known = not (case.of_certificate or case.of_key)
    assert found["certificates"].get(CRT, {}).get("keys", []) == ([KEY] if is_known and case.is_pair else [])
    is_encrypted = b"ENCRYPTED" in case.key
    assert found["encrypted"] == ({KEY: [named[0][1]] if case.opens else []} if is_encrypted else {})


def test_what_a_client_is_shown(tmp_path: Path, pki: Any) -> None:
    """Also of one that is not valid at this time, and of which nobody knows the authority."""
    issued = pki.foreign.issue("kas.example.com", "*.kas.example.com", "10.0.0.1", days=(-2, -1))
    write(tmp_path, kas_crt=issued.certificate, kas_key=issued.key)
    assert look_at_files(tmp_path, [])["certificates"][CRT] == {
        "keys": [KEY],
        "names": ["DNS:kas.example.com", "DNS:*.kas.example.com", "IP:10.0.0.1"],
        "not_before": int(pki.now) - 2 * 86400,
        "not_after": int(pki.now) - 86400,
    }


def test_a_certificate_that_is_not_for_servers_shows_nothing(tmp_path: Path, pki: Any) -> None:
    issued = pki.root.issue("kas.example.com", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    write(tmp_path, kas_crt=issued.certificate, kas_key=issued.key)
    assert look_at_files(tmp_path, [])["certificates"][CRT] == {"keys": [KEY]}


@pytest.fixture(scope="module")
def dh_parameters() -> bytes:
    argv = ["openssl", "dhparam", "-dsaparam", "512"]
    return subprocess.run(argv, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("setting", "content", "said"),
    [
        ("ssl_dhparam", "dh", None),
        ("ssl_dhparam", "certificate", "holds no DH parameters, only CERTIFICATE"),
        ("ssl_dhparam", b"", "is empty"),
        ("ssl_client_certificate", "certificate", None),
        ("ssl_client_certificate", b"x", "holds nothing in PEM form"),
        ("ssl_password_file", b"", None),
    ],
)
def test_other_files(
    setting: str, content: Any, said: str | None, tmp_path: Path, pki: Any, dh_parameters: bytes
) -> None:
    contents = {"dh": dh_parameters, "certificate": pki.root.pem}
    (tmp_path / "file").write_bytes(contents.get(content, content))
    found = look_at_files(tmp_path, [(setting, "/file")])
    assert (found["files"], found["unusable"]) == (["/file"], {"/file": said} if said else {})


def test_what_is_tried_with_what(tmp_path: Path, pki: Any) -> None:
    """Of many files in the directory only those of one name, and what a setting names with all."""
    first, second = (pki.root.issue("kas.example.com") for _turn in range(2))
    write(tmp_path, a_crt=first.certificate, a_key=second.key, b_crt=second.certificate, b_key=first.key)

    def keys(*named: tuple[str, str]) -> dict[str, list[str]]:
        found = look_at_files(tmp_path, named)["certificates"]
        return {Path(path).name: [Path(key).name for key in known["keys"]] for path, known in found.items()}

    assert keys() == {"a.crt": [], "b.crt": []}
    assert keys(("ssl_certificate_key", "/etc/gitlab/ssl/b.key")) == {"a.crt": ["b.key"], "b.crt": []}
    assert keys(("ssl_certificate", "/etc/gitlab/ssl/b.crt")) == {"a.crt": [], "b.crt": ["a.key"]}


def test_what_is_no_file(tmp_path: Path) -> None:
    """nginx takes a variable, a text and a key of an engine, too; a directory and a link to nowhere are none."""
    write(tmp_path, kas_crt=b"x")
    (tmp_path / "etc/gitlab/ssl/old.key").mkdir()
    (tmp_path / "etc/gitlab/ssl/gone.key").symlink_to("nowhere")
    (tmp_path / "kas.crt").write_bytes(b"x")
    named = [("ssl_certificate", "$ssl_server_name.crt"), ("ssl_certificate", "kas.crt"), ("ssl_certificate", "data:x")]
    assert look_at_files(tmp_path, named)["files"] == [CRT]
    assert look_at_files(tmp_path / "nowhere", []) == NO_FILES
