# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import threading

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.action.kas_monitoring import ActionModule

FILES = {"kas_monitoring_directory": "/etc/prometheus/gitlab-kas"}
PACKAGE = {"kas_monitoring_gitlab_rb": "true"}
NOTHING_SET = {"gitlab_rb_info": {"gitlab_rb": {"settings": {}, "unreadable": []}}}


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path.startswith(self.server.serves) else 404)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def served():
    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("serves", "connection", "warns"), [("/", "ssh", True), ("/metrics", "ssh", False), ("/", "local", False)]
)
def test_profiles_that_the_controller_can_read(stage, warned, served, serves, connection, warns):
    """Where Prometheus is on the controller, it must reach them."""
    served.serves = serves
    target = f"127.0.0.1:{served.server_port}"
    hosts = {"prometheus": {**FILES, "ansible_connection": connection}}
    hosts["kas1"] = {"kas_monitoring_target": target}
    made = stage(hosts, groups={"gitlab_kas": ["kas1"]}).run(ActionModule, "prometheus")
    assert yaml.safe_load(made["targets"]) == [{"targets": [target], "labels": {"instance": "kas1"}}]
    warning = (
        f"Profiles of KAS, with its arguments, can be read from here at {target}; let a firewall open the port for"
        " Prometheus alone, or serve nothing but /metrics there: docs/monitoring.md."
    )
    assert warned == [warning] * warns


@pytest.mark.parametrize(("host", "instances"), [("kas2", ["kas2"]), ("monitor", ["kas1", "kas2"])])
def test_the_packages_prometheus_on_a_node_asks_its_own(stage, host, instances):
    """Elsewhere all of them, which must answer there."""
    where = {"kas_observability_listen_address": ":8151", "ansible_host": "{{ nothing }}"}
    hosts = {"kas1": where, "kas2": {**where, **PACKAGE}, "monitor": PACKAGE}
    on_stage = stage(hosts, groups={"gitlab_kas": ["kas1", "kas2"]})
    made = on_stage.run(ActionModule, host, answers=NOTHING_SET)
    (job,) = made["settings"]["prometheus"]["scrape_configs"]
    assert [each["labels"]["instance"] for each in job["static_configs"]] == instances
    assert [each["targets"] for each in job["static_configs"]][-1] == [
        "localhost:8151" if host == "kas2" else "kas2:8151"
    ]
    assert (made["directory"], made["rules_directory"]) == ("", "/var/opt/gitlab/prometheus/rules")
    assert on_stage.modules == [(host, "gitlab_rb_info", {"path": "/etc/gitlab/gitlab.rb", "sections": ["prometheus"]})]


@pytest.mark.parametrize(
    ("given", "answer", "refusals"),
    [
        (
            {**PACKAGE, "kas_gitlab_rb_include": "/etc/gitlab/kas.rb"},
            NOTHING_SET,
            [
                "kas1: kas_gitlab_rb_include says that gitlab.rb is made by other means, so it stays as it is; add this"
                " job to prometheus['scrape_configs'] there: { 'job_name' => 'gitlab-kas', 'static_configs' =>"
                " [{ 'targets' => ['localhost:8151'], 'labels' => { 'instance' => 'kas1' } }] }."
            ],
        ),
        (PACKAGE, {"gitlab_rb_info": {"failed": True, "msg": "It is; see."}}, ["kas1: It is; see."]),
        (
            {"kas_monitoring_directori": "/x"},
            {},
            [
                "kas1: kas_monitoring_directori is not a variable of this collection, so it would do nothing; write"
                " kas_monitoring_directory, or give a variable of your own another name."
            ],
        ),
    ],
)
def test_refusals(stage, given, answer, refusals):
    made = stage({"kas1": given}, groups={"gitlab_kas": ["kas1"]}).run(ActionModule, "kas1", answers=answer)
    assert (made["failed"], made["refusals"]) == (True, refusals)
