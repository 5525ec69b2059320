# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A newcomer's first hour: a right inventory with one mistake at a time, and what `deploy` says of it.

Each row is a whole run on simulated nodes (tests/bench/simulated.py): one sentence, the hosts that it is about and that
the recap marks, and no module that changes anything. A row about a gitlab.rb has a real one, which the real modules
read. What is no mistake, such as a gitlab.rb with CRLF, is not here.
"""

from __future__ import annotations

import base64
import copy
import datetime
import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import Package
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import cause, remedy
from ansible_collections.kasops.gitlab_kas.plugins.modules import kas_info
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "bench"))

import simulated  # noqa: E402

BOTH = ("node1", "node2")
ADDRESSES = {name: info["kas"]["addresses"] for name, info in simulated.kas_infos(2).items()}
SECRET, OTHER = (base64.b64encode(letter * 32).decode() for letter in (b"x", b"y"))
READERS = {"kas_info", "kas_certificate_info", "kas_probe"}
SUDO = {"ANSIBLE_BECOME_ALLOW_SAME_USER": "true"}  # also from root to root, as in a container
MAY_MOUNT = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
GITLAB_RB = b"external_url 'http://gitlab.example.com'\n"
KAS = "/-/kubernetes-agent/"


class Mistake(NamedTuple):
    """What is different from a right inventory, and what is said of it."""

    name: str
    hosts: Sequence[str]  # that the sentence is about, and that are marked
    said: str  # … stands for words of ansible-core, which differ by release, or for a figure
    variables: Mapping[str, Any] = {}  # of both nodes; None takes one away
    of_nodes: Mapping[str, Mapping[str, Any]] = {}  # variables of one node
    info: Mapping[str, Mapping[str, Any]] = {}  # what kas_info answers on a node instead
    groups: Mapping[str, Sequence[str]] = {"gitlab_kas": BOTH, "gitlab_rails": BOTH}
    options: Sequence[str] = ()
    ssh: str = ""  # what the client says instead of connecting to node2
    sudo: str = ""  # what sudo says on node2
    gitlab_rb: bytes | None = None  # of node2, which the real kas_info reads then
    manifest: str | None = "19.3.0-ee.0"  # the release there; None without the package
    is_real: bool = False  # kas_info does so without that file, too
    prepare: Callable[[Path], object] | None = None  # what else is done to that file
    own: Mapping[str, str] = {}  # files of one's own, with the playbook site.yml that is run then
    settings: Mapping[str, str] = {}  # environment of Ansible
    by_each: bool = False  # each of the hosts, HOST in the sentence, says it of itself
    playbook: str = "deploy"
    probe: Mapping[str, Any] | None = None  # what kas_probe answers on node2 instead
    real: Sequence[str] = ()  # modules that are run, with this machine for a node
    mount: Sequence[str] = ()  # what node2 has done with the directory of its gitlab.rb, or with the file
    served: Mapping[str, Any] | None = None  # what is wrong with the certificate kas.crt and its key kas.key
    dry_runs: Sequence[str] = ()  # what has been tried by then without changing anything


def every(**info: Any) -> dict[str, dict[str, Any]]:
    return dict.fromkeys(BOTH, info)


def at(line: int, text: str) -> str:
    """What is wrong in a line of gitlab.rb."""
    return f"/etc/gitlab/gitlab.rb, line {line}: {text}"


def misspelt(name: str, near: str) -> str:
    return (
        f"{name} is not a variable of this collection, so it would do nothing; write {near}, or give a variable of your"
        " own another name."
    )


SET_32 = "set 32 random bytes in strict Base64, as 'openssl rand 32 | openssl base64 -A' prints them."
SET_CIDR = "set kas_own_private_api_cidr to a network that contains"
AGENTS = f"nginx passes only {KAS} to KAS; set 'wss://gitlab.example.com{KAS}'."

INVENTORY = [
    Mistake(
        "the group of KAS nodes has a dash",
        ["localhost"],
        "The inventory's group gitlab_kas has no host, and what is in gitlab-kas does not count; put the nodes that run"
        " KAS into it.",
        groups={"gitlab-kas": BOTH, "gitlab_rails": BOTH},
    ),
    Mistake(
        "groups of one's own names",
        ["localhost"],
        "The inventory's group gitlab_kas has no host, and what is in kas_servers does not count; put the nodes that"
        " run KAS into it.",
        groups={"kas_servers": BOTH, "web": BOTH},
    ),
    Mistake(
        "the group of Rails nodes lacks a letter",
        BOTH,
        "the inventory has a group gitlab_rail with node1, node2, which is not gitlab_rails, so it does nothing; name"
        " it gitlab_rails, or put its hosts into that one, too.",
        groups={"gitlab_kas": BOTH, "gitlab_rail": BOTH},
    ),
    Mistake(
        "two letters in the wrong order",
        BOTH,
        misspelt("kas_redsi", "kas_redis"),
        {"kas_redis": None, "kas_redsi": {"host": "redis.internal"}},
    ),
    Mistake(
        "a misspelt CIDR",
        BOTH,
        misspelt("kas_own_private_api_cdir", "kas_own_private_api_cidr"),
        {"kas_own_private_api_cidr": None, "kas_own_private_api_cdir": "10.87.0.0/16"},
    ),
    Mistake(
        "a letter too few", ["node2"], misspelt("kas_enable", "kas_enabled"), of_nodes={"node2": {"kas_enable": 1}}
    ),
    Mistake(
        "an option that is none",
        BOTH,
        "kas_redis.hots is text; write host.",
        {"kas_redis": {"hots": "redis.internal"}},
    ),
    Mistake("neither yes nor no", BOTH, "kas_enabled is 'disabled'; set true or false.", {"kas_enabled": "disabled"}),
    Mistake(
        "a variable that is not there",
        BOTH,
        "kas_redis cannot be evaluated ('vault_redis_password' is undefined); correct it, or what it is made from.",
        {"kas_redis": {"host": "redis.internal", "password": "{{ vault_redis_password }}"}},
    ),
    Mistake(
        "a limit that leaves out every node",
        ["web1"],
        "The limit 'web1' leaves out every host of the groups gitlab_kas and gitlab_rails; name nodes in it, or leave"
        " it out.",
        groups={"gitlab_kas": BOTH, "gitlab_rails": BOTH, "web": ["web1"]},
        options=["--limit", "web1"],
    ),
    Mistake(
        "a tag of another collection",
        BOTH,
        "--tags or --skip-tags names kas, which is no stage of this playbook; its stages are preflight, deploy,"
        " verify.",
        options=["--tags", "kas"],
    ),
    Mistake(
        "a node too few",
        BOTH,
        "kas_expected_nodes names 'node3', not found in the groups gitlab_kas and gitlab_rails of the job's inventory;"
        " take the slices off the job template, enable hosts that are disabled, or correct kas_expected_nodes. To leave"
        " nodes out of a run, use a limit.",
        {"kas_expected_nodes": "node1,node2,node3"},
    ),
    Mistake(
        "quotes of a web page",
        BOTH,
        "kas_external_url holds \u201c (U+201C LEFT DOUBLE QUOTATION MARK) and \u201d (U+201D RIGHT DOUBLE QUOTATION"
        " MARK),"
        ' which only look right; write " instead.',
        {"kas_external_url": "\u201cwss://kas.gitlab.example.com/\u201d"},
    ),
    Mistake(
        "a character that nobody sees",
        BOTH,
        "kas_redis.host holds U+200B ZERO WIDTH SPACE, which only looks right; remove it.",
        {"kas_redis": {"host": "redis\u200b.internal"}},
    ),
]

OWN = {"site.yml": "- import_playbook: kasops.gitlab_kas.deploy\n"}
ROLE = "- {hosts: gitlab_kas, gather_facts: false, roles: [kasops.gitlab_kas.kas]}\n"

INVENTORY += [
    *(
        Mistake(
            f"variables in {file} beside a playbook that imports ours",
            BOTH,
            f"…/{file} sets {said}, but Ansible does not read it in this play, since that playbook only imports one of"
            f" this collection; move {file.partition('/')[0]} beside the inventory.",
            {"kas_own_private_api_cidr": None},
            own={**OWN, file: content, "group_vars/web.yml": "kas_enabled: false\n"},
        )
        for file, content, said in (
            (
                "group_vars/all.yml",
                "kas_own_private_api_cidr: 10.87.0.0/24\nkas_log_level: debug\nkas_mine: 1\n",
                "kas_own_private_api_cidr, kas_log_level",
            ),
            ("group_vars/gitlab_kas/vars.yml", "kas_own_private_api_cidr: 10.87.0.0/24\n", "kas_own_private_api_cidr"),
            ("host_vars/node1", "---\nkas_own_private_api_cidr: 10.87.0.0/24\n", "kas_own_private_api_cidr"),
        )
    ),
    Mistake(
        "a role in a play in which no host waits for the others",
        BOTH,
        "In this play no host waits for the others (strategy free or host_pinned), but the plan needs all of them; set"
        " strategy: ansible.builtin.linear in the play.",
        own={"site.yml": ROLE},
        settings={"ANSIBLE_STRATEGY": "free"},
        by_each=True,
    ),
]

NETWORK = [
    Mistake(
        "a CIDR of another network",
        ["node2"],
        "kas_own_private_api_cidr is '10.87.0.2/32', but none of the host's addresses (127.0.0.1, 10.87.0.3, ::1,"
        f" fe80::1) lies in 10.87.0.2/32; {SET_CIDR} one of them, or set kas_own_private_api_url.",
        {"kas_own_private_api_cidr": "10.87.0.2/32"},
    ),
    Mistake(
        "a CIDR with two of a node's addresses",
        ["node2"],
        "kas_own_private_api_cidr is '10.87.0.0/16', but several of the host's addresses lie in 10.87.0.0/16"
        f" (10.87.0.3, 10.87.9.3), but one URL takes one; {SET_CIDR} exactly one of them, or set"
        " kas_own_private_api_url.",
        info={"node2": {"addresses": [*ADDRESSES["node2"], "10.87.9.3"]}},
    ),
    Mistake(
        "no CIDR",
        ["node2"],
        "kas_own_private_api_cidr is not set, and the host has several addresses (10.87.0.3, fd00::3), but its own URL"
        f" takes one; {SET_CIDR} exactly one of them, or set kas_own_private_api_url.",
        {"kas_own_private_api_cidr": None},
        info={"node2": {"addresses": [*ADDRESSES["node2"], "fd00::3"]}},
    ),
    Mistake(
        "a CIDR that is none",
        BOTH,
        "kas_own_private_api_cidr is '10.87.0.0/33', but '10.87.0.0/33' in cidr is not a network; give an address and a"
        " prefix length, such as 10.0.0.0/8 or fd00::/8.",
        {"kas_own_private_api_cidr": "10.87.0.0/33"},
    ),
    Mistake(
        "two nodes with one address, or one machine under two names",
        ["node2"],
        "kas_own_private_api_cidr is '10.87.0.0/16', which makes its own private API URL grpc://10.87.0.2:8155, but"
        " node1 has the same; set another one for each node.",
        info={"node2": {"addresses": ADDRESSES["node1"]}},
    ),
    Mistake(
        "one URL for all",
        ["node2"],
        "kas_own_private_api_url is 'grpc://kas.internal:8155', which makes its own private API URL"
        " grpc://kas.internal:8155, but node1 has the same; set another one for each node.",
        {"kas_own_private_api_cidr": None, "kas_own_private_api_url": "grpc://kas.internal:8155"},
    ),
    Mistake(
        "a name that is a loopback address on its own node",
        ["node2"],
        "kas_private_api_listen_address is 'node2.internal:8155', but on this node that name is 127.0.1.1, so the other"
        " nodes cannot reach it; give the name another address there (/etc/hosts), or set 0.0.0.0:8155.",
        of_nodes={
            name: {
                "kas_own_private_api_cidr": "",
                "kas_own_private_api_url": f"grpc://{name}.internal:8155",
                "kas_private_api_listen_address": f"{name}.internal:8155",
            }
            for name in BOTH
        },
        info={
            name: {"listen_hosts": {f"{name}.internal": {"address": address, "problem": None}}}
            for name, address in (("node1", "10.87.0.2"), ("node2", "127.0.1.1"))
        },
    ),
    Mistake(
        "a UNIX socket for several nodes",
        BOTH,
        "kas_private_api_listen_address is '/run/kas.socket', but the other KAS nodes cannot reach a UNIX socket; set"
        " ADDRESS:PORT.",
        {"kas_private_api_listen_address": "/run/kas.socket", "kas_private_api_listen_network": "unix"},
    ),
    Mistake(
        "UNIX sockets for several nodes",
        BOTH,
        "kas_unix_sockets is true, but KAS runs on several nodes, and none reaches the UNIX socket of another; set it"
        " to false.",
        {"kas_unix_sockets": True},
    ),
    Mistake(
        "a port that GitLab's nginx has",
        BOTH,
        "kas_listen_address is '0.0.0.0:80', but on this node nginx listens on 0.0.0.0:80 already, so KAS would not"
        " start; set another port.",
        {"kas_listen_address": "0.0.0.0:80"},
        info=every(ports=[{"address": "0.0.0.0", "port": 80, "program": "nginx"}]),
    ),
    Mistake(
        "one port for two listeners",
        BOTH,
        "kas_own_private_api_port is 8153, but kas_internal_api_listen_address is 'localhost:8153' by default, and one"
        " port is for one listener; set another port.",
        {"kas_own_private_api_port": 8153},
    ),
    Mistake(
        "clocks that differ",
        ["node2"],
        "its clock is at least … s ahead of that of node1, but a KAS refuses what another one signs if their clocks"
        " differ by more than 5 s; set both clocks right, with chrony or another client of NTP.",
        info={"node1": {"time": 1000.0}, "node2": {"time": 5000.0}},
    ),
]

NETWORK += [
    Mistake(
        f"a firewall between two nodes that {what}",
        ["node2"],
        f"KAS does not reach node1 at grpc://10.87.0.2:8155 ({cause(error, 5, '10.87.0.2')}); {remedy(error)}.",
        playbook="verify",
        dry_runs=["gitlab_rb"],
        probe={
            "changed": False,
            "reachable": False,
            "peers": [
                {
                    "url": "grpc://10.87.0.2:8155",
                    "reachable": False,
                    "answered": False,
                    "text": cause(error, 5, "10.87.0.2"),
                    "remedy": remedy(error),
                }
            ],
            "rails": simulated.reached(["grpc://localhost:8153"]),
        },
    )
    for what, error in (
        ("drops packets", TimeoutError()),
        ("rejects them", OSError(errno.EHOSTUNREACH, "No route to host")),
        ("resets connections", OSError(errno.ECONNREFUSED, "Connection refused")),
    )
]

URLS = [
    Mistake(
        "https for agents",
        BOTH,
        "kas_external_url is 'https://kas.gitlab.example.com/'; set a URL whose scheme is wss, ws, grpcs or grpc.",
        {"kas_external_url": "https://kas.gitlab.example.com/"},
    ),
    Mistake(
        "no path on GitLab's own host",
        BOTH,
        "kas_external_url is 'wss://gitlab.example.com', but on the host of external_url 'http://gitlab.example.com'"
        f" {AGENTS}",
        {"kas_external_url": "wss://gitlab.example.com"},
    ),
    Mistake(
        "no slash at the end",
        BOTH,
        f"kas_external_url is 'wss://gitlab.example.com{KAS[:-1]}', and GitLab would redirect it to its path with a"
        f" slash; set 'wss://gitlab.example.com{KAS}'.",
        {"kas_external_url": f"wss://gitlab.example.com{KAS[:-1]}"},
    ),
]

AS_ROOT = every(
    settings={**simulated.kas_infos(1)["node1"]["kas"]["settings"], "user": {"username": "root", "group": "root"}}
)
SERVED = {
    "kas_own_private_api_host": "kas.internal",
    "kas_private_api_certificate_content": "{{ lookup('ansible.builtin.file', inventory_dir ~ '/kas.crt') }}",
    "kas_private_api_key_content": "{{ lookup('ansible.builtin.file', inventory_dir ~ '/kas.key') }}",
    "kas_ca_certificates": [
        {"name": "ours", "content": "{{ lookup('ansible.builtin.file', inventory_dir ~ '/ca.crt') }}"}
    ],
}

TLS = [
    *(
        Mistake(
            name,
            BOTH,
            f"HOST: {said}",
            SERVED,
            by_each=True,
            info=AS_ROOT,
            real=["kas_certificate_info"],
            served=served,
        )
        for name, served, said in (
            (
                "a certificate that has expired",
                {"days": -1},
                "kas_private_api_certificate_content has expired at …Z; renew it.",
            ),
            (
                "a certificate of another authority",
                {"authority": "Somebody Else"},
                "kas_private_api_certificate_content was signed by CN=Somebody Else, and that leads to no authority"
                " that this node trusts; put the authority into /etc/gitlab/trusted-certs (kas_ca_certificates does),"
                " and those in between behind the certificate.",
            ),
            (
                "a certificate for another name",
                {"name": "other.internal"},
                "kas_private_api_certificate_content is for other.internal, not for kas.internal; have it issued with"
                " kas.internal, too, or use one of its names.",
            ),
            (
                "the key of another certificate",
                {"has_other_key": True},
                "kas_private_api_key_content is not the key of kas_private_api_certificate_content; give a certificate"
                " and the key that belongs to it.",
            ),
        )
    ),
    Mistake(
        "a certificate without a key",
        BOTH,
        "kas_certificate is '/etc/gitlab/ssl/kas.crt', but no kas_key is set; set kas_key, kas_key_src or"
        " kas_key_content.",
        {"kas_certificate": "/etc/gitlab/ssl/kas.crt"},
    ),
    Mistake(
        "TLS between nodes without the name in the certificates",
        BOTH,
        "kas_private_api_certificate is '/etc/kas.crt', but kas_own_private_api_host is not set, without which KAS does"
        " not start; set the name that the certificates of all KAS nodes share.",
        {"kas_private_api_certificate": "/etc/kas.crt", "kas_private_api_key": "/etc/kas.key"},
    ),
]

SECRETS = [
    Mistake(
        "a secret too short",
        BOTH,
        f"kas_secrets_values.api_secret_key holds 5 bytes instead of 32; {SET_32}",
        {"kas_secrets_values": {"api_secret_key": "c2hvcnQ="}},
    ),
    *(
        Mistake(
            name,
            BOTH,
            f"kas_secrets_values.api_secret_key is not strict Base64 (one line, no spaces, padded with '='); {SET_32}",
            {"kas_secrets_values": {"api_secret_key": secret}},
        )
        for name, secret in (("a secret in plain words", "correct horse"), ("a secret with a newline", f"{SECRET}\n"))
    ),
    Mistake(
        "a secret of each node's own",
        ["node2"],
        "kas_secrets_values.api_secret_key is not that of node1; set one value for all hosts, in group_vars/all for"
        " one.",
        of_nodes={
            "node1": {"kas_secrets_values": {"api_secret_key": SECRET}},
            "node2": {"kas_secrets_values": {"api_secret_key": OTHER}},
        },
    ),
]

REDIS = [
    Mistake(
        "no password for a Redis that asks GitLab for one",
        ["node2"],
        "KAS has no password for its Redis 10.87.255.1:6379, but gitlab_rails['redis_password'] in gitlab.rb is set"
        " for the same one, and KAS takes over none of GitLab's settings once it has a host of its own, so it would not"
        " get ready; set kas_redis.password.",
        of_nodes={"node2": {"kas_redis": {"host": "10.87.255.1"}}},
        gitlab_rb=GITLAB_RB
        + b"gitlab_rails['redis_host'] = '10.87.255.1'\ngitlab_rails['redis_password'] = 'sesame'\n",
    ),
    Mistake(
        "Redis on localhost of each node",
        BOTH,
        "kas_redis.host is 'localhost', which is the node's own Redis, but KAS runs on several nodes, and finds the"
        " agents of the others only in one that all share; set kas_redis to the Redis of GitLab.",
        {"kas_redis": {"host": "localhost"}},
        info=every(redis=True),
    ),
    Mistake(
        "a URL for Redis",
        BOTH,
        "kas_redis.host is 'redis://redis.internal', but the Linux package puts the port behind it; set a name or an"
        " address, one of IPv6 in brackets, and the port as kas_redis.port.",
        {"kas_redis": {"host": "redis://redis.internal"}},
    ),
    Mistake(
        "Sentinels without the name of Redis",
        BOTH,
        "kas_redis.sentinels is set, but kas_redis.sentinels_master_name is not; set the name by which the Sentinels"
        " know Redis, such as gitlab-redis.",
        {"kas_redis": {"sentinels": [{"host": "sentinel1.internal"}]}},
    ),
    Mistake(
        "a socket and Sentinels",
        BOTH,
        "kas_redis.socket is '/run/redis.socket', and kas_redis.sentinels is a list; set only one of them.",
        {
            "kas_redis": {
                "socket": "/run/redis.socket",
                "sentinels": [{"host": "sentinel1.internal"}],
                "sentinels_master_name": "gitlab-redis",
            }
        },
    ),
    Mistake(
        "Redis Cluster",
        BOTH,
        "kas_redis.cluster_nodes is a list; kas_redis takes only host, port, socket, username, password, ssl,"
        " tls_ca_cert_file, tls_client_cert_file, tls_client_key_file, sentinels, sentinels_master_name,"
        " sentinels_password, sentinels_ssl, sentinels_tls_ca_cert_file, sentinels_tls_client_cert_file,"
        " sentinels_tls_client_key_file.",
        {"kas_redis": {"cluster_nodes": [{"host": "redis1.internal"}]}},
    ),
]

NODES = [
    *(
        Mistake(
            name,
            ["node2"],
            f"this host of group gitlab_kas and gitlab_rails does not answer (… {ssh.rstrip('.')}); {remedy}.",
            ssh=ssh,
        )
        for name, ssh, remedy in (
            (
                "a node that is down",
                "ssh: connect to host node2 port 22: No route to host",
                "make sure that it is up, that its address in the inventory is right, and that no firewall keeps the"
                " controller out",
            ),
            (
                "a user of SSH that the node does not know",
                "admin@node2: Permission denied (publickey,password).",
                "give Ansible a user and a key or password that this host takes",
            ),
            (
                "a node that is in no DNS",
                "ssh: Could not resolve hostname node2: Name or service not known",
                "let the controller know that name, by DNS or with ansible_host, or correct it in the inventory",
            ),
        )
    ),
    Mistake(
        "sudo wants a password",
        ["node2"],
        "kas_info did not run on this host (…sudo: a password is required); give the right password for become, with"
        " --ask-become-pass, or in AWX with the credential.",
        sudo="sudo: a password is required",
    ),
    Mistake(
        "sudo refuses",
        ["node2"],
        "kas_info did not run on this host (…Sorry, user admin is not allowed to execute '/bin/sh' as root on node2);"
        " let that user run everything as root there, by sudoers.",
        sudo="Sorry, user admin is not allowed to execute '/bin/sh' as root on node2.",
    ),
    Mistake(
        "no Python",
        ["node2"],
        "kas_info did not run on this host (…/nowhere/python3: not found); install Python 3.9 or later there, or set"
        " ansible_python_interpreter to one.",
        of_nodes={"node2": {"ansible_python_interpreter": "/nowhere/python3"}},
    ),
    Mistake(
        "no become",
        ["node2"],
        "/etc/gitlab/gitlab.rb cannot be read (Permission denied); run it as root (become: true); it ran as nobody.",
        info={
            "node2": {
                "blocking_errors": [
                    "/etc/gitlab/gitlab.rb cannot be read (Permission denied); run it as root (become: true); it ran as"
                    " nobody."
                ]
            }
        },
    ),
    Mistake(
        "GitLab is not installed",
        ["node2"],
        "The GitLab Linux package is not installed: there is no /opt/gitlab/version-manifest.json; install gitlab-ee or"
        " gitlab-ce.",
        manifest=None,
        gitlab_rb=None,
        is_real=True,
    ),
    Mistake(
        "GitLab runs from its image",
        ["node2"],
        "/etc/gitlab/gitlab.rb is there, but the GitLab Linux package is not; if GitLab runs here from its image, this"
        " collection cannot manage it, so put the settings of KAS into that file or into GITLAB_OMNIBUS_CONFIG"
        " yourself; else install gitlab-ee or gitlab-ce.",
        manifest=None,
        gitlab_rb=GITLAB_RB,
    ),
    Mistake(
        "a release whose KAS does not start",
        ["node2"],
        "KAS of GitLab 18.0.0 does not start, since the package itself gives it agent.gitops; install 18.0.1 or later.",
        gitlab_rb=GITLAB_RB,
        manifest="18.0.0-ee.0",
    ),
    Mistake(
        "a release too old for a variable",
        ["node2"],
        "kas_extra_allowed_response_headers is 'X-A', which GitLab 16.10.5 does not know; leave it out, or install"
        " 18.3.0 or later.",
        {"kas_extra_allowed_response_headers": ["X-A"]},
        gitlab_rb=GITLAB_RB,
        manifest="16.10.5-ee.0",
    ),
]

FILES = [
    Mistake(f"gitlab.rb: {name}", ["node2"], said, gitlab_rb=text, prepare=prepare)
    for name, said, text, prepare in (
        (
            "a boolean of Python",
            at(2, "Ruby knows no False, so gitlab-ctl reconfigure would fail; write false."),
            GITLAB_RB + b"gitlab_kas['enable'] = False\n",
            None,
        ),
        (
            "quotes of a web page",
            at(
                2,
                "\u2018 (U+2018 LEFT SINGLE QUOTATION MARK) and \u2019 (U+2019 RIGHT SINGLE QUOTATION MARK) are no"
                " signs to Ruby and only look like ones; write ' instead.",
            ),
            GITLAB_RB + "gitlab_rails['time_zone'] = \u2018UTC\u2019\n".encode(),
            None,
        ),
        (
            "a section whose name lacks a letter",
            at(2, "the Linux package knows no gitlab_rail, so gitlab-ctl reconfigure would fail; write gitlab_rails."),
            GITLAB_RB + b"gitlab_rail['time_zone'] = 'UTC'\n",
            None,
        ),
        (
            "YAML",
            at(1, "`external_url:` is YAML, and this file is Ruby; write external_url 'value'."),
            b"external_url: http://gitlab.example.com\n",
            None,
        ),
        (
            "not UTF-8",
            at(2, "the byte 0xFC is no UTF-8; save the file as UTF-8."),
            GITLAB_RB + "gitlab_rails['x'] = 'M\u00fcnchen'\n".encode("latin-1"),
            None,
        ),
        (
            "a setting in some cases only",
            at(
                2,
                "gitlab_kas['enable'] is assigned inside an if, so it cannot be edited safely; assign it outside of the"
                " if, on a line of its own, or manage it manually.",
            ),
            GITLAB_RB + b"gitlab_kas['enable'] = true if ENV['KAS']\n",
            None,
        ),
        (
            "a link to nowhere",
            "/etc/gitlab/gitlab.rb is a symbolic link to /nowhere/gitlab.rb, which does not exist; correct the link.",
            GITLAB_RB,
            lambda file: (file.unlink(), file.symlink_to("/nowhere/gitlab.rb")),
        ),
        (
            "no file",
            "/etc/gitlab/gitlab.rb does not exist; install the GitLab Linux package or correct the path.",
            GITLAB_RB,
            Path.unlink,
        ),
    )
]
FILES += [
    pytest.param(
        Mistake(
            f"gitlab.rb: {name}",
            ["node2"],
            f"…/etc/gitlab/gitlab.rb {said}",
            of_nodes={"node2": {"kas_gitlab_rb_path": "{{ inventory_dir }}/../root/etc/gitlab/gitlab.rb"}},
            gitlab_rb=GITLAB_RB,
            real=["gitlab_rb"],
            dry_runs=["gitlab_rb"],
            mount=mount,
        ),
        id=f"gitlab.rb: {name}",
        marks=pytest.mark.skipif(not MAY_MOUNT, reason="needs root"),
    )
    for name, mount, said in (
        (
            "a mount of its own",
            ["mount --bind {directory}/gitlab.rb {directory}/gitlab.rb"],
            "cannot be replaced (Device or resource busy); it is a mount of its own, which nothing can replace: mount"
            " its directory instead. The file is unchanged.",
        ),
        (
            "a directory that is read-only",
            ["mount --bind {directory} {directory}", "mount -o remount,bind,ro {directory}"],
            "cannot be replaced (Read-only file system); mount its file system read-write. The file is unchanged.",
        ),
    )
]
ALL = [*INVENTORY, *NETWORK, *URLS, *TLS, *SECRETS, *REDIS, *NODES, *FILES]


def looked(mistake: Mistake, root: Path) -> dict[str, Any]:
    """What the real kas_info says of a node with this gitlab.rb, which it leaves alone."""
    files = {"etc/gitlab/gitlab.rb": mistake.gitlab_rb, "etc/gitlab/gitlab-secrets.json": b"{}"}
    if mistake.manifest:
        files["opt/gitlab/version-manifest.json"] = json.dumps({"build_version": mistake.manifest}).encode()
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            (root / name).write_bytes(content)
    path = root / "etc/gitlab/gitlab.rb"
    if mistake.prepare:
        mistake.prepare(path)
    before = path.read_bytes() if path.exists() else None
    params: dict[str, Any] = {"path": str(path), "include": None, "ruby": None, "wait_s": 0, "secret_values": True}
    params |= {"directories_record": None, "nginx_files": {}}
    lists = {"inputs", "restart_inputs", "listen_hosts", "ports", "names"}
    sources = kas_info.Sources(Package(root=root), lambda: ADDRESSES["node2"])
    result = kas_info.run({**params, **{name: [] for name in lists}}, sources)
    assert (path.read_bytes() if path.exists() else None) == before
    return dict(json.loads(json.dumps(result).replace(str(root), "")))


def serve(
    folder: Path,
    *,
    name: str = "kas.internal",
    days: int = 365,
    authority: str = "ours",
    has_other_key: bool = False,
) -> None:
    """Write a certificate and a key, and the authority that is trusted."""
    keys = {each: ec.generate_private_key(ec.SECP256R1()) for each in ("ours", authority, "server", "other")}
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)

    def sign(whose: str, by: str, extension: x509.ExtensionType, until: datetime.datetime) -> bytes:
        subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (whose, by))
        builder = x509.CertificateBuilder(issuer, subject, keys[whose].public_key(), x509.random_serial_number())
        builder = (
            builder.not_valid_before(now - 9 * day).not_valid_after(until).add_extension(extension, critical=False)
        )
        return builder.sign(keys[by], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    (folder / "kas.crt").write_bytes(sign("server", authority, names, now + days * day))
    (folder / "ca.crt").write_bytes(sign("ours", "ours", constraints, now + 365 * day))
    key = keys["other" if has_other_key else "server"]
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "kas.key").write_bytes(key.private_bytes(*form))


def inventory_of(mistake: Mistake, folder: Path) -> Path:
    """A right inventory of two nodes with one mistake."""
    infos = copy.deepcopy(simulated.kas_infos(2))
    for name, info in mistake.info.items():
        infos[name]["kas"].update(info)
    if mistake.gitlab_rb is not None or mistake.is_real:
        infos["node2"] = looked(mistake, folder.with_name("root"))
    path = simulated.make(
        folder,
        2,
        answers={
            **{f"{name}.kas_info": info for name, info in infos.items()},
            **({"node2.kas_probe": mistake.probe} if mistake.probe else {}),
        },
        unreachable={"node2": "kas_info"} if mistake.ssh else {},
        real=dict.fromkeys(["node2"] if mistake.mount else BOTH, mistake.real) if mistake.real else {},
        variables=mistake.of_nodes,
    )
    if mistake.mount:
        node = folder.with_name("root") / "etc/gitlab"
        commands = "; ".join(mistake.mount).format(directory=node)
        (folder / "python").unlink()
        (folder / "python").write_text(f"#!/bin/sh\nexec unshare --mount sh -ec '{commands}; exec {sys.executable}'\n")
        (folder / "python").chmod(0o755)
    if mistake.served is not None:
        serve(folder, **mistake.served)
    inventory = json.loads(path.read_text())
    hosts = inventory["all"]["children"]["gitlab_kas"]["hosts"]
    if mistake.ssh:
        client = folder / "node2.ssh"
        client.write_text(client.read_text().replace("No route to host", mistake.ssh))
    if mistake.sudo:
        program = folder / "sudo"
        program.write_text(f'#!/bin/sh\necho "{mistake.sudo}" >&2\nexit 1\n')
        program.chmod(0o755)
        hosts["node2"].update(ansible_become=True, ansible_become_exe=str(program))
    hosts["node2"].update(mistake.of_nodes.get("node2", {}))
    variables = {**inventory["all"]["vars"], **mistake.variables}
    inventory["all"] = {
        "hosts": hosts,
        "vars": {name: value for name, value in variables.items() if value is not None},
        "children": {group: {"hosts": dict.fromkeys(members)} for group, members in mistake.groups.items()},
    }
    path.write_text(json.dumps(inventory))
    return path


@pytest.mark.parametrize(
    "mistake", [each if not isinstance(each, Mistake) else pytest.param(each, id=each.name) for each in ALL]
)
def test_one_mistake(mistake: Mistake, tmp_path: Path) -> None:
    for name, content in mistake.own.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    playbook = str(tmp_path / "site.yml") if mistake.own else mistake.playbook
    environment = {**SUDO, **mistake.settings}
    done = simulated.run(playbook, inventory_of(mistake, tmp_path / "nodes"), *mistake.options, **environment)
    first, *others = mistake.hosts
    text = mistake.said if first in ("localhost", "web1") else f"{', '.join(mistake.hosts)}: {mistake.said}"
    said = {first: text, **{name: f"{name}: what is said of {first} is about this host, too." for name in others}}
    if mistake.by_each:
        said = {name: mistake.said.replace("HOST", name) for name in mistake.hosts}
    shown = failures(done.stdout)
    assert {
        name: said[name] if name in said and fits(said[name], found) else found for name, found in shown.items()
    } == said
    assert marks(done.stdout) == dict.fromkeys(mistake.hosts, "unreachable" if mistake.ssh else "failed")
    assert done.returncode in ((2, 4) if mistake.ssh else (2,))  # ansible-core 2.16 says 2
    runs = simulated.module_runs(tmp_path / "nodes")
    assert {module for modules in runs.values() for module in modules} <= {*READERS, *mistake.dry_runs}
    assert not re.search(r"Traceback|changed=[1-9]", done.stdout + done.stderr)


def fits(said: str, shown: str) -> bool:
    """Whether this is what was to be said; … stands for words of ansible-core, or for a figure."""
    return bool(re.fullmatch(re.escape(said).replace("…", ".+"), shown))


def failures(shown: str) -> dict[str, str]:
    """What is said of each host that fails; not of what is ignored, which has no_log."""
    results = re.findall(r"^fatal: \[(\S+)\]: \w+! => (\{.*\})$", shown, re.MULTILINE)
    return {name: json.loads(result)["msg"] for name, result in results if "censored" not in result}


def marks(shown: str) -> dict[str, str]:
    """The hosts that the recap counts as unreachable or failed."""
    counts = re.findall(r"^(\S+) +: .*unreachable=(\d+) +failed=(\d+)", shown, re.MULTILINE)
    return {
        name: "unreachable" if unreachable != "0" else "failed"
        for name, unreachable, failed in counts
        if (unreachable, failed) != ("0", "0")
    }
