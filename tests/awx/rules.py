"""AWX's own rules of surveys, answers and credential types, as its API checks them: what it would refuse, in sentences.

Read in the source of AWX 24.6.1; nothing of the collection is used here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

TEXTS = ("text", "textarea", "password")
CHOICES = ("multiplechoice", "multiselect")
NUMBERS = {"integer": (int,), "float": (int, float)}
RESERVED = ("awx_", "tower_", "ansible_")
NO_ENVIRONMENT = ("PATH", "PYTHONPATH", "AWX_HOST", "JOB_ID", "INVENTORY_ID", "PROJECT_REVISION")


def survey(spec: Any) -> Iterator[str]:
    """What is wrong with a survey."""
    if not isinstance(spec, dict):
        yield "a survey is a mapping"
        return
    for name in ("name", "description"):
        if not isinstance(spec.get(name), str):
            yield f"{name} is no text"
    if not isinstance(spec.get("spec"), list) or not spec["spec"]:
        yield "spec is no list of questions"
        return
    variables = [question.get("variable") for question in spec["spec"]]
    yield from (f"{name} is asked for twice" for name in sorted({v for v in variables if variables.count(v) > 1}))
    for question in spec["spec"]:
        yield from (f"{question.get('variable')}: {text}" for text in _question(question))


def _question(question: Mapping[str, Any]) -> Iterator[str]:
    kind, default = question.get("type"), question.get("default", "")
    if kind not in (*TEXTS, *CHOICES, *NUMBERS):
        yield f"type {kind} is not known"
        return
    for name in ("question_name", "variable"):
        if not isinstance(question.get(name), str) or not question[name]:
            yield f"{name} is no text"
    if str(question.get("variable", "")).startswith(RESERVED):
        yield "the name is AWX's own"
    if not isinstance(question.get("required"), bool):
        yield "required is not true or false"
    for name in ("min", "max"):
        if type(question.get(name)) not in (int, type(None)):
            yield f"{name} is no whole number"
    choices: list[Any] = []
    if kind in CHOICES:
        given = question.get("choices")
        choices = given.splitlines() if isinstance(given, str) else given if isinstance(given, list) else []
        if not choices or not all(isinstance(choice, str) for choice in choices):
            yield "choices are no texts"
    if default == "":
        return
    if kind in NUMBERS:
        if not isinstance(default, NUMBERS[kind]) or isinstance(default, bool):
            yield "the default is no number"
    elif not isinstance(default, str):
        yield "the default is no text"
    elif kind in CHOICES and not set(default.splitlines()) <= set(choices):
        yield "the default is no choice"


def answer(question: Mapping[str, Any], value: Any) -> Iterator[str]:
    """What is wrong with an answer to a question."""
    kind, low, high = question["type"], question.get("min"), question.get("max")
    size: float | None = None
    if kind in TEXTS:
        if not isinstance(value, str):
            yield "no text"
            return
        size = len(value)
    elif kind in NUMBERS:
        if not isinstance(value, NUMBERS[kind]) or isinstance(value, bool):
            yield "no number"
            return
        size = value
    elif not set([value] if kind == "multiplechoice" else value) <= set(question["choices"]):
        yield "no choice"
    if size is not None and low is not None and size < low:
        yield f"below {low}"
    if size is not None and high is not None and size > high:
        yield f"above {high}"


def credential_type(kind: Any, inputs: Any, injectors: Any) -> Iterator[str]:
    """What is wrong with a credential type."""
    if kind not in ("cloud", "net"):
        yield f"kind {kind} is not for types of one's own"
    if set(inputs) - {"fields", "required"}:
        yield f"inputs have {', '.join(sorted(set(inputs) - {'fields', 'required'}))}"
    fields = {field.get("id"): field for field in inputs.get("fields", [])}
    if len(fields) < len(inputs.get("fields", [])):
        yield "an id is there twice"
    for name, field in fields.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name == "tower":
            yield f"{name} is no id"
        if not field.get("label"):
            yield f"{name} has no label"
        if field.get("type") not in ("string", "boolean"):
            yield f"{name} has no type"
        only_for_texts = {"secret", "multiline", "format", "choices"} & set(field)
        if field.get("type") == "boolean" and only_for_texts:
            yield f"{name} is no text, but has {', '.join(sorted(only_for_texts))}"
        unknown = set(field) - {"id", "label", "type", "help_text", "default"} - {"secret", "multiline", "format"}
        if unknown - {"choices"}:
            yield f"{name} has {', '.join(sorted(unknown))}"
    yield from (f"{name} is required, but no field" for name in inputs.get("required", []) if name not in fields)
    if set(injectors) - {"env", "extra_vars", "file"}:
        yield f"injectors have {', '.join(sorted(set(injectors) - {'env', 'extra_vars', 'file'}))}"
    for name in injectors.get("env", {}):
        if name.startswith("ANSIBLE_") or name in NO_ENVIRONMENT:
            yield f"the environment's {name} is AWX's own"
    blank = {name: False if field.get("type") == "boolean" else "" for name, field in fields.items()}
    try:
        injected(injectors, blank)
    except Exception as error:  # whatever a template raises
        yield f"a template fails: {error}"


def injected(injectors: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """The variables that a job gets: every text is rendered, and only texts come out."""
    environment = SandboxedEnvironment(undefined=StrictUndefined)

    def rendered(value: Any) -> Any:
        if isinstance(value, dict):
            return {rendered(key): rendered(each) for key, each in value.items()}
        if isinstance(value, list):
            return [rendered(each) for each in value]
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is no text")
        return environment.from_string(value).render(**values)

    return rendered(injectors.get("extra_vars", {}))
