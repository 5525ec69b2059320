# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.action.kas_chart import HEADER, ActionModule

GIVEN = {"kas_chart_gitlab_url": "https://gitlab.example.com", "kas_external_url": "wss://kas.gitlab.example.com"}


def test_values(stage, warned):
    made = stage({"kas1": {**GIVEN, "kas_other": "{{ nothing }}"}}).run(ActionModule, "kas1")
    assert made["chart_values"]["global"]["kas"] == {
        "enabled": True,
        "service": {"apiExternalPort": 8153},
        "tls": {"enabled": False},
    }
    assert (made["path"], made["host"], made["changed"]) == ("", "localhost", False)
    header, text = made["text"].split(HEADER)
    assert (header, yaml.safe_load(text)) == ("", made["chart_values"])
    assert warned == []


def test_the_play_and_templates_have_a_say(stage, warned):
    """A variable of ours that is not set is its default in a template."""
    given = {"kas_chart_values_path": "/srv/{{ kas_chart_namespace }}-{{ kas_cookie_check }}.yml", "kas_chart_host": ""}
    made = stage({"kas1": {**GIVEN, **given}}, play_vars={"kas_env": {"A": "b"}}).run(ActionModule, "kas1")
    assert (made["path"], made["host"]) == ("/srv/gitlab-warn.yml", "localhost")
    assert warned == [
        "kas1: kas_env is set, but does not reach KAS in Kubernetes; set gitlab.kas.extraEnv in values of your own."
    ]


@pytest.mark.parametrize(
    ("given", "refusals"),
    [
        (
            {"kas_chart_runs": "all", "kas_redis": {"port": 0}, "kas_chart_namespace": "{{ nothing }}"},
            [
                "kas1: kas_redis.port is 0; set a port from 1 to 65535.",
                "kas1: kas_chart_runs is 'all'; set both, kas or rails.",
                "kas1: kas_chart_namespace cannot be evaluated ('nothing' is undefined); correct it, or what it is"
                " made from.",
            ],
        ),
        (
            {"kas_chart_namespaces": "gitlab", "kas_redsi": "x"},
            [
                f"kas1: {name} is not a variable of this collection, so it would do nothing; write {near}, or give a"
                " variable of your own another name."
                for name, near in (
                    ("kas_chart_namespaces", "kas_chart_namespace"),
                    ("kas_redsi", "kas_redis"),
                )
            ],
        ),
        (
            {"kas_chart_gitlab_url": ""},
            [
                "kas1: kas_chart_gitlab_url is not set, and no other variable tells it; set GitLab's URL, such as"
                " https://gitlab.example.com."
            ],
        ),
    ],
)
def test_refusals(given, refusals, stage):
    made = stage({"kas1": {**GIVEN, **given}}).run(ActionModule, "kas1")
    assert made["failed"] is True
    assert made["refusals"] == refusals
    assert made["msg"] == "\n".join(refusals)
