# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about what the installed release of GitLab knows. What a rule is: see the package.

Which releases a rule is for stands at its head; those that speak of keys have them from the table of keys.

What was read in the package's code, or seen to fail, is refused; what is only likely is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import host_port, ip_version, parse_url
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest
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
    FAILS_CALLS,
    GRPCS_SINCE,
    KEYS,
    NEVER_STARTS,
    NGINX_TLS_SINCE,
    NO_GIT_DATA_DIRS_SINCE,
    SEVERAL_URLS_SINCE,
    TLS_DOCUMENTED_SINCE,
    WANTS_ADDRESS,
    WANTS_URL,
    Known,
    Release,
    Releases,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import (
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


@refusal(releases=NEVER_STARTS)
def never_starts(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.in_play and host.version:
        yield f"{_kas_of(host)} {BROKEN[host.version].effect}; install {host.version.next_patch} or later"


@refusal()
def unknown_variables(host: Host, deployment: Deployment) -> Iterator[str]:
    """A variable becomes a key that the installed release ignores without a word.

    Not so the secrets, which are the same for all nodes: a node that knows one of them less does without it.
    """
    for key, name in VARIABLE_OF_KEY.items():
        variable, _dot, option = name.partition(".")
        value = host.values[variable].get(option) if variable == "kas_redis" else host.values[variable]
        is_secret = (REDIS[option] if variable == "kas_redis" else VARIABLES[variable]).is_secret
        if variable != "kas_secrets_values" and is_set(value) and KEYS[key].not_yet(host.version):
            yield _too_old(host, name, "set" if is_secret else shown(value), KEYS[key], key)


@refusal(releases=Releases(before=CIDR_SINCE))
def cidr_in_kas(host: Host, deployment: Deployment) -> Iterator[str]:
    way = host.values["kas_own_private_api_discovery"]
    if way == "cidr":
        yield _unknown(host, "kas_own_private_api_discovery", shown(way), CIDR_SINCE, "set it to 'url'")


@refusal(releases=Releases(before=SEVERAL_URLS_SINCE))
def several_cidrs(host: Host, deployment: Deployment) -> Iterator[str]:
    way, cidrs = host.values["kas_own_private_api_discovery"], host.values["kas_own_private_api_cidr"]
    if way == "cidr" and len(cidrs) > 1:
        yield _unknown(host, "kas_own_private_api_cidr", shown(listed(cidrs)), SEVERAL_URLS_SINCE, "set one CIDR")


@refusal(releases=Releases(before=SEVERAL_URLS_SINCE))
def wildcard_listener(host: Host, deployment: Deployment) -> Iterator[str]:
    way = host.values["kas_own_private_api_discovery"]
    listener = host_port(host.values["kas_private_api_listen_address"] or f":{PRIVATE_API_PORT}")
    if way == "listener" and listener and listener.is_wildcard:
        remedy = "set kas_private_api_listen_address to one address, or discovery to 'url'"
        yield _unknown(host, "kas_own_private_api_discovery", shown(way), SEVERAL_URLS_SINCE, remedy)


@refusal(releases=Releases(before=SEVERAL_URLS_SINCE))
def port_of_listener(host: Host, deployment: Deployment) -> Iterator[str]:
    address, port = host.values["kas_private_api_listen_address"], host.values["kas_own_private_api_port"]
    listener = host_port(address) if host.values["kas_own_private_api_discovery"] == "listener" else None
    if port and listener and listener.port != port and host.version not in WANTS_URL:
        yield (
            f"kas_own_private_api_port is {port}, but {_kas_of(host)} takes the port from"
            f" kas_private_api_listen_address, which is {shown(address)}; leave the port out, or install"
            f" {SEVERAL_URLS_SINCE} or later"
        )


@refusal(releases=Releases(before=ALLOWLIST_SINCE))
def unknown_allowlist(host: Host, deployment: Deployment) -> Iterator[str]:
    headers = host.values["kas_extra_allowed_response_headers"]
    if headers:
        name, value = "kas_extra_allowed_response_headers", shown(listed(headers))
        yield _unknown(host, name, value, ALLOWLIST_SINCE, "leave it out")


@refusal(releases=WANTS_URL)
def discovery_without_url(host: Host, deployment: Deployment) -> Iterator[str]:
    way = host.values["kas_own_private_api_discovery"]
    if way != "url":
        yield (
            f"kas_own_private_api_discovery is '{way}', with which {_kas_of(host)} does not start; set it to 'url', or"
            " install another version"
        )


@refusal(releases=WANTS_ADDRESS)
def name_in_url(host: Host, deployment: Deployment) -> Iterator[str]:
    for name in _names_in_urls(host, deployment):
        yield (
            f"{source(host)}, but {_kas_of(host)} does not start with a name in its own URL; set an address"
            f" instead of {name}, or install {_next_patch(host)} or later"
        )


@refusal()
def grpc_on_own_name(host: Host, deployment: Deployment) -> Iterator[str]:
    """libraries/gitlab_kas.rb, parse_gitlab_kas_external_url_using_own_subdomain."""
    yield from _refused_on_own_name(host, "grpc")


@refusal(releases=Releases(before=GRPCS_SINCE, or_unknown=True))
def grpcs_on_own_name(host: Host, deployment: Deployment) -> Iterator[str]:
    """As grpc_on_own_name."""
    yield from _refused_on_own_name(host, "grpcs")


def _refused_on_own_name(host: Host, scheme: str) -> Iterator[str]:
    if _has_own_name(host, scheme):
        yield (
            f"kas_external_url is {shown(host.values['kas_external_url'])}, but on a name of its own {_kas_of(host)}"
            f" takes no {scheme}://; set ws:// or wss://"
        )


@refusal(where="all", roles=(), releases=Releases(since=NO_GIT_DATA_DIRS_SINCE))
def git_data_dirs(host: Host, deployment: Deployment) -> Iterator[str]:
    """Not about KAS, but no reconfigure gets past it (package/libraries/deprecations.rb)."""
    found = host.setting("git_data_dirs")
    if host.in_play and found and not isinstance(found, Unread):
        yield (
            f"git_data_dirs is set in gitlab.rb, with which {_gitlab(host)} refuses to reconfigure; set"
            " gitaly['configuration'] with its storage there instead"
        )


# -- Warnings --


@warning()
def older_than_others(host: Host, deployment: Deployment) -> Iterator[str]:
    """Nodes of two releases are supported while an upgrade goes on (doc/update/zero_downtime), not as a state."""
    other, newest = deployment.newest or (host, None)
    if host.version and newest and host.version[:2] < newest[:2]:
        yield (
            f"{_gitlab(host)} is installed, but {other.reported['gitlab_version']} on {other.name}; nodes of two"
            " releases are meant for the time of an upgrade only, so go on with it"
        )


@warning(where="kas", releases=WANTS_URL)
def started_with_url(host: Host, deployment: Deployment) -> Iterator[str]:
    """Also of a KAS alone: there is a URL in its gitlab.rb then that nobody asked for."""
    is_asked_for = host.values["kas_own_private_api_url"] or host.values["kas_unix_sockets"]
    for url in deployment.urls.get(host.name, []) if host.in_play and not is_asked_for else ():
        yield (
            f"{_kas_of(host)} starts only with an explicit own URL, so {url} is set; install {_next_patch(host)} or"
            " later"
        )


@warning(where="kas", releases=WANTS_URL - WANTS_ADDRESS)
def name_in_url_untried(host: Host, deployment: Deployment) -> Iterator[str]:
    """Not tried: its message speaks of addresses and a host, and it resolves no names."""
    for name in _names_in_urls(host, deployment) if host.in_play else ():
        yield (
            f"{source(host)}, and {_kas_of(host)} most likely does not start with a name in its own URL; set an"
            f" address instead of {name}, or install {_next_patch(host)} or later"
        )


@warning(where="kas", releases=FAILS_CALLS)
def failing_calls(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.in_play and host.version:
        minor = f"{host.version.major}.{host.version.minor}"
        yield f"{_kas_of(host)} {BROKEN[host.version].effect}; install another patch release of {minor}"


@warning(where="kas", releases=Releases(before=TLS_DOCUMENTED_SINCE))
def tls_before_documented(host: Host, deployment: Deployment) -> Iterator[str]:
    certificate = host.values["kas_private_api_certificate"]
    if certificate:
        yield (
            f"kas_private_api_certificate is {shown(certificate)}, and {_gitlab(host)} is installed; GitLab documents"
            f" TLS between KAS nodes only from {TLS_DOCUMENTED_SINCE} on, so run verify afterwards"
        )


@warning(where="kas", releases=Releases(before=NGINX_TLS_SINCE))
def nginx_without_tls(host: Host, deployment: Deployment) -> Iterator[str]:
    """The package's nginx speaks to both listeners without TLS."""
    for address, name, users in _behind_nginx(host):
        certificate = host.values[name]
        if certificate:
            yield (
                f"{name} is {shown(certificate)}, but nginx of {_gitlab(host)} speaks to KAS without TLS, so {users}"
                f" get no answer through it; leave it out, set {address} to what they reach without nginx, or install"
                f" {NGINX_TLS_SINCE} or later"
            )


@warning(where="kas", releases=Releases(since=NGINX_TLS_SINCE, or_unknown=True))
def nginx_to_both_alike(host: Host, deployment: Deployment) -> Iterator[str]:
    """The package's nginx speaks TLS to both listeners, if agents' one has a certificate, and else to none."""
    of_agents = host.values["kas_certificate"]
    for _address, name, users in _behind_nginx(host):
        certificate = host.values[name]
        if certificate and not of_agents:
            yield (
                f"{name} is {shown(certificate)}, but kas_certificate is not set, and nginx of {_gitlab(host)} most"
                f" likely speaks to both listeners without TLS then, and {users} get no answer through it; set both,"
                " or neither"
            )
        elif of_agents and not certificate:
            yield (
                f"kas_certificate is {shown(of_agents)}, but {name} is not set, and nginx of {_gitlab(host)} most"
                f" likely speaks TLS to both listeners then, and {users} get no answer through it; set both, or neither"
            )


@warning(where="kas")
def settings_without_effect(host: Host, deployment: Deployment) -> Iterator[str]:
    """Not refused: the package takes them in silence, they do no harm, and may be meant for a release to come."""
    for key in host.values["kas_settings"]:
        name, known = f"kas_settings.{key}", KEYS.get(key)
        if known is None:
            near = nearest(key, KEYS)
            meant = f"; the nearest name is {VARIABLE_OF_KEY.get(near, f'kas_settings.{near}')}" if near else ""
            yield f"{name} is no setting that the Linux package is known to read; it may have no effect{meant}"
        elif known.not_yet(host.version):
            yield _too_old(host, name, "set", known, key)
        elif known.no_longer(host.version):
            yield f"{name} is set, which {_gitlab(host)} no longer knows and ignores; leave it out"


@warning(releases=Releases(since=KEYS["nginx"].since))
def deprecated_nginx(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.in_play and host.setting("gitlab_kas_nginx"):
        yield (
            f"gitlab_kas_nginx is set in gitlab.rb, which is deprecated from GitLab {KEYS['nginx'].since} on, and still"
            " works; write gitlab_kas['nginx'] there instead, or set kas_settings.nginx"
        )


@warning(releases=Releases(since=NO_GIT_DATA_DIRS_SINCE))
def computed_git_data_dirs(host: Host, deployment: Deployment) -> Iterator[str]:
    found = host.setting("git_data_dirs")
    if host.in_play and found and isinstance(found, Unread):
        yield (
            f"{found}; {_gitlab(host)} refuses to reconfigure if it holds anything, and gitaly['configuration'] takes"
            " its place"
        )


@warning(where="kas", releases=Releases(before=KEYS["redis_username"].since))
def user_of_rails(host: Host, deployment: Deployment) -> Iterator[str]:
    """Without Redis settings of its own, KAS gets those of Rails, and of the user only the password."""
    path = ("gitlab_rails", "redis_username")
    has_password = "password" in host.values["kas_redis"] or host.setting("gitlab_kas", "redis_password")
    if inherits_redis(host) and not has_password and host.setting(*path):
        yield (
            f"{host.says(*path)}, but {_gitlab(host)} does not tell KAS, which logs in to Redis as default, with that"
            " user's password; set kas_redis.password to the password of default, or install"
            f" {KEYS['redis_username'].since} or later"
        )


@warning(where="kas", releases=Releases(since=GRPCS_SINCE))
def announced_grpcs(host: Host, deployment: Deployment) -> Iterator[str]:
    if _has_own_name(host, "grpcs"):
        yield (
            f"kas_external_url is {shown(host.values['kas_external_url'])}; that KAS takes it on a name of its own was"
            f" announced for GitLab {GRPCS_SINCE.major}.{GRPCS_SINCE.minor}, but is not known for {_gitlab(host)}; set"
            " wss:// if reconfigure refuses it"
        )


# -- Small things --


def _gitlab(host: Host) -> str:
    return f"GitLab {host.reported['gitlab_version']}" if host.version else "the installed GitLab"


def _kas_of(host: Host) -> str:
    return f"KAS of {_gitlab(host)}"


def _next_patch(host: Host) -> Release | None:
    return host.version and host.version.next_patch


def _names_in_urls(host: Host, deployment: Deployment) -> list[str]:
    """What stands in place of an address in its own URLs; a KAS that finds them for itself is another matter."""
    if host.values["kas_own_private_api_discovery"] != "url":
        return []
    names = [parse_url(url).host for url in deployment.urls.get(host.name, [])]
    return [name for name in names if name and not ip_version(name)]


def _has_own_name(host: Host, scheme: str) -> bool:
    """Whether agents connect by this scheme, and not on GitLab's own name."""
    agents, gitlab = urlsplit(host.values["kas_external_url"]), host.external_url
    return bool(gitlab and agents.scheme == scheme and agents.hostname != urlsplit(gitlab).hostname)


def _behind_nginx(host: Host) -> Iterator[tuple[str, str, str]]:
    """The listeners that nobody reaches but through nginx: variables of the address and the certificate, users."""
    for address, name, default, users in _BEHIND_NGINX:
        if listens_for_itself(host.values[address] or default):
            yield address, name, users


def _too_old(host: Host, name: str, value: str, known: Known, key: str) -> str:
    follows, remedy = _OLDER_RELEASES.get(key, ("", "leave it out"))
    return _unknown(host, name, value, known.since, remedy, follows)


def _unknown(host: Host, name: str, value: str, since: Release | None, remedy: str, follows: str = "") -> str:
    return f"{name} is {value}, which {_gitlab(host)} does not know{follows}; {remedy}, or install {since} or later"
