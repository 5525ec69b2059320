"""The documentation says what the code says."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import VARIABLE_OF_KEY
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import KEYS
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "README.ko.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("roles/*/README.md")),
]


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["dashboard", "variables", "surveys", "messages", "troubleshooting"])
def test_what_a_script_makes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")  # one of them calls the other
    module = script(name)
    assert module.DOCUMENT.read_text() == module.document(), f"run: python scripts/{name}.py"


def test_every_message_is_in_the_list() -> None:
    """And the list holds no other."""
    problems = script("messages").problems()
    assert problems == [], "\n".join(problems)


MESSAGES = """
DOCUMENTATION = "What an option does; it is no message."
why = f"is changed by `{via}`"

def listener_problem(host):
    \"\"\"A docstring; it is no message.\"\"\"
    return f"is {host} itself"

def said(path, error, warn):
    warn("Too short.")
    warn(f"{self._path}, line {line}: {show(path)} is empty{why}; {remedy(error)}.")
    warn("plain words without a remedy are no message")
    raise FileError(f"{path} cannot be read ({error.strerror})")
"""


def test_what_counts_as_a_message() -> None:
    module = script("messages")
    finder = module.Finder()
    finder.visit(ast.parse(MESSAGES))
    assert [text for text, _line in finder.found] == [
        "is changed by `VIA`",
        "is HOST itself",
        "PATH, line LINE: SETTING is empty…; REMEDY.",
        "PATH cannot be read (CAUSE)",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("fragment", sorted(ROOT.glob("changelogs/fragments/*.yml")), ids=lambda path: path.name)
def test_changelog_fragments_are_restructured_text(fragment: Path) -> None:
    """The markup of modules' documentation would stand in the changelog as it is."""
    assert re.findall(r"\b(?:B|C|E|I|M|O|P|RV|V)\([^)]*\)", fragment.read_text()) == []


# What GitLab's installation guide for KAS names.
GUIDE = [
    *[
        f"gitlab_kas['{key}']"
        for key in ("enable", "env", "api_secret_key", "private_api_secret_key", "gitlab_address")
    ],
    *[f"gitlab_kas['{api}_api_listen_{part}']" for api in ("internal", "private") for part in ("network", "address")],
    *[f"gitlab_rails['gitlab_kas_{name}_url']" for name in ("external", "internal", "external_k8s_proxy")],
    "gitlab_kas_external_url",
    *[f"OWN_PRIVATE_API_{name}" for name in ("URL", "HOST", "CIDR", "PORT", "SCHEME")],
    "SSL_CERT_DIR",
    "mkdir -p /var/opt/gitlab/gitlab-kas/sockets/",
    "kubectl logs",
    "configuration file not found",
]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of docs/settings.md."""
    section = (ROOT / "docs/settings.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")][
        2:
    ]


def test_every_setting_of_the_guide_has_its_place() -> None:
    settings = " ".join(cells[0] for cells in rows("From the installation guide to variables"))
    assert [name for name in GUIDE if f"`{name}`" not in settings and name not in settings] == []


def test_every_key_of_gitlab_kas_has_its_variable() -> None:
    table = [(cells[0], cells[1]) for cells in rows("Every key of gitlab_kas")]
    keys = sorted({*KEYS, *VARIABLE_OF_KEY})
    assert table == [(f"`gitlab_kas['{key}']`", f"`{VARIABLE_OF_KEY.get(key, f'kas_settings.{key}')}`") for key in keys]


# Names that look like variables: a channel of Redis, a field of KAS's log, keys of the Helm chart, data of a run.
NOT_VARIABLES = {
    "kas_events",
    "kas_nodes",
    "kas_private_api_secret",
    "kas_shared_secret",
    "kas_url",
    "kas_websocket_token_secret",
}


def test_variables_of_the_guides_exist() -> None:
    named = {
        name for page in PAGES for name in re.findall(r"`(kas_[a-z0-9_]+)`", page.read_text()) if not name.endswith("_")
    }
    roles_and_plugins = {path.stem for kind in ("roles/*", "plugins/*/*") for path in ROOT.glob(kind)}
    assert sorted(named - set(DEFAULTS) - roles_and_plugins - NOT_VARIABLES) == []


def test_broken_links_of_the_site(tmp_path: Path) -> None:
    """The check of `make docs` knows a link that leads nowhere."""
    (tmp_path / "guides").mkdir()
    (tmp_path / "style.css").touch()
    (tmp_path / "index.html").write_text(
        '<link href="style.css"><a href="guides/tls.html#there">1</a><a href="https://example.com/no">2</a>'
        '<a href="guides/tls.html#gone">3</a><a href="#">4</a><img src="gone.png">'
    )
    (tmp_path / "guides/tls.html").write_text(
        '<h1 id="there">TLS</h1><a href="../index.html">5</a><a href="no.html">6</a>'
    )
    assert list(script("docs").broken_links(tmp_path)) == [
        "guides/tls.html: no.html leads nowhere.",
        "index.html: guides/tls.html#gone leads nowhere.",
        "index.html: gone.png leads nowhere.",
    ]
