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

# A slow machine is no failure. The same examples every time, so that a change is judged by what it changes; `make fuzz`
# looks for new ones.
patient = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, **patient)
hypothesis.settings.register_profile("new", **patient)
hypothesis.settings.load_profile("new" if "KAS_FUZZ_EXAMPLES" in os.environ else "repeatable")
