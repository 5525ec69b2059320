"""URLs left to the listeners: a fixed address, and all addresses of one family."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

SETTINGS = {
    "kas1": {"private_api_listen_address": "10.87.0.11:8155", "OWN_PRIVATE_API_URL": ""},
    "kas2": {"private_api_listen_address": "0.0.0.0:8155", "private_api_listen_network": "tcp4"},
    "kas3": {"private_api_listen_address": ":8155", "private_api_listen_network": "tcp6"},
}
LISTENERS = {"kas1": "10.87.0.11:8155", "kas2": "0.0.0.0:8155", "kas3": "[::]:8155"}
PUBLISHED = {
    "kas1": "grpc://10.87.0.11:8155",
    "kas2": "grpc:10.87.0.12|8155",
    "kas3": "grpc:fd00:6b:6173::13|8155",
}
URLS = {
    "kas1": "grpc://10.87.0.11:8155",
    "kas2": "grpc://10.87.0.12:8155",
    "kas3": "grpc://[fd00:6b:6173::13]:8155",
}


def test_gitlab_rb(node):
    assert node.private_api == SETTINGS[node.name]


def test_listens_there_only(node):
    assert {listener for listener in node.listeners if listener.endswith("155")} == {LISTENERS[node.name]}


def test_kas_names_itself(node):
    assert node.own_environment == {}
    assert node.published == PUBLISHED[node.name]


def test_every_kas_reaches_every_other(node, soon):
    soon(lambda: node.peers == set(URLS.values()) - {URLS[node.name]})
