"""What kas_probe makes of the imitated KAS, which answers byte for byte as a real one."""

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._peer import (
    INTERNAL_API,
    PRIVATE_API,
    Api,
    Credentials,
    Reach,
    reach,
)
from imitation import API_SECRET, PRIVATE_SECRET, Kas

ANSWERED = Reach(True, "reachable", answered=True)


@pytest.mark.parametrize(
    ("what", "api", "secret", "expected"),
    [
        ("Private API", PRIVATE_API, PRIVATE_SECRET, ANSWERED),
        ("API", INTERNAL_API, API_SECRET, ANSWERED),
        ("Private API", PRIVATE_API, b"o" * 32, "refuses the token, so its private_api_secret_key is not the one that"),
        ("API", INTERNAL_API, b"o" * 32, "refuses the token, so its api_secret_key is not the one that"),
        ("API", PRIVATE_API, PRIVATE_SECRET, "is the internal API of a KAS, not its private API"),
        ("Agentk API", PRIVATE_API, PRIVATE_SECRET, "is the API of agents of a KAS, not its private API"),
        ("Agentk API", INTERNAL_API, API_SECRET, "is the API of agents of a KAS, not its internal API"),
        ("Private API", INTERNAL_API, API_SECRET, "is the private API of a KAS, not its internal API"),
        ("Observability", PRIVATE_API, PRIVATE_SECRET, "answers, but not HTTP/2"),
        ("Kubernetes API", PRIVATE_API, PRIVATE_SECRET, "answers, but not HTTP/2"),
    ],
)
def test_probe(running: Kas, what: str, api: Api, secret: bytes, expected: Reach | str) -> None:
    host, port = running.address(what)
    before = running.log
    reached = reach(f"grpc://{host}:{port}", credentials=Credentials(api, secret, "19.3.0"), timeout=10)
    if isinstance(expected, Reach):
        assert reached == expected
    else:
        assert expected in reached.text
    assert running.log == before
