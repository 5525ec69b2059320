# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade of GitLab means for a deployment: what breaks or changes on the way to kas_target_version.

A check looks at one host on its way and yields each change with the release that brings it; its sentence does without
the installed release, so that hosts of different releases share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _rules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    ALLOWLIST,
    VARIABLE_OF_KEY,
    Deployment,
    Host,
    agents_url,
    inherits_redis,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import (
    ALLOWLIST_SINCE,
    BROKEN,
    ENVIRONMENT,
    FIRST,
    GRPCS_SINCE,
    KEYS,
    LAST,
    NO_GITOPS_SINCE,
    Release,
)

_NOTHING = ("nil", "''", "[]")  # defaults that are none


@dataclass(frozen=True)
class Way:
    """One host on its way from the installed release to a later one."""

    host: Host
    target: Release
    deployment: Deployment

    def passes(self, release: Release | None) -> bool:
        """Whether a release lies on the way, its end included."""
        installed = self.host.version
        return installed is not None and release is not None and installed < release <= self.target


Change = tuple[Release, str]
Check = Callable[[Way], Iterator[Change]]


def upgrade(hosts: Sequence[Host], roles: Iterable[str]) -> list[str]:
    """What breaks or changes on the way to each host's kas_target_version, in the order of releases.

    The same sentence is said once, for all hosts that it concerns. Without a target there is nothing to say.
    """
    deployment = Deployment(hosts)
    said: dict[tuple[Release | None, str], list[str]] = {}
    ways = []
    for host in deployment.hosts:
        target = Release.of(host.values["kas_target_version"])
        if target and host.version and host.version <= target:
            ways.append(Way(host, target, deployment))
        elif target:
            said.setdefault((None, _no_way(host)), []).append(host.name)
    changes = [(way.host, change) for way in ways for check in _CHECKS for change in check(way)]
    for host, change in [*changes, *_rules_at_target(ways, hosts, roles)]:
        said.setdefault(change, []).append(host.name)
    if not said and ways:
        said[None, "nothing is known to break or change on the way to kas_target_version"] = [
            way.host.name for way in ways
        ]
    return [f"{', '.join(names)}: {text}." for (_release, text), names in sorted(said.items(), key=_by_release)]


def _by_release(item: tuple[tuple[Release | None, str], list[str]]) -> Release:
    return item[0][0] or Release(0, 0, 0)


def _no_way(host: Host) -> str:
    if not host.version:
        return "the installed release of GitLab is not known, so nothing can be said about its upgrade"
    installed = host.reported["gitlab_version"]
    target = host.values["kas_target_version"]
    return f"kas_target_version is '{target}', which is older than GitLab {installed} there; set a later release"


def _rules_at_target(ways: Sequence[Way], hosts: Sequence[Host], roles: Iterable[str]) -> Iterator[tuple[Host, Change]]:
    """What the rules say of the target, but not of the installed release."""
    if not ways:
        return
    targets = {way.host.name: way.target for way in ways}
    now = _by_rules(Deployment(hosts), roles)
    then = _by_rules(Deployment([_at(host, targets.get(host.name)) for host in hosts]), roles)
    for way in ways:
        known = {_at_target(text, way) for text in now[way.host.name]}
        for text in then[way.host.name]:
            if text not in known:
                yield way.host, (way.target, text)


def _at_target(text: str, way: Way) -> str:
    """A sentence about the installed release as it would be about the target."""
    for installed in (way.host.reported["gitlab_version"], way.host.version):
        text = text.replace(f"GitLab {installed}", f"GitLab {way.target}")
    return text


def _by_rules(deployment: Deployment, roles: Iterable[str]) -> dict[str, list[str]]:
    """What the rules say of each host."""
    found: dict[str, list[str]] = {host.name: [] for host in deployment.hosts}
    for _rule, host, text in _rules.refused(deployment, roles):
        found[host.name].append(f"GitLab {host.version} would be refused: {text}")
    for _rule, host, text in _rules.warned(deployment):
        found[host.name].append(f"GitLab {host.version} would cause a warning: {text}")
    return found


def _at(host: Host, release: Release | None) -> Host:
    """The same host with another release installed."""
    return replace(host, info={**host.reported, "gitlab_version": str(release)}) if release else host


# -- Releases --


def _broken_on_the_way(way: Way) -> Iterator[Change]:
    """Of the target itself the rules speak."""
    for release, broken in BROKEN.items() if way.host.runs_kas else ():
        if way.passes(release) and release != way.target:
            yield release, f"do not stop at GitLab {release}, whose KAS {broken.effect}; take a later patch release"


def _outside_of_the_table(way: Way) -> Iterator[Change]:
    if way.host.version and way.host.version < FIRST:
        yield (
            FIRST,
            f"what this collection knows of releases begins with GitLab {FIRST.major}.{FIRST.minor}; what older ones"
            " changed is not in this list",
        )
    if way.target[:2] > LAST[:2]:
        yield (
            LAST,
            f"what this collection knows of releases ends with GitLab {LAST.major}.{LAST.minor}; of later ones it knows"
            " announcements only",
        )


# -- Settings --


def _keys(way: Way) -> Iterator[Change]:
    """Keys that somebody has set, and that a release on the way begins or ceases to know."""
    raw = way.host.values["kas_settings"]
    for key, known in KEYS.items() if way.host.runs_kas else ():
        if not (key in raw or way.host.sets("gitlab_kas", key)):
            continue
        name = f"kas_settings.{key}" if key in raw else f"gitlab_kas['{key}'] in gitlab.rb"
        if known.since and way.passes(known.since):
            yield (
                known.since,
                f"{name} is ignored up to now, and takes effect from GitLab {known.since} on; check that it is"
                " intended",
            )
        # Of kas_settings the rules speak.
        if known.before and way.passes(known.before) and key not in raw:
            yield known.before, f"{name} is ignored from GitLab {known.before} on; remove it there"


def _defaults(way: Way) -> Iterator[Change]:
    """Defaults that change below a key that nobody has set."""
    values = way.host.values
    for key, known in KEYS.items() if way.host.runs_kas else ():
        variable = VARIABLE_OF_KEY.get(key, f"kas_settings.{key}")
        is_set = key in values["kas_settings"] or way.host.sets("gitlab_kas", key) or values.get(variable)
        for release, old, new in known.changes():
            if way.passes(release) and not is_set and not known.no_longer(way.target) and new not in _NOTHING:
                yield (
                    release,
                    f"gitlab_kas['{key}'] is {new} by default from GitLab {release} on, not {old}; set {variable} to"
                    " keep that",
                )


def _environment(way: Way) -> Iterator[Change]:
    """What the package's own environment of KAS gains; that of gitlab.rb is merged over it name by name."""
    host = way.host
    for name, known in ENVIRONMENT.items() if host.runs_kas else ():
        if known.since and way.passes(known.since):
            is_set = name in host.values["kas_env"] or host.sets("gitlab_kas", "env", name)
            here = f", but {name} is set here and takes its place; check whether it must include that, too"
            yield (
                known.since,
                f"KAS has {name}={_plain(known.default(known.since))} in its environment from GitLab {known.since} on"
                f"{here if is_set else ''}",
            )


def _default_url(way: Way) -> Iterator[Change]:
    """The package's own OWN_PRIVATE_API_URL goes. It counted for a KAS alone, and was taken away for others."""
    host, known = way.host, ENVIRONMENT["OWN_PRIVATE_API_URL"]
    found = host.setting("gitlab_kas", "env", "OWN_PRIVATE_API_URL")
    if not (host.runs_kas and known.before and way.passes(known.before)):
        return
    if found == "" and way.deployment.manages(host):
        then = "the next deploy takes the empty one out of gitlab.rb"
    elif found is None and not way.deployment.manages(host):
        then = "it then publishes the address that it listens on"
    else:
        return
    url = _plain(known.default(known.before))
    yield known.before, f"from GitLab {known.before} on KAS has no OWN_PRIVATE_API_URL={url} by default; {then}"


def _websocket_secret(way: Way) -> Iterator[Change]:
    since = KEYS["websocket_token_secret_key"].since
    if since and way.passes(since) and way.deployment.several and way.host.runs_kas:
        yield (
            since,
            f"from GitLab {since} on KAS has the secret websocket_token_secret_key, and the package makes another one"
            " on every node; run deploy after the upgrade, so that all nodes share one",
        )


def _response_headers(way: Way) -> Iterator[Change]:
    values = way.host.values
    is_told = values["kas_extra_allowed_response_headers"] or values["kas_extra_config_command"]
    if way.host.runs_kas and way.passes(ALLOWLIST_SINCE) and not is_told:
        yield (
            ALLOWLIST_SINCE,
            f"from GitLab {ALLOWLIST_SINCE} on the Kubernetes API proxy lets only known response headers through; set"
            " kas_extra_allowed_response_headers if users need others",
        )


def _gitops_in_command(way: Way) -> Iterator[Change]:
    found = way.host.setting("gitlab_kas", "extra_config_command")
    if way.host.values["kas_extra_config_command"]:
        name = "kas_extra_config_command"
    elif found and not str(found).startswith(ALLOWLIST):
        name = "gitlab_kas['extra_config_command'] in gitlab.rb"
    else:
        return
    if way.host.runs_kas and way.passes(NO_GITOPS_SINCE):
        yield (
            NO_GITOPS_SINCE,
            f"KAS does not start with agent.gitops in its configuration from GitLab {NO_GITOPS_SINCE} on; make sure"
            f" that {name} does not print it",
        )


def _redis(way: Way) -> Iterator[Change]:
    host, redis = way.host, way.host.values["kas_redis"]
    sentinels, username = KEYS["redis_sentinels_ssl"].since, KEYS["redis_username"].since
    if sentinels and way.passes(sentinels) and redis.get("sentinels") and redis.get("ssl"):
        yield (
            sentinels,
            f"from GitLab {sentinels} on TLS to the Sentinels has settings of its own; set kas_redis.sentinels_ssl and"
            " its files if the Sentinels take TLS",
        )
    user = ("gitlab_rails", "redis_username")
    inherits = inherits_redis(host) and not ("username" in redis or host.sets("gitlab_kas", "redis_username"))
    if username and way.passes(username) and host.runs_kas and host.setting(*user) and inherits:
        password = "; kas_redis.password must then be that user's" if "password" in redis else ""
        yield (
            username,
            f"{host.says(*user)}; from GitLab {username} on KAS logs in to Redis as that user, too, and no longer as"
            f" default; make sure that it may use the channel kas_events{password}",
        )


def _agents_url(way: Way) -> Iterator[Change]:
    """What the package derives where nobody has set it, on GitLab's own name and without a relative root."""
    host = way.host
    gitlab = urlsplit(host.external_url)
    is_set = host.values["kas_external_url"] or host.setting("gitlab_kas_external_url")
    is_set = is_set or host.setting("gitlab_rails", "gitlab_kas_external_url")
    is_derived = host.runs_kas and host.in_rails and not is_set
    has_default_port = gitlab.scheme == "https" and gitlab.port in (None, 443)
    if way.passes(GRPCS_SINCE) and is_derived and has_default_port and gitlab.path in ("", "/"):
        yield (
            GRPCS_SINCE,
            f"announced, but not known: from GitLab {GRPCS_SINCE.major}.{GRPCS_SINCE.minor} on the URL of agents is"
            f" grpcs://{gitlab.hostname} by default; behind a proxy that ends TLS and speaks HTTP/1.1, set"
            f" kas_external_url to '{agents_url(host)}'",
        )


def _plain(ruby: str) -> str:
    """A text of Ruby without its quotes."""
    return ruby.strip("'\"")


_CHECKS: list[Check] = [
    _broken_on_the_way,
    _outside_of_the_table,
    _keys,
    _defaults,
    _environment,
    _default_url,
    _websocket_secret,
    _response_headers,
    _gitops_in_command,
    _redis,
    _agents_url,
]
