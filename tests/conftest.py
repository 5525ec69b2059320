"""Let the tests import the checkout as the installed collection."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / ".ansible" / "collections"

link = COLLECTIONS / "ansible_collections" / "kasops" / "gitlab_kas"
if not link.exists():
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("../../../..")
sys.path.insert(0, str(COLLECTIONS))
