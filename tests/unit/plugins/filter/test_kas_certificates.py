"""The filters of role kas_certificates: which certificates a host has, what it is shown, and what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.filter.kas_certificates import (
    FilterModule,
    kas_certificate_report,
    kas_certificates,
    kas_certificates_elsewhere,
)

GROUPS = {"gitlab_kas": ["kas1", "kas2", "kas3", "both"], "gitlab_rails": ["rails1", "both"]}
PAIR = {"kas_private_api_certificate_src": "kas.crt", "kas_private_api_key_content": "the key"}


def test_names() -> None:
    assert set(FilterModule().filters()) == {
        "kas_certificates",
        "kas_certificates_elsewhere",
        "kas_certificate_report",
    }


def test_a_pair() -> None:
    variables = {**PAIR, "kas_own_private_api_host": "kas.internal"}
    assert kas_certificates(variables, "kas1", GROUPS, ["kas.internal", "other"]) == {
        "certificates": [
            {
                "kind": "server",
                "api": "private_api",
                "variable": "kas_private_api",
                "server_names": ["kas.internal", "other"],
                "certificate": "/etc/gitlab/ssl-kas/private-api.crt",
                "certificate_src": "kas.crt",
                "certificate_content": "",
                "certificate_title": "kas_private_api_certificate_src 'kas.crt'",
                "key": "/etc/gitlab/ssl-kas/private-api.key",
                "key_src": "",
                "key_title": "kas_private_api_key_content",
                "given": True,
            }
        ],
        "read_at_start": ["/etc/gitlab/ssl-kas/private-api.crt", "/etc/gitlab/ssl-kas/private-api.key"],
        "refusals": [],
        "user": "git",
        "min_valid_days": 30,
    }


def test_an_authority() -> None:
    variables = {"kas_ca_certificates": [{"name": "internal.crt", "content": "PEM"}]}
    assert kas_certificates(variables, "rails1", GROUPS)["certificates"] == [
        {
            "kind": "authority",
            "api": "",
            "variable": "",
            "server_names": [],
            "certificate": "/etc/gitlab/trusted-certs/internal.crt",
            "certificate_src": "",
            "certificate_content": "PEM",
            "certificate_title": "kas_ca_certificates[0] (internal)",
            "key": "",
            "key_src": "",
            "key_title": "",
            "given": True,
        }
    ]


@pytest.mark.parametrize(
    ("variables", "host", "expected"),
    [
        ({}, "kas1", []),
        (PAIR, "kas1", ["private_api"]),
        (PAIR, "rails1", []),
        (PAIR, "elsewhere", []),
        ({**PAIR, "kas_enabled": False}, "kas1", []),
        ({**PAIR, "kas_enabled": "no"}, "kas1", []),
        ({**PAIR, "kas_ca_certificates": [{"name": "a", "content": "PEM"}], "kas_state": "absent"}, "kas1", []),
        (
            {
                "kas_certificate": "/a.crt",
                "kas_key": "/a.key",
                "kas_internal_api_certificate_content": "PEM",
                "kas_internal_api_key": "/i.key",
                "kas_kubernetes_api_certificate_src": "k.crt",
                "kas_kubernetes_api_key_src": "k.key",
            },
            "kas1",
            ["internal_api", "agent", "kubernetes_api"],
        ),
    ],
)
def test_which_apis(variables: dict[str, Any], host: str, expected: list[str]) -> None:
    found = kas_certificates(variables, host, GROUPS)
    assert [each["api"] for each in found["certificates"]] == expected
    assert found["refusals"] == []


def test_on_the_node_already() -> None:
    variables = {"kas_certificate": "/a.crt", "kas_key": "/a.key"}
    pair = kas_certificates(variables, "kas1", GROUPS, ["kas.internal"])["certificates"][0]
    assert pair["given"] is False
    assert (pair["certificate_title"], pair["key_title"]) == ("kas_certificate '/a.crt'", "kas_key '/a.key'")
    assert pair["server_names"] == []


@pytest.mark.parametrize(
    ("variables", "host", "expected"),
    [
        ({"kas_internal_url": "grpcs://kas.internal:8153"}, "kas1", ["kas.internal"]),
        ({"kas_internal_url": "grpcs://[fd00::1]:8153"}, "kas1", ["fd00::1"]),
        ({"kas_internal_url": "grpc://kas.internal:8153"}, "both", []),
        ({}, "kas1", []),
        ({}, "both", ["localhost"]),
        ({"kas_internal_api_listen_address": "10.0.0.1:8153"}, "both", ["10.0.0.1"]),
        ({"kas_internal_api_listen_address": "[fd00::1]:8153"}, "both", ["fd00::1"]),
        ({"kas_internal_api_listen_address": "0.0.0.0:8153"}, "both", ["localhost"]),
        ({"kas_internal_api_listen_address": ":9153"}, "both", ["localhost"]),
        ({"kas_internal_api_listen_address": "/run/kas/internal.socket"}, "both", []),
    ],
)
def test_names_of_the_internal_api(variables: dict[str, Any], host: str, expected: list[str]) -> None:
    variables = {**variables, "kas_internal_api_certificate": "/i.crt", "kas_internal_api_key": "/i.key"}
    assert kas_certificates(variables, host, GROUPS)["certificates"][0]["server_names"] == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {**PAIR, "kas_private_api_certificate_content": "PEM"},
            "kas_private_api_certificate_src is 'kas.crt', and kas_private_api_certificate_content is set; set only one"
            " of them",
        ),
        (
            {**PAIR, "kas_private_api_key_src": "kas.key"},
            "kas_private_api_key_src is 'kas.key', and kas_private_api_key_content is set; set only one of them",
        ),
        (
            {"kas_certificate_src": "kas.crt"},
            "kas_certificate is '/etc/gitlab/ssl-kas/agent.crt', but no kas_key is set; set kas_key, kas_key_src or"
            " kas_key_content",
        ),
        (
            {"kas_key": "/kas.key"},
            "kas_key is '/kas.key', but no kas_certificate is set; set kas_certificate, kas_certificate_src or"
            " kas_certificate_content",
        ),
        *[
            (
                {"kas_ca_certificates": [{"name": "a", "src": "a"}, {"name": name, "src": "b"}]},
                f"kas_ca_certificates[1].name is {value}; set a file name that no other one has, of letters, digits,"
                " dots, underscores and hyphens",
            )
            for name, value in (("../a", "'../a'"), ("", "''"), (None, "''"), ("a", "'a'"), ("a.crt", "'a.crt'"))
        ],
        ({"kas_ca_certificates": [{"name": "ca"}]}, "kas_ca_certificates[0] (ca) has neither src nor content; set one"),
        (
            {"kas_ca_certificates": '[{"name": "ca", "src": "a", "content": "b"}]'},
            "kas_ca_certificates[0] (ca) has both src and content; set one",
        ),
    ],
)
def test_refusals(variables: dict[str, Any], expected: str) -> None:
    assert kas_certificates(variables, "kas1", GROUPS)["refusals"] == [expected]


@pytest.mark.parametrize("given", [None, "", [], "[]"])
def test_no_authorities(given: object) -> None:
    found = kas_certificates({"kas_ca_certificates": given}, "kas1", GROUPS)
    assert found["certificates"] == found["refusals"] == []


def test_what_the_tasks_ask_for() -> None:
    """An empty text, as a survey passes it, is not set; nought days are."""
    asked = [("", ""), ("kas", "0")]
    found = [
        kas_certificates({"kas_user": user, "kas_certificate_min_valid_days": days}, "kas1", GROUPS)
        for user, days in asked
    ]
    assert [(each["user"], each["min_valid_days"]) for each in found] == [("git", 30), ("kas", 0)]


REDIS = {
    "host": "redis",
    "ssl": True,
    "tls_ca_cert_file": "/redis-ca.crt",
    "tls_client_cert_file": "/redis.crt",
    "tls_client_key_file": "/redis.key",
    "sentinels": [{"host": "s1"}],
    "sentinels_tls_ca_cert_file": "/sentinels-ca.crt",
}


@pytest.mark.parametrize(
    ("variables", "host", "expected"),
    [
        ({}, "kas1", []),
        ({"kas_ca_certificates": [{"name": "a", "content": "PEM"}]}, "kas1", []),
        ({"kas_certificate": "/a.crt", "kas_redis": {"host": "redis"}}, "kas1", ["/a.crt"]),
        (
            {"kas_certificate": "/a.crt", "kas_key": "/a.key", "kas_redis": REDIS},
            "kas1",
            ["/a.crt", "/a.key", "/redis-ca.crt", "/redis.crt", "/redis.key", "/sentinels-ca.crt"],
        ),
        ({"kas_redis": REDIS}, "rails1", []),
        ({"kas_redis": REDIS, "kas_enabled": False}, "kas1", []),
        ({"kas_redis": REDIS, "kas_state": "absent"}, "kas1", []),
    ],
)
def test_read_at_start(variables: dict[str, Any], host: str, expected: list[str]) -> None:
    assert kas_certificates(variables, host, GROUPS)["read_at_start"] == expected


# What the others show


def result(api: str, pem: str | None, **found: Any) -> dict[str, Any]:
    variable = {"private_api": "kas_private_api", "internal_api": "kas_internal_api"}.get(api, "")
    certificate = {"pem": pem, "problems": [], "warnings": [], "chain_ok": True, **found}
    return {"item": {"api": api, "variable": variable}, "certificate": certificate}


HOSTVARS = {
    "kas1": {"__kas_certificate_look": {"results": [result("private_api", "A"), result("", "CA")]}},
    "kas2": {"__kas_certificate_look": {"results": [result("private_api", "B"), result("internal_api", "I")]}},
    "kas3": {"__kas_certificate_look": {"results": [result("private_api", "B"), result("private_api", None)]}},
    "rails1": {"__kas_certificate_look": {"results": []}},
}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (
            "kas1",
            [{"pem": "B", "title": "kas_private_api_certificate of kas2 and kas_private_api_certificate of kas3"}],
        ),
        ("kas2", [{"pem": "A", "title": "kas_private_api_certificate of kas1"}]),
        ("kas3", [{"pem": "A", "title": "kas_private_api_certificate of kas1"}]),
        ("rails1", [{"pem": "I", "title": "kas_internal_api_certificate of kas2"}]),
    ],
)
def test_elsewhere(host: str, expected: list[dict[str, str]]) -> None:
    assert kas_certificates_elsewhere(HOSTVARS, list(HOSTVARS), host, GROUPS) == expected


# What is wrong


def test_report() -> None:
    hostvars = {
        "kas1": {
            "__kas_certificates": {"refusals": ["kas_key is wrong"]},
            "__kas_certificate_look": {"results": [result("", "A", problems=["It is bad."], warnings=["It is open."])]},
            "__kas_certificate_trust": {
                "results": [
                    result("", "B", chain_ok=False, problems=["It is unknown."]),
                    result("", "C", problems=["It expires, which its own host tells."]),
                ]
            },
        },
        "kas2": {
            "__kas_certificates": {"refusals": []},
            "__kas_certificate_look": {"results": []},
            "__kas_certificate_trust": {"results": []},
        },
    }
    assert kas_certificate_report(hostvars, ["kas1", "kas2"]) == {
        "refusals": ["kas1: kas_key is wrong.", "kas1: It is bad.", "kas1: It is unknown."],
        "warnings": ["kas1: It is open."],
    }
