"""Which settings are secrets, and that they do not show."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import is_secret, mask, mask_line, secrets

SECRET = [
    *("api_secret_key", "private_api_secret_key", "websocket_token_secret_key", "redis_password", "db_key_base"),
    *(
        "redis_sentinels_password",
        "otp_key_base",
        "smtp_password",
        "initial_root_password",
        "SENTRY_DSN",
        "secret_token",
    ),
    *("openid_connect_signing_key", "lets_encrypt_private_key", "aws_secret_access_key", "GITLAB_TOKEN", "bind_pw"),
    *("azure_storage_access_key", "accountkey", "google_json_key_string", "active_record_encryption_primary_key"),
    *(
        "active_record_encryption_deterministic_key",
        "master_key",
        "gpg_key",
        "ssh_key",
        "pass",
        "db_pwd",
        "webhook_url",
    ),
]

NOT_SECRET = [
    *("enable", "env", "listen_address", "private_api_listen_address", "websocket_token_secret_file", "key_file"),
    *("OWN_PRIVATE_API_URL", "gitlab_kas_external_url", "private_api_key_file", "password_authentication_enabled"),
    *("token_ttl", "redis_password_file", "certificate_file", "aws_access_key_id", "redis_key_prefix", "bypass"),
]


@pytest.mark.parametrize("name", SECRET)
def test_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", NOT_SECRET)
def test_not_secret(name: str) -> None:
    assert not is_secret(name)


def test_trees() -> None:
    tree: dict[str, Any] = {
        "gitlab_kas": {
            "api_secret_key": "one",
            "enable": True,
            "env": {"A": "a", "DB_PASSWORD": "two", "URL": "redis://u:x@h"},
            "secrets": ["three", {"deep": "four"}, 5],
        }
    }
    assert mask(tree) == {
        "gitlab_kas": {
            "api_secret_key": "********",
            "enable": True,
            "env": {"A": "a", "DB_PASSWORD": "********", "URL": "redis://********@h"},
            "secrets": ["********", {"deep": "********"}, "********"],
        }
    }
    assert list(secrets(tree)) == ["one", "two", "u:x", "three", "four", "5"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("a['b'] = 'c'", "a['b'] = 'c'"),
        ("a['password'] = 'c' if d", "a['password'] = '********' if d"),
        ("# {'token' => \"c\\\"d\", 'e': 'f'}", "# {'token' => \"********\", 'e': '********'}"),
        ("x['secret'] = 'unterminated", "x['secret'] = '********'"),
        ("'https://u:p@h/'", "'https://********@h/'"),
    ],
)
def test_lines(line: str, shown: str) -> None:
    assert mask_line(line) == shown
