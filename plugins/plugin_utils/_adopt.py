# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the gitlab.rb of each node says to the inventory variables that describe it.

The way back of _deployment.py. What a variable says must lead to the line that is there already; what has none, or
holds a secret, is said line by line, and deploy leaves it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import ANYTHING, show
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import MASK
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    PrivateApiError,
    host_port,
    parse_url,
    unreachable_reason,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    ALLOWLIST,
    KAS_GROUP,
    OWN_PREFIX,
    PRIVATE_API_PORT,
    RAILS_GROUP,
    STANDALONE,
    VARIABLE_AS_IT_STANDS,
    Deployment,
    Host,
    Unread,
    is_allowlist,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import REDIS, VARIABLES, normalise

SECTIONS = (
    *("external_url", "gitlab_kas_external_url", "gitlab_kas", "gitlab_kas_nginx", "gitlab_rails", "roles", "user"),
    *(section for section in STANDALONE if section != "gitlab_rails"),
)
"""What is asked of gitlab_rb_info."""

# Decided below, each from several settings; and what the next run finds again by itself.
_APART = frozenset({"enable", "env", *SECRETS, *(f"redis_{option}" for option in REDIS)})
_SOCKETS = {"private_api": "private-api.socket", "internal_api": "internal-api.socket"}
_PREFIXES = {4: (24, 16, 8), 6: (64, 56, 48, 32)}  # of networks as people cut them
# What counts on a Rails node without KAS, too; the rest of a group is described by the hosts that run KAS.
_OF_RAILS = ("kas_external_url", "kas_internal_url", "kas_k8s_proxy_url", "kas_write_defaults")
_OF_ONE_NODE = ("kas_enabled", "kas_own_private_api_url")
_NOTHING = object()


@dataclass(frozen=True)
class Remark:
    """A line of a node's gitlab.rb that no variable says."""

    file: str
    line: int
    name: str
    why: str  # what follows the name in a sentence

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.name} {self.why}."


@dataclass
class Description:
    """The variables of one host, and what they do not say."""

    host: Host  # its info has what gitlab_rb_info says of gitlab.rb
    lines: Mapping[str, tuple[str, int]]  # file and line of each setting
    variables: dict[str, Any] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    own_url: str = ""  # as it stands there, until it is known what explains it

    def take(self, variable: str, *path: str) -> None:
        """Let a variable say what stands there, if it can."""
        found = self.host.setting(*path)
        if found is not None and not isinstance(found, Unread):
            self.say(variable, found, *path)

    def say(self, variable: str, value: Any, *path: str) -> None:
        """Let a variable say a value that stands there, if it can; else remark on the line."""
        values, wrong = normalise({variable: value})
        if MASK in str(value):
            self.remark("holds a secret, which stays here and is in no file of the inventory", *path)
        elif wrong or (isinstance(value, str) and values[variable] != value):
            self.remark(f"is nothing that {variable} takes, so it stays as it is", *path)
        elif values[variable] != VARIABLES[variable].default:
            self.variables[variable] = value

    def remark(self, why: str, *path: str) -> None:
        places = [self.lines[show(path[:size])] for size in range(len(path), 0, -1) if show(path[:size]) in self.lines]
        file, line = places[0] if places else (str(self.host.values["kas_gitlab_rb_path"]), 1)
        self.remarks.append(Remark(file, line, show(path), why))


def describe(hosts: Sequence[Host], gitlab_rbs: Mapping[str, Mapping[str, Any]]) -> dict[str, Description]:
    """The variables of each host, by its name. gitlab_rbs: what gitlab_rb_info returned of it."""
    found = {host.name: _begin(host, gitlab_rbs[host.name]) for host in hosts}
    for each in found.values():
        _describe(each)
    deployments: dict[str, list[Description]] = {}
    for each in found.values():
        deployments.setdefault(each.host.values["kas_deployment"], []).append(each)
    for members in deployments.values():
        _own_urls([each for each in members if _runs_kas(each)])
    return found


def _begin(host: Host, gitlab_rb: Mapping[str, Any]) -> Description:
    # To a variable a symbol is text, which is another value in Ruby.
    symbols = [{**each, "why": "is a symbol, or holds one"} for each in gitlab_rb["lines"] if each["symbols"]]
    unreadable = [*gitlab_rb["unreadable"], *symbols]
    places = {each["name"]: (each["file"], each["line"]) for each in [*gitlab_rb["lines"], *unreadable]}
    info = {
        **host.reported,
        "settings": _without(gitlab_rb["settings"], [each["path"] for each in symbols]),
        "unreadable": {each["name"]: f"line {each['line']}" for each in unreadable},
    }
    description = Description(replace(host, info=info), places)
    for each in unreadable:
        if _is_ours(each["path"]):
            name = "any setting" if each["name"] == ANYTHING else each["name"]
            description.remarks.append(Remark(each["file"], each["line"], name, f"{each['why']}, so it stays as it is"))
    return description


def _without(settings: Mapping[str, Any], paths: Sequence[Sequence[str]], at: tuple[str, ...] = ()) -> dict[str, Any]:
    kept = {key: value for key, value in settings.items() if [*at, key] not in [list(path) for path in paths]}
    return {
        key: _without(value, paths, (*at, key)) if isinstance(value, dict) else value for key, value in kept.items()
    }


def _is_ours(path: Sequence[str]) -> bool:
    """Whether a variable would be about it."""
    return (
        path[0] in (ANYTHING, "gitlab_kas", "gitlab_kas_external_url")
        or list(path) == ["gitlab_rails"]
        or (path[0] == "gitlab_rails" and str(path[1]).startswith("gitlab_kas_"))
        or (path[0] == "user" and path[-1] in ("username", "group"))
    )


def _describe(each: Description) -> None:
    host = each.host
    each.variables["kas_write_defaults"] = False
    runs_kas = _runs_kas(each)
    if runs_kas:
        _kas(each)
    elif KAS_GROUP in host.groups:
        each.variables["kas_enabled"] = False
    if not host.in_rails:
        return
    each.take("kas_internal_url", "gitlab_rails", "gitlab_kas_internal_url")
    each.take("kas_k8s_proxy_url", "gitlab_rails", "gitlab_kas_external_k8s_proxy_url")
    agents = host.setting("gitlab_rails", "gitlab_kas_external_url")
    if not runs_kas:
        each.take("kas_external_url", "gitlab_rails", "gitlab_kas_external_url")
    elif isinstance(agents, str) and agents != each.variables.get("kas_external_url"):
        why = "has no variable where KAS runs on the node itself, so it stays as it is"
        each.remark(why, "gitlab_rails", "gitlab_kas_external_url")


def _runs_kas(each: Description) -> bool:
    """Whether KAS is on there: as gitlab.rb says, else as the last reconfigure made it."""
    host = each.host
    if KAS_GROUP not in host.groups:
        return False
    found = host.setting("gitlab_kas", "enable")
    if found is None or isinstance(found, Unread):
        return bool(host.reported.get("enabled")) or not host.is_configured
    return bool(found)


def _kas(each: Description) -> None:
    host = each.host
    if not host.in_rails and _is_standalone(host):
        each.variables["kas_standalone"] = True
    each.take("kas_external_url", "gitlab_kas_external_url")
    sockets = _sockets(each)
    section = host.setting("gitlab_kas")
    for key, value in section.items() if isinstance(section, Mapping) else ():
        if key in _APART or key in sockets or value is None:
            continue
        if key == "extra_config_command" and is_allowlist(value):
            headers = value[len(ALLOWLIST) :].strip("[]}").split(", ")
            each.say("kas_extra_allowed_response_headers", headers, "gitlab_kas", key)
        elif key in VARIABLE_AS_IT_STANDS:
            each.say(VARIABLE_AS_IT_STANDS[key], value, "gitlab_kas", key)
        else:
            _part(each, "kas_settings", key, value, "gitlab_kas", key)
    _redis(each)
    _environment(each)


def _part(each: Description, variable: str, name: str, value: Any, *path: str) -> None:
    """Let one name of a mapping say what stands there."""
    if MASK in str(value):
        each.remark("holds a secret, which stays here and is in no file of the inventory", *path)
        return
    _values, wrong = normalise({variable: {name: value}})
    if wrong:
        each.remark(f"is nothing that {variable} takes, so it stays as it is", *path)
    else:
        each.variables.setdefault(variable, {})[name] = value


def _is_standalone(host: Host) -> bool:
    settings = ((section, key, value) for section, keys in STANDALONE.items() for key, value in keys.items())
    return all(host.setting(section, key) is value for section, key, value in settings)


def _sockets(each: Description) -> list[str]:
    """The keys of the two listeners, if both are sockets as kas_unix_sockets makes them; else none."""
    host, directories = each.host, set()
    for api, name in _SOCKETS.items():
        network, address = (host.setting("gitlab_kas", f"{api}_listen_{part}") for part in ("network", "address"))
        is_one = network == "unix" and isinstance(address, str) and address.endswith(f"/{name}")
        directories.add(address[: -len(name) - 1] if is_one else "")
    directory = directories.pop()
    if directories or not directory:
        return []
    each.variables["kas_unix_sockets"] = True
    if directory != VARIABLES["kas_socket_dir"].default:
        each.variables["kas_socket_dir"] = directory
    return [f"{api}_listen_{part}" for api in _SOCKETS for part in ("network", "address")]


def _redis(each: Description) -> None:
    """All that is there, or nothing: of a Redis that is named, deploy removes what is not said."""
    host = each.host
    paths = {option: ("gitlab_kas", f"redis_{option}") for option in REDIS}
    found = {option: host.setting(*path) for option, path in paths.items()}
    found = {option: value for option, value in found.items() if value is not None and value != []}
    secrets = [option for option, value in found.items() if MASK in str(value)]
    computed = [option for option in found if option.endswith("password") and isinstance(found[option], Unread)]
    plain = {option: value for option, value in found.items() if option not in [*secrets, *computed]}
    for option in secrets:
        each.remark("holds a secret, which stays here and is in no file of the inventory", *paths[option])
    if not plain:
        return
    unread = next((value for value in plain.values() if isinstance(value, Unread)), None)
    not_said = [option for option in secrets if not option.endswith("password")]
    _values, wrong = normalise({"kas_redis": {option: value for option, value in plain.items() if value != ""}})
    if unread or not_said or wrong:
        why = f"because of {unread.name}" if unread else "since kas_redis cannot say all of it"
        for option in plain:
            each.remark(f"stays as it is, {why}", *paths[option])
    else:
        each.variables["kas_redis"] = plain


def _environment(each: Description) -> None:
    host = each.host
    environment = host.setting("gitlab_kas", "env")
    for name, value in environment.items() if isinstance(environment, Mapping) else ():
        if not name.startswith(OWN_PREFIX):
            if isinstance(value, str):
                _part(each, "kas_env", name, value, "gitlab_kas", "env", name)
            else:
                each.remark("is no text, so it stays as it is", "gitlab_kas", "env", name)
    own = {name: host.setting("gitlab_kas", "env", OWN_PREFIX + name) for name in ("URL", "CIDR", "PORT", "SCHEME")}
    each.take("kas_own_private_api_host", "gitlab_kas", "env", f"{OWN_PREFIX}HOST")
    if each.variables.get("kas_unix_sockets") or any(isinstance(value, Unread) and value for value in own.values()):
        return
    if isinstance(own["URL"], str) and own["URL"]:
        each.own_url = own["URL"]
    elif isinstance(own["CIDR"], str) and own["CIDR"]:
        each.variables["kas_own_private_api_discovery"] = "cidr"
        networks = [network.strip() for network in own["CIDR"].split(",")]
        each.say("kas_own_private_api_cidr", networks, "gitlab_kas", "env", f"{OWN_PREFIX}CIDR")
        port = own["PORT"]
        if isinstance(port, str) and port.isdecimal():
            each.say("kas_own_private_api_port", int(port), "gitlab_kas", "env", f"{OWN_PREFIX}PORT")
        if own["SCHEME"] == "grpcs" and "kas_private_api_certificate" not in each.variables:
            each.variables["kas_own_private_api_scheme"] = "grpcs"


def _own_urls(described: Sequence[Description]) -> None:
    """One network for the URLs of all nodes, where that leads to each of them; else each its own."""
    several = len(described) > 1
    given = [each for each in described if each.own_url]
    for each in described:
        without = not (each.own_url or each.variables.get("kas_own_private_api_discovery"))
        listener = host_port(str(each.variables.get("kas_private_api_listen_address", "")))
        if several and without and listener and not listener.is_wildcard:
            each.variables["kas_own_private_api_discovery"] = "listener"
    if not several and given and _leads_nowhere(given[0].own_url):
        return  # the package's default of a KAS alone, which deploy leaves alone, too
    for network in _networks([(each.host, each.own_url) for each in given]):
        found = [_with_network(each, network) for each in given]
        if all(found):
            for each, variables in zip(given, found):
                each.variables.update(variables)
            return
    for each in given:
        each.say("kas_own_private_api_url", each.own_url, "gitlab_kas", "env", f"{OWN_PREFIX}URL")


def _leads_nowhere(url: str) -> bool:
    try:
        return unreachable_reason(url) is not None
    except PrivateApiError:
        return False


def _networks(nodes: Sequence[tuple[Host, str]]) -> Iterator[str]:
    """Networks in which each of these nodes has one address, that of its URL; the smallest usual one first."""
    try:
        addresses = [ip_address(parse_url(url).host) for _host, url in nodes]
    except (ValueError, PrivateApiError):  # a name, or nothing that leads anywhere
        return
    versions = {address.version for address in addresses}
    if len(versions) != 1:
        return
    prefixes = _PREFIXES[versions.pop()]
    smallest = next(
        (size for size in range(addresses[0].max_prefixlen, -1, -1) if _hold(addresses, f"{addresses[0]}/{size}")), 0
    )
    for size in (*prefixes, smallest):
        network = ip_network(f"{addresses[0]}/{size}", strict=False)
        if _hold(addresses, str(network)) and size and not network.is_loopback:
            yield str(network)


def _hold(addresses: Sequence[Any], network: str) -> bool:
    return all(address in ip_network(network, strict=False) for address in addresses)


def _with_network(each: Description, network: str) -> dict[str, Any]:
    """The variables that lead to a node's own URL by a network; empty if none do."""
    endpoint = parse_url(each.own_url)
    variables: dict[str, Any] = {"kas_own_private_api_cidr": network}
    listener = host_port(str(each.variables.get("kas_private_api_listen_address", "")))
    if endpoint.port != (listener.port if listener else PRIVATE_API_PORT):
        variables["kas_own_private_api_port"] = endpoint.port
    has_tls = "kas_private_api_certificate" in each.variables
    if endpoint.scheme != ("grpcs" if has_tls else "grpc"):
        variables["kas_own_private_api_scheme"] = endpoint.scheme
    values, _wrong = normalise({**each.variables, **variables})
    host = replace(each.host, values={**each.host.values, **values})
    # As if there were others: the URL of a KAS alone may be another.
    return variables if Deployment([host]).urls.get(host.name) == [each.own_url] else {}


# -- Which file says what --


def files(described: Mapping[str, Description]) -> dict[str, dict[str, Any]]:
    """The variables of each file: what all hosts of a group share is said once, the rest of each host alone."""
    left = {name: dict(each.variables) for name, each in described.items()}
    made: dict[str, dict[str, Any]] = {}
    for group in (KAS_GROUP, RAILS_GROUP):
        members = [each for each in described.values() if group in each.host.groups]
        running = [each for each in members if _runs_kas(each)] or members
        for variable in VARIABLES:
            counting = members if group == RAILS_GROUP or variable in _OF_RAILS else running
            values = [each.variables.get(variable, _NOTHING) for each in counting]
            is_shared = bool(values) and values[0] is not _NOTHING and all(value == values[0] for value in values)
            needed = any(variable in left[each.host.name] for each in counting)
            if is_shared and needed and variable not in _OF_ONE_NODE:
                made.setdefault(f"group_vars/{group}.yml", {})[variable] = values[0]
                for each in counting:
                    left[each.host.name].pop(variable, None)
    for name, variables in left.items():
        ordered = {variable: variables[variable] for variable in VARIABLES if variable in variables}
        if ordered:
            made[f"host_vars/{name}.yml"] = ordered
    return made
