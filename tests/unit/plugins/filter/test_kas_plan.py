# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of variables and infos from hostvars into a plan, and of settings out of it."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.kasops.gitlab_kas.plugins.filter.kas_plan import (
    kas_plan,
    kas_report,
    kas_sealed,
    kas_settings,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import (
    SECRETS,
    fingerprint,
    make,
    seal,
    unseal,
)

KEY = "a key of one run that is long enough"
ROLES = ["kas", "kas_rails", "kas_secrets"]
GROUPS = {"gitlab_kas": ["kas1", "kas2"], "gitlab_rails": ["kas1", "kas2"], "all": ["kas1", "kas2", "web1"]}
CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
SECRET = make("api_secret_key", b"another run, which left this one")


def look(number, **more):
    kas = {
        "blocking_errors": [],
        "problems": [],
        "gitlab_version": "18.6.1",
        "addresses": [f"10.0.0.{number}", f"fd00::{number}"],
        "settings": {},
        "secrets": {"api_secret_key": {"fingerprint": fingerprint(SECRET), "source": "gitlab.rb", "problem": None}},
        "sealed_secrets": {"api_secret_key": seal(SECRET, KEY)},
    }
    return {"kas": {**kas, **more}}


def in_play(number, variables, outside=(), **more):
    return {
        "__kas_sealed_variables": kas_sealed(variables, KEY),
        "__kas_info": look(number),
        "__kas_outside_infos": {"results": list(outside)},
        **more,
    }


def both(**variables):
    return {"kas1": in_play(1, {**CIDR, **variables}), "kas2": in_play(2, {**CIDR, **variables})}


def settings(plan, host="kas1", roles=ROLES):
    return kas_settings(plan["nodes"][host], roles, KEY)


def test_plan():
    plan = kas_plan(both(), GROUPS, ["kas1", "kas2"], KEY)
    assert plan["refusals"] == plan["warnings"] == []
    assert {key: value for key, value in plan["nodes"]["kas2"].items() if key != "sealed"} == {
        "state": "present",
        "runs_kas": True,
        "probe_call": "private_api",
        "asks_kas": True,
        "own_urls": ["grpc://10.0.0.2:8155"],
        "peer_urls": ["grpc://10.0.0.2:8155"],
        "secrets": list(SECRETS),
        "user": "git",
        "socket_dir": "",
        "spare_dir": "/var/opt/gitlab/gitlab-kas/sockets",
    }


@pytest.mark.parametrize(
    ("variables", "groups", "expected"),
    [
        (
            {},
            {"gitlab_kas": ["kas1", "kas2"], "gitlab_rails": ["kas2"]},
            [("private_api", False), ("private_api", True)],
        ),
        (
            {"kas_internal_url": "grpc://kas:8153", "kas_external_url": "wss://kas.example.com"},
            {"gitlab_kas": ["kas1"], "gitlab_rails": ["kas2"]},
            [("private_api", False), ("private_api", True)],
        ),
        ({"kas_probe_call": "false"}, GROUPS, [("none", False), ("none", False)]),
        ({"kas_enabled": False}, GROUPS, [("private_api", False), ("private_api", False)]),
    ],
)
def test_who_calls_whom(variables, groups, expected):
    nodes = kas_plan(both(**variables), groups, ["kas1", "kas2"], KEY)["nodes"]
    assert [(nodes[name]["probe_call"], nodes[name]["asks_kas"]) for name in ("kas1", "kas2")] == expected


def test_roles_are_merged():
    written = settings(kas_plan(both(), GROUPS, ["kas1", "kas2"], KEY))
    kas = written["settings"]["gitlab_kas"]
    assert kas["enable"] is True
    assert kas["api_secret_key"] == SECRET
    assert kas["env"] == {"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}
    assert written["settings"]["gitlab_rails"] == {"gitlab_kas_enabled": True}
    assert "OWN_PRIVATE_API_CIDR" in written["remove"]["gitlab_kas"]["env"]


def test_every_role_says_what_it_asks_for():
    plan = kas_plan(both(), GROUPS, ["kas1", "kas2"], KEY)
    asked = settings(plan)["record_for"]
    assert asked["kas_rails"] == {"gitlab_rails": {"gitlab_kas_enabled": None}}
    assert asked["kas_secrets"] == {"gitlab_kas": dict.fromkeys(SECRETS)}
    assert asked["kas"]["gitlab_kas"]["env"]["OWN_PRIVATE_API_CIDR"] is None
    assert list(settings(plan, roles=["kas"])["record_for"]) == ["kas"]
    assert settings(kas_plan(both(kas_enabled=False), GROUPS, ["kas1", "kas2"], KEY))["record_for"] == {}


def test_an_absent_host_is_reverted():
    hostvars = {"kas1": in_play(1, CIDR), "kas2": in_play(2, {**CIDR, "kas_state": "absent"})}
    plan = kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)
    assert settings(plan, "kas1")["state"] == "present"
    assert settings(plan, "kas2") == {"state": "reverted", "settings": {}, "remove": {}, "record_for": {}}


def test_an_absent_host_is_not_reported():
    reported = {"enabled": True, "running": True, "ready": True, "readiness": "ok", "reconfigure_pending": None}
    secrets = {name: {"fingerprint": "0123456789ab", "source": None} for name in SECRETS}
    kas1, kas2 = in_play(1, CIDR), in_play(2, {**CIDR, "kas_state": "absent"})
    for host in (kas1, kas2):
        host["__kas_info"]["kas"].update(reported, own_private_api_urls=[], secrets=secrets)
    hostvars = {"kas1": kas1, "kas2": kas2}
    report = kas_report(hostvars, ["kas1", "kas2"], kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY))
    assert "kas1" in json.dumps(report)
    assert "kas2" not in json.dumps(report)


def test_no_secret_is_readable_in_a_plan():
    given = {"kas_redis": {"password": "hunter2", "host": "redis"}, "kas_env": {"TOKEN": "hunter2"}}
    hostvars = both(**given)
    plan = kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)
    assert settings(plan)["settings"]["gitlab_kas"]["redis_password"] == "hunter2"
    made = settings(plan)["settings"]["gitlab_kas"]["websocket_token_secret_key"]
    for text in (json.dumps(plan), json.dumps(hostvars)):
        assert not any(secret in text for secret in ("hunter2", SECRET, made))


@pytest.mark.parametrize("key", ["another key that is long enough, too"])
def test_settings_open_only_with_the_key_of_the_run(key):
    plan = kas_plan(both(), GROUPS, ["kas1", "kas2"], KEY)
    with pytest.raises(AnsibleFilterError, match="was sealed with another key"):
        kas_settings(plan["nodes"]["kas1"], ROLES, key)


@pytest.fixture
def hostvars_of(tmp_path):
    """Ansible's own hostvars: kas1 is in_play, and the inventory gives kas2 these variables."""

    def make(variables, kas1=CIDR):
        path = tmp_path / "hosts.json"
        hosts = {"kas1": {"node_ip": "10.0.0.1"}, "kas2": {"number": 2, **variables}}
        path.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        loader = DataLoader()
        inventory = InventoryManager(loader, sources=[str(path)])
        manager = VariableManager(loader, inventory)
        manager.set_nonpersistent_facts("kas1", in_play(1, kas1, [{"item": "kas2", **look(2)}]))
        return HostVars(inventory, manager, loader)

    return make


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("grpc://kas2.internal:8155", "grpc://kas2.internal:8155"),
        ("grpc://kas{{ number }}:8155", "grpc://kas2:8155"),
        ("grpc://{{ inventory_hostname }}:{{ hostvars.kas1.node_ip | length }}000", "grpc://kas2:8000"),
    ],
)
def test_a_host_outside_of_the_play_has_its_inventory_variables_and_its_look(value, url, hostvars_of):
    hostvars = hostvars_of({"kas_own_private_api_url": value, "other": "{{ undefined }}"})
    plan = kas_plan(hostvars, GROUPS, ["kas1"], KEY)
    assert plan["refusals"] == []
    assert plan["nodes"]["kas2"]["own_urls"] == [url]
    assert plan["nodes"]["kas2"]["sealed"] == {}


def test_a_host_outside_of_the_play_is_held_against_the_others(hostvars_of):
    hostvars = hostvars_of({"kas_own_private_api_url": "grpc://kas2.internal:8155"}, kas1={})
    assert kas_plan(hostvars, GROUPS, ["kas1"], KEY)["refusals"] == [
        "kas1: kas_own_private_api_cidr is not set, and the host has several addresses (10.0.0.1, fd00::1), but its own"
        " URL takes one; set a CIDR that holds exactly one of them, or kas_own_private_api_url."
    ]


@pytest.mark.parametrize(
    "value",
    ["{{ nothing }}", "{{ hostvars.kas1.nothing }}", "{{ {'a': 1} | from_json }}", "{{ 'hunter2' | b64decode }}"],
)
def test_variables_outside_of_the_play_that_cannot_be_evaluated(value, hostvars_of):
    hostvars = hostvars_of({"kas_own_private_api_url": "grpc://kas2:8155", "kas_redis": {"password": value}})
    assert kas_plan(hostvars, GROUPS, ["kas1"], KEY)["refusals"] == [
        "kas2: kas_redis cannot be evaluated for this host, which stands outside of the play; correct it, or take the"
        " host into the play, where Ansible says why."
    ]


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        ({"unreachable": True, "msg": "Task failed: No\nroute."}, "No route"),
        ({"unreachable": True, "msg": "No route"}, "No route"),
        ({}, "no answer"),
    ],
)
def test_a_host_that_does_not_answer(result, cause):
    hostvars = both()
    hostvars["kas2"]["__kas_info"] = result
    assert kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)["refusals"] == [
        f"kas2: this host of group gitlab_kas and gitlab_rails does not answer ({cause}); correct its name or address"
        " in the inventory, or take it out of the group."
    ]


def test_a_host_on_which_nothing_runs():
    hostvars = both()
    hostvars["kas2"]["__kas_info"] = {"failed": False, "msg": "Missing sudo password."}
    assert kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)["refusals"] == [
        "kas2: kas_info did not run on this host (Missing sudo password); see that it has Python 3.9 or later, and"
        " that the user may become root there."
    ]


def test_wrong_values_and_sick_nodes_are_refused_together():
    hostvars = both(kas_env="- a\n- b", kas_enabled="maybe")
    hostvars["kas2"]["__kas_info"] = look(2, blocking_errors=["GitLab is not installed; install it."])
    plan = kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)
    assert plan["refusals"] == [
        "kas1: kas_enabled is 'maybe'; set true or false.",
        "kas1: kas_env is text; set a mapping whose names are text.",
        "kas2: kas_enabled is 'maybe'; set true or false.",
        "kas2: kas_env is text; set a mapping whose names are text.",
        "kas2: GitLab is not installed; install it.",
    ]
    assert plan["nodes"] == {}


def test_text_of_a_survey_may_be_yaml():
    plan = kas_plan(both(kas_env="A: b\nC: d"), GROUPS, ["kas1", "kas2"], KEY)
    assert settings(plan)["settings"]["gitlab_kas"]["env"]["C"] == "d"


def test_query_selects_the_candidates():
    facts = {"ansible_facts": {"eth1": {"ipv4": {"address": "10.9.0.1"}}}}
    hostvars = {
        "kas1": in_play(1, {**CIDR, "kas_own_private_api_query": "[eth1.ipv4.address]"}, **facts),
        "kas2": in_play(2, {**CIDR, "kas_own_private_api_query": "[eth1"}, **facts),
    }
    plan = kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)
    assert len(plan["refusals"]) == 1
    assert plan["refusals"][0].startswith(
        "kas2: kas_own_private_api_query does not do: query '[eth1' is not a JMESPath"
    )
    hostvars["kas2"] = in_play(2, CIDR)
    plan = kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)
    assert plan["nodes"]["kas1"]["own_urls"] == ["grpc://10.9.0.1:8155"]
    hostvars["kas1"]["ansible_facts"] = {}
    assert kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)["refusals"] == [
        "kas1: kas_own_private_api_query is '[eth1.ipv4.address]', but the host's facts could not be gathered; see that"
        " ansible.builtin.setup works there, or leave the query out."
    ]


def test_hosts_of_the_play_in_no_group():
    hostvars = {**both(), "web1": in_play(3, {})}
    assert kas_plan(hostvars, GROUPS, ["kas1", "kas2", "web1"], KEY)["refusals"] == [
        "web1: it is neither in group gitlab_kas nor in gitlab_rails; put it into one of them, or leave it out of the"
        " play."
    ]


def test_inventory_without_groups():
    assert kas_plan({"web1": in_play(1, {})}, {}, ["web1"], KEY)["refusals"][0] == (
        "The inventory's group gitlab_kas has no host; put the nodes that run KAS into it."
    )


def test_sealed():
    variables = {"kas_enabled": True, "kas_env": {"A": "b"}}
    assert json.loads(unseal(kas_sealed(variables, KEY), KEY)) == variables


def test_report():
    hostvars = both()
    plan = kas_plan(hostvars, GROUPS, ["kas1", "kas2"], KEY)
    for number, other in ((1, 2), (2, 1)):
        hostvars[f"kas{number}"]["__kas_info"] = look(
            number,
            enabled=True,
            running=True,
            ready=True,
            readiness="ok",
            own_private_api_urls=[],
            reconfigure_pending=None,
            secrets={name: {"fingerprint": "0123456789ab"} for name in SECRETS},
        )
        reached = {"reachable": True, "text": "reachable", "remedy": ""}
        refused = {"reachable": False, "text": "connection refused", "remedy": "see that KAS runs there"}
        hostvars[f"kas{number}"]["__kas_probe"] = {
            "peers": [{"url": f"grpc://10.0.0.{other}:8155", **(reached if number == 1 else refused)}]
        }
        hostvars[f"kas{number}"]["__kas_rails_probe"] = {"peers": [{"url": "grpc://localhost:8153", **reached}]}
    assert kas_report(hostvars, ["kas1", "kas2"], plan) == {
        "table": [
            "node  own URL               ready  reaches  Rails reaches",
            "kas1  grpc://10.0.0.1:8155  yes    kas2     grpc://localhost:8153",
            "kas2  grpc://10.0.0.2:8155  yes    -        grpc://localhost:8153",
        ],
        "findings": [
            "kas2: KAS does not reach kas1 at grpc://10.0.0.1:8155 (connection refused); see that KAS runs there."
        ],
    }


def test_report_where_rails_was_not_asked():
    hostvars = {"kas1": in_play(1, {"kas_probe_call": False, **CIDR})}
    plan = kas_plan(hostvars, {"gitlab_kas": ["kas1"], "gitlab_rails": ["kas1"]}, ["kas1"], KEY)
    hostvars["kas1"]["__kas_info"] = look(
        1,
        enabled=True,
        running=True,
        ready=True,
        own_private_api_urls=[],
        reconfigure_pending=None,
        secrets={name: {"fingerprint": "0123456789ab"} for name in SECRETS},
    )
    hostvars["kas1"]["__kas_rails_probe"] = {"changed": False, "skipped": True, "skip_reason": "…"}
    assert kas_report(hostvars, ["kas1"], plan) == {
        "table": ["node  own URL               ready  reaches", "kas1  grpc://10.0.0.1:8155  yes    -"],
        "findings": [],
    }


def test_report_on_a_node_without_kas():
    hostvars = {"kas1": in_play(1, {"kas_enabled": False})}
    plan = kas_plan(hostvars, {"gitlab_kas": ["kas1"]}, ["kas1"], KEY)
    hostvars["kas1"]["__kas_info"] = look(1, running=False, reconfigure_pending=None, own_private_api_urls=[])
    hostvars["kas1"]["__kas_probe"] = {"skipped": True}
    assert kas_report(hostvars, ["kas1"], plan) == {"table": ["node  own URL  ready  reaches"], "findings": []}
