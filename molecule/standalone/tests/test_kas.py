"""Nodes with KAS and nothing else of GitLab."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

OFF = ("gitaly", "gitlab_workhorse", "postgresql", "prometheus", "puma", "redis", "sidekiq")


def test_kas_is_ready(node):
    assert node.readiness == "200"
    assert {"*:8153", "*:8155"} <= node.listeners


def test_each_kas_sees_the_other(node, soon):
    other = {"kas1": "grpc://10.87.0.12:8155", "kas2": "grpc://10.87.0.11:8155"}[node.name]
    soon(lambda: other in node.peers)


def test_kas_knows_redis_and_gitlab(node):
    assert node.config["redis"]["server"]["address"] == "10.87.0.13:6379"
    assert node.config["gitlab"]["address"] == "http://gitlab.example.com"


def test_gitlab_rb(node):
    assert [name for name in OFF if f"\n{name}['enable'] = false\n" not in node.gitlab_rb] == []
    assert "\nnginx['enable'] = true\n" in node.gitlab_rb
    assert "\ngitlab_rails['auto_migrate'] = false\n" in node.gitlab_rb
    assert "\ngitlab_rails['rake_cache_clear'] = false\n" in node.gitlab_rb
    assert "\nexternal_url 'https://kas.gitlab.example.com'\n" in node.gitlab_rb


def test_agents_reach_kas_through_nginx(node):
    assert node.upgraded("https://kas.gitlab.example.com/-/kubernetes-agent/") == "101"


def test_redis_does_not_run(host):
    assert host.run("gitlab-ctl status redis").stdout == ""
    assert not host.process.filter(comm="redis-server")
