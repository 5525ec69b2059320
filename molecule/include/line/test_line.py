"""gitlab.rb lost the loop; one line of ours includes the file."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

LINE = "from_file '/etc/gitlab/gitlab.kas.custom.rb'"


def test_one_line_more(node):
    theirs = node.host.file("/root/gitlab.rb").content_string
    assert node.gitlab_rb == f"{theirs}\n# BEGIN kasops.gitlab_kas\n{LINE}\n# END kasops.gitlab_kas\n"


def test_it_is_in_effect(node, soon):
    soon(lambda: node.readiness == "200")
    assert node.own_environment == {"OWN_PRIVATE_API_URL": "grpc://10.87.0.11:8155"}
    assert node.host.file("/opt/gitlab/etc/gitlab-kas/env/THEIRS").content_string == "2"
