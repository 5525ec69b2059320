# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the modules of this collection."""

from __future__ import annotations


class ModuleDocFragment:
    """The first fragment is for every module; READ_ONLY besides for one that changes nothing, INTERNAL for one that
    only the roles of this collection use.

    A module that changes something says itself how far it supports diff_mode.
    """

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode, and then tells what it would change without changing it.
    support: full
  diff_mode:
    description: Shows in diff mode what it changes, or in check mode what it would change.
  platform:
    description: The operating systems that it runs on.
    platforms: linux
    support: full
"""

    READ_ONLY = r"""
attributes:
  check_mode:
    details: It changes nothing.
  diff_mode:
    support: N/A
    details: It changes nothing.
"""

    INTERNAL = r"""
notes:
  - This is internal; the roles of this collection use it. It may change at any time.
options: {}
"""
