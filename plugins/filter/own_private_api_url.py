# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters own_private_api_url, own_private_api_urls and private_api_addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _private_api
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._facts import private_api_addresses


def own_private_api_url(facts: object, cidr: object = None, *, query: object = None, **options: Any) -> str:
    """The URL for OWN_PRIVATE_API_URL; documented in own_private_api_url.yml."""
    return _private_api.own_private_api_url(private_api_addresses(facts, query), cidr=cidr, **options)


def own_private_api_urls(facts: object, cidr: object = None, *, query: object = None, **options: Any) -> list[str]:
    """The URLs that KAS 17.8 or later publishes; documented in own_private_api_urls.yml."""
    return _private_api.own_private_api_urls(private_api_addresses(facts, query), cidr=cidr, **options)


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
