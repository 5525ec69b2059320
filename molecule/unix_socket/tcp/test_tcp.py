"""The same node on TCP again."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_kas_is_ready(node):
    assert node.readiness == "200"
    assert node.rails == "ok"


def test_listeners_are_those_of_the_package(node):
    assert {"127.0.0.1:8153", "127.0.0.1:8155"} <= node.listeners


def test_nothing_of_the_sockets_is_left(node):
    lines = [line for line in node.gitlab_rb.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if "unix" in line or "socket" in line.replace("websocket", "")]
    assert not node.host.file("/var/opt/gitlab/gitlab-kas/sockets").exists


def test_what_the_variables_replaced_is_there_again(node):
    assert node.own_environment == {"OWN_PRIVATE_API_URL": "grpc://localhost:8155"}
    assert "gitlab_kas['log_level'] = \"warn\" # too many lines otherwise" in node.gitlab_rb.splitlines()
