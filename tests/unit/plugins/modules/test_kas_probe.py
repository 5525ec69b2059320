"""kas_probe: all peers at once, within the time limit."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import Reach
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_probe import main, run


def params(peers: list[str], **others: Any) -> dict[str, Any]:
    return {"peers": peers, "server_name": None, "ca_dir": None, "timeout_s": 5, **others}


def test_answers_keep_the_order_of_the_peers() -> None:
    def reacher(url: str, **options: Any) -> Reach:
        if url == "no url":
            raise PrivateApiError("no url is not a URL.")
        return Reach(True, "reachable") if "good" in url else Reach(False, "connection refused")

    assert run(params(["grpc://good:1", "grpc://bad:1", "no url", "grpc://good:1"]), reacher) == {
        "changed": False,
        "peers": [
            {"url": "grpc://good:1", "reachable": True, "text": "reachable"},
            {"url": "grpc://bad:1", "reachable": False, "text": "connection refused"},
            {"url": "no url", "reachable": False, "text": "no url is not a URL."},
            {"url": "grpc://good:1", "reachable": True, "text": "reachable"},
        ],
        "reachable": False,
    }


@pytest.mark.parametrize(
    ("ca_dir", "expected"), [(None, None), ("/etc/gitlab/trusted-certs", Path("/etc/gitlab/trusted-certs"))]
)
def test_options_are_handed_on(ca_dir: str | None, expected: Path | None) -> None:
    asked: list[dict[str, Any]] = []

    def reacher(url: str, **options: Any) -> Reach:
        asked.append({"url": url, **options})
        return Reach(True, "reachable")

    result = run(params(["grpcs://a:1"], server_name="kas.example.com", ca_dir=ca_dir), reacher)
    assert asked == [{"url": "grpcs://a:1", "server_name": "kas.example.com", "ca_dir": expected, "timeout": 5}]
    assert result["reachable"] is True


def test_all_at_once_and_not_longer_than_the_time_limit() -> None:
    release = threading.Event()
    together = threading.Barrier(3)

    def reacher(url: str, **options: Any) -> Reach:
        if url == "stuck":
            release.wait(20)
        else:
            together.wait(5)
        return Reach(True, "reachable")

    begin = time.monotonic()
    result = run(params(["a", "stuck", "b", "stuck", "c", "stuck"], timeout_s=1), reacher)
    took = time.monotonic() - begin
    release.set()
    assert 1 <= took < 2.9  # one after the other, the three that are stuck would take 3 s
    assert [peer["reachable"] for peer in result["peers"]] == [True, False, True, False, True, False]
    assert result["peers"][1]["text"] == "no answer within 1 s"


def test_no_peers() -> None:
    assert run(params([])) == {"changed": False, "peers": [], "reachable": True}


def test_main(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    args = {"peers": f"grpc://127.0.0.1:{port},unix:///nowhere/kas.socket", "timeout_s": "3"}
    with patch_module_args(args), pytest.raises(SystemExit) as caught:
        main()
    result = json.loads(capsys.readouterr().out)
    assert caught.value.code == 0
    assert [peer["text"] for peer in result["peers"]] == ["connection refused", "no such socket"]
    assert result["reachable"] is False


def test_a_time_limit_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"peers": [], "timeout_s": 0}), pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out)["msg"] == "timeout_s is 0; set 1 or more seconds."
