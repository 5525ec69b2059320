# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where no module can run on a node, its own words reach the user: programs really fail there, all but sudo."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

SORRY = "Sorry, user admin is not allowed to execute '/bin/sh' as root on node1"
CASES = [
    pytest.param(
        "", {"ansible_python_interpreter": "/usr/bin/python3.99"}, "/usr/bin/python3.99: not found", id="Python"
    ),
    pytest.param("kill -9 $$", {"ansible_python_interpreter": "{program}"}, "the node said: Killed);", id="killed"),
    pytest.param(
        "exec python3 -c 'import json_that_is_not_there'",
        {"ansible_python_interpreter": "{program}"},
        "ModuleNotFoundError: No module named 'json_that_is_not_there'); install Python 3.9 or later there",
        id="an exception",
    ),
    pytest.param(
        f'echo "{SORRY}." >&2; exit 1',
        {"ansible_become": True, "ansible_become_user": "nobody", "ansible_become_exe": "{program}"},
        f"{SORRY}); let that user run everything as root there, by sudoers.",
        id="sudo",
    ),
    pytest.param(
        "",
        # With pipelining, Ansible may notice first that it cannot send anything.
        {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_pipelining": False},
        "port 1: Connection refused); start its SSH server, or correct ansible_host and ansible_port.",
        id="SSH",
    ),
]


@pytest.mark.parametrize(("script", "variables", "said"), CASES)
def test_words_of_the_node(tmp_path: Path, script: str, variables: dict[str, str], said: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    special = {name: str(value).format(program=program) for name, value in variables.items()}
    finished = simulated.run("preflight", simulated.make(tmp_path / "nodes", 2, variables={"node1": special}))
    output = finished.stdout.replace('\\"', '"')
    assert finished.returncode != 0
    assert said in output, output
    assert "See stdout/stderr" not in output
