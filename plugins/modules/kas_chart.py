#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_chart
short_description: Build the values of GitLab's Helm chart (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Makes the values of the KAS part of GitLab's Helm chart from the variables of the host, as they are at the task.
    Fails with a sentence for each variable that cannot work. Changes nothing.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.attributes.internal
options: {}
"""

EXAMPLES = r"""
- name: Build the chart's values
  kasops.gitlab_kas.kas_chart:
  register: chart
"""

RETURN = r"""
chart_values:
  description: The values.
  returned: on success
  type: dict
text:
  description: The file in which they stand.
  returned: on success
  type: str
path:
  description: Where the file is to be written, or nothing.
  returned: on success
  type: str
host:
  description: The host on which it is to be written.
  returned: on success
  type: str
refusals:
  description: Why there are none, a sentence each.
  returned: on failure
  type: list
  elements: str
"""

# The action plugin of this name does the work.
