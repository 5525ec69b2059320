"""What an administrator looks at on a node."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest
import yaml
from testinfra.host import Host

ENVIRONMENT = "/opt/gitlab/etc/gitlab-kas/env"


class Node:
    """One node, read only."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name = host.check_output("hostname")

    def lines(self, command: str) -> list[str]:
        return self.host.check_output(command).splitlines()

    @property
    def gitlab_rb(self) -> str:
        return self.host.file("/etc/gitlab/gitlab.rb").content_string

    @property
    def own_environment(self) -> dict[str, str]:
        """OWN_PRIVATE_API_* that the package gives to KAS."""
        found = self.lines(f"grep -rH . {ENVIRONMENT}/OWN_PRIVATE_API_* || true")
        return dict(line.removeprefix(f"{ENVIRONMENT}/").split(":", 1) for line in found)

    @property
    def private_api(self) -> dict[str, str]:
        """What gitlab.rb says of the private API and its URL."""
        code = "\n".join(line for line in self.gitlab_rb.splitlines() if not line.startswith("#"))
        return dict(re.findall(r"'(private_api_(?!secret)\w+|OWN_PRIVATE_API_\w+)'\]? =>? '(.*?)'", code))

    @property
    def published(self) -> str:
        """The own URL as KAS has logged it last: from 17.8 on there may be several in one."""
        line = self.lines("grep 'Using own private API' /var/log/gitlab/gitlab-kas/current")[-1]
        return json.loads(line[line.index("{") :])["url"]

    @property
    def config(self) -> dict:
        return yaml.safe_load(self.host.file("/var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml").content_string)

    @property
    def secrets(self) -> dict[str, str]:
        text = self.host.file("/etc/gitlab/gitlab-secrets.json").content_string
        return json.loads(text)["gitlab_kas"]

    @property
    def listeners(self) -> set[str]:
        """TCP sockets as ADDRESS:PORT, where * stands for both families."""
        return set(self.lines("ss -Hltn | awk '{print $4}'"))

    @property
    def reconfigure_runs(self) -> int:
        return len(self.lines("ls /var/log/gitlab/reconfigure"))

    @property
    def readiness(self) -> str:
        return self.host.run("curl -so /dev/null -w '%{http_code}' localhost:8151/readiness").stdout

    @property
    def peers(self) -> set[str]:
        """URLs of the KAS that this one finds in Redis and reaches."""
        metrics = self.lines("curl -s localhost:8151/metrics")
        return {line.split('"')[1] for line in metrics if line.startswith("kas_peer_up{") and line.endswith(" 1")}

    @property
    def rails(self) -> str:
        """What becomes of Rails' call to KAS."""
        return self.host.check_output("PYTHONPATH=/opt/gitlab/embedded/lib python3 -m gitlab_kas.rails")

    def asked(self, url: str, *options: str) -> str:
        """The status of a web server's answer; its names are all this node, whatever its certificate says."""
        curl = "curl --insecure --http1.1 --silent --output /dev/null --max-time 3 --write-out '%{http_code}'"
        return self.host.run(" ".join([curl, "--connect-to ::localhost:", *options, url])).stdout

    def upgraded(self, url: str) -> str:
        """The status for a WebSocket as an agent opens it; its connection stays open until curl gives up."""
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": "ws-tunnel",
        }
        return self.asked(url, *(f"--header '{name}: {value}'" for name, value in headers.items()))

    @property
    def rails_config(self) -> dict:
        text = self.host.file("/var/opt/gitlab/gitlab-rails/etc/gitlab.yml").content_string
        return yaml.safe_load(text)["production"]["gitlab_kas"]


@pytest.fixture
def node(host: Host) -> Node:
    return Node(host)


@pytest.fixture
def soon() -> Callable[[Callable[[], bool]], None]:
    """Wait up to ten seconds until something is so."""

    def wait(is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < deadline, "it did not become so"
            time.sleep(0.5)

    return wait
