# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about names as the nodes resolve them, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import names
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    KAS,
    RAILS,
    check,
    rows,
)

NAMED = {"kas_own_private_api_url": "grpc://kas1.internal:8155"}
CIDR = {"kas_own_private_api_cidr": "10.0.0.0/24"}
NO_NAME = "cannot be resolved (Name or service not known)"
RIGHT = "give the name an address of this node there (DNS, /etc/hosts), or set one of this node's addresses, such as"


def knows(*addresses, name="kas1.internal", problem=None, **info):
    """A node on which a name is this."""
    found = {"addresses": list(addresses), "problem": None if addresses else problem or NO_NAME}
    return {"info": {"names": {name: found}, **info}}


def called(*peers, url="grpc://kas1.internal:8155", sentences=()):
    """A row in which the first node has that URL, and the others, which call it, are these."""
    others = {f"kas{number}": {**CIDR, **peer} for number, peer in enumerate(peers, 2)}
    said = [f"kas1: kas_own_private_api_url is '{url}', but {sentence}." for sentence in sentences]
    return {"kas1": {"kas_own_private_api_url": url}, **others}, {}, said


TABLES = {
    names.own_url: [
        called(knows("10.0.0.1"), knows("10.0.0.1", "fd00::1")),
        called({}),
        called(
            knows(),
            knows("10.0.0.1"),
            knows(),
            sentences=[
                f"on kas2, kas4 kas1.internal {NO_NAME}, so KAS there cannot call this one; see that every KAS node"
                " knows the name (DNS, /etc/hosts), or set a URL with an address"
            ],
        ),
        # seen from outside of the play, too
        called(
            {},
            {**knows("127.0.1.1"), "in_play": False},
            sentences=[
                "on kas3 kas1.internal is 127.0.1.1, that node itself, so KAS there would call itself;"
                f" {RIGHT} grpc://10.0.0.1:8155"
            ],
        ),
        called(
            knows("10.0.0.2"),
            knows("10.0.0.2"),
            sentences=[
                "on kas2 kas1.internal is 10.0.0.2, that node itself, so KAS there would call itself;"
                f" {RIGHT} grpc://10.0.0.1:8155",
                f"on kas3 kas1.internal is 10.0.0.2, an address of kas2; {RIGHT} grpc://10.0.0.1:8155",
            ],
        ),
        # an address is the same for everybody
        called(
            {},
            {},
            url="grpc://[fd00:0::3]:8155",
            sentences=["fd00::3 is an address of kas3; set one of this node's addresses, such as grpc://10.0.0.1:8155"],
        ),
        # the name of a listener, which KAS publishes
        (
            {
                "kas1": {
                    "kas_private_api_listen_address": "kas1.internal:8155",
                    "kas_own_private_api_discovery": "listener",
                },
                "kas2": {**CIDR, **knows()},
            },
            {},
            [
                f"kas1: kas_private_api_listen_address is 'kas1.internal:8155', but on kas2 kas1.internal {NO_NAME}, so"
                " KAS there cannot call this one; see that every KAS node knows the name (DNS, /etc/hosts), or set a"
                " URL with an address."
            ],
        ),
        # nobody else calls it
        ({"kas1": {**NAMED, **knows()}}, {}, []),
        ({"kas1": NAMED, "rails1": {**RAILS, **knows("127.0.1.1")}}, {"kas_internal_url": "grpc://10.0.0.9:8153"}, []),
    ],
    names.own_url_elsewhere: [
        called({}, url="grpc://[fd00:0::1]:8155"),
        called(
            knows("192.0.2.7"),
            knows("10.0.0.1", "192.0.2.7"),
            sentences=[
                "on kas2, kas3 kas1.internal is 192.0.2.7, none of this node's addresses (10.0.0.1, fd00::1); see that"
                f" it leads to this node and to no other, or {RIGHT} grpc://10.0.0.1:8155"
            ],
        ),
        called(
            {},
            url="grpc://192.0.2.7:8155",
            sentences=[
                "192.0.2.7 is none of this node's addresses (10.0.0.1, fd00::1); see that it leads to this node and to"
                " no other, or set one of this node's addresses, such as grpc://10.0.0.1:8155"
            ],
        ),
    ],
    names.internal_url: [
        (
            {"kas1": KAS, "rails1": {**RAILS, **knows(name="kas.internal")}},
            {"kas_internal_url": "grpc://kas.internal:8153", **CIDR},
            [
                f"rails1: kas_internal_url is 'grpc://kas.internal:8153', but on this node kas.internal {NO_NAME}, so"
                " Rails would not reach KAS; see that this node knows the name, or set a URL with an address."
            ],
        ),
        (
            {"kas1": KAS, "rails1": {**RAILS, **knows("10.0.0.9", name="kas.internal")}},
            {"kas_internal_url": "grpc://kas.internal:8153", **CIDR},
            [],
        ),
        (
            {"kas1": KAS, "rails1": {**RAILS, **knows(name="kas.internal"), "in_play": False}},
            {"kas_internal_url": "grpc://kas.internal:8153", **CIDR},
            [],
        ),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_names(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
