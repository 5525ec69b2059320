# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the site in .cache/docs/html: README and guides as they are, and a page for every public plugin and role.

The pages are laid out as in the repository, so a link between two Markdown files is one on the site, too. Modules that
are internal are left out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".cache/docs"
SITE = ROOT / "docs/docsite/site"
PAGES = ["README.md", "README.ko.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"]
INTERNAL = "kasops.gitlab_kas.attributes.internal"  # the documentation fragment of modules that only the roles use


def tools() -> Path:
    """The directory of the programs that build the site, installed anew when their list has changed."""
    requirements = ROOT / "docs/docsite/requirements.txt"
    stamp, digest = BUILD / "venv/requirements.sha256", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        venv.create(BUILD / "venv", clear=True, with_pip=True)
        pip = [BUILD / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", requirements], check=True)
        stamp.write_text(digest)
    return BUILD / "venv/bin"


def public_collection() -> Path:
    """A copy of the collection without its internal modules, where ansible-doc finds it."""
    copy = BUILD / "collections/ansible_collections/kasops/gitlab_kas"
    without = shutil.ignore_patterns(
        "__pycache__", "extra-docs.yml", "rst"
    )  # which says where the guides are: they are here
    for name in ("docs/docsite", "meta", "plugins", "roles"):
        shutil.copytree(ROOT / name, copy / name, ignore=without)
    for name in ("galaxy.yml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    for module in (copy / "plugins/modules").glob("*.py"):
        if INTERNAL in module.read_text():
            module.unlink()
    return BUILD / "collections"


def build() -> Path:
    """The finished site. Every warning of its builders is an error."""
    bin_ = tools()
    for name in ("collections", "source", "html"):
        shutil.rmtree(BUILD / name, ignore_errors=True)
    source = BUILD / "source"
    for page in (page for pattern in PAGES for page in ROOT.glob(pattern)):
        to = source / page.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, to)
    shutil.copytree(SITE, source, dirs_exist_ok=True)
    environment = {
        **os.environ,
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "ANSIBLE_HOME": str(BUILD / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(public_collection()),
        "KAS_DOCS_ROOT": str(ROOT),
    }
    (source / "collection").mkdir()
    reference = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", source / "collection"]
    subprocess.run(
        [bin_ / "antsibull-docs", "collection", *reference, "kasops.gitlab_kas"], check=True, env=environment
    )
    strict = ["--quiet", "--fail-on-warning", "--keep-going"]
    subprocess.run([bin_ / "sphinx-build", *strict, source, BUILD / "html"], check=True, env=environment)
    return BUILD / "html"


class _Page(HTMLParser):
    """The links of a page and what they can point at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        self.links += [value for name in ("href", "src") if (value := given.get(name)) is not None]


def broken_links(site: Path) -> Iterator[str]:
    """A sentence for each link within a site to a page or an anchor that is not there."""
    pages = {path: _Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.is_file() or (target in pages and unquote(parts.fragment) not in pages[target].anchors)
            if missing:
                yield f"{path.relative_to(site)}: {link} leads nowhere."


if __name__ == "__main__":
    html = build()
    broken = list(broken_links(html))
    print(*broken, *([] if broken else [f"The site is in {html}/index.html."]), sep="\n")
    sys.exit(bool(broken))
