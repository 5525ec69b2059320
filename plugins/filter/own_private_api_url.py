# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters own_private_api_url, own_private_api_urls and private_api_addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _private_api
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from jinja2 import Undefined

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
    """The addresses in a host's facts, or those of a list; documented in private_api_addresses.yml."""
    if not isinstance(facts, (dict, list)):
        raise PrivateApiError("The input must be a host's facts or a list of its addresses; give ansible_facts.")
    if query in (None, ""):
        if isinstance(facts, list):
            return _private_api.addresses(facts)
        query = DEFAULT_QUERY
    return _private_api.addresses(select(facts, query))


def own_private_api_url(facts: object, cidr: object = None, *, query: object = None, **options: Any) -> str:
    """The URL for OWN_PRIVATE_API_URL; documented in own_private_api_url.yml."""
    return _private_api.own_private_api_url(private_api_addresses(facts, query), cidr=cidr, **options)


def own_private_api_urls(facts: object, cidr: object = None, *, query: object = None, **options: Any) -> list[str]:
    """The URLs that KAS 17.8 or later publishes; documented in own_private_api_urls.yml."""
    return _private_api.own_private_api_urls(private_api_addresses(facts, query), cidr=cidr, **options)


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
        raise PrivateApiError(f"query {query!r} is not a JMESPath expression ({cause}); correct it.") from error
    try:
        found = expression.search(facts)
    except ValueError:  # its text may hold all the facts
        found = None
    if not isinstance(found, list) or not all(isinstance(address, str) for address in found):
        raise PrivateApiError(
            f"query {query!r} does not yield a list of texts; give a JMESPath expression that yields the host's"
            " addresses, such as [default_ipv4.address]."
        )
    return found


def plain(value: Any) -> Any:
    """The same value in Python's own types, all that jmespath knows: Ansible's strings and containers have others."""
    if isinstance(value, Undefined):
        return str(value)  # raises jinja2's UndefinedError, which says which variable is undefined
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, str):
        return str.__str__(value)
    if getattr(value, "__ENCRYPTED__", False):
        return str(value)  # !vault in YAML, which before ansible-core 2.19 is a sequence of characters
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value


def _filter(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as Ansible calls it: with Ansible's types, and errors as sentences.

    Facts may also come as what holds them under the name ansible_facts: hostvars[host], or a result of
    ansible.builtin.setup.
    """

    @wraps(function)
    def called(facts: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(facts, Mapping) and "ansible_facts" in facts:
            facts = facts["ansible_facts"]
        try:
            return function(plain(facts), *plain(arguments), **plain(options))
        except PrivateApiError as error:
            raise AnsibleFilterError(str(error)) from None  # Ansible would print the sentence twice

    return called


class FilterModule:
    """What Ansible asks for the filters in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        filters = (own_private_api_url, own_private_api_urls, private_api_addresses)
        return {function.__name__: _filter(function) for function in filters}
