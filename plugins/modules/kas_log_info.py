#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_log_info
short_description: Find known problems in the logs of KAS
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Reads logs of KAS, and those of agentk, nginx and Rails, and says which known problems are in them, how often and
    when, their cause and their remedy. Changes nothing.
  - Reads the forms of all releases, plain or packed with gzip, bzip2 or xz, in little memory.
  - What is ordinary life in a log is no finding, and secrets in its lines are not shown.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
options:
  kas:
    description:
      - Whether to read the log of the KAS of this node, its current file and the rotated ones.
    type: bool
    default: true
  paths:
    description:
      - Further logs. Of a directory, the files in it and below it that are named as logs are, such as C(current),
        C(@400000006553f3a6.s), C(production_json.log.1.gz).
    type: list
    elements: path
    default: []
  namespace:
    description:
      - A namespace of Kubernetes in which KAS runs. C(kubectl logs) on this host shows the logs, also those of
        containers that have ended and were started again; it is configured as usual, such as by E(KUBECONFIG).
    type: str
  selector:
    description:
      - Which pods there are asked for their logs.
    type: str
    default: app=kas
  hours:
    description:
      - Only what was logged in so many hours before now counts; V(0) for all.
      - Lines without a time count, too.
    type: int
    default: 0
seealso:
  - module: kasops.gitlab_kas.kas_info
"""

EXAMPLES = r"""
- name: Find out what KAS has said last night
  kasops.gitlab_kas.kas_log_info:
    hours: 12
  register: night

- name: Show it
  ansible.builtin.debug:
    msg: "{{ night.findings | map(attribute='what') }}"

- name: Read what nginx says of KAS, too
  kasops.gitlab_kas.kas_log_info:
    paths:
      - /var/log/gitlab/nginx

- name: Read the logs of KAS in a cluster, and of an agent, which somebody has sent
  kasops.gitlab_kas.kas_log_info:
    kas: false
    paths:
      - /tmp/agentk.log
    namespace: gitlab
  delegate_to: localhost
"""

RETURN = r"""
findings:
  description: The known problems that were found.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: A short name that stays the same from release to release.
      type: str
    severity:
      description: V(error) if KAS or a part of it does not work, V(warning) if it works, but not for all or for long.
      type: str
    log:
      description: In whose log it shows, V(KAS), V(agentk), V(nginx) or V(Rails).
      type: str
    what:
      description: What does not work.
      type: str
    cause:
      description: Why.
      type: str
    remedy:
      description: What to do about it.
      type: str
    count:
      description: How many lines say so.
      type: int
    first:
      description: When the first of them was written, in UTC. V(null) if no line has a time. Without C(Z) at its end,
        it is the local time of whoever wrote it.
      type: str
    last:
      description: When the last of them was written.
      type: str
    example:
      description: What one of them says, without secrets.
      type: str
    files:
      description: Where they stand, at most five files.
      type: list
      elements: str
  sample:
    - name: redis-refused
      severity: error
      log: KAS
      what: Redis is not there
      cause: >-
        Redis is down, or listens elsewhere: where only some of the settings are given, KAS takes the Redis of its own
        node; a Sentinel without a port gets 6379
      remedy: start Redis; `kas_redis`, the same on all nodes
      count: 12
      first: '2025-02-20T21:56:20Z'
      last: '2025-02-20T21:58:11Z'
      example: 'Program aborted: dial tcp 10.0.0.9:6379: connect: connection refused'
      files: [/var/log/gitlab/gitlab-kas/current]
unread:
  description: Logs that were not read, or not to their end, a sentence each.
  returned: always
  type: list
  elements: str
files:
  description: How many logs were read.
  returned: always
  type: int
  sample: 3
bytes:
  description: How much was read, without what packs it.
  returned: always
  type: int
  sample: 73400320
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._diagnosis import (
    Diagnosis,
    LogError,
    hours_ago,
    logs,
    opened,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import log_directory
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kubectl import kubectl_logs

Opener = Callable[[], AbstractContextManager]


def run(params: Mapping[str, Any], root: Path, now: float) -> dict[str, Any]:
    """Read all logs that are asked for. Raises nothing: what cannot be read is said."""
    since = hours_ago(params["hours"], now) if params["hours"] else ""
    diagnosis = Diagnosis(since=since)
    unread: list[str] = []
    files = 0
    for log in _logs(params, root, now, unread):
        try:
            with log() as opened_log:
                files += 1
                diagnosis.read(opened_log)
        except LogError as error:
            unread.append(str(error))
    findings = [finding.as_dict() for finding in diagnosis.findings]
    return {"changed": False, "findings": findings, "unread": unread, "files": files, "bytes": diagnosis.bytes}


def _logs(params: Mapping[str, Any], root: Path, now: float, unread: list[str]) -> Iterator[Opener]:
    oldest = now - params["hours"] * 3600 if params["hours"] else 0.0
    directory = log_directory(root)
    for path in [*([directory] if params["kas"] else []), *map(Path, params["paths"])]:
        try:
            for file in logs(path, oldest):
                yield partial(opened, file)
        except LogError as error:
            never = f"There is no log of KAS in {directory}; KAS has never run there."
            unread.append(never if path == directory and not path.exists() else str(error))
    if params["namespace"]:
        for previous in (True, False):
            yield partial(kubectl_logs, params, previous)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kas": {"type": "bool", "default": True},
            "paths": {"type": "list", "elements": "path", "default": []},
            "namespace": {"type": "str"},
            "selector": {"type": "str", "default": "app=kas"},
            "hours": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    if module.params["hours"] < 0:
        msg = f"hours is {module.params['hours']}; set 0 for all, or more."
        module.fail_json(msg=msg, findings=[], unread=[], files=0, bytes=0)
    module.exit_json(**run(module.params, Path("/"), time.time()))


if __name__ == "__main__":
    main()
