# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a deployment: what is refused before anything changes, and what is only worth a warning.

A rule looks at one host, in its deployment, and yields what follows the host's name in a sentence, without the
full stop: the variable, the value found, and what to set. No secret is ever part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    host_port,
    ip_version,
    parse_url,
    unreachable_reason,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import (
    GITLAB_RB,
    SECRETS,
    Choice,
    fingerprint,
    problem,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _rules_releases
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    AGENT_PATH,
    INTERNAL_API_PORT,
    KAS_GROUP,
    OWN_NAMES,
    OWN_PREFIX,
    PRIVATE_API_PORT,
    PRIVATE_API_VARIABLES,
    RAILS_GROUP,
    VARIABLE_OF_KEY,
    Deployment,
    Host,
    Unread,
    agents_url,
    gitlab_address,
    has_own_redis,
    internal_url,
    is_allowlist,
    node_url,
    secret_names,
    stale_urls,
    underived_internal_url,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import (
    Rule,
    listed,
    listens_for_itself,
    source,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

SOCKET_PATH_BYTES = 107  # Linux's sockaddr_un holds 108, the last of them a NUL

_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_OTHER_IP_VERSION = {"tcp4": 6, "tcp6": 4}

_TCP_ONLY = ("kas_listen_address", "kas_kubernetes_api_listen_address", "kas_observability_listen_address")


def node_refusals(hosts: Sequence[Host]) -> list[str]:
    """Whether there is a KAS node, and every node that is to be changed can be."""
    refusals = []
    if not any(KAS_GROUP in host.groups for host in hosts):
        refusals.append(f"The inventory's group {KAS_GROUP} has no host; put the nodes that run KAS into it.")
    for host in hosts:
        if not host.groups:
            refusals.append(
                f"{host.name}: it is neither in group {KAS_GROUP} nor in {RAILS_GROUP}; put it into one of them, or"
                " leave it out of the play."
            )
        elif host.in_play and host.info is None and host.is_reached:
            refusals.append(
                f"{host.name}: kas_info did not run on this host ({host.unreachable.rstrip('.')}); see that it has"
                " Python 3.9 or later, and that the user may become root there."
            )
        elif host.in_play and host.info is None:
            refusals.append(
                f"{host.name}: this host of group {' and '.join(sorted(host.groups))} does not answer"
                f" ({host.unreachable.rstrip('.')}); correct its name or address in the inventory, or take it out of"
                " the group."
            )
        elif host.in_play:
            refusals += [f"{host.name}: {sentence}" for sentence in host.blocking_errors]
    return refusals


def refusals(deployment: Deployment, roles: Iterable[str]) -> list[str]:
    """Everything that forbids what these roles would do."""
    return [f"{host.name}: {text}." for host, text in refused(deployment, roles)]


def refused(deployment: Deployment, roles: Iterable[str]) -> Iterator[tuple[Host, str]]:
    """Each host that a rule forbids, and why."""
    writes_urls = "kas" in roles or "kas_rails" in roles
    is_told_why = bool(deployment.errors) and "kas" in roles
    for hosts, rules in (
        (deployment.kas, _KAS_RULES if "kas" in roles else []),
        (deployment.rails, [_standalone_with_rails, _cookie_where("error")] if writes_urls else []),
        (deployment.rails, [_rails] if "kas_rails" in roles else []),
        (deployment.rails, [_internal_url] if "kas_rails" in roles and not is_told_why else []),
        (deployment.hosts, [_rules_releases.git_data_dirs, _secrets, _one_value_of_secrets]),
    ):
        yield from ((host, text) for host in hosts for rule in rules for text in rule(host, deployment))


def secret_refusals(deployment: Deployment, choice: Choice) -> list[str]:
    """Secrets are not made while a node that may have them is silent: it would be left with others."""
    silent = [host.name for host in deployment.hosts if host.info is None or host.blocking_errors]
    made = [name for name in SECRETS if choice.origins[name] == "made"]
    if not (silent and made and deployment.kas):
        return []
    return [
        f"{', '.join(silent)}: cannot be asked for {' and '.join(made)}, which no other node has;"
        " restore the connection, or set kas_secrets_values."
    ]


def warnings(deployment: Deployment, choice: Choice) -> list[str]:
    """What the user should know, and may have wanted."""
    rules: list[Rule] = [
        _silence,
        _cookie_where("warn"),
        *_rules_releases.WARNINGS,
        _other_urls,
        _redis_tls_to_ipv6,
        _replaced_secrets(choice),
    ]
    return [f"{host.name}: {text}." for host in deployment.hosts for rule in rules for text in rule(host, deployment)]


# -- KAS nodes --


def _unix_sockets(host: Host, deployment: Deployment) -> Iterator[str]:
    values = host.values
    if not values["kas_unix_sockets"]:
        return
    if deployment.several:
        others = ", ".join(kas.name for kas in deployment.kas if kas is not host)
        yield (
            f"kas_unix_sockets is true, but the other KAS nodes ({others}) cannot reach a UNIX socket; set it to false"
        )
    for name in (*PRIVATE_API_VARIABLES, "kas_internal_api_listen_address", "kas_internal_api_listen_network"):
        if values[name]:
            yield f"kas_unix_sockets is true, and {name} is {shown(listed(values[name]))}; set only one of them"
    for path in (host.private_api_socket, host.internal_api_socket):
        yield from _socket_path("kas_socket_dir", path)


def _listeners(host: Host, deployment: Deployment) -> Iterator[str]:
    for api in ("kas_private_api", "kas_internal_api"):
        network, address = host.values[f"{api}_listen_network"], host.values[f"{api}_listen_address"]
        if (network == "unix") != address.startswith("/"):
            yield (
                f"{api}_listen_network is {shown(network)}, and {api}_listen_address is {shown(address)}; set network"
                " unix with the path of a socket, or another one with ADDRESS:PORT"
            )
        elif network == "unix":
            yield from _socket_path(f"{api}_listen_address", address)
    for name in _TCP_ONLY:
        if host.values[name].startswith("/"):
            yield f"{name} is {shown(host.values[name])}, but it takes no UNIX socket; set ADDRESS:PORT"
    for name in (*_TCP_ONLY, "kas_private_api_listen_address", "kas_internal_api_listen_address"):
        listener = host_port(host.values[name])
        if listener and ":" in listener.host:
            yield (
                f"{name} is {shown(host.values[name])}, but the Linux package writes it into YAML without quotes, where"
                f" it is no text; set ':{listener.port}', or a name and the port"
            )


def _socket_path(variable: str, path: str) -> Iterator[str]:
    size = len(path.encode())
    if size > SOCKET_PATH_BYTES:
        yield (
            f"{variable} makes the socket path {shown(path)} of {size} bytes, but the path of a UNIX socket holds at"
            f" most {SOCKET_PATH_BYTES}; set a shorter one"
        )


def _own_url(host: Host, deployment: Deployment) -> Iterator[str]:
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
            f" {shown(values['kas_own_private_api_query'])}, of which KAS knows nothing; set discovery to 'url', or"
            " leave the query out"
        )
    elif host.name in deployment.errors:
        text = str(deployment.errors[host.name]).rstrip(".")
        yield f"{source(host)}, but {text[:1].lower()}{text[1:]}"
    elif way == "url" and len(deployment.urls[host.name]) > 1:
        found = ", ".join(parse_url(url).host for url in deployment.urls[host.name])
        yield (
            f"kas_own_private_api_cidr is not set, and the host has several addresses ({found}), but its own URL takes"
            " one; set a CIDR that holds exactly one of them, or kas_own_private_api_url"
        )


def _reach(host: Host, deployment: Deployment) -> Iterator[str]:
    """The others reach its URL, and it listens there."""
    values = host.values
    address = values["kas_private_api_listen_address"]
    if not deployment.several or values["kas_unix_sockets"]:
        return
    if address.startswith("/"):
        yield (
            f"kas_private_api_listen_address is {shown(address)}, but the other KAS nodes cannot reach a UNIX socket;"
            " set ADDRESS:PORT"
        )
        return
    reason = listens_for_itself(address)
    if reason:
        yield (
            f"kas_private_api_listen_address is {shown(address)}, which {reason}, so the other KAS nodes cannot reach"
            f" it; set 0.0.0.0:{PRIVATE_API_PORT}, or an address that they reach"
        )
        return
    urls = deployment.urls.get(host.name, [])
    for url in urls:
        reason = unreachable_reason(url)
        if reason:
            yield (
                f"{source(host)}, which makes its own private API URL {url}; it {reason}, so the other KAS nodes"
                " cannot reach it; set kas_own_private_api_cidr or kas_own_private_api_url to what they reach"
            )
    hosts = [parse_url(url).host for url in urls]
    listener = host_port(address)
    is_fixed = listener and ip_version(listener.host) and not listener.is_wildcard
    if values["kas_own_private_api_cidr"] and listener and is_fixed and hosts and listener.host not in hosts:
        yield (
            f"kas_private_api_listen_address is {shown(address)}, but kas_own_private_api_cidr"
            f" {shown(listed(values['kas_own_private_api_cidr']))} makes {', '.join(hosts)} its own address; set an"
            " address of the same network, or leave the listen address out"
        )
    network = values["kas_private_api_listen_network"]
    for url in urls:
        if ip_version(parse_url(url).host) == _OTHER_IP_VERSION.get(network, 0):
            yield (
                f"kas_private_api_listen_network is '{network}', but {source(host)}, which makes its own private API"
                f" URL {url}, where it would not listen; leave the network out, or set a URL or CIDR that fits it"
            )


def _same_url(host: Host, deployment: Deployment) -> Iterator[str]:
    for url in deployment.urls.get(host.name, []):
        first = deployment.first_with(url)
        if first is not host and not url.startswith("unix:"):
            yield (
                f"{source(host)}, which makes its own private API URL {url}, but that is the one of {first.name}, too;"
                " set another one for each node"
            )


def _tls(host: Host, deployment: Deployment) -> Iterator[str]:
    values = host.values
    for listener in ("kas", "kas_private_api", "kas_internal_api", "kas_kubernetes_api"):
        yield from _half_pair(values, f"{listener}_certificate", f"{listener}_key")
    url, certificate = values["kas_own_private_api_url"], values["kas_private_api_certificate"]
    scheme = urlsplit(url).scheme or host.own_scheme
    found = f"kas_own_private_api_url is {shown(url)}" if url else f"kas_own_private_api_scheme is '{scheme}'"
    if scheme == "grpcs" and not certificate:
        yield f"{found}, but kas_private_api_certificate is not set; set both, or grpc"
    elif scheme == "grpc" and certificate:
        yield f"{found}, but kas_private_api_certificate is {shown(certificate)}; set grpcs, or leave TLS out"
    elif certificate and not values["kas_own_private_api_host"]:
        yield (
            f"kas_private_api_certificate is {shown(certificate)}, but kas_own_private_api_host is not set, without"
            " which KAS does not start; set the name that the certificates of all KAS nodes share"
        )


def _external_url(host: Host, deployment: Deployment) -> Iterator[str]:
    yield from slash_missing(host)
    agents = host.values["kas_external_url"]
    has_own_name = host.external_url and urlsplit(agents).hostname != urlsplit(host.external_url).hostname
    if agents and has_own_name and host.values["kas_listen_websocket"] is False:
        yield (
            f"kas_listen_websocket is false, but kas_external_url is {shown(agents)}, and on a name of its own"
            " reconfigure takes no KAS without WebSockets; leave kas_listen_websocket out"
        )


def slash_missing(host: Host) -> Iterator[str]:
    for name in ("kas_external_url", "kas_k8s_proxy_url"):
        url = host.values[name]
        if urlsplit(url).path and not url.endswith("/"):
            yield f"{name} is {shown(url)}, and GitLab would redirect it to its path with a slash; set '{url}/'"


def _agents_path(host: Host, deployment: Deployment) -> Iterator[str]:
    """On the host name of the node's own external_url nginx passes nothing but the agents' path to KAS.

    It compares host names only (libraries/gitlab_kas.rb). Who lets a load balancer reach KAS itself needs no nginx.
    """
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


def _allowed_headers(host: Host, deployment: Deployment) -> Iterator[str]:
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


def _redis_to_come(host: Host, deployment: Deployment) -> Iterator[str]:
    """Nodes change one batch after another, and KAS waits for its Redis before the next one has its turn."""
    redis = host.values["kas_redis"].get("host")
    for other in deployment.hosts if redis and host.in_play else ():
        if redis in (other.name, *other.addresses) and not other.is_configured and deployment.is_later(other, host):
            yield (
                f"kas_redis.host is {shown(redis)}, which is {other.name}, but GitLab was never reconfigured there, and"
                " KAS would wait for its Redis in vain; run gitlab-ctl reconfigure there first, or set kas_serial to"
                " '100%'"
            )


def _raw_settings(host: Host, deployment: Deployment) -> Iterator[str]:
    """Raw settings must not go around the variables, which the other rules are about."""
    for key in host.values["kas_settings"]:
        if key in VARIABLE_OF_KEY:
            yield f"kas_settings.{key} is set, but {VARIABLE_OF_KEY[key]} is the variable for it; set that one"
    for name, value in host.values["kas_env"].items():
        if name in [OWN_PREFIX + own for own in OWN_NAMES]:
            yield f"kas_env.{name} is set, but kas_{name.lower()} is the variable for it; set that one"
        elif value is None or isinstance(value, (Mapping, list, tuple)):
            yield f"kas_env.{name} is {'empty' if value is None else shown(value)}; set text"


def _standalone(host: Host, deployment: Deployment) -> Iterator[str]:
    """A node with nothing else of GitLab has no Redis of its own, and nobody on it to ask for GitLab's API."""
    if not host.values["kas_standalone"] or host.in_rails:
        return
    if not has_own_redis(host):
        yield (
            "kas_standalone is true, which turns the node's own Redis off, but kas_redis has neither host, socket nor"
            " sentinels; set where the Redis of GitLab is"
        )


def _gitlab_address(host: Host, deployment: Deployment) -> Iterator[str]:
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


def _redis(host: Host, deployment: Deployment) -> Iterator[str]:
    """What the package would ignore without a word, and what KAS cannot start with."""
    redis = host.values["kas_redis"]
    for option in ("host", "sentinels", "ssl"):
        if redis.get("socket") and redis.get(option):
            yield (
                f"kas_redis.socket is {shown(redis['socket'])}, and kas_redis.{option} is {shown(redis[option])}; set"
                " only one of them"
            )
    if redis.get("port") and not redis.get("host"):
        yield f"kas_redis.port is {redis['port']}, but kas_redis.host is not set; set both"
    if redis.get("sentinels") and not redis.get("sentinels_master_name"):
        yield (
            "kas_redis.sentinels is set, but kas_redis.sentinels_master_name is not; set the name by which the"
            " Sentinels know Redis, such as gitlab-redis"
        )
    places = {"kas_redis": redis}
    places.update({f"kas_redis.sentinels[{i}]": place for i, place in enumerate(redis.get("sentinels", []))})
    for name, place in places.items():
        address = place.get("host", "")
        if ":" in address and not re.fullmatch(r"\[[^\]]*\]", address):
            yield (
                f"{name}.host is {shown(address)}, but the Linux package puts the port behind it; set a name or an"
                f" address, one of IPv6 in brackets, and the port as {name}.port"
            )
    yield from _redis_tls(redis, "ssl", "tls_")
    yield from _redis_tls(redis, "sentinels_ssl", "sentinels_tls_")


def _redis_tls_to_ipv6(host: Host, deployment: Deployment) -> Iterator[str]:
    """KAS takes the text before the first colon for the name in the certificate: seen on 16.5, likely on 17."""
    redis = host.values["kas_redis"]
    of_rails = {option: host.setting("gitlab_rails", f"redis_{option}") for option in ("host", "ssl", "sentinels")}
    places = {"kas_redis.{}": redis, **({} if has_own_redis(host) else {"gitlab_rails['redis_{}']": of_rails})}
    for name, place in places.items():
        address = place.get("host")
        is_ipv6 = isinstance(address, str) and ip_version(address.strip("[]")) == 6
        if host.runs_kas and is_ipv6 and place.get("ssl") is True and not place.get("sentinels"):
            yield (
                f"{name.format('host')} is {shown(address)}, and {name.format('ssl')} is true, but KAS was seen not to"
                " verify the certificate of an IPv6 address, so it may end when it starts; set a name that is in the"
                " certificate of Redis"
            )


def _redis_tls(redis: Mapping[str, Any], ssl: str, prefix: str) -> Iterator[str]:
    pair = (f"{prefix}client_cert_file", f"{prefix}client_key_file")
    yield from _half_pair(redis, *pair, of="kas_redis.")
    for name in (f"{prefix}ca_cert_file", *pair):
        if redis.get(name) and not redis.get(ssl):
            yield (
                f"kas_redis.{name} is {shown(redis[name])}, but kas_redis.{ssl} is not true, without which KAS does not"
                " use it; set it to true, or leave the file out"
            )


_KAS_RULES: list[Rule] = [
    _standalone,
    _gitlab_address,
    _redis,
    _unix_sockets,
    _listeners,
    _own_url,
    _reach,
    _same_url,
    *_rules_releases.REFUSALS,
    _tls,
    _external_url,
    _agents_path,
    _allowed_headers,
    _redis_to_come,
    _raw_settings,
]


# -- Rails nodes and secrets --


def _rails(host: Host, deployment: Deployment) -> Iterator[str]:
    """A Rails node without KAS must be told where agents connect."""
    if host.runs_kas or not deployment.kas or not host.in_play:
        return
    yield from slash_missing(host)
    if not agents_url(host):
        yield (
            f"kas_external_url is not set, KAS runs on other nodes, and {host.no_external_url}; set where agents"
            " connect, such as wss://kas.gitlab.example.com/"
        )


def _internal_url(host: Host, deployment: Deployment) -> Iterator[str]:
    """Where a Rails node without KAS reaches it."""
    if deployment.kas and host.in_play and not host.runs_kas and not internal_url(host, deployment):
        nodes = ", ".join(kas.name for kas in deployment.kas)
        cause = "on several nodes" if deployment.several else "on a node whose address for others is not known"
        yield (
            f"kas_internal_url is not set, and KAS runs {cause} ({nodes}); set where Rails reaches KAS, such as"
            f" grpc://kas.internal.example.com:{INTERNAL_API_PORT}"
        )


def _standalone_with_rails(host: Host, deployment: Deployment) -> Iterator[str]:
    if host.values["kas_standalone"]:
        yield (
            f"kas_standalone is true, but the host is in group {RAILS_GROUP}, and Rails would be turned off; set it to"
            " false, or take the host out of that group"
        )


def _secrets(host: Host, deployment: Deployment) -> Iterator[str]:
    for name, value in host.values["kas_secrets_values"].items():
        if name not in SECRETS:
            yield f"kas_secrets_values.{name} is no secret of KAS; set only {', '.join(SECRETS)}"
        elif problem(name, value):
            yield (
                f"kas_secrets_values.{name} {problem(name, value)}; set {SECRETS[name]} random bytes in strict Base64,"
                f" as 'openssl rand -base64 -A {SECRETS[name]}' prints them"
            )
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


def _one_value_of_secrets(host: Host, deployment: Deployment) -> Iterator[str]:
    for name, value in host.values["kas_secrets_values"].items():
        first = next(other for other in deployment.hosts if name in other.values["kas_secrets_values"])
        if value != first.values["kas_secrets_values"][name]:
            yield (
                f"kas_secrets_values.{name} is not that of {first.name}; set one value for all hosts, in"
                " group_vars/all for one"
            )


# -- Warnings --


def _silence(host: Host, deployment: Deployment) -> Iterator[str]:
    causes = [f"it does not answer ({host.unreachable})"] if host.info is None else host.blocking_errors
    for cause in causes:
        yield f"it stands outside of this play and could not be held against the others: {cause.rstrip('.')}"


def cookie_out_of_reach(host: Host, deployment: Deployment) -> Iterator[str]:
    """The browser sends the cookie _gitlab_kas only to GitLab's host and to names below it."""
    variable = "kas_k8s_proxy_url" if host.values["kas_k8s_proxy_url"] else "kas_external_url"
    gitlab, proxy = urlsplit(host.external_url).hostname, urlsplit(host.values[variable]).hostname
    if deployment.kas and host.in_rails and gitlab and proxy and not f".{proxy}".endswith(f".{gitlab}"):
        yield (
            f"{variable} puts the Kubernetes API proxy on {proxy}, which is neither {gitlab} nor below it, so browsers"
            f" do not send it GitLab's cookie and user access cannot work; use a name such as kas.{gitlab}"
        )


def _cookie_where(check: str) -> Rule:
    """The rule about the cookie for hosts whose kas_cookie_check is this."""

    def rule(host: Host, deployment: Deployment) -> Iterator[str]:
        if host.values["kas_cookie_check"] == check:
            yield from cookie_out_of_reach(host, deployment)

    return rule


def _other_urls(host: Host, deployment: Deployment) -> Iterator[str]:
    """What the package would derive where KAS runs, but somebody has set by hand."""
    if not (host.runs_kas and host.in_rails):
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
            "remove it there, since the package then makes no virtual host for KAS, and set kas_external_url if needed",
        ),
    ):
        found = host.setting("gitlab_rails", key)
        if found and not is_written and key not in stale:
            yield f"{host.says('gitlab_rails', key)}, although KAS runs on this node; {remedy}"


def _replaced_secrets(choice: Choice) -> Rule:
    """Secrets that somebody wrote into a gitlab.rb are not replaced without a word."""

    def rule(host: Host, deployment: Deployment) -> Iterator[str]:
        for name in secret_names(host, deployment):
            found = _found_secret(host, name)
            agreed = fingerprint(choice.secrets[name])
            if host.in_play and found.get("source") == GITLAB_RB and found.get("fingerprint") not in (None, agreed):
                yield (
                    f"gitlab_kas['{name}'] in gitlab.rb (fingerprint {found['fingerprint']}) gives way to"
                    f" {agreed}, which is {choice.origins[name]}"
                )
            elif host.in_play and found.get("computed"):
                yield (
                    f"gitlab_kas['{name}'] ({found['computed']}), which is computed, gives way to {agreed}, which is"
                    f" {choice.origins[name]}"
                )

    return rule


def _found_secret(host: Host, name: str) -> Mapping[str, Any]:
    return (host.reported.get("secrets") or {}).get(name) or {}


# -- Small things --


def _half_pair(values: Mapping[str, Any], first: str, second: str, of: str = "") -> Iterator[str]:
    """Of a certificate and its key, one alone is of no use."""
    for name, other in ((first, second), (second, first)):
        if values.get(name) and not values.get(other):
            yield f"{of}{name} is {shown(values[name])}, but {of}{other} is not set; set both"
