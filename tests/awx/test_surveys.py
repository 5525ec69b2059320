"""Surveys and credential type: by the rules of AWX, by the argument specs, and what the collection makes of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import rules
import yaml
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES, normalise
from test_setup import tasks

ROOT = Path(__file__).resolve().parents[2]
SURVEYS = yaml.safe_load((ROOT / "awx/surveys.yml").read_text())["gitlab_kas_awx_surveys"]
QUESTIONS = [question for survey in SURVEYS.values() for question in survey["spec"]]
(CREDENTIAL,) = (task["awx.awx.credential_type"] for task in tasks() if "awx.awx.credential_type" in task)


@pytest.mark.parametrize("name", SURVEYS)
def test_awx_takes_the_survey(name: str) -> None:
    assert list(rules.survey(SURVEYS[name])) == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["variable"])
def test_a_question_is_fit_for_its_variable(question: dict[str, Any]) -> None:
    """No secret is asked for, nothing that differs from host to host, and nothing that the playbook sets itself."""
    variable = VARIABLES[question["variable"]]
    assert not variable.is_secret
    assert not re.match("kas_(own_|enabled$|state$)", question["variable"])
    kinds = {"bool": "multiplechoice", "int": "integer", "str": "multiplechoice" if variable.choices else "text"}
    assert question["type"] == kinds[variable.type]
    assert "default" not in question and question["required"] is False  # the inventory has the word


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["variable"])
def test_the_collection_takes_what_arrives(question: dict[str, Any]) -> None:
    variable = question["variable"]
    answers = {
        "integer": [question.get("min"), question.get("max")],
        "multiplechoice": question.get("choices"),
        "text": ["", "19.3.0"],
    }[question["type"]]
    for answer in answers:
        assert list(rules.answer(question, answer)) == []
        assert normalise({variable: answer})[1] == []
    if question["type"] == "integer":
        for answer in (question["min"] - 1, question["max"] + 1):
            assert list(rules.answer(question, answer)) != []
            assert normalise({variable: answer})[1] != []


GOOD = {"question_name": "n", "variable": "v", "required": False, "type": "text", "min": 0, "max": 9}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, None),
        ({"default": ""}, None),
        ({"type": "multiplechoice", "choices": ["a", "b"], "default": "a"}, None),
        ({"type": "multiselect", "choices": "a\nb", "default": "a\nb"}, None),
        ({"type": "integer", "default": 4}, None),
        ({"type": "boolean"}, "v: type boolean is not known"),
        ({"required": "false"}, "v: required is not true or false"),
        ({"required": None}, "v: required is not true or false"),
        ({"question_name": ""}, "v: question_name is no text"),
        ({"variable": "awx_job_id"}, "awx_job_id: the name is AWX's own"),
        ({"min": "0"}, "v: min is no whole number"),
        ({"max": True}, "v: max is no whole number"),
        ({"type": "multiplechoice"}, "v: choices are no texts"),
        ({"type": "multiplechoice", "choices": [True, False]}, "v: choices are no texts"),
        ({"type": "multiplechoice", "choices": ["a"], "default": "b"}, "v: the default is no choice"),
        ({"type": "multiselect", "choices": ["a"], "default": ["a"]}, "v: the default is no text"),
        ({"type": "integer", "default": "4"}, "v: the default is no number"),
        ({"default": 4}, "v: the default is no text"),
    ],
)
def test_rules_of_surveys(change: dict[str, Any], sentence: str | None) -> None:
    survey = {"name": "n", "description": "", "spec": [{**GOOD, **change}]}
    assert list(rules.survey(survey)) == ([sentence] if sentence else [])


@pytest.mark.parametrize(
    ("survey", "sentence"),
    [
        ([], "a survey is a mapping"),
        ({"description": "", "spec": [GOOD]}, "name is no text"),
        ({"name": "", "spec": [GOOD]}, "description is no text"),
        ({"name": "", "description": "", "spec": []}, "spec is no list of questions"),
        ({"name": "", "description": "", "spec": [GOOD, GOOD]}, "v is asked for twice"),
    ],
)
def test_rules_of_whole_surveys(survey: Any, sentence: str) -> None:
    assert list(rules.survey(survey)) == [sentence]


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ({"type": "text", "min": 1}, "", "below 1"),
        ({"type": "text", "min": 0}, "", None),
        ({"type": "text", "max": 2}, "abc", "above 2"),
        ({"type": "password"}, 4, "no text"),
        ({"type": "integer", "min": 1}, 0, "below 1"),
        ({"type": "integer"}, "", "no number"),
        ({"type": "float"}, 0.5, None),
        ({"type": "multiplechoice", "choices": ["a"]}, "", "no choice"),
        ({"type": "multiselect", "choices": ["a", "b"]}, ["b"], None),
    ],
)
def test_rules_of_answers(question: dict[str, Any], answer: Any, sentence: str | None) -> None:
    assert list(rules.answer(question, answer)) == ([sentence] if sentence else [])


# The credential type

SECRETS = ("api_secret_key", "private_api_secret_key", "websocket_token_secret_key")
FIELDS = (*SECRETS, "redis_password", "redis_sentinels_password")


def test_awx_takes_the_credential_type() -> None:
    assert list(rules.credential_type(CREDENTIAL["kind"], CREDENTIAL["inputs"], CREDENTIAL["injectors"])) == []
    fields = CREDENTIAL["inputs"]["fields"]
    assert [field["id"] for field in fields] == list(FIELDS)
    assert all(field["secret"] is True and field["type"] == "string" and "default" not in field for field in fields)


@pytest.mark.parametrize("given", [{}, {"api_secret_key": "YWJj"}, {name: f"{name}-{{{{ x }}}}" for name in FIELDS}])
def test_what_a_job_gets(given: dict[str, str]) -> None:
    values = {**dict.fromkeys(FIELDS, ""), **given}
    variables = rules.injected(CREDENTIAL["injectors"], values)
    assert variables == {
        "kas_secrets_values": {name: values[name] for name in SECRETS},
        "gitlab_kas_redis_password": values["redis_password"],
        "gitlab_kas_redis_sentinels_password": values["redis_sentinels_password"],
    }


def test_what_is_left_blank_counts_as_not_given() -> None:
    given = rules.injected(CREDENTIAL["injectors"], dict.fromkeys(FIELDS, ""))
    values, wrong = normalise({"kas_secrets_values": given["kas_secrets_values"]})
    assert (values["kas_secrets_values"], wrong) == ({}, [])
    values, wrong = normalise({"kas_redis": {"host": "redis.internal", "password": "", "sentinels_password": ""}})
    assert (values["kas_redis"], wrong) == ({"host": "redis.internal"}, [])


def test_no_other_variable_of_ours_is_injected() -> None:
    injected = set(CREDENTIAL["injectors"]["extra_vars"])
    assert injected & set(VARIABLES) == {
        "kas_secrets_values"
    }  # whole: nothing is merged into the inventory's kas_redis


@pytest.mark.parametrize(
    ("kind", "field", "injectors", "sentence"),
    [
        ("ssh", {}, {}, "kind ssh is not for types of one's own"),
        ("cloud", {"id": "tower"}, {}, "tower is no id"),
        ("cloud", {"id": "a-b"}, {}, "a-b is no id"),
        ("cloud", {"label": ""}, {}, "a has no label"),
        ("cloud", {"type": None}, {}, "a has no type"),
        ("cloud", {"type": "boolean", "secret": True}, {}, "a is no text, but has secret"),
        ("cloud", {"ask_at_runtime": True}, {}, "a has ask_at_runtime"),
        ("cloud", {}, {"vars": {}}, "injectors have vars"),
        ("cloud", {}, {"env": {"ANSIBLE_VAULT": "x"}}, "the environment's ANSIBLE_VAULT is AWX's own"),
        ("cloud", {}, {"extra_vars": {"x": "{{ b }}"}}, "a template fails: 'b' is undefined"),
        ("cloud", {}, {"extra_vars": {"x": 4}}, "a template fails: 4 is no text"),
        ("cloud", {}, {"extra_vars": {"x": "{{ a }}"}}, None),
    ],
)
def test_rules_of_credential_types(
    kind: str, field: dict[str, Any], injectors: dict[str, Any], sentence: str | None
) -> None:
    inputs = {"fields": [{"id": "a", "label": "A", "type": "string", **field}]}
    assert list(rules.credential_type(kind, inputs, injectors)) == ([sentence] if sentence else [])
