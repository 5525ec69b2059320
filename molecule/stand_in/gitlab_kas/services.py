"""What KAS's listeners serve, as far as anybody calls it here.

Unknown and therefore not told apart by release: since when each service is there.
"""

from __future__ import annotations

from typing import NoReturn

from gitlab_kas.grpc import INVALID_ARGUMENT, UNAUTHENTICATED, Headers, Method, RpcError, bearer

Services = dict[str, dict[str, Method]]
ROUTING = "kas-hop-routing-agent-id"
PRIVATE_CALL = "/gitlab.agent.kubernetes_api.rpc.KubernetesApi/MakeRequest"
INTERNAL_CALL = "/gitlab.agent.agent_tracker.rpc.AgentTracker/GetConnectedAgents"


def route(headers: Headers) -> None:
    """A call for an agent; one that names an agent waits for its tunnel, which never comes here."""
    count = sum(1 for name, _value in headers if name == ROUTING)
    if count != 1:
        raise RpcError(INVALID_ARGUMENT, f"Expecting a single {ROUTING}, got {count}")


def lacking(message: str, field: str) -> Method:
    """A method whose empty message lacks a field."""

    def answer(headers: Headers) -> NoReturn:
        raise RpcError(INVALID_ARGUMENT, f"invalid {message}.{field}: value is required")

    return Method(answer)


def wait(headers: Headers) -> None:
    """A stream that stays open."""


PRIVATE: Services = {"gitlab.agent.kubernetes_api.rpc.KubernetesApi": {"MakeRequest": Method(route, is_stream=True)}}
INTERNAL: Services = {
    "gitlab.agent.agent_tracker.rpc.AgentTracker": {
        "GetConnectedAgents": lacking("GetConnectedAgentsRequest", "Request")
    },
}
AGENTS: Services = {
    "gitlab.agent.agent_configuration.rpc.AgentConfiguration": {"GetConfiguration": Method(wait, is_stream=True)},
    "gitlab.agent.reverse_tunnel.rpc.ReverseTunnel": {"Connect": Method(wait, is_stream=True)},
    "gitlab.agent.gitlab_access.rpc.GitlabAccess": {"MakeRequest": Method(wait, is_stream=True)},
}


def agent_token(authorization: str) -> None:
    """No agent is known here."""
    bearer(authorization)
    raise RpcError(UNAUTHENTICATED, "unauthenticated")
