# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments for the main() of a module; ansible-core itself has that from 2.17 on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from ansible.module_utils import basic

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:

    @contextmanager
    def patch_module_args(args: Mapping[str, Any] | None = None) -> Iterator[None]:
        text = json.dumps({"ANSIBLE_MODULE_ARGS": dict(args or {})})
        with mock.patch.object(basic, "_ANSIBLE_ARGS", text.encode()):
            yield


__all__ = ["patch_module_args"]
