# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node, sudo, SSH and Ansible say where a module does not come to its end, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask_line

_WORDS_SHOWN = 3  # lines of each, of which one may hold nothing but the greetings of a shell
_CLOSED = re.compile(r"(Shared )?[Cc]onnection to \S+ closed\.$")
# What Ansible says where it knows no more than that there is no result.
_NO_CAUSE = re.compile(
    r"MODULE FAILURE\b|Module result deserialization failed: No start of json char found|The module failed to execute"
    r" correctly|Module failed\.?$"
)

# The first that fits; wordings of ansible-core 2.16 to 2.21, OpenSSH, sudo, Python and the kernel.
_OF_A_MODULE = [
    (
        r"password is required|[Mm]issing \w+ password|Incorrect \w+ password|[Ss]orry, try again|terminal is required"
        r"|password prompt",
        "give the right password for become, with --ask-become-pass, or in AWX with the credential",
    ),
    (r"not allowed to|not in the sudoers|may not run", "let that user run everything as root there, by sudoers"),
    (r"(sudo|su|doas): (command )?not found", "install that program there, or set ansible_become_method"),
    (
        r"No space left|quota exceeded",
        "make room there, also in /tmp: df -h shows the space, df -i the number of files",
    ),
    (r"Read-only file system", "mount that file system read-write"),
    (r"\bKilled\b|Cannot allocate memory|MemoryError", "look in dmesg there for a lack of memory, and run again"),
    (
        r"python\S*:? (command )?not found|interpreter '.*' was not found|SyntaxError|shared libraries|No module named",
        "install Python 3.9 or later there, or set ansible_python_interpreter to one",
    ),
]
_OF_A_CONNECTION = [
    (r"sshpass", "install sshpass on the controller, or let Ansible use a key"),
    (
        r"Permission denied|[Aa]uthentication|Invalid/incorrect password",
        "give Ansible a user and a key or password that this host takes",
    ),
    (r"[Hh]ost key|HOST IDENTIFICATION", "check its host key, and put it into the known_hosts of the controller"),
    (
        r"resolve hostname|Name or service not known|name resolution",
        "let the controller know that name, by DNS or with ansible_host, or correct it in the inventory",
    ),
    (r"Connection refused", "start its SSH server, or correct ansible_host and ansible_port"),
    (
        r"timed out|No route to host|Network is unreachable",
        "make sure that it is up, that its address in the inventory is right, and that no firewall keeps the controller"
        " out",
    ),
    (r"Data could not be sent", "log in there with ssh from the controller, which says why it ends at once"),
    (r"temporary directory", "set ansible_remote_tmp to a directory in which that user may write and there is room"),
]


def words(result: Mapping[str, Any]) -> str:
    """What the node said in place of a module's result, such as sudo's refusal; '' if it is known without.

    A line with a brace may be a part of the result, in which there may be secrets; others are masked by their looks.
    """
    said = []
    for name in ("module_stderr", "module_stdout"):
        lines = [line.strip() for line in str(result.get(name) or "").splitlines()]
        said += [line for line in lines if line and "{" not in line and not _CLOSED.match(line)][-_WORDS_SHOWN:]
    return " ".join(map(mask_line, said))


def cause(result: Mapping[str, Any], raised: str) -> str:
    """Why a module did not come to its end, without a full stop; '' if it did. raised is what it raised."""
    told = " ".join(str(result.get("msg") or "").split())
    said = words(result)
    if not said and told and not _NO_CAUSE.match(told):
        return ""
    parts = ["" if _NO_CAUSE.match(told) else told, f"the node said: {said}" if said else "", mask_line(raised)]
    return "; ".join(part.rstrip(".") for part in parts if part) or "it ended before it could answer"


def did_not_run(module: str, why: str) -> str:
    """A sentence about a module that did not come to its end on a host, with what to do."""
    default = "make sure that it has Python 3.9 or later, and that the user may become root there; -vvv shows more"
    return f"{module} did not run on this host ({why.rstrip('.')}); {_remedy(_OF_A_MODULE, why, default)}."


def remedy_of_silence(why: str) -> str:
    """What to do about a host that does not answer, as part of a sentence."""
    default = "correct its name or address in the inventory, or take it out of the group"
    return _remedy(_OF_A_CONNECTION, why, default)


def _remedy(remedies: list[tuple[str, str]], why: str, default: str) -> str:
    return next((remedy for pattern, remedy in remedies if re.search(pattern, why)), default)
