# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The turns of a roll-out, and what a failure leaves undone."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._turns import not_over, turns, way_back

GROUPS = {"gitlab_kas": ["k1", "k2"], "gitlab_rails": ["k2", "r1", "r2"], "__kas_pending": ["r2", "r1", "k1"]}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [(GROUPS, ["k1", "r1", "r2"]), ({"gitlab_kas": ["k1"]}, []), ({**GROUPS, "__kas_pending": []}, [])],
)
def test_turns(groups, expected):
    assert turns(groups) == expected


@pytest.mark.parametrize(
    ("failed", "batch", "left"),
    [
        ("k1", ["k1"], "r1, r2"),
        ("k1", ["k1", "r1"], "r1, r2"),
        ("r1", ["k1", "r1"], "k1, r2"),
        ("r1", ["r1"], "r2"),
        ("r2", ["r2"], ""),
        ("k2", ["k1", "k2"], ""),
    ],
)
def test_what_a_failure_leaves_undone(failed, batch, left):
    sentence = (
        f"{left}: not changed yet, or not to the end, since {failed} has failed; fix the cause and run the playbook"
        " deploy without a limit (in AWX relaunch it on all hosts, not on the failed ones)."
    )
    assert not_over(failed, GROUPS, batch) == ([sentence] if left else [])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, []),
        ({"__kas_written": {"undo": ""}}, []),
        (
            {"__kas_written": {"undo": "cp a b"}},
            ["k1: the settings from before are kept; to go back to them, run there: cp a b"],
        ),
    ],
)
def test_the_way_back(variables, said):
    assert way_back("k1", variables) == said
