# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KAS part of GitLab's Helm chart: its values, and the Kubernetes Secrets that they name.

Applying them is the work of Helm, Flux, Argo CD or kubernetes.core. The chart's side was read in charts/gitlab
(values.yaml, templates/_kas.tpl, charts/gitlab/templates/_kas.tpl, templates/shared-secrets) and its subchart
charts/gitlab/charts/kas, and rendered with charts 7.0.9 to 9.9.1. A rule yields what follows the host's name in a
sentence, as in _rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import is_secret, secrets
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError, unreachable_reason
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS, problem
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    INTERNAL_API_PORT,
    KAS_GROUP,
    RAILS_GROUP,
    Deployment,
    Host,
    Part,
    Tree,
    proxy_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import meant, misspelt_refusals
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.urls import cookie_out_of_reach, slash_missing
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import (
    CHART_VARIABLES,
    NAMES,
    VARIABLES,
    normalise,
    shown,
)

_GITLAB_KAS = ("global", "appConfig", "gitlab_kas")
_KAS = ("gitlab", "kas")


class _Place(NamedTuple):
    """Where the chart finds one of the secrets."""

    variable: str  # NAME or NAME/KEY of the Kubernetes Secret
    path: tuple[str, ...]  # the value under which the chart takes them
    key: str  # the key that the chart looks for by default


_PLACES = {
    "api_secret_key": _Place("kas_chart_api_secret", _GITLAB_KAS, "kas_shared_secret"),
    "private_api_secret_key": _Place("kas_chart_private_api_secret", (*_KAS, "privateApi"), "kas_private_api_secret"),
    "websocket_token_secret_key": _Place(
        "kas_chart_websocket_token_secret", (*_KAS, "websocketToken"), "kas_websocket_token_secret"
    ),
}

# Variables about a KAS in the chart.
_OF_KAS = (
    "kas_chart_private_api_secret",
    "kas_chart_websocket_token_secret",
    "kas_chart_tls_secret",
    "kas_chart_tls_ca_secret",
    "kas_chart_custom_config",
)
# Variables for KAS on Linux-package nodes that do not reach one in Kubernetes, and what does.
_OF_PACKAGES = {
    "kas_redis": "global.redis in values of your own",
    "kas_env": "gitlab.kas.extraEnv in values of your own",
    "kas_settings": "kas_chart_custom_config",
    "kas_sentry_dsn": "gitlab.kas.customConfig.observability.sentry.dsn in values of your own",
}

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SECRET_NAME = rf"{_LABEL}(\.{_LABEL})*"
_SECRET_REFERENCE = rf"{_SECRET_NAME}(/[-._a-zA-Z0-9]+)?"


@dataclass(frozen=True)
class Chart:
    """What one host's variables say of the chart."""

    host: str
    values: Mapping[str, Any]  # kas_* and kas_chart_*, each of its type

    @property
    def is_on(self) -> bool:
        return bool(self.values["kas_enabled"])

    @property
    def runs_kas(self) -> bool:
        return self.is_on and self.values["kas_chart_runs"] != "rails"

    @property
    def runs_rails(self) -> bool:
        return bool(self.values["kas_chart_runs"] != "kas")

    @property
    def is_split(self) -> bool:
        """Whether KAS or Rails stands on Linux-package nodes."""
        return self.is_on and self.values["kas_chart_runs"] != "both"

    def secret(self, name: str) -> tuple[str, str] | None:
        """Name and key of the Kubernetes Secret that holds one of the three secrets, if it was named."""
        place = _PLACES[name]
        secret, _separator, key = self.values[place.variable].partition("/")
        return (secret, key or place.key) if secret else None

    def as_host(self) -> Host:
        """The same for the rules about nodes: a node with KAS and Rails, and with GitLab's URL in its gitlab.rb."""
        info = {"settings": {"external_url": self.values["kas_chart_gitlab_url"]}}
        return Host(self.host, frozenset((KAS_GROUP, RAILS_GROUP)), self.values, info)


def read_chart(
    host: str,
    given: Mapping[str, object],
    errors: Mapping[str, str] | None = None,
    misspelt: Mapping[str, str] | None = None,
) -> tuple[Chart, list[str]]:
    """What one host's variables say of the chart, and a sentence for each that cannot be what it takes.

    errors: variables that cannot be evaluated, and why. misspelt: names that are almost ours, and ours.
    """
    values, wrong = normalise(given, {**VARIABLES, **CHART_VARIABLES}, errors)
    wrong += misspelt_refusals(meant(misspelt or {}, NAMES, given, errors or {}))
    return Chart(host, values), [f"{host}: {text}" for text in wrong]


# -- Values --


def helm_values(chart: Chart) -> Tree:
    """The chart's values, as far as KAS is concerned; no secret is among them."""
    part = Part()
    part.set(chart.runs_kas, "global", "kas", "enabled")
    if chart.runs_rails:
        part.set(chart.is_on, *_GITLAB_KAS, "enabled")
    if not chart.is_on:
        return part.settings
    if chart.runs_rails:
        part.offer(chart.values["kas_external_url"], *_GITLAB_KAS, "externalUrl")
        part.offer(chart.values["kas_internal_url"], *_GITLAB_KAS, "internalUrl")
    if chart.runs_kas:
        _kas_values(part, chart)
    for name, place in _PLACES.items():
        secret = chart.secret(name)
        if secret:
            part.set(secret[0], *place.path, "secret")
            part.set(secret[1], *place.path, "key")
    return part.settings


def _kas_values(part: Part, chart: Chart) -> None:
    values = chart.values
    part.offer(urlsplit(values["kas_external_url"]).hostname or "", "global", "hosts", "kas", "name")
    part.set(values["kas_chart_api_port"], "global", "kas", "service", "apiExternalPort")
    part.set(bool(values["kas_chart_tls_secret"]), "global", "kas", "tls", "enabled")
    if values["kas_chart_tls_secret"]:
        part.set(values["kas_chart_tls_secret"], "global", "kas", "tls", "secretName")
        part.offer(values["kas_chart_tls_ca_secret"], "global", "kas", "tls", "caSecretName")
        part.set(values["kas_chart_tls_verify"], "global", "kas", "tls", "verify")
    config = _custom_config(chart)
    if config:
        part.set(config, *_KAS, "customConfig")


def _custom_config(chart: Chart) -> Tree:
    """What KAS's own configuration says beyond the chart's defaults, which the chart merges it into."""
    values = chart.values
    part = Part()
    if not chart.runs_rails:  # the chart would point KAS at Rails of its own
        part.set(values["kas_chart_gitlab_url"], "gitlab", "address")
        part.set(values["kas_chart_gitlab_url"], "gitlab", "external_url")
    part.offer(values["kas_gitlab_address"], "gitlab", "address")
    part.offer(values["kas_log_level"], "observability", "logging", "level")
    part.offer(values["kas_grpc_log_level"], "observability", "logging", "grpc_level")
    return _merged(part.settings, values["kas_chart_custom_config"])


def _merged(tree: Mapping[str, Any], more: Mapping[str, Any]) -> Tree:
    """Two trees in one as Helm and the chart merge them: the second one wins, and a list replaces a list."""
    both = {
        key: _merged(tree[key], value) if isinstance(tree.get(key), Mapping) and isinstance(value, Mapping) else value
        for key, value in more.items()
    }
    return {**tree, **both}


# -- Kubernetes Secrets --


def secrets_manifest(chart: Chart) -> Tree:
    """The Kubernetes Secrets that the values name, as one List; it holds the secrets, from kas_secrets_values."""
    contents: dict[str, dict[str, str]] = {}
    for name in _PLACES:
        secret = chart.secret(name)
        if secret:
            contents.setdefault(secret[0], {})[secret[1]] = chart.values["kas_secrets_values"][name]
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": chart.values["kas_chart_namespace"]},
                "type": "Opaque",
                "stringData": data,
            }
            for name, data in contents.items()
        ],
    }


# -- Rules --

Rule = Callable[[Chart], Iterator[str]]


def refusals(chart: Chart) -> list[str]:
    """Every reason why the values cannot work."""
    return _sentences(chart, _REFUSALS)


def secrets_refusals(chart: Chart) -> list[str]:
    """Every reason why the Kubernetes Secrets cannot be made."""
    return _sentences(chart, _SECRETS_REFUSALS)


def warnings(chart: Chart) -> list[str]:
    """What the user should know, and may have wanted."""
    return _sentences(chart, _WARNINGS if chart.is_on else [])


def _sentences(chart: Chart, rules: Sequence[Rule]) -> list[str]:
    return [f"{chart.host}: {text}." for rule in rules for text in rule(chart)]


def _missing(chart: Chart) -> Iterator[str]:
    runs = f"kas_chart_runs is {shown(chart.values['kas_chart_runs'])}"
    for name, is_needed, cause, remedy in (
        (
            "kas_chart_gitlab_url",
            chart.is_on,
            "no other variable tells it",
            "GitLab's URL, such as https://gitlab.example.com",
        ),
        ("kas_external_url", chart.is_split, runs, "where agents connect, such as wss://kas.gitlab.example.com"),
        (
            "kas_internal_url",
            chart.is_split and chart.runs_rails,
            runs,
            f"where Rails reaches KAS, such as grpc://kas.internal.example.com:{INTERNAL_API_PORT}",
        ),
        (
            "kas_chart_api_secret",
            chart.is_split,
            f"{runs}, so KAS and Rails must share a secret that the chart cannot make",
            "the name of the Kubernetes Secret that holds the nodes' api_secret_key",
        ),
    ):
        if is_needed and not chart.values[name]:
            yield f"{name} is not set, and {cause}; set {remedy}"


def _names(chart: Chart) -> Iterator[str]:
    """What goes into Kubernetes as a name is one.

    The chart's job reads a key by jsonpath={.data.KEY}, finds none under a name with a dot, and writes a secret of
    its own there; seen with charts 8.11.2 and 9.9.1. Where the chart runs no KAS, the job leaves the Secret alone.
    """
    for name, pattern, characters in (
        ("kas_chart_namespace", _LABEL, 63),
        ("kas_chart_tls_secret", _SECRET_NAME, 253),
        ("kas_chart_tls_ca_secret", _SECRET_NAME, 253),
    ):
        value = chart.values[name]
        if value and (len(value) > characters or not re.fullmatch(pattern, value)):
            yield f"{name} is {shown(value)}; set lower-case letters, digits and '-', at most {characters} characters"
    for place in _PLACES.values():
        value = chart.values[place.variable]
        if value and not re.fullmatch(_SECRET_REFERENCE, value):
            yield (
                f"{place.variable} does not name a Kubernetes Secret; set NAME or NAME/KEY, such as"
                f" gitlab-kas/{place.key}"
            )
        elif chart.runs_kas and "." in value.partition("/")[2]:
            yield (
                f"{place.variable} names a key with a dot, and the chart's job overwrites such a key at every upgrade;"
                f" set one without a dot, such as gitlab-kas/{place.key}"
            )


def _same_entry(chart: Chart) -> Iterator[str]:
    """No two secrets in one place."""
    seen: dict[tuple[str, str], str] = {}
    for name, place in _PLACES.items():
        secret = chart.secret(name)
        if secret and seen.setdefault(secret, place.variable) != place.variable:
            yield f"{place.variable} names the same key of the same Secret as {seen[secret]}; set another one for each"


def _other_side(chart: Chart) -> Iterator[str]:
    if chart.values["kas_chart_runs"] == "rails":
        for name in _OF_KAS:
            if chart.values[name]:
                yield f"{name} is set, but kas_chart_runs is 'rails', so the chart runs no KAS; leave it out"


def _agents_url(chart: Chart) -> Iterator[str]:
    """The chart gives KAS an Ingress or a route of its own, for the path / of its host."""
    agents = urlsplit(chart.values["kas_external_url"])
    gitlab = urlsplit(chart.values["kas_chart_gitlab_url"]).hostname
    found = f"kas_external_url is {shown(chart.values['kas_external_url'])}"
    if chart.runs_kas and agents.path not in ("", "/"):
        yield (
            f"{found}, but the chart's KAS has a name of its own and no path; set it without one, such as"
            f" wss://kas.{gitlab or 'gitlab.example.com'}"
        )
    elif chart.runs_kas and agents.hostname and agents.hostname == gitlab:
        yield (
            f"{found}, which is GitLab's own host, and both the chart's KAS and GitLab would claim its path /; set a"
            f" name of its own, such as wss://kas.{gitlab}"
        )
    elif chart.is_on:
        yield from slash_missing(chart.as_host())


def _internal_url(chart: Chart) -> Iterator[str]:
    internal = chart.values["kas_internal_url"]
    reason = _unreachable(internal) if chart.is_on and chart.runs_rails and internal else None
    if reason:
        yield (
            f"kas_internal_url is {shown(internal)}, which {reason}, so Rails in Kubernetes cannot reach it; set"
            f" grpc://HOST:{INTERNAL_API_PORT}"
        )


def _unreachable(url: str) -> str | None:
    try:
        return unreachable_reason(url)
    except PrivateApiError:
        return "is not the URL of a host and a port"


def _tls(chart: Chart) -> Iterator[str]:
    values = chart.values
    internal, secret = values["kas_internal_url"], values["kas_chart_tls_secret"]
    if values["kas_chart_tls_ca_secret"] and not secret:
        yield (
            f"kas_chart_tls_ca_secret is {shown(values['kas_chart_tls_ca_secret'])}, but kas_chart_tls_secret is not"
            " set; set both"
        )
    # Where only KAS is in the chart, a load balancer may take TLS off or put it on.
    if chart.runs_kas and chart.runs_rails and internal and internal.startswith("grpcs:") != bool(secret):
        state = f"{shown(secret)}, so KAS takes TLS only" if secret else "not set, so KAS takes no TLS"
        yield (
            f"kas_internal_url is {shown(internal)}, but kas_chart_tls_secret is {state}; leave the URL out, or set"
            f" {'grpcs' if secret else 'grpc'}"
        )


def _secrets_in_config(chart: Chart) -> Iterator[str]:
    for path in _secret_paths(chart.values["kas_chart_custom_config"]):
        yield (
            f"kas_chart_custom_config.{path} holds a secret, which would stand in the values; set the path of a file"
            " that is mounted from a Kubernetes Secret"
        )


def _secret_paths(tree: Any, path: str = "") -> Iterator[str]:
    """The paths of secrets in a tree, as far as their names tell them, and of URLs with a password."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            below = f"{path}.{key}".lstrip(".")
            if is_secret(str(key)):
                yield below
            else:
                yield from _secret_paths(value, below)
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from _secret_paths(item, path)
    elif any(secrets(tree)):
        yield path


def _secrets(chart: Chart) -> Iterator[str]:
    """Every secret that has a place in Kubernetes is there, and is such a secret."""
    if not any(chart.secret(name) for name in _PLACES):
        yield f"no variable names a Kubernetes Secret; set {_PLACES['api_secret_key'].variable}"
    given = chart.values["kas_secrets_values"]
    for name, place in _PLACES.items():
        cause = problem(name, given[name]) if name in given else "is not set"
        if chart.secret(name) and cause:
            yield (
                f"kas_secrets_values.{name} {cause}, and {place.variable} names the Kubernetes Secret for it; set the"
                f" nodes' gitlab_kas['{name}'] ({SECRETS[name]} bytes in strict Base64)"
            )


_REFUSALS: list[Rule] = [
    _missing,
    _names,
    _same_entry,
    _other_side,
    _agents_url,
    _internal_url,
    _tls,
    _secrets_in_config,
]
_SECRETS_REFUSALS: list[Rule] = [_names, _same_entry, _other_side, _secrets]


def _cookie_reach(chart: Chart) -> Iterator[str]:
    values = chart.values
    gitlab = urlsplit(values["kas_chart_gitlab_url"]).hostname
    if values["kas_external_url"] or values["kas_k8s_proxy_url"]:
        host = chart.as_host()
        yield from cookie_out_of_reach(host, Deployment([host]))
    else:
        yield (
            f"kas_external_url is not set, and the chart by itself puts KAS beside {gitlab}, where browsers do not"
            " send GitLab's cookie and user access through the Kubernetes API proxy cannot work; set a name below it,"
            f" such as wss://kas.{gitlab}"
        )


def _proxy_elsewhere(chart: Chart) -> Iterator[str]:
    """Rails in Kubernetes derives the proxy's URL: the chart cannot tell it (lib/gitlab/kas.rb, tunnel_url)."""
    agents, proxy = chart.values["kas_external_url"], chart.values["kas_k8s_proxy_url"]
    if chart.runs_rails and proxy and (not agents or proxy_url(agents).rstrip("/") != proxy.rstrip("/")):
        yield (
            f"kas_k8s_proxy_url is {shown(proxy)}, but the chart cannot tell Rails, which takes k8s-proxy/ below the"
            " URL of the agents; set kas_external_url to what is above it"
        )


def _grpc(chart: Chart) -> Iterator[str]:
    """The chart's Ingress for gRPC is off by default (charts/kas/templates/ingress-grpc.yaml), where there is one."""
    agents = chart.values["kas_external_url"]
    if chart.runs_kas and urlsplit(agents).scheme in ("grpc", "grpcs"):
        yield (
            f"kas_external_url is {shown(agents)}, but the chart's Ingress passes gRPC to KAS only with"
            " gitlab.kas.ingress.grpc.enabled, which older charts do not have; set it in values of your own, or use"
            f" wss://{urlsplit(agents).netloc}"
        )


def _gateway(chart: Chart) -> Iterator[str]:
    """With the Gateway API there is no TLS to KAS without a check (BackendTLSPolicy), by global.kas.tls.caSecretName.

    It came with 9.11.4, and is the default from 10.0 on.
    """
    if not chart.values["kas_chart_tls_secret"]:
        return
    always = "from chart 10.0 (GitLab 19.0) on the Gateway always checks the certificate of KAS"
    if not chart.values["kas_chart_tls_ca_secret"]:
        yield (
            f"kas_chart_tls_ca_secret is not set, and {always} by it; set the name of the Kubernetes Secret that holds"
            " the CA"
        )
    if not chart.values["kas_chart_tls_verify"]:
        yield (
            f"kas_chart_tls_verify is false, which only an Ingress obeys: {always}; make sure that it holds the name"
            f" RELEASE-kas.{chart.values['kas_chart_namespace']}.svc"
        )


def _without_effect(chart: Chart) -> Iterator[str]:
    for name, place in _OF_PACKAGES.items():
        if chart.runs_kas and chart.values[name]:
            yield f"{name} is set, but does not reach KAS in Kubernetes; set {place}"


_WARNINGS: list[Rule] = [_cookie_reach, _proxy_elsewhere, _grpc, _gateway, _without_effect]
