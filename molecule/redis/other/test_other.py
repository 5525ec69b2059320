"""The same three KAS, after each went over to another way."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

URLS = {f"kas{n}": f"grpc://10.87.0.1{n}:8155" for n in (1, 2, 3)}


def test_every_kas_is_ready_and_reaches_every_other(node, soon):
    soon(lambda: node.readiness == "200" and node.peers == set(URLS.values()) - {URLS[node.name]})


WAYS = {
    "kas1": ("tcp", True, "kas", {"address": "10.87.0.13:6380"}, False),
    "kas2": ("tcp", False, None, None, True),
    "kas3": ("unix", False, "kas", {"address": "/run/redis.socket"}, False),
}


def test_each_in_its_new_way(node):
    redis = node.config["redis"]
    way = (redis["network"], redis["tls"]["enabled"], redis.get("username"), redis.get("server"), "sentinel" in redis)
    assert way == WAYS[node.name]
