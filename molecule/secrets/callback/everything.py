"""Writes down all that Ansible hands to a callback, as those do that send it to a log server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: everything
type: notification
short_description: All that a callback gets
description: Appends to the file that EVERYTHING names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "everything"

    def v2_on_any(self, *arguments: Any, **named: Any) -> None:
        """The results of tasks and loops with the arguments, the tasks, the statistics."""
        with Path(os.environ["EVERYTHING"]).open("a") as file:
            for each in arguments:
                if hasattr(each, "_task_fields"):  # a task's result on a host
                    print(each._host, each._result, each._task_fields, file=file)
                else:
                    print(each, each.serialize() if hasattr(each, "serialize") else "", file=file)
