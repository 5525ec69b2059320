# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that were meant to be others: two letters in the wrong order, one that is missing, a dash for an underscore."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LETTERS_FOR_EACH_SLIP = 4
_MOST_SLIPS = 2


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Which known name was meant by one that is none of them; None where it is most likely a name of its own.

    Case and what stands between words do not count.
    """
    folded = _folded(name)
    allowed = min(_MOST_SLIPS, len(folded) // _LETTERS_FOR_EACH_SLIP)
    slips = {each: _slips(folded, _folded(each), allowed) for each in known}
    if name in slips:
        return None
    # gitlab_kas_eu is a name of its own.
    near = [each for each in slips if slips[each] <= allowed and (slips[each] < 2 or _folded(each) not in folded)]
    return min(near, key=lambda each: slips[each], default=None)


def _folded(name: str) -> str:
    return re.sub(r"[-_.\s]", "", name.casefold())


def _slips(one: str, other: str, allowed: int) -> int:
    """How many letters are too many, missing, others, or in each other's place: optimal string alignment.

    More than are allowed are counted as one more.
    """
    if abs(len(one) - len(other)) > allowed:
        return allowed + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, theirs in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != theirs))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], theirs):
                best = min(best, last[j - 2] + 1)
            row.append(best)
        if min(row) > allowed:
            return allowed + 1
    return row[-1]
