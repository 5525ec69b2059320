# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of any inventory: sentences or settings, never a traceback, and never a secret in a sentence.

KAS_FUZZ_PLANS sets the number of inventories of a run (default 500), KAS_FUZZ_SEED the first one (default 0).
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import ROLES, WRITERS, Plan, plan, written
from inventories import ALL_SECRETS, MARK, Row, inventory, smaller

PLANS = int(os.environ.get("KAS_FUZZ_PLANS", "500"))
FIRST = int(os.environ.get("KAS_FUZZ_SEED", "0"))

# Every set of roles in turn.
SUBSETS = [subset for size in range(1, len(ROLES) + 1) for subset in itertools.combinations(ROLES, size)]

SENTENCE = re.compile(r"node\d(, node\d)*: \S.*[^.]\.", re.DOTALL)
URL = re.compile(r"(https?|wss?|grpcs?)://[^/\s]+(/\S*)?|unix:///\S+")
# What no administrator would write: Python's own words for things.
PYTHON = re.compile(r"\bNone\b|\bTrue\b|\bFalse\b|Unread\(|object at|Traceback|\w+Error\b")


def made_random(size):
    """Bytes that anybody can guess."""
    return size * b"m"


def planned(rows: Sequence[Row], roles: Sequence[str]) -> Plan:
    """The plan, as the controller makes it."""
    gathered = []
    for row in rows:
        kas = {**(row.info or {}), "secret_values": row.secrets}
        result = {"kas": kas} if row.info else {"unreachable": True, "msg": "timed out"}
        if row.facts:
            result["network_facts"] = row.facts
        gathered.append(Gathered(row.name, row.groups, row.in_play, row.variables, result=result))
    return plan(gathered, roles, random=made_random)


def check_sentences(made: Plan) -> None:
    for sentence in map(str, (*made.refusals, *made.warnings, *made.upgrade)):
        assert SENTENCE.fullmatch(sentence), f"not a sentence: {sentence!r}"
        assert MARK not in sentence and not any(secret in sentence for secret in ALL_SECRETS), f"a secret: {sentence}"
        assert not PYTHON.search(sentence), f"not in plain English: {sentence}"


def check_blame(made: Plan, rows: Sequence[Row]) -> None:
    """A text is said once, and whatever is refused fails hosts of the play: all that it is about, or all that wait."""
    in_play = {row.name for row in rows if row.in_play}
    for told in (made.refusals, made.warnings):
        assert len({each.text for each in told}) == len(told), "a text is said twice"
    for each in made.refusals:
        assert each.fails and set(each.fails) <= in_play, f"fails nobody of the play: {each}"
        about = set(each.hosts) & in_play
        assert set(each.fails) == about or not about, f"fails other hosts than it is about: {each}"


def check_settings(made: Plan, roles: Sequence[str]) -> None:
    """What is planned can be written, as the module gitlab_rb takes it."""
    nothing = Plan(made.refusals, made.warnings, made.upgrade, report_path=made.report_path)
    assert made == nothing or not made.refusals, "something is planned for a refused deployment"
    shared: dict[str, set[str]] = {}
    writers = [role for role in WRITERS if role in roles]
    for name, parts in made.parts.items():
        assert list(parts) == [role for role in roles if role in WRITERS]
        options = written(made.nodes[name], writers)
        json.dumps(options)
        settings = list(values(options["settings"]))
        for path, _value in values(options["remove"]):
            both = [other for other, _value in settings if path[: len(other)] == other[: len(path)]]
            assert not both, f"{path} is to be removed, and {both} to be set"
        for path, value in settings:
            assert not path[-1].endswith(("_url", "gitlab_address")) or URL.fullmatch(value), f"{path} is {value!r}"
            if path[-1] in SECRETS:
                shared.setdefault(path[-1], set()).add(value)
    assert all(len(found) == 1 for found in shared.values()), "a secret that nodes share has several values"
    urls = [url for own in made.own_urls.values() for url in own if not url.startswith("unix:")]
    assert len(urls) == len(set(urls)) or "kas" not in roles, "two KAS have the same URL"


def check_order(made: Plan, rows: Sequence[Row], roles: Sequence[str]) -> None:
    """Neither variables and settings nor roles have an order, and the same input gives the same plan."""
    turned = [replace(row, variables=turn(row.variables), info=turn(row.info)) for row in rows]
    assert as_told(made) == as_told(planned(turned, roles[::-1])), "the order of variables, settings or roles counts"


def check_hosts(rows: Sequence[Row], roles: Sequence[str], random: Random) -> None:
    """Hosts have an order, but all at once it decides on no refusal: no batch waits for another one."""
    rows = [replace(row, variables={**row.variables, "kas_serial": "100%"}) for row in rows]
    shuffled = random.sample(rows, len(rows))
    assert bool(planned(rows, roles).refusals) == bool(planned(shuffled, roles).refusals), "the order of hosts counts"


def check_slices(rows: Sequence[Row], roles: Sequence[str], seed: int) -> None:
    """Where it is known how many nodes a deployment has, no part of them is planned for: never two sets of secrets."""
    names = [row.name for row in rows]
    expected = (names, len(names), ", ".join(names), str(len(names)))[seed % 4]
    told = {"kas_deployment": "", "kas_expected_nodes": expected}
    rows = [replace(row, variables={**row.variables, **told}) for row in rows]
    assert not any("kas_expected_nodes" in each.text for each in planned(rows, roles).refusals), "all is a part"
    for part in (rows[::2], rows[1::2]) if len(rows) > 1 else ():
        if any(row.in_play for row in part):
            made = planned(part, roles)
            assert any("kas_expected_nodes" in each.text for each in made.refusals), "a part is planned for"
            assert not made.nodes


def values(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The paths of a tree, and what stands at their ends."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from values(value, (*above, key))
        else:
            yield (*above, key), value


def turn(value: Any) -> Any:
    """The same, with every mapping in another order."""
    return {key: turn(value[key]) for key in reversed(list(value))} if isinstance(value, Mapping) else value


def as_told(made: Plan) -> Plan:
    """Without the order of sentences."""
    sentences = {name: sorted(getattr(made, name), key=str) for name in ("refusals", "warnings", "upgrade")}
    return replace(made, **sentences)


def check(seed: int, rows: Sequence[Row]) -> str:
    """Raise whatever is wrong with the plan; else say what became of it."""
    roles = SUBSETS[seed % len(SUBSETS)]
    if not any(row.in_play for row in rows):
        return "not run"
    made = planned(rows, roles)
    check_sentences(made)
    check_blame(made, rows)
    check_settings(made, roles)
    check_order(made, rows, roles)
    check_hosts(rows, roles, Random(seed))
    check_slices(rows, roles, seed)
    return "refused" if made.refusals else "planned"


def fails(test: Callable[[], object]) -> str:
    """How a test fails, '' if it does not."""
    try:
        test()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def smallest(seed: int, rows: list[Row], failure: str) -> tuple[list[Row], str]:
    """The same failure with as little as needed."""
    for less in smaller(rows):
        found = fails(lambda less=less: check(seed, less))  # type: ignore[misc]
        if found.partition(":")[0] == failure.partition(":")[0]:
            return smallest(seed, less, found)
    return rows, failure


def test_plans() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + PLANS):
        rows = inventory(seed)
        try:
            outcomes[check(seed, rows)] += 1
        except Exception as error:
            rows, failure = smallest(seed, rows, f"{type(error).__name__}: {error}")
            shown = yaml.safe_dump([json.loads(json.dumps(vars(row), default=sorted)) for row in rows], sort_keys=False)
            pytest.fail(f"KAS_FUZZ_SEED={seed}, {SUBSETS[seed % len(SUBSETS)]}: {failure}\n{shown}")
    print(f"\n{PLANS:,} inventories: {dict(outcomes)}")
    assert outcomes["planned"] > PLANS // 10, "too few of them are fit to be planned"
    assert outcomes["refused"] > PLANS // 10, "too few of them are refused"
