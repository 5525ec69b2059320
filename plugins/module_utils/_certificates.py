# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and their keys: whether KAS can serve with them, and whether a client of it will believe them.

openssl takes them apart; Python's standard library cannot. What a certificate must be is what Go's crypto/x509 asks
of it, because KAS is both sides of the private API.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import math
import os
import pwd
import re
import shutil
import ssl
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, check, remedy, write
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import Finished
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import CA_DIR
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import fingerprint

# Each API that takes a certificate, and the beginning of the names of its variables.
APIS = {
    "private_api": "kas_private_api",
    "internal_api": "kas_internal_api",
    "agent": "kas",
    "kubernetes_api": "kas_kubernetes_api",
}
# Not /etc/gitlab/ssl: on many nodes it is for root only, and KAS itself, which runs as git, opens its files.
DIRECTORY = "/etc/gitlab/ssl-kas"
TRUSTED_CERTS = Path("/etc/gitlab/trusted-certs")

_OPENSSL = Path("/opt/gitlab/embedded/bin/openssl")
_RUN_TIMEOUT_S = 60
_DAY_S = 86400

# Where Go looks for the system's bundle; the first of them counts (crypto/x509/root_linux.go).
_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/pki/tls/cacert.pem"),
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----.+?-----END ([A-Z]+ )?PRIVATE KEY-----", re.DOTALL)
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
_TITLES = ("notBefore=", "notAfter=", "subject=", "issuer=")
_NAME = re.compile(r"(?:DNS:(?P<dns>.*)|IP Address:(?P<ip>[0-9A-Fa-f.:]+))")
_VERIFY_ERROR = re.compile(r"error (\d+) at (\d+) depth lookup: ?(.*)")
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}  # OpenSSL's X509_V_ERR_ codes
_WRONG_PURPOSE = 26

_HOST_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")

# Runs argv with this standard input, as this account or as who runs Ansible; raises CertificateError if it cannot.
Runner = Callable[[Sequence[str], bytes, "Account | None"], Finished]


class CertificateError(Exception):
    """Something cannot be looked at, or not be put in place."""


class Name(NamedTuple):
    """A subject alternative name."""

    kind: str  # DNS or IP
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class Certificate(NamedTuple):
    """What is in a certificate; times are seconds since the epoch."""

    names: list[Name]
    not_before: int
    not_after: int
    subject: str
    issuer: str
    public_key: str


class Item(NamedTuple):
    """A certificate or key."""

    path: Path | None  # where it is on the node, or will be
    content: bytes | None = None  # what will be there; None: what is there
    title: str = ""  # what sentences call it; empty: its path

    def __str__(self) -> str:
        return self.title or str(self.path)


@dataclass
class Findings:
    """What there is to say of a certificate and its key; None where nothing could be found out."""

    subject_alt_names: list[str] | None = None
    not_before: str | None = None
    not_after: str | None = None
    days_left: int | None = None
    matches_key: bool | None = None
    chain_ok: bool | None = None
    key_readable: bool | None = None
    pem: str | None = None  # every certificate in the file: what a server shows to everybody
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Account(NamedTuple):
    """Who KAS runs as: user['username'] and user['group'] of gitlab.rb."""

    user: str = "git"
    group: str | None = None  # None for the user's primary one

    @property
    def gid(self) -> int:
        """The number of the group; raise CertificateError if there is no such user or group."""
        try:
            return grp.getgrnam(self.group).gr_gid if self.group else pwd.getpwnam(self.user).pw_gid
        except KeyError:
            missing = f"group {self.group}" if self.group else f"user {self.user}"
            raise CertificateError(
                f"There is no {missing} on this node; run gitlab-ctl reconfigure once, which makes it."
            ) from None


class Wanted(NamedTuple):
    """What a certificate must hold out against."""

    authority: bool = False  # it is one that others are verified with
    server_names: Sequence[str] = ()
    min_valid_days: int = 30
    account: Account = Account()


class Node(NamedTuple):
    """What is handed in of the node."""

    run: Runner
    openssl: str
    trust: bytes  # certificates of authorities, PEM
    now: float


def default_paths(variables: Mapping[str, object]) -> dict[str, str]:
    """The paths that follow for certificates and keys given by content or file, where none was given."""
    paths = {}
    for api, variable in APIS.items():
        for part, suffix in (("certificate", "crt"), ("key", "key")):
            name = f"{variable}_{part}"
            is_given = variables.get(f"{name}_src") or variables.get(f"{name}_content")
            if is_given and not variables.get(name):
                paths[name] = f"{DIRECTORY}/{api.replace('_', '-')}.{suffix}"
    return paths


def run(argv: Sequence[str], stdin: bytes = b"", account: Account | None = None) -> Finished:
    """Run a program that ends by itself.

    An account has its group and no other, as KAS does: the package starts it with chpst -u git:git.
    """
    try:
        finished = subprocess.run(  # pylint: disable=ansible-bad-function
            list(argv),
            input=stdin,
            capture_output=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            cwd="/",
            user=account.user if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            timeout=_RUN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CertificateError(
            f"{argv[0]} has not ended within {_RUN_TIMEOUT_S} s; look at what slows the node down, and run again."
        ) from error
    except OSError as error:
        who = f" as {account.user}" if account else ""
        how = "install it" if error.errno == errno.ENOENT else remedy(error)
        raise CertificateError(f"{argv[0]} cannot be run{who} ({error.strerror}); {how}.") from error
    return Finished(
        finished.returncode, finished.stdout.decode(errors="replace"), finished.stderr.decode(errors="replace")
    )


def find_openssl(package: Path = _OPENSSL) -> str:
    """The package's openssl, else the one in PATH; raise CertificateError if there is none."""
    found = str(package) if package.exists() else shutil.which("openssl")
    if found is None:
        raise CertificateError(f"There is no openssl on this node, neither {package} nor in PATH; install it.")
    return found


def trusted(directories: Iterable[Path] = (CA_DIR, TRUSTED_CERTS), bundles: Iterable[Path] = _BUNDLES) -> bytes:
    """The certificates that KAS trusts, and those that it will after the next reconfigure.

    Go takes every file in SSL_CERT_DIR, whatever its name, and the system's bundle. Raises CertificateError.
    """
    try:
        files = [file for directory in directories if directory.is_dir() for file in sorted(directory.iterdir())]
        files += [bundle for bundle in bundles if bundle.exists()][:1]
        return b"\n".join(block for file in files if file.is_file() for block in blocks(file.read_bytes()))
    except OSError as error:
        raise CertificateError(f"{error.filename} cannot be read ({error.strerror}); {remedy(error)}.") from error


def blocks(pem: bytes) -> list[bytes]:
    """The certificates in a text."""
    return _CERTIFICATE.findall(pem)


def look(certificate: Item, key: Item | None, wanted: Wanted, node: Node) -> Findings:
    """Look at a certificate and its key from all sides. Raises nothing: what cannot be found out is a problem."""
    found = Findings()
    decoded = None
    with _noted(found):
        pem = read_certificate(certificate)
        found.pem = b"\n".join(blocks(pem)).decode()
        decoded = decode(certificate, pem, node)
        _describe(found, decoded, node.now)
        found.problems += _name_problems(certificate, decoded, wanted.server_names)
        found.problems += _date_problems(certificate, decoded, found, wanted.min_valid_days, node.now)
        if wanted.authority:
            found.problems += _more_than_one(certificate, pem)
        else:
            chain = _chain_problem(certificate, pem, decoded, node)
            found.chain_ok = chain is None
            found.problems += [chain] if chain else []
    with _noted(found):
        _unless_blocked(certificate, wanted.account, node.run)
    if key is None:
        return found
    with _noted(found):
        public_key = decode_key(key, read_key(key), node)
        if decoded:
            found.matches_key = public_key == decoded.public_key
            found.problems += [] if found.matches_key else [mismatch(certificate, key)]
    found.key_readable = False
    with _noted(found):
        _unless_blocked(key, wanted.account, node.run)
        found.key_readable = True
        found.warnings += _openness(key)
    return found


def check_pair(certificate: Item, key: Item | None, node: Node) -> None:
    """Raise CertificateError unless there is a certificate, and the key, if there is one, is its own."""
    decoded = decode(certificate, read_certificate(certificate), node)
    if key and decode_key(key, read_key(key), node) != decoded.public_key:
        raise CertificateError(mismatch(certificate, key))


def summary(item: Item, access: str, node: Node) -> str:
    """A line about a certificate or key for a diff, which shows neither; empty if there is none."""
    try:
        pem = _read(item)
    except CertificateError:
        return ""
    try:
        if blocks(pem):
            certificate = decode(item, pem, node)
            names = "".join(f", {name}" for name in certificate.names)
            said = f"certificate of {certificate.subject}{names}, valid until {timestamp(certificate.not_after)}"
            public_key = certificate.public_key
        else:
            said, public_key = "private key", decode_key(item, read_key(item), node)
    except CertificateError:
        return f"{item.path}: something else ({access})\n"
    return f"{item.path}: {said}, public key {fingerprint(public_key)} ({access})\n"


def access_of(path: Path) -> str:
    """What put() sees to, such as group git, mode 0640; empty if there is no such file."""
    return access(path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) if path.exists() else ""


def access(group: int, mode: int) -> str:
    return f"group {_name_of_group(group)}, mode {mode:04o}"


def put(path: Path, content: bytes, *, group: int, mode: int, check_mode: bool = False) -> bool:
    """See that a file has this content, group and mode, and tell whether it had not.

    Missing directories are made so that everybody may enter them. Raises CertificateError.
    """
    try:
        status = path.stat() if path.exists() else None
        as_wanted = status is not None and (status.st_gid, stat.S_IMODE(status.st_mode)) == (group, mode)
        same = status is not None and path.read_bytes() == content
        if check_mode and not same:
            check(str(path), content, makes_directories=True)
        if check_mode or (as_wanted and same):
            return not (as_wanted and same)
        for directory in reversed([directory for directory in path.parents if not directory.exists()]):
            directory.mkdir()
            directory.chmod(0o755)  # mkdir() heeds the umask
        if status is not None:  # a key must not be shown to those who could read the old one
            _own(path, group, mode)
        if not same:
            write(str(path), content)
        _own(path, group, mode)
    except FileError as error:
        raise CertificateError(str(error)) from error
    except OSError as error:
        raise CertificateError(f"{path} cannot be put in place ({error.strerror}); {remedy(error)}.") from error
    return True


def remove(path: Path) -> None:
    """Remove a file, and the directory of our own if it is empty then. Raises CertificateError."""
    try:
        path.unlink()
    except OSError as error:
        raise CertificateError(f"{path} cannot be removed ({error.strerror}); {remedy(error)}.") from error
    if path.parent == Path(DIRECTORY):
        with contextlib.suppress(OSError):  # it holds something else
            path.parent.rmdir()


def _own(path: Path, group: int, mode: int) -> None:
    os.chown(path, -1, group)
    path.chmod(mode)


# -- Taking them apart --


def read_certificate(item: Item) -> bytes:
    """The text of a certificate file; raise CertificateError if there is none in it."""
    pem = _read(item)
    if not blocks(pem):
        raise CertificateError(
            f"{item} holds no certificate in PEM form; put the certificate there, and behind it those that lead to its"
            " authority."
        )
    return pem


def read_key(item: Item) -> bytes:
    """The private key in a file; raise CertificateError if there is none, or one that KAS cannot open."""
    pem = _read(item)
    if _ENCRYPTED.search(pem):
        raise CertificateError(
            f"{item} is encrypted, and KAS cannot be given a passphrase; decrypt it, for example with openssl pkey."
        )
    match = _KEY.search(pem)
    if match is None:
        raise CertificateError(f"{item} holds no private key in PEM form; put the key of the certificate there.")
    return match[0]


def decode(item: Item, pem: bytes, node: Node) -> Certificate:
    """Take the first certificate of a text apart; raise CertificateError if openssl cannot."""
    options = ["-noout", "-startdate", "-enddate", "-subject", "-issuer", "-nameopt", "RFC2253", "-pubkey"]
    argv = [node.openssl, "x509", *options, "-ext", "subjectAltName"]
    finished = node.run(argv, blocks(pem)[0], None)
    public_key = _PUBLIC_KEY.search(finished.stdout)
    if finished.exit_code != 0 or public_key is None:
        raise CertificateError(f"{item} holds a certificate that is damaged; put the certificate there again.")
    lines = finished.stdout.splitlines()
    values = dict(line.split("=", 1) for line in lines if line.startswith(_TITLES))
    return Certificate(
        names=_names(lines),
        not_before=int(ssl.cert_time_to_seconds(values["notBefore"])),
        not_after=int(ssl.cert_time_to_seconds(values["notAfter"])),
        subject=values["subject"].strip(),
        issuer=values["issuer"].strip(),
        public_key=public_key[0],
    )


def decode_key(item: Item, pem: bytes, node: Node) -> str:
    """The public half of a private key; raise CertificateError if openssl cannot read the key."""
    # Were it encrypted after all, the empty passphrase keeps openssl from asking for one.
    finished = node.run([node.openssl, "pkey", "-pubout", "-passin", "pass:"], pem, None)
    public_key = _PUBLIC_KEY.search(finished.stdout)
    if finished.exit_code != 0 or public_key is None:
        raise CertificateError(f"{item} holds a private key that is damaged; put the key of the certificate there.")
    return public_key[0]


def mismatch(certificate: Item, key: Item) -> str:
    return f"{key} is not the key of {certificate}; give a certificate and the key that belongs to it."


def covers(names: Iterable[Name], host: str) -> bool:
    """Whether a client that asks for this host takes the certificate: Go's Certificate.VerifyHostname.

    An address must be among the IP names as it is. A * stands for a whole first label, and for no more. The common
    name does not count.
    """
    with contextlib.suppress(ValueError):
        address = ip_address(host.strip("[]"))
        return any(name.kind == "IP" and ip_address(name.value) == address for name in names)
    return any(name.kind == "DNS" and _matches(name.value.lower(), host.lower()) for name in names)


def _matches(pattern: str, host: str) -> bool:
    shown, wanted = pattern.split("."), host.removesuffix(".").split(".")
    with_star = shown[0] == "*" and len(shown) > 1
    if not (_are_labels(shown[1:] if with_star else shown) and _are_labels(wanted)):
        return pattern == host and host not in ("", ".")
    return shown[1:] == wanted[1:] and (with_star or shown[0] == wanted[0])


def _are_labels(labels: Iterable[str]) -> bool:
    return all(map(_HOST_LABEL.fullmatch, labels))


def _names(lines: Sequence[str]) -> list[Name]:
    """The DNS names and addresses that openssl prints behind the extension's title."""
    titles = [number for number, line in enumerate(lines) if "Subject Alternative Name:" in line]
    if not titles:
        return []
    matches = map(_NAME.fullmatch, lines[titles[0] + 1].strip().split(", "))
    return [
        Name("IP", str(ip_address(match["ip"]))) if match["ip"] else Name("DNS", match["dns"])
        for match in matches
        if match  # there are other kinds, which are not for servers
    ]


def _read(item: Item) -> bytes:
    if item.content is not None:
        return item.content
    if item.path is None:
        raise CertificateError(f"{item} is not given; give its path or its content.")
    try:
        return item.path.read_bytes()
    except FileNotFoundError:
        raise CertificateError(f"{item} does not exist on the node; put it there, or correct the path.") from None
    except OSError as error:
        raise CertificateError(f"{item} cannot be read ({error.strerror}); {remedy(error)}.") from None


# -- Judging them --


def _describe(found: Findings, certificate: Certificate, now: float) -> None:
    found.subject_alt_names = [str(name) for name in certificate.names]
    found.not_before = timestamp(certificate.not_before)
    found.not_after = timestamp(certificate.not_after)
    found.days_left = math.floor((certificate.not_after - now) / _DAY_S)


def _name_problems(item: Item, certificate: Certificate, hosts: Iterable[str]) -> Iterator[str]:
    names = ", ".join(name.value for name in certificate.names)
    for host in dict.fromkeys(hosts):
        if not names:
            yield (
                f"{item} has no subject alternative name, and its common name does not count; have it issued with"
                f" {host} as one."
            )
        elif not covers(certificate.names, host):
            yield f"{item} is for {names}, not for {host}; have it issued with {host}, too, or use one of its names."


def _date_problems(item: Item, certificate: Certificate, found: Findings, limit: int, now: float) -> Iterator[str]:
    left = found.days_left or 0
    if now < certificate.not_before:
        yield f"{item} is not valid before {found.not_before}; wait until then, or correct the clock of the node."
    elif now > certificate.not_after:
        yield f"{item} has expired at {found.not_after}; renew it."
    elif left < limit:
        days = "1 day" if left == 1 else f"{left} days"
        yield f"{item} expires in {days}, at {found.not_after}, and {limit} days are required; renew it."


def _more_than_one(item: Item, pem: bytes) -> Iterator[str]:
    """The package links a trusted certificate by the hash of its name, which finds the first one in a file."""
    count = len(blocks(pem))
    if count > 1:
        yield f"{item} holds {count} certificates, but only the first in a file counts; give each a file of its own."


def _chain_problem(item: Item, pem: bytes, certificate: Certificate, node: Node) -> str | None:
    """Verify it as a client does, at a time at which it is valid: its own dates have a sentence of their own."""
    at = int(min(max(node.now, certificate.not_before), certificate.not_after - 1))
    leaf, *others = blocks(pem)
    with tempfile.TemporaryDirectory() as directory:  # for its owner only, and nothing of this is secret
        argv = [node.openssl, "verify", "-partial_chain", "-purpose", "sslserver", "-auth_level", "1"]
        argv += ["-attime", str(at), "-no-CApath", "-no-CAfile"]
        for option, certificates in (("-trusted", node.trust), ("-untrusted", b"\n".join(others))):
            if certificates:
                file = Path(directory, option)
                file.write_bytes(certificates)
                argv += [option, str(file)]
        finished = node.run(argv, leaf, None)
    if finished.exit_code == 0:
        return None
    match = _VERIFY_ERROR.search(finished.stderr)
    if match is None:
        return f"{item} cannot be verified ({_first_line(finished.stderr)}); check what is in {TRUSTED_CERTS}."
    code, depth, text = int(match[1]), int(match[2]), match[3].strip()
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"{item} was signed by {certificate.issuer}, and that leads to no authority that this node trusts; put the"
            f" authority into {TRUSTED_CERTS} (kas_ca_certificates does), and those in between behind the certificate."
        )
    if code == _WRONG_PURPOSE and depth == 0:
        return f"{item} is not meant for a server; have it issued with the extended key usage serverAuth."
    whose = "it" if depth == 0 else "a certificate above it"
    return f"{item} cannot be verified, because of {whose}: {text}; have it issued anew."


def _unless_blocked(item: Item, account: Account, run: Runner) -> None:
    """Raise CertificateError if the user cannot read the file, or cannot get to where it will be put."""
    if item.path is None:
        return
    directories = _directories(item.path)
    reads_file = item.content is None and item.path.exists()
    argv = ["test", "-r", str(item.path)] if reads_file else ["test", "-x", str(directories[-1])]
    if run(argv, b"", account).exit_code == 0:
        return
    for directory in directories:
        if run(["test", "-x", str(directory)], b"", account).exit_code != 0:
            raise CertificateError(
                f"{item} cannot be reached by {account.user}, the user of KAS, who may not enter {directory}"
                f" ({_mode(directory)}); let that user in, or keep the file in another directory."
            )
    group = f"group {account.group}" if account.group else "that user's group"
    raise CertificateError(
        f"{item} cannot be read by {account.user}, the user of KAS ({_mode(item.path)}); give it to {group} with mode"
        " 0640."
    )


def _directories(path: Path) -> list[Path]:
    """Those that exist on the way to a file, and to what it leads to if it is a link; the deepest one last."""
    ways = [directory for end in (path, path.resolve()) for directory in reversed(end.parents)]
    return [directory for directory in dict.fromkeys(ways) if directory.exists()]


def _openness(key: Item) -> Iterator[str]:
    if key.content is None and key.path is not None and key.path.exists() and key.path.stat().st_mode & stat.S_IROTH:
        yield f"{key} can be read by everybody ({_mode(key.path)}); give it mode 0640."


def _mode(path: Path) -> str:
    """Owner, group and mode, such as root:root 0700."""
    status = path.stat()
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    return f"{owner}:{_name_of_group(status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"


def _name_of_group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def timestamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["openssl gives no reason"])[0]


@contextlib.contextmanager
def _noted(found: Findings) -> Iterator[None]:
    """Turn what goes wrong into a problem, and go on."""
    try:
        yield
    except CertificateError as error:
        found.problems += [str(error)] if str(error) not in found.problems else []
    except OSError as error:
        found.problems.append(f"{error.filename} cannot be checked ({error.strerror}); {remedy(error)}.")
