# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kas_node_info: what is known of a node on which kas_info does not come to its end."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.action.kas_node_info import ActionModule


@pytest.mark.parametrize(
    ("answer", "msg"),
    [
        # As ansible-core 2.19 and later have it of a module that raises, such as on Python 3.8.
        ({"failed": True, "exception": "Traceback …"}, "it ended before it could answer"),
        ({"failed": True, "msg": "MODULE FAILURE"}, "MODULE FAILURE"),
        ({"unreachable": True, "failed": True}, None),
        ({"kas": {}}, None),
    ],
)
def test_why_it_failed(answer, msg, stage):
    result = stage({"kas1": {}}).run(ActionModule, "kas1", {"kas_info": answer}, secret_values=True)
    assert result.get("msg") == msg
