"""Write the known problems into docs/troubleshooting.md, from their one table: `python scripts/troubleshooting.py`."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._problems import (  # noqa: E402
    AGENTK,
    ERROR,
    HARMLESS,
    KAS,
    NGINX,
    PROBLEMS,
    RAILS,
    Problem,
)

DOCUMENT = ROOT / "docs" / "troubleshooting.md"
BEGIN = "<!-- made by scripts/troubleshooting.py -->\n"
END = "<!-- up to here -->\n"
LOGS = {
    KAS: "In the log of KAS",
    AGENTK: "In the log of agentk",
    NGINX: "In the logs of nginx",
    RAILS: "In the logs of Rails",
}


def signs(problem: Problem) -> str:
    """What to look for in the log: `this` with `that`, or `this` with `one` or `the other`."""
    told = []
    for first, group in itertools.groupby(problem.signs, key=lambda sign: sign[0]):
        rest = [" and ".join(map(code, sign[1:])) for sign in group if len(sign) > 1]
        others = " or ".join(filter(None, [", ".join(rest[:-1]), *rest[-1:]]))
        told.append(f"{code(first)} with {others}" if others else code(first))
    return "; or ".join(told)


def code(part: str) -> str:
    return f"`{part.strip()}`"


def cause(problem: Problem) -> str:
    what = f"**{problem.what}**" if problem.severity == ERROR else problem.what
    often = f"; from {problem.at_least} lines on" if problem.at_least > 1 else ""
    return f"{what}{often}: {problem.cause}" if problem.cause else f"{what}{often}"


def tables() -> Iterator[str]:
    for log, title in LOGS.items():
        yield f"### {title}\n\n| in the log | what and why | remedy |\n| --- | --- | --- |"
        for problem in PROBLEMS:
            if problem.log == log and problem.severity != HARMLESS:
                yield f"| {signs(problem)} | {cause(problem)} | {problem.remedy} |"
        yield ""
    yield "### Harmless\n\n| in the log | what |\n| --- | --- |"
    for problem in PROBLEMS:
        if problem.severity == HARMLESS:
            yield f"| {signs(problem)} | {cause(problem)} |"


def document() -> str:
    """The page with its table made anew; what stands around it is written by hand."""
    before, rest = DOCUMENT.read_text().split(BEGIN)
    after = rest.split(END)[1]
    table = re.sub(r"docs/([a-z-]+\.md)", r"[\1](\1)", "\n".join(tables()))
    return f"{before}{BEGIN}\n{table}\n\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
