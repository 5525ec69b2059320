#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_report
short_description: Report the state of the nodes of a deployment (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Shows a table of the nodes, and returns a sentence for everything that is wrong, with which
    M(kasops.gitlab_kas.kas_node) fails the nodes that it is about. In check mode, shows what would change.
  - The same as data is the custom statistic C(gitlab_kas_report), and a file if C(kas_report_path) is set.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.attributes.internal
options: {}
"""

EXAMPLES = r"""
- name: Report the state of the nodes
  kasops.gitlab_kas.kas_report:
  run_once: true
"""

RETURN = r"""
table:
  description: The lines of the table.
  returned: always
  type: list
  elements: str
findings:
  description: What is wrong, a sentence each.
  returned: always
  type: list
  elements: dict
  contains:
    hosts:
      description: The hosts that it is about.
      type: list
      elements: str
    text:
      description: What is said of them.
      type: str
    is_unreachable:
      description: Whether they do not answer.
      type: bool
    fails:
      description: The hosts of the play that fail with it.
      type: list
      elements: str
"""

# The action plugin of this name does the work.
