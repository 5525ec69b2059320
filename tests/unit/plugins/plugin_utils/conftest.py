# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments for tables: a mapping of host names to what is special about each."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import normalise

# Asserts of a module that is no test itself say more if pytest rewrites them.
pytest.register_assert_rewrite("ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables")

FIELDS = ("unreachable", "secrets", "candidates", "in_play")
GROUPS = {"k": "gitlab_kas", "r": "gitlab_rails"}


def _host(number, name, row):
    """A host in both groups on 10.0.0.N and fd00::N.

    row: variables, "in" (k, r or both), "info" (what is special about what kas_info returned; None for no answer), and
    fields of Host.
    """
    variables = {key: value for key, value in row.items() if key.startswith("kas_")}
    values, wrong = normalise(variables)
    assert not wrong
    info = {
        "blocking_errors": [],
        "gitlab_version": "18.6.1",
        "addresses": ["127.0.0.1", f"10.0.0.{number}", "::1", f"fd00::{number}", "fe80::1"],
        "settings": {"external_url": "https://gitlab.example.com"},
        "secrets": {},
    }
    special = row.get("info", {})
    return Host(
        name=name,
        groups=frozenset(GROUPS[letter] for letter in row.get("in", "kr")),
        values=values,
        info=None if special is None else {**info, **special},
        **{key: row[key] for key in FIELDS if key in row},
    )


@pytest.fixture
def hosts_of():
    """Make hosts of a mapping; the variables in extra are for all of them."""

    def make(rows, **extra):
        return [_host(number, name, {**extra, **row}) for number, (name, row) in enumerate(rows.items(), 1)]

    return make
