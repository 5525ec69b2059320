#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_monitoring
short_description: Build what a Prometheus needs to know of KAS (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Says where each KAS of the inventory answers for its metrics, for the Prometheus on this host, and what the
    package's Prometheus lacks in gitlab.rb. Warns where the controller, too, can read profiles of KAS. Changes nothing.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.attributes.internal
options: {}
"""

EXAMPLES = r"""
- name: Build what Prometheus needs
  kasops.gitlab_kas.kas_monitoring:
  register: monitoring
"""

RETURN = r"""
directory:
  description: Where the files for a Prometheus are to be written, or nothing.
  returned: on success
  type: str
targets:
  description: The file with the targets.
  returned: if there is a directory
  type: str
gitlab_rb_path:
  description: The path of gitlab.rb.
  returned: on success
  type: str
settings:
  description: What gitlab.rb lacks for the package's Prometheus.
  returned: on success
  type: dict
rules_directory:
  description: Where the package's Prometheus has its rules; empty if it is not asked for.
  returned: on success
  type: str
refusals:
  description: What is wrong, a sentence each.
  returned: on failure
  type: list
  elements: str
"""

# The action plugin of this name does the work.
