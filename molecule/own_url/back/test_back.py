"""Back at the first way, through the two others."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]


def test_gitlab_rb_says_what_it_said(host):
    """Word for word: where an administrator had a hash in one line, a space may have gone."""
    now, then = (host.file(path).content_string.split() for path in ("/etc/gitlab/gitlab.rb", "/root/gitlab.rb"))
    assert now == then
