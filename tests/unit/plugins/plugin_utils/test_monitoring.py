# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._monitoring import (
    Kas,
    MonitoringError,
    groups,
    job,
    package_settings,
    rules_directory,
)


def kas(name: str = "kas1", listener: str = "", target: str = "", deployment: str = "") -> Kas:
    return Kas(name=name, deployment=deployment, listener=listener, target=target, address="kas1.example.com")


@pytest.mark.parametrize(
    ("node", "scraper", "target"),
    [
        (kas(), "kas1", "localhost:8151"),
        (kas(listener="127.0.0.1:9151"), "kas1", "127.0.0.1:9151"),
        (kas(listener="10.0.0.1:8151"), "prometheus", "10.0.0.1:8151"),
        (kas(listener="10.0.0.1:8151"), "kas1", "10.0.0.1:8151"),
        (kas(listener="[fd00::1]:8151"), "prometheus", "[fd00::1]:8151"),
        (kas(listener="0.0.0.0:8151"), "kas1", "localhost:8151"),
        (kas(listener="0.0.0.0:8151"), "prometheus", "kas1.example.com:8151"),
        (kas(listener=":8151"), "prometheus", "kas1.example.com:8151"),
        (kas(target="kas1.example.com:8159"), "prometheus", "kas1.example.com:8159"),
        (kas(target="kas1.example.com:8159"), "kas1", "kas1.example.com:8159"),
    ],
)
def test_targets(node: Kas, scraper: str, target: str) -> None:
    assert groups([node], scraper) == ([{"targets": [target], "labels": {"instance": "kas1"}}], [])


def test_deployments_are_a_label() -> None:
    found, _wrong = groups([kas(deployment="staging")], "kas1")
    assert found[0]["labels"] == {"instance": "kas1", "deployment": "staging"}


REMEDY = (
    "so a Prometheus on prometheus does not reach it; set kas_monitoring_target to where something on the node serves"
    " /metrics alone, or kas_observability_listen_address to an address that a firewall opens for Prometheus only."
)


@pytest.mark.parametrize(
    ("listener", "sentence"),
    [
        ("", f"kas1: KAS answers for its metrics at localhost:8151, which is a loopback name, {REMEDY}"),
        ("[::1]:8151", f"kas1: KAS answers for its metrics at [::1]:8151, which is a loopback address, {REMEDY}"),
        (
            "/run/kas.socket",
            "kas1: kas_observability_listen_address is '/run/kas.socket', but KAS serves its metrics on TCP alone; set"
            " ADDRESS:PORT.",
        ),
    ],
)
def test_out_of_reach(listener: str, sentence: str) -> None:
    found, wrong = groups([kas(listener=listener), kas("kas2", "10.0.0.2:8151")], "prometheus")
    assert [each["labels"]["instance"] for each in found] == ["kas2"]
    assert wrong == [sentence]


JOB = job(groups([kas()], "kas1")[0])
OLD_JOB = {"job_name": "gitlab-kas", "static_configs": [{"targets": ["localhost:9999"]}]}
MINE = {"job_name": "mine", "static_configs": [{"targets": ["localhost:1234"]}]}
SET = {"prometheus": {"scrape_configs": [JOB]}}


def says(unreadable: tuple[str, ...] = (), **settings: Any) -> dict[str, Any]:
    """What gitlab_rb_info returns."""
    where = {"name": "x", "file": "/etc/gitlab/gitlab.rb", "line": 7, "why": "is assigned inside an if"}
    return {
        "settings": {"prometheus": settings} if settings else {},
        "unreadable": [{**where, "path": list(unreadable)}] if unreadable else [],
    }


@pytest.mark.parametrize(
    ("gitlab_rb", "settings"),
    [
        (says(), SET),
        (says(enable=True), SET),
        (says(scrape_configs=None), SET),
        (says(scrape_configs=[]), SET),
        (says(scrape_configs=[OLD_JOB]), SET),
        (says(scrape_configs=[JOB]), {}),
        (says(scrape_configs=[MINE, JOB]), {}),
        (says(("prometheus", "env"), scrape_configs=[JOB]), {}),
    ],
)
def test_the_packages_prometheus(gitlab_rb: dict[str, Any], settings: dict[str, Any]) -> None:
    assert package_settings(gitlab_rb, JOB, is_ours=True) == settings


def test_a_file_that_other_means_make() -> None:
    assert package_settings(says(scrape_configs=[JOB]), JOB, is_ours=False) == {}
    with pytest.raises(MonitoringError) as caught:
        package_settings(says(), JOB, is_ours=False)
    assert str(caught.value) == (
        "kas_gitlab_rb_include says that gitlab.rb is made by other means, so it stays as it is; add this job to"
        " prometheus['scrape_configs'] there: { 'job_name' => 'gitlab-kas', 'static_configs' => [{ 'targets' =>"
        " ['localhost:8151'], 'labels' => { 'instance' => 'kas1' } }] }."
    )


ADD = (
    "prometheus['scrape_configs'] in gitlab.rb has jobs of your own, which stay as they are; add this one to them, in"
    " place of one of the same name: { 'job_name' => 'gitlab-kas', 'static_configs' => [{ 'targets' =>"
    " ['localhost:8151'], 'labels' => { 'instance' => 'kas1' } }] }."
)
BY_HAND = (
    "prometheus['scrape_configs'] cannot be read without running gitlab.rb (/etc/gitlab/gitlab.rb, line 7, where x is"
    " assigned inside an if); set kas_monitoring_gitlab_rb to false, and add the job by hand: docs/monitoring.md."
)


@pytest.mark.parametrize(
    ("gitlab_rb", "sentence"),
    [
        (
            says(enable=False),
            "prometheus['enable'] in gitlab.rb is false, so no Prometheus of the package runs here; leave this host"
            " out, or set kas_monitoring_gitlab_rb to false for it.",
        ),
        (says(scrape_configs=[MINE]), ADD),
        (says(scrape_configs=[MINE, OLD_JOB]), ADD),
        (says(scrape_configs="mine"), ADD),
        (says(("prometheus", "scrape_configs")), BY_HAND),
        (says(("prometheus",)), BY_HAND),
        (says(("*",)), BY_HAND),
    ],
)
def test_what_is_not_written_anew(gitlab_rb: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MonitoringError) as caught:
        package_settings(gitlab_rb, JOB, is_ours=True)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("gitlab_rb", "directory"),
    [
        (says(), "/var/opt/gitlab/prometheus/rules"),
        (says(home="/srv/prometheus"), "/srv/prometheus/rules"),
        (says(home="/srv/prometheus", rules_directory="/srv/rules"), "/srv/rules"),
    ],
)
def test_where_the_packages_rules_are(gitlab_rb: dict[str, Any], directory: str) -> None:
    assert rules_directory(gitlab_rb) == directory
