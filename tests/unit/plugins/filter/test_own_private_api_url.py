# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections import UserDict, UserList, UserString
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.kasops.gitlab_kas.plugins.filter import own_private_api_url
from ansible_collections.kasops.gitlab_kas.plugins.filter.own_private_api_url import (
    FilterModule,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _query
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._facts import select
from jinja2 import StrictUndefined, UndefinedError

FILTERS = FilterModule().filters()

# What ansible.builtin.setup gathers of a host with two interfaces, less what has no part in it.
FACTS = {
    "all_ipv4_addresses": ["10.0.0.1", "10.0.0.2", "192.0.2.1"],
    "all_ipv6_addresses": ["fd00::1", "fe80::1", "fe80::2"],
    "default_ipv4": {"address": "192.0.2.1", "alias": "eth1", "gateway": "192.0.2.254", "interface": "eth1"},
    "default_ipv6": {},
    "dns": {"nameservers": ["192.0.2.53"]},
    "eth0": {
        "active": True,
        "device": "eth0",
        "ipv4": {"address": "10.0.0.1", "netmask": "255.255.255.0", "network": "10.0.0.0", "prefix": "24"},
        "ipv4_secondaries": [
            {"address": "10.0.0.2", "netmask": "255.255.255.0", "network": "10.0.0.0", "prefix": "24"}
        ],
        "ipv6": [
            {"address": "fd00::1", "prefix": "64", "scope": "global"},
            {"address": "fe80::1", "prefix": "64", "scope": "link"},
        ],
        "mtu": 1500,
    },
    "eth1": {
        "device": "eth1",
        "ipv4": {"address": "192.0.2.1", "prefix": "24"},
        "ipv6": [{"address": "fe80::2", "prefix": "64", "scope": "link"}],
    },
    "interfaces": ["lo", "eth0", "eth1", "eth2"],
    "eth2": {"active": False, "device": "eth2", "type": "ether"},
    "lo": {
        "device": "lo",
        "ipv4": {"address": "127.0.0.1", "prefix": "8"},
        "ipv6": [{"address": "::1", "prefix": "128", "scope": "host"}],
    },
    "locally_reachable_ips": {"ipv4": ["127.0.0.0/8", "10.0.0.1"], "ipv6": ["::1"]},
}
INJECTED = {f"ansible_{name}": value for name, value in FACTS.items()}
ADDRESSES = ["10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00::1", "fe80::1", "fe80::2", "127.0.0.1", "::1"]
INTERFACES = {"eth0": FACTS["eth0"], "lo": FACTS["lo"]}


class Text(str):
    """Text of a type of its own, as Ansible's texts are."""


class Vaulted(UserString):
    """A text after !vault, as ansible-core before 2.19 has it: a sequence, but no str."""

    __ENCRYPTED__ = True


def lazy(value: Any) -> Any:
    """The same in mappings and lists that are neither dict nor list, and texts that are not quite str."""
    if isinstance(value, dict):
        return UserDict({Text(name): lazy(item) for name, item in value.items()})
    if isinstance(value, list):
        return UserList(map(lazy, value))
    return Text(value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("value", "query", "expected"),
    [
        pytest.param(FACTS, None, ADDRESSES, id="ansible_facts"),
        pytest.param(INJECTED, None, ADDRESSES, id="with prefix"),
        pytest.param(
            {"ansible_facts": FACTS, **INJECTED, "mine": {"ipv4": {"address": "x"}}}, None, ADDRESSES, id="hostvars"
        ),
        pytest.param({"ansible_facts": INJECTED, "changed": False}, "", ADDRESSES, id="result of setup"),
        pytest.param(lazy({"ansible_facts": FACTS}), None, ADDRESSES, id="lazy"),
        pytest.param(
            INTERFACES, None, ["10.0.0.1", "10.0.0.2", "fd00::1", "fe80::1", "127.0.0.1", "::1"], id="interfaces"
        ),
        pytest.param({}, None, [], id="no facts"),
        pytest.param({"ansible_facts": {}, "mine": {"ipv4": {"address": "x"}}}, None, [], id="not gathered"),
        pytest.param([], None, [], id="no addresses"),
        pytest.param(["FD00::1", "fd00::1", "10.0.0.1"], "", ["fd00::1", "10.0.0.1"], id="addresses"),
        pytest.param(("10.0.0.1",), None, ["10.0.0.1"], id="tuple"),
        pytest.param(lazy(["10.0.0.1"]), None, ["10.0.0.1"], id="lazy addresses"),
        pytest.param(FACTS, "[default_ipv4.address]", ["192.0.2.1"], id="one"),
        pytest.param(
            INJECTED, "eth0.[ipv4, ipv4_secondaries][].address", ["10.0.0.1", "10.0.0.2"], id="of an interface"
        ),
        pytest.param(lazy(FACTS), "all_ipv6_addresses[?starts_with(@, 'fd')]", ["fd00::1"], id="function"),
        pytest.param(lazy(FACTS), Text("sort(keys(@))[?@ == 'none']"), [], id="nothing selected"),
        pytest.param(["10.0.0.1", "fd00::1"], "[1:]", ["fd00::1"], id="query over addresses"),
    ],
)
def test_private_api_addresses(value: Any, query: Any, expected: list[str]) -> None:
    assert FILTERS["private_api_addresses"](value, query=query) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "options", "expected"),
    [
        ("own_private_api_url", ["192.0.2.0/24"], {}, "grpc://192.0.2.1:8155"),
        ("own_private_api_url", [], {"cidr": lazy(["192.0.2.0/24"]), "port": Text("911")}, "grpc://192.0.2.1:911"),
        ("own_private_api_url", ["10.0.0.0/8"], {"query": "[eth0.ipv4.address]"}, "grpc://10.0.0.1:8155"),
        (
            "own_private_api_url",
            ["fd00::/8"],
            {"scheme": "grpcs", "listen_address": "", "port": 1},
            "grpcs://[fd00::1]:1",
        ),
        ("own_private_api_url", [], {"url": Text("grpc://kas-1:8155")}, "grpc://kas-1:8155"),
        ("own_private_api_url", [Vaulted("192.0.2.0/24")], {}, "grpc://192.0.2.1:8155"),
        ("own_private_api_urls", ["10.0.0.0/8"], {}, ["grpc://10.0.0.1:8155", "grpc://10.0.0.2:8155"]),
        ("own_private_api_urls", [], {"listen_network": "tcp6", "listen_address": ":1"}, ["grpc://[fd00::1]:1"]),
        ("own_private_api_urls", [], {"query": "eth1.[ipv4.address]", "listen_address": ":1"}, ["grpc://192.0.2.1:1"]),
    ],
)
def test_urls(name: str, arguments: list[Any], options: dict[str, Any], expected: Any) -> None:
    found = FILTERS[name](lazy(FACTS), *arguments, **options)
    assert found == expected
    assert type(found) is type(expected)


NO_INPUT = "The input must be a host's facts or a list of its addresses; give ansible_facts."
NO_LIST = (
    "does not yield a list of texts; give a JMESPath expression that yields the host's addresses,"
    " such as [default_ipv4.address]."
)
NO_TEXT = "query must be text; give a JMESPath expression that yields a list of addresses."


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (None, {}, NO_INPUT),
        ("10.0.0.1", {}, NO_INPUT),
        (5, {}, NO_INPUT),
        (True, {}, NO_INPUT),
        ({"ansible_facts": None}, {}, NO_INPUT),
        ([FACTS], {}, "An address of a host must be text, not a mapping."),
        ([None], {}, "An address of a host must be text, not null."),
        (
            ["10.0.0.1", "kas-1"],
            {},
            "'kas-1' is not an IP address; give the host's addresses alone, such as 10.0.0.1 or fd00::1,"
            " without a prefix length.",
        ),
        (FACTS, {"query": "default_ipv4.address"}, f"query 'default_ipv4.address' {NO_LIST}"),
        (FACTS, {"query": "default_ipv4"}, f"query 'default_ipv4' {NO_LIST}"),
        (FACTS, {"query": "[default_ipv6.address]"}, f"query '[default_ipv6.address]' {NO_LIST}"),
        (FACTS, {"query": "sort(@)"}, f"query 'sort(@)' {NO_LIST}"),
        (FACTS, {"query": "unknown(@)"}, f"query 'unknown(@)' {NO_LIST}"),
        (FACTS, {"query": 5}, NO_TEXT),
        (FACTS, {"query": ["@"]}, NO_TEXT),
        ([], {"query": {}}, NO_TEXT),
        (
            FACTS,
            {"query": "a b"},
            "query 'a b' is not a JMESPath expression"
            ' (Unexpected token: b: Parse error at column 2, token "b" (UNQUOTED_IDENTIFIER), for expression);'
            " correct it.",
        ),
    ],
)
def test_refused(name: str, value: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        FILTERS[name](value, **options)
    assert str(refused.value) == message


@pytest.mark.parametrize("name", ["own_private_api_url", "own_private_api_urls"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cidr": {"a": 1}}, "cidr must be text or a list of texts, but there is a mapping."),
        ({"port": True}, "port must be a whole number from 1 to 65535, not True."),
        (
            {"cidr": "10.0.0.0/8", "query": "[eth1.ipv4.address]"},
            "None of the host's addresses (192.0.2.1) lies in 10.0.0.0/8;"
            " set cidr to a network that contains one of them, or set url.",
        ),
    ],
)
def test_options_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        FILTERS[name](FACTS, **options)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([StrictUndefined(name="nope")], {}),
        ([[StrictUndefined(name="nope")]], {}),
        ([{"eth0": {"ipv4": StrictUndefined(name="nope")}}], {}),
        ([FACTS, StrictUndefined(name="nope")], {}),
        ([FACTS], {"cidr": [StrictUndefined(name="nope")]}),
    ],
)
def test_undefined(arguments: list[Any], options: dict[str, Any]) -> None:
    with pytest.raises(UndefinedError, match="'nope' is undefined"):
        FILTERS["own_private_api_url"](*arguments, **options)


def test_without_jmespath(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a query needs it."""
    monkeypatch.setattr(_query, "jmespath", None)
    assert FILTERS["private_api_addresses"](FACTS) == ADDRESSES
    with pytest.raises(PrivateApiError) as refused:
        select(FACTS, "[default_ipv4.address]")
    assert str(refused.value) == (
        "query is '[default_ipv4.address]', but the controller's Python has no jmespath; install it there (pip install"
        " jmespath), or leave the query out."
    )


@pytest.mark.parametrize("name", FILTERS)
def test_documentation_of_its_own(name: str) -> None:
    sidecar = yaml.safe_load(Path(own_private_api_url.__file__).with_name(f"{name}.yml").read_text())
    assert sidecar["DOCUMENTATION"]["name"] == name
