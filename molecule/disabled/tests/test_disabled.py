"""KAS is off, and Rails knows."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_kas_does_not_run(host, node):
    assert not host.file("/opt/gitlab/service/gitlab-kas").exists
    assert not host.process.filter(comm="gitlab-kas")
    assert not {listener.rpartition(":")[2] for listener in node.listeners} & {"8150", "8151", "8153", "8154", "8155"}


def test_rails_is_told(node):
    assert node.rails_config["enabled"] is False


def test_secrets_stay_for_the_day_it_is_turned_on_again(node):
    assert len(node.secrets) == 3


def test_one_reconfigure(node):
    assert node.reconfigure_runs == 2  # on, off
