# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options from which the own private API URL of a KAS follows."""

from __future__ import annotations


class ModuleDocFragment:
    """The first fragment for whatever works out URLs; FACTS for the filters, which look into a host's facts."""

    DOCUMENTATION = r"""
options:
  cidr:
    description:
      - The networks in which the address must lie, as E(OWN_PRIVATE_API_CIDR) names them. One network as text, several
        separated by commas, or a list.
      - Host bits are allowed, as in V(2001:db8:8a2e:370::7334/64).
    type: raw
  url:
    description:
      - The URL itself, as E(OWN_PRIVATE_API_URL) names it. It is returned as it is.
      - It is an error beside O(cidr), because KAS does not start with both.
    type: str
  port:
    description:
      - The port of the URL, as E(OWN_PRIVATE_API_PORT) names it. A number from 1 to 65535, or the same as text.
      - Without it, the port of O(listen_address) counts.
    type: raw
  scheme:
    description:
      - The scheme of the URL, as E(OWN_PRIVATE_API_SCHEME) names it. V(grpc), or V(grpcs) where KAS talks to KAS
        over TLS.
    type: str
    default: grpc
  listen_network:
    description:
      - The network of the listener, C(gitlab_kas['private_api_listen_network']). One of V(tcp), V(tcp4), V(tcp6) and
        V(unix).
      - Empty means that it is not known.
    type: str
    default: tcp
  listen_address:
    description:
      - The address of the listener, C(gitlab_kas['private_api_listen_address']). HOST:PORT, or the path of the
        socket if O(listen_network=unix).
      - Without O(cidr) and O(url), the URL comes from it.
      - Empty means that it is not known.
    type: str
    default: localhost:8155
notes:
  - As in KAS, an empty text is the same as an option that is not given.
"""

    FACTS = r"""
options:
  _input:
    description:
      - The facts of a host, for which the C(network) subset is enough. C(ansible_facts) of M(ansible.builtin.setup),
        whatever holds them under that name, such as C(hostvars['kas-1']), or facts whose names begin with C(ansible_).
      - Or a list of addresses.
    type: raw
    required: true
  query:
    description:
      - A JMESPath expression that selects the candidate addresses, a list of texts, from the facts. There the facts'
        names do not begin with C(ansible_).
      - If not given, every address of every interface counts, and a list of addresses is taken as it is.
    type: str
requirements:
  - jmespath on the controller, only for O(query)
"""
