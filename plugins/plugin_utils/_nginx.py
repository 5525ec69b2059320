# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package's nginx on a node: whether it runs, what it serves of GitLab and KAS, and the files that this needs.

As the package's own code decides it, at 17.6 and 19.3: gitlab_kas.rb, gitlab_rails.rb, nginx.rb and lets_encrypt.rb
of its libraries, and the recipes that write the virtual hosts. An nginx that finds no use in one of its certificates
does not start, and GitLab is down with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import SERVICE_ROLES
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._nginx_files import (
    AUTHORITIES,
    DH,
    DIRECTORY,
    FILE_SETTINGS,
    PAIR,
    PASSPHRASES,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._certificates import certificates
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import (
    Deployment,
    Host,
    Unread,
    node_url,
    stale_urls,
)
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import KEYS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

# The listeners behind it, which it takes as they stand.
PASSED_ON = ("kas_listen_address", "kas_kubernetes_api_listen_address")

_WITH_NGINX = frozenset(("application", "pages"))
_WITH_RAILS = frozenset(("application", "sidekiq", "postgres", "patroni"))


class Fault(NamedTuple):
    """A file of a virtual host in which nginx finds no use."""

    file: str
    why: str = "is not there"  # as part of a sentence
    remedies: Sequence[str] = ()
    of_pair: bool = True  # it is the certificate or its key
    is_to_put: bool = True  # to put the right file there helps
    is_foreign: bool = False  # it is the key of another certificate


@dataclass(frozen=True)
class Vhost:
    """A virtual host of its own, which speaks TLS if nothing else is said."""

    name: str  # its host
    cause: str  # the URL that it is for, as part of a sentence
    section: str  # of gitlab.rb, which has its settings
    has_tls_url: bool
    is_new: bool  # what makes it is not in gitlab.rb yet
    is_plain: bool = False
    tls_by: str = ""  # the setting that makes it speak TLS; '' if its URL does
    can_ask: bool = False  # whether Let's Encrypt would be of use
    faults: Sequence[Fault] = ()  # in the files that nginx needs for it
    certificate: str = ""  # the file that it is to show; '' if that is not there, or Let's Encrypt sees to it
    asked_for: Sequence[str] = ()  # the names for which Let's Encrypt will be asked, since there is no certificate
    unread: Sequence[Unread] = ()  # what cannot be read, and may mean that nothing is missing


@dataclass
class _Reader:
    """The settings of a host as they will be, and a note of those that cannot be read."""

    host: Host
    unread: list[Unread] = field(default_factory=list)

    def first(self, *paths: Sequence[str], unread: Any = None) -> Any:
        """The first of these that is not nil, None if there is none; unread for one that cannot be read."""
        for path in paths:
            found = self.host.setting(*path)
            if isinstance(found, Unread):
                self.unread.append(found)
                return unread
            if found is not None:
                return found
        return None

    def kas(self, key: str, unread: Any = None) -> Any:
        """A setting of the virtual host of KAS."""
        given = self.host.values["kas_settings"].get("nginx")
        if isinstance(given, dict) and given.get(key) is not None and _has_new_sections(self.host):
            return given[key]
        return self._of("gitlab_kas", "gitlab_kas_nginx", key, unread)

    def rails(self, key: str, unread: Any = None) -> Any:
        """A setting of GitLab's virtual host."""
        return self._of("gitlab_rails", "nginx", key, unread)

    def _of(self, new: str, old: str, key: str, unread: Any) -> Any:
        newer = [(new, "nginx", key)] if _has_new_sections(self.host) else []
        return self.first(*newer, (old, key), unread=unread)


def named_files(host: Host) -> dict[str, str]:
    """The files that its variables name for nginx, by their settings."""
    given = host.values["kas_settings"].get("nginx")
    named = {name: given.get(name) for name in FILE_SETTINGS} if isinstance(given, dict) else {}
    return {name: path for name, path in named.items() if path and isinstance(path, str)}


def runs_nginx(host: Host) -> bool | Unread:
    """Whether the package's nginx will run on a node; Unread if only running its gitlab.rb would tell."""
    if host.runs_kas and host.values["kas_standalone"]:
        return True
    said = host.setting("nginx", "enable")
    if said is not None:
        return said if isinstance(said, Unread) else bool(said)
    roles = _roles(host)
    return roles if isinstance(roles, Unread) else not roles or bool(roles & _WITH_NGINX)


def serves_gitlab(host: Host) -> bool | Unread:
    """Whether that nginx has GitLab's virtual host, which passes a path of it to KAS where KAS runs, too."""
    runs, said = runs_nginx(host), host.setting("gitlab_rails", "enable")
    found = [runs, said, host.setting("gitlab_rails", "nginx", "enable")]
    if False in found:
        return False
    for each in found:
        if isinstance(each, Unread):
            return each
    roles = _roles(host)
    return True if said else roles if isinstance(roles, Unread) else not roles or bool(roles & _WITH_RAILS)


def vhosts(host: Host, deployment: Deployment) -> Iterator[Vhost]:
    """Those of GitLab and KAS that speak TLS, and are or may be there once this node is as planned."""
    yield from (vhost for vhost in _all_vhosts(host, deployment) if not vhost.is_plain)


def mixed_ports(host: Host, deployment: Deployment) -> Iterator[tuple[Vhost, str]]:
    """The virtual host of KAS, and its port, if GitLab's has the same port, and only one of them speaks TLS there.

    None if only running gitlab.rb would tell.
    """
    reader, gitlab = _Reader(host), urlsplit(node_url(host, deployment))
    listens, port, of_kas = reader.rails("listen_https"), reader.rails("listen_port"), reader.kas("port")
    is_plain = gitlab.scheme != "https" if listens is None else not listens
    port = str(port or _parts(gitlab.geturl()).port or (443 if gitlab.scheme == "https" else 80))
    for vhost in _all_vhosts(host, deployment) if serves_gitlab(host) is True and not reader.unread else ():
        is_same = port == str(of_kas or (443 if vhost.has_tls_url else 80))
        if vhost.section != "nginx" and is_same and vhost.is_plain != is_plain and not vhost.unread:
            yield vhost, port


def _all_vhosts(host: Host, deployment: Deployment) -> Iterator[Vhost]:
    runs, gitlab = runs_nginx(host), urlsplit(node_url(host, deployment))
    if runs is False or "nginx" not in host.reported or not gitlab.hostname:
        return
    unread = [runs] if isinstance(runs, Unread) else []
    for vhost in (_of_gitlab(host, gitlab), _of_kas(host, deployment, gitlab)):
        if vhost:
            yield replace(vhost, unread=[*unread, *vhost.unread])


def _of_gitlab(host: Host, gitlab: SplitResult) -> Vhost | None:
    reader, serves = _Reader(host), serves_gitlab(host)
    listens = reader.rails("listen_https")
    if serves is False or not (gitlab.scheme == "https" if listens is None else listens):
        return None
    if isinstance(serves, Unread):
        reader.unread.append(serves)
    pair = _pair_of_gitlab(_Reader(host), gitlab)
    is_new, has_tls_url = not host.setting("external_url"), gitlab.scheme == "https"
    is_asked = _letsencrypt(reader, gitlab)
    is_made = is_asked and pair[0] not in _there(host)
    return Vhost(
        _name(gitlab),
        f"external_url {'becomes' if is_new else 'in gitlab.rb is'} {shown(gitlab.geturl())}",
        "nginx",
        has_tls_url,
        is_new,
        tls_by="" if has_tls_url else "nginx['listen_https']",
        can_ask=has_tls_url and pair[0] not in _there(host),
        faults=[] if is_made else [*_faults(reader, "nginx", _Reader.rails, pair)],
        certificate="" if is_asked else pair[0],
        asked_for=[_name(gitlab)] if is_made else [],
        unread=reader.unread,
    )


def _of_kas(host: Host, deployment: Deployment, gitlab: SplitResult) -> Vhost | None:
    """The one that KAS has for itself: where agents connect to another host name than GitLab's.

    gitlab_kas_nginx['enable'] = false does not keep it away then.
    """
    reader, found = _Reader(host), host.setting("gitlab_kas_external_url")
    url = host.values["kas_external_url"] or (found if isinstance(found, str) else "")
    agents = _parts(url)
    if not host.runs_kas or not agents.hostname:
        return None
    key = "gitlab_kas_external_url"
    told = None if key in stale_urls(host, deployment) else reader.first(("gitlab_rails", key))
    is_own = agents.scheme in ("ws", "wss") and _name(agents) != _name(gitlab) and told is None
    has_tls_url = is_own and agents.scheme == "wss"
    listens, https = reader.kas("listen_https"), reader.kas("https")
    if not (is_own or reader.kas("enable")):
        return None
    is_tls = has_tls_url or https if listens is None else listens
    section = "gitlab_kas['nginx']" if _has_new_sections(host) else "gitlab_kas_nginx"
    default = _pair(_name(agents) if has_tls_url else _known(host, "fqdn"))
    pair = [_or(_Reader(host).kas(name, unread=""), path) for name, path in zip(PAIR, default, strict=True)]
    can_ask = has_tls_url and gitlab.scheme == "https" and pair[0] not in _there(host)
    is_asked = has_tls_url and _letsencrypt(reader, gitlab)
    asked_for: list[str] = []
    if is_asked and pair[0] and pair[0] not in _there(host):
        # One more name in GitLab's certificate, which counts only where GitLab's is by default.
        made = _pair_of_gitlab(_Reader(host), gitlab)
        is_made = made[0] not in _there(host)
        pair = [path for path in _pair(_name(gitlab)) if not (is_made and path in made)]
        asked_for = [_name(gitlab), _name(agents)]
    return Vhost(
        _name(agents),
        f"{'kas_external_url' if host.values['kas_external_url'] else 'gitlab_kas_external_url in gitlab.rb'} is"
        f" {shown(url)}",
        section,
        has_tls_url,
        found != url,
        is_plain=not is_tls,
        tls_by="" if has_tls_url else f"{section}['{'https' if listens is None else 'listen_https'}']",
        can_ask=can_ask,
        faults=[*_faults(reader, section, _Reader.kas, pair)] if is_tls else [],
        certificate="" if is_asked else pair[0],
        asked_for=asked_for,
        unread=reader.unread,
    )


def _faults(reader: _Reader, section: str, get: Callable[..., Any], pair: Sequence[str]) -> Iterator[Fault]:
    """What is wrong with the files of a virtual host, whose settings `get` reads; nothing with those of no known name.

    nginx reads certificates of authorities only to verify clients with them.
    """
    host = reader.host
    named = {setting: get(_Reader(host), setting, unread="") for setting in (DH, PASSPHRASES, AUTHORITIES)}
    if get(_Reader(host), "ssl_verify_client", unread="") in (None, "", "off"):
        del named[AUTHORITIES]
    missing = _missing(host, [*pair, *map(str, filter(None, named.values()))])
    reasons = {file: why for file, why in _known(host, "unusable").items() if file not in _ours(host)}
    yield from (Fault(file, reasons.get(file, Fault(file).why)) for file in pair if file in missing)
    for setting, file in named.items():
        if file in missing:
            yield Fault(file, reasons.get(file, Fault(file).why), [f"correct {section}['{setting}']"], of_pair=False)
    certificate, key = pair if len(pair) == len(PAIR) else ("", "")
    if not (certificate and key) or {certificate, key} & {*missing, *_ours(host)}:
        return
    opened = _known(host, "encrypted").get(key)
    if opened is not None and (given := get(reader, PASSPHRASES, unread="")) not in opened:
        yield _encrypted(section, key, given)
    elif key not in _known(host, "certificates").get(certificate, {}).get("keys", [key]):
        remedy = f"put the key of the first certificate in {certificate} there"
        yield Fault(key, f"does not belong to {certificate}", [remedy], is_to_put=False, is_foreign=True)


def _encrypted(section: str, key: str, passphrases: str | None) -> Fault:
    if passphrases:
        remedy = f"put its passphrase into {passphrases}"
        return Fault(key, f"is encrypted, and {passphrases} has no passphrase that opens it", [remedy], is_to_put=False)
    ways = [
        "decrypt it, for example with openssl pkey",
        f"set {section}['{PASSPHRASES}'] to a file with its passphrase",
    ]
    return Fault(key, "is encrypted", ways, is_to_put=False)


def _letsencrypt(reader: _Reader, gitlab: SplitResult) -> bool:
    """Whether it is known that the package gets certificates itself: asked to, or because GitLab has none."""
    said = reader.first(("letsencrypt", "enable"), unread=False)
    if said is not None:
        return bool(said)
    listens = reader.rails("listen_https", unread=False)
    is_kept = reader.first(("package", "generate_secrets_json_file"), unread=False) is not False
    if gitlab.scheme != "https" or not is_kept or not (listens is None or listens):
        return False
    pair = _pair_of_gitlab(reader, gitlab)
    has_none = "" not in pair and not _there(reader.host) & set(pair)
    return has_none or bool(_known(reader.host, "letsencrypt"))


def _pair_of_gitlab(reader: _Reader, gitlab: SplitResult) -> list[str]:
    """The certificate of GitLab's virtual host and its key, '' for one that cannot be read."""
    default = _pair(_name(gitlab) if gitlab.scheme == "https" else _known(reader.host, "fqdn"))
    return [_or(reader.rails(name, unread=""), path) for name, path in zip(PAIR, default, strict=True)]


def _or(found: Any, default: str) -> str:
    return default if found is None else str(found)


def _pair(name: str) -> list[str]:
    return [f"{DIRECTORY}/{name}.crt", f"{DIRECTORY}/{name}.key"]


def _there(host: Host) -> set[str]:
    """The files that are there, or will be before GitLab is reconfigured."""
    return {*_known(host, "files"), *_ours(host)}


def _ours(host: Host) -> list[str]:
    """The files that we put there."""
    return [item[part] for item in certificates(host) if item["given"] for part in ("certificate", "key")]


def _missing(host: Host, files: Sequence[str]) -> list[str]:
    """Those that nginx finds nothing in. To Let's Encrypt an empty file is one that is there."""
    of_use = _there(host) - (set(_known(host, "unusable")) - set(_ours(host)))
    return [file for file in files if file.startswith("/") and file not in of_use]


def _roles(host: Host) -> frozenset[str] | Unread:
    """The roles that say which services a node runs; none for a whole GitLab."""
    listed = host.setting("roles")
    if isinstance(listed, Unread):
        return listed
    names = [listed] if isinstance(listed, str) else listed if isinstance(listed, (list, tuple)) else []
    found = {str(name).replace("-", "_").removesuffix("_role") for name in names}
    for role in SERVICE_ROLES:
        said = host.setting(f"{role}_role", "enable")
        if isinstance(said, Unread):
            return said
        found |= {role} if said else set()
    return frozenset(found & set(SERVICE_ROLES))


def _parts(url: str) -> SplitResult:
    """The parts of a URL; of a text that is none, parts without a host. Anything may stand in a gitlab.rb."""
    try:
        return urlsplit("" if re.search(r"[\s@]", url) else url)
    except ValueError:
        return urlsplit("")


def _known(host: Host, what: str) -> Any:
    return host.reported["nginx"][what]


def _has_new_sections(host: Host) -> bool:
    """Whether each virtual host has a section of its own, which goes before the one of old."""
    return not KEYS["nginx"].not_yet(host.version)


def _name(url: SplitResult) -> str:
    """A URL's host as it is written: the package compares it so, and names files after it."""
    found = re.match(r"\[[^\]]*\]|[^:]*", url.netloc)
    return found[0] if found else ""
