"""The three secrets: what the package takes, what is made, what is chosen, and the way over the controller."""

from __future__ import annotations

import base64
import subprocess
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._secrets import (
    GITLAB_RB,
    SECRETS,
    SECRETS_JSON,
    Found,
    Node,
    SecretError,
    choose,
    fingerprint,
    make,
    problem,
)


def encoded(size: int, byte: bytes = b"x") -> str:
    return base64.b64encode(byte * size).decode()


def made_random(size: int) -> bytes:
    """Bytes that anybody can guess."""
    return b"m" * size


NOT_STRICT = "is not strict Base64 (one line, no spaces, padded with '=')"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("api_secret_key", encoded(32), None),
        ("private_api_secret_key", encoded(32), None),
        ("websocket_token_secret_key", encoded(72), None),
        ("api_secret_key", encoded(31), "holds 31 bytes instead of 32"),
        ("api_secret_key", encoded(33), "holds 33 bytes instead of 32"),
        ("websocket_token_secret_key", encoded(32), "holds 32 bytes instead of 72"),
        ("api_secret_key", None, "is not a string"),
        ("api_secret_key", 42, "is not a string"),
        ("api_secret_key", "", "is empty"),
        ("api_secret_key", encoded(32) + "\n", NOT_STRICT),
        ("api_secret_key", encoded(32)[:20] + "\n" + encoded(32)[20:], NOT_STRICT),
        ("api_secret_key", " " + encoded(32), NOT_STRICT),
        ("api_secret_key", encoded(32).rstrip("="), NOT_STRICT),
        ("api_secret_key", encoded(32) + "=", NOT_STRICT),
        ("api_secret_key", encoded(32).replace("Hg=", "Hh="), NOT_STRICT),
        ("api_secret_key", encoded(32, b"\xff").replace("/", "_"), NOT_STRICT),
        ("api_secret_key", "x" * 32, "holds 24 bytes instead of 32"),
        ("api_secret_key", "pässwort", NOT_STRICT),
    ],
)
def test_problem(name: str, value: object, expected: str | None) -> None:
    assert problem(name, value) == expected


def test_strictness_is_rubys() -> None:
    """Where Ruby's strict_decode64, which is unpack1('m0'), refuses a text, problem() speaks of its form."""
    texts = ["QQ==", "QR==", "QQ", "QQ=", "QQ===", "QUI=", "QUJ=", "QUJD", "QUI=QUI=", "Q_I=", "Q-I=", "QQ== ", "===="]
    script = "ARGV.each { |t| begin; t.unpack1('m0'); puts 'ok'; rescue ArgumentError; puts 'refused'; end }"
    answers = subprocess.run(["ruby", "-e", script, *texts], check=True, capture_output=True, text=True)
    ours = ["refused" if problem("api_secret_key", text) == NOT_STRICT else "ok" for text in texts]
    assert ours == answers.stdout.split()


@pytest.mark.parametrize("name", SECRETS)
def test_made_secrets_are_valid_and_random(name: str) -> None:
    assert problem(name, make(name)) is None
    assert make(name) != make(name)
    assert make(name, made_random) == encoded(SECRETS[name], b"m")


def test_fingerprint_is_the_beginning_of_sha256() -> None:
    assert fingerprint("abc") == "ba7816bf8f01"


API = {name: encoded(size, bytes([48 + number])) for number, (name, size) in enumerate(SECRETS.items())}
OTHER = {name: encoded(size, bytes([65 + number])) for number, (name, size) in enumerate(SECRETS.items())}


def node(host: str, source: str, values: dict[str, str], rails: bool = False, **more: bool) -> Node:
    return Node(host, rails, {name: Found(value, source) for name, value in values.items()}, **more)


@pytest.mark.parametrize(
    ("nodes", "given", "expected", "origin"),
    [
        pytest.param([], {}, make("api_secret_key", made_random), "made", id="nobody has one"),
        pytest.param(
            [node("kas1", SECRETS_JSON, OTHER), node("kas2", GITLAB_RB, API)],
            {},
            API["api_secret_key"],
            "adopted from kas2 (gitlab.rb)",
            id="gitlab.rb beats any gitlab-secrets.json",
        ),
        pytest.param(
            [node("kas1", SECRETS_JSON, OTHER), node("rails1", SECRETS_JSON, API, rails=True)],
            {},
            API["api_secret_key"],
            "adopted from rails1 (gitlab-secrets.json)",
            id="Rails nodes before nodes with KAS alone",
        ),
        pytest.param(
            [node("rails1", SECRETS_JSON, OTHER, rails=True), node("kas1", GITLAB_RB, API)],
            {},
            API["api_secret_key"],
            "adopted from kas1 (gitlab.rb)",
            id="gitlab.rb of a node with KAS alone before the gitlab-secrets.json of a Rails node",
        ),
        pytest.param(
            [node("kas2", SECRETS_JSON, API), node("kas1", SECRETS_JSON, OTHER)],
            {},
            API["api_secret_key"],
            "adopted from kas2 (gitlab-secrets.json)",
            id="else the first in the list",
        ),
        pytest.param(
            [node("kas1", GITLAB_RB, {"api_secret_key": "short"}), node("kas2", SECRETS_JSON, API)],
            {},
            API["api_secret_key"],
            "adopted from kas2 (gitlab-secrets.json)",
            id="only a valid one",
        ),
        pytest.param(
            [node("kas1", GITLAB_RB, API)],
            {"api_secret_key": OTHER["api_secret_key"]},
            OTHER["api_secret_key"],
            "given",
            id="given beats all",
        ),
    ],
)
def test_choose(nodes: list[Node], given: dict[str, str], expected: str, origin: str) -> None:
    choice = choose(nodes, random=made_random, given=given)
    assert choice.secrets["api_secret_key"] == expected
    assert choice.origins["api_secret_key"] == origin
    assert list(choice.secrets) == list(choice.origins) == list(SECRETS)


IN_RB, MADE = GITLAB_RB, SECRETS_JSON
KAS = {"to_run_kas": True, "runs_kas": True}
TO_COME = {"to_run_kas": True}
NEVER = {"to_run_kas": True, "configured": False}


@pytest.mark.parametrize(
    ("first", "second", "api", "others"),
    [
        pytest.param((MADE, {"rails": True}), (MADE, KAS), 1, 2, id="Rails without KAS, and KAS"),
        pytest.param((IN_RB, {"rails": True}), (MADE, KAS), 1, 2, id="the same, written into gitlab.rb of Rails"),
        pytest.param((MADE, {"rails": True}), (IN_RB, KAS), 2, 2, id="the same, written into gitlab.rb of KAS"),
        pytest.param((MADE, {"rails": True, "runs_kas": True}), (MADE, TO_COME), 1, 2, id="KAS moves away from Rails"),
        pytest.param((MADE, {"runs_kas": True}), (MADE, KAS), 1, 2, id="KAS that is to be turned off"),
        pytest.param((MADE, TO_COME), (MADE, KAS), 1, 2, id="KAS that does not run yet"),
        pytest.param((IN_RB, TO_COME), (MADE, KAS), 1, 1, id="KAS that does not run yet, written into gitlab.rb"),
        pytest.param((IN_RB, NEVER), (IN_RB, KAS), 2, 2, id="a gitlab.rb that was never in effect"),
        pytest.param((MADE, {"rails": True, **KAS}), (MADE, KAS), 1, 1, id="KAS with and without Rails"),
        pytest.param((MADE, KAS), (MADE, {"rails": True, **KAS}), 2, 1, id="KAS without and with Rails"),
    ],
)
def test_which_secret_is_in_use(first: Any, second: Any, api: int, others: int) -> None:
    """Rails counts for the API secret only."""
    rows = ((first, API), (second, OTHER))
    nodes = [node(f"n{i}", source, values, **more) for i, ((source, more), values) in enumerate(rows, 1)]
    origins = [origin.split()[2] for origin in choose(nodes, random=made_random).origins.values()]
    assert origins == [f"n{api}", f"n{others}", f"n{others}"]


def test_choose_takes_each_secret_for_itself() -> None:
    nodes = [
        node("kas1", GITLAB_RB, {"private_api_secret_key": API["private_api_secret_key"]}),
        node("rails1", SECRETS_JSON, {"api_secret_key": OTHER["api_secret_key"]}, rails=True),
    ]
    assert choose(nodes, random=made_random).origins == {
        "api_secret_key": "adopted from rails1 (gitlab-secrets.json)",
        "private_api_secret_key": "adopted from kas1 (gitlab.rb)",
        "websocket_token_secret_key": "made",
    }


def test_errors() -> None:
    with pytest.raises(SecretError) as caught:
        choose([], random=made_random, given={"private_api_secret_key": encoded(16)})
    assert str(caught.value) == (
        "The given private_api_secret_key holds 16 bytes instead of 32; give 32 random bytes in strict Base64."
    )
