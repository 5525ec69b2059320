# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kas_node, kas_node_info and kas_report: what Ansible knows goes in, and what it shows comes out."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.kasops.gitlab_kas.plugins.action import kas_node, kas_node_info, kas_plan, kas_report

CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
HEALTHY = {
    "directories_on_record": ["/run/kas"],
    "blocking_errors": [],
    "problems": [],
    "gitlab_version": "19.3.0",
    "settings": {},
    "secrets": {},
    "secret_values": {},
    "enabled": True,
    "running": True,
    "ready": True,
    "readiness": "ok",
    "own_private_api_urls": [],
    "reconfigure_pending": None,
    "restart_pending": None,
}


@pytest.fixture
def displayed(monkeypatch):
    """The lines that are shown, and the warnings."""
    lines = []
    display = "ansible.utils.display.Display"
    monkeypatch.setattr(f"{display}.display", lambda _self, text, *_more, **_options: lines.append(text))
    monkeypatch.setattr(f"{display}.warning", lambda _self, text, **_options: lines.append(f"WARNING {text}"))
    return lines


@pytest.fixture
def planned(stage):
    """A stage on which the plan for these hosts is made."""

    def make(hosts, **more):
        on_stage = stage({name: {**CIDR, **variables} for name, variables in hosts.items()}, **more)
        for number, name in enumerate(hosts, 1):
            on_stage.register(name, __kas_info={"kas": {**HEALTHY, "addresses": [f"10.0.0.{number}"]}})
        plan = on_stage.run(kas_plan.ActionModule, next(iter(hosts)))
        assert plan["refusals"] == []
        for name in hosts:
            on_stage.register(name, __kas_plan=plan)
        return on_stage

    return make


WRITTEN = {"gitlab_rb": {"changed": True, "settings_changed": ["gitlab_kas['enable']"], "settings_left": []}}


def test_a_write(planned, displayed):
    on_stage = planned({"kas1": {}})
    result = on_stage.run(kas_node.ActionModule, "kas1", WRITTEN, step="write")
    assert (result["changed"], result["settings_changed"]) == (True, ["gitlab_kas['enable']"])
    assert [name for _host, name, _arguments in on_stage.modules] == ["gitlab_rb"]
    assert on_stage.modules[0][2]["settings"]["gitlab_kas"]["env"] == {"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}
    assert displayed == []


def test_whose_turn_it_is(planned, displayed):
    groups = {"gitlab_kas": ["kas1", "kas2"], "gitlab_rails": ["kas2"], "__kas_pending": ["kas2", "kas1"]}
    on_stage = planned({"kas1": {}, "kas2": {}}, groups=groups)
    displayed.clear()
    on_stage.register("kas2", __kas_dry_run={"pending": ["gitlab_kas['env']", "It has changed"]})
    on_stage.run(kas_node.ActionModule, "kas2", WRITTEN, step="write")
    assert displayed == ["kas2: node 2 of 2, 0 s after the plan; pending: gitlab_kas['env']; It has changed"]


def test_what_stays_is_said(planned, displayed):
    on_stage = planned({"kas1": {"kas_state": "absent"}, "kas2": {}})
    answers = {"gitlab_rb": {"changed": False, "settings_left": ["external_url"]}, "kas_certificate": {}}
    on_stage.run(kas_node.ActionModule, "kas1", answers, step="write")
    assert displayed == [
        "WARNING kas1: external_url in /etc/gitlab/gitlab.rb stays as it is, since it was changed by other means, or"
        " replaced a value that is kept nowhere."
    ]


def test_a_failure_has_the_words_of_the_module(planned):
    failure = {"failed": True, "msg": "gitlab.rb cannot be edited."}
    result = planned({"kas1": {}}).run(kas_node.ActionModule, "kas1", {"gitlab_rb": failure}, step="write")
    assert (result["failed"], result["msg"]) == (True, "kas1: gitlab.rb cannot be edited.")


@pytest.mark.parametrize("answer", [{"unreachable": True, "msg": "No route."}, AnsibleConnectionFailure("No route.")])
@pytest.mark.parametrize(
    ("step", "rescues", "expected"),
    [
        ("write", False, {"unreachable": True, "msg": "kas1: No route."}),
        ("write", True, {"failed": True, "is_lost": True, "msg": "kas1: No route."}),
        ("dry_run", True, {"failed": True, "is_lost": True, "msg": "kas1: No route."}),
        ("reach", True, {"error": {"unreachable": True, "msg": "No route."}}),
    ],
)
def test_a_node_that_does_not_answer(step, rescues, answer, expected, planned):
    def there(_arguments):
        if isinstance(answer, Exception):
            raise answer
        return answer

    on_stage = planned({"kas1": {}, "kas2": {}})
    on_stage.register("kas1", __kas_rescues=rescues)
    result = on_stage.run(kas_node.ActionModule, "kas1", {"gitlab_rb": there, "kas_probe": there}, step=step)
    assert result == expected


TURNS = {name: ["kas1", "kas2", "kas3"] for name in ("gitlab_kas", "gitlab_rails", "__kas_pending")}


@pytest.mark.parametrize(
    ("step", "is_said"), [("write", True), ("reconfigure", True), ("tidy", True), ("dry_run", False)]
)
def test_a_failed_turn_says_what_is_not_done(step, is_said, planned):
    """With a dry-run, no turn has begun."""
    on_stage = planned({name: {"kas_socket_dir": "/run/kas"} for name in ("kas1", "kas2", "kas3")}, groups=TURNS)
    on_stage.batch = ["kas2"]
    on_stage.register("kas2", __kas_dry_run={"pending": ["roles"]})
    silent = {"unreachable": True, "msg": "No route."}
    modules = ("gitlab_rb", "gitlab_reconfigure", "kas_socket_directory")
    answers = dict.fromkeys(modules, silent)
    lines = on_stage.run(kas_node.ActionModule, "kas2", answers, step=step)["msg"].splitlines()
    assert lines[0] == "kas2: No route."
    assert [line.partition(",")[0] for line in lines[1:]] == (["kas3: not changed yet"] if is_said else [])


def test_a_kas_that_does_not_get_ready_says_what_is_not_done(planned):
    on_stage = planned({"kas1": {}, "kas2": {}, "kas3": {}}, groups=TURNS)
    on_stage.batch = ["kas1"]
    answers = {"kas_info": {"failed": True, "msg": "It broke off."}}
    result = on_stage.run(kas_node_info.ActionModule, "kas1", answers, wait_until_ready=True)
    first, second = result["msg"].splitlines()
    assert first == "kas1: It broke off."
    assert second.startswith("kas2, kas3: not changed yet")


REFUSAL = {"hosts": ["kas1"], "text": "It is wrong.", "is_unreachable": False, "fails": ["kas1"]}


def test_what_is_refused_fails_its_host_and_nothing_runs_on_any(planned):
    on_stage = planned({"kas1": {}, "kas2": {}})
    results = []
    for name in ("kas1", "kas2"):
        on_stage.register(name, __kas_plan={"refusals": [REFUSAL]})
        results.append(on_stage.run(kas_node.ActionModule, name, {}, step="check"))
    assert [(each.get("failed"), each.get("msg")) for each in results] == [(True, "kas1: It is wrong."), (None, None)]
    assert on_stage.modules == []


def test_a_finding_fails_its_host(planned):
    on_stage = planned({"kas1": {}, "kas2": {}})
    results = []
    for name in ("kas1", "kas2"):
        on_stage.register(name, __kas_report={"findings": [REFUSAL]})
        results.append(on_stage.run(kas_node.ActionModule, name, {}, step="judge"))
    assert [(each.get("failed"), each.get("msg")) for each in results] == [(True, "kas1: It is wrong."), (None, None)]


def test_a_dry_run_says_what_is_pending(planned):
    on_stage = planned({"kas1": {}})
    result = on_stage.run(kas_node.ActionModule, "kas1", WRITTEN, check_mode=True, step="dry_run")
    assert result["pending"] == ["gitlab_kas['enable']"]


@pytest.mark.parametrize("place", ["files/kas.crt", "kas.crt"])
def test_a_file_beside_the_inventory(place, planned, tmp_path):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("PEM of kas", encoding="utf-8")
    pair = {"kas_certificate_src": "kas.crt", "kas_key": "/etc/kas.key"}
    on_stage = planned({"kas1": pair})
    found = {"pem": "P", "problems": [], "warnings": ["It is open."]}
    answers = {"kas_certificate_info": {"certificate": found}}
    result = on_stage.run(kas_node.ActionModule, "kas1", answers, step="check")
    assert result["certificates"][0]["certificate"] == found
    assert on_stage.modules[0][2]["certificate_content"] == "PEM of kas"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"kas_certificate_src": "kas.crt", "kas_key": "/etc/kas.key"},
            "kas_certificate_src is 'kas.crt', but there is no such file on the controller in"
            " {path}/files, {path}; put it there, or set an absolute path.",
        ),
        (
            {"kas_certificate": "/etc/kas.crt", "kas_key_src": "/no/kas.key"},
            "kas_key_src is '/no/kas.key', but there is no such file on the controller; correct the path.",
        ),
        (
            {"kas_ca_certificates": [{"name": "ca", "src": "/no/ca.crt"}]},
            "kas_ca_certificates[0].src is '/no/ca.crt', but there is no such file on the controller; correct the"
            " path.",
        ),
    ],
)
def test_a_file_that_is_nowhere(variables, expected, planned, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    on_stage = planned({"kas1": variables})
    checked = on_stage.run(kas_node.ActionModule, "kas1", {}, step="check")
    assert "failed" not in checked
    on_stage.register("kas1", __kas_certificates=checked)
    result = on_stage.run(kas_node.ActionModule, "kas1", {}, step="dry_run")
    assert (result["failed"], result["msg"]) == (True, f"kas1: {expected.format(path=tmp_path)}")
    assert on_stage.modules == []


def test_bad_certificates_are_refused(planned, displayed):
    on_stage = planned({"kas1": {"kas_internal_api_certificate": "/k.crt", "kas_internal_api_key": "/k.key"}})
    displayed.clear()
    found = {"pem": "P", "problems": ["It has expired.", "It has expired."], "warnings": ["It is open."]}
    answers = {"kas_certificate_info": {"certificate": found}}
    checked = on_stage.run(kas_node.ActionModule, "kas1", answers, step="check")
    assert "failed" not in checked
    assert displayed == ["WARNING kas1: It is open."]
    on_stage.register("kas1", __kas_certificates=checked)
    result = on_stage.run(kas_node.ActionModule, "kas1", {}, step="dry_run")
    assert (result["failed"], result["msg"]) == (True, "kas1: It has expired.")


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_kas_that_does_not_get_ready(check_mode, planned):
    on_stage = planned({"kas1": {"kas_ready_timeout_s": 7}})
    answers = {"kas_info": {"kas": {**HEALTHY, "ready": False, "readiness": "redis: refused"}}}
    result = on_stage.run(kas_node_info.ActionModule, "kas1", answers, check_mode=check_mode, wait_until_ready=True)
    assert on_stage.modules[0][2]["wait_s"] == (0 if check_mode else 7)
    assert result.get("msg") == (
        None
        if check_mode
        else "kas1: KAS is not ready after 7 s (redis: refused); read /var/log/gitlab/gitlab-kas/current there."
    )


UNDO = "cp /var/lib/kasops.gitlab_kas/previous/g /etc/gitlab/gitlab.rb && gitlab-ctl reconfigure"
CHANGED = {"undo": UNDO, "files": [], "was_ready": True}
BROKEN = {"gitlab_reconfigure": {"failed": True, "msg": "It failed."}}


@pytest.mark.parametrize(
    ("rolls_back", "has_rescue", "written", "expected"),
    [
        (False, True, CHANGED, f"\nkas1: the settings from before are kept; to go back to them, run there: {UNDO}"),
        (False, True, {**CHANGED, "undo": ""}, ""),
        (True, True, CHANGED, ""),  # the rescue does it
        (True, False, CHANGED, f"\nkas1: the settings from before are kept; to go back to them, run there: {UNDO}"),
    ],
)
def test_the_way_back_is_said(rolls_back, has_rescue, written, expected, planned):
    """Of a reconfigure that fails, and of a KAS that does not get ready."""
    on_stage = planned({"kas1": {"kas_rollback": rolls_back}}, play_vars={"__kas_rescues": has_rescue})
    on_stage.register("kas1", __kas_written=written)
    result = on_stage.run(kas_node.ActionModule, "kas1", BROKEN, step="reconfigure")
    assert result["msg"] == f"kas1: It failed.{expected}"
    answers = {"kas_info": {"kas": {**HEALTHY, "ready": False, "readiness": "down"}}}
    result = on_stage.run(kas_node_info.ActionModule, "kas1", answers, wait_until_ready=True)
    assert result["msg"].partition("current there.")[2] == expected


@pytest.mark.parametrize(
    ("kept", "variables", "ran"),
    [
        ({"__kas_reconfigured": {"failed": True}}, {}, True),
        ({"__kas_info": {"failed": True, "kas": HEALTHY}}, {}, True),
        ({"__kas_reconfigured": {"failed": True}}, {"kas_rollback": False}, False),
        ({"__kas_reconfigured": {"failed": True, "is_lost": True}}, {}, False),
        ({"__kas_reconfigured": {"failed": True}, "__kas_written": {"undo": ""}}, {}, False),
        ({"__kas_reconfigured": {"changed": True}}, {}, False),  # what failed is the step tidy
        ({"__kas_written": {"failed": True}}, {}, False),
    ],
)
def test_a_rollback(kept, variables, ran, planned):
    on_stage = planned({"kas1": {"kas_rollback": True, **variables}}, play_vars={"__kas_rescues": True})
    on_stage.register("kas1", **{"__kas_written": CHANGED, **kept})
    answers = {"gitlab_rb_restore": {"changed": True}, "gitlab_reconfigure": {}, "kas_info": {"kas": HEALTHY}}
    result = on_stage.run(kas_node.ActionModule, "kas1", answers, step="rollback")
    assert [name for _host, name, _arguments in on_stage.modules] == (list(answers) if ran else [])
    assert result.get("said") == (
        "/etc/gitlab/gitlab.rb was put back and GitLab reconfigured with it; KAS is ready again, with its old settings."
        if ran
        else None
    )


def test_a_rollback_that_fails(planned):
    on_stage = planned({"kas1": {"kas_rollback": True}}, play_vars={"__kas_rescues": True})
    on_stage.register("kas1", __kas_written=CHANGED, __kas_reconfigured={"failed": True})
    result = on_stage.run(kas_node.ActionModule, "kas1", {"gitlab_rb_restore": {}, **BROKEN}, step="rollback")
    assert not result.get("failed")  # the report says it, with what has failed before
    assert result["said"] == f"the settings from before could not be put back (It failed); run there: {UNDO}"


def test_facts_for_a_query(stage):
    on_stage = stage({"kas1": {"kas_own_private_api_query": "[eth1.ipv4.address]"}})
    answers = {"kas_info": {"kas": HEALTHY}, "setup": {"ansible_facts": {"ansible_eth1": {}}}}
    result = on_stage.run(kas_node_info.ActionModule, "kas1", answers, secret_values=True)
    assert result["network_facts"] == {"ansible_eth1": {}}
    assert on_stage.modules[0][2]["secret_values"] is True
    assert "ansible_facts" not in result  # they would reach a fact cache


def test_the_report(planned, displayed):
    on_stage = planned({"kas1": {}, "kas2": {}})
    secrets = {
        name: {"fingerprint": "aa"}
        for name in ("api_secret_key", "private_api_secret_key", "websocket_token_secret_key")
    }
    reached = {"url": "grpc://10.0.0.2:8155", "reachable": True, "answered": True, "text": "reachable", "remedy": ""}
    refused = {"url": "grpc://10.0.0.1:8155", "reachable": False, "answered": False, "text": "connection refused"}
    refused["remedy"] = "start it"
    for number, (name, peer) in enumerate({"kas1": reached, "kas2": refused}.items(), 1):
        on_stage.register(
            name,
            __kas_info={
                "kas": {**HEALTHY, "secrets": secrets, "own_private_api_urls": [f"grpc://10.0.0.{number}:8155"]}
            },
            __kas_reached={"probe": {"peers": [peer]}, "rails_probe": None},
        )
    result = on_stage.run(kas_report.ActionModule, "kas1")
    assert result["findings"] == [
        {
            "hosts": ("kas2",),
            "text": "KAS does not reach kas1 at grpc://10.0.0.1:8155 (connection refused); start it.",
            "is_unreachable": False,
            "fails": ("kas2",),
        }
    ]
    assert displayed == [
        "node  release  own URL               ready  reaches  Rails reaches  secrets  changed  seconds",
        "kas1  19.3.0   grpc://10.0.0.1:8155  yes    kas2     -              proved   -        -",
        "kas2  19.3.0   grpc://10.0.0.2:8155  yes    -        -              same     -        -",
    ]
    report = result["ansible_stats"]["data"]["gitlab_kas_report"]
    assert (report["result"], report["failed"]) == ("problems", ["kas2"])
    assert [node["reached"] for node in report["nodes"]] == [1, 0]
    assert result["ansible_stats"]["per_host"] is False
    assert on_stage.run(kas_report.ActionModule, "kas1", check_mode=True)["findings"] == []


WORKS = {"check": "agents", "url": "wss://gitlab/", "ok": True, "part": "", "text": "reachable", "remedy": ""}
FAILS = {**WORKS, "check": "kubernetes_api", "url": "https://gitlab/k8s-proxy/", "ok": False, "part": "path"}
FAILS |= {"text": "the path does not lead to KAS", "remedy": "pass it on"}
MORE = {"warnings": [], "told": {}}


def test_agents_way_is_tried(planned, displayed, tmp_path):
    """With the deployment's CAs and the token, which is no part of the plan; and told with all else."""
    certificate = tmp_path / "ca.crt"
    certificate.write_text("PEM")
    variables = {
        "kas_external_url": "wss://kas.gitlab.example.com/",
        "kas_gitlab_address": "https://gitlab.example.com",
        "kas_verify_from": "localhost",
        "kas_verify_idle_s": "90",
        "kas_verify_token": "glpat-of-a-test",
        "kas_ca_certificates": [{"name": "ours", "src": str(certificate)}],
    }
    on_stage = planned({"kas1": variables})
    plan = on_stage.run(kas_plan.ActionModule, "kas1")
    assert "glpat-of-a-test" not in str(plan)
    (job,) = plan["outside"]
    answers = {"kas_agent_probe": {"changed": False, "checks": [{**WORKS, **MORE}, {**FAILS, **MORE}]}}
    done = on_stage.run(kas_node.ActionModule, "kas1", answers, step="outside", job=job)
    assert on_stage.modules[-1] == (
        "kas1",
        "kas_agent_probe",
        {
            "agents_url": "wss://kas.gitlab.example.com/",
            "proxy_url": "https://kas.gitlab.example.com/k8s-proxy/",
            "ca": ["PEM"],
            "idle_s": 90,
            "timeout_s": 5,
            "min_valid_days": 30,
            "gitlab_url": "https://gitlab.example.com",
            "token": "glpat-of-a-test",
        },
    )
    on_stage.register("kas1", __kas_tried={"results": [{**done, "item": job}]}, __kas_reached={})
    result = on_stage.run(kas_report.ActionModule, "kas1")
    (finding,) = (each for each in result["findings"] if each["hosts"] == ("localhost",))
    assert finding["fails"] == ("kas1",)
    assert finding["text"] == (
        "the Kubernetes API proxy is not served at https://gitlab/k8s-proxy/: the path does not lead to KAS; pass it"
        " on."
    )
    assert displayed[-1] == "localhost: agents get through to KAS at wss://gitlab/."
    report = result["ansible_stats"]["data"]["gitlab_kas_report"]
    assert [(each["check"], each["part"]) for each in report["outside"]] == [("agents", ""), ("kubernetes_api", "path")]


@pytest.mark.parametrize(("job", "check_mode"), [({}, False), ({"from": "localhost"}, True)])
def test_agents_way_is_not_tried(planned, job, check_mode):
    """Where nobody asked for it, and where nothing has changed yet."""
    on_stage = planned({"kas1": {}})
    before = len(on_stage.modules)
    result = on_stage.run(kas_node.ActionModule, "kas1", check_mode=check_mode, step="outside", job=job)
    assert (result.get("failed"), "checks" in result, len(on_stage.modules)) == (None, False, before)


def test_agents_way_from_a_host_that_is_nowhere(stage):
    on_stage = stage({"kas1": {"kas_verify_from": "localhost,kas1,bastion"}})
    info = {**HEALTHY, "addresses": ["10.0.0.1"], "settings": {"external_url": "https://gitlab.example.com"}}
    on_stage.register("kas1", __kas_info={"kas": info})
    (refusal,) = on_stage.run(kas_plan.ActionModule, "kas1")["refusals"]
    assert (refusal["hosts"], refusal["text"]) == (
        ("kas1",),
        "kas_verify_from names 'bastion', not found in the inventory; correct it, or name localhost for the"
        " controller.",
    )


def test_the_report_of_a_failed_turn(planned, displayed):
    """Of all nodes of the play, though the batch is one; nothing is judged before the calls."""
    on_stage = planned({"kas1": {}, "kas2": {}, "kas3": {}})
    on_stage.batch = ["kas2"]
    on_stage.register("kas1", __kas_written={"changed": True, "settings_changed": ["roles"]}, __kas_reconfigured={})
    on_stage.register("kas2", __kas_written={"failed": True, "msg": "kas2: It is broken.\nkas3: not changed yet."})
    on_stage.register("kas3", __kas_dry_run={"pending": ["roles"]})
    result = on_stage.run(kas_report.ActionModule, "kas2")
    assert [(each["hosts"], each["fails"]) for each in result["findings"]] == [(("kas2",), ("kas2",))]
    assert [line.split()[-2] for line in displayed[1:]] == ["gitlab.rb", "failed", "pending"]
    assert result["ansible_stats"]["data"]["gitlab_kas_report"]["result"] == "failed"


def test_a_report_that_cannot_be_written_any_more(planned, tmp_path, displayed):
    (tmp_path / "d").mkdir()
    on_stage = planned({"kas1": {"kas_report_path": str(tmp_path / "d" / "r")}})
    (tmp_path / "d" / "r").unlink()
    (tmp_path / "d").rmdir()
    result = on_stage.run(kas_report.ActionModule, "kas1")
    assert result["failed"] is True
    assert result["msg"].endswith("make it, or set another path.")
    assert result["ansible_stats"]["data"]["gitlab_kas_report"]["result"] == "unverified"


@pytest.mark.parametrize(("plugin", "named"), [(kas_node.ActionModule, "kas1: "), (kas_report.ActionModule, "")])
def test_nothing_without_a_plan(stage, plugin, named):
    """--skip-tags always leaves it out."""
    arguments = {"step": "write"} if named else {}
    result = stage({"kas1": {}}).run(plugin, "kas1", **arguments)
    assert result["failed"] is True
    assert result["msg"] == (
        f"{named}There is no plan, and nothing is done without; leave out --skip-tags always, and plan before anything"
        " else."
    )
