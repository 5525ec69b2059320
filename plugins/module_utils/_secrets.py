# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three secrets of a KAS deployment: check, make, compare and choose.

No text that leaves this module, errors included, holds any part of a secret.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# Bytes behind the Base64 text, as the package's reconfigure demands (libraries/gitlab_kas.rb, parse_secrets).
SECRETS = {"api_secret_key": 32, "private_api_secret_key": 32, "websocket_token_secret_key": 72}

GITLAB_RB = "gitlab.rb"
SECRETS_JSON = "gitlab-secrets.json"

Random = Callable[[int], bytes]  # that many bytes which nobody can guess


class SecretError(Exception):
    """A secret that cannot be used; the text is one sentence and shows no part of it."""


class Found(NamedTuple):
    """A secret that a node has."""

    value: str
    source: str  # GITLAB_RB or SECRETS_JSON: which of them wins on that node


class Node(NamedTuple):
    """What one node has; names are those of SECRETS."""

    host: str
    rails: bool  # runs Rails, which signs with its API secret
    secrets: Mapping[str, Found]
    runs_kas: bool = False  # now
    to_run_kas: bool = False  # by the inventory
    configured: bool = True  # a reconfigure has put in effect what it has


class Choice(NamedTuple):
    """One set of secrets for the whole deployment."""

    secrets: dict[str, str]
    origins: dict[str, str]  # for people: "given", "adopted from kas1 (gitlab.rb)", "made"


def problem(name: str, value: object) -> str | None:
    """Say why value is not a secret of this name, as the rest of a sentence, or None if it is one.

    The package decodes with Ruby's Base64.strict_decode64: no line breaks, padded, and no bits set behind the
    last byte. Exactly one text stands for given bytes, so encoding what was decoded must give the same text.
    """
    if not isinstance(value, str):
        return "is not a string"
    if not value:
        return "is empty"
    try:
        decoded = base64.b64decode(value, validate=True)
    except ValueError:
        decoded = b""
    if base64.b64encode(decoded).decode() != value:
        return "is not strict Base64 (one line, no spaces, padded with '=')"
    if len(decoded) != SECRETS[name]:
        return f"holds {len(decoded)} bytes instead of {SECRETS[name]}"
    return None


def make(name: str, random: Random = os.urandom) -> str:
    """Make the secret of this name."""
    return base64.b64encode(random(SECRETS[name])).decode()


def fingerprint(value: str) -> str:
    """Shorten value to 12 hex digits of SHA-256, for people to compare."""
    return hashlib.sha256(value.encode()).hexdigest()[:12]


def choose(nodes: Sequence[Node], *, given: Mapping[str, str] | None = None, random: Random = os.urandom) -> Choice:
    """Choose one set of secrets: given, else adopted from a node that has a valid one, else made.

    Which one is told by _claim; with equal claims the order of nodes decides. A given secret that is not valid
    raises SecretError.
    """
    given = given or {}
    secrets: dict[str, str] = {}
    origins: dict[str, str] = {}
    for name in SECRETS:
        found = [(node, node.secrets[name]) for node in nodes if name in node.secrets]
        found.sort(key=lambda pair: _claim(name, *pair))
        valid = [(node, secret) for node, secret in found if problem(name, secret.value) is None]
        if name in given:
            cause = problem(name, given[name])
            if cause:
                raise SecretError(f"The given {name} {cause}; give {SECRETS[name]} random bytes in strict Base64.")
            secrets[name], origins[name] = given[name], "given"
        elif valid:
            node, secret = valid[0]
            secrets[name], origins[name] = secret.value, f"adopted from {node.host} ({secret.source})"
        else:
            secrets[name], origins[name] = make(name, random), "made"
    return Choice(secrets, origins)


def _claim(name: str, node: Node, secret: Found) -> tuple[bool, ...]:
    """What makes a secret the one to adopt; the least comes first.

    A gitlab.rb was written by a person and is in effect before any gitlab-secrets.json, which every package makes for
    itself, whether anything uses it or not. Rails uses the API secret, but the others are used by KAS alone: those of
    a node that is to have none are in nobody's way.
    """
    is_made = secret.source != GITLAB_RB
    if name == "api_secret_key":
        return (is_made, not node.configured, not node.rails)
    return (not node.to_run_kas, is_made, not node.configured, not node.runs_kas)
