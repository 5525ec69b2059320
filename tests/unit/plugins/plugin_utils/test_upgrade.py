# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before an upgrade: a deployment and a target in, lines out, each for the hosts that it concerns."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import make_plan
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import BROKEN
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._upgrade import upgrade

ROLES = ("kas", "kas_rails", "kas_secrets")
CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
SENTINELS = {"sentinels": [{"host": "s1"}], "sentinels_master_name": "gitlab-redis", "ssl": True}
URL = "https://gitlab.example.com"
NOTHING = "nothing is known to break or change on the way to kas_target_version"


def node(installed, settings=None, **variables):
    found = {"external_url": URL, **(settings or {})}
    return {"info": {"gitlab_version": installed, "settings": found}, **variables}


def by_hand(**settings):
    return {"gitlab_kas": settings}


@pytest.mark.parametrize(
    ("installed", "target", "settings", "variables", "expected"),
    [
        pytest.param("18.6.1", "18.6.2", {}, {}, None, id="nothing"),
        pytest.param("18.6.1-ee.0", "18.6.1", {}, {}, None, id="the target is installed"),
        pytest.param("18.6.1", "", {}, {}, [], id="no target"),
        pytest.param(
            "18.6.1",
            "18.2.0-ee.0",
            {},
            {},
            ["kas_target_version is '18.2.0-ee.0', which is older than GitLab 18.6.1 there; set a later release"],
            id="an older target",
        ),
        pytest.param(
            None,
            "18.2.0",
            {},
            {},
            ["the installed release of GitLab is not known, so nothing can be said about its upgrade"],
            id="an unknown release",
        ),
        pytest.param(
            "15.4.0",
            "15.11.0",
            {},
            {},
            [
                "what this collection knows of releases begins with GitLab 15.11; what older ones changed is not in"
                " this list"
            ],
            id="from before the table",
        ),
        pytest.param(
            "17.7.7",
            "18.0.1",
            {},
            {},
            [
                "do not stop at GitLab 17.8.0, whose KAS does not start with the package's defaults; take a later patch"
                " release",
                "do not stop at GitLab 17.9.0, whose KAS does not start with the package's defaults; take a later patch"
                " release",
                "from GitLab 17.9.0 on KAS has no OWN_PRIVATE_API_URL=grpc://localhost:8155 by default; it then"
                " publishes the address that it listens on",
                "do not stop at GitLab 18.0.0, whose KAS does not start, since the package itself gives it"
                " agent.gitops; take a later patch release",
            ],
            id="broken releases on the way, and the default URL",
        ),
        pytest.param(
            "17.9.1",
            "18.0.0",
            {},
            {},
            [
                "GitLab 18.0.0 would be refused: KAS of GitLab 18.0.0 does not start, since the package itself gives it"
                " agent.gitops; install 18.0.1 or later",
            ],
            id="a broken target",
        ),
        pytest.param(
            "16.11.0",
            "16.11.1",
            {},
            {},
            [
                "GitLab 16.11.1 would cause a warning: KAS of GitLab 16.11.1 answers calls of GitLab with"
                " GRPC::Unimplemented; install another patch release of 16.11"
            ],
            id="a target that is broken in part",
        ),
        pytest.param(
            "17.9.1",
            "18.1.0",
            by_hand(agent_gitops_poll_period=60),
            {"kas_enabled": False, "in": "k"},
            None,
            id="a node whose KAS is off",
        ),
        pytest.param(
            "17.11.0",
            "18.0.1",
            by_hand(agent_gitops_poll_period=60, agent_gitops_project_info_cache_ttl=60),
            {"kas_settings": {"agent_gitops_project_info_cache_ttl": 60}},
            [
                "do not stop at GitLab 18.0.0, whose KAS does not start, since the package itself gives it"
                " agent.gitops; take a later patch release",
                "gitlab_kas['agent_gitops_poll_period'] in gitlab.rb is ignored from GitLab 18.0.1 on; remove it there",
                "GitLab 18.0.1 would cause a warning: kas_settings.agent_gitops_project_info_cache_ttl is set, which"
                " GitLab 18.0.1 no longer knows and ignores; leave it out",
            ],
            id="keys that go",
        ),
        pytest.param(
            "18.3.9",
            "19.3.0",
            by_hand(redis_username="kas", redis_host="redis"),
            {"kas_settings": {"workspaces": {"enabled": True}}},
            [
                "kas_settings.workspaces is ignored up to now, and takes effect from GitLab 18.4.0 on; check that it"
                " is intended",
                "gitlab_kas['redis_username'] in gitlab.rb is ignored up to now, and takes effect from GitLab 19.3.0"
                " on; check that it is intended",
            ],
            id="keys that come",
        ),
        pytest.param(
            "16.2.0",
            "16.3.0",
            {},
            {},
            [
                "gitlab_kas['agent_configuration_poll_period'] is 300 by default from GitLab 16.3.0 on, not 20; set"
                " kas_settings.agent_configuration_poll_period to keep that",
                "gitlab_kas['agent_gitops_poll_period'] is 300 by default from GitLab 16.3.0 on, not 20; set"
                " kas_settings.agent_gitops_poll_period to keep that",
            ],
            id="defaults that change",
        ),
        pytest.param(
            "16.2.0",
            "16.4.0",
            by_hand(agent_configuration_poll_period=60),
            {"kas_settings": {"agent_gitops_poll_period": 20}},
            None,
            id="defaults that somebody has set",
        ),
        pytest.param(
            "17.8.7",
            "17.9.1",
            {},
            {"kas_own_private_api_discovery": "cidr", **CIDR},
            [
                "do not stop at GitLab 17.9.0, whose KAS does not start with the package's defaults; take a later patch"
                " release",
            ],
            id="the default URL is none to come",
        ),
        pytest.param(
            "17.8.7",
            "17.9.1",
            by_hand(env={"OWN_PRIVATE_API_URL": ""}),
            {"kas_own_private_api_discovery": "cidr", **CIDR},
            [
                "do not stop at GitLab 17.9.0, whose KAS does not start with the package's defaults; take a later patch"
                " release",
                "from GitLab 17.9.0 on KAS has no OWN_PRIVATE_API_URL=grpc://localhost:8155 by default; the next deploy"
                " takes the empty one out of gitlab.rb",
            ],
            id="the default URL, taken away",
        ),
        pytest.param(
            "17.8.7",
            "17.9.1",
            by_hand(env={"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}),
            {},
            [
                "do not stop at GitLab 17.9.0, whose KAS does not start with the package's defaults; take a later patch"
                " release",
            ],
            id="the default URL is not in use",
        ),
        pytest.param(
            "17.8.1",
            "17.9.1",
            by_hand(env={"OWN_PRIVATE_API_URL": ""}),
            {},
            [
                "do not stop at GitLab 17.9.0, whose KAS does not start with the package's defaults; take a later patch"
                " release"
            ],
            id="the default URL, taken away by somebody else",
        ),
        pytest.param(
            "18.1.0",
            "18.2.0",
            {},
            {},
            ["KAS has GODEBUG=tlsmlkem=0 in its environment from GitLab 18.2.0 on"],
            id="env",
        ),
        pytest.param(
            "18.1.0",
            "18.2.0",
            {},
            {"kas_env": {"GODEBUG": "http2debug=1"}},
            [
                "KAS has GODEBUG=tlsmlkem=0 in its environment from GitLab 18.2.0 on, but GODEBUG is set here and takes"
                " its place; check whether it must include that, too"
            ],
            id="env that is overridden",
        ),
        pytest.param(
            "18.2.0",
            "18.3.0",
            {},
            {},
            [
                "from GitLab 18.3.0 on the Kubernetes API proxy lets only known response headers through; set"
                " kas_extra_allowed_response_headers if users need others"
            ],
            id="response headers",
        ),
        pytest.param("18.2.0", "18.3.0", {}, {"kas_extra_config_command": "/bin/kas"}, None, id="headers by a command"),
        *(
            pytest.param(
                "17.11.0",
                "18.0.1",
                settings,
                variables,
                [
                    "do not stop at GitLab 18.0.0, whose KAS does not start, since the package itself gives it"
                    " agent.gitops; take a later patch release",
                    "KAS does not start with agent.gitops in its configuration from GitLab 18.0.0 on; make"
                    f" sure that {name} does not print it",
                ],
                id=name,
            )
            for name, settings, variables in (
                ("kas_extra_config_command", {}, {"kas_extra_config_command": "/bin/kas"}),
                ("gitlab_kas['extra_config_command'] in gitlab.rb", by_hand(extra_config_command="/bin/kas"), {}),
            )
        ),
        pytest.param(
            "17.11.0",
            "18.0.1",
            {"git_data_dirs": {"default": {"path": "/mnt/nas"}}},
            {},
            [
                "do not stop at GitLab 18.0.0, whose KAS does not start, since the package itself gives it"
                " agent.gitops; take a later patch release",
                "GitLab 18.0.1 would be refused: git_data_dirs is set in gitlab.rb, with which GitLab 18.0.1 refuses to"
                " reconfigure; set gitaly['configuration'] with its storage there instead",
            ],
            id="git_data_dirs",
        ),
        pytest.param(
            "18.6.1",
            "18.7.0",
            {},
            {"kas_certificate": "/kas.crt", "kas_key": "/kas.key"},
            [
                "GitLab 18.7.0 would cause a warning: kas_certificate is '/kas.crt', but kas_kubernetes_api_certificate"
                " is not set, and nginx of GitLab 18.7.0 most likely speaks TLS to both listeners then, and users of"
                " the Kubernetes API proxy get no answer through it; set both, or neither"
            ],
            id="nginx with TLS",
        ),
        pytest.param(
            "18.7.0",
            "18.8.0",
            {},
            {"kas_redis": SENTINELS},
            [
                "from GitLab 18.8.0 on TLS to the Sentinels has settings of its own; set kas_redis.sentinels_ssl and"
                " its files if the Sentinels take TLS"
            ],
            id="Sentinels with TLS",
        ),
        pytest.param(
            "19.1.0",
            "19.2.0",
            {"gitlab_kas_nginx": {"port": 81}},
            {},
            [
                "GitLab 19.2.0 would cause a warning: gitlab_kas_nginx is set in gitlab.rb, which is deprecated from"
                " GitLab 19.2.0 on, and still works; write gitlab_kas['nginx'] there instead, or set kas_settings.nginx"
            ],
            id="gitlab_kas_nginx",
        ),
        pytest.param(
            "19.2.0",
            "19.3.0",
            {"gitlab_rails": {"redis_username": "rails"}},
            {"kas_redis": {"password": "secret"}},
            [
                "gitlab_rails['redis_username'] in gitlab.rb is 'rails'; from GitLab 19.3.0 on KAS logs in to Redis as"
                " that user, too, and no longer as default; make sure that it may use the channel kas_events;"
                " kas_redis.password must then be that user's"
            ],
            id="the Redis user of Rails",
        ),
        pytest.param(
            "19.2.0",
            "19.3.0",
            {"gitlab_rails": {"redis_username": "rails"}},
            {"kas_redis": {"host": "redis"}},
            None,
            id="a Redis of its own",
        ),
        pytest.param(
            "19.3.0",
            "19.5.0",
            {},
            {},
            [
                "what this collection knows of releases ends with GitLab 19.3; of later ones it knows announcements"
                " only",
                "announced, but not known: from GitLab 19.5 on the URL of agents is grpcs://gitlab.example.com by"
                " default; behind a proxy that ends TLS and speaks HTTP/1.1, set kas_external_url to"
                " 'wss://gitlab.example.com/-/kubernetes-agent/'",
            ],
            id="the URL of agents",
        ),
        *(
            pytest.param(
                "19.4.0",
                "19.5.0",
                settings,
                variables,
                [
                    "what this collection knows of releases ends with GitLab 19.3; of later ones it knows announcements"
                    " only"
                ],
                id=name,
            )
            for name, settings, variables in (
                ("a URL of agents that is set", {}, {"kas_external_url": "wss://kas.gitlab.example.com/"}),
                ("a URL of agents in gitlab.rb", {"gitlab_kas_external_url": "wss://gitlab.example.com/x/"}, {}),
                ("a URL of agents for Rails", {"gitlab_rails": {"gitlab_kas_external_url": "wss://kas0/"}}, {}),
                ("no TLS", {"external_url": "http://gitlab.example.com"}, {}),
                ("a relative root", {"external_url": f"{URL}/gitlab"}, {}),
                ("a port of its own", {"external_url": f"{URL}:8443"}, {}),
                ("KAS apart", {}, {"in": "k"}),
            )
        ),
    ],
)
def test_one_node(installed, target, settings, variables, expected, hosts_of):
    hosts = hosts_of({"kas1": node(installed, settings, kas_target_version=target, **variables)})
    assert upgrade(hosts, ROLES) == [f"kas1: {line}." for line in ([NOTHING] if expected is None else expected)]


def test_several_nodes_share_what_concerns_them(hosts_of):
    rows = {
        "kas1": node("17.6.2"),
        "kas2": node("17.7.7-ee.0"),
        "kas3": {**node("17.8.1"), "in_play": False},
        "rails1": {"in": "r", **node("17.6.2")},
        "kas4": {"info": None, "in_play": False},
        "kas5": node("17.7.0", kas_state="absent"),
    }
    hosts = hosts_of(rows, **CIDR, kas_target_version="17.8.1", kas_internal_url="grpc://lb:8153")
    assert upgrade(hosts, ROLES) == [
        "kas4: the installed release of GitLab is not known, so nothing can be said about its upgrade.",
        "kas1: from GitLab 17.7.0 on KAS has the secret websocket_token_secret_key, and the package makes another one"
        " on every node; run deploy after the upgrade, so that all nodes share one.",
        "kas1, kas2: do not stop at GitLab 17.8.0, whose KAS does not start with the package's defaults; take a later"
        " patch release.",
    ]


def test_what_is_refused_now_already_is_not_said_again(hosts_of):
    hosts = hosts_of({"kas1": node("18.0.1-ee.0"), "kas2": node("18.0.1")}, kas_target_version="18.1.0")
    plan = make_plan(hosts)
    assert len(plan.refusals) == 2
    assert plan.upgrade == [f"kas1, kas2: {NOTHING}."]


def test_what_an_upgrade_cures_is_not_said(hosts_of):
    redis = {"host": "redis", "username": "kas", "password": "secret"}
    plan = make_plan(hosts_of({"kas1": node("19.2.0", kas_redis=redis, kas_target_version="19.3.0")}))
    assert len(plan.refusals) == 1
    assert plan.upgrade == [f"kas1: {NOTHING}."]


BEFORE = {
    "16.9.6": "16.9.5",
    "16.10.4": "16.10.3",
    "16.11.1": "16.11.0",
    "17.8.0": "17.7.9",
    "17.9.0": "17.8.9",
    "18.0.0": "17.11.9",
}


@pytest.mark.parametrize(("release", "broken"), BROKEN.items(), ids=map(str, BROKEN))
def test_a_broken_release_is_named_on_the_way_and_as_the_target(release, broken, hosts_of):
    for target, expected in (
        (release.next_patch, f"do not stop at GitLab {release}, whose KAS {broken.effect};"),
        (release, f"KAS of GitLab {release} "),
    ):
        rows = {"kas1": node(BEFORE[str(release)], kas_target_version=str(target))}
        assert expected in "\n".join(upgrade(hosts_of(rows), ROLES))
