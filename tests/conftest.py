"""Let the tests import the checkout as the installed collection, and make hypothesis repeatable."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / ".ansible" / "collections"

link = COLLECTIONS / "ansible_collections" / "kasops" / "gitlab_kas"
if not link.exists():
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("../../../..")
sys.path.insert(0, str(COLLECTIONS))

# The same examples every time, so that a change is judged by what it changes; `make fuzz` looks for new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None)
if "KAS_FUZZ_EXAMPLES" not in os.environ:
    hypothesis.settings.load_profile("repeatable")
