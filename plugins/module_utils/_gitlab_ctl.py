# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab-ctl and the Linux package: version, services, reconfigure, and whether a reconfigure is pending.

The wordings read here are those of omnibus-gitlab: handlers/gitlab.rb (failures), helpers/logging_helper.rb
(deprecations and removals), Chef's summary line, and runit's sv.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, keep, remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import (
    MASK,
    is_secret,
    mask_line,
    secrets,
    secrets_in_text,
    without,
)

SERVICE = "gitlab-kas"
MANIFEST = "opt/gitlab/version-manifest.json"
ATTRIBUTES = "var/opt/gitlab/public_attributes.json"  # written by every successful reconfigure (handlers/gitlab.rb)
RECONFIGURE_LOGS = "var/log/gitlab/reconfigure"  # one for each run, named by the second of its begin (solo.rb)
APPLIED_STATE = "var/lib/kasops.gitlab_kas/reconfigured.json"

_STATUS_TIMEOUT_S = 60.0
_RUNSVDIR_WAIT_S = 15
_RESTART_WAIT_S = 300
_NO_RUNSV = "runsv not running"
_LINES_SHOWN = 15

_ESCAPE_CODE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Chef: "Infra Phase complete, 12/850 resources updated in …", older "Chef Client finished, 12/850 …", and
# "Infra Phase failed. 12 resources updated in …".
_SUMMARY = re.compile(r"(\d+)(?:/\d+)? resources updated in ")
_RECONFIGURED = "gitlab Reconfigured!"
_FAILURE = "There was an error running gitlab-ctl reconfigure:"
# A line of Ruby's backtrace that is not of the package: "/etc/gitlab/gitlab.rb:3:in `from_file'".
_PLACE = re.compile(r"\s*(?P<file>/(?!opt/gitlab/)\S+\.rb):(?P<line>\d+):in ")
_PID = re.compile(r"\(pid (\d+)\)")
_SECONDS = re.compile(r"run: \S+ \(pid \d+\) (\d+)s")
_LOG_LINE = re.compile(r"\[\d{4}-\d\d-\d\dT")
_REPORT_END = re.compile(r"(?:Removal|Deprecation|Warning|Note)s:$|Running handlers|\[\d{4}-\d\d-\d\dT")
# name = value, name: value, 'name' => "value", ["name"] = …, name 'value'
_NAMED_VALUE = re.compile(r"""(?P<name>[A-Za-z_]\w*)['"\])]*(?:\s*(?:=>|=|:)\s*|\s+(?=['"]))""")


# The roles that say which services a node runs; without one it runs those of the whole GitLab. The package's others
# (geo_primary, geo_secondary, backup) come beside them (package/libraries/config/gitlab.rb).
SERVICE_ROLES = (
    *("application", "sidekiq", "postgres", "patroni", "redis_sentinel", "redis_master", "redis_replica", "monitoring"),
    *("pgbouncer", "consul", "pages", "spamcheck", "gitaly"),
)


class GitlabCtlError(Exception):
    """The package or gitlab-ctl does not do what was asked; lines is what it said, secrets masked."""

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.lines = list(lines)


class Finished(NamedTuple):
    """A program that has ended."""

    exit_code: int
    stdout: str
    stderr: str


# Runs argv and waits at most so many seconds for its end; raises GitlabCtlError if it cannot or does not end.
Runner = Callable[[Sequence[str], float], Finished]


class Service(NamedTuple):
    """A runit service."""

    enabled: bool
    running: bool
    text: str  # what sv said, empty for a service that is not enabled

    @property
    def pid(self) -> int | None:
        """The process; another one after a restart. None if the service is down."""
        match = _PID.search(self.text) if self.running else None
        return int(match[1]) if match else None

    @property
    def seconds(self) -> int:
        """For how long it has run; 0 if it is down."""
        match = _SECONDS.match(self.text) if self.running else None
        return int(match[1]) if match else 0


class Outcome(NamedTuple):
    """A reconfigure that has ended, well or not."""

    error: str | None  # one sentence
    lines: list[str]  # why it failed, in the package's words; secrets masked
    resources_updated: int | None
    deprecations: list[str]


class Snapshot(NamedTuple):
    """What a reconfigure applies."""

    version: str  # of the package; '' on record of a run that has not ended well
    digests: dict[str, str]  # SHA-256 of each input file, by path
    touched: dict[str, int]  # when each was last changed in any way, even back to what it was (ctime, ns)
    last_run: int | None  # differs from one successful reconfigure to the next


_NOTHING = Snapshot("", {}, {}, None)


def run(
    argv: Sequence[str], timeout_s: float, *, popen: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen
) -> Finished:
    """Run argv as gitlab-ctl wants to be run, and never end it.

    Chef that is stopped half-way leaves a node half configured. So the program gets a session of its own and
    writes to files: it goes on to its end when the time is up, when the connection is lost, and when
    Ansible is interrupted. EXTERNAL_URL would rewrite external_url, and Chef warns about a locale that is not
    UTF-8.
    """
    environment = {name: value for name, value in os.environ.items() if name != "EXTERNAL_URL"}
    environment["LC_ALL"] = "C.UTF-8"
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        try:
            process = popen(  # pylint: disable=ansible-bad-function
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd="/",
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            how = "install the GitLab Linux package once more" if error.errno == errno.ENOENT else remedy(error)
            raise GitlabCtlError(f"{argv[0]} cannot be run ({error.strerror}); {how}.") from error
        try:
            exit_code = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise GitlabCtlError(
                f"{' '.join(argv)} has not ended within {timeout_s:g} s and still runs as process {process.pid}, "
                "because stopping it could leave the node half configured; wait for its end, then run this again."
            ) from error
        return Finished(exit_code, _text(stdout), _text(stderr))


class Package:
    """GitLab's Linux package on this node; root is where its file system begins."""

    def __init__(
        self, runner: Runner = run, *, root: Path = Path("/"), pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.root = root
        self._runner = runner
        self._pause = pause

    @property
    def installed(self) -> bool:
        """Whether the package is here: each of its versions brings a manifest."""
        return (self.root / MANIFEST).exists()

    @property
    def configured(self) -> bool:
        """Whether a reconfigure has succeeded here, ever."""
        return (self.root / ATTRIBUTES).exists()

    @property
    def version(self) -> str:
        """The version as numbers, such as 18.6.1; raise GitlabCtlError if the package is not installed."""
        manifest = self.root / MANIFEST
        if not self.installed:
            raise GitlabCtlError(
                f"The GitLab Linux package is not installed: there is no {manifest}; install gitlab-ee or gitlab-ce."
            )
        try:
            # With a suffix such as "+stable" or "-ee.0".
            match = re.match(r"\d+(?:\.\d+)+", json.loads(manifest.read_bytes())["build_version"])
        except OSError as error:
            raise GitlabCtlError(f"{manifest} cannot be read ({error.strerror}); {remedy(error)}.") from error
        except (ValueError, KeyError, TypeError):
            match = None
        if match is None:
            raise GitlabCtlError(f"{manifest} names no build_version; repair the GitLab Linux package.")
        return match[0]

    def supervises(self, name: str) -> bool:
        """Whether runit supervises the service."""
        return (self.root / "opt/gitlab/service" / name).is_symlink()

    def service(self, name: str) -> Service:
        """Look whether runit supervises the service and runs it.

        For a service that is not enabled, gitlab-ctl says nothing and exits with 0: only "run:" is running.
        """
        if not self.supervises(name):
            return Service(enabled=False, running=False, text="")
        finished = self._gitlab_ctl("status", name, timeout_s=_STATUS_TIMEOUT_S)
        text = (_lines(finished.stdout) or _lines(finished.stderr) or [""])[0]
        return Service(enabled=True, running=text.startswith("run:"), text=text)

    def start(self, name: str) -> None:
        """Start an enabled service; raise GitlabCtlError if it does not stay up.

        A service that has just been enabled has no runsv yet: runsvdir looks for new ones every 5 seconds.
        """
        for _second in range(_RUNSVDIR_WAIT_S):
            finished = self._gitlab_ctl("start", name, timeout_s=_STATUS_TIMEOUT_S)
            if _NO_RUNSV not in finished.stdout + finished.stderr:
                break
            self._pause(1)
        if finished.exit_code != 0:
            lines = self._masked(_lines(finished.stdout) + _lines(finished.stderr))[-_LINES_SHOWN:]
            said = lines[-1] if lines else "it said nothing"
            how = "run systemctl start gitlab-runsvdir" if _NO_RUNSV in said else f"read {self._log(name)}"
            raise GitlabCtlError(f"gitlab-ctl start {name} failed ({said}); {how}.", lines)

    def restart(self, name: str) -> None:
        """Restart a running service; raise GitlabCtlError unless another process takes over.

        gitlab-ctl waits 30 seconds for the old one to end (SVWAIT). KAS first lets its clients finish: that takes 10
        seconds, and longer where its listeners were given longer grace periods.
        """
        before = self.service(name)
        finished = self._gitlab_ctl("restart", name, timeout_s=_STATUS_TIMEOUT_S)
        now = before
        for _second in range(_RESTART_WAIT_S):
            now = self.service(name)
            if now.pid not in (None, before.pid):
                return
            self._pause(1)
        how = f"it has ended and does not come up again: read {self._log(name)}"
        if now.pid is not None:
            how = "it waits for its clients to end: see who is still connected, wait, and run this again"
        raise GitlabCtlError(
            f"{name} has not restarted within {_RESTART_WAIT_S} s ({now.text}); {how}.",
            self._masked(_lines(finished.stdout) + _lines(finished.stderr))[-_LINES_SHOWN:],
        )

    def reconfigure(self, timeout_s: float) -> Outcome:
        """Run gitlab-ctl reconfigure; raise GitlabCtlError if it has not ended after timeout_s seconds."""
        finished = self._gitlab_ctl("reconfigure", timeout_s=timeout_s)
        stdout = _lines(finished.stdout)
        error = None
        lines: list[str] = []
        if finished.exit_code != 0 or _RECONFIGURED not in stdout:
            lines = self._masked(_failure(stdout, _lines(finished.stderr)))
            error = (
                f"gitlab-ctl reconfigure failed with exit code {finished.exit_code} "
                f"({lines[0] if lines else 'it said nothing'}); "
                "fix the cause and run again; the reconfigure stays pending."
            )
        updated = [match[1] for match in map(_SUMMARY.search, stdout) if match]
        return Outcome(
            error, lines, int(updated[-1]) if updated else None, self._masked(_report(stdout, "Deprecations:"))
        )

    def _log(self, name: str) -> Path:
        return self.root / "var/log/gitlab" / name / "current"

    def _masked(self, lines: Sequence[str]) -> list[str]:
        """Take the secrets out of what the package says: by the words beside them, and those that this node has."""
        known = list(_node_secrets(self.root)) if lines else []
        return [without(line, known) for line in masked(lines)]

    def _gitlab_ctl(self, *arguments: str, timeout_s: float) -> Finished:
        return self._runner([str(self.root / "opt/gitlab/bin/gitlab-ctl"), *arguments], timeout_s)


class AppliedState:
    """Knows what the last successful reconfigure applied, so that none is forgotten and none is run in vain.

    A run begins by forgetting what it is about to apply, and what was there before it is noted after its success. So
    an edit during the run, a failure and a killed run all leave a reconfigure pending, even when gitlab.rb is put back
    as it was; a run killed before it was noted is merely run again. The same holds for a restart of KAS and the
    files that KAS reads only when it starts. A run by hand counts where the package's own traces say when it began.
    """

    def __init__(self, package: Package) -> None:
        self._package = package
        self.path = package.root / APPLIED_STATE

    def snapshot(self, inputs: Iterable[str]) -> Snapshot:
        """Read the inputs, files and directories, as they are now; one that does not exist has no digest."""
        digests, touched = {}, {}
        try:
            for file in sorted(set(_files(map(Path, inputs)))):
                digests[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
                touched[str(file)] = file.stat().st_ctime_ns
        except OSError as error:
            raise GitlabCtlError(f"{error.filename} cannot be read ({error.strerror}); {remedy(error)}.") from error
        return Snapshot(self._package.version, digests, touched, self._last_run())

    def pending(self, now: Snapshot, inputs: Iterable[str]) -> str | None:
        """Say in one sentence why a reconfigure is pending, or None."""
        noted, inputs = self._read(), list(inputs)
        if self._is_applied_by_hand(noted or _NOTHING, now, inputs):
            return None
        if noted is None:
            return "No successful reconfigure is on record."
        ran_since = noted.last_run != now.last_run
        on_record = " on record" if ran_since else ""
        if not noted.version:
            if ran_since:
                return "The last reconfigure on record failed or was interrupted."
            return "The last reconfigure failed, was interrupted or still runs."
        since = f"the last successful reconfigure{on_record}"
        if noted.version != now.version:
            return f"The package was {noted.version} at {since} and is {now.version} now."
        difference = _difference(noted, now, inputs)
        if difference:
            return f"{difference} since {since}."
        if ran_since:
            for path in _asked(now, inputs):
                if noted.touched[path] != now.touched[path]:
                    return f"{path} was edited and GitLab was reconfigured by hand since {since}."
        return None

    def is_in_effect(self, path: str) -> bool:
        """Whether a file is as the last successful reconfigure found it, as far as that is known."""
        now = self.snapshot([path])
        noted = self._read() or _NOTHING
        by_hand = self._is_applied_by_hand(noted._replace(digests={}), now, [path])
        return by_hand or noted.digests.get(path) == now.digests.get(path)

    def restart_pending(self, now: Snapshot, inputs: Iterable[str]) -> str | None:
        """Say in one sentence why KAS must start anew to read one of its files, or None.

        With nothing on record, a KAS that was started after their last change has read them.
        """
        noted = self._read()
        found = _asked(now, inputs)
        if noted is None and found and max(now.touched[path] for path in found) < self._last_start():
            return None
        difference = _difference(noted or _NOTHING, now, inputs)
        return f"{difference} since the last start of KAS on record." if difference else None

    def begin(self, inputs: Iterable[str]) -> None:
        """Record that a run has begun: until one is noted, a reconfigure is pending."""
        self._write(self._forgetting(inputs)._replace(version="", last_run=self._last_run()))

    def begin_restart(self, inputs: Iterable[str]) -> None:
        """Record that a restart has begun: until it is noted, one is pending, whatever becomes of the files."""
        self._write(self._forgetting(inputs))

    def note(self, applied: Snapshot) -> None:
        """Record what a successful reconfigure or restart has applied: digests, never contents.

        What is on record of other inputs stays, unless they have changed: nobody looked at them, so they count as new.
        """
        noted = self._read() or _NOTHING
        kept = [path for path in noted.digests if _touched(path) in (None, noted.touched[path])]
        self._write(
            applied._replace(
                digests={**{path: noted.digests[path] for path in kept}, **applied.digests},
                touched={**{path: noted.touched[path] for path in kept}, **applied.touched},
                last_run=self._last_run(),
            )
        )

    def _forgetting(self, inputs: Iterable[str]) -> Snapshot:
        """The record without these inputs."""
        noted = self._read() or _NOTHING
        forgotten = _asked(noted, inputs)
        return noted._replace(digests={path: noted.digests[path] for path in noted.digests if path not in forgotten})

    def _is_applied_by_hand(self, noted: Snapshot, now: Snapshot, inputs: Iterable[str]) -> bool:
        """Whether somebody else's run has succeeded since and found everything as it is now.

        That is known only of a run that began after the record was written, if there is one, and after every last
        change.
        """
        began = self._last_run_began()
        if began is None or (self.path.exists() and not self.path.stat().st_mtime_ns < began):
            return False
        found = _asked(now, inputs)
        last_changes = [(self._package.root / MANIFEST).stat().st_ctime_ns, *(now.touched[path] for path in found)]
        return max(last_changes) < began and set(_asked(noted, inputs)) <= set(found)

    def _last_run_began(self) -> int | None:
        """When the last successful run began, at the earliest; None where that is not known. In ns since 1970.

        Chef writes to the log of a run until it has written the attributes. A run that waited meanwhile for the end of
        that one has such a log, too; so the earliest is taken.
        """
        ended, began = self._last_run(), []
        if ended is None:
            return None
        try:
            for log in (self._package.root / RECONFIGURE_LOGS).glob("*.log"):
                start = int(log.stem) * 10**9 if log.stem.isdecimal() else ended + 1
                if start <= ended <= log.stat().st_mtime_ns:
                    began.append(start)
        except OSError:
            return None
        return min(began, default=None)

    def _last_start(self) -> int:
        """When KAS was started, at the earliest, in ns since 1970; 0 if it does not run."""
        seconds = self._package.service(SERVICE).seconds
        return time.time_ns() - (seconds + 1) * 10**9 if seconds else 0

    def _last_run(self) -> int | None:
        """Tell one successful run from the next, also one by hand."""
        try:
            return (self._package.root / ATTRIBUTES).stat().st_mtime_ns
        except OSError:
            return None

    def _write(self, snapshot: Snapshot) -> None:
        try:
            keep(str(self.path), snapshot._asdict())
        except FileError as error:
            raise GitlabCtlError(str(error)) from error

    def _read(self) -> Snapshot | None:
        try:
            noted = Snapshot(**json.loads(self.path.read_bytes()))
            # A damaged record is no record: the reconfigure is run once more.
            return noted if set(noted.digests) <= set(noted.touched) else None
        except (FileNotFoundError, ValueError, TypeError):
            return None
        except OSError as error:
            raise GitlabCtlError(f"{self.path} cannot be read ({error.strerror}); {remedy(error)}.") from error


def _difference(noted: Snapshot, now: Snapshot, inputs: Iterable[str]) -> str | None:
    """Name the first of these inputs that is not as it was; a file that is no longer asked for has not vanished."""
    inputs = list(inputs)
    for path in _asked(now, inputs):
        if path not in noted.digests:
            return f"{path} has appeared"
        if noted.digests[path] != now.digests[path]:
            return f"{path} has changed"
    vanished = [path for path in _asked(noted, inputs) if path not in now.digests]
    return f"{vanished[0]} has vanished" if vanished else None


def _asked(snapshot: Snapshot, inputs: Iterable[str]) -> list[str]:
    """The files of a snapshot that are among these inputs, stand in one of them, or fit one that is a pattern.

    A pattern is one of Ruby's Dir.glob, of which the files are inputs themselves as long as they are there. What fits
    it here is a little more, which does no harm: only files on record are asked.
    """
    inputs = list(inputs)
    asked = {Path(path) for path in inputs}
    patterns = [re.sub(r"\{[^}]*\}", "*", path).replace("**/", "*") for path in inputs if re.search(r"[*?{[]", path)]
    return [
        path
        for path in snapshot.digests
        if not asked.isdisjoint({Path(path), Path(path).parent}) or any(fnmatchcase(path, each) for each in patterns)
    ]


def masked(lines: Iterable[str]) -> list[str]:
    """Take values out of lines that come from gitlab-ctl.

    Ruby's errors quote lines of gitlab.rb, so any setting can turn up: what follows a secret's name is
    replaced (on the next line, if the name ends its own), and so are passwords in URLs and long random words.
    """
    result = []
    value_follows = False
    for line in lines:
        hidden, value_follows = (MASK, False) if value_follows else _mask_named_value(line)
        result.append(mask_line(hidden))
    return result


def _node_secrets(root: Path) -> Iterator[str]:
    """What gitlab.rb and the Ruby files beside it, which it may include, and gitlab-secrets.json hide."""
    with contextlib.suppress(OSError):
        for path in (root / "etc/gitlab").rglob("*.rb"):
            yield from secrets_in_text(path.read_text(errors="replace"))
    with contextlib.suppress(OSError, ValueError):
        for secret in secrets(json.loads((root / "etc/gitlab/gitlab-secrets.json").read_bytes()), secret=True):
            yield from secret.splitlines()


def _mask_named_value(line: str) -> tuple[str, bool]:
    """Give the line without the value of a secret, and whether that value must stand on the next line."""
    for match in _NAMED_VALUE.finditer(line):
        if is_secret(match["name"]):
            return line[: match.end()] + MASK, match.end() == len(line)
    return line, False


def _failure(stdout: list[str], stderr: list[str]) -> list[str]:
    """Find the lines that say why: the exception's message, and removed settings; else the last lines."""
    message: list[str] = []
    if _FAILURE in stderr:
        for line in stderr[stderr.index(_FAILURE) + 1 :]:
            if _LOG_LINE.match(line):
                break
            message.append(line)
    if message:
        message[0] = _placed(message[0], stdout)
    found = message + _report(stdout, "Removals:")
    if len(found) > _LINES_SHOWN:  # a failed program's STDERR stands at the end
        found = [*found[: _LINES_SHOWN // 3], "…", *found[-_LINES_SHOWN // 2 :]]
    return found or (stderr or stdout)[-_LINES_SHOWN:]


def _placed(message: str, stdout: list[str]) -> str:
    """An exception's message with the file and line where it arose, which Chef prints on stdout alone."""
    place = next((match for match in map(_PLACE.match, stdout) if match), None)
    if place is None or message.startswith("/"):  # Ruby itself says where the text is no Ruby
        return message
    return f"{place['file']}, line {place['line']}: {message}"


def _report(stdout: list[str], title: str) -> list[str]:
    """Give the lines of one of the reports that the package prints at the end of a run."""
    lines: list[str] = []
    if title in stdout:
        for line in stdout[stdout.index(title) + 1 :]:
            if line == _RECONFIGURED or _SUMMARY.search(line) or _REPORT_END.match(line):
                break
            lines.append(line[2:] if line.startswith("* ") else line)
    return lines


def _touched(path: str) -> int | None:
    """When a file was last changed in any way (ctime, ns), None if it is not there."""
    try:
        return Path(path).stat().st_ctime_ns
    except OSError:
        return None


def _files(inputs: Iterable[Path]) -> Iterable[Path]:
    """Find the files behind the inputs; of a directory, those that stand in it.

    A link to a neighbour says nothing new: c_rehash makes such links in /etc/gitlab/trusted-certs while
    reconfigure runs.
    """
    for path in inputs:
        if not path.is_dir():
            yield from [path] if path.exists() else []
            continue
        for entry in path.iterdir():
            inside = entry.is_symlink() and entry.resolve().parent == path.resolve()
            if entry.is_file() and not inside:
                yield entry


def _lines(text: str) -> list[str]:
    """Split text into lines that are not blank, without the escape codes of terminals."""
    return [line.rstrip() for line in _ESCAPE_CODE.sub("", text).splitlines() if line.strip()]


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))
