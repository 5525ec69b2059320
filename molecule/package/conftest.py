"""Looks at a node with nothing but what a package brings along; secrets leave it as digests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from testinfra.host import Host

SECRETS = (
    'puts JSON.parse(File.read("/etc/gitlab/gitlab-secrets.json"))["gitlab_kas"]'
    ".transform_values { |secret| Digest::SHA256.hexdigest(secret) }.to_json"
)


class Look:
    """One node, read only."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def file(self, path: str) -> list[str]:
        """Owner, group and mode."""
        return self.host.check_output(f"stat -c '%U %G 0%a' {path}").split()

    def digest(self, path: str) -> str:
        return self.host.check_output(f"sha256sum {path}").split()[0]

    @property
    def secrets(self) -> dict[str, str]:
        """Digests of the secrets that the package holds for KAS."""
        return json.loads(self.host.check_output(f"/opt/gitlab/embedded/bin/ruby -rjson -rdigest -e '{SECRETS}'"))


@pytest.fixture
def look(host: Host) -> Look:
    return Look(host)


@pytest.fixture
def before(host: Host) -> dict[str, str]:
    """gitlab.rb before the first deployment, as Ansible's stat module saw it."""
    directory = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    return json.loads((directory / f"{host.backend.get_hostname()}.json").read_text())
