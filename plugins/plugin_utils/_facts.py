# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a host among which KAS looks for its own, out of the facts that Ansible gathers."""

from __future__ import annotations

from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _private_api
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

jmespath: Any
try:
    import jmespath
except ImportError:
    jmespath = None

# Every address of every interface. The two lists leave out loopback, which KAS counts like any other address and
# the interfaces hold; an address found twice counts once.
DEFAULT_QUERY = (
    "[all_ipv4_addresses, all_ipv6_addresses,"
    " values(@)[*].[ipv4.address, ipv4_secondaries[].address, ipv6[].address][]][][]"
)


def private_api_addresses(facts: object, query: object = None) -> list[str]:
    """The addresses in a host's facts, or those of a list. Raises PrivateApiError."""
    if not isinstance(facts, (dict, list)):
        raise PrivateApiError("The input must be a host's facts or a list of its addresses; give ansible_facts.")
    if query in (None, ""):
        if isinstance(facts, list):
            return _private_api.addresses(facts)
        query = DEFAULT_QUERY
    return _private_api.addresses(select(facts, query))


def select(facts: dict[str, Any] | list[Any], query: object, library: Any = jmespath) -> list[str]:
    """What the JMESPath expression query yields of the facts, by their names without ansible_.

    library is the module jmespath, None if the controller has none.
    """
    if not isinstance(query, str):
        raise PrivateApiError("query must be text; give a JMESPath expression that yields a list of addresses.")
    if library is None:
        raise PrivateApiError("Facts cannot be searched without Python's jmespath; install it on the controller.")
    if isinstance(facts, dict):
        facts = {name.removeprefix("ansible_"): value for name, value in facts.items()}
    try:
        expression = library.compile(query)
    except ValueError as error:  # every error of jmespath is one
        cause = str(error).splitlines()[0].rstrip(":")
        raise PrivateApiError(f"query {shown(query)} is not a JMESPath expression ({cause}); correct it.") from error
    try:
        found = expression.search(facts)
    except ValueError:  # its text may hold all the facts
        found = None
    if not isinstance(found, list) or not all(isinstance(address, str) for address in found):
        raise PrivateApiError(
            f"query {shown(query)} does not yield a list of texts; give a JMESPath expression that yields the host's"
            " addresses, such as [default_ipv4.address]."
        )
    return found
