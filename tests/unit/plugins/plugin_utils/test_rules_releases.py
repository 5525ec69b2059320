# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about what the installed release of GitLab knows, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import releases
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    CIDR,
    KAS,
    RAILS,
    SENTINELS,
    TLS,
    URL,
    WEBSOCKET_SECRET,
    alone,
    check,
    on,
    rows,
    version,
)

AGENT_TLS = {"kas_certificate": "/etc/gitlab/kas.crt", "kas_key": "/etc/gitlab/kas.key"}
PROXY_TLS = {"kas_kubernetes_api_certificate": "/etc/gitlab/kas.crt", "kas_kubernetes_api_key": "/etc/gitlab/kas.key"}
GIT_DATA_DIRS = {"external_url": URL, "git_data_dirs": {"default": {"path": "/mnt/nas"}}}

TABLES = {
    releases.never_starts: [
        (
            {
                "kas1": version("18.0.0-ee.0"),
                "kas2": version("18.0.1"),
                "kas3": {**version("18.0.0"), "in_play": False},
                "kas4": {**KAS, **version("18.0.0"), "kas_enabled": False},
            },
            CIDR,
            [
                "kas1: KAS of GitLab 18.0.0-ee.0 does not start, since the package itself gives it agent.gitops;"
                " install 18.0.1 or later."
            ],
        ),
    ],
    releases.unknown_variables: [
        on(
            "18.7.2-ee.0",
            {"kas_redis": {**SENTINELS, "sentinels_ssl": True}},
            "kas_redis.sentinels_ssl is true, which GitLab 18.7.2-ee.0 does not know; leave it out, or install 18.8.0"
            " or later",
        ),
        on(
            "14.7.9",
            AGENT_TLS,
            "kas_certificate is '/etc/gitlab/kas.crt', which GitLab 14.7.9 does not know; leave it out, or install"
            " 14.8.0 or later",
            "kas_key is '/etc/gitlab/kas.key', which GitLab 14.7.9 does not know; leave it out, or install 14.8.0 or"
            " later",
        ),
        on("14.8.0", {**AGENT_TLS, "kas_listen_address": "0.0.0.0:8150"}),
        on(
            "16.5.1",
            {"kas_redis": {"host": "redis", "password": "secret"}},
            "kas_redis.host is 'redis', which GitLab 16.5.1 does not know; leave it out, or install 16.6.0 or later",
            "kas_redis.password is set, which GitLab 16.5.1 does not know; leave it out, or install 16.6.0 or later",
        ),
        on("16.6.0", {"kas_redis": {"host": "redis", "password": "secret"}}),
        on(
            "16.7.4",
            {"kas_extra_config_command": "/bin/kas"},
            "kas_extra_config_command is '/bin/kas', which GitLab 16.7.4 does not know; leave it out, or install"
            " 16.8.0 or later",
        ),
        on("16.8.0", {"kas_extra_config_command": "/bin/kas"}),
        on(
            "16.10.9",
            {"kas_grpc_log_level": "warn"},
            "kas_grpc_log_level is 'warn', which GitLab 16.10.9 does not know; leave it out, or install 16.11.0 or"
            " later",
        ),
        on("16.11.0", {"kas_grpc_log_level": "warn"}),
        on("17.6.9", {"kas_secrets_values": {"websocket_token_secret_key": WEBSOCKET_SECRET}}),
        on(
            "19.2.9",
            {"kas_redis": {"username": "kas", "password": "secret"}},
            "kas_redis.username is 'kas', which GitLab 19.2.9 does not know, so KAS would log in to Redis as default,"
            " with this user's password; leave it out and set kas_redis.password to the password of default, or"
            " install 19.3.0 or later",
        ),
        on(None, {"kas_redis": {"username": "kas", "password": "secret"}}),
        on(None, TLS),
    ],
    releases.cidr_in_kas: [
        on(
            "16.4.1-ee.0",
            {**CIDR, "kas_own_private_api_discovery": "cidr"},
            "kas_own_private_api_discovery is 'cidr', which GitLab 16.4.1-ee.0 does not know; set it to 'url', or"
            " install 16.5.0 or later",
        ),
        on("16.4.1", CIDR),
    ],
    releases.several_cidrs: [
        (
            {"kas1": {**version("17.7.0"), "candidates": ["10.0.0.1"]}},
            {"kas_own_private_api_cidr": "10.0.0.0/8,fd00::/8", "kas_own_private_api_discovery": "cidr"},
            [
                "kas1: kas_own_private_api_cidr is '10.0.0.0/8,fd00::/8', which GitLab 17.7.0 does not know; set one"
                " CIDR, or install 17.8.1 or later."
            ],
        ),
    ],
    releases.wildcard_listener: [
        on(
            "17.7.0",
            {"kas_own_private_api_discovery": "listener"},
            "kas_own_private_api_discovery is 'listener', which GitLab 17.7.0 does not know; set"
            " kas_private_api_listen_address to one address, or discovery to 'url', or install 17.8.1 or later",
        ),
        (
            {"kas1": {**version("17.7.0"), "kas_private_api_listen_address": "10.0.0.1:8155"}},
            {"kas_own_private_api_discovery": "listener"},
            [],
        ),
    ],
    releases.port_of_listener: [
        *(
            (
                {"kas1": {**version(installed), "kas_private_api_listen_address": "10.0.0.1:8155"}},
                {"kas_own_private_api_discovery": "listener", "kas_own_private_api_port": port},
                expected,
            )
            for installed, port, expected in (
                (
                    "17.7.0",
                    9155,
                    [
                        "kas1: kas_own_private_api_port is 9155, but KAS of GitLab 17.7.0 takes the port from"
                        " kas_private_api_listen_address, which is '10.0.0.1:8155'; leave the port out, or install"
                        " 17.8.1 or later."
                    ],
                ),
                ("17.7.0", 8155, []),
                ("17.8.1", 9155, []),
            )
        ),
    ],
    releases.unknown_allowlist: [
        on(
            "18.2.9",
            {"kas_extra_allowed_response_headers": "X-One"},
            "kas_extra_allowed_response_headers is 'X-One', which GitLab 18.2.9 does not know; leave it out, or"
            " install 18.3.0 or later",
        ),
    ],
    releases.discovery_without_url: [
        on(
            "17.9.0",
            {"kas_own_private_api_discovery": "cidr", **CIDR},
            "kas_own_private_api_discovery is 'cidr', with which KAS of GitLab 17.9.0 does not start; set it to"
            " 'url', or install another version",
        ),
    ],
    releases.name_in_url: [
        (
            {"kas1": version("17.8.0"), "kas2": {**version("17.9.0"), "kas_own_private_api_url": "grpc://kas2:8155"}},
            {"kas_own_private_api_url": "grpc://kas1.internal:8155"},
            [
                "kas1: kas_own_private_api_url is 'grpc://kas1.internal:8155', but KAS of GitLab 17.8.0 does not"
                " start with a name in its own URL; set an address instead of kas1.internal, or install 17.8.1 or"
                " later."
            ],
        ),
        on(
            "17.8.0",
            {"kas_private_api_listen_address": "localhost:9155"},
            "kas_private_api_listen_address is 'localhost:9155', but KAS of GitLab 17.8.0 does not start with a name"
            " in its own URL; set an address instead of localhost, or install 17.8.1 or later",
        ),
    ],
    releases.grpc_on_own_name: [
        on(
            "19.5.0",
            {"kas_external_url": "grpc://kas.gitlab.example.com"},
            "kas_external_url is 'grpc://kas.gitlab.example.com', but on a name of its own KAS of GitLab 19.5.0 takes"
            " no grpc://; set ws:// or wss://",
        ),
    ],
    releases.grpcs_on_own_name: [
        alone(
            {"kas_external_url": "grpcs://kas.gitlab.example.com"},
            "kas_external_url is 'grpcs://kas.gitlab.example.com', but on a name of its own KAS of GitLab 18.6.1"
            " takes no grpcs://; set ws:// or wss://",
        ),
        alone({"kas_external_url": "grpcs://gitlab.example.com"}),
    ],
    releases.git_data_dirs: [
        *(
            (
                {
                    "kas1": {"info": {"gitlab_version": installed, "settings": GIT_DATA_DIRS}},
                    "rails1": {**RAILS, "info": {"gitlab_version": installed, "settings": GIT_DATA_DIRS}},
                    "rails2": {**RAILS, "in_play": False, "info": {"settings": GIT_DATA_DIRS}},
                },
                {"kas_own_private_api_url": "grpc://10.0.0.1:8155", "kas_standalone": False},
                [
                    f"{host}: git_data_dirs is set in gitlab.rb, with which GitLab {installed} refuses to reconfigure;"
                    " set gitaly['configuration'] with its storage there instead."
                    for host in refused
                ],
            )
            for installed, refused in (("17.11.7", []), ("18.0.1", ["kas1", "rails1"]), (None, []))
        ),
    ],
    releases.older_than_others: [
        (
            {"kas1": version("18.5.9"), "kas2": version("18.6.1-ee.0"), "kas3": version("17.11.0")},
            CIDR,
            [
                f"{name}: GitLab {older} is installed, but 18.6.1-ee.0 on kas2; nodes of two releases are meant for the"
                " time of an upgrade only, so go on with it."
                for name, older in (("kas1", "18.5.9"), ("kas3", "17.11.0"))
            ],
        ),
        ({"kas1": version("18.6.0"), "kas2": version("18.6.1"), "kas3": version(None)}, CIDR, []),
    ],
    releases.started_with_url: [
        on(
            "17.9.0-ee.0",
            {},
            "KAS of GitLab 17.9.0-ee.0 starts only with an explicit own URL, so grpc://127.0.0.1:8155 is set; install"
            " 17.9.1 or later",
        ),
        (
            {
                "kas1": version("17.7.7"),
                "kas2": version("17.8.0"),
                "kas3": {**KAS, **version("17.8.0"), "kas_enabled": False},
                "kas4": version("17.8.1"),
                "kas5": {**version("17.9.0"), "in_play": False},
            },
            CIDR,
            [
                "kas2: KAS of GitLab 17.8.0 starts only with an explicit own URL, so grpc://10.0.0.2:8155 is set;"
                " install 17.8.1 or later."
            ],
        ),
        on("17.8.0", {"kas_unix_sockets": True}),
        on("17.8.0", {"kas_own_private_api_url": "grpc://10.0.0.1:8155"}),
    ],
    releases.name_in_url_untried: [
        (
            {
                "kas1": {**version("17.9.0"), "kas_own_private_api_url": "grpc://kas1.internal:9155"},
                "kas2": {**version("17.9.1"), "kas_own_private_api_url": "grpc://kas2.internal:9155"},
                "kas3": {
                    **version("17.9.0"),
                    "kas_own_private_api_url": "grpc://kas3.internal:9155",
                    "in_play": False,
                },
            },
            {},
            [
                "kas1: kas_own_private_api_url is 'grpc://kas1.internal:9155', and KAS of GitLab 17.9.0 most likely"
                " does not start with a name in its own URL; set an address instead of kas1.internal, or install"
                " 17.9.1 or later."
            ],
        ),
        on("17.9.0", {"kas_own_private_api_url": "grpc://10.0.0.1:8155"}),
    ],
    releases.failing_calls: [
        (
            {
                "kas1": version("16.9.6"),
                "kas2": version("16.10.4-ee.0"),
                "kas3": version("16.11.1"),
                "kas4": version("16.11.2"),
                "kas5": {**version("16.11.1"), "in_play": False},
                "kas6": {**KAS, **version("16.11.1"), "kas_enabled": False},
            },
            CIDR,
            [
                f"{host}: KAS of GitLab {installed} answers calls of GitLab with GRPC::Unimplemented; install another"
                f" patch release of {minor}."
                for host, installed, minor in (
                    ("kas1", "16.9.6", "16.9"),
                    ("kas2", "16.10.4-ee.0", "16.10"),
                    ("kas3", "16.11.1", "16.11"),
                )
            ],
        ),
    ],
    releases.tls_before_documented: [
        (
            {"kas1": version("16.10.3"), "kas2": version("16.11.0")},
            {**TLS, **CIDR},
            [
                "kas1: kas_private_api_certificate is '/etc/gitlab/kas.crt', and GitLab 16.10.3 is installed; GitLab"
                " documents TLS between KAS nodes only from 16.11.0 on, so run verify afterwards."
            ],
        ),
    ],
    releases.nginx_without_tls: [
        on(
            "18.6.9",
            {**AGENT_TLS, **PROXY_TLS},
            "kas_certificate is '/etc/gitlab/kas.crt', but nginx of GitLab 18.6.9 speaks to KAS without TLS, so"
            " agents get no answer through it; leave it out, set kas_listen_address to what they reach without nginx,"
            " or install 18.7.0 or later",
            "kas_kubernetes_api_certificate is '/etc/gitlab/kas.crt', but nginx of GitLab 18.6.9 speaks to KAS"
            " without TLS, so users of the Kubernetes API proxy get no answer through it; leave it out, set"
            " kas_kubernetes_api_listen_address to what they reach without nginx, or install 18.7.0 or later",
        ),
        on("18.6.9", {**AGENT_TLS, "kas_listen_address": "0.0.0.0:8150"}),
    ],
    releases.nginx_to_both_alike: [
        on("18.7.0", {**AGENT_TLS, **PROXY_TLS}),
        on("18.7.0", {**AGENT_TLS, "kas_kubernetes_api_listen_address": "10.0.0.1:8154"}),
        on("18.7.0", {**PROXY_TLS, "kas_kubernetes_api_listen_address": "0.0.0.0:8154"}),
        on(
            "18.7.0",
            AGENT_TLS,
            "kas_certificate is '/etc/gitlab/kas.crt', but kas_kubernetes_api_certificate is not set, and nginx of"
            " GitLab 18.7.0 most likely speaks TLS to both listeners then, and users of the Kubernetes API proxy get"
            " no answer through it; set both, or neither",
        ),
        on(
            None,
            PROXY_TLS,
            "kas_kubernetes_api_certificate is '/etc/gitlab/kas.crt', but kas_certificate is not set, and nginx of"
            " the installed GitLab most likely speaks to both listeners without TLS then, and users of the Kubernetes"
            " API proxy get no answer through it; set both, or neither",
        ),
    ],
    releases.settings_without_effect: [
        on(
            "18.6.1",
            {"kas_settings": {"client_timeout_seconds": 5, "agent_info_cache_ttl": 5}},
            "kas_settings.client_timeout_seconds is no setting that the Linux package is known to read; it may have"
            " no effect",
        ),
        on(
            "18.6.1",
            {"kas_settings": {"agent_info_cache_tll": 5, "log_levl": "info"}},
            "kas_settings.agent_info_cache_tll is no setting that the Linux package is known to read; it may have no"
            " effect; the nearest name is kas_settings.agent_info_cache_ttl",
            "kas_settings.log_levl is no setting that the Linux package is known to read; it may have no effect; the"
            " nearest name is kas_log_level",
        ),
        on(
            "18.3.9",
            {"kas_settings": {"workspaces": {"enabled": True}, "nginx": {"port": 81}}},
            "kas_settings.workspaces is set, which GitLab 18.3.9 does not know; leave it out, or install 18.4.0 or"
            " later",
            "kas_settings.nginx is set, which GitLab 18.3.9 does not know; leave it out and set gitlab_kas_nginx in"
            " gitlab.rb by hand, or install 19.2.0 or later",
        ),
        on("19.2.0", {"kas_settings": {"workspaces": {"enabled": True}, "nginx": {"port": 81}}}),
        on("17.11.0", {"kas_settings": {"agent_gitops_poll_period": 60}}),
        on(
            "18.0.1",
            {"kas_settings": {"agent_gitops_poll_period": 60}},
            "kas_settings.agent_gitops_poll_period is set, which GitLab 18.0.1 no longer knows and ignores; leave it"
            " out",
        ),
    ],
    releases.deprecated_nginx: [
        on("19.1.9", {}, settings={"gitlab_kas_nginx": {"port": 81}}),
        on(
            "19.2.0",
            {},
            "gitlab_kas_nginx is set in gitlab.rb, which is deprecated from GitLab 19.2.0 on, and still works; write"
            " gitlab_kas['nginx'] there instead, or set kas_settings.nginx",
            settings={"gitlab_kas_nginx": {"port": 81}},
        ),
    ],
    releases.computed_git_data_dirs: [
        on("17.11.7", {}, unreadable={"git_data_dirs": "line 3"}),
        on(
            "18.0.1",
            {},
            "git_data_dirs (line 3) is computed and cannot be read without running it; GitLab 18.0.1 refuses to"
            " reconfigure if it holds anything, and gitaly['configuration'] takes its place",
            unreadable={"git_data_dirs": "line 3"},
        ),
        on("18.0.1", {}, unreadable={"*": "line 3"}),
    ],
    releases.user_of_rails: [
        on(
            "19.2.9",
            {},
            "gitlab_rails['redis_username'] in gitlab.rb is 'rails', but GitLab 19.2.9 does not tell KAS, which logs"
            " in to Redis as default, with that user's password; set kas_redis.password to the password of default,"
            " or install 19.3.0 or later",
            settings={"gitlab_rails": {"redis_username": "rails"}},
        ),
        on("19.3.0", {}, settings={"gitlab_rails": {"redis_username": "rails"}}),
        on("19.2.9", {"kas_redis": {"host": "redis"}}, settings={"gitlab_rails": {"redis_username": "rails"}}),
        on("19.2.9", {"kas_redis": {"password": "secret"}}, settings={"gitlab_rails": {"redis_username": "rails"}}),
        on("19.2.9", {}, settings={"gitlab_rails": {"redis_username": "rails"}, "gitlab_kas": {"redis_host": None}}),
        on(
            "19.2.9",
            {},
            "gitlab_rails['redis_username'] (line 4) is computed and cannot be read without running it, but GitLab"
            " 19.2.9 does not tell KAS, which logs in to Redis as default, with that user's password; set"
            " kas_redis.password to the password of default, or install 19.3.0 or later",
            unreadable={"gitlab_rails['redis_username']": "line 4"},
        ),
    ],
    releases.announced_grpcs: [
        on(
            "19.5.0",
            {"kas_external_url": "grpcs://kas.gitlab.example.com"},
            "kas_external_url is 'grpcs://kas.gitlab.example.com'; that KAS takes it on a name of its own was"
            " announced for GitLab 19.5, but is not known for GitLab 19.5.0; set wss:// if reconfigure refuses it",
        ),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_releases(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
