"""Everything of ours stands in a file of its own, and gitlab.rb is the one that the other tool has written."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_gitlab_rb_is_as_it_was(node):
    assert node.gitlab_rb == node.host.file("/root/gitlab.rb").content_string


def test_our_file(host):
    file = host.file("/etc/gitlab/gitlab.kas.custom.rb")
    assert (file.user, file.mode) == ("root", 0o600)
    assert "gitlab_kas['api_secret_key']" in file.content_string


def test_it_is_in_effect(node, soon):
    soon(lambda: node.readiness == "200")
    assert node.own_environment == {"OWN_PRIVATE_API_URL": "grpc://10.87.0.11:8155"}
    assert node.rails == "ok"


def test_one_reconfigure(node):
    assert node.reconfigure_runs == 2  # theirs, ours


def test_theirs_is_in_effect_too(node):
    assert node.config["observability"]["logging"]["level"] == "warn"
    assert node.host.file("/opt/gitlab/etc/gitlab-kas/env/THEIRS").content_string == "1"
