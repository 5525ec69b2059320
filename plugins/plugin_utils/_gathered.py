# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible knows of a host, and the host of a deployment that it makes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    PrivateApiError,
    ip_version,
    parse_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._facts import private_api_addresses
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import NAMES, VARIABLES, normalise, shown


@dataclass(frozen=True)
class Gathered:
    """What Ansible knows of one host of the inventory."""

    name: str
    groups: frozenset[str]  # which of the two it is in
    in_play: bool  # this play changes it; else it stands outside of --limit
    variables: Mapping[str, Any]  # those of the collection that are set, evaluated
    errors: Mapping[str, str] = field(default_factory=dict)  # those that cannot be evaluated, and why
    misspelt: Mapping[str, str] = field(default_factory=dict)  # names that are almost ours, and ours
    result: Mapping[str, Any] | None = None  # what kas_node_info returned; None if it was not run

    @property
    def meant(self) -> dict[str, str]:
        """The misspelt names that are refused; of the others a warning does."""
        return meant(self.misspelt, VARIABLES, self.variables, self.errors)


def read(gathered: Gathered) -> tuple[Host, list[str]]:
    """The host of the deployment, and a sentence for each variable that cannot be what it is."""
    name = gathered.name
    values, wrong = normalise(gathered.variables, errors=gathered.errors)
    wrong += misspelt_refusals(gathered.meant)
    result = gathered.result or {}
    info = result.get("kas")
    candidates: Sequence[str] | None = None
    query, facts = values["kas_own_private_api_query"], result.get("network_facts")
    if query and facts:
        try:
            candidates = private_api_addresses(facts, query)
        except PrivateApiError as error:
            wrong.append(f"kas_own_private_api_query cannot be used: {error}")
    elif query and gathered.in_play and info:
        failed = str(result.get("network_facts_error") or "").rstrip(".")
        why = f" ({failed})" if failed else ""
        wrong.append(
            f"kas_own_private_api_query is {shown(query)}, but the host's facts could not be gathered{why}; make"
            " sure that ansible.builtin.setup works there, or leave the query out."
        )
    elif query and not gathered.in_play:
        # Its facts are not there; what its KAS has published is what the query chose.
        candidates = list(_addresses((info or {}).get("own_private_api_urls") or [])) or None
    host = Host(
        name=name,
        groups=gathered.groups,
        values=values,
        info=info,
        is_reached="msg" in result and not result.get("unreachable"),
        unreachable=_cause(result),
        secrets=(info or {}).get("secret_values") or {},
        candidates=candidates,
        in_play=gathered.in_play,
    )
    return host, wrong


def _addresses(urls: Sequence[str]) -> Iterator[str]:
    """The addresses in the URLs that a KAS has logged, whatever stands there."""
    for url in urls:
        with suppress(PrivateApiError):
            host = parse_url(url).host
            if ip_version(host):
                yield host


def misspelt(names: Collection[str], known: Collection[str] = NAMES) -> dict[str, str]:
    """Of the names of variables, those that are almost one of ours, and which; a user's own kas_ variable is not."""
    others = [name for name in sorted(set(names) - set(known)) if name.casefold().startswith("kas")]
    found = {name: nearest(name, known) for name in others}
    return {name: near for name, near in found.items() if near}


def meant(
    misspelt: Mapping[str, str], variables: Collection[str], given: Mapping[str, Any], errors: Mapping[str, str]
) -> dict[str, str]:
    """Of the misspelt names those that somebody most likely meant for one of these variables, which is not set."""
    return {
        name: near
        for name, near in misspelt.items()
        if near in variables and given.get(near) is None and near not in errors
    }


def misspelt_refusals(names: Mapping[str, str]) -> list[str]:
    """A sentence for each of these names, which would have no effect."""
    return [
        f"{name} is not a variable of this collection, so it would do nothing; write {near}, or give a variable of your"
        " own another name."
        for name, near in names.items()
    ]


def _cause(result: Mapping[str, Any]) -> str:
    """Why kas_info did not run, in Ansible's words on one line."""
    return " ".join(str(result.get("msg") or "no answer").split()).replace("Task failed: ", "", 1)
