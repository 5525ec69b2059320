# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated inventories: hosts, their variables, right and wrong, and what kas_info may return of each.

The same seed gives the same inventory. Every secret holds MARK, so that a sentence that shows one can be told.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS, fingerprint, problem
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import KAS_GROUP, RAILS_GROUP
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._syntax import (
    DAYS,
    HOURS,
    PORT,
    SECONDS,
    Syntax,
    Url,
    Whole,
    batch,
    listener,
    release,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import REDIS, VARIABLES, Variable

MARK = "hunter2"

RELEASES = (
    *("16.0.0", "16.4.9", "16.5.0", "16.9.6", "16.11.0", "17.0.0", "17.6.2", "17.7.0", "17.8.0", "17.8.1", "17.9.0"),
    *("17.9.1", "18.0.0", "18.0.1", "18.2.0", "18.3.0", "18.6.1-ee.0", "18.7.0", "18.8.0", "19.2.0", "19.3.0"),
    *("19.5.0", None, "nightly"),
)
NAMES = ("gitlab.example.com", "kas.gitlab.example.com", "kas.example.com", "kas1", "10.0.0.1", "[fd00::1]", "::1")
PORTS = ("", "", ":8155", ":8153", ":443", ":0", ":99999", ":x", ":")
PATHS = ("", "/", "/-/kubernetes-agent/", "/-/kubernetes-agent", "/gitlab", "/?a=b")
LISTENERS = (
    *(":8155", "0.0.0.0:8155", "10.0.0.1:8155", "localhost:8153", "[::]:8155", "[fd00::1]:8153", "kas1:9155"),
    *("/run/kas/kas.socket", "/" + 120 * "k", "[::ffff:0.0.0.0]:8155", "169.254.1.1:8155", "8155", ":0"),
)
CIDRS = ("10.0.0.0/8", "fd00::/8", "10.0.0.2/32", "0.0.0.0/0", "192.168.0.0/16", "127.0.0.0/8", "10.0.0.0", "x", "::/0")
ADDRESSES = ("127.0.0.1", "::1", "fe80::1", "169.254.0.1", "192.168.7.7", "172.16.0.1", "2001:db8::7")
WRONG: tuple[Any, ...] = (
    *(None, "", " ", True, False, 0, 42, -1, 3.5, "x", "yes", "[", "{", '{"a": 1}', "\0", "\u0661", "ä\n\tb", []),
    *({}, ["a"], [None], {"a": 1}, {"a": None}, [{"host": "a"}], [[]], "https://[x", "grpc://[::1", "wss://\u2100/"),
    *(200 * "a", f"https://me:{MARK}@gitlab.example.com"),
)
# What decides how hosts hang together is set more often than the rest.
OFTEN = (
    *("kas_own_private_api_url", "kas_own_private_api_cidr", "kas_own_private_api_discovery", "kas_standalone"),
    *("kas_enabled", "kas_state", "kas_unix_sockets", "kas_internal_url", "kas_external_url", "kas_gitlab_address"),
    *("kas_redis", "kas_secrets_values", "kas_internal_api_certificate", "kas_internal_api_key", "kas_serial"),
    *("kas_internal_api_listen_address", "kas_private_api_listen_address", "kas_extra_allowed_response_headers"),
)
RAILS_URLS = ("gitlab_kas_internal_url", "gitlab_kas_external_url", "gitlab_kas_external_k8s_proxy_url")
OWN_KEYS = (
    *("private_api_listen_address", "private_api_listen_network", "internal_api_listen_address"),
    *("internal_api_listen_network", "internal_api_certificate_file", "internal_api_key_file", "gitlab_address"),
    *("redis_host", "extra_config_command"),
)
UNREADABLE = (
    *("*", "external_url", "gitlab_kas_external_url", "gitlab_kas", "gitlab_kas['env']", "gitlab_rails"),
    *(f"gitlab_kas['{key}']" for key in OWN_KEYS),
    *("nginx['enable']", "gitlab_kas_nginx", "letsencrypt['enable']", "roles", "user", "user['group']"),
    *(f"gitlab_rails['{key}']" for key in (*RAILS_URLS, "redis_username")),
)
# Good and odd choices by the syntax of a variable, else by its type, the odd ones in the second place.
CHOICES: dict[Syntax | str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    batch: (("1", "100%"), ("2", "50%")),
    "bool": ((False, True, "no", "true"), ()),
    DAYS: ((30,), (0,)),
    HOURS: ((24,), (0, -1)),
    listener: (LISTENERS[:3], LISTENERS),
    "path": (("/etc/gitlab/kas.crt",), ("/" + 120 * "k",)),
    PORT: ((8155, 8153), ("9155",)),
    release: (RELEASES[:-2], ()),
    SECONDS: ((60,), (1,)),
    "str": (("git", "kas1"), ("kas.internal", "ansible_facts.x", "/bin/true")),
}


def _secret(name: str, number: int, size: int) -> str:
    return base64.b64encode((f"{MARK} {name} {number} ".encode() + 80 * b"s")[:size]).decode()


# Of each secret two that are valid, and two that are not.
SECRET_VALUES = {
    name: (_secret(name, 1, size), _secret(name, 2, size), _secret(name, 3, size - 1), f"{MARK}=")
    for name, size in SECRETS.items()
}
ALL_SECRETS = {value for values in SECRET_VALUES.values() for value in values}


@dataclass(frozen=True)
class Row:
    """One host as Ansible knows it."""

    name: str
    groups: frozenset[str]
    variables: Mapping[str, Any]
    in_play: bool
    info: Mapping[str, Any] | None  # what kas_info returned; None if the node did not answer
    secrets: Mapping[str, str]
    facts: Mapping[str, Any] | None  # about its network, if they were gathered


def inventory(seed: int) -> list[Row]:
    """1 to 8 hosts, in one group, the other, both or none, in the play or not."""
    return _Generator(Random(seed)).rows()


def smaller(rows: list[Row]) -> Iterator[list[Row]]:
    """The same without one host, one variable, or one thing that is known of a node."""
    for number, row in enumerate(rows):
        yield [*rows[:number], *rows[number + 1 :]]
        for variables in _without_one(row.variables):
            yield [*rows[:number], replace(row, variables=variables), *rows[number + 1 :]]
        known = {key: value for key, value in (row.info or {}).items() if key != "secrets"}
        for less in _without_one(known):
            info = {**less, "secrets": (row.info or {})["secrets"]}
            yield [*rows[:number], replace(row, info=info), *rows[number + 1 :]]


def _without_one(tree: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in tree:
        yield {key: value for key, value in tree.items() if key != name}
    for name, inner in tree.items():
        for less in _without_one(inner) if isinstance(inner, Mapping) else ():
            yield {**tree, name: less}


class _Generator:
    """Draws one inventory. The wilder it is, the more of it is wrong: a calm one is fit to be planned in most cases."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._wildness = random.choice((0, 0, 1, 1, 2))

    def rows(self) -> list[Row]:
        common = self._variables()
        if self._wildness < 2:
            self._calm(common)
        return [self._row(number, common) for number in range(1, self._random.randint(1, 8) + 1)]

    def _calm(self, common: dict[str, Any]) -> None:
        """What several nodes need, and both halves of each pair."""
        if not common.get("kas_own_private_api_url"):
            common.setdefault("kas_own_private_api_cidr", "10.0.0.0/8")
        if self._chance(2, 3):
            common.setdefault("kas_internal_url", "grpc://lb:8153")
        if self._chance(1, 2):
            common.setdefault("kas_external_url", "wss://kas.gitlab.example.com/")
        for name in [name for name in common if name.endswith(("_certificate", "_key"))]:
            pair = name.rpartition("_")[0]
            common.update({f"{pair}_certificate": "/etc/gitlab/kas.crt", f"{pair}_key": "/etc/gitlab/kas.key"})

    def _row(self, number: int, common: Mapping[str, Any]) -> Row:
        groups = self._one((KAS_GROUP,), (RAILS_GROUP,), (KAS_GROUP, RAILS_GROUP))
        if number == 1 and not self._odd(True):
            groups = (KAS_GROUP,)
        own = self._variables() if self._chance(self._wildness, 5) else {}
        in_play = self._chance(4, 5)
        secrets, values = self._secrets()
        is_silent = self._chance(1, 8) if self._wildness > 1 or not in_play else False
        return Row(
            name=f"node{number}",
            groups=frozenset(() if self._wildness > 1 and self._chance(1, 20) else groups),
            variables={**common, **own},
            in_play=in_play,
            info=None if is_silent else {**self._info(number, in_play), "secrets": secrets},
            secrets={} if is_silent else values,
            facts={"all_ipv4_addresses": ["127.0.0.1", f"10.0.0.{number}"], "fqdn": "x"}
            if self._chance(3, 4)
            else None,
        )

    def _variables(self) -> dict[str, Any]:
        names = [self._one(*OFTEN) for _turn in range(self._random.randint(0, 4))]
        names += [self._one(*VARIABLES) for _turn in range(self._random.randint(0, 1 + self._wildness))]
        if not self._wildness:  # one for all is wrong
            names = [name for name in names if name not in ("kas_own_private_api_url", "kas_standalone")]
        found = {name: self._variable(name, VARIABLES[name]) for name in names}
        if self._wildness > 1 and self._chance(1, 2):
            found[self._one(*VARIABLES)] = self._one(*WRONG)
        return found

    def _variable(self, name: str, variable: Variable) -> Any:
        special: dict[str, Callable[[], Any]] = {
            "kas_env": lambda: self._some(lambda _name: MARK, "A", "SSL_CERT_DIR", *self._odd("OWN_PRIVATE_API_URL")),
            "kas_settings": lambda: self._some(
                lambda _name: self._one(MARK, 5, None), "log_group", "agent_info_cache_ttl", *self._odd("nginx", "a b")
            ),
            "kas_redis": lambda: self._some(lambda option: self._option(REDIS[option]), *REDIS),
            "kas_secrets_values": lambda: self._some(
                lambda secret: self._one(*SECRET_VALUES[secret][: 4 if self._wildness else 1]), *SECRETS
            ),
            "kas_own_private_api_query": lambda: self._one("all_ipv4_addresses", *self._odd("fqdn", "[", "nothing")),
            "kas_ca_certificates": lambda: [
                self._one({"name": "internal", "content": "PEM"}, *self._odd({"name": "a/b"}))
            ],
            "kas_extra_allowed_response_headers": lambda: ["X-One", *self._odd("X Two")],
        }
        return special[name]() if name in special else self._option(variable)

    def _option(self, variable: Variable) -> Any:
        if variable.choices:
            return self._one(*variable.choices)
        if isinstance(variable.syntax, Url):
            return self._url(*variable.syntax.schemes)
        if variable.items and variable.items.options:
            return [{"host": self._one(*NAMES)}]
        if variable.items:
            return [self._one(*CIDRS[: 9 if self._wildness else 1]) for _turn in range(self._random.randint(1, 2))]
        if variable.is_secret:
            return self._one(MARK, f"redis://me:{MARK}@redis")
        if isinstance(variable.syntax, Whole) and variable.syntax not in CHOICES:
            limits = variable.syntax.limits
            return self._one(limits[1], *self._odd(limits[0], limits[-1] + 1))
        good, odd = CHOICES[variable.syntax if variable.syntax in CHOICES else variable.type]
        return self._one(*good, *self._odd(*odd))

    def _info(self, number: int, in_play: bool) -> dict[str, Any]:
        own = [f"10.0.0.{number}", f"fd00::{number}", "127.0.0.1"]
        is_unhealthy = self._chance(1, 15) and (self._wildness > 1 or not in_play)
        return {
            "blocking_errors": ["It is unhealthy."] if is_unhealthy else [],
            "gitlab_version": self._one(*(RELEASES if self._wildness else ("18.6.1", "19.3.0"))),
            "configured": self._chance(3, 4),
            "enabled": self._chance(3, 4),
            "addresses": [*(() if self._odd(True) else own), *self._odd(*ADDRESSES)],
            "own_private_api_urls": [self._url("grpc", "grpcs", "unix") for _turn in range(self._random.randint(0, 2))],
            "settings": mask(self._settings()),
            **({"nginx": self._nginx()} if self._chance(2, 3) else {}),
            "names": {name: self._resolved() for name in NAMES if self._chance(1, 2)},
            "unreadable": {
                self._one(*UNREADABLE): "line 3" for _turn in range(self._random.choice((0, 0, 0, 0, 1, 2)))
            },
        }

    def _resolved(self) -> dict[str, Any]:
        if self._odd(True):
            return {"addresses": [], "problem": "cannot be resolved (Name or service not known)"}
        return {"addresses": [self._one("192.0.2.7", *self._odd("10.0.0.1", "fd00::2", "127.0.1.1"))], "problem": None}

    def _nginx(self) -> dict[str, Any]:
        pairs = [f"/etc/gitlab/ssl/{host}gitlab.example.com.{kind}" for host in ("", "kas.") for kind in ("crt", "key")]
        return {
            "files": [file for file in pairs if not self._wildness or self._chance(3, 4)],
            "unusable": {} if not self._odd(True) else {self._one(*pairs): "is empty"},
            "certificates": {
                certificate: {
                    "keys": [] if self._odd(True) else [key],
                    **({"names": [], "not_before": 0, "not_after": 0} if self._chance(1, 2) else {}),
                }
                for certificate, key in (pairs[:2], pairs[2:])
            },
            "encrypted": {pairs[1]: []} if self._odd(True) else {},
            "fqdn": self._one("node.example.com", "localhost"),
            "letsencrypt": self._chance(1, 4),
        }

    def _settings(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "external_url": self._one("https://gitlab.example.com", "https://gitlab.example.com", self._url("https")),
            "gitlab_kas": self._some(self._own_setting, *OWN_KEYS),
            "gitlab_rails": self._some(lambda _key: self._url("grpc", "grpcs", "wss", "https"), *RAILS_URLS),
            "nginx": self._some(lambda _key: self._one(True, False, None), "enable", "listen_https"),
            "gitlab_kas_nginx": self._some(lambda _key: self._one(True, False, None), "enable", "listen_https"),
            "user": self._some(lambda _key: self._one("git", None), "username", "group"),
        }
        if self._chance(1, 4):
            del found["external_url"]
        if self._wildness and self._chance(1, 4):
            names = (
                "external_url",
                "gitlab_kas_external_url",
                "gitlab_kas",
                "gitlab_rails",
                *("gitlab_kas_nginx", "nginx", "letsencrypt", "roles", "user"),
                *self._odd("git_data_dirs"),
            )
            found[self._one(*names)] = self._one(*WRONG)
        return found

    def _own_setting(self, key: str) -> Any:
        if self._wildness and self._chance(1, 9):
            return self._one(*WRONG)
        if key.endswith("_network"):
            return self._one("tcp", "unix")
        if key.endswith("_listen_address"):
            return self._one(*LISTENERS)
        return self._one("/etc/gitlab/kas", "/bin/echo agent: {kubernetes_api: {extra_allowed_response_headers: [A]}}")

    def _secrets(self) -> tuple[dict[str, dict[str, str | None]], dict[str, str]]:
        """The secrets of a node as kas_info describes them, and the secrets themselves."""
        described, values = {}, {}
        for name in SECRETS:
            found: dict[str, str | None] = dict.fromkeys(("fingerprint", "source", "problem", "computed"))
            kind = self._one("", "gitlab.rb", "gitlab-secrets.json", *self._odd("computed"))
            if kind == "computed":
                found.update(source="gitlab.rb", computed="line 7")
            elif kind:
                values[name] = self._one(*SECRET_VALUES[name][: 4 if self._wildness else 2])
                found.update(fingerprint=fingerprint(values[name]), source=kind, problem=problem(name, values[name]))
            described[name] = found
        return described, values

    def _url(self, *schemes: str) -> str:
        scheme = self._one(*schemes, *self._odd("ftp", "HTTPS", ""))
        names, ports, paths = (NAMES, PORTS, PATHS) if self._wildness else (NAMES[:5], PORTS[:4], PATHS[:3])
        return f"{scheme}://{self._one(*names)}{self._one(*ports)}{self._one(*paths)}"

    def _one(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _odd(self, *choices: Any) -> tuple[Any, ...]:
        """What a calm inventory does not hold, and a wild one often."""
        return choices if self._chance(self._wildness * self._wildness, 8) else ()

    def _chance(self, of: int, all_of: int) -> bool:
        return self._random.randrange(all_of) < of

    def _some(self, value: Callable[[str], Any], *names: str) -> dict[str, Any]:
        """A mapping with a few of these names."""
        chosen = self._random.sample(names, self._random.randint(0, min(3, len(names))))
        return {name: value(name) for name in chosen}
