# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about settings of every other kind, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import settings
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    CIDR,
    GIVEN,
    KAS,
    RAILS,
    TLS,
    URL,
    alone,
    check,
    rows,
)

FILES = {**CIDR, **TLS}
AGENT_TLS = {"kas_certificate": "/etc/gitlab/kas.crt", "kas_key": "/etc/gitlab/kas.key"}


def runs_as(user, unreadable, given, *sentences):
    """A node whose gitlab.rb says this of its user."""
    return alone(given, *sentences, settings={"external_url": URL, "user": user}, unreadable=unreadable)


TABLES = {
    settings.accounts: [
        runs_as({"username": "gitlab", "group": "gitlab"}, {}, FILES),
        runs_as({"username": "gitlab", "group": "www"}, {}, {**FILES, "kas_user": "gitlab", "kas_group": "www"}),
        runs_as({"username": None}, {}, {**FILES, "kas_user": "git", "kas_group": "git"}),
        runs_as(
            {"username": "gitlab"},
            {},
            {"kas_user": "git"},
            "kas_user is 'git', but user['username'] in gitlab.rb is 'gitlab', so KAS runs as 'gitlab'; leave kas_user"
            " out, or set that in gitlab.rb",
        ),
        runs_as(
            {"username": "gitlab", "group": "www"},
            {},
            {"kas_group": "gitlab"},
            "kas_group is 'gitlab', but user['group'] in gitlab.rb is 'www', so KAS runs with group 'www'; leave"
            " kas_group out, or set that in gitlab.rb",
        ),
        runs_as(
            {},
            {},
            {"kas_user": "kas", "kas_group": "kas"},
            "kas_user is 'kas', but gitlab.rb does not set user['username'], so KAS runs as 'git'; leave kas_user out,"
            " or set that in gitlab.rb",
            "kas_group is 'kas', but gitlab.rb does not set user['group'], so KAS runs with group 'git'; leave"
            " kas_group out, or set that in gitlab.rb",
        ),
        *(
            runs_as(
                {},
                {"user['username']": "line 3"},
                files,
                "user['username'] (line 3) is computed and cannot be read without running it, and files for KAS are"
                " given to it; set kas_user to it",
            )
            for files in (FILES, {"kas_unix_sockets": True}, AGENT_TLS)
        ),
        runs_as(
            {"username": "gitlab"},
            {"user['group']": "line 4"},
            FILES,
            "user['group'] (line 4) is computed and cannot be read without running it, and files for KAS are given to"
            " it; set kas_group to it",
        ),
        runs_as({}, {"user['username']": "line 3"}, {**FILES, "kas_user": "kas"}),
        runs_as({}, {"user['username']": "line 3"}, {}),
        runs_as({}, {"*": "line 3"}, FILES),
    ],
    settings.misspelt: [
        *(
            alone(
                {},
                *(
                    f"{name} in gitlab.rb{where} has no effect, since nothing reads it; if you mean {near}, correct it"
                    " there"
                    for name, where, near in said
                ),
                settings={"external_url": URL, **found},
                lines={"gitlab_kas['enabled']": "line 2", "gitlab_kas['env']": "line 4 of /etc/gitlab/kas.rb"},
            )
            for found, said in (
                (
                    {"gitlab_kas": {"enabled": True, "private_api_listen_adress": ":8155", "log_level": "info"}},
                    [
                        ("gitlab_kas['enabled']", " (line 2)", "gitlab_kas['enable']"),
                        (
                            "gitlab_kas['private_api_listen_adress']",
                            "",
                            "gitlab_kas['private_api_listen_address']",
                        ),
                    ],
                ),
                (
                    {"gitlab_kas": {"env": {"OWN_PRIVATE_API_ULR": "grpc://kas1:8155", "OWN_PRIVATE_API_HOST": "kas"}}},
                    [
                        (
                            "gitlab_kas['env']['OWN_PRIVATE_API_ULR']",
                            " (line 4 of /etc/gitlab/kas.rb)",
                            "gitlab_kas['env']['OWN_PRIVATE_API_URL']",
                        )
                    ],
                ),
                (
                    {"gitlab_rails": {"gitlab_kas_enable": True, "gitlab_kas_internal_url": "grpc://localhost:8153"}},
                    [("gitlab_rails['gitlab_kas_enable']", "", "gitlab_rails['gitlab_kas_enabled']")],
                ),
                ({"gitlab_kas": {"of_my_own": 1, "env": {"HTTPS_PROXY": "http://proxy"}}}, []),
            )
        ),
    ],
    settings.allowed_headers: [
        alone(
            {"kas_extra_allowed_response_headers": "X-One,X Two", "kas_extra_config_command": "/bin/true"},
            "kas_extra_allowed_response_headers is 'X-One,X Two', and kas_extra_config_command is '/bin/true'; set"
            " only one of them, and let the command print the headers, too",
            "kas_extra_allowed_response_headers holds 'X Two'; set names of HTTP headers, such as X-My-Header",
        ),
        alone(
            {"kas_extra_allowed_response_headers": "X-One"},
            "kas_extra_allowed_response_headers is 'X-One', but gitlab_kas['extra_config_command'] in gitlab.rb is a"
            " command already; let that one print the headers, or remove it there",
            settings={"gitlab_kas": {"extra_config_command": "/usr/local/bin/mine"}},
        ),
        alone({"kas_extra_allowed_response_headers": "X-One"}, unreadable={"*": "line 5"}),
        alone(
            {"kas_extra_allowed_response_headers": "X-One"},
            "kas_extra_allowed_response_headers is 'X-One', but gitlab_kas['extra_config_command'] (line 5) is"
            " computed and cannot be read without running it; let that one print the headers, or remove it there",
            unreadable={"gitlab_kas['extra_config_command']": "line 5"},
        ),
    ],
    settings.raw: [
        alone(
            {"kas_settings": {"redis_host": "redis", "env": {}, "enable": False, "private_api_listen_address": ":1"}},
            "kas_settings.redis_host is set, but kas_redis.host is the variable for it; set that one",
            "kas_settings.env is set, but kas_env is the variable for it; set that one",
            "kas_settings.enable is set, but kas_enabled is the variable for it; set that one",
            "kas_settings.private_api_listen_address is set, but kas_private_api_listen_address is the variable for"
            " it; set that one",
        ),
        alone(
            {"kas_env": {"OWN_PRIVATE_API_URL": "grpc://kas1:8155", "A": None, "B": {"c": "d"}}},
            "kas_env.OWN_PRIVATE_API_URL is set, but kas_own_private_api_url is the variable for it; set that one",
            "kas_env.A is empty; set text",
            "kas_env.B is a mapping; set text",
        ),
    ],
    settings.standalone: [
        (
            {"kas1": {**KAS, "kas_standalone": True}, "rails1": RAILS},
            CIDR,
            [
                "kas1: kas_standalone is true, which turns the node's own Redis off, but kas_redis has neither host,"
                " socket nor sentinels; set where the Redis of GitLab is."
            ],
        ),
        (
            {"kas1": {**KAS, "kas_standalone": True}},
            {"kas_gitlab_address": "https://gitlab.example.com", "kas_redis": {"socket": "/run/redis.socket"}},
            [],
        ),
    ],
    settings.standalone_with_rails: [
        *(
            (
                {"kas1": KAS, "rails1": row},
                {**CIDR, "kas_standalone": True, "kas_redis": {"host": "redis"}, "kas_internal_url": "grpc://lb:8153"},
                [
                    "rails1: kas_standalone is true, but the host is in group gitlab_rails, and Rails would be turned"
                    " off; set it to false, or take the host out of that group."
                ],
            )
            for row in (RAILS, {})
        ),
    ],
    settings.unreachable: [
        (
            {"kas1": {}, "kas2": {"info": None, "unreachable": "timed out", "in_play": False}},
            {"kas_secrets_values": GIVEN, **CIDR},
            [
                "kas2: it is outside of this play and could not be compared with the others: it does not answer"
                " (timed out)."
            ],
        ),
        (
            {"kas1": {}, "kas2": {"info": {"blocking_errors": ["GitLab is not installed."]}, "in_play": False}},
            {"kas_secrets_values": GIVEN, **CIDR},
            ["kas2: it is outside of this play and could not be compared with the others: GitLab is not installed."],
        ),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_settings(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
