# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences about hosts: said once, and which hosts fail with one."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import (
    Sentence,
    failure,
    joined,
    of,
    with_fails,
)


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        ([], []),
        ([*of("a", ["X.", "Y."]), *of("b", ["Y.", "X."])], ["a, b: X.", "a, b: Y."]),
        ([*of("a", ["X."]), *of("b", ["Y."]), *of("c", ["X."])], ["a, c: X.", "b: Y."]),
        ([*of("a", ["X.", "X."])], ["a: X."]),
        ([Sentence(("a", "b"), "X."), Sentence(("a", "c"), "X.")], ["a, b, c: X."]),
        ([Sentence(("a",), "X."), Sentence(("b",), "X.", is_unreachable=True)], ["a: X.", "b: X."]),
    ],
)
def test_joined(sentences, expected):
    assert list(map(str, joined(sentences))) == expected


@pytest.mark.parametrize(
    ("hosts", "fails"),
    [
        (["a"], ["a"]),
        (["b", "a"], ["b", "a"]),
        (["a", "away"], ["a"]),
        (["away"], ["a", "b"]),  # of the same deployment
        (["away", "c"], ["c"]),
    ],
)
def test_who_fails(hosts, fails):
    deployments = {"a": "", "b": "", "away": "", "c": "other"}
    (decided,) = with_fails([Sentence(hosts, "X.")], ["a", "b", "c"], deployments)
    assert list(decided.fails) == fails
    assert str(decided) == f"{', '.join(hosts)}: X."


SAID = [
    Sentence(("a",), "X.", fails=("a",)),
    Sentence(("a", "b", "c"), "Y.", fails=("a", "b", "c")),
    Sentence(("away",), "Z.", fails=("b", "c")),
    Sentence(("d",), "No answer.", is_unreachable=True, fails=("d",)),
    Sentence(("d",), "X.", fails=("d",)),
]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a", {"failed": True, "msg": "a: X.\na, b, c: Y."}),
        ("b", {"failed": True, "msg": "away: Z.\nb: what is said of a is about this host, too."}),
        ("c", {"failed": True, "msg": "c: what is said of a and of b is about this host, too."}),
        ("d", {"unreachable": True, "msg": "d: No answer.\nd: X."}),
        ("e", {}),
    ],
)
def test_failure(host, expected):
    assert failure(host, SAID) == expected
