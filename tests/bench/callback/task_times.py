# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes one JSON line for each task: its name, how long it took on its host, and whether it changed anything."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_times
type: notification
short_description: How long each task took
description: Appends to the file that TASK_TIMES names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible is not typed
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_times"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._started_s = 0.0

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._started_s = time.perf_counter()

    def v2_runner_on_ok(self, result: Any) -> None:
        seconds = time.perf_counter() - self._started_s
        details = result.result if hasattr(result, "result") else result._result
        task = result.task if hasattr(result, "task") else result._task
        line = {"task": task.get_name(), "s": seconds, "changed": details.get("changed")}
        with Path(os.environ["TASK_TIMES"]).open("a") as times:
            times.write(json.dumps(line) + "\n")
