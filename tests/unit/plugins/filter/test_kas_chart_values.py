# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
from collections import UserDict, UserList, UserString
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.kasops.gitlab_kas.plugins.filter import kas_chart_values
from ansible_collections.kasops.gitlab_kas.plugins.filter.kas_chart_values import FilterModule
from jinja2 import StrictUndefined, UndefinedError

FILTERS = FilterModule().filters()
SECRET = base64.b64encode(b"a" * 32).decode()

GIVEN = {
    "kas_chart_runs": "rails",
    "kas_chart_gitlab_url": "https://gitlab.example.com",
    "kas_chart_api_secret": "gitlab-kas",
    "kas_external_url": "wss://kas.example.com/",
    "kas_internal_url": "grpc://kas.internal.example.com:8153",
    "kas_secrets_values": {"api_secret_key": SECRET},
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
MANIFEST = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "gitlab-kas", "namespace": "gitlab"},
            "type": "Opaque",
            "stringData": {"kas_shared_secret": SECRET},
        }
    ],
}
COOKIE = (
    "kas1: kas_external_url puts the Kubernetes API proxy on kas.example.com, which is neither gitlab.example.com nor"
    " below it, so browsers do not send it GitLab's cookie and user access cannot work; use a name such as"
    " kas.gitlab.example.com."
)


class Text(str):
    """Text of a type of its own, as Ansible's texts are."""


class Vaulted(UserString):
    """A text after !vault, as ansible-core before 2.19 has it: a sequence, but no str."""

    __ENCRYPTED__ = True


class HostVars(UserDict):
    """A host's variables, evaluated when they are asked for."""

    def __getitem__(self, name: str) -> Any:
        assert name != "kas_something_else", "nobody asked for it"
        return lazy(super().__getitem__(name))


def lazy(value: Any) -> Any:
    """The same in mappings and lists that are neither dict nor list, and texts that are not quite str."""
    if isinstance(value, dict):
        return UserDict({Text(name): lazy(item) for name, item in value.items()})
    if isinstance(value, list):
        return UserList(map(lazy, value))
    return Text(value) if isinstance(value, str) else value


@pytest.mark.parametrize("wrap", [dict, lazy, HostVars])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kas_chart_values", VALUES),
        ("kas_chart_secrets", MANIFEST),
    ],
)
def test_results(wrap: Any, name: str, expected: dict[str, Any]) -> None:
    found = FILTERS[name](wrap(GIVEN), Text("kas1"))
    assert found == expected
    assert yaml.safe_load(yaml.safe_dump(found)) == json.loads(json.dumps(found)) == expected
    assert (SECRET in str(found)) == (name == "kas_chart_secrets")


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
            {"kas_chart_private_api_secret": "a"},
            [
                "kas1: kas_chart_private_api_secret is set, but kas_chart_runs is 'rails', so the chart runs no KAS;"
                " leave it out."
            ],
            id="a rule",
        ),
    ],
)
def test_refusals(given: dict[str, Any], refusals: list[str]) -> None:
    with pytest.raises(AnsibleFilterError) as values:
        FILTERS["kas_chart_values"]({**GIVEN, **given}, "kas1")
    assert str(values.value) == "\n".join(refusals)


def test_secrets_that_are_refused() -> None:
    """Each filter has rules of its own: the values need no secrets, and the Secrets no URL."""
    given = {**GIVEN, "kas_secrets_values": {"api_secret_key": "hunter2"}}
    assert FILTERS["kas_chart_values"](given, "kas1") == VALUES
    with pytest.raises(AnsibleFilterError) as error:
        FILTERS["kas_chart_secrets"]({**given, "kas_chart_gitlab_url": ""}, "kas1")
    assert str(error.value) == (
        "kas1: kas_secrets_values.api_secret_key is not strict Base64 (one line, no spaces, padded with '='), and"
        " kas_chart_api_secret names the Kubernetes Secret for it; set the nodes' gitlab_kas['api_secret_key'] (32"
        " bytes in strict Base64)."
    )


def test_vault() -> None:
    given = {**GIVEN, "kas_secrets_values": {"api_secret_key": Vaulted(SECRET)}}
    assert FILTERS["kas_chart_secrets"](given, "kas1") == MANIFEST


@pytest.mark.parametrize("name", FILTERS)
def test_undefined(name: str) -> None:
    with pytest.raises(UndefinedError, match="'nope' is undefined"):
        FILTERS[name]({**GIVEN, "kas_external_url": StrictUndefined(name="nope")}, "kas1")


@pytest.mark.parametrize("name", FILTERS)
def test_documentation_of_its_own(name: str) -> None:
    sidecar = yaml.safe_load(Path(kas_chart_values.__file__).with_name(f"{name}.yml").read_text())
    assert sidecar["DOCUMENTATION"]["name"] == name
