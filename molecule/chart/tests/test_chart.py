"""What an administrator sees: the files, what Helm was told, and what a run says."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

testinfra_hosts = ["ansible://kas1"]

HERE = Path(__file__).parents[1]
API = base64.b64encode(b"a" * 32).decode()
PRIVATE = base64.b64encode(b"p" * 32).decode()
OTHERS = {
    "global": {"hosts": {"domain": "example.com"}, "smtp": {"password": "hunter2"}},
    "certmanager": {"install": False},
}
RAILS = """
global:
  kas: {enabled: false}
  appConfig:
    gitlab_kas:
      enabled: true
      externalUrl: wss://gitlab.example.com/-/kubernetes-agent/
      internalUrl: grpc://10.87.0.11:8153
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
BOTH = """
global:
  kas: {enabled: true, service: {apiExternalPort: 8153}, tls: {enabled: false}}
  appConfig: {gitlab_kas: {enabled: true}}
"""
MANIFEST = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "gitlab-kas", "namespace": "gitlab"},
    "type": "Opaque",
    "stringData": {"kas_shared_secret": API, "kas_private_api_secret": PRIVATE},
}


def release(host: Host, name: str) -> dict[str, Any]:
    return json.loads(host.file(f"/var/lib/helm/gitlab/{name}.json").content_string)


def calls(host: Host) -> list[str]:
    return host.file("/var/lib/helm/calls").content_string.splitlines()


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Play the scenario again."""
    command = ["ansible-playbook", "-i", str(HERE.parent / "inventory" / "hosts.yml"), *arguments]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(
        [*command, str(HERE / "converge.yml")], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [("rails.yml", yaml.safe_load(RAILS)), ("kas.yml", yaml.safe_load(KAS)), ("secrets.yml", MANIFEST)],
)
def test_files(host: Host, path: str, expected: dict[str, Any]) -> None:
    file = host.file(f"/root/chart/{path}")
    assert (file.user, oct(file.mode)) == ("root", "0o600")
    assert yaml.safe_load(file.content_string) == expected


def test_file_on_the_controller() -> None:
    path = Path(os.environ["KAS_TEST_KEYS"], "chart.yml")
    assert oct(path.stat().st_mode) == "0o100600"
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(BOTH)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("rails", {**OTHERS, "global": {**OTHERS["global"], **yaml.safe_load(RAILS)["global"]}}),
        ("kas", yaml.safe_load(KAS)),
    ],
)
def test_releases(host: Host, name: str, values: dict[str, Any]) -> None:
    """Two runs, one revision."""
    expected = {"name": name, "status": "deployed", "chart": "gitlab-8.5.1", "revision": 1, "values": values}
    assert release(host, name) == expected


def test_command_lines(host: Host) -> None:
    install = "gitlab/gitlab --install --namespace gitlab --version 8.5.1"
    first, second = (
        [
            f"list --namespace gitlab --filter ^{name}$ --output json",
            upgrade,
            f"list --namespace gitlab --filter ^{name}$ --output json",
            f"get values {name} --namespace gitlab --output json",
        ]
        for name, upgrade in (
            ("rails", f"upgrade rails {install} --values /root/chart/values.yml --values /root/chart/rails.yml"),
            ("kas", f"upgrade kas {install} --reset-then-reuse-values --values /root/chart/kas.yml"),
        )
    )
    assert calls(host)[:8] == [*first[:2], *second[:2], *first[2:], *second[2:]]


def test_check_mode(host: Host) -> None:
    """It says what would change, asks Helm to try it, and changes nothing; no secret is shown."""
    before = calls(host)
    run = play("--check", "--diff", "-vvv", "--extra-vars", '{"custom_config": {"agent": {"info_cache_ttl": "300s"}}}')
    assert run.returncode == 0, run.stdout
    assert "+        info_cache_ttl: 300s" in run.stdout
    assert "changed=2 " in run.stdout  # the file and the release
    assert calls(host)[-1] == (
        "upgrade kas gitlab/gitlab --install --namespace gitlab --version 8.5.1 --reset-then-reuse-values --values -"
        " --dry-run=server"
    )
    assert len(calls(host)) == len(before) + 5
    assert release(host, "kas") == {**release(host, "kas"), "revision": 1, "values": yaml.safe_load(KAS)}
    for secret in (API, PRIVATE, "hunter2"):
        assert secret not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param(
            {"kas_chart_version": "9.9.9"},
            "kas1: 'Upgrade it' failed (Error: chart \\\"gitlab/gitlab\\\" matching 9.9.9 not found); see that"
            " kas_chart_helm and kas_chart_other_values are there, and that the chart and the cluster are in reach.",
            id="version",
        ),
        pytest.param(
            {"kas_chart_namespace": "other"},
            "kas1: 'Ask Helm for the release' failed (Error: namespaces \\\"other\\\" not found); see that"
            " kas_chart_helm and kas_chart_other_values are there, and that the chart and the cluster are in reach.",
            id="namespace",
        ),
        pytest.param(
            {"kas_chart_release": "rails", "kas_chart_other_values": ["/root/chart/none.yml"]},
            "kas1: 'Read its other values' failed (File not found: /root/chart/none.yml); see that kas_chart_helm and"
            " kas_chart_other_values are there, and that the chart and the cluster are in reach.",
            id="values",
        ),
        pytest.param(
            {"kas_chart_api_secret": API},
            "kas2: kas_chart_api_secret does not name a Kubernetes Secret; set NAME or NAME/KEY, such as"
            " gitlab-kas/kas_shared_secret.",
            id="a secret in place of its name",
        ),
    ],
)
def test_failures(host: Host, variables: dict[str, Any], sentence: str) -> None:
    releases = [release(host, name) for name in ("rails", "kas")]
    run = play("--extra-vars", json.dumps(variables))
    assert run.returncode == 2
    assert f'"msg": "{sentence}"' in run.stdout + run.stderr
    assert [release(host, name) for name in ("rails", "kas")] == releases


def test_upgrade(host: Host) -> None:
    """One value differs: one release gets one more revision, and keeps the values that are not KAS's."""
    run = play("--extra-vars", '{"custom_config": {"agent": {"info_cache_ttl": "300s"}}}')
    assert run.returncode == 0, run.stdout
    assert "changed=2 " in run.stdout
    expected = yaml.safe_load(KAS)
    expected["gitlab"]["kas"]["customConfig"]["agent"] = {"info_cache_ttl": "300s"}
    assert release(host, "kas") == {**release(host, "kas"), "revision": 2, "values": expected}
    assert release(host, "rails")["revision"] == 1
