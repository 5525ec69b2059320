# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what Ansible knows of a host to the host of a deployment, and to the plan."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, read
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import Plan, plan


def gathered(variables, *, info=None, in_play=True):
    return Gathered(
        name="kas1",
        groups=frozenset({"gitlab_kas"}),
        in_play=in_play,
        variables=variables,
        result={"kas": {"gitlab_version": "18.6.1", "addresses": ["10.0.0.1"], **(info or {})}},
    )


@pytest.mark.parametrize(
    ("published", "addresses"),
    [
        (["grpc://10.0.0.7:8155", "grpc://[fd00::7]:8155"], ["10.0.0.7", "fd00::7"]),
        (["grpc://kas1.internal:8155", "unix:///run/kas.socket"], ["10.0.0.1"]),
        (["grpc:///localhost/:8155", "https://[x", "grpc://10.0.0.7:8155"], ["10.0.0.7"]),
        ([], ["10.0.0.1"]),
    ],
)
def test_addresses_of_a_node_outside_of_the_play(published, addresses):
    """What its KAS has published is what the query chose; a log may hold anything."""
    of_host = gathered({"kas_own_private_api_query": "eth1"}, info={"own_private_api_urls": published}, in_play=False)
    host, wrong = read(of_host)
    assert wrong == []
    assert host.addresses == addresses


def test_a_query_shows_no_password():
    of_host = gathered({"kas_own_private_api_query": "https://me:hunter2@gitlab.example.com"})
    of_host.result["network_facts"] = {"all_ipv4_addresses": ["10.0.0.1"]}
    _host, wrong = read(of_host)
    assert wrong == [
        "kas_own_private_api_query cannot be used: query 'https://***@gitlab.example.com' is not a JMESPath"
        " expression (Bad jmespath expression: Unknown token /); correct it."
    ]


def test_nothing_is_planned_where_certificates_are_refused():
    found = plan([gathered({"kas_key": "/kas.key", "kas_listen_address": "/run/kas.socket"})])
    assert found == Plan(refusals=found.refusals)
    assert [str(sentence).partition(",")[0] for sentence in found.refusals] == [
        "kas1: kas_key is '/kas.key'",
        "kas1: kas_listen_address is '/run/kas.socket'",
    ]
