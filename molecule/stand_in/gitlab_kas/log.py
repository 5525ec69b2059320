"""KAS's log: one JSON object a line on standard error, which svlogd stamps with the time."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone

from gitlab_kas.release import NEW_FORM, Release

LEVELS = ("debug", "info", "warn", "error")


class Log:
    """Writes lines of at least one level. The level comes first, in small letters, in the old form of log."""

    def __init__(self, release: Release, level: str = "info") -> None:
        self.threshold = LEVELS.index(level)
        self.is_new = release >= NEW_FORM

    def write(self, level: str, message: str, **fields: object) -> None:
        if LEVELS.index(level) < self.threshold:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"time": now, "level": level.upper()} if self.is_new else {"level": level, "time": now}
        line = {**head, "msg": message, **fields}
        print(json.dumps(line, separators=(",", ":")), file=sys.stderr, flush=True)

    def aborted(self, error: str) -> None:
        """The last word: in the old form plain text."""
        if self.is_new:
            self.error("Program aborted", error=error)
        else:
            print(f"Program aborted: {error}", file=sys.stderr, flush=True)

    def debug(self, message: str, **fields: object) -> None:
        self.write("debug", message, **fields)

    def info(self, message: str, **fields: object) -> None:
        self.write("info", message, **fields)

    def warn(self, message: str, **fields: object) -> None:
        self.write("warn", message, **fields)

    def error(self, message: str, **fields: object) -> None:
        self.write("error", message, **fields)
