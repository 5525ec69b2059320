"""The same nodes reach each other over IPv6."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

URLS = {f"kas{n}": f"grpc://[fd00:6b:6173::1{n}]:8155" for n in (1, 2, 3)}


def test_own_url(node):
    assert node.own_environment == {"OWN_PRIVATE_API_URL": URLS[node.name]}


def test_every_kas_reaches_every_other(node, soon):
    soon(lambda: node.peers == set(URLS.values()) - {URLS[node.name]})


def test_listens_on_all_addresses(node):
    assert node.config["private_api"]["listen"]["address"] == ":8155"


def test_what_is_asked_for_no_more_is_as_it_was(node):
    """The run before asked for kas_log_level."""
    assert node.config["observability"]["logging"]["level"] == "info"
