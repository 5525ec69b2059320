"""gitlab-ctl and the package, after outputs of the real ones in fixtures/gitlab_ctl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import (
    AppliedState,
    Finished,
    GitlabCtlError,
    Outcome,
    Package,
    Service,
    masked,
    run,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "gitlab_ctl"


GITLAB_RB = "external_url 'https://gitlab.example.com'\n"


def fixture(name: str) -> str:
    path = FIXTURES / name
    return path.read_text() if path.exists() else ""


def finished(name: str, exit_code: int) -> Finished:
    return Finished(exit_code, fixture(f"{name}.stdout"), fixture(f"{name}.stderr"))


class FakeRunner:
    """Answers every command with the same, and remembers what was asked."""

    def __init__(self, answer: Finished) -> None:
        self.answer = answer
        self.asked: list[tuple[list[str], float]] = []

    def __call__(self, argv: Sequence[str], timeout_s: float) -> Finished:
        self.asked.append((list(argv), timeout_s))
        return self.answer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in ("opt/gitlab/service", "opt/gitlab/sv/gitlab-kas", "etc/gitlab/certs"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "opt/gitlab/version-manifest.json").write_text(fixture("version-manifest.json"))
    (tmp_path / "etc/gitlab/gitlab.rb").write_text(GITLAB_RB)
    return tmp_path


def enable(root: Path) -> None:
    (root / "opt/gitlab/service/gitlab-kas").symlink_to("/opt/gitlab/sv/gitlab-kas")


# The program


def sleeping_process(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], **{**options, "stdin": subprocess.PIPE}
    )


def test_run_gives_exit_code_and_both_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTERNAL_URL", "https://leaked.example.com")
    script = "import os, sys; print(os.getcwd(), os.getenv('EXTERNAL_URL'), os.environ['LC_ALL']); sys.exit('höhö')"
    assert run([sys.executable, "-c", script], 20) == Finished(1, "/ None C.UTF-8\n", "höhö\n")


def test_run_gives_the_program_a_session_of_its_own() -> None:
    script = "import os; print(os.getsid(0) == os.getpid())"
    assert run([sys.executable, "-c", script], 20).stdout == "True\n"


def test_run_leaves_a_program_that_does_not_end() -> None:
    left: list[subprocess.Popen[bytes]] = []

    def popen(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        left.append(sleeping_process(argv, **options))
        return left[0]

    with pytest.raises(GitlabCtlError) as caught:
        run(["gitlab-ctl", "reconfigure"], 0.05, popen=popen)
    assert str(caught.value) == (
        f"gitlab-ctl reconfigure has not ended within 0.05 s and still runs as process {left[0].pid}, "
        "because stopping it could leave the node half configured; wait for its end, then run this again."
    )
    assert left[0].poll() is None
    left[0].communicate(timeout=20)
    assert left[0].returncode == 0


def test_run_of_a_missing_program() -> None:
    with pytest.raises(GitlabCtlError) as caught:
        run(["/nowhere/gitlab-ctl", "status"], 1)
    assert str(caught.value) == (
        "/nowhere/gitlab-ctl cannot be run (No such file or directory); install the GitLab Linux package once more."
    )


# The package


@pytest.mark.parametrize(
    ("build_version", "expected"),
    [("18.6.1", "18.6.1"), ("18.6.1+stable", "18.6.1"), ("17.8.0-ee.0", "17.8.0"), ("19.3.0+rnightly.1.abc", "19.3.0")],
)
def test_version(root: Path, build_version: str, expected: str) -> None:
    (root / "opt/gitlab/version-manifest.json").write_text(f'{{"build_version": "{build_version}"}}')
    assert Package(root=root).version == expected


@pytest.mark.parametrize("manifest", ["", "{}", "[]", '{"build_version": null}', '{"build_version": "nightly"}'])
def test_version_of_a_damaged_manifest(root: Path, manifest: str) -> None:
    path = root / "opt/gitlab/version-manifest.json"
    path.write_text(manifest)
    with pytest.raises(GitlabCtlError) as caught:
        _version = Package(root=root).version
    assert str(caught.value) == f"{path} names no build_version; repair the GitLab Linux package."


def test_package_not_installed(tmp_path: Path) -> None:
    package = Package(root=tmp_path)
    assert not package.installed
    with pytest.raises(GitlabCtlError) as caught:
        _version = package.version
    assert str(caught.value) == (
        f"The GitLab Linux package is not installed: there is no {tmp_path}/opt/gitlab/version-manifest.json; "
        "install gitlab-ee or gitlab-ce."
    )


RUN = "run: gitlab-kas: (pid 812) 45s; run: log: (pid 790) 81s"
DOWN = "down: gitlab-kas: 1s, normally up; run: log: (pid 790) 81s"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Finished(0, RUN + "\n", ""), Service(True, True, RUN)),
        (Finished(3, DOWN + "\n", ""), Service(True, False, DOWN)),
        (Finished(0, "", ""), Service(True, False, "")),
        (
            Finished(1, "fail: gitlab-kas: runsv not running\n", ""),
            Service(True, False, "fail: gitlab-kas: runsv not running"),
        ),
        (Finished(1, "", "Need root\n"), Service(True, False, "Need root")),
    ],
)
def test_service(root: Path, answer: Finished, expected: Service) -> None:
    enable(root)
    runner = FakeRunner(answer)
    assert Package(runner, root=root).service("gitlab-kas") == expected
    assert runner.asked == [([f"{root}/opt/gitlab/bin/gitlab-ctl", "status", "gitlab-kas"], 60)]


@pytest.mark.parametrize(
    ("service", "pid"),
    [(Service(True, True, RUN), 812), (Service(True, False, DOWN), None), (Service(False, False, ""), None)],
)
def test_pid(service: Service, pid: int | None) -> None:
    assert service.pid == pid


def test_service_that_is_not_enabled(root: Path) -> None:
    runner = FakeRunner(Finished(0, RUN, ""))
    assert Package(runner, root=root).service("gitlab-kas") == Service(False, False, "")
    assert runner.asked == []


def test_start(root: Path) -> None:
    runner = FakeRunner(Finished(0, "ok: run: gitlab-kas: (pid 900) 0s\n", ""))
    Package(runner, root=root).start("gitlab-kas")
    assert runner.asked == [([f"{root}/opt/gitlab/bin/gitlab-ctl", "start", "gitlab-kas"], 60)]


def test_start_waits_for_runsv(root: Path) -> None:
    runner = FakeRunner(Finished(1, "fail: gitlab-kas: runsv not running\n", ""))

    def pause(seconds: float) -> None:
        assert seconds == 1
        if len(runner.asked) == 2:
            runner.answer = Finished(0, "ok: run: gitlab-kas: (pid 900) 0s\n", "")

    Package(runner, root=root, pause=pause).start("gitlab-kas")
    assert len(runner.asked) == 3


def test_start_does_not_wait_for_runsv_for_ever(root: Path) -> None:
    runner = FakeRunner(Finished(1, "fail: gitlab-kas: runsv not running\n", ""))
    with pytest.raises(GitlabCtlError) as caught:
        Package(runner, root=root, pause=lambda _seconds: None).start("gitlab-kas")
    assert str(caught.value) == (
        "gitlab-ctl start gitlab-kas failed (fail: gitlab-kas: runsv not running); run systemctl start gitlab-runsvdir."
    )
    assert caught.value.lines == ["fail: gitlab-kas: runsv not running"]


def test_start_fails(root: Path) -> None:
    runner = FakeRunner(Finished(1, "timeout: down: gitlab-kas: 1s, normally up, want up\n", ""))
    with pytest.raises(GitlabCtlError) as caught:
        Package(runner, root=root).start("gitlab-kas")
    assert str(caught.value) == (
        "gitlab-ctl start gitlab-kas failed (timeout: down: gitlab-kas: 1s, normally up, want up); read"
        f" {root}/var/log/gitlab/gitlab-kas/current."
    )
    assert caught.value.lines == ["timeout: down: gitlab-kas: 1s, normally up, want up"]


class Restarting:
    """A gitlab-ctl whose sv gives up before KAS has let its clients go; each status is one answer of sv."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.paused: list[float] = []

    def __call__(self, argv: Sequence[str], timeout_s: float) -> Finished:
        if argv[1] == "restart":
            return Finished(1, "timeout: run: gitlab-kas: (pid 812) 45s, got TERM\n", "")
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Finished(0, f"{status}\n", "")


STOPS = "run: gitlab-kas: (pid 812) 52s, got TERM; run: log: (pid 790) 88s"
RUNS_ANEW = "run: gitlab-kas: (pid 900) 1s; run: log: (pid 790) 90s"


@pytest.mark.parametrize(
    ("statuses", "pauses"), [([RUN, RUNS_ANEW], 0), ([RUN, STOPS, STOPS, DOWN, RUNS_ANEW], 3), ([DOWN, RUNS_ANEW], 0)]
)
def test_restart_waits_for_another_process(root: Path, statuses: list[str], pauses: int) -> None:
    enable(root)
    runner = Restarting(*statuses)
    Package(runner, root=root, pause=runner.paused.append).restart("gitlab-kas")
    assert runner.paused == [1] * pauses


@pytest.mark.parametrize(
    ("running", "text", "seconds"),
    [
        (True, "run: gitlab-kas: (pid 812) 45s; run: log: (pid 790) 81s", 45),
        (True, "run: gitlab-kas: (pid 812) 123456s, got TERM; run: log: (pid 790) 81s", 123456),
        (False, "down: gitlab-kas: 7s, normally up; run: log: (pid 790) 81s", 0),
        (True, "run: gitlab-kas", 0),
    ],
)
def test_for_how_long_a_service_has_run(running: bool, text: str, seconds: int) -> None:
    assert Service(enabled=True, running=running, text=text).seconds == seconds


def test_restart_fails(root: Path) -> None:
    enable(root)
    runner = Restarting(RUN, STOPS)
    with pytest.raises(GitlabCtlError) as caught:
        Package(runner, root=root, pause=runner.paused.append).restart("gitlab-kas")
    assert str(caught.value) == (
        f"gitlab-kas has not restarted within 300 s ({STOPS}); it waits for its clients to end: see who is still"
        " connected, wait, and run this again."
    )
    assert caught.value.lines == ["timeout: run: gitlab-kas: (pid 812) 45s, got TERM"]
    assert len(runner.paused) == 300


def test_restart_of_a_kas_that_does_not_come_up_again(root: Path) -> None:
    enable(root)
    runner = Restarting(RUN, DOWN)
    with pytest.raises(GitlabCtlError) as caught:
        Package(runner, root=root, pause=runner.paused.append).restart("gitlab-kas")
    assert str(caught.value) == (
        f"gitlab-kas has not restarted within 300 s ({DOWN}); it has ended and does not come up again: read"
        f" {root}/var/log/gitlab/gitlab-kas/current."
    )


# Reconfigure


def failed(exit_code: int, line: str) -> str:
    return (
        f"gitlab-ctl reconfigure failed with exit code {exit_code} ({line}); "
        "fix the cause and run again; the reconfigure stays pending."
    )


SECRET_LINE = "gitlab_kas['api_secret_key'] should be exactly 32 bytes"
SYNTAX_LINE = "/etc/gitlab/gitlab.rb:12: syntax error, unexpected local variable or method, expecting end-of-input"
CONSTANT_LINE = "/etc/gitlab/gitlab.rb, line 3: uninitialized constant #<Class:Gitlab>::False"
INCLUDED_LINE = "/etc/gitlab/kas.rb, line 1: uninitialized constant #<Class:Gitlab>::False"
SV = "/opt/gitlab/embedded/bin/sv restart /opt/gitlab/service/gitlab-kas"
COMMAND_LINE = (
    "runit_service[gitlab-kas] (gitlab-kas::enable line 148) had an error: "
    "Mixlib::ShellOut::ShellCommandFailed: Expected process to exit with [0], but received '1'"
)
REMOVED_LINE = "Removed configurations found in gitlab.rb. Aborting reconfigure."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            finished("success_18", 0),
            Outcome(
                None,
                [],
                12,
                [
                    "git_data_dirs has been deprecated since 17.8 and will be removed in 18.0. See https://docs.gitlab.com"
                    "/omnibus/settings/configuration/#migrating-from-git_data_dirs for migration instructions.",
                    "Your OS, debian-11, will be deprecated soon.",
                    "Starting with GitLab 18.6, packages will not be built for it.",
                    "Switch or upgrade to a supported OS.",
                    "gitlab_rails['object_store_token'] has been deprecated since 18.1 and will be removed in 19.0.",
                ],
            ),
            id="success, 18",
        ),
        pytest.param(finished("success_13", 0), Outcome(None, [], 11, []), id="success, older wording"),
        pytest.param(
            finished("failure_secret", 1),
            Outcome(
                failed(1, SECRET_LINE),
                [SECRET_LINE],
                0,
                ["git_data_dirs has been deprecated since 17.8 and will be removed in 18.0."],
            ),
            id="failure, coloured",
        ),
        pytest.param(
            finished("failure_ruby", 1),
            Outcome(
                failed(1, SYNTAX_LINE),
                [
                    SYNTAX_LINE,
                    "gitlab_rails['db_password'] = ********",
                    "                                              ^~~~~~~",
                    "/etc/gitlab/gitlab.rb:13: syntax error, unexpected =>",
                    "    redis_password: ********",
                    "gitlab_rails['redis_url'] => redis://********@10.0.0.9:6379",
                ],
                0,
                [],
            ),
            id="failure, Ruby quotes secrets",
        ),
        pytest.param(
            finished("failure_constant", 1),
            Outcome(failed(1, CONSTANT_LINE), [CONSTANT_LINE], 0, []),
            id="failure, the place stands on stdout",
        ),
        pytest.param(
            Finished(1, *(text.replace("gitlab.rb:3", "kas.rb:1") for text in finished("failure_constant", 1)[1:])),
            Outcome(failed(1, INCLUDED_LINE), [INCLUDED_LINE], 0, []),
            id="failure in a file that gitlab.rb includes",
        ),
        pytest.param(
            finished("failure_command", 1),
            Outcome(
                failed(1, COMMAND_LINE),
                [
                    COMMAND_LINE,
                    f"---- Begin output of {SV} ----",
                    "STDOUT: fail: /opt/gitlab/service/gitlab-kas: runsv not running",
                    "line 1 of the output",
                    "line 2 of the output",
                    "…",
                    *(f"line {number} of the output" for number in range(10, 15)),
                    "STDERR:",
                    f"---- End output of {SV} ----",
                    f"Ran {SV} returned 1",
                ],
                408,
                [],
            ),
            id="failure, a long message",
        ),
        pytest.param(
            finished("failure_removal", 1),
            Outcome(
                failed(1, REMOVED_LINE),
                [
                    REMOVED_LINE,
                    "gitlab_kas['client_timeout_seconds'] has been deprecated since 18.0 and was removed in 19.0.",
                ],
                0,
                [],
            ),
            id="failure, removed settings",
        ),
        pytest.param(
            Finished(0, "Infra Phase complete, 3/850 resources updated in 35 seconds\n", ""),
            Outcome(
                failed(0, "Infra Phase complete, 3/850 resources updated in 35 seconds"),
                ["Infra Phase complete, 3/850 resources updated in 35 seconds"],
                3,
                [],
            ),
            id="exit 0 alone is no success",
        ),
        pytest.param(
            Finished(1, fixture("success_13.stdout"), "Killed\n"),
            Outcome(failed(1, "Killed"), ["Killed"], 11, []),
            id="nor is the last line alone",
        ),
        pytest.param(Finished(-9, "", ""), Outcome(failed(-9, "it said nothing"), [], None, []), id="killed"),
    ],
)
def test_reconfigure(root: Path, answer: Finished, expected: Outcome) -> None:
    runner = FakeRunner(answer)
    assert Package(runner, root=root).reconfigure(77) == expected
    assert runner.asked == [([f"{root}/opt/gitlab/bin/gitlab-ctl", "reconfigure"], 77)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["gitlab_kas['api_secret_key'] = 'abc'"], ["gitlab_kas['api_secret_key'] = ********"]),
        (['"redis_password"=>"abc", "a"=>1'], ['"redis_password"=>********']),
        (["password: abc def"], ["password: ********"]),
        (["initial_root_password 'abc'"], ["initial_root_password ********"]),
        (
            ["  3 | gitlab_rails['db_password'] =", "  4 |   'abc'"],
            ["  3 | gitlab_rails['db_password'] =********", "********"],
        ),
        (["password_file: /etc/redis.pass"], ["password_file: /etc/redis.pass"]),
        (["postgres://gitlab:abc@db:5432"], ["postgres://********@db:5432"]),
        (["got eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="], ["got ********"]),
        (["got 0123456789abcdef0123456789abcdef"], ["got ********"]),
        (
            ["/opt/gitlab/embedded/cookbooks/runit/helpers.rb:164"],
            ["/opt/gitlab/embedded/cookbooks/runit/helpers.rb:164"],
        ),
        (["NoMethodError: undefined method `foo' for nil"], ["NoMethodError: undefined method `foo' for nil"]),
    ],
)
def test_masked(lines: list[str], expected: list[str]) -> None:
    assert masked(lines) == expected


GITLAB_RB_WITH_SECRETS = """
gitlab_rails['smtp_password'] = 'correct horse'
from_file '/etc/gitlab/mine/more.rb'
raise 'the password is: orange-juice'
"""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("RuntimeError: the password is: orange-juice", "RuntimeError: ********"),
        ("ArgumentError: correct horse does not parse", "ArgumentError: ******** does not parse"),
        ("undefined method `x' for battery-staple:String", "undefined method `x' for ********:String"),
        ("TypeError: 0815-from-json is no Integer", "TypeError: ******** is no Integer"),
        ("second-line-of-json", "********"),
        ("TypeError: nil is no Integer", "TypeError: nil is no Integer"),
    ],
)
def test_what_fails_may_quote_any_secret_of_the_node(root: Path, said: str, shown: str) -> None:
    (root / "etc/gitlab/gitlab.rb").write_text(GITLAB_RB_WITH_SECRETS)
    (root / "etc/gitlab/mine").mkdir()
    (root / "etc/gitlab/mine/more.rb").write_text(
        "gitlab_rails['db_password'] = %q(x)\nx = { token: 'battery-staple' }\n"
    )
    stored = {"gitlab_rails": {"key": "0815-from-json", "keys": ["first-line\nsecond-line-of-json\n"]}}
    (root / "etc/gitlab/gitlab-secrets.json").write_text(json.dumps(stored))
    stderr = f"There was an error running gitlab-ctl reconfigure:\n\n{said}\n"
    outcome = Package(FakeRunner(Finished(1, "", stderr)), root=root).reconfigure(60)
    assert outcome == Outcome(failed(1, shown), [shown], None, [])


# What is pending


def pending(root: Path) -> str | None:
    applied = AppliedState(Package(root=root))
    inputs = [str(root / "etc/gitlab/gitlab.rb"), str(root / "etc/gitlab/certs")]
    return applied.pending(applied.snapshot(inputs), inputs)


Step = Callable[[Path], object]


def nothing(root: Path) -> None:
    pass


def reconfigure(root: Path, *, meanwhile: Step = nothing, succeeds: bool = True) -> None:
    """Do what the module does around a run of gitlab-ctl."""
    applied = AppliedState(Package(root=root))
    snapshot = applied.snapshot([str(root / "etc/gitlab/gitlab.rb"), str(root / "etc/gitlab/certs")])
    applied.begin(snapshot.digests)
    meanwhile(root)
    if succeeds:
        reconfigure_by_hand(root)
        applied.note(snapshot)


def reconfigure_and_fail(root: Path) -> None:
    reconfigure(root, succeeds=False)


def reconfigure_by_hand(root: Path) -> None:
    attributes = root / "var/opt/gitlab/public_attributes.json"
    attributes.parent.mkdir(parents=True, exist_ok=True)
    attributes.write_text("{}")
    os.utime(attributes, ns=(time.time_ns(), time.time_ns()))


def reconfigure_with_a_log(root: Path, *, begins_s: int = 1) -> None:
    """A run by hand that leaves its log as the package does, begun so many seconds after what was done until now."""
    began = int(time.time()) + begins_s
    reconfigure_by_hand(root)
    os.utime(root / "var/opt/gitlab/public_attributes.json", (began + 1, began + 1))
    write_log(root, began)
    record = root / "var/lib/kasops.gitlab_kas/reconfigured.json"
    if record.exists():
        os.utime(record, (began - 1, began - 1))


def write_log(root: Path, began: int) -> None:
    log = root / f"var/log/gitlab/reconfigure/{began}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    os.utime(log, (began + 2, began + 2))


def fail_with_a_log(root: Path) -> None:
    write_log(root, int(time.time()) + 5)


def wait_with_a_log(root: Path) -> None:
    """A run that waits for the end of the one before: it began earlier than that one ended."""
    ended = int((root / "var/opt/gitlab/public_attributes.json").stat().st_mtime)
    write_log(root, ended - 2)


before_an_edit = partial(reconfigure_with_a_log, begins_s=-1)


def edit(root: Path, text: str = "# edited\n") -> None:
    time.sleep(0.02)  # the kernel's clock for files ticks every 4 ms or so
    (root / "etc/gitlab/gitlab.rb").write_text(text)


def put_back(root: Path) -> None:
    edit(root, GITLAB_RB)


def remove(root: Path) -> None:
    (root / "etc/gitlab/gitlab.rb").unlink()


def upgrade(root: Path) -> None:
    (root / "opt/gitlab/version-manifest.json").write_text('{"build_version": "18.7.0"}')


def add_certificate(root: Path) -> None:
    (root / "etc/gitlab/certs/ca.crt").write_text("CA")


def remove_certificate(root: Path) -> None:
    (root / "etc/gitlab/certs/ca.crt").unlink()


def rehash(root: Path) -> None:
    (root / "etc/gitlab/certs/9d66eef0.0").symlink_to("ca.crt")


def add_directory(root: Path) -> None:
    (root / "etc/gitlab/certs/directory").mkdir()


def damage_record(root: Path) -> None:
    (root / "var/lib/kasops.gitlab_kas/reconfigured.json").write_text("{")


SINCE = "since the last successful reconfigure"


def damage_digests(root: Path) -> None:
    record = root / "var/lib/kasops.gitlab_kas/reconfigured.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "digests": None}))


def damage_times(root: Path) -> None:
    record = root / "var/lib/kasops.gitlab_kas/reconfigured.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "touched": {}}))


NO_RECORD = "No successful reconfigure is on record."
UNFINISHED = "The last reconfigure failed, was interrupted or still runs."


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], NO_RECORD),
        ([reconfigure], None),
        ([reconfigure, edit], "{etc}/gitlab.rb has changed " + SINCE + "."),
        ([reconfigure, remove], "{etc}/gitlab.rb has vanished " + SINCE + "."),
        ([reconfigure, add_certificate], "{etc}/certs/ca.crt has appeared " + SINCE + "."),
        ([add_certificate, reconfigure, remove_certificate], "{etc}/certs/ca.crt has vanished " + SINCE + "."),
        ([add_certificate, partial(reconfigure, meanwhile=rehash)], None),
        ([reconfigure, add_directory], None),
        (
            [reconfigure, upgrade],
            "The package was 18.6.1 at the last successful reconfigure and is 18.7.0 now.",
        ),
        ([partial(reconfigure, meanwhile=edit)], "{etc}/gitlab.rb has changed " + SINCE + "."),
        ([reconfigure_and_fail], UNFINISHED),
        ([reconfigure, edit, reconfigure_and_fail, put_back], UNFINISHED),
        ([reconfigure, edit, reconfigure_and_fail, reconfigure], None),
        ([reconfigure, reconfigure_by_hand], None),
        ([reconfigure, edit, put_back], None),
        (
            [reconfigure, edit, reconfigure_by_hand, put_back],
            "{etc}/gitlab.rb was edited and GitLab was reconfigured by hand " + SINCE + " on record.",
        ),
        ([reconfigure, edit, reconfigure_by_hand, put_back, reconfigure], None),
        pytest.param([reconfigure, edit, reconfigure_with_a_log], None, id="edited and applied by hand"),
        pytest.param(
            [reconfigure, edit, reconfigure_by_hand],
            "{etc}/gitlab.rb has changed " + SINCE + " on record.",
            id="applied by hand, nobody knows whether before the edit",
        ),
        pytest.param(
            [reconfigure, before_an_edit, edit],
            "{etc}/gitlab.rb has changed " + SINCE + " on record.",
            id="edited while a run by hand was under way, or after it",
        ),
        pytest.param(
            [reconfigure, edit, fail_with_a_log],
            "{etc}/gitlab.rb has changed " + SINCE + ".",
            id="a run by hand that fails",
        ),
        pytest.param(
            [reconfigure, before_an_edit, edit, fail_with_a_log],
            "{etc}/gitlab.rb has changed " + SINCE + " on record.",
            id="one that fails after one that did not",
        ),
        pytest.param(
            [reconfigure, edit, reconfigure_with_a_log, wait_with_a_log],
            "{etc}/gitlab.rb has changed " + SINCE + " on record.",
            id="one of two runs at once, nobody knows which",
        ),
        pytest.param([reconfigure, edit, put_back, reconfigure_with_a_log], None, id="put back and applied by hand"),
        pytest.param([reconfigure, add_certificate, reconfigure_with_a_log], None, id="a new file applied by hand"),
        pytest.param(
            [add_certificate, reconfigure, remove_certificate, reconfigure_with_a_log],
            "{etc}/certs/ca.crt has vanished " + SINCE + " on record.",
            id="nobody knows when a file vanished",
        ),
        pytest.param([reconfigure, upgrade, reconfigure_with_a_log], None, id="as an upgrade of the package does"),
        pytest.param(
            [reconfigure, before_an_edit, upgrade],
            "The package was 18.6.1 at the last successful reconfigure on record and is 18.7.0 now.",
            id="an upgrade after a run by hand",
        ),
        pytest.param([reconfigure_and_fail, reconfigure_with_a_log], None, id="a failure set right by hand"),
        pytest.param(
            [reconfigure_and_fail, reconfigure_by_hand],
            "The last reconfigure on record failed or was interrupted.",
            id="a failure set right by hand, nobody knows when",
        ),
        pytest.param([reconfigure_by_hand], NO_RECORD, id="by hand alone, nobody knows when"),
        pytest.param([reconfigure_with_a_log], None, id="by hand alone"),
        pytest.param([before_an_edit, edit], NO_RECORD, id="by hand alone, and edited meanwhile"),
        ([reconfigure, damage_record], NO_RECORD),
        ([reconfigure, damage_digests], NO_RECORD),
        ([reconfigure, damage_times], NO_RECORD),
    ],
)
def test_pending(root: Path, steps: list[Step], expected: str | None) -> None:
    for step in steps:
        step(root)
    assert pending(root) == (expected and expected.format(etc=root / "etc/gitlab"))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], False),  # nothing is on record
        ([reconfigure], True),
        ([reconfigure, edit], False),
        ([reconfigure, edit, reconfigure_and_fail], False),
        ([reconfigure, edit, reconfigure_and_fail, put_back], False),  # who knows what that run has made
        ([reconfigure, edit, reconfigure_and_fail, reconfigure], True),
        ([reconfigure, edit, reconfigure_with_a_log], True),
        ([reconfigure, edit, reconfigure_by_hand], False),
        ([reconfigure, add_certificate], True),  # that is another file
        ([reconfigure, upgrade], True),
    ],
)
def test_is_in_effect(root: Path, steps: list[Step], expected: bool) -> None:
    for step in steps:
        step(root)
    assert AppliedState(Package(root=root)).is_in_effect(str(root / "etc/gitlab/gitlab.rb")) is expected


def test_a_file_that_is_no_longer_asked_for_has_not_vanished(root: Path) -> None:
    (root / "etc/gitlab/certs/ca.crt").write_text("CA")
    reconfigure(root)
    applied = AppliedState(Package(root=root))
    inputs = [str(root / "etc/gitlab/gitlab.rb")]
    assert applied.pending(applied.snapshot(inputs), inputs) is None


def test_a_run_by_hand_where_nothing_is_asked_for(root: Path) -> None:
    reconfigure(root)
    reconfigure_with_a_log(root)
    applied = AppliedState(Package(root=root))
    assert applied.pending(applied.snapshot([]), []) is None


@pytest.mark.parametrize(
    ("age_s", "status", "is_read"),
    [
        (7200, "run: gitlab-kas: (pid 812) 3600s; run: log: (pid 790) 81s", True),
        (3600, "run: gitlab-kas: (pid 812) 3600s; run: log: (pid 790) 81s", False),
        (7200, "down: gitlab-kas: 3600s, normally up; run: log: (pid 790) 81s", False),
        (7200, "run: gitlab-kas: (pid 812) 0s; run: log: (pid 790) 81s", False),
    ],
)
def test_what_a_kas_has_read_that_nobody_here_has_started(root: Path, age_s: int, status: str, is_read: bool) -> None:
    enable(root)
    add_certificate(root)
    inputs = [str(root / "etc/gitlab/certs/ca.crt")]
    applied = AppliedState(Package(FakeRunner(Finished(0, status, "")), root=root))
    now = applied.snapshot(inputs)
    now = now._replace(touched=dict.fromkeys(now.touched, time.time_ns() - age_s * 10**9))
    pending = None if is_read else f"{inputs[0]} has appeared since the last start of KAS on record."
    assert applied.restart_pending(now, inputs) == pending
    reconfigure(root)
    edit(root)
    changed = now._replace(digests=dict.fromkeys(now.digests, "another"))
    assert applied.restart_pending(changed, inputs) == f"{inputs[0]} has changed since the last start of KAS on record."


def test_other_inputs_stay_on_record(root: Path) -> None:
    """What a call does not ask for, another one does: a reconfigure of gitlab.rb alone is no news of certificates."""
    certificates = [root / f"etc/gitlab/certs/{name}.crt" for name in ("same", "changed", "gone")]
    for certificate in certificates:
        certificate.write_text("certificate")
    reconfigure(root)
    time.sleep(0.02)
    certificates[1].write_text("renewed")
    certificates[2].unlink()
    applied = AppliedState(Package(root=root))
    inputs = [str(root / "etc/gitlab/gitlab.rb")]
    snapshot = applied.snapshot(inputs)
    applied.begin(inputs)
    assert applied.pending(snapshot, inputs) == UNFINISHED
    applied.note(snapshot)
    assert applied.pending(snapshot, inputs) is None
    reasons = [applied.pending(applied.snapshot([str(path)]), [str(path)]) for path in certificates]
    assert reasons == [
        None,
        f"{certificates[1]} has appeared {SINCE}.",
        f"{certificates[2]} has vanished {SINCE}.",
    ]


def test_the_record_is_private_and_holds_no_contents(root: Path) -> None:
    edit(root, "gitlab_kas['api_secret_key'] = 'hunter2'\n")
    reconfigure(root)
    record = root / "var/lib/kasops.gitlab_kas/reconfigured.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert record.parent.stat().st_mode & 0o777 == 0o700
    assert "hunter2" not in record.read_text()
    assert list(record.parent.iterdir()) == [record]


def test_errors_of_the_applied_state(root: Path) -> None:
    package = Package(root=root)
    (root / "var").write_text("in the way")
    with pytest.raises(GitlabCtlError) as caught:
        AppliedState(package).pending(AppliedState(package).snapshot([]), [])
    assert str(caught.value) == (
        f"{root}/var/lib/kasops.gitlab_kas/reconfigured.json cannot be read (Not a directory); correct the path,"
        " of which a part is no directory."
    )
