#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_socket_directory
short_description: Create the directory of KAS's sockets, or remove it again (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Makes a directory for the sockets of KAS with mode 0700 and the user of KAS as its owner.
  - Removes it again only if it is empty and O(record) says that it was made here.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.internal
attributes:
  diff_mode:
    support: full
options:
  path:
    description: The directory.
    type: path
    required: true
  record:
    description: A file on the node that keeps which directories were made.
    type: path
    required: true
  state:
    description: Whether there should be a directory.
    type: str
    choices: [present, absent]
    default: present
  user:
    description: The user of KAS.
    type: str
    default: git
  group:
    description: The group of KAS; the default is a group of that user's name.
    type: str
"""

EXAMPLES = r"""
- name: Make the directory of the sockets
  kasops.gitlab_kas.kas_socket_directory:
    path: /var/opt/gitlab/gitlab-kas/sockets
    record: /var/lib/kasops.gitlab_kas/directories.json
"""

RETURN = r""" # """

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import NOTHING, Mark, Record

MADE = Mark("a directory")

# Gives a directory owner, group, mode and SELinux context; returns whether it had others.
SetAttributes = Callable[[str], bool]


def run(params: Mapping[str, Any], set_attributes: SetAttributes, *, check_mode: bool = False) -> bool:
    """Make or remove the directory; returns whether anything changed. Raises FileError with nothing changed."""
    path, record = Path(params["path"]), Record(params["record"])
    try:
        if params["state"] == "present":
            return _make(path, record, set_attributes, check_mode)
        return _remove(path, record, check_mode)
    except OSError as error:
        what = "created" if params["state"] == "present" else "removed"
        raise FileError(f"{path} cannot be {what} ({error.strerror}); {remedy(error)}.") from error


def _make(path: Path, record: Record, set_attributes: SetAttributes, check_mode: bool) -> bool:
    if path.is_dir():
        return set_attributes(str(path))
    if not check_mode:
        record.note((str(path),), NOTHING, MADE)
        record.save()
        path.mkdir(mode=0o700, parents=True)
        set_attributes(str(path))
    return True


def _remove(path: Path, record: Record, check_mode: bool) -> bool:
    name = (str(path),)
    if name not in record.changes or (path.is_dir() and any(path.iterdir())):
        return False
    is_there = path.is_dir()
    if not check_mode:
        if is_there:
            path.rmdir()
        record.forget([name])
    return is_there


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "record": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "user": {"type": "str", "default": "git"},
            "group": {"type": "str"},
        },
        supports_check_mode=True,
    )
    user, path = module.params["user"], module.params["path"]
    group = module.params["group"] or user

    def set_attributes(directory: str) -> bool:
        options = {"path": directory, "owner": user, "group": group, "mode": "0700", "attributes": None}
        options.update(secontext=module.selinux_default_context(directory))
        return bool(module.set_fs_attributes_if_different(options, False))

    try:
        changed = run(module.params, set_attributes, check_mode=module.check_mode)
    except FileError as error:
        module.fail_json(msg=str(error), changed=False)
    is_present = module.params["state"] == "present"
    lines = {True: f"{path}, mode 0700, owner {user}:{group}\n", False: ""}
    diff = {"before": lines[not is_present], "after": lines[is_present]} if changed else {}
    module.exit_json(changed=changed, diff=diff)


if __name__ == "__main__":
    main()
