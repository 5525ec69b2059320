# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an edit of gitlab.rb costs: one gitlab_rb task beside one lineinfile task, and the parts of it.

Run by `make bench`, in the environment of scripts/test-env.sh. Prints tables and judges nothing; KAS_BENCH_REPETITIONS
sets how often each task runs.
"""

from __future__ import annotations

import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))
sys.path.insert(0, str(ROOT / "tests" / "property"))

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import GitlabRb  # noqa: E402
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Outline, Ruby  # noqa: E402
from referee import find_ruby  # noqa: E402
from template import SETTINGS, TEMPLATE_LINES, template  # noqa: E402

REPETITIONS = int(os.environ.get("KAS_BENCH_REPETITIONS", "15"))
OURS, AGAIN, THEIRS = "gitlab_rb, 25 settings", "gitlab_rb, the same again", "lineinfile, one line"


def median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1000


def tasks(file: Path, fresh: Path, ruby: str) -> list[dict[str, Any]]:
    """Alternating, so that a slow moment of the machine meets both."""
    copy_fresh = {"name": "fresh file", "ansible.builtin.command": {"argv": ["cp", str(fresh), str(file)]}}
    ours = {"kasops.gitlab_kas.gitlab_rb": {"path": str(file), "settings": SETTINGS, "ruby": ruby}}
    line = "gitlab_kas['enable'] = true"
    theirs = {"ansible.builtin.lineinfile": {"path": str(file), "regexp": r"^gitlab_kas\['enable'\]", "line": line}}
    once = [
        copy_fresh,
        {"name": OURS, **ours},
        {"name": AGAIN, **ours},
        copy_fresh,
        {"name": THEIRS, **theirs},
    ]
    return [copy.deepcopy(task) for _turn in range(REPETITIONS) for task in once]


def whole_tasks(ruby: str) -> None:
    """Real tasks in one run of ansible-playbook, on this machine, connection local."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "fresh.rb").write_bytes(template(TEMPLATE_LINES))
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False}
        play["tasks"] = tasks(place / "gitlab.rb", place / "fresh.rb", ruby)
        (place / "play.yml").write_text(json.dumps([play]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_times",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "TASK_TIMES": str(place / "times"),
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(place / "play.yml")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        times: dict[str, list[float]] = {OURS: [], AGAIN: [], THEIRS: []}
        for line in (place / "times").read_text().splitlines():
            entry = json.loads(line)
            if entry["task"] in times:
                assert entry["changed"] is (entry["task"] != AGAIN), entry
                times[entry["task"]].append(entry["s"])
    base = median_ms(times[THEIRS])
    print(f"Whole tasks on a file of {TEMPLATE_LINES:,} lines, {REPETITIONS} times each, alternating:")
    for name, seconds in times.items():
        middle, low, high = median_ms(seconds), min(seconds) * 1000, max(seconds) * 1000
        print(f"  {name:28}{middle:8.0f} ms   ({low:.0f} to {high:.0f})   x {middle / base:.2f}")


class Timed:
    """A Ruby whose answers are timed, and kept, so that a second run measures Python alone."""

    def __init__(self, ruby: Ruby) -> None:
        self._ruby = ruby
        self._known: dict[tuple[bytes, str], Outline] = {}
        self.seconds = 0.0

    def outline(self, text: bytes, commented: Sequence[Any] = ()) -> Outline:
        started = time.perf_counter()
        key = (text, repr(commented))
        if key not in self._known:
            self._known[key] = self._ruby.outline(text, commented)
        self.seconds += time.perf_counter() - started
        return self._known[key]


def parts(ruby_path: str) -> None:
    """Inside one process: from bytes to bytes, Ruby's part and Python's."""
    print("\nOne change of 25 settings, inside the module:")
    print(f"  {'lines':>9}  {'Ruby starts and outlines':>26}  {'Python, outline in, bytes out':>31}")
    for lines in (1_000, TEMPLATE_LINES, 10_000, 100_000):
        text = template(lines)
        outlining, python = [], []
        for _turn in range(3 if lines > 50_000 else 7):
            started = time.perf_counter()
            with Ruby(ruby_path) as ruby:
                timed = Timed(ruby)
                GitlabRb(text, timed).change(SETTINGS)
                outlining.append(timed.seconds)
            timed.seconds, started = 0.0, time.perf_counter()
            GitlabRb(text, timed).change(SETTINGS)
            python.append(time.perf_counter() - started - timed.seconds)
        print(f"  {lines:>9,}  {median_ms(outlining):>23.1f} ms  {median_ms(python):>28.1f} ms")


def main() -> None:
    ruby = find_ruby()
    if ruby is None:
        sys.exit("No Ruby is here to measure with; install one, or name it in KAS_TEST_RUBY.")
    whole_tasks(ruby)
    parts(ruby)


if __name__ == "__main__":
    main()
