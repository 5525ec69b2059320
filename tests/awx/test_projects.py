"""The project, laid out as AWX lays it out, run by ansible-runner as AWX runs a job, on simulated nodes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ansible_runner
import fake_awx
import pytest
import yaml
from test_setup import environment

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

PLAYBOOKS = ["deploy.yml", "diagnose.yml", "disable.yml", "preflight.yml", "setup.yml", "verify.yml"]

# What AWX passes on: a survey's answers and its own words in one file, a credential's in another.
ANSWERS = {"kas_probe_call": "true", "kas_probe_timeout_s": 7, "kas_target_version": "", "awx_job_id": 4}
SECRETS = {name: str(value) for name, value in simulated.kas_infos(1)["node1"]["kas"]["secret_values"].items()}
BLANK = {
    "kas_secrets_values": dict.fromkeys(SECRETS, ""),
    "gitlab_kas_redis_password": "",
    "gitlab_kas_redis_sentinels_password": "",
}
FILLED = {
    "kas_secrets_values": SECRETS,
    "gitlab_kas_redis_password": "sesame {{ 7 * 7 }}",
    "gitlab_kas_redis_sentinels_password": "open {{ 7 * 7 }}",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this repository alone, as a clone has them."""
    folder = tmp_path_factory.mktemp("clone")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")):
        file = Path(os.fsdecode(name))
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)
    return folder


@pytest.fixture(scope="module")
def collections(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What AWX installs when it updates the project; for the folder alone that would be the published collection."""
    folder = tmp_path_factory.mktemp("requirements_collections")
    command = ["ansible-galaxy", "collection", "install", "--requirements-file", "collections/requirements.yml"]
    done = subprocess.run(
        [*command, "--collections-path", folder],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), "ANSIBLE_COLLECTIONS_PATH": str(folder)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Job:
    """A job's private directory."""

    def __init__(self, folder: Path, collections: Path, **special: Any) -> None:
        self.folder, self.nodes, self.collections = folder, folder / "nodes", collections
        inventory = simulated.make(self.nodes, 3, **special)
        (folder / "inventory").mkdir()
        (folder / "env").mkdir()
        listed = ["ansible-inventory", "--inventory", inventory, "--list"]
        found = subprocess.run(listed, capture_output=True, check=True, env=environment()).stdout
        (folder / "hosts.json").write_bytes(found)
        script = folder / "inventory/hosts"
        script.write_text(f"#!/bin/sh\ncat {folder}/hosts.json\n")
        script.chmod(0o755)

    def run(
        self,
        project: Path,
        playbook: str,
        credential: Mapping[str, Any],
        answers: Mapping[str, Any] = MappingProxyType(ANSWERS),
        **environment: str,
    ) -> tuple[str, str]:
        (self.folder / "env/extravars").write_text(json.dumps(dict(answers)))
        (self.folder / "credential").write_text(json.dumps(credential))
        done = ansible_runner.run(
            private_data_dir=str(self.folder),
            project_dir=str(project),
            playbook=playbook,
            inventory=str(self.folder / "inventory"),
            cmdline=" ".join(["-e", f"@{self.folder}/credential", "-u", "root"]),
            envvars={
                "ANSIBLE_COLLECTIONS_PATH": f"{self.collections}:/usr/share/ansible/collections",
                "ANSIBLE_FORCE_COLOR": "false",
                "ANSIBLE_RETRY_FILES_ENABLED": "false",
                "HOME": str(self.folder / "home"),
                **environment,
            },
            quiet=True,
        )
        with done.stdout as shown:
            return done.status, shown.read()

    def artifact(self) -> dict[str, Any]:
        """The report, as AWX shows it among the job's artifacts."""
        events = [json.loads(file.read_text()) for file in (self.folder / "artifacts").rglob("job_events/*.json")]
        (stats,) = (each["event_data"] for each in events if each["event"] == "playbook_on_stats")
        return dict(stats["artifact_data"]["gitlab_kas_report"])


def test_playbooks_that_awx_lists(repository: Path) -> None:
    files = {str(file.relative_to(repository)): file.read_text() for file in (repository / "awx").rglob("*.yml")}
    assert fake_awx.listed(files) == [f"awx/{name}" for name in PLAYBOOKS]
    alone = {name.removeprefix("awx/"): text for name, text in files.items()}
    assert fake_awx.listed(alone) == PLAYBOOKS


def test_the_repository_as_a_project(repository: Path, collections: Path, tmp_path: Path) -> None:
    job = Job(tmp_path, collections)
    status, shown = job.run(repository, "awx/deploy.yml", FILLED, ANSIBLE_PIPELINING="true")  # the nodes are simulated
    assert status == "successful", shown
    assert all(runs == ["kas_info", "gitlab_rb", "kas_probe"] for runs in simulated.module_runs(job.nodes).values())
    assert len(simulated.module_runs(job.nodes)) == 3
    shown = b"".join(file.read_bytes() for file in (tmp_path / "artifacts").rglob("*") if file.is_file())
    assert b"node3" in shown
    assert [secret for secret in (*SECRETS.values(), "sesame") if secret.encode() in shown] == []


def test_the_folder_alone_as_a_project(repository: Path, collections: Path, tmp_path: Path) -> None:
    job, project = Job(tmp_path, collections), tmp_path / "project"
    shutil.copytree(repository / "awx", project)
    status, shown = job.run(project, "preflight.yml", BLANK)
    assert status == "successful", shown
    assert all(runs == ["kas_info", "gitlab_rb"] for runs in simulated.module_runs(job.nodes).values())


@pytest.mark.parametrize("place", ["awx/certificates", "awx/files/certificates", "certificates", "files/certificates"])
def test_files_of_the_project(repository: Path, collections: Path, tmp_path: Path, place: str) -> None:
    """Beside the playbook and at the project's root, as docs/awx.md says."""
    job, project = Job(tmp_path, collections), tmp_path / "project"
    shutil.copytree(repository / "awx", project / "awx")
    (project / place).mkdir(parents=True)
    (project / place / "ca.crt").write_text("-----BEGIN CERTIFICATE-----")
    answers = {**ANSWERS, "kas_ca_certificates": [{"name": "ca", "src": "certificates/ca.crt"}]}
    status, shown = job.run(project, "awx/preflight.yml", BLANK, answers, ANSIBLE_PIPELINING="true")
    assert status == "successful", shown
    assert all("kas_certificate_info" in runs for runs in simulated.module_runs(job.nodes).values())


def test_diagnose_has_its_findings_as_an_artifact(repository: Path, collections: Path, tmp_path: Path) -> None:
    texts = ("name", "severity", "log", "what", "cause", "remedy", "example")
    finding = {**dict.fromkeys(texts, "-"), "count": 3, "first": None, "last": None, "files": ["current"]}
    finding.update(name="redis-refused", severity="error", what="Redis is not there")
    read = {"changed": False, "findings": [finding], "unread": [], "files": 1, "bytes": 9}
    job = Job(tmp_path, collections, answers={"node2.kas_log_info": read})
    status, shown = job.run(repository, "awx/diagnose.yml", BLANK, {"kas_diagnose_hours": 6}, ANSIBLE_PIPELINING="true")
    assert status == "failed"
    assert "of the last 6 hours." in shown
    assert "node2: Redis is not there (3 lines)." in shown
    found = [(each["name"], each["nodes"]) for each in job.artifact()["findings"]]
    assert found == [("redis-refused", ["node2"])]


def test_disable_disables_whatever_the_answer_says(repository: Path, collections: Path, tmp_path: Path) -> None:
    off = {"enabled": False, "running": False, "ready": None, "own_private_api_urls": []}
    infos = {f"{name}.kas_info": {"kas": {**info["kas"], **off}} for name, info in simulated.kas_infos(3).items()}
    job = Job(tmp_path, collections, pending=["node1", "node2", "node3"], answers=infos)
    answers = {**ANSWERS, "kas_enabled": "true"}
    status, shown = job.run(repository, "awx/disable.yml", BLANK, answers, ANSIBLE_PIPELINING="true")
    assert status == "successful", shown
    found = {node["name"]: (node["runs_kas"], node["changed"]) for node in job.artifact()["nodes"]}
    assert found == dict.fromkeys(("node1", "node2", "node3"), (False, ["gitlab.rb", "reconfigured"]))


def test_the_collection_arrives_from_its_repository(repository: Path, tmp_path: Path) -> None:
    """By awx/collections/requirements.yml, with a clone in place of the server."""
    clone, requirements = tmp_path / "clone", repository / "awx/collections/requirements.yml"
    (wanted,) = yaml.safe_load(requirements.read_text())["collections"]
    shutil.copytree(repository, clone)
    git = ["git", "-C", clone, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (
        ["init", "--quiet", f"--initial-branch={wanted['version']}"],
        ["add", "--all"],
        ["commit", "-qm", "a"],
    ):
        subprocess.run([*git, *arguments], check=True)
    instead = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{clone}.insteadOf",
        "GIT_CONFIG_VALUE_0": wanted["name"],
    }
    done = subprocess.run(
        ["ansible-galaxy", "collection", "install", "-r", requirements, "--collections-path", tmp_path / "installed"],
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), **instead, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "installed")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    installed = tmp_path / "installed/ansible_collections/kasops/gitlab_kas"
    assert {"deploy.yml", "disable.yml"} <= {file.name for file in (installed / "playbooks").iterdir()}
    assert (installed / "roles/kas/meta/argument_specs.yml").is_file()
