# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user reads where a module does not come to its end: outputs of ansible-core 2.16 and 2.21 on real nodes."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._words import cause, did_not_run, remedy_of_silence

FAILURE = "MODULE FAILURE\nSee stdout/stderr for the exact error"
NO_JSON = "Module result deserialization failed: No start of json char found"
PASSWORD = "give the right password for become, with --ask-become-pass, or in AWX with the credential"
ROOM = "make room there, also in /tmp: df -h shows the space, df -i the number of files"
PYTHON = "install Python 3.9 or later there, or set ansible_python_interpreter to one"
DEFAULT = "make sure that it has Python 3.9 or later, and that the user may become root there; -vvv shows more"
NO_LIBRARY = "error while loading shared libraries: libpython3.11.so.1.0: cannot open shared object file"
SORRY = "Sorry, user admin is not allowed to execute '/bin/sh' as root on kas1."
TRACE = """\
Traceback (most recent call last):
  File "<stdin>", line 107, in <module>
  File "/tmp/payload.zip/ansible_collections/kasops/gitlab_kas/plugins/modules/kas_info.py", line 514, in main
  File "/tmp/payload.zip/ansible_collections/kasops/gitlab_kas/plugins/modules/kas_info.py", line 305, in run
OSError: [Errno 28] No space left on device: '/tmp/x'
"""

OF_A_MODULE = [
    pytest.param(
        {"msg": FAILURE, "module_stderr": "/bin/sh: 1: /nowhere/sudo: not found\n"},
        "",
        "the node said: /bin/sh: 1: /nowhere/sudo: not found",
        "install that program there, or set ansible_become_method",
        id="no sudo",
    ),
    pytest.param(
        {"msg": FAILURE, "module_stderr": "sudo: a password is required\n"},
        "",
        "the node said: sudo: a password is required",
        PASSWORD,
        id="a password",
    ),
    pytest.param(
        {"msg": FAILURE, "module_stderr": "", "module_stdout": f"\r\n{SORRY}\r\nConnection to kas1 closed.\r\n"},
        "",
        f"the node said: {SORRY.rstrip('.')}",
        "let that user run everything as root there, by sudoers",
        id="sudo refuses on a terminal",
    ),
    pytest.param(
        {
            "msg": "The module failed to execute correctly, you probably need to set the interpreter.\nSee"
            " stdout/stderr for the exact error",
            "module_stderr": "/bin/sh: 1: /usr/bin/python3.99: not found\n",
        },
        "",
        "the node said: /bin/sh: 1: /usr/bin/python3.99: not found",
        PYTHON,
        id="no Python, 2.16",
    ),
    pytest.param(
        {
            "msg": "The module interpreter '/usr/bin/python3.99' was not found.",
            "module_stderr": "/bin/sh: 1: /usr/bin/python3.99: not found\n",
        },
        "",
        "The module interpreter '/usr/bin/python3.99' was not found; the node said: /bin/sh: 1: /usr/bin/python3.99:"
        " not found",
        PYTHON,
        id="no Python, 2.21",
    ),
    pytest.param(
        {"msg": NO_JSON, "module_stderr": NO_LIBRARY}, "", f"the node said: {NO_LIBRARY}", PYTHON, id="library"
    ),
    pytest.param(
        {"msg": NO_JSON, "module_stderr": "Killed\n"},
        "",
        "the node said: Killed",
        "look in dmesg there for a lack of memory, and run again",
        id="killed",
    ),
    pytest.param(
        {
            "msg": NO_JSON,
            "module_stderr": "sh: printf: No space left on device\n",
            "module_stdout": "Welcome\nto\nthis\nhost\n",
        },
        "",
        "the node said: sh: printf: No space left on device to this host",
        ROOM,
        id="beside the greeting of a shell",
    ),
    pytest.param(
        {"msg": FAILURE, "module_stderr": TRACE},
        "",
        'the node said: File "/tmp/payload.zip/ansible_collections/kasops/gitlab_kas/plugins/modules/kas_info.py", line'
        ' 514, in main File "/tmp/payload.zip/ansible_collections/kasops/gitlab_kas/plugins/modules/kas_info.py", line'
        " 305, in run OSError: [Errno 28] No space left on device: '/tmp/x'",
        ROOM,
        id="a module raises, 2.16",
    ),
    pytest.param(
        {"exception": "a summary"},
        "[Errno 28] No space left on device: '/tmp/x'",
        "[Errno 28] No space left on device: '/tmp/x'",
        ROOM,
        id="a module raises, 2.21",
    ),
    pytest.param(
        {"msg": FAILURE, "module_stderr": "KeyError: password='hunter2'"},
        "",
        "the node said: KeyError: password='********'",
        DEFAULT,
        id="a secret by its looks",
    ),
    pytest.param(
        {"msg": FAILURE, "module_stdout": '{"kas": {"secret_values": {"api_secret_key": "'},
        "",
        "it ended before it could answer",
        DEFAULT,
        id="a part of a result",
    ),
    pytest.param({}, "", "it ended before it could answer", DEFAULT, id="nothing at all"),
]


@pytest.mark.parametrize(("result", "raised", "why", "remedy"), OF_A_MODULE)
def test_a_module_that_does_not_come_to_its_end(result: dict[str, str], raised: str, why: str, remedy: str) -> None:
    assert cause(result, raised) == why
    assert did_not_run("kas_info", why) == f"kas_info did not run on this host ({why}); {remedy}."


def test_a_module_that_says_itself_why_it_failed() -> None:
    assert cause({"msg": "gitlab.rb cannot be read.", "module_stderr": ""}, "") == ""


SSH = 'Data could not be sent to remote host "kas1". Make sure this host can be reached over ssh: '
OF_A_CONNECTION = [
    (
        f"{SSH}ssh: Could not resolve hostname kas1: Name or service not known",
        "let the controller know that name, by DNS or with ansible_host, or correct it in the inventory",
    ),
    (
        f"{SSH}ssh: connect to host kas1 port 22: Connection refused",
        "start its SSH server, or correct ansible_host and ansible_port",
    ),
    (
        'Data could not be sent to remote host "kas1". Make sure this host can be reached over ssh: [Errno 32] Broken'
        " pipe",
        "log in there with ssh from the controller, which says why it ends at once",
    ),
    *[
        (
            f"{SSH}ssh: connect to host kas1 port 22: {why}",
            "make sure that it is up, that its address in the inventory is right, and that no firewall keeps the"
            " controller out",
        )
        for why in ("Connection timed out", "No route to host", "Network is unreachable")
    ],
    (
        "Failed to connect to the host via ssh: admin@kas1: Permission denied (publickey,password)",
        "give Ansible a user and a key or password that this host takes",
    ),
    (
        "Failed to connect to the host via ssh: Host key verification failed",
        "check its host key, and put it into the known_hosts of the controller",
    ),
    (
        "Failed to create temporary directory. In some cases, you may have been able to authenticate and did not have"
        " permissions on the target directory",
        "set ansible_remote_tmp to a directory in which that user may write and there is room",
    ),
    (
        "to use the 'ssh' connection type with passwords or pkcs11_provider, you must install the sshpass program",
        "install sshpass on the controller, or let Ansible use a key",
    ),
    ("no answer", "correct its name or address in the inventory, or take it out of the group"),
]


@pytest.mark.parametrize(("why", "remedy"), OF_A_CONNECTION)
def test_a_host_that_does_not_answer(why: str, remedy: str) -> None:
    assert remedy_of_silence(why) == remedy
