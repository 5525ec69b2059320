# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.modules import own_private_api_url as module
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args

HOST = ["127.0.0.1", "10.0.0.1", "10.0.0.2", "::ffff:192.0.2.1"]
ADDRESSES = ["127.0.0.1", "10.0.0.1", "10.0.0.2", "192.0.2.1"]


def run(
    capsys: pytest.CaptureFixture[str],
    options: dict[str, Any],
    host: Callable[[], list[str]] = lambda: HOST,
) -> dict[str, Any]:
    """The result of the module on a host with these addresses, without what Ansible itself adds."""
    with patch_module_args({"_ansible_check_mode": True, **options}), pytest.raises(SystemExit):
        module.main(host)
    result = json.loads(capsys.readouterr().out)
    result.pop("invocation")
    return result


@pytest.mark.parametrize(
    ("options", "url", "urls"),
    [
        ({}, "grpc://localhost:8155", ["grpc://localhost:8155"]),
        ({"cidr": "192.0.2.0/24"}, "grpc://192.0.2.1:8155", ["grpc://192.0.2.1:8155"]),
        (
            {"cidr": ["192.0.2.0/24", "172.16.0.0/12"], "port": 911, "scheme": "grpcs"},
            "grpcs://192.0.2.1:911",
            ["grpcs://192.0.2.1:911"],
        ),
        ({"cidr": "", "url": "", "port": "", "scheme": ""}, "grpc://localhost:8155", ["grpc://localhost:8155"]),
        ({"url": "grpc://kas-1:8155"}, "grpc://kas-1:8155", ["grpc://kas-1:8155"]),
        ({"listen_network": "unix", "listen_address": "/x.sock"}, "unix:///x.sock", ["unix:///x.sock"]),
    ],
)
def test_result(capsys: pytest.CaptureFixture[str], options: dict[str, Any], url: str, urls: list[str]) -> None:
    assert run(capsys, options) == {
        "changed": False,
        "addresses": ADDRESSES,
        "own_private_api_url": url,
        "own_private_api_urls": urls,
    }


def unknown() -> list[str]:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize(
    ("options", "host", "message", "result"),
    [
        (
            {"cidr": "10.0.0.0/8"},
            lambda: HOST,
            "Several of the host's addresses lie in 10.0.0.0/8 (10.0.0.1, 10.0.0.2), but one URL takes one;"
            " set cidr to a network that contains exactly one of them, or set url.",
            {"addresses": ADDRESSES, "own_private_api_urls": ["grpc://10.0.0.1:8155", "grpc://10.0.0.2:8155"]},
        ),
        (
            {"port": True},
            lambda: HOST,
            "port must be a whole number from 1 to 65535, not True.",
            {"addresses": ADDRESSES, "own_private_api_urls": []},
        ),
        (
            {},
            unknown,
            "The kernel does not tell its addresses ([Errno 1] Operation not permitted); use the filter of this name.",
            {"addresses": [], "own_private_api_urls": []},
        ),
    ],
)
def test_failure(
    capsys: pytest.CaptureFixture[str],
    options: dict[str, Any],
    host: Callable[[], list[str]],
    message: str,
    result: dict[str, Any],
) -> None:
    assert run(capsys, options, host) == {
        "changed": False,
        "failed": True,
        "msg": message,
        "own_private_api_url": None,
        **result,
    }


def test_documented_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"changed", *yaml.safe_load(module.RETURN)} == set(run(capsys, {}))
