#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_node_info
short_description: Gather what a plan needs to know about a node (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Runs M(kasops.gitlab_kas.kas_info) with what the variables of the host say, and gathers its addresses where
    C(kas_own_private_api_query) selects among them.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.attributes.internal
options:
  host:
    description:
      - The host of the inventory whose variables count. The default is the host of the task.
    type: str
  names:
    description:
      - The names of the private API, by host, as M(kasops.gitlab_kas.kas_inventory) returns them. A node with KAS
        looks up those of the other hosts.
    type: dict
    default: {}
  secret_values:
    description:
      - Whether to return the three secrets, too; only for a task with C(no_log=true).
    type: bool
    default: false
  wait_until_ready:
    description:
      - Whether to wait for C(kas_ready_timeout_s) seconds until KAS is ready, and to fail if it is not by then.
    type: bool
    default: false
  gitlab_rb:
    description:
      - Whether to run M(kasops.gitlab_kas.gitlab_rb_info), too, for all that the collection sets.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Query this node
  kasops.gitlab_kas.kas_node_info:
    secret_values: true
  no_log: true
  register: __kas_info
"""

RETURN = r"""
kas:
  description:
    - What M(kasops.gitlab_kas.kas_info) returns.
    - C(ahead_s) says by how many seconds the node's clock is ahead of the controller's, at least and at most.
  returned: success
  type: dict
gitlab_rb:
  description: What M(kasops.gitlab_kas.gitlab_rb_info) returns; null if it could not read the file.
  returned: when O(gitlab_rb=true)
  type: dict
gitlab_rb_error:
  description: Why it could not.
  returned: when O(gitlab_rb=true)
  type: str
network_facts:
  description: The facts of the node's network, where C(kas_own_private_api_query) is set.
  returned: success
  type: dict
"""

# The action plugin of this name does the work.
