"""The node as the other tool has left it."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_gitlab_rb_is_as_it_was(node):
    assert node.gitlab_rb == node.host.file("/root/gitlab.rb").content_string


def test_our_file_is_gone(host):
    assert not host.file("/etc/gitlab/gitlab.kas.custom.rb").exists
    assert host.file("/var/lib/kasops.gitlab_kas").listdir() == ["reconfigured.json"]


def test_that_is_in_effect(node, soon):
    soon(lambda: node.readiness == "200")
    assert node.own_environment == {}
    assert node.host.file("/opt/gitlab/etc/gitlab-kas/env/THEIRS").content_string == "2"
