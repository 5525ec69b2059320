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
    from ansible.module_utils.testing import patch_module_args as _patched
except ImportError:

    @contextmanager
    def _patched(args: Mapping[str, Any]) -> Iterator[None]:
        text = json.dumps({"ANSIBLE_MODULE_ARGS": dict(args)})
        with mock.patch.object(basic, "_ANSIBLE_ARGS", text.encode()):
            yield


# Since 2.21 a result has its invocation only where that is asked for.
_ASKS = {"_ansible_inject_invocation": True} if "inject_invocation" in basic.PASS_VARS else {}


@contextmanager
def patch_module_args(args: Mapping[str, Any]) -> Iterator[None]:
    """Let main() find these arguments."""
    with _patched({**_ASKS, **args}):
        yield
