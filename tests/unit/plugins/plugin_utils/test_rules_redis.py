# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about Redis, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import redis
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    CIDR,
    KAS,
    RAILS,
    SENTINELS,
    TWO,
    alone,
    check,
    rows,
    version,
)

NO_NAME = "cannot be resolved (Name or service not known)"


def knows(*addresses, name, **info):
    """A node on which a name is this."""
    found = {"addresses": list(addresses), "problem": None if addresses else NO_NAME}
    return {"info": {"names": {name: found}, **info}}


def of_rails(**settings):
    return {"gitlab_rails": {f"redis_{key}": value for key, value in {"host": "redis.internal", **settings}.items()}}


def no_password(name="kas1", place="redis.internal:6379", whose="gitlab.rb"):
    return (
        f"{name}: KAS has no password for its Redis {place}, but gitlab_rails['redis_password'] in {whose} is set for"
        " the same one, and KAS takes over none of GitLab's settings once it has a host of its own, so it would not get"
        " ready; set kas_redis.password."
    )


HOST = {"kas_redis": {"host": "redis.internal"}}
PASSWORD = of_rails(password="********")

TABLES = {
    redis.password: [
        *(
            ({"kas1": {"info": {"settings": settings, **more}}}, variables, expected)
            for settings, variables, more, expected in (
                (PASSWORD, HOST, {}, [no_password()]),
                # in gitlab.rb by hand
                ({**PASSWORD, "gitlab_kas": {"redis_host": "redis.internal"}}, {}, {}, [no_password()]),
                (
                    of_rails(password="********", port=6380),
                    {"kas_redis": {"host": "redis.internal", "port": 6380}},
                    {},
                    [no_password(place="redis.internal:6380")],
                ),
                # it has one, or gets one
                (PASSWORD, {"kas_redis": {"host": "redis.internal", "password": "x"}}, {}, []),
                ({**PASSWORD, "gitlab_kas": {"redis_password": "********"}}, HOST, {}, []),
                (PASSWORD, HOST, {"unreadable": {"gitlab_kas['redis_password']": "line 3"}}, []),
                (PASSWORD, {**HOST, "kas_extra_config_command": "/usr/bin/secrets"}, {}, []),
                (PASSWORD, {}, {}, []),
                # another Redis, or not known
                (PASSWORD, {"kas_redis": {"host": "other.internal"}}, {}, []),
                (PASSWORD, {"kas_redis": {"host": "redis.internal", "port": 6380}}, {}, []),
                (PASSWORD, {"kas_redis": SENTINELS}, {}, []),
                ({**PASSWORD, "gitlab_kas": {"redis_host": "redis.internal", "redis_sentinels": [1]}}, {}, {}, []),
                # Redis asks for none, or for another user
                (of_rails(), HOST, {}, []),
                (of_rails(password=None), HOST, {}, []),
                (of_rails(), HOST, {"unreadable": {"gitlab_rails['redis_password']": "line 3"}}, []),
                (of_rails(password="********", username="rails"), HOST, {}, []),
                # a password that Redis does not ask for does no harm
                (of_rails(), {"kas_redis": {"host": "redis.internal", "password": "x"}}, {}, []),
            )
        ),
        # Rails runs elsewhere
        (
            {
                "kas1": {**KAS, "info": {"settings": {"external_url": "https://gitlab.example.com"}}},
                "rails1": {**RAILS, "info": {"settings": {"external_url": "https://gitlab.example.com", **PASSWORD}}},
            },
            {**HOST, "kas_internal_url": "grpc://lb:8153"},
            [no_password(whose="gitlab.rb of rails1")],
        ),
    ],
    redis.unknown: [
        (
            {"kas1": knows(name="redis.internal")},
            {"kas_redis": {"host": "redis.internal"}},
            [
                f"kas1: kas_redis.host is 'redis.internal', but on this node redis.internal {NO_NAME}, so KAS would not"
                " get ready; see that this node knows the name, or set an address."
            ],
        ),
        (
            {"kas1": knows(name="redis.internal", settings={"gitlab_rails": {"redis_host": "redis.internal"}})},
            {},
            [
                "kas1: gitlab_rails['redis_host'] in gitlab.rb is 'redis.internal', but on this node redis.internal"
                f" {NO_NAME}, so KAS would not get ready; see that this node knows the name, or set an address."
            ],
        ),
        ({"kas1": knows("10.0.0.9", name="redis.internal")}, {"kas_redis": {"host": "redis.internal"}}, []),
        (
            {"kas1": knows(name="s1")},
            {"kas_redis": SENTINELS},
            [
                f"kas1: kas_redis.sentinels[0].host is 's1', but on this node s1 {NO_NAME}, so KAS would not get ready;"
                " see that this node knows the name, or set an address."
            ],
        ),
        # one of them is enough
        ({"kas1": knows(name="s1")}, {"kas_redis": {**SENTINELS, "sentinels": [{"host": "s1"}, {"host": "s2"}]}}, []),
        alone({"kas_redis": {"host": "redis.internal"}}),
        alone({"kas_redis": {"host": "[fd00::9]"}}),
    ],
    redis.shared: [
        *(
            (
                {name: {"info": {"redis": True, "settings": settings}} for name in TWO},
                {**CIDR, "kas_redis": given},
                [
                    f"{name}: {said}, which is the node's own Redis, but KAS runs on several nodes, and finds the"
                    " agents of the others only in one that all share; set kas_redis to the Redis of GitLab."
                    for name in TWO
                ],
            )
            for given, settings, said in (
                ({"host": "localhost"}, {}, "kas_redis.host is 'localhost'"),
                ({"host": "127.0.0.1", "port": 6379}, {}, "kas_redis.host is '127.0.0.1'"),
                ({"host": "[::1]"}, {}, "kas_redis.host is '[::1]'"),
                ({"socket": "/run/redis.socket"}, {}, "kas_redis.socket is '/run/redis.socket'"),
                (
                    {},
                    {"gitlab_rails": {"redis_host": "127.0.0.1"}},
                    "gitlab_rails['redis_host'] in gitlab.rb is '127.0.0.1'",
                ),
                (
                    {},
                    {"gitlab_kas": {"redis_host": "localhost"}, "gitlab_rails": {"redis_host": "redis.internal"}},
                    "gitlab_kas['redis_host'] in gitlab.rb is 'localhost'",
                ),
            )
        ),
        (
            {name: {"info": {"redis": True}, "kas_redis": {"host": f"10.0.0.{name[-1]}"}} for name in TWO},
            CIDR,
            [
                f"{name}: kas_redis.host is '10.0.0.{name[-1]}', which is the node's own Redis, but KAS runs on several"
                " nodes, and finds the agents of the others only in one that all share; set kas_redis to the Redis of"
                " GitLab."
                for name in TWO
            ],
        ),
        (
            {name: knows("127.0.1.1", name="redis.internal", redis=True) for name in TWO},
            {**CIDR, "kas_redis": {"host": "redis.internal"}},
            [
                f"{name}: kas_redis.host is 'redis.internal', which is the node's own Redis, but KAS runs on several"
                " nodes, and finds the agents of the others only in one that all share; set kas_redis to the Redis of"
                " GitLab."
                for name in TWO
            ],
        ),
        # the node that runs it for all may call it so
        (
            {
                "kas1": knows("127.0.1.1", name="redis.internal", redis=True),
                "kas2": knows("10.0.0.1", name="redis.internal", redis=True),
            },
            {**CIDR, "kas_redis": {"host": "redis.internal"}},
            [],
        ),
        *(
            ({name: {"info": {"redis": True, **info}} for name in TWO}, {**CIDR, "kas_redis": given}, [])
            for given, info in (
                ({"host": "10.0.0.1"}, {}),
                ({"host": "localhost"}, {"redis": False}),
                (SENTINELS, {}),
                ({}, {"settings": {"gitlab_rails": {"redis_host": "redis.internal"}}}),
                ({}, {"settings": {"gitlab_rails": {"redis_sentinels": [{"host": "localhost"}]}}}),
                ({}, {"unreadable": {"gitlab_rails['redis_host']": "line 3"}}),
                ({}, {"unreadable": {"*": "line 3"}}),
                ({}, {"settings": {"gitlab_rails": {"redis_host": "not a host"}}}),
            )
        ),
        ({"kas1": {"info": {"redis": True}}}, {"kas_redis": {"host": "localhost"}}, []),
        (
            {"kas1": {"info": {"redis": True}}, "kas2": {"kas_redis": {"host": "10.0.0.1"}, "info": {"redis": True}}},
            {**CIDR, "kas_redis": {"host": "localhost"}},
            [],
        ),
    ],
    redis.on_each_node: [
        (
            {name: {"info": {"redis": True}} for name in TWO},
            CIDR,
            [
                f"{name}: no Redis is set, neither kas_redis nor gitlab_rails['redis_host'] in gitlab.rb, so KAS uses"
                " the node's own, but it runs on several nodes, and finds the agents of the others only in one that all"
                " share; set kas_redis to the Redis of GitLab."
                for name in TWO
            ],
        ),
        ({"kas1": {"info": {"redis": True}}, "kas2": {"info": {"redis": False}}}, CIDR, []),
        ({"kas1": {"info": {"redis": True}}}, {}, []),
    ],
    redis.to_come: [
        *(
            (
                {
                    "kas1": KAS,
                    "kas2": KAS,
                    "rails1": {**RAILS, "info": {"configured": is_configured}, "in_play": in_play},
                },
                {**CIDR, "kas_redis": {"host": redis}, "kas_serial": serial, "kas_internal_url": "grpc://lb:8153"},
                [
                    f"kas{n}: kas_redis.host is '{redis}', which is rails1, but GitLab was never reconfigured there,"
                    " and KAS would wait for a Redis that is not there; run gitlab-ctl reconfigure there first, or"
                    " set kas_serial to '100%'."
                    for n in refused
                ],
            )
            for redis, is_configured, in_play, serial, refused in (
                ("10.0.0.3", False, True, "1", (1, 2)),
                ("rails1", False, True, "2", (1, 2)),
                ("rails1", False, True, "34%", (1, 2)),
                ("rails1", False, False, "100%", (1, 2)),
                ("10.0.0.3", False, True, "100%", ()),
                ("10.0.0.3", False, True, "3", ()),
                ("10.0.0.3", True, True, "1", ()),
                ("10.9.9.9", False, True, "1", ()),
            )
        ),
        (
            {
                "kas0": {**KAS, "kas_state": "absent"},
                "kas1": KAS,
                "rails1": {**RAILS, "info": {"configured": False}},
            },
            {**CIDR, "kas_redis": {"host": "rails1"}, "kas_serial": "2"},
            [
                "kas1: kas_redis.host is 'rails1', which is rails1, but GitLab was never reconfigured there, and KAS"
                " would wait for a Redis that is not there; run gitlab-ctl reconfigure there first, or set kas_serial"
                " to '100%'."
            ],
        ),
    ],
    redis.settings: [
        *(
            ({"kas1": version("19.3.0")}, {"kas_redis": redis}, [f"kas1: {sentence}." for sentence in sentences])
            for redis, *sentences in (
                ({"host": "redis", "port": 6380, "username": "kas", "password": "secret"},),
                ({"host": "[fd00::1]"},),
                ({"socket": "/run/redis.socket"},),
                ({**SENTINELS, "host": "redis", "sentinels_password": "secret"},),
                ({"username": "kas", "password": "secret"},),
                ({"ssl": True},),
                ({**SENTINELS, "sentinels_ssl": True, "sentinels_tls_ca_cert_file": "/ca.pem"},),
                (
                    {"socket": "/run/redis.socket", "host": "redis", "ssl": True, **SENTINELS},
                    "kas_redis.socket is '/run/redis.socket', and kas_redis.host is 'redis'; set only one of them",
                    "kas_redis.socket is '/run/redis.socket', and kas_redis.sentinels is a list; set only one of them",
                    "kas_redis.socket is '/run/redis.socket', and kas_redis.ssl is true; set only one of them",
                ),
                ({"port": 6380}, "kas_redis.port is 6380, but kas_redis.host is not set; set both"),
                (
                    {"sentinels": [{"host": "s1"}]},
                    "kas_redis.sentinels is set, but kas_redis.sentinels_master_name is not; set the name by which"
                    " the Sentinels know Redis, such as gitlab-redis",
                ),
                *(
                    (
                        redis,
                        f"{place}.host is '{address}', but the Linux package puts the port behind it; set a name or an"
                        f" address, one of IPv6 in brackets, and the port as {place}.port",
                    )
                    for redis, place, address in (
                        ({"host": "redis:6380"}, "kas_redis", "redis:6380"),
                        ({"host": "fd00::1"}, "kas_redis", "fd00::1"),
                        ({"host": "[fd00::1]:6380"}, "kas_redis", "[fd00::1]:6380"),
                        (
                            {**SENTINELS, "sentinels": [{"host": "s1"}, {"host": "s2:26379"}]},
                            "kas_redis.sentinels[1]",
                            "s2:26379",
                        ),
                    )
                ),
                *(
                    (
                        {**place, ssl: True, f"{prefix}client_{given}_file": "/a.pem"},
                        f"kas_redis.{prefix}client_{given}_file is '/a.pem', but"
                        f" kas_redis.{prefix}client_{missing}_file is not set; set both",
                    )
                    for place, ssl, prefix in (
                        ({"host": "redis"}, "ssl", "tls_"),
                        (SENTINELS, "sentinels_ssl", "sentinels_tls_"),
                    )
                    for given, missing in (("cert", "key"), ("key", "cert"))
                ),
                (
                    {"host": "redis", "tls_ca_cert_file": "/ca.pem", "ssl": False},
                    "kas_redis.tls_ca_cert_file is '/ca.pem', but kas_redis.ssl is not true, without which KAS does"
                    " not use it; set it to true, or leave the file out",
                ),
                (
                    {**SENTINELS, "ssl": True, "sentinels_tls_ca_cert_file": "/ca.pem"},
                    "kas_redis.sentinels_tls_ca_cert_file is '/ca.pem', but kas_redis.sentinels_ssl is not true,"
                    " without which KAS does not use it; set it to true, or leave the file out",
                ),
            )
        ),
    ],
    redis.tls_to_ipv6: [
        *(
            (
                {"kas1": version("19.3.0")},
                {"kas_redis": {"host": address, "ssl": True, **more}},
                [
                    f"kas1: kas_redis.host is '{address}', and kas_redis.ssl is true, but KAS was seen not to verify"
                    " the certificate of an IPv6 address, so it may end when it starts; set a name that is in the"
                    " certificate of Redis."
                ]
                if is_told
                else [],
            )
            for address, more, is_told in (
                ("[fd00::1]", {}, True),
                ("10.0.0.1", {}, False),
                ("redis.internal", {}, False),
                ("[fd00::1]", {"ssl": False}, False),
                ("[fd00::1]", SENTINELS, False),
            )
        ),
        alone(
            {},
            "gitlab_rails['redis_host'] is '[fd00::1]', and gitlab_rails['redis_ssl'] is true, but KAS was seen not"
            " to verify the certificate of an IPv6 address, so it may end when it starts; set a name that is in the"
            " certificate of Redis",
            settings={"gitlab_rails": {"redis_host": "[fd00::1]", "redis_ssl": True}},
        ),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_redis(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
