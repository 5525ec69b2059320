# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of every topic say alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import host_port, unreachable_reason
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown


def source(host: Host) -> str:
    """The variable that decides the own URL, and its value."""
    for name in ("kas_own_private_api_url", "kas_own_private_api_cidr", "kas_private_api_listen_address"):
        if host.values[name]:
            return f"{name} is {shown(listed(host.values[name]))}"
    return "kas_own_private_api_cidr is not set"


def listens_for_itself(address: str) -> str | None:
    """Why nobody else reaches a listener on this ADDRESS:PORT; None if others may."""
    where = host_port(address)
    return unreachable_reason(f"grpc://{where}") if where and not where.is_wildcard else None


def listed(value: Any) -> str:
    """A value as one text, a list with commas."""
    return ",".join(value) if isinstance(value, (list, tuple)) else str(value)


def half_pair(values: Mapping[str, Any], first: str, second: str, of: str = "") -> Iterator[str]:
    """Of a certificate and its key, one alone is of no use."""
    for name, other in ((first, second), (second, first)):
        if values.get(name) and not values.get(other):
            yield f"{of}{name} is {shown(values[name])}, but {of}{other} is not set; set both"
