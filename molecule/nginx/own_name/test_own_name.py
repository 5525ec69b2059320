"""KAS on a host name of its own: a virtual host for itself."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_agents_reach_kas(node):
    assert node.upgraded("https://kas.gitlab.example.com/") == "101"


def test_users_reach_the_kubernetes_api_proxy(node):
    assert node.asked("https://kas.gitlab.example.com/k8s-proxy/version") == "401"


def test_rails_is_told(node):
    assert node.rails_config["external_url"] == "wss://kas.gitlab.example.com/"
    assert node.rails_config["external_k8s_proxy_url"] == "https://kas.gitlab.example.com/k8s-proxy/"
