# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play of one's own with our roles takes empty texts, as those of a survey, like the playbooks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import CHART_VARIABLES, NAMES, VARIABLES

ROLES = sorted(path.name for path in Path(__file__).resolve().parents[3].glob("roles/*"))
BLANK = dict.fromkeys(VARIABLES, "")


def run(tmp_path, roles, *arguments):
    """Exit code and output of a play with these roles on a host of both groups, which is this one."""
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "roles": [f"kasops.gitlab_kas.{role}" for role in roles],
    }
    inventory = {"all": {"children": {name: {"hosts": {"node1": None}} for name in ("gitlab_kas", "gitlab_rails")}}}
    for name, content in (("play.yml", [play]), ("inventory.yml", inventory)):
        (tmp_path / name).write_text(json.dumps(content))
    done = subprocess.run(
        ["ansible-playbook", "-i", "inventory.yml", "play.yml", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_ansible_itself_validates_nothing(tmp_path):
    """It would refuse a blank for what is no text, and show the value of whatever it refuses."""
    code, output = run(tmp_path, ROLES, "--list-tasks")
    assert code == 0, output
    assert output.count(" : ") > len(ROLES)
    assert "Validating arguments" not in output


def test_chart(tmp_path):
    path = tmp_path / "values.yml"
    given = {"kas_chart_gitlab_url": "https://gitlab.example.com", "kas_chart_values_path": str(path)}
    blank = {**BLANK, **dict.fromkeys(CHART_VARIABLES, "")}
    code, output = run(tmp_path, ["kas_chart"], "--extra-vars", json.dumps({**blank, **given}))
    assert code == 0, output
    assert yaml.safe_load(path.read_text())["global"]["kas"]["enabled"] is True


def test_nodes(tmp_path):
    """This host is no GitLab node, and that is all that is wrong: no variable is."""
    given = {"kas_gitlab_rb_path": str(tmp_path / "gitlab.rb")}
    code, output = run(tmp_path, ["kas"], "--extra-vars", json.dumps({**BLANK, **given}))
    assert code == 2
    assert "node1: " in output
    assert [name for name in NAMES if f"{name} " in output] == []
