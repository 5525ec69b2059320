#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_rb_restore
short_description: Put a gitlab.rb back as it was when it was last in effect
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Puts back what M(kasops.gitlab_kas.gitlab_rb) has kept in its O(kasops.gitlab_kas.gitlab_rb#module:previous), whole
    files, also one that it made of its own. Owner, group, mode, ACL and SELinux context of a file stay.
  - A file that was changed by other means since then is refused, and nothing is put back.
  - Nothing takes effect before a reconfigure; see M(kasops.gitlab_kas.gitlab_reconfigure).
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The files hold secrets, and what changes is what M(kasops.gitlab_kas.gitlab_rb) has shown.
options:
  previous:
    description: The directory in which the files are kept.
    type: path
    required: true
  state:
    description:
      - V(restored) puts the files back, and fails if none are kept.
      - V(forgotten) removes what is kept.
    type: str
    choices: [restored, forgotten]
    default: restored
seealso:
  - module: kasops.gitlab_kas.gitlab_rb
  - module: kasops.gitlab_kas.gitlab_reconfigure
"""

EXAMPLES = r"""
- name: Change gitlab.rb, with a net
  block:
    - name: Log more
      kasops.gitlab_kas.gitlab_rb:
        settings:
          gitlab_kas:
            log_level: debug
        previous: /var/lib/administrator/previous

    - name: Let it take effect
      kasops.gitlab_kas.gitlab_reconfigure:
  rescue:
    - name: Put back what was there before
      kasops.gitlab_kas.gitlab_rb_restore:
        previous: /var/lib/administrator/previous

    - name: Let that take effect again
      kasops.gitlab_kas.gitlab_reconfigure:
"""

RETURN = r"""
files:
  description: The paths of the files that were put back, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/gitlab/gitlab.rb]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._previous import forget, restore


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "previous": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["restored", "forgotten"], "default": "restored"},
        },
        supports_check_mode=True,
    )
    previous = module.params["previous"]
    try:
        if module.params["state"] == "forgotten":
            module.exit_json(changed=forget(previous, check_mode=module.check_mode), files=[])
        files = restore(previous, check_mode=module.check_mode)
        module.exit_json(changed=bool(files), files=files)
    except FileError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
