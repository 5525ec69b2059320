"""The log of KAS, in all its forms."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import KasError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas_log import (
    published_urls,
    start_failure,
    start_log_lines,
)

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kas"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("current_17.6", ["grpc://10.0.0.8:8155"]),
        ("current_18.6", ["grpc://10.0.0.1:8155", "grpc://[fd00::1]:8155"]),
        ("current_aborted", []),
    ],
)
def test_published_urls(name: str, expected: list[str]) -> None:
    assert published_urls((FIXTURES / name).read_text().splitlines()) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("grpc:172.16.123.1|8155", ["grpc://172.16.123.1:8155"]),
        ("grpcs:10.0.0.1,10.0.0.2|8155", ["grpcs://10.0.0.1:8155", "grpcs://10.0.0.2:8155"]),
        ("grpc:fd00::1|8155", ["grpc://[fd00::1]:8155"]),
        ("grpc:::1,127.0.0.1|8155", ["grpc://[::1]:8155", "grpc://127.0.0.1:8155"]),
        ("grpc:kas1.example.com|8155", ["grpc://kas1.example.com:8155"]),
        ("grpc:/localhost/|8155", ["grpc://localhost:8155"]),
        ("grpcs:/kas1.example.com/10.0.0.1|8155", ["grpcs://kas1.example.com:8155"]),
        ("grpc://kas1.example.com:8155", ["grpc://kas1.example.com:8155"]),
        ("grpc://:8155", ["grpc://:8155"]),
        ("https://kas1.example.com", ["https://kas1.example.com"]),
        ("unix:///run/kas.socket", ["unix:///run/kas.socket"]),
        ("unix:/run/kas.socket", ["unix:///run/kas.socket"]),
    ],
)
def test_published_urls_of_many_forms(url: str, expected: list[str]) -> None:
    line = f'2025-11-20_10:12:30.64011 {{"msg":"Using own private API multi URL","url":"{url}"}}'
    assert published_urls([line]) == expected


def log_directory(tmp_path: Path, files: dict[str, str]) -> Path:
    """Make a directory of logs; the text of a name that ends with .gz is compressed, the name loses the end."""
    for name, text in files.items():
        data = text.encode()
        (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return tmp_path


STARTED_1 = (
    '2025-11-19 {"msg":"Running KAS"}\n2025-11-19 {"msg":"Using own private API URL","url":"grpc://10.0.0.1:1"}\n'
)
STARTED_2 = STARTED_1.replace("10.0.0.1:1", "10.0.0.2:2")
NOISE = '2025-11-20 {"msg":"Handled a connection"}\ngoroutine 1 [running]: \xff\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"current": NOISE + STARTED_1 + NOISE}, ["grpc://10.0.0.1:1"]),
        ({"@40000000691e.s": STARTED_1, "current": STARTED_2}, ["grpc://10.0.0.2:2"]),
        ({"@40000000691e.s": STARTED_1, "current": NOISE}, ["grpc://10.0.0.1:1"]),
        ({"@40000000691e.s.gz": STARTED_1 + NOISE, "current": ""}, ["grpc://10.0.0.1:1"]),
        ({"@40000000691e.s": STARTED_1, "@40000000691f.u": STARTED_2, "current": NOISE}, ["grpc://10.0.0.2:2"]),
        ({"@40000000691e.s": STARTED_1, "@40000000691f.s.gz": NOISE, "current": NOISE}, ["grpc://10.0.0.1:1"]),
        (
            {"@40000000691e.s": NOISE + STARTED_1.splitlines()[0], "current": STARTED_1.splitlines()[1]},
            ["grpc://10.0.0.1:1"],
        ),
        ({"current": NOISE}, []),
        ({"current": "", "config": STARTED_1, "@40000000691e.t": STARTED_1}, []),
    ],
)
def test_start_log_lines(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    assert published_urls(start_log_lines(log_directory(tmp_path, files))) == expected


def line(message: str, **fields: str) -> str:
    return "2025-11-19_10:12:30.1 " + json.dumps({"time": "…", "level": "INFO", "msg": message, **fields}) + "\n"


def old_line(message: str, **fields: str) -> str:
    """As up to about 17.2: other fields, in another order."""
    return "2023-11-19_10:12:30.1 " + json.dumps({"level": "info", "time": "…", "msg": message, **fields}) + "\n"


RUNNING = line("Running KAS")
REDIS = "dial tcp 10.0.0.9:6379: connect: connection refused"
BIND = "listen tcp 192.0.2.1:8155: bind: cannot assign requested address"
PANIC = "panic: multi URL: no addresses and no host"
ABORTED = line("Program aborted", error=REDIS)
OLD_ABORTED = f"2023-11-19_10:12:30.1 Program aborted: {BIND}\n"
OLD_URL = old_line("Using own private API URL", url="grpc://10.0.0.1:8155")
NEXT_URL = OLD_URL.replace("10.0.0.1", "10.0.0.2")
OTHERS = line("Observability endpoint is up") + line("Kubernetes API endpoint is up")
AGENTS, API, PRIVATE = (line(f"{name} endpoint is up") for name in ("Agentk API", "API", "Private API"))
UP = API + PRIVATE + AGENTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RUNNING + OTHERS + UP, ""),
        (RUNNING + ABORTED + RUNNING + OTHERS + UP, ""),
        (RUNNING + ABORTED + RUNNING + UP, ""),
        (RUNNING + UP + RUNNING + ABORTED, REDIS),
        (RUNNING + ABORTED + RUNNING, REDIS),
        # A listener that cannot bind: the others are up for ten seconds, and then again.
        (OLD_URL + OTHERS + AGENTS + API + OLD_ABORTED, BIND),
        ((OLD_URL + OTHERS + AGENTS + API + OLD_ABORTED) * 2 + OLD_URL + OTHERS + AGENTS + API, BIND),
        ((RUNNING + OTHERS + AGENTS + ABORTED) * 2 + RUNNING + OTHERS + API + PRIVATE, REDIS),
        ((OLD_URL + AGENTS + API + OLD_ABORTED) * 2 + OLD_URL + UP, ""),
        (OLD_ABORTED + UP + OLD_ABORTED.replace(BIND, "panic"), "panic"),
        (line("Program aborted"), ""),
        (
            RUNNING + f"2025-11-19_10:12:30.1 {PANIC}\n",
            PANIC,
        ),
        (f"Program aborted: {BIND}", BIND),
        (NOISE, ""),
        (line("Program aborted: as a field of something else", error="x"), ""),
    ],
)
def test_start_failure(tmp_path: Path, text: str, expected: str) -> None:
    assert start_failure(start_log_lines(log_directory(tmp_path, {"current": text}))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OLD_URL + UP + NEXT_URL + UP, ["grpc://10.0.0.2:8155"]),
        (OLD_URL + UP + NEXT_URL + OLD_ABORTED, []),
        (OLD_URL + UP + RUNNING, []),
        (OLD_URL + OLD_ABORTED + NEXT_URL, ["grpc://10.0.0.2:8155"]),
    ],
)
def test_published_urls_of_the_last_start(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert published_urls(start_log_lines(log_directory(tmp_path, {"current": text}))) == expected


@pytest.mark.parametrize(
    ("older", "current", "read"),
    [
        (OLD_URL + UP, NOISE, OLD_URL + UP),
        (OLD_URL + UP, NEXT_URL + UP, NEXT_URL + UP),
        (OLD_URL + API, PRIVATE + AGENTS, OLD_URL + UP.replace(PRIVATE + AGENTS, "") + PRIVATE + AGENTS),
        (OLD_URL + UP, OLD_ABORTED, OLD_ABORTED),
        (OLD_URL + UP, ABORTED, ABORTED),
    ],
)
def test_no_more_of_the_log_is_read_than_matters(tmp_path: Path, older: str, current: str, read: str) -> None:
    directory = log_directory(tmp_path, {"@40000000691e.s": older, "current": current})
    assert "".join(start_log_lines(directory)) == read


def test_start_log_lines_without_a_log(tmp_path: Path) -> None:
    with pytest.raises(KasError) as caught:
        start_log_lines(tmp_path)
    assert str(caught.value) == (
        f"The log of KAS in {tmp_path} cannot be read "
        f"([Errno 2] No such file or directory: '{tmp_path}/current'); start KAS, whose service writes it."
    )
