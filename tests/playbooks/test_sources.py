# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where files of the controller are found, by the way in which a run is started; and what Ansible Vault has encrypted.

Whole runs on simulated nodes. AWX's way is in tests/awx/test_projects.py, all other refusals of a file are in
tests/unit/plugins/plugin_utils/test_sources.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
IMPORTS = "- import_playbook: kasops.gitlab_kas.preflight\n"
# A role of the user's own that includes one of ours; its files/ are searched, as for Ansible's own copy.
WRAPS = "- ansible.builtin.include_role: {name: kasops.gitlab_kas.kas_certificates}\n"
PLAYS = "- hosts: gitlab_kas:gitlab_rails\n  gather_facts: false\n"


@pytest.mark.parametrize(
    ("playbook", "text", "searched"),
    [
        pytest.param("preflight", "", ["inventory/files", "inventory", "cwd/files", "cwd"], id="by name"),
        pytest.param(
            "project/site.yml",
            IMPORTS,
            ["project/files", "project", "inventory/files", "inventory", "cwd/files", "cwd"],
            id="imported elsewhere",
        ),
        pytest.param("cwd/site.yml", IMPORTS, ["cwd/files", "cwd", "inventory/files", "inventory"], id="imported here"),
        pytest.param(
            "acme.ops.site",
            IMPORTS,
            ["{collection}/files", "{collection}", "inventory/files", "inventory", "cwd/files", "cwd"],
            id="imported by a playbook with a name",
        ),
        pytest.param(
            "project/site.yml",
            PLAYS + "  roles: [wrapper]\n",
            [
                *("project/roles/wrapper/files", "project/roles/wrapper", "project/files", "project"),
                *("inventory/files", "inventory", "cwd/files", "cwd"),
            ],
            id="a role within a role",
        ),
    ],
)
def test_every_place(tmp_path: Path, playbook: str, text: str, searched: Sequence[str]) -> None:
    """One authority for each place, so that all are found; then one that is nowhere, and the sentence names them."""
    inventory = simulated.make(tmp_path / "inventory", 2)
    collection = tmp_path / "collections/ansible_collections/acme/ops/playbooks"
    started = collection / "site.yml" if playbook == "acme.ops.site" else tmp_path / playbook
    places = [tmp_path / place.format(collection=collection) for place in searched]
    for number, place in enumerate([*places, tmp_path / "cwd"]):
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.crt").write_text(PEM)
    (tmp_path / "cwd" / f"{len(places)}.crt").unlink()
    if text:
        started.write_text(text)
    tasks = tmp_path / "project/roles/wrapper/tasks"
    tasks.mkdir(parents=True, exist_ok=True)
    (tasks / "main.yml").write_text(WRAPS)
    authorities = [f'{{"name": "ca{n}", "src": "{n}.crt"}}' for n in range(len(places) + 1)]
    done = simulated.run(
        started if playbook.endswith(".yml") else playbook,
        inventory,
        *("-e", f'{{"kas_ca_certificates": [{", ".join(authorities)}]}}'),
        cwd=tmp_path / "cwd",
        ANSIBLE_COLLECTIONS_PATH=f"{tmp_path / 'collections'}:{simulated.COLLECTIONS}",
    )
    shown = " ".join((done.stdout + done.stderr).split())
    last = len(places)
    assert (
        f"node1: kas_ca_certificates[{last}].src is '{last}.crt', but there is no such file on the controller in"
        f" {', '.join(map(str, places))}; put it there, or set an absolute path."
    ) in shown
    assert done.returncode != 0
    assert simulated.module_runs(tmp_path / "inventory") == {"node1": ["kas_info"], "node2": ["kas_info"]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--vault-password-file", "right"], ""),
        ([], "Attempting to decrypt but no vault secrets found"),
        (["--vault-password-file", "wrong"], "Decryption failed (no vault secrets were found that could decrypt)"),
    ],
)
def test_what_ansible_vault_has_encrypted(tmp_path: Path, options: Sequence[str], expected: str) -> None:
    for name in ("right", "wrong"):
        (tmp_path / name).write_text(name)
    (tmp_path / "kas.key").write_text("the key\n")
    command = [Path(sys.executable).with_name("ansible-vault"), "encrypt", "--vault-password-file", "right", "kas.key"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    variables = {"kas_certificate": "/etc/kas.crt", "kas_key_src": "kas.key"}
    inventory = simulated.make(tmp_path / "nodes", 2, variables={"node2": variables})
    done = simulated.run("deploy", inventory, *options, cwd=tmp_path)
    shown = " ".join((done.stdout + done.stderr).split())
    sentence = (
        f"node2: kas_key_src is 'kas.key', but {tmp_path}/kas.key is encrypted by Ansible Vault, and cannot be"
        f" decrypted ({expected}); run with the password that belongs to it, as by --ask-vault-pass or"
        " --vault-password-file."
    )
    assert (sentence in shown, done.returncode == 0) == (bool(expected), not expected), shown
    runs = simulated.module_runs(tmp_path / "nodes")
    if expected:
        assert runs == {"node1": ["kas_info", "gitlab_rb"], "node2": ["kas_info"]}
        assert re.findall(r"(\S+) : ok=\d+ changed=0 unreachable=0 failed=1", shown) == ["node2"]
    else:
        assert runs["node2"] == ["kas_info", "kas_certificate_info", "kas_certificate", "gitlab_rb", "kas_probe"]
    assert "the key" not in shown
