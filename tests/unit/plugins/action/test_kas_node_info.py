# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kas_node_info: what a node is asked, and what is known of one on which kas_info does not come to its end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleError
from ansible_collections.kasops.gitlab_kas.plugins.action import kas_inventory
from ansible_collections.kasops.gitlab_kas.plugins.action.kas_node_info import ActionModule

SORRY = "Sorry, user admin is not allowed to execute '/bin/sh' as root on kas1."


def raised(error):
    def answer(arguments):
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "msg"),
    [
        # As ansible-core 2.19 and later have it of a module that raises.
        (
            {"failed": True, "exception": SimpleNamespace(event=SimpleNamespace(msg="[Errno 28] No space left"))},
            "[Errno 28] No space left",
        ),
        ({"failed": True, "msg": "MODULE FAILURE", "module_stderr": SORRY}, f"the node said: {SORRY.rstrip('.')}"),
        ({"failed": True, "msg": "A sentence.", "module_stderr": ""}, "A sentence."),
        (
            raised(AnsibleError(f"Premature end.\n>>> Standard Error\n{SORRY}")),
            f"Premature end. >>> Standard Error {SORRY}",
        ),
        ({"unreachable": True, "failed": True}, None),
        ({"kas": {}}, None),
    ],
)
def test_why_it_failed(answer, msg, stage):
    result = stage({"kas1": {}}).run(ActionModule, "kas1", {"kas_info": answer}, secret_values=True)
    assert result.get("msg") == msg


@pytest.mark.parametrize(("disable", "wait_s"), [(False, 120), (True, 0)])
def test_nobody_waits_for_a_kas_that_is_being_disabled(disable, wait_s, stage):
    groups = {"gitlab_kas": ["kas1"]}
    on_stage = stage({"kas1": {"kas_enabled": "true"}}, groups, play_vars={"__kas_disable": disable})
    on_stage.run(ActionModule, "kas1", {"kas_info": {"kas": {"ready": True}}}, wait_until_ready=True)
    ((_host, _module, arguments),) = on_stage.modules
    assert arguments["wait_s"] == wait_s


def test_each_node_is_asked_for_the_names_that_it_looks_up(stage):
    """Its own Redis, and the names by which other KAS publish themselves; of Rails, where KAS is."""
    hosts = {
        "kas1": {
            "kas_own_private_api_url": "grpc://{{ inventory_hostname }}.internal:8155",
            "kas_redis": {"host": "redis.internal", "sentinels": [{"host": "s1"}, {"host": "10.0.0.9"}]},
        },
        "kas2": {"kas_private_api_listen_address": "kas2.internal:8155"},
        "kas3": {"kas_own_private_api_url": "grpc://[fd00::3]:8155", "kas_private_api_listen_address": ":8155"},
        "off": {"kas_own_private_api_url": "grpc://off.internal:8155", "kas_enabled": False},
        "wrong": {"kas_own_private_api_url": "{{ nobody_knows }}"},
        "rails1": {"kas_internal_url": "grpc://kas.internal:8153", "kas_redis": {"host": "redis.internal"}},
    }
    on_stage = stage(hosts, {"gitlab_kas": list(hosts)[:-1], "gitlab_rails": ["kas1", "rails1"]})
    names = on_stage.run(kas_inventory.ActionModule, "rails1")["names"]
    assert names == {"kas1": ["kas1.internal"], "kas2": ["kas2.internal"]}
    for host in hosts:
        on_stage.run(ActionModule, host, {"kas_info": {"kas": {}}}, names=names)
    assert {host: arguments["names"] for host, _module, arguments in on_stage.modules} == {
        "kas1": ["redis.internal", "s1", "kas2.internal"],
        "kas2": ["kas1.internal"],
        "kas3": ["kas1.internal", "kas2.internal"],
        "off": [],
        "wrong": ["kas1.internal", "kas2.internal"],
        "rails1": ["kas.internal"],
    }
