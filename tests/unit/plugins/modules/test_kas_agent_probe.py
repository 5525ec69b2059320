# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kas_agent_probe: everything at once, within the time limit; tests/stand_in/test_outside.py has the proxies."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_agent_probe import main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.servers import Handler, free_port, serving

NOTHING = {"changed": False, "checks": [], "reachable": False}


def params(agents_url: str, **others: Any) -> dict[str, Any]:
    defaults = {"proxy_url": None, "gitlab_url": None, "token": None, "ca": [], "idle_s": 0, "timeout_s": 5}
    return {"agents_url": agents_url, "min_valid_days": 30, **defaults, **others}


def answering(answer: bytes) -> Handler:
    """A web server that says this to whatever is asked."""

    def answer_once(connection: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += connection.recv(1000)
        connection.sendall(answer)

    return answer_once


def test_what_was_not_asked_for_is_not_asked() -> None:
    port = free_port()
    assert run(params(f"ws://127.0.0.1:{port}/")) == {
        "changed": False,
        "checks": [
            {
                "check": "agents",
                "url": f"ws://127.0.0.1:{port}/",
                "ok": False,
                "part": "network",
                "text": "connection refused",
                "remedy": f"make sure that the proxy or KAS listens at port {port} there, and that no firewall rejects"
                " it",
                "warnings": [],
                "told": {},
            }
        ],
        "reachable": False,
    }


def test_each_check_stands_for_itself() -> None:
    refused = b"HTTP/1.1 401 Unauthorized\r\nGitlab-Unauthorized: true\r\nContent-Length: 0\r\n\r\n"
    with serving(answering(refused)) as api, serving(answering(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as gitlab:
        urls = {"proxy_url": f"http://{api}/k8s-proxy/", "gitlab_url": f"http://{gitlab}"}
        result = run(params("ws://agents.invalid/", **urls, token="glpat"))
    assert [(each["check"], each["url"], each["part"]) for each in result["checks"]] == [
        ("agents", "ws://agents.invalid/", "name"),
        ("kubernetes_api", urls["proxy_url"], ""),
        ("gitlab", urls["gitlab_url"], "GitLab"),
    ]
    assert result["reachable"] is False


def test_a_name_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def resolve(*_name: object, **_more: object) -> None:
        never.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "at last")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    (found,) = run(params("wss://kas.example.com/", timeout_s=0))["checks"]
    never.set()
    assert (found["part"], found["text"]) == ("name", "the name is not resolved within 0 s")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            {"agents_url": "https://kas/"},
            "agents_url does not start with ws:// or wss:// or grpc:// or grpcs://; correct it.",
        ),
        ({"proxy_url": "wss://kas/"}, "proxy_url does not start with http:// or https://; correct it."),
        *(
            ({"agents_url": url}, "agents_url is no URL of ASCII characters with a host; correct it.")
            for url in (
                "wss://",
                "wss://kas:port/",
                "wss://kas:0/",
                "wss://[::1/",
                "ws://kas/ \r\nHost: x",
                "ws://käs/",
            )
        ),
        ({"gitlab_url": "gitlab"}, "gitlab_url does not start with http:// or https://; correct it."),
        ({"token": "glpat"}, "token is set, but gitlab_url is not; set both, or none."),
        ({"timeout_s": 0}, "timeout_s is 0; set 1 or more seconds."),
        ({"ca": ["ours"]}, "ca holds a text that is no certificate in PEM; correct it, or leave it out."),
        ({"ca": [""]}, "ca holds a text that is no certificate in PEM; correct it, or leave it out."),
    ],
)
def test_options_that_cannot_be(capsys: pytest.CaptureFixture[str], wrong: dict[str, Any], expected: str) -> None:
    with patch_module_args({"agents_url": "wss://kas/", **wrong}), pytest.raises(SystemExit):
        main()
    result = json.loads(capsys.readouterr().out)
    assert result["msg"] == expected
    assert {name: result.get(name, False) for name in NOTHING} == NOTHING


def test_the_token_is_no_part_of_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    options = {"agents_url": url.replace("http", "ws"), "gitlab_url": url, "token": "glpat-of-a-test"}
    with patch_module_args(options), pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    assert [each["part"] for each in json.loads(said)["checks"]] == ["network", "network"]
    assert "glpat-of-a-test" not in said
