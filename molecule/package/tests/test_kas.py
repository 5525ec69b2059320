"""What holds on every node with KAS, whatever the inventory says."""

from __future__ import annotations

import yaml

testinfra_hosts = ["ansible://gitlab_kas?force_ansible=True"]
DIRECTORY = "/var/opt/gitlab/gitlab-kas"
seen: dict[str, set[str]] = {}


def test_kas_runs_and_is_ready(host):
    assert host.check_output("gitlab-ctl status gitlab-kas").startswith("run: gitlab-kas: ")
    config = yaml.safe_load(host.check_output(f"cat {DIRECTORY}/gitlab-kas-config.yml"))
    address, _colon, port = config["observability"]["listen"]["address"].rpartition(":")
    url = f"http://{address or 'localhost'}:{port}/readiness"
    command = "/opt/gitlab/embedded/bin/curl -gsS -o /dev/null -w '%{http_code}'"
    assert host.check_output(f"{command} {url}") == "200"


def test_files(host, look):
    assert look.file(DIRECTORY)[::2] == ["git", "0700"]
    lines = host.check_output(
        f"stat -c '%U %G %a %n' {DIRECTORY}/gitlab-kas-config.yml {DIRECTORY}/*_file"
    ).splitlines()
    assert [line for line in lines if not line.startswith("root git 640 ")] == []
    assert {line.rpartition("/")[2] for line in lines} >= {
        "gitlab-kas-config.yml",
        "authentication_secret_file",
        "private_api_authentication_secret_file",
    }


def test_every_node_has_the_same_secrets(look):
    secrets = look.secrets
    assert {"api_secret_key", "private_api_secret_key"} <= set(secrets)
    assert look.digest(f"{DIRECTORY}/authentication_secret_file") == secrets["api_secret_key"]
    for name, digest in secrets.items():
        seen.setdefault(name, set()).add(digest)
        assert len(seen[name]) == 1, name
