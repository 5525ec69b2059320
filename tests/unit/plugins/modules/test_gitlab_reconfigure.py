"""gitlab_reconfigure: what is run, what is started, and what stays pending."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import (
    Finished,
    GitlabCtlError,
    Outcome,
    Package,
)
from ansible_collections.kasops.gitlab_kas.plugins.modules.gitlab_reconfigure import diff, main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args

FIXTURES = Path(__file__).parents[2] / "fixtures" / "gitlab_ctl"
KEYS = {
    "changed",
    "reason",
    "resources_updated",
    "duration_s",
    "restart_reason",
    "restarted",
    "started",
    "removed_sockets",
    "deprecation_notices",
    "lines",
}
NOTHING_DONE = dict.fromkeys(KEYS) | {
    "changed": False,
    "restarted": False,
    "started": False,
    "removed_sockets": [],
    "deprecation_notices": [],
    "lines": [],
}
SINCE_RECONFIGURE = "since the last successful reconfigure."
SINCE_START = "since the last start of KAS on record."


class Node:
    """A node with the package, whose gitlab-ctl does what the test says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gitlab_rb = root / "gitlab.rb"
        self.gitlab_rb.write_text("# nothing\n")
        self.link = root / "opt/gitlab/service/gitlab-kas"
        self.link.parent.mkdir(parents=True)
        (root / "opt/gitlab/version-manifest.json").write_text('{"build_version": "18.6.1"}')
        self.running = False
        self.pid = 1
        self.restarts = True
        self.reconfigure_restarts = False
        self.starts = True
        self.outcome = Finished(0, (FIXTURES / "success_13.stdout").read_text(), "")
        self.ran: list[str] = []
        self.now = 0.0

    def gitlab_ctl(self, argv: Sequence[str], timeout_s: float) -> Finished:
        action = argv[1]
        self.ran.append(action)
        if action == "status":
            if not self.running:
                return Finished(3, "down: gitlab-kas", "")
            return Finished(0, f"run: gitlab-kas: (pid {self.pid}) 1s", "")
        if action == "restart":
            self.pid += self.restarts
            return Finished(0, "ok: run", "") if self.restarts else Finished(1, "timeout: run: gitlab-kas", "")
        if action == "start":
            self.running = self.starts
            return Finished(0, "ok: run", "") if self.starts else Finished(1, "timeout: down: gitlab-kas: 1s", "")
        assert action == "reconfigure"
        self.now += 35.24
        if timeout_s < 35:
            raise GitlabCtlError("It still runs.")
        self.pid += self.reconfigure_restarts
        return self.outcome

    def enable(self) -> None:
        self.link.symlink_to("/opt/gitlab/sv/gitlab-kas")

    def run(self, *, check_mode: bool = False, **params: Any) -> dict[str, Any]:
        self.ran = []
        defaults = {
            "path": str(self.gitlab_rb),
            "inputs": [],
            "restart_inputs": [],
            "force": False,
            "start": True,
            "timeout_s": 3600,
        }
        result = run(
            {**defaults, **params},
            Package(self.gitlab_ctl, root=self.root, pause=lambda seconds: None),
            check_mode=check_mode,
            clock=lambda: self.now,
        )
        assert set(result) - {"failed", "msg"} == KEYS
        return result


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_first_run_reconfigures_and_the_second_does_not(node: Node) -> None:
    first = node.run()
    assert first == {
        "changed": True,
        "reason": "No successful reconfigure is on record.",
        "resources_updated": 11,
        "duration_s": 35.2,
        "restart_reason": None,
        "restarted": False,
        "started": False,
        "removed_sockets": [],
        "deprecation_notices": [],
        "lines": [],
    }
    assert node.ran == ["reconfigure"]
    second = node.run()
    assert second == NOTHING_DONE
    assert node.ran == []


@pytest.mark.parametrize(
    ("enabled", "running", "start", "ran", "started"),
    [
        (True, False, True, ["status", "start"], True),
        (True, True, True, ["status"], False),
        (False, False, True, [], False),
        (True, False, False, [], False),
    ],
)
def test_start(node: Node, enabled: bool, running: bool, start: bool, ran: list[str], started: bool) -> None:
    """A stopped KAS is started, also when no reconfigure is pending."""
    node.run()
    if enabled:
        node.enable()
    node.running = running
    result = node.run(start=start)
    assert node.ran == ran
    assert result["changed"] == result["started"] == started
    assert result["reason"] is None
    assert node.run(start=start)["changed"] is False


def test_a_stopped_kas_is_started_after_the_reconfigure(node: Node) -> None:
    node.enable()
    assert node.run()["started"] is True
    assert node.ran == ["reconfigure", "status", "start"]


def test_force(node: Node) -> None:
    node.run()
    assert node.run(force=True)["reason"] == "A reconfigure is forced."
    assert node.ran == ["reconfigure"]


def test_inputs(node: Node) -> None:
    certificate = node.root / "kas.crt"
    node.run(inputs=[str(certificate)])
    certificate.write_text("certificate")
    result = node.run(inputs=[str(certificate)])
    assert result["reason"] == f"{certificate} has appeared since the last successful reconfigure."


@pytest.fixture
def tls(node: Node) -> Node:
    """A node whose KAS runs with a certificate that it has read."""
    node.enable()
    node.running = True
    (node.root / "trusted").mkdir()
    (node.root / "kas.crt").write_text("certificate")
    run_tls(node)
    return node


def run_tls(node: Node, **params: Any) -> dict[str, Any]:
    trusted = str(node.root / "trusted")
    return node.run(inputs=[trusted], restart_inputs=[str(node.root / "kas.crt"), trusted], **params)


RENEW = {"kas.crt": "renewed"}
TRUST = {"trusted/ca.crt": "CA"}
EDIT = {"gitlab.rb": "# edited"}


@pytest.mark.parametrize(
    ("edits", "running", "reconfigure_restarts", "ran", "reason", "restart_reason", "restarted"),
    [
        pytest.param({}, True, False, ["status"], None, None, False, id="nothing is pending"),
        pytest.param(
            RENEW,
            True,
            False,
            ["status", "status", "status", "restart", "status", "status"],
            None,
            "kas.crt has changed",
            True,
            id="a new certificate",
        ),
        pytest.param(
            RENEW, False, False, ["status", "status", "start"], None, "kas.crt has changed", False, id="KAS is down"
        ),
        pytest.param(
            EDIT, True, False, ["reconfigure", "status"], "gitlab.rb has changed", None, False, id="gitlab.rb"
        ),
        pytest.param(
            TRUST,
            True,
            False,
            ["status", "reconfigure", "status", "status", "restart", "status", "status"],
            "trusted/ca.crt has appeared",
            "trusted/ca.crt has appeared",
            True,
            id="a reconfigure that does not restart KAS",
        ),
        pytest.param(
            RENEW | EDIT,
            True,
            True,
            ["status", "reconfigure", "status", "status"],
            "gitlab.rb has changed",
            "kas.crt has changed",
            False,
            id="a reconfigure that restarts KAS",
        ),
    ],
)
def test_restart(
    tls: Node,
    edits: dict[str, str],
    running: bool,
    reconfigure_restarts: bool,
    ran: list[str],
    reason: str | None,
    restart_reason: str | None,
    restarted: bool,
) -> None:
    tls.running = running
    tls.reconfigure_restarts = reconfigure_restarts
    for name, text in edits.items():
        (tls.root / name).write_text(text)
    result = run_tls(tls)
    assert tls.ran == ran
    assert result["reason"] == (reason and f"{tls.root}/{reason} {SINCE_RECONFIGURE}")
    assert result["restart_reason"] == (restart_reason and f"{tls.root}/{restart_reason} {SINCE_START}")
    assert result["restarted"] == restarted
    assert result["changed"] == bool(edits)
    assert run_tls(tls) == NOTHING_DONE


def test_a_call_without_inputs_keeps_what_is_on_record_of_them(tls: Node) -> None:
    (tls.root / "gitlab.rb").write_text("# edited")
    assert tls.run()["reason"] == f"{tls.root}/gitlab.rb has changed {SINCE_RECONFIGURE}"
    assert run_tls(tls) == NOTHING_DONE


def test_a_first_run_restarts_a_kas_that_may_not_have_read_its_certificate(tls: Node) -> None:
    (tls.root / "var/lib/kasops.gitlab_kas/reconfigured.json").unlink()
    result = run_tls(tls)
    assert (result["reason"], result["restarted"]) == ("No successful reconfigure is on record.", True)
    assert result["restart_reason"] == f"{tls.root}/kas.crt has appeared {SINCE_START}"


@pytest.mark.parametrize(
    ("edits", "running", "changed", "restarted"),
    [
        pytest.param(RENEW, True, True, True, id="restart"),
        pytest.param(RENEW | EDIT, True, True, False, id="reconfigure"),
        pytest.param(RENEW, False, False, False, id="KAS is down"),
    ],
)
def test_check_mode_of_a_restart(
    tls: Node, edits: dict[str, str], running: bool, changed: bool, restarted: bool
) -> None:
    tls.running = running
    for name, text in edits.items():
        (tls.root / name).write_text(text)
    before = sorted(tls.root.rglob("*"))
    result = run_tls(tls, check_mode=True, start=False)
    assert (result["changed"], result["restarted"], tls.ran) == (changed, restarted, ["status"])
    assert sorted(tls.root.rglob("*")) == before
    assert run_tls(tls)["restart_reason"] == result["restart_reason"]


@pytest.mark.parametrize("certificate", ["renewed", "certificate"])
def test_a_failed_restart_stays_owed(tls: Node, certificate: str) -> None:
    """Also when the certificate is put back as it was: who knows which one KAS has read."""
    tls.restarts = False
    (tls.root / "kas.crt").write_text("renewed")
    result = run_tls(tls)
    assert result["failed"] is True
    assert result["msg"] == (
        "gitlab-kas has not restarted within 300 s (run: gitlab-kas: (pid 2) 1s); it waits for its clients to end: see"
        " who is still connected, wait, and run this again."
    )
    assert result["lines"] == ["timeout: run: gitlab-kas"]
    assert result["restarted"] is False
    tls.restarts = True
    (tls.root / "kas.crt").write_text(certificate)
    result = run_tls(tls)
    assert (result["reason"], result["restarted"]) == (None, True)
    assert result["restart_reason"] == f"{tls.root}/kas.crt has appeared {SINCE_START}"


def test_a_reconfigure_whose_restart_fails_stays_owed(tls: Node) -> None:
    tls.restarts = False
    (tls.root / "trusted/ca.crt").write_text("CA")
    assert run_tls(tls)["failed"] is True
    tls.restarts = True
    result = run_tls(tls)
    assert result["reason"] == "The last reconfigure failed, was interrupted or still runs."
    assert result["restarted"] is True


def test_check_mode_changes_nothing(node: Node) -> None:
    node.enable()
    before = sorted(node.root.rglob("*"))
    result = node.run(check_mode=True)
    assert (result["changed"], result["started"], result["duration_s"]) == (True, True, None)
    assert node.ran == ["status"]
    assert sorted(node.root.rglob("*")) == before
    assert node.run()["reason"] == result["reason"]


def test_a_failed_reconfigure_stays_owed(node: Node) -> None:
    node.run()
    good = node.outcome
    node.outcome = Finished(
        1, (FIXTURES / "failure_secret.stdout").read_text(), (FIXTURES / "failure_secret.stderr").read_text()
    )
    node.enable()
    node.gitlab_rb.write_text("# edited\n")
    result = node.run()
    line = "gitlab_kas['api_secret_key'] should be exactly 32 bytes"
    assert result == {
        "failed": True,
        "msg": f"gitlab-ctl reconfigure failed with exit code 1 ({line}); "
        "fix the cause and run again; the reconfigure stays pending.",
        "lines": [line],
        "changed": True,
        "reason": f"{node.gitlab_rb} has changed since the last successful reconfigure.",
        "resources_updated": 0,
        "duration_s": 35.2,
        "restart_reason": None,
        "restarted": False,
        "started": False,
        "removed_sockets": [],
        "deprecation_notices": ["git_data_dirs has been deprecated since 17.8 and will be removed in 18.0."],
    }
    assert node.ran == ["reconfigure"]
    node.gitlab_rb.write_text("# nothing\n")
    node.outcome = good
    assert node.run()["reason"] == "The last reconfigure failed, was interrupted or still runs."
    assert node.run()["reason"] is None


def test_a_reconfigure_that_takes_too_long_stays_owed(node: Node) -> None:
    result = node.run(timeout_s=30)
    assert (result["failed"], result["msg"]) == (True, "It still runs.")
    assert result["duration_s"] == 35.2
    assert node.run()["reason"] == "The last reconfigure failed, was interrupted or still runs."


def test_a_kas_that_does_not_start(node: Node) -> None:
    node.enable()
    node.starts = False
    result = node.run()
    assert result["msg"] == (
        "gitlab-ctl start gitlab-kas failed (timeout: down: gitlab-kas: 1s); read"
        f" {node.root}/var/log/gitlab/gitlab-kas/current."
    )
    assert result["lines"] == ["timeout: down: gitlab-kas: 1s"]
    assert result["started"] is False
    assert node.run()["reason"] is None


def configure_sockets(node: Node, *names: str) -> None:
    directory = node.root / "var/opt/gitlab/gitlab-kas"
    directory.mkdir(parents=True, exist_ok=True)
    listeners = [
        f"{section}:\n  listen:\n    network: unix\n    address: /var/opt/gitlab/gitlab-kas/{name}\n"
        for section, name in zip(["api", "private_api"], names)
    ]
    (directory / "gitlab-kas-config.yml").write_text("".join(listeners))


def leave_socket(node: Node, name: str) -> Path:
    path = node.root / "var/opt/gitlab/gitlab-kas" / name
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    return path


@pytest.mark.parametrize("running", [False, True])
def test_sockets_of_a_killed_kas(node: Node, running: bool) -> None:
    """A KAS that is enabled and cannot start runs most of the time: runit tries again and again."""
    node.enable()
    node.run()
    configure_sockets(node, "one", "two")
    paths = [leave_socket(node, name) for name in ("one", "two", "three")]
    node.running = running
    result = node.run(check_mode=True)
    assert (result["changed"], result["removed_sockets"]) == (True, [str(path) for path in paths[:2]])
    assert all(path.exists() for path in paths)
    result = node.run()
    assert (result["changed"], result["removed_sockets"]) == (True, [str(path) for path in paths[:2]])
    assert (result["reason"], result["started"]) == (None, not running)
    assert [path.exists() for path in paths] == [False, False, True]
    assert node.run()["changed"] is False


def test_sockets_where_kas_listens_only_from_now_on(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.enable()
    configure_sockets(node, "one")
    paths = [leave_socket(node, name) for name in ("one", "two")]

    def reconfigure(package: Package, timeout_s: float) -> Outcome:
        assert [path.exists() for path in paths] == [False, True]
        configure_sockets(node, "two")
        return Outcome(None, [], 1, [])

    monkeypatch.setattr(Package, "reconfigure", reconfigure)
    assert node.run()["removed_sockets"] == [str(path) for path in paths]


def test_a_socket_that_is_in_use(node: Node) -> None:
    node.enable()
    node.run()
    configure_sockets(node, "one")
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(node.root / "var/opt/gitlab/gitlab-kas/one"))
        alive.listen()
        assert node.run()["removed_sockets"] == []


def test_a_socket_that_cannot_be_removed(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.enable()
    configure_sockets(node, "one")
    path = leave_socket(node, "one")

    def refuse(_path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    result = node.run()
    assert result["msg"] == (
        f"{path}, left by a KAS that was killed, keeps KAS from starting and cannot be removed (Operation not"
        " permitted); take its attribute i or a away, which lsattr -d shows, with chattr -i -a, also that of its"
        " directory."
    )
    assert node.ran == []


def test_package_not_installed(node: Node) -> None:
    (node.root / "opt/gitlab/version-manifest.json").unlink()
    result = node.run()
    assert result["failed"] and not result["changed"]
    assert result["msg"] == (
        f"The GitLab Linux package is not installed: there is no {node.root}/opt/gitlab/version-manifest.json; "
        "install gitlab-ee or gitlab-ce."
    )


@pytest.mark.parametrize(
    ("result", "before", "after"),
    [
        ({}, "", ""),
        ({"reason": "Why."}, "reconfigure pending: Why.\n", "reconfigure pending: no\n"),
        ({"restart_reason": "Why."}, "restart pending: Why.\n", "restart pending: no\n"),
        ({"started": True}, "gitlab-kas: down\n", "gitlab-kas: run\n"),
        (
            {"removed_sockets": ["/a", "/b"]},
            "/a: left by a KAS that was killed\n/b: left by a KAS that was killed\n",
            "",
        ),
    ],
)
def test_diff(result: dict[str, Any], before: str, after: str) -> None:
    assert diff(NOTHING_DONE | result) == {"before": before, "after": after}


def test_main_takes_text_for_every_type(capsys: pytest.CaptureFixture[str]) -> None:
    args = {"force": "yes", "start": "false", "timeout_s": "60", "inputs": "/a,/b", "restart_inputs": "/c"}
    with patch_module_args(args), pytest.raises(SystemExit) as caught:
        main()
    result = json.loads(capsys.readouterr().out)
    assert caught.value.code == 1
    assert result["msg"].startswith("The GitLab Linux package is not installed: ")
    assert result["invocation"]["module_args"] == {
        "path": "/etc/gitlab/gitlab.rb",
        "inputs": ["/a", "/b"],
        "restart_inputs": ["/c"],
        "force": True,
        "start": False,
        "timeout_s": 60,
    }
