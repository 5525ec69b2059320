# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule is: one thing that is refused, or worth a warning, and for which hosts, roles and releases."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Literal

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment, Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import ANY, Release

Says = Callable[[Host, Deployment], Iterator[str]]
Where = Literal["kas", "rails", "all"]  # hosts that run KAS, hosts of gitlab_rails, every host


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule of a deployment; it is called with a host and the deployment that the host is part of."""

    says: Says  # what follows the host's name in a sentence, without the full stop
    refuses: bool  # else it warns
    where: Where
    roles: frozenset[str]  # it is asked if one of them is run; empty for any
    releases: Container[Release | None]  # of the host; None stands for one that is not known
    unless: Rule | None  # the cause is said by this rule already, if that says anything

    @property
    def name(self) -> str:
        """Its topic and its own name, such as urls.own_url."""
        return f"{self.says.__module__.rpartition('.')[2]}.{self.says.__name__}"

    def __call__(self, host: Host, deployment: Deployment) -> Iterator[str]:
        """What it says of this host."""
        is_there = {"kas": host.runs_kas, "rails": host.in_rails, "all": True}[self.where]
        if is_there and host.version in self.releases:
            yield from self.says(host, deployment)


def refusal(
    *,
    where: Where = "kas",
    roles: tuple[str, ...] = ("kas",),
    releases: Container[Release | None] = ANY,
    unless: Rule | None = None,
) -> Callable[[Says], Rule]:
    """Make a rule of a function: what it says is refused before anything changes."""
    return lambda says: Rule(says, True, where, frozenset(roles), releases, unless)


def warning(*, where: Where = "all", releases: Container[Release | None] = ANY) -> Callable[[Says], Rule]:
    """Make a rule of a function: what it says is worth a warning, whatever role is run."""
    return lambda says: Rule(says, False, where, frozenset(), releases, None)
