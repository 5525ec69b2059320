# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the property tests share: real Ruby, the referee, a place with files to include, and the figures."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this file

from figures import FIGURES
from grammar import DIRECTORY, INCLUDED
from referee import Referee, find_ruby


@pytest.fixture(scope="session")
def ruby_path() -> str:
    path = find_ruby()
    if path is None:
        pytest.fail("No Ruby is here to test against; install one, or name it in KAS_TEST_RUBY.")
    return path


@pytest.fixture(scope="session")
def ruby(ruby_path: str) -> Iterator[Ruby]:
    with Ruby(ruby_path) as process:
        yield process


@pytest.fixture(scope="session")
def referee(ruby_path: str) -> Iterator[Referee]:
    with Referee(ruby_path) as process:
        yield process


@pytest.fixture(scope="session")
def etc_gitlab() -> Iterator[Path]:
    """A directory with what from_file may find; the gitlab.rb in it exists only as text."""
    DIRECTORY.mkdir()
    for name, text in INCLUDED.items():
        (DIRECTORY / name).write_text(text)
    yield DIRECTORY
    shutil.rmtree(DIRECTORY)


def pytest_sessionstart() -> None:
    FIGURES.started_s = time.monotonic()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES.examples:
        terminalreporter.section("the invariant of gitlab_rb")
        terminalreporter.write_line(FIGURES.report())
