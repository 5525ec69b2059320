# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ruby takes for a name in a gitlab.rb, and nobody meant as one: words of Python or YAML, characters of the web,
sections whose names are almost those of the package.

They are valid Ruby, and end in an error when the file is evaluated (mixlib-config: "Reading unsupported config value",
Ruby: "uninitialized constant").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._characters import instead, quotes, shown, strange
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Outline, Word
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._spelling import nearest

_MEANT = {
    **dict.fromkeys(["True", "TRUE", "Yes", "YES", "yes", "On", "ON", "on"], "true"),
    **dict.fromkeys(["False", "FALSE", "No", "NO", "no", "Off", "OFF", "off"], "false"),
    **dict.fromkeys(["None", "NONE", "Nil", "NIL", "Null", "NULL", "null", "none", "undefined"], "nil"),
}

# The package's settings at the top (libraries/config/gitlab.rb and package/libraries/config/gitlab.rb of all releases
# that this collection is for); any other name ends the evaluation.
_SECTIONS = frozenset(
    re.findall(
        r"\w+",
        """
    actioncable alertmanager bootstrap consul crond geo_logcursor geo_postgresql geo_secondary gitaly
    gitaly_client gitlab_backup_cli gitlab_ci gitlab_exporter gitlab_kas gitlab_kas_nginx gitlab_pages
    gitlab_rails gitlab_shell gitlab_sshd gitlab_workhorse grafana high_availability letsencrypt logging
    logrotate mailroom manage_accounts manage_storage_directories mattermost mattermost_nginx nginx
    node_exporter oak package pages_nginx patroni pgbouncer pgbouncer_exporter postgres_exporter postgresql
    praefect prometheus prometheus_monitoring puma redis redis_exporter registry registry_nginx remote_syslog
    repmgr repmgrd sentinel sidekiq sidekiq_cluster spamcheck storage_check unicorn user web_server
        """,
    )
)
_VALUES = frozenset(
    re.findall(
        r"\w+",
        """
    edition external_url git_data_dir git_data_dirs gitlab_kas_external_url mattermost_external_url
    pages_external_url registry_external_url roles runtime_dir
        """,
    )
)
_ROLE = "_role"  # role itself is a method of the package
_YAML = re.compile(rb"([a-z_]+)[ \t]*:(?:[ \t]|$)")


class Mistake(NamedTuple):
    """A line, what is wrong there, and what to write."""

    line: int
    why: str
    remedy: str


def mistakes(outline: Outline) -> Iterator[Mistake]:
    """What would end in an error of Ruby's, in the order of the lines; one for all lines of a kind."""
    found = [*_characters(word for word in outline.words if word.is_name), *_words(outline), *_names(outline)]
    yield from sorted(found)


def characters_behind(words: Sequence[Word], line: int) -> list[Mistake]:
    """The characters that may be why a text is no Ruby: those in names, else quotes in a text up to that line."""
    in_names = list(_characters(word for word in words if word.is_name))
    texts = (Word(word.line, True, "".join(quotes(word.text))) for word in words if word.line <= line)
    return in_names or list(_characters(texts))


def not_ruby(text: bytes) -> Iterator[Mistake]:
    """What a text that is no Ruby may be instead: of another encoding, or YAML."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        is_wide = text.startswith((b"\xff\xfe", b"\xfe\xff"))
        why = "this file is in UTF-16" if is_wide else f"the byte 0x{text[error.start]:02X} is no UTF-8"
        yield Mistake(text.count(b"\n", 0, error.start) + 1, why, "save the file as UTF-8")
    for number, line in enumerate(text.splitlines(), 1):
        match = _YAML.match(line)
        name = match[1].decode() if match else ""
        if name in _SECTIONS | _VALUES:
            remedy = f"write {name} 'value'" if name in _VALUES else f"write {name}['key'] = value for each key"
            yield Mistake(number, f"`{name}:` is YAML, and this file is Ruby", remedy)


def _characters(words: Iterable[Word]) -> Iterator[Mistake]:
    # What the name is stays unsaid: between quotes of the web it may be a secret.
    bad = [(word.line, char) for word in words for char in strange(word.text)]
    if bad:
        lines, chars = (
            list(dict.fromkeys(line for line, _char in bad)),
            list(dict.fromkeys(char for _line, char in bad)),
        )
        why = f"{shown(chars)} is no sign to Ruby and only looks like one{_also(lines[1:])}"
        if len(chars) > 1:
            why = f"{shown(chars)} are no signs to Ruby and only look like ones{_also(lines[1:])}"
        yield Mistake(lines[0], why, instead(chars))


def _words(outline: Outline) -> Iterator[Mistake]:
    mentions = [mention for statement in outline.statements for mention in statement.mentions]
    own = {mention.name for mention in mentions if mention.access == "change"} | set(outline.locals)
    found: dict[str, list[int]] = {}
    for mention in mentions:
        is_known = mention.name in own or (mention.name[0].isupper() and mention.name not in outline.unknown)
        is_bare = mention.access == "read" and not mention.keys and not mention.deferred
        if mention.name in _MEANT and is_bare and not is_known:
            found.setdefault(mention.name, []).append(mention.line)
    for name, lines in found.items():
        lines = list(dict.fromkeys(lines))
        yield Mistake(
            lines[0],
            f"Ruby knows no {name}, so gitlab-ctl reconfigure would fail{_also(lines[1:])}",
            f"write {_MEANT[name]}",
        )


def _names(outline: Outline) -> Iterator[Mistake]:
    """Sections and call forms at the top level whose names are almost the package's."""
    found: dict[tuple[str, str], list[int]] = {}
    for statement in outline.statements:
        name = statement.name or ""
        known = _SECTIONS if statement.keys else _VALUES
        near = nearest(name, known) if name not in _SECTIONS | _VALUES and not f"_{name}".endswith(_ROLE) else None
        if near and name not in outline.locals:
            found.setdefault((name, near), []).append(statement.line)
        # gitlab-kas['enable'] = true
        names = [mention.name for mention in statement.mentions if not mention.deferred]
        for first, second in zip(names, names[1:]):
            whole = f"{first}_{second}"
            if first == "gitlab" and whole in _SECTIONS and first not in outline.locals:
                found.setdefault((f"{first}-{second}", whole), []).append(statement.line)
    for (name, near), lines in found.items():
        yield Mistake(
            lines[0],
            f"the Linux package knows no {name}, so gitlab-ctl reconfigure would fail{_also(lines[1:])}",
            f"write {near}",
        )


def _also(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    return f", also in line{'s' if lines[1:] else ''} {', '.join(map(str, lines))}"
