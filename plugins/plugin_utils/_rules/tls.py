# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about certificates and keys. What a rule is: see the package."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    Deployment,
    Host,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown


@refusal()
def pairs(host: Host, deployment: Deployment) -> Iterator[str]:
    values = host.values
    url, certificate = values["kas_own_private_api_url"], values["kas_private_api_certificate"]
    scheme = urlsplit(url).scheme or host.own_scheme
    found = f"kas_own_private_api_url is {shown(url)}" if url else f"kas_own_private_api_scheme is '{scheme}'"
    if scheme == "grpcs" and not certificate:
        yield f"{found}, but kas_private_api_certificate is not set; set both, or grpc"
    elif scheme == "grpc" and certificate:
        yield f"{found}, but kas_private_api_certificate is {shown(certificate)}; set grpcs, or leave TLS out"
    elif certificate and not values["kas_own_private_api_host"]:
        yield (
            f"kas_private_api_certificate is {shown(certificate)}, but kas_own_private_api_host is not set, without"
            " which KAS does not start; set the name that the certificates of all KAS nodes share"
        )
