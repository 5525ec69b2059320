# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that are refused, and those that earn a warning: inventory and variables in, sentences out."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import fingerprint
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _rules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import make_plan

KAS = {"in": "k"}
RAILS = {"in": "r"}
TWO = {"kas1": {}, "kas2": {}}
CIDR = {"kas_own_private_api_cidr": "10.0.0.0/8"}
TLS = {
    "kas_private_api_certificate": "/etc/gitlab/kas.crt",
    "kas_private_api_key": "/etc/gitlab/kas.key",
    "kas_own_private_api_host": "kas.internal",
}
ADDRESSES = "127.0.0.1, 10.0.0.1, ::1, fd00::1, fe80::1"
LONG = "/var/opt/gitlab/" + 80 * "k"
SECRET = base64.b64encode(32 * b"s").decode()
SHORT = base64.b64encode(5 * b"s").decode()


AGENT_TLS = {"kas_certificate": "/etc/gitlab/kas.crt", "kas_key": "/etc/gitlab/kas.key"}
PROXY_TLS = {"kas_kubernetes_api_certificate": "/etc/gitlab/kas.crt", "kas_kubernetes_api_key": "/etc/gitlab/kas.key"}
WEBSOCKET_SECRET = base64.b64encode(72 * b"s").decode()
URL = "https://gitlab.example.com"
GIT_DATA_DIRS = {"external_url": URL, "git_data_dirs": {"default": {"path": "/mnt/nas"}}}
SENTINELS = {"sentinels": [{"host": "s1"}], "sentinels_master_name": "gitlab-redis"}


NO_NAME = "cannot be resolved (Name or service not known)"
NO_ADDRESS = "cannot be listened on (Cannot assign requested address)"


def found(address, problem=None, host="kas1.internal"):
    """A node where this becomes of a listener's host."""
    return {"info": {"listen_hosts": {host: {"address": address, "problem": problem}}}}


def version(text):
    return {"info": {"gitlab_version": text}}


def unreadable(**more):
    """A host whose external_url only running its gitlab.rb would tell."""
    return {"info": {"settings": {}, "unreadable": {"external_url": "line 3"}}, **more}


def computed(name):
    found = {"fingerprint": None, "source": "gitlab.rb", "problem": None, "computed": "line 7"}
    return {"info": {"secrets": {name: found}}}


def secret(problem=None, value=SECRET, source="gitlab.rb"):
    found = {"fingerprint": fingerprint(value), "source": source, "problem": problem}
    return {"info": {"secrets": {"api_secret_key": found}}, "secrets": {"api_secret_key": value}}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            {"rails1": RAILS},
            ["rails1: the inventory's group gitlab_kas has no host; put the nodes that run KAS into it."],
        ),
        (
            {"kas1": {}, "web1": {"in": ""}},
            [
                "web1: it is neither in group gitlab_kas nor in gitlab_rails; put it into one of them, or leave it out"
                " of the play."
            ],
        ),
        (
            {"kas1": {}, "kas2": {"info": None, "unreachable": "Could not resolve hostname kas2."}},
            [
                "kas2: this host of group gitlab_kas and gitlab_rails does not answer (Could not resolve hostname"
                " kas2); correct its name or address in the inventory, or take it out of the group."
            ],
        ),
        (
            {
                "kas1": {"info": {"blocking_errors": ["GitLab is not installed; install it.", "Another one."]}},
                "kas2": {},
            },
            ["kas1: GitLab is not installed; install it.", "kas1: Another one."],
        ),
        ({"kas1": {}, "kas2": {"info": None, "in_play": False}}, []),
        ({"kas1": {}, "kas2": {"info": {"blocking_errors": ["Unhealthy."]}, "in_play": False}}, []),
    ],
)
def test_node_refusals(rows, expected, hosts_of):
    assert list(map(str, _rules.node_refusals(hosts_of(rows)))) == expected


REFUSALS = [
    # nothing but KAS on a node
    (
        {"kas1": {**KAS, "kas_standalone": True}, "rails1": RAILS},
        CIDR,
        [
            "kas1: kas_standalone is true, which turns the node's own Redis off, but kas_redis has neither host, socket"
            " nor sentinels; set where the Redis of GitLab is."
        ],
    ),
    (
        {"kas1": {**KAS, "kas_standalone": True, "kas_redis": SENTINELS}},
        CIDR,
        [
            "kas1: kas_standalone is true, but kas_gitlab_address is not set, and no host of group gitlab_rails has an"
            " external_url to derive it from; set where KAS reaches GitLab, such as https://gitlab.example.com."
        ],
    ),
    *(
        (
            {"kas1": KAS, "rails1": row},
            {**CIDR, "kas_standalone": True, "kas_redis": {"host": "redis"}, "kas_internal_url": "grpc://lb:8153"},
            [
                "rails1: kas_standalone is true, but the host is in group gitlab_rails, and Rails would be turned off;"
                " set it to false, or take the host out of that group."
            ],
        )
        for row in (RAILS, {})
    ),
    (
        {"kas1": {**KAS, "kas_standalone": True}},
        {"kas_gitlab_address": "https://gitlab.example.com", "kas_redis": {"socket": "/run/redis.socket"}},
        [],
    ),
    # Redis
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
                "kas_redis.sentinels is set, but kas_redis.sentinels_master_name is not; set the name by which the"
                " Sentinels know Redis, such as gitlab-redis",
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
                    f"kas_redis.{prefix}client_{given}_file is '/a.pem', but kas_redis.{prefix}client_{missing}_file is"
                    " not set; set both",
                )
                for place, ssl, prefix in (
                    ({"host": "redis"}, "ssl", "tls_"),
                    (SENTINELS, "sentinels_ssl", "sentinels_tls_"),
                )
                for given, missing in (("cert", "key"), ("key", "cert"))
            ),
            (
                {"host": "redis", "tls_ca_cert_file": "/ca.pem", "ssl": False},
                "kas_redis.tls_ca_cert_file is '/ca.pem', but kas_redis.ssl is not true, without which KAS does not use"
                " it; set it to true, or leave the file out",
            ),
            (
                {**SENTINELS, "ssl": True, "sentinels_tls_ca_cert_file": "/ca.pem"},
                "kas_redis.sentinels_tls_ca_cert_file is '/ca.pem', but kas_redis.sentinels_ssl is not true, without"
                " which KAS does not use it; set it to true, or leave the file out",
            ),
        )
    ),
    (
        {"kas1": version("18.7.2-ee.0")},
        {"kas_redis": {**SENTINELS, "sentinels_ssl": True}},
        [
            "kas1: kas_redis.sentinels_ssl is true, which GitLab 18.7.2-ee.0 does not know; leave it out, or install"
            " 18.8.0 or later."
        ],
    ),
    # UNIX sockets
    (
        TWO,
        {"kas_unix_sockets": True},
        [
            "kas1: kas_unix_sockets is true, but the other KAS nodes (kas2) cannot reach a UNIX socket; set it to"
            " false.",
            "kas2: kas_unix_sockets is true, but the other KAS nodes (kas1) cannot reach a UNIX socket; set it to"
            " false.",
        ],
    ),
    (
        {"kas1": {}},
        {"kas_unix_sockets": True, **CIDR},
        ["kas1: kas_unix_sockets is true, and kas_own_private_api_cidr is '10.0.0.0/8'; set only one of them."],
    ),
    (
        {"kas1": {}},
        {"kas_unix_sockets": True, "kas_socket_dir": LONG},
        [
            f"kas1: kas_socket_dir makes the socket path '{LONG[:80]}…' of 115 bytes, but the path of a UNIX socket"
            " holds at most 107; set a shorter one.",
            f"kas1: kas_socket_dir makes the socket path '{LONG[:80]}…' of 116 bytes, but the path of a UNIX socket"
            " holds at most 107; set a shorter one.",
        ],
    ),
    ({"kas1": {}}, {"kas_unix_sockets": True, "kas_socket_dir": LONG[:87]}, []),
    (
        {"kas1": {}},
        {"kas_internal_api_listen_address": LONG + 20 * "k", "kas_internal_api_listen_network": "unix"},
        [
            f"kas1: kas_internal_api_listen_address makes the socket path '{LONG[:80]}…' of 116 bytes, but the path"
            " of a"
            " UNIX socket holds at most 107; set a shorter one."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_internal_api_listen_address": "/run/kas.socket"},
        [
            "kas1: kas_internal_api_listen_network is '', and kas_internal_api_listen_address is '/run/kas.socket'; set"
            " network unix with the path of a socket, or another one with ADDRESS:PORT."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_private_api_listen_address": ":8155", "kas_private_api_listen_network": "unix"},
        [
            "kas1: kas_private_api_listen_network is 'unix', and kas_private_api_listen_address is ':8155'; set"
            " network unix with the path of a socket, or another one with ADDRESS:PORT.",
            "kas1: kas_private_api_listen_address is ':8155', but 'unix://:8155' is not the URL of a private API; give"
            " grpc://HOST:PORT, grpcs://HOST:PORT or unix:///PATH, with an IPv6 address in brackets.",
        ],
    ),
    (
        {"kas1": {}},
        {"kas_listen_address": "/run/kas.socket"},
        ["kas1: kas_listen_address is '/run/kas.socket', but it takes no UNIX socket; set ADDRESS:PORT."],
    ),
    (
        {"kas1": {}},
        {"kas_private_api_listen_address": "[fd00::1]:8155"},
        [
            "kas1: kas_private_api_listen_address is '[fd00::1]:8155', but the Linux package writes it into YAML"
            " without"
            " quotes, where it is no text; set ':8155', or a name and the port."
        ],
    ),
    # own URL: one way
    (
        {"kas1": {}},
        {"kas_own_private_api_url": "grpc://kas1:8155", **CIDR},
        [
            "kas1: kas_own_private_api_url is 'grpc://kas1:8155', and kas_own_private_api_cidr is '10.0.0.0/8'; set"
            " only one of them."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_url": "grpc://kas1:8155", "kas_own_private_api_discovery": "cidr"},
        [
            "kas1: kas_own_private_api_discovery is 'cidr', and kas_own_private_api_url is 'grpc://kas1:8155'; set only"
            " one of them."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_discovery": "cidr"},
        ["kas1: kas_own_private_api_discovery is 'cidr', and kas_own_private_api_cidr is not set; set it."],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_discovery": "listener", **CIDR},
        [
            "kas1: kas_own_private_api_discovery is 'listener', and kas_own_private_api_cidr is '10.0.0.0/8'; set"
            " discovery to 'url' or 'cidr', or leave the CIDR out."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_url": "grpc://kas1/"},
        [
            "kas1: kas_own_private_api_url is 'grpc://kas1/', which has no port; set it with one, such as"
            " 'grpc://kas1:8155'."
        ],
    ),
    (
        {"kas1": {}},
        {**CIDR, "kas_own_private_api_discovery": "cidr", "kas_own_private_api_query": "[eth1.ipv4.address]"},
        [
            "kas1: kas_own_private_api_discovery is 'cidr', and kas_own_private_api_query is '[eth1.ipv4.address]',"
            " which KAS does not use; set discovery to 'url', or leave the query out."
        ],
    ),
    # own URL: exactly one address
    (
        {"kas1": {}},
        {"kas_own_private_api_cidr": "192.0.2.0/24"},
        [
            f"kas1: kas_own_private_api_cidr is '192.0.2.0/24', but none of the host's addresses ({ADDRESSES}) lies in"
            " 192.0.2.0/24; set kas_own_private_api_cidr to a network that contains one of them, or set"
            " kas_own_private_api_url."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_cidr": "10.0.0.0/8,fd00::/8"},
        [
            "kas1: kas_own_private_api_cidr is '10.0.0.0/8,fd00::/8', but several of the host's addresses lie in"
            " 10.0.0.0/8, fd00::/8 (10.0.0.1, fd00::1), but one URL takes one; set kas_own_private_api_cidr to a"
            " network that contains exactly one of them, or set kas_own_private_api_url."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_cidr": "10.0.0.0"},
        [
            "kas1: kas_own_private_api_cidr is '10.0.0.0', but '10.0.0.0' in cidr is not a network; give an address and"
            " a prefix length, such as 10.0.0.0/8 or fd00::/8."
        ],
    ),
    (
        {"kas1": {}, "kas2": {"info": {"addresses": ["::1", "10.0.0.2"]}}},
        {},
        [
            "kas1: kas_own_private_api_cidr is not set, and the host has several addresses (10.0.0.1, fd00::1), but its"
            " own URL takes one; set kas_own_private_api_cidr to a network that contains exactly one of them, or set"
            " kas_own_private_api_url."
        ],
    ),
    (
        {"kas1": {"candidates": []}, "kas2": {"kas_own_private_api_url": "grpc://kas2:8155"}},
        {},
        [
            "kas1: kas_own_private_api_cidr is not set, but a listener on tcp :8155 leaves KAS nothing to publish of"
            " the host's addresses (none known), loopback and link-local ones not counted; set"
            " kas_own_private_api_cidr or kas_own_private_api_url."
        ],
    ),
    # own URL: reachable for the others, and different
    (
        {"kas1": {"kas_own_private_api_url": "grpc://localhost:8155"}, "kas2": CIDR},
        {},
        [
            "kas1: kas_own_private_api_url is 'grpc://localhost:8155', which makes its own private API URL"
            " grpc://localhost:8155; it is a loopback name, so the other KAS nodes cannot reach it; set"
            " kas_own_private_api_cidr to a network that they reach, or set kas_own_private_api_url."
        ],
    ),
    (
        TWO,
        {"kas_own_private_api_cidr": "fe80::/10"},
        [
            "kas1: kas_own_private_api_cidr is 'fe80::/10', which makes its own private API URL grpc://[fe80::1]:8155;"
            " it is a link-local address, so the other KAS nodes cannot reach it; set kas_own_private_api_cidr to"
            " a network that they reach, or set kas_own_private_api_url.",
            "kas2: kas_own_private_api_cidr is 'fe80::/10', which makes its own private API URL grpc://[fe80::1]:8155;"
            " it is a link-local address, so the other KAS nodes cannot reach it; set kas_own_private_api_cidr to"
            " a network that they reach, or set kas_own_private_api_url.",
            "kas2: kas_own_private_api_cidr is 'fe80::/10', which makes its own private API URL grpc://[fe80::1]:8155,"
            " but kas1 has the same; set another one for each node.",
        ],
    ),
    (
        TWO,
        {"kas_own_private_api_url": "grpc://kas.internal:8155"},
        [
            "kas2: kas_own_private_api_url is 'grpc://kas.internal:8155', which makes its own private API URL"
            " grpc://kas.internal:8155, but kas1 has the same; set another one for each node."
        ],
    ),
    (
        {"kas1": {"kas_private_api_listen_address": "127.0.0.1:8155"}, "kas2": {}},
        CIDR,
        [
            "kas1: kas_private_api_listen_address is '127.0.0.1:8155', which is a loopback address, so the other KAS"
            " nodes cannot reach it; set 0.0.0.0:8155, or an address that they reach."
        ],
    ),
    (
        {"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found("127.0.1.1")}, "kas2": {}},
        CIDR,
        [
            "kas1: kas_private_api_listen_address is 'kas1.internal:8155', but on this node that name is 127.0.1.1, so"
            " the other nodes cannot reach it; give the name another address there (/etc/hosts), or set"
            " 0.0.0.0:8155."
        ],
    ),
    ({"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found("127.0.1.1")}}, {}, []),
    ({"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found("10.0.0.1")}, "kas2": {}}, CIDR, []),
    (
        {"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found(None, NO_NAME)}, "kas2": {}},
        CIDR,
        [
            "kas1: kas_private_api_listen_address is 'kas1.internal:8155', but on this node kas1.internal cannot be"
            " resolved (Name or service not known), so KAS would not start; see that this node knows the name, or set"
            " an address, or a wildcard, such as 0.0.0.0:8155."
        ],
    ),
    (
        {"kas1": {"kas_listen_address": "kas1.internal:8150", **found("10.0.0.2", NO_ADDRESS)}},
        {},
        [
            "kas1: kas_listen_address is 'kas1.internal:8150', but on this node kas1.internal is 10.0.0.2, which cannot"
            " be listened on (Cannot assign requested address), so KAS would not start; set one that this node has, or"
            " a wildcard, such as 0.0.0.0:8150."
        ],
    ),
    (
        {"kas1": {"kas_internal_api_listen_address": "10.0.0.2:8153", **found("10.0.0.2", NO_ADDRESS, "10.0.0.2")}},
        {},
        [
            "kas1: kas_internal_api_listen_address is '10.0.0.2:8153', but on this node 10.0.0.2 cannot be listened on"
            " (Cannot assign requested address), so KAS would not start; set one that this node has, or a wildcard,"
            " such as 0.0.0.0:8153."
        ],
    ),
    (
        {
            "kas1": {"kas_private_api_listen_address": "/run/kas.socket", "kas_private_api_listen_network": "unix"},
            "kas2": CIDR,
        },
        {},
        [
            "kas1: kas_private_api_listen_address is '/run/kas.socket', but the other KAS nodes cannot reach a UNIX"
            " socket; set ADDRESS:PORT."
        ],
    ),
    (
        {"kas1": {"kas_private_api_listen_address": "192.0.2.1:8155"}, "kas2": {}},
        CIDR,
        [
            "kas1: kas_private_api_listen_address is '192.0.2.1:8155', but kas_own_private_api_cidr '10.0.0.0/8' makes"
            " 10.0.0.1 its own address; set an address of the same network, or leave the listen address out."
        ],
    ),
    ({"kas1": {"kas_private_api_listen_address": "10.0.0.1:8155"}, "kas2": {}}, CIDR, []),
    (
        {"kas1": {"kas_private_api_listen_network": "tcp6"}, "kas2": {"kas_private_api_listen_network": "tcp4"}},
        CIDR,
        [
            "kas1: kas_private_api_listen_network is 'tcp6', but kas_own_private_api_cidr is '10.0.0.0/8', which makes"
            " its own private API URL grpc://10.0.0.1:8155, where it would not listen; leave the network out, or set a"
            " URL or CIDR that fits it."
        ],
    ),
    ({"kas1": {"kas_own_private_api_url": "grpc://localhost:8155"}}, {}, []),
    # versions
    (
        {"kas1": version("16.4.1-ee.0")},
        {**CIDR, "kas_own_private_api_discovery": "cidr"},
        [
            "kas1: kas_own_private_api_discovery is 'cidr', which GitLab 16.4.1-ee.0 does not know; set it to 'url', or"
            " install 16.5.0 or later."
        ],
    ),
    ({"kas1": version("16.4.1")}, CIDR, []),
    (
        {"kas1": {**version("17.7.0"), "candidates": ["10.0.0.1"]}},
        {"kas_own_private_api_cidr": "10.0.0.0/8,fd00::/8", "kas_own_private_api_discovery": "cidr"},
        [
            "kas1: kas_own_private_api_cidr is '10.0.0.0/8,fd00::/8', which GitLab 17.7.0 does not know; set one CIDR,"
            " or install 17.8.1 or later."
        ],
    ),
    (
        {"kas1": version("17.7.0")},
        {"kas_own_private_api_discovery": "listener"},
        [
            "kas1: kas_own_private_api_discovery is 'listener', which GitLab 17.7.0 does not know; set"
            " kas_private_api_listen_address to one address, or discovery to 'url', or install 17.8.1 or later."
        ],
    ),
    (
        {"kas1": {**version("17.7.0"), "kas_private_api_listen_address": "10.0.0.1:8155"}},
        {"kas_own_private_api_discovery": "listener"},
        [],
    ),
    (
        {"kas1": version("17.9.0")},
        {"kas_own_private_api_discovery": "cidr", **CIDR},
        [
            "kas1: kas_own_private_api_discovery is 'cidr', with which KAS of GitLab 17.9.0 does not start; set it to"
            " 'url', or install another version."
        ],
    ),
    (
        {"kas1": version("17.8.0"), "kas2": {**version("17.9.0"), "kas_own_private_api_url": "grpc://kas2:8155"}},
        {"kas_own_private_api_url": "grpc://kas1.internal:8155"},
        [
            "kas1: kas_own_private_api_url is 'grpc://kas1.internal:8155', but KAS of GitLab 17.8.0 does not start with"
            " a name in its own URL; set an address instead of kas1.internal, or install 17.8.1 or later."
        ],
    ),
    (
        {"kas1": version("17.8.0")},
        {"kas_private_api_listen_address": "localhost:9155"},
        [
            "kas1: kas_private_api_listen_address is 'localhost:9155', but KAS of GitLab 17.8.0 does not start with a"
            " name in its own URL; set an address instead of localhost, or install 17.8.1 or later."
        ],
    ),
    ({"kas1": version("17.8.0")}, {"kas_unix_sockets": True}, []),
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
                    " kas_private_api_listen_address, which is '10.0.0.1:8155'; leave the port out, or install 17.8.1"
                    " or later."
                ],
            ),
            ("17.7.0", 8155, []),
            ("17.8.1", 9155, []),
        )
    ),
    # what the package of a release hands to KAS
    *(
        ({"kas1": version(installed)}, extra, [f"kas1: {sentence}." for sentence in sentences])
        for installed, extra, *sentences in (
            (
                "14.7.9",
                AGENT_TLS,
                "kas_certificate is '/etc/gitlab/kas.crt', which GitLab 14.7.9 does not know; leave it out, or install"
                " 14.8.0 or later",
                "kas_key is '/etc/gitlab/kas.key', which GitLab 14.7.9 does not know; leave it out, or install 14.8.0"
                " or later",
            ),
            ("14.8.0", {**AGENT_TLS, "kas_listen_address": ":8150"}),
            (
                "16.5.1",
                {"kas_redis": {"host": "redis", "password": "secret"}},
                "kas_redis.host is 'redis', which GitLab 16.5.1 does not know; leave it out, or install 16.6.0 or"
                " later",
                "kas_redis.password is set, which GitLab 16.5.1 does not know; leave it out, or install 16.6.0 or"
                " later",
            ),
            ("16.6.0", {"kas_redis": {"host": "redis", "password": "secret"}}),
            (
                "16.7.4",
                {"kas_extra_config_command": "/bin/kas"},
                "kas_extra_config_command is '/bin/kas', which GitLab 16.7.4 does not know; leave it out, or install"
                " 16.8.0 or later",
            ),
            ("16.8.0", {"kas_extra_config_command": "/bin/kas"}),
            (
                "16.10.9",
                {"kas_grpc_log_level": "warn"},
                "kas_grpc_log_level is 'warn', which GitLab 16.10.9 does not know; leave it out, or install 16.11.0 or"
                " later",
            ),
            ("16.11.0", {"kas_grpc_log_level": "warn"}),
            ("17.6.9", {"kas_secrets_values": {"websocket_token_secret_key": WEBSOCKET_SECRET}}),
            (
                "19.2.9",
                {"kas_redis": {"username": "kas", "password": "secret"}},
                "kas_redis.username is 'kas', which GitLab 19.2.9 does not know, so KAS would log in to Redis as"
                " default, with this user's password; leave it out and set kas_redis.password to the password of"
                " default, or install 19.3.0 or later",
            ),
            (None, {"kas_redis": {"username": "kas", "password": "secret"}}),
        )
    ),
    # releases in which KAS does not start
    (
        {
            "kas1": version("18.0.0-ee.0"),
            "kas2": version("18.0.1"),
            "kas3": {**version("18.0.0"), "in_play": False},
            "kas4": {**KAS, **version("18.0.0"), "kas_enabled": False},
        },
        CIDR,
        [
            "kas1: KAS of GitLab 18.0.0-ee.0 does not start, since the package itself gives it agent.gitops; install"
            " 18.0.1 or later."
        ],
    ),
    # what reconfigure ends on
    *(
        (
            {
                "kas1": {"info": {"gitlab_version": installed, "settings": GIT_DATA_DIRS}},
                "rails1": {**RAILS, "info": {"gitlab_version": installed, "settings": GIT_DATA_DIRS}},
                "rails2": {**RAILS, "in_play": False, "info": {"settings": GIT_DATA_DIRS}},
            },
            {"kas_own_private_api_url": "grpc://10.0.0.1:8155", "kas_standalone": False},
            [
                f"{host}: git_data_dirs is set in gitlab.rb, with which GitLab {installed} refuses to reconfigure; set"
                " gitaly['configuration'] with its storage there instead."
                for host in refused
            ],
        )
        for installed, refused in (("17.11.7", []), ("18.0.1", ["kas1", "rails1"]), (None, []))
    ),
    ({"kas1": {"info": {"unreadable": {"git_data_dirs": "line 3"}}}}, {}, []),
    ({"kas1": version(None)}, TLS, []),
    # TLS
    (
        {"kas1": {}},
        {**TLS, "kas_private_api_key": ""},
        ["kas1: kas_private_api_certificate is '/etc/gitlab/kas.crt', but kas_private_api_key is not set; set both."],
    ),
    (
        {"kas1": {}},
        {"kas_internal_api_key": "/etc/gitlab/kas.key"},
        ["kas1: kas_internal_api_key is '/etc/gitlab/kas.key', but kas_internal_api_certificate is not set; set both."],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_scheme": "grpcs"},
        ["kas1: kas_own_private_api_scheme is 'grpcs', but kas_private_api_certificate is not set; set both, or grpc."],
    ),
    (
        {"kas1": {}},
        {"kas_own_private_api_url": "grpcs://kas1:8155"},
        [
            "kas1: kas_own_private_api_url is 'grpcs://kas1:8155', but kas_private_api_certificate is not set; set"
            " both,"
            " or grpc."
        ],
    ),
    (
        {"kas1": {}},
        {**TLS, "kas_own_private_api_scheme": "grpc"},
        [
            "kas1: kas_own_private_api_scheme is 'grpc', but kas_private_api_certificate is '/etc/gitlab/kas.crt'; set"
            " grpcs, or leave TLS out."
        ],
    ),
    (
        {"kas1": {}},
        {**TLS, "kas_own_private_api_host": ""},
        [
            "kas1: kas_private_api_certificate is '/etc/gitlab/kas.crt', but kas_own_private_api_host is not set,"
            " without which KAS does not start; set the name that the certificates of all KAS nodes share."
        ],
    ),
    # What KAS lets through, and what it waits for
    (
        {"kas1": {}},
        {"kas_extra_allowed_response_headers": "X-One,X Two", "kas_extra_config_command": "/bin/true"},
        [
            "kas1: kas_extra_allowed_response_headers is 'X-One,X Two', and kas_extra_config_command is '/bin/true';"
            " set only one of them, and let the command print the headers, too.",
            "kas1: kas_extra_allowed_response_headers holds 'X Two'; set names of HTTP headers, such as X-My-Header.",
        ],
    ),
    (
        {"kas1": {"info": {"settings": {"gitlab_kas": {"extra_config_command": "/usr/local/bin/mine"}}}}},
        {"kas_extra_allowed_response_headers": "X-One"},
        [
            "kas1: kas_extra_allowed_response_headers is 'X-One', but gitlab_kas['extra_config_command'] in gitlab.rb"
            " is a command already; let that one print the headers, or remove it there."
        ],
    ),
    (
        {"kas1": version("18.2.9")},
        {"kas_extra_allowed_response_headers": "X-One"},
        [
            "kas1: kas_extra_allowed_response_headers is 'X-One', which GitLab 18.2.9 does not know; leave it out, or"
            " install 18.3.0 or later."
        ],
    ),
    *(
        (
            {"kas1": KAS, "kas2": KAS, "rails1": {**RAILS, "info": {"configured": is_configured}, "in_play": in_play}},
            {**CIDR, "kas_redis": {"host": redis}, "kas_serial": serial, "kas_internal_url": "grpc://lb:8153"},
            [
                f"kas{n}: kas_redis.host is '{redis}', which is rails1, but GitLab was never reconfigured there, and"
                " KAS would wait for a Redis that is not there; run gitlab-ctl reconfigure there first, or set"
                " kas_serial to"
                " '100%'."
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
    # An absent node has its turn in a batch, too.
    (
        {
            "kas0": {**KAS, "kas_state": "absent"},
            "kas1": KAS,
            "rails1": {**RAILS, "info": {"configured": False}},
        },
        {**CIDR, "kas_redis": {"host": "rails1"}, "kas_serial": "2"},
        [
            "kas1: kas_redis.host is 'rails1', which is rails1, but GitLab was never reconfigured there, and KAS would"
            " wait for a Redis that is not there; run gitlab-ctl reconfigure there first, or set kas_serial to '100%'."
        ],
    ),
    # URLs for agents, users and Rails
    (
        {"kas1": {}},
        {"kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent"},
        [
            "kas1: kas_external_url is 'wss://gitlab.example.com/-/kubernetes-agent', and GitLab would redirect it to"
            " its path with a slash; set 'wss://gitlab.example.com/-/kubernetes-agent/'."
        ],
    ),
    ({"kas1": {}}, {"kas_external_url": "wss://kas.gitlab.example.com"}, []),
    *(
        (
            {"kas1": {"info": {"settings": {"external_url": f"https://gitlab.example.com{path}"}}}},
            {"kas_external_url": url, **more},
            [
                f"kas1: kas_external_url is '{url}', but on the host of external_url 'https://gitlab.example.com{path}'"
                f" nginx passes only {path}/-/kubernetes-agent/ to KAS; set"
                f" 'wss://gitlab.example.com{path}/-/kubernetes-agent/'."
            ]
            if is_refused
            else [],
        )
        for path, url, more, is_refused in (
            ("", "wss://gitlab.example.com/", {}, True),
            ("", "wss://gitlab.example.com", {"kas_listen_address": "127.0.0.1:8150"}, True),
            ("", "wss://gitlab.example.com/", {"kas_listen_address": ":8150"}, False),
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
    (
        {"rails1": RAILS, "kas1": KAS},
        {**CIDR, "kas_k8s_proxy_url": "https://gitlab.example.com/-/kubernetes-agent/k8s-proxy"},
        [
            f"{host}: kas_k8s_proxy_url is 'https://gitlab.example.com/-/kubernetes-agent/k8s-proxy', and GitLab would"
            " redirect it to its path with a slash; set 'https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/'."
            for host in ("kas1", "rails1")
        ],
    ),
    (
        {"kas1": {}},
        {"kas_external_url": "grpcs://kas.gitlab.example.com"},
        [
            "kas1: kas_external_url is 'grpcs://kas.gitlab.example.com', but on a name of its own KAS of GitLab 18.6.1"
            " takes no grpcs://; set ws:// or wss://."
        ],
    ),
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
                "kas_listen_websocket is false, but kas_external_url is 'wss://kas.gitlab.example.com', and on a name"
                " of its own reconfigure takes no KAS without WebSockets; leave kas_listen_websocket out",
            ),
        )
    ),
    (
        {"kas1": version("19.5.0")},
        {"kas_external_url": "grpc://kas.gitlab.example.com"},
        [
            "kas1: kas_external_url is 'grpc://kas.gitlab.example.com', but on a name of its own KAS of GitLab 19.5.0"
            " takes no grpc://; set ws:// or wss://."
        ],
    ),
    ({"kas1": {}}, {"kas_external_url": "grpcs://gitlab.example.com"}, []),
    (
        {"rails1": {**RAILS, "info": {"settings": {}}}, "kas1": KAS},
        CIDR,
        [
            "rails1: kas_external_url is not set, KAS runs on other nodes, and gitlab.rb has no external_url to derive"
            " it from; set where agents connect, such as wss://kas.gitlab.example.com/."
        ],
    ),
    (
        {"rails1": RAILS, "kas1": KAS, "kas2": KAS},
        CIDR,
        [
            "rails1: kas_internal_url is not set, and KAS runs on several nodes (kas1, kas2); set where Rails reaches"
            " KAS, such as grpc://kas.internal.example.com:8153."
        ],
    ),
    (
        {"rails1": RAILS, "kas1": KAS},
        {},
        [
            "rails1: kas_internal_url is not set, and KAS runs on a node whose address for others is not known (kas1);"
            " set where Rails reaches KAS, such as grpc://kas.internal.example.com:8153."
        ],
    ),
    ({"rails1": {**RAILS, "in_play": False}, "kas1": KAS}, {}, []),
    # what cannot be read without running gitlab.rb is not the same as what is not set
    (
        {"rails1": unreadable(**RAILS), "kas1": KAS},
        {**CIDR, "kas_gitlab_address": "https://gitlab.example.com"},
        [
            "rails1: kas_external_url is not set, KAS runs on other nodes, and external_url (line 3) is computed and"
            " cannot be read without running it; set where agents connect, such as wss://kas.gitlab.example.com/."
        ],
    ),
    *(
        (
            {"rails1": {**RAILS, "info": {"settings": {"external_url": url}}}, "kas1": KAS},
            {**CIDR, "kas_gitlab_address": "https://gitlab.example.com"},
            [
                f"rails1: kas_external_url is not set, KAS runs on other nodes, and external_url in gitlab.rb is"
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
        {"kas1": {**KAS, "kas_standalone": True}, "rails1": unreadable(**RAILS)},
        {**CIDR, "kas_redis": {"host": "redis"}, "kas_external_url": "wss://kas.example.com/-/kubernetes-agent/"},
        [
            "kas1: kas_gitlab_address is not set, and on rails1 external_url (line 3) is computed and cannot be read"
            " without running it; set where KAS reaches GitLab, such as https://gitlab.example.com."
        ],
    ),
    (
        {"kas1": KAS, "rails1": unreadable(**RAILS)},
        {**CIDR, "kas_external_url": "wss://kas.example.com/"},
        [
            "kas1: kas_gitlab_address is not set, and on rails1 external_url (line 3) is computed and cannot be read"
            " without running it; set where KAS reaches GitLab, such as https://gitlab.example.com."
        ],
    ),
    # by default KAS asks for the API at its own external_url, which is computed in the same way
    ({"kas1": unreadable(**KAS), "rails1": unreadable(**RAILS)}, {**CIDR, "kas_external_url": "wss://kas/"}, []),
    *(
        ({"kas1": {**KAS, "info": info}, "rails1": unreadable(**RAILS)}, {**CIDR, "kas_external_url": "wss://k/"}, [])
        for info in (
            {"settings": {"gitlab_kas": {"gitlab_address": "https://gitlab.internal"}}},
            {"settings": {}, "unreadable": {"gitlab_kas['gitlab_address']": "line 5"}},
        )
    ),
    # by an included file that cannot be read, for one
    (
        {"rails1": {**RAILS, "info": {"settings": {}, "unreadable": {"*": "line 9"}}}, "kas1": KAS},
        {**CIDR, "kas_gitlab_address": "https://gitlab.example.com"},
        [
            "rails1: kas_external_url is not set, KAS runs on other nodes, and external_url may be set by line 9, which"
            " cannot be read without running it; set where agents connect, such as wss://kas.gitlab.example.com/."
        ],
    ),
    (
        {"kas1": {"info": {"unreadable": {"*": "line 5"}}}},
        {"kas_extra_allowed_response_headers": "X-One"},
        [],
    ),
    (
        {"kas1": {"info": {"unreadable": {"gitlab_kas['extra_config_command']": "line 5"}}}},
        {"kas_extra_allowed_response_headers": "X-One"},
        [
            "kas1: kas_extra_allowed_response_headers is 'X-One', but gitlab_kas['extra_config_command'] (line 5) is"
            " computed and cannot be read without running it; let that one print the headers, or remove it there."
        ],
    ),
    (
        {"kas1": computed("api_secret_key"), "kas2": {}},
        CIDR,
        [
            "kas1: gitlab_kas['api_secret_key'] (line 7) is computed and cannot be read without running it; set"
            " kas_secrets_values.api_secret_key to what it comes to, or write that there."
        ],
    ),
    ({"kas1": computed("api_secret_key")}, {"kas_secrets_values": {"api_secret_key": SECRET}}, []),
    # Rails without KAS has no use for this one
    ({"kas1": KAS, "rails1": {**RAILS, **computed("private_api_secret_key")}}, CIDR, []),
    ({"rails1": RAILS, "kas1": {**KAS, "kas_enabled": False}}, {}, []),
    # raw settings
    (
        {"kas1": {}},
        {"kas_settings": {"redis_host": "redis", "env": {}, "enable": False, "private_api_listen_address": ":1"}},
        [
            "kas1: kas_settings.redis_host is set, but kas_redis.host is the variable for it; set that one.",
            "kas1: kas_settings.env is set, but kas_env is the variable for it; set that one.",
            "kas1: kas_settings.enable is set, but kas_enabled is the variable for it; set that one.",
            "kas1: kas_settings.private_api_listen_address is set, but kas_private_api_listen_address is the variable"
            " for it; set that one.",
        ],
    ),
    (
        {"kas1": {}},
        {"kas_env": {"OWN_PRIVATE_API_URL": "grpc://kas1:8155", "A": None, "B": {"c": "d"}}},
        [
            "kas1: kas_env.OWN_PRIVATE_API_URL is set, but kas_own_private_api_url is the variable for it; set that"
            " one.",
            "kas1: kas_env.A is empty; set text.",
            "kas1: kas_env.B is a mapping; set text.",
        ],
    ),
    # secrets
    (
        {"kas1": {}},
        {"kas_secrets_values": {"api_secret_key": SHORT}},
        [
            "kas1: kas_secrets_values.api_secret_key holds 5 bytes instead of 32; set 32 random bytes in strict Base64,"
            " as 'openssl rand 32 | openssl base64 -A' prints them."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_secrets_values": {"api_secret_key": SECRET + "\n"}},
        [
            "kas1: kas_secrets_values.api_secret_key is not strict Base64 (one line, no spaces, padded with '=');"
            " set 32"
            " random bytes in strict Base64, as 'openssl rand 32 | openssl base64 -A' prints them."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_secrets_values": {"websocket_token_secret_key": "hunter2"}},
        [
            "kas1: kas_secrets_values.websocket_token_secret_key is not strict Base64 (one line, no spaces, padded with"
            " '='); set 72 random bytes in strict Base64, as 'openssl rand 72 | openssl base64 -A' prints them."
        ],
    ),
    (
        {
            "kas1": {"kas_secrets_values": {"api_secret_key": SECRET}},
            "kas2": {"kas_secrets_values": {"api_secret_key": base64.b64encode(32 * b"t").decode()}},
        },
        CIDR,
        [
            "kas2: kas_secrets_values.api_secret_key is not that of kas1; set one value for all hosts, in"
            " group_vars/all for one."
        ],
    ),
    (
        {"kas1": secret("holds 5 bytes instead of 32", SHORT)},
        {},
        [
            "kas1: gitlab_kas['api_secret_key'] in gitlab.rb holds 5 bytes instead of 32; correct it or remove it"
            " there,"
            " or set kas_secrets_values.api_secret_key."
        ],
    ),
    (
        {"kas1": secret("holds 5 bytes instead of 32", SHORT)},
        {"kas_secrets_values": {"api_secret_key": SECRET}},
        [],
    ),
    ({"kas1": secret("holds 5 bytes instead of 32", SHORT, "gitlab-secrets.json")}, {}, []),
    (
        {
            "kas1": {},
            "kas2": {"info": None, "in_play": False},
            "kas3": {"info": {"blocking_errors": ["Unhealthy."]}, "in_play": False},
        },
        CIDR,
        [
            "kas2, kas3: cannot be asked for api_secret_key and private_api_secret_key and websocket_token_secret_key,"
            " which no other node has; restore the connection, or set kas_secrets_values."
        ],
    ),
    (
        {"kas1": {}},
        {"kas_external_url": "wss://kas.example.com/", "kas_cookie_check": "error"},
        [
            "kas1: kas_external_url puts the Kubernetes API proxy on kas.example.com, which is neither"
            " gitlab.example.com nor below it, so browsers do not send it GitLab's cookie and user access cannot"
            " work; use a name such as kas.gitlab.example.com."
        ],
    ),
]


@pytest.mark.parametrize(("rows", "extra", "expected"), REFUSALS)
def test_refusals(rows, extra, expected, hosts_of):
    plan = make_plan(hosts_of(rows, **extra))
    assert list(map(str, plan.refusals)) == expected
    assert bool(plan.parts) is not bool(expected)


GIVEN = {
    "api_secret_key": SECRET,
    "private_api_secret_key": SECRET,
    "websocket_token_secret_key": base64.b64encode(72 * b"s").decode(),
}
OTHER = base64.b64encode(32 * b"o").decode()


@pytest.mark.parametrize(
    ("rows", "extra", "expected"),
    [
        (
            {"kas1": {}},
            {"kas_external_url": "wss://kas.example.com/"},
            [
                "kas1: kas_external_url puts the Kubernetes API proxy on kas.example.com, which is neither"
                " gitlab.example.com nor below it, so browsers do not send it GitLab's cookie and user access cannot"
                " work; use a name such as kas.gitlab.example.com."
            ],
        ),
        (
            {"kas1": {}},
            {"kas_k8s_proxy_url": "https://kas.example.com/k8s-proxy/"},
            [
                "kas1: kas_k8s_proxy_url puts the Kubernetes API proxy on kas.example.com, which is neither"
                " gitlab.example.com nor below it, so browsers do not send it GitLab's cookie and user access cannot"
                " work; use a name such as kas.gitlab.example.com."
            ],
        ),
        (
            {"kas1": {}},
            {
                "kas_external_url": "wss://kas.example.com/",
                "kas_k8s_proxy_url": "https://kas.gitlab.example.com/k8s-proxy/",
            },
            [],
        ),
        ({"kas1": {}}, {"kas_external_url": "wss://kas.gitlab.example.com/"}, []),
        ({"kas1": {}}, {"kas_external_url": "wss://kas.example.com/", "kas_cookie_check": "ignore"}, []),
        ({"kas1": {}}, {"kas_external_url": "wss://kas.gitlab.example.com/", "kas_cookie_check": "error"}, []),
        ({"kas1": {"info": {"settings": {}}}}, {"kas_external_url": "wss://kas.example.com/"}, []),
        (
            {"kas1": version("17.9.0-ee.0")},
            {},
            [
                "kas1: KAS of GitLab 17.9.0-ee.0 starts only with an explicit own URL, so grpc://127.0.0.1:8155 is set;"
                " install 17.9.1 or later."
            ],
        ),
        (
            {
                "kas1": version("17.7.7"),
                "kas2": version("17.8.0"),
                "kas3": {
                    **version("17.9.0"),
                    "kas_own_private_api_url": "grpc://kas3.internal:9155",
                    "kas_own_private_api_cidr": [],
                },
                "kas4": {**KAS, **version("17.8.0"), "kas_enabled": False},
                "kas5": version("17.8.1"),
                "kas6": {**version("17.9.0"), "in_play": False},
            },
            CIDR,
            [
                "kas2: KAS of GitLab 17.8.0 starts only with an explicit own URL, so grpc://10.0.0.2:8155 is set;"
                " install 17.8.1 or later.",
                "kas3: KAS of GitLab 17.9.0 starts only with an explicit own URL, so grpc://kas3.internal:9155 is set;"
                " install 17.9.1 or later.",
                "kas3: kas_own_private_api_url is 'grpc://kas3.internal:9155', and KAS of GitLab 17.9.0 most likely"
                " does not start with a name in its own URL; set an address instead of kas3.internal, or install 17.9.1"
                " or later.",
            ],
        ),
        # what the installed release is wrong about, or ignores
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
        (
            {"kas1": version("16.10.3"), "kas2": version("16.11.0")},
            {**TLS, **CIDR},
            [
                "kas1: kas_private_api_certificate is '/etc/gitlab/kas.crt', and GitLab 16.10.3 is installed; GitLab"
                " documents TLS between KAS nodes only from 16.11.0 on, so run verify afterwards."
            ],
        ),
        *(
            ({"kas1": version(installed)}, extra, [f"kas1: {sentence}." for sentence in sentences])
            for installed, extra, *sentences in (
                # the package's nginx
                (
                    "18.6.9",
                    {**AGENT_TLS, **PROXY_TLS},
                    "kas_certificate is '/etc/gitlab/kas.crt', but nginx of GitLab 18.6.9 speaks to KAS without TLS, so"
                    " agents get no answer through it; leave it out, set kas_listen_address to what they reach without"
                    " nginx, or install 18.7.0 or later",
                    "kas_kubernetes_api_certificate is '/etc/gitlab/kas.crt', but nginx of GitLab 18.6.9 speaks to KAS"
                    " without TLS, so users of the Kubernetes API proxy get no answer through it; leave it out, set"
                    " kas_kubernetes_api_listen_address to what they reach without nginx, or install 18.7.0 or later",
                ),
                ("18.6.9", {**AGENT_TLS, "kas_listen_address": ":8150"}),
                ("18.7.0", {**AGENT_TLS, **PROXY_TLS}),
                ("18.7.0", {**AGENT_TLS, "kas_kubernetes_api_listen_address": "10.0.0.1:8154"}),
                ("18.7.0", {**PROXY_TLS, "kas_kubernetes_api_listen_address": ":8154"}),
                (
                    "18.7.0",
                    AGENT_TLS,
                    "kas_certificate is '/etc/gitlab/kas.crt', but kas_kubernetes_api_certificate is not set, and"
                    " nginx of GitLab 18.7.0 most likely speaks TLS to both listeners then, and users of the Kubernetes"
                    " API proxy get no answer through it; set both, or neither",
                ),
                (
                    None,
                    PROXY_TLS,
                    "kas_kubernetes_api_certificate is '/etc/gitlab/kas.crt', but kas_certificate is not set, and nginx"
                    " of the installed GitLab most likely speaks to both listeners without TLS then, and users of the"
                    " Kubernetes API proxy get no answer through it; set both, or neither",
                ),
                # agents on a name of its own
                (
                    "19.5.0",
                    {"kas_external_url": "grpcs://kas.gitlab.example.com"},
                    "kas_external_url is 'grpcs://kas.gitlab.example.com'; that KAS takes it on a name of its own was"
                    " announced for GitLab 19.5, but is not known for GitLab 19.5.0; set wss:// if reconfigure refuses"
                    " it",
                ),
                # kas_settings
                (
                    "18.6.1",
                    {"kas_settings": {"client_timeout_seconds": 5, "agent_info_cache_ttl": 5}},
                    "kas_settings.client_timeout_seconds is no setting that the Linux package is known to read; it may"
                    " have no effect",
                ),
                (
                    "18.6.1",
                    {"kas_settings": {"agent_info_cache_tll": 5, "log_levl": "info"}},
                    "kas_settings.agent_info_cache_tll is no setting that the Linux package is known to read; it may"
                    " have no effect; the nearest name is kas_settings.agent_info_cache_ttl",
                    "kas_settings.log_levl is no setting that the Linux package is known to read; it may have no"
                    " effect; the nearest name is kas_log_level",
                ),
                (
                    "18.3.9",
                    {"kas_settings": {"workspaces": {"enabled": True}, "nginx": {"port": 81}}},
                    "kas_settings.workspaces is set, which GitLab 18.3.9 does not know; leave it out, or install 18.4.0"
                    " or later",
                    "kas_settings.nginx is set, which GitLab 18.3.9 does not know; leave it out and set"
                    " gitlab_kas_nginx in gitlab.rb by hand, or install 19.2.0 or later",
                ),
                ("19.2.0", {"kas_settings": {"workspaces": {"enabled": True}, "nginx": {"port": 81}}}),
                ("17.11.0", {"kas_settings": {"agent_gitops_poll_period": 60}}),
                (
                    "18.0.1",
                    {"kas_settings": {"agent_gitops_poll_period": 60}},
                    "kas_settings.agent_gitops_poll_period is set, which GitLab 18.0.1 no longer knows and ignores;"
                    " leave it out",
                ),
            )
        ),
        # what gitlab.rb says beside
        *(
            (
                {"kas1": {"info": {"gitlab_version": installed, "settings": {"external_url": URL, **settings}}}},
                extra,
                [f"kas1: {sentence}." for sentence in sentences],
            )
            for installed, settings, extra, *sentences in (
                ("19.1.9", {"gitlab_kas_nginx": {"port": 81}}, {}),
                (
                    "19.2.0",
                    {"gitlab_kas_nginx": {"port": 81}},
                    {},
                    "gitlab_kas_nginx is set in gitlab.rb, which is deprecated from GitLab 19.2.0 on, and still works;"
                    " write gitlab_kas['nginx'] there instead, or set kas_settings.nginx",
                ),
                (
                    "19.2.9",
                    {"gitlab_rails": {"redis_username": "rails"}},
                    {},
                    "gitlab_rails['redis_username'] in gitlab.rb is 'rails', but GitLab 19.2.9 does not tell KAS, which"
                    " logs in to Redis as default, with that user's password; set kas_redis.password to the password of"
                    " default, or install 19.3.0 or later",
                ),
                ("19.3.0", {"gitlab_rails": {"redis_username": "rails"}}, {}),
                ("19.2.9", {"gitlab_rails": {"redis_username": "rails"}}, {"kas_redis": {"host": "redis"}}),
                ("19.2.9", {"gitlab_rails": {"redis_username": "rails"}}, {"kas_redis": {"password": "secret"}}),
                ("19.2.9", {"gitlab_rails": {"redis_username": "rails"}, "gitlab_kas": {"redis_host": None}}, {}),
            )
        ),
        *(
            (
                {"kas1": {"info": {"gitlab_version": installed, "unreadable": unreadable}}},
                {},
                [f"kas1: {sentence}." for sentence in sentences],
            )
            for installed, unreadable, *sentences in (
                ("17.11.7", {"git_data_dirs": "line 3"}),
                (
                    "18.0.1",
                    {"git_data_dirs": "line 3"},
                    "git_data_dirs (line 3) is computed and cannot be read without running it; GitLab 18.0.1 refuses to"
                    " reconfigure if it holds anything, and gitaly['configuration'] takes its place",
                ),
                (
                    "19.2.9",
                    {"gitlab_rails['redis_username']": "line 4"},
                    "gitlab_rails['redis_username'] (line 4) is computed and cannot be read without running it, but"
                    " GitLab 19.2.9 does not tell KAS, which logs in to Redis as default, with that user's password;"
                    " set kas_redis.password to the password of default, or install 19.3.0 or later",
                ),
            )
        ),
        (
            {"kas1": {"info": {"settings": {"gitlab_rails": {"gitlab_kas_internal_url": "grpc://kas0:8153"}}}}},
            {},
            [
                "kas1: gitlab_rails['gitlab_kas_internal_url'] in gitlab.rb is 'grpc://kas0:8153', although KAS runs on"
                " this node; remove it there, or set kas_internal_url."
            ],
        ),
        (
            {"kas1": {"info": {"settings": {"gitlab_rails": {"gitlab_kas_internal_url": "grpcs://localhost:8153"}}}}},
            {},
            [],
        ),
        (
            {"kas1": {"info": {"settings": {"gitlab_rails": {"gitlab_kas_external_url": "wss://kas0/"}}}}},
            {},
            [
                "kas1: gitlab_rails['gitlab_kas_external_url'] in gitlab.rb is 'wss://kas0/', although KAS runs on this"
                " node; remove it there, since the package then makes no virtual host for KAS, and set kas_external_url"
                " if needed."
            ],
        ),
        (
            {"kas1": secret(), "kas2": secret(value=OTHER)},
            CIDR,
            [
                f"kas2: gitlab_kas['api_secret_key'] in gitlab.rb (fingerprint {fingerprint(OTHER)}) is"
                f" replaced by {fingerprint(SECRET)}, which is adopted from kas1 (gitlab.rb)."
            ],
        ),
        ({"kas1": secret(), "kas2": secret(value=OTHER, source="gitlab-secrets.json")}, CIDR, []),
        (
            {"kas1": computed("api_secret_key")},
            {"kas_secrets_values": {"api_secret_key": SECRET}},
            [
                "kas1: gitlab_kas['api_secret_key'] (line 7), which is computed, is"
                f" replaced by {fingerprint(SECRET)}, which is given."
            ],
        ),
        (
            {
                "kas1": {
                    "info": {
                        "unreadable": {
                            f"gitlab_rails['gitlab_kas_{key}']": "line 4" for key in ("internal_url", "external_url")
                        }
                    }
                }
            },
            {},
            [
                "kas1: gitlab_rails['gitlab_kas_internal_url'] (line 4) is computed and cannot be read without running"
                " it, although KAS runs on this node; remove it there, or set kas_internal_url.",
                "kas1: gitlab_rails['gitlab_kas_external_url'] (line 4) is computed and cannot be read without running"
                " it, although KAS runs on this node; remove it there, since the package then makes no virtual host for"
                " KAS, and set kas_external_url if needed.",
            ],
        ),
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
        (
            {"kas1": {"info": {"settings": {"gitlab_rails": {"redis_host": "[fd00::1]", "redis_ssl": True}}}}},
            {},
            [
                "kas1: gitlab_rails['redis_host'] is '[fd00::1]', and gitlab_rails['redis_ssl'] is true, but KAS was"
                " seen not to verify the certificate of an IPv6 address, so it may end when it starts; set a name that"
                " is in the certificate of Redis."
            ],
        ),
        *(
            ({"kas1": {"info": {"unreadable": {name: "line 9"}}}}, {}, [])
            for name in ("*", "gitlab_rails", "gitlab_kas")
        ),
        (
            {
                "kas1": KAS,
                "rails1": {**RAILS, "info": {"unreadable": {"gitlab_rails['gitlab_kas_internal_url']": "line 4"}}},
            },
            CIDR,
            [
                "rails1: gitlab_rails['gitlab_kas_internal_url'] (line 4) is computed and cannot be read without"
                " running it, so it stays as it is; set kas_internal_url to decide it here."
            ],
        ),
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
)
def test_warnings(rows, extra, expected, hosts_of):
    plan = make_plan(hosts_of(rows, **extra))
    assert plan.refusals == []
    assert list(map(str, plan.warnings)) == expected
