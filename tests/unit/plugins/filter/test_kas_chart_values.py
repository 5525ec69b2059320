# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from collections import UserDict, UserList
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.filter import kas_chart_values
from ansible_collections.kasops.gitlab_kas.plugins.filter.kas_chart_values import FilterModule
from jinja2 import StrictUndefined, UndefinedError

FILTERS = FilterModule().filters()

GIVEN = {
    "kas_chart_runs": "rails",
    "kas_chart_values_path": "/root/kas-values.yml",
    "kas_chart_gitlab_url": "https://gitlab.example.com",
    "kas_chart_api_secret": "gitlab-kas",
    "kas_chart_version": "8.5.1",
    "kas_chart_other_values": ["/root/values.yml"],
    "kas_external_url": "wss://kas.example.com/",
    "kas_internal_url": "grpc://kas.internal.example.com:8153",
    "kas_something_else": {"left": "alone"},
}
VALUES = {
    "global": {
        "kas": {"enabled": False},
        "appConfig": {
            "gitlab_kas": {
                "enabled": True,
                "externalUrl": "wss://kas.example.com/",
                "internalUrl": "grpc://kas.internal.example.com:8153",
                "secret": "gitlab-kas",
                "key": "kas_shared_secret",
            }
        },
    }
}
WHERE = ["--namespace", "gitlab"]
UPGRADE = ["helm", "upgrade", "gitlab", "gitlab/gitlab", "--install", *WHERE, "--version", "8.5.1"]
UPGRADE += ["--values", "/root/values.yml", "--values"]


class Text(str):
    """Text of a type of its own, as Ansible's texts are."""


def lazy(value: Any) -> Any:
    """The same in mappings and lists that are neither dict nor list, and texts that are not quite str."""
    if isinstance(value, dict):
        return UserDict({Text(name): lazy(item) for name, item in value.items()})
    if isinstance(value, list):
        return UserList(map(lazy, value))
    return Text(value) if isinstance(value, str) else value


@pytest.mark.parametrize("wrap", [dict, lazy])
def test_values(wrap: Any) -> None:
    found = FILTERS["kas_chart_values"](wrap(GIVEN), Text("kas1"))
    assert found == {
        "refusals": [],
        "warnings": [
            "kas1: kas_external_url puts the Kubernetes API proxy on kas.example.com, which is neither"
            " gitlab.example.com nor below it, so browsers do not send it GitLab's cookie and user access cannot work;"
            " use a name such as kas.gitlab.example.com."
        ],
        "chart_values": VALUES,
        "other_values": ["/root/values.yml"],
        "commands": {
            "list": ["helm", "list", *WHERE, "--filter", "^gitlab$", "--output", "json"],
            "get_values": ["helm", "get", "values", "gitlab", *WHERE, "--output", "json"],
            "dry_run": [*UPGRADE, "-", "--dry-run=server"],
            "upgrade": [*UPGRADE, "/root/kas-values.yml"],
        },
    }
    assert yaml.safe_load(yaml.safe_dump(found["chart_values"])) == VALUES


@pytest.mark.parametrize(
    ("given", "refusals"),
    [
        pytest.param(
            {"kas_chart_runs": "all", "kas_chart_api_port": "none"},
            [
                "kas1: kas_chart_runs is 'all'; set both, kas or rails.",
                "kas1: kas_chart_api_port is 'none'; set a port from 1 to 65535.",
            ],
            id="wrong types, and nothing that follows from them",
        ),
        pytest.param(
            {"kas_chart_tls_secret": "kas-tls"},
            [
                "kas1: kas_chart_tls_secret is set, but kas_chart_runs is 'rails', so the chart runs no KAS; leave it"
                " out."
            ],
            id="a rule",
        ),
    ],
)
def test_refusals(given: dict[str, Any], refusals: list[str]) -> None:
    assert FILTERS["kas_chart_values"]({**GIVEN, **given}, "kas1") == {
        "refusals": refusals,
        "warnings": [],
        "chart_values": {},
        "other_values": [],
        "commands": {},
    }


@pytest.mark.parametrize("wrap", [dict, lazy])
def test_secrets(wrap: Any) -> None:
    secret = base64.b64encode(b"a" * 32).decode()
    given = {**GIVEN, "kas_secrets_values": {"api_secret_key": secret}}
    assert FILTERS["kas_chart_secrets"](wrap(given), "kas1") == [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "gitlab-kas", "namespace": "gitlab"},
            "type": "Opaque",
            "stringData": {"kas_shared_secret": secret},
        }
    ]
    assert secret not in json.dumps(FILTERS["kas_chart_values"](wrap(given), "kas1"))


@pytest.mark.parametrize("wrap", [lambda value: value, lazy])
@pytest.mark.parametrize(
    ("releases", "current", "others", "expected"),
    [
        ([], None, [], "there is no such release"),
        ([{"name": "gitlab", "status": "deployed", "chart": "gitlab-8.5.1"}], VALUES, [], ""),
        ([{"name": "gitlab", "status": "deployed", "chart": "gitlab-8.5.1"}], VALUES, [None, {}], ""),
        ([{"name": "gitlab", "status": "deployed", "chart": "gitlab-8.5.1"}], VALUES, [{"a": 1}], "its values differ"),
    ],
)
def test_owed(wrap: Any, releases: Any, current: Any, others: Any, expected: str) -> None:
    owed = FILTERS["kas_chart_owed"]
    assert owed(wrap(releases), "8.5.1", wrap(VALUES), current=wrap(current), others=wrap(others)) == expected


def test_undefined() -> None:
    with pytest.raises(UndefinedError, match="'nope' is undefined"):
        FILTERS["kas_chart_values"]({**GIVEN, "kas_external_url": StrictUndefined(name="nope")}, "kas1")


@pytest.mark.parametrize("name", FILTERS)
def test_documentation_of_its_own(name: str) -> None:
    sidecar = yaml.safe_load(Path(kas_chart_values.__file__).with_name(f"{name}.yml").read_text())
    assert sidecar["DOCUMENTATION"]["name"] == name
