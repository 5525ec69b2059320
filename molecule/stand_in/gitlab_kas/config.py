"""The configuration file: what KAS accepts in it, and the secrets it points to.

KAS reads its YAML as a protobuf message, so a field that it does not know, or a value of another type, ends it;
null is the same as absent. The fields are those of kascfg.proto.
"""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from gitlab_kas.errors import KasError

DURATION, TEXT, FLAG, COUNT, NUMBER = "duration", "string", "bool", "uint32", "double"
NETWORK = ("tcp", "tcp4", "tcp6", "unix")
LEVEL = ("info", "debug", "warn", "error")
PYTHON: dict[str, tuple[type, ...]] = {
    DURATION: (str,),
    TEXT: (str,),
    FLAG: (bool,),
    COUNT: (int,),
    NUMBER: (int, float),
}

LISTEN = {"network": NETWORK, "address": TEXT}
TLS = {"certificate_file": TEXT, "key_file": TEXT}
API = {
    **LISTEN,
    **TLS,
    "authentication_secret_file": TEXT,
    "ca_certificate_file": TEXT,
    "max_connection_age": DURATION,
    "listen_grace_period": DURATION,
}
RATE = {"refill_rate_per_second": NUMBER, "bucket_size": COUNT}
REDIS_TLS = {**TLS, "enabled": FLAG, "ca_certificate_file": TEXT}
SCHEMA: dict[str, Any] = {
    "gitlab": {
        "address": TEXT,
        "external_url": TEXT,
        "authentication_secret_file": TEXT,
        "ca_certificate_file": TEXT,
        "api_rate_limit": RATE,
    },
    "agent": {
        "listen": {
            **LISTEN,
            **TLS,
            "websocket": FLAG,
            "connections_per_token_per_minute": COUNT,
            "max_connection_age": DURATION,
            "listen_grace_period": DURATION,
        },
        "configuration": {"poll_period": DURATION, "max_configuration_file_size": COUNT},
        "kubernetes_api": {
            "listen": {**LISTEN, **TLS, "listen_grace_period": DURATION, "shutdown_grace_period": DURATION},
            "url_path_prefix": TEXT,
            "allowed_agent_cache_ttl": DURATION,
            "allowed_agent_cache_error_ttl": DURATION,
            "websocket_token_secret_file": TEXT,
            "extra_allowed_request_headers": [TEXT],
            "extra_allowed_response_headers": [TEXT],
        },
        "info_cache_ttl": DURATION,
        "info_cache_error_ttl": DURATION,
        "redis_conn_info_ttl": DURATION,
        "redis_conn_info_refresh": DURATION,
        "redis_conn_info_gc": DURATION,
    },
    "observability": {
        "usage_reporting_period": DURATION,
        "listen": {**LISTEN, **TLS},
        "prometheus": {"url_path": TEXT},
        "sentry": {"dsn": TEXT, "environment": TEXT},
        "logging": {"level": LEVEL, "grpc_level": LEVEL},
        "liveness_probe": {"url_path": TEXT},
        "readiness_probe": {"url_path": TEXT},
    },
    "gitaly": {"global_api_rate_limit": RATE, "per_server_api_rate_limit": RATE},
    "redis": {
        "server": {"address": TEXT},
        "sentinel": {"master_name": TEXT, "addresses": [TEXT], "sentinel_password_file": TEXT, "tls": REDIS_TLS},
        "dial_timeout": DURATION,
        "write_timeout": DURATION,
        "key_prefix": TEXT,
        "username": TEXT,
        "password_file": TEXT,
        "network": TEXT,
        "tls": REDIS_TLS,
    },
    "api": {"listen": API},
    "private_api": {"listen": API},
    "config": {"command": TEXT},
}
GITOPS = {"poll_period": DURATION, "project_info_cache_ttl": DURATION, "project_info_cache_error_ttl": DURATION}
WORKSPACES = {
    "enabled": FLAG,
    "listen": {**LISTEN, "listen_grace_period": DURATION, "shutdown_grace_period": DURATION},
}
REQUIRED = (
    ("gitlab", "address"),
    ("gitlab", "authentication_secret_file"),
    ("api", "listen", "authentication_secret_file"),
    ("private_api", "listen", "authentication_secret_file"),
)
DEFAULTS: dict[str, Any] = {
    "agent": {
        "listen": {"network": "tcp", "address": "127.0.0.1:8150"},
        "kubernetes_api": {"listen": {"network": "tcp", "address": "0.0.0.0:8154"}},
    },
    "observability": {
        "listen": {"network": "tcp", "address": "127.0.0.1:8151"},
        "logging": {"level": "info"},
        "prometheus": {"url_path": "/metrics"},
        "liveness_probe": {"url_path": "/liveness"},
        "readiness_probe": {"url_path": "/readiness"},
    },
    "redis": {"key_prefix": "gitlab-kas", "network": "tcp", "tls": {"enabled": False}},
    "api": {"listen": {"network": "tcp", "address": "127.0.0.1:8153"}},
    "private_api": {"listen": {"network": "tcp", "address": "127.0.0.1:8155"}},
}


def load(path: str, version: tuple[int, ...]) -> dict[str, Any]:
    """The configuration with KAS's defaults under it; raises KasError."""
    schema = SCHEMA
    if version < (18, 0):  # GitOps left with 18.0
        schema = {**SCHEMA, "agent": {**SCHEMA["agent"], "gitops": GITOPS}}
    if version >= (18, 4):
        schema = {**SCHEMA, "workspaces": WORKSPACES}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise KasError(f"configuration file: open {path}: {reason(error)}") from None
    given = parse(text, schema)
    command = given.get("config", {}).get("command")
    if command:  # what the command prints is merged over the file
        printed = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if printed.returncode:
            raise KasError(f"configuration command {command!r}: exit status {printed.returncode}")
        given = merge(given, parse(printed.stdout, schema))
    for names in REQUIRED:
        if not value_at(given, names):
            raise KasError(f"kascfg.Validate: invalid ConfigurationFile.{'.'.join(names)}: value is required")
    redis = given.get("redis", {})
    if ("server" in redis) == ("sentinel" in redis):
        raise KasError("kascfg.Validate: invalid RedisCF.RedisConfig: value is required")
    if "sentinel" in redis and not (redis["sentinel"].get("master_name") and redis["sentinel"].get("addresses")):
        raise KasError("kascfg.Validate: invalid RedisSentinelCF: master_name and addresses are required")
    return merge(DEFAULTS, given)


def parse(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """YAML text as a message of the schema, nulls left out; raises KasError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KasError("YAMLToJSON: yaml: " + " ".join(str(error).split())) from None
    return check(document or {}, schema, "")


def check(value: Any, schema: Any, name: str) -> Any:
    """The value if the schema allows it; raises KasError as protojson words it."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            raise invalid("message", name, value)
        unknown = [key for key in value if key not in schema]
        if unknown:
            raise KasError(f'protojson.Unmarshal: proto: (line 1:1): unknown field "{unknown[0]}"')
        return {key: check(item, schema[key], key) for key, item in value.items() if item is not None}
    if isinstance(schema, list):
        if not isinstance(value, list):
            raise invalid("repeated", name, value)
        return [check(item, schema[0], name) for item in value]
    if isinstance(schema, tuple):
        kind, fine = "enum", value in schema
    else:
        kind, fine = schema, type(value) in PYTHON[schema]
    if kind == DURATION and fine:
        fine = value.endswith("s") and value[:-1].replace(".", "", 1).isdigit()
    if not fine:
        raise invalid(kind, name, value)
    return value


def invalid(kind: str, name: str, value: object) -> KasError:
    return KasError(
        f"protojson.Unmarshal: proto: (line 1:1): invalid value for {kind} field {name}: {json.dumps(value)}"
    )


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, key by key."""
    result = dict(base)
    for key, item in over.items():
        both = isinstance(item, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], item) if both else item
    return result


def value_at(tree: dict[str, Any], names: tuple[str, ...]) -> Any:
    node: Any = tree
    for name in names:
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return node


def load_secret(path: str, size: int, what: str) -> bytes:
    """A Base64 secret of exactly `size` bytes; raises KasError that does not show it."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise KasError(f"{what}: open {path}: {reason(error)}") from None
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise KasError(f"{what}: {path}: illegal base64 data") from None
    if len(secret) != size:
        raise KasError(f"{what}: decoding: expecting {size} bytes, was {len(secret)}")
    return secret


def reason(error: OSError) -> str:
    """The system's words for an error, in small letters as Go writes them."""
    return (error.strerror or str(error)).lower()
