"""The release that is imitated, and from when on KAS speaks otherwise."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

Release = tuple[int, ...]
# Log, metrics and several messages changed between 17.2 and 17.8; where exactly is not known.
NEW_FORM: Release = (17, 8)

MANIFEST = Path(os.environ.get("STAND_IN_MANIFEST", "/opt/gitlab/version-manifest.json"))


def installed() -> Release:
    """The release that the package's manifest names."""
    text = json.loads(MANIFEST.read_text(encoding="utf-8"))["build_version"]
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])


def shown(release: Release) -> str:
    return "v" + ".".join(map(str, release))
