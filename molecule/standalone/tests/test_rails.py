"""A node with Rails and Redis, whose KAS runs elsewhere."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_rails"]


def test_rails_knows_kas(node):
    assert node.rails_config == {
        "enabled": True,
        "external_url": "wss://kas.gitlab.example.com/-/kubernetes-agent/",
        "internal_url": "grpc://10.87.0.11:8153",
        "external_k8s_proxy_url": "https://kas.gitlab.example.com/-/kubernetes-agent/k8s-proxy/",
    }


def test_rails_reaches_kas_with_the_shared_secret(node):
    assert node.rails == "ok"


def test_no_kas_runs_here(host):
    assert host.run("gitlab-ctl status gitlab-kas").stdout == ""
    assert not host.process.filter(comm="gitlab-kas")


def test_redis_stays(host):
    assert host.check_output("gitlab-ctl status redis").startswith("run: redis: ")
