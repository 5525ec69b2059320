"""The fields of KAS's configuration file: their types, and which values are in range.

Sources: the published proto files of KAS up to 16.5; for later fields, what the package renders and since when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gitlab_kas.release import Release
from gitlab_kas.urls import absolute

Check = Callable[[Any], list[str]]


@dataclass(frozen=True)
class Field:
    """One field: a scalar's type or a message, what its value must be, and the releases that know it."""

    kind: str | Message  # a scalar of protobuf, "duration", or a message
    check: Check | None = None  # a value's faults, an unset one's too, unless the field is optional
    is_list: bool = False
    is_optional: bool = False  # an unset one is not looked at
    is_required: bool = False  # of a message: must be there
    since: Release = ()
    before: Release = (99,)

    def known(self, release: Release) -> bool:
        return self.since <= release < self.before


@dataclass(frozen=True)
class Message:
    """A message, and which of its fields exclude each other."""

    name: str
    fields: dict[str, Field]
    oneof: str = ""
    one_of: tuple[str, ...] = field(default=())


def at_least_one_byte(value: str | None) -> list[str]:
    return [] if value else ["value length must be at least 1 bytes"]


def url(value: str | None) -> list[str]:
    return absolute(value or "")


def required_url(value: str | None) -> list[str]:
    return at_least_one_byte(value) + url(value)


def one_of(*values: str) -> Check:
    return lambda value: [] if (value or "") in values else [f"value must be in list [{' '.join(values)}]"]


def positive(value: float | None) -> list[str]:
    return ["value must be greater than 0s"] if value is not None and value <= 0 else []


def not_negative(value: float | None) -> list[str]:
    return ["value must be greater than or equal to 0s"] if value is not None and value < 0 else []


def no_negative_number(value: float | None) -> list[str]:
    return ["value must be greater than or equal to 0"] if (value or 0) < 0 else []


def not_empty(value: list[str] | None) -> list[str]:
    return [] if value else ["value must contain at least 1 item(s)"]


LEVELS = ("info", "debug", "warn", "error")
STRING, BOOL, UINT, DOUBLE, ENUM = (Field(kind) for kind in ("string", "bool", "uint32", "double", "enum"))
FILE = Field("string", at_least_one_byte)
OPTIONAL_FILE = Field("string", at_least_one_byte, is_optional=True)
ABOVE_ZERO, FROM_ZERO, DURATION = Field("duration", positive), Field("duration", not_negative), Field("duration")
LISTEN = {
    "network": Field("string", one_of("tcp", "tcp4", "tcp6", "unix"), is_optional=True),
    "address": STRING,
}
PAIR = {"certificate_file": STRING, "key_file": STRING}
GRACE = {"listen_grace_period": ABOVE_ZERO}
API = {**LISTEN, "authentication_secret_file": FILE, **PAIR, "max_connection_age": ABOVE_ZERO, **GRACE}
RATE = Field(
    Message(
        "TokenBucketRateLimitCF",
        {"refill_rate_per_second": Field("double", no_negative_number), "bucket_size": UINT},
    )
)
REDIS_TLS = Message("RedisTLSCF", {"enabled": BOOL, **PAIR, "ca_certificate_file": STRING})
PATH = {"url_path": STRING}

GITLAB = Message(
    "GitLabCF",
    {
        "address": Field("string", required_url),
        "authentication_secret_file": FILE,
        "ca_certificate_file": STRING,
        "api_rate_limit": RATE,
        "external_url": Field("string", url, is_optional=True),
    },
)
AGENT = Message(
    "AgentCF",
    {
        "listen": Field(
            Message(
                "ListenAgentCF",
                {
                    **LISTEN,
                    "websocket": BOOL,
                    **PAIR,
                    "connections_per_token_per_minute": UINT,
                    "max_connection_age": ABOVE_ZERO,
                    **GRACE,
                },
            )
        ),
        "configuration": Field(
            Message("AgentConfigurationCF", {"poll_period": ABOVE_ZERO, "max_configuration_file_size": UINT})
        ),
        "gitops": Field(
            Message(
                "GitopsCF",
                {
                    "poll_period": ABOVE_ZERO,
                    "project_info_cache_ttl": FROM_ZERO,
                    "project_info_cache_error_ttl": ABOVE_ZERO,
                },
            ),
            before=(18, 0),
        ),
        "info_cache_ttl": FROM_ZERO,
        "info_cache_error_ttl": ABOVE_ZERO,
        "redis_conn_info_ttl": DURATION,
        "redis_conn_info_refresh": DURATION,
        "redis_conn_info_gc": DURATION,
        "kubernetes_api": Field(
            Message(
                "KubernetesApiCF",
                {
                    "listen": Field(
                        Message(
                            "ListenKubernetesApiCF", {**LISTEN, **PAIR, **GRACE, "shutdown_grace_period": ABOVE_ZERO}
                        )
                    ),
                    "url_path_prefix": STRING,
                    "allowed_agent_cache_ttl": FROM_ZERO,
                    "allowed_agent_cache_error_ttl": ABOVE_ZERO,
                    "websocket_token_secret_file": Field("string", since=(17, 7)),
                    # Not in 16.5, in the documentation of 18; since when is not known.
                    "extra_allowed_request_headers": Field("string", is_list=True, since=(17, 0)),
                    "extra_allowed_response_headers": Field("string", is_list=True, since=(17, 0)),
                },
            )
        ),
    },
)
OBSERVABILITY = Message(
    "ObservabilityCF",
    {
        "usage_reporting_period": FROM_ZERO,
        "listen": Field(
            Message("ObservabilityListenCF", {**LISTEN, "certificate_file": OPTIONAL_FILE, "key_file": OPTIONAL_FILE})
        ),
        "prometheus": Field(Message("PrometheusCF", PATH)),
        "tracing": Field(
            Message(
                "TracingCF",
                {
                    "otlp_endpoint": FILE,
                    "otlp_token_secret_file": OPTIONAL_FILE,
                    "otlp_ca_certificate_file": OPTIONAL_FILE,
                },
            )
        ),
        "sentry": Field(Message("SentryCF", {"dsn": STRING, "environment": STRING})),
        "logging": Field(Message("LoggingCF", {"level": ENUM, "grpc_level": ENUM})),
        "google_profiler": Field(
            Message(
                "GoogleProfilerCF",
                {"enabled": BOOL, "project_id": STRING, "credentials_file": STRING, "debug_logging": BOOL},
            )
        ),
        "liveness_probe": Field(Message("LivenessProbeCF", PATH)),
        "readiness_probe": Field(Message("ReadinessProbeCF", PATH)),
    },
)
REDIS = Message(
    "RedisCF",
    {
        "server": Field(Message("RedisServerCF", {"address": FILE})),
        "sentinel": Field(
            Message(
                "RedisSentinelCF",
                {
                    "master_name": FILE,
                    "addresses": Field("string", not_empty, is_list=True),
                    "sentinel_password_file": STRING,
                    "tls": Field(REDIS_TLS, since=(18, 8)),
                },
            )
        ),
        "pool_size": UINT,
        "dial_timeout": ABOVE_ZERO,
        "read_timeout": ABOVE_ZERO,
        "write_timeout": ABOVE_ZERO,
        "idle_timeout": ABOVE_ZERO,
        "key_prefix": STRING,
        "username": STRING,
        "password_file": STRING,
        "network": Field("string", one_of("", "tcp", "unix")),
        "tls": Field(REDIS_TLS),
    },
    oneof="redis_config",
    one_of=("server", "sentinel"),
)
LISTEN_API = Field(Message("ListenApiCF", API), is_required=True)
LISTEN_PRIVATE_API = Field(Message("ListenPrivateApiCF", {**API, "ca_certificate_file": STRING}), is_required=True)
# Rendered by the package since 18.4; the fields beside those that it renders are not known.
WORKSPACES = Message(
    "WorkspacesCF",
    {
        "enabled": BOOL,
        "listen": Field(
            Message("ListenWorkspacesCF", {**LISTEN, **PAIR, **GRACE, "shutdown_grace_period": ABOVE_ZERO})
        ),
    },
)
CONFIGURATION = Message(
    "ConfigurationFile",
    {
        "gitlab": Field(GITLAB, is_required=True),
        "agent": Field(AGENT),
        "observability": Field(OBSERVABILITY),
        "gitaly": Field(Message("GitalyCF", {"global_api_rate_limit": RATE, "per_server_api_rate_limit": RATE})),
        "redis": Field(REDIS, is_required=True),
        "api": Field(Message("ApiCF", {"listen": LISTEN_API}), is_required=True),
        "private_api": Field(Message("PrivateApiCF", {"listen": LISTEN_PRIVATE_API}), is_required=True),
        "config": Field(Message("ConfigCF", {"command": STRING}), since=(16, 8)),
        "workspaces": Field(WORKSPACES, since=(18, 4)),
    },
)

DEFAULTS: dict[str, Any] = {
    "agent": {
        "listen": {"network": "tcp", "address": "127.0.0.1:8150", "listen_grace_period": 5.0},
        "redis_conn_info_ttl": 300.0,
        "redis_conn_info_refresh": 240.0,
    },
    "observability": {
        "listen": {"network": "tcp", "address": "127.0.0.1:8151"},
        "logging": {"level": "info"},
        "prometheus": {"url_path": "/metrics"},
        "liveness_probe": {"url_path": "/liveness"},
        "readiness_probe": {"url_path": "/readiness"},
    },
    "redis": {"key_prefix": "gitlab-kas", "network": "tcp", "dial_timeout": 5.0},
    "api": {"listen": {"network": "tcp", "address": "127.0.0.1:8153", "listen_grace_period": 5.0}},
    "private_api": {"listen": {"network": "tcp", "address": "127.0.0.1:8155", "listen_grace_period": 5.0}},
}
# Only for a configuration that has the section; without it there is no such listener.
KUBERNETES_API_DEFAULTS: dict[str, Any] = {
    "listen": {"network": "tcp", "address": "0.0.0.0:8154", "listen_grace_period": 5.0},
    "url_path_prefix": "/",
}
