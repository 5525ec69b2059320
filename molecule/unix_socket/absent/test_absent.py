"""The node as it was before the first deployment."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_gitlab_rb_is_the_one_that_was_found(node):
    assert node.gitlab_rb == node.host.file("/root/gitlab.rb").content_string


def test_it_is_in_effect(node, soon):
    soon(lambda: node.readiness == "200")
    assert {"127.0.0.1:8153", "127.0.0.1:8155"} <= node.listeners
    assert node.own_environment == {"OWN_PRIVATE_API_URL": "grpc://localhost:8155"}
    assert node.rails == "ok"


def test_only_the_record_of_the_last_reconfigure_is_left(host):
    assert not host.file("/var/opt/gitlab/gitlab-kas/sockets").exists
    assert host.file("/var/lib/kasops.gitlab_kas").listdir() == ["reconfigured.json"]
