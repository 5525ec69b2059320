"""The stand-in makes of each gitlab.rb what the package's own code makes of it, release by release.

tests/data/package-answers.json holds the package's answers: `defaults` to external_url alone, and for each case what
differs from them. answers.rb asks the stand-in. Everything is compared: KAS' configuration and environment, what
Rails is told, secrets, owners and modes, or the message of the failure.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
DATA = json.loads((HERE.parent / "data/package-answers.json").read_text(encoding="utf-8"))
GIVEN = ("gitlab_rb", "before", "include", "secrets_json")
ASKED = [(case, release) for case in DATA["cases"] for release in case["answers"]]


def expected(case: dict, release: str) -> dict:
    answer = case["answers"][release]
    if "fails" in answer:
        return answer
    kept = {key: value for key, value in DATA["defaults"][release].items() if key not in answer["unset"]}
    return {**kept, **answer["set"]}


@pytest.fixture(scope="module")
def answers() -> list[dict]:
    """The stand-in's answers to all of ASKED. The package's Ruby does not put source lines into messages."""
    questions = [{"release": release, **{key: case[key] for key in GIVEN if key in case}} for case, release in ASKED]
    command = ["ruby", "--disable=error_highlight,did_you_mean", str(HERE / "answers.rb")]
    run = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_release_of_the_data_is_asked() -> None:
    assert {release for _text, release in ASKED} == set(DATA["defaults"])


@pytest.mark.parametrize("index", range(len(ASKED)), ids=[f"{case['name']}, {release}" for case, release in ASKED])
def test_answer(answers: list[dict], index: int) -> None:
    case, release = ASKED[index]
    assert answers[index] == expected(case, release), case["gitlab_rb"]
