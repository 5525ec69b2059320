# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules about Redis. What a rule is: see the package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import show
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import (
    HostPort,
    PrivateApiError,
    ip_version,
    unreachable_reason,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    Deployment,
    Host,
    Unread,
    has_own_redis,
    inherits_redis,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.rule import refusal, warning
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._rules.sentences import half_pair
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

_REDIS_PORT = 6379
_ASKED = ("password", "username")  # what Redis asks a client for


class _Place(NamedTuple):
    """Where a KAS finds its Redis."""

    says: str  # what says so, as part of a sentence
    where: str  # a host or socket; '' if that is not known
    is_sentinel: bool = False  # it only tells where Redis is


@refusal()
def to_come(host: Host, deployment: Deployment) -> Iterator[str]:
    """Nodes change one batch after another, and KAS waits for its Redis before the next one has its turn."""
    redis = host.values["kas_redis"].get("host")
    for other in deployment.hosts if redis and host.in_play else ():
        if redis in (other.name, *other.addresses) and not other.is_configured and deployment.is_later(other, host):
            yield (
                f"kas_redis.host is {shown(redis)}, which is {other.name}, but GitLab was never reconfigured there, and"
                " KAS would wait for a Redis that is not there; run gitlab-ctl reconfigure there first, or set"
                " kas_serial to '100%'"
            )


@refusal()
def settings(host: Host, deployment: Deployment) -> Iterator[str]:
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


@refusal()
def shared(host: Host, deployment: Deployment) -> Iterator[str]:
    """In Redis every KAS finds on which other one an agent is connected. One of them may run on a KAS node."""
    own = _own_redis(host)
    if own and any(_own_redis(kas) for kas in deployment.kas if kas is not host):
        yield (
            f"{own}, which is the node's own Redis, but KAS runs on several nodes, and finds the agents of"
            " the others only in one that all share; set kas_redis to the Redis of GitLab"
        )


@warning(where="kas")
def on_each_node(host: Host, deployment: Deployment) -> Iterator[str]:
    """The same where nothing is set: the package's default is the node's own Redis."""
    if _is_left_to_the_package(host) and any(_is_left_to_the_package(kas) for kas in deployment.kas if kas is not host):
        yield (
            "no Redis is set, neither kas_redis nor gitlab_rails['redis_host'] in gitlab.rb, so KAS uses the node's"
            " own, but it runs on several nodes, and finds the agents of the others only in one that all share; set"
            " kas_redis to the Redis of GitLab"
        )


@refusal()
def unknown(host: Host, deployment: Deployment) -> Iterator[str]:
    """KAS is not ready before it has reached its Redis, or one of its Sentinels, by the names that its node knows."""
    places = _redis_places(host)
    problems = [host.resolved(place.where).get("problem") for place in places]
    if places and all(problems):
        yield (
            f"{places[0].says}, but on this node {places[0].where} {problems[0]}, so KAS would not get ready; see that"
            " this node knows the name, or set an address"
        )


@refusal()
def password(host: Host, deployment: Deployment) -> Iterator[str]:
    """KAS with a Redis of its own gets no password of Rails' (parse_redis_settings, see inherits_redis).

    The other way round, a password that Redis does not ask for, does no harm: Redis takes any in HELLO.
    """
    where = _place_of_its_own(host)
    kept = host.setting("gitlab_kas", "redis_password")
    command = host.values["kas_extra_config_command"] or host.setting("gitlab_kas", "extra_config_command")
    if not where or host.values["kas_redis"].get("password") or kept or isinstance(kept, Unread) or command:
        return
    for rails in [host, *deployment.hosts]:
        of_rails = {key: rails.setting("gitlab_rails", f"redis_{key}") for key in ("host", "port", *_ASKED)}
        same = (of_rails["host"], str(of_rails["port"] or _REDIS_PORT)) == where
        if same and isinstance(of_rails["password"], str) and of_rails["password"] and not of_rails["username"]:
            whose = "gitlab.rb" if rails is host else f"gitlab.rb of {rails.name}"
            yield (
                f"KAS has no password for its Redis {':'.join(where)}, but gitlab_rails['redis_password']"
                f" in {whose} is set for the same one, and KAS takes over none of GitLab's settings once it has a host"
                " of its own, so it would not get ready; set kas_redis.password"
            )
            return


def _place_of_its_own(host: Host) -> tuple[str, str] | None:
    """Host and port of a Redis that KAS does not get from Rails' settings, as far as both are known."""
    if inherits_redis(host):
        return None
    if has_own_redis(host):
        redis = host.values["kas_redis"]
        found, port = "" if redis.get("sentinels") else redis.get("host"), redis.get("port")
    else:
        sentinels, found, port = (host.setting("gitlab_kas", f"redis_{key}") for key in ("sentinels", "host", "port"))
        found = None if sentinels else found
    is_known = isinstance(found, str) and found and not isinstance(port, Unread)
    return (found, str(port or _REDIS_PORT)) if is_known else None


def _is_left_to_the_package(host: Host) -> bool:
    return bool(host.reported.get("redis")) and not _redis_places(host)


def _own_redis(host: Host) -> str:
    """What leads a KAS to the Redis that the package runs on its node, as part of a sentence; '' if nothing does.

    Without one, something else there may lead to the Redis that all share.
    """
    here = (host.name, *host.addresses)
    for place in _redis_places(host) if host.reported.get("redis") else ():
        found = host.resolved(place.where).get("addresses") or [place.where]
        leads_here = place.where.startswith("/") or all(each in here or _leads_back(each) for each in found)
        if leads_here and not place.is_sentinel:
            return place.says
    return ""


def _leads_back(host: str) -> bool:
    try:
        return bool(unreachable_reason(f"grpc://{HostPort(host, _REDIS_PORT)}")) if host else False
    except PrivateApiError:  # a gitlab.rb may hold anything
        return False


def _redis_places(host: Host) -> list[_Place]:
    """Where a KAS finds Redis, as far as something says it: Sentinels go before a host, a host before a socket."""
    section = "gitlab_rails" if inherits_redis(host) else "gitlab_kas"
    for option in ("sentinels", "host", "socket"):
        if has_own_redis(host):
            found, name, says = host.values["kas_redis"].get(option), f"kas_redis.{option}", ""
        else:
            key = (section, f"redis_{option}")
            found, name, says = host.setting(*key), f"{show(key)} in gitlab.rb", host.says(*key)
        if option == "sentinels" and isinstance(found, (list, tuple)):
            hosts = [(number, each.get("host")) for number, each in enumerate(found) if isinstance(each, Mapping)]
            places = [_Place(f"{name}[{number}].host is {shown(each)}", str(each), True) for number, each in hosts]
            if places:
                return places
        elif found or isinstance(found, Unread):
            is_known = option != "sentinels" and isinstance(found, str)
            return [_Place(says or f"{name} is {shown(found)}", str(found) if is_known else "")]
    return []


@warning(where="kas")
def tls_to_ipv6(host: Host, deployment: Deployment) -> Iterator[str]:
    """KAS takes the text before the first colon for the name in the certificate: seen on 16.5, likely on 17."""
    redis = host.values["kas_redis"]
    of_rails = {option: host.setting("gitlab_rails", f"redis_{option}") for option in ("host", "ssl", "sentinels")}
    places = {"kas_redis.{}": redis, **({} if has_own_redis(host) else {"gitlab_rails['redis_{}']": of_rails})}
    for name, place in places.items():
        address = place.get("host")
        is_ipv6 = isinstance(address, str) and ip_version(address.strip("[]")) == 6
        if is_ipv6 and place.get("ssl") is True and not place.get("sentinels"):
            yield (
                f"{name.format('host')} is {shown(address)}, and {name.format('ssl')} is true, but KAS was seen not to"
                " verify the certificate of an IPv6 address, so it may end when it starts; set a name that is in the"
                " certificate of Redis"
            )


def _redis_tls(redis: Mapping[str, Any], ssl: str, prefix: str) -> Iterator[str]:
    pair = (f"{prefix}client_cert_file", f"{prefix}client_key_file")
    yield from half_pair(redis, *pair, of="kas_redis.")
    for name in (f"{prefix}ca_cert_file", *pair):
        if redis.get(name) and not redis.get(ssl):
            yield (
                f"kas_redis.{name} is {shown(redis[name])}, but kas_redis.{ssl} is not true, without which KAS does not"
                " use it; set it to true, or leave the file out"
            )
