# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of variables that Ansible does not read."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ignored import ignored_variables

OWNERS = {"group_vars": ["all", "gitlab_kas"], "host_vars": ["kas1.example.com"]}


@pytest.mark.parametrize(
    ("file", "content", "names"),
    [
        ("group_vars/all", "kas_enabled: true\n", "kas_enabled"),
        ("group_vars/all.yml", "---\nkas_redis:\n  kas_log_level: x\nkas_enabled: false\n", "kas_redis, kas_enabled"),
        ("group_vars/all.yaml", '"kas_redis": {}\n', "kas_redis"),
        ("group_vars/gitlab_kas.json", '{"kas_redis": {}}', None),
        ("group_vars/gitlab_kas/b/main.yml", "kas_redis : {}\n", "kas_redis"),
        ("host_vars/kas1.example.com.yml", "kas_redis: {}\n", "kas_redis"),
        ("host_vars/kas1.example.com", "kas_redis: {}\n", "kas_redis"),
        # of nobody in this inventory, of no variable of ours, or of one that is set elsewhere
        ("group_vars/web.yml", "kas_redis: {}\n", None),
        ("host_vars/all.yml", "kas_redis: {}\n", None),
        ("group_vars/all.yml", "kas_mine: 1\n# kas_redis: 1\nmy_kas_redis: 1\nkas_log_level: debug\n", None),
        # nothing to be read in it
        ("group_vars/all.yml", "$ANSIBLE_VAULT;1.1;AES256\n6b61\n", None),
        ("group_vars/all.yml", "\udcff", None),
        ("vars/all.yml", "kas_redis: {}\n", None),
    ],
)
def test_what_is_ignored(file: str, content: str, names: str | None, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode(errors="surrogateescape"))
    said = (
        f"{path} sets {names}, but Ansible does not read it in this play, since that playbook only imports one of this"
        f" collection; move {file.partition('/')[0]} beside the inventory."
    )
    folders = [tmp_path, tmp_path, tmp_path / "nowhere"]
    assert list(ignored_variables(folders, OWNERS, {"kas_log_level"})) == ([said] if names else [])
