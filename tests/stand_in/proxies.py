"""Debian's nginx and HAProxy on loopback in front of the imitated KAS, as docs/proxies.md configures them."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "proxies.md"
PATIENCE_S = 10
# What the document's nginx needs around it to run without root.
NGINX = """\
daemon off; pid {0}/pid; error_log {0}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {0}; proxy_temp_path {0}; fastcgi_temp_path {0}; uwsgi_temp_path {0};
  scgi_temp_path {0};
{1}
}}
"""


class Proxy:
    """nginx or haproxy: the document's configuration, in which a test may break something before it starts."""

    def __init__(self, program: str, directory: Path, certificate: Path, ports: Mapping[str, int]) -> None:
        """The file of the certificate holds its key, too. ports are those of `agents`, `api` and `gitlab`."""
        self.program, self.directory, self.port = program, directory, free_port()
        text = re.findall(rf"```{program}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[0]
        for pattern, value in (
            (r"10\.0\.0\.1:8150", f"127.0.0.1:{ports['agents']}"),
            (r"10\.0\.0\.1:8154", f"127.0.0.1:{ports['api']}"),
            (r"10\.0\.0\.9:80", f"127.0.0.1:{ports['gitlab']}"),
            (r"/etc/\w+/gitlab\.example\.com\.\w+", str(certificate)),
            (r"(listen|bind) :?443", rf"\1 127.0.0.1:{self.port}"),
            (r"gitlab\.example\.com", "localhost"),
        ):
            text = re.sub(pattern, value, text)
        self.text = text

    def change(self, *changes: tuple[str, str]) -> None:
        """Replace texts by others; each must be there."""
        for old, new in changes:
            assert old in self.text, old
            self.text = self.text.replace(old, new)

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """From when it listens; yields its port."""
        file = self.directory / "proxy.conf"
        if self.program == "nginx":
            file.write_text(NGINX.format(self.directory, self.text))
            command = [
                _program("nginx"),
                "-p",
                str(self.directory),
                "-c",
                str(file),
                "-e",
                str(self.directory / "error.log"),
            ]
        else:
            file.write_text(self.text)
            command = [_program("haproxy"), "-db", "-q", "-f", str(file)]
        with (self.directory / "said").open("w") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            self._wait(process)
            yield self.port
        finally:
            process.terminate()
            process.wait(PATIENCE_S)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert process.poll() is None, (self.directory / "said").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _program(name: str) -> str:
    """Where Debian has it, which is not in everybody's PATH; scripts/setup.sh installs it."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"there is no {name}; run make setup"
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class GitLab(http.server.BaseHTTPRequestHandler):
    """GitLab for whoever is not logged in, and its metadata for whoever has the token."""

    token = "glpat-of-a-test"
    kas: Any = None

    def do_GET(self) -> None:
        if self.path != "/api/v4/metadata":
            self._answer(302, b"", ("Location", f"http://{self.headers['Host']}/users/sign_in"))
        elif self.headers["PRIVATE-TOKEN"] != self.token:
            self._answer(401, b'{"message":"401 Unauthorized"}')
        else:
            self._answer(200, json.dumps({"version": "19.3.0", "kas": self.kas}).encode())

    def do_POST(self) -> None:
        self._answer(404, b"")

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving_gitlab() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), GitLab) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
