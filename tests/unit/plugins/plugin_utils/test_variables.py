# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of every type that an inventory, a survey or the command line hands over."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES, normalise, shown

ROOT = Path(__file__).resolve().parents[4]
# Every option of every role, as it stands in the spec.
OPTIONS = {
    name: option
    for path in ROOT.glob("roles/*/meta/argument_specs.yml")
    for name, option in yaml.safe_load(path.read_text())["argument_specs"]["variables"]["options"].items()
}


def test_defaults():
    values, sentences = normalise({})
    assert sentences == []
    assert values == {name: variable.default for name, variable in VARIABLES.items()}


@pytest.mark.parametrize("unset", [None, "", "  "])
@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_unset_is_the_default(name, unset):
    assert normalise({name: unset}) == normalise({})


GIVEN = pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("kas_enabled", "false", False),
        ("kas_enabled", "True", True),
        ("kas_enabled", "no", False),
        ("kas_enabled", 1, True),
        ("kas_enabled", 0, False),
        ("kas_listen_websocket", "false", False),
        ("kas_own_private_api_port", "8155", 8155),
        ("kas_own_private_api_port", 8155, 8155),
        ("kas_ready_timeout_s", " 60 ", 60),
        ("kas_target_version", " 19.3.0 ", "19.3.0"),
        ("kas_target_version", "19.3.0-ee.0", "19.3.0-ee.0"),
        ("kas_expected_nodes", 3, ["3"]),
        ("kas_expected_nodes", " 3 ", ["3"]),
        ("kas_expected_nodes", "a, b", ["a", "b"]),
        ("kas_expected_nodes", "a\nb\na\n", ["a", "b"]),
        ("kas_expected_nodes", ["a", "b"], ["a", "b"]),
        ("kas_expected_nodes", '["a", "b"]', ["a", "b"]),
        ("kas_expected_nodes", "", []),
        ("kas_serial", 2, "2"),
        ("kas_serial", " 25% ", "25%"),
        ("kas_serial", "", "1"),
        ("kas_own_private_api_cidr", "10.0.0.0/8", ["10.0.0.0/8"]),
        ("kas_own_private_api_cidr", "10.0.0.0/8, fd00::/8", ["10.0.0.0/8", "fd00::/8"]),
        ("kas_own_private_api_cidr", ["10.0.0.0/8"], ["10.0.0.0/8"]),
        ("kas_own_private_api_cidr", '["10.0.0.0/8"]', ["10.0.0.0/8"]),
        ("kas_own_private_api_cidr", [], []),
        ("kas_own_private_api_discovery", "listener", "listener"),
        ("kas_private_api_listen_address", ":8155", ":8155"),
        ("kas_private_api_listen_address", "[fd00::1]:8155", "[fd00::1]:8155"),
        ("kas_private_api_listen_address", "kas1.internal:8155", "kas1.internal:8155"),
        ("kas_private_api_listen_address", "/run/kas.socket", "/run/kas.socket"),
        ("kas_external_url", "wss://kas.example.com/", "wss://kas.example.com/"),
        ("kas_internal_url", "unix:///run/kas.socket", "unix:///run/kas.socket"),
        ("kas_own_private_api_url", "grpc://[fd00::1]:8155", "grpc://[fd00::1]:8155"),
        ("kas_env", '{"GODEBUG": "http2debug=2"}', {"GODEBUG": "http2debug=2"}),
        ("kas_settings", {"metrics_usage_reporting_period": 60}, {"metrics_usage_reporting_period": 60}),
        ("kas_redis", {"host": "redis", "port": "6380", "ssl": "false"}, {"host": "redis", "port": 6380, "ssl": False}),
        ("kas_redis", '{"host": "redis"}', {"host": "redis"}),
        (
            "kas_redis",
            {"sentinels": [{"host": "s1"}, {"host": "s2", "port": "26380"}], "password": ""},
            {"sentinels": [{"host": "s1", "port": 26379}, {"host": "s2", "port": 26380}]},
        ),
        ("kas_certificate_min_valid_days", "14", 14),
        ("kas_certificate_min_valid_days", 0, 0),
        ("kas_ca_certificates", [{"name": "ca", "src": "ca.crt", "content": ""}], [{"name": "ca", "src": "ca.crt"}]),
        ("kas_ca_certificates", '[{"name": "ca", "content": "PEM"}]', [{"name": "ca", "content": "PEM"}]),
        ("kas_redis", {"sentinels": '[{"host": "s1"}]'}, {"sentinels": [{"host": "s1", "port": 26379}]}),
        # texts of surveys: YAML, JSON with tabs, one item a line as a browser sends it
        ("kas_env", "A: b\nC: d", {"A": "b", "C": "d"}),
        ("kas_env", '{\n\t"A": "b"\n}', {"A": "b"}),
        ("kas_redis", "host: redis\nport: '6380'\npassword: ''", {"host": "redis", "port": 6380}),
        ("kas_own_private_api_cidr", "10.0.0.0/8\r\nfd00::/8\r\n", ["10.0.0.0/8", "fd00::/8"]),
        ("kas_own_private_api_cidr", "- 10.0.0.0/8\n- fd00::/8", ["10.0.0.0/8", "fd00::/8"]),
        ("kas_ca_certificates", "- name: ca\n  src: ca.crt", [{"name": "ca", "src": "ca.crt"}]),
        # blanks at every depth that a spec describes
        ("kas_own_private_api_cidr", ["10.0.0.0/8", "", None], ["10.0.0.0/8"]),
        ("kas_own_private_api_cidr", [""], []),
        ("kas_redis", {"host": None, "port": " ", "ssl": "", "sentinels": "", "socket": ""}, {}),
        ("kas_redis", {"sentinels": [{"host": "s1", "port": ""}]}, {"sentinels": [{"host": "s1", "port": 26379}]}),
        ("kas_secrets_values", {"api_secret_key": "", "private_api_secret_key": None}, {}),
        # what no spec describes is the user's own
        ("kas_env", {"A": "", "B": None}, {"A": "", "B": None}),
    ],
)


@GIVEN
def test_given(name, given, expected):
    values, sentences = normalise({name: given})
    assert sentences == []
    assert values[name] == expected
    assert type(values[name]) is type(expected)


@GIVEN
def test_ansible_agrees(name, given, expected):
    """What was understood is what the spec says, by the validator of this ansible-core."""
    spec = {name: without_no_log(OPTIONS[name])}  # with it, it would mask the values all over the process
    result = ArgumentSpecValidator(spec).validate({name: expected})
    assert result.error_messages == []
    assert given_back(result.validated_parameters[name]) == expected


def without_no_log(option):
    inner = {name: without_no_log(each) for name, each in option.get("options", {}).items()}
    kept = {
        key: value for key, value in option.items() if key in ("type", "elements", "choices", "default", "required")
    }
    return {**kept, **({"options": inner} if inner else {})}


def given_back(value):
    """Without the options that are not set, which the validator adds as null."""
    if isinstance(value, dict):
        return {key: given_back(item) for key, item in value.items() if item is not None or key in ("A", "B")}
    return [given_back(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("kas_enabled", "maybe", "kas_enabled is 'maybe'; set true or false."),
        ("kas_enabled", {"a": 1}, "kas_enabled is a mapping; set true or false."),
        ("kas_enabled", 2, "kas_enabled is 2; set true or false."),
        ("kas_user", {"a": 1}, "kas_user is a mapping; set text (a number or boolean in quotes)."),
        ("kas_user", 12, "kas_user is 12; set text (a number or boolean in quotes)."),
        ("kas_sentry_dsn", 12, "kas_sentry_dsn is a number; set text (a number or boolean in quotes)."),
        ("kas_own_private_api_port", "abc", "kas_own_private_api_port is 'abc'; set a port from 1 to 65535."),
        ("kas_own_private_api_port", 70000, "kas_own_private_api_port is 70000; set a port from 1 to 65535."),
        ("kas_own_private_api_port", True, "kas_own_private_api_port is true; set a port from 1 to 65535."),
        *(
            (
                "kas_target_version",
                value,
                f"kas_target_version is {said}; set a release of GitLab with all three numbers, such as '19.3.0'.",
            )
            for value, said in ((19.3, "19.3"), ("19.3", "'19.3'"), ("latest", "'latest'"), (["19.3.0"], "a list"))
        ),
        *(
            (
                "kas_serial",
                value,
                f"kas_serial is {said}; set a number of nodes from 1 on, or a percentage such as 25%.",
            )
            for value, said in ((0, "0"), (-1, "-1"), ("abc", "'abc'"), ("0%", "'0%'"), (True, "true"))
        ),
        ("kas_ready_timeout_s", 0, "kas_ready_timeout_s is 0; set whole seconds from 1 to 86400."),
        ("kas_ready_timeout_s", "1.5", "kas_ready_timeout_s is '1.5'; set whole seconds from 1 to 86400."),
        (
            "kas_own_private_api_discovery",
            "auto",
            "kas_own_private_api_discovery is 'auto'; set url, cidr or listener.",
        ),
        ("kas_own_private_api_scheme", "http", "kas_own_private_api_scheme is 'http'; set grpc or grpcs."),
        ("kas_log_level", {"a": 1}, "kas_log_level is a mapping; set debug, info, warn or error."),
        ("kas_private_api_key", "kas.key", "kas_private_api_key is 'kas.key'; set an absolute path on the node."),
        (
            "kas_own_private_api_cidr",
            {"a": 1},
            "kas_own_private_api_cidr is a mapping; set a list of texts, or one text with commas.",
        ),
        (
            "kas_own_private_api_cidr",
            [{"a": 1}],
            "kas_own_private_api_cidr is a list; set a list of texts, or one text with commas.",
        ),
        (
            "kas_private_api_listen_address",
            "0.0.0.0",
            "kas_private_api_listen_address is '0.0.0.0'; set ADDRESS:PORT (IPv6 in brackets), or a socket's absolute"
            " path with network unix.",
        ),
        (
            "kas_private_api_listen_address",
            "fd00::1:8155",
            "kas_private_api_listen_address is 'fd00::1:8155'; set ADDRESS:PORT (IPv6 in brackets), or a socket's"
            " absolute path with network unix.",
        ),
        *(
            (
                "kas_listen_address",
                address,
                f"kas_listen_address is '{address}'; set ADDRESS:PORT (IPv6 in brackets), or a socket's absolute path"
                " with network unix.",
            )
            for address in ("[::::]:8150", "a?b:8150", "me@kas1:8150", "kas1:0", "kas1:65536", "kas1:\u0661", "kas1:")
        ),
        (
            "kas_external_url",
            "https://gitlab.example.com/",
            "kas_external_url is 'https://gitlab.example.com/'; set a URL whose scheme is wss, ws, grpcs or grpc.",
        ),
        (
            "kas_gitlab_address",
            "HTTPS://gitlab.example.com",
            "kas_gitlab_address is 'HTTPS://gitlab.example.com'; set a URL whose scheme is http or https.",
        ),
        (
            "kas_gitlab_address",
            "https://gitlab.example.com:/",
            "kas_gitlab_address is 'https://gitlab.example.com:/'; set a valid URL, such as http://HOST.",
        ),
        *(
            (
                "kas_internal_url",
                url,
                f"kas_internal_url is '{url}'; set the path of a socket with three slashes, unix:///PATH.",
            )
            for url in ("unix://run/kas.socket", "unix:/run/kas.socket", "unix:///", "unix:///a b")
        ),
        ("kas_external_url", {"a": 1}, "kas_external_url is a mapping; set one URL, such as wss://HOST."),
        (
            "kas_external_url",
            "wss://kas.example.com:99999/",
            "kas_external_url is 'wss://kas.example.com:99999/'; set a valid URL, such as wss://HOST.",
        ),
        ("kas_external_url", "wss:///", "kas_external_url is 'wss:///'; set a valid URL, such as wss://HOST."),
        (
            "kas_gitlab_address",
            "https://root:hunter2@gitlab.example.com",
            "kas_gitlab_address is 'https://***@gitlab.example.com'; set a URL without user, query and fragment.",
        ),
        (
            "kas_private_api_key_content",
            12,
            "kas_private_api_key_content is a number; set text (a number or boolean in quotes).",
        ),
        (
            "kas_certificate_min_valid_days",
            -1,
            "kas_certificate_min_valid_days is -1; set whole days from 0 to 36500.",
        ),
        (
            "kas_ca_certificates",
            {"name": "ca"},
            "kas_ca_certificates is a mapping; set a list of mappings with name, and src or content.",
        ),
        (
            "kas_ca_certificates",
            "ca",
            "kas_ca_certificates is 'ca'; set a list of mappings with name, and src or content.",
        ),
        (
            "kas_ca_certificates",
            ["ca.crt"],
            "kas_ca_certificates[0] is 'ca.crt'; set a mapping whose names are text.",
        ),
        (
            "kas_ca_certificates",
            [{"name": "ca", "path": "ca.crt"}],
            "kas_ca_certificates[0].path is 'ca.crt'; kas_ca_certificates[0] takes only name, src, content.",
        ),
        *(
            (
                "kas_ca_certificates",
                [{"name": name, "src": "a"}],
                "kas_ca_certificates[0].name is not set; set the name of its file on the nodes, without .crt.",
            )
            for name in ("", None)
        ),
        *(
            (
                "kas_secrets_values",
                {"websocket_token_secret_key": value},
                f"kas_secrets_values.websocket_token_secret_key is {said}; set 72 random bytes in strict Base64, as"
                " 'openssl rand 72 | openssl base64 -A' prints them.",
            )
            for value, said in (({"a": 1}, "a mapping"), (12, "a number"), (True, "a boolean"))
        ),
        (
            "kas_secrets_values",
            {"secret": "x"},
            "kas_secrets_values.secret is text; kas_secrets_values takes only api_secret_key, private_api_secret_key,"
            " websocket_token_secret_key.",
        ),
        ("kas_secrets_values", "hunter2", "kas_secrets_values is text; set a mapping whose names are text."),
        ("kas_own_private_api_port", "8155.0", "kas_own_private_api_port is '8155.0'; set a port from 1 to 65535."),
        ("kas_own_private_api_port", 8155.0, "kas_own_private_api_port is 8155.0; set a port from 1 to 65535."),
        ("kas_socket_dir", "~/sockets", "kas_socket_dir is '~/sockets'; set an absolute path on the node."),
        (
            "kas_own_private_api_cidr",
            "[10.0.0.0/8",
            "kas_own_private_api_cidr is '[10.0.0.0/8'; set a list of texts, or one text with commas.",
        ),
        ("kas_env", "{", "kas_env is text; set a mapping whose names are text."),
        ("kas_env", ["a"], "kas_env is a list; set a mapping whose names are text."),
        ("kas_env", {1: "a"}, "kas_env is a mapping; set a mapping whose names are text."),
        ("kas_redis", {"port": "abc"}, "kas_redis.port is 'abc'; set a port from 1 to 65535."),
        (
            "kas_redis",
            {"password": 12},
            "kas_redis.password is a number; set text (a number or boolean in quotes).",
        ),
        (
            "kas_redis",
            {"sentinels": "s1:26379"},
            "kas_redis.sentinels is text; set a list of mappings with host and port.",
        ),
        (
            "kas_redis",
            {"sentinels": [{"port": 26379}]},
            "kas_redis.sentinels[0].host is not set; set the name or address of a Sentinel.",
        ),
        (
            "kas_redis",
            {"sentinels": ["s1"]},
            "kas_redis.sentinels[0] is text; set a mapping whose names are text.",
        ),
        (
            "kas_redis",
            {"sentinels": [{"host": "s1", "pass": "x"}]},
            "kas_redis.sentinels[0].pass is text; kas_redis.sentinels[0] takes only host, port.",
        ),
    ],
)
def test_wrong(name, given, sentence):
    values, sentences = normalise({name: given})
    assert sentences == [sentence]
    assert values[name] == VARIABLES[name].default


def test_every_option_that_is_wrong_is_named():
    given = {"port": "abc", "pasword": "hunter2", "sentinels": [{"host": "s1", "port": 0}, {}], "ssl": "maybe"}
    values, sentences = normalise({"kas_redis": given})
    assert [sentence.partition(";")[0] for sentence in sentences] == [
        "kas_redis.pasword is text",
        "kas_redis.port is 'abc'",
        "kas_redis.ssl is 'maybe'",
        "kas_redis.sentinels[0].port is 0",
        "kas_redis.sentinels[1].host is not set",
    ]
    assert values["kas_redis"] == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"kas_private_api_certificate_src": "a.crt"}, {"kas_private_api_certificate": "private-api.crt"}),
        ({"kas_private_api_key_content": "the key"}, {"kas_private_api_key": "private-api.key"}),
        (
            {"kas_certificate_content": "PEM", "kas_key_src": "a.key"},
            {"kas_certificate": "agent.crt", "kas_key": "agent.key"},
        ),
        ({"kas_certificate_content": "PEM", "kas_certificate": "/a.crt"}, {}),
    ],
)
def test_certificates_from_elsewhere_have_a_path(given, expected):
    plain, _sentences = normalise({})
    paths = {name: f"/etc/gitlab/ssl-kas/{file}" for name, file in expected.items()}
    assert normalise(given) == ({**plain, **given, **paths}, [])


def test_unknown_option_of_redis_does_not_show_its_value():
    _values, sentences = normalise({"kas_redis": {"pasword": "hunter2"}})
    assert sentences == ["kas_redis.pasword is text; write password."]
    _values, sentences = normalise({"kas_redis": {"cluster": "hunter2"}})
    assert sentences[0].startswith("kas_redis.cluster is text; kas_redis takes only host, port, socket,")


ZERO_WIDTH = "U+200B ZERO WIDTH SPACE"
NO_BREAK = "U+00A0 NO-BREAK SPACE"
EN_DASH = "\u2013 (U+2013 EN DASH)"
QUOTES = "\u201c (U+201C LEFT DOUBLE QUOTATION MARK) and \u201d (U+201D RIGHT DOUBLE QUOTATION MARK)"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"kas_external_url": "\u201cwss://kas.example.com/\u201d"},
            f'kas_external_url holds {QUOTES}, which only look right; write " instead.',
        ),
        (
            {"kas_own_private_api_cidr": "10.0.0.0/8,fd00::\u00a0/8"},
            f"kas_own_private_api_cidr holds {NO_BREAK}, which only looks right; write a plain space instead.",
        ),
        (
            {"kas_own_private_api_cidr": ["10.0.0.0/8", "fd00::\u2215"]},
            "kas_own_private_api_cidr holds \u2215 (U+2215 DIVISION SLASH), which only looks right; remove it.",
        ),
        (
            {"kas_own_private_api_port": "\uff1815\uff15"},
            "kas_own_private_api_port holds \uff18 (U+FF18 FULLWIDTH DIGIT EIGHT) and \uff15 (U+FF15 FULLWIDTH DIGIT"
            " FIVE), which only look right; write 8 and 5 instead.",
        ),
        (
            {"kas_enabled": "true\u200b"},
            f"kas_enabled holds {ZERO_WIDTH}, which only looks right; remove it.",
        ),
        (
            {"kas_redis": {"host": "redis\u2013a.internal"}},
            f"kas_redis.host holds {EN_DASH}, which only looks right; write - instead.",
        ),
        (
            {"kas_redis": {"password": "hunter2\u200b"}},
            f"kas_redis.password holds {ZERO_WIDTH}, which only looks right; remove it.",
        ),
        (
            {"kas_redis": {"\u201chost\u201d": "redis.internal"}},
            f'a name in kas_redis holds {QUOTES}, which only look right; write " instead.',
        ),
        (
            {"kas_redis": {"sentinels": [{"host": "s\u200b1"}], "sentinels_master_name": "gitlab-redis"}},
            f"kas_redis.sentinels[0].host holds {ZERO_WIDTH}, which only looks right; remove it.",
        ),
        (
            {"kas_secrets_values": {"api_secret_key": "aGVsbG8\u2013"}},
            f"kas_secrets_values.api_secret_key holds {EN_DASH}, which only looks right; write - instead.",
        ),
    ],
)
def test_characters_that_only_look_right(given, sentence):
    assert normalise(given)[1] == [sentence]


@pytest.mark.parametrize(
    "given",
    [
        {"kas_external_url": "wss://kas.gitlab.m\u00fcnchen.example/"},
        {"kas_deployment": "EU \u2013 \u201cprod\u201d"},
        {"kas_redis": {"host": "redis", "password": "p\u2013\u00e4\u20ac\u201c"}},
        {"kas_env": {"NOTE": "a\u00a0b"}},
        {"kas_settings": {"log_level": "\u2013"}},
        {"kas_certificate_src": "Zertifikat\u00a0\u2013 neu.crt"},
        {"kas_certificate_content": "\ufeff-----BEGIN CERTIFICATE-----"},
        {"kas_ca_certificates": [{"name": "ca\u2013neu", "src": "ca\u00a0neu.crt"}]},
    ],
)
def test_characters_that_may_be_meant(given):
    assert normalise(given)[1] == []


def test_every_wrong_variable_is_named():
    given = {"kas_enabled": "x", "kas_user": 1, "kas_unknown": object()}
    assert len(normalise(given)[1]) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a" * 100, f"'{'a' * 80}…'"),
        ("grpc://u:p@h:1", "'grpc://***@h:1'"),
        (1.5, "1.5"),
        (False, "false"),
        ([1], "a list"),
        (b"x", "a bytes"),
    ],
)
def test_shown(value, expected):
    assert shown(value) == expected
