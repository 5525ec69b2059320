# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that were made by hand, as files of gitlab.rb: what describes them, and that deploy then leaves them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._masking import mask
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import find_ruby
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import SECRETS, make
from ansible_collections.kasops.gitlab_kas.plugins.modules import gitlab_rb, gitlab_rb_info, kas_info
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _adopt, _adopt_outcome
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import KAS_GROUP, RAILS_GROUP
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._gathered import Gathered, read
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._plan import WRITERS, plan, written

VALUES = {name: make(name, lambda size: size * b"s") for name in SECRETS}
OTHERS = {name: make(name, lambda size: size * b"t") for name in SECRETS}
BOTH = (KAS_GROUP, RAILS_GROUP)
URL = "external_url 'https://gitlab.example.com'\n"
SECRET_LINES = "".join(
    f"gitlab_kas['{name}'] = '{VALUES[name]}'\n" for name in ("api_secret_key", "private_api_secret_key")
)
# As the installation guide shows it, on each node with its own URL.
GUIDE = (
    URL
    + "gitlab_kas_external_url 'wss://kas.gitlab.example.com/'\n"
    + SECRET_LINES
    + """\
gitlab_kas['private_api_listen_address'] = '0.0.0.0:8155'
gitlab_kas['env'] = {
  'SSL_CERT_DIR' => "/opt/gitlab/embedded/ssl/certs/",
  'OWN_PRIVATE_API_URL' => 'grpc://$IP:8155'
}
gitlab_rails['gitlab_kas_internal_url'] = 'grpc://localhost:8153'
gitlab_rails['gitlab_kas_external_k8s_proxy_url'] = 'https://kas.gitlab.example.com/k8s-proxy/'
"""
)
SOCKETS = (
    URL
    + """\
gitlab_kas['internal_api_listen_network'] = 'unix'
gitlab_kas['internal_api_listen_address'] = '$D/internal-api.socket'
gitlab_kas['private_api_listen_network'] = 'unix'
gitlab_kas['private_api_listen_address'] = '$D/private-api.socket'
gitlab_kas['env'] = {
  'SSL_CERT_DIR' => "/opt/gitlab/embedded/ssl/certs/",
  'OWN_PRIVATE_API_URL' => 'unix://$D/private-api.socket'
}
"""
)
SOCKET_DIR = "/var/opt/gitlab/gitlab-kas/sockets"
GUIDE_VARIABLES = {
    "kas_external_url": "wss://kas.gitlab.example.com/",
    "kas_own_private_api_cidr": "10.0.0.0/24",
    "kas_private_api_listen_address": "0.0.0.0:8155",
    "kas_env": {"SSL_CERT_DIR": "/opt/gitlab/embedded/ssl/certs/"},
    "kas_write_defaults": False,
}
GUIDE_OF_RAILS = {
    "kas_internal_url": "grpc://localhost:8153",
    "kas_k8s_proxy_url": "https://kas.gitlab.example.com/k8s-proxy/",
}
APART = (
    "external_url 'https://kas.gitlab.example.com'\n"
    "gitlab_kas_external_url 'wss://kas.gitlab.example.com/-/kubernetes-agent/'\n"
    + "".join(
        f"{service}['enable'] = false\n"
        for service in ("gitaly", "gitlab_workhorse", "postgresql", "prometheus", "puma", "redis", "sidekiq")
    )
    + "nginx['enable'] = true\ngitlab_rails['auto_migrate'] = false\ngitlab_rails['rake_cache_clear'] = false\n"
    "gitlab_kas['gitlab_address'] = 'https://gitlab.example.com'\n"
    "gitlab_kas['internal_api_listen_address'] = '0.0.0.0:8153'\n"
    "gitlab_kas['private_api_listen_address'] = '0.0.0.0:8155'\n"
    "gitlab_kas['redis_sentinels'] = [{ 'host' => '10.0.0.7', 'port' => 26379 }]\n"
    "gitlab_kas['redis_sentinels_master_name'] = 'gitlab-redis'\n"
    "gitlab_kas['redis_password'] = 'hunter2'\n"
    "gitlab_kas['env'] = { 'OWN_PRIVATE_API_URL' => 'grpc://$IP:8155' }\n" + SECRET_LINES
)
RAILS_ALONE = (
    URL + "gitlab_kas['enable'] = false\ngitlab_rails['gitlab_kas_enabled'] = true\n"
    "gitlab_rails['gitlab_kas_external_url'] = 'wss://kas.gitlab.example.com/-/kubernetes-agent/'\n"
    "gitlab_rails['gitlab_kas_internal_url'] = 'grpc://10.0.0.9:8153'\n"
    "gitlab_rails['gitlab_kas_external_k8s_proxy_url'] = 'https://kas.gitlab.example.com/-/kubernetes-agent/k8s-proxy/'\n"
    f"gitlab_kas['api_secret_key'] = '{VALUES['api_secret_key']}'\n"
)


class _Loader(yaml.SafeLoader):
    """Takes Ansible's !unsafe for text."""


_Loader.add_constructor("!unsafe", lambda _loader, node: node.value)


class Node(NamedTuple):
    """A host, and the gitlab.rb that somebody has written there; $IP is its address."""

    text: str
    groups: tuple[str, ...] = BOTH
    enabled: bool = True
    addresses: tuple[str, ...] = ()
    stored: Mapping[str, str] = VALUES  # gitlab-secrets.json
    more: Mapping[str, Any] = {}  # of kas_info


class Adopted(NamedTuple):
    files: dict[str, dict[str, Any]]
    remarks: list[str]
    changes: list[str]
    refusals: list[str]
    texts: dict[str, str]


class Site:
    """The nodes kas1, kas2 and so on, each with a gitlab.rb in a directory of its own."""

    def __init__(self, root: Path, nodes: tuple[Node, ...]) -> None:
        self.root = root
        self.nodes = {f"kas{number}": node for number, node in enumerate(nodes, 1)}
        for number, (name, node) in enumerate(self.nodes.items(), 1):
            (root / name).mkdir()
            self.path(name).write_text(node.text.replace("$IP", f"10.0.0.{number}").replace("$D", SOCKET_DIR))

    def path(self, name: str) -> Path:
        return self.root / name / "gitlab.rb"

    def gathered(self, files: Mapping[str, Mapping[str, Any]]) -> list[Gathered]:
        return [
            Gathered(
                name,
                frozenset(node.groups),
                in_play=True,
                variables={
                    "kas_gitlab_rb_path": str(self.path(name)),
                    **{
                        key: value
                        for group in node.groups
                        for key, value in files.get(f"group_vars/{group}.yml", {}).items()
                    },
                    **files.get(f"host_vars/{name}.yml", {}),
                },
                result=self._result(number, name, node),
            )
            for number, (name, node) in enumerate(self.nodes.items(), 1)
        ]

    def adopt(self, files: Mapping[str, Mapping[str, Any]] | None = None) -> Adopted:
        gathered = self.gathered(files or {})
        hosts = [read(each)[0] for each in gathered]
        described = _adopt.describe(hosts, {each.name: (each.result or {})["gitlab_rb"] for each in gathered})
        outcome = _adopt_outcome.outcome(gathered, described)
        texts = {name: _adopt_outcome.text_of(each) for name, each in _adopt.files(described).items()}
        remarks = [str(remark).replace(str(self.root), "") for each in described.values() for remark in each.remarks]
        return Adopted(
            {name: yaml.load(text, _Loader) for name, text in texts.items()},
            remarks,
            [str(each) for each in outcome.changes],
            [str(each) for each in outcome.plan.refusals],
            texts,
        )

    def deploy(self, files: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Write what is planned, and return the names of what has changed."""
        made = plan(self.gathered(files))
        assert not made.refusals, made.refusals
        changed = []
        for name in self.nodes:
            options = {"record_for": {}, "include": None, **written(made.nodes[name], WRITERS)}
            options.update(
                record=str(self.root / name / "record.json"), backup=False, path=str(self.path(name)), previous=None
            )
            result = gitlab_rb.run({**options, "ruby": find_ruby()}, check_mode=False, diff=False)
            changed += [f"{name}: {setting}" for setting in result["settings_changed"]]
        return changed

    def _result(self, number: int, name: str, node: Node) -> dict[str, Any]:
        params = {"path": str(self.path(name)), "ruby": find_ruby(), "include": None}
        reading, _document = kas_info._read_settings(params, lambda sentence: None)
        own = reading.settings.get("gitlab_kas", {})
        values = {secret: own.get(secret, node.stored.get(secret)) for secret in SECRETS}
        sources = {secret: "gitlab.rb" if secret in own else "gitlab-secrets.json" for secret in SECRETS}
        info = {
            "blocking_errors": [],
            "gitlab_version": "19.3.0",
            "configured": True,
            "enabled": node.enabled,
            "addresses": ["127.0.0.1", f"10.0.0.{number}", "::1", *node.addresses],
            "settings": mask(reading.settings),
            "unreadable": reading.unreadable,
            "secrets": {
                secret: {"fingerprint": "x", "source": sources[secret], "problem": None, "computed": None}
                for secret in SECRETS
            },
            "secret_values": values,
            "reconfigure_pending": None,
            "restart_pending": None,
            **node.more,
        }
        asked = {"path": str(self.path(name)), "sections": list(_adopt.SECTIONS), "ruby": None}
        return {"kas": info, "gitlab_rb": gitlab_rb_info.run(asked)["gitlab_rb"]}


# Nodes, the files that describe them, and what stays unsaid.
CASES: dict[str, tuple[tuple[Node, ...], dict[str, dict[str, Any]], list[str]]] = {
    "three nodes by the guide": (
        (Node(GUIDE), Node(GUIDE), Node(GUIDE)),
        {"group_vars/gitlab_kas.yml": {**GUIDE_VARIABLES, **GUIDE_OF_RAILS}},
        [],
    ),
    "one node as the package makes it": (
        (Node(URL),),
        {"group_vars/gitlab_kas.yml": {"kas_write_defaults": False}},
        [],
    ),
    "one node on sockets": (
        (Node(SOCKETS),),
        {
            "group_vars/gitlab_kas.yml": {
                "kas_unix_sockets": True,
                "kas_env": {"SSL_CERT_DIR": "/opt/gitlab/embedded/ssl/certs/"},
                "kas_write_defaults": False,
            }
        },
        [],
    ),
    "names in the URLs": (
        (Node(GUIDE.replace("$IP", "kas1.internal")), Node(GUIDE.replace("$IP", "kas2.internal"))),
        {
            "group_vars/gitlab_kas.yml": {
                key: value
                for key, value in {**GUIDE_VARIABLES, **GUIDE_OF_RAILS}.items()
                if key != "kas_own_private_api_cidr"
            },
            "host_vars/kas1.yml": {"kas_own_private_api_url": "grpc://kas1.internal:8155"},
            "host_vars/kas2.yml": {"kas_own_private_api_url": "grpc://kas2.internal:8155"},
        },
        [],
    ),
    "a second address in every usual network": (
        (Node(GUIDE, addresses=("10.0.0.77",)), Node(GUIDE, addresses=("10.0.0.78",))),
        {
            "group_vars/gitlab_kas.yml": {
                **GUIDE_VARIABLES,
                **GUIDE_OF_RAILS,
                "kas_own_private_api_cidr": "10.0.0.0/30",
            },
        },
        [],
    ),
    "KAS apart from Rails": (
        (Node(APART, (KAS_GROUP,)), Node(APART, (KAS_GROUP,)), Node(RAILS_ALONE, (RAILS_GROUP,), enabled=False)),
        {
            "group_vars/gitlab_kas.yml": {
                "kas_standalone": True,
                "kas_external_url": "wss://kas.gitlab.example.com/-/kubernetes-agent/",
                "kas_gitlab_address": "https://gitlab.example.com",
                "kas_own_private_api_cidr": "10.0.0.0/24",
                "kas_private_api_listen_address": "0.0.0.0:8155",
                "kas_internal_api_listen_address": "0.0.0.0:8153",
                "kas_redis": {
                    "sentinels": [{"host": "10.0.0.7", "port": 26379}],
                    "sentinels_master_name": "gitlab-redis",
                },
                "kas_write_defaults": False,
            },
            "group_vars/gitlab_rails.yml": {
                "kas_external_url": "wss://kas.gitlab.example.com/-/kubernetes-agent/",
                "kas_internal_url": "grpc://10.0.0.9:8153",
                "kas_k8s_proxy_url": "https://kas.gitlab.example.com/-/kubernetes-agent/k8s-proxy/",
                "kas_write_defaults": False,
            },
        },
        [
            f"/kas{number}/gitlab.rb, line 18: gitlab_kas['redis_password'] holds a secret, which stays here and is in"
            " no file of the inventory."
            for number in (1, 2)
        ],
    ),
    "TLS by path, an own user, and a node without KAS": (
        (
            Node(
                URL
                + "user['username'] = 'gitlab'\n"
                + SECRET_LINES
                + "gitlab_kas['private_api_listen_address'] = ':8155'\n"
                "gitlab_kas['private_api_certificate_file'] = '/etc/gitlab/kas.crt'\n"
                "gitlab_kas['private_api_key_file'] = '/etc/gitlab/kas.key'\n"
                "gitlab_kas['env'] = { 'OWN_PRIVATE_API_URL' => 'grpcs://10.0.0.1:8155',"
                " 'OWN_PRIVATE_API_HOST' => 'kas.internal' }\n"
                "gitlab_kas['log_level'] = 'warn'\n"
                "gitlab_kas['agent_info_cache_ttl'] = 60\n"
                "gitlab_kas['sentry_dsn'] = 'https://me:hunter2@sentry.example.com/1'\n"
            ),
            Node(URL + "gitlab_kas['enable'] = false\n" + SECRET_LINES, (KAS_GROUP,), enabled=False),
        ),
        {
            "group_vars/gitlab_kas.yml": {
                "kas_own_private_api_cidr": "10.0.0.0/24",
                "kas_own_private_api_host": "kas.internal",
                "kas_private_api_listen_address": ":8155",
                "kas_private_api_certificate": "/etc/gitlab/kas.crt",
                "kas_private_api_key": "/etc/gitlab/kas.key",
                "kas_log_level": "warn",
                "kas_settings": {"agent_info_cache_ttl": 60},
                "kas_write_defaults": False,
            },
            "host_vars/kas2.yml": {"kas_enabled": False},
        },
        [
            "/kas1/gitlab.rb, line 11: gitlab_kas['sentry_dsn'] holds a secret, which stays here and is in no file of"
            " the inventory."
        ],
    ),
    "what cannot be read, and what no variable takes": (
        (
            Node(
                URL + "gitlab_kas['log_level'] = ENV['LEVEL'] || 'info'\n"
                "if File.exist?('/etc/gitlab/large')\n  gitlab_kas['listen_websocket'] = true\nend\n"
                "gitlab_kas['listen_address'] = 8150\n"
                "gitlab_kas['grpc_log_level'] = 'loud'\n"
                "gitlab_rails['gitlab_kas_external_url'] = 'wss://kas.example.org/'\n"
                "gitlab_kas['env'] = { 'GODEBUG' => '{{ x }}', 'N' => 5, 'API_TOKEN' => 'hunter2' }\n"
            ),
        ),
        {
            "group_vars/gitlab_kas.yml": {"kas_env": {"GODEBUG": "{{ x }}"}, "kas_write_defaults": False},
        },
        [
            "/kas1/gitlab.rb, line 2: gitlab_kas['log_level'] is computed, so it stays as it is.",
            "/kas1/gitlab.rb, line 4: gitlab_kas['listen_websocket'] is assigned inside an if, so it stays as it is.",
            "/kas1/gitlab.rb, line 6: gitlab_kas['listen_address'] is nothing that kas_listen_address takes, so it"
            " stays as it is.",
            "/kas1/gitlab.rb, line 7: gitlab_kas['grpc_log_level'] is nothing that kas_grpc_log_level takes, so it"
            " stays as it is.",
            "/kas1/gitlab.rb, line 9: gitlab_kas['env']['N'] is no text, so it stays as it is.",
            "/kas1/gitlab.rb, line 9: gitlab_kas['env']['API_TOKEN'] holds a secret, which stays here and is in no file"
            " of the inventory.",
            "/kas1/gitlab.rb, line 8: gitlab_rails['gitlab_kas_external_url'] has no variable where KAS runs on the"
            " node itself, so it stays as it is.",
        ],
    ),
}


@pytest.mark.parametrize(("nodes", "expected", "remarks"), CASES.values(), ids=CASES)
def test_adopted_and_then_left_alone(
    tmp_path: Path, nodes: tuple[Node, ...], expected: dict[str, dict[str, Any]], remarks: list[str]
) -> None:
    site = Site(tmp_path, nodes)
    before = {name: site.path(name).read_bytes() for name in site.nodes}
    adopted = site.adopt()
    assert "hunter2" not in repr(adopted) and VALUES["api_secret_key"] not in repr(adopted)
    assert adopted.files == expected
    assert adopted.remarks == remarks
    assert (adopted.refusals, adopted.changes) == ([], [])
    assert site.deploy(adopted.files) == []
    assert {name: site.path(name).read_bytes() for name in site.nodes} == before
    assert site.adopt(adopted.files).texts == adopted.texts


# Nodes, what deploy would change, and what it would refuse.
CHANGES: dict[str, tuple[tuple[Node, ...], list[str], list[str]]] = {
    "a secret that each node has made for itself": (
        (Node(GUIDE), Node(GUIDE, stored=OTHERS)),
        [
            f"kas{number}: gitlab_kas['websocket_token_secret_key'] is set, so that all nodes share one secret; those"
            " with others refuse each other's calls."
            for number in (1, 2)
        ][1:],
        [],
    ),
    "a URL beside a CIDR": (
        (
            Node(GUIDE.replace("$IP:8155'", "$IP:8155', 'OWN_PRIVATE_API_CIDR' => '10.0.0.0/8'")),
            Node(GUIDE),
        ),
        [
            "kas1: gitlab_kas['env']['OWN_PRIVATE_API_CIDR'] is removed, since KAS does not start with a CIDR beside a"
            " URL."
        ],
        [],
    ),
    "Rails was told what the package derives": (
        (Node(GUIDE + "gitlab_rails['gitlab_kas_external_url'] = 'wss://kas.gitlab.example.com/'\n"),),
        [
            "kas1: gitlab_rails['gitlab_kas_external_url'] is removed, since with it the package makes no virtual host"
            " for KAS here."
        ],
        [],
    ),
    "edited since the last reconfigure": (
        (Node(URL, more={"reconfigure_pending": "It was edited."}),),
        [
            "kas1: gitlab_kas['enable'] becomes true, so that it is told whether KAS runs here.",
            "kas1: a reconfigure is pending already: It was edited.",
        ],
        [],
    ),
    "two nodes with the package's default": (
        (Node(URL, addresses=("10.0.1.7",)), Node(URL)),
        [],
        [
            "kas1: kas_own_private_api_cidr is not set, and the host has several addresses (10.0.0.1, 10.0.1.7), but"
            " its own URL takes one; set kas_own_private_api_cidr to a network that contains exactly one of them, or"
            " set kas_own_private_api_url."
        ],
    ),
}


@pytest.mark.parametrize(("nodes", "changes", "refusals"), CHANGES.values(), ids=CHANGES)
def test_what_deploy_would_change(
    tmp_path: Path, nodes: tuple[Node, ...], changes: list[str], refusals: list[str]
) -> None:
    site = Site(tmp_path, nodes)
    adopted = site.adopt()
    assert (adopted.refusals, adopted.changes) == (refusals, changes)
    if not refusals:
        named = {re.split(" is | becomes ", change)[0] for change in changes if "pending" not in change}
        assert set(site.deploy(adopted.files)) == named


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "gitlab_kas['private_api_listen_address'] = '0.0.0.0:8155'\n"
            "gitlab_kas['env'] = { 'OWN_PRIVATE_API_CIDR' => '10.0.0.0/8, fd00::/8', 'OWN_PRIVATE_API_PORT' => '9155',"
            " 'OWN_PRIVATE_API_SCHEME' => 'grpcs' }\n",
            {
                "kas_own_private_api_discovery": "cidr",
                "kas_own_private_api_cidr": ["10.0.0.0/8", "fd00::/8"],
                "kas_own_private_api_port": 9155,
                "kas_own_private_api_scheme": "grpcs",
                "kas_private_api_listen_address": "0.0.0.0:8155",
            },
        ),
        (
            "gitlab_kas['private_api_listen_address'] = '$IP:8155'\n",
            {"kas_own_private_api_discovery": "listener"},
        ),
        (
            "gitlab_kas['env'] = { 'OWN_PRIVATE_API_URL' => 'grpcs://$IP:9155' }\n",
            {
                "kas_own_private_api_cidr": "10.0.0.0/24",
                "kas_own_private_api_port": 9155,
                "kas_own_private_api_scheme": "grpcs",
            },
        ),
        (
            "gitlab_kas['redis_host'] = ENV['REDIS']\ngitlab_kas['redis_port'] = 6379\n",
            {},
        ),
        (
            "gitlab_kas['redis_host'] = 'redis'\ngitlab_kas['redis_password'] = ENV['REDIS_PASSWORD']\n",
            {"kas_redis": {"host": "redis"}},
        ),
        (
            "gitlab_kas['extra_config_command'] = '/bin/echo agent: {kubernetes_api: {extra_allowed_response_headers:"
            " [X-One, X-Two]}}'\n",
            {"kas_extra_allowed_response_headers": ["X-One", "X-Two"]},
        ),
    ],
)
def test_other_ways(tmp_path: Path, lines: str, expected: dict[str, Any]) -> None:
    files = Site(tmp_path, (Node(URL + lines), Node(URL + lines))).adopt().files
    assert files["group_vars/gitlab_kas.yml"] == {**expected, "kas_write_defaults": False}


def test_a_symbol_is_no_text(tmp_path: Path) -> None:
    site = Site(tmp_path, (Node(URL + "gitlab_kas['log_level'] = :debug\ngitlab_kas['x'] = [{ 'a' => [:b] }]\n"),))
    adopted = site.adopt()
    assert adopted.files == {"group_vars/gitlab_kas.yml": {"kas_write_defaults": False}}
    assert adopted.remarks == [
        "/kas1/gitlab.rb, line 2: gitlab_kas['log_level'] is a symbol, or holds one, so it stays as it is.",
        "/kas1/gitlab.rb, line 3: gitlab_kas['x'] is a symbol, or holds one, so it stays as it is.",
    ]
    assert (adopted.changes, site.deploy(adopted.files)) == ([], [])


def test_nodes_that_differ(tmp_path: Path) -> None:
    lines = "gitlab_kas['log_level'] = 'debug'\n"
    files = Site(tmp_path, (Node(GUIDE + lines), Node(GUIDE))).adopt().files
    assert files == {
        "group_vars/gitlab_kas.yml": {**GUIDE_VARIABLES, **GUIDE_OF_RAILS},
        "host_vars/kas1.yml": {"kas_log_level": "debug"},
    }


TEXTS = {"group_vars/gitlab_kas.yml": "kas_serial: 2\n", "host_vars/kas1.example.com.yml": "kas_enabled: false\n"}


def paths(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_files_are_written_once(tmp_path: Path) -> None:
    assert len(_adopt_outcome.write(str(tmp_path), TEXTS, is_check=True)) == 2
    assert paths(tmp_path) == []
    assert len(_adopt_outcome.write(str(tmp_path), TEXTS, is_check=False)) == 2
    assert paths(tmp_path) == sorted(TEXTS)
    assert _adopt_outcome.write(str(tmp_path), TEXTS, is_check=False) == []


def test_beside_files_of_other_names(tmp_path: Path) -> None:
    (tmp_path / "group_vars/gitlab_kas").mkdir(parents=True)
    (tmp_path / "host_vars").mkdir()
    theirs = tmp_path / "host_vars/kas1.example.com.yaml"
    theirs.write_text("kas_serial: 1\n")
    with pytest.raises(FileError) as refused:
        _adopt_outcome.write(str(tmp_path), TEXTS, is_check=False)
    assert str(refused.value) == (
        f"{theirs} is there, and Ansible reads only one file of this name; rename it to kas1.example.com.yml, or make a"
        " directory kas1.example.com and move it there."
    )
    assert paths(tmp_path) == ["host_vars/kas1.example.com.yaml"]
    theirs.unlink()
    _adopt_outcome.write(str(tmp_path), TEXTS, is_check=False)
    assert paths(tmp_path) == ["group_vars/gitlab_kas/adopted.yml", "host_vars/kas1.example.com.yml"]
