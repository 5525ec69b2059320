#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_node
short_description: Carry out a step of the plan on a node (internal)
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Runs on the node the modules that a step needs, with the arguments that follow from the plan.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.internal
attributes:
  diff_mode:
    support: full
options:
  step:
    description:
      - V(check) fails the node with what the plan refuses of it, and ends where anything else is refused; if not, it
        opens every certificate of the node, wherever it comes from. For a task with C(any_errors_fatal=true), so that
        no host goes on, and only those are marked as failed or unreachable that a sentence is about.
      - V(dry_run) refuses certificates that cannot work or that the node does not trust, fails where V(check) could
        not open one, and says what V(write) would change; for a task with C(check_mode=true).
      - V(write) puts directories, certificates and settings in place.
      - V(reconfigure) lets take effect what is pending, as M(kasops.gitlab_kas.gitlab_reconfigure) does.
      - V(rollback) puts gitlab.rb back as it was before V(write), and reconfigures, if C(kas_rollback) is set and the
        reconfigure has failed or KAS is not ready.
      - V(tidy) removes what KAS needs no more.
      - V(reach) calls every other KAS, and on a Rails node the KAS that Rails was told of. If the node does not answer,
        V(judge) says so.
      - V(outside) tries agents' way to KAS with M(kasops.gitlab_kas.kas_agent_probe), as O(job) says; for a task that
        is delegated to the host that asks. What goes wrong is said by V(judge).
      - V(judge) fails the node with what M(kasops.gitlab_kas.kas_report) found wrong with it.
    type: str
    required: true
    choices: [check, dry_run, write, reconfigure, rollback, tidy, reach, outside, judge]
  job:
    description:
      - What V(outside) asks, an item of the plan; nothing is done if it is empty.
    type: dict
    default: {}
  roles:
    description:
      - The roles whose settings and files count.
    type: list
    elements: str
    choices: [kas, kas_rails, kas_secrets, kas_certificates]
    default: [kas, kas_rails, kas_secrets, kas_certificates]
"""

EXAMPLES = r"""
- name: Write the planned changes of this node
  kasops.gitlab_kas.kas_node:
    step: write
  register: __kas_written
"""

RETURN = r"""
settings_changed:
  description: The names of the settings in gitlab.rb that were changed, or would be.
  returned: for V(write) and V(dry_run)
  type: list
  elements: str
files:
  description: The paths of gitlab.rb and of the files of our own beside it that hold settings, or have just held some.
  returned: for V(write) and V(dry_run)
  type: list
  elements: str
settings_left:
  description: The names of the settings that could not be restored.
  returned: for V(write) and V(dry_run)
  type: list
  elements: str
pending:
  description: Why the node must have its turn; none if it is as it should be.
  returned: for V(dry_run)
  type: list
  elements: str
tidies:
  description: Whether V(tidy) will have anything to do.
  returned: for V(dry_run)
  type: bool
certificates:
  description: What M(kasops.gitlab_kas.kas_certificate_info) returned of each.
  returned: for V(check)
  type: list
  elements: dict
error:
  description: How it failed, where a later step is to say that.
  returned: for V(check) and V(reach)
  type: dict
undo:
  description: The command that brings back, on the node, what was there before; empty if nothing was changed.
  returned: for V(write)
  type: str
was_ready:
  description: Whether KAS was ready before.
  returned: for V(write)
  type: bool
said:
  description: How the node is after it, as a sentence.
  returned: for V(rollback), if there was anything to put back
  type: str
is_lost:
  description: The node does not answer any more; V(judge) then marks it as unreachable.
  returned: on failure, in plays with a rescue
  type: bool
reason:
  description: Why a reconfigure was run; further keys as M(kasops.gitlab_kas.gitlab_reconfigure) returns them.
  returned: for V(reconfigure)
  type: str
probe:
  description: What M(kasops.gitlab_kas.kas_probe) returned of the other KAS.
  returned: for V(reach)
  type: dict
rails_probe:
  description: What it returned of the KAS that Rails was told of; null where Rails is not asked.
  returned: for V(reach)
  type: dict
"""

# The action plugin of this name does the work.
