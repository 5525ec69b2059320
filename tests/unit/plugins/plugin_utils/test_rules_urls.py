# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about URLs, own ones and those for agents and Rails, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import urls
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    CIDR,
    KAS,
    RAILS,
    SENTINELS,
    TWO,
    alone,
    check,
    rows,
    unreadable,
)

IGNORED = {"kas_cookie_check": "ignore"}
ADDRESSES = "127.0.0.1, 10.0.0.1, ::1, fd00::1, fe80::1"

TABLES = {
    urls.own_url: [
        alone(
            {"kas_own_private_api_url": "grpc://kas1:8155", **CIDR},
            "kas_own_private_api_url is 'grpc://kas1:8155', and kas_own_private_api_cidr is '10.0.0.0/8'; set only"
            " one of them",
        ),
        alone(
            {"kas_own_private_api_url": "grpc://kas1:8155", "kas_own_private_api_discovery": "cidr"},
            "kas_own_private_api_discovery is 'cidr', and kas_own_private_api_url is 'grpc://kas1:8155'; set only one"
            " of them",
        ),
        alone(
            {"kas_own_private_api_discovery": "cidr"},
            "kas_own_private_api_discovery is 'cidr', and kas_own_private_api_cidr is not set; set it",
        ),
        alone(
            {"kas_own_private_api_discovery": "listener", **CIDR},
            "kas_own_private_api_discovery is 'listener', and kas_own_private_api_cidr is '10.0.0.0/8'; set discovery"
            " to 'url' or 'cidr', or leave the CIDR out",
        ),
        alone(
            {"kas_own_private_api_url": "grpc://kas1/"},
            "kas_own_private_api_url is 'grpc://kas1/', which has no port; set it with one, such as 'grpc://kas1:8155'",
        ),
        alone(
            {**CIDR, "kas_own_private_api_discovery": "cidr", "kas_own_private_api_query": "[eth1.ipv4.address]"},
            "kas_own_private_api_discovery is 'cidr', and kas_own_private_api_query is '[eth1.ipv4.address]', which"
            " KAS does not use; set discovery to 'url', or leave the query out",
        ),
        (
            {"kas1": {}},
            {"kas_own_private_api_cidr": "192.0.2.0/24"},
            [
                f"kas1: kas_own_private_api_cidr is '192.0.2.0/24', but none of the host's addresses ({ADDRESSES})"
                " lies in 192.0.2.0/24; set kas_own_private_api_cidr to a network that contains one of them, or set"
                " kas_own_private_api_url."
            ],
        ),
        alone(
            {"kas_own_private_api_cidr": "10.0.0.0/8,fd00::/8"},
            "kas_own_private_api_cidr is '10.0.0.0/8,fd00::/8', but several of the host's addresses lie in"
            " 10.0.0.0/8, fd00::/8 (10.0.0.1, fd00::1), but one URL takes one; set kas_own_private_api_cidr to a"
            " network that contains exactly one of them, or set kas_own_private_api_url",
        ),
        alone(
            {"kas_own_private_api_cidr": "10.0.0.0"},
            "kas_own_private_api_cidr is '10.0.0.0', but '10.0.0.0' in cidr is not a network; give an address and a"
            " prefix length, such as 10.0.0.0/8 or fd00::/8",
        ),
        (
            {"kas1": {}, "kas2": {"info": {"addresses": ["::1", "10.0.0.2"]}}},
            {},
            [
                "kas1: kas_own_private_api_cidr is not set, and the host has several addresses (10.0.0.1, fd00::1),"
                " but its own URL takes one; set kas_own_private_api_cidr to a network that contains exactly one of"
                " them, or set kas_own_private_api_url."
            ],
        ),
        (
            {"kas1": {"candidates": []}, "kas2": {"kas_own_private_api_url": "grpc://kas2:8155"}},
            {},
            [
                "kas1: kas_own_private_api_cidr is not set, but a listener on tcp :8155 leaves KAS nothing to publish"
                " of the host's addresses (none known), loopback and link-local ones not counted; set"
                " kas_own_private_api_cidr or kas_own_private_api_url."
            ],
        ),
    ],
    urls.same_url: [
        (
            TWO,
            {"kas_own_private_api_url": "grpc://kas.internal:8155"},
            [
                "kas2: kas_own_private_api_url is 'grpc://kas.internal:8155', which makes its own private API URL"
                " grpc://kas.internal:8155, but kas1 has the same; set another one for each node."
            ],
        ),
    ],
    urls.listen_websocket: [
        *(
            (
                {"kas1": {}},
                {"kas_external_url": url, "kas_listen_websocket": False},
                [f"kas1: {sentence}." for sentence in sentences],
            )
            for url, *sentences in (
                ("",),
                ("grpcs://gitlab.example.com",),
                (
                    "wss://kas.gitlab.example.com",
                    "kas_listen_websocket is false, but kas_external_url is 'wss://kas.gitlab.example.com', and on a"
                    " name of its own reconfigure takes no KAS without WebSockets; leave kas_listen_websocket out",
                ),
            )
        ),
    ],
    urls.slash: [
        alone(
            {"kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent"},
            "kas_external_url is 'wss://gitlab.example.com/-/kubernetes-agent', and GitLab would redirect it to its"
            " path with a slash; set 'wss://gitlab.example.com/-/kubernetes-agent/'",
        ),
        alone({"kas_external_url": "wss://kas.gitlab.example.com"}),
        (
            {"kas1": KAS, "rails1": RAILS},
            {**CIDR, "kas_k8s_proxy_url": "https://gitlab.example.com/-/kubernetes-agent/k8s-proxy"},
            [
                f"{host}: kas_k8s_proxy_url is 'https://gitlab.example.com/-/kubernetes-agent/k8s-proxy', and GitLab"
                " would redirect it to its path with a slash; set"
                " 'https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/'."
                for host in ("kas1", "rails1")
            ],
        ),
    ],
    urls.agents_path: [
        *(
            (
                {"kas1": {"info": {"settings": {"external_url": f"https://gitlab.example.com{path}"}}}},
                {"kas_external_url": url, **more},
                [
                    f"kas1: kas_external_url is '{url}', but on the host of external_url"
                    f" 'https://gitlab.example.com{path}' nginx passes only {path}/-/kubernetes-agent/ to KAS; set"
                    f" 'wss://gitlab.example.com{path}/-/kubernetes-agent/'."
                ]
                if is_refused
                else [],
            )
            for path, url, more, is_refused in (
                ("", "wss://gitlab.example.com/", {}, True),
                ("", "wss://gitlab.example.com", {"kas_listen_address": "127.0.0.1:8150"}, True),
                ("", "wss://gitlab.example.com/", {"kas_listen_address": "0.0.0.0:8150"}, False),
                ("", "wss://gitlab.example.com/", {"kas_listen_address": "10.0.0.1:8150"}, False),
                ("", "grpcs://gitlab.example.com/", {}, False),
                ("/gitlab", "wss://gitlab.example.com/-/kubernetes-agent/", {}, True),
                ("/gitlab", "wss://gitlab.example.com/gitlab/-/kubernetes-agent/", {}, False),
            )
        ),
        (
            {"kas1": {"in": "k", "info": {"settings": {}}, "kas_standalone": True}, "rails1": RAILS},
            {
                "kas_redis": {"host": "redis"},
                "kas_external_url": "wss://kas.gitlab.example.com/",
                "kas_own_private_api_cidr": "10.0.0.0/8",
            },
            [
                "kas1: kas_external_url is 'wss://kas.gitlab.example.com/', but on the host of external_url"
                " 'https://kas.gitlab.example.com' nginx passes only /-/kubernetes-agent/ to KAS; set"
                " 'wss://kas.gitlab.example.com/-/kubernetes-agent/'."
            ],
        ),
    ],
    urls.api_of_gitlab: [
        (
            {"kas1": {**KAS, "kas_standalone": True, "kas_redis": SENTINELS}},
            CIDR,
            [
                "kas1: kas_standalone is true, but kas_gitlab_address is not set, and no host of group gitlab_rails"
                " has an external_url to derive it from; set where KAS reaches GitLab, such as"
                " https://gitlab.example.com."
            ],
        ),
        (
            {"kas1": {**KAS, "kas_standalone": True}, "rails1": unreadable(**RAILS)},
            {**CIDR, "kas_redis": {"host": "redis"}, "kas_external_url": "wss://kas.example.com/-/kubernetes-agent/"},
            [
                "kas1: kas_gitlab_address is not set, and on rails1 external_url (line 3) is computed and cannot be"
                " read without running it; set where KAS reaches GitLab, such as https://gitlab.example.com."
            ],
        ),
        (
            {"kas1": KAS, "rails1": unreadable(**RAILS)},
            {**CIDR, "kas_external_url": "wss://kas.example.com/"},
            [
                "kas1: kas_gitlab_address is not set, and on rails1 external_url (line 3) is computed and cannot be"
                " read without running it; set where KAS reaches GitLab, such as https://gitlab.example.com."
            ],
        ),
        ({"kas1": unreadable(**KAS), "rails1": unreadable(**RAILS)}, {**CIDR, "kas_external_url": "wss://kas/"}, []),
        *(
            (
                {"kas1": {**KAS, "info": info}, "rails1": unreadable(**RAILS)},
                {**CIDR, "kas_external_url": "wss://k/"},
                [],
            )
            for info in (
                {"settings": {"gitlab_kas": {"gitlab_address": "https://gitlab.internal"}}},
                {"settings": {}, "unreadable": {"gitlab_kas['gitlab_address']": "line 5"}},
            )
        ),
    ],
    urls.agents_url_for_rails: [
        (
            {"rails1": {**RAILS, "info": {"settings": {}}}, "kas1": KAS},
            CIDR,
            [
                "rails1: kas_external_url is not set, KAS runs on other nodes, and gitlab.rb has no external_url to"
                " derive it from; set where agents connect, such as wss://kas.gitlab.example.com/."
            ],
        ),
        (
            {"rails1": unreadable(**RAILS), "kas1": KAS},
            {**CIDR, "kas_gitlab_address": "https://gitlab.example.com"},
            [
                "rails1: kas_external_url is not set, KAS runs on other nodes, and external_url (line 3) is computed"
                " and cannot be read without running it; set where agents connect, such as"
                " wss://kas.gitlab.example.com/."
            ],
        ),
        *(
            (
                {"rails1": {**RAILS, "info": {"settings": {"external_url": url}}}, "kas1": KAS},
                {**CIDR, "kas_gitlab_address": "https://gitlab.example.com"},
                [
                    "rails1: kas_external_url is not set, KAS runs on other nodes, and external_url in gitlab.rb is"
                    f" {shown}, which is no HTTP URL; set where agents connect, such as wss://kas.gitlab.example.com/."
                ],
            )
            for url, shown in (
                ("https://[x", "'https://[x'"),
                ("https://gitlab.example.com:x", "'https://gitlab.example.com:x'"),
                ("https://gitlab.example.com:99999", "'https://gitlab.example.com:99999'"),
                ("https://git lab", "'https://git lab'"),
                ("gitlab.example.com", "'gitlab.example.com'"),
                ("https://me:secret@gitlab.example.com", "'https://***@gitlab.example.com'"),
                ("https://\u2100.example.com", "'https://\u2100.example.com'"),
                (42, "42"),
                (["a"], "a list"),
            )
        ),
        (
            {"rails1": {**RAILS, "info": {"settings": {}, "unreadable": {"*": "line 9"}}}, "kas1": KAS},
            {**CIDR, "kas_gitlab_address": "https://gitlab.example.com"},
            [
                "rails1: kas_external_url is not set, KAS runs on other nodes, and external_url may be set by line 9,"
                " which cannot be read without running it; set where agents connect, such as"
                " wss://kas.gitlab.example.com/."
            ],
        ),
        ({"rails1": RAILS, "kas1": {**KAS, "kas_enabled": False}}, {}, []),
    ],
    urls.internal_url_of_several: [
        (
            {"rails1": RAILS, "kas1": KAS, "kas2": KAS},
            CIDR,
            [
                "rails1: kas_internal_url is not set, and KAS runs on several nodes (kas1, kas2); set where Rails"
                " reaches KAS, such as grpc://kas.internal.example.com:8153."
            ],
        ),
    ],
    urls.internal_url_of_one: [
        (
            {"rails1": RAILS, "kas1": KAS},
            {},
            [
                "rails1: kas_internal_url is not set, and KAS runs on a node whose address for others is not known"
                " (kas1); set where Rails reaches KAS, such as grpc://kas.internal.example.com:8153."
            ],
        ),
        ({"rails1": {**RAILS, "in_play": False}, "kas1": KAS}, {}, []),
    ],
    urls.from_outside: [
        alone({"kas_verify_from": "localhost"}),
        alone(
            {"kas_verify_from": "localhost"},
            "kas_verify_from is set, but nothing tells where agents connect (on kas1 gitlab.rb has no external_url to"
            " derive it from); set kas_external_url",
            settings={},
        ),
        alone({"kas_verify_from": "localhost", "kas_external_url": "wss://kas.example.com/", **IGNORED}, settings={}),
        (
            {"kas1": {}, "kas2": {"in_play": False}},
            {**CIDR, "kas_verify_from": "localhost", "kas_external_url": "", "kas_write_defaults": False},
            [],
        ),
        (
            {"kas1": unreadable(), "kas2": unreadable(in_play=False)},
            {**CIDR, "kas_verify_from": "bastion"},
            [
                "kas1: kas_verify_from is set, but nothing tells where agents connect (on kas1 external_url (line 3)"
                " is computed and cannot be read without running it); set kas_external_url.",
            ],
        ),
        alone(
            {"kas_verify_from": "localhost", "kas_verify_token": "glpat", "kas_external_url": "wss://kas/", **IGNORED},
            "kas_verify_token is set, but nothing tells where GitLab is; set kas_gitlab_address",
            settings={},
        ),
        alone({"kas_verify_from": "localhost", "kas_enabled": False}, settings={}),
        alone({"kas_verify_token": "glpat"}, settings={}),
    ],
    urls.cookie_refused: [
        alone(
            {"kas_external_url": "wss://kas.example.com/", "kas_cookie_check": "error"},
            "kas_external_url puts the Kubernetes API proxy on kas.example.com, which is neither gitlab.example.com"
            " nor below it, so browsers do not send it GitLab's cookie and user access cannot work; use a name such"
            " as kas.gitlab.example.com",
        ),
        alone({"kas_external_url": "wss://kas.gitlab.example.com/", "kas_cookie_check": "error"}),
    ],
    urls.cookie_warned: [
        alone(
            {"kas_external_url": "wss://kas.example.com/"},
            "kas_external_url puts the Kubernetes API proxy on kas.example.com, which is neither gitlab.example.com"
            " nor below it, so browsers do not send it GitLab's cookie and user access cannot work; use a name such"
            " as kas.gitlab.example.com",
        ),
        alone(
            {"kas_k8s_proxy_url": "https://kas.example.com/k8s-proxy/"},
            "kas_k8s_proxy_url puts the Kubernetes API proxy on kas.example.com, which is neither gitlab.example.com"
            " nor below it, so browsers do not send it GitLab's cookie and user access cannot work; use a name such"
            " as kas.gitlab.example.com",
        ),
        alone(
            {
                "kas_external_url": "wss://kas.example.com/",
                "kas_k8s_proxy_url": "https://kas.gitlab.example.com/k8s-proxy/",
            },
        ),
        alone({"kas_external_url": "wss://kas.gitlab.example.com/"}),
        alone({"kas_external_url": "wss://kas.example.com/", "kas_cookie_check": "ignore"}),
        alone({"kas_external_url": "wss://kas.example.com/"}, settings={}),
    ],
    urls.other_urls: [
        alone(
            {},
            "gitlab_rails['gitlab_kas_internal_url'] in gitlab.rb is 'grpc://kas0:8153', although KAS runs on this"
            " node; remove it there, or set kas_internal_url",
            settings={"gitlab_rails": {"gitlab_kas_internal_url": "grpc://kas0:8153"}},
        ),
        alone({}, settings={"gitlab_rails": {"gitlab_kas_internal_url": "grpcs://localhost:8153"}}),
        alone(
            {},
            "gitlab_rails['gitlab_kas_external_url'] in gitlab.rb is 'wss://kas0/', although KAS runs on this node;"
            " remove it there, since the package then makes no virtual host for KAS, and set kas_external_url if"
            " needed",
            settings={"gitlab_rails": {"gitlab_kas_external_url": "wss://kas0/"}},
        ),
        alone(
            {},
            "gitlab_rails['gitlab_kas_internal_url'] (line 4) is computed and cannot be read without running it,"
            " although KAS runs on this node; remove it there, or set kas_internal_url",
            "gitlab_rails['gitlab_kas_external_url'] (line 4) is computed and cannot be read without running it,"
            " although KAS runs on this node; remove it there, since the package then makes no virtual host for KAS,"
            " and set kas_external_url if needed",
            unreadable={f"gitlab_rails['gitlab_kas_{key}']": "line 4" for key in ("internal_url", "external_url")},
        ),
        *(
            ({"kas1": {"info": {"unreadable": {name: "line 9"}}}}, {}, [])
            for name in ("*", "gitlab_rails", "gitlab_kas")
        ),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_urls(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
