# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program itself; what it says of texts is tested in test_ruby.py."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby_outline import OUTLINE

SCRIPTS = Path(__file__).resolve().parents[4] / "scripts"


def test_module_is_the_program() -> None:
    spec = importlib.util.spec_from_file_location("ruby_outline", SCRIPTS / "ruby_outline.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.MODULE.read_text() == maker.module(), "run: python scripts/ruby_outline.py"
    assert maker.PROGRAM.read_text() == OUTLINE


def test_ruby_warns_of_nothing() -> None:
    ruby = os.environ.get("KAS_TEST_RUBY", "ruby")
    check = [ruby, "-wc", str(SCRIPTS / "ruby_outline.rb")]
    run = subprocess.run(check, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("Syntax OK\n", "")
