"""Check mode before the first converge changes nothing."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_nothing_has_changed(host, node):
    assert node.gitlab_rb.count("gitlab_kas['enable'] = true") == node.gitlab_rb.count("# gitlab_kas['enable'] = true")
    assert not host.file("/etc/gitlab/gitlab-secrets.json").exists
    assert not host.file("/var/lib/kasops.gitlab_kas").exists
    assert host.run("ls /var/log/gitlab/reconfigure").stdout == ""
