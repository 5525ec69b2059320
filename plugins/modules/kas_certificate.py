#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_certificate
short_description: Install a certificate and its key for KAS, or remove them
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Puts a certificate, or a certificate and its private key, on a node so that KAS can read them, the key with mode
    0640 for the user's group and the certificate with mode 0644. Missing directories are made.
  - Refuses two that do not belong together, before anything has changed. For everything else that can be wrong with a
    certificate, see M(kasops.gitlab_kas.kas_certificate_info).
  - The key goes straight to the node, and is part of no diff. (M(ansible.builtin.copy) would lay it on the controller's
    disk first.)
  - KAS reads its certificates when it starts, so it must be restarted for a new one.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows names, dates and fingerprints, neither of the two contents.
options:
  state:
    description:
      - V(present) puts both in place.
      - V(reverted) removes the files that O(record) names, as far as they still are what was put there. A file that
        was there before, whose content is lost, stays; RV(files_left) names it.
    type: str
    choices: [present, reverted]
    default: present
  record:
    description:
      - A file on the node that keeps, beyond this run, which files were put in place, for O(state=reverted). If not
        set, nothing is kept.
    type: path
  certificate:
    description:
      - The path of the certificate on the node.
      - Required with O(state=present).
    type: path
  certificate_content:
    description:
      - The certificate, in PEM form, with those that lead to its authority behind it.
      - Without it, O(certificate) is left as it is.
    type: str
  key:
    description:
      - The path of its private key on the node.
    type: path
  key_content:
    description:
      - The private key, in PEM form, not encrypted.
      - Without it, O(key) is left as it is.
    type: str
  user:
    description:
      - The user that KAS runs as.
    type: str
    default: git
  group:
    description:
      - The group that KAS runs with, which has no other.
      - The default is the primary group of O(user).
    type: str
seealso:
  - module: kasops.gitlab_kas.kas_certificate_info
"""

EXAMPLES = r"""
- name: Put the certificate of the private API in place
  kasops.gitlab_kas.kas_certificate:
    certificate: /etc/gitlab/ssl-kas/private-api.crt
    certificate_content: "{{ lookup('ansible.builtin.file', 'kas.crt', rstrip=false) }}"
    key: /etc/gitlab/ssl-kas/private-api.key
    key_content: "{{ vault_kas_key }}"

- name: Take away what was put in place with this record
  kasops.gitlab_kas.kas_certificate:
    state: reverted
    record: /var/lib/administrator/kas-files.json

- name: Trust an authority of our own after the next reconfigure
  kasops.gitlab_kas.kas_certificate:
    certificate: /etc/gitlab/trusted-certs/internal-ca.crt
    certificate_content: "{{ lookup('ansible.builtin.file', 'internal-ca.crt', rstrip=false) }}"
"""

RETURN = r"""
files_changed:
  description: The files that were put in place or removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [/etc/gitlab/ssl-kas/private-api.crt, /etc/gitlab/ssl-kas/private-api.key]
files_left:
  description: The files on record that stay, with O(state=reverted).
  returned: always
  type: list
  elements: str
  sample: []
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import (
    Account,
    CertificateError,
    Item,
    Node,
    access,
    access_of,
    check_pair,
    find_openssl,
    put,
    remove,
    summary,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import run as run_program
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import NOTHING, Mark, Record, digest

CERTIFICATE_MODE = 0o644
KEY_MODE = 0o640


def run(params: Mapping[str, Any], node: Node, *, check_mode: bool = False) -> dict[str, Any]:
    """Put in place what has a content, or remove it; the result has the same keys whether it failed or not."""
    result: dict[str, Any] = {
        "changed": False,
        "files_changed": [],
        "files_left": [],
        "diff": {"before": "", "after": ""},
    }
    try:
        record = Record(params["record"]) if params["record"] else None
        if params["state"] == "present":
            _put(params, node, result, record, check_mode)
        elif record:
            _remove(node, result, record, check_mode)
    except (CertificateError, FileError) as error:
        result.update(failed=True, msg=str(error))
    except OSError as error:  # of what is there already
        msg = f"{error.filename} cannot be read ({error.strerror}); {remedy(error)}."
        result.update(failed=True, msg=msg)
    result["changed"] = bool(result["files_changed"])
    return result


def _put(
    params: Mapping[str, Any], node: Node, result: dict[str, Any], record: Record | None, check_mode: bool
) -> None:
    certificate = _item(params, "certificate")
    key = _item(params, "key") if params["key"] else None
    check_pair(certificate, key, node)
    group = Account(params["user"], params["group"]).gid
    # The key first: a KAS that starts in between finds its old certificate with a key that does not fit, and is
    # started again by runit until both are there.
    for each, mode in ((key, KEY_MODE), (certificate, CERTIFICATE_MODE)):
        if each is None or each.path is None or each.content is None:
            continue
        before, found = summary(Item(each.path), access_of(each.path), node), _mark(each.path)
        if not put(each.path, each.content, group=group, mode=mode, check_mode=True):
            continue
        if not check_mode:
            if record and found.digest != digest(each.content):
                record.note((str(each.path),), found, Mark(digest(each.content)))
                record.save()
            put(each.path, each.content, group=group, mode=mode)
        result["files_changed"].append(str(each.path))
        result["diff"]["before"] += before
        result["diff"]["after"] += summary(each, access(group, mode), node)


def _remove(node: Node, result: dict[str, Any], record: Record, check_mode: bool) -> None:
    for name, change in record.changes.items():
        path = Path(*name)
        now = _mark(path)
        if record.is_ours(name, now) and change.before == NOTHING:
            result["diff"]["before"] += summary(Item(path), access_of(path), node)
            result["files_changed"].append(str(path))
            if not check_mode:
                remove(path)
        elif now.digest != change.before.digest:
            result["files_left"].append(str(path))
    if not check_mode:
        record.forget(record.changes)


def _mark(path: Path) -> Mark:
    """What a file is, for the record; its content is not kept there."""
    return Mark(digest(path.read_bytes())) if path.is_file() else NOTHING


def _item(params: Mapping[str, Any], part: str) -> Item:
    content = params[f"{part}_content"]
    return Item(Path(params[part]), None if content is None else content.encode())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "reverted"], "default": "present"},
            "record": {"type": "path"},
            "certificate": {"type": "path"},
            "certificate_content": {"type": "str"},
            "key": {"type": "path", "no_log": False},
            "key_content": {"type": "str", "no_log": True},
            "user": {"type": "str", "default": "git"},
            "group": {"type": "str"},
        },
        required_by={"key_content": ["key"]},
        required_if=[("state", "present", ["certificate"]), ("state", "reverted", ["record"])],
        supports_check_mode=True,
    )
    try:
        node = Node(run_program, find_openssl(), b"", time.time())
    except CertificateError as error:
        module.fail_json(msg=str(error), changed=False, files_changed=[], files_left=[])
    result = run(module.params, node, check_mode=module.check_mode)
    diff = result.pop("diff")
    if result.get("failed"):
        module.fail_json(**result)
    if module._diff:
        result["diff"] = diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
