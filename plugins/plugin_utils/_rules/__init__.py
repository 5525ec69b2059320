# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a deployment: what is refused before anything changes, and what is only worth a warning.

A rule (rule.py) looks at one host, in its deployment, and yields what follows the host's name in a sentence, without
the full stop: the variable, the value found, and what to set. No secret is ever part of it. Each rule is a function of
its topic's file, found there; its table of tests has the name of the topic, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    KAS_GROUP,
    RAILS_GROUP,
    Deployment,
    Host,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules import (
    clocks,
    listeners,
    names,
    nginx,
    redis,
    releases,
    secrets,
    settings,
    tls,
    urls,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import Rule
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence, of
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import did_not_run, remedy_of_silence

TOPICS = (settings, listeners, nginx, urls, names, tls, redis, releases, secrets, clocks)
RULES: list[Rule] = [
    rule
    for topic in TOPICS
    for rule in vars(topic).values()
    if isinstance(rule, Rule) and rule.says.__module__ == topic.__name__
]

Said = tuple[Rule, Host, str]


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
            refusals.append(Sentence((host.name,), did_not_run("kas_info", host.unreachable)))
        elif host.in_play and host.info is None:
            text = (
                f"this host of group {' and '.join(sorted(host.groups))} does not answer"
                f" ({host.unreachable.rstrip('.')}); {remedy_of_silence(host.unreachable)}."
            )
            refusals.append(Sentence((host.name,), text, is_unreachable=True))
        elif host.in_play:
            refusals += of(host.name, host.blocking_errors)
    return refusals


def refusals(deployment: Deployment, roles: Iterable[str]) -> list[Sentence]:
    """Everything that forbids what these roles would do."""
    return _sentences(refused(deployment, roles))


def warnings(deployment: Deployment) -> list[Sentence]:
    """What the user should know, and may have wanted."""
    return _sentences(warned(deployment))


def refused(deployment: Deployment, roles: Iterable[str]) -> Iterator[Said]:
    """Each host that a rule forbids, and why."""
    rules = [rule for rule in RULES if rule.refuses and (not rule.roles or rule.roles.intersection(roles))]
    told = [rule for rule in rules if rule.unless in rules and any(_said([rule.unless], deployment))]
    yield from _said([rule for rule in rules if rule not in told], deployment)


def warned(deployment: Deployment) -> Iterator[Said]:
    """Each host of which a rule warns, and why."""
    yield from _said([rule for rule in RULES if not rule.refuses], deployment)


def _said(rules: Sequence[Rule], deployment: Deployment) -> Iterator[Said]:
    for host in deployment.hosts:
        yield from ((rule, host, text) for rule in rules for text in rule(host, deployment))


def _sentences(said: Iterable[Said]) -> list[Sentence]:
    return [Sentence((host.name,), f"{text}.") for _rule, host, text in said]
