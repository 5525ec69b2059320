"""Certificates: made while the tests run, taken apart by the real openssl. What a user may read is said by a fake."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _certificates
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import (
    Account,
    CertificateError,
    Findings,
    Item,
    Name,
    Node,
    Wanted,
    covers,
    default_paths,
    find_openssl,
    look,
    put,
    run,
    trusted,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import Finished
from cryptography import x509

ME = pwd.getpwuid(os.getuid()).pw_name


class Here:
    """A node on which a certificate and its key lie, and nothing is wrong."""

    def __init__(self, directory: Path, pki: Any) -> None:
        self.pki = pki
        self.certificate = directory / "kas.crt"
        self.key = directory / "kas.key"
        self.trust = pki.root.pem
        self.closed: set[Path] = set()  # to the user of KAS
        issued = pki.root.issue("kas.internal", "10.0.0.1")
        self.write(issued.certificate, issued.key)

    def write(self, certificate: bytes, key: bytes) -> None:
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)
        self.key.chmod(0o640)

    def run(self, argv: Sequence[str], stdin: bytes, account: Account | None) -> Finished:
        if argv[0] != "test":
            assert account is None
            return run(argv, stdin)
        assert account == Account()
        path = Path(argv[2])
        return Finished(int(not self.closed.isdisjoint({path, *path.parents})), "", "")

    def look(self, **wanted: Any) -> Findings:
        return self.look_at(Item(self.certificate), Item(self.key), **wanted)

    def look_at(self, certificate: Item, key: Item | None, **wanted: Any) -> Findings:
        node = Node(self.run, find_openssl(), self.trust, self.pki.now)
        return look(certificate, key, Wanted(**wanted), node)


@pytest.fixture
def here(tmp_path: Path, pki: Any) -> Here:
    return Here(tmp_path, pki)


# A certificate that will do


def test_nothing_wrong(here: Here) -> None:
    assert here.look(server_names=["kas.internal", "10.0.0.1"]) == Findings(
        subject_alt_names=["DNS:kas.internal", "IP:10.0.0.1"],
        not_before="2026-05-22T12:00:00Z",
        not_after="2026-08-30T12:00:00Z",
        days_left=90,
        matches_key=True,
        chain_ok=True,
        key_readable=True,
        pem=here.certificate.read_text().strip(),
    )


def test_before_it_is_put_in_place(here: Here, pki: Any) -> None:
    certificate, key, _encrypted = pki.root.issue("kas.internal")
    directory = here.key.parent / "not/there/yet"
    found = here.look_at(Item(directory / "kas.crt", certificate), Item(directory / "kas.key", key))
    assert (found.problems, found.matches_key, found.key_readable) == ([], True, True)
    assert not (here.key.parent / "not").exists()


def test_without_a_place(here: Here, pki: Any) -> None:
    found = here.look_at(Item(None, pki.root.issue("a").certificate, "The certificate"), None)
    assert (found.problems, found.chain_ok, found.matches_key, found.key_readable) == ([], True, None, None)


def test_a_chain_behind_it(here: Here, pki: Any) -> None:
    issued = pki.intermediate.issue("kas.internal")
    here.write(issued.certificate + pki.intermediate.pem, issued.key)
    found = here.look()
    assert (found.problems, found.chain_ok) == ([], True)
    assert found.pem == (issued.certificate + pki.intermediate.pem).decode().strip()


def test_any_certificate_may_be_the_anchor(here: Here, pki: Any) -> None:
    """As for Go: one in the middle, or the certificate itself."""
    issued = pki.intermediate.issue("kas.internal")
    here.write(issued.certificate, issued.key)
    for anchor in (pki.intermediate.pem, issued.certificate):
        here.trust = anchor
        assert here.look().problems == []


def test_text_around_the_certificate_and_other_lines_before_the_key(here: Here, pki: Any) -> None:
    issued = pki.root.issue("kas.internal")
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    here.write(b"subject=CN = kas\n" + issued.certificate.replace(b"\n", b"\r\n"), parameters + issued.key)
    assert here.look().problems == []


def test_an_authority_needs_none_above_it(here: Here, pki: Any) -> None:
    found = here.look_at(Item(None, pki.foreign.pem, "ca"), None, authority=True)
    assert (found.problems, found.chain_ok) == ([], None)


# What is wrong


def bytes_of(here: Here, name: str) -> bytes:
    pki = here.pki
    return {
        "other key": pki.root.issue("kas.internal").key,
        "encrypted": pki.root.issue("kas.internal").encrypted_key,
        "old encrypted": b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA\n-----END EC PRIVATE KEY-----",
        "damaged certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "damaged key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "text": b"hello\n",
        "key": here.key.read_bytes(),
        "certificate": here.certificate.read_bytes(),
    }[name]


@pytest.mark.parametrize(
    ("part", "content", "expected"),
    [
        ("certificate", None, "{certificate} does not exist on the node; put it there, or correct the path."),
        ("key", None, "{key} does not exist on the node; put it there, or correct the path."),
        *[
            (
                "certificate",
                content,
                "{certificate} holds no certificate in PEM form; put the certificate there, and behind it those that"
                " lead to its authority.",
            )
            for content in ("text", "key")
        ],
        (
            "certificate",
            "damaged certificate",
            "{certificate} holds a certificate that is damaged; put the certificate there again.",
        ),
        *[
            ("key", content, "{key} holds no private key in PEM form; put the key of the certificate there.")
            for content in ("text", "certificate")
        ],
        ("key", "damaged key", "{key} holds a private key that is damaged; put the key of the certificate there."),
        *[
            (
                "key",
                content,
                "{key} is encrypted, and KAS cannot be given a passphrase; decrypt it, for example with openssl pkey.",
            )
            for content in ("encrypted", "old encrypted")
        ],
        (
            "key",
            "other key",
            "{key} is not the key of {certificate}; give a certificate and the key that belongs to it.",
        ),
    ],
)
def test_files_that_do_not_do(here: Here, part: str, content: str | None, expected: str) -> None:
    file: Path = getattr(here, part)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(bytes_of(here, content))
    found = here.look(server_names=["kas.internal"])
    assert found.problems == [expected.format(certificate=here.certificate, key=here.key)]
    assert found.matches_key is (False if content == "other key" else None)


@pytest.mark.parametrize(
    ("names", "days", "wanted", "expected"),
    [
        (
            ["a.example.com", "10.0.0.1"],
            (-1, 90),
            {"server_names": ["kas.internal", "10.0.0.1", "kas.internal"]},
            "kas.crt is for a.example.com, 10.0.0.1, not for kas.internal; have it issued with kas.internal, too, or"
            " use one of its names.",
        ),
        (
            [],
            (-1, 90),
            {"server_names": ["common.name"]},
            "kas.crt has no subject alternative name, and its common name does not count; have it issued with"
            " common.name as one.",
        ),
        (["a"], (-9, -2), {}, "kas.crt has expired at 2026-05-30T12:00:00Z; renew it."),
        (
            ["a"],
            (2, 90),
            {},
            "kas.crt is not valid before 2026-06-03T12:00:00Z; wait until then, or correct the clock of the node.",
        ),
        (
            ["a"],
            (-1, 29.5),
            {},
            "kas.crt expires in 29 days, at 2026-07-01T00:00:00Z, and 30 days are required; renew it.",
        ),
        (
            ["a"],
            (-1, 1.5),
            {"min_valid_days": 2},
            "kas.crt expires in 1 day, at 2026-06-03T00:00:00Z, and 2 days are required; renew it.",
        ),
    ],
)
def test_names_and_dates(
    here: Here, pki: Any, names: list[str], days: tuple[float, float], wanted: dict[str, Any], expected: str
) -> None:
    """The chain is in order all the same: an expired certificate is not told to be of an unknown authority."""
    certificate = pki.root.issue(*names, days=days).certificate
    found = here.look_at(Item(None, certificate, "kas.crt"), None, **wanted)
    assert (found.problems, found.chain_ok) == ([expected], True)


@pytest.mark.parametrize(
    ("days", "limit"),
    [((-1, 30.0), 30), ((-1, 0.5), 0)],
)
def test_just_valid_for_long_enough(here: Here, pki: Any, days: tuple[float, float], limit: int) -> None:
    certificate = pki.root.issue("a", days=days).certificate
    assert here.look_at(Item(None, certificate, "kas.crt"), None, min_valid_days=limit).problems == []


UNKNOWN = (
    "kas.crt was signed by CN={}, and that leads to no authority that this node trusts; put the authority into"
    " /etc/gitlab/trusted-certs (kas_ca_certificates does), and those in between behind the certificate."
)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda pki: (pki.foreign.issue("a").certificate, pki.root.pem), UNKNOWN.format("foreign")),
        (lambda pki: (pki.foreign.issue("a").certificate, b""), UNKNOWN.format("foreign")),
        (lambda pki: (pki.foreign.pem, pki.root.pem), UNKNOWN.format("foreign")),
        (lambda pki: (pki.intermediate.issue("a").certificate, pki.root.pem), UNKNOWN.format("intermediate")),
        (
            lambda pki: (pki.intermediate.issue("a").certificate + pki.intermediate.pem, pki.foreign.pem),
            UNKNOWN.format("intermediate"),
        ),
        (
            lambda pki: (pki.foreign.issue("a").certificate + pki.foreign.pem, pki.root.pem),
            UNKNOWN.format("foreign"),
        ),
        (
            lambda pki: (pki.root.issue("a", usage=x509.ExtendedKeyUsageOID.CLIENT_AUTH).certificate, pki.root.pem),
            "kas.crt is not meant for a server; have it issued with the extended key usage serverAuth.",
        ),
        (
            lambda pki: (pki.root.issue("a").certificate, type(pki.root)("root").pem),
            "kas.crt cannot be verified, because of it: certificate signature failure; have it issued anew.",
        ),
        (
            lambda pki: old_authority(pki, "old"),
            "kas.crt cannot be verified, because of a certificate above it: certificate has expired; have it issued"
            " anew.",
        ),
    ],
)
def test_chains(here: Here, pki: Any, make: Callable[[Any], tuple[bytes, bytes]], expected: str) -> None:
    certificate, here.trust = make(pki)
    found = here.look_at(Item(None, certificate, "kas.crt"), None)
    assert (found.problems, found.chain_ok) == ([expected], False)


def test_a_verification_that_openssl_cannot_do(here: Here) -> None:
    def run(argv: Sequence[str], stdin: bytes, account: Account | None) -> Finished:
        return Finished(1, "", "Error loading file trust\n…") if argv[1] == "verify" else here.run(argv, stdin, account)

    found = look(Item(here.certificate), None, Wanted(), Node(run, find_openssl(), here.trust, here.pki.now))
    assert found.problems == [
        f"{here.certificate} cannot be verified (Error loading file trust); check what is in /etc/gitlab/trusted-certs."
    ]


def old_authority(pki: Any, name: str) -> tuple[bytes, bytes]:
    authority = type(pki.root)(name, days=(-9, -1))
    return authority.issue("a").certificate, authority.pem


def test_an_authority_that_is_not_alone(here: Here, pki: Any) -> None:
    found = here.look_at(Item(None, pki.root.pem + pki.intermediate.pem, "ca.crt"), None, authority=True)
    assert found.problems == [
        "ca.crt holds 2 certificates, but only the first in a file counts; give each a file of its own."
    ]


def test_everything_at_once(here: Here, pki: Any) -> None:
    here.write(pki.foreign.issue("a", days=(-9, -1)).certificate, b"hello")
    assert len(here.look(server_names=["b"]).problems) == 4


# What the user of KAS can read


def test_a_directory_that_is_closed(here: Here) -> None:
    here.closed = {here.key.parent}
    mode = here.key.parent.stat()
    found = here.look()
    assert found.key_readable is False
    expected = f"cannot be reached by git, the user of KAS, who may not enter {here.key.parent} ({owner(mode)}0700)"
    assert found.problems == [
        f"{file} {expected}; let that user in, or keep the file in another directory."
        for file in (here.certificate, here.key)
    ]


def test_a_directory_that_is_closed_to_what_is_to_be_put_there(here: Here, pki: Any) -> None:
    here.closed = {here.key.parent}
    found = here.look_at(Item(here.key.parent / "new/kas.crt", pki.root.issue("a").certificate), None)
    assert [problem.split(", ")[0] for problem in found.problems] == [
        f"{here.key.parent}/new/kas.crt cannot be reached by git"
    ]


def test_a_directory_behind_a_link_that_is_closed(here: Here) -> None:
    archive = here.key.parent / "archive"
    archive.mkdir()
    here.key.rename(archive / "kas1.key")
    here.key.symlink_to(archive / "kas1.key")
    here.closed = {archive, here.key}
    expected = f"{here.key} cannot be reached by git, the user of KAS, who may not enter {archive} ("
    assert [problem[: len(expected)] for problem in here.look().problems] == [expected]


def test_a_key_that_is_closed(here: Here) -> None:
    here.key.chmod(0o600)
    here.closed = {here.key}
    found = here.look()
    assert found.key_readable is False
    mode = f"{owner(here.key.stat())}0600"
    assert found.problems == [
        f"{here.key} cannot be read by git, the user of KAS ({mode}); give it to that user's group with mode 0640."
    ]


def test_a_key_that_is_open(here: Here) -> None:
    here.key.chmod(0o644)
    found = here.look()
    assert (found.problems, found.key_readable) == ([], True)
    assert found.warnings == [f"{here.key} can be read by everybody ({owner(here.key.stat())}0644); give it mode 0640."]


def test_the_group_of_kas() -> None:
    group = grp.getgrall()[-1]
    assert Account("nobody-here", group.gr_name).gid == group.gr_gid
    assert Account(pwd.getpwuid(0).pw_name).gid == pwd.getpwuid(0).pw_gid


def test_a_user_that_does_not_exist(here: Here) -> None:
    problem = "There is no user nobody-here on this node; run gitlab-ctl reconfigure once, which makes it."
    node = Node(run, find_openssl(), here.trust, here.pki.now)
    found = look(Item(here.certificate), Item(here.key), Wanted(account=Account("nobody-here")), node)
    assert (found.problems, found.key_readable) == ([problem], False)


def owner(status: os.stat_result) -> str:
    return f"{pwd.getpwuid(status.st_uid).pw_name}:{grp.getgrgid(status.st_gid).gr_name} "


# Names, as in Go's crypto/x509


@pytest.mark.parametrize(
    ("name", "host", "expected"),
    [
        ("kas.internal", "kas.internal", True),
        ("KAS.internal", "kas.INTERNAL", True),
        ("kas.internal", "kas.internal.", True),
        ("kas.internal", "kas.internal..", False),
        ("kas.internal.", "kas.internal", False),
        ("kas.internal", "a.kas.internal", False),
        ("*.internal", "kas.internal", True),
        ("*.internal", "a.kas.internal", False),
        ("*.internal", "internal", False),
        ("*.internal", ".internal", False),
        ("k*.internal", "kas.internal", False),
        ("a.*.internal", "a.kas.internal", False),
        ("*", "kas", False),
        ("*.", "kas.", False),
        ("kas_1.internal", "kas_1.internal", True),
        ("kas 1", "kas 1", True),
        ("-kas", "-kas", True),
        ("", "", False),
        (".", ".", False),
        ("*.internal", "*.internal", True),
        ("10.0.0.1", "10.0.0.1", False),
    ],
)
def test_covers_names(name: str, host: str, expected: bool) -> None:
    assert covers([Name("DNS", name)], host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("10.0.0.1", True), ("10.0.0.2", False), ("fd00::1", True), ("[fd00:0::1]", True), ("kas.internal", False)],
)
def test_covers_addresses(host: str, expected: bool) -> None:
    names = [Name("DNS", "10.0.0.2"), Name("IP", "10.0.0.1"), Name("IP", "fd00::1")]
    assert covers(names, host) is expected


# Where things are


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"kas_private_api_certificate": "/a.crt", "kas_private_api_certificate_src": "b.crt"}, {}),
        (
            {"kas_private_api_certificate_src": "a.crt", "kas_private_api_key_content": "…"},
            {
                "kas_private_api_certificate": "/etc/gitlab/ssl-kas/private-api.crt",
                "kas_private_api_key": "/etc/gitlab/ssl-kas/private-api.key",
            },
        ),
        ({"kas_certificate_content": "…"}, {"kas_certificate": "/etc/gitlab/ssl-kas/agent.crt"}),
        (
            {"kas_internal_api_key_src": "k", "kas_internal_api_key": None, "kas_kubernetes_api_key_src": ""},
            {"kas_internal_api_key": "/etc/gitlab/ssl-kas/internal-api.key"},
        ),
    ],
)
def test_default_paths(variables: dict[str, object], expected: dict[str, str]) -> None:
    assert default_paths(variables) == expected


def test_trusted(tmp_path: Path, pki: Any) -> None:
    directory = tmp_path / "certs"
    directory.mkdir()
    (directory / "README").write_text("managed by omnibus-gitlab")
    (directory / "one.pem").write_bytes(pki.root.pem)
    (directory / "gone").symlink_to(tmp_path / "nowhere")
    (directory / "subdirectory").mkdir()
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(b"# " + name.encode() + b"\n" + pki.foreign.pem)
    (tmp_path / "second").write_bytes(pki.intermediate.pem)
    found = trusted([directory, tmp_path / "none"], [tmp_path / "none", tmp_path / "first", tmp_path / "second"])
    assert found == pki.root.pem.strip() + b"\n" + pki.foreign.pem.strip()


def test_find_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openssl").touch()
    assert find_openssl(tmp_path / "openssl") == f"{tmp_path}/openssl"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CertificateError) as caught:
        find_openssl(tmp_path / "none")
    assert str(caught.value) == (f"There is no openssl on this node, neither {tmp_path}/none nor in PATH; install it.")


def test_run() -> None:
    assert run(["sh", "-c", "cat; id -un; exit 3"], b"in ") == Finished(3, f"in {ME}\n", "")
    with pytest.raises(CertificateError) as caught:
        run(["/nowhere/openssl"])
    assert str(caught.value) == "/nowhere/openssl cannot be run (No such file or directory); install it."


def test_run_of_a_program_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_certificates, "_RUN_TIMEOUT_S", 0.05)
    with pytest.raises(CertificateError) as caught:
        run(["sleep", "20"])
    assert str(caught.value) == ("sleep has not ended within 0.05 s; look at what slows the node down, and run again.")


# Putting files in place


def test_put(tmp_path: Path) -> None:
    path = tmp_path / "a/b/kas.key"
    group = Account(ME).gid
    before = os.umask(0o077)
    try:
        assert put(path, b"key", group=group, mode=0o640, check_mode=True) is True
        assert not path.parent.exists()
        assert put(path, b"key", group=group, mode=0o640) is True
    finally:
        os.umask(before)
    status = path.stat()
    assert (path.read_bytes(), status.st_mode & 0o7777, status.st_gid) == (b"key", 0o640, group)
    assert [path.parents[level].stat().st_mode & 0o7777 for level in (0, 1)] == [0o755, 0o755]
    assert put(path, b"key", group=group, mode=0o640) is False
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (status.st_ino, status.st_ctime_ns)
    path.chmod(0o644)
    assert put(path, b"key", group=group, mode=0o640) is True
    assert (path.stat().st_ino, path.stat().st_mode & 0o7777) == (status.st_ino, 0o640)


def test_put_where_nothing_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CertificateError) as caught:
        put(tmp_path / "file/kas.key", b"", group=0, mode=0o640)
    assert str(caught.value) == (
        f"{tmp_path}/file/kas.key cannot be replaced (Not a directory); correct the path, of which a part is no"
        " directory. The file is unchanged."
    )
