"""Which certificates a host has, what it is shown, and what is wrong with the variables."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._certificates import (
    certificate_refusals,
    certificates,
    read_at_start,
    shown_to,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import normalise

GROUPS = {"gitlab_kas": ["kas1", "kas2", "kas3", "both"], "gitlab_rails": ["rails1", "both"]}
PAIR = {"kas_private_api_certificate_src": "kas.crt", "kas_private_api_key_content": "the key"}


def host(variables: dict[str, Any], name: str) -> Host:
    values, wrong = normalise(variables)
    assert not wrong
    return Host(name, frozenset(group for group, members in GROUPS.items() if name in members), values)


def test_a_pair() -> None:
    variables = {**PAIR, "kas_own_private_api_host": "kas.internal"}
    names = {"private_api": ["kas.internal", "other"]}
    assert certificates(host(variables, "kas1"), names) == [
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
    ]
    assert read_at_start(host(variables, "kas1")) == [
        "/etc/gitlab/ssl-kas/private-api.crt",
        "/etc/gitlab/ssl-kas/private-api.key",
    ]


def test_an_authority() -> None:
    variables = {"kas_ca_certificates": [{"name": "internal.crt", "content": "PEM"}]}
    assert certificates(host(variables, "rails1")) == [
        {
            "kind": "authority",
            "api": "",
            "variable": "",
            "server_names": [],
            "certificate": "/etc/gitlab/trusted-certs/internal.crt",
            "certificate_src": "",
            "certificate_content": "PEM",
            "title": "kas_ca_certificates[0]",
            "certificate_title": "kas_ca_certificates[0] (internal)",
            "key": "",
            "key_src": "",
            "key_title": "",
            "given": True,
        }
    ]


@pytest.mark.parametrize(
    ("variables", "name", "expected"),
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
def test_which_apis(variables: dict[str, Any], name: str, expected: list[str]) -> None:
    assert [each["api"] for each in certificates(host(variables, name))] == expected
    assert list(certificate_refusals(host(variables, name))) == []


def test_on_the_node_already() -> None:
    variables = {"kas_certificate": "/a.crt", "kas_key": "/a.key"}
    pair = certificates(host(variables, "kas1"), {"private_api": ["kas.internal"]})[0]
    assert pair["given"] is False
    assert (pair["certificate_title"], pair["key_title"]) == ("kas_certificate '/a.crt'", "kas_key '/a.key'")
    assert pair["server_names"] == []


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
            {**PAIR, "kas_private_api_certificate_src": "-----BEGIN CERTIFICATE-----\nMIIB"},
            "kas_private_api_certificate_src holds PEM itself, and should be the path of a file on the controller; set"
            " kas_private_api_certificate_content to it",
        ),
        (
            {**PAIR, "kas_private_api_key_src": "-----BEGIN PRIVATE KEY-----", "kas_private_api_key_content": ""},
            "kas_private_api_key_src holds PEM itself, and should be the path of a file on the controller; set"
            " kas_private_api_key_content to it",
        ),
        (
            {"kas_ca_certificates": [{"name": "ca", "src": "-----BEGIN CERTIFICATE-----\nMIIB"}]},
            "kas_ca_certificates[0].src holds PEM itself, and should be the path of a file on the controller; set"
            " kas_ca_certificates[0].content to it",
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
                f"kas_ca_certificates[1].name is {value}; set a unique file name of letters, digits,"
                " dots, underscores and hyphens",
            )
            for name, value in (("../a", "'../a'"), ("a", "'a'"), ("a.crt", "'a.crt'"))
        ],
        ({"kas_ca_certificates": [{"name": "ca"}]}, "kas_ca_certificates[0] (ca) has neither src nor content; set one"),
        (
            {"kas_ca_certificates": '[{"name": "ca", "src": "a", "content": "b"}]'},
            "kas_ca_certificates[0] (ca) has both src and content; set one",
        ),
    ],
)
def test_refusals(variables: dict[str, Any], expected: str) -> None:
    assert list(certificate_refusals(host(variables, "kas1"))) == [expected]


@pytest.mark.parametrize("given", [None, "", [], "[]"])
def test_no_authorities(given: object) -> None:
    kas1 = host({"kas_ca_certificates": given}, "kas1")
    assert certificates(kas1) == list(certificate_refusals(kas1)) == []


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
    ("variables", "name", "expected"),
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
def test_read_at_start(variables: dict[str, Any], name: str, expected: list[str]) -> None:
    assert read_at_start(host(variables, name)) == expected


# What the others show


def result(api: str, pem: str | None, **found: Any) -> dict[str, Any]:
    variable = {"private_api": "kas_private_api", "internal_api": "kas_internal_api"}.get(api, "")
    certificate = {"pem": pem, "problems": [], "warnings": [], "chain_ok": True, **found}
    return {"item": {"api": api, "variable": variable}, "certificate": certificate}


CHECKED = {
    "kas1": [result("private_api", "A"), result("", "CA")],
    "kas2": [result("private_api", "B"), result("internal_api", "I")],
    "kas3": [result("private_api", "B"), result("private_api", None)],
    "rails1": [],
}


@pytest.mark.parametrize(
    ("name", "expected"),
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
def test_shown_to(name: str, expected: list[dict[str, str]]) -> None:
    assert shown_to(GROUPS, name, CHECKED) == expected
