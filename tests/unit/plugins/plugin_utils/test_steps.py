# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules run on a node, in which order, and what becomes of their results."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._modules import ModuleError, Modules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._steps import (
    Contents,
    StepError,
    check_certificates,
    pending,
    reach,
    reconfigure,
    rollback,
    tidies,
    tidy,
    untrusted,
    write,
)

ROLES = ["kas", "kas_rails", "kas_secrets", "kas_certificates"]
SOCKETS = "/var/opt/gitlab/gitlab-kas/sockets"
PAIR = {
    "kind": "server",
    "api": "private_api",
    "variable": "kas_private_api",
    "server_names": ["kas.internal"],
    "certificate": "/k.crt",
    "certificate_src": "k.crt",
    "certificate_content": "",
    "certificate_title": "kas_private_api_certificate_src 'k.crt'",
    "key": "/k.key",
    "key_src": "",
    "key_title": "kas_private_api_key_content",
    "given": True,
}
AUTHORITY = {
    "kind": "authority",
    "api": "",
    "variable": "",
    "server_names": [],
    "certificate": "/etc/gitlab/trusted-certs/ca.crt",
    "certificate_src": "",
    "certificate_content": "CA",
    "title": "kas_ca_certificates[0]",
    "certificate_title": "kas_ca_certificates[0] (ca)",
    "key": "",
    "key_src": "",
    "key_title": "",
    "given": True,
}
FILES = {("kas_private_api_certificate_src", "k.crt"): "CERTIFICATE of k.crt"}
VARIABLES = {"kas_private_api_key_content": "KEY"}


def node(**special):
    parts = {
        "kas": {
            "settings": {"gitlab_kas": {"enable": True}},
            "remove": {},
            "asked": {"gitlab_kas": {}},
            "is_complete": True,
        },
        "kas_rails": {"settings": {}, "remove": {}, "asked": {}, "is_complete": False},
        "kas_secrets": {
            "settings": {"gitlab_kas": {"api_secret_key": "s"}},
            "remove": {},
            "asked": {},
            "is_complete": False,
        },
    }
    return {
        "deployment": "",
        "state": "present",
        "runs_kas": True,
        "user": "git",
        "group": "git",
        "socket_dir": "",
        "spare_dir": "",
        "certificates": [],
        "min_valid_days": 30,
        "gitlab_rb": {"path": "/g.rb", "backup": False},
        "parts": parts,
        "asks_kas": False,
        "peer_urls": [],
        "probe": {"call": "private_api", "server_name": None, "timeout_s": 5},
        **special,
    }


class Node:
    """Runs no module, but says what each is asked, and answers as it is told."""

    def __init__(self, **answers):
        self.asked = []
        self.answers = answers
        self.modules = Modules(self.execute)

    def execute(self, name, arguments):
        name = name.rpartition(".")[2]
        self.asked.append((name, arguments))
        answer = self.answers.get(name, {})
        return answer(arguments) if callable(answer) else answer

    @property
    def names(self):
        return [name for name, _arguments in self.asked]


def contents(of):
    return Contents(of, lambda *named: FILES[named], VARIABLES.get)


@pytest.mark.parametrize(("given", "expected"), [("KEY", "KEY"), ("", None), (" \n", None), (None, None)])
def test_a_blank_key_is_none(given, expected):
    item = {"variable": "kas_private_api", "key_src": ""}
    assert Contents(node(), FILES.get, {"kas_private_api_key_content": given}.get).key(item) == expected


def test_settings_of_all_roles_are_one_write():
    written = {
        "changed": True,
        "settings_changed": ["gitlab_kas['enable']"],
        "files": ["/g.rb"],
        "undo": "cp /before /g.rb",
        "diff": {"prepared": "+"},
    }
    there = Node(gitlab_rb=written)
    names = write(node(), ROLES, there.modules, contents(node()))
    assert there.asked == [
        (
            "gitlab_rb",
            {
                "path": "/g.rb",
                "backup": False,
                "state": "present",
                "settings": {"gitlab_kas": {"enable": True, "api_secret_key": "s"}},
                "remove": {},
                "record_for": {"kas": {"gitlab_kas": {}}},
                "record": "/var/lib/kasops.gitlab_kas/settings.json",
                "previous": "/var/lib/kasops.gitlab_kas/previous",
            },
        )
    ]
    settings = {"settings_changed": ["gitlab_kas['enable']"], "settings_left": []}
    assert names == {**settings, "files": ["/g.rb"], "undo": "cp /before /g.rb"}
    assert there.modules.result() == {"changed": True, "diff": [{"prepared": "+"}]}


@pytest.mark.parametrize(
    ("special", "roles", "expected"),
    [
        ({}, ["kas"], ["gitlab_rb"]),
        ({}, ["kas_certificates"], []),
        ({"certificates": [PAIR, AUTHORITY]}, ROLES, ["kas_certificate", "kas_certificate", "gitlab_rb"]),
        ({"certificates": [{**PAIR, "given": False}]}, ROLES, ["gitlab_rb"]),
        ({"socket_dir": SOCKETS}, ROLES, ["getent", "kas_socket_directory", "gitlab_rb"]),
        ({"socket_dir": SOCKETS}, ["kas_rails"], ["gitlab_rb"]),
        ({"state": "reverted"}, ROLES, ["kas_certificate", "gitlab_rb"]),
    ],
)
def test_what_is_written(special, roles, expected):
    there = Node(getent={"ansible_facts": {"getent_passwd": {"git": ["x"]}}})
    write(node(**special), roles, there.modules, contents(node(**special)))
    assert there.names == expected


def test_a_certificate_and_its_key():
    there = Node()
    write(node(certificates=[PAIR]), ["kas_certificates"], there.modules, contents(node(certificates=[PAIR])))
    assert there.asked[0][1] == {
        "certificate": "/k.crt",
        "certificate_content": "CERTIFICATE of k.crt",
        "key": "/k.key",
        "key_content": "KEY",
        "user": "git",
        "group": "git",
        "record": "/var/lib/kasops.gitlab_kas/server.json",
    }


def test_a_user_that_is_not_there():
    there = Node(getent={"ansible_facts": {"getent_passwd": {"git": None}}})
    with pytest.raises(StepError) as caught:
        write(node(socket_dir=SOCKETS), ROLES, there.modules, contents(node()))
    assert str(caught.value) == (
        f"the node has no user 'git', who runs KAS and must own {SOCKETS}; run gitlab-ctl reconfigure there once, which"
        " makes that user."
    )
    assert there.names == ["getent"]


def test_nothing_runs_after_a_failure():
    there = Node(kas_certificate={"failed": True, "msg": "They do not belong together."})
    with pytest.raises(ModuleError) as caught:
        write(node(certificates=[PAIR]), ROLES, there.modules, contents(node(certificates=[PAIR])))
    assert caught.value.result == {"failed": True, "msg": "They do not belong together."}
    assert there.names == ["kas_certificate"]


def test_every_certificate_is_opened():
    found = {"pem": "P", "problems": [], "warnings": []}
    there = Node(kas_certificate_info={"certificate": found})
    of = node(certificates=[PAIR, AUTHORITY])
    assert check_certificates(of, there.modules, contents(of)) == [
        {"item": PAIR, "certificate": found},
        {"item": AUTHORITY, "certificate": found},
    ]
    assert there.asked[0][1] == {
        "kind": "server",
        "certificate": "/k.crt",
        "certificate_content": "CERTIFICATE of k.crt",
        "certificate_title": "kas_private_api_certificate_src 'k.crt'",
        "key": "/k.key",
        "key_content": "KEY",
        "key_title": "kas_private_api_key_content",
        "ca": ["CA"],
        "server_names": ["kas.internal"],
        "user": "git",
        "group": "git",
        "min_valid_days": 30,
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"chain_ok": True, "problems": ["It expires, which its own host tells."]}, []),
        ({"chain_ok": False, "problems": ["It is unknown."]}, ["It is unknown."]),
    ],
)
def test_what_others_show(found, expected):
    there = Node(kas_certificate_info={"certificate": found})
    checked = {"kas1": [], "kas2": [{"item": PAIR, "certificate": {"pem": "B"}}]}
    groups = {"gitlab_kas": ["kas1", "kas2"]}
    assert list(untrusted("kas1", groups, checked, there.modules, contents(node()))) == expected
    assert there.asked[0][1]["certificate_title"] == "kas_private_api_certificate of kas2"


PLANNED = {"inputs": ["/etc/gitlab/trusted-certs"], "restart_inputs": [], "timeout_s": 3600}
PRESENT = node(reconfigure=PLANNED, ready_timeout_s=60)
BACK = "/g.rb was put back and GitLab reconfigured with it"


@pytest.mark.parametrize(
    ("was_ready", "kas", "said"),
    [
        (False, None, f"{BACK}; KAS was not ready before, either."),
        (True, {"ready": True}, f"{BACK}; KAS is ready again, with its old settings."),
        (
            True,
            {"ready": False, "readiness": "redis: refused"},
            f"{BACK}, but KAS is not ready with its old settings, either (redis: refused); run the playbook diagnose.",
        ),
    ],
)
def test_rollback(was_ready, kas, said):
    there = Node(kas_info={"kas": kas})
    written = {"undo": "cp", "files": ["/kas.rb"], "was_ready": was_ready, "changed": True}
    assert rollback(PRESENT, written, there.modules) == said
    assert there.names == ["gitlab_rb_restore", "gitlab_reconfigure", *(["kas_info"] if was_ready else [])]
    assert "/kas.rb" in there.asked[1][1]["inputs"]
    assert there.asked[2:] == ([("kas_info", {"path": "/g.rb", "wait_s": 60})] if was_ready else [])


def test_nothing_is_reconfigured_where_nothing_can_be_put_back():
    there = Node(gitlab_rb_restore={"failed": True, "msg": "It was changed."})
    with pytest.raises(ModuleError, match=r"^It was changed\.$"):
        rollback(PRESENT, {"files": [], "was_ready": True}, there.modules)
    assert there.names == ["gitlab_rb_restore"]


@pytest.mark.parametrize(
    ("special", "roles", "expected"),
    [
        ({}, ROLES, []),
        ({"spare_dir": SOCKETS}, ROLES, ["kas_socket_directory"]),
        ({"spare_dir": SOCKETS}, ["kas_rails"], []),
        ({"state": "reverted"}, ROLES, ["kas_certificate", "gitlab_rb_restore"]),
        ({"state": "reverted"}, ["kas_certificates"], ["kas_certificate"]),
    ],
)
def test_tidy(special, roles, expected):
    there = Node()
    tidy(node(**special), roles, there.modules)
    assert tidies(node(**special), roles) is bool(expected)
    assert there.names == expected


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        ({}, [("kas_probe", {"call": "private_api", "timeout_s": 5, "peers": ["grpc://b:8155"]})]),
        (
            {"asks_kas": True},
            [("kas_probe", {"call": "private_api", "timeout_s": 5, "peers": ["grpc://b:8155"], "rails": True})],
        ),
        ({"deployment": "staging"}, []),
        ({"deployment": "staging", "asks_kas": True}, [("kas_probe", {"call": "internal_api", "timeout_s": 5})]),
        ({"runs_kas": False}, []),
        ({"runs_kas": False, "asks_kas": True}, [("kas_probe", {"call": "internal_api", "timeout_s": 5})]),
    ],
)
def test_who_is_called(special, expected):
    there = Node(kas_probe={"failed": True, "msg": "It cannot ask."})
    nodes = {"a": node(peer_urls=["grpc://a:8155"], **special), "b": node(peer_urls=["grpc://b:8155"])}
    answers = reach("a", nodes, there.modules)
    assert there.asked == expected
    assert {answer["msg"] for answer in answers.values() if answer} == ({"It cannot ask."} if expected else set())


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            {"peers": ["one"], "rails": {"peers": ["two"]}},
            {"probe": {"peers": ["one"]}, "rails_probe": {"peers": ["two"]}},
        ),
        (
            {"failed": True, "msg": "No secret.", "peers": [], "rails": {"peers": ["two"]}},
            {"probe": {"failed": True, "msg": "No secret.", "peers": []}, "rails_probe": {"peers": ["two"]}},
        ),
        (
            {"failed": True, "msg": "No Python."},
            {
                "probe": {"failed": True, "msg": "No Python."},
                "rails_probe": {"failed": True, "msg": "No Python."},
            },
        ),
    ],
)
def test_kas_and_rails_in_one_run(found, expected):
    nodes = {"a": node(asks_kas=True), "b": node(peer_urls=["grpc://b:8155"])}
    assert reach("a", nodes, Node(kas_probe=found).modules) == expected


def test_a_node_that_does_not_answer_can_call_nobody():
    nodes = {"a": node(asks_kas=True), "b": node(peer_urls=["grpc://b:8155"])}
    with pytest.raises(ModuleError) as raised:
        reach("a", nodes, Node(kas_probe={"unreachable": True, "msg": "No route."}).modules)
    assert raised.value.result == {"unreachable": True, "msg": "No route."}


@pytest.mark.parametrize(
    ("state", "written", "is_check", "expected"),
    [
        ("present", {}, False, {}),
        ("reverted", {}, False, {"start": False}),
        ("present", {"changed": True, "files": ["/kas.rb"]}, False, {"inputs": ["/ca", "/kas.rb"]}),
        ("present", {"changed": True, "files": []}, True, {"force": True}),
        ("present", {"changed": False, "files": []}, True, {}),
    ],
)
def test_a_reconfigure(state, written, is_check, expected):
    there = Node(gitlab_reconfigure={"changed": True, "reason": "It has changed."})
    planned = {"inputs": ["/ca"], "restart_inputs": ["/ca", "/crt"], "timeout_s": 60}
    gitlab_rb = {"path": "/etc/gitlab/gitlab.rb"}
    of_node = {"state": state, "reconfigure": planned, "gitlab_rb": gitlab_rb}
    assert reconfigure(of_node, written, there.modules, is_check=is_check)["reason"] == "It has changed."
    plain = {**gitlab_rb, **planned, "force": False, "start": True}
    assert there.asked == [("gitlab_reconfigure", {**plain, **expected})]


SETTLED = {"changed": False, "settings_changed": []}
HEALTHY = {"enabled": True, "ready": True, "readiness": "ok", "reconfigure_pending": None}


@pytest.mark.parametrize(
    ("special", "info", "dry_run", "expected"),
    [
        ({}, {}, {}, []),
        ({}, {}, {"changed": True, "settings_changed": ["external_url", "roles"]}, ["external_url, roles"]),
        ({}, {}, {"changed": True}, ["files"]),
        ({}, {"reconfigure_pending": "It has changed."}, {}, ["It has changed"]),
        ({}, {"restart_pending": "The key has changed."}, {}, ["The key has changed"]),
        ({}, {"ready": False, "readiness": "redis: refused"}, {}, ["KAS is not ready (redis: refused)"]),
        ({"runs_kas": False}, {"enabled": False, "ready": False}, {}, []),
    ],
)
def test_pending(special, info, dry_run, expected):
    assert pending(node(**special), {**HEALTHY, **info}, {**SETTLED, **dry_run}) == expected
