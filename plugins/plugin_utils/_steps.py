# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done on a node: which modules run there, with which arguments, in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._certificates import Certificate, shown_to
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._modules import Modules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import WRITERS, written
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._syntax import is_blank

# On each node: what was changed there, for kas_state: absent.
RECORDS = "/var/lib/kasops.gitlab_kas"

# The content of a file of the controller, named by a variable; and of a variable that is part of no plan.
ReadFile = Callable[[str, str], str]
ReadVariable = Callable[[str], Any]

Node = Mapping[str, Any]

_PROBE = "kasops.gitlab_kas.kas_probe"
_AGENT_PROBE = "kasops.gitlab_kas.kas_agent_probe"
_SOCKET_DIRECTORY = "kasops.gitlab_kas.kas_socket_directory"
DIRECTORIES = f"{RECORDS}/directories.json"
PREVIOUS = f"{RECORDS}/previous"


class StepError(Exception):
    """A node on which a step cannot be done; the text is what follows the host's name in a sentence."""


class Contents:
    """The contents of a node's certificates and keys, which no plan holds."""

    def __init__(self, node: Node, read_file: ReadFile, read_variable: ReadVariable) -> None:
        self._node, self._read_file, self._read_variable = node, read_file, read_variable

    def certificate(self, item: Certificate) -> str | None:
        if item["certificate_src"]:
            variable = f"{item['variable']}_certificate_src" if item["variable"] else f"{item['title']}.src"
            return self._read_file(variable, item["certificate_src"])
        return item["certificate_content"] or None

    def key(self, item: Certificate) -> str | None:
        if item["key_src"]:
            return self._read_file(f"{item['variable']}_key_src", item["key_src"])
        content = self._read_variable(f"{item['variable']}_key_content") if item["variable"] else None
        return None if is_blank(content) else content

    def authorities(self) -> list[str]:
        """Those that are to be trusted: they count before they are in place."""
        items = (item for item in self._node["certificates"] if item["kind"] == "authority")
        return [text for text in map(self.certificate, items) if text]


def check_certificates(node: Node, modules: Modules, contents: Contents) -> list[dict[str, Any]]:
    """Open every certificate of a node, wherever it comes from; what was found of each, with its item."""
    results = []
    for item in node["certificates"]:
        found = modules.run(
            "kasops.gitlab_kas.kas_certificate_info",
            {
                "kind": item["kind"],
                "certificate": item["certificate"],
                "certificate_content": contents.certificate(item),
                "certificate_title": item["certificate_title"],
                "key": item["key"] or None,
                "key_content": contents.key(item),
                "key_title": item["key_title"] or None,
                "ca": contents.authorities(),
                "server_names": item["server_names"],
                "user": node["user"],
                "group": node["group"],
                "min_valid_days": node["min_valid_days"],
            },
        )
        results.append({"item": item, "certificate": found["certificate"]})
    return results


def untrusted(
    name: str,
    groups: Mapping[str, Sequence[str]],
    checked: Mapping[str, Sequence[Mapping[str, Any]]],
    modules: Modules,
    contents: Contents,
) -> Iterator[str]:
    """What is wrong with the certificates that the other hosts show to this one, as sentences."""
    for shown in shown_to(groups, name, checked):
        arguments = {
            "certificate_content": shown["pem"],
            "certificate_title": shown["title"],
            "ca": contents.authorities(),
        }
        found = modules.run("kasops.gitlab_kas.kas_certificate_info", arguments)["certificate"]
        if not found["chain_ok"]:
            yield from found["problems"]


def write(node: Node, roles: Collection[str], modules: Modules, contents: Contents) -> dict[str, Any]:
    """Put in place what the roles have planned for a node. Nothing takes effect before a reconfigure or restart.

    Returns names of settings: settings_changed, and settings_left, those that could not be taken back; the files that
    hold settings or have just held some; and undo, the command that brings back what was there before.
    """
    names: dict[str, Any] = {"settings_changed": [], "settings_left": [], "files": [], "undo": ""}
    if "kas" in roles and node["socket_dir"]:
        _socket_directory(node, modules)
    if "kas_certificates" in roles:
        _certificates(node, modules, contents)
    writers = [role for role in WRITERS if role in roles]
    if writers:
        kept = {"record": f"{RECORDS}/settings.json", "previous": PREVIOUS}
        result = modules.run("kasops.gitlab_kas.gitlab_rb", {**node["gitlab_rb"], **written(node, writers), **kept})
        names = {name: result.get(name, nothing) for name, nothing in names.items()}
    return names


def _socket_directory(node: Node, modules: Modules) -> None:
    """The first reconfigure of a node makes the user; a directory of sockets needs it before."""
    user = node["user"]
    entry = modules.run("ansible.builtin.getent", {"database": "passwd", "key": user, "fail_key": False})
    if entry["ansible_facts"]["getent_passwd"].get(user) is None:
        raise StepError(
            f"the node has no user '{user}', who runs KAS and must own {node['socket_dir']}; run gitlab-ctl reconfigure"
            " there once, which makes that user."
        )
    options = {"path": node["socket_dir"], "user": user, "group": node["group"], "record": DIRECTORIES}
    modules.run(_SOCKET_DIRECTORY, options)


def _certificates(node: Node, modules: Modules, contents: Contents) -> None:
    for item in node["certificates"]:
        if item["given"]:
            modules.run(
                "kasops.gitlab_kas.kas_certificate",
                {
                    "certificate": item["certificate"],
                    "certificate_content": contents.certificate(item),
                    "key": item["key"] or None,
                    "key_content": contents.key(item),
                    "user": node["user"],
                    "group": node["group"],
                    "record": f"{RECORDS}/{item['kind']}.json",
                },
            )
    if node["state"] != "present":
        modules.run(*_reverted_certificates("authority"))


def reconfigure(node: Node, written: Mapping[str, Any], modules: Modules, *, is_check: bool) -> dict[str, Any]:
    """Let take effect what is pending: reconfigure or restart KAS, or start a stopped one. Returns what was done.

    written is what write() returned, with changed; empty if it did not run.
    """
    planned = node["reconfigure"]
    options = {
        "path": node["gitlab_rb"]["path"],
        "inputs": [*planned["inputs"], *written.get("files", ())],
        "restart_inputs": planned["restart_inputs"],
        # In check mode gitlab.rb has not changed yet, but will have.
        "force": is_check and bool(written.get("changed")),
        "start": node["state"] == "present",
        "timeout_s": planned["timeout_s"],
    }
    return dict(modules.run("kasops.gitlab_kas.gitlab_reconfigure", options))


def rollback(node: Node, written: Mapping[str, Any], modules: Modules) -> str:
    """Put gitlab.rb back as it was before write(), and let that take effect. Raises ModuleError.

    written is what write() returned, and was_ready, whether KAS was ready then. Returns how the node is now, as a
    sentence.
    """
    modules.run("kasops.gitlab_kas.gitlab_rb_restore", {"previous": PREVIOUS})
    reconfigure(node, {"files": written["files"]}, modules, is_check=False)
    done = f"{node['gitlab_rb']['path']} was put back and GitLab reconfigured with it"
    if not written["was_ready"]:
        return f"{done}; KAS was not ready before, either."
    asked = {"path": node["gitlab_rb"]["path"], "wait_s": node["ready_timeout_s"]}
    kas = modules.run("kasops.gitlab_kas.kas_info", asked)["kas"]
    if kas["ready"]:
        return f"{done}; KAS is ready again, with its old settings."
    return (
        f"{done}, but KAS is not ready with its old settings, either ({kas['readiness']}); run the playbook diagnose."
    )


def tidy(node: Node, roles: Collection[str], modules: Modules) -> None:
    """Remove what KAS needs no more, now that it runs without it."""
    for name, options in _leftovers(node, roles):
        modules.run(name, options)


def tidies(node: Node, roles: Collection[str]) -> bool:
    """Whether there is anything for tidy() to do on a node."""
    return bool(_leftovers(node, roles))


def _leftovers(node: Node, roles: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """The modules that remove what is left over, with their options."""
    found: list[tuple[str, dict[str, Any]]] = []
    if "kas" in roles and node["spare_dir"]:
        found.append((_SOCKET_DIRECTORY, {"path": node["spare_dir"], "state": "absent", "record": DIRECTORIES}))
    if "kas_certificates" in roles and node["state"] != "present":
        found.append(_reverted_certificates("server"))
    if "kas" in roles and node["state"] != "present":
        found.append(("kasops.gitlab_kas.gitlab_rb_restore", {"previous": PREVIOUS, "state": "forgotten"}))
    return found


def _reverted_certificates(kind: str) -> tuple[str, dict[str, Any]]:
    return "kasops.gitlab_kas.kas_certificate", {"state": "reverted", "record": f"{RECORDS}/{kind}.json"}


def reach(name: str, nodes: Mapping[str, Node], modules: Modules) -> dict[str, Any]:
    """Call every other KAS from a node that runs one, and from a Rails node the KAS that Rails was told of.

    Both in one run of kas_probe. Returns what it returned, also where it could not ask: as probe, and as rails_probe,
    None where Rails is not asked.
    """
    node = nodes[name]
    others = [each for other, each in nodes.items() if other != name and each["deployment"] == node["deployment"]]
    peers = [url for each in others for url in each["peer_urls"]] if node["runs_kas"] else []
    if peers:
        options = {"peers": peers, **node["probe"], **({"rails": True} if node["asks_kas"] else {})}
        found = dict(modules.ask(_PROBE, options))
        # A module that could not run at all has asked for neither.
        rails = found.pop("rails", found) if node["asks_kas"] else None
        return {"probe": found, "rails_probe": rails}
    rails = {"call": "internal_api", "timeout_s": node["probe"]["timeout_s"]}
    return {"probe": {}, "rails_probe": modules.ask(_PROBE, rails) if node["asks_kas"] else None}


def outside(job: Mapping[str, Any], authorities: Sequence[str], token: str, modules: Modules) -> Mapping[str, Any]:
    """Try agents' way to KAS, as _outside.jobs says; what kas_agent_probe returned. Raises ModuleError."""
    names = ("agents_url", "proxy_url", "idle_s", "timeout_s", "min_valid_days")
    options = {name: job[name] for name in names} | {"ca": list(authorities)}
    return modules.run(_AGENT_PROBE, options | ({"gitlab_url": job["gitlab_url"], "token": token} if token else {}))


def pending(node: Node, info: Mapping[str, Any], dry_run: Mapping[str, Any]) -> list[str]:
    """Why a node must have its turn, as parts of a sentence; none if it is as it should be.

    info is what kas_info returned, dry_run what writing would change.
    """
    reasons = []
    if dry_run["changed"]:
        reasons.append(", ".join(dry_run["settings_changed"]) or "files")
    for key in ("reconfigure_pending", "restart_pending"):
        if info.get(key):
            reasons.append(info[key].rstrip("."))
    if node["runs_kas"] and info["enabled"] and not info["ready"]:
        reasons.append(f"KAS is not ready ({info['readiness']})")
    return reasons
