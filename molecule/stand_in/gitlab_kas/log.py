"""KAS's log: one JSON object a line on standard error, which svlogd stamps with the time."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone

LEVELS = ("debug", "info", "warn", "error")


class Log:
    """Writes lines of at least one level; level names are small letters up to 17.7, capitals since."""

    def __init__(self, level: str = "info", capitals: bool = True) -> None:
        self.threshold = LEVELS.index(level)
        self.capitals = capitals

    def write(self, level: str, message: str, **fields: object) -> None:
        if LEVELS.index(level) < self.threshold:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        shown = level.upper() if self.capitals else level
        line = {"time": now, "level": shown, "msg": message, **fields}
        print(json.dumps(line, separators=(",", ":")), file=sys.stderr, flush=True)

    def debug(self, message: str, **fields: object) -> None:
        self.write("debug", message, **fields)

    def info(self, message: str, **fields: object) -> None:
        self.write("info", message, **fields)

    def warn(self, message: str, **fields: object) -> None:
        self.write("warn", message, **fields)

    def error(self, message: str, **fields: object) -> None:
        self.write("error", message, **fields)
