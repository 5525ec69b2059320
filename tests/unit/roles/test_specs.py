# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each variable is described once, by the spec of one role, and nowhere else."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._syntax import SYNTAXES
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import DEFAULTS, NAMES, REDIS

ROLES = sorted(Path(__file__).resolve().parents[3].glob("roles/*"))
ROLE_NAMES = {role.name for role in ROLES}


def spec_of(role):
    """The one entry point of a spec."""
    ((entry_point, spec),) = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"].items()
    assert entry_point == "variables", "of main, Ansible would refuse blanks and show values"
    return spec


def options(spec, path=""):
    """Every option at every depth, by its name with dots."""
    for name, option in spec.get("options", {}).items():
        yield f"{path}{name}", option
        yield from options(option, f"{path}{name}.")


ALL = {name: option for role in ROLES for name, option in options(spec_of(role))}


def test_a_variable_is_described_once():
    described = Counter(name for role in ROLES for name in spec_of(role)["options"])
    assert described.most_common(1)[0][1] == 1
    assert set(described) == set(NAMES) == set(DEFAULTS)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_has_no_defaults_of_its_own(role):
    """Where they stood, they would be a second place to say them."""
    assert not (role / "defaults").exists()


def test_every_syntax_is_that_of_an_option():
    assert set(SYNTAXES) - set(ALL) == set()


@pytest.mark.parametrize("name", sorted(ALL))
def test_option(name):
    option = ALL[name]
    assert option["type"] in ("bool", "dict", "int", "list", "path", "str")
    assert option["type"] != "int" or name in SYNTAXES, "a number has a range"
    assert option["type"] != "list" or option["elements"] in ("dict", "str")
    assert option.get("elements") != "dict" or any(each.get("required") for each in option["options"].values())
    if "." not in name:  # not set is '' in a text, null in a number and in a boolean without a default
        empty = {"list": [], "dict": {}, "str": "", "path": ""}
        assert option["type"] not in empty or "default" in option
    assert "choices" not in option or option["default"] in option["choices"]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_that_are_mentioned_exist(role):
    """C(kas_x) may stand in another role's spec, O(kas_x) must not."""
    text = (role / "meta/argument_specs.yml").read_text()
    mentioned = {name.partition("=")[0] for name in re.findall(r"[CO]\((kas_[\w=]*)\)", text)}
    assert mentioned - set(NAMES) - ROLE_NAMES == set()
    assert {name.partition("=")[0] for name in re.findall(r"O\((kas_[\w=]*)\)", text)} <= set(spec_of(role)["options"])


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_tasks_evaluate_no_variable_by_themselves(role):
    """It may be a blank, or a text; actions read them."""
    for path in [*role.glob("tasks/*.yml"), *role.glob("vars/*.yml")]:
        templates = re.findall(r"\{\{.*?\}\}|(?:when|loop|that): .*", path.read_text())
        assert set(re.findall(r"\bkas_\w+", " ".join(templates))) & set(NAMES) == set()


def test_what_is_secret():
    secret = {name for name, option in ALL.items() if option.get("no_log")}
    assert {"kas_redis.password", "kas_redis.sentinels_password", "kas_sentry_dsn"} <= secret
    assert {name for name in secret if name.endswith("_content")} == {
        f"kas_{api}key_content" for api in ("", "internal_api_", "kubernetes_api_", "private_api_")
    }
    assert {f"kas_secrets_values.{name}" for name in SECRETS} <= secret
    assert {"kas_env", "kas_settings", "kas_redis", "kas_secrets_values"} <= secret, "they hold what may be secret"
    assert not REDIS["host"].is_secret
