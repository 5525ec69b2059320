# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a host among which KAS looks for its own, out of the facts that Ansible gathers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _private_api
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._query import QueryError, search
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown


def private_api_addresses(facts: object, query: object = None) -> list[str]:
    """The addresses in a host's facts, or those of a list. Raises PrivateApiError."""
    if not isinstance(facts, (dict, list)):
        raise PrivateApiError("The input must be a host's facts or a list of its addresses; give ansible_facts.")
    if query not in (None, ""):
        return _private_api.addresses(select(facts, query))
    return _private_api.addresses(facts if isinstance(facts, list) else list(_all_addresses(_named(facts))))


def _named(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts by their names without ansible_."""
    return {name.removeprefix("ansible_"): value for name, value in facts.items()}


def _all_addresses(facts: dict[str, Any]) -> Iterator[Any]:
    """Every address of every interface.

    The two lists leave out loopback, which KAS counts like any other address and the interfaces hold; an address found
    twice counts once.
    """
    for name in ("all_ipv4_addresses", "all_ipv6_addresses"):
        yield from facts.get(name) or []
    for interface in facts.values():
        if isinstance(interface, dict):
            parts = [interface.get("ipv4"), interface.get("ipv4_secondaries"), interface.get("ipv6")]
            for found in (part if isinstance(part, list) else [part] for part in parts):
                yield from (each["address"] for each in found if isinstance(each, dict) and each.get("address"))


def select(facts: dict[str, Any] | list[Any], query: object) -> list[str]:
    """What the JMESPath expression query yields of the facts, by their names without ansible_."""
    if not isinstance(query, str):
        raise PrivateApiError("query must be text; give a JMESPath expression that yields a list of addresses.")
    try:
        found = search("query", query, _named(facts) if isinstance(facts, dict) else facts)
    except QueryError as error:
        raise PrivateApiError(str(error)) from error
    if not isinstance(found, list) or not all(isinstance(address, str) for address in found):
        raise PrivateApiError(
            f"query {shown(query)} does not yield a list of texts; give a JMESPath expression that yields the host's"
            " addresses, such as [default_ipv4.address]."
        )
    return found
