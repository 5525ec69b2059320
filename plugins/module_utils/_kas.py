# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KAS of this node: what its configuration says, whether it is ready, and what keeps it from starting."""

from __future__ import annotations

import base64
import binascii
import errno
import http.client
import re
import socket
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import remedy
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import cause, connect, tcp_addresses

CONFIGURATION = "/var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml"  # by the package's default of gitlab_kas['dir']
# Where the package puts certificates, also those of /etc/gitlab/trusted-certs: SSL_CERT_DIR of KAS.
CA_DIR = Path("/opt/gitlab/embedded/ssl/certs")

LOG_DIRECTORY = "/var/log/gitlab/gitlab-kas"  # by the package's default of gitlab_kas['log_directory']
_RUN = "opt/gitlab/sv/gitlab-kas/run"  # what runit runs
_LOG_RUN = "opt/gitlab/sv/gitlab-kas/log/run"
_RAILS = "opt/gitlab/embedded/service/gitlab-rails"  # of links to what reconfigure has made
_SECTIONS = {  # section of KAS's configuration → the name that the package's settings use for the listener
    "agent": "agent",
    "agent.kubernetes_api": "kubernetes_api",
    "observability": "observability",
    "api": "internal_api",
    "private_api": "private_api",
}
_WITHOUT_PORT = re.compile(r"^(grpcs?://(?:\[[^\]]*\]|[^:/\[]+))/?$")  # where Rails' gRPC library takes 443
_ANSWER_BYTES = 500
_SOCKET_TIMEOUT_S = 5.0


class KasError(Exception):
    """KAS cannot be asked, or does not answer as a KAS would."""


class Listener(NamedTuple):
    """Where one of KAS's servers listens."""

    network: str  # tcp, tcp4, tcp6 or unix
    address: str  # host:port, or a path


class Readiness(NamedTuple):
    """KAS's own answer, whether all that it needs works."""

    ready: bool
    text: str  # "ok", the failed probes, or why there is no answer


OBSERVABILITY = Listener("tcp", "localhost:8151")


def configuration(root: Path) -> Path:
    """The file that the KAS of this node reads, by the command that runit runs."""
    return under(root, _in_command(root / _RUN, r"--configuration-file[= ](\S+)") or CONFIGURATION)


def log_directory(root: Path) -> Path:
    """Where the log of this node's KAS lies, by the command that runit runs. gitlab.rb may be newer, or compute it."""
    return under(root, _in_command(root / _LOG_RUN, r"\bsvlogd\b.*\s(/\S+)") or LOG_DIRECTORY)


def _in_command(script: Path, pattern: str) -> str | None:
    try:
        match = re.search(pattern, script.read_text(errors="replace"))
    except OSError:  # KAS is not enabled, or was not configured yet
        return None
    return match[1] if match else None


def listeners(config_text: str) -> dict[str, Listener]:
    """Read the listeners from KAS's configuration."""
    values = scalars(config_text)
    return {
        name: Listener(values.get(f"{section}.listen.network", "tcp"), values[f"{section}.listen.address"])
        for section, name in _SECTIONS.items()
        if f"{section}.listen.address" in values
    }


def private_api_secret(root: Path) -> bytes:
    """The secret that KAS share, from the file that the KAS of this node reads; raise KasError."""
    file = configuration(root)
    name = scalars(_read(file)).get("private_api.listen.authentication_secret_file")
    if not name:
        raise KasError(f"{file} names no secret of the private API; run gitlab-ctl reconfigure.")
    return _secret(under(root, name))


def internal_api_secret(root: Path) -> bytes:
    """The secret that Rails shares with KAS, from the file that the Rails of this node reads; raise KasError."""
    return _secret(root / _RAILS / ".gitlab_kas_secret")


def internal_url(root: Path) -> str:
    """Where the Rails of this node was told to reach KAS, '' if it was told of none; raise KasError."""
    values = scalars(_read(root / _RAILS / "config/gitlab.yml"))
    url = values.get("production.gitlab_kas.internal_url", "")
    if values.get("production.gitlab_kas.enabled") != "true":
        return ""
    return _WITHOUT_PORT.sub(r"\1:443", url)


def readiness(listener: Listener = OBSERVABILITY, *, timeout: float = 5.0) -> Readiness:
    """Ask the observability server at /readiness: 200, or 500 with the failed probes; timeout in seconds."""
    connection = _Http(listener, timeout)
    try:
        connection.request("GET", "/readiness")
        answer = connection.getresponse()
        text = answer.read(_ANSWER_BYTES).decode(errors="replace")
    except KasError as error:
        reason = str(error)
    except OSError as error:
        reason = cause(error, timeout, listener.address)
    except http.client.HTTPException:
        reason = "answers, but not HTTP"
    else:
        if answer.status == 200:
            return Readiness(True, "ok")
        return Readiness(False, " ".join(text.split()) or f"status {answer.status}")
    finally:
        connection.close()
    return Readiness(False, f"{listener.address}: {reason}")


def stale_sockets(found: Iterable[Listener], root: Path = Path("/")) -> list[Path]:
    """The listeners' sockets on which nobody listens: left by a KAS that was killed, they keep it from starting.

    KAS takes its sockets away when it ends in order, and does not replace one that it finds.
    """
    paths = [under(root, listener.address) for listener in found if listener.network == "unix"]
    return [path for path in paths if _is_stale(path)]


def scalars(text: str) -> dict[str, str]:
    """Read the scalars of YAML by their path, such as "api.listen.address", from a file that the package renders.

    Nodes have no YAML parser. The package's templates are plain block style with one scalar to a line, and that is
    all this reads: mappings by indentation. Lists are passed over.
    """
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.match(r"( *)(\w+): *(.*?) *$", line)
        if match:
            indent, key, value = len(match[1]), match[2], match[3].strip("'\"")
            path = [*(step for step in path if step[0] < indent), (indent, key)]
            if value:
                found[".".join(name for _indent, name in path)] = value
    return found


def under(root: Path, path: object) -> Path:
    """An absolute path, in the file system that begins at root."""
    return root / str(path).lstrip("/")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError as error:
        raise KasError(f"{path} does not exist; run gitlab-ctl reconfigure.") from error
    except OSError as error:
        raise KasError(f"{path} cannot be read ({error.strerror}); {remedy(error)}.") from error


def _secret(path: Path) -> bytes:
    """Read Base64 as KAS does, which passes over ends of lines."""
    try:
        return base64.b64decode("".join(_read(path).splitlines()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise KasError(f"{path} does not hold a secret in Base64; run gitlab-ctl reconfigure.") from error


def _is_stale(path: Path) -> bool:
    """Whether this is a socket that refuses connections; if that cannot be told, it is not."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
        with connect([(socket.AF_UNIX, str(path))], time.monotonic() + _SOCKET_TIMEOUT_S):
            return False
    except OSError as error:
        return error.errno == errno.ECONNREFUSED


def _listener_addresses(listener: Listener) -> list[tuple[int, Any]]:
    if listener.network == "unix":
        return [(socket.AF_UNIX, listener.address)]
    host, _colon, port = listener.address.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit():
        raise KasError("not an address to listen on")
    return tcp_addresses("localhost" if host in ("", "0.0.0.0", "::") else host, int(port))


class _Http(http.client.HTTPConnection):
    """An HTTP connection to a listener, over TCP or a UNIX socket."""

    def __init__(self, listener: Listener, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._listener = listener
        self._seconds = timeout

    def connect(self) -> None:
        self.sock = connect(_listener_addresses(self._listener), time.monotonic() + self._seconds)
