"""The documentation says what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("roles/*/README.md")),
]


def test_variables_are_the_specs() -> None:
    spec = importlib.util.spec_from_file_location("variables", ROOT / "scripts" / "variables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.DOCUMENT.read_text() == module.document(), "run: python scripts/variables.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("fragment", sorted(ROOT.glob("changelogs/fragments/*.yml")), ids=lambda path: path.name)
def test_changelog_fragments_are_restructured_text(fragment: Path) -> None:
    """The markup of modules' documentation would stand in the changelog as it is."""
    assert re.findall(r"\b(?:B|C|E|I|M|O|P|RV|V)\([^)]*\)", fragment.read_text()) == []
