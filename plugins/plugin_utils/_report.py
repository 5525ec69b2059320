# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a deployment for people: a table of its KAS nodes, and a sentence for each thing that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence, joined, of

_HEADINGS = ("node", "release", "own URL", "ready", "reaches", "Rails reaches", "secrets", "changed", "seconds")
_MOST_NAMES = 4
REACHABLE = "reachable"  # kas_probe's word for a peer of which nothing else is to be said
_LOG = "/var/log/gitlab/gitlab-kas/current"
# Of a node that does not answer any more.
_NOT_KNOWN: Mapping[str, Any] = {
    "blocking_errors": [],
    "problems": [],
    "gitlab_version": None,
    "enabled": None,
    "running": None,
    "ready": None,
    "readiness": "not known",
    "own_private_api_urls": [],
    "reconfigure_pending": None,
    "restart_pending": None,
    "secrets": {},
}


@dataclass(frozen=True)
class Checked:
    """A node as kas_info reported it. A node without KAS has no own URLs and asks no peers."""

    name: str
    runs_kas: bool  # by the inventory
    own_urls: Sequence[str]  # by the plan; none if they are left to the package
    info: Mapping[str, Any]  # what kas_info returned
    secret_names: Sequence[str] = ()  # those that it shares with the others
    probe: Mapping[str, Any] = field(default_factory=dict)  # what kas_probe returned, of the other KAS
    rails_probe: Mapping[str, Any] | None = None  # and of the URL that Rails was told; None where Rails is not asked

    changed: Sequence[str] = ()  # what has changed, or would change in check mode
    settings: Sequence[str] = ()  # the names of the settings among that
    is_check: bool = False
    seconds: float | None = None  # how long the reconfigure took
    deployment: str = ""  # the part of the inventory that it belongs to
    is_present: bool = True  # by kas_state
    is_pending: bool | None = False  # it needs a turn, and has had none; None if that is not known
    failures: Sequence[str] = ()  # what failed there, or that it does not answer any more
    is_lost: bool = False  # it does not answer any more

    @property
    def urls(self) -> Sequence[str]:
        """Those under which it is known, else those that follow from the inventory; none without KAS."""
        return (self.info["own_private_api_urls"] or self.own_urls) if self.runs_kas else ()

    @property
    def is_asked(self) -> bool:
        """Whether it, or Rails there, has called any KAS."""
        return bool(self.peers or self.rails_peers)

    @property
    def peers(self) -> Sequence[Mapping[str, Any]]:
        return self.probe.get("peers") or []

    @property
    def rails_peers(self) -> Sequence[Mapping[str, Any]]:
        return (self.rails_probe or {}).get("peers") or []


@dataclass(frozen=True)
class Results:
    """What the tasks returned on a node; empty where a task did not run."""

    info: Mapping[str, Any] = field(default_factory=dict)  # kas_node_info, the latest
    dry_run: Mapping[str, Any] = field(default_factory=dict)  # the steps of kas_node
    written: Mapping[str, Any] = field(default_factory=dict)
    reconfigured: Mapping[str, Any] = field(default_factory=dict)
    tidied: Mapping[str, Any] = field(default_factory=dict)
    rolled_back: Mapping[str, Any] = field(default_factory=dict)
    reached: Mapping[str, Any] = field(default_factory=dict)


def checked(name: str, node: Mapping[str, Any], results: Results, *, is_check: bool) -> Checked:
    """A node of the plan with what the tasks returned there."""
    written, reconfigured = results.written, results.reconfigured
    done = []
    if written.get("changed"):
        done.append("gitlab.rb" if written["settings_changed"] else "files")
    if reconfigured.get("reason"):
        done.append("reconfigured")
    elif reconfigured.get("restarted") or reconfigured.get("restart_reason"):
        done.append("restarted")
    elif reconfigured.get("started"):
        done.append("started")
    if results.rolled_back.get("changed"):
        done.append("rolled back")
    told = [each.get("error", each) for each in vars(results).values()]
    failed = [each for each in told if each.get("failed") or each.get("unreachable")]
    return Checked(
        name=name,
        runs_kas=node["runs_kas"],
        own_urls=node["own_urls"],
        info={**_NOT_KNOWN, **results.info.get("kas", {})},
        secret_names=node["secrets"],
        probe=results.reached.get("probe") or {},
        rails_probe=results.reached.get("rails_probe"),
        changed=done,
        settings=written.get("settings_changed") or (),
        is_check=is_check,
        seconds=reconfigured.get("duration_s"),
        deployment=node["deployment"],
        is_present=node["state"] == "present",
        is_pending=False if written else bool(results.dry_run["pending"]) if "pending" in results.dry_run else None,
        failures=[
            *(str(each.get("msg", "It failed.")).replace(f"{name}: ", "", 1) for each in failed),
            *([results.rolled_back["said"]] if "said" in results.rolled_back else []),
        ],
        is_lost=any(each.get("unreachable") or each.get("is_lost") for each in failed),
    )


def table(nodes: Sequence[Checked], names: Mapping[str, str]) -> list[str]:
    """A line for each node, and a sentence for each answer that is not known.

    names maps the URLs of all peers to the names of their nodes.
    """
    rows = [_HEADINGS, *(_row(node, nodes, names) for node in nodes)]
    if any(node.deployment for node in nodes):
        firsts = ["deployment", *(node.deployment or "-" for node in nodes)]
        rows = [(first, *row) for first, row in zip(firsts, rows)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return lines + [
        f"{node.name}: {_place(peer, names)} is {peer['text']}; whether both have the same secret is not proved."
        for node in nodes
        for peer in [*node.peers, *node.rails_peers]
        if peer["reachable"] and peer["text"] != REACHABLE
    ]


def _row(node: Checked, nodes: Sequence[Checked], names: Mapping[str, str]) -> tuple[str, ...]:
    url = ", ".join(node.urls) or ("-" if node.runs_kas else "no KAS")
    ready = {True: "yes", False: "no", None: "-"}[node.info["ready"]]
    return (
        node.name,
        node.info["gitlab_version"] or "-",
        url if node.is_present else "uninstalled",
        ready if node.runs_kas else "-",
        _reached(node.peers, names),
        _reached(node.rails_peers, {}),
        secrets(node, nodes) or "-",
        _changed(node),
        "-" if node.seconds is None else f"{node.seconds:.0f}",
    )


def _changed(node: Checked) -> str:
    if node.failures:
        return ", ".join([*node.changed, "failed"])
    if node.changed:
        return ("would: " if node.is_check else "") + ", ".join(node.changed)
    return "pending" if node.is_pending else "-"


def secrets(node: Checked, nodes: Sequence[Checked]) -> str | None:
    """What is known of the node's secrets: fingerprints are of what was set, calls show what is in use.

    "differ", "same" (by their fingerprints), "proved" (by answered calls); None where it shares none.
    """
    if not any(name in node.info["secrets"] for name in node.secret_names):
        return None
    if any(node.name in each.hosts for each in _secrets(nodes)):
        return "differ"
    calls = [*node.peers, *node.rails_peers]
    return "proved" if calls and all(call["answered"] for call in calls) else "same"


def findings(nodes: Sequence[Checked], names: Mapping[str, str]) -> list[Sentence]:
    """What is not as it should be, and what to do about it."""
    found = failures(nodes)
    for node in nodes:
        if node.failures or not node.is_present:
            continue  # nothing else is known for certain, or asked for
        for rule in (_problems, _service, _pending, _published, _not_asked):
            found += of(node.name, rule(node))
        unreached = [
            f"{who} does not reach {_place(peer, names)} ({peer['text']}); {peer['remedy']}."
            for who, peers in (("KAS", node.peers), ("Rails", node.rails_peers))
            for peer in peers
            if not peer["reachable"]
        ]
        found += of(node.name, unreached)
    return joined([*found, *_secrets(nodes)])


def failures(nodes: Sequence[Checked]) -> list[Sentence]:
    """What failed on each node."""
    return [Sentence((node.name,), text, node.is_lost) for node in nodes for text in node.failures]


def _reached(peers: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """The names of those that are reached, of many how many."""
    if len(peers) > _MOST_NAMES:
        return f"{sum(peer['reachable'] for peer in peers)} of {len(peers)}"
    return ", ".join(dict.fromkeys(names.get(peer["url"], peer["url"]) for peer in peers if peer["reachable"])) or "-"


def _place(peer: Mapping[str, Any], names: Mapping[str, str]) -> str:
    name = names.get(peer["url"])
    return f"{name} at {peer['url']}" if name else peer["url"]


def _problems(node: Checked) -> Iterator[str]:
    yield from node.info["blocking_errors"]
    yield from node.info["problems"]


def _remedy(node: Checked, otherwise: str) -> str:
    """To deploy, where this very run has not changed the node: then it does not help to do it again."""
    return otherwise if node.changed else "run the playbook deploy"


def _service(node: Checked) -> Iterator[str]:
    info = node.info
    if node.runs_kas and not info["enabled"]:
        how = _remedy(node, "run gitlab-ctl reconfigure there, and read what it says of gitlab-kas")
        yield f"KAS is not enabled, but the inventory says it runs here; {how}."
    elif node.runs_kas and not info["running"]:
        how = "" if node.changed else ", and run the playbook deploy"
        yield f"KAS does not run ({info['readiness']}); read {_LOG}{how}."
    elif node.runs_kas and not info["ready"]:
        yield f"KAS is not ready ({info['readiness']}); read {_LOG}."
    elif info["running"] and not node.runs_kas:
        how = _remedy(node, "run gitlab-ctl stop gitlab-kas there, and see what starts it")
        yield f"KAS runs, but the inventory says it does not; {how}."


def _pending(node: Checked) -> Iterator[str]:
    how = _remedy(node, "see what else writes there while this playbook runs, and run it again")
    if node.info["reconfigure_pending"]:
        yield f"A reconfigure is pending ({node.info['reconfigure_pending'].rstrip('.')}); {how}."
    elif node.info["restart_pending"] and node.info["running"]:
        yield f"A restart of KAS is pending ({node.info['restart_pending'].rstrip('.')}); {how}."


def _published(node: Checked) -> Iterator[str]:
    published = node.info["own_private_api_urls"]
    if node.own_urls and published and set(published) != set(node.own_urls):
        how = _remedy(node, f"read {_LOG}, where it says so at its start, and run gitlab-ctl restart gitlab-kas there")
        yield (
            f"KAS publishes {', '.join(published)} as its own URL, but {', '.join(node.own_urls)} follows from the"
            f" inventory; {how}."
        )


def _not_asked(node: Checked) -> Iterator[str]:
    probes = (node.probe, node.rails_probe or {})
    yield from dict.fromkeys(probe["msg"] for probe in probes if "msg" in probe)  # they could not ask
    if node.rails_probe is not None and "msg" not in node.rails_probe and not node.rails_peers:
        how = _remedy(node, "see whether its gitlab.rb sets gitlab_rails['gitlab_kas_enabled'] to false")
        yield f"Rails has no URL of KAS; {how}."


def _secrets(nodes: Sequence[Checked]) -> Iterator[Sentence]:
    """All nodes of a deployment that share a secret must have the same one."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for node in nodes:
        for name in node.secret_names if node.is_present else ():
            if name not in node.info["secrets"]:
                continue
            fingerprint = node.info["secrets"][name]["fingerprint"]
            other, known = first.setdefault((node.deployment, name), (node.name, fingerprint))
            if fingerprint != known:
                how = _remedy(node, "see what else sets it, there or on that node, such as an included file")
                text = f"its {name} (fingerprint {fingerprint}) is not that of {other} ({known}); {how}."
                yield Sentence((node.name,), text)


def inert(value: Any) -> Any:
    """The same with no text that Jinja would evaluate, wherever it comes to be a variable: {{ becomes { {."""
    if isinstance(value, dict):
        return {name: inert(item) for name, item in value.items()}
    if isinstance(value, list):
        return [inert(item) for item in value]
    return re.sub(r"\{(?=[{%#])", "{ ", value) if isinstance(value, str) else value
