# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of variables that somebody has written, and that Ansible does not read.

For a play it reads group_vars and host_vars beside the inventory and beside the playbook that the play stands in: a
playbook that imports one of this collection has its own read for its own plays only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES

_SET = re.compile(r"^[\"']?(kas_\w+)[\"']?[ \t]*:", re.MULTILINE)
_MOST_BYTES = 1_000_000


def ignored_variables(
    folders: Iterable[Path], owners: Mapping[str, Collection[str]], known: Collection[str]
) -> Iterator[str]:
    """What is said of files of variables beside the playbooks that were started, a sentence for each.

    folders: where these playbooks lie. owners: the names of groups and of hosts of the inventory, by group_vars and
    host_vars. known: the variables that Ansible has found on some host; these are no reason to refuse anything.
    """
    for folder in dict.fromkeys(folders):
        for kind, names in owners.items():
            for file in _files(folder / kind, names):
                found = [name for name in _names(file) if name in VARIABLES and name not in known]
                if found:
                    yield (
                        f"{file} sets {', '.join(found)}, but Ansible does not read it in this play, since that"
                        f" playbook only imports one of this collection; move {kind} beside the inventory."
                    )


def _files(folder: Path, names: Collection[str]) -> Iterator[Path]:
    """Those of these hosts or groups: NAME, NAME.yml and the like, or all that lies in the folder NAME."""
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.is_dir() and entry.name in names:
            yield from (file for file in sorted(entry.rglob("*")) if file.is_file())
        elif entry.is_file() and {entry.name, entry.stem} & set(names):
            yield entry


def _names(file: Path) -> list[str]:
    """The names that it sets at the top level; none of a file that is in a vault as a whole."""
    try:
        with file.open(encoding="utf-8") as opened:
            return list(dict.fromkeys(_SET.findall(opened.read(_MOST_BYTES))))
    except (OSError, UnicodeError):
        return []
