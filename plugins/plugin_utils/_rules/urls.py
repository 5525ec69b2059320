# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about URLs, own ones and those for agents and Rails. What a rule is: see the package."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    parse_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    AGENT_PATH,
    INTERNAL_API_PORT,
    PRIVATE_API_PORT,
    RAILS_GROUP,
    Deployment,
    Host,
    Unread,
    agents_url,
    gitlab_address,
    internal_url,
    node_url,
    stale_urls,
    underived_internal_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._nginx import runs_nginx, serves_gitlab
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._outside import missing
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import (
    listed,
    listens_for_itself,
    source,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown


@refusal()
def own_url(host: Host, deployment: Deployment) -> Iterator[str]:
    """One of the three ways, and one that leads to a URL."""
    values = host.values
    url, cidr = values["kas_own_private_api_url"], values["kas_own_private_api_cidr"]
    way = values["kas_own_private_api_discovery"]
    if url and cidr:
        yield (
            f"kas_own_private_api_url is {shown(url)}, and kas_own_private_api_cidr is {shown(listed(cidr))}; set only"
            " one of them"
        )
    elif url and way != "url":
        yield (
            f"kas_own_private_api_discovery is '{way}', and kas_own_private_api_url is {shown(url)}; set only one of"
            " them"
        )
    elif url and urlsplit(url).port is None:
        yield (
            f"kas_own_private_api_url is {shown(url)}, which has no port; set it with one, such as"
            f" '{url.rstrip('/')}:{PRIVATE_API_PORT}'"
        )
    elif cidr and way == "listener":
        yield (
            f"kas_own_private_api_discovery is 'listener', and kas_own_private_api_cidr is {shown(listed(cidr))}; set"
            " discovery to 'url' or 'cidr', or leave the CIDR out"
        )
    elif way == "cidr" and not cidr:
        yield "kas_own_private_api_discovery is 'cidr', and kas_own_private_api_cidr is not set; set it"
    elif way != "url" and values["kas_own_private_api_query"]:
        yield (
            f"kas_own_private_api_discovery is '{way}', and kas_own_private_api_query is"
            f" {shown(values['kas_own_private_api_query'])}, which KAS does not use; set discovery to 'url', or"
            " leave the query out"
        )
    elif host.name in deployment.errors and not _is_socket_for_others(host, deployment):
        text = deployment.errors[host.name].sentence("kas_own_private_api_").rstrip(".")
        yield f"{source(host)}, but {text[:1].lower()}{text[1:]}"
    elif way == "url" and len(deployment.urls.get(host.name, ())) > 1:
        found = ", ".join(parse_url(url).host for url in deployment.urls[host.name])
        yield (
            f"kas_own_private_api_cidr is not set, and the host has several addresses ({found}), but its own URL takes"
            " one; set kas_own_private_api_cidr to a network that contains exactly one of them, or set"
            " kas_own_private_api_url"
        )


def _is_socket_for_others(host: Host, deployment: Deployment) -> bool:
    """A listener that no URL leads to; listeners.reach says so."""
    return deployment.several and host.values["kas_private_api_listen_address"].startswith("/")


@refusal()
def same_url(host: Host, deployment: Deployment) -> Iterator[str]:
    for url in deployment.urls.get(host.name, []):
        first = deployment.first_with(url)
        if first is not host and not url.startswith("unix:"):
            yield (
                f"{source(host)}, which makes its own private API URL {url}, but {first.name} has the same;"
                " set another one for each node"
            )


@refusal()
def listen_websocket(host: Host, deployment: Deployment) -> Iterator[str]:
    agents = host.values["kas_external_url"]
    has_own_name = host.external_url and urlsplit(agents).hostname != urlsplit(host.external_url).hostname
    if agents and has_own_name and host.values["kas_listen_websocket"] is False:
        yield (
            f"kas_listen_websocket is false, but kas_external_url is {shown(agents)}, and on a name of its own"
            " reconfigure takes no KAS without WebSockets; leave kas_listen_websocket out"
        )


@refusal(where="all", roles=("kas", "kas_rails"))
def slash(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.runs_kas or (deployment.kas and host.in_play):
        yield from slash_missing(host)


def slash_missing(host: Host) -> Iterator[str]:
    for name in ("kas_external_url", "kas_k8s_proxy_url"):
        url = host.values[name]
        if urlsplit(url).path and not url.endswith("/"):
            yield f"{name} is {shown(url)}, and GitLab would redirect it to its path with a slash; set '{url}/'"


@refusal()
def agents_path(host: Host, deployment: Deployment) -> Iterator[str]:
    """On the host name of the node's own external_url the package's nginx passes only the agents' path to KAS.

    It compares host names only (libraries/gitlab_kas.rb). Who lets a load balancer reach KAS itself needs no nginx.
    """
    if serves_gitlab(host) is not True:
        return
    agents = urlsplit(host.values["kas_external_url"])
    listener = host.values["kas_listen_address"]
    own = urlsplit(node_url(host, deployment))
    if not agents.scheme.startswith("ws") or agents.hostname != own.hostname:
        return
    if listener and not listens_for_itself(listener):
        return
    path = own.path.rstrip("/") + AGENT_PATH
    if agents.path.rstrip("/") != path.rstrip("/"):
        yield (
            f"kas_external_url is {shown(host.values['kas_external_url'])}, but on the host of external_url"
            f" '{own.geturl()}' nginx passes only {path} to KAS; set '{agents.scheme}://{agents.netloc}{path}'"
        )


@refusal()
def api_of_gitlab(host: Host, deployment: Deployment) -> Iterator[str]:
    """A KAS apart from Rails asks its own node for GitLab's API, unless it is told better."""
    found = host.setting("gitlab_kas", "gitlab_address")
    if host.in_rails or gitlab_address(host, deployment) or found:
        return
    unread = next((rails for rails in deployment.rails if isinstance(rails.setting("external_url"), Unread)), None)
    remedy = "set where KAS reaches GitLab, such as https://gitlab.example.com"
    if unread and not isinstance(host.setting("external_url"), Unread):
        yield f"kas_gitlab_address is not set, and on {unread.name} {unread.no_external_url}; {remedy}"
    elif host.values["kas_standalone"]:
        yield (
            f"kas_standalone is true, but kas_gitlab_address is not set, and no host of group {RAILS_GROUP} has an"
            f" external_url to derive it from; {remedy}"
        )


@refusal(where="rails", roles=("kas_rails",))
def agents_url_for_rails(host: Host, deployment: Deployment) -> Iterator[str]:
    """A Rails node without KAS must be told where agents connect."""
    if _asks_others(host, deployment) and not agents_url(host):
        yield (
            f"kas_external_url is not set, KAS runs on other nodes, and {host.no_external_url}; set where agents"
            " connect, such as wss://kas.gitlab.example.com/"
        )


@refusal(where="rails", roles=("kas_rails",))
def internal_url_of_several(host: Host, deployment: Deployment) -> Iterator[str]:
    """Which of several KAS nodes a Rails node calls is not ours to choose."""
    if deployment.several:
        yield from _internal_url_missing(host, deployment, "on several nodes")


@refusal(where="rails", roles=("kas_rails",), unless=own_url)
def internal_url_of_one(host: Host, deployment: Deployment) -> Iterator[str]:
    """Where a Rails node reaches the one KAS follows from that node's own URL, if it has one."""
    if not deployment.several:
        yield from _internal_url_missing(host, deployment, "on a node whose address for others is not known")


def _internal_url_missing(host: Host, deployment: Deployment, cause: str) -> Iterator[str]:
    if _asks_others(host, deployment) and not internal_url(host, deployment):
        nodes = ", ".join(kas.name for kas in deployment.kas)
        yield (
            f"kas_internal_url is not set, and KAS runs {cause} ({nodes}); set where Rails reaches KAS, such as"
            f" grpc://kas.internal.example.com:{INTERNAL_API_PORT}"
        )


def _asks_others(host: Host, deployment: Deployment) -> bool:
    """Whether KAS runs, but not on this host, which this play tells of it."""
    return bool(deployment.kas) and host.in_play and not host.runs_kas


@refusal(where="all")
def from_outside(host: Host, deployment: Deployment) -> Iterator[str]:
    """What is to be tried from outside must be known."""
    text = missing(host, deployment)
    if text:
        yield text


def cookie_out_of_reach(host: Host, deployment: Deployment) -> Iterator[str]:
    """The browser sends the cookie _gitlab_kas only to GitLab's host and to names below it."""
    variable = "kas_k8s_proxy_url" if host.values["kas_k8s_proxy_url"] else "kas_external_url"
    gitlab, proxy = urlsplit(host.external_url).hostname, urlsplit(host.values[variable]).hostname
    if deployment.kas and host.in_rails and gitlab and proxy and not f".{proxy}".endswith(f".{gitlab}"):
        yield (
            f"{variable} puts the Kubernetes API proxy on {proxy}, which is neither {gitlab} nor below it, so browsers"
            f" do not send it GitLab's cookie and user access cannot work; use a name such as kas.{gitlab}"
        )


@refusal(where="rails", roles=("kas", "kas_rails"))
def cookie_refused(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.values["kas_cookie_check"] == "error":
        yield from cookie_out_of_reach(host, deployment)


@warning(where="rails")
def cookie_warned(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.values["kas_cookie_check"] == "warn":
        yield from cookie_out_of_reach(host, deployment)


@warning(where="kas")
def other_urls(host: Host, deployment: Deployment) -> Iterator[str]:
    """What the package would derive where KAS runs, but somebody has set by hand."""
    if not host.in_rails:
        return
    values, stale = host.values, stale_urls(host, deployment)
    for key, is_written, remedy in (
        (
            "gitlab_kas_internal_url",
            values["kas_internal_url"] or underived_internal_url(host, deployment),
            "remove it there, or set kas_internal_url",
        ),
        (
            "gitlab_kas_external_url",
            False,
            "remove it there"
            + (", since the package then makes no virtual host for KAS" if runs_nginx(host) is True else "")
            + ", and set kas_external_url if needed",
        ),
    ):
        found = host.setting("gitlab_rails", key)
        if found and not is_written and key not in stale:
            yield f"{host.says('gitlab_rails', key)}, although KAS runs on this node; {remedy}"
