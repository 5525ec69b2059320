"""Nodes without TLS again."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_no_certificate_is_left(host):
    assert not host.file("/etc/gitlab/ssl-kas").exists
    assert host.file("/etc/gitlab/trusted-certs").listdir() == []
    assert sorted(host.file("/etc/gitlab/ssl").listdir()) == ["kas.crt", "kas.key"]


def test_kas_does_without(node, soon):
    assert "certificate" not in str(node.config)
    soon(lambda: node.readiness == "200")
    assert node.rails == "ok"
