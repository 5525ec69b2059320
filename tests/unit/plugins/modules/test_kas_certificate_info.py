"""kas_certificate_info: parameters in, findings out, and no key among them."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import (
    CertificateError,
    Node,
    find_openssl,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import run as run_program
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_certificate_info import main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args

ME = pwd.getpwuid(os.getuid()).pw_name
KEYS = {
    "subject_alt_names",
    "not_before",
    "not_after",
    "days_left",
    "matches_key",
    "chain_ok",
    "key_readable",
    "pem",
    "problems",
    "warnings",
}


def params(**given: Any) -> dict[str, Any]:
    names = ("certificate", "key")
    empty = {f"{name}{suffix}": None for name in names for suffix in ("", "_content", "_title")}
    return {
        **empty,
        "kind": "server",
        "ca": [],
        "server_names": [],
        "user": "git",
        "group": None,
        "min_valid_days": 30,
        **given,
    }


def found(pki: Any, **given: Any) -> dict[str, Any]:
    def run_as_anybody(argv: Any, stdin: bytes, account: Any) -> Any:
        return run_program(argv, stdin)

    result = run(params(**given), lambda: Node(run_as_anybody, find_openssl(), pki.root.pem, pki.now))
    assert result["changed"] is False
    assert set(result["certificate"]) == KEYS
    assert "PRIVATE KEY" not in json.dumps(result)
    return dict(result["certificate"])


def test_files_on_the_node(tmp_path: Path, pki: Any) -> None:
    issued = pki.root.issue("kas.internal")
    (tmp_path / "kas.crt").write_bytes(issued.certificate)
    (tmp_path / "kas.key").write_bytes(issued.key)
    looked = found(pki, certificate=f"{tmp_path}/kas.crt", key=f"{tmp_path}/kas.key", server_names=["other"])
    assert (looked["matches_key"], looked["chain_ok"]) == (True, True)
    assert looked["problems"] == [
        f"{tmp_path}/kas.crt is for kas.internal, not for other; have it issued with other, too, or use one of its"
        " names."
    ]


def test_contents_and_titles(pki: Any) -> None:
    looked = found(
        pki,
        certificate="/nowhere/kas.crt",
        certificate_content=pki.root.issue("kas.internal").certificate.decode(),
        certificate_title="kas_certificate_src 'a'",
        key="/nowhere/kas.key",
        key_content=pki.root.issue("kas.internal").key.decode(),
        key_title="kas_key_content",
    )
    assert looked["problems"] == [
        "kas_key_content is not the key of kas_certificate_src 'a'; give a certificate and the key that belongs to it."
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"certificate_content": ""}, "The certificate holds no certificate in PEM form; put the certificate there"),
        ({"certificate": "/nowhere/kas.crt"}, "/nowhere/kas.crt does not exist on the node"),
        ({"certificate_content": "x", "ca": ["/nowhere/ca.crt"]}, "/nowhere/ca.crt cannot be read (No such file or "),
    ],
)
def test_problems(pki: Any, given: dict[str, Any], expected: str) -> None:
    assert [problem[: len(expected)] for problem in found(pki, **given)["problems"]] == [expected]


@pytest.mark.parametrize("as_path", [False, True])
def test_ca(tmp_path: Path, pki: Any, as_path: bool) -> None:
    certificate = pki.foreign.issue("a").certificate.decode()
    assert found(pki, certificate_content=certificate)["chain_ok"] is False
    (tmp_path / "ca.crt").write_bytes(pki.foreign.pem)
    ca = str(tmp_path / "ca.crt") if as_path else pki.foreign.pem.decode()
    assert found(pki, certificate_content=certificate, ca=[ca])["chain_ok"] is True


def test_an_authority(pki: Any) -> None:
    both = (pki.root.pem + pki.intermediate.pem).decode()
    assert found(pki, certificate_content=pki.foreign.pem.decode(), kind="authority")["problems"] == []
    assert len(found(pki, certificate_content=both, kind="authority")["problems"]) == 1


def test_a_node_that_cannot_be_looked_at() -> None:
    def fail() -> Node:
        raise CertificateError("There is no openssl.")

    result = run(params(certificate="/a"), fail)
    assert result["certificate"]["problems"] == ["There is no openssl."]
    assert set(result["certificate"]) == KEYS


def call(capsys: pytest.CaptureFixture[str], args: dict[str, Any]) -> tuple[int, str]:
    with patch_module_args(args), pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0), capsys.readouterr().out


def test_main(capsys: pytest.CaptureFixture[str], pki: Any) -> None:
    issued = pki.root.issue("kas.internal")
    args = {
        "certificate_content": issued.certificate.decode(),
        "key_content": issued.key.decode(),
        "server_name": "a,b",
        "user": ME,
        "min_valid_days": "1",
    }
    code, text = call(capsys, args)
    result = json.loads(text)
    assert code == 0
    assert (result["certificate"]["matches_key"], result["certificate"]["chain_ok"]) == (True, False)
    assert result["invocation"]["module_args"]["server_names"] == ["a", "b"]
    assert issued.key.decode().splitlines()[1] not in text


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, "one of the following is required: certificate, certificate_content"),
        ({"certificate": "/a", "kind": "client"}, "value of kind must be one of: server, authority, got: client"),
    ],
)
def test_main_refuses(capsys: pytest.CaptureFixture[str], args: dict[str, Any], expected: str) -> None:
    code, text = call(capsys, args)
    assert (code, json.loads(text)["msg"]) == (1, expected)
