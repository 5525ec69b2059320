# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What whole runs with nothing to change cost, beside a ping and the playbook that a user would write.

Run by `make bench`, in the environment of scripts/test-env.sh. Makes hosts of its own, bench1 and so on, and takes them
away. Writes its table into docs/performance.md and judges nothing. KAS_BENCH_RUNS sets how often each playbook runs,
KAS_BENCH_HOSTS on how many hosts over SSH, KAS_BENCH_NODES how many are simulated (numbers with commas, or none).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ansible.release
import simulated

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- made by make bench -->", "<!-- end -->"
CREATE = ROOT / "molecule" / "default" / "create.yml"
SHARED = ROOT / "molecule" / "inventory" / "hosts.yml"
BIN = Path(sys.executable).parent
RUNS = int(os.environ.get("KAS_BENCH_RUNS", "5"))
PING, PLAIN, DEPLOY, VERIFY = "ping", "plain playbook", "deploy", "verify"
KEEP, FORGET, LEAST = "keep", "forget", "least"

# What the guide of GitLab asks for, as a user would write it.
LINES = {
    "gitlab_kas_external_url": "'wss://gitlab.example.com/-/kubernetes-agent/'",
    "gitlab_kas['enable']": "true",
    "gitlab_kas['api_secret_key']": "'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='",
    "gitlab_kas['private_api_secret_key']": "'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='",
    "gitlab_kas['private_api_listen_address']": "'0.0.0.0:8155'",
    "gitlab_kas['redis_host']": "'10.87.0.1'",
    "gitlab_kas['redis_port']": "6379",
    "gitlab_kas['redis_password']": "'sesame'",
    "gitlab_kas['env']": "{ 'OWN_PRIVATE_API_URL' => 'grpc://localhost:8155' }",
    "gitlab_rails['gitlab_kas_enabled']": "true",
}


# Hosts as they were before their first deployment, and as after it: copies of /etc/gitlab. KAS ends in its ten seconds.
KEPT = "cp -a /etc/gitlab /root/{}"
RESTORED = "rm -rf /etc/gitlab && cp -a /root/{} /etc/gitlab && gitlab-ctl reconfigure"
READY = {
    "name": "Wait until KAS is ready",
    "ansible.builtin.uri": {"url": "http://localhost:8151/readiness"},
    "register": "readiness",
    "until": "readiness is success",
    "retries": 60,
    "delay": 1,
}


def shell(name: str, script: str) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.shell": {"cmd": script}}


def lines(path: str) -> list[dict[str, Any]]:
    """A task for each line, as a user would write them."""
    return [
        {
            "name": name,
            "ansible.builtin.lineinfile": {
                "path": path,
                "create": True,
                "mode": "0600",
                "regexp": f"^{re.escape(name)} ",
                "line": f"{name} = {value}",
            },
            "notify": "Reconfigure",
        }
        for name, value in LINES.items()
    ]


class Run(NamedTuple):
    """One run of a playbook: seconds on the clock, and seconds of processors on the controller."""

    wall_s: float
    cpu_s: float


class Bench:
    """Runs playbooks on one inventory."""

    def __init__(self, folder: Path, inventory: Path) -> None:
        self._folder, self._inventory = folder, inventory
        self._environment = {
            **simulated.environment(folder, ROOT / ".ansible" / "collections"),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=300s",
        }
        # On copies of the file, so that KAS keeps what deploy has written.
        copy = str(folder / "gitlab.rb") if "simulated" in folder.name else "/root/bench.rb"
        plays = {
            PING: {"gather_facts": False, "tasks": [{"ansible.builtin.ping": {}}]},
            PLAIN: {"become": True, "tasks": lines(copy), "handlers": [shell("Reconfigure", "true")]},
            KEEP: {"gather_facts": False, "tasks": [shell("Keep what there is", KEPT.format("{{ state }}"))]},
            FORGET: {"gather_facts": False, "tasks": [shell("Forget KAS", RESTORED.format("new"))]},
            LEAST: {
                "gather_facts": False,
                "serial": 1,
                "tasks": [shell("Reconfigure", RESTORED.format("deployed")), READY],
            },
        }
        self._playbooks = {DEPLOY: "kasops.gitlab_kas.deploy", VERIFY: "kasops.gitlab_kas.verify"}
        for name, play in plays.items():
            file = folder / f"playbook_{name.split()[0]}.json"
            file.write_text(json.dumps([{"hosts": "gitlab_kas", **play}]))
            self._playbooks[name] = str(file)

    def play(self, playbook: str, *options: str) -> str:
        """What ansible-playbook shows."""
        command = [BIN / "ansible-playbook", "-i", self._inventory, *options, self._playbooks.get(playbook, playbook)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout[-5000:] + done.stderr)
        return done.stdout

    def timed(self, playbook: str) -> Run:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        self.play(playbook)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(time.perf_counter() - started, cpu)

    def alternating(self, playbooks: Sequence[str]) -> dict[str, list[Run]]:
        """So that a slow moment of the machine meets all of them."""
        for playbook in playbooks:
            self.play(playbook)  # connections are up, the copy of gitlab.rb is there, nothing is pending
        runs: dict[str, list[Run]] = {playbook: [] for playbook in playbooks}
        for _turn in range(RUNS):
            for playbook in playbooks:
                runs[playbook].append(self.timed(playbook))
        return runs

    def first(self) -> dict[str, list[Run]]:
        """The deployment of new hosts, one after another, and no more than reconfigure and readiness; alternating."""
        runs: dict[str, list[Run]] = {LEAST: [], DEPLOY: []}
        for _turn in range(RUNS):
            for playbook in runs:
                self.play(FORGET)
                runs[playbook].append(self.timed(playbook))
        return runs


@contextlib.contextmanager
def hosts(folder: Path, count: int) -> Iterator[Bench]:
    """Test hosts as Molecule's scenarios have them, one cluster, deployed."""
    folder.mkdir()
    (folder / "ansible.cfg").touch()
    inventory = folder / "inventory.json"
    shown = subprocess.run(
        [BIN / "ansible-inventory", "-i", SHARED, "--list"], capture_output=True, text=True, check=True
    )
    shared = json.loads(shown.stdout)["_meta"]["hostvars"]["kas1"]
    variables = {
        name: value for name, value in shared.items() if name.startswith("ansible_") and name != "ansible_host"
    }
    variables |= {
        "kas_own_private_api_cidr": "10.87.0.0/24",
        "kas_redis": {"host": "10.87.0.101", "port": 6379, "password": "sesame"},
    }
    members = {
        f"bench{n}": {
            "ansible_host": f"bench{n}",
            "node_ip": f"10.87.0.{100 + n}",
            "node_ip6": f"fd00:6b:6173::{100 + n}",
        }
        for n in range(1, count + 1)
    }
    groups = {"gitlab_kas": {"hosts": members}, "gitlab_rails": {"hosts": dict.fromkeys(members)}}
    inventory.write_text(json.dumps({"all": {"vars": variables, "children": groups}}))
    redis = {"bind": "{{ node_ip }}", "port": 6379, "password": "sesame"}
    task = {"kasops.gitlab_kas.gitlab_rb": {"settings": {"redis": redis}}}
    (folder / "redis.json").write_text(json.dumps([{"hosts": "bench1", "gather_facts": False, "tasks": [task]}]))
    bench = Bench(folder, inventory)
    try:
        bench.play(str(CREATE))
        bench.play(str(folder / "redis.json"))
        bench.play(KEEP, "-e", "state=new")
        bench.play(DEPLOY, "-e", "kas_serial=100%")
        bench.play(KEEP, "-e", "state=deployed")
        yield bench
    finally:
        engine = os.environ.get("MOLECULE_ENGINE", "podman")
        for name in members:
            subprocess.run([engine, "rm", "--force", "--volumes", name], capture_output=True, check=False)


def plan_s(count: int) -> float:
    """Seconds for the plan alone, of nodes with nothing to change: plain Python, in this process."""
    sys.path.insert(0, str(ROOT / ".ansible" / "collections"))
    from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered
    from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import plan

    groups = frozenset(["gitlab_kas", "gitlab_rails"])
    gathered = [
        Gathered(name, groups, in_play=True, variables=simulated.ROLE_VARIABLES, result=answer)
        for name, answer in simulated.kas_infos(count).items()
    ]
    times = []
    for _turn in range(RUNS):
        started = time.perf_counter()
        made = plan(gathered)
        times.append(time.perf_counter() - started)
        assert len(made.nodes) == count, made.refusals
    return statistics.median(times)


def rows(what: str, runs: dict[str, list[Run]]) -> list[str]:
    """A line of the table for each playbook."""
    medians = {name: Run(*map(statistics.median, zip(*each))) for name, each in runs.items()}
    lines = []
    for name, median in medians.items():
        ratios = [
            f"{median.wall_s / medians[base].wall_s:.2f} / {median.cpu_s / medians[base].cpu_s:.2f}"
            for base in (PING, PLAIN)
        ]
        walls = [run.wall_s for run in runs[name]]
        lines.append(
            f"| {what} | {name} | {median.wall_s:.2f} ({min(walls):.2f} to {max(walls):.2f}) | {median.cpu_s:.2f} |"
            f" {ratios[0]} | {ratios[1]} |"
        )
    print(*lines, sep="\n", flush=True)  # a long benchmark that is broken off has said something
    return lines


def first_deployment(count: int, runs: dict[str, list[Run]]) -> str:
    """What the deployment of new hosts adds to what each of them must do."""
    least, ours = (statistics.median(run.wall_s for run in runs[playbook]) for playbook in (LEAST, DEPLOY))
    text = (
        f"The first deployment of {count} hosts over SSH, one after another: {ours:.1f} s. Reconfigure alone, with what"
        f" it is to find in place, and the wait until KAS is ready: {least:.1f} s. So `deploy` adds"
        f" {(ours - least) / count:.2f} s a node, with the check before and the proof after ({RUNS} runs each)."
    )
    print(text, flush=True)
    return text


def numbers(variable: str, default: str) -> list[int]:
    return [int(each) for each in os.environ.get(variable, default).split(",") if each.strip()]


def main() -> None:
    playbooks = [PING, PLAIN, DEPLOY, VERIFY]
    nodes = numbers("KAS_BENCH_NODES", "3,12,100")
    table: list[str] = []
    counts: dict[str, Any] = {}
    first = ""
    with tempfile.TemporaryDirectory() as directory:
        for count in numbers("KAS_BENCH_HOSTS", "3,12"):
            with hosts(Path(directory) / f"hosts{count}", count) as bench:
                table += rows(f"{count} hosts over SSH", bench.alternating(playbooks))
                if not first:
                    first = first_deployment(count, bench.first())
        for count in nodes:
            folder = Path(directory) / f"simulated{count}"
            bench = Bench(folder, simulated.make(folder, count))
            shown = bench.play(DEPLOY)
            counts = {
                "runs of modules on a node": max(map(len, simulated.module_runs(folder).values())),
                "task headers": len(re.findall(r"^TASK \[", shown, re.MULTILINE)),
                "lines with `skipping`": shown.count("skipping"),
            }
            table += rows(f"{count} simulated nodes", bench.alternating(playbooks))
    text = [
        f"ansible-core {ansible.release.__version__}, Python {platform.python_version()}, {os.cpu_count()} processors"
        f" ({platform.machine()}) for the controller and all hosts together; medians of {RUNS} alternating runs"
        f" (lowest to highest); load of the machine at the end {os.getloadavg()[1]:.0f}.",
        "",
        "| on | playbook | seconds | processor seconds | to the ping (clock / processor) | to the plain one |",
        "| --- | --- | --- | --- | --- | --- |",
        *table,
        "",
    ]
    if counts:
        text += [f"`deploy` with nothing to change: {', '.join(f'{n} {name}' for name, n in counts.items())}.", ""]
    text += [first, ""] if first else []
    text += [f"The plan of {count} nodes alone: {plan_s(count):.2f} s." for count in nodes[-1:]]
    before, _begin, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text("\n".join([f"{before}{BEGIN}", "", *text, "", f"{END}{rest.partition(END)[2]}"]))
    print("\n".join(text))


if __name__ == "__main__":
    main()
