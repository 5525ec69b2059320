#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_probe
short_description: Check whether this node reaches other KAS and is served by them
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Asks every peer at once from this node, as its KAS would ask the private API of another KAS, or as its Rails would
    ask the internal API of a KAS.
  - The question is a gRPC call that does nothing, with a token that is signed with the secret of this node and soon
    runs out. The secret is read from the file that KAS or Rails reads, and does not leave the node. So an answer proves
    that both have the same secret, that their clocks agree, and that this is the right listener.
  - For C(grpcs) it also verifies the certificate's chain and name.
  - At the package's defaults, KAS writes nothing about it into its log.
  - The answers were measured on GitLab 16. One that does not fit is no fault; RV(peers[].text) tells it.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
options:
  call:
    description:
      - What is asked.
      - V(private_api), what KAS asks another KAS, with the secret C(private_api_secret_key).
      - V(internal_api), what Rails asks KAS, with the secret C(api_secret_key).
      - V(none), only whether a server of HTTP/2 answers. No secret takes part in it.
    type: str
    choices: [private_api, internal_api, none]
    default: private_api
  peers:
    description:
      - The URLs of the peers, as in C(OWN_PRIVATE_API_URL).
      - With O(call=internal_api), the default is the URL that the last reconfigure told Rails, if there is one.
      - Required with any other O(call).
    type: list
    elements: str
  rails:
    description:
      - Whether the Rails of this node asks as well, at the same time. It asks the internal API at the URL that the last
        reconfigure told it, with the secret C(api_secret_key).
    type: bool
    default: false
  server_name:
    description:
      - The name that every peer's certificate must be made out to, C(OWN_PRIVATE_API_HOST) of KAS.
      - The default is the host in the URL. Rails knows no other, so this is not for O(rails).
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

- name: See whether this KAS reaches another, and the Rails of this node its own
  kasops.gitlab_kas.kas_probe:
    peers:
      - grpc://10.0.0.2:8155
    rails: true

- name: See whether the Rails of this node is served at its internal URL
  kasops.gitlab_kas.kas_probe:
    call: internal_api
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
      description: Whether a client on this node would be served there, as far as that can be told.
      type: bool
    answered:
      description: Whether the call was answered as KAS answers whoever has its secret; always false for O(call=none).
      type: bool
    text:
      description: V(reachable), what was answered if it is not known, or why the peer is not reachable.
      type: str
    remedy:
      description: What to do about it; empty if the peer is reachable.
      type: str
  sample:
    - url: grpc://10.0.0.2:8155
      reachable: false
      answered: false
      text: connection refused
      remedy: make sure that KAS runs there and that no firewall is in between
reachable:
  description: Whether every peer is reachable.
  returned: always
  type: bool
  sample: false
rails:
  description: What came of the Rails of this node.
  returned: with O(rails)
  type: dict
  contains:
    peers:
      description: As RV(peers), for the URL that Rails was told; empty if there is none.
      type: list
      elements: dict
    reachable:
      description: Whether it is reachable.
      type: bool
    msg:
      description: Why it could not be asked.
      returned: if so
      type: str
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import GitlabCtlError, Package
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import (
    KasError,
    internal_api_secret,
    internal_url,
    private_api_secret,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import at_once
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._peer import (
    INTERNAL_API,
    PRIVATE_API,
    Credentials,
    Reach,
    reach,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError

_GRACE_S = 0.5  # the last word is the peer's, if it comes at the last moment


class Question(NamedTuple):
    """A peer, and how it is asked."""

    url: str
    options: Mapping[str, Any]  # of _peer.reach


def run(params: Mapping[str, Any], package: Package, reacher: Callable[..., Reach] = reach) -> dict[str, Any]:
    """Ask every peer and make the module's result of it. A failure of the first part has a msg, as has one of Rails."""
    parts = {"kas": _questions(params, package)}
    if params["rails"]:
        rails = {"call": "internal_api", "peers": None, "server_name": None, "ca_dir": None}
        parts["rails"] = _questions({**params, **rails}, package)
    questions = [question for part in parts.values() if not isinstance(part, str) for question in part]
    reached = iter(_reach_all(questions, params["timeout_s"], reacher))
    found = {name: _found(part, reached) for name, part in parts.items()}
    return {"changed": False, **found.pop("kas"), **found}


def _questions(params: Mapping[str, Any], package: Package) -> list[Question] | str:
    """What to ask, or why there is no asking."""
    urls = params["peers"]
    try:
        if urls is None:
            urls = [url for url in [internal_url(package.root)] if url]
        options = {
            "credentials": _credentials(params["call"], package) if urls else None,
            "server_name": params["server_name"],
            "ca_dir": Path(params["ca_dir"]) if params["ca_dir"] else None,
            "timeout": params["timeout_s"],
        }
    except (GitlabCtlError, KasError) as error:
        return str(error)
    return [Question(url, options) for url in urls]


def _found(part: Sequence[Question] | str, reached: Iterator[Reach]) -> dict[str, Any]:
    if isinstance(part, str):
        return {"peers": [], "reachable": False, "msg": part}
    peers = [
        {"url": url, "reachable": found.ok, "answered": found.answered, "text": found.text, "remedy": found.remedy}
        for (url, _options), found in zip(part, reached)
    ]
    return {"peers": peers, "reachable": all(peer["reachable"] for peer in peers)}


def _credentials(call: str, package: Package) -> Credentials | None:
    if call == "none":
        return None
    if call == "internal_api":
        return Credentials(INTERNAL_API, internal_api_secret(package.root), package.version)
    return Credentials(PRIVATE_API, private_api_secret(package.root), package.version)


def _reach_all(questions: Sequence[Question], timeout: int, reacher: Callable[..., Reach]) -> Sequence[Reach]:
    """Ask all peers at once and wait for the time limit, not longer: asking for a name may take what it likes."""

    def ask(question: Question) -> Reach:
        try:
            return reacher(question.url, **question.options)
        except (PrivateApiError, ValueError) as error:  # ValueError: a host that is no name at all
            return Reach(False, str(error), "correct the URL")

    late = Reach(False, f"no answer within {timeout} s", "check this node's DNS")
    return at_once([partial(ask, question) for question in questions], timeout + _GRACE_S, late)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "call": {
                "type": "str",
                "choices": ["private_api", "internal_api", "none"],
                "default": "private_api",
            },
            "peers": {"type": "list", "elements": "str"},
            "rails": {"type": "bool", "default": False},
            "server_name": {"type": "str"},
            "ca_dir": {"type": "path"},
            "timeout_s": {"type": "int", "default": 5},
        },
        required_if=[("call", "private_api", ["peers"]), ("call", "none", ["peers"])],
        supports_check_mode=True,
    )
    if module.params["timeout_s"] < 1:
        msg = f"timeout_s is {module.params['timeout_s']}; set 1 or more seconds."
        module.fail_json(msg=msg, peers=[], reachable=False)
    result = run(module.params, Package())
    if "msg" in result:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
