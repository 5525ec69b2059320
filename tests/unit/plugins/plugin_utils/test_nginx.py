# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the package's nginx runs, and what it serves; the rules about it have a table of their own."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._nginx import runs_nginx, serves_gitlab, vhosts
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import make_plan
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.test_rules_nginx import node


@pytest.mark.parametrize(
    "settings",
    [
        {"nginx": {"enable": False}},
        {"gitlab_rails": {"enable": False}},
        {"roles": ["sidekiq_role"]},
        {"roles": ["redis_master_role", "gitaly_role"]},
    ],
)
def test_nothing_is_claimed_of_an_nginx_that_is_off(settings, hosts_of):
    """Another proxy passes what it likes; whether Rails makes a virtual host does not matter then."""
    told = {"gitlab_rails": {**settings.get("gitlab_rails", {}), "gitlab_kas_external_url": "wss://lb.example.com/"}}
    row = node({**settings, **told}, [], kas_external_url="wss://gitlab.example.com/")
    plan = make_plan(hosts_of({"kas1": row}))
    said = [*map(str, plan.refusals), *map(str, plan.warnings)]
    assert [text for text in said if "nginx" in text] == []
    if "gitlab_rails" not in settings:
        assert said == [
            "kas1: gitlab_rails['gitlab_kas_external_url'] in gitlab.rb is 'wss://lb.example.com/', although KAS runs"
            " on this node; remove it there, and set kas_external_url if needed."
        ]


@pytest.mark.parametrize(
    ("settings", "unreadable", "runs", "serves"),
    [
        ({}, {}, True, True),
        ({"nginx": {"enable": None}}, {}, True, True),
        ({"roles": []}, {}, True, True),
        ({"roles": ["pages_role"]}, {}, True, False),
        ({"roles": ["pages_role"], "gitlab_rails": {"enable": True}}, {}, True, True),
        ({"roles": ["redis_master_role"], "nginx": {"enable": True}}, {}, True, False),
        ({"gitlab_rails": {"nginx": {"enable": False}}}, {}, True, False),
        ({}, {"gitlab_rails['enable']": "line 3"}, True, "gitlab_rails['enable']"),
        ({"gitlab_rails": {"enable": True}}, {"roles": "line 3"}, "roles", "roles"),
        ({"nginx": {"enable": True}}, {"roles": "line 3"}, True, "roles"),
        ({"nginx": {"enable": False}}, {"roles": "line 3"}, False, False),
    ],
)
def test_whether_it_is_on(settings, unreadable, runs, serves, hosts_of):
    (host,) = hosts_of({"kas1": node(settings, unreadable=unreadable)})
    assert [getattr(found, "name", found) for found in (runs_nginx(host), serves_gitlab(host))] == [runs, serves]


def test_what_rails_is_told_may_keep_a_virtual_host_away(hosts_of):
    row = node({"letsencrypt": {"enable": False}}, unreadable={"gitlab_rails['gitlab_kas_external_url']": "line 3"})
    (host,) = hosts_of({"kas1": row})
    _gitlab, kas = vhosts(host, Deployment([host]))
    assert len(kas.faults) == 2
    assert [found.name for found in kas.unread] == ["gitlab_rails['gitlab_kas_external_url']"]
