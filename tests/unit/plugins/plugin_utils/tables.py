# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables of the rules are made of. A row: hosts (see conftest.py), variables of all of them, sentences."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _rules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment, Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import WRITERS, make_plan
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.releases import older_than_others
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import Rule

Row = tuple[Mapping[str, Any], Mapping[str, Any], Sequence[str]]

KAS = {"in": "k"}
RAILS = {"in": "r"}
TWO: Mapping[str, Any] = {"kas1": {}, "kas2": {}}
CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
TLS = {
    "kas_private_api_certificate": "/etc/gitlab/kas.crt",
    "kas_private_api_key": "/etc/gitlab/kas.key",
    "kas_own_private_api_host": "kas.internal",
}
SENTINELS = {"sentinels": [{"host": "s1"}], "sentinels_master_name": "gitlab-redis"}
URL = "https://gitlab.example.com"
SECRET = base64.b64encode(32 * b"s").decode()
WEBSOCKET_SECRET = base64.b64encode(72 * b"s").decode()
GIVEN = {
    "api_secret_key": SECRET,
    "private_api_secret_key": SECRET,
    "websocket_token_secret_key": WEBSOCKET_SECRET,
}


def version(text: str | None) -> dict[str, Any]:
    """A host with this release of GitLab."""
    return {"info": {"gitlab_version": text}}


def unreadable(**more: Any) -> dict[str, Any]:
    """A host whose external_url only running its gitlab.rb would tell."""
    return {"info": {"settings": {}, "unreadable": {"external_url": "line 3"}}, **more}


def alone(variables: Mapping[str, Any], *sentences: str, **info: Any) -> Row:
    """A row of one node, kas1, of which kas_info tells this; of the sentences what follows its name."""
    return {"kas1": {"info": info}}, variables, [f"kas1: {sentence}." for sentence in sentences]


def on(release: str | None, variables: Mapping[str, Any], *sentences: str, **info: Any) -> Row:
    """As alone, on this release of GitLab."""
    return alone(variables, *sentences, gitlab_version=release, **info)


def rows(tables: Mapping[Rule, Sequence[Row]]) -> list[Any]:
    """Every row of the tables, as pytest's parametrize takes them: rule, hosts, variables, sentences."""
    return [
        pytest.param(rule, *row, id=f"{rule.name}-{number}")
        for rule, table in tables.items()
        for number, row in enumerate(table, 1)
    ]


def check(rule: Rule, hosts: Sequence[Host], expected: Sequence[str]) -> None:
    """See that a rule says this of the hosts, and no other rule anything, and what becomes of the plan."""
    deployment, plan = Deployment(hosts), make_plan(hosts)
    said = [*_rules.refused(deployment, WRITERS)]
    if not rule.refuses:
        assert said == []
        # Where a row has nodes of two releases, that is worth a warning of its own.
        said = [each for each in _rules.warned(deployment) if each[0] is rule or each[0] is not older_than_others]
        assert [f"{host.name}: {text}." for _rule, host, text in said] == expected
        assert set(expected) <= set(map(str, plan.warnings))
    assert {each.name for each, _host, _text in said} == ({rule.name} if expected else set())
    assert list(map(str, plan.refusals)) == (expected if rule.refuses else [])
    assert bool(plan.parts) is not bool(plan.refusals)
