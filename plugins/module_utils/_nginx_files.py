# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx makes of the files that its virtual hosts name: certificates, keys, passphrases and the like.

Python's ssl asks the same functions of OpenSSL as nginx does when it starts; scenario nginx of Molecule holds
the two against each other. What only some builds of OpenSSL refuse, such as short keys, is not judged.
"""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CERTIFICATE, KEY = PAIR = ("ssl_certificate", "ssl_certificate_key")
PASSPHRASES, DH, AUTHORITIES = "ssl_password_file", "ssl_dhparam", "ssl_client_certificate"
# The settings of a virtual host that name files.
FILE_SETTINGS = (*PAIR, PASSPHRASES, DH, AUTHORITIES)
NO_FILES: Mapping[str, Any] = {"files": [], "unusable": {}, "certificates": {}, "encrypted": {}}
DIRECTORY = "/etc/gitlab/ssl"  # where the package looks for NAME.crt and NAME.key, unless it is told better

_BY_SUFFIX = {".crt": CERTIFICATE, ".key": KEY}
_ANY_STRENGTH = "ALL:@SECLEVEL=0"
_LONGEST_PASSPHRASE = 1024  # OpenSSL's PEM_BUFSIZE
_HANDSHAKE_TURNS = 4
_X509_V_FLAG_PARTIAL_CHAIN = 0x80000  # Python 3.9 has no name for these two
_X509_V_FLAG_NO_CHECK_TIME = 0x200000
_OTHER = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")

# OpenSSL wants each at the beginning of a line; it takes a byte order mark before the first.
_BEGIN = re.compile(rb"^(?:\xef\xbb\xbf)?-----BEGIN ([A-Z0-9. ]+)-----", re.MULTILINE)
_HOLDS = {  # what a file is to hold, and how it is titled
    CERTIFICATE: ("certificate", ("CERTIFICATE",)),
    AUTHORITIES: ("certificate", ("CERTIFICATE",)),
    KEY: ("private key", ("PRIVATE KEY",)),
    DH: ("DH parameters", ("DH PARAMETERS",)),
}
_OPENSSLS_OWN = "TRUSTED CERTIFICATE"  # a form that nginx takes, and Python does not
_KINDS = {"DNS": "DNS", "IP Address": "IP"}
_JOINED = re.compile(rb"-----END [A-Z0-9 ]+-----[ \t]*-----BEGIN ")


class _Encrypted(Exception):
    """OpenSSL asks for a passphrase."""


class _Tried(NamedTuple):
    """What OpenSSL makes of a certificate and a key."""

    context: ssl.SSLContext | None = None  # a server that has both; None if they do not belong together
    is_read: bool = True  # the key could be
    is_encrypted: bool = False


def look_at_files(root: Path, named: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Look at the files below a root: those that a setting of nginx names, as (setting, path), and the directory's.

    - files: the paths of those that are there,
    - unusable: of these, why nginx finds no use in one, as part of a sentence,
    - certificates: of each certificate the keys that belong to it, and, if there is one, its names (such as
      DNS:kas.example.com) and the seconds since 1970 between which it is valid,
    - encrypted: of each key with a passphrase, the files of passphrases that open it.

    A key is tried with certificates of its own name, and with those that a setting names.
    """
    uses = _uses(root, named)
    files = {path: root / path.lstrip("/") for path in sorted(uses)}
    contents = {path: _content(file) for path, file in files.items()}
    unusable = {path: problem for path in files if (problem := _problem(contents[path], uses[path]))}
    usable = [path for path in files if path not in unusable and contents[path]]
    certificates: dict[str, dict[str, Any]] = {path: {"keys": []} for path in usable if CERTIFICATE in uses[path]}
    passphrases = {path: _lines(contents[path]) for path in files if PASSPHRASES in uses[path]}
    encrypted: dict[str, list[str]] = {}
    keys = [path for path in usable if KEY in uses[path]]
    for path, key in _pairs(certificates, keys, {path for _setting, path in named}):
        tried = _try(files[path], files[key])
        if tried.is_encrypted:
            opened = {file: _open(files[path], files[key], lines) for file, lines in passphrases.items()}
            encrypted[key] = [file for file, each in opened.items() if each.is_read]
            tried = next((each for each in opened.values() if each.is_read), tried)
        elif not tried.is_read:
            unusable[key] = "holds a private key that is damaged"
        if tried.context:
            certificates[path]["keys"].append(key)
            certificates[path].update(_shown(tried.context, contents[path] or b""))
    return {"files": list(files), "unusable": unusable, "certificates": certificates, "encrypted": encrypted}


def _uses(root: Path, named: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """What each file that is there is for. Other things that nginx takes for one are none (data:…, engine:…, $name)."""
    uses: dict[str, set[str]] = {}
    with contextlib.suppress(OSError):
        for file in (root / DIRECTORY.lstrip("/")).iterdir():
            uses[f"{DIRECTORY}/{file.name}"] = {_BY_SUFFIX[file.suffix]} if file.suffix in _BY_SUFFIX else set()
    for setting, path in named:
        if path.startswith("/"):
            uses.setdefault(path, set()).add(setting)
    return {path: found for path, found in uses.items() if (root / path.lstrip("/")).is_file()}


def _pairs(certificates: Iterable[str], keys: Sequence[str], named: set[str]) -> list[tuple[str, str]]:
    return [
        (path, key) for path in certificates for key in keys if {path, key} & named or Path(path).stem == Path(key).stem
    ]


def _content(file: Path) -> bytes | None:
    """None if it cannot be read, so that nothing is said of it."""
    try:
        return file.read_bytes()
    except OSError:
        return None


def _problem(content: bytes | None, uses: set[str]) -> str:
    """Why nginx finds no use in a file, as part of a sentence; '' if it finds one, as far as this file alone tells."""
    if content is None or not uses & _HOLDS.keys():
        return ""
    if not content.strip():
        return "is empty"
    found = [title.decode() for title in _BEGIN.findall(content)]
    for use, (what, titles) in _HOLDS.items():
        if use in uses and not any(title.endswith(titles) for title in found):
            return f"holds no {what}, only {found[0]}" if found else "holds nothing in PEM form"
    is_judged = uses & {CERTIFICATE, AUTHORITIES} and _OPENSSLS_OWN not in found
    return _damage(content) if is_judged else ""


def _damage(content: bytes) -> str:
    """What keeps OpenSSL from reading the certificates in a file, as part of a sentence; '' if it reads them all."""
    if _JOINED.search(content):
        return "has an END and the next BEGIN on one line instead of two"
    try:
        _trusting(content)
    except ssl.SSLError as error:
        reason = f" ({error.reason.replace('_', ' ').lower()})" if error.reason else ""
        return f"holds a certificate that is damaged{reason}"
    return ""


def _trusting(certificates: bytes) -> ssl.SSLContext:
    """A client that believes these certificates, whatever their dates; raise ssl.SSLError if they cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags(_X509_V_FLAG_PARTIAL_CHAIN | _X509_V_FLAG_NO_CHECK_TIME)
    context.set_ciphers(_ANY_STRENGTH)
    # Between certificates anything may stand, and Python takes text of ASCII only.
    context.load_verify_locations(cadata=certificates.decode("ascii", errors="ignore"))
    return context


def _lines(content: bytes | None) -> list[bytes]:
    """The passphrases in a file, as nginx reads them."""
    lines = [line.removesuffix(b"\r") for line in (content or b"").split(b"\n")]
    return [line for line in lines if line and len(line) <= _LONGEST_PASSPHRASE]


def _open(certificate: Path, key: Path, passphrases: Iterable[bytes]) -> _Tried:
    """Try them one after another."""
    tried = (_try(certificate, key, passphrase) for passphrase in passphrases)
    return next((each for each in tried if each.is_read), _Tried(is_read=False))


def _try(certificate: Path, key: Path, passphrase: bytes | None = None) -> _Tried:
    def ask() -> bytes:
        raise _Encrypted

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(_ANY_STRENGTH)
    try:
        context.load_cert_chain(certificate, key, ask if passphrase is None else passphrase)
    except _Encrypted:
        return _Tried(is_read=False, is_encrypted=True)
    except OSError as error:  # SSLError is one, too
        return _Tried(is_read=getattr(error, "reason", None) in _OTHER)
    return _Tried(context)


def _shown(server: ssl.SSLContext, certificates: bytes) -> dict[str, Any]:
    """What a client learns of the certificate of a server; {} if it is none that a server may show.

    Python takes no certificate apart, except one that it has been shown and believes.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client = _trusting(certificates).wrap_bio(to_client, to_server)
        sides = (client, server.wrap_bio(to_server, to_client, server_side=True))
        for side in sides * _HANDSHAKE_TURNS:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        found: Mapping[str, Any] = client.getpeercert() or {}
    except (ValueError, ssl.SSLError):
        return {}
    return {
        "names": [f"{_KINDS[kind]}:{name}" for kind, name in found.get("subjectAltName", ()) if kind in _KINDS],
        "not_before": int(ssl.cert_time_to_seconds(found["notBefore"])),
        "not_after": int(ssl.cert_time_to_seconds(found["notAfter"])),
    }
