# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of a host: those that KAS serves with there, and the authorities that the host trusts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import APIS, TRUSTED_CERTS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    KAS_GROUP,
    RAILS_GROUP,
    Host,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import REDIS_FILES, shown

AUTHORITIES = "kas_ca_certificates"
# Who must trust a certificate of an API, by the group of the hosts.
_CLIENTS = {"private_api": KAS_GROUP, "internal_api": RAILS_GROUP}
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Certificate = dict[str, Any]


def certificates(host: Host, names: Mapping[str, Sequence[str]] | None = None) -> list[Certificate]:
    """A mapping for each certificate of a host, in the terms of kas_certificate_info; never a private key.

    With api and variable, the beginning of the names of its variables; certificate_src and key_src, files on the
    controller; given, whether anything is to be put in place. names are those by which others ask for them, by API.
    """
    found = []
    if host.runs_kas:
        for api, variable in APIS.items():
            if host.values[f"{variable}_certificate"]:
                found.append(_server(api, variable, host.values, (names or {}).get(api, [])))
    return found + [_authority(entry, title) for title, entry in _authorities(host)]


def certificate_refusals(host: Host) -> Iterator[str]:
    """What is wrong with the variables of a host's certificates, without the host's name and the full stop."""
    if host.runs_kas:
        for variable in APIS.values():
            yield from _incomplete(variable, host.values)
    names: set[str] = set()
    for title, entry in _authorities(host):
        name = _authority_name(entry)
        if not _FILE_NAME.fullmatch(name) or name in names:
            yield (
                f"{title}.name is {shown(entry['name'])}; set a unique file name of letters,"
                " digits, dots, underscores and hyphens"
            )
        elif _is_pem(entry.get("src", "")):
            yield _no_path(f"{title}.src", f"{title}.content")
        elif bool(entry.get("src")) == bool(entry.get("content")):
            count = "both src and" if entry.get("src") else "neither src nor"
            yield f"{title} ({name}) has {count} content; set one"
        names.add(name)


def read_at_start(host: Host) -> list[str]:
    """The files on the node that KAS reads only when it starts, those for TLS with Redis, too."""
    if not host.runs_kas:
        return []
    pairs = [host.values[f"{variable}_{part}"] for variable in APIS.values() for part in ("certificate", "key")]
    redis = host.values["kas_redis"]
    return [*filter(None, pairs), *(redis[option] for option in REDIS_FILES if option in redis)]


def shown_to(
    groups: Mapping[str, Sequence[str]], host: str, checked: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, str]]:
    """The certificates of other hosts that a host must trust, as pem and title (whose they are).

    A KAS node is shown the private API's of the others, a Rails node those of the internal API. One that is the same
    on several hosts is there once, one that the host has itself not at all. checked has for each host what
    kas_certificate_info returned, with the certificate it was asked about as item.
    """
    shown_by: dict[str, list[str]] = {}
    own = {result["certificate"]["pem"] for result in checked.get(host, ())}
    for name, results in checked.items():
        for result in results:
            pem, item = result["certificate"]["pem"], result["item"]
            if name != host and pem and pem not in own and host in groups.get(_CLIENTS.get(item["api"], ""), ()):
                shown_by.setdefault(pem, []).append(f"{item['variable']}_certificate of {name}")
    return [{"pem": pem, "title": " and ".join(titles)} for pem, titles in shown_by.items()]


def _server(api: str, variable: str, values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """One pair: where it is on the node, where it comes from, and what its two halves are called in sentences."""
    pair: dict[str, Any] = {"kind": "server", "api": api, "variable": variable, "server_names": names}
    for part in ("certificate", "key"):
        name = f"{variable}_{part}"
        pair[part] = values[name]
        pair[f"{part}_src"] = values[f"{name}_src"]
        if pair[f"{part}_src"]:
            pair[f"{part}_title"] = f"{name}_src {shown(pair[f'{part}_src'])}"
        elif values[f"{name}_content"]:
            pair[f"{part}_title"] = f"{name}_content"
        else:
            pair[f"{part}_title"] = f"{name} {shown(values[name])}"
    pair["certificate_content"] = values[f"{variable}_certificate_content"]
    sources = ("certificate_src", "certificate_content", "key_src", "key_content")
    pair["given"] = any(values[f"{variable}_{source}"] for source in sources)
    return pair


def _authorities(host: Host) -> list[tuple[str, Mapping[str, str]]]:
    """The entries of kas_ca_certificates, and what sentences call them."""
    given = host.values[AUTHORITIES] if host.is_present else ()
    return [(f"{AUTHORITIES}[{number}]", entry) for number, entry in enumerate(given)]


def _authority_name(entry: Mapping[str, str]) -> str:
    return entry["name"].removesuffix(".crt")


def _authority(entry: Mapping[str, str], title: str) -> Certificate:
    name = _authority_name(entry)
    return {
        "kind": "authority",
        "api": "",
        "variable": "",
        "server_names": [],
        "certificate": f"{TRUSTED_CERTS}/{name}.crt",
        "certificate_src": entry.get("src", ""),
        "certificate_content": entry.get("content", ""),
        "title": title,
        "certificate_title": f"{title} ({name})",
        "key": "",
        "key_src": "",
        "key_title": "",
        "given": True,
    }


def _is_pem(source: str) -> bool:
    return "-----BEGIN" in source


def _no_path(source: str, content: str) -> str:
    """It may be a key, so it is not shown."""
    return f"{source} holds PEM itself, and should be the path of a file on the controller; set {content} to it"


def _incomplete(variable: str, values: Mapping[str, Any]) -> Iterator[str]:
    """A pair needs both halves, each from one source."""
    for part, other in (("certificate", "key"), ("key", "certificate")):
        name = f"{variable}_{part}"
        if _is_pem(values[f"{name}_src"]):
            yield _no_path(f"{name}_src", f"{name}_content")
        elif values[f"{name}_src"] and values[f"{name}_content"]:
            yield f"{name}_src is {shown(values[f'{name}_src'])}, and {name}_content is set; set only one of them"
        missing = f"{variable}_{other}"
        if values[name] and not values[missing]:
            yield (
                f"{name} is {shown(values[name])}, but no {missing} is set; set {missing}, {missing}_src or"
                f" {missing}_content"
            )
