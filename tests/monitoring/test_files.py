# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alert rules and dashboard, judged by Prometheus's own program and Grafana's own types; each name is a real one."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._monitoring import JOB
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "roles" / "kas_monitoring" / "files"
RULES = yaml.safe_load((FILES / "gitlab-kas.rules").read_text())
DASHBOARD = json.loads((FILES / "gitlab-kas.dashboard.json").read_text())
TESTS = Path(__file__).with_name("rules.test.yml")

# What a KAS of 16.5 showed, from the start or after some traffic, with the labels beside those that Prometheus adds.
MEASURED = {
    "gitlab_build_info": "version built",
    "connected_agents_count": "",
    "agent_server_rate_exceeded_total": "",
    "k8s_api_proxy_routing_duration_seconds_bucket": "status le",
    "k8s_api_proxy_routing_duration_seconds_count": "status",
    "k8s_api_proxy_routing_timeout_total": "",
    "limiter_limit": "limiter_name unit",
    "flux_git_push_notifications_total": "",
    "flux_dropped_git_push_notifications_total": "",
    "grpc_server_handled_total": "grpc_service grpc_method grpc_type grpc_code",
    "grpc_client_handled_total": "grpc_service grpc_method grpc_type grpc_code",
    "grpc_server_requests_in_flight": "",
    "grpc_client_requests_in_flight": "",
}
# What GitLab's own dashboards and objectives of 2024 to 2026 have instead, or besides.
LATER = {
    "tunnel_routing_duration_seconds_bucket": "status le",
    "tunnel_routing_duration_seconds_count": "status",
    "tunnel_routing_timeout_connected_recently_total": "",
    "tunnel_routing_timeout_not_connected_recently_total": "",
    "limiter_block_duration_seconds_count": "limiter_name allowed",
    "accepted_connections_total": "",
    "redis_expiring_hash_api_gc_deleted_keys_count_total": "expiring_hash_name",
}
# Those of every program in Go, and Prometheus's own.
OF_ANY = dict.fromkeys(
    (
        *("up", "go_goroutines", "process_start_time_seconds", "process_cpu_seconds_total"),
        *("process_resident_memory_bytes", "process_open_fds", "process_max_fds"),
    ),
    "",
)
KNOWN = {**MEASURED, **LATER, **OF_ANY}
ADDED = {"job", "instance", "deployment"}

# Where the same is measured by two names, one of each generation.
PAIRS = {
    "tunnel_routing_duration_seconds_bucket": "k8s_api_proxy_routing_duration_seconds_bucket",
    "tunnel_routing_duration_seconds_count": "k8s_api_proxy_routing_duration_seconds_count",
    "tunnel_routing_timeout_connected_recently_total": "k8s_api_proxy_routing_timeout_total",
    "limiter_block_duration_seconds_count": "agent_server_rate_exceeded_total",
}

ALERTS = {rule["alert"]: rule for rule in RULES["groups"][0]["rules"]}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [*((name, rule["expr"]) for name, rule in ALERTS.items()), *QUERIES]

_SELECTOR = re.compile(r"\b([a-z_]\w*)\s*\{([^}]*)\}")
_LABEL = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def judged(folder: Path, rules: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """What promtool says of these rules with the tests."""
    (folder / "gitlab-kas.rules").write_text(yaml.safe_dump(rules))
    shutil.copy(TESTS, folder)
    return promtool("test", "rules", TESTS.name, cwd=folder)


def test_prometheus_takes_the_rules_and_the_job(tmp_path: Path) -> None:
    """As docs/monitoring.md says it, which has paths of its own."""
    page = (ROOT / "docs" / "monitoring.md").read_text()
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "scrape_configs:" in block]
    assert len(blocks) == 1
    there = "/etc/prometheus/gitlab-kas"
    assert blocks[0].count(there) == 2
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    targets = "- {targets: ['10.0.0.1:8151'], labels: {instance: kas1, deployment: production}}\n"
    (tmp_path / "gitlab-kas.targets.yml").write_text(targets)
    (tmp_path / "prometheus.yml").write_text(blocks[0].replace(there, str(tmp_path)))
    done = promtool("check", "config", "prometheus.yml", cwd=tmp_path)
    assert (done.returncode, f"{len(ALERTS)} rules found" in done.stdout) == (0, True), done.stdout + done.stderr
    assert yaml.safe_load(blocks[0])["scrape_configs"][0]["job_name"] == JOB


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    done = judged(tmp_path, RULES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "old", "new"),
    [
        ("GitlabKasRoutingSlow", "< 0.95", "< 0.85"),  # it would not fire
        ("GitlabKasErrors", "|Canceled|", "|"),  # it would fire without need
    ],
)
def test_the_tests_can_fail(tmp_path: Path, alert: str, old: str, new: str) -> None:
    rules = copy.deepcopy(RULES)
    rule = next(each for each in rules["groups"][0]["rules"] if each["alert"] == alert)
    assert old in rule["expr"]
    rule["expr"] = rule["expr"].replace(old, new)
    done = judged(tmp_path, rules)
    assert done.returncode == 1
    assert f"alertname: {alert}" in done.stdout + done.stderr


def test_each_alert_has_its_tests() -> None:
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == set(ALERTS)
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == set(ALERTS)


def test_what_each_alert_says() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert set(rule["annotations"]) == {"summary", "description"}, name


def test_each_alert_is_explained() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert set(re.findall(r"^\| `(GitlabKas\w+)` \|", page, re.MULTILINE)) == set(ALERTS)


def test_every_metric_is_explained() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    names = {re.sub("_(bucket|count)$", "", name) for name in (*MEASURED, *LATER) if "agents_count" not in name}
    assert [name for name in (*names, "connected_agents_count") if f"`{name}" not in page] == []


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    for name, labels in _SELECTOR.findall(expression):
        yield name, set(_LABEL.findall(labels))


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_only_what_kas_measures(where: str, expression: str) -> None:
    found = list(selectors(expression))
    assert found
    for name, labels in found:
        assert name in KNOWN
        assert labels <= ADDED | set(KNOWN[name].split())
        assert "job" in labels
    # No metric stands there without a selector.
    without = re.sub(r"\{[^}]*\}", "{}", expression)
    assert {name for name in KNOWN if re.search(rf"\b{name}\b(?!\{{)", without)} == set()


def test_a_name_that_no_kas_has_is_noticed() -> None:
    assert list(selectors('rate(kas_peers_up{job="gitlab-kas",peer=~"a|b"}[5m])')) == [
        ("kas_peers_up", {"job", "peer"})
    ]


@pytest.mark.parametrize("queries", [dict.fromkeys(ALERTS), None], ids=["rules", "dashboard"])
def test_both_generations_of_names(queries: object) -> None:
    texts = [rule["expr"] for rule in ALERTS.values()] if queries else [text for _title, text in QUERIES]
    used = {name for text in texts for name, _labels in selectors(text)}
    assert {old for new, old in PAIRS.items() if (new in used) != (old in used)} == set()
    assert set(PAIRS) <= used


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """promtool of 2.42 parses expressions in rules alone, and knows nothing of Grafana's variables."""
    values = {"$__rate_interval": "5m", "$deployment": ".*", "$instance": "kas1|kas2"}
    rules = []
    for number, (_title, expression) in enumerate(QUERIES):
        for name, value in values.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        rules.append({"record": f"query:{number}", "expr": expression})
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = promtool("check", "rules", "queries.yml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert f"{len(QUERIES)} rules found" in done.stdout


def through_grafanas_types(dashboard: dict[str, Any]) -> Any:
    """The same once Grafana's own types have read and written it: a field that they do not know is gone."""
    plugins.register_default_plugins()
    read = Dashboard.from_json(copy.deepcopy(dashboard))
    return json.loads(JSONEncoder(sort_keys=True).encode(read))


def lost(given: Any, left: Any, place: str = "") -> Iterator[str]:
    if isinstance(given, dict) and isinstance(left, dict):
        for name, value in given.items():
            yield from lost(value, left[name], f"{place}.{name}") if name in left else [f"{place}.{name}"]
    elif isinstance(given, list) and isinstance(left, list) and len(given) == len(left):
        for number, (value, other) in enumerate(zip(given, left)):
            yield from lost(value, other, f"{place}[{number}]")
    elif given != left:
        yield place


def test_grafana_knows_every_field() -> None:
    assert list(lost(DASHBOARD, through_grafanas_types(DASHBOARD))) == []


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), ".expression"),
        (("panels", 1), ".panels[1].expression"),
        (("panels", 1, "options"), ".panels[1].options.expression"),
        (("panels", 1, "targets", 0), ".panels[1].targets[0].expression"),
        (("templating", "list", 1), ".templating.list[1].expression"),
    ],
)
def test_a_field_that_grafana_does_not_know_is_noticed(path: tuple[Any, ...], place: str) -> None:
    wrong = copy.deepcopy(DASHBOARD)
    part = wrong
    for step in path:
        part = part[step]
    part["expression"] = "up"
    assert list(lost(wrong, through_grafanas_types(wrong))) == [place]


def test_the_dashboard_as_a_whole() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert all(panel["description"] for panel in PANELS)
    taken = [
        (column, line)
        for panel in DASHBOARD["panels"]
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for line in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)  # no panel lies on another one
    assert {column for column, _line in taken} == set(range(24))
    # Whatever Prometheus it is imported for: no source of data of one installation.
    sources = re.findall(r'"uid": "([^"]*)"', json.dumps([*DASHBOARD["panels"], DASHBOARD["templating"]]))
    assert set(sources) == {"${datasource}"}
