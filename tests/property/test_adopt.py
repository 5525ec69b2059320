# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment has made is described, and deployed with the description nothing changes that was not announced.

KAS_FUZZ_DEPLOYMENTS sets the number of inventories of a run (default 15), KAS_FUZZ_SEED the first one (default 0).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import find_ruby
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import GITLAB_RB, SECRETS, SECRETS_JSON
from ansible_collections.kasops.gitlab_kas.plugins.modules import gitlab_rb_info
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _adopt, _adopt_outcome
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, read
from inventories import ALL_SECRETS, MARK, Row, inventory
from test_convergence import DEPLOYMENTS, FIRST, Nodes, Unplanned


def described(rows: Sequence[Row], nodes: Nodes) -> tuple[list[Row], list[str], bool]:
    """The rows with nothing but the variables that describe them, what would change then, and whether it is refused."""
    gathered = []
    rows = [_with_secrets(nodes._as_found(row)) for row in rows]
    for row in rows:
        asked = {"path": str(nodes._path(row.name)), "sections": list(_adopt.SECTIONS), "ruby": find_ruby()}
        result = {
            "kas": {**(row.info or {}), "secret_values": row.secrets},
            "gitlab_rb": gitlab_rb_info.run(asked)["gitlab_rb"],
        }
        gathered.append(Gathered(row.name, row.groups, True, _common(row), result=result))
    found = _adopt.describe(
        [read(each)[0] for each in gathered], {e.name: (e.result or {})["gitlab_rb"] for e in gathered}
    )
    files = _adopt.files(found)
    outcome = _adopt_outcome.outcome(gathered, found)
    # An environment variable of the generator's holds the mark whatever its name is.
    told = [
        {key: value for key, value in each.items() if key not in ("kas_env", "kas_settings")} for each in files.values()
    ]
    said = repr((files, outcome.changes, [each.remarks for each in found.values()]))
    assert MARK not in repr(told) and not any(secret in said for secret in ALL_SECRETS), "a secret is shown"
    variables = {row.name: _variables(row, files) for row in rows}
    for name, each in found.items():
        shared = {key: value for key, value in variables[name].items() if key in each.variables}
        assert shared == each.variables, "the files say something else of a host than its description"
    described = [replace(row, variables={**_common(row), **found[row.name].variables}) for row in rows]
    return described, [str(each) for each in outcome.changes], bool(outcome.plan.refusals)


def _with_secrets(row: Row) -> Row:
    """As kas_info finds them: what the deployment has written, else what the package has stored."""
    info = row.info or {}
    own = info["settings"].get("gitlab_kas", {})
    written = {name: own[name] for name in SECRETS if name in own}
    stored = {name: value for name, value in row.secrets.items() if info["secrets"][name]["source"] == SECRETS_JSON}
    sources = {**dict.fromkeys(stored, SECRETS_JSON), **dict.fromkeys(written, GITLAB_RB)}
    secrets = {name: {"source": sources.get(name), "computed": None, "problem": None} for name in SECRETS}
    return replace(
        row, info={**info, "secrets": secrets, "settings": mask(info["settings"])}, secrets={**stored, **written}
    )


def _common(row: Row) -> dict[str, Any]:
    """What adopt leaves to the inventory."""
    return {key: value for key, value in row.variables.items() if key in ("kas_deployment", "kas_serial")}


def _variables(row: Row, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """As Ansible puts the files of a host together."""
    names = [f"group_vars/{group}.yml" for group in sorted(row.groups)] + [f"host_vars/{row.name}.yml"]
    return {key: value for name in names for key, value in files.get(name, {}).items()}


def check(seed: int, root: Path) -> str:
    rows = [replace(row, in_play=True) for row in inventory(seed)[:3]]
    if any(row.info is None or row.variables.get("kas_state") == "absent" or not row.groups for row in rows):
        raise Unplanned
    nodes = Nodes(rows, root / "nodes")
    nodes.deploy(rows)
    for record in (root / "nodes").glob("*.json"):
        record.unlink()  # as if it had been made by hand
    adopted, changes, is_refused = described(rows, nodes)
    if is_refused:
        return "described, and refused"
    announced = {re.split(r" is | becomes | \(", change)[0] for change in changes}
    changed = set(nodes.deploy(adopted).changed)
    assert changed <= announced, f"changed without a word: {changed - announced}"
    again, changes, _is_refused = described(adopted, nodes)
    assert [row.variables for row in again] == [row.variables for row in adopted] or changed, "described otherwise"
    return "changed as announced" if changed else "nothing changed"


def test_what_is_described_is_left_alone(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    seed = FIRST
    while outcomes.total() - outcomes["refused"] < DEPLOYMENTS:
        root = tmp_path / str(seed)
        root.mkdir()
        try:
            outcomes[check(seed, root)] += 1
        except Unplanned:
            outcomes["refused"] += 1
        except AssertionError as error:
            pytest.fail(f"KAS_FUZZ_SEED={seed}: {error}")
        seed += 1
    print(f"\n{dict(outcomes)}")
