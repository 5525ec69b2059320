# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings; scripts/docs.py lays the pages out as in the repository, so their links need no change."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(os.environ["KAS_DOCS_ROOT"])
REPOSITORY = "https://gitlab.com/kasops/gitlab_kas/-/tree/main"

project = "kasops.gitlab_kas"
author = "The kasops team"
copyright = "the kasops team"  # Sphinx's name for it
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "furo"
html_title = project
html_show_sphinx = False
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # a block of YAML that is cut short with …
default_role = "any"
nitpicky = False


def link_to_repository(app: Any, page: str, source: list[str]) -> None:
    """Point a link to a file that is no page of the site at the repository."""
    folder = Path(page).parent

    def resolved(match: re.Match[str]) -> str:
        target = os.path.normpath(folder / match[1])
        is_page = (Path(app.srcdir) / target).is_file()
        return match[0] if is_page or not (ROOT / target).exists() else f"]({REPOSITORY}/{target}{match[2] or ''})"

    source[0] = re.sub(r"\]\((?!\w+:)([^)#\s]+)(#[^)]*)?\)", resolved, source[0])


def setup(app: Any) -> None:
    app.connect("source-read", link_to_repository)
