"""Write docs/variables.md from the roles' argument specs: `python scripts/variables.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "variables.md"

HEAD = """# Variables

Every variable of every role, made from `roles/*/meta/argument_specs.yml` by `scripts/variables.py`.
Set them in the inventory; the playbooks read them there, and a template of yours that mentions one which is not set
gets its default. Extra variables, as AWX passes them, may all be texts: `"false"`, `"8155"`, lists with commas or one
item a line, JSON or YAML. An empty text is the same as not set, also within `kas_redis` and the like. Nothing else is
converted: a mapping where a text belongs, a number without quotes there, or `true` for a number is refused. A `path` is
an absolute one on the node.
"""


def plain(text: str) -> str:
    """Ansible's markup as Markdown."""
    text = re.sub(r"R\(([^,)]*),[^)]*\)", r"`\1`", text)
    text = re.sub(r"P\(([^)#]*)#\w+\)", r"`\1`", text)
    text = re.sub(r"\b(?:RV|[CVOMPE])\((?:ignore:)?((?:[^()\\]|\\.)*)\)", r"`\1`", text)
    return text.replace("|", "\\|").replace("\\)", ")")


def rows(options: dict[str, Any], indent: str = "") -> Iterator[str]:
    for name, option in options.items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        if "choices" in option:
            kind += ": " + ", ".join(f"`{choice}`" for choice in option["choices"] if choice)
        default = option.get("default")
        shown = (
            ""
            if default in (None, "", [], {})
            else f"`{str(default).lower() if default in (True, False) else default}`"
        )
        description = option["description"]
        text = " ".join([description] if isinstance(description, str) else description)
        yield f"| {indent}`{name}` | {kind} | {shown} | {plain(text)} |"
        yield from rows(option.get("options", {}), f"{indent}{name}.")


def specs() -> dict[str, dict[str, Any]]:
    """What every role says of its variables."""
    paths = sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
    return {path.parts[-3]: yaml.safe_load(path.read_text())["argument_specs"]["variables"] for path in paths}


def document() -> str:
    parts = [HEAD]
    for role, spec in specs().items():
        parts.append(f"## {role}\n\n{spec['short_description']}.\n")
        parts.append("\n".join(f"- {plain(line)}" for line in spec["description"]) + "\n")
        if spec.get("options"):
            parts.append("| variable | type | default | meaning |\n| --- | --- | --- | --- |")
            parts.append("\n".join(rows(spec["options"])) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(document())
