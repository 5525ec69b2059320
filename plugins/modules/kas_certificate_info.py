#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_certificate_info
short_description: Check whether KAS can use a certificate
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Looks at a certificate and its key, either on the node or before they are put there, and says what would keep KAS
    from serving with them, or a client of KAS from believing them. Changes nothing.
  - Names count as for Go, in which KAS is written. A C(*) stands for a whole first label, an address must be among the
    IP names, and the common name does not count.
  - The certificate must lead to an authority that KAS trusts, from the package, from C(/etc/gitlab/trusted-certs) or
    from the system, or to one in O(ca).
  - Does not fail over a bad certificate. What is wrong stands in RV(certificate.problems).
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
options:
  certificate:
    description:
      - The path of the certificate on the node, in PEM form, with those that lead to its authority behind it.
      - With O(certificate_content), where that will be put.
    type: path
  certificate_content:
    description:
      - The certificate that will be at O(certificate).
    type: str
  certificate_title:
    description:
      - What sentences call the certificate. The default is its path.
    type: str
  kind:
    description:
      - V(server) for a certificate that KAS serves with, V(authority) for one that others are verified with. The latter
        must be alone in its file, and is not verified itself.
    type: str
    choices: [server, authority]
    default: server
  key:
    description:
      - The path of its private key on the node, in PEM form, not encrypted.
      - With O(key_content), where that will be put.
      - Without both, only the certificate is checked.
    type: path
  key_content:
    description:
      - The private key that will be at O(key).
    type: str
  key_title:
    description:
      - What sentences call the key. The default is its path.
    type: str
  ca:
    description:
      - Certificates of authorities that count as trusted, too, each a path on the node or the certificate itself.
    type: list
    elements: str
    default: []
  server_names:
    description:
      - The names and addresses by which clients ask for KAS. The certificate must be for each of them.
    type: list
    elements: str
    aliases: [server_name]
    default: []
  user:
    description:
      - The user that KAS runs as, and that must be able to read both files.
    type: str
    default: git
  group:
    description:
      - The group that KAS runs with, which has no other.
      - The default is the primary group of O(user).
    type: str
  min_valid_days:
    description:
      - How many days the certificate must be valid for.
    type: int
    default: 30
seealso:
  - module: kasops.gitlab_kas.kas_certificate
  - module: kasops.gitlab_kas.kas_probe
notes:
  - Needs C(openssl), the package's own or one in E(PATH).
"""

EXAMPLES = r"""
- name: Check the certificate of the private API
  kasops.gitlab_kas.kas_certificate_info:
    certificate: /etc/gitlab/ssl-kas/private-api.crt
    key: /etc/gitlab/ssl-kas/private-api.key
    server_names: [kas.internal.example.com]
  register: looked

- name: Report problems
  ansible.builtin.assert:
    that: looked.certificate.problems == []
    fail_msg: "{{ looked.certificate.problems | join(' ') }}"

- name: Check a certificate before it is put in place
  kasops.gitlab_kas.kas_certificate_info:
    certificate: /etc/gitlab/ssl-kas/private-api.crt
    certificate_content: "{{ lookup('ansible.builtin.file', 'kas.crt', rstrip=false) }}"
    key: /etc/gitlab/ssl-kas/private-api.key
    key_content: "{{ vault_kas_key }}"
    ca:
      - "{{ lookup('ansible.builtin.file', 'ca.crt') }}"
"""

RETURN = r"""
certificate:
  description: What there is to know; a value is null where nothing could be found out.
  returned: always
  type: dict
  contains:
    subject_alt_names:
      description: The names that the certificate is for.
      type: list
      elements: str
      sample: ["DNS:kas.internal.example.com", "IP:10.0.0.1"]
    not_before:
      description: From when on it is valid.
      type: str
      sample: "2026-11-23T15:08:18Z"
    not_after:
      description: Until when it is valid.
      type: str
      sample: "2027-11-23T15:08:18Z"
    days_left:
      description: How many whole days are left until then; negative when it has expired.
      type: int
      sample: 364
    matches_key:
      description: Whether it and the key belong together.
      type: bool
      sample: true
    chain_ok:
      description: Whether it leads to an authority that is trusted.
      type: bool
      sample: true
    key_readable:
      description: Whether KAS can read the key, or will be able to when it is in place.
      type: bool
      sample: true
    pem:
      description: The certificates in the file, which every client gets to see. Never the key.
      type: str
      sample: "-----BEGIN CERTIFICATE-----\n..."
    problems:
      description: What is wrong, a sentence each.
      type: list
      elements: str
      sample:
        - /etc/gitlab/ssl-kas/private-api.crt expires in 12 days, at 2026-12-05T15:08:18Z, and 30 days are
          required; renew it.
    warnings:
      description: What works, but should not stay so.
      type: list
      elements: str
      sample: []
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import (
    Account,
    CertificateError,
    Findings,
    Item,
    Node,
    Wanted,
    find_openssl,
    look,
    trusted,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import run as run_program


def run(params: Mapping[str, Any], find_node: Callable[[], Node]) -> dict[str, Any]:
    """Look at what the module's parameters name. Raises nothing: what goes wrong is a problem."""
    certificate, key = _item(params, "certificate"), _item(params, "key")
    wanted = Wanted(
        authority=params["kind"] == "authority",
        server_names=params["server_names"],
        min_valid_days=params["min_valid_days"],
        account=Account(params["user"], params["group"]),
    )
    try:
        node = find_node()
        node = node._replace(trust=b"\n".join([node.trust, *map(_authority, params["ca"])]))
    except CertificateError as error:
        found = Findings(problems=[str(error)])
    else:
        found = look(certificate, key if params["key"] or params["key_content"] else None, wanted, node)
    return {"changed": False, "certificate": asdict(found)}


def _item(params: Mapping[str, Any], part: str) -> Item:
    """The certificate or the key, as the module's parameters name it."""
    path, content = params[part], params[f"{part}_content"]
    return Item(
        Path(path) if path else None,
        None if content is None else content.encode(),
        params[f"{part}_title"] or ("" if path else f"The {part}"),
    )


def _authority(text: str) -> bytes:
    """The text of a certificate that is given, or whose path is."""
    if "-----BEGIN " in text:
        return text.encode()
    try:
        return Path(text).read_bytes()
    except OSError as error:
        raise CertificateError(f"{text} cannot be read ({error.strerror}); correct the path in ca.") from error


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "certificate": {"type": "path"},
            "certificate_content": {"type": "str"},
            "certificate_title": {"type": "str"},
            "kind": {"type": "str", "choices": ["server", "authority"], "default": "server"},
            "key": {"type": "path", "no_log": False},
            "key_content": {"type": "str", "no_log": True},
            "key_title": {"type": "str", "no_log": False},
            "ca": {"type": "list", "elements": "str", "default": []},
            "server_names": {"type": "list", "elements": "str", "aliases": ["server_name"], "default": []},
            "user": {"type": "str", "default": "git"},
            "group": {"type": "str"},
            "min_valid_days": {"type": "int", "default": 30},
        },
        required_one_of=[["certificate", "certificate_content"]],
        supports_check_mode=True,
    )
    module.exit_json(**run(module.params, lambda: Node(run_program, find_openssl(), trusted(), time.time())))


if __name__ == "__main__":
    main()
