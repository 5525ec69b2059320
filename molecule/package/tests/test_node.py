"""What holds on every node, with KAS or with Rails."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas?force_ansible=True", "ansible://gitlab_rails?force_ansible=True"]
seen: set[str] = set()


def test_gitlab_rb_is_valid(host, before):
    assert host.check_output(f"/opt/gitlab/embedded/bin/ruby -c {before['path']}") == "Syntax OK"


def test_gitlab_rb_keeps_its_owner_and_mode(look, before):
    assert look.file(before["path"]) == [before["pw_name"], before["gr_name"], before["mode"]]


def test_secrets_are_for_root_alone(look):
    assert look.file("/etc/gitlab/gitlab-secrets.json") == ["root", "root", "0600"]


def test_rails_and_kas_share_the_api_secret(look):
    seen.add(look.secrets["api_secret_key"])
    assert len(seen) == 1
