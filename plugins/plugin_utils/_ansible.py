# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of any host of the inventory, as a task that ran there would have them.

The only file that uses what ansible-core does not document: a task's play and variable manager, a loader's vault, and
where a playbook with a name lies. hostvars does not do, because it has neither the variables of the play (and so of
import_playbook) nor the defaults of roles, and, before 2.19, gives a template that fails as it stands. `make matrix`
tries it on every supported ansible-core.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted
from ansible.playbook.task import Task
from ansible.plugins.connection import ConnectionBase
from ansible.template import Templar
from ansible.utils.collection_loader._collection_finder import _get_collection_playbook_path
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask_line
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import GROUPS, KAS_GROUP, RAILS_GROUP
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, misspelt
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._sources import VaultError
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import DEFAULTS, VARIABLES
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import cause
from jinja2 import Undefined, UndefinedError

# What the role keeps of kas_node_info: a host's own result, and those of the hosts outside of the play that it asked.
INFO = "__kas_info"
OUTSIDE = "__kas_outside_info"

# What the playbook disable sets: not kas_enabled, which an extra variable, such as the answer of a survey, would beat.
_DISABLE = "__kas_disable"
_CENSORED = "censored due to no log"  # what the connection plugin ssh says in place of SSH's words
_MAGIC = ("hostvars", "vars", "groups")  # all variables of all hosts, no templates of the user's
# This collection: what its playbooks are called, and where nothing of the user's lies.
_NAME = "kasops.gitlab_kas."
_OURS = [Path(__file__).resolve().parents[2] / part for part in ("playbooks", "roles")]
_OMITTED = "__omit_place_holder__"  # what `omit` is before ansible-core 2.19


# What quotes no part of a value: of lookups up to ansible-core 2.18, of plugins since 2.19, and of Ansible Vault.
_HARMLESS = re.compile(
    r"The '\S+' lookup had an issue .*|lookup plugin \(\S+\) not found"
    r"|The lookup plugin '\S+' .*|No filter named '\S+'"
    r"|Attempting to decrypt but no vault secrets found|Decryption failed\b[^:]*",
    re.DOTALL,
)


class VariableError(Exception):
    """A variable that cannot be evaluated; the text is why, without a part of its value."""


class HostVariables:
    """The variables of one host. Each is evaluated when it is asked for, so that no other one can fail.

    A template of the user's may mention a variable of ours that is not set: it is its default there.
    """

    def __init__(self, variables: Mapping[str, Any], loader: DataLoader) -> None:
        self._variables = variables
        self._templar = Templar(loader=loader, variables={**DEFAULTS, **variables})

    @classmethod
    def of(cls, host: str, task: Task, loader: DataLoader) -> HostVariables:
        """Those that the task would have on another host."""
        manager = task.get_variable_manager()
        there = manager._inventory.get_host(host)
        return cls(manager.get_vars(play=task.get_play(), host=there, task=task), loader)

    def misspelt(self) -> dict[str, str]:
        """The variables whose names are almost ours, and which; not those that the user's own templates use."""
        return {name: near for name, near in misspelt(self._variables).items() if not self._is_used(name)}

    def _is_used(self, name: str) -> bool:
        """Whether another variable mentions this one."""
        word = re.compile(rf"\b{re.escape(name)}\b")
        return any(word.search(text) for other in self._variables if other not in _MAGIC for text in self._texts(other))

    def _texts(self, name: str) -> Iterator[str]:
        left = [self._variables[name]]
        while left:
            value = left.pop()
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict):
                left += value.values()
            elif isinstance(value, (list, tuple)):
                left += value

    def get(self, name: str) -> Any:
        """The value in Python's own types; None if it is not set. Raises VariableError."""
        if name == "kas_enabled" and self._variables.get(_DISABLE):
            return False
        try:
            value = plain(self._templar.template(self._variables.get(name)))
        except (AnsibleUndefinedVariable, UndefinedError) as error:
            # Only the last part of the text is the cause; it names what is undefined, and quotes no value.
            raise VariableError(re.split(r"[:.] ", str(getattr(error, "message", error)))[-1].strip()) from None
        except Exception as error:  # whatever a filter or lookup raises
            raise VariableError(_told(error)) from None
        return None if isinstance(value, str) and value.startswith(_OMITTED) else value

    def results(self, name: str) -> list[Any]:
        """What each item of a loop returned that is registered by this name.

        The rest is not looked at: ansible-core 2.21 warns of a deprecated part in what a loop without items leaves.
        """
        return list(plain((self._variables.get(name) or {}).get("results", [])))

    def evaluate(self, names: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """The values of these variables, and of those that cannot be evaluated why."""
        values, errors = {}, {}
        for name in names:
            try:
                values[name] = self.get(name)
            except VariableError as error:
                errors[name] = str(error)
        return values, errors


def answer(execute: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The result of a module that execute runs; and if it did not come to its end, why, in the words of the node.

    Also of one for which the connection fails or nobody may become root, which would raise.
    """
    try:
        result = execute()
    except AnsibleConnectionFailure as error:
        return {"unreachable": True, "msg": str(error).strip()}, ""
    except AnsibleError as error:
        return {"failed": True}, " ".join(str(error).split())
    if not result.get("failed") or result.get("unreachable"):
        return result, ""
    # Since ansible-core 2.19 what a module raised has neither msg nor trace, but a summary.
    raised = getattr(getattr(result.get("exception"), "event", None), "msg", "")
    return result, cause(result, "" if result.get("msg") else str(raised))


def uncensored(result: dict[str, Any], connection: ConnectionBase) -> dict[str, Any]:
    """The result of a node that does not answer, with the words of SSH.

    In a task with no_log Ansible leaves them out, whatever they are about. So it is tried once more, with a command
    that holds nothing.
    """
    if not (result.get("unreachable") and _CENSORED in str(result.get("msg"))):
        return result
    context = connection._play_context
    no_log, context.no_log = context.no_log, False
    try:
        connection.exec_command("true", sudoable=False)
    except AnsibleConnectionFailure as error:
        return {**result, "msg": str(error).strip()}
    finally:
        context.no_log = no_log
    return result


def _told(error: Exception) -> str:
    """What an error says, as far as it quotes no part of a value, which may be a secret."""
    told = _HARMLESS.search(str(getattr(error, "message", error)))
    return (
        mask_line(" ".join(told[0].split())).rstrip(".") if told else f"its template fails with {type(error).__name__}"
    )


def everybody(task: Task, loader: DataLoader, task_vars: Mapping[str, Any]) -> Iterator[Gathered]:
    """What Ansible knows of every host that counts: of both groups, KAS first, and of the play."""
    members = {group: list(map(str, task_vars["groups"].get(group, ()))) for group in GROUPS}
    batch = list(map(str, task_vars["ansible_play_batch"]))
    names = dict.fromkeys([*members[KAS_GROUP], *members[RAILS_GROUP], *batch])
    variables = {name: HostVariables.of(name, task, loader) for name in names}
    results = {name: variables[name].get(INFO) for name in batch}
    for name in batch:
        for told in variables[name].results(OUTSIDE):
            results[told["item"]] = told
    for name in names:
        values, errors = variables[name].evaluate(VARIABLES)
        yield Gathered(
            name=name,
            groups=frozenset(group for group in GROUPS if name in members[group]),
            in_play=name in batch,
            variables=values,
            errors=errors,
            misspelt=variables[name].misspelt(),
            result=results.get(name),
        )


def waits_for_all(task: Task) -> bool:
    """Whether in the task's play each task is done on every host before the next one begins."""
    return not str(task.get_play().strategy).endswith(("free", "host_pinned"))


def source_folders(task_vars: Mapping[str, Any]) -> list[Path]:
    """Where people look for a file that one of their variables names, in this order.

    Beside their roles and playbooks, which is Ansible's own search path less the parts of this collection; it lacks a
    playbook that imports one of ours, so those that were started follow. Then beside the inventory, and where they
    stand, which in AWX is the project.
    """
    searched = [Path(path) for path in task_vars.get("ansible_search_path") or ()]
    theirs = [path for path in searched if not any(path.resolve().is_relative_to(ours) for ours in _OURS)]
    inventory = task_vars.get("inventory_dir")
    return [*theirs, *started_playbooks(), *([Path(inventory)] if inventory else []), Path.cwd()]


def started_playbooks() -> Iterator[Path]:
    """The directories of the playbooks that ansible-playbook was given, as files or by name, but for ours."""
    for name in context.CLIARGS.get("args") or ():
        if Path(name).is_file():
            yield Path(name).resolve().parent
        elif not name.startswith(_NAME) and (found := _get_collection_playbook_path(name)):
            yield Path(found[1]).parent


def unvaulted(data: bytes, loader: DataLoader) -> bytes:
    """What a file holds, decrypted if Ansible Vault has encrypted it. Raises VaultError."""
    try:
        return loader._vault.decrypt(data) if is_encrypted(data) else data
    except AnsibleError as error:
        raise VaultError(str(error).rstrip(".")) from error


def plain(value: Any) -> Any:
    """The same value in Python's own types, all that YAML and jmespath know: Ansible has strings and containers of
    its own."""
    if isinstance(value, Undefined):
        return str(value)  # raises jinja2's UndefinedError, which says which variable is undefined
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, str):
        return str.__str__(value)
    if getattr(value, "__ENCRYPTED__", False):
        return str(value)  # !vault in YAML, which before ansible-core 2.19 is a sequence of characters
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value
