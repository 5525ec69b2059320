"""The inventory says what the nodes say, and nothing was done on them."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

testinfra_hosts = ["ansible://gitlab_kas"]

ADOPTED = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "adopted"


def test_one_file_describes_all_nodes():
    files = [path for path in ADOPTED.rglob("*") if path.is_file() and path.name != "hosts.yml"]
    assert files == [ADOPTED / "group_vars/gitlab_kas.yml"]
    assert yaml.safe_load(files[0].read_text()) == {
        "kas_external_url": "ws://kas.gitlab.example.com/",
        "kas_own_private_api_cidr": "10.87.0.0/24",
        "kas_private_api_listen_address": "0.0.0.0:8155",
        "kas_env": {"SSL_CERT_DIR": "/opt/gitlab/embedded/ssl/certs/"},
        "kas_internal_url": "grpc://localhost:8153",
        "kas_k8s_proxy_url": "http://kas.gitlab.example.com/k8s-proxy/",
        "kas_write_defaults": False,
    }


def test_the_nodes_are_untouched(node):
    assert node.gitlab_rb == node.host.file("/root/gitlab.rb").content_string
    assert node.reconfigure_runs == 1
    assert not node.host.file("/var/lib/kasops.gitlab_kas").exists


def test_they_are_one_cluster(node, soon):
    others = {f"grpc://10.87.0.{number}:8155" for number in (11, 12, 13)} - set(node.own_environment.values())
    soon(lambda: node.peers == others)
    assert node.rails
