# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tags of the playbooks: their stages, and what is refused so that no run is green that does nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest

STAGES = ("preflight", "deploy", "verify")
_OF_ANSIBLE = ("all", "always", "tagged")


def tag_problem(asked: Sequence[str], skipped: Sequence[str]) -> str:
    """What is wrong with --tags and --skip-tags, as a sentence; '' if nothing is.

    Who asks for another tag gets nothing. Who skips one, as Molecule does, does no harm, unless a stage is meant.
    """
    wrong = [tag for tag in asked if tag not in (*STAGES, *_OF_ANSIBLE)]
    for tag in skipped:
        if nearest(tag, STAGES):
            wrong.append(tag)
    if not wrong:
        return ""
    return (
        f"--tags or --skip-tags names {', '.join(wrong)}, which is no stage of this playbook; its stages are"
        f" {', '.join(STAGES)}."
    )
