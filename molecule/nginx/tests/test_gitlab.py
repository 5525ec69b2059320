"""GitLab and, below its own host name, KAS: through the package's nginx."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://gitlab_kas"]

DIRECTORY = "/etc/gitlab/ssl-kas"


def test_nginx_is_up(host):
    assert host.check_output("gitlab-ctl status nginx").startswith("run: nginx: (pid ")
    assert "emerg" not in host.file("/var/log/gitlab/nginx/current").content_string


def test_agents_reach_kas(node):
    assert node.upgraded("https://gitlab.example.com/-/kubernetes-agent/") == "101"


def test_users_reach_the_kubernetes_api_proxy(node):
    assert node.asked("https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/version") == "401"


def test_kas_runs_as_the_user_of_gitlab_rb(host, node):
    assert host.process.get(user="gitlab", comm="gitlab-kas")
    assert node.readiness == "200"


@pytest.mark.parametrize(("file", "mode"), [("crt", 0o644), ("key", 0o640)])
def test_who_may_read_the_certificate(host, file, mode):
    found = host.file(f"{DIRECTORY}/private-api.{file}")
    assert (found.user, found.group, found.mode) == ("root", "gitlab-files", mode)
