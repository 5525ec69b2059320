"""A node whose gitlab.rb the tests change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

GITLAB_RB = "/etc/gitlab/gitlab.rb"
LOG = "/var/log/gitlab/gitlab-kas/current"
MANIFEST = "/opt/gitlab/version-manifest.json"


class Node:
    """One host. Its KAS is stopped, so that a reconfigure leaves it alone and the tests start it when they need it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.before = self.read(GITLAB_RB)
        self.run("gitlab-ctl stop gitlab-kas")

    def read(self, path: str) -> str:
        return self.host.file(path).content_string

    def run(self, command: str) -> str:
        return self.host.check_output(command)

    def write(self, path: str, text: str) -> None:
        self.host.check_output("printf %s %s > %s", "%s", text, path)

    def reconfigure(self, addition: str = "", version: str = "19.3.0"):
        """Reconfigure with `addition` at the end of the original gitlab.rb."""
        manifest = f'{{"build_version": "{version}"}}'
        files = "printf %s %s > %s; printf %s %s > %s; gitlab-ctl reconfigure"
        text = f"{self.before}{addition}\n"
        return self.host.run(files, "%s", manifest, MANIFEST, "%s", text, GITLAB_RB)

    def try_kas(self) -> str:
        """What KAS writes when it is started by hand: one that cannot bind takes ten seconds to end."""
        return self.host.run("timeout --signal KILL 13 /opt/gitlab/sv/gitlab-kas/run 2>&1").stdout

    def start_kas(self) -> None:
        self.run(f"truncate -s 0 {LOG}; gitlab-ctl start gitlab-kas")

    def log(self) -> str:
        return self.read(LOG)

    def give_back(self) -> None:
        self.reconfigure()
        self.run("gitlab-ctl start gitlab-kas")


@pytest.fixture(scope="module")
def node(host: Host) -> Iterator[Node]:
    """The node, given back as it was."""
    node = Node(host)
    yield node
    node.give_back()


@pytest.fixture()
def eventually() -> Callable[..., None]:
    """Wait, ten seconds at most unless told, until something is so."""

    def wait(condition: Callable[[], bool], within: float = 10) -> None:
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.2)

    return wait
