"""Known problems in logs: each row of the table has a log, and healthy logs have none."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _diagnosis
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._diagnosis import (
    Diagnosis,
    Finding,
    Log,
    LogError,
    example,
    hours_ago,
    logs,
    opened,
    time_of,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._problems import (
    AGENTK,
    ERROR,
    HARMLESS,
    KAS,
    NGINX,
    PROBLEMS,
    RAILS,
    WARNING,
    Problem,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "logs"
HEALTHY = sorted(FIXTURES.glob("healthy/*.log"))


def found_in(*paths: Path, since: str = "") -> list[Finding]:
    diagnosis = Diagnosis(since=since)
    for path in paths:
        with opened(path) as log:
            diagnosis.read(log)
    return diagnosis.findings


def told(path: Path) -> list[tuple[str, int]]:
    return [(finding.problem.name, finding.count) for finding in found_in(path)]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_each_problem_is_found_in_its_log_and_no_other(problem: Problem) -> None:
    path = FIXTURES / "known" / f"{problem.name}.log"
    # Of a stack, the first line alone is the problem.
    lines = [line for line in path.read_text().splitlines() if not re.search(r"goroutine|SIGSEGV|\t/|\d $|\(0x", line)]
    findings = found_in(path)
    if problem.severity == HARMLESS:
        assert findings == []
        return
    (finding,) = findings
    assert (finding.problem, finding.count) == (problem, len(lines))
    assert problem.at_least == 1 or told_of(path.read_bytes(), problem.at_least - 1) == []
    times = sorted(map(time_of, path.read_bytes().splitlines()))
    assert (finding.first, finding.last) == (times[0], max(map(time_of, map(str.encode, lines))))


def told_of(text: bytes, lines: int) -> list[Finding]:
    """What the first so many lines of a text have."""
    diagnosis = Diagnosis()
    diagnosis.read(Log("x", text.splitlines(keepends=True)[:lines]))
    return diagnosis.findings


def test_there_is_no_log_without_its_problem() -> None:
    assert sorted(path.stem for path in FIXTURES.glob("known/*")) == sorted(problem.name for problem in PROBLEMS)


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.stem)
def test_healthy_logs_lead_to_no_finding(path: Path) -> None:
    assert told(path) == []


def test_the_table() -> None:
    """What every row says; at least forty that are problems."""
    names = [problem.name for problem in PROBLEMS]
    assert len(names) == len(set(names))
    assert sum(problem.severity != HARMLESS for problem in PROBLEMS) >= 40
    assert {problem.severity for problem in PROBLEMS} == {ERROR, WARNING, HARMLESS}
    assert {problem.log for problem in PROBLEMS} == {KAS, AGENTK, NGINX, RAILS}
    for problem in PROBLEMS:
        assert bool(problem.cause) == bool(problem.remedy) == (problem.severity != HARMLESS), problem
        assert not re.search(r"\.$", problem.what + problem.cause + problem.remedy), problem
        for part in (part for sign in problem.signs for part in sign):
            # JSON writes these in another way, and both ways are to be found.
            assert problem.log == NGINX or not re.search(r'["\\<>&]|[^ -~]', part), part


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The first row of the table counts, and each line once.
        ('{"msg":"Program aborted","error":"no IPs matched CIDR"}', "cidr-matches-nothing"),
        ('{"msg":"Program aborted","error":"no wind"}', "aborted"),
        ('{"level":"error","msg":"Failed to dial kas","error":"JWT validation failed"}', "token-refused"),
        ('{"level":"error","kas_url":"x","error":"JWT validation failed"}', "private-secret"),
        # All parts of a sign must be there.
        ('{"level":"error","msg":"listen unix"}', None),
        ('{"level":"error","error":"GRPC::Unavailable"}', "rails-unavailable"),
        ('{"level":"error","error":"GRPC::Unavailable","backtrace":"lib/gitlab/gitaly_client.rb"}', None),
        ("", None),
        ("\0\ufffd", None),
    ],
)
def test_what_a_line_is_about(line: str, expected: str | None) -> None:
    diagnosis = Diagnosis()
    diagnosis.read(Log("x", [line.encode()]))
    assert [finding.problem.name for finding in diagnosis.findings] == [expected][: expected is not None]


REFUSED = b'{"level":"error","error":"Get /api/v4/internal/kubernetes/agent_info: connect: connection refused"}'
NOISE = b'2025-02-20_20:00:00.00000 {"time":"2025-02-20T20:00:00Z","level":"INFO","msg":"Handled a connection"}\n'


@pytest.mark.parametrize(
    "block", [b"x" * 3_000_000 + REFUSED + b"\n" + NOISE, NOISE * 30_000 + REFUSED, (REFUSED + b"\n") * 20_000]
)
@pytest.mark.parametrize("size", [1 << 20, 77_777])
def test_lines_are_counted_wherever_blocks_end(block: bytes, size: int) -> None:
    diagnosis = Diagnosis()
    diagnosis.read(Log("x", (block[at : at + size] for at in range(0, len(block), size))))
    assert [finding.count for finding in diagnosis.findings] == [block.count(REFUSED)]
    assert diagnosis.bytes == len(block)


def test_every_line_of_an_outage_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with more kinds of lines than are remembered."""
    monkeypatch.setattr(_diagnosis, "_SHAPE_BYTES", 3000)
    monkeypatch.setattr(_diagnosis, "_WORD_SETS", 3)
    words = [f"{first}{second}{third}" for first in "ghijk" for second in "lmnop" for third in "qrstu"]
    text = b"\n".join(b'{"agent":"%s",' % word.encode() + REFUSED[1:] for word in words * 3)
    diagnosis = Diagnosis()
    diagnosis.read(Log("x", [text]))
    assert [(finding.problem.name, finding.count) for finding in diagnosis.findings] == [("gitlab-refused", 375)]


def dated(hour: int, line: bytes = REFUSED) -> bytes:
    return b"2025-02-20_%02d:00:00.00000 " % hour + line + b"\n"


@pytest.mark.parametrize(
    ("since", "count", "first", "last"),
    [
        ("", 4, "2025-02-20T01:00:00Z", "2025-02-20T04:00:00Z"),
        ("2025-02-20T00:00:00Z", 4, "2025-02-20T01:00:00Z", "2025-02-20T04:00:00Z"),
        ("2025-02-20T03:00:00Z", 2, "2025-02-20T03:00:00Z", "2025-02-20T04:00:00Z"),
        ("2025-02-20T04:00:00Z", 1, "2025-02-20T04:00:00Z", "2025-02-20T04:00:00Z"),
        ("2025-02-20T04:00:01Z", 0, "", ""),
    ],
)
@pytest.mark.parametrize("blocks", [1, 4])
def test_since(since: str, count: int, first: str, last: str, blocks: int) -> None:
    lines = [dated(hour) for hour in (1, 2, 3, 4)]
    diagnosis = Diagnosis(since=since)
    diagnosis.read(Log("x", [b"".join(lines)] if blocks == 1 else lines))
    assert [(found.count, found.first, found.last) for found in diagnosis.findings] == [(count, first, last)][:count]


def test_a_line_without_time_counts() -> None:
    diagnosis = Diagnosis(since="2025-02-20T03:00:00Z")
    diagnosis.read(Log("x", [dated(1, NOISE), REFUSED + b"\n", dated(4, NOISE)]))
    assert [(found.count, found.first, found.last) for found in diagnosis.findings] == [(1, "", "")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"2025-02-20_21:56:20.62160 Program aborted", "2025-02-20T21:56:20Z"),
        (b'2025-02-20_21:56:20.62160 {"time":"2024-01-01T00:00:00Z"}', "2025-02-20T21:56:20Z"),
        (b'{"level":"error","time":"2025-02-20T21:56:20.621Z"}', "2025-02-20T21:56:20Z"),
        (b'{"level":"error","time":"2025-02-20T21:56:20.621+01:00"}', "2025-02-20T20:56:20Z"),
        (b'{"level":"error","time":"2025-12-31T21:56:20.621-0530"}', "2026-01-01T03:26:20Z"),
        (b"2025-02-20T21:56:20.621600123Z {}", "2025-02-20T21:56:20Z"),
        (b"[pod/gitlab-kas-7d9c8b6f5-x7k2p/kas] 2025-02-20T21:56:20.6Z {}", "2025-02-20T21:56:20Z"),
        (b'time="2020-10-29T04:44:14Z" level=warning', "2020-10-29T04:44:14Z"),
        (b"2025/02/20 21:56:20 [error] 811#0", "2025-02-20T21:56:20"),
        (b'10.0.0.1 - - [20/Feb/2025:21:56:20 +0100] "GET /', "2025-02-20T20:56:20Z"),
        (b'10.0.0.1 - - [31/Xyz/2025:21:56:20 +0100] "GET /', ""),
        (b"2025-99-99T21:56:20+01:00", ""),
        (b"0001-01-01T00:00:00+01:00", ""),
        (b"no time", ""),
    ],
)
def test_time_of(line: bytes, expected: str) -> None:
    assert time_of(line) == expected


def test_hours_ago() -> None:
    assert hours_ago(24, 1740175000.0) == "2025-02-20T21:56:40Z"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '2025-02-20_21:56:20.62160 {"time":"…","msg":"Program aborted","error":"listen tcp: no"}',
            "Program aborted: listen tcp: no",
        ),
        ("2025-02-20_21:56:20.62160 panic: no  host", "panic: no host"),
        (
            '[pod/gitlab-kas-x/kas] {"msg":"AgentInfo()","error":"Get \\"http://x\\": no"}',
            'AgentInfo(): Get "http://x": no',
        ),
        ('{"exception.class":"GRPC::Unavailable","exception.message":"14:no"}', "GRPC::Unavailable: 14:no"),
        ('{"msg":"x","kas_url":"grpc://10.0.0.2:8155"}', "x: grpc://10.0.0.2:8155"),
        ('{"other":"x"}', '{"other":"x"}'),
        ("[1, 2]", "[1, 2]"),
        ('{"msg": "cut of', '{"msg": "cut of'),
        ("x" * 500, "x" * 399 + "…"),
        ("a\x1b[31mb\0", "a?[31mb?"),
        ("{" * 100_000, "{" * 399 + "…"),
    ],
)
def test_example(line: str, expected: str) -> None:
    assert example(line.encode()) == expected


SECRET = "S3cretOfTheCompany0815xyzABCDEFGHIJKLMNOPQR"


@pytest.mark.parametrize(
    "text",
    [
        f"redis://:{SECRET}@redis.example.com:6379: connection refused",
        f"Authorization: Bearer {SECRET}",
        f'headers {{"authorization":"bearer {SECRET}"}}',
        f'{{"password":"{SECRET}"}}',
        f"password={SECRET}",
        f'env: [REDIS_PASSWORD "{SECRET}"]',
        f"token glagent-{SECRET}",
        f"private_api_secret_key: {SECRET}=",
        f"GET /x?private_token={SECRET}&y=1",
        f"https://git:{SECRET}@gitlab.example.com/group/project.git",
        f"-----BEGIN EC PRIVATE KEY----- {SECRET}",
    ],
)
@pytest.mark.parametrize("depth", range(4))
def test_an_example_shows_no_secret(text: str, depth: int) -> None:
    """However often it is quoted within JSON."""
    for _time in range(depth):
        text = json.dumps({"msg": "Program aborted", "error": text})
    assert SECRET not in example(text.encode())
    assert SECRET[:12] not in example(text.encode())


TEXT = dated(1) + NOISE


def test_packed_logs(tmp_path: Path) -> None:
    for name, data in {
        "plain": TEXT,
        "gzip": gzip.compress(TEXT),
        "two": gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:]),
        "bzip2": bz2.compress(TEXT),
        "xz": lzma.compress(TEXT),
        "utf-16": TEXT.decode().encode("utf-16"),
        "big": b"\xfe\xff" + TEXT.decode().encode("utf-16-be"),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert told(tmp_path / name) == [("gitlab-refused", 1)], name
    (tmp_path / "empty").touch()
    assert told(tmp_path / "empty") == []


LONG = b"".join(dated(hour % 24) for hour in range(50_000))


DAMAGED = "is damaged, so only its beginning was read ("
NO_TEXT = "is no text, so it was not read."


@pytest.mark.parametrize(
    ("data", "message", "found"),
    [
        (gzip.compress(TEXT)[:-4], DAMAGED, True),
        (gzip.compress(LONG)[:-5000], DAMAGED, True),
        (gzip.compress(LONG) + b"rest", DAMAGED, True),
        (gzip.compress(LONG)[:20_000] + b"\xff" * 100, DAMAGED, True),
        (bz2.compress(LONG)[:-50], DAMAGED, True),
        (lzma.compress(LONG)[:-50], DAMAGED, True),
        (b"\x1f\x8bxx", DAMAGED, False),
        (b"BZh", DAMAGED, False),
        (b"\x7fELF\2\1\1\0" + LONG, NO_TEXT, False),
        (b"\x28\xb5\x2f\xfd\x04\x00" + b"\x00x", NO_TEXT, False),
    ],
)
def test_damaged_logs(tmp_path: Path, data: bytes, message: str, found: bool) -> None:
    """What was found before the damage is kept."""
    path = tmp_path / "log"
    path.write_bytes(data)
    diagnosis = Diagnosis()
    with pytest.raises(LogError) as caught, opened(path) as log:
        diagnosis.read(log)
    assert str(caught.value).startswith(f"{path} {message}")
    assert bool(diagnosis.findings) == found


def test_any_bytes_are_read(tmp_path: Path) -> None:
    for number, data in enumerate([os.urandom(1 << 16), b"\n" * 100_000, b"a" * (5 << 20), b"\xff\xfe\n", b"2025" * 9]):
        path = tmp_path / str(number)
        path.write_bytes(data.replace(b"\0", b"1"))
        assert told(path) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", "{path} does not exist; correct the path."), ("fifo", "{path} is no file; name a file or a directory.")],
)
def test_what_cannot_be_opened(tmp_path: Path, name: str, message: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    path = tmp_path / name
    with pytest.raises(LogError) as caught, opened(path):
        pass
    assert str(caught.value) == message.format(path=path)


def names(path: Path, since: float = 0) -> Iterator[str]:
    return (str(file.relative_to(path)) for file in logs(path, since))


def test_logs_of_a_directory(tmp_path: Path) -> None:
    files = ["current", "@40000000691f.s", "@40000000691e.u", "@40000000691e.t", "config", "lock", "state"]
    files += ["nginx/gitlab_error.log", "nginx/gitlab_error.log.1.gz", "nginx/nginx.conf", "catalog"]
    for age, name in enumerate(files):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    rotated = ["@40000000691e.u", "@40000000691f.s", "nginx/gitlab_error.log", "nginx/gitlab_error.log.1.gz", "current"]
    assert list(names(tmp_path)) == rotated
    assert list(names(tmp_path, since=999)) == ["@40000000691f.s", "current"]
    assert list(logs(tmp_path / "config")) == [tmp_path / "config"]
    with pytest.raises(LogError) as caught:
        list(logs(tmp_path / "none"))
    assert str(caught.value) == f"{tmp_path}/none does not exist; correct the path."


def test_finding_as_data(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.log").write_bytes(dated(number, b"Program aborted: NOAUTH Authentication required"))
    (finding,) = found_in(*logs(tmp_path))
    problem = finding.problem
    assert finding.as_dict() == {
        "name": "redis-password-missing",
        "severity": "error",
        "log": "KAS",
        "what": problem.what,
        "cause": problem.cause,
        "remedy": problem.remedy,
        "count": 7,
        "first": "2025-02-20T00:00:00Z",
        "last": "2025-02-20T06:00:00Z",
        "example": "Program aborted: NOAUTH Authentication required",
        "files": [f"{tmp_path}/{number}.log" for number in range(5)],
    }
