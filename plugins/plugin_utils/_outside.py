# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Agents' way to KAS as it is tried from the hosts in kas_verify_from: what is asked where, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    Deployment,
    Host,
    Unread,
    gitlab_address,
    shown_agents_url,
    shown_proxy_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import remedy_of_silence

CONTROLLER = "localhost"
_FAILS = {
    "agents": "agents do not get through to KAS at",
    "kubernetes_api": "the Kubernetes API proxy is not served at",
    "gitlab": "GitLab does not serve KAS as it should, at",
}
_WORKS = {
    "agents": "agents get through to KAS at {url}",
    "kubernetes_api": "the Kubernetes API proxy answers at {url}",
    "gitlab": "GitLab reaches KAS {version}",
}


def jobs(deployment: Deployment) -> list[dict[str, Any]]:
    """What is to be asked, one entry for each host that asks; none if nobody is to, or where no KAS runs.

    `host` is the host of the play in whose name it is asked: it fails with what is wrong. No entry holds the token.
    """
    askers = [host for host in _askers(deployment) if host.values["kas_verify_from"]]
    teller = _teller(deployment)
    if not askers or not teller:
        return []
    agents = str(shown_agents_url(teller))
    proxy = shown_proxy_url(teller, agents)
    first = askers[0].values
    return [
        {
            "from": vantage,
            "host": askers[0].name,
            "deployment": first["kas_deployment"],
            "agents_url": agents,
            "proxy_url": "" if isinstance(proxy, Unread) else proxy,
            "gitlab_url": _gitlab_url(deployment),
            "idle_s": first["kas_verify_idle_s"],
            "timeout_s": first["kas_probe_timeout_s"],
            "min_valid_days": first["kas_certificate_min_valid_days"],
        }
        for vantage in dict.fromkeys(name for host in askers for name in host.values["kas_verify_from"])
    ]


def missing(host: Host, deployment: Deployment) -> str:
    """Why it cannot be asked what this host wants to be asked, as part of a sentence; '' if it can."""
    if not host.values["kas_verify_from"] or host not in _askers(deployment):
        return ""
    if not _teller(deployment):
        first = (deployment.rails or deployment.kas)[0]
        found = shown_agents_url(first)
        why = str(found) if isinstance(found, Unread) else first.no_external_url
        return (
            f"kas_verify_from is set, but nothing tells where agents connect (on {first.name} {why}); set"
            " kas_external_url"
        )
    if host.values["kas_verify_token"] and not _gitlab_url(deployment):
        return "kas_verify_token is set, but nothing tells where GitLab is; set kas_gitlab_address"
    return ""


def unknown(asked: Iterable[Mapping[str, Any]], inventory: Collection[str]) -> str:
    """Who is to ask, but is no host of the inventory, as a sentence; '' if nobody is."""
    names = dict.fromkeys(job["from"] for job in asked if job["from"] not in (CONTROLLER, *inventory))
    if not names:
        return ""
    return (
        f"kas_verify_from names {', '.join(map(shown, names))}, not found in the inventory; correct it, or name"
        f" {CONTROLLER} for the controller."
    )


def _askers(deployment: Deployment) -> list[Host]:
    """The hosts of the play in whose name may be asked."""
    return [host for host in deployment.hosts if host.in_play] if deployment.kas else []


def _teller(deployment: Deployment) -> Host | None:
    """The host that tells where agents connect: Rails shows it to people; without Rails here, a KAS node does."""
    urls = ((host, shown_agents_url(host)) for host in [*deployment.rails, *deployment.kas])
    return next((host for host, url in urls if isinstance(url, str) and url), None)


def _gitlab_url(deployment: Deployment) -> str:
    found = [rails.external_url for rails in deployment.rails]
    found += [gitlab_address(kas, deployment) or kas.external_url for kas in deployment.kas]
    return next(filter(None, found), "")


# -- What came of it --


def asked(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of what the task returned for each host that asks, what came to an answer or an error."""
    return [each for each in results if each.get("checks") or each.get("error")]


def findings(results: Iterable[Mapping[str, Any]]) -> list[Sentence]:
    """What is not as it should be; what several hosts find alike is said once."""
    said: dict[tuple[str, str], list[str]] = {}
    for each in asked(results):
        for text in _wrong(each):
            said.setdefault((each["item"]["host"], text), []).append(each["item"]["from"])
    return [Sentence(tuple(vantages), text, fails=(host,)) for (host, text), vantages in said.items()]


def _wrong(result: Mapping[str, Any]) -> list[str]:
    error = result.get("error")
    if error and error.get("unreachable"):
        why = str(error.get("msg", "no answer")).rstrip(".")
        return [f"this host of kas_verify_from does not answer ({why}); {remedy_of_silence(why)}."]
    if error:
        return [str(error.get("msg", "it failed."))]
    return [
        f"{_FAILS[check['check']]} {check['url']}: {check['text']}; {check['remedy']}."
        for check in result["checks"]
        if not check["ok"]
    ]


def lines(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """What works, and what will not for long."""
    found = []
    for each in asked(results):
        checks, vantage = each.get("checks", []), each["item"]["from"]
        works = [_works(check) for check in checks if check["ok"]]
        found += [f"{vantage}: {'; '.join(works)}."] if works else []
        found += dict.fromkeys(f"{vantage}: {warning}" for check in checks for warning in check["warnings"])
    return found


def _works(check: Mapping[str, Any]) -> str:
    text = _WORKS[check["check"]].format(url=check["url"], version=check["told"].get("gitlab", {}).get("version"))
    return text + (f", {check['told']['answer']}" if "answer" in check["told"] else "")


def data(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same as data, an entry for each question; of a host that could not ask, one without a question."""
    fields = ("check", "url", "ok", "part", "text", "warnings")
    nothing: Sequence[Mapping[str, Any]] = [{"ok": False, "warnings": []}]
    return [
        {
            "from": each["item"]["from"],
            "deployment": each["item"]["deployment"],
            **{field: check.get(field) for field in fields},
        }
        for each in asked(results)
        for check in each.get("checks") or nothing
    ]
