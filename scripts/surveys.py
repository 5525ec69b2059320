"""Write awx/surveys.yml, the surveys of AWX, from the roles' argument specs: `python scripts/surveys.py`.

A survey asks for what belongs to one job. What describes the deployment stays in the inventory: an answer beats it on
all hosts at once, and so does a blank one where AWX passes blank ones on, as it does for texts. So there is a text only
where blank is what the inventory says, too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._syntax import SYNTAXES, Whole  # noqa: E402
from variables import plain, specs  # noqa: E402

DOCUMENT = ROOT / "awx" / "surveys.yml"

WAITS = ["kas_reconfigure_timeout_s", "kas_ready_timeout_s"]
PROBES = ["kas_probe_call", "kas_probe_timeout_s"]
ASKED = {
    "preflight": ["kas_target_version"],
    "deploy": [*WAITS, *PROBES, "kas_gitlab_rb_backup"],
    "verify": PROBES,
    "diagnose": ["kas_diagnose_hours"],
    "disable": WAITS,
}

HEAD = "---\n# Made from roles/*/meta/argument_specs.yml by scripts/surveys.py, which says what is asked for.\n"


def question(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A question that may stay without an answer; nothing then reaches the job but the blank of a text."""
    description = spec["description"]
    about = {"question_name": name, "question_description": plain(" ".join(description)), "variable": name}
    kind: dict[str, Any]
    syntax = SYNTAXES.get(name)
    if spec["type"] == "bool":
        kind = {"type": "multiplechoice", "choices": ["true", "false"]}
    elif spec["type"] == "int" and isinstance(syntax, Whole):
        kind = {"type": "integer", "min": syntax.limits.start, "max": syntax.limits.stop - 1}
    elif "choices" in spec:
        kind = {"type": "multiplechoice", "choices": [choice for choice in spec["choices"] if choice]}
    elif spec["type"] == "str":
        kind = {"type": "text", "min": 0, "max": 1024}
    else:
        raise ValueError(f"{name} is of type {spec['type']}, for which no question is fit.")
    return {**about, "required": False, **kind}


def surveys() -> dict[str, Any]:
    options = {name: option for spec in specs().values() for name, option in spec.get("options", {}).items()}
    return {
        playbook: {
            "name": f"kasops.gitlab_kas.{playbook}",
            "description": "What is left without an answer is as the inventory says.",
            "spec": [question(name, options[name]) for name in names],
        }
        for playbook, names in ASKED.items()
    }


class Indented(yaml.SafeDumper):
    """Lists stand below their names, as in the other files."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def document() -> str:
    return HEAD + yaml.dump({"gitlab_kas_awx_surveys": surveys()}, Dumper=Indented, sort_keys=False, width=110)


if __name__ == "__main__":
    DOCUMENT.write_text(document())
