# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The turns of a roll-out, in which the nodes with anything pending change, one batch after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import GROUPS

PENDING = "__kas_pending"  # the group of the nodes that have a turn

# A variable of plays in which what fails is reported by a rescue, which also marks the nodes.
RESCUES = "__kas_rescues"

WRITTEN = "__kas_written"  # what the step write returned, in the turn of a node


def rescued(result: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """A failed result as a rescue takes it: of a node that does not answer any more, Ansible would run none.

    The report then says which hosts are unreachable, and the step judge marks them as such.
    """
    if not (result.get("unreachable") and variables.get(RESCUES)):
        return dict(result)
    return {**{key: value for key, value in result.items() if key != "unreachable"}, "failed": True, "is_lost": True}


def rolls_back(wanted: bool, variables: Mapping[str, Any]) -> bool:
    """Whether a rescue puts gitlab.rb back on a node that fails: if kas_rollback wants it, and there is a rescue."""
    return wanted and bool(variables.get(RESCUES))


def way_back(name: str, variables: Mapping[str, Any]) -> list[str]:
    """How to undo on a node what the step write has just done there, as one sentence, if it did anything."""
    command = (variables.get(WRITTEN) or {}).get("undo")
    return [f"{name}: the settings from before are kept; to go back to them, run there: {command}"] if command else []


def turns(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """The nodes that have a turn, in their order; none where a role is used alone."""
    hosts = dict.fromkeys(str(host) for group in GROUPS for host in groups.get(group, ()))
    return [host for host in hosts if host in groups.get(PENDING, ())]


def not_over(failed: str, groups: Mapping[str, Sequence[str]], batch: Sequence[str]) -> list[str]:
    """What a failure in the middle of a roll-out leaves undone, as one sentence, if anything.

    batch holds the nodes whose turn it is. AWX does not count the later ones as failed, so "relaunch on failed hosts"
    would leave them as they are.
    """
    in_turn = turns(groups)
    if failed not in in_turn:
        return []
    first = min(in_turn.index(host) for host in map(str, batch) if host in in_turn)
    left = [host for host in in_turn[first:] if host != failed]
    if not left:
        return []
    return [
        f"{', '.join(left)}: not changed yet, or not to the end, since {failed} has failed; fix the cause and run the"
        " playbook deploy without a limit (in AWX relaunch it on all hosts, not on the failed ones)."
    ]
