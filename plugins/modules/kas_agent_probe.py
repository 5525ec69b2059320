#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_agent_probe
short_description: Check whether agents get through to KAS from this host
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Asks for KAS as agents and users of C(kubectl) do, through whatever proxy or load balancer is in front, and says
    which part is at fault if KAS does not answer.
  - Needs neither GitLab nor root on the host on which it runs, nor an agent's token. It does nothing at KAS.
  - It resolves the name, connects, verifies the certificate's chain and name, and then shakes hands as an agent does.
    At C(ws) and C(wss) that is a WebSocket with the subprotocol C(ws-tunnel), in which a gRPC server must answer. At
    C(grpc) and C(grpcs) it is HTTP/2, and a call without a token, which KAS refuses. Redirects are not followed, as
    agents do not follow them.
  - At the Kubernetes API proxy it asks without credentials, with an C(Upgrade) header as C(kubectl exec) has, and looks
    for the header with which KAS refuses that. What comes after it, such as a path that the proxy has changed, or an
    C(Upgrade) that it does not pass on, only shows with an agent.
  - Proxy variables in the environment, such as C(HTTPS_PROXY), do not count.
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
options:
  agents_url:
    description:
      - Where agents connect, a URL of C(ws), C(wss), C(grpc) or C(grpcs).
    type: str
    required: true
  proxy_url:
    description:
      - The URL of the Kubernetes API proxy, of C(http) or C(https). Not asked without.
    type: str
  gitlab_url:
    description:
      - GitLab's URL, which is asked for its metadata with O(token).
    type: str
  token:
    description:
      - A token of GitLab with the scope C(read_user) or C(read_api). Sent to O(gitlab_url) alone.
    type: str
  ca:
    description:
      - Certificates in PEM that are trusted besides those that this host trusts.
    type: list
    elements: str
    default: []
  idle_s:
    description:
      - How many seconds the connection of an agent is held without a call, to find a proxy that ends it.
      - Only for C(ws) and C(wss). A proxy may end a connection of HTTP/2 without a call at any time, and agents always
        have calls.
    type: int
    default: 0
  timeout_s:
    description:
      - After how many seconds what does not answer counts as unreachable.
    type: int
    default: 5
  min_valid_days:
    description:
      - A certificate that ends within so many days is told.
    type: int
    default: 30
seealso:
  - module: kasops.gitlab_kas.kas_probe
"""

EXAMPLES = r"""
- name: See whether agents get through
  kasops.gitlab_kas.kas_agent_probe:
    agents_url: wss://gitlab.example.com/-/kubernetes-agent/
    proxy_url: https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/
  delegate_to: localhost
  become: false

- name: See whether the load balancer keeps a connection without traffic for two minutes
  kasops.gitlab_kas.kas_agent_probe:
    agents_url: wss://kas.gitlab.example.com/
    idle_s: 120
"""

RETURN = r"""
checks:
  description: What came of each question.
  returned: always
  type: list
  elements: dict
  contains:
    check:
      description: Who asked, V(agents), V(kubernetes_api) or V(gitlab).
      type: str
    url:
      description: Where.
      type: str
    ok:
      description: Whether all is well.
      type: bool
    part:
      description:
        - What is at fault; empty if all is well.
        - V(name), V(network), V(certificate), V(proxy), V(path), V(time-out), V(KAS) or V(GitLab).
      type: str
    text:
      description: Why not, else V(reachable).
      type: str
    remedy:
      description: What to do about it; empty if all is well.
      type: str
    warnings:
      description: What will be at fault before long, such as a certificate that ends, as sentences.
      type: list
      elements: str
    told:
      description: >-
        What else was answered, under C(gitlab) what GitLab's metadata says of KAS, C(version), C(externalUrl) and
        C(externalK8sProxyUrl).
      type: dict
  sample:
    - check: agents
      url: wss://gitlab.example.com/-/kubernetes-agent/
      ok: false
      part: proxy
      text: the proxy does not pass on the header Upgrade (HTTP 426 from nginx)
      remedy: let the proxy speak HTTP/1.1 to KAS, and pass on the headers Upgrade and Connection
      warnings: []
      told: {}
reachable:
  description: Whether all is well everywhere.
  returned: always
  type: bool
  sample: false
"""

import re
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import at_once
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._outside import (
    NAME,
    Found,
    Vantage,
    agents,
    kubernetes_api,
    metadata,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._tls import trust_of_system

_GRACE_S = 1  # the last word is the other side's, if it comes at the last moment
_SCHEMES = {
    "agents_url": ("ws", "wss", "grpc", "grpcs"),
    "proxy_url": ("http", "https"),
    "gitlab_url": ("http", "https"),
}


def problem(params: Mapping[str, Any]) -> str:
    """What is wrong with the options, as a sentence; '' if nothing is."""
    for option, schemes in _SCHEMES.items():
        url = params[option] or ""
        if url and not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            return f"{option} does not start with {' or '.join(f'{scheme}://' for scheme in schemes)}; correct it."
        if url and not _is_url(url):
            return f"{option} is no URL of ASCII characters with a host; correct it."
    if params["token"] and not params["gitlab_url"]:
        return "token is set, but gitlab_url is not; set both, or none."
    if params["timeout_s"] < 1:
        return f"timeout_s is {params['timeout_s']}; set 1 or more seconds."
    try:
        trust_of_system(params["ca"])
    except (ssl.SSLError, ValueError):
        return "ca holds a text that is no certificate in PEM; correct it, or leave it out."
    return ""


def _is_url(url: str) -> bool:
    """Whether a text with a scheme names a host, and can stand in a request."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and url.isascii() and not re.search(r"\s", url)
    except ValueError:
        return False


def run(params: Mapping[str, Any]) -> dict[str, Any]:
    """Ask everything at once and make the module's result of it."""
    vantage = Vantage(params["ca"], params["timeout_s"], params["min_valid_days"])
    agents_url, proxy_url, gitlab_url = (params[option] or "" for option in _SCHEMES)
    asked: dict[str, tuple[str, Callable[[], Found]]] = {
        "agents": (agents_url, partial(agents, agents_url, vantage, params["idle_s"]))
    }
    if proxy_url:
        asked["kubernetes_api"] = (proxy_url, partial(kubernetes_api, proxy_url, vantage))
    if params["token"]:
        urls = {"agents_url": agents_url, "proxy_url": proxy_url}
        asked["gitlab"] = (gitlab_url, partial(metadata, gitlab_url, params["token"], vantage, **urls))
    late = Found(
        False,
        NAME,
        f"the name is not resolved within {params['timeout_s']} s",
        "make sure that the name servers answer",
    )
    calls = [call for _url, call in asked.values()]
    found = at_once(calls, params["timeout_s"] + params["idle_s"] + _GRACE_S, late)
    checks = [
        {"check": check, "url": url, **each._asdict(), "warnings": list(each.warnings), "told": dict(each.told)}
        for (check, (url, _call)), each in zip(asked.items(), found)
    ]
    return {"changed": False, "checks": checks, "reachable": all(each["ok"] for each in checks)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "agents_url": {"type": "str", "required": True},
            "proxy_url": {"type": "str"},
            "gitlab_url": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "ca": {"type": "list", "elements": "str", "default": []},
            "idle_s": {"type": "int", "default": 0},
            "timeout_s": {"type": "int", "default": 5},
            "min_valid_days": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    wrong = problem(module.params)
    if wrong:
        module.fail_json(msg=wrong, checks=[], reachable=False)
    module.exit_json(**run(module.params))


if __name__ == "__main__":
    main()
