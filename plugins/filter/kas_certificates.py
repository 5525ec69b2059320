# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters kas_certificates, kas_certificates_elsewhere and kas_certificate_report of the role kas_certificates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from ansible_collections.kasops.gitlab_kas.plugins.filter.own_private_api_url import plain
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import APIS, TRUSTED_CERTS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    KAS_GROUP,
    RAILS_GROUP,
    Deployment,
    Host,
    tls_names,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import REDIS_FILES, normalise, shown

# What the role keeps for every host of the play.
CERTIFICATES = "__kas_certificates"
LOOK = "__kas_certificate_look"
TRUST = "__kas_certificate_trust"

AUTHORITIES = "kas_ca_certificates"
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def kas_certificates(
    variables: Mapping[str, Any], host: str, groups: Mapping[str, Sequence[str]], server_names: Sequence[str] = ()
) -> dict[str, Any]:
    """The certificates of one host; documented in kas_certificates.yml."""
    values, _wrong = normalise(host, plain(variables), load=yaml.safe_load)  # what is wrong is told by kas_plan
    certificates: list[dict[str, Any]] = []
    refusals: list[str] = []
    read_at_start: list[str] = []
    is_present = values["kas_state"] == "present"
    if is_present and host in groups.get(KAS_GROUP, ()) and values["kas_enabled"]:
        members = frozenset(group for group in (KAS_GROUP, RAILS_GROUP) if host in groups.get(group, ()))
        this = Host(host, members, values)
        names = tls_names(this, Deployment([this]))
        names["private_api"] = list(dict.fromkeys(filter(None, [*server_names, *names["private_api"]])))
        for api, variable in APIS.items():
            refusals += _incomplete(variable, values)
            if values[f"{variable}_certificate"]:
                certificates.append(_server(api, variable, values, names.get(api, [])))
        read_at_start = [pair[part] for pair in certificates for part in ("certificate", "key") if pair[part]]
        read_at_start += [values["kas_redis"][option] for option in REDIS_FILES if option in values["kas_redis"]]
    try:
        certificates += _authorities(values[AUTHORITIES] if is_present else ())
    except ValueError as error:
        refusals.append(str(error))
    return {
        "certificates": certificates,
        "read_at_start": read_at_start,
        "refusals": refusals,
        "user": values["kas_user"],
        "min_valid_days": values["kas_certificate_min_valid_days"],
    }


def kas_certificates_elsewhere(
    hostvars: Mapping[str, Any], hosts: Sequence[str], host: str, groups: Mapping[str, Sequence[str]]
) -> list[dict[str, str]]:
    """What the other hosts show to this one; documented in kas_certificates_elsewhere.yml."""
    clients = {"private_api": KAS_GROUP, "internal_api": RAILS_GROUP}
    shown_by: dict[str, list[str]] = {}
    own: set[str] = set()
    for name in map(str, hosts):
        for result in _results(hostvars[name], LOOK):
            pem, api = result["certificate"]["pem"], result["item"]["api"]
            if name == host:
                own.add(pem)
            elif pem and host in groups.get(clients.get(api, ""), ()):
                shown_by.setdefault(pem, []).append(f"{result['item']['variable']}_certificate of {name}")
    return [{"pem": pem, "title": " and ".join(titles)} for pem, titles in shown_by.items() if pem not in own]


def kas_certificate_report(hostvars: Mapping[str, Any], hosts: Sequence[str]) -> dict[str, Any]:
    """What is wrong with the certificates of all hosts; documented in kas_certificate_report.yml."""
    refusals, warnings = [], []
    for host in map(str, hosts):
        refusals += [f"{host}: {sentence}." for sentence in plain(hostvars[host][CERTIFICATES])["refusals"]]
        for result in _results(hostvars[host], LOOK):
            refusals += [f"{host}: {sentence}" for sentence in result["certificate"]["problems"]]
            warnings += [f"{host}: {sentence}" for sentence in result["certificate"]["warnings"]]
        for result in _results(hostvars[host], TRUST):
            if not result["certificate"]["chain_ok"]:
                refusals += [f"{host}: {sentence}" for sentence in result["certificate"]["problems"]]
    return {"refusals": refusals, "warnings": warnings}


def _results(variables: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """What kas_certificate_info returned in a loop on one host."""
    results: list[Mapping[str, Any]] = plain(variables[name])["results"]
    return results


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


def _authorities(given: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    """The authorities to trust; raises ValueError with what is wrong."""
    seen = set()
    for number, entry in enumerate(given):
        title = f"{AUTHORITIES}[{number}]"
        name = entry.get("name", "").removesuffix(".crt")
        if not _FILE_NAME.fullmatch(name) or name in seen:
            raise ValueError(
                f"{title}.name is {shown(entry.get('name', ''))}; set a file name that no other one has, of letters,"
                " digits, dots, underscores and hyphens"
            )
        if bool(entry.get("src")) == bool(entry.get("content")):
            count = "both src and" if entry.get("src") else "neither src nor"
            raise ValueError(f"{title} ({name}) has {count} content; set one")
        seen.add(name)
        yield {
            "kind": "authority",
            "api": "",
            "variable": "",
            "server_names": [],
            "certificate": f"{TRUSTED_CERTS}/{name}.crt",
            "certificate_src": entry.get("src", ""),
            "certificate_content": entry.get("content", ""),
            "certificate_title": f"{title} ({name})",
            "key": "",
            "key_src": "",
            "key_title": "",
            "given": True,
        }


def _incomplete(variable: str, values: Mapping[str, Any]) -> Iterator[str]:
    """A pair needs both halves, each from one source."""
    for part, other in (("certificate", "key"), ("key", "certificate")):
        name = f"{variable}_{part}"
        if values[f"{name}_src"] and values[f"{name}_content"]:
            yield f"{name}_src is {shown(values[f'{name}_src'])}, and {name}_content is set; set only one of them"
        missing = f"{variable}_{other}"
        if values[name] and not values[missing]:
            yield (
                f"{name} is {shown(values[name])}, but no {missing} is set; set {missing}, {missing}_src or"
                f" {missing}_content"
            )


class FilterModule:
    """What Ansible asks for the filters in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        filters = (kas_certificates, kas_certificates_elsewhere, kas_certificate_report)
        return {function.__name__: function for function in filters}
