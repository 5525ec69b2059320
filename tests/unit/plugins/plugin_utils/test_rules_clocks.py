# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule about the nodes' clocks, with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import clocks
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import CIDR, RAILS, check, rows


def ahead(*of_nodes):
    """Nodes whose clocks are so many seconds ahead, at least and at most; None where that is not known."""
    return {f"kas{n}": {"info": {"ahead_s": bounds}} for n, bounds in enumerate(of_nodes, 1)}


def differs(name, seconds, way, other):
    return (
        f"{name}: its clock is at least {seconds} s {way} that of {other}, but a KAS refuses what another one signs if"
        " their clocks differ by more than 5 s; set both clocks right, with chrony or another client of NTP."
    )


TABLES = {
    clocks.agree: [
        (ahead([-1, 1], [59, 61]), CIDR, [differs("kas2", 58, "ahead of", "kas1")]),
        (ahead([-61, -59], [0, 1], [0, 2]), CIDR, [differs("kas1", 59, "behind", "kas2")]),
        (
            ahead([0, 1], [9, 10], [-20, -19]),
            CIDR,
            [differs("kas2", 8, "ahead of", "kas1"), differs("kas3", 19, "behind", "kas1")],
        ),
        (ahead([0, 1], [6, 7]), CIDR, []),
        (ahead([-10, 2], [0, 12]), CIDR, []),
        (ahead([0, 1], None), CIDR, []),
        (ahead([3600, 3601]), {}, []),
        ({**ahead([0, 1]), "rails1": {**RAILS, "info": {"ahead_s": [59, 60]}}}, CIDR, []),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_the_rule_about_clocks(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
