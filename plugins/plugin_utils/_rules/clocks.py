# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule about the nodes' clocks. What a rule is: see the package."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median_low

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._peer import PRIVATE_API
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment, Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal

_LENIENCE_S = max(PRIVATE_API.lifetime_s)


@refusal()
def agree(host: Host, deployment: Deployment) -> Iterator[str]:
    """Each node's clock was read while somebody waited, so it is known between two bounds."""
    clocks = {kas.name: kas.reported["ahead_s"] for kas in deployment.kas if kas.reported.get("ahead_s")}
    if len(clocks) < 2 or host.name not in clocks:
        return
    middle = median_low(sum(bounds) for bounds in clocks.values())
    other, *_alike = [name for name, bounds in clocks.items() if sum(bounds) == middle]
    (least, most), (other_least, other_most) = clocks[host.name], clocks[other]
    for seconds, way in ((least - other_most, "ahead of"), (other_least - most, "behind")):
        if seconds > _LENIENCE_S:
            yield (
                f"its clock is at least {seconds:.0f} s {way} that of {other}, but a KAS refuses what another one"
                f" signs if their clocks differ by more than {_LENIENCE_S} s; set both clocks right, with chrony or"
                " another client of NTP"
            )
