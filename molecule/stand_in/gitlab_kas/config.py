"""The configuration file: YAML, read as a protobuf message, with KAS's defaults under it.

KAS makes JSON of the YAML, its keys in order, and reads that; so the columns in its messages are those of the JSON,
and a field that it does not know, or a value of another type, ends it. Null is the same as absent.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from gitlab_kas.errors import KasError, reason
from gitlab_kas.release import NEW_FORM, Release
from gitlab_kas.schema import CONFIGURATION, DEFAULTS, KUBERNETES_API_DEFAULTS, LEVELS, Field, Message

DURATION = re.compile(r"[+-]?(?=\.?[0-9])(0|[1-9][0-9]*)?(\.[0-9]{0,9})?s")
MOST_S = 315_576_000_000


def load(path: str, release: Release) -> dict[str, Any]:
    """The configuration with KAS's defaults under it; raises KasError."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise KasError(f"configuration file: {opened(path, error)}") from None
    given = parse(text, release)
    command = (given.get("config") or {}).get("command")
    if command:  # what the command prints is merged over the file
        given = merge(given, parse(printed(command), release))
    faults = "; ".join(validate(CONFIGURATION, given))
    if faults:
        raise KasError(f"kascfg.Validate: {faults}")
    return with_defaults(given)


def printed(command: str) -> bytes:
    try:
        run = subprocess.run(command.split(), capture_output=True, check=False)
    except OSError as error:
        raise KasError(f"configuration command {command!r}: {reason(error)}") from None
    if run.returncode:
        raise KasError(f"configuration command {command!r}: exit status {run.returncode}")
    return run.stdout


def opened(path: str, error: OSError) -> str:
    """Go's words for a file that cannot be read."""
    return f"{'read' if isinstance(error, IsADirectoryError) else 'open'} {path}: {reason(error)}"


def parse(text: bytes, release: Release) -> dict[str, Any]:
    """YAML as a message, without defaults and without checks of what is in range; raises KasError."""
    try:
        loader = yaml.SafeLoader(text)
        document = plain(loader.get_data() if loader.check_data() else None)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise KasError(f"YAMLToJSON: yaml: {line}{error.problem}") from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise KasError("YAMLToJSON: yaml: " + " ".join(str(error).split())) from None
    except RecursionError:
        raise KasError("YAMLToJSON: yaml: anchor value contains itself") from None
    return Reader(release).message(document, CONFIGURATION, 1)


def plain(value: Any) -> Any:
    """YAML's values as JSON has them."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else as_json(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, date):  # a datetime is one as well
        return value.isoformat()
    return value.decode("latin-1") if isinstance(value, bytes) else value


def as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


class Reader:
    """Reads a message; raises KasError in the words of Go's protojson."""

    def __init__(self, release: Release) -> None:
        self.release = release

    def message(self, value: Any, message: Message, column: int) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise unexpected(value, column)
        result: dict[str, Any] = {}
        column += 1
        for key in sorted(value):
            field = message.fields.get(key)
            if field is None or not field.known(self.release):
                raise invalid(column, f"unknown field {as_json(key)}")
            if value[key] is not None:
                if key in message.one_of and any(other in result for other in message.one_of):
                    name = f"gitlab.agent.kascfg.{message.name}.{message.oneof}"
                    raise invalid(column, f"error parsing {as_json(key)}, oneof {name} is already set")
                result[key] = self.field(value[key], field, key, column + len(as_json(key)) + 1)
            column += len(as_json(key)) + len(as_json(value[key])) + 2
        return result

    def field(self, value: Any, field: Field, name: str, column: int) -> Any:
        if not field.is_list:
            return self.value(value, field, name, column)
        if not isinstance(value, list):
            raise unexpected(value, column)
        result = []
        column += 1
        for item in value:
            result.append(self.value(item, field, name, column))
            column += len(as_json(item)) + 1
        return result

    def value(self, value: Any, field: Field, name: str, column: int) -> Any:
        if isinstance(field.kind, Message):
            return self.message(value, field.kind, column)
        if field.kind == "duration":
            return seconds(value, column)
        result = scalar(value, field.kind)
        if result is None:
            what = f"field {name}" if self.release >= NEW_FORM else "type"
            raise invalid(column, f"invalid value for {field.kind} {what}: {shown(value)}")
        return result


def scalar(value: Any, kind: str) -> Any:
    """The value if its type fits, else None."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "string":
        return value if isinstance(value, str) else None
    if kind == "bool":
        return value if isinstance(value, bool) else None
    if kind == "double":
        return float(value) if is_number else None
    if kind == "enum":
        if isinstance(value, int) and is_number:
            return LEVELS[value] if 0 <= value < len(LEVELS) else "info"
        return value if value in LEVELS else None
    return int(value) if is_number and value == int(value) and 0 <= value < 2**32 else None


def seconds(value: Any, column: int) -> float:
    if not isinstance(value, str):
        raise unexpected(value, column)
    if not DURATION.fullmatch(value):
        raise invalid(column, f"invalid google.protobuf.Duration value {as_json(value)}")
    if abs(float(value[:-1])) > MOST_S:
        raise invalid(column, f"google.protobuf.Duration value out of range: {as_json(value)}")
    return float(value[:-1])


def shown(value: Any) -> str:
    """A token of the JSON: of a structure only how it begins."""
    return as_json(value)[0] if isinstance(value, (dict, list)) else as_json(value)


def invalid(column: int, text: str) -> KasError:
    return KasError(f"protojson.Unmarshal: proto: (line 1:{column}): {text}")


def unexpected(value: Any, column: int) -> KasError:
    text = f"syntax error (line 1:{column}): unexpected token {shown(value)}"
    return KasError(f"protojson.Unmarshal: proto: {text}")


def validate(message: Message, given: dict[str, Any]) -> Iterator[str]:
    """Everything that is out of range or missing, in the words of the generated checks."""
    for key, field in message.fields.items():
        name, value = f"{message.name}.{camel(key)}", given.get(key)
        if isinstance(field.kind, Message):
            if value is None and field.is_required:
                yield f"invalid {name}: value is required"
            nested = "; ".join(validate(field.kind, value)) if value is not None else ""
            if nested:
                yield f"invalid {name}: embedded message failed validation | caused by: {nested}"
        elif field.check and not (field.is_optional and value is None):
            yield from (f"invalid {name}: {fault}" for fault in field.check(value))
    if message.one_of and not any(key in given for key in message.one_of):
        yield f"invalid {message.name}.{camel(message.oneof)}: value is required"


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """The defaults stand for what is absent and for an empty text; checks between fields are made on the result."""
    cfg = merge(DEFAULTS, given)
    if "kubernetes_api" in cfg["agent"]:
        cfg["agent"]["kubernetes_api"] = merge(KUBERNETES_API_DEFAULTS, cfg["agent"]["kubernetes_api"])
    if cfg["agent"]["redis_conn_info_refresh"] >= cfg["agent"]["redis_conn_info_ttl"]:
        text = "invalid AgentCF.RedisConnInfoRefresh: must be smaller than RedisConnInfoTtl"
        raise KasError(f"kascfg.ValidateExtra: {text}")
    return cfg


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`, key by key."""
    result = dict(base)
    for key, item in over.items():
        if isinstance(item, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], item)
        elif item != "" or key not in result:
            result[key] = item
    return result
