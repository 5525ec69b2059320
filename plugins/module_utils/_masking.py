# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings of a gitlab.rb hold secrets, and how to show settings and text without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MASK = "********"

# Names of the package's settings, of environment variables, and of what OmniAuth, object storage, LDAP, Mattermost and
# Alertmanager take in hashes. A key may be a file's content or its path; both are hidden.
_SECRET = re.compile(
    r"passw|passphrase|secret|token|credential|authorization|(private|api|access|account|signing|encryption|master|ssh"
    r"|gpg|primary|deterministic)_?key|key_base|key_string|dsn|data_?source|salt|psk|webhook|connection_string|slack_api"
    r"|activation_code|(^|_)(pass|pwd?|key)$",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(
    r"_(file|path|dir|directory|enabled?|ttl|length|expir\w*|name|header|id|listen_\w+|method|endpoint|realm|prefix"
    r"|timeout|tokens)$|(certificate|public|kms|config)_key$|^server_tokens$|(?<!webhook)(?<!slack_api)_url$",
    re.IGNORECASE,
)
# What is a secret wherever it stands: a password in a URL, PEM, tokens of GitLab, AWS, Slack and others, long random
# words.
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/@\s'\"]+)@", re.IGNORECASE)
_TOKEN = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)"
    r"|\b(?:gl[a-z]{2,6}-|gh[pousr]_|xox[a-z]-|AKIA|eyJ)[\w.-]{8,}|\b(?:Basic|Bearer) [\w.+/=-]{8,}"
    r"|(?<![\w+/-])(?:(?=[a-z\d+/]*[A-Z])(?=[A-Z\d+/]*[a-z])(?=[A-Za-z+/]*\d)[A-Za-z\d+/]{20,}={0,2}|[\da-f]{32,})",
    re.DOTALL,
)
# What follows the name in name = value, name: value, "name" => 'value', --name 'value'
_VALUE = re.compile(
    r"""(?:['"\])]*\s*(?:=>|[=:])\s*['"]?|['"\])]*\s+['"])(?P<value>(?:(?:Basic|Bearer) )?[^\s,;&'"{}\[\]]+)"""
)
_LONG = 5  # characters: shorter ones would be hidden in every other word of an output
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*(?:\1|$)(?P<key>\s*(?:\]|=>|:))?""")


def is_secret(name: str) -> bool:
    """Whether a setting of this name (``api_secret_key``, ``redis_password``, ``SENTRY_DSN``) holds a secret.

    Names of files, directories, URLs and the like hold none: ``websocket_token_secret_file``.
    """
    return bool(_SECRET.search(name)) and not _NOT_SECRET.search(name)


def names_secret(text: str) -> bool:
    """Whether a text of any kind speaks of a secret, so that it may hold one anywhere."""
    return any(map(is_secret, _WORD.findall(text)))


def mask_text(text: str) -> str:
    """A text that stands under a name which is no secret's, without the secrets that can be told by their looks."""
    text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
    for start, end in reversed(list(_named_values(text))):
        text = text[:start] + MASK + text[end:]
    return _TOKEN.sub(MASK, text)


def _named_values(text: str) -> Iterator[tuple[int, int]]:
    """Where the values stand that follow a secret's name in a text."""
    done = 0
    for word in _WORD.finditer(text):
        match = _VALUE.match(text, word.end()) if word.start() >= done and is_secret(word[0]) else None
        if match:
            done = match.end()
            yield match.span("value")


def mask(settings: Any, *, secret: bool = False) -> Any:
    """The same tree with every secret replaced by :data:`MASK`, also those inside of other texts."""
    if isinstance(settings, Mapping):
        return {key: mask(value, secret=secret or is_secret(str(key))) for key, value in settings.items()}
    if isinstance(settings, Sequence) and not isinstance(settings, (str, bytes)):
        return [mask(item, secret=secret) for item in settings]
    if secret and is_value(settings):
        return MASK
    return mask_text(settings) if isinstance(settings, str) else settings


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
        yield from (settings[start:end] for start, end in _named_values(settings) if end - start > _LONG)
        yield from (match[0] for match in _TOKEN.finditer(settings))


def secrets_in_text(text: str) -> Iterator[str]:
    """The secrets in a gitlab.rb, or in any text that may not be Ruby: what the package may quote when it fails.

    Of a line that names a secret these are all its strings, also what they say around the secret. Comments are left
    out: those of the package's own gitlab.rb show examples, and ordinary words in them.
    """
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not names_secret(line):
            continue
        yield from (match[0][1:].rstrip(match[1]) for match in _QUOTED.finditer(line) if not match["key"])
        yield from (line[start:end] for start, end in _named_values(line))
    yield from (match["user"] for match in _USERINFO.finditer(text))


def without(text: str, known: Iterable[str]) -> str:
    """The text with every one of the known secrets replaced by :data:`MASK`, apart from short ones."""
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) > _LONG:
            text = text.replace(secret, MASK)
    return text


def is_value(value: Any) -> bool:
    """Whether there is something to hide: a password may be a number, but not nil, true or nothing."""
    return value is not None and value != "" and not isinstance(value, bool)


def mask_line(line: str) -> str:
    """A line of Ruby text that could not be read setting by setting: its strings are hidden if it names a secret."""
    if _SECRET.search(line):
        line = _QUOTED.sub(lambda match: match[0] if match["key"] else f"{match[1]}{MASK}{match[1]}", line)
    return mask_text(line)
