# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the argument specs of the roles cannot say of a variable: the syntax of its text, the range of its number.

A syntax takes what was given, which may be of any type, and returns it in its final form, or raises Unfit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._characters import invisible, strange
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import host_port
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS

_RELEASE = re.compile(r"\d+\.\d+\.\d+([-+][\w.+-]*)?")

Syntax = Callable[[Any], Any]


class Unfit(Exception):
    """A value that a variable cannot take; the text is what to set, as the last part of a sentence."""


@dataclass(frozen=True)
class Whole:
    """A whole number, or the text of one."""

    limits: range
    remedy: str

    def __call__(self, value: Any) -> int:
        is_digits = isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value)
        if is_digits or (isinstance(value, int) and not isinstance(value, bool)):
            number = int(value)
            if number in self.limits:
                return number
        raise Unfit(self.remedy)


def is_blank(value: object) -> bool:
    """Whether a value, as it was given, is the same as none."""
    return value is None or (isinstance(value, str) and not value.strip())


def texts(value: Any) -> list[str]:
    """A list of texts. In a text, commas and line breaks part them, unless it is JSON or YAML."""
    is_list = isinstance(value, str) and value.lstrip().startswith(("[", "- "))
    loaded = re.split(r"[,\r\n]", value) if isinstance(value, str) and not is_list else loaded_text(value)
    if not isinstance(loaded, (list, tuple)) or not all(isinstance(item, str) or item is None for item in loaded):
        raise Unfit("set a list of texts, or one text with commas")
    return [item.strip() for item in loaded if not is_blank(item)]


def loaded_text(value: Any) -> Any:
    """What a text says as JSON or YAML, None if it is neither; anything else as it is."""
    for parse in _PARSERS if isinstance(value, str) else ():
        with suppress(Exception):  # whatever a parser raises: the text is not of its kind
            return parse(value)
    return None if isinstance(value, str) else value


_PARSERS: tuple[Callable[[str], Any], ...] = (json.loads, yaml.safe_load)


def expected_nodes(value: Any) -> list[str]:
    """A number of nodes, as the only item, or their names."""
    if isinstance(value, bool):
        raise Unfit("set the number of the deployment's nodes, or the list of their names")
    try:
        return list(dict.fromkeys(texts(str(value) if isinstance(value, int) else value)))
    except Unfit:
        raise Unfit("set the number of the deployment's nodes, or the list of their names") from None


PORT = Whole(range(1, 65536), "set a port from 1 to 65535")
SECONDS = Whole(range(1, 86401), "set whole seconds from 1 to 86400")
HOURS = Whole(range(87661), "set whole hours, 0 for all")
IDLE_SECONDS = Whole(range(7201), "set whole seconds up to 7200, 0 for not at all")
DAYS = Whole(range(36501), "set whole days from 0 to 36500")


@dataclass(frozen=True)
class Url:
    """A URL with one of these schemes, without user, query and fragment; the first one is for examples."""

    schemes: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        example = f"such as {self.schemes[0]}://HOST"
        if not isinstance(value, str):
            raise Unfit(f"set one URL, {example}")
        text = value.strip()
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Unfit(f"set a valid URL, {example}") from None
        if not text.startswith(tuple(f"{scheme}:" for scheme in self.schemes)):
            raise Unfit(f"set a URL whose scheme is {either(self.schemes)}")
        if parts.scheme == "unix":
            if not re.fullmatch(r"unix:///\S+", text):
                raise Unfit("set the path of a socket with three slashes, unix:///PATH")
            return text
        if not host or port == 0 or parts.netloc.endswith(":") or re.search(r"\s", text):
            raise Unfit(f"set a valid URL, {example}")
        if parts.username is not None or parts.query or parts.fragment:
            raise Unfit("set a URL without user, query and fragment")
        return text


@dataclass(frozen=True)
class Needed:
    """A text that must be there."""

    remedy: str

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Unfit(self.remedy)
        return value


def listener(value: Any) -> str:
    """Where a server listens: ADDRESS:PORT or the path of a socket."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("/") or host_port(text):
            return text
    raise Unfit("set ADDRESS:PORT (IPv6 in brackets), or a socket's absolute path with network unix")


def place(value: Any) -> str:
    """Where a client finds a server on TCP: HOST:PORT."""
    found = host_port(value.strip()) if isinstance(value, str) else None
    if found and not found.is_wildcard:
        return str(found)
    raise Unfit("set HOST:PORT (IPv6 in brackets)")


def batch(value: Any) -> str:
    """How many nodes at a time, as Ansible's serial takes it."""
    if isinstance(value, bool) or not re.fullmatch(r"\s*[1-9][0-9]{0,4}%?\s*", str(value)):
        raise Unfit("set a number of nodes from 1 on, or a percentage such as 25%")
    return str(value).strip()


def release(value: Any) -> str:
    """A release of GitLab."""
    if not isinstance(value, str) or not _RELEASE.fullmatch(value.strip()):
        raise Unfit("set a release of GitLab with all three numbers, such as '19.3.0'")
    return value.strip()


def secret_remedy(name: str) -> str:
    """What to set for one of the three secrets."""
    size = SECRETS[name]
    return f"set {size} random bytes in strict Base64, as 'openssl rand {size} | openssl base64 -A' prints them"


# By the name of the variable; an option within one has that one's name and a dot before its own.
SYNTAXES: dict[str, Syntax] = {
    "kas_external_url": Url(("wss", "ws", "grpcs", "grpc")),
    "kas_internal_url": Url(("grpc", "grpcs", "unix")),
    "kas_k8s_proxy_url": Url(("http", "https")),
    "kas_gitlab_address": Url(("http", "https")),
    "kas_chart_gitlab_url": Url(("http", "https")),
    "kas_own_private_api_url": Url(("grpc", "grpcs")),
    "kas_own_private_api_port": PORT,
    "kas_private_api_listen_address": listener,
    "kas_internal_api_listen_address": listener,
    "kas_listen_address": listener,
    "kas_kubernetes_api_listen_address": listener,
    "kas_observability_listen_address": listener,
    "kas_redis.port": PORT,
    "kas_redis.sentinels.host": Needed("set the name or address of a Sentinel"),
    "kas_redis.sentinels.port": PORT,
    **{f"kas_secrets_values.{name}": Needed(secret_remedy(name)) for name in SECRETS},
    "kas_ca_certificates.name": Needed("set the name of its file on the nodes, without .crt"),
    "kas_certificate_min_valid_days": DAYS,
    "kas_target_version": release,
    "kas_serial": batch,
    "kas_expected_nodes": expected_nodes,
    "kas_reconfigure_timeout_s": SECONDS,
    "kas_ready_timeout_s": SECONDS,
    "kas_probe_timeout_s": SECONDS,
    "kas_verify_idle_s": IDLE_SECONDS,
    "kas_diagnose_hours": HOURS,
    "kas_monitoring_target": place,
    "kas_chart_api_port": PORT,
}


# Texts of the user's own, in which any character may be meant: files, what they hold, and what KAS alone reads.
_FREE = ("kas_env", "kas_expected_nodes", "kas_report_path", "kas_settings", "kas_ca_certificates")
_FREE_ENDS = ("_src", "_content")
# Texts in which any character may be meant that can be seen.
_VISIBLE = (
    *("kas_deployment", "kas_extra_config_command", "kas_sentry_environment"),
    *(f"kas_redis.{option}" for option in ("username", "password", "sentinels_password", "sentinels_master_name")),
)


def unmeant(name: str, text: str) -> list[str]:
    """The characters in the text of a variable, or of an option within one, that only look right; each once."""
    if name.startswith(_FREE) or name.endswith(_FREE_ENDS):
        return []
    return invisible(text) if name in _VISIBLE else strange(text)


def either(words: Sequence[str]) -> str:
    """'a', 'a or b', 'a, b or c'; an empty word, which means not set, is left out."""
    words = [word for word in words if word]
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
