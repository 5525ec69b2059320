#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_rb_info
short_description: Read the settings of a gitlab.rb
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Says what C(/etc/gitlab/gitlab.rb) of the GitLab Linux package sets, with the files that it includes, and changes
    nothing. It knows nothing of KAS, and does not run the file.
  - Ruby's own parser says which assignment is in effect. What only running the file would tell, for example because it
    is assigned inside an C(if), is never guessed. It stands in RV(gitlab_rb.unreadable), with its line and the reason.
  - Secrets are masked, as in the diffs of M(kasops.gitlab_kas.gitlab_rb).
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.ruby
options:
  path:
    description:
      - The file to read.
    type: path
    default: /etc/gitlab/gitlab.rb
  sections:
    description:
      - The sections and call forms to read, such as C(puma) and C(external_url). If empty, all that the file sets.
    type: list
    elements: str
    default: []
seealso:
  - module: kasops.gitlab_kas.gitlab_rb
  - module: kasops.gitlab_kas.kas_info
"""

EXAMPLES = r"""
- name: Read the settings of Puma
  kasops.gitlab_kas.gitlab_rb_info:
    sections: [puma]
  register: read

- name: See that there are enough workers
  ansible.builtin.assert:
    that: read.gitlab_rb.settings.puma.worker_processes >= 4

- name: Read everything
  kasops.gitlab_kas.gitlab_rb_info:
  register: read

- name: Show what nobody knows before GitLab runs the file
  ansible.builtin.debug:
    msg: "{{ item.file }}, line {{ item.line }}: {{ item.name }} {{ item.why }}"
  loop: "{{ read.gitlab_rb.unreadable }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
gitlab_rb:
  description: What the file says.
  returned: success
  type: dict
  contains:
    settings:
      description:
        - The literals in effect, by section and key. A call form has its value, and a hash is a mapping.
        - Symbols are their names. Secrets are masked.
        - What is neither here nor in RV(gitlab_rb.unreadable) is not set.
      type: dict
      sample:
        external_url: https://gitlab.example.com
        puma: {worker_processes: 4}
    lines:
      description:
        - Where each of them stands. A hash that is a literal all through stands here once.
        - Each has a C(name) as in the file, the same as C(path), C(file) and C(line). C(symbols) says whether symbols
          are among its values, which are not the same as text.
      type: list
      elements: dict
      sample:
        - name: puma['worker_processes']
          path: [puma, worker_processes]
          file: /etc/gitlab/gitlab.rb
          line: 7
          symbols: false
    unreadable:
      description:
        - What is set, or may be, to something that only running the file would tell.
        - C(name), C(path), C(file) and C(line) are as in RV(gitlab_rb.lines). C(why) is what follows the name in a
          sentence.
        - A section or hash stands for all of its keys that are not among the settings, and C(*) for every setting that
          is not.
      type: list
      elements: dict
      sample:
        - name: puma['min_threads']
          path: [puma, min_threads]
          file: /etc/gitlab/gitlab.rb
          line: 9
          why: is assigned inside an if
    files:
      description: The file, and those that it includes, also what is not there.
      type: list
      elements: str
      sample: [/etc/gitlab/gitlab.rb]
    writers:
      description:
        - Where a comment says that another tool writes one of these files, or a part of it.
        - Each has the C(file), the C(line) of the comment and what it C(says), the C(first) and C(last) of the lines
          that it is about, and C(whole_file).
      type: list
      elements: dict
      sample:
        - file: /etc/gitlab/gitlab.rb
          line: 1
          says: Ansible managed
          first: 1
          last: 90
          whole_file: true
    problems:
      description: Which of the included files cannot be read, and why, a sentence each.
      type: list
      elements: str
      sample: []
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, read, read_included
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import (
    Document,
    GitlabRbError,
    Said,
    put,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import NO_LITERAL, Ruby, RubyError, find_ruby


def run(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says. Raises FileError, GitlabRbError or RubyError."""
    path = params["path"]
    with Ruby(find_ruby(params["ruby"])) as ruby:
        document = Document(read(path), ruby, path=path, read_file=read_included)
        said = list(document.said(params["sections"] or document.names()))
        writers = [*_writers(path, document), *_writers_of_included(document, ruby)]
    settings: dict[str, Any] = {}
    for each in said:
        if each.value is not NO_LITERAL:
            put(settings, each.path, each.value)
    return {
        "changed": False,
        "gitlab_rb": {
            "settings": mask(settings),
            "lines": [
                {**_place(each, path), "symbols": each.has_symbols} for each in said if each.value is not NO_LITERAL
            ],
            "unreadable": [{**_place(each, path), "why": each.why} for each in said if each.value is NO_LITERAL],
            "files": [path, *document.included],
            "writers": writers,
            "problems": document.troubles,
        },
    }


def _place(each: Said, path: str) -> dict[str, Any]:
    return {"name": each.name, "path": list(each.path), "file": each.file or path, "line": each.line}


def _writers(path: str, document: Document) -> Iterator[dict[str, Any]]:
    for each in document.foreign:
        place = {"file": path, "line": each.line, "says": each.says, "first": each.first, "last": each.last}
        yield {**place, "whole_file": not each.is_block}


def _writers_of_included(document: Document, ruby: Ruby) -> Iterator[dict[str, Any]]:
    for name in document.included:
        try:
            included = Document(read_included(name), ruby, path=name, alone=True)
        except (OSError, GitlabRbError):  # it is not there, or it is among the problems
            continue
        yield from _writers(name, included)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/gitlab/gitlab.rb"},
            "sections": {"type": "list", "elements": "str", "default": []},
            "ruby": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module.params))
    except (FileError, GitlabRbError, RubyError) as error:
        module.fail_json(msg=str(error), changed=False)


if __name__ == "__main__":
    main()
