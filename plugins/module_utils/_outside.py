# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking for KAS from outside, through whatever proxy is in front: as agents, as users of kubectl, and as Rails tells.

What KAS answers was measured on 16.5: it takes a WebSocket on any path, and at the Kubernetes API proxy it refuses who
shows nothing with a header of its own. What the package's nginx, other proxies and GitLab answer in its place says
which part is at fault, and that part is named.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._grpc import (
    ANSWERS_WITH_TLS,
    NO_ANSWER,
    NO_ANSWER_TO_CALL,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Client,
    GrpcError,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import (
    Unreachable,
    cause,
    connect,
    left,
    remedy,
    tcp_addresses,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._peer import ask_as_agent
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._tls import (
    CERTIFICATE,
    Advice,
    Tls,
    tls_reason,
    trust_of_system,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._web import Answer, Web

# The parts that can be at fault; a certificate is the fifth.
NAME, NETWORK, PROXY, PATH, TIMEOUT, KAS, GITLAB = "name", "network", "proxy", "path", "time-out", "KAS", "GitLab"
PARTS = (NAME, NETWORK, CERTIFICATE, PROXY, PATH, TIMEOUT, KAS, GITLAB)

_SUBPROTOCOL = "ws-tunnel"
_SECURE = ("wss", "grpcs", "https")
_REDIRECTS = range(300, 400)
_SECONDS_A_DAY = 86400
_SHOWN_CHARACTERS = 100

_PASS_UPGRADE = (
    "let the proxy speak HTTP/1.1 to KAS, and pass on the headers Upgrade and Connection (nginx: proxy_http_version"
    " 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade)"
)
_LONGER = (
    "raise its time-out to an hour or more (nginx: proxy_read_timeout and proxy_send_timeout; HAProxy: timeout tunnel)"
)


class Door(NamedTuple):
    """A listener of KAS behind the proxy."""

    port: int  # unless set
    takes: str  # what is passed on to it


_AGENTS = Door(8150, "agents")
_KUBERNETES_API = Door(8154, "the Kubernetes API proxy")


class Found(NamedTuple):
    """What came of a question."""

    ok: bool
    part: str = ""  # what is at fault, one of PARTS; '' if all is well
    text: str = "reachable"  # else why not, as the rest of a sentence
    remedy: str = ""  # what to do about it, as the rest of a sentence
    warnings: tuple[str, ...] = ()  # what will be at fault before long, as sentences
    told: Mapping[str, Any] = {}  # what GitLab says of KAS


class Vantage(NamedTuple):
    """How it is asked from this host."""

    ca: Sequence[str] = ()  # certificates in PEM that are trusted besides the system's
    timeout: float = 5  # seconds for each question
    min_valid_days: int = 30  # a certificate that ends sooner is told


class _Site:
    """A server named by a URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self.scheme = parts.scheme
        self.is_tls = parts.scheme in _SECURE
        self.host = (parts.hostname or "").removesuffix(".")
        self.port = parts.port or (443 if self.is_tls else 80)
        self.authority = parts.netloc.rpartition("@")[2]
        self.path = parts.path or "/"


def agents(url: str, vantage: Vantage, idle: float = 0) -> Found:
    """Whether an agent gets through to KAS at a URL of ws(s) or grpc(s).

    Over ws(s) the connection is then held without a call for this many seconds, to see whether it stays. An agent has
    calls open all the time, and without one a proxy may well end a connection of grpc(s); so that is not tried.
    """
    site = _Site(url)
    if site.scheme in ("grpc", "grpcs"):
        return _asked(site, vantage, "h2", _call)
    return _asked(site, vantage, "http/1.1", partial(_tunnel, idle))


def kubernetes_api(url: str, vantage: Vantage) -> Found:
    """Whether the Kubernetes API proxy at a URL of http(s) is that of a KAS."""
    return _asked(_Site(url), vantage, "http/1.1", _refuse_the_unknown)


def metadata(url: str, token: str, vantage: Vantage, *, agents_url: str = "", proxy_url: str = "") -> Found:
    """What GitLab at a URL of http(s) says of KAS, and whether it reaches KAS and tells people these two URLs."""
    site = _Site(f"{url.rstrip('/')}/api/v4/metadata")
    return _asked(site, vantage, "http/1.1", partial(_tell, token, agents_url, proxy_url))


# -- The connection --

_Ask = Callable[[_Site, socket.socket, float], Mapping[str, Any]]


def _asked(site: _Site, vantage: Vantage, protocol: str, ask: _Ask) -> Found:
    """Connect, with TLS if the URL says so, and ask; whatever fails says which part is at fault."""
    deadline = time.monotonic() + vantage.timeout
    warnings: list[str] = []
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(_connect(site, deadline, vantage.timeout))
            if site.is_tls:
                tls = Tls(
                    site.host,
                    trust_of_system(vantage.ca),
                    lambda: _connect(site, deadline, vantage.timeout),
                    protocol=protocol,
                    advice=_advice(site),
                )
                secured = stack.enter_context(tls.secure(connection))
                warnings += _ends_soon(secured, site, vantage.min_valid_days)
                connection = secured
            return Found(True, warnings=tuple(warnings), told=ask(site, connection, deadline))
    except (Unreachable, GrpcError, http.client.HTTPException, OSError) as error:
        fault = error if isinstance(error, Unreachable) else _fault(error, site, vantage.timeout)
        return Found(False, fault.part or PROXY, str(fault), fault.remedy, tuple(warnings))


def _fault(error: Exception, site: _Site, timeout: float) -> Unreachable:
    """What is at fault if a server that is there does not answer as it should."""
    if isinstance(error, GrpcError):
        return _no_grpc(error, site)
    if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.RemoteDisconnected):
        return Unreachable(
            "answers, but not as a web server does",
            f"check what listens at port {site.port}, and correct the URL",
            PROXY,
        )
    if isinstance(error, ssl.SSLError):  # an alert after the handshake
        return Unreachable(f"TLS fails: {tls_reason(error)}", "let the proxy speak TLS 1.2 or later", PROXY)
    if isinstance(error, socket.timeout):
        return Unreachable(
            f"the connection stands, but there is no answer within {timeout:g} s",
            "make sure that the proxy passes it on to a KAS that is ready, at once and not buffered",
            TIMEOUT,
        )
    how = (
        "see in the log of the proxy why, and make sure that KAS is ready and that the proxy speaks to it as it"
        " listens, with TLS or without"
    )
    if not site.is_tls:
        how = f"if TLS is spoken at port {site.port}, let the URL start with {site.scheme}s://; else {how}"
    return Unreachable("the connection is closed without an answer", how, PROXY)


def _connect(site: _Site, deadline: float, timeout: float) -> socket.socket:
    """Open a connection; raise Unreachable."""
    try:
        connection = connect(tcp_addresses(site.host, site.port), deadline)
        connection.settimeout(left(deadline))
    except UnicodeError as error:  # a label that is empty or too long
        raise Unreachable(f"{site.host} is no name of a host", "correct the URL", NAME) from error
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise Unreachable(cause(error, timeout, site.host), remedy(error), NAME) from error
        how = remedy(error)
        if error.errno == errno.ECONNREFUSED:
            how = f"make sure that the proxy or KAS listens at port {site.port} there, and that no firewall rejects it"
        text = cause(error, timeout, site.host).replace("no answer", "no connection")
        raise Unreachable(text, how, NETWORK) from error
    return connection


def _advice(site: _Site) -> Advice:
    return Advice(
        name="give the proxy a certificate with {} in its SAN, or correct the URL",
        dates="renew the proxy's certificate and reload the proxy, or set the clock of this host right",
        authority=(
            "let the proxy send the intermediate certificates behind its own, and if the authority is your own, name it"
            " in kas_ca_certificates and give it to the agents"
        ),
        plain=f"turn on TLS at port {site.port} of the proxy, or let the URL start with {site.scheme[:-1]}://",
        protocol=(
            f"turn on HTTP/2 at port {site.port} of the proxy (nginx: listen … ssl http2; HAProxy: alpn h2), or let"
            " agents connect with wss://"
            if site.scheme == "grpcs"
            else f"let the proxy offer HTTP/1.1 beside HTTP/2 at port {site.port}"
        ),
    )


def _ends_soon(secured: ssl.SSLSocket, site: _Site, min_valid_days: int) -> list[str]:
    end = dict(secured.getpeercert() or {}).get("notAfter")
    seconds = ssl.cert_time_to_seconds(str(end)) - time.time() if end else None
    if seconds is None or seconds >= min_valid_days * _SECONDS_A_DAY:
        return []
    days = int(seconds // _SECONDS_A_DAY)
    return [f"the certificate of {site.host}:{site.port} expires in {days} days; renew it."]


# -- Agents --


def _tunnel(idle: float, site: _Site, connection: socket.socket, deadline: float) -> Mapping[str, Any]:
    """Make a WebSocket as agents do, and see that a gRPC server is at its other end; raise Unreachable."""
    web = Web(connection, authority=site.authority, deadline=deadline)
    answer, websocket = web.shake_hands(site.path, _SUBPROTOCOL)
    if not websocket:
        raise _no_websocket(answer, site)
    if answer.headers["Sec-WebSocket-Protocol"] != _SUBPROTOCOL:
        raise Unreachable(
            f"the WebSocket has no subprotocol {_SUBPROTOCOL}: the proxy does not pass on Sec-WebSocket-Protocol",
            "let the proxy pass on that header, in requests and in answers",
            PROXY,
        )
    client = Client(websocket, authority=site.authority, scheme="https" if site.is_tls else "http", deadline=deadline)
    try:
        client.greet()
    except GrpcError as error:
        raise Unreachable(
            f"the WebSocket is made, but nothing of KAS comes through it ({error})",
            f"let the proxy pass {site.path} on to port {_AGENTS.port} of KAS, and no other path of GitLab",
            PATH,
        ) from error
    if idle:
        _hold(client, idle)
    return {}


def _hold(client: Client, idle: float) -> None:
    begin = time.monotonic()
    try:
        client.hold(begin + idle)
    except (GrpcError, OSError) as error:
        seconds = round(time.monotonic() - begin)
        raise Unreachable(f"the proxy ends a connection without traffic after {seconds} s", _LONGER, TIMEOUT) from error


def _call(site: _Site, connection: socket.socket, deadline: float) -> Mapping[str, Any]:
    """Make a gRPC call as an agent would, without a token; raise Unreachable and GrpcError."""
    scheme = "https" if site.is_tls else "http"
    client = Client(connection, authority=site.authority, scheme=scheme, deadline=deadline)
    client.greet()
    answer = ask_as_agent(client)
    if answer.status == UNAVAILABLE:
        raise _out_of_reach(f"gRPC status {answer.status}", _AGENTS)
    if answer.status != UNAUTHENTICATED:
        told = f"gRPC status {answer.status}" + (f", {answer.message}" if answer.message else "")
        return {"answer": f"answer not known ({told})"}
    return {}


def _no_grpc(error: GrpcError, site: _Site) -> Unreachable:
    """What is there in place of a gRPC server."""
    text = str(error)
    if text == NO_ANSWER_TO_CALL:
        return Unreachable(text, "make sure that the proxy passes gRPC on to a KAS that is ready", TIMEOUT)
    if error.http_status in ("502", "503", "504"):
        return _out_of_reach(f"HTTP {error.http_status}", _AGENTS)
    if error.http_status:
        how = (
            f"let the proxy pass the paths below /gitlab.agent. on to port {_AGENTS.port} of KAS as gRPC (nginx:"
            " grpc_pass)"
        )
        return Unreachable(text, how, PATH)
    if text == ANSWERS_WITH_TLS or (text == NO_ANSWER and not site.is_tls):
        return Unreachable(text, "if it speaks TLS, let the URL start with grpcs://", PROXY)
    how = f"turn on HTTP/2 at port {site.port} of the proxy, or let agents connect with {_as_websocket(site)}://"
    return Unreachable(text, how, PROXY)


def _as_websocket(site: _Site) -> str:
    return "wss" if site.is_tls else "ws"


def _no_websocket(answer: Answer, site: _Site) -> Unreachable:
    """Why an answer is no WebSocket."""
    what = _what(answer)
    if answer.status == 101:
        return Unreachable(
            f"the handshake of the WebSocket is answered wrongly ({what})",
            "let the proxy pass it on to KAS as it is, and KAS's answer back",
            PROXY,
        )
    if answer.status == 426:
        return Unreachable(f"the proxy does not pass on the header Upgrade ({what})", _PASS_UPGRADE, PROXY)
    if answer.headers["Gitlab-Unauthorized"]:
        return Unreachable(
            f"the path {site.path} leads to the Kubernetes API proxy ({what})",
            f"let the proxy pass it on to port {_AGENTS.port} of KAS, not to {_KUBERNETES_API.port}",
            PATH,
        )
    if answer.status == 400 and "WebSocket" in answer.body:
        return Unreachable(
            f"the proxy does not pass on the headers Sec-WebSocket-* ({what})",
            "let the proxy pass on all of them",
            PROXY,
        )
    return _no_kas(answer, site, _AGENTS)


# -- The Kubernetes API proxy --


def _refuse_the_unknown(site: _Site, connection: socket.socket, deadline: float) -> Mapping[str, Any]:
    """Ask as kubectl exec does, which wants another protocol, but without credentials; raise Unreachable.

    Not for a WebSocket: that would be an agent's, if the path leads to the wrong listener.
    """
    web = Web(connection, authority=site.authority, deadline=deadline)
    headers = {"Accept": "application/json", "Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    answer = web.get(f"{site.path.rstrip('/')}/version", headers)
    if answer.status == 401 and answer.headers["Gitlab-Unauthorized"]:
        return {}
    what = _what(answer)
    if answer.status == 401 and "GitLab Agent Server" in answer.body:
        raise Unreachable(
            f"the proxy does not pass back the header Gitlab-Unauthorized ({what})",
            "let the proxy pass back all headers of KAS",
            PROXY,
        )
    if answer.status in (101, 426):
        raise Unreachable(
            f"the path of the Kubernetes API proxy leads to the listener of agents ({what})",
            f"let the proxy pass {site.path} on to port {_KUBERNETES_API.port} of KAS, not to {_AGENTS.port}",
            PATH,
        )
    if answer.status == 400 and "prefix" in answer.body:
        raise Unreachable(
            f"KAS does not know this path ({what})",
            f"let the proxy take {site.path} away before it passes the rest on (nginx: proxy_pass with a final slash)",
            PATH,
        )
    raise _no_kas(answer, site, _KUBERNETES_API)


# -- What GitLab tells --


def _tell(
    token: str, agents_url: str, proxy_url: str, site: _Site, connection: socket.socket, deadline: float
) -> Mapping[str, Any]:
    """What GitLab says of its KAS; raise Unreachable if that is not as it should be."""
    web = Web(connection, authority=site.authority, deadline=deadline)
    answer = web.get(site.path, {"Accept": "application/json", "PRIVATE-TOKEN": token, "Connection": "close"})
    what = _what(answer)
    if answer.status in (401, 403):
        raise Unreachable(
            f"GitLab refuses the token ({what})",
            "give kas_verify_token one that is valid and has the scope read_user or read_api",
            GITLAB,
        )
    told = _kas_in(answer)
    if told is None:
        raise Unreachable(
            f"GitLab does not answer there ({what})",
            "let kas_gitlab_address or external_url name GitLab with its relative URL root, without a redirect",
            GITLAB,
        )
    if not told.get("enabled"):
        raise Unreachable(
            "Rails says that KAS is off",
            "set gitlab_rails['gitlab_kas_enabled'] to true on every Rails node, as the playbook deploy does",
            GITLAB,
        )
    if not told.get("version"):
        raise Unreachable(
            "Rails does not reach KAS, so it knows no version of it",
            "correct kas_internal_url, give Rails and KAS the same api_secret_key, and let port 8153 through",
            GITLAB,
        )
    for key, expected, variable in (
        ("externalUrl", agents_url, "kas_external_url"),
        ("externalK8sProxyUrl", proxy_url, "kas_k8s_proxy_url"),
    ):
        found = str(told.get(key) or "")
        if expected and found and found.rstrip("/") != expected.rstrip("/"):
            raise Unreachable(
                f"Rails tells people {_shown(found)}, but {expected} follows from the inventory",
                f"run the playbook deploy, or correct {variable}",
                GITLAB,
            )
    return {"gitlab": {key: told[key] for key in _TOLD if isinstance(told.get(key), str)}}


_TOLD = ("version", "externalUrl", "externalK8sProxyUrl")


def _kas_in(answer: Answer) -> Mapping[str, Any] | None:
    """What an answer of GitLab says of KAS; None if it is no such answer."""
    try:
        told = json.loads(answer.body)["kas"] if answer.status == 200 else None
    except (ValueError, TypeError, KeyError):
        return None
    return told if isinstance(told, Mapping) else None


# -- Who answers in place of KAS --


def _no_kas(answer: Answer, site: _Site, door: Door) -> Unreachable:
    """Which part has answered in place of KAS."""
    what, status = _what(answer), answer.status
    pass_on = f"let the proxy pass {site.path} on to port {door.port} of KAS"
    if status in _REDIRECTS:
        return _redirected(answer, site, pass_on)
    if status == 400 and "HTTPS" in answer.body:
        return _tls_or_not(what, site, door)
    if status == 400:
        return Unreachable(
            f"the handshake is refused as no proper request ({what})",
            "turn off the PROXY protocol towards KAS, which does not speak it, and let the proxy take %2F in paths",
            PROXY,
        )
    if status in (401, 403):
        return Unreachable(
            f"somebody else than KAS asks who it is ({what})", f"{pass_on} without a login or filter of its own", PROXY
        )
    if status == 413:
        return Unreachable(
            f"the proxy limits the size of requests ({what})", "raise its limit (nginx: client_max_body_size)", PROXY
        )
    if status in (502, 503):
        return _out_of_reach(what, door)
    if status == 504:
        return Unreachable(
            f"the proxy gets no answer from KAS in time ({what})",
            "make sure that KAS is ready and that no firewall is between the two",
            TIMEOUT,
        )
    if status == 404 or status < 300:
        return Unreachable(
            f"the path {site.path} does not lead to KAS ({what})",
            f"{pass_on}, and let the URL have GitLab's relative URL root if it has one",
            PATH,
        )
    return Unreachable(f"what answers is no KAS ({what})", pass_on, PROXY)


def _redirected(answer: Answer, site: _Site, pass_on: str) -> Unreachable:
    """A redirect, which neither agents nor kubectl follow."""
    location = urlsplit(answer.headers["Location"] or "")
    what = _what(answer)
    if location.scheme == "https" and not site.is_tls:
        secure = {"ws": "wss", "http": "https"}[site.scheme]
        return Unreachable(
            f"the proxy redirects to https, and clients do not follow ({what})",
            f"let the URL start with {secure}://",
            PROXY,
        )
    if "sign_in" in location.path:
        return Unreachable(f"the path {site.path} leads to GitLab's login, not to KAS ({what})", pass_on, PATH)
    if location.path == f"{site.path}/":
        return Unreachable(
            f"the URL has no slash at its end, and clients do not follow the redirect ({what})",
            f"set {site.url}/",
            PATH,
        )
    where = _shown(location._replace(query="", fragment="").geturl()) or "nowhere"
    return Unreachable(
        f"the proxy redirects to {where}, and clients do not follow ({what})", f"{pass_on} without a redirect", PROXY
    )


def _tls_or_not(what: str, site: _Site, door: Door) -> Unreachable:
    """HTTP was sent to a port that speaks TLS: by us, or by the proxy."""
    if not site.is_tls:
        return Unreachable(
            f"TLS is spoken at port {site.port} ({what})", f"let the URL start with {site.scheme}s://", PROXY
        )
    return Unreachable(
        f"the proxy speaks plain HTTP to a KAS with a certificate ({what})",
        f"let it speak TLS to port {door.port} of KAS (nginx: proxy_pass https://…)",
        PROXY,
    )


def _out_of_reach(what: str, door: Door) -> Unreachable:
    return Unreachable(
        f"the proxy does not get through to KAS ({what})",
        f"make sure that KAS is ready, that the proxy names its address and port {door.port} and speaks to it as it"
        " listens, with TLS or without, and that no firewall is between the two",
        KAS,
    )


def _what(answer: Answer) -> str:
    """The status, and who says that it answers."""
    server = _shown(answer.headers["Server"] or "")
    return f"HTTP {answer.status}" + (f" from {server}" if server else "")


def _shown(text: str) -> str:
    """A text of the other side's, on one line and not too long."""
    return re.sub(r"[^\x20-\x7e]", "?", text)[:_SHOWN_CHARACTERS]
