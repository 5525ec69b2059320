"""kas_info: all there is to know of a node, and a sentence for everything that is wrong there."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import AppliedState, Finished, Package
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import Listener, Readiness
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._nginx_files import NO_FILES
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ports import Taken
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import NOTHING, Mark, Record
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import (
    SECRETS,
    SECRETS_JSON,
    fingerprint,
)
from ansible_collections.kasops.gitlab_kas.plugins.modules.kas_info import Sources, main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kas"
RUN = "run: gitlab-kas: (pid 812) 45s; run: log: (pid 790) 81s"
DOWN = "down: gitlab-kas: 1s, normally up; run: log: (pid 790) 81s"
IN_RB = base64.b64encode(b"r" * 32).decode()
IN_JSON = {name: base64.b64encode(b"j" * size).decode() for name, size in SECRETS.items()}
GITLAB_RB = f"""
external_url 'https://gitlab.example.com'
gitlab_kas['enable'] = true
gitlab_kas['api_secret_key'] = '{IN_RB}'
gitlab_kas['private_api_secret_key'] = nil
gitlab_kas['env'] = {{ 'OWN_PRIVATE_API_CIDR' => '10.0.0.0/8', 'TOKEN' => 'hunter2' }}
gitlab_rails['db_password'] = 'hunter2'
gitlab_rails['redis_username'] = 'rails'
gitlab_kas_nginx['listen_port'] = 81
git_data_dirs({{ 'default' => {{ 'path' => '/mnt/nas' }} }})
"""


class Node:
    """A healthy node, whose tests make it unhealthy."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("opt/gitlab/version-manifest.json", '{"build_version": "18.6.1-ee.0"}')
        self.gitlab_rb = self.write("etc/gitlab/gitlab.rb", GITLAB_RB)
        self.secrets = self.write("etc/gitlab/gitlab-secrets.json", json.dumps({"gitlab_kas": IN_JSON}))
        self.attributes = self.write("var/opt/gitlab/public_attributes.json", "{}")
        self.config = self.write(
            "var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml", (FIXTURES / "gitlab-kas-config.yml").read_text()
        )
        self.log = self.write("var/log/gitlab/gitlab-kas/current", (FIXTURES / "current_18.6").read_text())
        self.link = root / "opt/gitlab/service/gitlab-kas"
        self.link.parent.mkdir()
        self.link.symlink_to("/opt/gitlab/sv/gitlab-kas")
        self.status = Finished(0, RUN, "")
        self.readiness = Readiness(True, "ok")
        self.taken: list[Taken] = []
        self.asked: list[Listener] = []
        self.pauses: list[float] = []
        self.package = Package(self.gitlab_ctl, root=root)
        self.addresses: Callable[[], list[str]] = lambda: ["10.0.0.1", "fd00::1"]
        applied = AppliedState(self.package)
        applied.note(applied.snapshot([str(self.gitlab_rb)]))

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def gitlab_ctl(self, argv: Sequence[str], timeout_s: float) -> Finished:
        assert argv[1:] == ["status", "gitlab-kas"]
        return self.status

    def ready(self, listener: Listener) -> Readiness:
        self.asked.append(listener)
        return self.readiness

    def look(self, **params: Any) -> dict[str, Any]:
        before = {path: path.lstat().st_mtime_ns for path in self.root.rglob("*")}
        defaults: dict[str, Any] = {
            "path": str(self.gitlab_rb),
            "ruby": None,
            "include": None,
            "listen_hosts": [],
            "ports": [],
            "directories_record": None,
            "inputs": [],
            "restart_inputs": [],
            "names": [],
            "nginx_files": {},
            "wait_s": 0,
            "secret_values": False,
        }
        sources = Sources(
            self.package,
            self.addresses,
            self.ready,
            self.pauses.append,
            taken=lambda ports: [each for each in self.taken if each.port in ports],
            clock=lambda: 1764000000.5,
            fqdn=lambda: "gitlab-1.example.com",
        )
        result = run({**defaults, **params}, sources)
        assert result.pop("changed") is False
        assert {path: path.lstat().st_mtime_ns for path in self.root.rglob("*")} == before
        assert "hunter2" not in json.dumps(result)
        kas: dict[str, Any] = result["kas"]
        shown = json.dumps({**kas, "secret_values": None} if params.get("secret_values") else kas)
        assert not any(secret in shown for secret in (IN_RB, *IN_JSON.values()))
        return kas


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_where_a_listener_would_be(node: Node) -> None:
    assert node.look(listen_hosts=["127.0.0.1", "192.0.2.1"])["listen_hosts"] == {
        "127.0.0.1": {"address": "127.0.0.1", "problem": None},
        "192.0.2.1": {"address": "192.0.2.1", "problem": "cannot be listened on (Cannot assign requested address)"},
    }


def test_a_healthy_node(node: Node) -> None:
    assert node.look() == {
        "blocking_errors": [],
        "problems": [],
        "warnings": [],
        "included_files": [],
        "gitlab_version": "18.6.1",
        "configured": True,
        "enabled": True,
        "running": True,
        "ready": True,
        "readiness": "ok",
        "own_private_api_urls": ["grpc://10.0.0.1:8155", "grpc://[fd00::1]:8155"],
        "listeners": {
            "agent": {"network": "tcp", "address": "10.0.0.1:8150"},
            "kubernetes_api": {"network": "tcp", "address": "localhost:8154"},
            "observability": {"network": "tcp", "address": "localhost:8151"},
            "internal_api": {
                "network": "unix",
                "address": "/var/opt/gitlab/gitlab-kas/sockets/internal-api.socket",
            },
            "private_api": {"network": "tcp", "address": "[fd00::1]:8155"},
        },
        "secrets": {
            "api_secret_key": {
                "fingerprint": fingerprint(IN_RB),
                "source": "gitlab.rb",
                "problem": None,
                "computed": None,
            },
            "private_api_secret_key": {
                "fingerprint": fingerprint(IN_JSON["private_api_secret_key"]),
                "source": "gitlab-secrets.json",
                "problem": None,
                "computed": None,
            },
            "websocket_token_secret_key": {
                "fingerprint": fingerprint(IN_JSON["websocket_token_secret_key"]),
                "source": "gitlab-secrets.json",
                "problem": None,
                "computed": None,
            },
        },
        "secret_values": {},
        "settings": {
            "external_url": "https://gitlab.example.com",
            "gitlab_kas": {
                "enable": True,
                "api_secret_key": "********",
                "private_api_secret_key": None,
                "env": {"OWN_PRIVATE_API_CIDR": "10.0.0.0/8", "TOKEN": "********"},
            },
            "gitlab_kas_nginx": {"listen_port": 81},
            "git_data_dirs": {"default": {"path": "/mnt/nas"}},
            "gitlab_rails": {"redis_username": "rails"},
        },
        "lines": {
            "gitlab_kas['enable']": "line 3",
            "gitlab_kas['api_secret_key']": "line 4",
            "gitlab_kas['private_api_secret_key']": "line 5",
            "gitlab_kas['env']": "line 6",
        },
        "unreadable": {},
        "addresses": ["10.0.0.1", "fd00::1"],
        "listen_hosts": {},
        "ports": [],
        "redis": False,
        "time": 1764000000.5,
        "directories_on_record": [],
        "names": {},
        "nginx": {**NO_FILES, "fqdn": "gitlab-1.example.com", "letsencrypt": False},
        "reconfigure_pending": None,
        "restart_pending": None,
    }
    assert node.asked == [Listener("tcp", "localhost:8151")]


def test_ports_of_other_programs(node: Node) -> None:
    node.taken = [Taken("127.0.0.1", 8150, "gitlab-kas"), Taken("0.0.0.0", 80, "nginx"), Taken("::", 81, "")]
    assert node.look(ports=[80, 8150])["ports"] == [{"address": "0.0.0.0", "port": 80, "program": "nginx"}]


def test_a_redis_of_the_node(node: Node) -> None:
    node.link.with_name("redis").symlink_to("/opt/gitlab/sv/redis")
    assert node.look()["redis"] is True


def test_what_is_there_for_nginx(node: Node) -> None:
    for path in (
        *("etc/gitlab/ssl/gitlab.example.com.crt", "etc/gitlab/ssl/old/x.crt", "srv/tls/kas.crt", "srv/tls/kas.key"),
        *("srv/tls/wild.crt", "srv/other.crt", "srv/given.crt"),
    ):
        node.write(path, "-----BEGIN CERTIFICATE-----")
    node.write("srv/tls/kas.key", "\n")
    node.write("srv/tls/wild.crt", "DER")
    (node.root / "etc/gitlab/ssl/gone.key").symlink_to("nowhere")
    node.secrets.write_text(json.dumps({"gitlab_kas": IN_JSON, "letsencrypt": {"auto_enabled": True}}))
    node.gitlab_rb.write_text(
        "external_url 'https://gitlab.example.com'\n"
        "roles ['application_role']\n"
        "monitoring_role['enable'] = false\n"
        "letsencrypt['enable'] = nil\n"
        "letsencrypt['contact_emails'] = ['hunter2']\n"
        "package['generate_secrets_json_file'] = false\n"
        "package['modify_kernel_parameters'] = 'hunter2'\n"
        "nginx['custom_nginx_config'] = 'hunter2'\n"
        "nginx['listen_https'] = https\n"
        "nginx['gzip_enabled'] = gzip\n"
        "nginx['ssl_certificate'] = '/srv/tls/wild.crt'\n"
        "gitlab_rails['enable'] = true\n"
        "gitlab_rails['nginx'] = { 'enable' => true, 'custom_gitlab_server_config' => 'hunter2' }\n"
        "gitlab_kas_nginx['ssl_certificate'] = '/srv/tls/kas.crt'\n"
        "gitlab_kas['nginx'] = { 'ssl_certificate_key' => '/srv/tls/kas.key', 'ssl_certificate' => '/srv/tls' }\n"
    )
    kas = node.look(nginx_files={"ssl_certificate": "/srv/given.crt", "ssl_certificate_key": "/srv/missing.key"})
    assert kas["nginx"] == {
        "files": [
            "/etc/gitlab/ssl/gitlab.example.com.crt",
            "/srv/given.crt",
            "/srv/tls/kas.crt",
            "/srv/tls/kas.key",
            "/srv/tls/wild.crt",
        ],
        "unusable": {
            "/etc/gitlab/ssl/gitlab.example.com.crt": "holds a certificate that is damaged",
            "/srv/given.crt": "holds a certificate that is damaged",
            "/srv/tls/kas.crt": "holds a certificate that is damaged",
            "/srv/tls/kas.key": "is empty",
            "/srv/tls/wild.crt": "holds nothing in PEM form",
        },
        "certificates": {},
        "encrypted": {},
        "fqdn": "gitlab-1.example.com",
        "letsencrypt": True,
    }
    assert kas["settings"] == {
        "external_url": "https://gitlab.example.com",
        "gitlab_kas": {"nginx": {"ssl_certificate": "/srv/tls", "ssl_certificate_key": "/srv/tls/kas.key"}},
        "gitlab_kas_nginx": {"ssl_certificate": "/srv/tls/kas.crt"},
        "gitlab_rails": {"enable": True, "nginx": {"enable": True}},
        "letsencrypt": {"enable": None},
        "monitoring_role": {"enable": False},
        "nginx": {"ssl_certificate": "/srv/tls/wild.crt"},
        "package": {"generate_secrets_json_file": False},
        "roles": ["application_role"],
    }
    assert kas["unreadable"] == {"nginx['listen_https']": "line 9"}


def test_secret_values(node: Node) -> None:
    assert node.look(secret_values=True)["secret_values"] == {**IN_JSON, "api_secret_key": IN_RB}


def test_directories_on_record(node: Node) -> None:
    path = str(node.root / "directories.json")
    assert node.look(directories_record=path)["directories_on_record"] == []
    record = Record(path)
    record.note(("/run/kas",), NOTHING, Mark("a directory"))
    record.save()
    assert node.look(directories_record=path)["directories_on_record"] == ["/run/kas"]


def test_a_damaged_record_is_told_before_anything_changes(node: Node) -> None:
    path = node.write("directories.json", "{")
    assert node.look(directories_record=str(path))["blocking_errors"] == [
        f"{path} is damaged, so the changes made on this node are no longer known; move it away to continue without it."
    ]


# Nodes that are healthy, but different


def test_a_node_without_kas(node: Node) -> None:
    node.link.unlink()
    kas = node.look()
    assert kas["blocking_errors"] == []
    assert (kas["enabled"], kas["running"], kas["ready"]) == (False, False, False)
    assert kas["readiness"] == "gitlab-kas is not enabled"
    assert (kas["listeners"], kas["own_private_api_urls"]) == ({}, [])


def test_a_stopped_kas(node: Node) -> None:
    node.status = Finished(3, DOWN, "")
    kas = node.look()
    assert kas["blocking_errors"] == []
    assert (kas["enabled"], kas["running"], kas["ready"]) == (True, False, False)
    assert kas["readiness"] == f"gitlab-kas does not run ({DOWN})"
    assert kas["own_private_api_urls"] == []
    assert kas["listeners"]["agent"] == {"network": "tcp", "address": "10.0.0.1:8150"}


NOT_READY = Readiness(False, "privateApiServer: not ready yet")
REDIS = "redis client: WRONGPASS"
BIND = "listen tcp 192.0.2.1:8155: bind: cannot assign requested address"
JSON_ABORT = f'2025-11-20 {{"time":"…","level":"ERROR","msg":"Program aborted","error":"{REDIS}"}}\n'
# A listener that cannot bind ends KAS ten seconds after the others are up, and runit starts it again.
ENDED_BY_BIND = f"""\
2023-11-20 {{"level":"info","time":"…","msg":"Using own private API URL","url":"grpc://192.0.2.1:8155"}}
2023-11-20 {{"level":"info","time":"…","msg":"Observability endpoint is up"}}
2023-11-20 {{"level":"info","time":"…","msg":"Agentk API endpoint is up"}}
2023-11-20 {{"level":"info","time":"…","msg":"API endpoint is up"}}
2023-11-20 Program aborted: {BIND}
"""
STARTING = ENDED_BY_BIND[: ENDED_BY_BIND.index("2023-11-20 Program")]


@pytest.mark.parametrize(
    ("status", "readiness", "log", "expected"),
    [
        (
            Finished(3, DOWN, ""),
            Readiness(True, "ok"),
            JSON_ABORT,
            f"gitlab-kas does not run ({DOWN}); it ended when it last started: {REDIS}",
        ),
        (Finished(0, RUN, ""), NOT_READY, JSON_ABORT, f"{NOT_READY.text}; it ended when it last started: {REDIS}"),
        (
            Finished(0, RUN, ""),
            NOT_READY,
            ENDED_BY_BIND + STARTING,
            f"{NOT_READY.text}; it ended when it last started: {BIND}",
        ),
        (Finished(0, RUN, ""), Readiness(True, "ok"), JSON_ABORT, "ok"),
        # Up for long: the log does not say so where log_level is warn or error.
        (Finished(0, RUN.replace(" 45s", " 61s"), ""), NOT_READY, JSON_ABORT, NOT_READY.text),
    ],
)
def test_a_kas_whose_start_fails(node: Node, status: Finished, readiness: Readiness, log: str, expected: str) -> None:
    node.status, node.readiness = status, readiness
    node.log.write_text(node.log.read_text() + log)
    assert node.look()["readiness"] == expected


def test_a_socket_of_a_killed_kas(node: Node) -> None:
    node.config.write_text("api:\n  listen:\n    network: unix\n    address: /kas.socket\n")
    path = node.root / "kas.socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert node.look()["problems"] == []  # KAS is ready, so it is not asked
    node.readiness = NOT_READY
    assert node.look()["problems"] == [
        f"{path} was left by a KAS that was killed and keeps KAS from starting; run the playbook deploy, which removes"
        " it, or remove it yourself."
    ]


def test_a_kas_that_is_not_ready(node: Node) -> None:
    node.readiness = Readiness(False, "redis: dial tcp: connection refused")
    kas = node.look()
    assert (kas["ready"], kas["readiness"]) == (False, "redis: dial tcp: connection refused")


def test_a_kas_with_directories_of_its_own(node: Node) -> None:
    """What runs counts: gitlab.rb may be newer, or compute them."""
    node.gitlab_rb.write_text("gitlab_kas['dir'] = '/srv/new'\ngitlab_kas['log_directory'] = log_directory\n")
    node.write("opt/gitlab/sv/gitlab-kas/log/run", "#!/bin/sh\nexec svlogd -tt /srv/log\n")
    node.write("opt/gitlab/sv/gitlab-kas/run", "exec gitlab-kas --configuration-file /srv/kas/gitlab-kas-config.yml\n")
    node.write("srv/kas/gitlab-kas-config.yml", "observability:\n  listen:\n    address: /o\n    network: unix\n")
    node.write("srv/log/current", (FIXTURES / "current_17.6").read_text())
    kas = node.look()
    assert kas["own_private_api_urls"] == ["grpc://10.0.0.8:8155"]
    assert node.asked == [Listener("unix", "/o")]


def test_a_node_just_installed(node: Node) -> None:
    for path in (node.secrets, node.link, node.config, node.log, node.attributes, AppliedState(node.package).path):
        path.unlink()
    node.gitlab_rb.write_text("external_url 'https://gitlab.example.com'\n")
    kas = node.look(secret_values=True)
    assert kas["blocking_errors"] == []
    nothing = {"fingerprint": None, "source": None, "problem": None, "computed": None}
    assert kas["secrets"] == dict.fromkeys(SECRETS, nothing)
    assert kas["secret_values"] == {}
    assert kas["configured"] is False
    assert kas["reconfigure_pending"] == "No successful reconfigure is on record."


def test_a_reconfigure_that_is_owed_for_a_certificate(node: Node) -> None:
    certificate = node.write("etc/gitlab/kas.crt", "certificate")
    kas = node.look(inputs=[str(certificate)])
    assert kas["reconfigure_pending"] == f"{certificate} has appeared since the last successful reconfigure."


def test_a_restart_that_is_pending_for_a_certificate(node: Node) -> None:
    certificate = node.write("etc/gitlab/kas.crt", "certificate")
    applied = AppliedState(node.package)
    applied.note(applied.snapshot([str(node.gitlab_rb), str(certificate)]))
    assert node.look(restart_inputs=[str(certificate)])["restart_pending"] is None
    certificate.write_text("renewed")
    kas = node.look(restart_inputs=[str(certificate)])
    assert kas["reconfigure_pending"] is None
    assert kas["restart_pending"] == f"{certificate} has changed since the last start of KAS on record."


def test_a_file_of_our_own(node: Node) -> None:
    own = node.gitlab_rb.with_name("kas.rb")
    assert node.look(include=str(own))["reconfigure_pending"] is None
    own.write_text("gitlab_kas['log_level'] = 'debug'\n")
    node.gitlab_rb.write_text(GITLAB_RB + f"gitlab_kas['enable'] = true if x\nfrom_file '{own}'\n")
    kas = node.look(include=str(own))
    assert kas["reconfigure_pending"] == f"{node.gitlab_rb} has changed since the last successful reconfigure."
    assert kas["settings"]["gitlab_kas"]["log_level"] == "debug"
    assert kas["blocking_errors"] == []  # what the condition decides is set again in the file
    with node.gitlab_rb.open("a") as file:
        file.write("gitlab_kas['enable'] = true if x\n")
    assert node.look(include=str(own))["blocking_errors"] == [
        f"{node.gitlab_rb}, line 13: gitlab_kas['enable'] is assigned inside an if, so {own} may set it without"
        f" effect; assign it outside of the if, on a line of its own, and include {own} after it."
    ]


def test_a_change_of_a_file_of_our_own(node: Node) -> None:
    own = node.write("etc/gitlab/kas.rb", "gitlab_kas['log_level'] = 'debug'\n")
    applied = AppliedState(node.package)
    applied.note(applied.snapshot([str(node.gitlab_rb), str(own)]))
    assert node.look(include=str(own))["reconfigure_pending"] is None
    own.write_text("")
    pending = node.look(include=str(own))["reconfigure_pending"]
    assert pending == f"{own} has changed since the last successful reconfigure."


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("''", {"source": "gitlab.rb", "problem": "is empty", "computed": None}),
        ("'c2hvcnQ='", {"source": "gitlab.rb", "problem": "holds 5 bytes instead of 32", "computed": None}),
        ("42", {"source": "gitlab.rb", "problem": "is not a string", "computed": None}),
        ("nil", {"source": "gitlab-secrets.json", "problem": None, "computed": None}),
        *(
            (code, {"fingerprint": None, "source": "gitlab.rb", "problem": None, "computed": "line 2"})
            for code in ("ENV['SECRET']", "File.read('/etc/gitlab/kas_secret').strip", '"#{x}"', "IN || nil")
        ),
    ],
)
def test_secrets_as_the_package_takes_them(node: Node, value: str, expected: dict[str, Any]) -> None:
    node.gitlab_rb.write_text(f"\ngitlab_kas['api_secret_key'] = {value}\n")
    kas = node.look(secret_values=True)
    secret = kas["secrets"]["api_secret_key"]
    assert {key: secret[key] for key in expected} == expected
    assert ("api_secret_key" in kas["secret_values"]) == (expected["computed"] is None)


def test_what_an_included_file_may_set_is_not_computed(node: Node) -> None:
    """The stored secret is what the last reconfigure took."""
    node.gitlab_rb.write_text("from_file '/nowhere'\n")
    kas = node.look(secret_values=True)
    assert {name: secret["source"] for name, secret in kas["secrets"].items()} == dict.fromkeys(SECRETS, SECRETS_JSON)
    assert kas["unreadable"] == {"*": "line 1"}


def test_settings_that_cannot_be_read(node: Node) -> None:
    node.gitlab_rb.write_text(
        "external_url ENV['URL'] || 'https://gitlab.example.com'\n"
        "gitlab_kas['listen_address'] = '0.0.0.0:8150'\n"
        "gitlab_kas['env'] = { 'A' => 'a', 'B' => ENV['B'] }\n"
        "gitlab_rails['gitlab_kas_external_url'] = url\n"
        "gitlab_rails['redis_host'] = host\n"
        "gitlab_rails['db_password'] = File.read('/hunter2')\n"
        "roles ['application_role']\n"
        "user['username'] = name\n"
        "nginx['enable'] = enable\n"
    )
    kas = node.look()
    assert kas["settings"] == {
        "gitlab_kas": {"listen_address": "0.0.0.0:8150", "env": {"A": "a"}},
        "roles": ["application_role"],
    }
    assert kas["unreadable"] == {
        "external_url": "line 1",
        "gitlab_kas['env']['B']": "line 3",
        "gitlab_rails['gitlab_kas_external_url']": "line 4",
        "gitlab_rails['redis_host']": "line 5",
        "user['username']": "line 8",
        "nginx['enable']": "line 9",
    }


# Unhealthy nodes


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def not_a_json_object(node: Node) -> None:
    node.secrets.write_text("[1]")


def addresses_fail(node: Node) -> None:
    def fail() -> list[str]:
        raise OSError(97, "Address family not supported by protocol")

    node.addresses = fail


@pytest.mark.parametrize(
    ("make_unhealthy", "problem"),
    [
        pytest.param(
            lambda node: node.gitlab_rb.unlink(),
            "{root}/etc/gitlab/gitlab.rb does not exist; install the GitLab Linux package or correct the path.",
            id="gitlab.rb missing",
        ),
        pytest.param(
            lambda node: node.gitlab_rb.write_text("gitlab_kas['enable' = true\n"),
            "{root}/etc/gitlab/gitlab.rb: line 1 is not valid Ruby",
            id="gitlab.rb not valid Ruby",
        ),
        pytest.param(
            lambda node: node.gitlab_rb.write_text("gitlab_kas = { 'enable' => true }\n"),
            "{root}/etc/gitlab/gitlab.rb, line 1: `gitlab_kas = …` makes gitlab_kas a Ruby variable",
            id="local variable",
        ),
        pytest.param(
            lambda node: node.gitlab_rb.write_text("if ENV['A']\n  gitlab_kas['enable'] = true\nend\n"),
            "{root}/etc/gitlab/gitlab.rb, line 2: gitlab_kas['enable'] is assigned inside an if",
            id="in a conditional",
        ),
        pytest.param(
            not_a_json_object,
            "{root}/etc/gitlab/gitlab-secrets.json is not a JSON object; restore the file.",
            id="secrets not JSON",
        ),
        pytest.param(
            lambda node: a_directory(node.secrets),
            "{root}/etc/gitlab/gitlab-secrets.json cannot be read (Is a directory); give the path of a file, or"
            " move that directory away.",
            id="secrets not readable",
        ),
        pytest.param(
            addresses_fail,
            "The kernel does not tell this node's addresses (Address family not supported by protocol); see what denies"
            " root a netlink socket, such as SELinux (ausearch -m avc -ts recent) or the container in which the node"
            " runs.",
            id="no addresses",
        ),
        pytest.param(
            lambda node: node.write("opt/gitlab/version-manifest.json", "{}"),
            "{root}/opt/gitlab/version-manifest.json names no build_version; repair the GitLab Linux package.",
            id="damaged package",
        ),
    ],
)
def test_a_sick_node(node: Node, make_unhealthy: Callable[[Node], object], problem: str) -> None:
    make_unhealthy(node)
    kas = node.look(secret_values=True)
    expected = problem.format(root=node.root)
    assert [found[: len(expected)] for found in kas["blocking_errors"]] == [expected]
    assert set(kas["secrets"]) == set(SECRETS)


@pytest.mark.parametrize(
    ("make_unhealthy", "problem"),
    [
        pytest.param(
            lambda node: node.config.unlink(),
            "KAS is enabled, but {root}/var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml does not exist; "
            "run gitlab-ctl reconfigure.",
            id="no configuration",
        ),
        pytest.param(
            lambda node: node.log.unlink(),
            "The log of KAS in {root}/var/log/gitlab/gitlab-kas cannot be read ([Errno 2] No such file or directory: "
            "'{root}/var/log/gitlab/gitlab-kas/current'); start KAS, whose service writes it.",
            id="no log",
        ),
    ],
)
def test_an_unhealthy_kas(node: Node, make_unhealthy: Callable[[Node], object], problem: str) -> None:
    make_unhealthy(node)
    kas = node.look()
    assert (kas["blocking_errors"], kas["problems"]) == ([], [problem.format(root=node.root)])


@pytest.mark.parametrize(
    ("wait_s", "ready_after", "looks", "ready"),
    [(0, 1, 1, False), (5, 0, 1, True), (5, 2, 3, True), (2, 9, 3, False)],
)
def test_wait(node: Node, wait_s: int, ready_after: int, looks: int, ready: bool) -> None:
    answers = [Readiness(False, "redis: refused")] * ready_after + [Readiness(True, "ok")]
    node.ready = lambda _listener: answers.pop(0)  # type: ignore[method-assign]
    kas = node.look(wait_s=wait_s)
    assert (kas["ready"], ready_after + 1 - len(answers), node.pauses) == (ready, looks, [1] * (looks - 1))


def test_no_wait_for_a_kas_that_is_off(node: Node) -> None:
    node.link.unlink()
    assert (node.look(wait_s=5)["ready"], node.pauses) == (False, [])


def test_every_problem_counts(node: Node) -> None:
    node.gitlab_rb.unlink()
    not_a_json_object(node)
    assert len(node.look()["blocking_errors"]) == 2


def test_ruby_missing(node: Node) -> None:
    problem = "There is no Ruby at /nowhere/ruby, so gitlab.rb cannot be checked"
    assert node.look(ruby="/nowhere/ruby")["blocking_errors"][0].startswith(problem)


def test_package_not_installed(node: Node) -> None:
    (node.root / "opt/gitlab/version-manifest.json").unlink()
    node.gitlab_rb.unlink()
    kas = node.look()
    assert kas["blocking_errors"] == [
        f"The GitLab Linux package is not installed: there is no {node.root}/opt/gitlab/version-manifest.json; "
        "install gitlab-ee or gitlab-ce."
    ]
    assert (kas["gitlab_version"], kas["addresses"]) == (None, ["10.0.0.1", "fd00::1"])


def test_gitlab_in_a_container(node: Node) -> None:
    (node.root / "opt/gitlab/version-manifest.json").unlink()
    assert node.look()["blocking_errors"] == [
        f"{node.gitlab_rb} is there, but the GitLab Linux package is not; if GitLab runs here from its image, this"
        " collection cannot manage it, so put the settings of KAS into that file or into GITLAB_OMNIBUS_CONFIG"
        " yourself; else install gitlab-ee or gitlab-ce."
    ]


def test_main_on_a_node_without_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"inputs": "/a,/b"}), pytest.raises(SystemExit) as caught:
        main()
    text = capsys.readouterr().out
    result = json.loads(text)
    assert caught.value.code == 0
    assert result["kas"]["blocking_errors"][0].startswith("The GitLab Linux package is not installed: ")
    assert result["invocation"]["module_args"]["inputs"] == ["/a", "/b"]


def test_included_files_count_as_gitlab_rb(node: Node) -> None:
    kas_rb, missing = node.write("etc/gitlab/kas.rb", "gitlab_kas['x'] = 1\n"), node.root / "etc/gitlab/missing.rb"
    node.gitlab_rb.write_text(
        f"from_file '{kas_rb}'\nfrom_file '{missing}' if File.exist?('{missing}')\nfrom_file 'relative.rb'\n"
    )
    applied = AppliedState(node.package)
    applied.note(applied.snapshot(list(map(str, [node.gitlab_rb, kas_rb, missing]))))
    kas = node.look()
    assert kas["included_files"] == [str(kas_rb), str(missing)]
    assert kas["reconfigure_pending"] is None
    kas_rb.write_text("gitlab_kas['x'] = 2\n")
    assert node.look()["reconfigure_pending"] == f"{kas_rb} has changed since the last successful reconfigure."
    kas_rb.write_text("gitlab_kas['x'] = 1\n")
    missing.write_text("")
    assert node.look()["reconfigure_pending"] == f"{missing} has appeared since the last successful reconfigure."


@pytest.mark.parametrize("pattern", ["*.rb", "{a,kas}.rb", "**/*.rb", "k?s.rb"])
def test_a_file_that_a_pattern_no_longer_finds(node: Node, pattern: str) -> None:
    kas_rb = node.write("etc/gitlab/conf.d/kas.rb", "gitlab_kas['x'] = 1\n")
    node.gitlab_rb.write_text(f"Dir.glob('{kas_rb.parent}/{pattern}').sort.each {{ |file| from_file file }}\n")
    applied = AppliedState(node.package)
    kas = node.look()
    assert kas["included_files"] == [f"{kas_rb.parent}/{pattern}", str(kas_rb)]
    applied.note(applied.snapshot([str(node.gitlab_rb), *kas["included_files"]]))
    assert node.look()["reconfigure_pending"] is None
    kas_rb.unlink()
    assert node.look()["reconfigure_pending"] == f"{kas_rb} has vanished since the last successful reconfigure."


HEAD = "# This file is managed by Puppet\n"
OURS = "# BEGIN kasops.gitlab_kas\nfrom_file '$K'\n# END kasops.gitlab_kas\n"


@pytest.mark.parametrize(
    ("text", "include", "lines"),
    [
        (HEAD, False, ["line 1: another tool seems to write this file"]),
        (HEAD, True, ["line 1: another tool seems to write this file"]),
        (f"{HEAD}from_file '$K'\n", True, []),
        (HEAD + OURS, True, ["line 1: another tool seems to write this file"]),
        ("# BEGIN x\ngitlab_kas['a'] = 1\n# END x\n", False, ["line 2: gitlab_kas['a'] stands where another tool"]),
        ("# BEGIN x\nnginx['a'] = 1\n# END x\n", False, []),
        (
            "# BEGIN x\ngitlab_rails['gitlab_kas_enabled'] = 1\n# END x\n",
            False,
            ["line 2: gitlab_rails['gitlab_kas_en"],
        ),
    ],
)
def test_warnings(node: Node, text: str, include: bool, lines: list[str]) -> None:
    kas_rb = node.write("etc/gitlab/kas.rb", "")
    node.gitlab_rb.write_text(text.replace("$K", str(kas_rb)))
    warnings = node.look(include=str(kas_rb) if include else None)["warnings"]
    assert len(warnings) == len(lines)
    for warning, line in zip(warnings, lines):
        assert warning.startswith(f"{node.gitlab_rb}, {line}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "external_url 'x'\nnginx['a'] = False\n",
            "line 2: Ruby knows no False, so gitlab-ctl reconfigure would fail; write false.",
        ),
        (
            "gitlab_kas[\u2018enable\u2019] = true\n",
            "line 1: \u2018 (U+2018 LEFT SINGLE QUOTATION MARK) and \u2019 (U+2019 RIGHT SINGLE QUOTATION MARK) are no"
            " signs to Ruby and only look like ones; write ' instead.",
        ),
    ],
)
def test_what_reconfigure_would_fail_at_is_known_before(node: Node, text: str, sentence: str) -> None:
    node.gitlab_rb.write_text(text)
    assert node.look()["blocking_errors"] == [f"{node.gitlab_rb}, {sentence}"]


def test_code_at_the_top_level(node: Node) -> None:
    """It may set anything until then, and what stands behind it is known."""
    node.gitlab_rb.write_text(
        "external_url 'x'\neval ENV['GITLAB_OMNIBUS_CONFIG'].to_s\ngitlab_kas['enable'] = false\n"
    )
    kas = node.look()
    assert kas["blocking_errors"] == []
    assert (kas["settings"]["gitlab_kas"], kas["unreadable"]) == ({"enable": False}, {"*": "line 2"})


def test_what_names_are_here(node: Node) -> None:
    """Those that it is asked for, and the Redis of its gitlab.rb."""
    node.gitlab_rb.write_text(
        "gitlab_kas['redis_host'] = '[::1]'\n"
        "gitlab_rails['redis_host'] = '127.0.0.1'\n"
        "gitlab_rails['redis_sentinels'] = [{ 'host' => '192.0.2.1', 'port' => 26379 }, nil]\n"
    )
    found = node.look(names=["10.0.0.2", "127.0.0.1", "kas1..internal"])["names"]
    assert found.pop("kas1..internal")["problem"].startswith("cannot be resolved (")
    assert found == {
        address: {"addresses": [address], "problem": None} for address in ("10.0.0.2", "127.0.0.1", "::1", "192.0.2.1")
    }
