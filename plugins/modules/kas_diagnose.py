#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_diagnose
short_description: Say which known problems are in the logs of a deployment (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Reads logs with M(kasops.gitlab_kas.kas_log_info), says what all of them say together, and fails the nodes with
    errors.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.attributes.internal
options:
  step:
    description:
      - V(node) reads the logs of a node of the groups.
      - V(controller) reads those that were handed in, and those of pods; for a task delegated to localhost.
      - V(report) shows the findings, and returns them as data, too.
      - V(judge) fails the node with the errors that were found there.
    type: str
    required: true
    choices: [node, controller, report, judge]
"""

EXAMPLES = r"""
- name: Read the logs
  kasops.gitlab_kas.kas_diagnose:
    step: node
  register: __kas_node_logs
"""

RETURN = r"""
findings:
  description: What was found, as M(kasops.gitlab_kas.kas_log_info) returns it, with C(nodes) in place of C(files).
  returned: for the step C(report)
  type: list
  elements: dict
sentences:
  description: What nodes fail with.
  returned: for the step C(report)
  type: list
  elements: dict
"""

# The action plugin of this name does the work.
