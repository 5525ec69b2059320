# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who tries agents' way to KAS, and where; and what is said of it."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._outside import data, findings, jobs, lines, unknown

KAS, RAILS = {"in": "k"}, {"in": "r"}
CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
GITLAB = "https://gitlab.example.com"
AGENTS, PROXY = "wss://gitlab.example.com/-/kubernetes-agent/", f"{GITLAB}/-/kubernetes-agent/k8s-proxy/"


def of_file(**settings):
    """A host whose gitlab.rb says this."""
    return {"info": {"settings": {"external_url": GITLAB, **settings}}}


def read_by_running(*names):
    """A host whose gitlab.rb sets these to what cannot be read."""
    return {"info": {"unreadable": dict.fromkeys(names, "line 7")}}


RAILS_PROXY = "gitlab_kas_external_k8s_proxy_url"


@pytest.mark.parametrize(
    ("rows", "extra", "agents", "proxy"),
    [
        ({"kas1": {}}, {}, AGENTS, PROXY),
        ({"rails1": RAILS, "kas1": {**KAS, **of_file(external_url="https://kas.example.com")}}, {}, AGENTS, PROXY),
        (
            {"kas1": {}},
            {"kas_external_url": "wss://kas.gitlab.example.com/"},
            "wss://kas.gitlab.example.com/",
            "https://kas.gitlab.example.com/k8s-proxy/",
        ),
        (
            {"kas1": {}},
            {
                "kas_external_url": "grpcs://kas.gitlab.example.com:8443",
                "kas_k8s_proxy_url": "https://k8s.example.com/",
            },
            "grpcs://kas.gitlab.example.com:8443",
            "https://k8s.example.com/",
        ),
        (
            {"kas1": of_file(external_url="http://gitlab.example.com:8080/gitlab")},
            {},
            "ws://gitlab.example.com:8080/gitlab/-/kubernetes-agent/",
            "http://gitlab.example.com:8080/gitlab/-/kubernetes-agent/k8s-proxy/",
        ),
        # Set by hand, and left so.
        (
            {"kas1": of_file(gitlab_kas_external_url="wss://kas.gitlab.example.com/")},
            {},
            "wss://kas.gitlab.example.com/",
            "https://kas.gitlab.example.com/k8s-proxy/",
        ),
        (
            {"kas1": of_file(gitlab_rails={"gitlab_kas_external_url": "wss://lb/", RAILS_PROXY: "https://lb/k8s/"})},
            {},
            "wss://lb/",
            "https://lb/k8s/",
        ),
        # On a Rails node without KAS, what follows from the inventory replaces it.
        (
            {"rails1": {**RAILS, **of_file(gitlab_rails={"gitlab_kas_external_url": "wss://lb/"})}, "kas1": KAS},
            {},
            AGENTS,
            PROXY,
        ),
        ({"kas1": read_by_running(f"gitlab_rails['{RAILS_PROXY}']")}, {}, AGENTS, ""),
        ({"kas1": read_by_running("gitlab_kas_external_url"), "kas2": {}}, CIDR, AGENTS, PROXY),
    ],
)
def test_where_agents_connect(rows, extra, agents, proxy, hosts_of):
    """As Rails shows it; jobs() asks the first host that can tell."""
    (job,) = jobs(Deployment(hosts_of(rows, kas_verify_from="localhost", **extra)))
    assert (job["agents_url"], job["proxy_url"]) == (agents, proxy)


def test_jobs(hosts_of):
    rows = {
        "kas1": {**KAS, "in_play": False},
        "kas2": {**KAS, "kas_verify_from": "bastion\nlocalhost", "kas_verify_idle_s": "120"},
        "rails1": {**RAILS, "kas_verify_from": ["localhost", "kas1"]},
    }
    extra = {**CIDR, "kas_deployment": "production", "kas_internal_url": "grpc://lb:8153", "kas_verify_token": "secret"}
    made = jobs(Deployment(hosts_of(rows, **extra)))
    assert [job["from"] for job in made] == ["bastion", "localhost", "kas1"]
    assert made[0] == {
        "from": "bastion",
        "host": "kas2",
        "deployment": "production",
        "agents_url": AGENTS,
        "proxy_url": PROXY,
        "gitlab_url": GITLAB,
        "idle_s": 120,
        "timeout_s": 5,
        "min_valid_days": 30,
    }
    assert "secret" not in str(made)


@pytest.mark.parametrize(
    ("row", "extra"),
    [
        ({}, {}),
        ({"kas_enabled": False}, {"kas_verify_from": "localhost"}),
        ({"in_play": False}, {"kas_verify_from": "localhost"}),
        ({"kas_state": "absent"}, {"kas_verify_from": "localhost"}),
        ({"info": {"settings": {}}}, {"kas_verify_from": "localhost"}),
    ],
)
def test_nobody_asks(row, extra, hosts_of):
    """The last one is refused before."""
    assert jobs(Deployment(hosts_of({"kas1": row}, **extra))) == []


def test_unknown():
    made = [{"from": name} for name in ("localhost", "kas1", "nowhere", "nobody", "nowhere")]
    assert unknown(made[:2], ["kas1"]) == ""
    assert unknown(made, ["kas1"]) == (
        "kas_verify_from names 'nowhere', 'nobody', not found in the inventory; correct it, or name localhost for the"
        " controller."
    )


# What is said


OK = {"ok": True, "part": "", "text": "reachable", "remedy": "", "warnings": [], "told": {}}
WRONG = {"ok": False, "part": "proxy", "text": "it is shut", "remedy": "open it", "warnings": [], "told": {}}


def tried(vantage, *checks, host="kas1", **more):
    job = {"from": vantage, "host": host, "deployment": "production"}
    return {"item": job, **({"checks": list(checks)} if checks else {}), **more}


def check(name, **more):
    urls = {"agents": "wss://a/", "kubernetes_api": "https://a/k8s-proxy/", "gitlab": "https://a"}
    return {"check": name, "url": urls[name], **OK, **more}


UNREACHABLE = {"unreachable": True, "msg": "ssh: connect to host bastion port 22: Connection refused."}
RESULTS = [
    {"item": {}},  # nobody asked
    tried("localhost", check("agents"), check("kubernetes_api", **WRONG)),
    tried("bastion", check("agents", warnings=["the certificate ends."]), check("kubernetes_api", **WRONG)),
    tried("laptop", check("agents", told={"answer": "answer not known (gRPC status 12)"}), host="kas3"),
    tried("desk", check("agents"), check("gitlab", told={"gitlab": {"version": "19.3.0"}})),
    tried("far", error=UNREACHABLE),
    tried("old", error={"failed": True, "msg": "kas_agent_probe did not run on this host (why); do that."}),
]


def test_what_is_wrong():
    assert [(each.hosts, each.fails, each.text) for each in findings(RESULTS)] == [
        (
            ("localhost", "bastion"),
            ("kas1",),
            "the Kubernetes API proxy is not served at https://a/k8s-proxy/: it is shut; open it.",
        ),
        (
            ("far",),
            ("kas1",),
            "this host of kas_verify_from does not answer (ssh: connect to host bastion port 22: Connection refused);"
            " start its SSH server, or correct ansible_host and ansible_port.",
        ),
        (("old",), ("kas1",), "kas_agent_probe did not run on this host (why); do that."),
    ]


def test_what_works():
    assert lines(RESULTS) == [
        "localhost: agents get through to KAS at wss://a/.",
        "bastion: agents get through to KAS at wss://a/.",
        "bastion: the certificate ends.",
        "laptop: agents get through to KAS at wss://a/, answer not known (gRPC status 12).",
        "desk: agents get through to KAS at wss://a/; GitLab reaches KAS 19.3.0.",
    ]


def test_as_data():
    found = data(RESULTS)
    assert [(each["from"], each["check"], each["ok"]) for each in found] == [
        ("localhost", "agents", True),
        ("localhost", "kubernetes_api", False),
        ("bastion", "agents", True),
        ("bastion", "kubernetes_api", False),
        ("laptop", "agents", True),
        ("desk", "agents", True),
        ("desk", "gitlab", True),
        ("far", None, False),
        ("old", None, False),
    ]
    assert found[1] == {
        "from": "localhost",
        "deployment": "production",
        "check": "kubernetes_api",
        "url": "https://a/k8s-proxy/",
        "ok": False,
        "part": "proxy",
        "text": "it is shut",
        "warnings": [],
    }
