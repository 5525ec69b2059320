"""Our settings in a file of their own, which gitlab.rb includes."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _files
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError, read_included
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import GitlabRb, GitlabRbError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby, find_ruby
from ansible_collections.kasops.gitlab_kas.plugins.modules.gitlab_rb import run

TEMPLATE = "external_url 'https://gitlab.example.com'\ngitlab_kas['env'] = { 'THEIRS' => 'theirs' }\n"
ASKED = MappingProxyType({"gitlab_kas": {"enable": True, "api_secret_key": "a secret", "env": {"OURS": "ours"}}})
OWN = (
    "# BEGIN kasops.gitlab_kas\n"
    "gitlab_kas['enable'] = true\n"
    "gitlab_kas['api_secret_key'] = 'a secret'\n"
    "gitlab_kas['env']['OURS'] = 'ours'\n"
    "# END kasops.gitlab_kas\n"
)


class Node(NamedTuple):
    """A node's /etc/gitlab."""

    gitlab_rb: Path
    own: Path
    record: Path

    def run(self, settings: Mapping[str, Any] = ASKED, *, check_mode: bool = False, **more: Any) -> dict[str, Any]:
        given = {
            "path": str(self.gitlab_rb),
            "settings": settings,
            "remove": {},
            "state": "present",
            "backup": False,
            "previous": None,
            "ruby": find_ruby(),
            "record": str(self.record),
            "record_for": {"role": settings},
            "include": str(self.own),
        }
        return run({**given, **more}, check_mode=check_mode, diff=True)

    def revert(self) -> dict[str, Any]:
        return self.run({}, state="reverted", record_for={})

    def write(self, text: str) -> None:
        self.gitlab_rb.write_text(self.fill(text))

    def fill(self, text: str) -> str:
        return text.replace("$D", str(self.gitlab_rb.parent))

    @property
    def texts(self) -> tuple[str, str | None]:
        return self.gitlab_rb.read_text(), self.own.read_text() if self.own.exists() else None

    @property
    def line(self) -> str:
        return f"\n# BEGIN kasops.gitlab_kas\nfrom_file '{self.own}'\n# END kasops.gitlab_kas\n"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path / "gitlab.rb", tmp_path / "gitlab.kas.custom.rb", tmp_path / "kept" / "record.json")
    node.write(TEMPLATE)
    return node


def test_the_file_and_the_line(node: Node) -> None:
    result = node.run()
    assert node.texts == (TEMPLATE + node.line, OWN)
    assert stat.S_IMODE(node.own.stat().st_mode) == 0o600
    assert result["settings_changed"] == [
        "gitlab_kas['enable']",
        "gitlab_kas['api_secret_key']",
        "gitlab_kas['env']['OURS']",
        f"from_file '{node.own}'",
    ]
    assert "a secret" not in result["diff"]["prepared"]
    assert f"+from_file '{node.own}'" in result["diff"]["prepared"]
    assert not node.run()["changed"]
    assert node.texts == (TEMPLATE + node.line, OWN)


def test_what_is_in_effect(node: Node, ruby: Ruby) -> None:
    node.run()
    document = GitlabRb(node.gitlab_rb.read_bytes(), ruby, read_file=read_included)
    assert document.read(["gitlab_kas"]) == (
        {"gitlab_kas": {"enable": True, "api_secret_key": "a secret", "env": {"THEIRS": "theirs", "OURS": "ours"}}},
        {},
    )


def test_check_mode(node: Node) -> None:
    tried = node.run(check_mode=True)
    assert node.texts == (TEMPLATE, None)
    assert tried == node.run()


@pytest.mark.parametrize(
    "line",
    [
        "from_file '$D/gitlab.kas.custom.rb'",
        "from_file '$D/gitlab.kas.custom.rb' if File.exist?('$D/gitlab.kas.custom.rb')",
        'Dir.glob("$D/gitlab.*.custom.rb").each { |f| from_file f }',
        "Dir['$D/*.custom.rb'].sort.each do |f|\n  from_file(f) if File.file?(f)\nend",
    ],
)
def test_a_template_that_has_the_line(node: Node, line: str) -> None:
    text = node.fill(f"{TEMPLATE}{line}\nnginx['enable'] = true\n")
    node.write(text)
    node.run()
    assert node.texts == (text, OWN)
    assert not node.run()["changed"]


def test_a_template_that_includes_it_under_a_condition(node: Node) -> None:
    """Nobody knows whether it is included, so there is a line of ours, too."""
    text = node.fill(TEMPLATE + "from_file '$D/gitlab.kas.custom.rb' if node['fqdn'] == 'x'\n")
    node.write(text)
    node.run()
    assert node.texts == (text + node.line, OWN)


def test_a_line_that_was_lost(node: Node) -> None:
    """The template of another tool was written again."""
    node.run()
    node.write(TEMPLATE)
    result = node.run()
    assert result["settings_changed"] == [f"from_file '{node.own}'"]
    assert node.texts == (TEMPLATE + node.line, OWN)


def test_a_variable_less(node: Node) -> None:
    node.run()
    node.run({"gitlab_kas": {"enable": True}})
    assert node.texts[1] == "# BEGIN kasops.gitlab_kas\ngitlab_kas['enable'] = true\n# END kasops.gitlab_kas\n"


def test_there_and_back(node: Node) -> None:
    node.run(include=None)
    inline = node.texts
    assert inline[0].count("\n") > TEMPLATE.count("\n")
    result = node.run()
    assert result["settings_restored"] == []
    assert node.texts == (TEMPLATE + node.line, OWN)
    assert not node.run()["changed"]
    node.run(include=None)
    assert node.texts == inline
    assert not node.run(include=None)["changed"]


def test_another_file(node: Node) -> None:
    node.run()
    other = node._replace(own=node.own.with_name("other.rb"))
    other.run()
    assert other.texts == (TEMPLATE + other.line, OWN)
    assert not node.own.exists()
    assert not other.run()["changed"]


def test_revert(node: Node) -> None:
    node.run()
    result = node.revert()
    assert result["settings_left"] == []
    assert node.texts == (TEMPLATE, None)
    assert not node.record.exists()
    assert not node.revert()["changed"]


def test_absent(node: Node) -> None:
    """Without a record, the names say what goes; with the last one goes the file."""
    node.run(record=None)
    node.run({"gitlab_kas": {"enable": None}}, state="absent", record=None)
    assert node.texts == (TEMPLATE + node.line, OWN.replace("gitlab_kas['enable'] = true\n", ""))
    node.run({"gitlab_kas": {"api_secret_key": None, "env": {"OURS": None}}}, state="absent", record=None)
    assert node.texts == (TEMPLATE, None)


def test_a_line_of_a_template_still_finds_the_file(node: Node) -> None:
    """Without the file the next reconfigure would fail."""
    text = node.fill(TEMPLATE + "from_file '$D/gitlab.kas.custom.rb'\n")
    node.write(text)
    node.run()
    node.revert()
    assert node.texts == (text, "")
    assert not node.revert()["changed"]


def test_somebody_elses_settings_in_the_file(node: Node) -> None:
    node.own.write_text("gitlab_kas['log_level'] = 'debug'\n")
    node.own.chmod(0o644)
    node.run()
    assert stat.S_IMODE(node.own.stat().st_mode) == 0o600
    assert node.texts[1] == "gitlab_kas['log_level'] = 'debug'\n\n" + OWN
    node.revert()
    assert node.texts == (TEMPLATE, "gitlab_kas['log_level'] = 'debug'\n")


def test_backups(node: Node) -> None:
    assert set(node.run(backup=True)) & {"backup_file", "include_backup_file"} == {"backup_file"}
    result = node.run({"gitlab_kas": {"enable": False}}, backup=True)
    assert "backup_file" not in result
    assert Path(result["include_backup_file"]).read_text() == OWN
    assert stat.S_IMODE(Path(result["include_backup_file"]).stat().st_mode) == 0o600


def test_a_hash_that_is_there_is_enough(node: Node) -> None:
    node.run({"gitlab_kas": {"env": {}, "other": {}}})
    assert node.texts[1] == "# BEGIN kasops.gitlab_kas\ngitlab_kas['other'] = {}\n# END kasops.gitlab_kas\n"
    assert not node.run({"gitlab_kas": {"env": {}, "other": {}}})["changed"]


@pytest.mark.parametrize("includes", [True, False])
def test_a_run_that_is_interrupted(node: Node, monkeypatch: pytest.MonkeyPatch, includes: bool) -> None:
    """At every moment gitlab.rb includes no file that is not there, and the next run makes it right."""
    if not includes:
        node.run()
    write, remove = _files.write, _files.remove
    steps = []

    def interrupted(path: str, *arguments: Any, **more: Any) -> None:
        steps.append(Path(path).name)
        if path != str(node.record):
            (write if arguments else remove)(path, *arguments, **more)
            raise FileError("interrupted")

    monkeypatch.setattr(_files, "write", interrupted)
    monkeypatch.setattr(_files, "remove", interrupted)
    with pytest.raises(FileError, match="interrupted"):
        node.run() if includes else node.revert()
    monkeypatch.undo()
    assert steps[-1] == (node.own.name if includes else node.gitlab_rb.name)
    assert node.texts == (TEMPLATE, OWN)
    node.run() if includes else node.revert()
    assert node.texts == ((TEMPLATE + node.line, OWN) if includes else (TEMPLATE, None))


def test_a_hash_deeper_down(node: Node) -> None:
    """To ask for a hash that is there asks for nothing, and never for the one around it."""
    node.write("gitlab_kas['env'] = { 'A' => { 'B' => 1 } }\n")
    assert not node.run({"gitlab_kas": {"env": {"A": {}}}})["changed"]


def test_env_behind_a_file_that_cannot_be_read(node: Node) -> None:
    node.write("load x\n")
    node.run({"gitlab_kas": {"env": {"OURS": "ours"}}})
    assert "gitlab_kas['env']['OURS'] = 'ours'\n" in (node.texts[1] or "")
    with pytest.raises(GitlabRbError, match=r"line 1: gitlab_kas\['other'\] may be no plain hash"):
        node.run({"gitlab_kas": {"other": {"OURS": "ours"}}})


@pytest.mark.parametrize("text", ["gitlab_kas['env'] = x\n", "load x\n", "gitlab_kas['env'] = {} if x\n"])
def test_a_hash_that_may_be_there_is_not_replaced(node: Node, text: str) -> None:
    node.write(text)
    with pytest.raises(GitlabRbError, match=r"line 1: this line may set gitlab_kas\['env'\], which must"):
        node.run({"gitlab_kas": {"env": {}}})


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a line behind it": (
        "from_file '$D/gitlab.kas.custom.rb'\ngitlab_kas['enable'] = false\n",
        {},
        "$D/gitlab.rb, line 2: this line may set gitlab_kas['enable'] after $D/gitlab.kas.custom.rb; remove it, or "
        "include $D/gitlab.kas.custom.rb after it.",
    ),
    "a file behind it": (
        "Dir['$D/*.custom.rb'].each { |f| from_file f }\n",
        {},
        "$D/gitlab.zzz.custom.rb, line 1: this line may set gitlab_kas['enable'] after $D/gitlab.kas.custom.rb; remove "
        "it, or include $D/gitlab.kas.custom.rb after it.",
    ),
    "an unreadable file behind it": (
        "from_file '$D/gitlab.kas.custom.rb'\nload x\n",
        {},
        "$D/gitlab.rb, line 2: this line may set gitlab_kas['enable'] after $D/gitlab.kas.custom.rb; remove it, or "
        "include $D/gitlab.kas.custom.rb after it.",
    ),
    "code that may run behind it": (
        "at_exit { gitlab_kas['enable'] = false }\n",
        {},
        "$D/gitlab.rb, line 1: gitlab_kas['enable'] is assigned inside a block, so $D/gitlab.kas.custom.rb may set "
        "it without effect; assign it outside of the block, on a line of its own, and include $D/gitlab.kas.custom.rb"
        " after it.",
    ),
    "a line that reads it behind it": (
        "from_file '$D/gitlab.kas.custom.rb'\nnginx['x'] = gitlab_kas['enable']\n",
        {},
        "$D/gitlab.rb, line 2: this line reads gitlab_kas['enable'] and would change with it; give it a value of its "
        "own.",
    ),
    "a setting that must not be there": (
        "gitlab_kas['env'] = {\n  'GONE' => 1 }\n",
        {"gitlab_kas": {"env": {"GONE": None}}},
        "$D/gitlab.rb, line 1: this line may set gitlab_kas['env']['GONE'], which must not be set beside what "
        "$D/gitlab.kas.custom.rb sets; remove it.",
    ),
    "no hash": (
        "gitlab_kas['env'] = nil\n",
        {},
        "$D/gitlab.rb, line 1: gitlab_kas['env'] may be no plain hash, so $D/gitlab.kas.custom.rb cannot set "
        "gitlab_kas['env']['OURS'] in it; write it as a hash, or remove it.",
    ),
    "a frozen section": (
        "gitlab_kas.freeze\n",
        {},
        "$D/gitlab.rb, line 1: gitlab_kas may be no plain hash, so $D/gitlab.kas.custom.rb cannot set "
        "gitlab_kas['enable'] in it; write it as a hash, or remove it.",
    ),
    "an end that may come before": (
        "return if x\n",
        {},
        "$D/gitlab.rb, line 1: the file may end there, before $D/gitlab.kas.custom.rb is included; put from_file "
        "'$D/gitlab.kas.custom.rb' before it.",
    ),
}


@pytest.mark.parametrize(("text", "remove", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refusal(node: Node, text: str, remove: dict[str, Any], message: str) -> None:
    node.write(text)
    node.own.with_name("gitlab.zzz.custom.rb").write_text("gitlab_kas['enable'] = false\n")
    with pytest.raises(GitlabRbError) as error:
        node.run(remove=remove)
    assert str(error.value) == node.fill(message)
    assert node.texts == (node.fill(text), None)
    assert not node.record.exists()


@pytest.mark.parametrize("include", ["kas.rb", "$D/gitlab.rb", "$D/../$N/gitlab.rb"])
def test_a_path_that_cannot_be_it(node: Node, include: str) -> None:
    include = node.fill(include).replace("$N", node.gitlab_rb.parent.name)
    with pytest.raises(GitlabRbError) as error:
        node.run(include=include)
    assert str(error.value) == (
        f"{include} cannot be the file that {node.gitlab_rb} includes; give the absolute path of another."
    )
