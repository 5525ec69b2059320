"""A node whose internal and private API listen on UNIX sockets."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://gitlab_kas"]

DIRECTORY = "/var/opt/gitlab/gitlab-kas/sockets"


def test_kas_is_ready(node):
    assert node.readiness == "200"
    assert node.own_environment == {"OWN_PRIVATE_API_URL": f"unix://{DIRECTORY}/private-api.socket"}


def test_directory(host):
    directory = host.file(DIRECTORY)
    assert directory.is_directory
    assert (directory.user, directory.group, directory.mode) == ("git", "git", 0o700)


@pytest.mark.parametrize("name", ["internal-api.socket", "private-api.socket"])
def test_sockets(host, name):
    assert host.file(f"{DIRECTORY}/{name}").is_socket
    assert host.socket(f"unix://{DIRECTORY}/{name}").is_listening


def test_no_tcp_listener_for_these(node):
    assert not {listener.rpartition(":")[2] for listener in node.listeners} & {"8153", "8155"}


def test_rails_reaches_kas_through_the_socket(node):
    assert node.rails_config["internal_url"] == f"unix://{DIRECTORY}/internal-api.socket"
    assert node.rails == "ok"


def test_one_reconfigure(node):
    assert node.reconfigure_runs == 2  # the package's own first one, and ours
