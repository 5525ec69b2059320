"""How KAS names itself: what a real KAS of 16.5 answered, and what is known since 17.8."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from gitlab_kas.errors import KasError, KasPanic
from gitlab_kas.own_url import own_url

OLD, NEW = (16, 5, 0), (18, 6, 1)
HOST = ["127.0.0.1", "::1", "10.98.0.11", "10.98.0.13", "fd98::1", "fe80::1"]
NO_OWN = "could't determine own URL. Please set OWN_PRIVATE_API_URL or OWN_PRIVATE_API_CIDR environment variable"
NO_MATCH = "no IPs matched CIDR specified in the OWN_PRIVATE_API_CIDR environment variable"
NO_PORT = "cannot determine port for own URL. Specify OWN_PRIVATE_API_PORT"
BOTH = "either OWN_PRIVATE_API_URL or OWN_PRIVATE_API_CIDR should be specified, not both"
BAD_CIDR = "failed to parse OWN_PRIVATE_API_CIDR environment variable: invalid CIDR address: "
BAD_PORT = "error parsing OWN_PRIVATE_API_PORT environment variable: strconv.ParseUint: parsing "
BAD_SCHEME = "OWN_PRIVATE_API_SCHEME environment variable schould be either grpc or grpcs, got: "
SEVERAL = "construct own private API multi URL: "
ONE_IP = "10.98.0.11/32"


def named(release, network, address, **env):
    """What the log shows, and what is published."""
    variables = {f"OWN_PRIVATE_API_{name}": value for name, value in env.items()}
    own = own_url(variables, network, address, release, lambda: [ip_address(ip) for ip in HOST])
    return own.shown, list(own.urls)


@pytest.mark.parametrize(
    ("network", "address", "env", "expected"),
    [
        # The listener's address as it stands; a PORT is not looked at without a CIDR.
        ("tcp", "127.0.0.1:8155", {}, "grpc://127.0.0.1:8155"),
        ("tcp", "10.98.0.11:8155", {"PORT": "123", "SCHEME": "grpcs"}, "grpcs://10.98.0.11:8155"),
        ("tcp", "[fd98::1]:8155", {}, "grpc://[fd98::1]:8155"),
        ("tcp", "kas1.example.com:8155", {}, "grpc://kas1.example.com:8155"),
        ("tcp", "10.98.0.11:http", {}, "grpc://10.98.0.11:http"),
        ("tcp", ":8155", {}, "grpc://:8155"),
        ("tcp", ":8155", {"PORT": "1"}, "grpc://:8155"),
        ("unix", "/run/kas.socket", {}, "unix:///run/kas.socket"),
        # A URL as it stands: whatever is wrong with it shows when a peer dials.
        ("tcp", "0.0.0.0:8155", {"URL": "grpc://10.98.0.11:8155"}, "grpc://10.98.0.11:8155"),
        ("tcp", "0.0.0.0:8155", {"URL": "grpc://10.98.0.11"}, "grpc://10.98.0.11"),
        ("tcp", "0.0.0.0:8155", {"URL": "https://kas.example.com"}, "https://kas.example.com"),
        ("tcp", "0.0.0.0:8155", {"URL": "banana", "PORT": "x"}, "banana"),
        # The address within a CIDR.
        ("tcp", "0.0.0.0:8155", {"CIDR": ONE_IP}, "grpc://10.98.0.11:8155"),
        ("tcp", "0.0.0.0:8155", {"CIDR": "10.98.0.10/31", "PORT": "08155"}, "grpc://10.98.0.11:8155"),
        ("unix", "/run/kas.socket", {"CIDR": ONE_IP, "PORT": "1", "SCHEME": "grpcs"}, "grpcs://10.98.0.11:1"),
        ("tcp", ":1", {"CIDR": "fd98::7334/64"}, "grpc://[fd98::1]:1"),
        ("tcp", ":1", {"CIDR": "fe80::/10"}, "grpc://[fe80::1]:1"),
        ("tcp", ":1", {"CIDR": "::ffff:10.98.0.11/128"}, "grpc://10.98.0.11:1"),
        ("tcp", ":1", {"CIDR": "::ffff:10.98.0.10/127"}, "grpc://10.98.0.11:1"),
    ],
)
def test_one(network, address, env, expected):
    for release in (OLD, (17, 7, 9)):
        assert named(release, network, address, **env) == (expected, [expected])


@pytest.mark.parametrize(
    ("network", "address", "env", "text"),
    [
        ("tcp", "0.0.0.0:8155", {}, NO_OWN),
        ("tcp", "[::]:8155", {}, NO_OWN),
        ("tcp", "[::ffff:0.0.0.0]:8155", {}, NO_OWN),
        ("tcp", "10.98.0.11", {}, "listener address: address 10.98.0.11: missing port in address"),
        ("tcp", "::1:8155", {}, "listener address: address ::1:8155: too many colons in address"),
        ("tcp", "[::1:8155", {}, "listener address: address [::1:8155: missing ']' in address"),
        ("tcp", ":1", {"URL": "grpc://10.98.0.11:1", "CIDR": ONE_IP}, BOTH),
        ("tcp", ":1", {"CIDR": "192.0.2.0/24"}, NO_MATCH),
        (
            "tcp",
            ":1",
            {"CIDR": "10.98.0.0/24"},
            "multiple IPs matched CIDR specified in the OWN_PRIVATE_API_CIDR"
            " environment variable: [10.98.0.11 10.98.0.13]",
        ),
        ("unix", "/run/kas.socket", {"CIDR": ONE_IP}, NO_PORT),
        *(
            (("tcp"), ":1", {"CIDR": cidr}, BAD_CIDR + cidr)
            for cidr in (
                "10.98.0.11",
                "10.98.0.0/255.255.255.0",
                "10.98.0.0/33",
                "10.98.0.0/",
                "10.98.0/24",
                "10.98.0.011/32",
                "10.98.0.11/32,10.98.0.13/32",
                "fe80::1%eth0/64",
                " 10.98.0.0/24",
                "x/24",
                "10.98.0.0/-1",
            )
        ),
        ("tcp", ":1", {"CIDR": ONE_IP, "PORT": "0"}, "invalid port in OWN_PRIVATE_API_PORT environment variable: 0"),
        ("tcp", ":1", {"CIDR": ONE_IP, "PORT": "x"}, f'{BAD_PORT}"x": invalid syntax'),
        ("tcp", ":1", {"CIDR": ONE_IP, "PORT": "+1"}, f'{BAD_PORT}"+1": invalid syntax'),
        ("tcp", ":1", {"CIDR": ONE_IP, "PORT": "65536"}, f'{BAD_PORT}"65536": value out of range'),
        ("tcp", "10.98.0.11:1", {"PORT": "x"}, f'{BAD_PORT}"x": invalid syntax'),
        ("tcp", ":1", {"SCHEME": "http"}, f"{BAD_SCHEME}http"),
    ],
)
def test_none(network, address, env, text):
    with pytest.raises(KasError) as caught:
        named(OLD, network, address, **env)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("network", "address", "env", "shown", "urls"),
    [
        ("tcp", "10.98.0.11:8155", {}, "grpc:10.98.0.11|8155", ["grpc://10.98.0.11:8155"]),
        ("tcp", "10.98.0.11:8155", {"PORT": "1"}, "grpc:10.98.0.11|1", ["grpc://10.98.0.11:1"]),
        ("tcp", ":1", {"URL": "grpcs://[fd98::1]:2"}, "grpcs:fd98::1|2", ["grpcs://[fd98::1]:2"]),
        ("unix", "/run/k", {}, "unix:/run/k", ["unix:///run/k"]),
        ("tcp", "localhost:8155", {}, "grpc:/localhost/|8155", ["grpc://localhost:8155"]),
        ("tcp", ":1", {"URL": "grpc://kas1:2"}, "grpc:/kas1/|2", ["grpc://kas1:2"]),
        # All that match, and all of a wildcard that others may reach.
        ("tcp", ":1", {"CIDR": "10.98.0.0/24"}, "grpc:10.98.0.11,10.98.0.13|1",
         ["grpc://10.98.0.11:1", "grpc://10.98.0.13:1"]),
        ("tcp", ":1", {"CIDR": f"fd98::/64,{ONE_IP}"}, "grpc:10.98.0.11,fd98::1|1",
         ["grpc://10.98.0.11:1", "grpc://[fd98::1]:1"]),
        ("tcp4", "0.0.0.0:1", {}, "grpc:10.98.0.11,10.98.0.13|1", ["grpc://10.98.0.11:1", "grpc://10.98.0.13:1"]),
        ("tcp6", "[::]:1", {}, "grpc:fd98::1|1", ["grpc://[fd98::1]:1"]),
        ("tcp", ":1", {}, "grpc:10.98.0.11,10.98.0.13,fd98::1|1",
         ["grpc://10.98.0.11:1", "grpc://10.98.0.13:1", "grpc://[fd98::1]:1"]),
    ],
)  # fmt: skip
def test_several(network, address, env, shown, urls):
    assert named(NEW, network, address, **env) == (shown, urls)


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"CIDR": "192.0.2.0/24"}, f"{SEVERAL}{NO_MATCH}"),
        ({"CIDR": ONE_IP, "URL": "grpc://10.98.0.11:1"}, f"{SEVERAL}{BOTH}"),
        ({"URL": "https://10.98.0.11:1"}, f"{SEVERAL}failed to parse OWN_PRIVATE_API_URL https://10.98.0.11:1"),
        ({"URL": "grpc://10.98.0.11"}, f"{SEVERAL}failed to parse OWN_PRIVATE_API_URL grpc://10.98.0.11"),
        ({"SCHEME": "http"}, f"{SEVERAL}{BAD_SCHEME}http"),
    ],
)
def test_none_of_several(env, text):
    with pytest.raises(KasError) as caught:
        named(NEW, "tcp", ":1", **env)
    assert str(caught.value) == text


LIST = f"{ONE_IP},fd98::/64"


def test_by_release():
    """What changed within 17.8 and 17.9."""
    default = {"URL": "grpc://localhost:8155"}  # the package's until 17.9
    with pytest.raises(KasError) as caught:
        named((17, 8, 0), "tcp", "localhost:8155", **default)
    assert str(caught.value) == (
        "construct own private API multi URL: failed to parse OWN_PRIVATE_API_URL grpc://localhost:8155:"
        ' ParseAddr("localhost"): unable to parse IP'
    )
    shown, urls = named((17, 8, 1), "tcp", "localhost:8155", **default)
    assert shown in ("grpc:::1,127.0.0.1|8155", "grpc:127.0.0.1,::1|8155", "grpc:127.0.0.1|8155")
    assert set(urls) <= {"grpc://[::1]:8155", "grpc://127.0.0.1:8155"}
    for env in ({}, default):
        with pytest.raises(KasPanic, match=r"^multi URL: no addresses and no host$"):
            named((17, 9, 0), "tcp", "localhost:8155", **env)
    assert named((17, 9, 0), "tcp", "127.0.0.1:8155")[0] == "grpc:127.0.0.1|8155"
    assert named((17, 9, 1), "tcp", "localhost:8155")[0] == "grpc:/localhost/|8155"
    with pytest.raises(KasError, match="invalid CIDR address"):
        named((17, 8, 0), "tcp", ":1", CIDR=LIST)
    assert named((17, 8, 1), "tcp", ":1", CIDR=LIST)[0] == "grpc:10.98.0.11,fd98::1|1"
