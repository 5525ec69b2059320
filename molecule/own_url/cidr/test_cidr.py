"""URLs left to KAS: one CIDR up to 17.7, then several, and every address that lies in them."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

ENVIRONMENTS = {
    "kas1": {"OWN_PRIVATE_API_CIDR": "10.87.0.0/24"},
    "kas2": {
        "OWN_PRIVATE_API_CIDR": "10.87.0.0/24,fd00:6b:6173::/64",
        "OWN_PRIVATE_API_PORT": "9155",
        "OWN_PRIVATE_API_HOST": "kas.internal",
    },
    "kas3": {"OWN_PRIVATE_API_CIDR": "10.87.0.0/24,fd00:6b:6173::/64"},
}
LISTENERS = {"kas1": "0.0.0.0:8155", "kas2": ":9155", "kas3": ":8155"}
PUBLISHED = {
    "kas1": "grpc://10.87.0.11:8155",
    "kas2": "grpc:10.87.0.12,fd00:6b:6173::12|9155",
    "kas3": "grpc:10.87.0.13,10.87.0.23,fd00:6b:6173::13|8155",
}
URLS = {
    "kas1": {"grpc://10.87.0.11:8155"},
    "kas2": {"grpc://10.87.0.12:9155", "grpc://[fd00:6b:6173::12]:9155"},
    "kas3": {"grpc://10.87.0.13:8155", "grpc://10.87.0.23:8155", "grpc://[fd00:6b:6173::13]:8155"},
}


def test_gitlab_rb(node):
    blank = {"OWN_PRIVATE_API_URL": ""} if node.name == "kas1" else {}  # the old package has a default
    listener = {"private_api_listen_address": LISTENERS[node.name]}
    assert node.private_api == {**ENVIRONMENTS[node.name], **blank, **listener}


def test_kas_names_itself(node):
    assert node.own_environment == ENVIRONMENTS[node.name]
    assert node.published == PUBLISHED[node.name]


def test_every_kas_reaches_every_other(node, soon):
    soon(lambda: node.peers == set.union(*URLS.values()) - URLS[node.name])
