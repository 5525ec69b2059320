# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One plan for a whole deployment: one set of secrets, and who is a peer."""

from __future__ import annotations

import base64
import sys

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS, make, problem
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import make_plan


def made_random(size):
    """Bytes that anybody can guess."""
    return size * b"m"


CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
MADE = {name: make(name, made_random) for name in SECRETS}
ADOPTED = {name: base64.b64encode(size * b"a").decode() for name, size in SECRETS.items()}
OTHER = {name: base64.b64encode(size * b"o").decode() for name, size in SECRETS.items()}


def has(secrets, source="gitlab.rb"):
    found = {name: {"fingerprint": "0123456789ab", "source": source, "problem": None} for name in secrets}
    return {"info": {"secrets": found}, "secrets": secrets}


@pytest.mark.parametrize(
    ("rows", "extra", "expected"),
    [
        pytest.param({"kas1": {}, "kas2": {}}, {}, MADE, id="made"),
        pytest.param({"kas1": has(ADOPTED), "kas2": has(OTHER)}, {}, ADOPTED, id="adopted from the first"),
        pytest.param(
            {"kas1": has(OTHER, "gitlab-secrets.json"), "kas2": has(ADOPTED)},
            {},
            ADOPTED,
            id="a gitlab.rb before what a package made",
        ),
        pytest.param(
            {"rails1": {"in": "r", **has(ADOPTED, "gitlab-secrets.json")}, "kas1": has(OTHER, "gitlab-secrets.json")},
            {"kas_internal_url": "grpc://lb:8153"},
            {**OTHER},
            id="KAS nodes first, when both have Rails",
        ),
        pytest.param(
            {
                "rails1": {"in": "r", **has(OTHER, "gitlab-secrets.json")},
                "kas1": {"in": "k", **has(ADOPTED, "gitlab-secrets.json")},
                "kas2": {"in": "k", **has(ADOPTED, "gitlab-secrets.json")},
            },
            {"kas_internal_url": "grpc://lb:8153"},
            {**ADOPTED, "api_secret_key": OTHER["api_secret_key"]},
            id="of a Rails node without KAS only the API secret is in use",
        ),
        pytest.param(
            {"kas1": has({"api_secret_key": OTHER["api_secret_key"]})},
            {"kas_secrets_values": {"api_secret_key": ADOPTED["api_secret_key"]}},
            {**MADE, "api_secret_key": ADOPTED["api_secret_key"]},
            id="given before adopted before made",
        ),
        pytest.param(
            {"kas1": {}, "kas2": {"in_play": False, **has(ADOPTED)}}, {}, ADOPTED, id="adopted from outside of the play"
        ),
    ],
)
def test_one_set_of_secrets(rows, extra, expected, hosts_of):
    plan = make_plan(hosts_of(rows, **CIDR, **extra), random=made_random)
    assert plan.refusals == []
    for parts in plan.parts.values():
        for name, value in parts["kas_secrets"].settings["gitlab_kas"].items():
            assert value == expected[name]


def test_what_stays_in_gitlab_rb_as_it_is_earns_a_warning(hosts_of):
    unread = {"info": {"unreadable": {"gitlab_rails['gitlab_kas_internal_url']": "line 4"}}}
    plan = make_plan(hosts_of({"kas1": {"in": "k"}, "rails1": {"in": "r", **unread}}, **CIDR))
    assert list(map(str, plan.warnings)) == [
        "rails1: gitlab_rails['gitlab_kas_internal_url'] (line 4) is computed and cannot be read without running it,"
        " so it stays as it is; set kas_internal_url to decide it here."
    ]


def test_made_secrets_are_secrets():
    assert [problem(name, value) for name, value in MADE.items()] == [None] * 3


def test_parts_are_for_hosts_of_the_play(hosts_of):
    plan = make_plan(hosts_of({"kas1": {}, "kas2": {"in_play": False}}, **CIDR), random=made_random)
    assert {host: sorted(parts) for host, parts in plan.parts.items()} == {"kas1": ["kas", "kas_rails", "kas_secrets"]}


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (["kas"], ["kas_own_private_api_cidr is not set"]),
        (["kas_rails"], ["kas_internal_url is not set"]),
        (["kas_secrets"], []),
        (["kas", "kas_rails"], ["kas_own_private_api_cidr is not set", "kas_internal_url is not set"]),
    ],
)
def test_a_role_checks_what_it_is_about(roles, expected, hosts_of):
    hosts = hosts_of(
        {"kas1": {"in": "k"}, "kas2": {"in": "k", "kas_own_private_api_url": "grpc://k:8155"}, "rails1": {"in": "r"}}
    )
    plan = make_plan(hosts, roles, random=made_random)
    assert [sentence.text.split(",")[0] for sentence in plan.refusals] == expected
    assert [sorted(parts) for parts in plan.parts.values()] == ([] if expected else [roles] * 3)


NO_MATCH = {"kas_own_private_api_cidr": "192.168.0.0/16"}


@pytest.mark.parametrize(
    ("kas", "roles", "refusals"),
    [
        pytest.param(NO_MATCH, ["kas_secrets"], [], id="secrets need no URL"),
        pytest.param(
            NO_MATCH,
            ["kas_rails"],
            [
                "rails1: kas_internal_url is not set, and KAS runs on a node whose address for others is not known"
                " (kas1); set where Rails reaches KAS, such as grpc://kas.internal.example.com:8153."
            ],
            id="Rails needs one",
        ),
        pytest.param(
            NO_MATCH, ["kas_rails", "kas_secrets"], ["rails1: kas_internal_url is not set"], id="both without kas"
        ),
        pytest.param(
            NO_MATCH,
            ["kas", "kas_rails", "kas_secrets"],
            ["kas1: kas_own_private_api_cidr is '192.168.0.0/16', but none of the host's addresses"],
            id="said once",
        ),
        pytest.param(
            {"kas_own_private_api_url": "grpc://kas1"},
            ["kas", "kas_rails"],
            ["kas1: kas_own_private_api_url is 'grpc://kas1', which has no port; set it with one"],
            id="a URL without a port",
        ),
        pytest.param({"kas_own_private_api_url": "grpc://kas1"}, ["kas_rails"], [], id="Rails needs no port of it"),
    ],
)
def test_a_kas_that_has_no_url(kas, roles, refusals, hosts_of):
    hosts = hosts_of({"kas1": {"in": "k", **kas}, "rails1": {"in": "r"}})
    plan = make_plan(hosts, roles, random=made_random)
    assert [str(found)[: len(text)] for found, text in zip(plan.refusals, refusals)] == refusals
    assert len(plan.refusals) == len(refusals)
    if not refusals and "kas_rails" in roles:
        rails = plan.parts["rails1"]["kas_rails"].settings["gitlab_rails"]
        assert rails["gitlab_kas_internal_url"] == "grpc://kas1:8153"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, ["grpc://10.0.0.2:8155"]),
        ({"in_play": False}, []),
        ({"in_play": False, "info": {"own_private_api_urls": ["grpc://localhost:8155"]}}, []),
        ({"in_play": False, "info": {"own_private_api_urls": ["grpc://10.0.0.2:8155"]}}, ["grpc://10.0.0.2:8155"]),
    ],
)
def test_a_node_outside_counts_as_a_peer_once_it_publishes_its_url(row, expected, hosts_of):
    plan = make_plan(hosts_of({"kas1": {}, "kas2": row}, **CIDR), random=made_random)
    assert plan.own_urls["kas2"] == ["grpc://10.0.0.2:8155"]
    assert plan.peer_urls["kas2"] == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({}, {}, id="what somebody else set stays, so nothing is expected"),
        pytest.param({"kas_own_private_api_port": 9155}, {"kas1": ["grpc://localhost:9155"]}, id="decided here"),
        pytest.param({"info": {"gitlab_version": "17.9.0"}}, {"kas1": ["grpc://127.0.0.1:8155"]}, id="by its version"),
    ],
)
def test_own_url_of_a_kas_alone(row, expected, hosts_of):
    assert make_plan(hosts_of({"kas1": row}), random=made_random).own_urls == expected


@pytest.mark.parametrize(
    ("extra", "needed", "spare"),
    [
        pytest.param({}, {}, True, id="TCP"),
        pytest.param({"info": {"directories_on_record": ["/run/other"]}}, {}, False, id="TCP, and not made by us"),
        pytest.param({"kas_unix_sockets": True}, {"kas1": "/run/kas"}, False, id="sockets"),
        pytest.param({"kas_unix_sockets": True, "kas_enabled": False}, {}, False, id="sockets, but off"),
        pytest.param({"kas_unix_sockets": True, "kas_state": "absent"}, {}, True, id="sockets, but absent"),
        pytest.param(
            {"kas_internal_api_listen_network": "unix", "kas_internal_api_listen_address": "/run/kas/api"},
            {},
            False,
            id="a socket of one's own there",
        ),
    ],
)
def test_socket_dirs(extra, needed, spare, hosts_of):
    host = {"kas_socket_dir": "/run/kas", "info": {"directories_on_record": ["/run/kas"]}, **extra}
    plan = make_plan(hosts_of({"kas1": host}), random=made_random)
    assert plan.refusals == []
    assert plan.socket_dirs == needed
    assert plan.spare_dirs == ({"kas1": "/run/kas"} if spare else {})


def test_an_absent_host_is_no_part_of_the_deployment(hosts_of):
    """It is no peer, gives no secret, needs no variable to be right, and nothing is written there."""
    absent = {"kas_state": "absent", "kas_own_private_api_url": "grpc://10.0.0.1:8155", **has(ADOPTED)}
    plan = make_plan(hosts_of({"kas1": {}, "kas2": absent, "kas3": {"in": "k"}}, **CIDR), random=made_random)
    assert plan.refusals == []
    assert sorted(plan.parts) == sorted(plan.own_urls) == sorted(plan.secret_names) == ["kas1", "kas3"]
    assert plan.parts["kas1"]["kas_secrets"].settings["gitlab_kas"] == MADE


def calls_of_a_plan(hosts):
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        made = make_plan(hosts, random=made_random)
    finally:
        sys.setprofile(None)
    assert made.refusals == []
    return calls


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({}, id="addresses"),
        pytest.param({"kas_redis": {"host": "10.0.0.200"}, "info": {"redis": True}}, id="the package's Redis unused"),
    ],
)
def test_the_work_grows_little_faster_than_the_nodes(row, hosts_of):
    """Of four times the nodes: linear work is 4 times as much, quadratic 16 times, cubic 64 times."""
    few, many = (
        calls_of_a_plan(hosts_of({f"kas{number}": row for number in range(count)}, **CIDR)) for count in (10, 40)
    )
    assert many < 8 * few
