# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The referee: what a gitlab.rb comes to when Ruby evaluates it as the Linux package does."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE_RUBY = "/opt/gitlab/embedded/bin/ruby"
Typed = Any  # None, bool, or a dictionary with one entry that names the Ruby type; see Typed in referee.rb


def find_ruby() -> str | None:
    """The Ruby to test with: KAS_TEST_RUBY, else the package's, else the one in PATH, else None."""
    given = os.environ.get("KAS_TEST_RUBY")
    if given:
        return given
    return PACKAGE_RUBY if Path(PACKAGE_RUBY).exists() else shutil.which("ruby")


@dataclass(frozen=True)
class Evaluation:
    """The settings by name, typed; or why Ruby did not come to any."""

    settings: dict[str, Typed] | None
    error: str | None


class Referee:
    """One Ruby process that evaluates any number of texts, each as if it were the only one."""

    def __init__(self, ruby: str) -> None:
        self._process = subprocess.Popen(
            [ruby, "--disable=gems", str(Path(__file__).with_name("referee.rb"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Referee:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.communicate()

    def evaluate(self, text: bytes, path: Path) -> Evaluation:
        """Evaluate text as the content of path; other files are read from where they lie."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        stdin.write(b"%d %s\n" % (len(text), os.fsencode(path)) + text)
        stdin.flush()
        answer = json.loads(stdout.read(int(stdout.readline())))
        if "error" in answer:
            return Evaluation(None, f"{answer['error']['class']}: {answer['error']['message']}")
        return Evaluation(answer["settings"], None)


def typed(value: object, hash_type: str = "config_mash") -> Typed:
    """What the referee says of a setting that holds this Python value."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"i": str(value)}
    if isinstance(value, float):
        return {"f": struct.pack(">d", value).hex()}
    if isinstance(value, str):
        return {"s": value}
    if isinstance(value, Mapping):
        return {hash_type: {f"s:{key}": typed(item, hash_type) for key, item in value.items()}}
    assert isinstance(value, list), value
    return {"a": [typed(item, hash_type) for item in value]}
