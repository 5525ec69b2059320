# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a KAS elsewhere as its clients ask it: another KAS its private API, Rails its internal API.

The calls do nothing, and no KAS logs them at the package's defaults: those with an empty message and no agent to pass
it to were measured on 16.5. A method is looked up before the token is checked, and the token before the message, so
the status tells one from the other. In later releases a name may be another one; an answer that does not fit is no
fault.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any, NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._grpc import (
    ANSWERS_WITH_TLS,
    INVALID_ARGUMENT,
    NO_ANSWER,
    OK,
    UNAUTHENTICATED,
    UNIMPLEMENTED,
    Answer,
    Client,
    GrpcError,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import (
    LOOK_WHAT,
    Unreachable,
    cause,
    connect,
    left,
    remedy,
    tcp_addresses,
)
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._private_api import Endpoint, parse_url
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._tls import Tls, tls_reason, trust_of_kas

_MEASURED = "16."  # the releases whose "unknown service" is certain to mean another listener


class Api(NamedTuple):
    """An API of KAS, and how a client with the secret calls it."""

    name: str
    paths: tuple[str, ...]  # methods of different releases; the first one known is called
    lifetime_s: tuple[int, int]  # of a token, before and after the time it is made
    secret: str  # the setting of gitlab_kas
    port: int  # unless set


PRIVATE_API = Api(
    "private API",
    ("/gitlab.agent.kubernetes_api.rpc.KubernetesApi/MakeRequest",),
    (5, 5),
    "private_api_secret_key",
    8155,
)
# Rails' own calls (lib/gitlab/kas/client.rb), which read nothing for an empty message, and tokens like Rails' own
# (lib/json_web_token/token.rb).
INTERNAL_API = Api(
    "internal API",
    (
        "/gitlab.agent.server_info.rpc.ServerInfo/GetServerInfo",
        "/gitlab.agent.agent_tracker.rpc.AgentTracker/GetConnectedAgents",
        "/gitlab.agent.agent_tracker.rpc.AgentTracker/GetConnectedAgentsByAgentIDs",
    ),
    (5, 60),
    "api_secret_key",
    8153,
)
# Only asked whether it is there.
_AGENT_API = Api("API of agents", ("/gitlab.agent.reverse_tunnel.rpc.ReverseTunnel/Connect",), (0, 0), "", 8150)
_APIS = (PRIVATE_API, INTERNAL_API, _AGENT_API)

# A token that a KAS takes whose clock is slow by up to a day, or fast by up to ten minutes. A longer one would be worth
# stealing: it is only sent where the other one was refused.
_LONG_LIFETIME_S = (24 * 60 * 60, 10 * 60)


class Credentials(NamedTuple):
    """What a call takes."""

    api: Api
    secret: bytes
    release: str  # of GitLab on this node


class Reach(NamedTuple):
    """Whether a client on this node would be served there, as far as that can be told."""

    ok: bool
    text: str  # "reachable", or why not as the rest of a sentence
    remedy: str = ""  # if it is not, as the rest of a sentence
    answered: bool = False  # a call with the secret was answered


def reach(
    url: str,
    *,
    credentials: Credentials | None = None,
    server_name: str | None = None,
    ca_dir: Path | None = None,
    timeout: float,
) -> Reach:
    """Connect as a client of KAS would, and make a call; timeout in seconds, for all of it. Raise PrivateApiError.

    Without credentials, it only sees whether a server of HTTP/2 answers there.
    grpcs: the certificate must lead to a CA that KAS trusts (ca_dir: to one of those files), and be made out to
    server_name, which KAS takes from OWN_PRIVATE_API_HOST, or else to the host in the URL. Rails trusts the same.
    """
    endpoint = parse_url(url)
    deadline = time.monotonic() + timeout
    is_tls = endpoint.scheme == "grpcs"
    name = (server_name or endpoint.host).removesuffix(".")  # as Go does: certificates have no final dot

    def connect_to_it() -> socket:
        connection = connect(_addresses(endpoint), deadline)
        connection.settimeout(left(deadline))
        return connection

    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(connect_to_it())
            if is_tls:
                connection = stack.enter_context(Tls(name, trust_of_kas(ca_dir), connect_to_it).secure(connection))
            scheme = "https" if is_tls else "http"
            client = Client(connection, authority=_authority(endpoint), scheme=scheme, deadline=deadline)
            _greet(client, is_tls)
            return _ask(client, credentials) if credentials else Reach(True, "reachable")
    except Unreachable as error:
        return Reach(False, str(error), error.remedy)
    except GrpcError as error:
        return Reach(False, str(error), LOOK_WHAT)
    except ssl.SSLError as error:  # an alert after the handshake
        return Reach(False, f"TLS fails: {tls_reason(error)}", LOOK_WHAT)
    except OSError as error:
        return Reach(False, cause(error, timeout, endpoint.host), remedy(error))


def ask_as_agent(client: Client) -> Answer:
    """Ask for the API of agents as an agent without a token, which does nothing there; raise Unreachable and GrpcError.

    KAS refuses it with UNAUTHENTICATED. Raises Unreachable if what is there is certain to be another API of a KAS.
    """
    answer = client.call(_AGENT_API.paths[0])
    if answer.status == UNIMPLEMENTED:
        _wrong_api(client, _AGENT_API, release="")
    return answer


def token(secret: bytes, lifetime_s: tuple[int, int]) -> str:
    """What a client of KAS shows (a JSON Web Token, RFC 7519); lifetime in seconds before and after now."""
    now = int(time.time())
    claims = {"iss": "gitlab-kas", "aud": "gitlab-kas", "nbf": now - lifetime_s[0], "exp": now + lifetime_s[1]}
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(claims)}"
    return f"{signed}.{_base64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _segment(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _greet(client: Client, is_tls: bool) -> None:
    """Begin with HTTP/2; a server that wants TLS first says so, or closes the connection as Go's does."""
    try:
        client.greet()
    except GrpcError as error:
        hints = {
            ANSWERS_WITH_TLS: ", so its URL must start with grpcs://",
            NO_ANSWER: "; if it speaks TLS, its URL must start with grpcs://",
        }
        raise GrpcError(str(error) + ("" if is_tls else hints.get(str(error), ""))) from error


def _ask(client: Client, credentials: Credentials) -> Reach:
    """Call the API, and tell from the answer what a call of this node's KAS or Rails would come to."""
    api, secret, release = credentials
    answer = Answer(UNIMPLEMENTED, "")
    for path in api.paths:
        answer = client.call(path, token(secret, api.lifetime_s))
        if answer.status != UNIMPLEMENTED:
            break
    if answer.status in (OK, INVALID_ARGUMENT):
        return Reach(True, "reachable", answered=True)
    if answer.status == UNAUTHENTICATED:
        _refused(client, path, secret, api)
    if answer.status == UNIMPLEMENTED:
        _wrong_api(client, api, release)
    told = f"gRPC status {answer.status}" + (f", {answer.message}" if answer.message else "")
    return Reach(True, f"reachable, answer not known ({told})")


def _refused(client: Client, path: str, secret: bytes, api: Api) -> None:
    """Tell why a token was refused: one that is valid for long is not, if only the clocks differ."""
    with contextlib.suppress(GrpcError, OSError):  # the refusal stands
        if client.call(path, token(secret, _LONG_LIFETIME_S)).status != UNAUTHENTICATED:
            raise Unreachable(
                f"refuses the token because its clock and this node's are more than {api.lifetime_s[0]} s apart",
                "set both clocks right, with chrony or another client of NTP",
            )
    raise Unreachable(
        f"refuses the token, so its {api.secret} is not the one that this node has",
        f"give all nodes the same {api.secret}, reconfigure, and restart KAS where it has not read it since",
    )


def _wrong_api(client: Client, api: Api, release: str) -> None:
    """Tell what is there instead of the API, if that is certain."""
    remedy = f"let the URL name the port of the {api.name}, {api.port} unless set"
    for other in _APIS:
        if other is not api and _knows(client, other):
            raise Unreachable(f"is the {other.name} of a KAS, not its {api.name}", remedy)
    if release.startswith(_MEASURED):
        raise Unreachable(f"answers, but is not the {api.name} of a KAS", remedy)


def _knows(client: Client, api: Api) -> bool:
    """Whether the server knows a method of the API; without a token, so that none of them does anything."""
    with contextlib.suppress(GrpcError, OSError):  # the question is beside the point
        return any(client.call(path).status != UNIMPLEMENTED for path in api.paths)
    return False


def _authority(endpoint: Endpoint) -> str:
    """What a proxy on the way goes by."""
    if endpoint.scheme == "unix":
        return "localhost"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def _addresses(endpoint: Endpoint) -> list[tuple[int, Any]]:
    if endpoint.scheme == "unix":
        return [(AF_UNIX, endpoint.path)]
    return tcp_addresses(endpoint.host, endpoint.port)
