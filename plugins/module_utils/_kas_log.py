# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What KAS says in its log: the URLs that it published, and why a start has failed.

Older releases end with plain text, "Program aborted: …", later ones with JSON, whose fields come in either order; a
panic is plain text in all. "Running KAS" exists since about 17.2. A listener that cannot bind ends KAS ten seconds
after the others are up, so only the three that every KAS has say together that it came up.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import ipaddress
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import KasError

_RUNNING = "Running KAS"
_ABORTED = "Program aborted"
_PUBLISHED = ("Using own private API URL", "Using own private API multi URL")  # up to 17.7, from 17.8 on
_UP = {"Agentk API endpoint is up", "API endpoint is up", "Private API endpoint is up"}
_MARKS = [mark.encode() for mark in (_RUNNING, _ABORTED, "panic: ", *_PUBLISHED, *_UP)]
# One of these in a file, and nothing before the file matters any more.
_BEGINNINGS = [mark.encode() for mark in (_RUNNING, _ABORTED, *_PUBLISHED)]
_BYTES_READ = 256 * 1024 * 1024  # a second or two
# After svlogd's time: "2025-02-20_21:56:20.62160 Program aborted: listen tcp …".
_PLAIN = re.compile(r"(?:\S+ )?(Program aborted|panic): (.*)")
# "grpc:10.0.0.1,fd00::1|8155", and with a host name "grpc:/localhost/|8155".
_MULTI_URL = re.compile(r"(?P<scheme>grpcs?):(?:/(?P<host>[^/]+)/)?(?P<addresses>[^/|]*)\|(?P<port>\d+)")


def published_urls(lines: Iterable[str]) -> list[str]:
    """Find the private API URLs that KAS published when it last started; none if it did not get that far."""
    urls: list[str] = []
    for message, text in _events(lines):
        if message in _PUBLISHED:
            urls = list(_single_urls(text))
        elif message in (_RUNNING, _ABORTED):
            urls = []
    return urls


def start_failure(lines: Iterable[str]) -> str:
    """Find out why KAS last ended by itself, '' if it has come up since."""
    failure = ""
    missing = set(_UP)
    for message, text in _events(lines):
        if message == _ABORTED:
            failure, missing = text, set(_UP)
        elif message == _RUNNING:
            missing = set(_UP)
        missing.discard(message)
        if not missing:
            failure = ""
    return failure


def start_log_lines(directory: Path) -> list[str]:
    """Read the lines that published_urls and start_failure look for, from the last start of KAS on; raise KasError.

    svlogd renames a full log to @….s, or @….u if it was interrupted, and GitLab has it compressed. A KAS that
    has run for long has its start in one of those.
    """
    lines: list[str] = []
    left = _BYTES_READ
    try:
        # The names are times (TAI64N), so they sort by age.
        for file in [directory / "current", *sorted(directory.glob("@*.[su]"), reverse=True)]:
            here, is_beginning = [], False
            with _open(file) as log:
                for line in log:
                    left -= len(line)
                    if any(mark in line for mark in _MARKS):
                        here.append(line.decode(errors="replace"))
                        is_beginning = is_beginning or any(mark in line for mark in _BEGINNINGS)
            lines = here + lines
            if left <= 0 or is_beginning:
                break
    except (OSError, EOFError, zlib.error) as error:
        how = "move that file away"
        if isinstance(error, OSError):
            how = "start KAS, whose service writes it" if error.errno == errno.ENOENT else remedy(error)
        raise KasError(f"The log of KAS in {directory} cannot be read ({error}); {how}.") from error
    return lines


def _open(file: Path) -> contextlib.AbstractContextManager:
    with file.open("rb") as log:
        compressed = log.read(2) == b"\x1f\x8b"
    return gzip.open(file) if compressed else file.open("rb")


def _events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What each line says, and the text that matters with it: the URL, or why KAS ended."""
    for line in lines:
        plain = _PLAIN.match(line.strip())
        if plain:
            yield _ABORTED, plain[2] if plain[1] == _ABORTED else f"panic: {plain[2]}"
            continue
        entry = _entry(line)
        message = entry.get("msg")
        if isinstance(message, str):
            yield message, str(entry.get("error" if message == _ABORTED else "url", ""))


def _entry(line: str) -> Mapping:
    """Read svlogd's time and JSON; anything else is an empty entry."""
    try:
        entry = json.loads(line[line.index("{") :])
    except ValueError:
        return {}
    return entry if isinstance(entry, Mapping) else {}


def _single_urls(text: str) -> Iterator[str]:
    """Split what 17.8 and later log into URLs; what older ones log is one."""
    multi = _MULTI_URL.fullmatch(text)
    if multi is None:
        scheme, _colon, path = text.partition(":")
        yield f"unix://{path}" if scheme == "unix" and not path.startswith("//") else text
        return
    for host in [multi["host"]] if multi["host"] else multi["addresses"].split(","):
        with contextlib.suppress(ValueError):
            host = f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
        yield f"{multi['scheme']}://{host}:{multi['port']}"
