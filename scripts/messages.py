"""Write docs/messages.md, the list of what the collection says: `python scripts/messages.py`.

The messages are found in the code: whatever is raised, given to refuse() as a reason, or reads as a sentence with a
remedy. What they mean stands in docs/messages.yml, by topic, and nowhere in the code. `problems()` says which message
has no entry there, and which entry no message.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = ROOT / "docs" / "messages.yml"
DOCUMENT = ROOT / "docs" / "messages.md"

HEAD = """# Messages

Every refusal, warning and failure, made from the code and `docs/messages.yml` by `scripts/messages.py`. Search for the
words of a message that do not change; those in capitals stand for what was found, such as `PATH` or `HOST`, and `WHY`
and `REMEDY` for a part that is listed by itself. A message begins with the host or hosts that it is about. What is
refused has changed nothing; [troubleshooting.md](troubleshooting.md) says how a run goes on.

"""

DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN", "OUTLINE")
NO_MESSAGES = (
    "_ruby_outline.py",
    "_problems.py",
    "_report_page.py",
    "doc_fragments",
)  # Ruby, pages of their own, and documentation
# An error of the system's has one of these; remedy() knows what to do about it.
CAUSES = {"STRERROR": "CAUSE", "ERROR": "CAUSE", "HOW": "REMEDY"}
PLAIN = (
    "shown",
    "repr",
    "str",
    "listed",
    "_listed",
    "map",
    "sorted",
    "dict",
    "list",
    "len",
    "max",
    "min",
    "round",
    "cause",
)
PATHS = ("FILENAME", "MANIFEST", "CONFIG", "PARENT")
SENTENCE = re.compile(r"\w.*(?:; \w.*|\.)", re.DOTALL)
SENTENCE_WORDS = 4
WHY = {"Event": 4, "Listening": 1, "_Answer": 1, "Mistake": 1, "Reach": 1}  # which argument says why
REASONS = ("cause", "reason", "problem")  # functions that return why something is so


def constants() -> dict[str, Any]:
    """The texts and numbers that have a name in the code, as they stand in messages."""
    found: dict[str, Any] = {}
    for path in sorted(ROOT.joinpath("plugins").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                found.update({name: node.value.value for name in names if name.strip("_").isupper()})
    return found


CONSTANTS = constants()


def placeholder(node: ast.expr) -> str:
    """What stands in a list for a value that a message shows: the name of the value in capitals."""
    called = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
    if called.endswith("remedy") or called.startswith("remedy"):
        return "REMEDY"
    if called == "show":
        return "SETTING"
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name) and isinstance(CONSTANTS.get(node.id), (str, int)):
        return str(CONSTANTS[node.id])
    if isinstance(node, ast.Name):
        name = node.id
    elif isinstance(node, ast.Attribute):
        name = node.attr
    elif isinstance(node, ast.JoinedStr):
        return text_of(node)
    else:
        inner = _part(node)
        return placeholder(inner) if inner is not None else "…"
    name = name.strip("_").upper()
    return "PATH" if name in PATHS else CAUSES.get(name, name)


def _part(node: ast.expr) -> ast.expr | None:
    """The part of an expression that names it."""
    if isinstance(node, ast.Subscript):
        key = getattr(node.slice, "value", None)
        if isinstance(key, str):
            return ast.Name(key)
        return node.slice if isinstance(node.slice, ast.Name) else node.value
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Constant):
            return node.func if getattr(node.func.value, "id", "") == "self" else node.func.value
        is_plain = isinstance(node.func, ast.Attribute) or getattr(node.func, "id", "") in PLAIN
        return node.args[-1] if node.args and is_plain else node.func
    if isinstance(node, ast.BoolOp):
        return node.values[0]
    if isinstance(node, (ast.GeneratorExp, ast.ListComp)):
        return node.elt
    return getattr(node, "body", None) or getattr(node, "left", None) or getattr(node, "operand", None)


def text_of(node: ast.expr) -> str:
    """A string of the code as a list shows it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    text = ""
    for each in node.values if isinstance(node, ast.JoinedStr) else ():
        if isinstance(each, ast.Constant):
            text += str(each.value)
        elif isinstance(each, ast.FormattedValue):  # one that follows a word at once is a part that may be empty
            text += "…" if re.search(r"\w'?$", text) else placeholder(each.value)
    return text


class Finder(ast.NodeVisitor):
    """Collects the messages of a file, each with its line."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int]] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if not set(names) & set(DOCUMENTATION):
            if names == ["why"]:
                self._note(node.value)
            for each in node.value.values if "_CAUSES" in names and isinstance(node.value, ast.Dict) else ():
                self._note(each, 2)
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for each in ast.walk(node) if node.name.endswith(REASONS) else ():
            if isinstance(each, ast.Return) and each.value is not None:
                self._note(each.value, 2)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name == "refuse" and len(node.args) > 1:
            self._note(node.args[1])
        if name.endswith(("Error", "Unreachable")):
            self._note(*node.args[:1])
        if name in WHY:
            self._note(*node.args[WHY[name] : WHY[name] + 1])
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        for each in (node.value.elts if isinstance(node.value, ast.Tuple) else ())[-2:-1]:  # why, and what to do
            self._note(each)
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self._note(node.value, SENTENCE_WORDS)
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._note(node, SENTENCE_WORDS, SENTENCE)

    def visit_Constant(self, node: ast.Constant) -> None:
        self._note(node, SENTENCE_WORDS, SENTENCE)

    def _note(
        self, node: ast.expr | None = None, words: int = 3, form: re.Pattern[str] = re.compile(r"[^\\#]+ [^\\#]+")
    ) -> None:
        if isinstance(node, ast.Name) and isinstance(CONSTANTS.get(node.id), str):
            text = CONSTANTS[node.id]
        elif isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            text = " ".join(text_of(node).split())
        else:
            return
        if len(re.findall(r"[\w'…]{2,}", text)) >= words and form.fullmatch(text):
            self.found.append((text, node.lineno))


def messages() -> dict[str, str]:
    """Every message, and where it stands."""
    found: dict[str, str] = {}
    for path in sorted(ROOT.joinpath("plugins").rglob("*.py")):
        if path.name in NO_MESSAGES or path.parent.name in NO_MESSAGES:
            continue
        finder = Finder()
        finder.visit(ast.parse(path.read_text()))
        for text, line in finder.found:
            found.setdefault(text, f"{path.relative_to(ROOT)}, line {line}")
    for path in sorted(ROOT.joinpath("playbooks").rglob("*.yml")):
        for text in _of_playbook(yaml.safe_load(path.read_text())):
            found.setdefault(text, str(path.relative_to(ROOT)))
    return found


def _of_playbook(node: Any) -> Iterator[str]:
    """The sentences in what an assertion of a playbook says, whose expressions are Jinja's."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "fail_msg":
            plain = re.sub(r"""['"] ~ (\w+)[^~]*? ~ ['"]""", lambda match: match[1].strip("_").upper(), value)
            texts = (" ".join(text.split()) for text in re.findall(r'"([^"]*)"', plain))
            yield from (text for text in texts if re.match(r"\w.* .* .* ", text))
        yield from _of_playbook(value)
    for value in node if isinstance(node, list) else ():
        yield from _of_playbook(value)


def entries() -> dict[str, list[dict[str, str]]]:
    """By topic: message, means, do."""
    topics: dict[str, list[dict[str, str]]] = yaml.safe_load(ENTRIES.read_text())
    return topics


def problems() -> list[str]:
    """A sentence for each message without an entry, and for each entry without a message or twice there."""
    found = messages()
    listed = [entry["message"] for topic in entries().values() for entry in topic]
    missing = [
        f"{place}: this message has no entry. Add one to docs/messages.yml, below its topic, and run python"
        f" scripts/messages.py:\n  - message: >-\n      {text}\n    means: …\n    do: …"
        for text, place in found.items()
        if text not in listed
    ]
    gone = [f"docs/messages.yml: no code says this any more, so take it out: {text}" for text in listed]
    gone = [sentence for sentence, text in zip(gone, listed) if text not in found]
    twice = [f"docs/messages.yml has this twice: {text}" for text in set(listed) if listed.count(text) > 1]
    return [*missing, *gone, *twice]


def document() -> str:
    parts = [HEAD]
    for topic, texts in entries().items():
        parts.append(f"## {topic}\n\n")
        for entry in texts:
            code = f"`` {entry['message']} ``" if "`" in entry["message"] else f"`{entry['message']}`"
            parts.append(f"- {code}\\\n  {entry['means']} **Do:** {entry['do']}\n")
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    print(*problems(), sep="\n", file=sys.stderr)
    DOCUMENT.write_text(document())
    sys.exit(bool(problems()))
