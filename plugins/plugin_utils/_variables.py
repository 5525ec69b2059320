# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The public variables kas_*: what the roles' argument specs say of them, and one host's variables brought to that.

A survey, an environment or an extra variable may hand over every value as text: 'false', '8155',
'10.0.0.0/8,fd00::/8', '{"host": "redis.example.com"}', a list with one item a line. Such text becomes what it says,
and a blank one is not set, at every depth that a spec describes. Anything else of a wrong type is a sentence.

ansible-core's ArgumentSpecValidator reads the same specs, but it refuses blanks, splits JSON at its commas, turns a
mapping into text and true into 1, takes 8155.0 for a port or not by its release, and quotes values, also secret ones.
So it is only asked whether it agrees with what comes out here (tests/unit/plugins/plugin_utils/test_variables.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._certificates import default_paths
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._characters import instead
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._characters import shown as shown_characters
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._syntax import (
    SYNTAXES,
    Syntax,
    Unfit,
    either,
    is_blank,
    loaded_text,
    texts,
    unmeant,
)

ROLES = Path(__file__).resolve().parents[2] / "roles"
# Not main, which Ansible itself would hold variables against: docs/architecture.md says why it must not.
ENTRY_POINT = "variables"
# The role whose variables are of no deployment on nodes.
CHART = "kas_chart"

_TRUE = {"true", "yes", "on", "1", "y", "t"}
_FALSE = {"false", "no", "off", "0", "n", "f"}
_USER_INFO = re.compile(r"//[^/@]*@")
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Variable:
    """What a variable takes, or an option within one, or an item of a list."""

    type: str  # bool, dict, int, list, path (absolute, on the node), str
    default: Any = None  # None or '': not set, the package decides
    choices: tuple[str, ...] = ()
    is_secret: bool = False
    is_required: bool = False
    options: Mapping[str, Variable] = field(default_factory=dict)  # of a dict; without any it takes every name
    items: Variable | None = None  # of a list
    syntax: Syntax | None = None


def _variable(name: str, spec: Mapping[str, Any]) -> Variable:
    is_list, is_secret = spec["type"] == "list", spec.get("no_log", False)
    options = {option: _variable(f"{name}.{option}", each) for option, each in spec.get("options", {}).items()}
    return Variable(
        type=spec["type"],
        default=spec.get("default"),
        choices=tuple(spec.get("choices", ())),
        is_secret=is_secret,
        is_required=spec.get("required", False),
        options={} if is_list else options,
        items=Variable(spec["elements"], is_secret=is_secret, options=options) if is_list else None,
        syntax=SYNTAXES.get(name),
    )


def _read_specs() -> dict[str, dict[str, Variable]]:
    """What every role's spec says of the variables that are described there."""
    specs = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        # The parser in C takes a tenth of the time.
        loaded = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        options = loaded["argument_specs"][ENTRY_POINT]["options"]
        specs[path.parts[-3]] = {name: _variable(name, option) for name, option in options.items()}
    return specs


_SPECS = _read_specs()
CHART_VARIABLES = _SPECS[CHART]
VARIABLES = {name: each for role, options in _SPECS.items() if role != CHART for name, each in options.items()}
NAMES = (*VARIABLES, *CHART_VARIABLES)
# Where a template of the user's own mentions one of ours that is not set.
DEFAULTS = {name: variable.default for name, variable in {**VARIABLES, **CHART_VARIABLES}.items()}

# Options of kas_redis; each becomes the key of gitlab_kas with redis_ before it.
REDIS = VARIABLES["kas_redis"].options
# Those that are files; KAS reads them only when it starts.
REDIS_FILES = tuple(option for option in REDIS if option.endswith("_file"))


def normalise(
    given: Mapping[str, object],
    variables: Mapping[str, Variable] = VARIABLES,
    errors: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Bring the variables of one host to their types.

    given may hold further variables; they are left out. errors: those that cannot be evaluated, and why.
    Returns every variable, defaults filled in, also the path of a certificate of which only the source is given; and
    a sentence for each value that cannot be what its place takes. A variable with such a value keeps its default.
    """
    values: dict[str, Any] = {}
    sentences: list[str] = []
    for name, variable in variables.items():
        reading = _Reading()
        value = reading.value(name, variable, given.get(name))
        values[name] = variable.default if reading.wrong else value
        sentences += reading.wrong
    sentences += [
        f"{name} cannot be evaluated ({why}); correct it, or what it is made from."
        for name, why in (errors or {}).items()
    ]
    values.update(default_paths(values))
    return values, sentences


def is_set(value: object) -> bool:
    """Whether a value of normalise() says anything."""
    return value is not None and value != ""


def shown(value: object) -> str:
    """A value for a sentence; a mapping or list is named, not shown, and a URL's user and password are hidden."""
    if isinstance(value, str):
        text = _USER_INFO.sub("//***@", str(value))
        if len(text) > _SHOWN_CHARACTERS:
            text = text[:_SHOWN_CHARACTERS] + "…"
        return f"'{text}'"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return _kind_of(value)


def _kind_of(value: object) -> str:
    if value is None:
        return "not set"
    kinds = ((str, "text"), (bool, "a boolean"), ((int, float), "a number"), (Mapping, "a mapping"))
    for kind, name in (*kinds, ((list, tuple), "a list")):
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"


class _Reading:
    """One variable, down to its last option; a sentence without the host for each value that is wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def value(self, name: str, variable: Variable, given: Any) -> Any:
        if is_blank(given):
            if not variable.is_required:
                return variable.default
            given = None
        if isinstance(given, str) and variable.type not in ("dict", "list") and self._only_look_right(name, given):
            return variable.default
        try:
            if variable.syntax:
                return variable.syntax(given)
            if variable.choices:
                return _choice(variable.choices, given)
            if variable.items:
                return self._list(name, variable.items, given)
            if variable.type == "dict":
                return self._mapping(name, variable, given)
            return _PLAIN[variable.type](given)
        except Unfit as unfit:
            self._refuse(name, variable, given, str(unfit))
            return variable.default

    def _refuse(self, name: str, variable: Variable, given: object, remedy: str) -> None:
        self.wrong.append(f"{name} is {_kind_of(given) if variable.is_secret else shown(given)}; {remedy}.")

    def _only_look_right(self, name: str, text: str) -> bool:
        bad = unmeant(name, text)
        if bad:
            looks = "look" if len(bad) > 1 else "looks"
            self.wrong.append(f"{name} holds {shown_characters(bad)}, which only {looks} right; {instead(bad)}.")
        return bool(bad)

    def _list(self, name: str, item: Variable, given: Any) -> list[Any]:
        if item.type != "dict":
            return [text for text in texts(given) if not self._only_look_right(name, text)]
        loaded = loaded_text(given)
        if not isinstance(loaded, (list, tuple)):
            needed = [option for option, each in item.options.items() if each.is_required]
            others = [option for option in item.options if option not in needed]
            comma = "," if len(others) > 1 else ""
            raise Unfit(f"set a list of mappings with {', '.join(needed)}{comma} and {either(others)}")
        return [self.value(f"{name}[{number}]", item, each) for number, each in enumerate(loaded)]

    def _mapping(self, name: str, variable: Variable, given: Any) -> dict[str, Any]:
        """A mapping; of one whose names are known, only what is set remains, and what has a default."""
        loaded = loaded_text(given)
        if not isinstance(loaded, Mapping) or not all(isinstance(key, str) for key in loaded):
            raise Unfit("set a mapping whose names are text")
        options = variable.options
        if not options:
            return dict(loaded)
        for key in loaded:
            if key not in options and not self._only_look_right(f"a name in {name}", key):
                near = nearest(key, options)
                remedy = f"write {near}" if near else f"{name} takes only {', '.join(options)}"
                self._refuse(f"{name}.{key}", variable, loaded[key], remedy)
        values = {key: self.value(f"{name}.{key}", option, loaded.get(key)) for key, option in options.items()}
        return {key: value for key, value in values.items() if is_set(value) and value != []}


def _boolean(value: Any) -> bool:
    word = str(value).strip().lower() if isinstance(value, (str, bool, int)) else ""
    if word not in _TRUE | _FALSE:
        raise Unfit("set true or false")
    return word in _TRUE


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("set text (a number or boolean in quotes)")
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise Unfit("set an absolute path on the node")
    return value


def _choice(choices: tuple[str, ...], value: Any) -> str:
    if value not in choices:
        raise Unfit(f"set {either(choices)}")
    return str(value)


_PLAIN: dict[str, Callable[[Any], Any]] = {"bool": _boolean, "path": _path, "str": _text}
