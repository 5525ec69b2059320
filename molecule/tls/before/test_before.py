"""Check mode before the first converge changes nothing."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_nothing_has_changed(host):
    assert not host.file("/etc/gitlab/ssl-kas").exists
    assert host.file("/etc/gitlab/trusted-certs").listdir() == []
    assert host.run("ls /var/log/gitlab/reconfigure").stdout == ""
