# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about the package's nginx, with which all of GitLab would be down. What a rule is: see the package."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import Name, covers, timestamp
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import host_port
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Deployment, Host
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._nginx import (
    PASSED_ON,
    Fault,
    Vhost,
    mixed_ports,
    serves_gitlab,
    vhosts,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown


@refusal(where="all", roles=("kas", "kas_rails"))
def certificates(host: Host, deployment: Deployment) -> Iterator[str]:
    """A virtual host with a file that is not there or no use: nginx does not start at all."""
    for vhost in vhosts(host, deployment) if host.in_play else ():
        if vhost.faults and not vhost.unread:
            yield (
                f"{vhost.cause}, for which nginx needs {_faults(vhost)}, so it would not start{_or(vhost)}, and GitLab"
                f" would be down; {_remedy(vhost)}"
            )


@refusal(where="all", roles=("kas", "kas_rails"))
def tls_beside_plain(host: Host, deployment: Deployment) -> Iterator[str]:
    """One port is for TLS or not, whatever the host name. Of a port that is, nginx asks GitLab's certificate."""
    for vhost, port in mixed_ports(host, deployment) if host.in_play else ():
        if not vhost.is_plain:
            yield (
                f"{vhost.cause}, for which nginx speaks TLS on port {port}, but on that port it is to speak none for"
                " GitLab (nginx['listen_https']), so it would not start, and GitLab would be down; set"
                f" nginx['listen_port'] = 80, or {vhost.section}['port'] to another port"
            )


@warning()
def plain_beside_tls(host: Host, deployment: Deployment) -> Iterator[str]:
    """Then nginx speaks TLS for both, with GitLab's certificate."""
    for vhost, port in mixed_ports(host, deployment) if host.in_play else ():
        if vhost.is_plain:
            yield (
                f"{vhost.cause}, for which nginx is to speak no TLS ({vhost.section}['listen_https']), but on port"
                f" {port} it does so for GitLab, and then for KAS, too, and answers a proxy that speaks none with error"
                f" 400; set {vhost.section}['port'] to the port that the proxy connects to, such as 80"
            )


@warning()
def perhaps_certificates(host: Host, deployment: Deployment) -> Iterator[str]:
    for vhost in vhosts(host, deployment) if host.in_play else ():
        if vhost.faults and vhost.unread:
            yield (
                f"{vhost.cause}, for which nginx needs {_faults(vhost)}, and without which it does not start;"
                f" {vhost.unread[0]}, so it may need none"
            )


@warning()
def clients(host: Host, deployment: Deployment) -> Iterator[str]:
    """nginx starts with a certificate that its clients refuse; a proxy before it may have another one."""
    for vhost in vhosts(host, deployment) if host.in_play else ():
        known = host.reported["nginx"]["certificates"].get(vhost.certificate, {})
        if "names" not in known or vhost.tls_by:
            continue
        names = [Name(*name.split(":", 1)) for name in known["names"]]
        if not covers(names, vhost.name):
            listed = ", ".join(name.value for name in names) or "no name at all (subjectAltName)"
            yield (
                f"{vhost.cause}, but {vhost.certificate}, which nginx shows for it, is for {listed}, so agents and"
                " other clients refuse it, unless a proxy before nginx shows them another one; have it issued with"
                f" {vhost.name}"
            )
        now = host.reported.get("time", known["not_before"])
        if not known["not_before"] <= now <= known["not_after"]:
            is_over = now > known["not_after"]
            when = timestamp(known["not_after" if is_over else "not_before"])
            yield (
                f"{vhost.certificate}, which nginx shows for {vhost.name},"
                f" {'has expired at' if is_over else 'is not valid before'} {when}, so agents and other clients refuse"
                " it, unless a proxy before nginx shows them another one;"
                f" {'renew it' if is_over else 'set the clock of the node right, or renew it'}"
            )


@warning()
def letsencrypt(host: Host, deployment: Deployment) -> Iterator[str]:
    """Said before it happens for the first time."""
    for vhost in vhosts(host, deployment) if host.in_play else ():
        if vhost.asked_for and vhost.is_new and not vhost.faults:
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


def _faults(vhost: Vhost) -> str:
    if {fault.why for fault in vhost.faults} == {Fault("").why}:
        are = "is" if len(vhost.faults) == 1 else "are"
        return f"{' and '.join(fault.file for fault in vhost.faults)}, which {are} not there"
    return ", and ".join(f"{fault.file}, which {fault.why}" for fault in vhost.faults)


def _or(vhost: Vhost) -> str:
    """With a key of another kind, such as RSA instead of EC, nginx does start."""
    return ", or let nobody in" if any(fault.is_foreign for fault in vhost.faults) else ""


def _remedy(vhost: Vhost) -> str:
    """For a node with a certificate elsewhere or none, with or without a proxy before it."""
    section = vhost.section
    port = "listen_port" if section == "nginx" else "port"
    to_put = [fault for fault in vhost.faults if fault.is_to_put]
    ways = [
        *([f"put {'it' if len(to_put) == 1 else 'them'} there"] if to_put else []),
        *(way for fault in vhost.faults for way in fault.remedies),
        *(
            [f"set {section}['ssl_certificate'] and {section}['ssl_certificate_key'] in gitlab.rb"]
            if any(fault.of_pair for fault in vhost.faults)
            else []
        ),
        *(["set letsencrypt['enable'] = true"] if vhost.can_ask else []),
        f"set {vhost.tls_by} to false"
        if vhost.tls_by
        else f"behind a proxy that speaks TLS set {section}['listen_https'] = false and {section}['{port}'] = 80",
    ]
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"
