# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about the three shared secrets, each with its table."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import fingerprint
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import secrets
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.plugin_utils.tables import (
    CIDR,
    GIVEN,
    KAS,
    RAILS,
    SECRET,
    alone,
    check,
    rows,
)

OTHER = base64.b64encode(32 * b"o").decode()
SHORT = base64.b64encode(5 * b"s").decode()


def computed(name):
    found = {"fingerprint": None, "source": "gitlab.rb", "problem": None, "computed": "line 7"}
    return {"info": {"secrets": {name: found}}}


def secret(problem=None, value=SECRET, source="gitlab.rb"):
    found = {"fingerprint": fingerprint(value), "source": source, "problem": problem}
    return {"info": {"secrets": {"api_secret_key": found}}, "secrets": {"api_secret_key": value}}


def outside(value, source="gitlab.rb", *, enabled=None, groups="kr", name="api_secret_key"):
    """A node outside of the play that has this secret."""
    found = {"fingerprint": fingerprint(value), "source": source, "problem": None}
    info = {"secrets": {name: found}, "enabled": enabled}
    return {"in": groups, "in_play": False, "info": info, "secrets": {name: value}}


TABLES = {
    secrets.not_answering: [
        (
            {
                "kas1": {},
                "kas2": {"info": None, "in_play": False},
                "kas3": {"info": {"blocking_errors": ["Unhealthy."]}, "in_play": False},
            },
            CIDR,
            [
                f"{host}: cannot be asked for api_secret_key and private_api_secret_key and"
                " websocket_token_secret_key, which no other node has; restore the connection, or set"
                " kas_secrets_values."
                for host in ("kas2", "kas3")
            ],
        ),
    ],
    secrets.given: [
        alone(
            {"kas_secrets_values": {"api_secret_key": SHORT}},
            "kas_secrets_values.api_secret_key holds 5 bytes instead of 32; set 32 random bytes in strict Base64, as"
            " 'openssl rand 32 | openssl base64 -A' prints them",
        ),
        alone(
            {"kas_secrets_values": {"api_secret_key": SECRET + "\n"}},
            "kas_secrets_values.api_secret_key is not strict Base64 (one line, no spaces, padded with '='); set 32"
            " random bytes in strict Base64, as 'openssl rand 32 | openssl base64 -A' prints them",
        ),
        alone(
            {"kas_secrets_values": {"websocket_token_secret_key": "hunter2"}},
            "kas_secrets_values.websocket_token_secret_key is not strict Base64 (one line, no spaces, padded with"
            " '='); set 72 random bytes in strict Base64, as 'openssl rand 72 | openssl base64 -A' prints them",
        ),
    ],
    secrets.written: [
        (
            {"kas1": computed("api_secret_key"), "kas2": {}},
            CIDR,
            [
                "kas1: gitlab_kas['api_secret_key'] (line 7) is computed and cannot be read without running it; set"
                " kas_secrets_values.api_secret_key to what it comes to, or write that there."
            ],
        ),
        ({"kas1": KAS, "rails1": {**RAILS, **computed("private_api_secret_key")}}, CIDR, []),
        (
            {"kas1": secret("holds 5 bytes instead of 32", SHORT)},
            {},
            [
                "kas1: gitlab_kas['api_secret_key'] in gitlab.rb holds 5 bytes instead of 32; correct it or remove it"
                " there, or set kas_secrets_values.api_secret_key."
            ],
        ),
        ({"kas1": secret("holds 5 bytes instead of 32", SHORT, "gitlab-secrets.json")}, {}, []),
    ],
    secrets.one_value: [
        (
            {
                "kas1": {"kas_secrets_values": {"api_secret_key": SECRET}},
                "kas2": {"kas_secrets_values": {"api_secret_key": base64.b64encode(32 * b"t").decode()}},
            },
            CIDR,
            [
                "kas2: kas_secrets_values.api_secret_key is not that of kas1; set one value for all hosts, in"
                " group_vars/all for one."
            ],
        ),
    ],
    secrets.replaced: [
        alone({"kas_secrets_values": GIVEN}),
        (
            {"kas1": secret(), "kas2": secret(value=OTHER)},
            CIDR,
            [
                f"kas2: gitlab_kas['api_secret_key'] in gitlab.rb (fingerprint {fingerprint(OTHER)}) is replaced by"
                f" {fingerprint(SECRET)}, which is adopted from kas1 (gitlab.rb)."
            ],
        ),
        ({"kas1": secret(), "kas2": secret(value=OTHER, source="gitlab-secrets.json")}, CIDR, []),
        (
            {"kas1": secret("holds 5 bytes instead of 32", SHORT)},
            {"kas_secrets_values": {"api_secret_key": SECRET}},
            [
                f"kas1: gitlab_kas['api_secret_key'] in gitlab.rb (fingerprint {fingerprint(SHORT)}) is replaced by"
                f" {fingerprint(SECRET)}, which is given."
            ],
        ),
        (
            {"kas1": computed("api_secret_key")},
            {"kas_secrets_values": {"api_secret_key": SECRET}},
            [
                "kas1: gitlab_kas['api_secret_key'] (line 7), which is computed, is replaced by"
                f" {fingerprint(SECRET)}, which is given."
            ],
        ),
    ],
    secrets.left_with_others: [
        *(
            (
                {"kas1": {}, "kas2": row},
                {**CIDR, "kas_secrets_values": GIVEN},
                [
                    "kas2: it is outside of this play and keeps another api_secret_key than the nodes of the play"
                    " get, so calls between it and them are refused; run the playbook deploy on it, too."
                ]
                if is_told
                else [],
            )
            for row, is_told in (
                (outside(OTHER), True),
                (outside(OTHER, source="gitlab-secrets.json"), True),
                (outside(OTHER, enabled=True, groups="k"), True),
                (outside(OTHER, enabled=False, groups="k"), False),
                (outside(SECRET), False),
                ({"in_play": False}, False),
            )
        ),
        (
            {"kas1": {}, "kas2": {**secret(value=OTHER), "in_play": False}, "kas3": {**secret(), "in_play": False}},
            CIDR,
            [
                "kas3: it is outside of this play and keeps another api_secret_key than the nodes of the play get, so"
                " calls between it and them are refused; run the playbook deploy on it, too."
            ],
        ),
        # Rails without KAS gets but one of them
        (
            {"rails1": RAILS, "kas1": outside(OTHER, name="private_api_secret_key")},
            {**CIDR, "kas_secrets_values": GIVEN},
            [],
        ),
        (
            {"kas1": KAS, "rails1": {**outside(OTHER), **RAILS}},
            {**CIDR, "kas_secrets_values": GIVEN},
            [
                "rails1: it is outside of this play and keeps another api_secret_key than the nodes of the play get,"
                " so calls between it and them are refused; run the playbook deploy on it, too."
            ],
        ),
    ],
}


@pytest.mark.parametrize(("rule", "hosts", "variables", "expected"), rows(TABLES))
def test_rules_about_secrets(rule, hosts, variables, expected, hosts_of):
    check(rule, hosts_of(hosts, **variables), expected)
