#!/usr/bin/python
# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kas_info
short_description: Gather information about KAS on a node
version_added: "0.1.0"
author:
  - The kasops team (@kasops)
description:
  - Says what there is to know about the GitLab Linux package and KAS on a node, whether they work, and what was made of
    its settings. Changes nothing.
  - Does not fail on an unhealthy node. What is wrong with the node stands in RV(kas.blocking_errors), and what is wrong
    with the KAS that runs there in RV(kas.problems).
  - Of the three secrets that KAS shares, it returns fingerprints; the secrets themselves only with O(secret_values).
extends_documentation_fragment:
  - kasops.gitlab_kas.attributes
  - kasops.gitlab_kas.attributes.read_only
  - kasops.gitlab_kas.ruby
options:
  path:
    description:
      - The path of gitlab.rb.
    type: path
    default: /etc/gitlab/gitlab.rb
  include:
    description:
      - The file for our settings that gitlab.rb includes or will include, the same as for
        M(kasops.gitlab_kas.gitlab_rb). Its change makes a reconfigure pending, too.
    type: path
  inputs:
    description:
      - Further files and directories that a reconfigure applies, the same as for
        M(kasops.gitlab_kas.gitlab_reconfigure).
    type: list
    elements: path
    default: []
  restart_inputs:
    description:
      - Files and directories that KAS reads only when it starts, the same as for
        M(kasops.gitlab_kas.gitlab_reconfigure).
    type: list
    elements: path
    default: []
  listen_hosts:
    description:
      - Names and addresses on which KAS is to listen, without ports. RV(kas.listen_hosts) says what becomes of them.
    type: list
    elements: str
    default: []
  ports:
    description:
      - TCP ports on which KAS is to listen. RV(kas.ports) says which other programs do.
    type: list
    elements: int
    default: []
  directories_record:
    description:
      - The record of the directories of sockets that were made, for RV(kas.directories_on_record).
    type: path
  names:
    description:
      - Names of other hosts, each of which is resolved here; see RV(kas.names).
    type: list
    elements: str
    default: []
  nginx_files:
    description:
      - Further files that nginx is to use, by the setting that names each, such as C(ssl_certificate_key).
        RV(kas.nginx) says what there is to say of them.
    type: dict
    default: {}
  wait_s:
    description:
      - How many seconds to wait for an enabled KAS to get ready.
    type: int
    default: 0
  secret_values:
    description:
      - Return the three secrets themselves in RV(kas.secret_values).
      - Only for a task with C(no_log=true), which keeps them out of every output.
    type: bool
    default: false
seealso:
  - module: kasops.gitlab_kas.gitlab_reconfigure
  - module: kasops.gitlab_kas.kas_probe
"""

EXAMPLES = r"""
- name: Gather information about KAS
  kasops.gitlab_kas.kas_info:
  register: looked

- name: Report problems
  ansible.builtin.assert:
    that: looked.kas.blocking_errors == []
    fail_msg: "{{ looked.kas.blocking_errors | join(' ') }}"
"""

RETURN = r"""
kas:
  description: What there is to know.
  returned: always
  type: dict
  contains:
    blocking_errors:
      description: Why nothing can be changed on this node, a sentence each.
      type: list
      elements: str
      sample: ["/etc/gitlab/gitlab.rb does not exist; install the GitLab Linux package or correct the path."]
    problems:
      description: What a reconfigure may fix in the KAS that is enabled here, a sentence each.
      type: list
      elements: str
      sample: []
    gitlab_version:
      description: The version of the package; null if it is not installed.
      type: str
      sample: 18.6.1
    configured:
      description: Whether GitLab was reconfigured here at least once.
      type: bool
      sample: true
    enabled:
      description: Whether the package supervises a KAS here.
      type: bool
      sample: true
    running:
      description: Whether that KAS runs.
      type: bool
      sample: true
    ready:
      description: Whether KAS says that all it needs works.
      type: bool
      sample: true
    readiness:
      description: V(ok), the probes that fail, or why there is no answer, with the reason if KAS ended when it started.
      type: str
      sample: ok
    own_private_api_urls:
      description: Where other KAS reach this one, as it published in its log when it started; empty if it does not run.
      type: list
      elements: str
      sample: ["grpc://10.0.0.1:8155"]
    listeners:
      description:
        - Where the servers of KAS listen, by the configuration that the last reconfigure made.
        - The names are C(agent), C(kubernetes_api), C(observability), C(internal_api), C(private_api).
      type: dict
      sample:
        agent: {network: tcp, address: "localhost:8150"}
    secrets:
      description:
        - The three secrets as the package takes them, from gitlab.rb, else from gitlab-secrets.json.
        - C(fingerprint) is the beginning of a SHA-256. C(source) is C(gitlab.rb), with all that it includes, or
          C(gitlab-secrets.json). C(problem) says why the package would refuse it. C(computed) is the line of gitlab.rb
          that makes a secret in a way that cannot be read without running it; its fingerprint is not known then. All
          are null where there is nothing to say.
      type: dict
      sample:
        api_secret_key: {fingerprint: 0123456789ab, source: gitlab.rb, problem: null, computed: null}
    secret_values:
      description: The secrets that were found; empty without O(secret_values).
      type: dict
      sample: {}
    settings:
      description:
        - The settings in gitlab.rb that are about KAS, and those of GitLab that it depends on, as far as they are
          literals. The others are in RV(kas.unreadable), or not set.
        - Secrets are masked.
      type: dict
      sample:
        external_url: https://gitlab.example.com
        gitlab_kas: {enable: true}
    lines:
      description:
        - The line that sets what C(gitlab_kas) and C(gitlab_rails) say of KAS, as far as that is a literal. The line of
          a hash stands for all that is in it.
      type: dict
      sample:
        gitlab_kas['enable']: line 7
    unreadable:
      description:
        - Which of these settings are computed, or set in some cases only, so that only running gitlab.rb would tell
          what they are, and the line that does it.
        - A section or hash stands for all of its keys that are not in RV(kas.settings), and C(*) for every setting that
          is not there, such as after an included file that cannot be read.
      type: dict
      sample:
        external_url: line 3
    warnings:
      description: What is worth knowing about gitlab.rb, such as that another tool writes it, a sentence each.
      type: list
      elements: str
      sample: []
    included_files:
      description:
        - The files that gitlab.rb includes, as far as their names can be read; their changes count as its own. Where it
          lists files by a pattern, that, too; so one that has vanished is noticed.
      type: list
      elements: str
      sample: [/etc/gitlab/kas.rb]
    addresses:
      description: The IP addresses of the node.
      type: list
      elements: str
      sample: [10.0.0.1, "fd00::1"]
    listen_hosts:
      description:
        - For each name in O(listen_hosts) the C(address) that it has on this node, where a server would listen, and the
          C(problem) that it would have; each is null if there is none.
      type: dict
      sample:
        kas1.internal: {address: 127.0.1.1, problem: null}
    ports:
      description:
        - The programs other than KAS that listen on O(ports), with the C(address) and C(port) of each. C(program) is
          its name, empty if that is not known.
      type: list
      elements: dict
      sample:
        - {address: 127.0.0.1, port: 8080, program: puma}
    redis:
      description: Whether the package supervises a Redis here.
      type: bool
      sample: true
    time:
      description: The node's clock when it was asked, in seconds since 1970.
      type: float
      sample: 1764000000.5
    directories_on_record:
      description: The directories that were made for sockets, and not removed since, by O(directories_record).
      type: list
      elements: str
      sample: []
    names:
      description:
        - What each of O(names) and each Redis of C(gitlab_kas) and C(gitlab_rails) in gitlab.rb is here.
        - C(addresses) are all that its name leads to; C(problem) says why there is none.
      type: dict
      sample:
        kas2.internal: {addresses: [10.0.0.2], problem: null}
    nginx:
      description:
        - What there is on the node for the package's nginx.
        - C(files) are the files in C(/etc/gitlab/ssl), those that the settings name, and O(nginx_files), as far as they
          are there. C(unusable) says why nginx finds no use in one, such as that it is empty.
        - C(certificates) has of each certificate the C(keys) that belong to it, and, if there is one, the C(names) that
          it is for, and C(not_before) and C(not_after), in seconds since 1970. C(encrypted) has of each key with a
          passphrase the files of passphrases (C(ssl_password_file)) that open it.
        - C(fqdn) is the node's name, which the package gives the certificate of a virtual host that has no other.
          C(letsencrypt) says whether the package once turned Let's Encrypt on by itself.
      type: dict
      sample:
        files: [/etc/gitlab/ssl/gitlab.example.com.crt, /etc/gitlab/ssl/gitlab.example.com.key]
        unusable: {}
        certificates:
          /etc/gitlab/ssl/gitlab.example.com.crt:
            keys: [/etc/gitlab/ssl/gitlab.example.com.key]
            names: ["DNS:gitlab.example.com"]
            not_before: 1764000000
            not_after: 1795536000
        encrypted: {}
        fqdn: gitlab-1.example.com
        letsencrypt: false
    reconfigure_pending:
      description: Why a reconfigure is pending; null if none is.
      type: str
      sample: /etc/gitlab/gitlab.rb has changed since the last successful reconfigure.
    restart_pending:
      description: Why KAS must start anew to read one of its files; null if it has read them.
      type: str
      sample: /etc/gitlab/ssl-kas/private-api.crt has changed since the last start of KAS on record.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._addresses import (
    Listening,
    Resolved,
    canonical_name,
    kernel_addresses,
    listening,
    resolved,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import (
    FileError,
    read,
    read_if_there,
    read_included,
    remedy,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import (
    SERVICE,
    SERVICE_ROLES,
    AppliedState,
    GitlabCtlError,
    Package,
    Service,
    masked,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import GitlabRb, GitlabRbError, mask
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import Reading, show
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_files import GitlabRbFiles
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import (
    OBSERVABILITY,
    KasError,
    Listener,
    Readiness,
    configuration,
    listeners,
    log_directory,
    readiness,
    stale_sockets,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas_log import (
    published_urls,
    start_failure,
    start_log_lines,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._nginx_files import (
    FILE_SETTINGS,
    NO_FILES,
    look_at_files,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ports import Taken, taken
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import Record
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import NO_LITERAL, Ruby, RubyError, find_ruby
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import (
    GITLAB_RB,
    SECRETS,
    SECRETS_JSON,
    Found,
    fingerprint,
    problem,
)

_SURELY_UP_S = 60  # a KAS that cannot start has ended by then

# Those of the package's nginx that decide whether it runs, and what it does not start with or without.
_NGINX = ("enable", "listen_https", "listen_port", "ssl_verify_client", *FILE_SETTINGS)
# What is read of gitlab.rb.
SETTINGS = (
    *("external_url", "gitlab_kas_external_url", "gitlab_kas", "gitlab_kas_nginx", "gitlab_rails", "roles", "user"),
    "git_data_dirs",  # GitLab 18.0 and later refuse to reconfigure with it
    *("nginx", "letsencrypt", "package", *(f"{role}_role" for role in SERVICE_ROLES)),
)
# Of these sections only some keys: what Rails is told of KAS, the Redis that KAS inherits, and what is about nginx.
KEYS = {
    "gitlab_rails": ("gitlab_kas_*", "redis_*", "enable", "nginx"),
    "nginx": _NGINX,
    "letsencrypt": ("enable",),
    "package": ("generate_secrets_json_file",),
}


class Sources(NamedTuple):
    """Where the module looks; the defaults are this node."""

    package: Package = Package()
    addresses: Callable[[], list[str]] = kernel_addresses
    ready: Callable[[Listener], Readiness] = readiness
    pause: Callable[[float], None] = time.sleep
    listening: Callable[[str], Listening] = listening
    taken: Callable[[Collection[int]], list[Taken]] = taken
    clock: Callable[[], float] = time.time
    resolved: Callable[[str], Resolved] = resolved
    fqdn: Callable[[], str] = canonical_name


def run(params: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """Find out everything there is to know. Raises nothing: what goes wrong is a blocking error or a problem."""
    kas: dict[str, Any] = {
        "blocking_errors": [],
        "problems": [],
        "gitlab_version": None,
        "configured": False,
        "enabled": False,
        "running": False,
        "ready": False,
        "readiness": "gitlab-kas is not enabled",
        "own_private_api_urls": [],
        "listeners": {},
        "secrets": _describe({}, Reading({}, {})),
        "secret_values": {},
        "settings": {},
        "lines": {},
        "unreadable": {},
        "warnings": [],
        "included_files": [],
        "addresses": [],
        "listen_hosts": {host: sources.listening(host)._asdict() for host in params["listen_hosts"]},
        "ports": [each._asdict() for each in sources.taken(params["ports"]) if each.program != SERVICE],
        "redis": sources.package.supervises("redis"),
        "time": sources.clock(),
        "directories_on_record": [],
        "names": {},
        "nginx": {**NO_FILES, "fqdn": "", "letsencrypt": False},
        "reconfigure_pending": None,
        "restart_pending": None,
    }
    package = sources.package

    def note(sentence: str) -> None:
        if sentence not in kas["blocking_errors"]:
            kas["blocking_errors"].append(sentence)

    with _noted(note):
        kas["addresses"] = _addresses(sources)
    with _noted(note):
        if params["directories_record"]:
            kas["directories_on_record"] = [path for (path,) in Record(params["directories_record"]).changes]
    with _noted(note):
        kas["gitlab_version"] = _version(package, Path(params["path"]))
    if not package.installed:
        return {"changed": False, "kas": kas}
    kas["configured"] = package.configured
    reading = Reading({}, {})
    with _noted(note):
        reading, gitlab_rb = _read_settings(params, note)
        kas["warnings"], kas["included_files"] = _warnings(gitlab_rb, params["include"]), gitlab_rb.included
        kas["settings"], kas["unreadable"] = mask(reading.settings), reading.unreadable
        kas["lines"] = _lines(gitlab_rb)
    names = dict.fromkeys([*params["names"], *_redis_hosts(reading.settings)])
    kas["names"] = {name: sources.resolved(name)._asdict() for name in names}
    with _noted(note):
        kas["nginx"] = _nginx(reading.settings, params["nginx_files"], sources)
    with _noted(note):
        found = _secrets(reading, package.root)
        kas["secrets"] = _describe(found, reading)
        if params["secret_values"]:
            kas["secret_values"] = {name: str(secret.value) for name, secret in found.items()}
    with _noted(note):
        inputs = [params["path"], *filter(None, [params["include"]]), *params["inputs"], *kas["included_files"]]
        applied = AppliedState(package)
        snapshot = applied.snapshot([*inputs, *params["restart_inputs"]])
        kas["reconfigure_pending"] = applied.pending(snapshot, inputs)
        kas["restart_pending"] = applied.restart_pending(snapshot, params["restart_inputs"])
    _look_at_kas(kas, sources)
    for _second in range(params["wait_s"]):
        if kas["ready"] or not kas["enabled"]:
            break
        sources.pause(1)
        _look_at_kas(kas, sources)
    return {"changed": False, "kas": kas}


def _look_at_kas(kas: dict[str, Any], sources: Sources) -> None:
    kas["problems"] = []
    with _noted(kas["problems"].append):
        service = sources.package.service(SERVICE)
        kas["enabled"], kas["running"] = service.enabled, service.running
        if service.enabled:
            _look_at_service(kas, service, sources)


def _look_at_service(kas: dict[str, Any], service: Service, sources: Sources) -> None:
    root = sources.package.root
    serving: dict[str, Listener] = {}
    note = kas["problems"].append
    with _noted(note):
        config = configuration(root)
        text = _read(config)
        if text is None:
            raise GitlabCtlError(f"KAS is enabled, but {config} does not exist; run gitlab-ctl reconfigure.")
        serving = listeners(text.decode(errors="replace"))
        kas["listeners"] = {name: listener._asdict() for name, listener in serving.items()}
    if service.running:
        kas["ready"], kas["readiness"] = sources.ready(serving.get("observability", OBSERVABILITY))
    else:
        kas["ready"] = False
        kas["readiness"] = f"gitlab-kas does not run ({service.text or 'gitlab-ctl says nothing of it'})"
    if not kas["ready"]:
        for path in stale_sockets(serving.values(), root):
            note(
                f"{path} was left by a KAS that was killed and keeps KAS from starting; run the playbook deploy, which"
                " removes it, or remove it yourself."
            )
    with _noted(note):
        lines = start_log_lines(log_directory(root))
        kas["own_private_api_urls"] = published_urls(lines) if service.running else []
        failure = "" if kas["ready"] or service.seconds > _SURELY_UP_S else start_failure(lines)
        if failure:
            kas["readiness"] += f"; it ended when it last started: {masked([failure])[0]}"


def _version(package: Package, gitlab_rb: Path) -> str:
    """The package's version; GitLab's image leaves a gitlab.rb on its host, and no package."""
    if not package.installed and gitlab_rb.exists():
        raise GitlabCtlError(
            f"{gitlab_rb} is there, but the GitLab Linux package is not; if GitLab runs here from its image, this"
            " collection cannot manage it, so put the settings of KAS into that file or into GITLAB_OMNIBUS_CONFIG"
            " yourself; else install gitlab-ee or gitlab-ce."
        )
    return package.version


def _addresses(sources: Sources) -> list[str]:
    try:
        return sources.addresses()
    except OSError as error:
        raise KasError(
            f"The kernel does not tell this node's addresses ({error.strerror}); see what denies root a netlink socket,"
            " such as SELinux (ausearch -m avc -ts recent) or the container in which the node runs."
        ) from error


def _read_settings(params: Mapping[str, Any], note: Callable[[str], None]) -> tuple[Reading, GitlabRb]:
    """Read the settings, and note whether those of KAS are written so that they can be known and changed.

    The file itself is returned, too.
    """
    path, include = params["path"], params["include"]
    with Ruby(find_ruby(params["ruby"])) as ruby:
        gitlab_rb = GitlabRb(read(path), ruby, path=path, read_file=read_included)
        reading = gitlab_rb.read(SETTINGS)
        own = _section(reading.settings)
        with _noted(note):
            # To write what is there already changes nothing, and raises what writing would.
            files = GitlabRbFiles(ruby, path, read=read_if_there, read_included=read_included, include=include)
            files.change({"gitlab_kas": {name: own.get(name, "") for name in ("enable", *SECRETS)}}, {})
    return _of_kas(reading), gitlab_rb


def _warnings(gitlab_rb: GitlabRb, include: str | None) -> list[str]:
    """What is worth knowing of the settings that are about KAS; of the whole file, if ours or our line is in it."""
    is_written = not include or not gitlab_rb.includes(include) or bool(gitlab_rb.our_lines(include))
    return gitlab_rb.warnings(
        lambda path: any(part.startswith("gitlab_kas") for part in path[:2]), is_written=is_written
    )


def _lines(gitlab_rb: GitlabRb) -> dict[str, str]:
    """The line of each literal that is about KAS alone."""
    said = gitlab_rb.said(("gitlab_kas", "gitlab_rails"))
    names = ("gitlab_kas[", "gitlab_rails['gitlab_kas_")
    return {each.name: each.where for each in said if each.value is not NO_LITERAL and each.name.startswith(names)}


def _of_kas(reading: Reading) -> Reading:
    """Without what is said of other things: the rest of a gitlab.rb is nobody's business here."""
    settings = {name: _kept(value, KEYS.get(name)) for name, value in reading.settings.items()}
    rails = _section(settings, "gitlab_rails")
    if "nginx" in rails:
        settings["gitlab_rails"] = {**rails, "nginx": _kept(rails["nginx"], _NGINX)}
    return Reading(settings, {name: where for name, where in reading.unreadable.items() if _is_kept(name)})


def _kept(section: Any, keys: Collection[str] | None) -> Any:
    if keys is None or not isinstance(section, Mapping):
        return section
    return {key: value for key, value in section.items() if any(fnmatchcase(str(key), each) for each in keys)}


def _is_kept(name: str) -> bool:
    """Whether a setting that cannot be read, such as gitlab_rails['nginx']['enable'], is about KAS or nginx."""
    section, *path = re.findall(r"[^\[\]']+", name)
    keys = KEYS.get(section)
    if section == "gitlab_rails" and path[:1] == ["nginx"] and len(path) > 1:
        return path[1] in _NGINX
    return keys is None or not path or any(fnmatchcase(path[0], each) for each in keys)


def _redis_hosts(settings: Mapping[str, Any]) -> Iterator[str]:
    """The Redis and the Sentinels that KAS has or inherits."""
    for section in (_section(settings), _section(settings, "gitlab_rails")):
        sentinels = section.get("redis_sentinels")
        places = [section, *(sentinels if isinstance(sentinels, list) else ())]
        hosts = [place.get(key) for place in places if isinstance(place, Mapping) for key in ("redis_host", "host")]
        yield from (host.strip("[]") for host in hosts if host and isinstance(host, str))


def _nginx(settings: Mapping[str, Any], given: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """What there is here for the package's nginx."""
    root = sources.package.root
    sections = [given, settings.get("nginx"), settings.get("gitlab_kas_nginx")]
    sections += [section.get("nginx") for section in (_section(settings), _section(settings, "gitlab_rails"))]
    named = [
        (setting, section[setting])
        for section in sections
        if isinstance(section, Mapping)
        for setting in FILE_SETTINGS
        if isinstance(section.get(setting), str)
    ]
    return {
        **look_at_files(root, named),
        "fqdn": sources.fqdn(),
        "letsencrypt": bool(_section(_stored(root), "letsencrypt").get("auto_enabled")),
    }


def _section(settings: Mapping[str, Any], name: str = "gitlab_kas") -> Mapping[str, Any]:
    """Give a part of the settings, or of the stored secrets."""
    found = settings.get(name)
    return found if isinstance(found, Mapping) else {}


def _secrets(reading: Reading, root: Path) -> dict[str, Found]:
    """Find the secrets as the package does (helpers/secrets_helper.rb): gitlab.rb first, nil is unset.

    What gitlab.rb computes is not known: the stored one may be an older one. Where an included file may set it but
    does not say so, the stored one counts: the last reconfigure put there what was in effect.
    """
    found = {}
    for source, values in ((SECRETS_JSON, _section(_stored(root))), (GITLAB_RB, _section(reading.settings))):
        found.update({name: Found(values[name], source) for name in SECRETS if values.get(name) is not None})
    return {name: secret for name, secret in found.items() if not _computed(name, reading)}


def _stored(root: Path) -> Mapping[str, Any]:
    """What the package keeps beside gitlab.rb, whose settings go before it."""
    path = root / "etc/gitlab" / SECRETS_JSON
    try:
        stored = json.loads(_read(path) or b"{}")
    except ValueError as error:  # says where, and quotes nothing
        raise GitlabCtlError(f"{path} is not JSON ({error}); restore the file.") from error
    if not isinstance(stored, Mapping):
        raise GitlabCtlError(f"{path} is not a JSON object; restore the file.")
    return stored


def _computed(name: str, reading: Reading) -> str | None:
    """The line of gitlab.rb that computes a secret, None if there is none."""
    return reading.unreadable.get(show(("gitlab_kas", name)))


def _describe(found: Mapping[str, Found], reading: Reading) -> dict[str, dict[str, str | None]]:
    described: dict[str, dict[str, str | None]] = {}
    for name in SECRETS:
        secret, computed = found.get(name), _computed(name, reading)
        described[name] = {
            "fingerprint": fingerprint(str(secret.value)) if secret else None,
            "source": GITLAB_RB if computed else secret.source if secret else None,
            "problem": problem(name, secret.value) if secret else None,
            "computed": computed,
        }
    return described


def _read(path: Path) -> bytes | None:
    """Read a file; None if it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GitlabCtlError(f"{path} cannot be read ({error.strerror}); {remedy(error)}.") from error


@contextlib.contextmanager
def _noted(note: Callable[[str], None]) -> Iterator[None]:
    """Turn what goes wrong into a problem, and go on."""
    try:
        yield
    except (FileError, GitlabCtlError, GitlabRbError, KasError, RubyError) as error:
        note(str(error))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/gitlab/gitlab.rb"},
            "include": {"type": "path"},
            "ruby": {"type": "path"},
            "inputs": {"type": "list", "elements": "path", "default": []},
            "restart_inputs": {"type": "list", "elements": "path", "default": []},
            "listen_hosts": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "directories_record": {"type": "path"},
            "names": {"type": "list", "elements": "str", "default": []},
            "nginx_files": {"type": "dict", "default": {}},
            "wait_s": {"type": "int", "default": 0},
            "secret_values": {"type": "bool", "default": False, "no_log": False},
        },
        supports_check_mode=True,
    )
    module.exit_json(**run(module.params, Sources()))


if __name__ == "__main__":
    main()
