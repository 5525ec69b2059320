"""Explicit URLs: given with a name, computed from what a query selects, and from a CIDR and a port."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

URLS = {"kas1": "grpc://kas1.internal:8155", "kas2": "grpc://[fd00:6b:6173::12]:8155", "kas3": "grpc://10.87.0.13:9155"}
PUBLISHED = {"kas1": URLS["kas1"], "kas2": "grpc:fd00:6b:6173::12|8155", "kas3": "grpc:10.87.0.13|9155"}
LISTENERS = {"kas1": ":8155", "kas2": ":8155", "kas3": "0.0.0.0:9155"}


def test_gitlab_rb(node):
    url, listener = URLS[node.name], LISTENERS[node.name]
    assert node.private_api == {"private_api_listen_address": listener, "OWN_PRIVATE_API_URL": url}


def test_kas_names_itself(node):
    assert node.own_environment == {"OWN_PRIVATE_API_URL": URLS[node.name]}
    assert node.published == PUBLISHED[node.name]


def test_every_kas_reaches_every_other(node, soon):
    soon(lambda: node.peers == set(URLS.values()) - {URLS[node.name]})


def test_what_is_not_about_the_url_stays(node):
    assert ("'NO_PROXY' => 'localhost'" in node.gitlab_rb) == (node.name == "kas2")
