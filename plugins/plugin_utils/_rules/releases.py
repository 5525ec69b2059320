# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about what the installed release of GitLab knows; see _rules for what a rule is.

What was read in the package's code, or seen to fail, is refused; what is only likely is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import host_port, ip_version, parse_url
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    PRIVATE_API_PORT,
    VARIABLE_OF_KEY,
    Deployment,
    Host,
    Unread,
    inherits_redis,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import (
    ALLOWLIST_SINCE,
    BROKEN,
    CIDR_SINCE,
    GRPCS_SINCE,
    KEYS,
    NGINX_TLS_SINCE,
    NO_GIT_DATA_DIRS_SINCE,
    SEVERAL_URLS_SINCE,
    TLS_DOCUMENTED_SINCE,
    Known,
    Release,
    wants_address,
    wants_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import (
    Rule,
    listed,
    listens_for_itself,
    source,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import REDIS, VARIABLES, is_set, shown

# Keys that an older release ignores with consequences, or for which it has something else: what follows, what to do.
_OLDER_RELEASES = {
    "redis_username": (
        ", so KAS would log in to Redis as default, with this user's password",
        "leave it out and set kas_redis.password to the password of default",
    ),
    "nginx": ("", "leave it out and set gitlab_kas_nginx in gitlab.rb by hand"),
}

# The listeners behind the package's nginx: variables of the address and the certificate, the package's address, users.
_BEHIND_NGINX = (
    ("kas_listen_address", "kas_certificate", "localhost:8150", "agents"),
    (
        "kas_kubernetes_api_listen_address",
        "kas_kubernetes_api_certificate",
        "localhost:8154",
        "users of the Kubernetes API proxy",
    ),
)


# -- Refusals --


def _never_starts(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.in_play and host.version in BROKEN and BROKEN[host.version].starts_with == "none":
        yield f"{_kas_of(host)} {BROKEN[host.version].effect}; install {host.version.next_patch} or later"


def _unknown_variables(host: Host, deployment: Deployment) -> Iterator[str]:
    """A variable becomes a key that the installed release ignores without a word.

    Not so the secrets, which are the same for all nodes: a node that knows one of them less does without it.
    """
    for key, name in VARIABLE_OF_KEY.items():
        variable, _dot, option = name.partition(".")
        value = host.values[variable].get(option) if variable == "kas_redis" else host.values[variable]
        is_secret = (REDIS[option] if variable == "kas_redis" else VARIABLES[variable]).is_secret
        if variable != "kas_secrets_values" and is_set(value) and KEYS[key].not_yet(host.version):
            yield _too_old(host, name, "set" if is_secret else shown(value), KEYS[key], key)


def _too_new_ways(host: Host, deployment: Deployment) -> Iterator[str]:
    """What KAS itself cannot do yet."""
    values = host.values
    way, cidr = values["kas_own_private_api_discovery"], values["kas_own_private_api_cidr"]
    listener = host_port(values["kas_private_api_listen_address"] or f":{PRIVATE_API_PORT}")
    for name, is_asked, since, remedy in (
        ("kas_own_private_api_discovery", way == "cidr", CIDR_SINCE, "set it to 'url'"),
        ("kas_own_private_api_cidr", way == "cidr" and len(cidr) > 1, SEVERAL_URLS_SINCE, "set one CIDR"),
        (
            "kas_own_private_api_discovery",
            way == "listener" and listener and listener.is_wildcard,
            SEVERAL_URLS_SINCE,
            "set kas_private_api_listen_address to one address, or discovery to 'url'",
        ),
        ("kas_extra_allowed_response_headers", True, ALLOWLIST_SINCE, "leave it out"),
    ):
        if values[name] and is_asked and host.before(since):
            yield _unknown(host, name, shown(listed(values[name])), since, remedy)


def _own_url_of_release(host: Host, deployment: Deployment) -> Iterator[str]:
    """The ways to an own URL that the installed release goes wrong on."""
    values = host.values
    way = values["kas_own_private_api_discovery"]
    address, port = values["kas_private_api_listen_address"], values["kas_own_private_api_port"]
    listener = host_port(address)
    if way != "url" and wants_url(host.version):
        yield (
            f"kas_own_private_api_discovery is '{way}', with which {_kas_of(host)} does not start; set it to 'url', or"
            " install another version"
        )
    elif way == "url" and wants_address(host.version):
        for name in [parse_url(url).host for url in deployment.urls.get(host.name, [])]:
            if name and not ip_version(name):
                yield (
                    f"{source(host)}, but {_kas_of(host)} does not start with a name in its own URL; set an address"
                    f" instead of {name}, or install {_next_patch(host)} or later"
                )
    elif way == "listener" and host.before(SEVERAL_URLS_SINCE) and port and listener and listener.port != port:
        yield (
            f"kas_own_private_api_port is {port}, but {_kas_of(host)} takes the port from"
            f" kas_private_api_listen_address, which is {shown(address)}; leave the port out, or install"
            f" {SEVERAL_URLS_SINCE} or later"
        )


def _websockets_on_own_name(host: Host, deployment: Deployment) -> Iterator[str]:
    """libraries/gitlab_kas.rb, parse_gitlab_kas_external_url_using_own_subdomain."""
    agents = host.values["kas_external_url"]
    if _is_grpc_on_own_name(host) and not (agents.startswith("grpcs:") and host.since(GRPCS_SINCE)):
        yield (
            f"kas_external_url is {shown(agents)}, but on a name of its own {_kas_of(host)} takes no"
            f" {urlsplit(agents).scheme}://; set ws:// or wss://"
        )


def git_data_dirs(host: Host, deployment: Deployment) -> Iterator[str]:
    """Not about KAS, but no reconfigure gets past it (package/libraries/deprecations.rb)."""
    found = host.setting("git_data_dirs")
    if host.in_play and found and not isinstance(found, Unread) and host.since(NO_GIT_DATA_DIRS_SINCE):
        yield (
            f"git_data_dirs is set in gitlab.rb, with which {_gitlab(host)} refuses to reconfigure; set"
            " gitaly['configuration'] with its storage there instead"
        )


REFUSALS: list[Rule] = [
    _never_starts,
    _unknown_variables,
    _too_new_ways,
    _own_url_of_release,
    _websockets_on_own_name,
]


# -- Warnings --


def _started_with_url(host: Host, deployment: Deployment) -> Iterator[str]:
    """Also of a KAS alone, which then has a URL in its gitlab.rb that nobody asked for."""
    if host.in_play and wants_url(host.version):
        for url in deployment.urls.get(host.name, []):
            yield (
                f"{_kas_of(host)} starts only with an explicit own URL, so {url} is set; install {_next_patch(host)} or"
                " later"
            )


def _name_in_url(host: Host, deployment: Deployment) -> Iterator[str]:
    """Not tried: its message speaks of addresses and a host, and it resolves no names."""
    if host.in_play and wants_url(host.version) and not wants_address(host.version):
        for name in [parse_url(url).host for url in deployment.urls.get(host.name, [])]:
            if name and not ip_version(name):
                yield (
                    f"{source(host)}, and {_kas_of(host)} most likely does not start with a name in its own URL; set an"
                    f" address instead of {name}, or install {_next_patch(host)} or later"
                )


def _broken_calls(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.in_play and host.runs_kas and host.version in BROKEN and BROKEN[host.version].starts_with == "any":
        minor = f"{host.version.major}.{host.version.minor}"
        yield f"{_kas_of(host)} {BROKEN[host.version].effect}; install another patch release of {minor}"


def _tls_before_documented(host: Host, deployment: Deployment) -> Iterator[str]:
    certificate = host.values["kas_private_api_certificate"]
    if host.runs_kas and certificate and host.before(TLS_DOCUMENTED_SINCE):
        yield (
            f"kas_private_api_certificate is {shown(certificate)}, and {_gitlab(host)} is installed; GitLab documents"
            f" TLS between KAS nodes only from {TLS_DOCUMENTED_SINCE} on, so run verify afterwards"
        )


def _nginx_to_kas(host: Host, deployment: Deployment) -> Iterator[str]:
    """The package's nginx speaks to both listeners alike: from 18.7 on with TLS, if agents' one has a certificate."""
    values = host.values
    is_too_old = host.before(NGINX_TLS_SINCE)
    with_tls = values["kas_certificate"] and not is_too_old
    for address, name, default, users in _BEHIND_NGINX if host.runs_kas else ():
        certificate = values[name]
        if bool(certificate) == bool(with_tls) or not listens_for_itself(values[address] or default):
            continue
        if is_too_old:
            yield (
                f"{name} is {shown(certificate)}, but nginx of {_gitlab(host)} speaks to KAS without TLS, so {users}"
                f" get no answer through it; leave it out, set {address} to what they reach without nginx, or install"
                f" {NGINX_TLS_SINCE} or later"
            )
        elif certificate:
            yield (
                f"{name} is {shown(certificate)}, but kas_certificate is not set, and nginx of {_gitlab(host)} most"
                f" likely speaks to both listeners without TLS then, and {users} get no answer through it; set both,"
                " or neither"
            )
        else:
            yield (
                f"kas_certificate is {shown(values['kas_certificate'])}, but {name} is not set, and nginx of"
                f" {_gitlab(host)} most likely speaks TLS to both listeners then, and {users} get no answer through it;"
                " set both, or neither"
            )


def _settings_without_effect(host: Host, deployment: Deployment) -> Iterator[str]:
    """Not refused: the package takes them in silence, they do no harm, and may be meant for a release to come."""
    for key in host.values["kas_settings"] if host.runs_kas else ():
        name, known = f"kas_settings.{key}", KEYS.get(key)
        if known is None:
            near = [VARIABLE_OF_KEY.get(each, f"kas_settings.{each}") for each in get_close_matches(key, KEYS, n=1)]
            nearest = f"; the nearest name is {near[0]}" if near else ""
            yield f"{name} is no setting that the Linux package is known to read; it may have no effect{nearest}"
        elif known.not_yet(host.version):
            yield _too_old(host, name, "set", known, key)
        elif known.no_longer(host.version):
            yield f"{name} is set, which {_gitlab(host)} no longer knows and ignores; leave it out"


def _deprecated_nginx(host: Host, deployment: Deployment) -> Iterator[str]:
    since = KEYS["nginx"].since
    if host.in_play and host.setting("gitlab_kas_nginx") and since and host.since(since):
        yield (
            f"gitlab_kas_nginx is set in gitlab.rb, which is deprecated from GitLab {since} on, and still works; write"
            " gitlab_kas['nginx'] there instead, or set kas_settings.nginx"
        )


def _computed_git_data_dirs(host: Host, deployment: Deployment) -> Iterator[str]:
    found = host.setting("git_data_dirs")
    if host.in_play and found and isinstance(found, Unread) and host.since(NO_GIT_DATA_DIRS_SINCE):
        yield (
            f"{found}; {_gitlab(host)} refuses to reconfigure if it holds anything, and gitaly['configuration'] takes"
            " its place"
        )


def _user_of_rails(host: Host, deployment: Deployment) -> Iterator[str]:
    """Without Redis settings of its own, KAS gets those of Rails, and of the user only the password."""
    path, known = ("gitlab_rails", "redis_username"), KEYS["redis_username"]
    has_password = "password" in host.values["kas_redis"] or host.setting("gitlab_kas", "redis_password")
    gets_password = host.runs_kas and inherits_redis(host) and not has_password
    if gets_password and host.setting(*path) and known.not_yet(host.version):
        yield (
            f"{host.says(*path)}, but {_gitlab(host)} does not tell KAS, which logs in to Redis as default, with that"
            f" user's password; set kas_redis.password to the password of default, or install {known.since} or later"
        )


def _announced_grpcs(host: Host, deployment: Deployment) -> Iterator[str]:
    agents = host.values["kas_external_url"]
    if _is_grpc_on_own_name(host) and agents.startswith("grpcs:") and host.since(GRPCS_SINCE):
        yield (
            f"kas_external_url is {shown(agents)}; that KAS takes it on a name of its own was announced for GitLab"
            f" {GRPCS_SINCE.major}.{GRPCS_SINCE.minor}, but is not known for {_gitlab(host)}; set wss:// if reconfigure"
            " refuses it"
        )


WARNINGS: list[Rule] = [
    _started_with_url,
    _name_in_url,
    _broken_calls,
    _tls_before_documented,
    _nginx_to_kas,
    _settings_without_effect,
    _deprecated_nginx,
    _computed_git_data_dirs,
    _user_of_rails,
    _announced_grpcs,
]


# -- Small things --


def _gitlab(host: Host) -> str:
    return f"GitLab {host.reported['gitlab_version']}" if host.version else "the installed GitLab"


def _kas_of(host: Host) -> str:
    return f"KAS of {_gitlab(host)}"


def _next_patch(host: Host) -> Release | None:
    return host.version and host.version.next_patch


def _is_grpc_on_own_name(host: Host) -> bool:
    agents, gitlab = host.values["kas_external_url"], host.external_url
    own_name = gitlab and urlsplit(agents).hostname != urlsplit(gitlab).hostname
    return bool(host.runs_kas and agents.startswith("grpc") and own_name)


def _too_old(host: Host, name: str, value: str, known: Known, key: str) -> str:
    follows, remedy = _OLDER_RELEASES.get(key, ("", "leave it out"))
    return _unknown(host, name, value, known.since, remedy, follows)


def _unknown(host: Host, name: str, value: str, since: Release | None, remedy: str, follows: str = "") -> str:
    return f"{name} is {value}, which {_gitlab(host)} does not know{follows}; {remedy}, or install {since} or later"
