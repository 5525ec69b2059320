"""The nodes reach each other over IPv4."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

URLS = {f"kas{n}": f"grpc://10.87.0.1{n}:8155" for n in (1, 2, 3)}


def test_own_url(node):
    assert node.own_environment == {"OWN_PRIVATE_API_URL": URLS[node.name]}


def test_every_kas_reaches_every_other(node, soon):
    soon(lambda: node.peers == set(URLS.values()) - {URLS[node.name]})


def test_listens_on_all_addresses(node):
    assert node.config["private_api"]["listen"]["address"] == "0.0.0.0:8155"


def test_each_change_was_one_reconfigure(node):
    """One run for the first deployment, and one more after the run that died half-way.

    On kas2 that run itself, too, and the one that gave it back its secrets.
    """
    changed = node.config["observability"]["logging"]["level"] == "debug"
    assert node.reconfigure_runs == (1 if not changed else 4 if node.name == "kas2" else 2)
