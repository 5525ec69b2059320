# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe a deployment that was made by hand in variables; documented in the module of this name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _adopt, _adopt_outcome
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._ansible import everybody, plain
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, read
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import node_refusals
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import (
    Sentence,
    failure,
    joined,
    of,
    with_fails,
)

ADOPTED = "__kas_adopted"  # what the role keeps


class ActionModule(ActionBase):  # type: ignore[misc]
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        self._task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        spec = {"step": {"type": "str", "choices": ["describe", "judge"], "required": True}}
        _validation, args = self.validate_argument_spec(spec)
        return {**result, **getattr(self, f"_{args['step']}")()}

    def _judge(self) -> dict[str, Any]:
        kept = plain(self._task_vars[ADOPTED])["unable"]
        return failure(str(self._task_vars["inventory_hostname"]), [Sentence(**each) for each in kept])

    def _describe(self) -> dict[str, Any]:
        gathered = list(everybody(self._task, self._loader, self._task_vars))
        in_play = [each.name for each in gathered if each.in_play]
        together = dict.fromkeys((each.name for each in gathered), "")  # all are described, or none
        unable = with_fails(joined(_refusals(gathered)), in_play, together)
        result: dict[str, Any] = {"unable": [asdict(each) for each in unable]}
        if unable:
            return result
        hosts = [read(each)[0] for each in gathered]
        described = _adopt.describe(hosts, {each.name: (each.result or {})["gitlab_rb"] for each in gathered})
        texts = {name: _adopt_outcome.text_of(each) for name, each in _adopt.files(described).items()}
        outcome = _adopt_outcome.outcome(gathered, described)
        result["files"] = texts
        remarks = [Sentence((name,), str(remark)) for name, each in described.items() for remark in each.remarks]
        result["remarks"] = [str(each) for each in joined(remarks)]
        result["changes"] = [str(each) for each in joined(outcome.changes)]
        result["refusals"] = [str(each) for each in outcome.plan.refusals]
        result["warnings"] = list(map(str, outcome.plan.warnings))
        result["written"] = []
        directory = hosts[0].values["kas_adopt_path"]
        for line in _shown(result):
            Display().display(line)
        try:
            if directory:
                written = _adopt_outcome.write(directory, texts, is_check=bool(self._task.check_mode))
                result.update(written=written, changed=bool(written))
        except FileError as error:
            return {**result, "failed": True, "msg": str(error)}
        Display().display(_end(directory, result["written"], is_check=bool(self._task.check_mode)))
        return result


def _refusals(gathered: Sequence[Gathered]) -> Iterator[Sentence]:
    """Why nothing can be described: it takes all nodes."""
    hosts = [read(each)[0] for each in gathered]
    outside = tuple(each.name for each in gathered if not each.in_play)
    if outside:
        yield Sentence(outside, "not in this run, but a deployment is described as a whole; leave the limit out.")
    yield from node_refusals(hosts)
    for each in gathered:
        error = (each.result or {}).get("gitlab_rb_error")
        yield from of(each.name, [error] if error else [])
    paths = {host.values["kas_adopt_path"] for host in hosts}
    if len(paths) > 1:
        yield Sentence(tuple(host.name for host in hosts), "their kas_adopt_path differs; set one path for all hosts.")


def _end(directory: str, written: Sequence[str], *, is_check: bool) -> str:
    """What has become of the files."""
    if not directory:
        return "Nothing is written; with kas_adopt_path, such as the directory of your inventory, the files are."
    if not written:
        return "All files are there already."
    return f"{'Would be written' if is_check else 'Written'}: {', '.join(written)}"


def _shown(result: Mapping[str, Any]) -> Iterator[str]:
    """The result for people."""
    for name, text in result["files"].items():
        yield f"--- {name}"
        yield from text.splitlines()[1:]
        yield ""
    for title, key, nothing in (
        ("What no variable says, so that it stays as it is:", "remarks", "Every line about KAS has its variable."),
        ("What deploy would refuse with these variables:", "refusals", ""),
        ("What deploy would change with these variables:", "changes", "Deploy would change nothing."),
    ):
        said = result[key]
        if said:
            yield title
            yield from (f"  {line}" for line in said)
        elif nothing and not (key == "changes" and result["refusals"]):
            yield nothing
