"""awx/setup.yml, on a fake of AWX's API, with the modules of awx.awx."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_awx
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
AWX = ROOT / "awx"
SCRATCH = ("ANSIBLE_", "CONTROLLER_", "TOWER_")
TEMPLATES = ["KAS deploy", "KAS diagnose", "KAS disable", "KAS preflight", "KAS verify"]


class Loader(yaml.SafeLoader):
    """YAML as a playbook has it."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def tasks() -> list[dict[str, Any]]:
    return yaml.load((AWX / "setup.yml").read_text(), Loader)[0]["tasks"]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SCRATCH)}
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
    }


@pytest.fixture
def awx() -> Iterator[fake_awx.Awx]:
    project = {f"awx/{file.relative_to(AWX)}": file.read_text() for file in AWX.rglob("*.yml")}
    server = fake_awx.Awx(fake_awx.listed(project))
    yield server
    server.close()


def set_up(awx: fake_awx.Awx, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["ansible-playbook", AWX / "setup.yml", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), "CONTROLLER_HOST": awx.url, "CONTROLLER_OAUTH_TOKEN": "token"},
    )
    return done.returncode, done.stdout + done.stderr


def changed(shown: str) -> int:
    (count,) = re.findall(r"^localhost .* changed=(\d+)", shown, re.MULTILINE)
    return int(count)


def test_every_option_is_one_of_the_modules() -> None:
    used = [(name, task[name]) for task in tasks() for name in task if name.startswith("awx.awx.")]
    assert [task["name"] for task in tasks() if not any(name.startswith("awx.awx.") for name in task)] == [
        "Check that AWX has the organization"
    ]
    done = subprocess.run(
        ["ansible-doc", "--json", "--type", "module", *{name for name, _given in used}],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    documented = json.loads(done.stdout)
    for name, given in used:
        options = documented[name]["doc"]["options"]
        assert set(given) <= {word for option, about in options.items() for word in (option, *about.get("aliases", []))}
        # What awx.awx would ignore without a word.
        assert set(given.get("approval_node", ())) <= {"name", "description", "timeout"}


GIVEN = {
    "gitlab_kas_awx_credentials": ["Nodes"],
    "gitlab_kas_awx_image": "registry.example.com/gitlab-kas:0.1.0",
    "gitlab_kas_awx_inventory": "Of the project",
    "gitlab_kas_awx_inventory_path": "inventory.yml",
}


def test_what_is_there_afterwards_and_that_a_second_run_changes_nothing(awx: fake_awx.Awx) -> None:
    given = ("--extra-vars", json.dumps(GIVEN))
    rc, shown = set_up(awx, *given)
    assert rc == 0, shown
    assert changed(shown) > 5
    assert [write for write in awx.writes if "update/" in write] == ["POST /api/v2/inventory_sources/2/update/"]
    check_templates(awx)
    check_workflow(awx)
    assert "inputs" not in awx.named("credentials", "GitLab KAS secrets")  # filled in by hand
    awx.writes.clear()
    for arguments in (given, (*given, "--check")):
        rc, shown = set_up(awx, *arguments)
        assert rc == 0, shown
        assert (changed(shown), awx.writes) == (0, []), shown
        assert "WARNING" not in shown, shown


def check_templates(awx: fake_awx.Awx) -> None:
    image = awx.named("execution_environments", "GitLab KAS")["id"]
    inventory = awx.named("inventories", "Of the project")["id"]
    (source,) = awx.objects["inventory_sources"].values()
    assert (source["inventory"], source["source_path"]) == (inventory, "inventory.yml")
    assert source["update_on_launch"] is False, "the inventory may change between check and deploy"
    assert sorted(each["name"] for each in awx.objects["job_templates"].values()) == TEMPLATES
    for name in TEMPLATES:
        template = awx.named("job_templates", name)
        assert template["playbook"] == f"awx/{name.removeprefix('KAS ')}.yml"
        assert (template["execution_environment"], template["inventory"]) == (image, inventory)
        assert (template["job_slice_count"], template["survey_enabled"]) == (1, True)
        assert awx.linked("job_templates", name, "credentials") == ["Nodes", "GitLab KAS secrets"]
        assert awx.surveys["job_templates", template["id"]]["spec"]
        assert not template.get("extra_vars")


def check_workflow(awx: fake_awx.Awx) -> None:
    (workflow,) = awx.objects["workflow_job_templates"].values()
    assert workflow["name"] not in TEMPLATES, "its jobs would look like slices"
    nodes = "workflow_job_template_nodes"
    steps = {
        each["identifier"]: awx.linked(nodes, each["identifier"], "success_nodes")
        for each in awx.objects[nodes].values()
    }
    assert steps == {
        "project": ["inventory"],
        "inventory": ["check"],
        "check": ["approve"],
        "approve": ["deploy"],
        "deploy": ["verify"],
        "verify": [],
    }
    assert {link for _kind, _number, link in awx.links} == {"credentials", "success_nodes"}
    jobs = {name: awx.named(nodes, name) for name in steps}
    (source,) = awx.objects["inventory_sources"]
    project = awx.named("projects", "GitLab KAS")["id"]
    assert [jobs[name]["unified_job_template"] for name in ("project", "inventory")] == [project, source]
    assert jobs["check"]["job_type"] == "check"
    assert jobs["check"]["unified_job_template"] == jobs["deploy"]["unified_job_template"]
    assert awx.objects["workflow_approval_templates"][jobs["approve"]["unified_job_template"]]["timeout"] == 0


def test_an_inventory_that_awx_has_is_not_updated_by_the_workflow(awx: fake_awx.Awx) -> None:
    """Nor any more, where it was one of the project before."""
    for given in (GIVEN, {}):
        rc, shown = set_up(awx, "--extra-vars", json.dumps(given))
        assert rc == 0, shown
    nodes = awx.objects["workflow_job_template_nodes"].values()
    assert sorted(node["identifier"] for node in nodes) == ["approve", "check", "deploy", "verify"]


def test_an_organization_is_made_if_asked_for(awx: fake_awx.Awx) -> None:
    given = {**GIVEN, "gitlab_kas_awx_organization": "Operations", "gitlab_kas_awx_credentials": []}
    rc, shown = set_up(awx, "--extra-vars", json.dumps(given))
    assert (rc, awx.writes) == (2, [])
    assert (
        "AWX has no organization 'Operations'; correct gitlab_kas_awx_organization, or set"
        " gitlab_kas_awx_make_organization to true." in shown
    )
    given = ("--extra-vars", json.dumps({**given, "gitlab_kas_awx_make_organization": True}))
    rc, shown = set_up(awx, *given)
    assert rc == 0, shown
    assert awx.linked("organizations", "Operations", "galaxy_credentials") == ["Ansible Galaxy"]
    rc, shown = set_up(awx, *given)
    assert (rc, changed(shown)) == (0, 0), shown


def test_what_awx_refuses_is_shown(awx: fake_awx.Awx) -> None:
    rc, shown = set_up(awx, "--extra-vars", "gitlab_kas_awx_directory=playbooks/")
    assert rc == 2
    assert "Playbook not found for project: playbooks/preflight.yml." in shown
