# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reading logs costs: kas_log_info on 1 GB of each kind beside grep -c for a single word, and its memory.

Run by `make bench`, in the environment of scripts/test-env.sh; KAS_BENCH_PYTHON is a Python as a node has it,
KAS_BENCH_LOG_MB the size. Prints a table and judges nothing. The times are processor time of the one process, so that
other work on the machine counts little.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import ansible

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = int(os.environ.get("KAS_BENCH_LOG_MB", "1000")) * 10**6
PYTHON = os.environ.get("KAS_BENCH_PYTHON", sys.executable)
SAMPLE = 8 * 10**6  # bytes that are made; the log repeats them

RANDOM = random.Random(1)


def line(number: int, **fields: object) -> bytes:
    """A line of KAS, with the ids that make each one different."""
    moment = f"{20 + number // 3600 % 3}:{number // 60 % 60:02}:{number % 60:02}"
    entry = {"time": f"2025-02-20T{moment}.621Z", **fields, "trace_id": f"{RANDOM.getrandbits(128):032x}"}
    return f"2025-02-20_{moment}.62160 {json.dumps(entry, separators=(',', ':'))}\n".encode()


def healthy(number: int) -> bytes:
    message = RANDOM.choice(["Handled a connection", "Config: new commit", "Stopped reading tunnels"])
    project, commit = f"group/project-{RANDOM.randrange(500)}", f"{RANDOM.getrandbits(160):040x}"
    agent = RANDOM.randrange(2000)
    return line(number, level="INFO", msg=message, agent_id=agent, project_id=project, commit_id=commit)


def refused(number: int) -> bytes:
    error = 'Get "https://gitlab.example.com/api/v4/internal/kubernetes/agent_info": dial tcp 10.0.0.9:443: connect: '
    service = "gitlab.agent.agent_configuration.rpc.AgentConfiguration"
    return line(number, level="ERROR", msg="AgentInfo()", grpc_service=service, error=f"{error}connection refused")


def one_in_a_hundred(number: int) -> bytes:
    return healthy(number) if number % 100 else refused(number)


def all_different(number: int) -> bytes:
    """Errors of which each has a name of its own; the worst that a log can do to the reading."""
    name = "".join(RANDOM.choices("ghijklmnopqrstuvwxyz", k=12))
    error = f'configuration file not found: ".gitlab/agents/{name}/config.yaml"'
    return line(number, level="ERROR", msg="Config: failed to fetch", agent_id=number, error=error)


KINDS: dict[str, Callable[[int], bytes]] = {
    "healthy": healthy,
    "one error in a hundred lines": one_in_a_hundred,
    "an outage, all lines errors": refused,
    "errors with a name of their own each": all_different,
}


def write(path: Path, make: Callable[[int], bytes], *, packed: bool) -> None:
    lines, size = [], 0
    while size < SAMPLE:
        lines.append(make(len(lines)))
        size += len(lines[-1])
    sample = b"".join(lines)
    with gzip.open(path, "wb", compresslevel=1) if packed else path.open("wb") as file:
        for _time in range(SIZE // size):
            file.write(sample)


def measured(command: Sequence[str | Path]) -> tuple[float, int]:
    """Processor seconds of a command, and its memory in MB at the most."""
    pid = os.fork()
    if pid == 0:
        with open(os.devnull, "r+b") as nothing:  # noqa: PTH123
            for stream in (0, 1):
                os.dup2(nothing.fileno(), stream)
        os.execvp(command[0], list(map(str, command)))
    _pid, status, used = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status) > ("grep" in str(command[0])):  # whose 1 says that it has found nothing
        raise SystemExit(f"{command} fails.")
    return used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


def main() -> None:
    print(f"kas_log_info on {SIZE // 10**6} MB, {subprocess.check_output([PYTHON, '--version'], text=True).strip()}\n")
    print(
        "| log | MB/s of one core | memory in MB | grep -c, one word, MB/s | to grep |\n| --- | --- | --- | --- | --- |"
    )
    for kind, make in KINDS.items():
        for packed in (False, True) if make is one_in_a_hundred else (False,):
            with tempfile.TemporaryDirectory() as folder:
                log, arguments = Path(folder) / "current", Path(folder) / "arguments.json"
                write(log, make, packed=packed)
                arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"kas": False, "paths": [str(log)]}}))
                module = "ansible_collections.kasops.gitlab_kas.plugins.modules.kas_log_info"
                ours, memory = measured([PYTHON, "-m", module, arguments])
                theirs, _memory = measured(["zgrep" if packed else "grep", "-c", "x509", log])
            name = f"{kind}, gzip" if packed else kind
            speeds = SIZE / 1e6 / ours, SIZE / 1e6 / theirs
            print(f"| {name} | {speeds[0]:.0f} | {memory} | {speeds[1]:.0f} | {ours / theirs:.1f} |", flush=True)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # ansible-core itself, too, for a Python that has none.
    os.environ["PYTHONPATH"] = f"{ROOT}/.ansible/collections:{Path(ansible.__file__).parents[1]}"
    main()
