# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about the package's nginx, with which all of GitLab would be down. What a rule is: see the package."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import host_port
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment, Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._nginx import (
    PASSED_ON,
    Vhost,
    mixed_port,
    serves_gitlab,
    vhosts,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown


@refusal(where="all", roles=("kas", "kas_rails"))
def certificates(host: Host, deployment: Deployment) -> Iterator[str]:
    """A virtual host whose certificate is not there: nginx does not start at all."""
    for vhost in vhosts(host, deployment) if host.in_play else ():
        if vhost.missing and not vhost.unread:
            yield (
                f"{vhost.cause}, for which nginx needs {_missing(vhost)}, so it would not start, and GitLab"
                f" would be down; {_remedy(vhost)}"
            )


@refusal(where="all", roles=("kas", "kas_rails"))
def mixed_ports(host: Host, deployment: Deployment) -> Iterator[str]:
    """One port is for TLS or not, whatever the host name."""
    port = mixed_port(host, deployment) if host.in_play else ""
    for vhost in vhosts(host, deployment) if port else ():
        if vhost.section != "nginx" and not vhost.unread:
            yield (
                f"{vhost.cause}, for which nginx speaks TLS on port {port}, but on that port it is to speak none for"
                " GitLab (nginx['listen_https']), so it would not start, and GitLab would be down; set"
                f" nginx['listen_port'] = 80, or {vhost.section}['port'] to another port"
            )


@warning()
def perhaps_certificates(host: Host, deployment: Deployment) -> Iterator[str]:
    for vhost in vhosts(host, deployment) if host.in_play else ():
        if vhost.missing and vhost.unread:
            yield (
                f"{vhost.cause}, for which nginx needs {_missing(vhost)}, and without which it does not start;"
                f" {vhost.unread[0]}, so it may need none"
            )


@warning()
def letsencrypt(host: Host, deployment: Deployment) -> Iterator[str]:
    """Said before it happens for the first time."""
    for vhost in vhosts(host, deployment) if host.in_play else ():
        if vhost.asked_for and vhost.is_new and not vhost.missing:
            yield (
                f"{vhost.cause}, for which there is no certificate, so reconfigure asks Let's Encrypt for one for"
                f" {' and '.join(vhost.asked_for)}, and fails where Let's Encrypt does not reach this node; else put a"
                f" certificate and its key into /etc/gitlab/ssl, as {vhost.name}.crt and {vhost.name}.key"
            )


@refusal()
def listeners(host: Host, deployment: Deployment) -> Iterator[str]:
    """nginx takes the addresses of these listeners as they stand, and knows no empty host."""
    for name in PASSED_ON if serves_gitlab(host) is True else ():
        listener = host_port(host.values[name])
        if listener and not listener.host:
            yield (
                f"{name} is {shown(host.values[name])}, but the package's nginx, which passes users on to it, takes no"
                " address without a host and would not start, so GitLab would be down; set"
                f" '0.0.0.0:{listener.port}', or a name or address and the port"
            )


def _missing(vhost: Vhost) -> str:
    if vhost.unusable:
        return ", and ".join(f"{file}, which {vhost.unusable.get(file, 'is not there')}" for file in vhost.missing)
    return f"{' and '.join(vhost.missing)}, which {'is' if len(vhost.missing) == 1 else 'are'} not there"


def _remedy(vhost: Vhost) -> str:
    """For a node with a certificate elsewhere or none, with or without a proxy before it."""
    section = vhost.section
    port = "listen_port" if section == "nginx" else "port"
    ways = [
        f"put {'it' if len(vhost.missing) == 1 else 'them'} there",
        f"set {section}['ssl_certificate'] and {section}['ssl_certificate_key'] in gitlab.rb",
        *(["set letsencrypt['enable'] = true"] if vhost.can_ask else []),
        f"set {vhost.tls_by} to false"
        if vhost.tls_by
        else f"behind a proxy that speaks TLS set {section}['listen_https'] = false and {section}['{port}'] = 80",
    ]
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"
