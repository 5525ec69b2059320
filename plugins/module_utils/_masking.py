# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings of a gitlab.rb hold secrets, and how to show settings and text without them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MASK = "********"

_SECRET = re.compile(
    r"passw|passphrase|secret|token|credential|(private|api|access|account|signing|encryption|master|ssh|gpg|primary"
    r"|deterministic)_?key|key_base|key_string|dsn|salt|psk|webhook|connection_string|(^|_)(pass|pwd?)$",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(
    r"_(file|path|dir|directory|enabled?|ttl|length|expir\w*|name|header|id|listen_\w+)$|(?<!webhook)_url$",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/@\s'\"]+)@", re.IGNORECASE)
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*(?:\1|$)(?P<key>\s*(?:\]|=>|:))?""")


def is_secret(name: str) -> bool:
    """Whether a setting of this name (``api_secret_key``, ``redis_password``, ``SENTRY_DSN``) holds a secret.

    Names of files, directories, URLs and the like hold none: ``websocket_token_secret_file``.
    """
    return bool(_SECRET.search(name)) and not _NOT_SECRET.search(name)


def mask(settings: Any, *, secret: bool = False) -> Any:
    """The same tree with every secret replaced by :data:`MASK`, and without passwords inside URLs."""
    if isinstance(settings, Mapping):
        return {key: mask(value, secret=secret or is_secret(str(key))) for key, value in settings.items()}
    if isinstance(settings, Sequence) and not isinstance(settings, (str, bytes)):
        return [mask(item, secret=secret) for item in settings]
    if secret and is_value(settings):
        return MASK
    return _USERINFO.sub(rf"\g<scheme>{MASK}@", settings) if isinstance(settings, str) else settings


def secrets(settings: Any, *, secret: bool = False) -> Iterator[str]:
    """The secrets in a tree of settings as text: what :func:`mask` hides."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            yield from secrets(value, secret=secret or is_secret(str(key)))
    elif isinstance(settings, Sequence) and not isinstance(settings, (str, bytes)):
        for item in settings:
            yield from secrets(item, secret=secret)
    elif secret and is_value(settings):
        yield str(settings)
    elif isinstance(settings, str):
        yield from (match["user"] for match in _USERINFO.finditer(settings))


def is_value(value: Any) -> bool:
    """Whether there is something to hide: a password may be a number, but not nil, true or nothing."""
    return value is not None and value != "" and not isinstance(value, bool)


def mask_line(line: str) -> str:
    """A line of Ruby text that could not be read setting by setting: its strings are hidden if it names a secret."""
    line = _USERINFO.sub(rf"\g<scheme>{MASK}@", line)
    if not _SECRET.search(line):
        return line
    return _QUOTED.sub(lambda match: match[0] if match["key"] else f"{match[1]}{MASK}{match[1]}", line)
