# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about where KAS listens, each with its table."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import listeners
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    CIDR,
    TWO,
    URL,
    alone,
    check,
    rows,
)

LONG = "/var/opt/gitlab/" + 80 * "k"
NO_NAME = "cannot be resolved (Name or service not known)"
NO_ADDRESS = "cannot be listened on (Cannot assign requested address)"


def found(address, problem=None, host="kas1.internal"):
    """A node where this becomes of a listener's host."""
    return {"info": {"listen_hosts": {host: {"address": address, "problem": problem}}}}


TABLES = {
    listeners.unix_sockets: [
        (
            TWO,
            {"kas_unix_sockets": True},
            [
                f"{name}: kas_unix_sockets is true, but KAS runs on several nodes, and none reaches the UNIX socket of"
                " another; set it to false."
                for name in TWO
            ],
        ),
        alone(
            {"kas_unix_sockets": True, **CIDR},
            "kas_unix_sockets is true, and kas_own_private_api_cidr is '10.0.0.0/8'; set only one of them",
        ),
        (
            {"kas1": {}},
            {"kas_unix_sockets": True, "kas_socket_dir": LONG},
            [
                f"kas1: kas_socket_dir makes the socket path '{LONG[:80]}…' of 115 bytes, but the path of a UNIX"
                " socket holds at most 107; set a shorter one.",
                f"kas1: kas_socket_dir makes the socket path '{LONG[:80]}…' of 116 bytes, but the path of a UNIX"
                " socket holds at most 107; set a shorter one.",
            ],
        ),
        alone({"kas_unix_sockets": True, "kas_socket_dir": LONG[:87]}),
    ],
    listeners.ports: [
        *(
            alone(given, *(f"{said}, and one port is for one listener; set another port" for said in expected))
            for given, expected in (
                (
                    {"kas_listen_address": "0.0.0.0:8154"},
                    [
                        "kas_listen_address is '0.0.0.0:8154', but kas_kubernetes_api_listen_address is"
                        " 'localhost:8154' by default"
                    ],
                ),
                (
                    {"kas_private_api_listen_address": "localhost:8150"},
                    [
                        "kas_private_api_listen_address is 'localhost:8150', but kas_listen_address is"
                        " 'localhost:8150' by default"
                    ],
                ),
                (
                    {"kas_listen_address": "10.0.0.1:9000", "kas_internal_api_listen_address": "0.0.0.0:9000"},
                    ["kas_listen_address is '10.0.0.1:9000', but kas_internal_api_listen_address is '0.0.0.0:9000'"],
                ),
                ({"kas_listen_address": "10.0.0.1:8154"}, []),
                ({"kas_listen_address": "0.0.0.0:8153", "kas_internal_api_listen_address": "localhost:9153"}, []),
                ({"kas_unix_sockets": True, "kas_listen_address": "0.0.0.0:8153"}, []),
                (
                    {"kas_own_private_api_port": 8150},
                    ["kas_own_private_api_port is 8150, but kas_listen_address is 'localhost:8150' by default"],
                ),
                ({"kas_own_private_api_port": 9155}, []),
            )
        ),
        *(
            alone(
                {"kas_listen_address": address},
                *(
                    f"kas_listen_address is '{address}', but on this node {said} already, so KAS would not start; set"
                    " another port"
                    for said in expected
                ),
                settings={"external_url": URL, "nginx": {"enable": False}},
                ports=[
                    {"address": "0.0.0.0", "port": 80, "program": "nginx"},
                    {"address": "::", "port": 80, "program": "nginx"},
                    {"address": "127.0.0.1", "port": 8080, "program": "puma"},
                    {"address": "::1", "port": 8081, "program": ""},
                ],
                listen_hosts={"kas1.internal": {"address": "127.0.0.1", "problem": None}},
            )
            for address, expected in (
                ("10.0.0.1:80", ["nginx listens on 0.0.0.0:80"]),
                ("0.0.0.0:8080", ["puma listens on 127.0.0.1:8080"]),
                ("localhost:8080", ["puma listens on 127.0.0.1:8080"]),
                ("kas1.internal:8080", ["puma listens on 127.0.0.1:8080"]),
                (":8081", []),
                ("10.0.0.1:8080", []),
                ("0.0.0.0:8082", []),
            )
        ),
    ],
    listeners.addresses: [
        (
            {"kas1": {}},
            {"kas_internal_api_listen_address": LONG + 20 * "k", "kas_internal_api_listen_network": "unix"},
            [
                f"kas1: kas_internal_api_listen_address makes the socket path '{LONG[:80]}…' of 116 bytes, but the"
                " path of a UNIX socket holds at most 107; set a shorter one."
            ],
        ),
        alone(
            {"kas_internal_api_listen_address": "/run/kas.socket"},
            "kas_internal_api_listen_network is '', and kas_internal_api_listen_address is '/run/kas.socket'; set"
            " network unix with the path of a socket, or another one with ADDRESS:PORT",
        ),
        alone(
            {"kas_internal_api_listen_address": ":8153", "kas_internal_api_listen_network": "unix"},
            "kas_internal_api_listen_network is 'unix', and kas_internal_api_listen_address is ':8153'; set network"
            " unix with the path of a socket, or another one with ADDRESS:PORT",
        ),
        alone(
            {"kas_listen_address": "/run/kas.socket"},
            "kas_listen_address is '/run/kas.socket', but it takes no UNIX socket; set ADDRESS:PORT",
        ),
        *(
            alone(
                {"kas_listen_address": "[::]:8150"},
                "kas_listen_address is '[::]:8150', but the Linux package writes it into YAML without quotes, where it"
                f" is no text; set '{wildcard}', or a name and the port",
                settings={"external_url": URL, "nginx": {"enable": enable}},
            )
            for enable, wildcard in ((None, "0.0.0.0:8150"), (True, "0.0.0.0:8150"), (False, ":8150"))
        ),
        alone(
            {"kas_private_api_listen_address": "[fd00::1]:8155"},
            "kas_private_api_listen_address is '[fd00::1]:8155', but the Linux package writes it into YAML without"
            " quotes, where it is no text; set ':8155', or a name and the port",
        ),
    ],
    listeners.known_to_the_node: [
        (
            {"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found(None, NO_NAME)}, "kas2": {}},
            CIDR,
            [
                "kas1: kas_private_api_listen_address is 'kas1.internal:8155', but on this node kas1.internal cannot"
                " be resolved (Name or service not known), so KAS would not start; see that this node knows the name,"
                " or set an address, or a wildcard, such as 0.0.0.0:8155."
            ],
        ),
        (
            {"kas1": {"kas_listen_address": "kas1.internal:8150", **found("10.0.0.2", NO_ADDRESS)}},
            {},
            [
                "kas1: kas_listen_address is 'kas1.internal:8150', but on this node kas1.internal is 10.0.0.2, which"
                " cannot be listened on (Cannot assign requested address), so KAS would not start; set one that this"
                " node has, or a wildcard, such as 0.0.0.0:8150."
            ],
        ),
        (
            {"kas1": {"kas_internal_api_listen_address": "10.0.0.2:8153", **found("10.0.0.2", NO_ADDRESS, "10.0.0.2")}},
            {},
            [
                "kas1: kas_internal_api_listen_address is '10.0.0.2:8153', but on this node 10.0.0.2 cannot be"
                " listened on (Cannot assign requested address), so KAS would not start; set one that this node has,"
                " or a wildcard, such as 0.0.0.0:8153."
            ],
        ),
    ],
    listeners.reach: [
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
            {"kas1": {"kas_own_private_api_cidr": "fe80::/10"}, "kas2": CIDR},
            {},
            [
                "kas1: kas_own_private_api_cidr is 'fe80::/10', which makes its own private API URL"
                " grpc://[fe80::1]:8155; it is a link-local address, so the other KAS nodes cannot reach it; set"
                " kas_own_private_api_cidr to a network that they reach, or set kas_own_private_api_url."
            ],
        ),
        (
            {"kas1": {"kas_private_api_listen_address": "127.0.0.1:8155"}, "kas2": {}},
            CIDR,
            [
                "kas1: kas_private_api_listen_address is '127.0.0.1:8155', which is a loopback address, so the other"
                " KAS nodes cannot reach it; set 0.0.0.0:8155, or an address that they reach."
            ],
        ),
        (
            {"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found("127.0.1.1")}, "kas2": {}},
            CIDR,
            [
                "kas1: kas_private_api_listen_address is 'kas1.internal:8155', but on this node that name is"
                " 127.0.1.1, so the other nodes cannot reach it; give the name another address there (/etc/hosts), or"
                " set 0.0.0.0:8155."
            ],
        ),
        ({"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found("127.0.1.1")}}, {}, []),
        ({"kas1": {"kas_private_api_listen_address": "kas1.internal:8155", **found("10.0.0.1")}, "kas2": {}}, CIDR, []),
        (
            {
                "kas1": {"kas_private_api_listen_address": "/run/kas.socket", "kas_private_api_listen_network": "unix"},
                "kas2": CIDR,
            },
            {},
            [
                "kas1: kas_private_api_listen_address is '/run/kas.socket', but the other KAS nodes cannot reach a"
                " UNIX socket; set ADDRESS:PORT."
            ],
        ),
        (
            {"kas1": {"kas_private_api_listen_address": "192.0.2.1:8155"}, "kas2": {}},
            CIDR,
            [
                "kas1: kas_private_api_listen_address is '192.0.2.1:8155', but kas_own_private_api_cidr '10.0.0.0/8'"
                " makes 10.0.0.1 its own address; set an address of the same network, or leave the listen address"
                " out."
            ],
        ),
        ({"kas1": {"kas_private_api_listen_address": "10.0.0.1:8155"}, "kas2": {}}, CIDR, []),
        (
            {"kas1": {"kas_private_api_listen_network": "tcp6"}, "kas2": {"kas_private_api_listen_network": "tcp4"}},
            CIDR,
            [
                "kas1: kas_private_api_listen_network is 'tcp6', but kas_own_private_api_cidr is '10.0.0.0/8', which"
                " makes its own private API URL grpc://10.0.0.1:8155, where it would not listen; leave the network"
                " out, or set a URL or CIDR that fits it."
            ],
        ),
        ({"kas1": {"kas_own_private_api_url": "grpc://localhost:8155"}}, {}, []),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_listeners(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
