#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_probe
short_description: See whether this node reaches the private API of other KAS
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Connects from this node to every peer at once, as its KAS would, and sees whether a gRPC server answers there.
  - For C(grpcs) it also verifies the certificate's chain and name.
  - The secrets that KAS share take no part in this.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
options:
  peers:
    description:
      - The URLs of the peers, as in C(OWN_PRIVATE_API_URL).
    type: list
    elements: str
    required: true
  server_name:
    description:
      - The name that every peer's certificate must be made out to, C(OWN_PRIVATE_API_HOST) of KAS.
      - The default is the host in the URL.
    type: str
  ca_dir:
    description:
      - A directory with certificates of CAs, one or several in a file; only these are trusted.
      - The default is what KAS trusts, the package's certificates with those of C(/etc/gitlab/trusted-certs), and the
        system's.
    type: path
  timeout_s:
    description:
      - After how many seconds a peer that has not answered counts as unreachable.
    type: int
    default: 5
seealso:
  - module: kasops.gitlab_kas.kas_info
"""

EXAMPLES = r"""
- name: See whether this KAS reaches the others
  kasops.gitlab_kas.kas_probe:
    peers:
      - grpc://10.0.0.2:8155
      - grpc://[fd00::3]:8155

- name: The same with TLS, where all certificates have the name of the deployment
  kasops.gitlab_kas.kas_probe:
    peers:
      - grpcs://10.0.0.2:8155
    server_name: kas.example.com
"""

RETURN = r"""
peers:
  description: What came of each peer, in the order given.
  returned: always
  type: list
  elements: dict
  contains:
    url:
      description: The peer's URL.
      type: str
    reachable:
      description: Whether a gRPC server answers there.
      type: bool
    text:
      description: V(reachable), or why not.
      type: str
  sample:
    - url: grpc://10.0.0.2:8155
      reachable: false
      text: connection refused
reachable:
  description: Whether every peer is reachable.
  returned: always
  type: bool
  sample: false
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import Reach, reach
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError


def run(params: Mapping[str, Any], reacher: Callable[..., Reach] = reach) -> dict[str, Any]:
    """Reach every peer and make the module's result of it."""
    peers = [
        {"url": url, "reachable": reached.ok, "text": reached.text}
        for url, reached in zip(params["peers"], _reach_all(params, reacher))
    ]
    return {"changed": False, "peers": peers, "reachable": all(peer["reachable"] for peer in peers)}


def _reach_all(params: Mapping[str, Any], reacher: Callable[..., Reach]) -> Sequence[Reach]:
    """Reach all peers at once and wait for the time limit, not longer: asking for a name may take what it likes."""
    timeout = params["timeout_s"]
    options = {
        "server_name": params["server_name"],
        "ca_dir": Path(params["ca_dir"]) if params["ca_dir"] else None,
        "timeout": timeout,
    }
    reached = [Reach(False, f"no answer within {timeout} s") for _url in params["peers"]]

    def probe(position: int, url: str) -> None:
        try:
            reached[position] = reacher(url, **options)
        except (PrivateApiError, ValueError) as error:  # ValueError: a host that is no name at all
            reached[position] = Reach(False, str(error))

    threads = [
        threading.Thread(target=probe, args=(position, url), daemon=True)
        for position, url in enumerate(params["peers"])
    ]
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(reached)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "peers": {"type": "list", "elements": "str", "required": True},
            "server_name": {"type": "str"},
            "ca_dir": {"type": "path"},
            "timeout_s": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    if module.params["timeout_s"] < 1:
        module.fail_json(
            msg=f"timeout_s is {module.params['timeout_s']}; set 1 or more seconds.", peers=[], reachable=False
        )
    module.exit_json(**run(module.params))


if __name__ == "__main__":
    main()
