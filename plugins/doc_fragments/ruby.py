# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option that the modules have which read gitlab.rb."""

from __future__ import annotations


class ModuleDocFragment:
    """The Ruby of a node; find_ruby() of module_utils knows the default."""

    DOCUMENTATION = r"""
options:
  ruby:
    description:
      - The Ruby that reads gitlab.rb.
      - If not set, the package's own C(/opt/gitlab/embedded/bin/ruby) if it exists, else the C(ruby) in C(PATH).
    type: path
"""
