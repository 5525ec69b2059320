# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public variables kas_*: their types and defaults, and one host's variables brought to those types.

A survey, an environment or an extra variable may hand over every value as text: 'false', '8155',
'10.0.0.0/8,fd00::/8', '{"host": "redis.example.com"}'. Such text becomes what it says. Anything else of a
wrong type is a sentence; nothing is turned silently into text, as Ansible itself would do with a mapping.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import APIS, default_paths
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import host_port

# What a role's argument_specs.yml calls the type of each kind. 'flag' is a boolean that may stay unset.
SPEC_TYPES = {
    "authorities": "list",
    "batch": "str",
    "boolean": "bool",
    "choice": "str",
    "days": "int",
    "flag": "bool",
    "list": "list",
    "listener": "str",
    "mapping": "dict",
    "path": "str",
    "port": "int",
    "redis": "dict",
    "release": "str",
    "seconds": "int",
    "sentinels": "list",
    "text": "str",
    "url": "str",
}

TCP_NETWORKS = ("tcp", "tcp4", "tcp6")
NETWORKS = (*TCP_NETWORKS, "unix")
SENTINEL_PORT = 26379


class Variable(NamedTuple):
    """What a variable takes, and the key of gitlab_kas that it becomes where it becomes one as it stands."""

    kind: str
    default: Any = ""  # '' means: not set, the package decides
    key: str = ""
    choices: tuple[str, ...] = ()  # of a choice; of a URL its schemes
    secret: bool = False


VARIABLES: dict[str, Variable] = {
    "kas_state": Variable("choice", "present", choices=("present", "absent")),
    "kas_deployment": Variable("text"),
    "kas_enabled": Variable("boolean", True),
    "kas_standalone": Variable("boolean", False),
    "kas_unix_sockets": Variable("boolean", False),
    "kas_socket_dir": Variable("path", "/var/opt/gitlab/gitlab-kas/sockets"),
    "kas_user": Variable("text", "git"),
    # addresses that others use
    "kas_external_url": Variable("url", choices=("wss", "ws", "grpcs", "grpc")),
    "kas_internal_url": Variable("url", choices=("grpc", "grpcs", "unix")),
    "kas_k8s_proxy_url": Variable("url", choices=("http", "https")),
    "kas_gitlab_address": Variable("url", choices=("http", "https")),
    "kas_cookie_check": Variable("choice", "warn", choices=("error", "warn", "ignore")),
    # how a KAS names itself to the others
    "kas_own_private_api_discovery": Variable("choice", "url", choices=("url", "cidr", "listener")),
    "kas_own_private_api_url": Variable("url", choices=("grpc", "grpcs")),
    "kas_own_private_api_cidr": Variable("list", []),
    "kas_own_private_api_port": Variable("port"),
    "kas_own_private_api_scheme": Variable("choice", choices=("", "grpc", "grpcs")),
    "kas_own_private_api_host": Variable("text"),
    "kas_own_private_api_query": Variable("text"),
    # listeners
    "kas_private_api_listen_address": Variable("listener"),
    "kas_private_api_listen_network": Variable("choice", choices=("", *NETWORKS)),
    "kas_private_api_certificate": Variable("path"),
    "kas_private_api_key": Variable("path"),
    "kas_internal_api_listen_address": Variable("listener"),
    "kas_internal_api_listen_network": Variable("choice", key="internal_api_listen_network", choices=("", *NETWORKS)),
    "kas_internal_api_certificate": Variable("path", key="internal_api_certificate_file"),
    "kas_internal_api_key": Variable("path", key="internal_api_key_file"),
    "kas_listen_address": Variable("listener", key="listen_address"),
    # The package's nginx reaches the agents' listener over TCP only.
    "kas_listen_network": Variable("choice", key="listen_network", choices=("", *TCP_NETWORKS)),
    "kas_listen_websocket": Variable("flag", key="listen_websocket"),
    "kas_certificate": Variable("path", key="certificate_file"),
    "kas_key": Variable("path", key="key_file"),
    "kas_kubernetes_api_listen_address": Variable("listener", key="kubernetes_api_listen_address"),
    "kas_kubernetes_api_certificate": Variable("path", key="kubernetes_api_certificate_file"),
    "kas_kubernetes_api_key": Variable("path", key="kubernetes_api_key_file"),
    "kas_observability_listen_address": Variable("listener", key="observability_listen_address"),
    "kas_observability_listen_network": Variable(
        "choice", key="observability_listen_network", choices=("", *TCP_NETWORKS)
    ),
    # everything else in gitlab.rb
    "kas_log_level": Variable("choice", key="log_level", choices=("", "debug", "info", "warn", "error")),
    "kas_grpc_log_level": Variable("choice", key="grpc_log_level", choices=("", "debug", "info", "warn", "error")),
    "kas_sentry_dsn": Variable("text", key="sentry_dsn", secret=True),
    "kas_sentry_environment": Variable("text", key="sentry_environment"),
    "kas_extra_config_command": Variable("text", key="extra_config_command"),
    "kas_extra_allowed_response_headers": Variable("list", []),
    "kas_redis": Variable("redis", {}, secret=True),
    "kas_env": Variable("mapping", {}, secret=True),
    "kas_settings": Variable("mapping", {}, secret=True),
    "kas_secrets_values": Variable("mapping", {}, secret=True),
    # where certificates come from that are not on the node yet
    **{
        f"{variable}_{part}_{source}": Variable("text", secret=(part, source) == ("key", "content"))
        for variable in APIS.values()
        for part in ("certificate", "key")
        for source in ("src", "content")
    },
    "kas_ca_certificates": Variable("authorities", []),
    "kas_certificate_min_valid_days": Variable("days", 30),
    # how the work is done
    "kas_target_version": Variable("release"),
    "kas_serial": Variable("batch", "1"),
    "kas_gitlab_rb_path": Variable("path", "/etc/gitlab/gitlab.rb"),
    "kas_gitlab_rb_backup": Variable("boolean", False),
    "kas_reconfigure_timeout_s": Variable("seconds", 3600),
    "kas_ready_timeout_s": Variable("seconds", 120),
    "kas_probe_call": Variable("boolean", True),
    "kas_probe_timeout_s": Variable("seconds", 5),
}

# Options of kas_redis; each becomes the key of gitlab_kas with redis_ before it.
REDIS: dict[str, Variable] = {
    "host": Variable("text"),
    "port": Variable("port"),
    "socket": Variable("path"),
    "username": Variable("text"),
    "password": Variable("text", secret=True),
    "ssl": Variable("flag"),
    "tls_ca_cert_file": Variable("path"),
    "tls_client_cert_file": Variable("path"),
    "tls_client_key_file": Variable("path"),
    "sentinels": Variable("sentinels", [], secret=True),
    "sentinels_master_name": Variable("text"),
    "sentinels_password": Variable("text", secret=True),
    "sentinels_ssl": Variable("flag"),
    "sentinels_tls_ca_cert_file": Variable("path"),
    "sentinels_tls_client_cert_file": Variable("path"),
    "sentinels_tls_client_key_file": Variable("path"),
}

# Those that are files; KAS reads them only when it starts.
REDIS_FILES = tuple(option for option in REDIS if option.endswith("_file"))

_SENTINEL: dict[str, Variable] = {
    "host": Variable("text"),
    "port": Variable("port", SENTINEL_PORT),
}

_AUTHORITY: dict[str, Variable] = {
    "name": Variable("text"),
    "src": Variable("text"),
    "content": Variable("text"),
}

_TRUE = {"true", "yes", "on", "1", "y", "t"}
_FALSE = {"false", "no", "off", "0", "n", "f"}
_USER_INFO = re.compile(r"//[^/@]*@")
_RELEASE = re.compile(r"\d+\.\d+\.\d+([-+][\w.+-]*)?")
_SHOWN_CHARACTERS = 80

Load = Callable[[str], object]


class WrongValue(Exception):
    """A value that a variable cannot take; the text is what follows the host's name in a sentence."""


def normalise(host: str, given: Mapping[str, object], load: Load = json.loads) -> tuple[dict[str, Any], list[str]]:
    """Bring the variables of one host to their types.

    given may hold further variables; they are left out. load reads a mapping or list from text (JSON, or YAML
    where a parser is handed in) and may raise anything. Returns every variable, defaults filled in, also the path
    of a certificate of which only the source is given; and a sentence for each value that cannot be what its
    variable takes; such a variable keeps its default.
    """
    values: dict[str, Any] = {}
    sentences = []
    for name, variable in VARIABLES.items():
        try:
            values[name] = convert(name, variable, given.get(name), load)
        except WrongValue as wrong:
            values[name] = variable.default
            sentences.append(f"{host}: {wrong}")
    values.update(default_paths(values))
    return values, sentences


def shown(value: object) -> str:
    """A value for a sentence; a mapping or list is named, not shown, and a URL's user and password are hidden."""
    if isinstance(value, str):
        text = _USER_INFO.sub("//***@", str(value))
        if len(text) > _SHOWN_CHARACTERS:
            text = text[:_SHOWN_CHARACTERS] + "…"
        return f"'{text}'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return _kind_of(value)


def _kind_of(value: object) -> str:
    if value is None:
        return "not set"
    kinds = ((str, "text"), (bool, "a boolean"), ((int, float), "a number"), (Mapping, "a mapping"))
    for kind, name in (*kinds, ((list, tuple), "a list")):
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"


def convert(name: str, variable: Variable, value: object, load: Load) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return variable.default
    return _CONVERTERS[variable.kind](name, variable, value, load)


def _wrong(name: str, variable: Variable, value: object, remedy: str) -> WrongValue:
    return WrongValue(f"{name} is {_kind_of(value) if variable.secret else shown(value)}; {remedy}.")


def _boolean(name: str, variable: Variable, value: object, load: Load) -> bool:
    word = str(value).strip().lower() if isinstance(value, (str, bool, int)) else ""
    if word not in _TRUE | _FALSE:
        raise _wrong(name, variable, value, "set true or false")
    return word in _TRUE


def _text(name: str, variable: Variable, value: object, load: Load) -> str:
    if not isinstance(value, str):
        raise _wrong(name, variable, value, "set text (a number or boolean in quotes)")
    return str(value)


def _choice(name: str, variable: Variable, value: object, load: Load) -> str:
    if value not in variable.choices:
        raise _wrong(name, variable, value, f"set {_either(variable.choices)}")
    return str(value)


def _number(name: str, variable: Variable, value: Any, limits: range, remedy: str) -> int:
    number = -1
    is_digits = isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value)
    if is_digits or (isinstance(value, int) and not isinstance(value, bool)):
        number = int(value)
    if number not in limits:
        raise _wrong(name, variable, value, remedy)
    return number


def _port(name: str, variable: Variable, value: object, load: Load) -> int:
    return _number(name, variable, value, range(1, 65536), "set a port from 1 to 65535")


def _seconds(name: str, variable: Variable, value: object, load: Load) -> int:
    return _number(name, variable, value, range(1, 86401), "set whole seconds from 1 to 86400")


def _days(name: str, variable: Variable, value: object, load: Load) -> int:
    return _number(name, variable, value, range(36501), "set whole days from 0 to 36500")


def _batch(name: str, variable: Variable, value: object, load: Load) -> str:
    if isinstance(value, bool) or not re.fullmatch(r"\s*[1-9][0-9]{0,4}%?\s*", str(value)):
        raise _wrong(name, variable, value, "set a number of nodes from 1 on, or a percentage such as 25%")
    return str(value).strip()


def _release(name: str, variable: Variable, value: object, load: Load) -> str:
    if not isinstance(value, str) or not _RELEASE.fullmatch(value.strip()):
        raise _wrong(name, variable, value, "set a release of GitLab with all three numbers, such as '19.3.0'")
    return str(value).strip()


def _path(name: str, variable: Variable, value: object, load: Load) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise _wrong(name, variable, value, "set an absolute path on the node")
    return str(value)


def _listener(name: str, variable: Variable, value: object, load: Load) -> str:
    if isinstance(value, str):
        text = str(value).strip()
        if text.startswith("/") or host_port(text):
            return text
    raise _wrong(
        name, variable, value, "set ADDRESS:PORT (IPv6 in brackets), or a socket's absolute path with network unix"
    )


def _url(name: str, variable: Variable, value: object, load: Load) -> str:
    example = f"such as {variable.choices[0]}://HOST"
    if not isinstance(value, str):
        raise _wrong(name, variable, value, f"set one URL, {example}")
    text = str(value).strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _wrong(name, variable, value, f"set a valid URL, {example}") from None
    if not text.startswith(tuple(f"{scheme}:" for scheme in variable.choices)):
        raise _wrong(name, variable, value, f"set a URL whose scheme is {_either(variable.choices)}")
    if parts.scheme == "unix":
        if not re.fullmatch(r"unix:///\S+", text):
            raise _wrong(name, variable, value, "set the path of a socket with three slashes, unix:///PATH")
        return text
    if not host or port == 0 or parts.netloc.endswith(":") or re.search(r"\s", text):
        raise _wrong(name, variable, value, f"set a valid URL, {example}")
    if parts.username is not None or parts.query or parts.fragment:
        raise _wrong(name, variable, value, "set a URL without user, query and fragment")
    return text


def _list(name: str, variable: Variable, value: object, load: Load) -> list[str]:
    if isinstance(value, str):
        loaded = _load(value, load) if value.lstrip().startswith("[") else value.split(",")
    else:
        loaded = value
    if not isinstance(loaded, (list, tuple)) or not all(isinstance(item, str) for item in loaded):
        raise _wrong(name, variable, value, "set a list of texts, or one text with commas")
    return [str(item).strip() for item in loaded if item.strip()]


def _mapping(name: str, variable: Variable, value: object, load: Load) -> dict[str, Any]:
    loaded = _load(value, load) if isinstance(value, str) else value
    if not isinstance(loaded, Mapping) or not all(isinstance(key, str) for key in loaded):
        raise _wrong(name, variable, value, "set a mapping whose names are text")
    return {str(key): item for key, item in loaded.items()}


def _options(
    name: str, variable: Variable, value: object, load: Load, options: Mapping[str, Variable]
) -> dict[str, Any]:
    """Convert a mapping whose keys are known; only those that are set remain, and those with a default."""
    mapping = _mapping(name, variable, value, load)
    for key in mapping:
        if key not in options:
            raise _wrong(f"{name}.{key}", variable, mapping[key], f"{name} takes only {', '.join(options)}")
    converted = {key: convert(f"{name}.{key}", option, mapping.get(key), load) for key, option in options.items()}
    return {key: item for key, item in converted.items() if item not in ("", [])}


def _redis(name: str, variable: Variable, value: object, load: Load) -> dict[str, Any]:
    return _options(name, variable, value, load, REDIS)


def _sentinels(name: str, variable: Variable, value: object, load: Load) -> list[dict[str, Any]]:
    """Sentinels as {host, port}; the package gives one without a port Redis's 6379, so the port is always there."""
    loaded = _load(value, load) if isinstance(value, str) else value
    if not isinstance(loaded, (list, tuple)):
        raise _wrong(name, variable, value, "set a list of mappings with host and port")
    sentinels = [_options(f"{name}[{i}]", variable, item, load, _SENTINEL) for i, item in enumerate(loaded)]
    for i, sentinel in enumerate(sentinels):
        if "host" not in sentinel:
            raise _wrong(f"{name}[{i}].host", variable, None, "set the name or address of a Sentinel")
    return sentinels


def _authorities(name: str, variable: Variable, value: object, load: Load) -> list[dict[str, Any]]:
    loaded = _load(value, load) if isinstance(value, str) else value
    if not isinstance(loaded, (list, tuple)):
        raise _wrong(name, variable, value, "set a list of mappings with name, and src or content")
    return [_options(f"{name}[{i}]", variable, item, load, _AUTHORITY) for i, item in enumerate(loaded)]


def _load(text: str, load: Load) -> object:
    try:
        return load(text)
    except Exception:  # whatever the parser that was handed in raises: it is not a mapping or list
        return None


def _either(words: tuple[str, ...]) -> str:
    """'a', 'a or b', 'a, b or c'; an empty word, which means not set, is left out."""
    words = tuple(word for word in words if word)
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


_CONVERTERS: dict[str, Callable[[str, Variable, object, Load], Any]] = {
    "batch": _batch,
    "authorities": _authorities,
    "boolean": _boolean,
    "choice": _choice,
    "days": _days,
    "flag": _boolean,
    "list": _list,
    "listener": _listener,
    "mapping": _mapping,
    "path": _path,
    "port": _port,
    "redis": _redis,
    "release": _release,
    "seconds": _seconds,
    "sentinels": _sentinels,
    "text": _text,
    "url": _url,
}
