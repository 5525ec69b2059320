# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings; scripts/docs.py lays the pages out as in the repository, so their links need no change."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes

ROOT = Path(os.environ["KAS_DOCS_ROOT"])
# Where a label of Ansible's own documentation leads. Named here, since its index cannot be fetched everywhere.
ANSIBLE = "https://docs.ansible.com/ansible/latest"
ANSIBLE_PAGES = {
    "common_return_values": "reference_appendices/common_return_values",
    "ansible_configuration_settings": "reference_appendices/config",
}
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


def adapt(app: Any, page: str, source: list[str]) -> None:
    """Point a link to a file that is no page of the site at the repository, and leave tables of contents out."""
    folder = Path(page).parent

    def resolved(match: re.Match[str]) -> str:
        target = os.path.normpath(folder / match[1])
        is_page = (Path(app.srcdir) / target).is_file()
        return match[0] if is_page or not (ROOT / target).exists() else f"]({REPOSITORY}/{target}{match[2] or ''})"

    text = re.sub(
        r"^\.\. contents::\n(?:   .*\n)+", "", source[0], flags=re.MULTILINE
    )  # the theme has one beside the page
    source[0] = re.sub(r"\]\((?!\w+:)([^)#\s]+)(#[^)]*)?\)", resolved, text)


def ansible_page(app: Any, env: Any, node: Any, content: Any) -> Any:
    """A link to Ansible's own documentation; None for what is not there, which is a broken link then."""
    label = node.get("reftarget", "")
    builtin = re.match(r"ansible_collections\.ansible\.builtin\.(\w+?_(?:module|filter|lookup))(?:__|$)", label)
    page = f"collections/ansible/builtin/{builtin[1]}" if builtin else ANSIBLE_PAGES.get(label)
    return page and nodes.reference("", "", content, refuri=f"{ANSIBLE}/{page}.html", internal=False)


def setup(app: Any) -> None:
    app.connect("source-read", adapt)
    app.connect("missing-reference", ansible_page)
