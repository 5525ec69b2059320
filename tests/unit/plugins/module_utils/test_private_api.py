# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    Endpoint,
    PrivateApiError,
    addresses,
    own_private_api_url,
    own_private_api_urls,
    parse_url,
    unreachable_reason,
)
from hypothesis import given
from hypothesis import strategies as st

HOST = ["127.0.0.1", "10.0.0.1", "10.0.0.2", "192.0.2.1", "::1", "fe80::1", "fd00::1"]
NOTHING = {"url": "", "cidr": "", "scheme": "", "port": "", "listen_network": "", "listen_address": ""}
HOST_BITS = "2001:db8:8a2e:370::7334/64"
INSIDE = "2001:db8:8a2e:370:809:a0b:c0d:1122"
OUTSIDE = "ffff:db8:8a2e:370:809:a0b:c0d:1122"


# What KAS's own TestConstructOwnUrl asks; there, everything that a row does not name is an empty text.
@pytest.mark.parametrize(
    ("host", "options", "expected"),
    [
        pytest.param([], {"url": "grpc://127.0.0.1:900"}, "grpc://127.0.0.1:900", id="url"),
        pytest.param(["10.0.0.1"], {"cidr": "10.0.0.0/8", "port": "911"}, "grpc://10.0.0.1:911", id="cidr and port"),
        pytest.param(
            ["10.0.0.1"],
            {"cidr": "10.0.0.0/8", "port": "911", "scheme": "grpcs"},
            "grpcs://10.0.0.1:911",
            id="cidr, scheme and port",
        ),
        pytest.param([INSIDE], {"cidr": HOST_BITS, "port": "911"}, f"grpc://[{INSIDE}]:911", id="IPv6 cidr and port"),
        pytest.param(
            [],
            {"listen_network": "tcp", "listen_address": "10.1.2.3:9090"},
            "grpc://10.1.2.3:9090",
            id="listener",
        ),
        pytest.param(
            [],
            {"listen_network": "tcp", "listen_address": "10.1.2.3:9090", "port": "123"},
            "grpc://10.1.2.3:9090",
            id="listener, port ignored",
        ),
        pytest.param(
            [],
            {"listen_network": "tcp", "listen_address": "10.1.2.3:9090", "port": "123", "scheme": "grpcs"},
            "grpcs://10.1.2.3:9090",
            id="listener and scheme, port ignored",
        ),
    ],
)
def test_url_as_in_the_table_of_kas(host: list[str], options: dict[str, str], expected: str) -> None:
    assert own_private_api_url(host, **{**NOTHING, **options}) == expected


@pytest.mark.parametrize(
    ("host", "options", "message"),
    [
        pytest.param(
            ["10.0.0.1"],
            {"cidr": "10.0.0.0/8"},
            "The port for the URL of 10.0.0.1 is not known, because the listener names none; give port.",
            id="cidr, no port",
        ),
        pytest.param(
            [INSIDE],
            {"cidr": HOST_BITS},
            f"The port for the URL of {INSIDE} is not known, because the listener names none; give port.",
            id="IPv6 cidr, no port",
        ),
        pytest.param(
            [OUTSIDE],
            {"cidr": HOST_BITS},
            f"None of the host's addresses ({OUTSIDE}) lies in {HOST_BITS};"
            " set cidr to a network that contains one of them, or set url.",
            id="IPv6 outside",
        ),
        pytest.param(
            [OUTSIDE],
            {"cidr": "10.0.0.0/8"},
            f"None of the host's addresses ({OUTSIDE}) lies in 10.0.0.0/8;"
            " set cidr to a network that contains one of them, or set url.",
            id="IPv6 and an IPv4 cidr",
        ),
        pytest.param(
            [],
            {"url": "grpc://127.0.0.1:900", "cidr": "10.0.0.0/8"},
            "url (grpc://127.0.0.1:900) and cidr (10.0.0.0/8) are both given, but KAS takes only one of them;"
            " leave one out.",
            id="url and cidr",
        ),
    ],
)
def test_url_refused_as_in_the_table_of_kas(host: list[str], options: dict[str, str], message: str) -> None:
    with pytest.raises(PrivateApiError) as refused:
        own_private_api_url(host, **{**NOTHING, **options})
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "grpc://localhost:8155"),
        ({"cidr": "192.0.2.0/24"}, "grpc://192.0.2.1:8155"),
        ({"cidr": ["192.0.2.0/24"]}, "grpc://192.0.2.1:8155"),
        ({"cidr": "172.16.0.0/12, 192.0.2.77/24"}, "grpc://192.0.2.1:8155"),
        ({"cidr": ["172.16.0.0/12", "192.0.2.0/24,192.0.2.1/32"]}, "grpc://192.0.2.1:8155"),
        ({"cidr": "FD00::/8"}, "grpc://[fd00::1]:8155"),
        ({"cidr": "127.0.0.0/8"}, "grpc://127.0.0.1:8155"),
        ({"cidr": []}, "grpc://localhost:8155"),
        ({"cidr": "192.0.2.0/24", "port": 911}, "grpc://192.0.2.1:911"),
        ({"cidr": "192.0.2.0/24", "port": "1"}, "grpc://192.0.2.1:1"),
        ({"cidr": "192.0.2.0/24", "port": 65535}, "grpc://192.0.2.1:65535"),
        ({"cidr": "192.0.2.0/24", "port": "08155"}, "grpc://192.0.2.1:8155"),
        (
            {"cidr": "192.0.2.0/24", "port": 911, "listen_network": "unix", "listen_address": "/x"},
            "grpc://192.0.2.1:911",
        ),
        ({"cidr": "192.0.2.0/24", "listen_address": ":911"}, "grpc://192.0.2.1:911"),
        ({"cidr": "192.0.2.0/24", "listen_address": "[::]:911"}, "grpc://192.0.2.1:911"),
        ({"cidr": "192.0.2.0/24", "scheme": None, "url": None}, "grpc://192.0.2.1:8155"),
        ({"url": "anything at all", "cidr": ""}, "anything at all"),
        ({"url": "grpc://kas-1:8155", "listen_address": ":8155", "cidr": []}, "grpc://kas-1:8155"),
        ({"listen_address": "kas-1.example.com:8155", "scheme": "grpcs"}, "grpcs://kas-1.example.com:8155"),
        ({"listen_address": "[FD00::1]:8155"}, "grpc://[FD00::1]:8155"),
        ({"listen_address": "10.0.0.1:8155", "listen_network": "tcp4", "port": 1}, "grpc://10.0.0.1:8155"),
        ({"listen_address": "/run/kas/private-api.sock", "listen_network": "unix"}, "unix:///run/kas/private-api.sock"),
    ],
)
def test_url(options: dict[str, object], expected: str) -> None:
    assert own_private_api_url(HOST, **options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["grpc://localhost:8155"]),
        ({"url": "grpc://kas-1:8155"}, ["grpc://kas-1:8155"]),
        ({"cidr": "10.0.0.0/8"}, ["grpc://10.0.0.1:8155", "grpc://10.0.0.2:8155"]),
        ({"cidr": "fd00::/8,10.0.0.2/32"}, ["grpc://10.0.0.2:8155", "grpc://[fd00::1]:8155"]),
        ({"cidr": "127.0.0.0/8", "port": "911", "scheme": "grpcs"}, ["grpcs://127.0.0.1:911"]),
        (
            {"listen_address": ":8155"},
            [
                "grpc://10.0.0.1:8155",
                "grpc://10.0.0.2:8155",
                "grpc://192.0.2.1:8155",
                "grpc://[fd00::1]:8155",
            ],
        ),
        (
            {"listen_address": "0.0.0.0:8155", "listen_network": "tcp4", "port": 911, "scheme": "grpcs"},
            ["grpcs://10.0.0.1:911", "grpcs://10.0.0.2:911", "grpcs://192.0.2.1:911"],
        ),
        ({"listen_address": "[::]:8155", "listen_network": "tcp6"}, ["grpc://[fd00::1]:8155"]),
        ({"listen_address": "10.0.0.9:8155", "listen_network": "tcp4"}, ["grpc://10.0.0.9:8155"]),
        ({"listen_address": "[FD00:0::1]:8155"}, ["grpc://[fd00::1]:8155"]),
        ({"listen_address": "127.0.0.1:8155"}, ["grpc://127.0.0.1:8155"]),
        ({"listen_address": "kas-1.example.com:8155", "listen_network": "tcp6"}, ["grpc://kas-1.example.com:8155"]),
        ({"listen_address": "/run/x.sock", "listen_network": "unix", "port": 1}, ["unix:///run/x.sock"]),
    ],
)
def test_urls(options: dict[str, object], expected: list[str]) -> None:
    assert own_private_api_urls(HOST, **options) == expected


@pytest.mark.parametrize(
    ("host", "options", "message"),
    [
        (
            HOST,
            {"cidr": "10.0.0.0/8, ::1/128"},
            "Several of the host's addresses lie in 10.0.0.0/8, ::1/128 (10.0.0.1, 10.0.0.2, ::1),"
            " but one URL takes one; set cidr to a network that contains exactly one of them, or set url.",
        ),
        (
            HOST,
            {"listen_address": "0.0.0.0:8155"},
            "listen_address 0.0.0.0:8155 stands for all of the host's addresses"
            " (127.0.0.1, 10.0.0.1, 10.0.0.2, 192.0.2.1, ::1, fe80::1, fd00::1), but one URL takes one;"
            " set cidr to a network that contains exactly one of them, or set url.",
        ),
        (
            [],
            {"listen_address": ":8155"},
            "listen_address :8155 stands for all of the host's addresses (none known), but one URL takes one;"
            " set cidr to a network that contains exactly one of them, or set url.",
        ),
    ],
)
def test_one_url_refused(host: list[str], options: dict[str, object], message: str) -> None:
    with pytest.raises(PrivateApiError) as refused:
        own_private_api_url(host, **options)
    assert str(refused.value) == message


NOT_A_NETWORK = "in cidr is not a network; give an address and a prefix length, such as 10.0.0.0/8 or fd00::/8."
NOT_A_LISTENER = "listen_address must be HOST:PORT, such as 10.0.0.1:8155, [fd00::1]:8155 or :8155, not"
NO_LISTENER = (
    "Neither url nor cidr is given, and the listener is not known;"
    " give one of the two, or both listen_network and listen_address."
)


@pytest.mark.parametrize("function", [own_private_api_url, own_private_api_urls])
@pytest.mark.parametrize(
    ("host", "options", "message"),
    [
        (
            HOST,
            {"cidr": "172.16.0.0/12,2001:db8::/32"},
            "None of the host's addresses (127.0.0.1, 10.0.0.1, 10.0.0.2, 192.0.2.1, ::1, fe80::1, fd00::1) lies in"
            " 172.16.0.0/12, 2001:db8::/32; set cidr to a network that contains one of them, or set url.",
        ),
        (
            [],
            {"cidr": "10.0.0.0/8"},
            "None of the host's addresses is known, so none can lie in 10.0.0.0/8;"
            " gather the host's network facts first, or give a list of addresses.",
        ),
        (HOST, {"cidr": "10.0.0.0"}, f"'10.0.0.0' {NOT_A_NETWORK}"),
        (HOST, {"cidr": "10.0.0.0/33"}, f"'10.0.0.0/33' {NOT_A_NETWORK}"),
        (HOST, {"cidr": "10.0.0.0/255.0.0.0"}, f"'10.0.0.0/255.0.0.0' {NOT_A_NETWORK}"),
        (HOST, {"cidr": "10.0.0.0/08"}, f"'10.0.0.0/08' {NOT_A_NETWORK}"),
        (HOST, {"cidr": "fe80::%eth0/64"}, f"'fe80::%eth0/64' {NOT_A_NETWORK}"),
        (HOST, {"cidr": "10.0.0.0/8,"}, f"'' {NOT_A_NETWORK}"),
        (HOST, {"cidr": [""]}, f"'' {NOT_A_NETWORK}"),
        (HOST, {"cidr": "private"}, f"'private' {NOT_A_NETWORK}"),
        (HOST, {"cidr": {"a": 1}}, "cidr must be text or a list of texts, but there is a mapping."),
        (HOST, {"cidr": [["10.0.0.0/8"]]}, "cidr must be text or a list of texts, but there is a list."),
        (HOST, {"cidr": 10}, "cidr must be text or a list of texts, but there is a number."),
        (HOST, {"cidr": [None]}, "cidr must be text or a list of texts, but there is null."),
        (HOST, {"cidr": True}, "cidr must be text or a list of texts, but there is a boolean."),
        (HOST, {"port": 0}, "port must be a whole number from 1 to 65535, not 0."),
        (HOST, {"port": "65536"}, "port must be a whole number from 1 to 65535, not '65536'."),
        (HOST, {"port": -1}, "port must be a whole number from 1 to 65535, not -1."),
        (HOST, {"port": "+1"}, "port must be a whole number from 1 to 65535, not '+1'."),
        (HOST, {"port": "\u0661"}, "port must be a whole number from 1 to 65535, not '\u0661'."),
        (HOST, {"port": "http"}, "port must be a whole number from 1 to 65535, not 'http'."),
        (HOST, {"port": True}, "port must be a whole number from 1 to 65535, not True."),
        (HOST, {"port": 8155.0}, "port must be a whole number from 1 to 65535, not 8155.0."),
        (HOST, {"port": [8155]}, "port must be a whole number from 1 to 65535, not a list."),
        (HOST, {"scheme": "http"}, "scheme must be one of grpc, grpcs, not 'http'."),
        (HOST, {"scheme": ["grpc"]}, "scheme must be text, not a list."),
        (HOST, {"url": 5}, "url must be text, not a number."),
        (HOST, {"listen_network": "udp"}, "listen_network must be one of tcp, tcp4, tcp6, unix, not 'udp'."),
        (HOST, {"listen_network": True}, "listen_network must be text, not a boolean."),
        (HOST, {"listen_address": 8155}, "listen_address must be text, not a number."),
        (HOST, {"listen_address": "10.0.0.1"}, f"{NOT_A_LISTENER} '10.0.0.1'."),
        (HOST, {"listen_address": "10.0.0.1:"}, f"{NOT_A_LISTENER} '10.0.0.1:'."),
        (HOST, {"listen_address": "10.0.0.1:0"}, f"{NOT_A_LISTENER} '10.0.0.1:0'."),
        (HOST, {"listen_address": "10.0.0.1:99999"}, f"{NOT_A_LISTENER} '10.0.0.1:99999'."),
        (HOST, {"listen_address": "fd00::1:8155"}, f"{NOT_A_LISTENER} 'fd00::1:8155'."),
        (HOST, {"listen_address": "[::::]:8155"}, f"{NOT_A_LISTENER} '[::::]:8155'."),
        (HOST, {"listen_address": "grpc://a:8155"}, f"{NOT_A_LISTENER} 'grpc://a:8155'."),
        (HOST, {"listen_address": ""}, NO_LISTENER),
        (HOST, {"listen_network": ""}, NO_LISTENER),
        (HOST, {"listen_network": "unix", "listen_address": ""}, NO_LISTENER),
        (
            HOST,
            {"cidr": "192.0.2.0/24", "listen_network": "unix", "listen_address": "/run/x.sock"},
            "The port for the URL of 192.0.2.1 is not known, because the listener names none; give port.",
        ),
        (None, {}, "The host's addresses must be a list, not null."),
        ("10.0.0.1", {}, "The host's addresses must be a list, not text."),
        ({"a": 1}, {}, "The host's addresses must be a list, not a mapping."),
        ({1}, {}, "The host's addresses must be a list, not a set."),
    ],
)
def test_refused(function: Callable[..., Any], host: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(PrivateApiError) as refused:
        function(host, **options)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("host", "options", "leftover"),
    [
        (["127.0.0.1", "::1", "fe80::1", "169.254.0.1"], {"listen_address": ":8155"}, "tcp :8155"),
        (["10.0.0.1"], {"listen_address": "[::]:8155", "listen_network": "tcp6"}, "tcp6 [::]:8155"),
        (["10.0.0.1"], {"listen_address": "10.0.0.1:8155", "listen_network": "tcp6"}, "tcp6 10.0.0.1:8155"),
    ],
)
def test_nothing_to_publish(host: list[str], options: dict[str, object], leftover: str) -> None:
    with pytest.raises(PrivateApiError) as refused:
        own_private_api_urls(host, **options)
    assert str(refused.value) == (
        f"A listener on {leftover} leaves KAS nothing to publish of the host's addresses ({', '.join(host)}),"
        " loopback and link-local ones not counted; set cidr or url."
    )


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([], []),
        (("10.0.0.1", "fd00::1"), ["10.0.0.1", "fd00::1"]),
        (["b::2", "10.0.0.2", "b::1", "10.0.0.1"], ["b::2", "10.0.0.2", "b::1", "10.0.0.1"]),
        (["10.0.0.1", "10.0.0.2", "10.0.0.1"], ["10.0.0.1", "10.0.0.2"]),
        (["2001:DB8:0:0:0:0:0:1", "2001:db8::1"], ["2001:db8::1"]),
        (
            ["2001:db8:0:1:0:0:0:1", "1:0:0:2:0:0:3:4", "1:0:2:3:4:5:6:7"],
            ["2001:db8:0:1::1", "1::2:0:0:3:4", "1:0:2:3:4:5:6:7"],
        ),
        (["::ffff:10.0.0.1", "10.0.0.1", "::ffff:a00:1"], ["10.0.0.1"]),
        (["fe80::1%eth0", "fe80::1%eth1", "::ffff:10.0.0.1%eth0"], ["fe80::1", "10.0.0.1"]),
    ],
)
def test_addresses(candidates: object, expected: list[str]) -> None:
    assert addresses(candidates) == expected


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        (
            text,
            f"{text!r} is not an IP address; give the host's addresses alone, such as 10.0.0.1 or fd00::1,"
            " without a prefix length.",
        )
        for text in ("", "kas-1", "10.0.0.1/8", "10.0.0", "10.0.0.1%eth0", "[fd00::1]", " 10.0.0.1")
    ]
    + [
        ({"address": "10.0.0.1"}, "An address of a host must be text, not a mapping."),
        (10, "An address of a host must be text, not a number."),
        (None, "An address of a host must be text, not null."),
    ],
)
def test_address_refused(candidate: object, message: str) -> None:
    with pytest.raises(PrivateApiError) as refused:
        addresses(["10.0.0.1", candidate])
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("url", "endpoint", "reason"),
    [
        ("grpc://10.0.0.1:8155", Endpoint("grpc", "10.0.0.1", 8155, ""), None),
        ("grpcs://[fd00::1]:8155", Endpoint("grpcs", "fd00::1", 8155, ""), None),
        ("grpcs://kas-1.example.com", Endpoint("grpcs", "kas-1.example.com", 443, ""), None),
        ("grpc://kas-1/", Endpoint("grpc", "kas-1", 80, ""), None),
        ("grpc://localhost.example.com:1", Endpoint("grpc", "localhost.example.com", 1, ""), None),
        ("unix:///run/x y.sock", Endpoint("unix", "", None, "/run/x y.sock"), "is a UNIX socket"),
        ("grpc://localhost:8155", Endpoint("grpc", "localhost", 8155, ""), "is a loopback name"),
        ("grpc://LOCALHOST.:1", Endpoint("grpc", "LOCALHOST.", 1, ""), "is a loopback name"),
        ("grpc://kas.localhost:1", Endpoint("grpc", "kas.localhost", 1, ""), "is a loopback name"),
        ("grpc://localhost6.localdomain6:1", Endpoint("grpc", "localhost6.localdomain6", 1, ""), "is a loopback name"),
        ("grpc://ip6-loopback:1", Endpoint("grpc", "ip6-loopback", 1, ""), "is a loopback name"),
        ("grpc://127.8.8.8:1", Endpoint("grpc", "127.8.8.8", 1, ""), "is a loopback address"),
        ("grpc://[::1]:1", Endpoint("grpc", "::1", 1, ""), "is a loopback address"),
        ("grpc://[::ffff:127.0.0.1]:1", Endpoint("grpc", "::ffff:127.0.0.1", 1, ""), "is a loopback address"),
        ("grpc://0.0.0.0:1", Endpoint("grpc", "0.0.0.0", 1, ""), "is a wildcard address"),
        ("grpc://[::]:1", Endpoint("grpc", "::", 1, ""), "is a wildcard address"),
        ("grpc://169.254.1.1:1", Endpoint("grpc", "169.254.1.1", 1, ""), "is a link-local address"),
        ("grpc://[fe80::1%25eth0]:1", Endpoint("grpc", "fe80::1%25eth0", 1, ""), "is a link-local address"),
    ],
)
def test_parsed_url(url: str, endpoint: Endpoint, reason: str | None) -> None:
    assert parse_url(url) == endpoint
    assert unreachable_reason(url) == reason


@pytest.mark.parametrize("function", [parse_url, unreachable_reason])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            text,
            f"{text!r} is not the URL of a private API;"
            " give grpc://HOST:PORT, grpcs://HOST:PORT or unix:///PATH, with an IPv6 address in brackets.",
        )
        for text in (
            "",
            "10.0.0.1:8155",
            "http://10.0.0.1:8155",
            "GRPC://10.0.0.1:8155",
            "grpc://",
            "grpc://:8155",
            "grpc://fd00::1:8155",
            "grpc://10.0.0.1:0",
            "grpc://10.0.0.1:http",
            "grpc://10.0.0.1:8155/path",
            "grpc://10.0.0.1:8155?a",
            "grpc://user@10.0.0.1:8155",
            "grpc://10.0.0.1:8155\n",
            "unix://run/x.sock",
            "unix:///",
            "unix:/run/x.sock",
        )
    ]
    + [(["grpc://10.0.0.1:8155"], "The URL of a private API must be text, not a list.")],
)
def test_url_not_parsed(function: Callable[..., Any], url: object, message: str) -> None:
    with pytest.raises(PrivateApiError) as refused:
        function(url)
    assert str(refused.value) == message


HOSTS = st.lists(st.ip_addresses().map(str), max_size=6)
CIDRS = st.lists(
    st.one_of(
        st.tuples(st.ip_addresses(v=4), st.integers(0, 32)),
        st.tuples(st.ip_addresses(v=6), st.integers(0, 128)),
    ).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    min_size=1,
    max_size=3,
)


def answer(function: Callable[..., Any], *arguments: object, **options: object) -> Any:
    try:
        return function(*arguments, **options)
    except PrivateApiError:
        return None


@given(host=HOSTS, cidr=CIDRS)
def test_every_published_address_is_the_hosts_and_lies_in_a_network(host: list[str], cidr: list[str]) -> None:
    networks = [ip_network(text, strict=False) for text in cidr]
    published = [parse_url(url).host for url in answer(own_private_api_urls, host, cidr=cidr) or []]
    expected = [text for text in addresses(host) if any(ip_address(text) in network for network in networks)]
    assert published == expected


@given(host=HOSTS, cidr=CIDRS, port=st.one_of(st.none(), st.integers(1, 65535)))
def test_the_one_url_is_the_only_one_published(host: list[str], cidr: list[str], port: int | None) -> None:
    urls = answer(own_private_api_urls, host, cidr=cidr, port=port)
    one = answer(own_private_api_url, host, cidr=cidr, port=port)
    assert one == (urls[0] if isinstance(urls, list) and len(urls) == 1 else None)


@given(host=HOSTS, network=st.sampled_from(["tcp", "tcp4", "tcp6"]))
def test_what_a_wildcard_publishes_can_be_reached(host: list[str], network: str) -> None:
    for url in answer(own_private_api_urls, host, listen_address=":8155", listen_network=network) or []:
        assert unreachable_reason(url) in (None, "is a wildcard address")
