"""How KAS names itself: KAS's own table (up to 17.7), and GitLab's documentation (since 17.8)."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "stand_in"))

from gitlab_kas.errors import KasError, KasPanic
from gitlab_kas.own_url import own_url

OLD, NEW = (17, 7, 0), (18, 6, 1)
HOST = ["127.0.0.1", "::1", "fe80::1", "10.0.0.1", "10.0.0.2", "2001:db8:8a2e:370:809:a0b:c0d:1122"]
V6 = "2001:db8:8a2e:370::7334/64"


def named(version, network, address, **env):
    variables = {f"OWN_PRIVATE_API_{name}": value for name, value in env.items()}
    return own_url(variables, network, address, version, lambda: [ip_address(ip) for ip in HOST]).urls()


@pytest.mark.parametrize(
    ("version", "network", "address", "env", "expected"),
    [
        (OLD, "", "", {"URL": "grpc://127.0.0.1:900"}, ["grpc://127.0.0.1:900"]),
        (OLD, "", "", {"CIDR": "10.0.0.0/31", "PORT": "911"}, ["grpc://10.0.0.1:911"]),
        (OLD, "", "", {"CIDR": "10.0.0.1/32", "SCHEME": "grpcs", "PORT": "911"}, ["grpcs://10.0.0.1:911"]),
        (OLD, "tcp", ":1", {"CIDR": V6}, ["grpc://[2001:db8:8a2e:370:809:a0b:c0d:1122]:1"]),
        (OLD, "tcp", "10.1.2.3:9090", {"PORT": "123", "SCHEME": "grpcs"}, ["grpcs://10.1.2.3:9090"]),
        (OLD, "unix", "/run/k", {}, ["unix:///run/k"]),
        (NEW, "tcp", ":1", {"CIDR": "10.0.0.0/8"}, ["grpc://10.0.0.1:1", "grpc://10.0.0.2:1"]),
        (
            NEW,
            "tcp",
            ":1",
            {"CIDR": f"10.0.0.2/32,{V6}"},
            [
                "grpc://10.0.0.2:1",
                "grpc://[2001:db8:8a2e:370:809:a0b:c0d:1122]:1",
            ],
        ),
        (NEW, "tcp4", "0.0.0.0:1", {}, ["grpc://10.0.0.1:1", "grpc://10.0.0.2:1"]),
        (NEW, "tcp6", "[::]:1", {}, ["grpc://[2001:db8:8a2e:370:809:a0b:c0d:1122]:1"]),
        (NEW, "tcp", "kas1:9090", {"PORT": "123"}, ["grpc://kas1:123"]),
        (NEW, "tcp", ":1", {"URL": "grpcs://[fd00::1]:2"}, ["grpcs://[fd00::1]:2"]),
        ((17, 8, 0), "tcp", "localhost:1", {"URL": "grpc://127.0.0.1:1"}, ["grpc://127.0.0.1:1"]),
        ((17, 8, 0), "unix", "/run/k", {}, ["unix:///run/k"]),
        ((17, 9, 0), "tcp", "localhost:1", {"URL": "grpc://localhost:1"}, ["grpc://localhost:1"]),
    ],
)
def test_named(version, network, address, env, expected):
    assert named(version, network, address, **env) == expected


@pytest.mark.parametrize(
    ("version", "network", "address", "env", "error", "text"),
    [
        (
            OLD,
            "",
            "",
            {"CIDR": "10.0.0.1/32"},
            KasError,
            "cannot determine port for own URL. Specify OWN_PRIVATE_API_PORT",
        ),
        (
            OLD,
            "tcp",
            ":1",
            {"CIDR": "10.0.0.0/8"},
            KasError,
            "multiple IPs matched CIDR specified in the OWN_PRIVATE_API_CIDR environment variable: [10.0.0.1 10.0.0.2]",
        ),
        (
            OLD,
            "tcp",
            ":1",
            {"CIDR": "192.0.2.0/24"},
            KasError,
            "no IPs matched CIDR specified in the OWN_PRIVATE_API_CIDR environment variable",
        ),
        (
            OLD,
            "tcp",
            ":1",
            {"CIDR": "10.0.0.1/32,10.0.0.2/32"},
            KasError,
            "failed to parse OWN_PRIVATE_API_CIDR environment variable: invalid CIDR address: 10.0.0.1/32,10.0.0.2/32",
        ),
        (
            OLD,
            "tcp",
            ":1",
            {},
            KasError,
            "could't determine own URL. Please set OWN_PRIVATE_API_URL or OWN_PRIVATE_API_CIDR environment variable",
        ),
        (OLD, "tcp", "10.0.0.1", {}, KasError, "listener address: address 10.0.0.1: missing port in address"),
        (
            NEW,
            "tcp",
            ":1",
            {"CIDR": "10.0.0.1"},
            KasError,
            "failed to parse OWN_PRIVATE_API_CIDR environment variable: invalid CIDR address: 10.0.0.1",
        ),
        (NEW, "tcp", ":1", {"PORT": "0"}, KasError, "invalid port in OWN_PRIVATE_API_PORT environment variable: 0"),
        (
            NEW,
            "tcp",
            ":1",
            {"SCHEME": "http"},
            KasError,
            "OWN_PRIVATE_API_SCHEME environment variable schould be either grpc or grpcs, got: http",
        ),
        (
            NEW,
            "tcp",
            ":1",
            {"URL": "grpc://10.0.0.1:1", "CIDR": "10.0.0.0/8"},
            KasError,
            "either OWN_PRIVATE_API_URL or OWN_PRIVATE_API_CIDR should be specified, not both",
        ),
        ((17, 8, 0), "tcp", "localhost:1", {}, KasError, "couldn't determine own private API URL"),
        (
            (17, 8, 0),
            "tcp",
            ":1",
            {"URL": "grpc://kas1.internal:1"},
            KasError,
            "couldn't determine own private API URL",
        ),
        ((17, 9, 0), "tcp", "localhost:1", {}, KasPanic, "multi URL: no addresses and no host"),
    ],
)
def test_refused(version, network, address, env, error, text):
    with pytest.raises(error) as caught:
        named(version, network, address, **env)
    assert str(caught.value) == text
