# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about the three shared secrets. What a rule is: see the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import (
    GITLAB_RB,
    SECRETS,
    fingerprint,
    problem,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    Deployment,
    Host,
    secret_names,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._syntax import secret_remedy


@refusal(where="all", roles=("kas_secrets",))
def not_answering(host: Host, deployment: Deployment) -> Iterator[str]:
    """Secrets are not made while a node that may have them does not answer: it would be left with others."""
    made = [name for name in SECRETS if deployment.choice.origins[name] == "made"]
    if made and deployment.kas and (host.info is None or host.blocking_errors):
        yield (
            f"cannot be asked for {' and '.join(made)}, which no other node has; restore the connection, or set"
            " kas_secrets_values"
        )


@refusal(where="all", roles=())
def given(host: Host, deployment: Deployment) -> Iterator[str]:
    for name, value in host.values["kas_secrets_values"].items():
        if problem(name, value):
            yield f"kas_secrets_values.{name} {problem(name, value)}; {secret_remedy(name)}"


@refusal(where="all", roles=())
def written(host: Host, deployment: Deployment) -> Iterator[str]:
    """What somebody wrote into a gitlab.rb must be a secret; not so if it is to be replaced by what is given."""
    for name in secret_names(host, deployment):
        found = _found_secret(host, name)
        is_given = any(name in other.values["kas_secrets_values"] for other in deployment.hosts)
        if found.get("computed") and not is_given:
            yield (
                f"gitlab_kas['{name}'] ({found['computed']}) is computed and cannot be read without running it; set"
                f" kas_secrets_values.{name} to what it comes to, or write that there"
            )
        elif found.get("problem") and found.get("source") == GITLAB_RB and not is_given:
            yield (
                f"gitlab_kas['{name}'] in gitlab.rb {found['problem']}; correct it or remove it there, or set"
                f" kas_secrets_values.{name}"
            )


@refusal(where="all", roles=())
def one_value(host: Host, deployment: Deployment) -> Iterator[str]:
    for name, value in host.values["kas_secrets_values"].items():
        first, *_others = (other for other in deployment.hosts if name in other.values["kas_secrets_values"])
        if value != first.values["kas_secrets_values"][name]:
            yield (
                f"kas_secrets_values.{name} is not that of {first.name}; set one value for all hosts, in"
                " group_vars/all for one"
            )


@warning()
def replaced(host: Host, deployment: Deployment) -> Iterator[str]:
    """Secrets that somebody wrote into a gitlab.rb are not replaced without a word.

    One that is of no use is refused, unless another is given for it: a made one replaces none.
    """
    for name in secret_names(host, deployment) if host.in_play else ():
        found, origin = _found_secret(host, name), deployment.choice.origins[name]
        agreed = fingerprint(deployment.choice.secrets[name])
        by = f"is replaced by {agreed}, which is {origin}"
        if origin == "made":
            continue
        if found.get("source") == GITLAB_RB and found.get("fingerprint") not in (None, agreed):
            yield f"gitlab_kas['{name}'] in gitlab.rb (fingerprint {found['fingerprint']}) {by}"
        elif found.get("computed"):
            yield f"gitlab_kas['{name}'] ({found['computed']}), which is computed, {by}"


@warning()
def left_with_others(host: Host, deployment: Deployment) -> Iterator[str]:
    """A node outside of the play keeps what it has. Where KAS is not enabled yet, nobody calls it."""
    if host.in_play or not (host.in_rails or host.reported.get("enabled")):
        return
    agreed = deployment.choice.secrets
    shared = {name for other in deployment.hosts if other.in_play for name in secret_names(other, deployment)}
    names = [
        name
        for name in secret_names(host, deployment)
        if name in shared and _found_secret(host, name).get("fingerprint") not in (None, fingerprint(agreed[name]))
    ]
    if names:
        yield (
            f"it is outside of this play and keeps another {' and '.join(names)} than the nodes of the play get, so"
            " calls between it and them are refused; run the playbook deploy on it, too"
        )


def _found_secret(host: Host, name: str) -> Mapping[str, Any]:
    return (host.reported.get("secrets") or {}).get(name) or {}
