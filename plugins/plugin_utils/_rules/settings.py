# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about nodes as a whole and settings of their own. What a rule is: see the package."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import show
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._certificates import certificates
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    ACCOUNT,
    ACCOUNT_KEYS,
    OWN_NAMES,
    OWN_PREFIX,
    RAILS_GROUP,
    VARIABLE_OF_KEY,
    Deployment,
    Host,
    Unread,
    has_own_redis,
    is_allowlist,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import KEYS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import (
    listed,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

# What Rails is told of KAS (attributes/default.rb).
_OF_RAILS = [f"gitlab_kas_{name}" for name in ("enabled", "external_url", "internal_url", "external_k8s_proxy_url")]
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@refusal()
def allowed_headers(host: Host, deployment: Deployment) -> Iterator[str]:
    headers, command = host.values["kas_extra_allowed_response_headers"], host.values["kas_extra_config_command"]
    if headers and command:
        yield (
            f"kas_extra_allowed_response_headers is {shown(listed(headers))}, and kas_extra_config_command is"
            f" {shown(command)}; set only one of them, and let the command print the headers, too"
        )
    found = host.setting("gitlab_kas", "extra_config_command")
    if headers and not command and found and not is_allowlist(found):
        is_one = "gitlab_kas['extra_config_command'] in gitlab.rb is a command already"
        yield (
            f"kas_extra_allowed_response_headers is {shown(listed(headers))}, but"
            f" {found if isinstance(found, Unread) else is_one}; let that one print the headers, or remove it there"
        )
    for header in headers:
        if not _HEADER.fullmatch(header):
            yield (
                f"kas_extra_allowed_response_headers holds {shown(header)}; set names of HTTP headers, such as"
                " X-My-Header"
            )


@refusal()
def raw(host: Host, deployment: Deployment) -> Iterator[str]:
    """Raw settings must not go around the variables, which the other rules are about."""
    for key in host.values["kas_settings"]:
        if key in VARIABLE_OF_KEY:
            yield f"kas_settings.{key} is set, but {VARIABLE_OF_KEY[key]} is the variable for it; set that one"
    for name, value in host.values["kas_env"].items():
        if name in [OWN_PREFIX + own for own in OWN_NAMES]:
            yield f"kas_env.{name} is set, but kas_{name.lower()} is the variable for it; set that one"
        elif value is None or isinstance(value, (Mapping, list, tuple)):
            yield f"kas_env.{name} is {'empty' if value is None else shown(value)}; set text"


@refusal(roles=("kas", "kas_certificates"))
def accounts(host: Host, deployment: Deployment) -> Iterator[str]:
    """Who reads keys and owns sockets is who the package starts KAS as."""
    has_files = host.needs_socket_dir or any(item["kind"] == "server" for item in certificates(host))
    for variable, key in ACCOUNT_KEYS.items():
        given, found = host.values[variable], host.setting("user", key)
        if isinstance(found, Unread):
            if found and has_files and not given:
                yield f"{found}, and files for KAS are given to it; set {variable} to it"
        elif given and given != (found or ACCOUNT):
            why = host.says("user", key) if found else f"gitlab.rb does not set user['{key}']"
            runs = "runs as" if key == "username" else "runs with group"
            yield (
                f"{variable} is {shown(given)}, but {why}, so KAS {runs} {shown(found or ACCOUNT)}; leave {variable}"
                " out, or set that in gitlab.rb"
            )


@refusal()
def standalone(host: Host, deployment: Deployment) -> Iterator[str]:
    """A node with nothing else of GitLab has no Redis of its own, and nobody on it to ask for GitLab's API."""
    if not host.values["kas_standalone"] or host.in_rails:
        return
    if not has_own_redis(host):
        yield (
            "kas_standalone is true, which turns the node's own Redis off, but kas_redis has neither host, socket nor"
            " sentinels; set where the Redis of GitLab is"
        )


@refusal(where="rails", roles=("kas", "kas_rails"))
def standalone_with_rails(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.values["kas_standalone"]:
        yield (
            f"kas_standalone is true, but the host is in group {RAILS_GROUP}, and Rails would be turned off; set it to"
            " false, or take the host out of that group"
        )


@warning()
def unreachable(host: Host, deployment: Deployment) -> Iterator[str]:
    causes = [f"it does not answer ({host.unreachable})"] if host.info is None else host.blocking_errors
    for cause in causes:
        yield f"it is outside of this play and could not be compared with the others: {cause.rstrip('.')}"


@warning()
def misspelt(host: Host, deployment: Deployment) -> Iterator[str]:
    """The package ignores a key that it does not know, without a word."""
    kas = host.setting("gitlab_kas")
    environment = kas.get("env") if isinstance(kas, Mapping) else None
    places: list[tuple[tuple[str, ...], Any, Collection[str]]] = [
        (("gitlab_kas",), kas, KEYS),
        (("gitlab_kas", "env"), environment, [OWN_PREFIX + name for name in OWN_NAMES]),
        (("gitlab_rails",), host.setting("gitlab_rails"), _OF_RAILS),
    ]
    for section, found, known in places:
        for key in found if isinstance(found, Mapping) and host.in_play else ():
            near = nearest(key, known)
            if near:
                yield (
                    f"{show((*section, key))} in gitlab.rb{_line(host, section, key)} has no effect, since nothing"
                    f" reads"
                    f" it; if you mean {show((*section, near))}, correct it there"
                )


def _line(host: Host, section: tuple[str, ...], key: str) -> str:
    """Where a setting stands, behind the name of the file."""
    lines = host.reported.get("lines") or {}
    found = lines.get(show((*section, key))) or lines.get(show(section))
    return f" ({found})" if found else ""
