"""Check mode before the first converge changes nothing."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_nothing_has_changed(host, node):
    assert not host.file("/var/opt/gitlab/gitlab-kas/sockets").exists
    assert "'unix'" not in [line for line in node.gitlab_rb.splitlines() if not line.startswith("#")]
    assert node.reconfigure_runs == 1
