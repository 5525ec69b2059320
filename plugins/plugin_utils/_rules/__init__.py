# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a deployment: what is refused before anything changes, and what is only worth a warning.

A rule looks at one host, in its deployment, and yields what follows the host's name in a sentence, without the
full stop: the variable, the value found, and what to set. No secret is ever part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import Choice
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    KAS_GROUP,
    RAILS_GROUP,
    Deployment,
    Host,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import (
    listeners,
    redis,
    releases,
    secrets,
    settings,
    tls,
    urls,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import Rule
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence, of


def node_refusals(hosts: Sequence[Host]) -> list[Sentence]:
    """Whether there is a KAS node, and every node that is to be changed can be."""
    refusals = []
    if not any(KAS_GROUP in host.groups for host in hosts):
        text = f"the inventory's group {KAS_GROUP} has no host; put the nodes that run KAS into it."
        refusals.append(Sentence(tuple(host.name for host in hosts), text))
    for host in hosts:
        if not host.groups:
            text = (
                f"it is neither in group {KAS_GROUP} nor in {RAILS_GROUP}; put it into one of them, or leave it out of"
                " the play."
            )
            refusals.append(Sentence((host.name,), text))
        elif host.in_play and host.info is None and host.is_reached:
            text = (
                f"kas_info did not run on this host ({host.unreachable.rstrip('.')}); make sure that it has Python"
                " 3.9 or later, and that the user may become root there."
            )
            refusals.append(Sentence((host.name,), text))
        elif host.in_play and host.info is None:
            text = (
                f"this host of group {' and '.join(sorted(host.groups))} does not answer"
                f" ({host.unreachable.rstrip('.')}); correct its name or address in the inventory, or take it out of"
                " the group."
            )
            refusals.append(Sentence((host.name,), text, is_unreachable=True))
        elif host.in_play:
            refusals += of(host.name, host.blocking_errors)
    return refusals


def refusals(deployment: Deployment, roles: Iterable[str]) -> list[Sentence]:
    """Everything that forbids what these roles would do."""
    return [Sentence((host.name,), f"{text}.") for host, text in refused(deployment, roles)]


def refused(deployment: Deployment, roles: Iterable[str]) -> Iterator[tuple[Host, str]]:
    """Each host that a rule forbids, and why."""
    writes_urls = "kas" in roles or "kas_rails" in roles
    is_told_why = bool(deployment.errors) and "kas" in roles
    for hosts, rules in (
        (deployment.kas, _KAS_RULES if "kas" in roles else []),
        (deployment.rails, [settings.standalone_with_rails, urls.cookie_where("error")] if writes_urls else []),
        (deployment.rails, [urls.urls_for_rails] if "kas_rails" in roles else []),
        (deployment.rails, [urls.url_for_rails] if "kas_rails" in roles and not is_told_why else []),
        (deployment.hosts, [releases.git_data_dirs, secrets.given, secrets.one_value]),
    ):
        yield from ((host, text) for host in hosts for rule in rules for text in rule(host, deployment))


def warnings(deployment: Deployment, choice: Choice) -> list[Sentence]:
    """What the user should know, and may have wanted."""
    rules: list[Rule] = [
        settings.unreachable,
        urls.cookie_where("warn"),
        *releases.WARNINGS,
        urls.other_urls,
        redis.tls_to_ipv6,
        secrets.replaced(choice),
    ]
    return [
        Sentence((host.name,), f"{text}.")
        for host in deployment.hosts
        for rule in rules
        for text in rule(host, deployment)
    ]


_KAS_RULES: list[Rule] = [
    settings.standalone,
    urls.api_of_gitlab,
    redis.settings,
    listeners.unix_sockets,
    listeners.addresses,
    listeners.known_to_the_node,
    urls.own_url,
    listeners.reach,
    urls.same_url,
    *releases.REFUSALS,
    tls.pairs,
    urls.external_url,
    urls.agents_path,
    settings.allowed_headers,
    redis.to_come,
    settings.raw,
]
