# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the variables of a deployment come to in each node's gitlab.rb."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import merged
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    Deployment,
    Part,
    kas_part,
    rails_part,
    secret_names,
    secrets_part,
    tls_names,
)

ONE = {"kas1": {}}
THREE = {"kas1": {}, "kas2": {}, "kas3": {}}
CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
TLS = {
    "kas_private_api_certificate": "/etc/gitlab/kas.crt",
    "kas_private_api_key": "/etc/gitlab/kas.key",
    "kas_own_private_api_host": "kas.internal",
}
APART = {"kas1": {"in": "k"}, "rails1": {"in": "r"}}
INTERNAL_TLS = {
    "internal_api_certificate_file": "/etc/gitlab/kas.crt",
    "internal_api_key_file": "/etc/gitlab/kas.key",
}
SOCKETS = "/var/opt/gitlab/gitlab-kas/sockets"
OLD = {"info": {"gitlab_version": "17.6.2"}}


def of_file(**settings):
    return {"info": {"settings": settings}}


def private(environment, **more):
    """gitlab_kas with KAS on, reachable for others."""
    return {"enable": True, "private_api_listen_address": "0.0.0.0:8155", "env": environment, **more}


def without_redis(*given):
    """What must not remain of another Redis, if these say where Redis is."""
    tls = ("tls_ca_cert_file", "tls_client_cert_file", "tls_client_key_file")
    place = ("host", "port", "socket", "sentinels", "sentinels_master_name", "username", "ssl", "sentinels_ssl", *tls)
    options = (*place, *(f"sentinels_{file}" for file in tls))
    return {f"redis_{option}": None for option in options if option not in given}


def gone(*names, **keys):
    """What must not remain of the private API, if these OWN_PRIVATE_API_* are set."""
    left = {f"OWN_PRIVATE_API_{name}": None for name in ("URL", "CIDR", "PORT", "SCHEME", "HOST") if name not in names}
    keys = keys or dict.fromkeys(("private_api_listen_network", "private_api_certificate_file", "private_api_key_file"))
    return {**keys, "env": left}


@pytest.mark.parametrize(
    ("rows", "extra", "settings", "removed"),
    [
        pytest.param(ONE, {}, {"enable": True}, None, id="one node: the package's defaults"),
        pytest.param(ONE, {"kas_enabled": False}, {"enable": False}, None, id="off"),
        pytest.param(
            THREE, CIDR, private({"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}), gone("URL"), id="three nodes, IPv4"
        ),
        pytest.param(
            THREE,
            {"kas_own_private_api_cidr": "fd00::/8"},
            private({"OWN_PRIVATE_API_URL": "grpc://[fd00::1]:8155"}, private_api_listen_address=":8155"),
            gone("URL"),
            id="three nodes, IPv6",
        ),
        pytest.param(
            ONE, CIDR, private({"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}), gone("URL"), id="one node, CIDR given"
        ),
        pytest.param(
            {"kas1": {"kas_own_private_api_url": "grpc://kas1.internal:9155"}, "kas2": {}},
            {},
            private({"OWN_PRIVATE_API_URL": "grpc://kas1.internal:9155"}, private_api_listen_address=":9155"),
            gone("URL"),
            id="own URL given, with a name",
        ),
        pytest.param(
            THREE,
            {**CIDR, "kas_own_private_api_port": 9155},
            private({"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:9155"}, private_api_listen_address="0.0.0.0:9155"),
            gone("URL"),
            id="own port",
        ),
        pytest.param(
            {"kas1": {"kas_private_api_listen_address": "10.0.0.1:9155"}, "kas2": {}},
            CIDR,
            private({"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:9155"}, private_api_listen_address="10.0.0.1:9155"),
            gone("URL"),
            id="port of the listen address",
        ),
        pytest.param(
            {"kas1": {"candidates": ["192.0.2.7"]}, "kas2": {}},
            {"kas_own_private_api_cidr": "192.0.2.0/24"},
            private({"OWN_PRIVATE_API_URL": "grpc://192.0.2.7:8155"}),
            gone("URL"),
            id="addresses from the facts",
        ),
        pytest.param(
            THREE,
            {**CIDR, "kas_own_private_api_discovery": "cidr"},
            private({"OWN_PRIVATE_API_CIDR": "10.0.0.0/8"}),
            gone("CIDR"),
            id="left to KAS: CIDR",
        ),
        pytest.param(
            THREE,
            {
                "kas_own_private_api_cidr": "10.0.0.0/8,fd00::/8",
                "kas_own_private_api_discovery": "cidr",
                "kas_own_private_api_port": 8155,
                **TLS,
            },
            private(
                {
                    "OWN_PRIVATE_API_CIDR": "10.0.0.0/8,fd00::/8",
                    "OWN_PRIVATE_API_PORT": "8155",
                    "OWN_PRIVATE_API_SCHEME": "grpcs",
                    "OWN_PRIVATE_API_HOST": "kas.internal",
                },
                private_api_listen_address=":8155",
                private_api_certificate_file="/etc/gitlab/kas.crt",
                private_api_key_file="/etc/gitlab/kas.key",
            ),
            gone("CIDR", "PORT", "SCHEME", "HOST", private_api_listen_network=None),
            id="left to KAS: CIDRs, port and TLS",
        ),
        pytest.param(
            {"kas1": OLD, "kas2": OLD},
            {**CIDR, "kas_own_private_api_discovery": "cidr"},
            private({"OWN_PRIVATE_API_CIDR": "10.0.0.0/8", "OWN_PRIVATE_API_URL": ""}),
            gone("CIDR", "URL"),
            id="left to an old KAS: its default URL is blanked",
        ),
        pytest.param(
            {"kas1": OLD, "kas2": OLD},
            CIDR,
            private({"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}),
            gone("URL"),
            id="an old KAS back from its CIDR: nothing is blank any more",
        ),
        pytest.param(
            {"kas1": {**OLD, "kas_private_api_listen_address": "10.0.0.1:8155"}, "kas2": {}},
            {"kas_own_private_api_discovery": "listener", **TLS},
            private(
                {
                    "OWN_PRIVATE_API_SCHEME": "grpcs",
                    "OWN_PRIVATE_API_HOST": "kas.internal",
                    "OWN_PRIVATE_API_URL": "",
                },
                private_api_listen_address="10.0.0.1:8155",
                private_api_certificate_file="/etc/gitlab/kas.crt",
                private_api_key_file="/etc/gitlab/kas.key",
            ),
            gone("SCHEME", "HOST", "URL", private_api_listen_network=None),
            id="left to an old KAS: listener and TLS",
        ),
        pytest.param(
            THREE,
            {"kas_own_private_api_discovery": "listener", "kas_private_api_listen_network": "tcp4"},
            {
                "enable": True,
                "private_api_listen_network": "tcp4",
                "private_api_listen_address": "0.0.0.0:8155",
            },
            gone(private_api_certificate_file=None, private_api_key_file=None),
            id="left to KAS: listener",
        ),
        pytest.param(
            THREE,
            {**CIDR, **TLS},
            private(
                {"OWN_PRIVATE_API_URL": "grpcs://10.0.0.1:8155", "OWN_PRIVATE_API_HOST": "kas.internal"},
                private_api_certificate_file="/etc/gitlab/kas.crt",
                private_api_key_file="/etc/gitlab/kas.key",
            ),
            gone("URL", "HOST", private_api_listen_network=None),
            id="TLS",
        ),
        pytest.param(
            ONE,
            TLS,
            {
                "enable": True,
                "private_api_certificate_file": "/etc/gitlab/kas.crt",
                "private_api_key_file": "/etc/gitlab/kas.key",
                "env": {"OWN_PRIVATE_API_URL": "grpcs://localhost:8155", "OWN_PRIVATE_API_HOST": "kas.internal"},
            },
            gone("URL", "HOST", private_api_listen_network=None, private_api_listen_address=None),
            id="one node, TLS",
        ),
        pytest.param(
            ONE,
            {"kas_own_private_api_port": 9155},
            private({"OWN_PRIVATE_API_URL": "grpc://localhost:9155"}, private_api_listen_address="localhost:9155"),
            gone("URL"),
            id="one node, another port",
        ),
        pytest.param(
            {"kas1": {"info": {"gitlab_version": "17.9.0"}}},
            {},
            {"enable": True, "env": {"OWN_PRIVATE_API_URL": "grpc://127.0.0.1:8155"}},
            gone(
                "URL",
                **dict.fromkeys(
                    (
                        "private_api_listen_network",
                        "private_api_listen_address",
                        "private_api_certificate_file",
                        "private_api_key_file",
                    )
                ),
            ),
            id="a version that starts only with an explicit URL",
        ),
        pytest.param(
            {"kas1": {"info": {"gitlab_version": "17.8.0"}}},
            {"kas_own_private_api_port": 9155},
            private({"OWN_PRIVATE_API_URL": "grpc://127.0.0.1:9155"}, private_api_listen_address="localhost:9155"),
            gone("URL"),
            id="such a version, another port",
        ),
        pytest.param(
            ONE,
            {"kas_unix_sockets": "true"},
            {
                "enable": True,
                "internal_api_listen_network": "unix",
                "internal_api_listen_address": f"{SOCKETS}/internal-api.socket",
                "private_api_listen_network": "unix",
                "private_api_listen_address": f"{SOCKETS}/private-api.socket",
                "env": {"OWN_PRIVATE_API_URL": f"unix://{SOCKETS}/private-api.socket"},
            },
            gone("URL", private_api_certificate_file=None, private_api_key_file=None),
            id="UNIX sockets",
        ),
        *(
            pytest.param(
                {
                    "kas1": of_file(
                        gitlab_kas={"private_api_listen_network": "unix", "internal_api_listen_network": "unix"}
                    )
                },
                {"kas_internal_api_listen_address": address} if address else {},
                {"enable": True, **({"internal_api_listen_address": address} if address else {})},
                {"internal_api_listen_network": None} if address else None,
                id=f"sockets made by hand, and the address '{address}'",
            )
            for address in ("", "localhost:9153")
        ),
        pytest.param(
            {"kas1": of_file(gitlab_kas={"private_api_listen_address": "10.0.0.1:8155"})},
            {},
            {"enable": True},
            None,
            id="one node: what somebody else set stays",
        ),
        *(
            pytest.param(
                {"kas1": of_file(gitlab_kas=INTERNAL_TLS, gitlab_rails={"gitlab_kas_internal_url": url})},
                variables,
                {"enable": True},
                removed and dict.fromkeys(INTERNAL_TLS),
                id=f"TLS of the internal API in gitlab.rb, {url}, {variables}",
            )
            for url, variables, removed in (
                ("grpcs://localhost:8153", {}, True),
                (None, {}, True),
                ("grpcs://kas.internal:8153", {}, None),
                ("grpcs://localhost:8153", {"kas_internal_url": "grpcs://localhost:8153"}, None),
                ("grpcs://localhost:8153", {"kas_internal_url": "grpc://lb:8153"}, True),
            )
        ),
        pytest.param(
            {"kas1": {"in": "k", **of_file(gitlab_kas=INTERNAL_TLS)}},
            {},
            {"enable": True},
            None,
            id="TLS of the internal API, for a Rails that nobody knows",
        ),
        *(
            pytest.param(
                {"kas1": {"in": groups, **of_file(gitlab_kas={"internal_api_listen_address": address})}},
                {},
                {"enable": True},
                removed and {"internal_api_listen_address": None},
                id=f"a listener on {address} for others that are gone, {groups}",
            )
            for groups, address, removed in (
                ("kr", "0.0.0.0:8153", True),
                ("kr", ":8153", True),
                ("kr", "10.0.0.1:8153", None),
                ("k", "0.0.0.0:8153", None),
            )
        ),
        pytest.param(
            {"kas1": {"in": "k", **of_file(external_url="https://kas.example.com")}, "rails1": {"in": "r"}},
            CIDR,
            private(
                {"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"},
                internal_api_listen_address="0.0.0.0:8153",
                gitlab_address="https://gitlab.example.com",
            ),
            gone("URL"),
            id="apart from Rails",
        ),
        pytest.param(
            ONE,
            {
                "kas_listen_address": "10.0.0.1:8150",
                "kas_listen_websocket": "false",
                "kas_internal_api_certificate": "/etc/gitlab/kas.crt",
                "kas_log_level": "debug",
                "kas_gitlab_address": "http://localhost:8080",
                "kas_redis": {"host": "redis", "sentinels": [{"host": "s1"}]},
                "kas_env": {"A": "b", "N": 1, "T": True},
                "kas_settings": {"metrics_usage_reporting_period": 30, "workspaces": {"enabled": False}},
            },
            {
                "enable": True,
                "listen_address": "10.0.0.1:8150",
                "listen_websocket": False,
                "internal_api_certificate_file": "/etc/gitlab/kas.crt",
                "log_level": "debug",
                "gitlab_address": "http://localhost:8080",
                "redis_host": "redis",
                "redis_sentinels": [{"host": "s1", "port": 26379}],
                "metrics_usage_reporting_period": 30,
                "workspaces": {"enabled": False},
                "env": {"A": "b", "N": "1", "T": "true"},
            },
            without_redis("host", "sentinels"),
            id="variables that are settings",
        ),
        pytest.param(
            ONE,
            {"kas_redis": {"socket": "/run/redis.socket", "password": "secret"}},
            {"enable": True, "redis_socket": "/run/redis.socket", "redis_password": "secret"},
            without_redis("socket"),
            id="Redis on a socket, nothing of another one remains",
        ),
        pytest.param(
            ONE,
            {"kas_redis": {"username": "kas", "password": "secret"}},
            {"enable": True, "redis_username": "kas", "redis_password": "secret"},
            None,
            id="Rails' Redis with another user",
        ),
    ],
)
def test_kas_part(rows, extra, settings, removed, hosts_of):
    hosts = hosts_of(rows, **extra)
    part = kas_part(hosts[0], Deployment(hosts))
    assert part.settings == {"gitlab_kas": settings}
    assert merged(part.remove, part.leftovers) == ({"gitlab_kas": removed} if removed else {})


@pytest.mark.parametrize(
    ("external_url", "variable", "expected"),
    [
        ("https://gitlab.example.com", "", None),
        ("https://gitlab.example.com:443", "", None),
        ("https://gitlab.example.com:8443", "", "wss://gitlab.example.com:8443/-/kubernetes-agent/"),
        ("http://gitlab.example.com:8080/gitlab/", "", "ws://gitlab.example.com:8080/gitlab/-/kubernetes-agent/"),
        ("http://gitlab.example.com:443", "", "ws://gitlab.example.com:443/-/kubernetes-agent/"),
        ("https://gitlab.example.com:port", "", None),
        ("gitlab.example.com", "", None),
        (None, "wss://kas.gitlab.example.com/", "wss://kas.gitlab.example.com/"),
    ],
)
def test_agents_url_of_a_kas_node(external_url, variable, expected, hosts_of):
    hosts = hosts_of({"kas1": of_file(external_url=external_url)}, kas_external_url=variable)
    assert kas_part(hosts[0], Deployment(hosts)).settings.get("gitlab_kas_external_url") == expected


@pytest.mark.parametrize(
    ("internal_url", "is_over"), [("", True), ("grpc://lb:8153", True), ("grpcs://lb:8153", False)]
)
def test_tls_of_the_internal_api_apart_from_rails(internal_url, is_over, hosts_of):
    rows = {"kas1": {"in": "k", **of_file(gitlab_kas=INTERNAL_TLS)}, "rails1": {"in": "r"}}
    hosts = hosts_of(rows, kas_internal_url=internal_url, **CIDR)
    removed = kas_part(hosts[0], Deployment(hosts)).leftovers
    assert removed == ({"gitlab_kas": dict.fromkeys(INTERNAL_TLS)} if is_over else {})


ALONE = {
    "gitaly": {"enable": False},
    "gitlab_workhorse": {"enable": False},
    "postgresql": {"enable": False},
    "prometheus": {"enable": False},
    "puma": {"enable": False},
    "redis": {"enable": False},
    "sidekiq": {"enable": False},
    "nginx": {"enable": True},
    "gitlab_rails": {"auto_migrate": False, "rake_cache_clear": False},
}


@pytest.mark.parametrize(
    ("found", "agents", "address", "external_url", "written_address"),
    [
        (None, "", "", None, "https://gitlab.example.com"),
        (None, "wss://kas.example.com/", "", "https://kas.example.com", "https://gitlab.example.com"),
        (None, "ws://kas.example.com:8080/", "", "http://kas.example.com:8080", "https://gitlab.example.com"),
        (None, "wss://gitlab.example.com/-/kubernetes-agent/", "", None, "https://gitlab.example.com"),
        (
            "GENERATED_EXTERNAL_URL",
            "wss://kas.example.com/",
            "",
            "https://kas.example.com",
            "https://gitlab.example.com",
        ),
        (
            "https://kas0.example.com",
            "wss://kas.example.com/",
            "",
            "https://kas0.example.com",
            "https://gitlab.example.com",
        ),
        ("https://gitlab.example.com", "wss://kas.example.com/", "", "https://gitlab.example.com", None),
        (None, "wss://kas.example.com/", "https://kas.example.com", None, "https://kas.example.com"),
    ],
)
def test_standalone(found, agents, address, external_url, written_address, hosts_of):
    hosts = hosts_of(
        {"kas1": {"in": "k", **of_file(external_url=found)}, "rails1": {"in": "r"}},
        kas_standalone="yes",
        kas_external_url=agents,
        kas_gitlab_address=address,
        **CIDR,
    )
    written = kas_part(hosts[0], Deployment(hosts)).settings
    kas = written.pop("gitlab_kas")
    assert kas.get("gitlab_address") == written_address
    assert written.pop("gitlab_kas_external_url", "") == agents
    assert written.pop("external_url", None) == external_url
    assert written == ALONE


@pytest.mark.parametrize("name", ["external_url", "*"])
def test_an_external_url_that_cannot_be_read_stays(name, hosts_of):
    """Case of the field: external_url ENV['NODE_URL'] || 'https://kas0.example.com' gave way to another host."""
    unread = {"info": {"settings": {}, "unreadable": {name: "line 3"}}}
    hosts = hosts_of(
        {"kas1": {"in": "k", **unread}, "rails1": {"in": "r"}},
        kas_standalone=True,
        kas_external_url="wss://kas.example.com/-/kubernetes-agent/",
        **CIDR,
    )
    written = kas_part(hosts[0], Deployment(hosts)).settings
    assert "external_url" not in written
    assert written["gitlab_kas"]["gitlab_address"] == "https://gitlab.example.com"


@pytest.mark.parametrize(
    ("unreadable", "extra", "expected"),
    [
        pytest.param({}, {}, "https://gitlab.example.com", id="not set"),
        pytest.param({"*": "line 3"}, {}, "https://gitlab.example.com", id="perhaps set before ours"),
        pytest.param({"gitlab_kas['gitlab_address']": "line 3"}, {}, None, id="computed"),
        pytest.param(
            {"gitlab_kas['gitlab_address']": "line 3"},
            {"kas_gitlab_address": "https://gitlab.internal"},
            "https://gitlab.internal",
            id="computed, but given",
        ),
    ],
)
def test_what_only_follows_does_not_replace_what_cannot_be_read(unreadable, extra, expected, hosts_of):
    rows = {"kas1": {"in": "k", "info": {"settings": {}, "unreadable": unreadable}}, "rails1": {"in": "r"}}
    hosts = hosts_of(rows, **CIDR, **extra)
    part = kas_part(hosts[0], Deployment(hosts))
    assert part.settings["gitlab_kas"].get("gitlab_address") == expected
    assert bool(part.left) is (expected is None)


@pytest.mark.parametrize(
    ("settings", "unreadable", "is_cleared"),
    [
        ({"internal_api_certificate_file": "/c", "internal_api_key_file": "/k"}, {}, True),
        ({"internal_api_certificate_file": "/c"}, {"gitlab_kas['internal_api_key_file']": "line 3"}, False),
        ({}, {"gitlab_kas": "line 3"}, False),
        ({"internal_api_certificate_file": "/c"}, {"gitlab_rails['gitlab_kas_internal_url']": "line 3"}, False),
        ({"internal_api_certificate_file": "/c"}, {"*": "line 3"}, False),
    ],
)
def test_tls_of_the_internal_api_stays_where_something_cannot_be_read(settings, unreadable, is_cleared, hosts_of):
    hosts = hosts_of({"kas1": {"info": {"settings": {"gitlab_kas": settings}, "unreadable": unreadable}}})
    remove = kas_part(hosts[0], Deployment(hosts)).leftovers
    assert ("internal_api_certificate_file" in remove.get("gitlab_kas", {})) is is_cleared


def rails(enabled, internal=None, external=None, proxy=None):
    found = {
        "gitlab_kas_enabled": enabled,
        "gitlab_kas_internal_url": internal,
        "gitlab_kas_external_url": external,
        "gitlab_kas_external_k8s_proxy_url": proxy,
    }
    return {name: value for name, value in found.items() if value is not None}


GITLAB_AGENTS = "wss://gitlab.example.com/-/kubernetes-agent/"
GITLAB_PROXY = "https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/"


@pytest.mark.parametrize(
    ("rows", "extra", "expected"),
    [
        pytest.param({"rails1": {}}, {}, rails(True), id="KAS on the node: derived by the package"),
        pytest.param({"rails1": {}}, {"kas_enabled": False}, rails(False), id="no KAS at all"),
        pytest.param(
            {"rails1": {}},
            {"kas_internal_url": "grpc://lb:8153", "kas_k8s_proxy_url": "https://gitlab.example.com/proxy/"},
            rails(True, "grpc://lb:8153", None, "https://gitlab.example.com/proxy/"),
            id="KAS on the node, URLs given",
        ),
        pytest.param(
            {"rails1": {}},
            {"kas_external_url": "wss://kas.gitlab.example.com:8443/"},
            rails(True, None, None, "https://kas.gitlab.example.com:8443/k8s-proxy/"),
            id="KAS on a name of its own, with a port",
        ),
        pytest.param(
            {"rails1": {}},
            {"kas_internal_api_certificate": "/etc/gitlab/kas.crt"},
            rails(True, "grpcs://localhost:8153"),
            id="TLS of the internal API",
        ),
        pytest.param(
            {"rails1": {}, "rails2": {"kas_enabled": False, "kas_internal_url": "grpc://lb:8153"}},
            CIDR,
            rails(True, "grpc://localhost:8153"),
            id="KAS on the node, which listens for another one, too",
        ),
        pytest.param(
            {"rails1": {"in": "r"}, "kas1": {"in": "k"}},
            CIDR,
            rails(True, "grpc://10.0.0.2:8153", GITLAB_AGENTS, GITLAB_PROXY),
            id="one KAS elsewhere",
        ),
        pytest.param(
            {"rails1": {"in": "r"}, "kas1": {"in": "k"}},
            {"kas_own_private_api_cidr": "fd00::/8", "kas_internal_api_certificate": "/etc/gitlab/kas.crt"},
            rails(True, "grpcs://[fd00::2]:8153", GITLAB_AGENTS, GITLAB_PROXY),
            id="one KAS elsewhere, IPv6 and TLS",
        ),
        pytest.param(
            {"rails1": {"in": "r"}, "kas1": {"in": "k"}},
            {**CIDR, "kas_internal_api_listen_address": "kas1.internal:9153"},
            rails(True, "grpc://kas1.internal:9153", GITLAB_AGENTS, GITLAB_PROXY),
            id="one KAS elsewhere that listens on a name",
        ),
        pytest.param(
            {"rails1": {"in": "r"}, "kas1": {"in": "k"}, "kas2": {"in": "k"}},
            {**CIDR, "kas_internal_url": "grpc://lb:8153", "kas_external_url": "wss://kas.gitlab.example.com/"},
            rails(
                True,
                "grpc://lb:8153",
                "wss://kas.gitlab.example.com/",
                "https://kas.gitlab.example.com/k8s-proxy/",
            ),
            id="several KAS elsewhere",
        ),
        pytest.param(
            {"rails1": {"kas_enabled": False}, "kas1": {}},
            CIDR,
            rails(True, "grpc://10.0.0.2:8153", GITLAB_AGENTS, GITLAB_PROXY),
            id="KAS off on this node only",
        ),
    ],
)
def test_rails_part(rows, extra, expected, hosts_of):
    hosts = hosts_of(rows, **extra)
    part = rails_part(hosts[0], Deployment(hosts))
    assert part.settings.pop("gitlab_kas", None) == (None if hosts[0].runs_kas else {"enable": False})
    assert part.settings == {"gitlab_rails": expected}
    assert part.remove == {}


@pytest.mark.parametrize(
    ("listener", "found", "extra", "stays"),
    [
        pytest.param(None, "grpcs://localhost:8153", {}, False, id="TLS is off again"),
        pytest.param(":8153", "grpc://localhost:8153", {}, False, id="nobody else to listen for"),
        pytest.param("10.0.0.1:9153", "grpcs://10.0.0.1:9153", {}, False, id="TLS is off again, on an address"),
        pytest.param(None, "grpc://10.0.0.2:8153", {}, False, id="KAS was elsewhere"),
        pytest.param(None, "grpc://lb:8153", {}, True, id="somebody else's"),
        pytest.param(None, "unix:///run/kas.socket", {}, True, id="somebody else's socket"),
        pytest.param(None, "grpcs://localhost:8153", {"kas_internal_api_certificate": "/c"}, True, id="TLS is on"),
        pytest.param(None, "grpc://10.0.0.2:8153", {"kas_internal_url": "grpc://10.0.0.2:8153"}, True, id="given"),
        pytest.param(None, None, {}, True, id="none"),
    ],
)
def test_an_internal_url_of_ours_that_is_needed_no_more(listener, found, extra, stays, hosts_of):
    file = of_file(
        gitlab_kas={"internal_api_listen_address": listener}, gitlab_rails={"gitlab_kas_internal_url": found}
    )
    hosts = hosts_of({"kas1": file, "kas2": {}}, **CIDR, **extra)
    deployment = Deployment(hosts)
    removed = {} if stays else {"gitlab_rails": {"gitlab_kas_internal_url": None}}
    assert rails_part(hosts[0], deployment).leftovers == removed


ALLOWLIST = "/bin/echo agent: {kubernetes_api: {extra_allowed_response_headers: [X-One, X-Two]}}"


@pytest.mark.parametrize(
    ("found", "extra", "command"),
    [
        (None, {"kas_extra_allowed_response_headers": ["X-One", "X-Two"]}, ALLOWLIST),
        (ALLOWLIST, {}, None),
        (ALLOWLIST, {"kas_extra_config_command": "/bin/true"}, "/bin/true"),
        ("/bin/true", {}, None),
    ],
)
def test_allowed_headers(found, extra, command, hosts_of):
    hosts = hosts_of({"kas1": of_file(gitlab_kas={"extra_config_command": found})}, **extra)
    part = kas_part(hosts[0], Deployment(hosts))
    assert part.settings["gitlab_kas"].get("extra_config_command") == command
    assert "extra_config_command" not in part.remove.get("gitlab_kas", {})


def test_allowed_headers_are_yaml_between_double_quotes():
    written = f'command: "{ALLOWLIST}"'
    printed = yaml.safe_load(written)["command"].split(maxsplit=1)[1]
    assert yaml.safe_load(printed) == {
        "agent": {"kubernetes_api": {"extra_allowed_response_headers": ["X-One", "X-Two"]}}
    }


@pytest.mark.parametrize(
    ("external", "proxy", "extra", "removed"),
    [
        (GITLAB_AGENTS, GITLAB_PROXY, {}, ["external_url", "external_k8s_proxy_url"]),
        (GITLAB_AGENTS, "https://other/k8s-proxy/", {}, ["external_url"]),
        ("wss://other/", None, {}, []),
        (
            "wss://kas.gitlab.example.com/",
            "https://kas.gitlab.example.com/k8s-proxy/",
            {"kas_external_url": "wss://kas.gitlab.example.com/"},
            ["external_url", "external_k8s_proxy_url"],
        ),
    ],
)
def test_urls_of_a_kas_elsewhere_go_where_kas_runs(external, proxy, extra, removed, hosts_of):
    hosts = hosts_of(
        {"kas1": of_file(external_url="https://gitlab.example.com", gitlab_rails=rails(True, None, external, proxy))},
        **extra,
    )
    expected = {"gitlab_rails": {f"gitlab_kas_{name}": None for name in removed}} if removed else {}
    assert rails_part(hosts[0], Deployment(hosts)).leftovers == expected


def test_a_role_asks_for_what_it_sets_and_clears_but_for_no_leftovers():
    part = Part()
    part.set({}, "gitlab_kas", "env")
    part.set(True, "gitlab_kas", "enable")
    part.clear("gitlab_kas", "redis_host")
    part.discard("gitlab_rails", "gitlab_kas_internal_url")
    assert part.asked == {"gitlab_kas": {"env": None, "enable": None, "redis_host": None}}


@pytest.mark.parametrize(
    ("rows", "complete"),
    [
        pytest.param({"node1": {}}, "kas rails secrets", id="KAS on"),
        pytest.param({"node1": {"in": "k", "kas_enabled": False}, "kas2": {}}, "rails", id="KAS off here"),
        pytest.param({"node1": {"in": "kr", "kas_enabled": False}, "kas2": {}}, "rails", id="off, Rails uses another"),
        pytest.param({"node1": {"in": "r"}, "kas2": {}}, "kas rails secrets", id="KAS elsewhere"),
        pytest.param({"node1": {"in": "r"}, "kas2": {"kas_enabled": False}}, "kas", id="KAS off everywhere"),
    ],
)
def test_what_was_written_stays_while_kas_is_off(rows, complete, hosts_of):
    """disable.yml keeps secrets and settings; a host that has left a group does not."""
    hosts = hosts_of(rows, **CIDR)
    deployment = Deployment(hosts)
    parts = {
        "kas": kas_part(hosts[0], deployment),
        "rails": rails_part(hosts[0], deployment),
        "secrets": secrets_part(hosts[0], deployment),
    }
    assert " ".join(role for role, part in parts.items() if part.is_complete) == complete


def test_each_role_writes_only_on_its_hosts(hosts_of):
    hosts = hosts_of(APART, **CIDR)
    deployment = Deployment(hosts)
    assert rails_part(hosts[0], deployment).settings == {}
    assert kas_part(hosts[1], deployment).settings == {}


@pytest.mark.parametrize(
    ("row", "extra", "expected"),
    [
        ({}, {}, ["api_secret_key", "private_api_secret_key", "websocket_token_secret_key"]),
        (OLD, {}, ["api_secret_key", "private_api_secret_key"]),
        ({"in": "r"}, {}, ["api_secret_key"]),
        ({"in": "k", "kas_enabled": False}, {}, []),
        ({"in": "r"}, {"kas_enabled": False}, []),
    ],
)
def test_secret_names(row, extra, expected, hosts_of):
    hosts = hosts_of({"node1": row, "kas1": {}}, **extra)
    assert secret_names(hosts[0], Deployment(hosts)) == expected


INTERNAL_PAIR = {"kas_internal_api_certificate": "/i.crt", "kas_internal_api_key": "/i.key"}


@pytest.mark.parametrize(
    ("rows", "extra", "expected"),
    [
        pytest.param(ONE, INTERNAL_PAIR, ["localhost"], id="Rails on the node"),
        pytest.param(
            ONE,
            {**INTERNAL_PAIR, "kas_internal_api_listen_address": "0.0.0.0:8153"},
            ["localhost"],
            id="on all addresses",
        ),
        pytest.param(
            ONE,
            {**INTERNAL_PAIR, "kas_internal_api_listen_address": "10.0.0.1:9153"},
            ["10.0.0.1"],
            id="on one address",
        ),
        pytest.param(ONE, {**INTERNAL_PAIR, "kas_unix_sockets": True}, [], id="on a socket"),
        pytest.param(ONE, {}, [], id="without TLS"),
        pytest.param(APART, {**CIDR, **INTERNAL_PAIR}, ["10.0.0.1"], id="Rails elsewhere, by the own URL"),
        pytest.param(
            APART,
            {**INTERNAL_PAIR, "kas_own_private_api_url": "grpc://KAS1.internal"},
            ["KAS1.internal"],
            id="by a name",
        ),
        pytest.param(
            APART,
            {**CIDR, **INTERNAL_PAIR, "kas_internal_url": "grpcs://kas.internal:8153"},
            ["kas.internal"],
            id="Rails elsewhere, a URL given",
        ),
        pytest.param(
            {"kas1": {"in": "k"}, "kas2": {}, "rails1": {"in": "r", "kas_internal_url": "grpcs://lb:8153"}},
            {**CIDR, **INTERNAL_PAIR},
            ["lb"],
            id="not what Rails on another KAS node asks its own for",
        ),
        pytest.param(
            {"kas1": of_file(gitlab_rails={"gitlab_kas_internal_url": "grpcs://[x"})}, {}, [], id="no URL in gitlab.rb"
        ),
    ],
)
def test_names_in_the_certificate_of_the_internal_api(rows, extra, expected, hosts_of):
    hosts = hosts_of(rows, **extra)
    assert tls_names(hosts[0], Deployment(hosts))["internal_api"] == expected


def test_names_in_the_certificate_of_the_private_api(hosts_of):
    hosts = hosts_of(
        {"kas1": {"kas_own_private_api_host": "one"}, "kas2": {"kas_own_private_api_host": "two"}, "kas3": {}}, **CIDR
    )
    assert tls_names(hosts[1], Deployment(hosts))["private_api"] == ["two", "one"]


@pytest.mark.parametrize(
    ("settings", "variables", "expected"),
    [
        ({}, {}, ("git", "git")),
        ({"user": {"username": "gitlab"}}, {}, ("gitlab", "git")),
        ({"user": {"username": "gitlab", "group": "www"}}, {}, ("gitlab", "www")),
        ({"user": {"group": "www"}}, {}, ("git", "www")),
        ({"user": {"username": None, "group": ""}}, {}, ("git", "git")),
        ({}, {"kas_user": "gitlab", "kas_group": "www"}, ("gitlab", "www")),
    ],
)
def test_who_kas_runs_as(settings, variables, expected, hosts_of):
    (host,) = hosts_of({"kas1": {**variables, "info": {"settings": settings}}})
    assert host.account == expected
