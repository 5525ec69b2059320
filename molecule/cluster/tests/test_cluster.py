"""Three nodes that are one cluster, whichever addresses they use."""

from __future__ import annotations

import base64
import hashlib

import pytest

testinfra_hosts = ["ansible://gitlab_kas"]

SECRETS = {
    "api_secret_key": ("authentication_secret_file", 32),
    "private_api_secret_key": ("private_api_authentication_secret_file", 32),
    "websocket_token_secret_key": ("websocket_token_secret_file", 72),
}
seen: dict[str, set[str]] = {}


def test_kas_runs_and_is_ready(host, node):
    assert host.check_output("gitlab-ctl status gitlab-kas").startswith("run: gitlab-kas: (pid ")
    assert host.process.get(user="git", comm="gitlab-kas")
    assert node.readiness == "200"


def test_listeners(node):
    assert {"127.0.0.1:8150", "127.0.0.1:8151", "127.0.0.1:8153", "127.0.0.1:8154", "*:8155"} <= node.listeners


def test_rails_reaches_kas(node):
    assert node.rails == "ok"


@pytest.mark.parametrize("name", SECRETS)
def test_every_node_has_the_same_secret(host, node, name):
    file, size = SECRETS[name]
    secret = host.file(f"/var/opt/gitlab/gitlab-kas/{file}").content_string.strip()
    assert len(base64.b64decode(secret, validate=True)) == size
    assert node.secrets[name] == secret
    seen.setdefault(name, set()).add(hashlib.sha256(secret.encode()).hexdigest())
    assert len(seen[name]) == 1


def test_redis(node):
    assert node.config["redis"]["server"]["address"] == "10.87.0.11:6379"


def test_modes(host):
    assert host.check_output("stat -c '%U %G %a' /etc/gitlab/gitlab.rb /etc/gitlab/gitlab-secrets.json").split(
        "\n"
    ) == [
        "root root 600",
        "root root 600",
    ]


def test_gitlab_rb_is_one_of_an_administrator(host, node):
    assert host.run("/opt/gitlab/embedded/bin/ruby -c /etc/gitlab/gitlab.rb").rc == 0
    assert node.gitlab_rb.count("\ngitlab_kas['env'] = {") == 1
    assert "external_url 'http://gitlab.example.com'" in node.gitlab_rb
