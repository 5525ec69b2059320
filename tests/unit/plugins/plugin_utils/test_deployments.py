# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several deployments in one inventory."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import fingerprint, make
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployments import (
    deployment_refusals,
    deployments,
    inventory_refusals,
    nothing_to_do,
    url_refusals,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import plan, written

PRODUCTION, STAGING = {"kas_deployment": "production"}, {"kas_deployment": "staging"}
REDIS = {"kas_redis": {"host": "redis.example.com"}}
BOTH = frozenset({"gitlab_kas", "gitlab_rails"})


def test_parts(hosts_of):
    hosts = hosts_of({"a": PRODUCTION, "b": STAGING, "c": {}, "d": PRODUCTION, "e": {"kas_deployment": ""}})
    parts = {name: [host.name for host in members] for name, members in deployments(hosts).items()}
    assert parts == {"production": ["a", "d"], "staging": ["b"], "": ["c", "e"]}


def test_a_deployment_outside_of_the_play_is_left_alone(hosts_of):
    hosts = hosts_of({"a": {**PRODUCTION, "in_play": False}, "b": STAGING, "c": {**STAGING, "in_play": False}})
    assert list(deployments(hosts)) == ["staging"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"a": {**PRODUCTION, **REDIS}, "b": {**PRODUCTION, **REDIS}}, []),
        ({"a": PRODUCTION, "b": STAGING}, []),
        (
            {
                "a": PRODUCTION,
                "rails1": {"kas_deployment": "prodction", "in": "r"},
                "rails2": {"kas_deployment": "prodction", "in": "r"},
            },
            [
                "rails1, rails2: kas_deployment is 'prodction', but no host of group gitlab_kas has that; correct it,"
                " or give a KAS node the same."
            ],
        ),
        (
            {"a": {**PRODUCTION, **REDIS}, "b": {**STAGING, **REDIS}},
            [
                "a, b: their kas_deployment differs ('production' and 'staging'), but they use the same Redis"
                " redis.example.com:6379, in which every KAS finds every other one; set a Redis of its own for each, or"
                " the same kas_deployment."
            ],
        ),
        (
            {
                "a": {**PRODUCTION, "kas_redis": {"sentinels": [{"host": "s1"}, {"host": "s2"}]}},
                "b": {"kas_redis": {"sentinels": [{"host": "s2", "port": 26379}]}},
            },
            [
                "a, b: their kas_deployment differs ('production' and none), but they use the same Redis s2:26379, in"
                " which every KAS finds every other one; set a Redis of its own for each, or the same kas_deployment."
            ],
        ),
        (
            {"a": {**PRODUCTION, **REDIS}, "b": {**STAGING, "kas_redis": {"host": "redis.example.com", "port": 6380}}},
            [],
        ),
        (
            {
                "a": {**PRODUCTION, "kas_redis": {"host": "localhost"}},
                "b": {**STAGING, "kas_redis": {"host": "127.0.0.1"}},
            },
            [],
        ),
        (
            {
                "a": {**PRODUCTION, "info": {"addresses": ["127.0.0.1", "10.0.0.9", "fe80::1"]}},
                "b": {**STAGING, "info": {"addresses": ["::1", "10.0.0.9"]}},
            },
            [
                "a, b: their kas_deployment differs ('production' and 'staging'), but they have the same addresses"
                " 10.0.0.9, so they are one machine; take one of the names out of the inventory's groups, or set the"
                " same kas_deployment."
            ],
        ),
        (
            {
                "a": {**PRODUCTION, "info": {"addresses": ["172.17.0.1", "10.0.0.9"]}},
                "b": {**STAGING, "info": {"addresses": ["172.17.0.1", "10.0.0.8"]}},
            },
            [],
        ),
        ({"a": {**PRODUCTION, **REDIS, "in_play": False}, "b": {**STAGING, **REDIS, "in_play": False}}, []),
    ],
)
def test_refusals(rows, expected, hosts_of):
    assert list(map(str, deployment_refusals(hosts_of(rows)))) == expected


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ({"a": ["grpc://10.0.0.1:8155"], "b": ["grpc://10.0.0.2:8155"]}, []),
        ({"a": ["grpc://localhost:8155"], "b": ["grpc://localhost:8155"]}, []),
        ({"a": ["unix:///s"], "b": ["unix:///s"]}, []),
        (
            {"a": ["grpc://10.0.0.1:8155"], "b": ["grpc://[fd00::1]:8155", "grpc://10.0.0.1:8155"]},
            [
                "a, b: their kas_deployment differs ('production' and 'staging'), but they have the same private API"
                " URL grpc://10.0.0.1:8155; set an address of its own for each."
            ],
        ),
    ],
)
def test_urls(urls, expected, hosts_of):
    assert list(map(str, url_refusals(hosts_of({"a": PRODUCTION, "b": STAGING}), urls))) == expected


def gathered(name, number, variables, secret=None, in_play=True):
    secrets = (
        {"api_secret_key": {"fingerprint": fingerprint(secret), "source": "gitlab.rb", "problem": None}}
        if secret
        else {}
    )
    kas = {
        "blocking_errors": [],
        "gitlab_version": "19.3.0",
        "addresses": [f"10.0.0.{number}"],
        "settings": {},
        "secrets": secrets,
        "secret_values": {"api_secret_key": secret} if secret else {},
    }
    variables = {"kas_own_private_api_cidr": "10.0.0.0/8", **variables}
    return Gathered(name, BOTH, in_play, variables, result={"kas": kas})


def test_no_node_is_given_a_secret_of_another_deployment():
    ours = make("api_secret_key", lambda size: size * b"o")
    inventory = [
        gathered("a", 1, PRODUCTION, ours),
        gathered("b", 2, PRODUCTION),
        gathered("c", 3, STAGING),
        gathered("d", 4, STAGING),
        gathered("e", 5, {"kas_deployment": "elsewhere", "kas_enabled": "maybe"}, in_play=False),
    ]
    made = plan(inventory)
    assert made.refusals == []
    keys = {
        name: {
            secret: value
            for secret, value in written(node, ["kas_secrets"])["settings"]["gitlab_kas"].items()
            if secret.endswith("_key")
        }
        for name, node in made.nodes.items()
    }
    assert list(keys) == ["a", "b", "c", "d"]
    assert keys["a"] == keys["b"]
    assert keys["c"] == keys["d"]
    assert keys["a"]["api_secret_key"] == ours
    assert not set(keys["a"].values()) & set(keys["c"].values())


REMEDY = (
    "take the slices off the job template, enable hosts that are disabled, or correct kas_expected_nodes. To leave"
    " nodes out of a run, use a limit."
)


MISSING = "not found in the groups gitlab_kas and gitlab_rails of the job's inventory"


def expect(nodes, **more):
    return {"kas_expected_nodes": nodes, **more}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"a": {}, "b": {}}, []),
        ({"a": expect(2), "b": expect("2")}, []),
        ({"a": expect(["a", "b"]), "b": expect("b,a", **{"in": "r"})}, []),
        # --limit, or "relaunch on failed hosts": the others are still in the inventory
        ({"a": expect("a,b"), "b": expect("a,b", in_play=False)}, []),
        (
            {"a": expect(3), "b": expect(3)},
            [f"a, b: kas_expected_nodes is 3, but the job's inventory has only 2 of them; {REMEDY}"],
        ),
        (
            {"a": expect(1), "b": expect(1)},
            ["a, b: kas_expected_nodes is 1, but the inventory has 2 nodes; correct it."],
        ),
        (
            {"a": expect("a,b,c"), "b": expect("a,b,c")},
            [f"a, b: kas_expected_nodes names 'c', {MISSING}; {REMEDY}"],
        ),
        (
            {"a": expect("a,c"), "b": expect("a,c")},
            [
                f"a, b: kas_expected_nodes names 'c', {MISSING}; {REMEDY}",
                "a, b: kas_expected_nodes does not name 'b'; add what is new.",
            ],
        ),
        ({"a": expect(2), "b": {}}, ["a, b: their kas_expected_nodes differs; set it once for all of them."]),
        # each deployment has its own
        ({"a": expect(1, **PRODUCTION), "b": expect("b,c", **STAGING), "c": expect("b,c", **STAGING)}, []),
        (
            {"a": expect(2, **PRODUCTION), "b": STAGING},
            [f"a: kas_expected_nodes is 2, but the job's inventory has only 1 of them; {REMEDY}"],
        ),
        # one that this job is not about
        ({"a": expect(9, in_play=False, **PRODUCTION), "b": STAGING}, []),
    ],
)
def test_a_part_of_the_nodes_is_refused(hosts_of, rows, expected):
    assert list(map(str, inventory_refusals(hosts_of(rows)))) == expected


def test_a_slice_is_refused(hosts_of):
    hosts = hosts_of({"a": {}, "b": {"in_play": False}})
    assert list(map(str, inventory_refusals(hosts, "KAS deploy"))) == [
        "a: this job is a slice of the job template 'KAS deploy', so its inventory has only a part of the nodes; set"
        " the template's number of slices to 1. If it is none, give the workflow another name than the template's."
    ]


@pytest.mark.parametrize(
    ("groups", "limit", "said"),
    [
        ({"gitlab_kas": ["kas1"]}, "", ""),
        ({"gitlab_kas": ["kas1"]}, "kas1", ""),
        ({"gitlab_kas": ["kas9"], "gitlab_rails": ["kas1"]}, "kas1", ""),
        ({"gitlab_kas": ["kas9"]}, "", ""),  # without a limit a play may have hosts of its own
        (
            {"gitlab_kas": ["kas9"]},
            "kas*",
            "The limit 'kas*' leaves out every host of the groups gitlab_kas and gitlab_rails; name nodes in it, or"
            " leave it out.",
        ),
        ({}, "kas1", "The inventory's group gitlab_kas has no host; put the nodes that run KAS into it."),
        (
            {"gitlab_kas": [], "gitlab_rails": ["kas1"], "__kas_pending": ["kas1"], "all": ["kas1"]},
            "",
            "The inventory's group gitlab_kas has no host; put the nodes that run KAS into it.",
        ),
        (
            {"KAS": ["kas1"], "my_gitlab": ["kas1"], "web": ["kas1"]},
            "",
            "The inventory's group gitlab_kas has no host, and what is in KAS, my_gitlab does not count; put the nodes"
            " that run KAS into it.",
        ),
    ],
)
def test_a_run_that_would_do_nothing(groups, limit, said):
    assert nothing_to_do(groups, ["kas1"], limit) == said
