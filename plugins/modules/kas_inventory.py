#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_inventory
short_description: Read the inventory's groups before any node is asked (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Fails if the group C(gitlab_kas) has no host, or C(--limit) leaves out every node.
  - Collects the names by which KAS instances call each other, which M(kasops.gitlab_kas.kas_node_info) looks up on the
    nodes. Connects to none.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.attributes.internal
options: {}
"""

EXAMPLES = r"""
- name: Check that there is something to do
  kasops.gitlab_kas.kas_inventory:
  register: __kas_inventory
  run_once: true
"""

RETURN = r"""
names:
  description: The names in what each host publishes as its own, by host; hosts with addresses only are left out.
  returned: success
  type: dict
  sample: {"kas1": ["kas1.internal"]}
"""

# The action plugin of this name does the work.
