"""Which settings are secrets, and that they do not show."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import (
    is_secret,
    mask,
    mask_line,
    secrets,
    secrets_in_text,
    without,
)

# The package's own (its template, the attributes and libraries of its cookbooks, older ones of Mattermost), what
# OmniAuth, object storage, LDAP, the registry and Alertmanager take in hashes, and variables of the environment.
SECRET = [
    "api_secret_key",
    "private_api_secret_key",
    "websocket_token_secret_key",
    "redis_password",
    "redis_sentinels_password",
    "redis_cache_password",
    "redis_workhorse_sentinels_password",
    "redis_cluster_rate_limiting_password",
    "master_password",
    "db_password",
    "db_key_base",
    "secret_key_base",
    "otp_key_base",
    "encrypted_settings_key_base",
    "openid_connect_signing_key",
    "active_record_encryption_primary_key",
    "active_record_encryption_deterministic_key",
    "active_record_encryption_key_derivation_salt",
    "signed_cookie_salt",
    "authenticated_encrypted_cookie_salt",
    "initial_root_password",
    "initial_shared_runners_registration_token",
    "incoming_email_password",
    "incoming_email_auth_token",
    "service_desk_email_password",
    "service_desk_email_auth_token",
    "smtp_password",
    "smtp_auth_password",
    "microsoft_graph_mailer_client_secret",
    "amazon_ses_mailer_secret_access_key",
    "mailgun_signing_key",
    "backup_encryption_key",
    "backup_registry_password",
    "sentry_dsn",
    "sentry_clientside_dsn",
    "duo_auth_secret_key",
    "duo_auth_integration_key",
    "forti_authenticator_access_token",
    "forti_token_cloud_client_secret",
    "jws_private_key",
    "recaptcha_private_key",
    "akismet_api_key",
    "registry_notification_secret",
    "http_secret",
    "internal_key",
    "elasticsearch_authorization",
    "auth_token",
    "auth_secret",
    "gitlab_secret",
    "gitlab_shell_secret",
    "secret_token",
    "orbit_secret",
    "sql_user_password",
    "sql_replication_password",
    "sql_superuser_password",
    "pgbouncer_user_password",
    "replication_password",
    "ssl_key_password_command",
    "tls_key_password",
    "encryption_key",
    "api_secret",
    "sql_data_source",
    "sql_at_rest_encrypt_key",
    "file_public_link_salt",
    "email_invite_salt",
    "service_google_developer_key",
    "lets_encrypt_private_key",
    "app_secret",
    "client_secret",
    "consumer_secret",
    "private_key",
    "password",
    "bind_pw",
    "pass",
    "db_pwd",
    "key",
    "token",
    "tokens_of_all",
    "aws_secret_access_key",
    "azure_storage_access_key",
    "azure_storage_sas_token",
    "google_json_key_string",
    "accesskey",
    "secretkey",
    "accountkey",
    "Authorization",
    "slack_api_url",
    "webhook_url",
    "webhook_configs",
    "service_key",
    "routing_key",
    "user_key",
    "credentials",
    "gpg_key",
    "ssh_key",
    "master_key",
    "SENTRY_DSN",
    "GITLAB_TOKEN",
    "GITLAB_ACTIVATION_CODE",
    "PGPASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "MM_SQLSETTINGS_DATASOURCE",
]

NOT_SECRET = [
    "enable",
    "env",
    "listen_address",
    "private_api_listen_address",
    "websocket_token_secret_file",
    "private_api_key_file",
    "key_file",
    "certificate_file",
    "internal_api_certificate_file",
    "internal_certificate",
    "OWN_PRIVATE_API_URL",
    "OWN_PRIVATE_API_HOST",
    "gitlab_kas_external_url",
    "gitlab_kas_internal_url",
    "external_url",
    "api_url",
    "gitlab_address",
    "redis_host",
    "redis_port",
    "redis_username",
    "redis_sentinels",
    "redis_sentinels_master_name",
    "redis_tls_client_key_file",
    "redis_password_file",
    "redis_encrypted_settings_file",
    "redis_extra_config_command",
    "password_authentication_enabled",
    "forti_token_cloud_enabled",
    "token_ttl",
    "token_realm",
    "session_store_session_cookie_token_prefix",
    "server_tokens",
    "hide_server_tokens",
    "webhook_timeout",
    "aws_access_key_id",
    "amazon_ses_mailer_access_key_id",
    "forti_token_cloud_client_id",
    "duo_auth_hostname",
    "server_side_encryption_kms_key_id",
    "redis_key_prefix",
    "bypass",
    "ssl_certificate_key",
    "public_key",
    "authorization_method",
    "registry_key_path",
    "google_json_key_location",
    "db_sslkey",
    "smtp_user_name",
    "db_username",
    "gitlab_shell_secret_file",
    "auth_scope",
    "authorized_keys",
    "trusted_user_ca_keys",
    "sentry_environment",
    "log_level",
    "workhorse_keywatcher",
]


@pytest.mark.parametrize("name", SECRET)
def test_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", NOT_SECRET)
def test_not_secret(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wss://kas.gitlab.example.com/-/kubernetes-agent/", None),
        ("10.0.0.0/8,2001:db8::/32", None),
        ("/etc/gitlab/ssl/kas.example.com.key", None),
        ("the token stands elsewhere", None),
        ("redis://:x@h", "redis://********@h"),
        ("password: hunter2, user: kas", "password: ********, user: kas"),
        ('{"api_token": "hunter2"}', '{"api_token": "********"}'),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=******** psql"),
        ("curl -H 'Authorization: Basic a2FzOmh1bnRlcjI='", "curl -H 'Authorization: ********'"),
        ("curl -u 'password: hunter2'", "curl -u 'password: ********'"),
        ("glpat-abcDEF123456", "********"),
        ("Bearer abcdefgh", "********"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n", "********\n"),
        ("Nk1uV2R4bWp1c3RhbmV4YW1wbGU5ODc2NTQzMjE=", "********"),
    ],
)
def test_texts_under_other_names(text: str, shown: str | None) -> None:
    assert mask({"x": text}) == {"x": text if shown is None else shown}


def test_what_is_hidden_in_texts_is_known_as_a_secret() -> None:
    tree = {"x": ["password=hunter2", "token=1", "glpat-abcDEF123456", "plain"]}
    assert list(secrets(tree)) == ["hunter2", "glpat-abcDEF123456"]


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a['b'] = 'hunter2'", []),
        ("# a['password'] = 'password'", []),
        ("a['password'] = 'hunter2' if d", ["hunter2"]),
        ("a['password'] = \"hunter2", ["hunter2"]),
        ("x = { 'password' => 'one', b: 'two' }", ["one", "two", "one"]),
        ("  password: hunter2", ["hunter2"]),
        ("raise 'the password is: hunter2'", ["the password is: hunter2"]),
        ("a['b'] = 'redis://u:hunter2@h'", ["u:hunter2"]),
    ],
)
def test_secrets_in_text(text: str, found: list[str]) -> None:
    assert sorted(set(secrets_in_text(text))) == sorted(set(found))


def test_without() -> None:
    assert without("hunter2: a short abc and a longer hunter2000", ["hunter2", "abc", "hunter2000"]) == (
        "********: a short abc and a longer ********"
    )
