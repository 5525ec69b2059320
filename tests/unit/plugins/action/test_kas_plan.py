# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kas_plan: from what Ansible knows of every host to one plan."""

from __future__ import annotations

import json
import re
from types import MappingProxyType

import pytest
from ansible.release import __version__ as ansible_version
from ansible_collections.kasops.gitlab_kas.plugins.action.kas_plan import ActionModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS, fingerprint, make
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import written
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence

ROLES = ("kas", "kas_rails", "kas_secrets")
CIDR = MappingProxyType({"kas_own_private_api_cidr": "10.0.0.0/8"})
SECRET = make("api_secret_key", lambda size: size * b"s")


def info(number, **more):
    kas = {
        "blocking_errors": [],
        "problems": [],
        "gitlab_version": "18.6.1",
        "addresses": [f"10.0.0.{number}", f"fd00::{number}"],
        "settings": {},
        "secrets": {"api_secret_key": {"fingerprint": fingerprint(SECRET), "source": "gitlab.rb", "problem": None}},
        "secret_values": {"api_secret_key": SECRET},
    }
    return {"kas": {**kas, **more}}


@pytest.fixture
def plan(stage):
    """Plan for kas1 and kas2, in both groups unless others are given."""

    def make_plan(kas1=CIDR, kas2=CIDR, groups=None, infos=None, roles=ROLES, **more):
        hosts = {"kas1": dict(kas1), "kas2": dict(kas2)}
        on_stage = stage(hosts, groups, **more)
        for number, host in enumerate(hosts, 1):
            if host in on_stage.batch:
                on_stage.register(host, __kas_info=(infos or {}).get(host, info(number)))
        outside = [{"item": host, **info(number)} for number, host in enumerate(hosts, 1) if host not in on_stage.batch]
        on_stage.register(on_stage.batch[0], __kas_outside_info={"results": outside})
        return on_stage.run(ActionModule, on_stage.batch[0], roles=list(roles))

    return make_plan


def refusals(plan):
    """The sentences of a plan that is refused; its task itself does not fail."""
    assert not plan.get("failed")
    assert bool(plan["refusals"]) is not ("nodes" in plan)
    return [str(Sentence(**each)) for each in plan["refusals"]]


def settings(plan, host="kas1", roles=ROLES):
    assert refusals(plan) == []
    return written(plan["nodes"][host], roles)["settings"]


def test_a_plan(plan):
    made = plan()
    node = made["nodes"]["kas2"]
    parts = node.pop("parts")
    assert node == {
        "deployment": "",
        "state": "present",
        "runs_kas": True,
        "own_urls": ["grpc://10.0.0.2:8155"],
        "peer_urls": ["grpc://10.0.0.2:8155"],
        "secrets": list(SECRETS),
        "user": "git",
        "group": "git",
        "socket_dir": "",
        "spare_dir": "",
        "certificates": [],
        "min_valid_days": 30,
        "reconfigure": {"inputs": [], "restart_inputs": [], "timeout_s": 3600},
        "asks_kas": True,
        "probe": {"call": "private_api", "server_name": None, "timeout_s": 5},
        "ready_timeout_s": 120,
        "rolls_back": False,
        "hooks": {"kas_before_node_tasks": "", "kas_after_node_tasks": ""},
        "gitlab_rb": {"path": "/etc/gitlab/gitlab.rb", "include": None, "backup": False},
    }
    assert parts["kas"]["settings"]["gitlab_kas"]["env"] == {"OWN_PRIVATE_API_URL": "grpc://10.0.0.2:8155"}
    assert made["_ansible_no_log"] is True


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
        ({"kas_probe_call": "false"}, None, [("none", False), ("none", False)]),
        ({"kas_enabled": False}, None, [("private_api", False), ("private_api", False)]),
    ],
)
def test_who_calls_whom(variables, groups, expected, plan):
    nodes = plan(kas1={**CIDR, **variables}, kas2={**CIDR, **variables}, groups=groups)["nodes"]
    assert [(nodes[name]["probe"]["call"], nodes[name]["asks_kas"]) for name in ("kas1", "kas2")] == expected


def test_a_file_for_our_settings(plan):
    node = plan({**CIDR, "kas_gitlab_rb_include": "/etc/gitlab/kas.rb"})["nodes"]["kas1"]
    assert node["gitlab_rb"] == {"path": "/etc/gitlab/gitlab.rb", "include": "/etc/gitlab/kas.rb", "backup": False}
    assert node["reconfigure"]["inputs"] == ["/etc/gitlab/kas.rb"]
    assert node["reconfigure"]["restart_inputs"] == []


def test_roles_are_merged(plan):
    options = written(plan()["nodes"]["kas1"], ROLES)
    kas = options["settings"]["gitlab_kas"]
    assert kas["enable"] is True
    assert kas["api_secret_key"] == SECRET
    assert kas["env"] == {"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}
    assert options["settings"]["gitlab_rails"] == {"gitlab_kas_enabled": True}
    assert "OWN_PRIVATE_API_CIDR" in options["remove"]["gitlab_kas"]["env"]


def test_every_role_says_what_it_asks_for(plan):
    node = plan()["nodes"]["kas1"]
    asked = written(node, ROLES)["record_for"]
    assert asked["kas_rails"] == {"gitlab_rails": {"gitlab_kas_enabled": None}}
    assert asked["kas_secrets"] == {"gitlab_kas": dict.fromkeys(SECRETS)}
    assert asked["kas"]["gitlab_kas"]["env"]["OWN_PRIVATE_API_CIDR"] is None
    assert list(written(node, ["kas"])["record_for"]) == ["kas"]
    off = {**CIDR, "kas_enabled": False}
    assert written(plan(kas1=off, kas2=off)["nodes"]["kas1"], ROLES)["record_for"] == {}


def test_all_hosts_share_what_is_made(plan):
    made = plan()
    first, second = (settings(made, host)["gitlab_kas"] for host in ("kas1", "kas2"))
    assert first["websocket_token_secret_key"] == second["websocket_token_secret_key"]
    assert first["websocket_token_secret_key"] != settings(plan())["gitlab_kas"]["websocket_token_secret_key"]


def test_an_absent_host_is_reverted(plan):
    made = plan(kas2={**CIDR, "kas_state": "absent"})
    assert made["nodes"]["kas2"]["state"] == "reverted"
    assert written(made["nodes"]["kas2"], ROLES) == {
        "state": "reverted",
        "settings": {},
        "remove": {},
        "record_for": {},
    }


def test_a_refusal_shows_no_secret_and_is_shown(plan):
    made = plan(kas1={**CIDR, "kas_redis": {"password": "hunter2", "host": "redis", "socket": "/r"}})
    assert refusals(made)
    assert "_ansible_no_log" not in made
    assert "hunter2" not in str(made)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("grpc://kas2.internal:8155", "grpc://kas2.internal:8155"),
        ("grpc://kas{{ number }}:8155", "grpc://kas2:8155"),
        ("grpc://{{ inventory_hostname }}:{{ hostvars.kas1.node_ip | length }}000", "grpc://kas2:8000"),
    ],
)
def test_a_host_outside_of_the_play(value, url, plan):
    kas2 = {"number": 2, "kas_own_private_api_url": value, "other": "{{ undefined }}"}
    made = plan(kas1={**CIDR, "node_ip": "10.0.0.1"}, kas2=kas2, batch=["kas1"])
    assert made["nodes"]["kas2"]["own_urls"] == [url]
    assert made["nodes"]["kas2"]["parts"] == {}


def test_a_host_outside_of_the_play_is_held_against_the_others(plan):
    made = plan(kas1={}, kas2={"kas_own_private_api_url": "grpc://kas2.internal:8155"}, batch=["kas1"])
    assert refusals(made) == [
        "kas1: kas_own_private_api_cidr is not set, and the host has several addresses (10.0.0.1, fd00::1), but its own"
        " URL takes one; set kas_own_private_api_cidr to a network that contains exactly one of them, or set"
        " kas_own_private_api_url."
    ]


def test_the_play_has_a_say(plan):
    """As with `import_playbook: kasops.gitlab_kas.deploy` and vars."""
    made = plan(kas1={}, kas2={}, play_vars=dict(CIDR))
    assert [node["own_urls"] for node in made["nodes"].values()] == [["grpc://10.0.0.1:8155"], ["grpc://10.0.0.2:8155"]]


@pytest.mark.parametrize(
    ("strategy", "is_refused"),
    [
        ("linear", False),
        ("ansible.builtin.debug", False),
        ("free", True),
        ("ansible.builtin.free", True),
        ("host_pinned", True),
    ],
)
def test_a_play_in_which_no_host_waits(strategy, is_refused, plan):
    sentence = (
        "In this play no host waits for the others (strategy free or host_pinned), but the plan needs all of"
        " them; set strategy: ansible.builtin.linear in the play."
    )
    assert plan(strategy=strategy).get("msg") == (sentence if is_refused else None)


# As ansible-core 2.16 and 2.18 say it, and as 2.19 and later do.
NO_FILE = (
    "The 'ansible.builtin.file' lookup had an issue accessing the file '/nowhere/redis'. file not found"
    if ansible_version < "2.19"
    else "The lookup plugin 'ansible.builtin.file' failed: Unable to access the file '/nowhere/redis': File not found"
)


@pytest.mark.parametrize("batch", [["kas1"], ["kas1", "kas2"]])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ lookup('ansible.builtin.file', '/nowhere/redis') }}", NO_FILE),
        ("{{ {'a': 1} | from_json }}", None),
        ("{{ 'hunter2' | b64decode }}", None),
    ],
)
def test_a_variable_that_cannot_be_evaluated(value, why, batch, plan):
    kas2 = {"kas_own_private_api_url": "grpc://kas2:8155", "kas_redis": {"password": value}}
    (refusal,) = refusals(plan(kas2=kas2, batch=batch))
    assert refusal.startswith(f"kas2: kas_redis cannot be evaluated ({why or 'its template fails with '}")
    assert refusal.endswith("); correct it, or what it is made from.")
    assert "hunter2" not in refusal


@pytest.mark.parametrize("answer", [True, "true", "maybe", "{{ nothing }}"])
def test_disable_plans_without_kas_whatever_kas_enabled_says(answer, plan):
    """Extra variables, as a survey's answers become, beat whatever a playbook sets."""
    given = {**CIDR, "kas_enabled": answer}
    made = plan(given, given, play_vars={"__kas_disable": True})
    for host in ("kas1", "kas2"):
        assert settings(made, host)["gitlab_kas"] == {"enable": False}
        assert settings(made, host)["gitlab_rails"] == {"gitlab_kas_enabled": False}


def test_a_variable_that_is_not_set_is_its_default_in_a_template(plan):
    given = {"kas_own_private_api_url": "grpc://{{ inventory_hostname }}.{{ kas_cookie_check }}:8155"}
    made = plan(kas1=given, kas2=given, batch=["kas1"])
    urls = [node["own_urls"] for node in made["nodes"].values()]
    assert urls == [["grpc://kas1.warn:8155"], ["grpc://kas2.warn:8155"]]


def test_a_variable_of_the_chart_is_none_of_a_deployment(plan):
    assert not plan(kas1={**CIDR, "kas_chart_namespace": "{{ nothing }}", "kas_chart_runs": "?"})["refusals"]


@pytest.mark.parametrize(
    ("value", "why"),
    [("{{ nothing }}", "'nothing' is undefined"), ("{{ hostvars.kas2.nothing }}", None), ("{{ groups['x'] }}", None)],
)
def test_a_text_that_cannot_be_evaluated(value, why, plan):
    (refusal,) = refusals(plan(kas1={**CIDR, "kas_user": value}))
    told = r"kas1: kas_user cannot be evaluated \((?:(?![:.] )[^()])*\); correct it, or what it is made from\."
    assert re.fullmatch(told, refusal), refusal
    assert why is None or f"({why})" in refusal


def test_variables_of_somebody_else(plan):
    """A variable that is not ours is never evaluated; one whose name is almost ours is warned of."""
    made = plan(kas1={**CIDR, "kas_own": "{{ nothing }}"})
    assert refusals(made) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("kas_redsi", "kas_redis"),
        ("kas_enable", "kas_enabled"),
        ("KAS_User", "kas_user"),
        ("kas_own_private_api_urls", "kas_own_private_api_url"),
        ("kas_redis_host", None),
        ("kas_backup_dir", None),
        ("mykas_enabled", None),
    ],
)
def test_a_misspelt_variable(name, near, plan, warned):
    made = plan(kas1={**CIDR, name: "x"})
    said = (
        f"{name} is not a variable of this collection, so it would do nothing; write {near}, or give a variable of your"
        " own another name."
    )
    assert refusals(made) == ([f"kas1: {said}"] if near else [])
    assert warned == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        pytest.param("kas_own_private_api_cidrs", "kas_own_private_api_cidr", id="that one is set, too"),
        pytest.param("kas_chart_namespaces", "kas_chart_namespace", id="of Kubernetes, which is not in this play"),
    ],
)
def test_what_may_be_a_misspelt_variable(name, near, plan, warned):
    made = plan(kas1={**CIDR, name: "x"})
    assert refusals(made) == []
    assert warned == [
        f"kas1: {name} is not a variable of this collection, so it does nothing; if you mean {near}, correct it."
    ]


@pytest.mark.parametrize(
    ("value", "is_used"),
    [
        ({"kas_env": {"HOME": "{{ kas_users[0] }}"}}, True),
        ({"other": ["{% if kas_users %}x{% endif %}"]}, True),
        ({"other": "{{ all_kas_users }} {{ kas_users_of }}"}, False),
    ],
)
def test_a_name_of_the_users_own_that_is_used(value, is_used, plan, warned):
    made = plan(kas1={**CIDR, "kas_users": ["git"], **value})
    assert bool(refusals(made)) is not is_used
    assert warned == []


@pytest.mark.parametrize(
    ("name", "hosts", "meant"),
    [
        ("gitlab-rails", ["kas2", "kas1"], "gitlab_rails"),
        ("gitlab_rail", ["kas2"], "gitlab_rails"),
        ("GitLabKAS", ["kas2"], "gitlab_kas"),
        ("gitlab_kas_2", ["kas1"], None),
        ("gitlab_kas2", ["kas1"], None),
        ("gitlab_kas_eu", ["kas2"], None),
        ("kas", ["kas2"], None),
    ],
)
def test_a_group_whose_name_is_almost_ours(name, hosts, meant, plan):
    """Not one whose hosts are in ours, too."""
    made = plan(groups={"gitlab_kas": ["kas1"], name: hosts}, batch=["kas1"])
    said = (
        f"kas1: the inventory has a group {name} with {', '.join(hosts)}, which is not {meant}, so it does nothing;"
        f" name it {meant}, or put its hosts into that one, too."
    )
    assert refusals(made) == ([said] if meant else [])


def test_what_a_node_says_of_its_gitlab_rb(plan, warned):
    """Its warnings are the plan's, and a change of what it includes makes a reconfigure pending."""
    found = info(1)
    found["kas"].update(warnings=["gitlab.rb is somebody else's."], included_files=["/a.rb", "/etc/gitlab/kas.rb"])
    made = plan(kas1={**CIDR, "kas_gitlab_rb_include": "/etc/gitlab/kas.rb"}, infos={"kas1": found})
    assert warned == ["kas1: gitlab.rb is somebody else's."]
    assert made["nodes"]["kas1"]["reconfigure"]["inputs"] == ["/etc/gitlab/kas.rb", "/a.rb"]
    assert made["nodes"]["kas2"]["reconfigure"]["inputs"] == []


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        ({"unreachable": True, "msg": "Task failed: No\nroute."}, "No route"),
        ({"unreachable": True, "msg": "No route"}, "No route"),
        ({}, "no answer"),
    ],
)
def test_a_host_that_does_not_answer(result, cause, plan):
    assert refusals(plan(infos={"kas2": result})) == [
        f"kas2: this host of group gitlab_kas and gitlab_rails does not answer ({cause}); correct its name or address"
        " in the inventory, or take it out of the group."
    ]


def test_a_host_on_which_nothing_runs(plan):
    result = {"failed": False, "msg": "Missing sudo password."}
    assert refusals(plan(infos={"kas2": result})) == [
        "kas2: kas_info did not run on this host (Missing sudo password); give the right password for become, with"
        " --ask-become-pass, or in AWX with the credential."
    ]


def test_wrong_values_and_unhealthy_nodes_are_refused_together(plan):
    wrong = {**CIDR, "kas_env": "- a\n- b", "kas_enabled": "maybe"}
    unhealthy = info(2, blocking_errors=["GitLab is not installed; install it."])
    assert refusals(plan(kas1=wrong, kas2=wrong, infos={"kas2": unhealthy})) == [
        "kas1, kas2: kas_enabled is 'maybe'; set true or false.",
        "kas1, kas2: kas_env is text; set a mapping whose names are text.",
        "kas2: GitLab is not installed; install it.",
    ]


def test_text_of_a_survey_may_be_yaml(plan):
    made = plan(kas1={**CIDR, "kas_env": "A: b\nC: d"})
    assert settings(made)["gitlab_kas"]["env"]["C"] == "d"


def test_a_query_selects_the_candidates(plan):
    query = {**CIDR, "kas_own_private_api_query": "[eth1.ipv4.address]"}
    facts = {"network_facts": {"ansible_eth1": {"ipv4": {"address": "10.9.0.1"}}}}
    made = plan(kas1=query, infos={"kas1": {**info(1), **facts}})
    assert made["nodes"]["kas1"]["own_urls"] == ["grpc://10.9.0.1:8155"]
    wrong = {**CIDR, "kas_own_private_api_query": "[eth1"}
    (refusal,) = refusals(plan(kas1=wrong, infos={"kas1": {**info(1), **facts}}))
    assert refusal.startswith("kas1: kas_own_private_api_query cannot be used: query '[eth1' is not a JMESPath")
    for failed, why in (({}, ""), ({"network_facts": {}, "network_facts_error": "No room left."}, " (No room left)")):
        assert refusals(plan(kas1=query, infos={"kas1": {**info(1), **failed}})) == [
            "kas1: kas_own_private_api_query is '[eth1.ipv4.address]', but the host's facts could not be gathered"
            f"{why}; make sure that ansible.builtin.setup works there, or leave the query out."
        ]


def test_hosts_of_the_play_in_no_group(plan):
    groups = {"gitlab_kas": ["kas1"], "gitlab_rails": ["kas1"]}
    assert refusals(plan(groups=groups)) == [
        "kas2: it is neither in group gitlab_kas nor in gitlab_rails; put it into one of them, or leave it out of the"
        " play."
    ]


def test_an_inventory_without_groups(plan):
    assert refusals(plan(groups={}))[0] == (
        "kas1, kas2: the inventory's group gitlab_kas has no host; put the nodes that run KAS into it."
    )


def test_the_report_so_far(plan, tmp_path):
    path = str(tmp_path / "report.json")
    made = plan(kas1={**CIDR, "kas_report_path": path}, batch=["kas1"])
    report = made["ansible_stats"]["data"]["gitlab_kas_report"]
    assert made["ansible_stats"]["per_host"] is False
    assert (report["result"], [node["name"] for node in report["nodes"]]) == ("planned", ["kas1"])
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert made["report_path"] == path
    assert SECRET not in json.dumps(report)


def test_a_report_that_cannot_be_written_is_refused(plan, tmp_path):
    made = plan(kas2={**CIDR, "kas_report_path": f"{tmp_path}/d/r"})
    assert made["refusals"] == [
        {
            "hosts": ("kas1", "kas2"),
            "text": f"kas_report_path is '{tmp_path}/d/r', but there is no directory {tmp_path}/d on the controller;"
            " make it, or set another path.",
            "is_unreachable": False,
            "fails": ("kas1", "kas2"),
        }
    ]
    assert "nodes" not in made
    report = made["ansible_stats"]["data"]["gitlab_kas_report"]
    assert (report["result"], report["failed"], report["nodes"]) == ("refused", ["kas1", "kas2"], [])


@pytest.mark.parametrize("prefix", ["awx", "tower"])
@pytest.mark.parametrize(("workflow", "is_slice"), [("KAS deploy", True), ("KAS roll-out", False), (None, False)])
def test_a_slice_of_awx(plan, prefix, workflow, is_slice):
    variables = {f"{prefix}_job_template_name": "KAS deploy", **CIDR}
    if workflow:
        variables[f"{prefix}_workflow_job_name"] = workflow
    refusals = plan(kas1=variables, kas2=variables)["refusals"]
    assert [each["text"][:47] for each in refusals] == ["this job is a slice of the job template 'KAS de"] * is_slice


UNSET = (
    "kas1, kas2: no variable of this collection is set on any host, so all have their defaults. If you have set some:"
    " Ansible reads group_vars and host_vars beside the inventory, and beside a playbook, but not beside one that only"
    " imports a playbook of this collection."
)


@pytest.mark.parametrize(
    ("variables", "warned"),
    [({}, [UNSET]), ({"kas_of_mine": 1}, [UNSET]), ({"kas_log_level": "{{ no }}"}, []), (CIDR, [])],
)
def test_variables_that_lie_where_nobody_reads_them(plan, monkeypatch, variables, warned):
    shown = []
    monkeypatch.setattr("ansible.utils.display.Display.warning", lambda _self, text, **_options: shown.append(text))
    plan(kas1=variables, kas2={})
    assert [text for text in shown if "no variable" in text] == warned
