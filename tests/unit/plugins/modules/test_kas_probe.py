"""kas_probe: all peers at once, within the time limit, with the secret of this node."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import Package
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._peer import (
    INTERNAL_API,
    PRIVATE_API,
    Credentials,
    Reach,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import PrivateApiError
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_probe import main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.servers import KUBERNETES_API, SERVER_INFO, Kas

PRIVATE_SECRET, API_SECRET = b"p" * 32, b"a" * 32
DIRECTORY = "var/opt/gitlab/gitlab-kas"
RAILS = "opt/gitlab/embedded/service/gitlab-rails"
GITLAB_YML = "production:\n  gitlab_kas:\n    enabled: true\n    internal_url: {}\n"
NOTHING = {"changed": False, "peers": [], "reachable": False}
REACHED = Reach(True, "reachable", answered=True)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A node with KAS and Rails."""
    files = {
        "opt/gitlab/version-manifest.json": '{"build_version": "18.6.1"}',
        f"{DIRECTORY}/gitlab-kas-config.yml": (
            f"private_api:\n  listen:\n    authentication_secret_file: /{DIRECTORY}/private\n"
        ),
        f"{DIRECTORY}/private": base64.b64encode(PRIVATE_SECRET).decode(),
        f"{RAILS}/.gitlab_kas_secret": base64.b64encode(API_SECRET).decode(),
        f"{RAILS}/config/gitlab.yml": GITLAB_YML.format("grpc://127.0.0.1:8153"),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Package(root=tmp_path)


def params(peers: list[str] | None, **others: Any) -> dict[str, Any]:
    return {
        "call": "none",
        "peers": peers,
        "rails": False,
        "server_name": None,
        "ca_dir": None,
        "timeout_s": 5,
        **others,
    }


def test_answers_keep_the_order_of_the_peers(package: Package) -> None:
    def reacher(url: str, **options: Any) -> Reach:
        if url == "no url":
            raise PrivateApiError("no url is not a URL.")
        return REACHED if "good" in url else Reach(False, "connection refused", "start it")

    good = {"url": "grpc://good:1", "reachable": True, "answered": True, "text": "reachable", "remedy": ""}
    assert run(params(["grpc://good:1", "grpc://bad:1", "no url", "grpc://good:1"]), package, reacher) == {
        "changed": False,
        "peers": [
            good,
            {
                "url": "grpc://bad:1",
                "reachable": False,
                "answered": False,
                "text": "connection refused",
                "remedy": "start it",
            },
            {
                "url": "no url",
                "reachable": False,
                "answered": False,
                "text": "no url is not a URL.",
                "remedy": "correct the URL",
            },
            good,
        ],
        "reachable": False,
    }


@pytest.mark.parametrize(
    ("given", "urls", "options"),
    [
        ({}, ["grpcs://a:1"], {}),
        (
            {"server_name": "kas.example.com", "ca_dir": "/etc/gitlab/trusted-certs", "timeout_s": 7},
            ["grpcs://a:1"],
            {"server_name": "kas.example.com", "ca_dir": Path("/etc/gitlab/trusted-certs"), "timeout": 7},
        ),
        (
            {"call": "private_api"},
            ["grpcs://a:1"],
            {"credentials": Credentials(PRIVATE_API, PRIVATE_SECRET, "18.6.1")},
        ),
        (
            {"call": "internal_api"},
            ["grpcs://a:1"],
            {"credentials": Credentials(INTERNAL_API, API_SECRET, "18.6.1")},
        ),
        (
            {"call": "internal_api", "peers": None},
            ["grpc://127.0.0.1:8153"],
            {"credentials": Credentials(INTERNAL_API, API_SECRET, "18.6.1")},
        ),
    ],
)
def test_what_is_asked(package: Package, given: dict[str, Any], urls: list[str], options: dict[str, Any]) -> None:
    asked: list[dict[str, Any]] = []

    def reacher(url: str, **options: Any) -> Reach:
        asked.append({"url": url, **options})
        return REACHED

    result = run({**params(["grpcs://a:1"]), **given}, package, reacher)
    defaults = {"credentials": None, "server_name": None, "ca_dir": None, "timeout": 5}
    assert asked == [{**defaults, **options, "url": url} for url in urls]
    assert result["reachable"] is True
    assert [peer["url"] for peer in result["peers"]] == urls


def test_all_at_once_and_not_longer_than_the_time_limit(package: Package) -> None:
    release = threading.Event()
    together = threading.Barrier(3)

    def reacher(url: str, **options: Any) -> Reach:
        if url == "stuck":
            release.wait(20)
        else:
            together.wait(5)
        return REACHED

    begin = time.monotonic()
    result = run(params(["a", "stuck", "b", "stuck", "c", "stuck"], timeout_s=1), package, reacher)
    took = time.monotonic() - begin
    release.set()
    assert 1 <= took < 2.9  # one after the other, the three that are stuck would take 3 s
    assert [peer["reachable"] for peer in result["peers"]] == [True, False, True, False, True, False]
    assert result["peers"][1]["text"] == "no answer within 1 s"


@pytest.mark.parametrize("call", ["none", "private_api", "internal_api"])
def test_no_peers(tmp_path: Path, call: str) -> None:
    """Nothing is asked, so no secret is read, either."""
    assert run(params([], call=call), Package(root=tmp_path)) == {**NOTHING, "reachable": True}


def test_a_rails_that_was_told_of_no_kas(package: Package) -> None:
    (package.root / RAILS / "config/gitlab.yml").write_text(GITLAB_YML.replace("true", "false"))
    assert run(params(None, call="internal_api"), package)["peers"] == []


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("private_api", f"{DIRECTORY}/private"),
        ("private_api", f"{DIRECTORY}/gitlab-kas-config.yml"),
        ("internal_api", f"{RAILS}/.gitlab_kas_secret"),
        ("internal_api", f"{RAILS}/config/gitlab.yml"),
    ],
)
def test_a_node_without_its_secret(package: Package, call: str, missing: str) -> None:
    (package.root / missing).unlink()
    result = run(params(None if call == "internal_api" else ["grpc://a:1"], call=call), package)
    assert result == {**NOTHING, "msg": f"{package.root}/{missing} does not exist; run gitlab-ctl reconfigure."}


@pytest.mark.parametrize(
    ("missing", "asked"),
    [
        (None, ["grpcs://a:1", "grpc://127.0.0.1:8153"]),
        (f"{DIRECTORY}/private", ["grpc://127.0.0.1:8153"]),
        (f"{RAILS}/.gitlab_kas_secret", ["grpcs://a:1"]),
    ],
)
def test_rails_asks_as_well(package: Package, missing: str | None, asked: list[str]) -> None:
    """Where one of them cannot ask, the other does."""
    if missing:
        (package.root / missing).unlink()
    credentials = {
        "grpcs://a:1": (Credentials(PRIVATE_API, PRIVATE_SECRET, "18.6.1"), "kas.example.com"),
        "grpc://127.0.0.1:8153": (Credentials(INTERNAL_API, API_SECRET, "18.6.1"), None),
    }
    seen = {}

    def reacher(url: str, **options: Any) -> Reach:
        seen[url] = (options["credentials"], options["server_name"])
        return REACHED

    given = params(["grpcs://a:1"], call="private_api", rails=True, server_name="kas.example.com")
    result = run(given, package, reacher)
    assert seen == {url: credentials[url] for url in asked}
    parts = {"grpcs://a:1": result, "grpc://127.0.0.1:8153": result["rails"]}
    for url, part in parts.items():
        assert [peer["url"] for peer in part["peers"]] == ([url] if url in asked else [])
        assert part.get("msg") == (
            None if url in asked else f"{package.root}/{missing} does not exist; run gitlab-ctl reconfigure."
        )
        assert part["reachable"] is (url in asked)


def test_calls(package: Package, capsys: pytest.CaptureFixture[str]) -> None:
    private, internal = Kas(KUBERNETES_API, secret=PRIVATE_SECRET), Kas(SERVER_INFO, secret=API_SECRET)
    with private.serving() as there, internal.serving() as here:
        (package.root / RAILS / "config/gitlab.yml").write_text(GITLAB_YML.format(f"grpc://{here}"))
        of_kas = run(params([f"grpc://{there}", f"grpc://{here}"], call="private_api"), package)
        of_rails = run(params(None, call="internal_api"), package)
    assert [peer["answered"] for peer in of_kas["peers"]] == [True, False]
    assert of_kas["peers"][1]["text"] == "is the internal API of a KAS, not its private API"
    assert of_rails["peers"] == [
        {"url": f"grpc://{here}", "reachable": True, "answered": True, "text": "reachable", "remedy": ""}
    ]
    shown = json.dumps([of_kas, of_rails]) + "".join(capsys.readouterr())
    assert not any(base64.b64encode(secret).decode() in shown for secret in (PRIVATE_SECRET, API_SECRET))


def test_main(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    args = {"call": "none", "peers": f"grpc://127.0.0.1:{port},unix:///nowhere/kas.socket", "timeout_s": "3"}
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


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({}, "call is private_api but all of the following are missing: peers"),
        ({"call": "none"}, "call is none but all of the following are missing: peers"),
        (
            {"peers": ["grpc://127.0.0.1:8155"]},
            "/var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml does not exist; run gitlab-ctl reconfigure.",
        ),
    ],
)
def test_failures(capsys: pytest.CaptureFixture[str], args: dict[str, Any], expected: str) -> None:
    with patch_module_args(args), pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert json.loads(capsys.readouterr().out)["msg"] == expected
