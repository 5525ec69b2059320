"""What an administrator sees: the files, and what a run says."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

testinfra_hosts = ["local://"]

HERE = Path(__file__).parents[1]
FILES = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
SECRETS = [base64.b64encode(letter * 32).decode() for letter in (b"a", b"p")]
RAILS = """
global:
  kas: {enabled: false}
  appConfig:
    gitlab_kas:
      enabled: true
      externalUrl: wss://gitlab.example.com/-/kubernetes-agent/
      internalUrl: grpc://10.20.0.11:8153
      secret: gitlab-kas
      key: kas_shared_secret
"""
KAS = """
global:
  kas:
    enabled: true
    service: {apiExternalPort: 8153}
    tls: {enabled: true, secretName: kas-tls, verify: true}
  hosts: {kas: {name: kas.gitlab.example.com}}
  appConfig: {gitlab_kas: {secret: gitlab-kas, key: kas_shared_secret}}
gitlab:
  kas:
    privateApi: {secret: gitlab-kas, key: kas_private_api_secret}
    customConfig:
      gitlab: {address: https://gitlab.example.com, external_url: https://gitlab.example.com}
      observability: {logging: {level: debug}}
"""
BOTH = {
    "global": {
        "kas": {"enabled": True, "service": {"apiExternalPort": 8153}, "tls": {"enabled": False}},
        "appConfig": {"gitlab_kas": {"enabled": True}},
    }
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the scenario's playbook again."""
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    command = ["ansible-playbook", *arguments, str(HERE / "converge.yml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def files() -> dict[str, bytes]:
    return {name: (FILES / name).read_bytes() for name in ("rails.yml", "kas.yml")}


@pytest.mark.parametrize(("name", "expected"), [("rails.yml", RAILS), ("kas.yml", KAS)])
def test_files(name: str, expected: str) -> None:
    assert oct((FILES / name).stat().st_mode) == "0o100600"
    text = (FILES / name).read_text()
    assert text.startswith(
        "# Written by the Ansible role kasops.gitlab_kas.kas_chart; changes made here do not last.\n"
        "# The Secrets that are named here must be in the cluster before Helm runs, or the chart makes them up.\n"
        "global:\n"
    )
    assert yaml.safe_load(text) == yaml.safe_load(expected)


def test_what_is_shown(files: dict[str, bytes]) -> None:
    """Values without a path, warnings and the names of the Secrets are shown; the secrets are nowhere."""
    again = run("--diff", "-vvvv")
    assert again.returncode == 0, again.stdout
    assert json.dumps({"msg": BOTH}, indent=4, sort_keys=True) in again.stdout
    assert "kas_chart_tls_ca_secret is not set, and from chart 10.0 (GitLab 19.0) on the Gateway" in again.stderr
    assert '"name": "gitlab-kas",' in again.stdout
    assert " changed=0 " in again.stdout
    for secret in SECRETS:
        assert secret not in again.stdout + again.stderr


def test_check_mode(files: dict[str, bytes]) -> None:
    """It shows what would change, and changes nothing."""
    tried = run("--check", "--diff", "--extra-vars", '{"custom_config": {"agent": {"info_cache_ttl": "300s"}}}')
    assert tried.returncode == 0, tried.stdout
    assert "+        info_cache_ttl: 300s" in tried.stdout
    assert " changed=1 " in tried.stdout
    assert {name: (FILES / name).read_bytes() for name in files} == files


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param(
            {"kas_chart_api_secret": SECRETS[0]},
            "localhost: kas_chart_api_secret does not name a Kubernetes Secret; set NAME or NAME/KEY, such as"
            " gitlab-kas/kas_shared_secret.",
            id="a secret in place of its name",
        ),
        pytest.param(
            {"kas_chart_gitlab_url": "gitlab.example.com", "kas_chart_api_port": 0},
            "localhost: kas_chart_gitlab_url is 'gitlab.example.com'; set a URL whose scheme is http or https.\\n"
            "localhost: kas_chart_api_port is 0; set a port from 1 to 65535.",
            id="types",
        ),
        pytest.param(
            {"kas_external_url": "wss://gitlab.example.com", "kas_chart_runs": "both"},
            "localhost: kas_external_url is 'wss://gitlab.example.com', which is GitLab's own host, and both the"
            " chart's KAS and GitLab would claim its path /; set a name of its own, such as"
            " wss://kas.gitlab.example.com.",
            id="GitLab's own host",
        ),
    ],
)
def test_refusals(files: dict[str, bytes], variables: dict[str, Any], sentence: str) -> None:
    refused = run("--extra-vars", json.dumps(variables))
    assert refused.returncode == 2
    assert f'"msg": "{sentence}"' in refused.stdout + refused.stderr
    assert SECRETS[0] not in refused.stdout + refused.stderr
    assert {name: (FILES / name).read_bytes() for name in files} == files
