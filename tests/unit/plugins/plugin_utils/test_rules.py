# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every rule; the rules of each topic have a file of their own."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _rules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import ANY, BROKEN, Release, Releases
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import CIDR, KAS, RAILS, version

TOPICS = [topic.__name__.rpartition(".")[2] for topic in _rules.TOPICS]
TABLES = {
    topic: import_module(
        f"ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.test_rules_{topic}"
    ).TABLES
    for topic in TOPICS
}


def test_every_file_of_rules_is_a_topic():
    files = {path.stem for path in Path(_rules.__file__).parent.glob("*.py")}
    assert files - {"__init__", "rule", "sentences"} == set(TOPICS)


def test_every_rule_has_a_table_in_its_topic_and_a_row_in_which_it_speaks():
    tested = {
        rule.name
        for topic, tables in TABLES.items()
        for rule, table in tables.items()
        if rule.name.startswith(f"{topic}.") and any(expected for _hosts, _variables, expected in table)
    }
    assert [rule.name for rule in _rules.RULES if rule.name not in tested] == []


def test_every_rule_has_a_name_of_its_own():
    assert len({rule.name for rule in _rules.RULES}) == len(_rules.RULES)


def test_every_broken_release_is_told(hosts_of):
    for release in BROKEN:
        deployment = Deployment(hosts_of({"kas1": version(str(release)), "kas2": {}}, **CIDR))
        said = [*_rules.refused(deployment, ["kas"]), *_rules.warned(deployment)]
        assert [text for _rule, _host, text in said if f"KAS of GitLab {release} " in text], release


def says(host, deployment):
    yield "it speaks"


def silent(host, deployment):
    yield from ()


@pytest.mark.parametrize(
    ("rule", "spoken_of"),
    [
        (refusal()(says), "kas1 both"),
        (refusal(where="rails")(says), "both rails1 off"),
        (warning()(says), "kas1 both rails1 off"),
        (warning(where="kas")(says), "kas1 both"),
        (refusal(where="all", releases=Releases(since=Release(18, 6, 1)))(says), "both rails1"),
        (refusal(where="all", releases=Releases(before=Release(18, 6, 1)))(says), "kas1"),
        (refusal(where="all", releases=Releases(Release(18, 6, 0), Release(18, 6, 1)))(says), "kas1"),
        (refusal(where="all", releases=Releases(before=Release(18, 6, 0), or_unknown=True))(says), "off"),
        (refusal(where="all", releases=frozenset({Release(18, 6, 1)}))(says), "both rails1"),
        (refusal(where="all", releases=ANY)(silent), ""),
    ],
)
def test_whom_a_rule_is_for(rule, spoken_of, hosts_of):
    hosts = hosts_of(
        {
            "kas1": {**KAS, **version("18.6.0-ee.0")},
            "both": {},
            "rails1": RAILS,
            "off": {"kas_enabled": False, **version(None)},
        }
    )
    deployment = Deployment(hosts)
    assert [host.name for host in hosts if list(rule(host, deployment))] == spoken_of.split()


FIRST = refusal(roles=("kas",))(says)


@pytest.mark.parametrize(
    ("rules", "roles", "spoken"),
    [
        ([FIRST], ["kas", "kas_rails"], [FIRST]),
        ([FIRST], ["kas_rails"], []),
        ([refusal(roles=())(says)], ["kas_rails"], [0]),
        ([warning()(says)], ["kas"], []),
        ([FIRST, refusal(unless=FIRST)(says)], ["kas"], [FIRST]),
        ([FIRST, refusal(unless=refusal()(silent))(says)], ["kas"], [FIRST, 1]),
        ([FIRST, refusal(roles=("kas_rails",), unless=FIRST)(says)], ["kas_rails"], [1]),
    ],
)
def test_what_is_asked(rules, roles, spoken, hosts_of, monkeypatch):
    monkeypatch.setattr(_rules, "RULES", rules)
    said = [rule for rule, _host, _text in _rules.refused(Deployment(hosts_of({"kas1": {}})), roles)]
    assert said == [rules[each] if isinstance(each, int) else each for each in spoken]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            {"rails1": RAILS},
            ["rails1: the inventory's group gitlab_kas has no host; put the nodes that run KAS into it."],
        ),
        (
            {"kas1": {}, "web1": {"in": ""}},
            [
                "web1: it is neither in group gitlab_kas nor in gitlab_rails; put it into one of them, or leave it"
                " out of the play."
            ],
        ),
        (
            {"kas1": {}, "kas2": {"info": None, "unreachable": "Could not resolve hostname kas2."}},
            [
                "kas2: this host of group gitlab_kas and gitlab_rails does not answer (Could not resolve hostname"
                " kas2); let the controller know that name, by DNS or with ansible_host, or correct it in the"
                " inventory."
            ],
        ),
        (
            {
                "kas1": {"info": {"blocking_errors": ["GitLab is not installed; install it.", "Another one."]}},
                "kas2": {},
            },
            ["kas1: GitLab is not installed; install it.", "kas1: Another one."],
        ),
        ({"kas1": {}, "kas2": {"info": None, "in_play": False}}, []),
        ({"kas1": {}, "kas2": {"info": {"blocking_errors": ["Unhealthy."]}, "in_play": False}}, []),
    ],
)
def test_node_refusals(rows, expected, hosts_of):
    assert list(map(str, _rules.node_refusals(hosts_of(rows)))) == expected
