# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole deployment: its hosts, what follows from them together, and what each node's gitlab.rb should say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import merged
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import show, unreadable_as
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    HostPort,
    PrivateApiError,
    host_port,
    ip_version,
    own_private_api_url,
    own_private_api_urls,
    parse_url,
    unreachable_reason,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import (
    SECRETS,
    SECRETS_JSON,
    Choice,
    Found,
    Node,
    Random,
    choose,
    problem,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import (
    ENVIRONMENT,
    KEYS,
    SEVERAL_URLS_SINCE,
    WANTS_URL,
    Release,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import REDIS, is_set, shown

KAS_GROUP = "gitlab_kas"
RAILS_GROUP = "gitlab_rails"
GROUPS = (KAS_GROUP, RAILS_GROUP)

PRIVATE_API_PORT = 8155
INTERNAL_API_PORT = 8153
AGENT_PATH = "/-/kubernetes-agent/"
_DEFAULT_PORTS = {"http": 80, "https": 443}

OWN_PREFIX = "OWN_PRIVATE_API_"
OWN_NAMES = ("URL", "CIDR", "PORT", "SCHEME", "HOST")

# Where KAS listens; the first three take no UNIX socket.
TCP_ADDRESSES = ("kas_listen_address", "kas_kubernetes_api_listen_address", "kas_observability_listen_address")
LISTEN_ADDRESSES = (*TCP_ADDRESSES, "kas_private_api_listen_address", "kas_internal_api_listen_address")

# The package's user and group, and the settings of gitlab.rb that a variable of ours stands for.
ACCOUNT = "git"
ACCOUNT_KEYS = {"kas_user": "username", "kas_group": "group"}

# With any of these set, the private API is described by variables, and nothing else may remain of it.
PRIVATE_API_VARIABLES = (
    "kas_own_private_api_url",
    "kas_own_private_api_cidr",
    "kas_own_private_api_port",
    "kas_own_private_api_scheme",
    "kas_own_private_api_host",
    "kas_private_api_listen_address",
    "kas_private_api_listen_network",
    "kas_private_api_certificate",
    "kas_private_api_key",
)

# What the names in a host's own URL follow from.
PUBLISHED_BY = ("kas_state", "kas_enabled", "kas_own_private_api_url", "kas_private_api_listen_address")

# What a node with nothing of GitLab but KAS runs and does not run, and what its reconfigure must not try without a
# database and Redis (administration/clusters/kas, and the package's attributes/default.rb).
STANDALONE: dict[str, dict[str, bool]] = {
    **{
        service: {"enable": False}
        for service in ("gitaly", "gitlab_workhorse", "postgresql", "prometheus", "puma", "redis", "sidekiq")
    },
    "nginx": {"enable": True},
    "gitlab_rails": {"auto_migrate": False, "rake_cache_clear": False},
}

ALLOWLIST = "/bin/echo agent: {kubernetes_api: {extra_allowed_response_headers: "

# The variables that become a key of gitlab_kas as they stand.
_KEYS = {
    "internal_api_listen_network": "kas_internal_api_listen_network",
    "internal_api_certificate_file": "kas_internal_api_certificate",
    "internal_api_key_file": "kas_internal_api_key",
    "listen_address": "kas_listen_address",
    "listen_network": "kas_listen_network",
    "listen_websocket": "kas_listen_websocket",
    "certificate_file": "kas_certificate",
    "key_file": "kas_key",
    "kubernetes_api_listen_address": "kas_kubernetes_api_listen_address",
    "kubernetes_api_certificate_file": "kas_kubernetes_api_certificate",
    "kubernetes_api_key_file": "kas_kubernetes_api_key",
    "observability_listen_address": "kas_observability_listen_address",
    "observability_listen_network": "kas_observability_listen_network",
    "log_level": "kas_log_level",
    "grpc_log_level": "kas_grpc_log_level",
    "sentry_dsn": "kas_sentry_dsn",
    "sentry_environment": "kas_sentry_environment",
    "extra_config_command": "kas_extra_config_command",
}
# The variable that says a key of gitlab_kas as it stands.
VARIABLE_AS_IT_STANDS = {
    **_KEYS,
    "gitlab_address": "kas_gitlab_address",
    "internal_api_listen_address": "kas_internal_api_listen_address",
    "private_api_listen_address": "kas_private_api_listen_address",
    "private_api_listen_network": "kas_private_api_listen_network",
    "private_api_certificate_file": "kas_private_api_certificate",
    "private_api_key_file": "kas_private_api_key",
}
# The variable that decides a key of gitlab_kas.
VARIABLE_OF_KEY = {
    **VARIABLE_AS_IT_STANDS,
    **{f"redis_{option}": f"kas_redis.{option}" for option in REDIS},
    **{secret: f"kas_secrets_values.{secret}" for secret in SECRETS},
    "enable": "kas_enabled",
    "env": "kas_env",
}

Tree = dict[str, Any]


@dataclass(frozen=True)
class Unread:
    """A setting of a gitlab.rb that is set, or may be, to what only running the file would tell.

    It is true where it is set. Where it only may be, such as in an included file, ours goes behind it.
    """

    name: str  # as it stands there
    where: str  # such as line 3
    is_set: bool

    def __bool__(self) -> bool:
        return self.is_set

    def __str__(self) -> str:
        if not self.is_set:
            return f"{self.name} may be set by {self.where}, which cannot be read without running it"
        return f"{self.name} ({self.where}) is computed and cannot be read without running it"


@dataclass(frozen=True)
class Host:
    """One host of the inventory."""

    name: str
    groups: frozenset[str]  # which of the two it is in
    values: Mapping[str, Any]  # the variables, as _variables.normalise() returns them
    info: Mapping[str, Any] | None = None  # what kas_info returned; None if the node did not answer
    unreachable: str = ""  # why it did not answer
    is_reached: bool = False  # the connection stands, but kas_info did not run there
    secrets: Mapping[str, str] = field(default_factory=dict)  # those that it has, by name
    candidates: Sequence[str] | None = None  # its addresses, if they do not come from kas_info
    in_play: bool = True  # this play changes it; else it stands outside --limit

    @property
    def is_present(self) -> bool:
        """Whether it is part of the deployment; else what was changed there is taken back."""
        return bool(self.values["kas_state"] == "present")

    @property
    def runs_kas(self) -> bool:
        return KAS_GROUP in self.groups and self.is_present and bool(self.values["kas_enabled"])

    @property
    def in_rails(self) -> bool:
        return RAILS_GROUP in self.groups

    @property
    def reported(self) -> Mapping[str, Any]:
        return self.info or {}

    @property
    def blocking_errors(self) -> Sequence[str]:
        """Why the node cannot be worked on, as sentences."""
        return self.reported.get("blocking_errors") or []

    @property
    def addresses(self) -> Sequence[str]:
        return self.candidates if self.candidates is not None else self.reported.get("addresses") or []

    @property
    def listen_hosts(self) -> list[str]:
        """The names and addresses, without wildcards, on which its KAS is to listen."""
        given = (host_port(self.values[name]) for name in LISTEN_ADDRESSES) if self.runs_kas else ()
        return list(dict.fromkeys(each.host for each in given if each and not each.is_wildcard))

    @property
    def listen_ports(self) -> list[int]:
        """The ports on which its KAS is told to listen."""
        given = (host_port(self.values[name]) for name in LISTEN_ADDRESSES) if self.runs_kas else ()
        return list(dict.fromkeys(each.port for each in given if each))

    @property
    def private_api_names(self) -> list[str]:
        """The names by which other KAS may call its own."""
        where = (urlsplit(self.values["kas_own_private_api_url"]).netloc, self.values["kas_private_api_listen_address"])
        return _names_in(where) if self.runs_kas else []

    @property
    def names(self) -> list[str]:
        """The names of others that it looks up itself: Redis, and of Rails KAS; those in its gitlab.rb are not here."""
        redis = self.values["kas_redis"] if self.runs_kas else {}
        internal = urlsplit(self.values["kas_internal_url"]).netloc if self.in_rails and not self.runs_kas else ""
        places = [redis, *redis.get("sentinels", ())]
        return _names_in([internal, *(place.get("host", "") for place in places)])

    def resolved(self, name: str) -> Mapping[str, Any]:
        """What a name or address is on the node: addresses and problem; empty if that is not known."""
        name = name.strip("[]")
        if ip_version(name):
            return {"addresses": [str(ip_address(name))], "problem": None}
        return (self.reported.get("names") or {}).get(name, {})

    def found_at(self, listener: HostPort | None) -> Mapping[str, Any]:
        """What becomes of a listener on the node, as kas_info says; empty if that is not known."""
        found = self.reported.get("listen_hosts") or {}
        return found.get(listener.host, {}) if listener else {}

    @property
    def is_configured(self) -> bool:
        """Whether its services can be there: GitLab was reconfigured at least once, as far as is known."""
        return bool(self.reported.get("configured", True))

    @property
    def version(self) -> Release | None:
        """The release of GitLab that is installed, None if it is not known."""
        return Release.of(self.reported.get("gitlab_version"))

    def before(self, release: Release) -> bool:
        """Whether the node is known to be older."""
        return self.version is not None and self.version < release

    def setting(self, *path: str) -> Any:
        """What its gitlab.rb says now: a literal, None if it is not set, or Unread."""
        found: Any = self.reported.get("settings")
        for key in path:
            if not isinstance(found, Mapping) or key not in found:
                unreadable = self.reported.get("unreadable") or {}
                name = unreadable_as(path, unreadable)
                return Unread(show(path), unreadable[name], name == show(path)) if name else None
            found = found[key]
        return found

    def sets(self, *path: str) -> bool:
        """Whether its gitlab.rb sets it, be it to nil or to what cannot be read."""
        section, key = self.setting(*path[:-1]), path[-1]
        found = self.setting(*path)
        return bool(found) if isinstance(found, Unread) else isinstance(section, Mapping) and key in section

    def says(self, *path: str) -> str:
        """What its gitlab.rb makes of a setting that is there, as part of a sentence."""
        found = self.setting(*path)
        return str(found) if isinstance(found, Unread) else f"{show(path)} in gitlab.rb is {shown(found)}"

    @property
    def external_url(self) -> str:
        """GitLab's URL in its gitlab.rb, '' if there is none to derive anything from: no_external_url says why."""
        url = self.setting("external_url")
        return url if isinstance(url, str) and _web_parts(url) else ""

    @property
    def no_external_url(self) -> str:
        """Why nothing can be derived from external_url, as part of a sentence."""
        url = self.setting("external_url")
        if isinstance(url, Unread):
            return str(url)
        if not url:
            return "gitlab.rb has no external_url to derive it from"
        return f"{self.says('external_url')}, which is no HTTP URL"

    @property
    def own_scheme(self) -> str:
        certificate = self.values["kas_private_api_certificate"]
        return str(self.values["kas_own_private_api_scheme"] or ("grpcs" if certificate else "grpc"))

    @property
    def own_port(self) -> int:
        """The port of a private API for which no listen address is set."""
        url = self.values["kas_own_private_api_url"]
        return (urlsplit(url).port if url else self.values["kas_own_private_api_port"]) or PRIVATE_API_PORT

    @property
    def account(self) -> tuple[str, str]:
        """The user and the group that KAS runs as there; the rules say what is wrong with them."""
        user, group = (
            self.values[variable] or (found if isinstance(found, str) and found else ACCOUNT)
            for variable, found in ((name, self.setting("user", key)) for name, key in ACCOUNT_KEYS.items())
        )
        return user, group

    @property
    def private_api_socket(self) -> str:
        return self._socket("private-api.socket")

    @property
    def internal_api_socket(self) -> str:
        return self._socket("internal-api.socket")

    @property
    def directories_on_record(self) -> list[str]:
        """The directories that the collection has made here for sockets."""
        return self.reported.get("directories_on_record") or []

    @property
    def needs_socket_dir(self) -> bool:
        """Whether a KAS here has its sockets in kas_socket_dir, or would have if it were on."""
        listeners = (self.values[f"kas_{api}_listen_address"] for api in ("private_api", "internal_api"))
        below = any(address.startswith(self._socket("")) for address in listeners)
        return self.is_present and (self.values["kas_unix_sockets"] or below)

    def _socket(self, name: str) -> str:
        """The path of a socket, named as in GitLab's guide."""
        return f"{self.values['kas_socket_dir'].rstrip('/')}/{name}"


@dataclass
class Part:
    """The settings of one role for one host: what to set, and what must not remain."""

    settings: Tree = field(default_factory=dict)
    remove: Tree = field(default_factory=dict)
    left: list[str] = field(default_factory=list)  # sentences about what stays, since it cannot be read
    leftovers: Tree = field(default_factory=dict)  # to remove where somebody else wrote them; ours become as before
    is_complete: bool = True  # what it does not name is not wanted any more; not while KAS is off

    def set(self, value: Any, *path: str) -> None:
        """Set one setting, whatever the value."""
        _grow(self.settings, path, value)

    def clear(self, *path: str) -> None:
        """See that one setting does not remain."""
        _grow(self.remove, path, None)

    def discard(self, *path: str) -> None:
        """See that a setting does not remain that was found in gitlab.rb: once it is gone, nobody asks for that."""
        _grow(self.leftovers, path, None)

    def offer(self, value: Any, *path: str) -> None:
        """Set one setting if a value was given for it; else leave it alone."""
        if is_set(value):
            self.set(value, *path)

    def derive(self, host: Host, variable: str, value: Any, *path: str) -> None:
        """Offer what the variable says, or else this value, which must not replace what cannot be read."""
        given, found = host.values[variable], host.setting(*path)
        if is_set(value) and not given and found and isinstance(found, Unread):
            self.left.append(f"{found}, so it stays as it is; set {variable} to decide it here")
        else:
            self.offer(value, *path)

    def decide(self, value: Any, *path: str) -> None:
        """Set one setting if a value was given for it; else see that it does not remain."""
        if is_set(value):
            self.set(value, *path)
        else:
            self.clear(*path)

    @property
    def asked(self) -> Tree:
        """The names of what the role asks for on this host: what is on record for it and not named here is restored."""
        return merged(_names(self.settings), _names(self.remove))


class Deployment:
    """Every host of the two groups that is present.

    urls holds the own private API URLs of every host that runs KAS, none for one that did not answer; errors
    holds instead, for a host whose URL cannot be told, why.
    """

    def __init__(self, hosts: Sequence[Host], *, random: Random = os.urandom) -> None:
        self._random = random
        self.hosts = [host for host in hosts if host.is_present]
        self._in_play = [host for host in hosts if host.in_play]
        self.kas = [host for host in self.hosts if host.runs_kas]
        self.rails = [host for host in self.hosts if host.in_rails]
        self.several = len(self.kas) > 1
        self.urls: dict[str, list[str]] = {}
        self.errors: dict[str, PrivateApiError] = {}
        for host in self.kas:
            try:
                self.urls[host.name] = self._own_urls(host)
            except PrivateApiError as error:
                self.errors[host.name] = error
        self._first = {url: host for host in reversed(self.kas) for url in self.urls.get(host.name, [])}

    @cached_property
    def choice(self) -> Choice:
        """The secrets that its nodes are to share; what nobody has is made."""
        # KAS nodes first: with equal claims the first one's secret is taken.
        ordered = sorted(self.hosts, key=lambda host: not host.runs_kas)
        given = [pair for host in self.hosts for pair in host.values["kas_secrets_values"].items()]
        valid = {name: value for name, value in given if problem(name, value) is None}  # else it is refused
        return choose([_secret_node(host) for host in ordered], random=self._random, given=valid)

    @cached_property
    def addresses(self) -> dict[str, list[str]]:
        """By KAS node, the addresses that its kernel has now, without those that only the node itself reaches."""
        return {
            host.name: [each for each in host.reported.get("addresses") or () if _is_for_others(each)]
            for host in self.kas
        }

    @cached_property
    def newest(self) -> tuple[Host, Release] | None:
        """The first node with the newest release that is known, and which."""
        known = [(host, host.version) for host in self.hosts if host.version]
        return max(known, key=lambda each: each[1], default=None)

    @cached_property
    def owners(self) -> dict[str, str]:
        """By address, the first KAS node that has it."""
        return {address: host.name for host in reversed(self.kas) for address in self.addresses[host.name]}

    def first_with(self, url: str) -> Host:
        """The first KAS node that has this URL."""
        return self._first[url]

    def is_later(self, host: Host, other: Host) -> bool:
        """Whether a host changes only when another one is done, or not at all: kas_serial makes batches of the play."""
        if not host.in_play:
            return True
        in_play = self._in_play  # absent ones have their turn, too
        number, percent = re.fullmatch(r"(\d+)(%?)", in_play[0].values["kas_serial"]).groups()  # type: ignore[union-attr]
        size = max(1, len(in_play) * int(number) // 100 if percent else int(number))
        return in_play.index(host) // size > in_play.index(other) // size

    def clustered(self, host: Host) -> bool:
        """Whether its private API is for others: there are some, or it was given a name for them."""
        values = host.values
        named = values["kas_own_private_api_url"] or values["kas_own_private_api_cidr"]
        return self.several or bool(named) or values["kas_own_private_api_discovery"] != "url"

    def manages(self, host: Host) -> bool:
        """Whether its private API is decided here; the defaults of the package do for a KAS alone."""
        given = any(host.values[name] for name in (*PRIVATE_API_VARIABLES, "kas_unix_sockets"))
        return given or self.clustered(host) or host.version in WANTS_URL

    def _own_urls(self, host: Host) -> list[str]:
        values = host.values
        if values["kas_unix_sockets"]:
            return [f"unix://{host.private_api_socket}"]
        if host.info is None and not values["kas_own_private_api_url"]:
            return []
        alone = "127.0.0.1" if host.version in WANTS_URL else "localhost"
        here = f"{'' if self.clustered(host) else alone}:{host.own_port}"
        options = {
            "url": values["kas_own_private_api_url"],
            "cidr": values["kas_own_private_api_cidr"],
            "port": values["kas_own_private_api_port"],
            "scheme": host.own_scheme,
            "listen_network": values["kas_private_api_listen_network"] or "tcp",
            "listen_address": values["kas_private_api_listen_address"] or here,
        }
        takes_one = values["kas_own_private_api_discovery"] == "url" or host.before(SEVERAL_URLS_SINCE)
        if options["cidr"] and takes_one:
            urls = [own_private_api_url(host.addresses, **options)]
        else:
            urls = own_private_api_urls(host.addresses, **options)
        for url in urls:
            parse_url(url)
        return urls


def _is_for_others(address: str) -> bool:
    return not unreachable_reason(f"grpc://{HostPort(address, PRIVATE_API_PORT)}")


def _names_in(places: Iterable[str]) -> list[str]:
    """Of texts such as HOST:PORT or HOST the hosts that are names."""
    found = (host_port(place, INTERNAL_API_PORT) for place in places)
    return [each.host for each in found if each and not each.is_wildcard and not ip_version(each.host)]


# -- The settings of a node --


def kas_part(host: Host, deployment: Deployment) -> Part:
    """What the gitlab.rb of a host in gitlab_kas says of its KAS."""
    part = Part()
    values = host.values
    if KAS_GROUP not in host.groups:
        return part
    _switch(part, host)
    if not host.runs_kas:
        part.is_complete = False  # the rest stays, for the day it is turned on again
        return part
    if values["kas_standalone"]:
        _standalone(part, host, deployment)
    part.derive(host, "kas_external_url", _underived_agents_url(host), "gitlab_kas_external_url")
    for key, name in _KEYS.items():
        part.offer(values[name], "gitlab_kas", key)
    if values["kas_gitlab_address"] or gitlab_address(host, deployment) != host.external_url:
        part.derive(host, "kas_gitlab_address", gitlab_address(host, deployment), "gitlab_kas", "gitlab_address")
    _allowed_headers(part, host)
    _redis(part, host)
    for key, value in values["kas_settings"].items():
        part.set(value, "gitlab_kas", key)
    for name, value in values["kas_env"].items():
        part.set(_environment_text(value), "gitlab_kas", "env", name)
    _internal_api(part, host, deployment)
    if _internal_tls_is_over(host, deployment):
        part.discard("gitlab_kas", "internal_api_certificate_file")
        part.discard("gitlab_kas", "internal_api_key_file")
    _private_api(part, host, deployment)
    return part


def rails_part(host: Host, deployment: Deployment) -> Part:
    """What the gitlab.rb of a host in gitlab_rails says of KAS.

    Where KAS runs on the node itself, the package derives what is not set here; where it does not, nothing is
    derived, so all four settings are written (libraries/gitlab_kas.rb, parse_variables).
    """
    part = Part()
    values = host.values
    if not host.in_rails:
        return part
    if not (host.runs_kas and _goes_without(host, "gitlab_rails", "gitlab_kas_enabled")):
        part.set(bool(deployment.kas), "gitlab_rails", "gitlab_kas_enabled")
    if not host.runs_kas:
        _switch(part, host)
    if not deployment.kas:
        part.is_complete = False
        return part
    if host.runs_kas:
        internal, agents = values["kas_internal_url"] or underived_internal_url(host, deployment), ""
        proxy = _underived_proxy_url(host)
    else:
        internal, agents = internal_url(host, deployment), agents_url(host)
        proxy = values["kas_k8s_proxy_url"] or proxy_url(agents)
    for key in stale_urls(host, deployment):
        part.discard("gitlab_rails", key)
    for key, variable, url in (
        ("gitlab_kas_internal_url", "kas_internal_url", internal),
        ("gitlab_kas_external_url", "kas_external_url", agents),
        ("gitlab_kas_external_k8s_proxy_url", "kas_k8s_proxy_url", proxy),
    ):
        part.derive(host, variable, url, "gitlab_rails", key)
    return part


def secrets_part(host: Host, deployment: Deployment) -> Part:
    """The secrets that a host's gitlab.rb holds. They stay while KAS is off."""
    is_off = KAS_GROUP in host.groups and not host.runs_kas
    part = Part(is_complete=bool(deployment.kas) and not is_off)
    for name in secret_names(host, deployment):
        secret, found = deployment.choice.secrets[name], (host.reported.get("secrets") or {}).get(name) or {}
        is_stored = found.get("source") == SECRETS_JSON and host.secrets.get(name) == secret
        if not (is_stored and _goes_without(host, "gitlab_kas", name)):
            part.set(secret, "gitlab_kas", name)
    return part


def _switch(part: Part, host: Host) -> None:
    """KAS on or off; without a line of its own, that may change with the next reconfigure."""
    is_so = host.reported.get("enabled") == host.runs_kas and host.is_configured
    if not is_so or host.reported.get("reconfigure_pending") or not _goes_without(host, "gitlab_kas", "enable"):
        part.set(host.runs_kas, "gitlab_kas", "enable")


def _goes_without(host: Host, *path: str) -> bool:
    """Whether a setting for which gitlab.rb has no plain line need not get one, if it holds all the same."""
    found = host.setting(*path)
    return not host.values["kas_write_defaults"] and (found is None or isinstance(found, Unread))


def _secret_node(host: Host) -> Node:
    sources = {name: found["source"] for name, found in (host.reported.get("secrets") or {}).items()}
    found = {name: Found(value, sources[name]) for name, value in host.secrets.items()}
    runs_kas = bool(host.reported.get("enabled"))
    return Node(host.name, host.in_rails, found, runs_kas, host.runs_kas, host.is_configured)


def secret_names(host: Host, deployment: Deployment) -> list[str]:
    """KAS nodes share all secrets, as far as their version knows them; a Rails node without KAS only the API's."""
    if host.runs_kas:
        return [name for name in SECRETS if not KEYS[name].not_yet(host.version)]
    return ["api_secret_key"] if host.in_rails and deployment.kas else []


def _standalone(part: Part, host: Host, deployment: Deployment) -> None:
    """Everything else of GitLab off, and a URL for nginx if gitlab.rb has none and KAS has a name of its own."""
    part.offer(node_url(host, deployment), "external_url")
    for section, settings in STANDALONE.items():
        for key, value in settings.items():
            part.set(value, section, key)


def _allowed_headers(part: Part, host: Host) -> None:
    """The package has no setting for them, but KAS merges what a command prints into its configuration.

    The package writes the command into YAML between double quotes, so it must do without them, and the words are such
    as mean the same with a shell and without.
    """
    headers = host.values["kas_extra_allowed_response_headers"]
    if headers:
        part.set(f"{ALLOWLIST}[{', '.join(headers)}]}}}}", "gitlab_kas", "extra_config_command")


def is_allowlist(command: object) -> bool:
    """Whether it is a command of kas_extra_allowed_response_headers."""
    return isinstance(command, str) and command.startswith(ALLOWLIST)


def has_own_redis(host: Host) -> bool:
    """Whether kas_redis says where Redis is; else Rails' settings do."""
    return any(host.values["kas_redis"].get(option) for option in ("host", "socket", "sentinels"))


def inherits_redis(host: Host) -> bool:
    """Whether KAS gets the Redis settings of Rails: not so with a host or socket of its own, be it nil.

    libraries/gitlab_kas.rb, parse_redis_settings: Sentinels of its own do not count.
    """
    options = ("host", "socket")
    if has_own_redis(host):
        return not any(option in host.values["kas_redis"] for option in options)
    return not any(host.sets("gitlab_kas", f"redis_{option}") for option in options)


def _redis(part: Part, host: Host) -> None:
    """Redis. Of another one nothing may remain but passwords, which may be kept in gitlab.rb by hand.

    The package prefers Sentinels to a host and a host to a socket, and KAS uses one user and one TLS for all of them.
    """
    for option in REDIS:
        if option in host.values["kas_redis"]:
            part.set(host.values["kas_redis"][option], "gitlab_kas", f"redis_{option}")
        elif has_own_redis(host) and not option.endswith("password"):
            part.clear("gitlab_kas", f"redis_{option}")


def _private_api(part: Part, host: Host, deployment: Deployment) -> None:
    """The listener, the certificate and the own URL: all of them or, of a KAS alone by default, nothing."""
    values = host.values
    if not deployment.manages(host):
        return
    network, address = values["kas_private_api_listen_network"], values["kas_private_api_listen_address"]
    if values["kas_unix_sockets"]:
        network, address = "unix", host.private_api_socket
    elif deployment.clustered(host):
        address = address or _wildcard(deployment.urls[host.name], host.own_port)
    elif host.own_port != PRIVATE_API_PORT:
        address = address or f"localhost:{host.own_port}"
    part.decide(network, "gitlab_kas", "private_api_listen_network")
    part.decide(address, "gitlab_kas", "private_api_listen_address")
    part.decide(values["kas_private_api_certificate"], "gitlab_kas", "private_api_certificate_file")
    part.decide(values["kas_private_api_key"], "gitlab_kas", "private_api_key_file")
    environment = _own_environment(host, deployment)
    for name in OWN_NAMES:
        if name in environment:
            part.set(environment[name], "gitlab_kas", "env", OWN_PREFIX + name)
        else:
            part.clear("gitlab_kas", "env", OWN_PREFIX + name)


def _own_environment(host: Host, deployment: Deployment) -> dict[str, str]:
    """OWN_PRIVATE_API_* for one of the three ways; what is left out must not remain of another way."""
    values = host.values
    environment = {"HOST": values["kas_own_private_api_host"]} if values["kas_own_private_api_host"] else {}
    if values["kas_own_private_api_discovery"] == "url":
        return {"URL": deployment.urls[host.name][0], **environment}
    if values["kas_own_private_api_cidr"]:
        environment["CIDR"] = ",".join(values["kas_own_private_api_cidr"])
    if values["kas_own_private_api_port"]:
        environment["PORT"] = str(values["kas_own_private_api_port"])
    if host.own_scheme == "grpcs":
        environment["SCHEME"] = "grpcs"
    if ENVIRONMENT["OWN_PRIVATE_API_URL"].known_to(host.version):
        environment["URL"] = ""  # takes the default away: chpst -e unsets a variable whose file is empty
    return environment


def _internal_api(part: Part, host: Host, deployment: Deployment) -> None:
    """The listener for Rails: a socket, or reachable by Rails nodes without KAS, or the package's default."""
    network = "unix" if host.values["kas_unix_sockets"] else host.values["kas_internal_api_listen_network"]
    address = _internal_listener(host, deployment)
    was_socket = host.setting("gitlab_kas", "internal_api_listen_network") == "unix"
    # From such an address of its own KAS the package would derive a URL for Rails that leads nowhere.
    found = host.setting("gitlab_kas", "internal_api_listen_address")
    was_for_others = host.in_rails and found in (f"0.0.0.0:{INTERNAL_API_PORT}", f":{INTERNAL_API_PORT}")
    if was_socket and address and not network:
        part.discard("gitlab_kas", "internal_api_listen_network")
    if was_for_others and not address:
        part.discard("gitlab_kas", "internal_api_listen_address")
    part.offer(network, "gitlab_kas", "internal_api_listen_network")
    part.offer(address, "gitlab_kas", "internal_api_listen_address")


def _internal_tls_is_over(host: Host, deployment: Deployment) -> bool:
    """Whether a certificate of the internal API remains in gitlab.rb, but no Rails that uses this KAS speaks TLS."""
    files = [host.setting("gitlab_kas", f"internal_api_{file}_file") for file in ("certificate", "key")]
    users = [rails for rails in deployment.rails if rails is host or not rails.runs_kas]
    urls = [_used_internal_url(rails, deployment) for rails in users]
    if not (any(files) and users) or host.values["kas_internal_api_certificate"]:
        return False
    return not any(isinstance(found, Unread) or str(found).startswith("grpcs:") for found in (*files, *urls))


def _internal_listener(host: Host, deployment: Deployment) -> str:
    """The listen address of the internal API, '' for the package's default."""
    if host.values["kas_unix_sockets"]:
        return host.internal_api_socket
    is_for_others = any(not rails.runs_kas for rails in deployment.rails)
    default = _wildcard(deployment.urls.get(host.name, []), INTERNAL_API_PORT) if is_for_others else ""
    return host.values["kas_internal_api_listen_address"] or default


def _wildcard(urls: Iterable[str], port: int) -> str:
    """The listen address for all addresses of the family of these URLs.

    Not [::]: the package writes the address into its YAML without quotes, where [::]:8155 is not text.
    """
    versions = {ip_version(parse_url(url).host) for url in urls}
    return f"0.0.0.0:{port}" if versions == {4} else f":{port}"


def _environment_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- URLs --


def agents_url(host: Host) -> str:
    """Where agents connect, as Rails on this host should say; '' if nothing tells it.

    If KAS shares GitLab's name it is derived as the package does it, but with the port that the package forgets.
    """
    if host.values["kas_external_url"] or not host.external_url:
        return str(host.values["kas_external_url"])
    parts = urlsplit(host.external_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{AGENT_PATH}"


def proxy_url(agents: str) -> str:
    """The Kubernetes API proxy beside the URL of the agents: below their path, or on KAS's own name; '' without one."""
    if not agents:
        return ""
    parts = urlsplit(agents)
    path = parts.path if parts.path.endswith(AGENT_PATH) else "/"
    return f"{_web_scheme(parts.scheme)}://{parts.netloc}{path}k8s-proxy/"


def shown_agents_url(host: Host) -> str | Unread:
    """Where agents connect by what Rails on this host will show, also if somebody else has set that; '' if nothing
    tells it."""
    written = _underived_agents_url(host) if host.runs_kas else agents_url(host)
    keys = (("gitlab_rails", "gitlab_kas_external_url"), ("gitlab_kas_external_url",))
    return _shown_url(host, "kas_external_url", written, keys) or agents_url(host)


def shown_proxy_url(host: Host, agents: str) -> str | Unread:
    """The URL of the Kubernetes API proxy by what Rails on this host will show; agents is the URL of the agents."""
    written = _underived_proxy_url(host) if host.runs_kas else proxy_url(agents)
    keys = (("gitlab_rails", "gitlab_kas_external_k8s_proxy_url"),)
    return _shown_url(host, "kas_k8s_proxy_url", written, keys) or proxy_url(agents)


def _shown_url(host: Host, variable: str, written: str, keys: Iterable[Sequence[str]]) -> str | Unread:
    """Given by the variable; else set to what cannot be read, which stays; else what is written, or found there."""
    found = [value for value in (host.setting(*key) for key in keys) if value]
    if host.values[variable]:
        return str(host.values[variable])
    unread = next((value for value in found if isinstance(value, Unread)), None)
    return unread or written or str(next(iter(found), ""))


def internal_url(host: Host, deployment: Deployment) -> str:
    """How Rails on a host without KAS reaches KAS; '' if nothing tells it. Several KAS need a load balancer."""
    if host.values["kas_internal_url"] or deployment.several:
        return str(host.values["kas_internal_url"])
    return _url_from_elsewhere(deployment.kas[0], deployment)


def _url_from_elsewhere(kas: Host, deployment: Deployment) -> str:
    """How others reach the internal API of a KAS; '' if nothing tells it."""
    urls = deployment.urls.get(kas.name, [])
    listener = host_port(kas.values["kas_internal_api_listen_address"] or f":{INTERNAL_API_PORT}")
    if len(urls) != 1 or unreachable_reason(urls[0]) or not listener:
        return ""
    where = HostPort(parse_url(urls[0]).host, listener.port) if listener.is_wildcard else listener
    url = f"{'grpcs' if kas.values['kas_internal_api_certificate'] else 'grpc'}://{where}"
    return "" if unreachable_reason(url) else url


def node_url(host: Host, deployment: Deployment) -> str:
    """The external_url of a node: its own, or what a node with nothing but KAS is given; '' if nothing tells it."""
    agents = urlsplit(host.values["kas_external_url"])
    has_own_name = agents.hostname and agents.hostname != urlsplit(gitlab_address(host, deployment)).hostname
    has_url = host.external_url or isinstance(host.setting("external_url"), Unread)
    if has_url or not (host.values["kas_standalone"] and has_own_name):
        return host.external_url
    return f"{_web_scheme(agents.scheme)}://{agents.netloc}"


def _underived_agents_url(host: Host) -> str:
    """gitlab_kas_external_url of a KAS node: given, or where the package would lose the port of GitLab's URL."""
    own_port = host.external_url and _port_of(host.external_url) != _DEFAULT_PORTS[urlsplit(host.external_url).scheme]
    return agents_url(host) if host.values["kas_external_url"] or own_port else ""


def _underived_proxy_url(host: Host) -> str:
    """The proxy's URL of a KAS node: given, or where the package would lose its port, for KAS on a name of its own."""
    if host.values["kas_k8s_proxy_url"]:
        return str(host.values["kas_k8s_proxy_url"])
    agents = urlsplit(host.values["kas_external_url"])
    has_own_name = agents.hostname != urlsplit(host.external_url).hostname
    return proxy_url(host.values["kas_external_url"]) if agents.port and has_own_name else ""


def underived_internal_url(host: Host, deployment: Deployment) -> str:
    """The internal URL of a node's own KAS where the package derives it wrong: from a wildcard, and never grpcs."""
    listener = host_port(_internal_listener(host, deployment) or f"localhost:{INTERNAL_API_PORT}")
    scheme = "grpcs" if host.values["kas_internal_api_certificate"] else "grpc"
    if not listener or not (scheme == "grpcs" or listener.is_wildcard):
        return ""
    return f"{scheme}://{_from_here(listener)}"


def stale_urls(host: Host, deployment: Deployment) -> list[str]:
    """The keys of gitlab_rails in gitlab.rb of a node with KAS that were written for a KAS elsewhere.

    With them, the package makes no virtual host for the KAS that is here now (libraries/gitlab_kas.rb).
    """
    if not host.runs_kas:
        return []
    agents = agents_url(host)
    written = {"gitlab_kas_external_url": agents} if agents else {}
    if agents and not _underived_proxy_url(host):
        written["gitlab_kas_external_k8s_proxy_url"] = proxy_url(agents)
    stale = [key for key, url in written.items() if host.setting("gitlab_rails", key) == url]
    return stale + (["gitlab_kas_internal_url"] if _has_stale_internal_url(host, deployment) else [])


def _has_stale_internal_url(host: Host, deployment: Deployment) -> bool:
    """Whether, where KAS runs, the internal URL is one for TLS, for others, or for a KAS elsewhere."""
    found = host.setting("gitlab_rails", "gitlab_kas_internal_url")
    if not isinstance(found, str) or host.values["kas_internal_url"]:
        return False
    listener = host.setting("gitlab_kas", "internal_api_listen_address") or f"localhost:{INTERNAL_API_PORT}"
    where = host_port(listener) if isinstance(listener, str) else None
    written = [f"//{_from_here(where)}"] if where else []
    written += [_url_from_elsewhere(kas, deployment).partition(":")[2] for kas in deployment.kas]
    scheme, _colon, rest = found.partition(":")
    is_ours = scheme in ("grpc", "grpcs") and rest in written
    return is_ours and not underived_internal_url(host, deployment)


def _used_internal_url(host: Host, deployment: Deployment) -> str | Unread:
    """The internal URL that Rails on this host will have, '' if the package derives it."""
    found = host.setting("gitlab_rails", "gitlab_kas_internal_url")
    if host.values["kas_internal_url"]:
        return str(host.values["kas_internal_url"])
    if found and isinstance(found, Unread):
        return found
    if not host.runs_kas:
        return internal_url(host, deployment)
    stale = _has_stale_internal_url(host, deployment)
    stays = found if isinstance(found, Unread) else "" if stale else str(found or "")
    return underived_internal_url(host, deployment) or stays


def tls_names(host: Host, deployment: Deployment) -> dict[str, list[str]]:
    """The names by which others ask for the certificates of a KAS: those of the private and of the internal API."""
    users = [rails for rails in deployment.rails if rails is host or not rails.runs_kas]
    urls = [host.values["kas_internal_url"], *(_used_internal_url(rails, deployment) for rails in users)]
    names = {
        # Every KAS asks every other one for its own OWN_PRIVATE_API_HOST.
        "private_api": [host.values["kas_own_private_api_host"]]
        + [kas.values["kas_own_private_api_host"] for kas in deployment.kas],
        "internal_api": [_tls_name(url) for url in urls if isinstance(url, str)],
    }
    return {api: list(dict.fromkeys(filter(None, found))) for api, found in names.items()}


def _tls_name(url: str) -> str:
    """The name in the certificate that a client of this URL asks for; '' if it asks for none."""
    try:
        endpoint = parse_url(url)
    except PrivateApiError:  # a gitlab.rb may hold anything
        return ""
    return endpoint.host if endpoint.scheme == "grpcs" else ""


def gitlab_address(host: Host, deployment: Deployment) -> str:
    """Where a KAS reaches GitLab's API if not at its node's own external_url; '' if that does, or nothing tells it."""
    if host.values["kas_gitlab_address"] or host.in_rails:
        return str(host.values["kas_gitlab_address"])
    return next((rails.external_url for rails in deployment.rails if rails.external_url), "")


# -- Small things --


def _from_here(listener: HostPort) -> HostPort:
    """Where the node itself reaches a listener of its own."""
    return HostPort("localhost", listener.port) if listener.is_wildcard else listener


def _web_scheme(scheme: str) -> str:
    """The scheme of HTTP that is as safe as this one of agents."""
    return "https" if scheme in ("wss", "grpcs") else "http"


def _web_parts(url: str) -> SplitResult | None:
    """The parts of an HTTP URL, None if it is none. Anything may stand in a gitlab.rb."""
    try:
        parts = urlsplit(url)
        is_url = url.startswith(("http://", "https://")) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_url and not re.search(r"[\s@]", url) else None


def _port_of(url: str) -> int:
    """The port of an HTTP URL."""
    parts = urlsplit(url)
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def _names(tree: Mapping[str, Any]) -> Tree:
    """The names of a tree of settings. An empty hash is a setting."""
    return {key: _names(value) if isinstance(value, Mapping) and value else None for key, value in tree.items()}


def _grow(tree: Tree, path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value
