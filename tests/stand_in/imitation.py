"""The imitated KAS as a process on loopback."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

STAND_IN = Path(__file__).resolve().parents[2] / "molecule" / "stand_in"
API_SECRET, PRIVATE_SECRET, WEBSOCKET_SECRET = b"a" * 32, b"p" * 32, b"w" * 72
ADDRESS = re.compile(r'"net_address":"([^"]+)"')
PATIENCE_S = 20
PROGRAM = "import sys; from gitlab_kas.app import main; sys.exit(main(sys.argv[1:]))"


class Kas:
    """One KAS: its directory, its configuration (changed before `start`), its process and what it logs."""

    def __init__(self, directory: Path, redis: Path) -> None:
        self.directory, self.process, self.prefix = directory, None, []
        self.env = {"SSL_CERT_DIR": str(directory)}
        for name, secret in (("api", API_SECRET), ("private", PRIVATE_SECRET), ("websocket", WEBSOCKET_SECRET)):
            self.secret(name, secret)
        listen = {"network": "tcp", "address": "127.0.0.1:0"}
        self.config: dict[str, Any] = {
            "agent": {
                "listen": {**listen, "websocket": True},
                "kubernetes_api": {
                    "listen": {**listen},
                    "url_path_prefix": "/",
                    "websocket_token_secret_file": str(directory / "websocket"),
                },
            },
            "gitlab": {
                "address": "http://127.0.0.1:1",
                "external_url": "https://gitlab.example.com",
                "authentication_secret_file": str(directory / "api"),
            },
            "observability": {"listen": {**listen}},
            "redis": {"network": "unix", "server": {"address": str(redis)}, "key_prefix": str(directory)},
            "api": {"listen": {**listen, "authentication_secret_file": str(directory / "api")}},
            "private_api": {"listen": {**listen, "authentication_secret_file": str(directory / "private")}},
        }

        self.grace("0.1s")

    def secret(self, name: str, secret: bytes) -> None:
        """Write the secret `api`, `private` or `websocket`."""
        (self.directory / name).write_bytes(base64.b64encode(secret) + b"\n")

    def grace(self, period: str | None) -> None:
        """How long each step of the end takes; None for what KAS takes by itself, five seconds."""
        for path in ("agent.listen", "agent.kubernetes_api.listen", "api.listen", "private_api.listen"):
            self.set(f"{path}.listen_grace_period", period)

    def set(self, path: str, value: Any) -> None:
        """Set a field, named as `private_api.listen.address`."""
        *parents, name = path.split(".")
        node = self.config
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value

    def run(self, release: str = "19.3.0", text: str | None = None) -> None:
        """Start the process; `text` in place of the configuration."""
        config = self.directory / "config.yml"
        config.write_text(yaml.safe_dump(self.config) if text is None else text)
        manifest = self.directory / "version-manifest.json"
        manifest.write_text(json.dumps({"build_version": release}))
        with (self.directory / "log").open("w") as log:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, "-c", PROGRAM, "--configuration-file", str(config)],
                env={"PYTHONPATH": str(STAND_IN), "STAND_IN_MANIFEST": str(manifest)} | self.env,
                stderr=log,
                cwd=self.directory,
            )

    def start(self, release: str = "19.3.0") -> None:
        """Start and wait for all listeners."""
        self.run(release)
        expected = 4 + ("kubernetes_api" in self.config["agent"])
        self.wait(lambda: self.log.count("endpoint is up") == expected)

    def abort(self, release: str = "19.3.0", text: str | None = None) -> str:
        """Start and wait for the end; what it said."""
        self.run(release, text)
        assert self.process.wait(PATIENCE_S) == 1, self.log
        return self.log

    def stop(self) -> int:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S) if self.process else 0

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log
            time.sleep(0.02)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def address(self, what: str) -> tuple[str, int]:
        """Where `API` and so on listens."""
        line = next(line for line in self.log.splitlines() if f'"msg":"{what} endpoint is up"' in line)
        host, _colon, port = ADDRESS.findall(line)[0].rpartition(":")
        return host.strip("[]"), int(port)
