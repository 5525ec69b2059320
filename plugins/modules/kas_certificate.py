#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_certificate
short_description: Put a certificate and its key in place for KAS
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
  certificate:
    description:
      - The path of the certificate on the node.
    type: path
    required: true
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

- name: Trust an authority of our own after the next reconfigure
  kasops.gitlab_kas.kas_certificate:
    certificate: /etc/gitlab/trusted-certs/internal-ca.crt
    certificate_content: "{{ lookup('ansible.builtin.file', 'internal-ca.crt', rstrip=false) }}"
"""

RETURN = r"""
files_changed:
  description: The files that were put in place, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [/etc/gitlab/ssl-kas/private-api.crt, /etc/gitlab/ssl-kas/private-api.key]
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import (
    CertificateError,
    Item,
    Node,
    access,
    access_of,
    check_pair,
    find_openssl,
    group_of,
    put,
    summary,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import run as run_program

CERTIFICATE_MODE = 0o644
KEY_MODE = 0o640


def run(params: Mapping[str, Any], node: Node, *, check_mode: bool = False) -> dict[str, Any]:
    """Put in place what has a content; the result has the same keys whether it failed or not."""
    result: dict[str, Any] = {"changed": False, "files_changed": [], "diff": {"before": "", "after": ""}}
    certificate = _item(params, "certificate")
    key = _item(params, "key") if params["key"] else None
    try:
        check_pair(certificate, key, node)
        group = group_of(params["user"])
        # The key first: a KAS that starts in between finds its old certificate with a key that does not fit, and is
        # started again by runit until both are there.
        for each, mode in ((key, KEY_MODE), (certificate, CERTIFICATE_MODE)):
            if each is None or each.path is None or each.content is None:
                continue
            before = summary(Item(each.path), access_of(each.path), node)
            if put(each.path, each.content, group=group, mode=mode, check_mode=check_mode):
                result["changed"] = True
                result["files_changed"].append(str(each.path))
                result["diff"]["before"] += before
                result["diff"]["after"] += summary(each, access(group, mode), node)
    except CertificateError as error:
        result.update(failed=True, msg=str(error))
    return result


def _item(params: Mapping[str, Any], part: str) -> Item:
    content = params[f"{part}_content"]
    return Item(Path(params[part]), None if content is None else content.encode())


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificate": {"type": "path", "required": True},
            "certificate_content": {"type": "str"},
            "key": {"type": "path", "no_log": False},
            "key_content": {"type": "str", "no_log": True},
            "user": {"type": "str", "default": "git"},
        },
        required_by={"key_content": ["key"]},
        supports_check_mode=True,
    )
    try:
        node = Node(run_program, find_openssl(), b"", time.time())
    except CertificateError as error:
        module.fail_json(msg=str(error), changed=False, files_changed=[])
    result = run(module.params, node, check_mode=module.check_mode)
    diff = result.pop("diff")
    if result.get("failed"):
        module.fail_json(**result)
    if module._diff:
        result["diff"] = diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
