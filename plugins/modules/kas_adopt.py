#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_adopt
short_description: Describe a deployment that was made by hand in variables (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Shows the variables that lead to what the nodes have in gitlab.rb, what no variable says, and what a deployment with
    them would change. Writes them into new files below C(kas_adopt_path), if that is set.
  - Needs what M(kasops.gitlab_kas.kas_node_info) has returned of every host. Without that of one, nothing is described,
    and that host fails in the second step.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.internal
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  step:
    description:
      - V(describe) once, with its result registered as C(__kas_adopted), then V(judge).
    type: str
    choices: [describe, judge]
    required: true
"""

EXAMPLES = r"""
- name: Describe the deployment
  kasops.gitlab_kas.kas_adopt:
    step: describe
  register: __kas_adopted
  run_once: true

- name: Fail the nodes that cannot be described
  kasops.gitlab_kas.kas_adopt:
    step: judge
"""

RETURN = r"""
unable:
  description: Why nothing is described, a sentence each, with the hosts that fail with it.
  returned: after V(describe)
  type: list
  elements: dict
files:
  description: The text of each file, by its name. No secret is in it.
  returned: unless a node cannot be described
  type: dict
written:
  description: The files that were written, or would be.
  returned: unless a node cannot be described
  type: list
  elements: str
remarks:
  description: What no variable says, a sentence for each line of a gitlab.rb.
  returned: unless a node cannot be described
  type: list
  elements: str
changes:
  description: What a deployment with these variables would change, and why, a sentence each.
  returned: unless a node cannot be described
  type: list
  elements: str
refusals:
  description: Why a deployment with these variables would be refused, a sentence each.
  returned: unless a node cannot be described
  type: list
  elements: str
"""

# The action plugin of this name does the work.
