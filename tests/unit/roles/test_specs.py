# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defaults, argument specs and the table of variables say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import REDIS, SPEC_TYPES, VARIABLES

ROLES = sorted(Path(__file__).resolve().parents[3].glob("roles/*"))
# Not set is no number and no boolean, so these are null and have no default.
WITHOUT_DEFAULT = {"port", "flag"}


def load(role, path):
    return yaml.safe_load((role / path).read_text(encoding="utf-8"))


def options_of(role):
    return load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_those_of_the_spec(role):
    assert load(role, "defaults/main.yml") == {name: option.get("default") for name, option in options_of(role).items()}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_spec_is_that_of_the_table(role):
    for name, option in options_of(role).items():
        if name not in VARIABLES:
            continue  # of this role alone
        variable = VARIABLES[name]
        assert option["type"] == SPEC_TYPES[variable.kind], name
        assert option.get("default") == (None if variable.kind in WITHOUT_DEFAULT else variable.default), name
        if variable.kind == "choice":
            assert tuple(option["choices"]) == variable.choices, name
        if option["type"] == "str":
            assert option.get("no_log", False) == variable.secret, name


def test_every_variable_belongs_to_a_role():
    assert set(VARIABLES) - {name for role in ROLES for name in options_of(role)} == set()


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_of_the_tasks_is_described(role):
    known = set(options_of(role))
    for path in role.glob("tasks/*.yml"):
        text = path.read_text(encoding="utf-8")
        used = {name for name in VARIABLES if f"{{ {name} " in text or f" {name} |" in text}
        assert used <= known, path


def test_nested_options():
    kas = next(role for role in ROLES if role.name == "kas")
    redis = options_of(kas)["kas_redis"]["options"]
    assert list(redis) == list(REDIS)
    for name, option in redis.items():
        assert option["type"] == SPEC_TYPES[REDIS[name].kind], name
        if option["type"] == "str":
            assert option.get("no_log", False) == REDIS[name].secret, name
    secrets = options_of(next(role for role in ROLES if role.name == "kas_secrets"))["kas_secrets_values"]["options"]
    assert list(secrets) == list(SECRETS)
    assert all(option["no_log"] for option in secrets.values())
