# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read after a deployment."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._report import (
    Checked,
    Results,
    checked,
    findings,
    table,
)

URLS = {"kas1": "grpc://10.0.0.1:8155", "kas2": "grpc://10.0.0.2:8155"}
INTERNAL = "grpc://lb.example.com:8153"
NAMES = {url: name for name, url in URLS.items()}


def node(
    name="kas1",
    peers=(),
    runs_kas=True,
    fingerprint="aaaaaaaaaaaa",
    rails=None,
    changed=(),
    seconds=None,
    failures=(),
    is_present=True,
    **info,
):
    healthy = {
        "blocking_errors": [],
        "problems": [],
        "gitlab_version": "19.3.0",
        "enabled": True,
        "running": True,
        "ready": True,
        "readiness": "ok",
        "own_private_api_urls": [URLS[name]],
        "reconfigure_pending": None,
        "restart_pending": None,
        "secrets": {"api_secret_key": {"fingerprint": fingerprint}},
    }
    return Checked(
        name=name,
        runs_kas=runs_kas,
        own_urls=[URLS[name]] if runs_kas else [],
        info={**healthy, **info},
        secret_names=["api_secret_key"],
        probe={"peers": peers},
        rails_probe=rails,
        changed=changed,
        seconds=seconds,
        failures=failures,
        is_present=is_present,
    )


def peer(name, reachable=True, text="reachable", remedy=""):
    answered = reachable and text == "reachable"
    return {"url": URLS[name], "reachable": reachable, "answered": answered, "text": text, "remedy": remedy}


def rails(reachable=True, text="reachable", remedy=""):
    return {"peers": [{**peer("kas1", reachable, text, remedy), "url": INTERNAL}]}


def test_table():
    nodes = [
        node("kas1", [peer("kas2")], changed=["gitlab.rb", "reconfigured"], seconds=12.3),
        node("kas2", [peer("kas1", False)], ready=False, own_private_api_urls=[], fingerprint="bbbbbbbbbbbb"),
    ]
    assert table(nodes, NAMES) == [
        "node  release  own URL               ready  reaches  Rails reaches  secrets  changed                  seconds",
        "kas1  19.3.0   grpc://10.0.0.1:8155  yes    kas2     -              proved   gitlab.rb, reconfigured  12",
        "kas2  19.3.0   grpc://10.0.0.2:8155  no     -        -              differ   -                        -",
    ]


def test_table_with_rails():
    nodes = [
        node("kas1", [peer("kas2")], rails=rails()),
        node("kas2", [peer("kas1")]),
        node(
            "kas2",
            runs_kas=False,
            enabled=False,
            running=False,
            ready=False,
            own_private_api_urls=[],
            rails=rails(False, "connection refused"),
        ),
    ]
    assert table(nodes, NAMES) == [
        "node  release  own URL               ready  reaches  Rails reaches               secrets  changed  seconds",
        "kas1  19.3.0   grpc://10.0.0.1:8155  yes    kas2     grpc://lb.example.com:8153  proved   -        -",
        "kas2  19.3.0   grpc://10.0.0.2:8155  yes    kas1     -                           proved   -        -",
        "kas2  19.3.0   no KAS                -      -        -                           same     -        -",
    ]


def test_table_with_answers_that_are_not_known():
    text = "reachable, answer not known (gRPC status 12)"
    nodes = [node("kas1", [peer("kas2", text=text)], rails=rails(text=text))]
    assert table(nodes, NAMES)[1:] == [
        "kas1  19.3.0   grpc://10.0.0.1:8155  yes    kas2     grpc://lb.example.com:8153  same     -        -",
        f"kas1: kas2 at grpc://10.0.0.2:8155 is {text}; whether both have the same secret is not proved.",
        f"kas1: {INTERNAL} is {text}; whether both have the same secret is not proved.",
    ]
    assert findings(nodes, NAMES) == []


def test_table_of_a_kas_whose_url_nobody_knows():
    unknown = Checked(name="kas1", runs_kas=True, own_urls=[], info=node(own_private_api_urls=[], ready=False).info)
    assert table([unknown], {})[1] == "kas1  19.3.0   -        no     -        -              -        -        -"


def test_table_of_a_node_that_is_taken_back_and_one_that_does_not_answer():
    results = Results(info={"unreachable": True, "msg": "kas2: No route to host"})
    nodes = [node("kas1", runs_kas=False, is_present=False), checked("kas2", NODE, results, is_check=False)]
    assert table(nodes, NAMES)[1:] == [
        "kas1  19.3.0   uninstalled  -      -        -              same     -        -",
        "kas2  -        -            -      -        -              -        failed   -",
    ]
    assert list(map(str, findings(nodes, NAMES))) == ["kas2: No route to host"]


def test_table_of_many_nodes_counts_them():
    peers = [peer("kas2")] * 98 + [peer("kas2", False)]
    assert "  98 of 99  " in table([node("kas1", peers)], NAMES)[1]


NODE = {"deployment": "", "state": "present", "runs_kas": True, "own_urls": [], "secrets": ["api_secret_key"]}
WRITTEN = {"changed": True, "settings_changed": ["external_url"]}
PENDING = {"pending": ["roles"]}
BROKEN = {"failed": True, "msg": "kas1: It is broken."}


@pytest.mark.parametrize(
    ("returned", "is_check", "changed"),
    [
        ({}, False, "-"),
        ({"written": WRITTEN}, False, "gitlab.rb"),
        ({"written": {"changed": True, "settings_changed": []}}, False, "files"),
        ({"reconfigured": {"reason": "It has changed.", "restarted": True}}, False, "reconfigured"),
        ({"reconfigured": {"reason": None, "restarted": True}}, False, "restarted"),
        ({"reconfigured": {"reason": None, "started": True}}, False, "started"),
        ({"written": WRITTEN, "reconfigured": {"reason": "It has."}}, True, "would: gitlab.rb, reconfigured"),
        ({"dry_run": PENDING}, False, "pending"),
        ({"dry_run": PENDING, "written": WRITTEN}, False, "gitlab.rb"),
        ({"dry_run": PENDING, "written": WRITTEN, "reconfigured": BROKEN}, False, "gitlab.rb, failed"),
        ({"dry_run": PENDING, "written": BROKEN}, False, "failed"),
    ],
)
def test_what_has_changed(returned, is_check, changed):
    found = checked("kas1", NODE, Results(**returned), is_check=is_check)
    heading, line = table([found], {})
    assert line[heading.index("changed") : heading.index("seconds")].strip() == changed


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("kas1", [peer("kas2")]), node("kas2", [peer("kas1")])], []),
        ([node(blocking_errors=["gitlab.rb does not exist."])], ["kas1: gitlab.rb does not exist."]),
        ([node(problems=["The log cannot be read."])], ["kas1: The log cannot be read."]),
        (
            [node(enabled=False, running=False)],
            ["kas1: KAS is not enabled, but the inventory says it runs here; run the playbook deploy."],
        ),
        (
            [node(running=False, readiness="gitlab-kas does not run")],
            [
                "kas1: KAS does not run (gitlab-kas does not run); read /var/log/gitlab/gitlab-kas/current, and"
                " run"
                " the playbook deploy."
            ],
        ),
        (
            [node(ready=False, readiness="redis: refused")],
            ["kas1: KAS is not ready (redis: refused); read /var/log/gitlab/gitlab-kas/current."],
        ),
        (
            [node(runs_kas=False)],
            ["kas1: KAS runs, but the inventory says it does not; run the playbook deploy."],
        ),
        ([node(runs_kas=False, enabled=False, running=False, ready=False, own_private_api_urls=[])], []),
        (
            [node(reconfigure_pending="gitlab.rb has changed.")],
            ["kas1: A reconfigure is pending (gitlab.rb has changed); run the playbook deploy."],
        ),
        (
            [node(restart_pending="/etc/gitlab/kas.crt has changed since the last start of KAS on record.")],
            [
                "kas1: A restart of KAS is pending (/etc/gitlab/kas.crt has changed since the last start of KAS on"
                " record); run the playbook deploy."
            ],
        ),
        (
            [node(reconfigure_pending="ca.crt has changed.", restart_pending="ca.crt has changed.")],
            ["kas1: A reconfigure is pending (ca.crt has changed); run the playbook deploy."],
        ),
        ([node(runs_kas=False, running=False, restart_pending="ca.crt has changed.")], []),
        (
            [node(own_private_api_urls=["grpc://localhost:8155"])],
            [
                "kas1: KAS publishes grpc://localhost:8155 as its own URL, but grpc://10.0.0.1:8155 follows from the"
                " inventory; run the playbook deploy."
            ],
        ),
        (
            [node("kas1", [peer("kas2", False, "connection refused", "see that KAS runs there")])],
            ["kas1: KAS does not reach kas2 at grpc://10.0.0.2:8155 (connection refused); see that KAS runs there."],
        ),
        (
            [node("kas1", rails=rails(False, "connection refused", "see that KAS runs there"))],
            ["kas1: Rails does not reach grpc://lb.example.com:8153 (connection refused); see that KAS runs there."],
        ),
        # What this run has done already does not help once more.
        (
            [node(changed=["reconfigured"], enabled=False, running=False)],
            [
                "kas1: KAS is not enabled, but the inventory says it runs here; run gitlab-ctl reconfigure there, and"
                " read what it says of gitlab-kas."
            ],
        ),
        (
            [node(changed=["reconfigured"], running=False, readiness="gitlab-kas does not run")],
            ["kas1: KAS does not run (gitlab-kas does not run); read /var/log/gitlab/gitlab-kas/current."],
        ),
        (
            [node(changed=["reconfigured"], runs_kas=False)],
            [
                "kas1: KAS runs, but the inventory says it does not; run gitlab-ctl stop gitlab-kas there, and see what"
                " starts it."
            ],
        ),
        (
            [node(changed=["reconfigured"], reconfigure_pending="gitlab.rb has changed.")],
            [
                "kas1: A reconfigure is pending (gitlab.rb has changed); see what else writes there while this playbook"
                " runs, and run it again."
            ],
        ),
        (
            [node(changed=["reconfigured"], own_private_api_urls=["grpc://localhost:8155"])],
            [
                "kas1: KAS publishes grpc://localhost:8155 as its own URL, but grpc://10.0.0.1:8155 follows from the"
                " inventory; read /var/log/gitlab/gitlab-kas/current, where it says so at its start, and run gitlab-ctl"
                " restart gitlab-kas there."
            ],
        ),
        (
            [node("kas1", changed=["gitlab.rb"], rails={"peers": []})],
            [
                "kas1: Rails has no URL of KAS; see whether its gitlab.rb sets gitlab_rails['gitlab_kas_enabled'] to"
                " false."
            ],
        ),
        (
            [node("kas1"), node("kas2", changed=["gitlab.rb"], fingerprint="bbbbbbbbbbbb")],
            [
                "kas2: its api_secret_key (fingerprint bbbbbbbbbbbb) is not that of kas1 (aaaaaaaaaaaa); see what else"
                " sets it, there or on that node, such as an included file."
            ],
        ),
        ([node("kas1", rails=rails())], []),
        ([node("kas1", rails={"peers": []})], ["kas1: Rails has no URL of KAS; run the playbook deploy."]),
        (
            [node("kas1", rails={"peers": [], "msg": "The file does not exist; run gitlab-ctl reconfigure."})],
            ["kas1: The file does not exist; run gitlab-ctl reconfigure."],
        ),
        ([node(failures=["It is broken."], reconfigure_pending="gitlab.rb has changed.")], ["kas1: It is broken."]),
        ([node(is_present=False, runs_kas=False), node("kas2", fingerprint="bbbbbbbbbbbb")], []),
        (
            [node("kas1"), node("kas2", fingerprint="bbbbbbbbbbbb")],
            [
                "kas2: its api_secret_key (fingerprint bbbbbbbbbbbb) is not that of kas1 (aaaaaaaaaaaa); run the"
                " playbook deploy."
            ],
        ),
    ],
)
def test_findings(nodes, expected):
    assert list(map(str, findings(nodes, NAMES))) == expected
