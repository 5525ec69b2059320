"""Check mode changes nothing."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas?force_ansible=True", "ansible://gitlab_rails?force_ansible=True"]


def test_gitlab_rb_is_as_it_was(look, before):
    assert look.file(before["path"]) == [before["pw_name"], before["gr_name"], before["mode"]]
    assert look.digest(before["path"]) == before["checksum"]
