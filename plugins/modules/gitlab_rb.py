#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_rb
short_description: Set and remove settings in a gitlab.rb
version_added: "0.1.0"
description:
  - Edits C(/etc/gitlab/gitlab.rb) of the GitLab Linux package in place, setting by setting, and leaves every other
    byte as it is.
  - Ruby's own parser says what is code and what is text, and which assignment is in effect. That one is replaced, also
    over several lines; a setting that the file does not have lands beside its commented line of the template, else in
    one marked section at the end.
  - The result is read by Ruby once more, and goes into place only if it says what was asked for and everything else as
    before. Where that cannot be promised, for example because a setting is assigned inside an C(if), the module fails
    with the line and the reason, and has changed nothing.
  - The file is replaced atomically. Owner, group, mode, ACL and SELinux context stay, symlinks are followed.
  - Nothing takes effect before a reconfigure; see M(kasops.gitlab_kas.gitlab_reconfigure).
author:
  - The kasops team (@kasops)
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.ruby
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Only the lines that change are shown, with every secret masked on both sides.
options:
  path:
    description: The file to edit. It must exist.
    type: path
    default: /etc/gitlab/gitlab.rb
  settings:
    description:
      - The settings, as native YAML.
      - A scalar or a list at the top is the call form, C(external_url 'https://…').
      - A mapping at the top is a section, C(gitlab_kas['enable'] = true). A mapping below that is a Ruby hash, and is
        merged key by key into the hash that the file assigns. Scalars and lists replace.
      - V(null) is C(nil). Text that looks like a number stays text.
      - Values under names that hold secrets (passwords, tokens, C(*_secret_key) and so on) appear in no output and in
        no log.
      - With O(state=absent) only the names count. With O(state=reverted) there must be none.
    type: dict
    default: {}
  remove:
    description:
      - Settings to take out in the same write, as a mapping of the same shape. Only the names count.
    type: dict
    default: {}
  state:
    description:
      - Whether O(settings) should be set or gone.
      - V(reverted) restores what O(record) holds and nothing else. A setting becomes what it was before the first
        change, or goes if it was not there. One that was changed by other means since then stays, and so does one
        that replaced a secret, because no secret is ever put on record; RV(settings_left) names them.
    type: str
    choices: [present, absent, reverted]
    default: present
  record:
    description:
      - A file on the node that keeps, beyond this run, which settings were changed and what they were before, for
        O(state=reverted). A secret is known there by its digest alone. If not set, nothing is kept.
    type: path
  record_for:
    description:
      - For whom O(settings) and O(remove) are put on O(record). Names, such as those of roles, each with a mapping that
        names what it asks for, of the same shape as O(remove).
      - What is on record for these, and none of them asks for any more, is restored in the same write as with
        O(state=reverted). What is on record for others stays.
      - If empty, nothing is restored.
    type: dict
    default: {}
  include:
    description:
      - A file for O(settings) alone, with mode 0600, such as C(/etc/gitlab/kas.rb), for a gitlab.rb that is made by
        other means. Of gitlab.rb only the line changes that includes it; where there is one, also a loop over a glob
        in which the file is, nothing changes at all.
      - A line of gitlab.rb that sets one of O(settings) behind that, or one that sets something in O(remove), is
        refused.
      - The file goes with its last setting, and so does the line. What O(record) says of gitlab.rb or of another file
        is restored in the same run, so going from one way to the other leaves nothing behind.
      - Not used with O(state=reverted), which restores what is on record in every file.
    type: path
  backup:
    description: Whether to keep a copy of each old file beside it, with mode 0600.
    type: bool
    default: false
  previous:
    description:
      - A directory on the node that keeps the files as they were when they were last in effect, with mode 0600, for
        M(kasops.gitlab_kas.gitlab_rb_restore). It is made where it is missing.
      - The next change replaces what is kept, unless the last one was never applied, as after a failed reconfigure.
    type: path
seealso:
  - module: kasops.gitlab_kas.gitlab_reconfigure
  - module: kasops.gitlab_kas.gitlab_rb_restore
  - module: kasops.gitlab_kas.kas_info
"""

EXAMPLES = r"""
- name: Let KAS listen for its peers
  kasops.gitlab_kas.gitlab_rb:
    settings:
      gitlab_kas_external_url: wss://gitlab.example.com/-/kubernetes-agent/
      gitlab_kas:
        enable: true
        private_api_listen_address: 0.0.0.0:8155
        env:
          OWN_PRIVATE_API_URL: grpc://10.0.0.1:8155

- name: Leave the URL to KAS instead
  kasops.gitlab_kas.gitlab_rb:
    settings:
      gitlab_kas:
        env:
          OWN_PRIVATE_API_CIDR: 10.0.0.0/8
    remove:
      gitlab_kas:
        env:
          OWN_PRIVATE_API_URL:
    backup: true

- name: Change something for a while
  kasops.gitlab_kas.gitlab_rb:
    settings:
      gitlab_kas:
        log_level: debug
    record: /var/lib/administrator/debugging.json

- name: Let a task own what it sets, so that a line taken out here goes from the file, too
  kasops.gitlab_kas.gitlab_rb:
    settings: "{{ my_settings }}"
    record: /var/lib/administrator/gitlab.json
    record_for:
      my_task: "{{ my_settings }}"

- name: Leave gitlab.rb to its template, but for the line that includes this file
  kasops.gitlab_kas.gitlab_rb:
    include: /etc/gitlab/kas.rb
    settings:
      gitlab_kas:
        enable: true

- name: Take that back
  kasops.gitlab_kas.gitlab_rb:
    state: reverted
    record: /var/lib/administrator/debugging.json

- name: Forget a setting
  kasops.gitlab_kas.gitlab_rb:
    state: absent
    settings:
      gitlab_kas:
        log_level:
"""

RETURN = r"""
settings_changed:
  description: The names of the settings that were set or removed, never their values.
  returned: success
  type: list
  elements: str
  sample: ["gitlab_kas['enable']", "gitlab_kas['env']['OWN_PRIVATE_API_URL']"]
settings_restored:
  description: Those of RV(settings_changed) that nobody asks for any more, and that are as they were before.
  returned: when O(record) is set, unless O(state=reverted)
  type: list
  elements: str
  sample: ["gitlab_kas['log_level']"]
settings_left:
  description:
    - The names of the settings on record that nobody asks for any more, but that stay as they are. They are on record
      no longer.
  returned: when O(record) is set
  type: list
  elements: str
  sample: ["gitlab_kas['api_secret_key']"]
backup_file:
  description: The copy of the old file.
  returned: when O(backup=true) and the file was changed
  type: str
  sample: /etc/gitlab/gitlab.rb.4711.2026-11-23@14:06:33~
undo:
  description: The command that brings back, on the node, what was there before, and lets it take effect.
  returned: when O(previous) is set and a file was changed
  type: str
  sample: cp /var/lib/administrator/previous/etc-gitlab-gitlab.rb /etc/gitlab/gitlab.rb && gitlab-ctl reconfigure
include_backup_file:
  description: The copy of the old file of our own.
  returned: when O(backup=true) and that file was changed
  type: str
  sample: /etc/gitlab/kas.rb.4711.2026-11-23@14:06:33~
files:
  description: The paths of gitlab.rb, and of every file of our own that it included or includes now.
  returned: success
  type: list
  elements: str
  sample: [/etc/gitlab/gitlab.rb, /etc/gitlab/kas.rb]
path:
  description: The file.
  returned: always
  type: str
  sample: /etc/gitlab/gitlab.rb
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _files, _previous
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import AppliedState, GitlabCtlError, Package
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import (
    GitlabRbError,
    commented_names,
    merged,
    names_in,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import show
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_files import GitlabRbFiles
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import secrets
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import Record
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby, RubyError, find_ruby


def run(params: dict[str, Any], *, check_mode: bool, diff: bool, package: Package | None = None) -> dict[str, Any]:
    """Do what the module was asked for; raises GitlabRbError, GitlabCtlError, RubyError or FileError with nothing
    changed.
    """
    path, state = params["path"], params["state"]
    settings, remove = params["settings"], params["remove"]
    if state == "absent":
        settings, remove = {}, merged(remove, settings)
    elif state == "reverted" and (settings or remove):
        raise GitlabRbError("State reverted takes its settings from the record; leave out settings and remove.")
    record = Record(params["record"]) if params["record"] else None
    result: dict[str, Any] = {"path": path}
    with Ruby(find_ruby(params["ruby"])) as ruby:
        files = GitlabRbFiles(
            ruby,
            path,
            read=lambda name: _files.read(name) if name == path else _files.read_if_there(name),
            read_included=_files.read_included,
            include=params["include"] if state != "reverted" else None,
            record=record,
            commented=commented_names(settings, remove),
        )
        let_go: list[tuple[str, ...]] = []
        if record:
            asked = {who: list(map(files.on_record, names_in(tree))) for who, tree in params["record_for"].items()}
            let_go = list(record.changes) if state == "reverted" else record.claim(asked)
            set_now = set(map(files.on_record, names_in(settings)))
            let_go = [name for name in let_go if name not in set_now]
        files.change(settings, remove, let_go)
        writes = files.writes()
        result["warnings"] = files.warnings()
        result["files"] = files.paths
        result["changed"] = bool(writes)
        result["settings_changed"] = files.names
        if record:
            result["settings_left"] = files.left
        if record and state != "reverted":
            result["settings_restored"] = [name for name in files.restored if name not in map(show, names_in(settings))]
        if diff and writes:
            result["diff"] = {"prepared": files.masked_diff() + _restored(result)}
        if record:
            files.note(record, settings, remove)
    for write in writes:
        _files.check(write.path, write.new)
    if record and (writes or record.is_changed):
        _files.check(record.path, b"", makes_directories=True)
    if params["previous"] and writes:
        _files.check(f"{params['previous']}/files.json", b"", makes_directories=True)
    if check_mode:
        return result
    if params["backup"]:
        for write in writes:
            if write.old is not None:
                key = "backup_file" if write.path == path else "include_backup_file"
                result[key] = _files.backup(write.path)
    if params["previous"] and writes:
        in_effect = AppliedState(package or Package()).is_in_effect(path)
        result["undo"] = _previous.command(_previous.keep(params["previous"], writes, in_effect=in_effect))
    if record:
        record.claim(asked)
        record.save()
    for write in writes:
        if write.new is None:
            _files.remove(write.path, expected=write.old or b"")
        else:
            _files.write(write.path, write.new, expected=write.old, mode=None if write.path == path else 0o600)
    if record and files.taken_back:
        record.forget(files.taken_back)
    return result


def _restored(result: dict[str, Any]) -> str:
    """What the diff says of changes that nobody has asked for in this call."""
    names = result.get("settings_restored")
    return f"Restored, because it is no longer asked for: {', '.join(names)}\n" if names else ""


class Module(AnsibleModule):  # type: ignore[misc]
    """Knows which of its arguments are secrets before it looks at anything: a refused argument shows all of them."""

    def _load_params(self) -> None:
        super()._load_params()
        for tree in ("settings", "remove", "record_for"):
            self.no_log_values.update(secrets(self.params.get(tree)))


def main() -> None:
    module = Module(
        argument_spec={
            "path": {"type": "path", "default": "/etc/gitlab/gitlab.rb"},
            "settings": {"type": "dict", "default": {}, "no_log": False},
            "remove": {"type": "dict", "default": {}},
            "state": {"type": "str", "choices": ["present", "absent", "reverted"], "default": "present"},
            "record": {"type": "path"},
            "record_for": {"type": "dict", "default": {}},
            "include": {"type": "path"},
            "backup": {"type": "bool", "default": False},
            "previous": {"type": "path"},
            "ruby": {"type": "path"},
        },
        required_if=[("state", "reverted", ["record"])],
        supports_check_mode=True,
        # The node's system log must not show the settings: some are secrets, and only their names say which.
        no_log=True,
    )
    try:
        result = run(module.params, check_mode=module.check_mode, diff=module._diff)
    except (GitlabRbError, GitlabCtlError, RubyError, _files.FileError) as error:
        module.fail_json(msg=str(error), path=module.params["path"], changed=False)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
