# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running KAS: what it listens on, whether it is ready, the URLs it published; and reaching a peer.

Why something does not answer is told as the rest of a sentence: "connection refused", "no answer within 5 s".
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import http.client
import ipaddress
import json
import re
import socket
import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import Endpoint, parse_url

CONFIG_NAME = "gitlab-kas-config.yml"
# Where the package puts certificates, also those of /etc/gitlab/trusted-certs: SSL_CERT_DIR of KAS.
CA_DIR = Path("/opt/gitlab/embedded/ssl/certs")

_SECTIONS = {  # section of KAS's configuration → the name that the package's settings use for the listener
    "agent": "agent",
    "agent.kubernetes_api": "kubernetes_api",
    "observability": "observability",
    "api": "internal_api",
    "private_api": "private_api",
}
_STARTED = "Running KAS"
_ABORTED = "Program aborted"
_UP = "Observability endpoint is up"
_PUBLISHED = ("Using own private API URL", "Using own private API multi URL")  # up to 17.7, from 17.8 on
_LOG_MARKS = [message.encode() for message in (_STARTED, _ABORTED, _UP, *_PUBLISHED)]
_LOG_BYTES_READ = 256 * 1024 * 1024  # a second or two
_ANSWER_BYTES = 500

# RFC 9113, 3.4: a client begins with this text and a SETTINGS frame; the server's first frame is SETTINGS.
_HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_EMPTY_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_HEADER_BYTES = 9
_TLS_ALERT = b"\x15\x03"

_CERTIFICATE_CAUSES = {  # OpenSSL's X509_V_ERR_ codes
    9: "certificate is not valid yet",
    10: "certificate has expired",
    18: "certificate signed by an unknown authority",
    19: "certificate signed by an unknown authority",
    20: "certificate signed by an unknown authority",
    21: "certificate signed by an unknown authority",
}
_X509_V_FLAG_PARTIAL_CHAIN = 0x80000  # Python 3.9 has no name for it
_NAME_MISMATCHES = {62, 64}  # host name, IP address
_CAUSES = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "network unreachable",
    errno.ENOENT: "no such socket",
    errno.EACCES: "permission denied",
}


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


class Reach(NamedTuple):
    """Whether a peer answers as a KAS would."""

    ok: bool
    text: str


OBSERVABILITY = Listener("tcp", "localhost:8151")


def listeners(config_text: str) -> dict[str, Listener]:
    """Read the listeners from gitlab-kas-config.yml as the package renders it.

    Nodes have no YAML parser. The package's template is plain block style with one scalar to a line, and
    that is all this reads: mappings by indentation, and `address` and `network` below a `listen`.
    """
    found: dict[str, dict[str, str]] = {}
    path: list[tuple[int, str]] = []
    for line in config_text.splitlines():
        match = re.match(r"( *)(\w+): *(.*?) *$", line)
        if not match:
            continue
        indent, key, value = len(match[1]), match[2], match[3].strip("'\"")
        path = [step for step in path if step[0] < indent]
        section, _, last = ".".join(step[1] for step in path).rpartition(".")
        if value and last == "listen" and section in _SECTIONS:
            found.setdefault(_SECTIONS[section], {})[key] = value
        path.append((indent, key))
    return {
        name: Listener(listen.get("network", "tcp"), listen["address"])
        for name, listen in found.items()
        if "address" in listen
    }


def readiness(listener: Listener = OBSERVABILITY, *, timeout: float = 5.0) -> Readiness:
    """Ask the observability server at /readiness: 200, or 500 with the failed probes; timeout in seconds."""
    connection = _Http(listener, timeout)
    try:
        connection.request("GET", "/readiness")
        answer = connection.getresponse()
        text = answer.read(_ANSWER_BYTES).decode(errors="replace")
    except KasError as error:
        cause = str(error)
    except OSError as error:
        cause = _cause(error, timeout, listener.address)
    except http.client.HTTPException:
        cause = "answers, but not HTTP"
    else:
        if answer.status == 200:
            return Readiness(True, "ok")
        return Readiness(False, " ".join(text.split()) or f"status {answer.status}")
    finally:
        connection.close()
    return Readiness(False, f"{listener.address}: {cause}")


def published_urls(log_lines: Iterable[str]) -> list[str]:
    """Find the private API URLs that KAS published when it last started; none if it did not get that far."""
    urls: list[str] = []
    for line in log_lines:
        entry = _log_entry(line)
        message = entry.get("msg")
        if message == _STARTED:
            urls = []
        elif message in _PUBLISHED:
            urls += _single_urls(str(entry.get("url")))
    return urls


def start_failure(log_lines: Iterable[str]) -> str:
    """Find out why KAS ended when it last started, '' if it came up; a start that has not ended yet does not count."""
    failure = ""
    for line in log_lines:
        entry = _log_entry(line)
        if entry.get("msg") == _UP:
            failure = ""
        elif entry.get("msg") == _ABORTED:
            failure = str(entry.get("error"))
    return failure


def start_log_lines(directory: Path) -> list[str]:
    """Read the lines that published_urls and start_failure look for, from the last start of KAS on; raise KasError.

    svlogd renames a full log to @….s, or @….u if it was interrupted, and GitLab has it compressed. A KAS that
    has run for long has its start in one of those.
    """
    lines: list[str] = []
    left = _LOG_BYTES_READ
    try:
        # The names are times (TAI64N), so they sort by age.
        for file in [directory / "current", *sorted(directory.glob("@*.[su]"), reverse=True)]:
            here = []
            with _open_log(file) as log:
                for line in log:
                    left -= len(line)
                    if any(mark in line for mark in _LOG_MARKS):
                        here.append(line.decode(errors="replace"))
            lines = here + lines
            if left <= 0 or any(_STARTED in line for line in here):
                break
    except (OSError, EOFError, zlib.error) as error:
        raise KasError(f"The log of KAS in {directory} cannot be read ({error}); run with become: true.") from error
    return lines


def reach(url: str, *, server_name: str | None = None, ca_dir: Path | None = None, timeout: float) -> Reach:
    """Connect as another KAS would, and see whether a gRPC server answers; timeout in seconds, for all of it.

    grpcs: the certificate must lead to a CA that KAS trusts (ca_dir: to one of those files), and be made out to
    server_name, which KAS takes from OWN_PRIVATE_API_HOST, or else to the host in the URL.
    """
    endpoint = parse_url(url)
    deadline = time.monotonic() + timeout
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(_connect(_peer_addresses(endpoint), deadline))
            if endpoint.scheme == "grpcs":
                name = server_name or endpoint.host
                connection = stack.enter_context(_with_tls(connection, endpoint, name, ca_dir, deadline))
            _check_http2(connection, deadline)
    except KasError as error:
        return Reach(False, str(error))
    except OSError as error:
        return Reach(False, _cause(error, timeout, endpoint.host))
    return Reach(True, "reachable")


def _connect(addresses: Iterable[tuple[int, Any]], deadline: float) -> socket.socket:
    """Connect to the first address that answers before the deadline; the others may take what time is left."""
    failure = OSError("no address")
    for family, address in addresses:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def _tcp_addresses(host: str, port: int | None) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _type, _protocol, _name, address in found]


def _peer_addresses(endpoint: Endpoint) -> list[tuple[int, Any]]:
    if endpoint.scheme == "unix":
        return [(socket.AF_UNIX, endpoint.path)]
    return _tcp_addresses(endpoint.host, endpoint.port)


def _listener_addresses(listener: Listener) -> list[tuple[int, Any]]:
    if listener.network == "unix":
        return [(socket.AF_UNIX, listener.address)]
    host, _, port = listener.address.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit():
        raise KasError("not an address to listen on")
    return _tcp_addresses("localhost" if host in ("", "0.0.0.0", "::") else host, int(port))


def _with_tls(
    connection: socket.socket, endpoint: Endpoint, name: str, ca_dir: Path | None, deadline: float
) -> ssl.SSLSocket:
    context = _tls_context(ca_dir)
    connection.settimeout(_left(deadline))
    try:
        secured = context.wrap_socket(connection, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _NAME_MISMATCHES:
            names = _certificate_names(endpoint, name, context, deadline)
            raise KasError(f"certificate is for {names}, not {name}") from error
        cause = _CERTIFICATE_CAUSES.get(error.verify_code)
        raise KasError(cause or f"certificate is refused: {error.verify_message}") from error
    except ssl.SSLEOFError as error:
        raise KasError("closes the connection instead of speaking TLS") from error
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
            raise KasError("answers, but not TLS") from error
        raise KasError(f"TLS fails: {(error.reason or 'unknown reason').replace('_', ' ').lower()}") from error
    if secured.selected_alpn_protocol() != "h2":  # what Go's gRPC client insists on
        secured.close()
        raise KasError("answers with TLS, but does not offer HTTP/2 (ALPN h2)")
    return secured


def _tls_context(ca_dir: Path | None) -> ssl.SSLContext:
    """Trust what KAS trusts: Go reads the system's bundle and every file in SSL_CERT_DIR, whatever its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # nor does Go
    context.verify_flags |= ssl.VerifyFlags(_X509_V_FLAG_PARTIAL_CHAIN)  # any certificate may be the anchor, as in Go
    context.set_alpn_protocols(["h2"])
    directory = ca_dir or CA_DIR
    if not directory.is_dir():
        raise KasError(f"there is no directory {directory} with the certificates of CAs")
    if ca_dir is None:
        context.load_default_certs()
    for file in sorted(directory.glob("*")):
        with contextlib.suppress(OSError):  # a README, a directory, a link to nothing; SSLError is an OSError
            context.load_verify_locations(cafile=str(file))
    return context


def _certificate_names(endpoint: Endpoint, name: str, context: ssl.SSLContext, deadline: float) -> str:
    """Ask once more, to say which names are in the certificate; its chain has been verified."""
    context.check_hostname = False
    with _connect(_peer_addresses(endpoint), deadline) as connection:
        connection.settimeout(_left(deadline))
        with context.wrap_socket(connection, server_hostname=name) as secured:
            certificate: Mapping = secured.getpeercert() or {}
    return ", ".join(value for _kind, value in certificate.get("subjectAltName", ())) or "no name at all"


def _check_http2(connection: socket.socket, deadline: float) -> None:
    connection.settimeout(_left(deadline))
    answer = b""
    with contextlib.suppress(ConnectionError):  # no answer either
        connection.sendall(_HTTP2_PREFACE + _EMPTY_SETTINGS)
        while len(answer) < _FRAME_HEADER_BYTES:
            connection.settimeout(_left(deadline))
            part = connection.recv(_FRAME_HEADER_BYTES - len(answer))
            if not part:
                break
            answer += part
    if not answer:
        # What Go makes of a client that does not begin with TLS.
        hint = "" if isinstance(connection, ssl.SSLSocket) else "; if it speaks TLS, its URL must start with grpcs://"
        raise KasError(f"closes the connection without an answer{hint}")
    if answer.startswith(_TLS_ALERT):
        raise KasError("answers with TLS, so its URL must start with grpcs://")
    if answer[3:] != _EMPTY_SETTINGS[3:]:  # the length may differ
        raise KasError("answers, but not HTTP/2")


def _left(deadline: float) -> float:
    """Seconds until the deadline; raise TimeoutError behind it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout
    return left


def _cause(error: OSError, timeout: float, host: str) -> str:
    if isinstance(error, socket.timeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, socket.gaierror):
        return f"the name {host} is not known"
    known = _CAUSES.get(error.errno or 0)
    return known or (error.strerror or str(error)).lower()


class _Http(http.client.HTTPConnection):
    """An HTTP connection to a listener, over TCP or a UNIX socket."""

    def __init__(self, listener: Listener, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._listener = listener
        self._seconds = timeout

    def connect(self) -> None:
        self.sock = _connect(_listener_addresses(self._listener), time.monotonic() + self._seconds)


def _open_log(file: Path) -> contextlib.AbstractContextManager:
    with file.open("rb") as log:
        compressed = log.read(2) == b"\x1f\x8b"
    return gzip.open(file) if compressed else file.open("rb")


def _log_entry(line: str) -> Mapping:
    """Read a line of the log: svlogd's time and JSON; plain text, such as a panic, is an empty entry."""
    try:
        entry = json.loads(line[line.index("{") :])
    except ValueError:
        return {}
    return entry if isinstance(entry, Mapping) else {}


def _single_urls(url: str) -> Iterator[str]:
    """Split what 17.8 and later log, "grpc:10.0.0.1,fd00::1|8155" or "unix:/PATH", into URLs; others are URLs."""
    scheme, _, rest = url.partition(":")
    if rest.startswith("//"):
        yield url
        return
    if scheme == "unix":
        yield f"unix://{rest}"
        return
    hosts, _, port = rest.partition("|")
    for host in hosts.split(","):
        with contextlib.suppress(ValueError):
            host = f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
        yield f"{scheme}://{host}:{port}"
