# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of an adopted deployment: the files of its inventory, and what deploy would change with them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import merged
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import show
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask, mask_text
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import GITLAB_RB, SECRETS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._adopt import Description
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import Host, Part, Unread
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import Plan, plan
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sentences import Sentence
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sources import expanded
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import shown

HEAD = "---\n# What the nodes had in gitlab.rb when they were adopted. Yours to edit: deploy makes the nodes say it.\n"
_OTHER_NAMES = ("", ".yaml", ".json")  # of a file that Ansible reads in the place of NAME.yml

# Why a change is better than what is there, by the setting; sources as for the same in _deployment.py.
_WHY = {
    "gitlab_kas['enable']": "so that it is told whether KAS runs here",
    "gitlab_kas['env']['OWN_PRIVATE_API_URL']": "so that KAS has one URL of its own, and one way to it",
    "gitlab_kas['env']['OWN_PRIVATE_API_CIDR']": "since KAS does not start with a CIDR beside a URL",
    "gitlab_kas['env']['OWN_PRIVATE_API_PORT']": "since it has no effect beside a URL",
    "gitlab_kas['env']['OWN_PRIVATE_API_SCHEME']": "since the URL says it, or the certificate",
    "gitlab_kas['private_api_listen_address']": "so that the other nodes reach KAS",
    "gitlab_kas['internal_api_listen_address']": "so that Rails on the other nodes reaches KAS",
    "gitlab_kas['gitlab_address']": "since KAS would look for GitLab on its own node",
    "gitlab_kas_external_url": "since the package would lose the port of external_url",
    "gitlab_rails['gitlab_kas_enabled']": "so that Rails knows whether there is a KAS",
    "gitlab_rails['gitlab_kas_internal_url']": "so that Rails reaches KAS where it listens",
    "gitlab_rails['gitlab_kas_external_url']": "since with it the package makes no virtual host for KAS here",
    "gitlab_rails['gitlab_kas_external_k8s_proxy_url']": "so that it is what the package derives or forgets to",
    **{
        show(("gitlab_kas", name)): "so that all nodes share one secret; those with others refuse each other's calls"
        for name in SECRETS
    },
}
_WHY_ANY = "since a variable of the inventory says so"


@dataclass(frozen=True)
class Outcome:
    """What deploy would make of the description."""

    plan: Plan
    changes: list[Sentence]


def outcome(gathered: Sequence[Gathered], described: Mapping[str, Description]) -> Outcome:
    """Plan with what the inventory says already and the description over it."""
    made = plan([replace(each, variables={**each.variables, **described[each.name].variables}) for each in gathered])
    changes = [
        Sentence((name,), text)
        for name, parts in made.parts.items()
        for text in _changes(described[name].host, parts.values())
    ]
    return Outcome(made, changes)


def _changes(host: Host, parts: Iterable[Part]) -> Iterator[str]:
    settings: dict[str, Any] = {}
    remove: dict[str, Any] = {}
    for part in parts:
        settings = merged(settings, part.settings)
        remove = merged(remove, merged(part.remove, part.leftovers))
    for path, value in _leaves(settings):
        text = _change(host, path, value)
        if text:
            yield f"{show(path)} {text}, {_WHY.get(show(path), _WHY_ANY)}."
    for path, _value in _leaves(remove):
        if host.sets(*path):
            yield f"{show(path)} is removed, {_WHY.get(show(path), _WHY_ANY)}."
    for kind in ("reconfigure", "restart"):
        pending = host.reported.get(f"{kind}_pending")
        if pending:
            yield f"a {kind} is pending already: {pending}"


def _change(host: Host, path: tuple[str, ...], value: Any) -> str:
    """What becomes of one setting; '' if it says so already. No secret is shown."""
    if path[0] == "gitlab_kas" and path[-1] in SECRETS:
        found = (host.reported.get("secrets") or {}).get(path[-1]) or {}
        is_there = found.get("source") == GITLAB_RB and host.secrets.get(path[-1]) == value
        return "" if is_there else "is set" if found.get("source") != GITLAB_RB else "becomes another"
    before = host.setting(*path)
    if isinstance(before, Unread):
        return f"({before.where}) may become another, since it cannot be read"
    tree: dict[str, Any] = {path[-1]: value}
    if mask(tree) != tree:  # what is there is masked, too
        return "" if before is not None else "is set"
    if type(before) is type(value) and before == value:
        return ""
    return f"becomes {_text(value)}" if before is None else f"becomes {_text(value)} instead of {_text(before)}"


def _text(value: object) -> str:
    return shown(value) if value is not None else "nil"


def _leaves(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


# -- Files --


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Text that Ansible would take for a template is marked, so that it stays what it is."""


class _Unsafe(str):
    pass


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style="'"))


def text_of(variables: Mapping[str, Any]) -> str:
    """The text of a file of variables."""
    return HEAD + yaml.dump(
        _marked(variables), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=120
    )


def _marked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    is_template = isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))
    return _Unsafe(value) if is_template else value


def write(directory: str, texts: Mapping[str, str], *, is_check: bool) -> list[str]:
    """Write files below a directory of the controller, each new; the names of those that are, or would be, written.

    Raises FileError, with nothing written where one is there that says something else; and where one cannot be written.
    """
    given, root = f"kas_adopt_path is {shown(directory)}", expanded(directory).absolute()
    if not root.is_dir():
        raise FileError(f"{given}, but there is no directory {root} on the controller; make it, or set another path.")
    new, differing = {}, []
    for name, text in texts.items():
        target = _target(root / name)
        try:
            there = target.read_text(encoding="utf-8") if target.exists() else None
        except (OSError, ValueError) as error:
            raise FileError(f"{target} cannot be read ({error}); correct that, or move it away.") from error
        if there is None:
            new[target] = text
        elif there != text:
            lines = difflib.unified_diff(
                there.splitlines(), text.splitlines(), f"{target} (there)", "(adopted)", lineterm=""
            )
            differing.append("\n".join(map(mask_text, lines)))
    if differing:
        raise FileError(
            f"{given}, but files are there that say something else, and none is replaced; move them away, or set"
            " another path and merge by hand.\n" + "\n".join(differing)
        )
    try:
        for target, text in ({} if is_check else new).items():
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise FileError(
            f"{given}, but {error.filename} cannot be written ({error.strerror}); set another path."
        ) from error
    return [str(target) for target in new]


def _target(path: Path) -> Path:
    """Where Ansible reads it: in the directory of that name, if there is one. Raises FileError."""
    stem = str(path).removesuffix(".yml")
    if Path(stem).is_dir():
        return Path(stem) / "adopted.yml"
    other = next((Path(stem + suffix) for suffix in _OTHER_NAMES if Path(stem + suffix).is_file()), None)
    if other:
        raise FileError(
            f"{other} is there, and Ansible reads only one file of this name; rename it to {path.name}, or make a"
            f" directory {Path(stem).name} and move it there."
        )
    return path
