"""Files that a gitlab.rb includes: what is read of them, and where a setting of ours then stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import read_included
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import GitlabRb, GitlabRbError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby

FILES = {
    "off.rb": "gitlab_kas['enable'] = false\n",
    "env.rb": "gitlab_kas['env'] = { 'A' => 'a' }\n",
    "python.rb": "nginx['enable'] = true\nnginx['x'] = False\n",
    "others.rb": "nginx['enable'] = false\n",
    "gitlab.10.custom.rb": "gitlab_kas['enable'] = 10\n",
    "gitlab.9.custom.rb": "gitlab_kas['enable'] = 9\n",
    "returns.rb": "gitlab_kas['enable'] = 'first'\nreturn\ngitlab_kas['enable'] = 'second'\n",
    "may_return.rb": "gitlab_kas['enable'] = 'first'\nreturn if x\ngitlab_kas['enable'] = 'second'\n",
    "nested.rb": "from_file '$D/off.rb'\nnginx['enable'] = true\n",
    "itself.rb": "from_file '$D/itself.rb'\n",
    "broken.rb": "gitlab_kas['enable'] = \n(",
}
OFF, NINE = {"gitlab_kas": {"enable": False}}, {"gitlab_kas": {"enable": 9}}
EVERY = "Dir.glob('$D/gitlab.*.custom.rb')"

# What is read of gitlab_kas where it begins with `gitlab_kas['enable'] = true`; None where nobody knows.
READ: dict[str, tuple[str, Any]] = {
    "a path": ("from_file '$D/off.rb'", False),
    "a path in brackets": ('from_file("$D/off.rb")', False),
    "a file with nothing of ours": ("from_file '$D/others.rb'", True),
    "a file that includes": ("from_file '$D/nested.rb'", False),
    "a file that includes itself": ("from_file '$D/itself.rb'", None),
    "a file that is no Ruby": ("from_file '$D/broken.rb'", None),
    "a file that is missing": ("from_file '$D/missing.rb'", None),
    "a relative path": ("from_file 'off.rb'", None),
    "a computed path": ("from_file File.join('$D', 'off.rb')", None),
    "a return ends only its file": ("from_file '$D/returns.rb'\nnginx['a'] = 1", "first"),
    "a return that may end its file": ("from_file '$D/may_return.rb'", None),
    "if it is there": ("from_file '$D/off.rb' if File.exist?('$D/off.rb')", False),
    "if it is there, and it is not": ("from_file '$D/missing.rb' if File.exist?('$D/missing.rb')", True),
    "if it is there, over lines": ("if ::File.file? '$D/off.rb'\n  # why\n  from_file '$D/off.rb'\nend", False),
    "if it is there, with and": ("File.readable?('$D/off.rb') && from_file('$D/off.rb')", False),
    "if another is there": ("from_file '$D/off.rb' if File.exist?('$D/others.rb')", None),
    "if it is there, else another": (
        "if File.exist?('$D/off.rb')\n  from_file '$D/off.rb'\nelse\n  from_file '$D/others.rb'\nend",
        None,
    ),
    "under a condition": ("from_file '$D/off.rb' if node['fqdn'] == 'a'", None),
    "under a condition, nothing of ours": ("from_file '$D/others.rb' if node['fqdn'] == 'a'", True),
    "unless": ("unless x\n  from_file '$D/off.rb'\nend", None),
    "every custom file": (EVERY + ".each { |f| from_file f }", 9),
    "every custom file, sorted": (EVERY + ".sort.each do |file|\n  from_file(file)\nend", 9),
    "every custom file that is there": ('Dir["$D/gitlab.*.custom.rb"].each { |f| from_file(f) if File.exist?(f) }', 9),
    "every custom file, if their directory is": (
        "if Dir.exist?('$D')\n  " + EVERY + ".each { |f| from_file f }\nend",
        9,
    ),
    "every custom file, with glob alone": (EVERY + " { |f| from_file f }", 9),
    "every custom file, with for": ("for f in Dir['$D/gitlab.*.custom.rb'] do from_file f end", 9),
    "the order of braces": ("Dir['$D/gitlab.{9,10}.custom.rb'].each { |f| from_file f }", 10),
    "the order of patterns": ("Dir['$D/gitlab.9.*.rb', '$D/gitlab.1*.rb'].each { |f| from_file f }", 10),
    "a list": ("%w[$D/gitlab.10.custom.rb $D/others.rb].each { |f| from_file f }", 10),
    "no custom file": ("Dir['$D/no.*.rb'].each { |f| from_file f }", True),
    "a loop that does more": (EVERY + ".each { |f| puts f; from_file f }", None),
    "a computed glob": ("Dir[File.join('$D', '*.rb')].each { |f| from_file f }", None),
    "load": ("load '$D/off.rb'", None),
    "load in a loop": (EVERY + ".each { |f| load f }", None),
    "require of a path": ("require '$D/off'", None),
    "require of a computed path": ("require x", None),
    "require_relative": ("require_relative 'off'", None),
    "require of a library": ("require 'json'", True),
    "require of a library, from a path of its own": ("$LOAD_PATH << '$D'\nrequire 'off'", None),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("etc_gitlab")
    for name, text in FILES.items():
        (directory / name).write_text(text.replace("$D", str(directory)))
    return directory


def document(text: str, directory: Path, ruby: Ruby, **more: Any) -> GitlabRb:
    more = {"path": "gitlab.rb", "read_file": read_included, **more}
    return GitlabRb(text.replace("$D", str(directory)).encode(), ruby, **more)


def enabled(gitlab_rb: GitlabRb) -> object:
    return gitlab_rb.read(["gitlab_kas"]).settings.get("gitlab_kas", {}).get("enable")


@pytest.mark.parametrize(("text", "enable"), READ.values(), ids=READ.keys())
def test_reading_and_setting(ruby: Ruby, directory: Path, text: str, enable: object) -> None:
    gitlab_rb = document(f"gitlab_kas['enable'] = true\n{text}\n", directory, ruby)
    assert enabled(gitlab_rb) == enable
    changed = gitlab_rb.change({"gitlab_kas": {"enable": "ours"}}).document
    assert enabled(changed) == "ours"
    # Behind what decides today, or in its place.
    last = changed.text.decode().splitlines()[-1 if enable is not True else 0]
    assert last in ("# END kasops.gitlab_kas", "gitlab_kas['enable'] = 'ours'")
    assert changed.change({"gitlab_kas": {"enable": "ours"}}).text == changed.text


def test_a_hash_of_an_included_file_gets_one_more_key(ruby: Ruby, directory: Path) -> None:
    gitlab_rb = document("from_file '$D/env.rb'\n", directory, ruby)
    changed = gitlab_rb.change({"gitlab_kas": {"env": {"B": "b"}}}).document
    assert b"\ngitlab_kas['env']['B'] = 'b'\n" in changed.text
    assert changed.read(["gitlab_kas"]).settings == {"gitlab_kas": {"env": {"A": "a", "B": "b"}}}


REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "removing what an included file sets": (
        "from_file '$D/off.rb'\n",
        {},
        {"gitlab_kas": {"enable": None}},
        "$D/off.rb, line 1: this line sets gitlab_kas['enable']; remove it there.",
    ),
    "removing what an included file may set": (
        "from_file '$D/off.rb' if x\n",
        {},
        {"gitlab_kas": {"enable": None}},
        "$D/off.rb, line 1: gitlab_kas['enable'] may be set by $D/off.rb, so it cannot be removed safely; edit that "
        "line manually.",
    ),
    "a boolean of Python in an included file": (
        "from_file '$D/python.rb'\n",
        OFF,
        {},
        "$D/python.rb, line 2: Ruby knows no False, so gitlab-ctl reconfigure would fail; write false.",
    ),
    "removing what may be loaded": (
        "load '$D/off.rb'\n",
        {},
        {"gitlab_kas": {"enable": None}},
        "gitlab.rb, line 1: gitlab_kas['enable'] may be set by what this line runs, so it cannot be removed"
        " safely; edit "
        "that line manually.",
    ),
    "a key of a hash that may be there": (
        "if x\n  from_file '$D/env.rb'\nend\n",
        {"gitlab_kas": {"env": {"B": "b"}}},
        {},
        "$D/env.rb, line 1: this line may set gitlab_kas['env'] too, and a hash assigned again would replace it; "
        "assign gitlab_kas['env'] as a whole behind it, such as gitlab_kas['env'] = {}.",
    ),
    "a file that may be run later": (
        "f = -> { from_file '$D/off.rb' }\n",
        {"gitlab_kas": {"enable": True}},
        {},
        "gitlab.rb, line 1: gitlab_kas['enable'] may be set through `from_file`, so it cannot be "
        "edited safely; call `from_file` outside of any method or block, or manage it manually.",
    ),
    "the ground of a later line": (
        "gitlab_kas['env']['A'] = 1\nfrom_file '$D/others.rb'\ngitlab_kas['env']['B'] = 2\n",
        {},
        {"gitlab_kas": {"env": {"A": None}}},
        "gitlab.rb, line 3: this line needs gitlab_kas['env'], which would not be set; assign it as a whole.",
    ),
}


@pytest.mark.parametrize(("text", "settings", "remove", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refusal(
    ruby: Ruby, directory: Path, text: str, settings: dict[str, Any], remove: dict[str, Any], message: str
) -> None:
    with pytest.raises(GitlabRbError) as error:
        document(text, directory, ruby).change(settings, remove)
    assert str(error.value) == message.replace("$D", str(directory))


@pytest.mark.parametrize(
    ("pattern", "is_sorted", "listed"),
    [
        ("$D/gitlab.*.custom.rb", False, ["gitlab.10.custom.rb", "gitlab.5.custom.rb", "gitlab.9.custom.rb"]),
        ("$D/gitlab.{9,5}.custom.rb", True, ["gitlab.9.custom.rb"]),
        ("$D/g*.rb", True, ["gitlab.10.custom.rb", "gitlab.5.custom.rb", "gitlab.9.custom.rb"]),
        ("$D/o*.rb", False, ["off.rb", "others.rb"]),
    ],
)
def test_a_file_that_will_be_there(
    ruby: Ruby, directory: Path, pattern: str, is_sorted: bool, listed: list[str]
) -> None:
    """Its place among the others is known where the pattern is plain."""
    upcoming = str(directory / "gitlab.5.custom.rb")
    files = ruby.files([pattern.replace("$D", str(directory))], is_sorted=is_sorted, upcoming=upcoming)
    assert [Path(file).name for file in files] == listed
