# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many examples there were, what was in them, and how many were refused and why."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field

from grammar import CALLS, SECTIONS


def reason(message: str) -> str:
    """The cause without names and numbers, so that equal reasons count as one."""
    cause = re.sub(r"^\S+(?:, |: )line \d+:? ", "", message).split("; ")[0]
    cause = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`", "…", cause)
    cause = re.sub(rf"\b({'|'.join((*CALLS, *SECTIONS))})\b(\[…\])*", "NAME", cause)
    return re.sub(r"\d+", "N", cause)


@dataclass
class Figures:
    examples: int = 0
    rejected_by_ruby: int = 0
    changed: int = 0
    unchanged: int = 0
    with_unrelated_traps: int = 0
    appended_only: int = 0
    reverted: int = 0
    own_files: int = 0
    not_reverted: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    refused_though_unrelated: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    started_s: float = 0.0

    def report(self) -> str:
        seconds = time.monotonic() - self.started_s
        refused = sum(self.refusals.values())
        lines = [
            f"{self.examples} examples in {seconds:.0f} s, beside {self.rejected_by_ruby} that Ruby itself refused:",
            f"  {self.changed} changed, {self.unchanged} had nothing to change, {refused} refused;",
            f"  {self.appended_only} were only added to, and restored to the byte by absent;",
            f"  {self.reverted} were taken back by their record, {sum(self.not_reverted.values())} could not be;",
            f"  {self.own_files} got a file of our own, and lost it again to the byte;",
            f"  {len(self.labels)} constructs, the rarest {min(self.labels.values(), default=0)} times.",
        ]
        if self.with_unrelated_traps:
            lines.append(
                f"  Of {self.with_unrelated_traps} with traps about other settings only, "
                f"{sum(self.refused_though_unrelated.values())} were refused."
            )
        lines += [f"  {count:6}  {text}" for text, count in self.refusals.most_common()]
        return "\n".join(lines)


FIGURES = Figures()
