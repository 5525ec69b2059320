#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_reconfigure
short_description: Reconfigure GitLab or restart KAS if that is pending, and start a stopped KAS
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Runs C(gitlab-ctl reconfigure) when O(path) or one of O(inputs) differs from what the last successful run applied,
    when the package has another version than then, when no run is on record, or when O(force) is set.
  - A run that fails, or is killed, or during which a file was edited, stays pending, also when the next playbook
    changes nothing. A file that was edited, reconfigured by hand and put back makes one pending, too.
  - A reconfigure by hand counts as well if it has succeeded, and if the package's log of it says that it began after
    the last change of every file. Where that is not known, one is pending.
  - Restarts KAS when one of O(restart_inputs) differs from what it read when it started, unless a reconfigure that is
    pending, too, has done so. That takes seconds where a reconfigure takes minutes.
  - Starts KAS when its service is enabled and down, which C(gitlab-ctl reconfigure) does not do.
  - Removes the UNIX sockets on which KAS should listen and nobody does. A KAS that was killed leaves them, and no KAS
    starts until they are gone.
  - The record holds digests of the files, never their contents. It is C(/var/lib/kasops.gitlab_kas/reconfigured.json).
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
attributes:
  check_mode:
    support: full
    details: It runs nothing but C(gitlab-ctl status).
  diff_mode:
    support: full
    details: Shows whether a reconfigure or restart is pending and whether KAS runs, not what Chef changes.
options:
  path:
    description:
      - The path of gitlab.rb.
    type: path
    default: /etc/gitlab/gitlab.rb
  inputs:
    description:
      - Further files and directories that a reconfigure applies, such as certificates or files that gitlab.rb includes.
      - Of a directory, the files that stand in it count. What does not exist counts when it appears.
    type: list
    elements: path
    default: []
  restart_inputs:
    description:
      - Files and directories that KAS reads only when it starts, such as its certificates and keys. Their change makes
        a restart pending, and no reconfigure.
      - One that a reconfigure applies, too, belongs into both lists, as C(/etc/gitlab/trusted-certs) does.
    type: list
    elements: path
    default: []
  force:
    description:
      - Reconfigure also when nothing is pending.
    type: bool
    default: false
  start:
    description:
      - Start KAS when its service is enabled and down.
    type: bool
    default: true
  timeout_s:
    description:
      - How many seconds to wait for the end of C(gitlab-ctl reconfigure).
      - After that the module fails, the reconfigure stays pending, and C(gitlab-ctl) goes on to its end, because
        stopping Chef half-way could leave the node half configured. The same holds when Ansible is interrupted or loses
        its connection. The next reconfigure waits for the first one.
    type: int
    default: 3600
seealso:
  - module: kasops.gitlab_kas.gitlab_rb
  - module: kasops.gitlab_kas.kas_info
"""

EXAMPLES = r"""
- name: Apply what has changed in gitlab.rb since the last successful reconfigure
  kasops.gitlab_kas.gitlab_reconfigure:

- name: Apply new authorities and certificates, too
  kasops.gitlab_kas.gitlab_reconfigure:
    inputs:
      - /etc/gitlab/trusted-certs
    restart_inputs:
      - /etc/gitlab/trusted-certs
      - /etc/gitlab/ssl-kas/private-api.crt
      - /etc/gitlab/ssl-kas/private-api.key

- name: Reconfigure in any case, on a slow node
  kasops.gitlab_kas.gitlab_reconfigure:
    force: true
    timeout_s: 7200
"""

RETURN = r"""
reason:
  description: Why a reconfigure was run, or would be in check mode; null if none is pending.
  returned: always
  type: str
  sample: /etc/gitlab/gitlab.rb has changed since the last successful reconfigure.
resources_updated:
  description: How many resources Chef updated; null if no reconfigure was run or it did not say.
  returned: always
  type: int
  sample: 12
duration_s:
  description: How many seconds the reconfigure took; null if none was run.
  returned: always
  type: float
  sample: 35.2
restart_reason:
  description: Why KAS had to start anew, or would have to in check mode; null if it had not.
  returned: always
  type: str
  sample: /etc/gitlab/ssl-kas/private-api.crt has changed since the last start of KAS on record.
restarted:
  description:
    - Whether KAS was restarted, or would be in check mode. It is not if it is down, or if a reconfigure has restarted
      it, which check mode cannot foresee; that mode then says V(false).
  returned: always
  type: bool
  sample: false
started:
  description: Whether a stopped KAS was started, or would be in check mode.
  returned: always
  type: bool
  sample: false
removed_sockets:
  description: The sockets of a killed KAS that were removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: []
deprecation_notices:
  description: What the package says about settings that it will not take for much longer.
  returned: always
  type: list
  elements: str
  sample:
    - git_data_dirs has been deprecated since 17.8 and will be removed in 18.0.
lines:
  description: The lines of C(gitlab-ctl) that say why it failed. Values of secrets are masked.
  returned: always
  type: list
  elements: str
  sample:
    - gitlab_kas['api_secret_key'] should be exactly 32 bytes
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import (
    SERVICE,
    AppliedState,
    GitlabCtlError,
    Package,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import configuration, listeners, stale_sockets


def run(
    params: Mapping[str, Any],
    package: Package,
    *,
    check_mode: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Do what the module's parameters ask for; the result has the same keys whether it failed or not."""
    result: dict[str, Any] = {
        "changed": False,
        "reason": None,
        "resources_updated": None,
        "duration_s": None,
        "restart_reason": None,
        "restarted": False,
        "started": False,
        "removed_sockets": [],
        "deprecation_notices": [],
        "lines": [],
    }
    try:
        _remove_stale_sockets(package, result, check_mode)
        _apply(params, package, result, check_mode, clock)
        _remove_stale_sockets(package, result, check_mode)  # where it listens from now on
        _start(params, package, result, check_mode)
    except GitlabCtlError as error:
        result.update(failed=True, msg=str(error), lines=error.lines)
    return result


def _remove_stale_sockets(package: Package, result: dict[str, Any], check_mode: bool) -> None:
    """Clear the way for the next start of KAS: of a service that is enabled, runit tries again and again."""
    try:
        config = configuration(package.root).read_text(errors="replace")
    except OSError:  # KAS was never configured here
        return
    for path in stale_sockets(listeners(config).values(), package.root):
        if str(path) in result["removed_sockets"]:
            continue
        try:
            if not check_mode:
                path.unlink()
        except OSError as error:
            raise GitlabCtlError(
                f"{path}, left by a KAS that was killed, keeps KAS from starting and cannot be removed"
                f" ({error.strerror}); {remedy(error)}."
            ) from error
        result["removed_sockets"].append(str(path))
        result["changed"] = True


def _apply(
    params: Mapping[str, Any],
    package: Package,
    result: dict[str, Any],
    check_mode: bool,
    clock: Callable[[], float],
) -> None:
    """Reconfigure or restart, and note what was applied only when both are done."""
    applied = AppliedState(package)
    inputs = [params["path"], *params["inputs"]]
    snapshot = applied.snapshot([*inputs, *params["restart_inputs"]])
    result["reason"] = applied.pending(snapshot, inputs) or ("A reconfigure is forced." if params["force"] else None)
    result["restart_reason"] = applied.restart_pending(snapshot, params["restart_inputs"])
    if result["reason"] is None and result["restart_reason"] is None:
        return
    before = package.service(SERVICE).pid if result["restart_reason"] else None
    if check_mode:
        result["restarted"] = before is not None and result["reason"] is None
        result["changed"] = result["restarted"] or result["reason"] is not None
        return
    if result["reason"]:
        applied.begin([*inputs, *params["restart_inputs"]])
        _reconfigure(package, result, params["timeout_s"], clock)
    else:
        applied.begin_restart(params["restart_inputs"])
    if before is not None and package.service(SERVICE).pid == before:
        package.restart(SERVICE)
        result["changed"] = result["restarted"] = True
    applied.note(snapshot)


def _reconfigure(package: Package, result: dict[str, Any], timeout_s: float, clock: Callable[[], float]) -> None:
    result["changed"] = True
    begin = clock()
    try:
        outcome = package.reconfigure(timeout_s)
    finally:
        result["duration_s"] = round(clock() - begin, 1)
    result["resources_updated"] = outcome.resources_updated
    result["deprecation_notices"] = outcome.deprecations
    if outcome.error:
        raise GitlabCtlError(outcome.error, outcome.lines)


def _start(params: Mapping[str, Any], package: Package, result: dict[str, Any], check_mode: bool) -> None:
    service = package.service(SERVICE) if params["start"] else None
    if service is None or not service.enabled or service.running:
        return
    if not check_mode:
        package.start(SERVICE)
    result["changed"] = result["started"] = True


def diff(result: Mapping[str, Any]) -> dict[str, str]:
    """Show what was done, or would be, as a diff of the node's state."""
    before, after = [], []
    if result["reason"] is not None:
        before.append(f"reconfigure pending: {result['reason']}\n")
        after.append("reconfigure pending: no\n")
    if result["restart_reason"] is not None:
        before.append(f"restart pending: {result['restart_reason']}\n")
        after.append("restart pending: no\n")
    for path in result["removed_sockets"]:
        before.append(f"{path}: left by a KAS that was killed\n")
    if result["started"]:
        before.append(f"{SERVICE}: down\n")
        after.append(f"{SERVICE}: run\n")
    return {"before": "".join(before), "after": "".join(after)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/gitlab/gitlab.rb"},
            "inputs": {"type": "list", "elements": "path", "default": []},
            "restart_inputs": {"type": "list", "elements": "path", "default": []},
            "force": {"type": "bool", "default": False},
            "start": {"type": "bool", "default": True},
            "timeout_s": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    result = run(module.params, Package(), check_mode=module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    if module._diff:
        result["diff"] = diff(result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
