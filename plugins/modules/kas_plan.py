#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_plan
short_description: Plan a whole deployment of KAS (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Gathers the variables of every host in the groups C(gitlab_kas) and C(gitlab_rails) and of the play, also of those
    outside of C(--limit), and what M(kasops.gitlab_kas.kas_node_info) found there, and plans the settings of every
    node.
  - Returns a sentence for everything that forbids the deployment, with which M(kasops.gitlab_kas.kas_node) fails the
    hosts that it is about. Warns of what is only worth a warning.
  - What is known by now is the custom statistic C(gitlab_kas_report), and a file if C(kas_report_path) is set, until
    M(kasops.gitlab_kas.kas_report) says more.
  - The plan holds secrets, so a task that succeeds shows nothing of its result.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.attributes.internal
options:
  roles:
    description:
      - The roles whose settings and files count.
    type: list
    elements: str
    choices: [kas, kas_rails, kas_secrets, kas_certificates]
    default: [kas, kas_rails, kas_secrets, kas_certificates]
  stages:
    description:
      - Refuse tags that are no stages of this collection's playbooks. A playbook of one's own has its own tags.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Plan the settings of every node
  kasops.gitlab_kas.kas_plan:
  register: __kas_plan
  run_once: true
"""

RETURN = r"""
nodes:
  description: What the tasks of the roles need to know of each host, by its name; never shown.
  returned: if nothing is refused
  type: dict
started:
  description: When the plan was made, in seconds since 1970.
  returned: if nothing is refused
  type: float
serial:
  description: C(kas_serial), how many nodes change at a time.
  returned: if nothing is refused
  type: str
report_path:
  description: C(kas_report_path), where the report is written.
  returned: if nothing is refused
  type: str
refusals:
  description: What forbids the deployment, a sentence each.
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
upgrade:
  description: What breaks or changes on the way to C(kas_target_version), a sentence each; shown as lines, too.
  returned: always
  type: list
  elements: str
  sample: ["kas1, kas2: KAS has GODEBUG=tlsmlkem=0 in its environment from GitLab 18.2.0 on."]
"""

# The action plugin of this name does the work.
