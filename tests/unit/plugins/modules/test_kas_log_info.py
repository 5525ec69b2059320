# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs are read, and what is said of those that are not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_log_info import main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args

FIXTURES = Path(__file__).parents[2] / "fixtures" / "logs"
NOW = 1740092400.0  # 2025-02-20T23:00:00Z
DEFAULTS: dict[str, Any] = {"kas": True, "paths": [], "namespace": None, "selector": "app=kas", "hours": 0}
LOGS = "var/log/gitlab/gitlab-kas"


def node(root: Path, *names: str, directory: str = LOGS) -> Path:
    """A node whose KAS has the logs of these problems, the last one in current."""
    (root / directory).mkdir(parents=True)
    for number, name in enumerate(names, start=1):
        file = "current" if number == len(names) else f"@400000006553f3a{number}.s"
        shutil.copy(FIXTURES / f"{name}.log", root / directory / file)
    return root


def told(result: dict[str, Any]) -> list[tuple[str, int, list[str]]]:
    return [
        (finding["name"], finding["count"], [Path(file).name for file in finding["files"]])
        for finding in result["findings"]
    ]


def test_current_and_rotated_logs(tmp_path: Path) -> None:
    result = run(DEFAULTS, node(tmp_path, "known/own-url-unknown", "healthy/kas-18", "known/own-url-unknown"), NOW)
    assert told(result) == [("own-url-unknown", 6, ["@400000006553f3a1.s", "current"])]
    assert (result["files"], result["unread"], result["changed"]) == (3, [], False)
    assert result["bytes"] == sum(file.stat().st_size for file in (tmp_path / LOGS).iterdir())


def test_the_log_lies_where_runit_writes_it(tmp_path: Path) -> None:
    service = node(tmp_path, "known/panic", directory="srv/log/kas") / "opt/gitlab/sv/gitlab-kas/log/run"
    service.parent.mkdir(parents=True)
    service.write_text("#!/bin/sh\nexec chpst -P -U root:root svlogd -tt /srv/log/kas\n")
    assert told(run(DEFAULTS, tmp_path, NOW)) == [("panic", 3, ["current"])]


@pytest.mark.parametrize(("hours", "count"), [(0, 2), (24, 2), (3, 2), (1, 0)])
def test_hours(tmp_path: Path, hours: int, count: int) -> None:
    """The lines are from 20:01."""
    params = {**DEFAULTS, "hours": hours}
    assert (
        sum(finding["count"] for finding in run(params, node(tmp_path, "known/own-url-and-cidr"), NOW)["findings"])
        == count
    )


def test_old_files_are_not_opened(tmp_path: Path) -> None:
    root = node(tmp_path, "known/panic", "known/panic")
    os.utime(root / LOGS / "@400000006553f3a1.s", (NOW - 7200, NOW - 7200))
    assert run({**DEFAULTS, "hours": 1}, root, NOW)["files"] == 1


@pytest.mark.parametrize(
    ("params", "unread"),
    [
        ({}, "There is no log of KAS in {root}/var/log/gitlab/gitlab-kas; KAS has never run there."),
        ({"kas": False, "paths": ["{root}/none"]}, "{root}/none does not exist; correct the path."),
        ({"kas": False, "paths": ["{root}/binary"]}, "{root}/binary is no text, so it was not read."),
        (
            {"kas": False, "paths": ["{root}/cut"]},
            "{root}/cut is damaged, so only its beginning was read (Compressed file ended before the end-of-stream"
            " marker was reached).",
        ),
    ],
)
def test_what_is_not_read_is_said(tmp_path: Path, params: dict[str, Any], unread: str) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\2\1\1\0")
    (tmp_path / "cut").write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")
    paths = [path.format(root=tmp_path) for path in params.get("paths", [])]
    result = run({**DEFAULTS, **params, "paths": paths}, tmp_path, NOW)
    assert (result["findings"], result["unread"]) == ([], [unread.format(root=tmp_path)])


KUBECTL = """\
#!/bin/sh
echo "$*" >> {folder}/asked
case "$*" in *--previous*) cat {folder}/previous; exit 1;; esac
cat {folder}/now
cat {folder}/said >&2
exit {status}
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What kubectl shows; a file of each kind."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in ("previous", "now", "said"):
        (tmp_path / name).touch()
    kubectl(tmp_path, 0)
    return tmp_path


def kubectl(folder: Path, status: int) -> None:
    (folder / "kubectl").write_text(KUBECTL.format(folder=folder, status=status))
    (folder / "kubectl").chmod(0o755)


IN_CLUSTER = {**DEFAULTS, "kas": False, "namespace": "gitlab"}


def test_kubectl(cluster: Path) -> None:
    pod = "[pod/gitlab-kas-7d9c8b6f5-x7k2p/kas] 2025-02-20T22:00:00.123456789Z "
    for name, problem in (("previous", "own-url-and-cidr"), ("now", "agent-not-found")):
        lines = (FIXTURES / "known" / f"{problem}.log").read_text().splitlines()
        (cluster / name).write_text("".join(f"{pod}{line.partition(' ')[2]}\n" for line in lines))
    result = run({**IN_CLUSTER, "hours": 3}, cluster, NOW)
    assert [(found["name"], found["count"], found["last"]) for found in result["findings"]] == [
        ("own-url-and-cidr", 2, "2025-02-20T22:00:00Z"),
        ("agent-not-found", 1, "2025-02-20T22:00:00Z"),
    ]
    assert result["findings"][0]["files"] == ["kubectl logs --namespace=gitlab"]
    assert result["findings"][1]["example"] == "Agent connection not found: context deadline exceeded"
    asked = "logs --namespace=gitlab --selector=app=kas --all-containers --prefix --timestamps --tail=-1"
    assert (cluster / "asked").read_text().splitlines() == [
        f"{asked} --max-log-requests=100 --since=3h --previous --ignore-errors",
        f"{asked} --max-log-requests=100 --since=3h",
    ]


@pytest.mark.parametrize(
    ("status", "said", "unread"),
    [
        (
            1,
            'error: pods is forbidden: token="glpat-0123456789abcdefghij"\n',
            'kubectl logs --namespace=gitlab fails (error: pods is forbidden: token="********"); check the namespace,'
            " and how kubectl connects.",
        ),
        (2, "", "kubectl logs --namespace=gitlab fails (exit code 2); check the namespace, and how kubectl connects."),
        (
            0,
            "No resources found in gitlab namespace.\n",
            "kubectl logs --namespace=gitlab shows nothing of pods with app=kas (No resources found in gitlab"
            " namespace.); check the namespace.",
        ),
    ],
)
def test_kubectl_fails(cluster: Path, status: int, said: str, unread: str) -> None:
    kubectl(cluster, status)
    (cluster / "said").write_text(said)
    result = run(IN_CLUSTER, cluster, NOW)
    assert (result["findings"], result["unread"]) == ([], [unread])


def test_kubectl_shows_no_text(cluster: Path) -> None:
    """More of it than a pipe holds; nobody waits for its end."""
    (cluster / "now").write_bytes(b"\0" * 3_000_000)
    assert run(IN_CLUSTER, cluster, NOW)["findings"] == []


def test_without_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run(IN_CLUSTER, tmp_path, NOW)
    assert set(result["unread"]) == {
        "kubectl cannot be run on this host (No such file or directory); install it there, or hand in its output as a"
        " file."
    }


def test_main(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "handed-in").mkdir()
    shutil.copy(FIXTURES / "known" / "nginx-301.log", tmp_path / "handed-in")
    arguments = {"kas": False, "paths": [str(tmp_path / "handed-in")], "_ansible_check_mode": True}
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert told(json.loads(capsys.readouterr().out)) == [("nginx-301", 1, ["nginx-301.log"])]


def test_hours_below_zero(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"hours": -1}), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    failed = json.loads(capsys.readouterr().out)
    assert (failed["msg"], failed["findings"]) == ("hours is -1; set 0 for all, or more.", [])
