#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: own_private_api_url
author: The kasops team (@kasops)
version_added: "0.1.0"
short_description: The URL by which other KAS reach the KAS of this host
description:
  - Works out the URL for E(OWN_PRIVATE_API_URL) on the host itself, from the addresses that its kernel has now. It
    needs neither facts nor a running KAS.
  - With O(cidr), exactly one of the host's addresses must lie in the networks; else the error names the candidates.
  - With neither O(cidr) nor O(url), it is O(listen_address) as it stands.
extends_documentation_fragment:
  - kasops.gitlab_kas.private_api
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
seealso:
  - plugin: kasops.gitlab_kas.own_private_api_url
    plugin_type: filter
  - plugin: kasops.gitlab_kas.own_private_api_urls
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Work out the URL of this host in the private network
  kasops.gitlab_kas.own_private_api_url:
    cidr: 10.0.0.0/8
  register: own

- name: Show it
  ansible.builtin.debug:
    var: own.own_private_api_url

- name: Work out the IPv6 URL, with TLS and another port
  kasops.gitlab_kas.own_private_api_url:
    cidr:
      - fd00::/8
      - 2001:db8::/32
    scheme: grpcs
    port: 8255
"""

RETURN = r"""
own_private_api_url:
  description: The URL for E(OWN_PRIVATE_API_URL); null if there is none, and then the task fails.
  returned: always
  type: str
  sample: grpc://10.0.0.1:8155
own_private_api_urls:
  description: What a KAS of GitLab 17.8 or later publishes with the same settings, if it is left to KAS.
  returned: always
  type: list
  elements: str
  sample: ["grpc://10.0.0.1:8155"]
addresses:
  description: All addresses of the host, as KAS writes them.
  returned: always
  type: list
  elements: str
  sample: ["127.0.0.1", "10.0.0.1", "::1", "fd00::1"]
"""

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._addresses import kernel_addresses
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    PrivateApiError,
    addresses,
    own_private_api_url,
    own_private_api_urls,
)


def main(current_addresses: Callable[[], list[str]] = kernel_addresses) -> None:
    module = AnsibleModule(
        argument_spec={
            "cidr": {"type": "raw"},
            "url": {"type": "str"},
            "port": {"type": "raw"},
            "scheme": {"type": "str", "default": "grpc"},
            "listen_network": {"type": "str", "default": "tcp"},
            "listen_address": {"type": "str", "default": "localhost:8155"},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {
        "changed": False,
        "addresses": [],
        "own_private_api_url": None,
        "own_private_api_urls": [],
    }
    try:
        result["addresses"] = addresses(current_addresses())
        result["own_private_api_urls"] = own_private_api_urls(result["addresses"], **module.params)
        result["own_private_api_url"] = own_private_api_url(result["addresses"], **module.params)
    except PrivateApiError as error:
        module.fail_json(msg=str(error), **result)
    except OSError as error:
        module.fail_json(
            msg=f"The kernel does not tell its addresses ({error}); use the filter of this name.", **result
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
