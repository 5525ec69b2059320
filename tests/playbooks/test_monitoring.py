# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role kas_monitoring in a play: its files are really written; gitlab.rb is really read and edited, by real Ruby."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

OPEN = {"kas1": {"kas_observability_listen_address": "0.0.0.0:8151", "ansible_host": "192.0.2.1"}}
FILES = ["gitlab-kas.dashboard.json", "gitlab-kas.rules", "gitlab-kas.targets.yml"]


def play(
    folder: Path,
    nodes: dict[str, dict[str, Any]],
    *options: str,
    scraper: str = "prometheus",
    **variables: Any,
) -> subprocess.CompletedProcess[str]:
    """The role on a host of its own or on a node; everything runs on this machine."""
    folder.mkdir(exist_ok=True)
    hosts = {scraper: {**nodes.get(scraper, {}), **variables}}
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"all": {"vars": here, "hosts": hosts, "children": {"gitlab_kas": {"hosts": nodes}}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    roles = [{"role": "kasops.gitlab_kas.kas_monitoring"}]
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": scraper, "gather_facts": False, "roles": roles}]))
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", folder / "inventory.json"),
            *(folder / "play.yml", "--diff", *options),
        ],
        env=simulated.environment(folder, ROOT / ".ansible" / "collections"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_files_for_a_prometheus(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "gitlab-kas"
    nodes = {**OPEN, "kas2": {"kas_enabled": "false"}, "kas3": {"kas_monitoring_target": "kas3.example.com:8159"}}
    first = play(tmp_path, nodes, kas_monitoring_directory=str(folder))
    assert first.returncode == 0, first.stdout + first.stderr
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert yaml.safe_load((folder / FILES[2]).read_text()) == [
        {"targets": ["192.0.2.1:8151"], "labels": {"instance": "kas1"}},
        {"targets": ["kas3.example.com:8159"], "labels": {"instance": "kas3"}},
    ]
    for name in FILES[:2]:
        assert (folder / name).read_bytes() == (ROOT / "roles" / "kas_monitoring" / "files" / name).read_bytes()
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    second = play(tmp_path, nodes, kas_monitoring_directory=str(folder))
    assert re.search(r"changed=0 +unreachable=0 +failed=0", second.stdout), second.stdout
    assert not re.search("WARN|DEPRECAT", first.stdout + first.stderr + second.stdout + second.stderr)


@pytest.mark.parametrize(
    ("nodes", "variables", "sentence"),
    [
        (
            {"kas1": {}},
            {"kas_monitoring_directory": "{made}"},
            "kas1: KAS answers for its metrics at localhost:8151, which is a loopback name, so a Prometheus on"
            " prometheus does not reach it; set kas_monitoring_target to where something on the node serves /metrics"
            " alone, or kas_observability_listen_address to an address that a firewall opens for Prometheus only.",
        ),
        (
            OPEN,
            {},
            "prometheus: There is nothing to write; set kas_monitoring_directory for a Prometheus of your own, or"
            " kas_monitoring_gitlab_rb for the package's.",
        ),
        (
            {},
            {"kas_monitoring_directory": "{made}"},
            "prometheus: No host of the group gitlab_kas runs KAS; put the nodes that run KAS into it.",
        ),
        (
            {"kas1": {"kas_monitoring_target": "kas1.example.com"}},
            {"kas_monitoring_directory": "{made}"},
            "kas1: kas_monitoring_target is 'kas1.example.com'; set HOST:PORT (IPv6 in brackets).",
        ),
        (
            OPEN,
            {"kas_monitoring_directory": "monitoring"},
            "prometheus: kas_monitoring_directory is 'monitoring'; set an absolute path on the node.",
        ),
        (
            OPEN,
            {"kas_monitoring_directory": "{made}", "kas_monitoring_gitlab_rb": "true", "kas_gitlab_rb_path": "{made}"},
            "prometheus: {made} does not exist; install the GitLab Linux package or correct the path.",
        ),
    ],
)
def test_refusals(tmp_path: Path, nodes: dict[str, Any], variables: dict[str, str], sentence: str) -> None:
    made = tmp_path / "made"
    variables = {name: value.replace("{made}", str(made)) for name, value in variables.items()}
    done = play(tmp_path, nodes, **variables)
    assert done.returncode == 2, done.stdout + done.stderr
    assert json.dumps(sentence.replace("{made}", str(made)))[1:-1] in done.stdout, done.stdout
    assert not made.exists()


@pytest.fixture
def gitlab_rb(tmp_path: Path) -> Path:
    (tmp_path / "gitlab.rb").write_text("external_url 'http://gitlab.example.com'\nprometheus['home'] = '/nowhere'\n")
    return tmp_path / "gitlab.rb"


def test_the_packages_prometheus(tmp_path: Path, gitlab_rb: Path) -> None:
    """In check mode, since the record has its place on a node; what was to be written is read by the role again."""
    nodes = {"kas1": {}, "kas2": {}}
    given = {"kas_monitoring_gitlab_rb": True, "kas_gitlab_rb_path": str(gitlab_rb)}
    done = play(tmp_path, nodes, "--check", scraper="kas1", **given)
    assert done.returncode == 0, done.stdout + done.stderr
    added = re.findall(r"^\+(prometheus\[.*)$", done.stdout, re.MULTILINE)
    assert added == [
        "prometheus['scrape_configs'] = [{ 'job_name' => 'gitlab-kas', 'static_configs' => [{ 'targets' =>"
        " ['localhost:8151'], 'labels' => { 'instance' => 'kas1' } }] }]"
    ]
    gitlab_rb.write_text(gitlab_rb.read_text() + added[0] + "\n")
    done = play(tmp_path, nodes, "--check", scraper="kas1", **given)
    assert "prometheus['scrape_configs']" not in done.stdout, done.stdout
    assert re.search(r"Write the alert rules.*\n(?:.*\n)*?changed: \[kas1\]", done.stdout), done.stdout


def test_jobs_of_ones_own_stay(tmp_path: Path, gitlab_rb: Path) -> None:
    text = "prometheus['scrape_configs'] = [{ 'job_name' => 'mine', 'basic_auth' => { 'password' => 'sesame' } }]\n"
    gitlab_rb.write_text(text)
    done = play(
        tmp_path, {"kas1": {}}, scraper="kas1", kas_monitoring_gitlab_rb=True, kas_gitlab_rb_path=str(gitlab_rb)
    )
    assert done.returncode == 2
    assert "has jobs of your own, which stay as they are; add this one to them" in done.stdout
    assert gitlab_rb.read_text() == text
    assert "sesame" not in done.stdout + done.stderr
