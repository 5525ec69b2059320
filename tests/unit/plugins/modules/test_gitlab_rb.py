"""The module around a change: files, check mode, backup, and refusals that leave everything as it was."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils import _files
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._files import FileError
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_ctl import Package
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import GitlabRbError, merged
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._previous import restore
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._record import Record
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import RubyError, find_ruby
from ansible_collections.kasops.gitlab_kas.plugins.modules.gitlab_rb import run

BEFORE = "# gitlab_kas['enable'] = true\n"
AFTER = "# gitlab_kas['enable'] = true\ngitlab_kas['enable'] = true\n"


def params(path: Path, **more: Any) -> dict[str, Any]:
    return {
        "path": str(path),
        "settings": {"gitlab_kas": {"enable": True}},
        "remove": {},
        "state": "present",
        "backup": False,
        "previous": None,
        "ruby": find_ruby(),
        "record": None,
        "include": None,
        "record_for": {},
        **more,
    }


@pytest.fixture
def gitlab_rb(tmp_path: Path) -> Path:
    path = tmp_path / "gitlab.rb"
    path.write_text(BEFORE)
    path.chmod(0o600)
    return path


def test_present_twice_then_absent(gitlab_rb: Path) -> None:
    assert run(params(gitlab_rb), check_mode=False, diff=False) == {
        "changed": True,
        "files": [str(gitlab_rb)],
        "path": str(gitlab_rb),
        "settings_changed": ["gitlab_kas['enable']"],
        "warnings": [],
    }
    assert gitlab_rb.read_text() == AFTER
    inode = gitlab_rb.stat().st_ino
    assert run(params(gitlab_rb), check_mode=False, diff=True) == {
        "changed": False,
        "files": [str(gitlab_rb)],
        "path": str(gitlab_rb),
        "settings_changed": [],
        "warnings": [],
    }
    assert gitlab_rb.stat().st_ino == inode
    assert run(params(gitlab_rb, state="absent"), check_mode=False, diff=False)["changed"]
    assert gitlab_rb.read_text() == BEFORE


@pytest.mark.parametrize(
    ("settings", "remove", "left"),
    [
        pytest.param({"gitlab_kas": {"a": 1}}, {"gitlab_kas": {"b": 1}}, "c", id="of one section"),
        pytest.param({"gitlab_kas": {"c": {"x": 1}}}, {"gitlab_kas": {"c": {"y": 1}}}, "ab", id="of one hash"),
        pytest.param({"gitlab_kas": {"a": 1}}, {"gitlab_kas": None}, "", id="one names the whole section"),
        pytest.param({"gitlab_kas": None}, {"gitlab_kas": {"a": 1}}, "", id="or the other"),
        pytest.param({"gitlab_kas": {"a": 1}}, {"gitlab_kas": {}}, "bc", id="one names nothing"),
    ],
)
def test_absent_takes_settings_and_remove(
    gitlab_rb: Path, settings: dict[str, Any], remove: dict[str, Any], left: str
) -> None:
    lines = {"a": "gitlab_kas['a'] = 1\n", "b": "gitlab_kas['b'] = 2\n", "c": "gitlab_kas['c'] = { x: 1, y: 2 }\n"}
    gitlab_rb.write_text("".join(lines.values()))
    run(params(gitlab_rb, settings=settings, remove=remove, state="absent"), check_mode=False, diff=False)
    text = gitlab_rb.read_text().replace("gitlab_kas['c'] = {}\n", "")
    assert text == "".join(lines[name] for name in left)


def test_check_mode_with_diff(gitlab_rb: Path) -> None:
    result = run(params(gitlab_rb, backup=True), check_mode=True, diff=True)
    assert result["changed"]
    assert "+gitlab_kas['enable'] = true" in result["diff"]["prepared"]
    assert gitlab_rb.read_text() == BEFORE
    assert [p.name for p in gitlab_rb.parent.iterdir()] == ["gitlab.rb"]


def test_backup(gitlab_rb: Path) -> None:
    gitlab_rb.chmod(0o644)
    backup = Path(run(params(gitlab_rb, backup=True), check_mode=False, diff=False)["backup_file"])
    assert backup.read_text() == BEFORE
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(gitlab_rb.stat().st_mode) == 0o644


def test_symlink(gitlab_rb: Path) -> None:
    link = gitlab_rb.with_name("link.rb")
    link.symlink_to("gitlab.rb")
    run(params(link), check_mode=False, diff=False)
    assert link.is_symlink()
    assert gitlab_rb.read_text() == AFTER


def test_backup_beside_a_link_to_another_file_system(gitlab_rb: Path) -> None:
    if not os.access("/dev/shm", os.W_OK) or Path("/dev/shm").stat().st_dev == gitlab_rb.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        target = Path(elsewhere) / "gitlab.rb"
        target.write_text(BEFORE)
        gitlab_rb.unlink()
        gitlab_rb.symlink_to(target)
        backup = Path(run(params(gitlab_rb, backup=True), check_mode=False, diff=False)["backup_file"])
        assert backup.parent == gitlab_rb.parent
        assert (backup.read_text(), target.read_text()) == (BEFORE, AFTER)
        assert [path.name for path in Path(elsewhere).iterdir()] == ["gitlab.rb"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_and_attributes_stay(gitlab_rb: Path) -> None:
    os.chown(gitlab_rb, 12345, 54321)
    gitlab_rb.chmod(0o640)
    os.setxattr(gitlab_rb, "user.kept", b"yes")
    run(params(gitlab_rb), check_mode=False, diff=False)
    status = gitlab_rb.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 54321, 0o640)
    assert os.getxattr(gitlab_rb, "user.kept") == b"yes"


REFUSALS: dict[str, tuple[str, dict[str, Any], type[Exception], str]] = {
    "not valid Ruby": (
        "a = (\n",
        {},
        GitlabRbError,
        "{path}: line 1 is not valid Ruby (unexpected end-of-input). The file is unchanged. Fix the cause and run"
        " again.",
    ),
    "a local variable": (
        "gitlab_kas = {}\n",
        {},
        GitlabRbError,
        "{path}, line 1: `gitlab_kas = …` makes gitlab_kas a Ruby variable, so GitLab ignores it and every later "
        "gitlab_kas; write gitlab_kas['key'] = value for each key.",
    ),
    "inside a conditional": (
        "if true\n  gitlab_kas['enable'] = false\nend\n",
        {},
        GitlabRbError,
        "{path}, line 2: gitlab_kas['enable'] is assigned inside an if, so it cannot be edited safely; "
        "assign it outside of the if, on a line of its own, or manage it manually.",
    ),
    "a mapping where a string belongs": (
        "gitlab_kas['enable'] = 'x'\n",
        {"settings": {"gitlab_kas": {"enable": {"a": 1}}}},
        GitlabRbError,
        "{path}, line 1: gitlab_kas['enable'] is a string, but a mapping was given for it; give one value or remove "
        "the line.",
    ),
    "Ruby missing": (
        BEFORE,
        {"ruby": "/nowhere/ruby"},
        RubyError,
        "There is no Ruby at /nowhere/ruby, so gitlab.rb cannot be checked; give the path of a Ruby 2.7 or later with"
        " its libraries (the module's option ruby).",
    ),
}


@pytest.mark.parametrize(("text", "more", "error", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal_changes_nothing(
    gitlab_rb: Path, text: str, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    gitlab_rb.write_text(text)
    before = (gitlab_rb.read_bytes(), gitlab_rb.stat().st_mtime_ns, gitlab_rb.stat().st_ino)
    with pytest.raises(error) as raised:
        run(params(gitlab_rb, backup=True, **more), check_mode=False, diff=True)
    assert str(raised.value) == message.format(path=gitlab_rb)
    assert (gitlab_rb.read_bytes(), gitlab_rb.stat().st_mtime_ns, gitlab_rb.stat().st_ino) == before
    assert [p.name for p in gitlab_rb.parent.iterdir()] == ["gitlab.rb"]


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.rb"
    with pytest.raises(FileError) as raised:
        run(params(path), check_mode=False, diff=False)
    assert str(raised.value) == f"{path} does not exist; install the GitLab Linux package or correct the path."


def test_missing_file_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, template = tmp_path / "gitlab.rb", tmp_path / "gitlab.rb.template"
    template.touch()
    monkeypatch.setattr(_files, "TEMPLATE", str(template))
    with pytest.raises(FileError) as raised:
        run(params(path), check_mode=False, diff=False)
    assert str(raised.value) == (
        f"{path} does not exist; copy {template} there, as the package does, or correct the path."
    )


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(FileError) as raised:
        run(params(tmp_path), check_mode=False, diff=False)
    assert str(raised.value) == f"{tmp_path} is not a regular file; give the path of one."


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_unreadable_file(gitlab_rb: Path) -> None:
    gitlab_rb.chmod(0)
    with pytest.raises(FileError) as raised:
        run(params(gitlab_rb), check_mode=False, diff=False)
    assert str(raised.value) == (
        f"{gitlab_rb} cannot be read (Permission denied); run it as root (become: true); it ran as"
        f" {pwd.getpwuid(os.geteuid()).pw_name}."
    )


# -- The record of changes --

FOUND = """\
external_url 'https://gitlab.example.com' # theirs
gitlab_kas['enable'] = false
gitlab_kas['log_level'] = "info" # theirs
gitlab_kas['api_secret_key'] = 'of their own'
gitlab_kas['listen_address'] = ENV.fetch('LISTEN', 'localhost:8150')
gitlab_kas['env'] = { 'OWN_PRIVATE_API_CIDR' => '10.0.0.0/8', 'THEIRS' => '1' }
"""
ASKED: dict[str, Any] = {
    "external_url": "https://gitlab.example.com",
    "gitlab_kas": {
        "enable": True,
        "log_level": "debug",
        "redis_password": "a password",
        "env": {"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"},
    },
}
REMOVED: dict[str, Any] = {"gitlab_kas": {"env": {"OWN_PRIVATE_API_CIDR": None}}}


@pytest.fixture
def recorded(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "gitlab.rb"
    path.write_text(FOUND)
    return params(path, settings=ASKED, remove=REMOVED, record=str(tmp_path / "kept/record.json"))


def revert(asked: dict[str, Any], **more: Any) -> dict[str, Any]:
    reverted = {**asked, "settings": {}, "remove": {}, "state": "reverted"}
    return run(reverted, **{"check_mode": False, "diff": False, **more})


def test_revert(recorded: dict[str, Any]) -> None:
    run(recorded, check_mode=False, diff=False)
    run(recorded, check_mode=False, diff=False)
    assert "a password" not in Path(recorded["record"]).read_text()
    result = revert(recorded)
    assert result["changed"]
    assert result["settings_left"] == []
    text = Path(recorded["path"]).read_text()
    pairs = "{ 'THEIRS' => '1', 'OWN_PRIVATE_API_CIDR' => '10.0.0.0/8' }"
    assert text == FOUND.replace("{ 'OWN_PRIVATE_API_CIDR' => '10.0.0.0/8', 'THEIRS' => '1' }", pairs)
    assert not Path(recorded["record"]).exists()
    assert not revert(recorded)["changed"]


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_revert_beside_a_comment_that_ends_the_file(recorded: dict[str, Any], eol: str) -> None:
    """What goes beside it comes before the section for the rest, so that both are known as ours."""
    path = Path(recorded["path"])
    found = f"external_url 'x'{eol}# gitlab_kas['env'] = {{{eol}#   'A' => 'b',{eol}# }}{eol}".encode()
    path.write_bytes(found)
    asked = {"gitlab_kas": {"enable": True, "env": {"A": "1"}, "log_level": "debug"}}
    run({**recorded, "settings": asked, "remove": {}}, check_mode=False, diff=False)
    revert(recorded)
    assert path.read_bytes() == found


def test_revert_in_check_mode(recorded: dict[str, Any]) -> None:
    run(recorded, check_mode=True, diff=False)
    assert not Path(recorded["record"]).exists()
    run(recorded, check_mode=False, diff=False)
    texts = [Path(recorded[name]).read_text() for name in ("path", "record")]
    tried = revert(recorded, check_mode=True, diff=True)
    assert "a password" not in tried.pop("diff")["prepared"]
    assert [Path(recorded[name]).read_text() for name in ("path", "record")] == texts
    assert tried == revert(recorded)


def test_revert_leaves_what_was_there_already(recorded: dict[str, Any]) -> None:
    """The same setting as somebody wrote before is nobody's change."""
    run({**recorded, "settings": {"gitlab_kas": {"enable": False}}, "remove": {}}, check_mode=False, diff=False)
    assert not revert(recorded)["changed"]
    assert Path(recorded["path"]).read_text() == FOUND


def test_revert_leaves_what_was_changed_since(recorded: dict[str, Any]) -> None:
    run(recorded, check_mode=False, diff=False)
    path = Path(recorded["path"])
    path.write_text(path.read_text().replace('"debug"', '"warn"'))
    result = revert(recorded)
    assert result["settings_left"] == ["gitlab_kas['log_level']"]
    assert "gitlab_kas['log_level'] = \"warn\" # theirs" in path.read_text()
    assert "gitlab_kas['enable'] = false" in path.read_text()


def test_revert_leaves_what_somebody_else_sets_too(recorded: dict[str, Any]) -> None:
    """To remove a setting takes every line of it, and one is not ours."""
    path = Path(recorded["path"])
    settings = {"gitlab_kas": {"log_format": "json", "metrics": 1}}
    run({**recorded, "settings": settings, "remove": {}}, check_mode=False, diff=False)
    path.write_text(f"gitlab_kas['log_format'] = 'text' # theirs\n{path.read_text()}")
    result = revert(recorded)
    assert result["settings_left"] == ["gitlab_kas['log_format']"]
    assert result["settings_changed"] == ["gitlab_kas['metrics']"]
    assert "gitlab_kas['log_format'] = 'text' # theirs" in path.read_text()


def test_revert_leaves_included_files_alone(recorded: dict[str, Any]) -> None:
    """What an included file sets is in effect again when our line is gone, whatever it has become since."""
    path = Path(recorded["path"])
    included = path.with_name("included.rb")
    included.write_text("gitlab_kas['grpc_log_level'] = 'warn'\n")
    found = f"from_file '{included}'\n{path.read_text()}"
    path.write_text(found)
    settings = {"gitlab_kas": {"grpc_log_level": "debug"}}
    run({**recorded, "settings": settings, "remove": {}}, check_mode=False, diff=False)
    included.write_text("gitlab_kas['grpc_log_level'] = 'error'\n")
    result = revert(recorded)
    assert result["settings_left"] == []
    assert path.read_text() == found


def test_revert_takes_nothing_out_of_a_hash_that_has_no_effect(recorded: dict[str, Any]) -> None:
    """As the guide's examples leave it, pasted one after another."""
    path = Path(recorded["path"])
    found = "gitlab_kas['env'] = { 'OWN_PRIVATE_API_URL' => 'grpc://theirs' }\ngitlab_kas['env'] = { 'B' => '1' }\n"
    path.write_text(found)
    settings = {"gitlab_kas": {"env": {"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}}}
    run({**recorded, "settings": settings, "remove": {}}, check_mode=False, diff=False)
    assert revert(recorded)["settings_left"] == []
    assert path.read_text() == found


def test_revert_leaves_what_replaced_a_secret_or_code(recorded: dict[str, Any]) -> None:
    settings = {"gitlab_kas": {"api_secret_key": "of all nodes", "listen_address": "localhost:9150"}}
    run({**recorded, "settings": settings}, check_mode=False, diff=False)
    assert "of their own" not in Path(recorded["record"]).read_text()
    result = revert(recorded)
    assert result["settings_left"] == ["gitlab_kas['api_secret_key']", "gitlab_kas['listen_address']"]
    assert "of all nodes" in Path(recorded["path"]).read_text()


def test_no_secret_is_put_on_record(recorded: dict[str, Any]) -> None:
    """Not by its name, and not by its looks."""
    Path(recorded["path"]).write_text(
        "registry['internal_key'] = 'hunter2'\n"
        "gitlab_kas['extra_config_command'] = '/bin/echo password=hunter2'\n"
        "gitlab_kas['x'] = 'glpat-hunter2hunter2'\n"
    )
    settings = {"registry": {"internal_key": "a"}, "gitlab_kas": {"extra_config_command": "b", "x": "c"}}
    run({**recorded, "settings": settings, "remove": {}}, check_mode=False, diff=False)
    assert "hunter2" not in Path(recorded["record"]).read_text()
    assert len(revert(recorded)["settings_left"]) == 3


def test_revert_after_runs_that_died(recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """They die when the record is there, but not yet the change."""
    write = _files.write

    def die(path: str, *arguments: Any, **more: Any) -> None:
        if path == recorded["path"]:
            raise KeyboardInterrupt
        write(path, *arguments, **more)

    run({**recorded, "settings": {"gitlab_kas": {"log_level": "warn"}}}, check_mode=False, diff=False)
    for action in (lambda: run(recorded, check_mode=False, diff=False), lambda: revert(recorded)):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(_files, "write", die)
            action()
        assert "gitlab_kas['log_level'] = \"warn\"" in Path(recorded["path"]).read_text()
        assert Path(recorded["record"]).exists()
    revert(recorded)
    assert "gitlab_kas['log_level'] = \"info\" # theirs" in Path(recorded["path"]).read_text()


def test_revert_takes_nothing_else(recorded: dict[str, Any]) -> None:
    with pytest.raises(GitlabRbError) as caught:
        run({**recorded, "state": "reverted"}, check_mode=False, diff=False)
    assert str(caught.value) == "State reverted takes its settings from the record; leave out settings and remove."


# -- Who asks for it --


def ask(asked: dict[str, Any], **who: Any) -> dict[str, Any]:
    """Write what these ask for, as a role or a playbook with several roles does."""
    settings: dict[str, Any] = {}
    for tree in who.values():
        settings = merged(settings, tree)
    once = run({**asked, "settings": settings, "remove": {}, "record_for": who}, check_mode=False, diff=True)
    again = run({**asked, "settings": settings, "remove": {}, "record_for": who}, check_mode=False, diff=True)
    assert not again["changed"]
    return once


KAS = {"gitlab_kas": {"enable": True, "log_level": "debug", "env": {"THEIRS": "2", "OURS": "1"}}}
LESS = {"gitlab_kas": {"enable": True}}
RAILS = {"gitlab_rails": {"gitlab_kas_enabled": True}}


def test_what_nobody_asks_for_any_more_is_restored(recorded: dict[str, Any]) -> None:
    ask(recorded, kas=LESS)
    only_less = Path(recorded["path"]).read_text()
    ask(recorded, kas=KAS)
    result = ask(recorded, kas=LESS)
    names = ["gitlab_kas['log_level']", "gitlab_kas['env']['THEIRS']", "gitlab_kas['env']['OURS']"]
    assert result["settings_restored"] == names
    assert result["diff"]["prepared"].endswith(f"Restored, because it is no longer asked for: {', '.join(names)}\n")
    assert Path(recorded["path"]).read_text() == only_less
    assert ask(recorded, kas={})["settings_restored"] == ["gitlab_kas['enable']"]
    assert Path(recorded["path"]).read_text() == FOUND
    assert not Path(recorded["record"]).exists()


@pytest.mark.parametrize("first", [{"kas": KAS, "kas_rails": RAILS}, {"kas_rails": RAILS, "kas": KAS}])
def test_roles_leave_what_others_ask_for(recorded: dict[str, Any], first: dict[str, Any]) -> None:
    """One after another, all at once, or the one way after the other."""
    for role, tree in first.items():
        ask(recorded, **{role: tree})
    apart = Path(recorded["path"]).read_text()
    assert not ask(recorded, **first)["changed"]
    ask(recorded, kas=LESS)
    ask(recorded, kas_rails=RAILS)
    text = Path(recorded["path"]).read_text()
    assert "gitlab_rails['gitlab_kas_enabled'] = true" in text
    assert "gitlab_kas['log_level'] = \"info\"" in text
    ask(recorded, **first)
    assert sorted(Path(recorded["path"]).read_text()) == sorted(apart)
    ask(recorded, kas={}, kas_rails={})
    assert Path(recorded["path"]).read_text() == FOUND


def test_nothing_is_restored_for_nobody(recorded: dict[str, Any]) -> None:
    ask(recorded, kas=KAS)
    assert not run({**recorded, "settings": LESS, "remove": {}}, check_mode=False, diff=False)["changed"]


def test_a_removal_that_nobody_asks_for_any_more(recorded: dict[str, Any]) -> None:
    asked = {**recorded, "settings": {}, "remove": {"gitlab_kas": {"log_level": None}}}
    run({**asked, "record_for": {"kas": asked["remove"]}}, check_mode=False, diff=False)
    assert "log_level" not in Path(recorded["path"]).read_text()
    ask(recorded, kas={})
    assert "gitlab_kas['log_level'] = 'info'" in Path(recorded["path"]).read_text()


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_leftover_goes_unless_it_is_on_record(recorded: dict[str, Any], is_ours: bool) -> None:
    """What nobody asks for may be removed nevertheless; of our own it becomes what it was. It stays so."""
    path = Path(recorded["path"])
    if is_ours:
        ask(recorded, kas={"gitlab_kas": {"log_level": "debug"}})
    leftovers = {**recorded, "settings": {}, "remove": {"gitlab_kas": {"log_level": None}}, "record_for": {"kas": {}}}
    run(leftovers, check_mode=False, diff=False)
    after = FOUND if is_ours else FOUND.replace("gitlab_kas['log_level'] = \"info\" ", "")
    assert path.read_text() == after
    ask(recorded, kas={})
    assert path.read_text() == after


def test_what_is_set_for_nobody_is_not_restored_in_the_same_call(recorded: dict[str, Any]) -> None:
    ask(recorded, kas={"gitlab_kas": {"log_level": "debug", "metrics": 1}})
    again = {**recorded, "settings": {"gitlab_kas": {"log_level": "warn", "metrics": 2}}, "remove": {}}
    run({**again, "record_for": {"kas": {}}}, check_mode=False, diff=False)
    text = Path(recorded["path"]).read_text()
    assert "gitlab_kas['log_level'] = \"warn\"" in text
    assert "gitlab_kas['metrics'] = 2" in text


def test_what_cannot_be_restored_is_said_once(recorded: dict[str, Any]) -> None:
    path = Path(recorded["path"])
    ask(recorded, kas={"gitlab_kas": {"api_secret_key": "of all", "log_level": "debug", "log_format": "json"}})
    path.write_text(path.read_text().replace('"debug"', '"warn"'))
    left = ask(recorded, kas={})
    assert left["settings_left"] == ["gitlab_kas['api_secret_key']", "gitlab_kas['log_level']"]
    assert left["settings_restored"] == ["gitlab_kas['log_format']"]
    assert path.read_text() == FOUND.replace("of their own", "of all").replace('"info"', '"warn"')
    assert not Path(recorded["record"]).exists()
    assert ask(recorded, kas={})["settings_left"] == []


def test_restoring_after_runs_that_died(recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    write = _files.write

    def die(path: str, *arguments: Any, **more: Any) -> None:
        if path == recorded["path"]:
            raise KeyboardInterrupt
        write(path, *arguments, **more)

    ask(recorded, kas=KAS)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(_files, "write", die)
        ask(recorded, kas=LESS)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Record, "forget", lambda self, names: die(recorded["path"]))
        ask(recorded, kas=LESS)
    assert "gitlab_kas['log_level'] = \"info\"" in Path(recorded["path"]).read_text()
    ask(recorded, kas={})
    assert Path(recorded["path"]).read_text() == FOUND


def test_check_mode_restores_nothing(recorded: dict[str, Any]) -> None:
    ask(recorded, kas=KAS)
    texts = [Path(recorded[name]).read_text() for name in ("path", "record")]
    tried = run({**recorded, "settings": LESS, "remove": {}, "record_for": {"kas": LESS}}, check_mode=True, diff=False)
    assert len(tried["settings_restored"]) == 3
    assert [Path(recorded[name]).read_text() for name in ("path", "record")] == texts


def test_revert_of_a_line_behind_an_included_file(recorded: dict[str, Any]) -> None:
    """What stood before the file stays before it."""
    path = Path(recorded["path"])
    included = path.with_name("included.rb")
    included.write_text("gitlab_kas['api_secret_key'] = 'theirs'\n")
    found = f"gitlab_kas['api_secret_key'] = 'older'\nfrom_file '{included}'\nload 'x'\n"
    path.write_text(found)
    settings = {"gitlab_kas": {"api_secret_key": "ours"}}
    run({**recorded, "settings": settings, "remove": {}}, check_mode=False, diff=False)
    assert "gitlab_kas['api_secret_key'] = 'ours'" in path.read_text()
    assert revert(recorded)["settings_changed"] == ["gitlab_kas['api_secret_key']"]
    assert path.read_text() == found


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_preview_says_that_a_mount_cannot_be_replaced(
    gitlab_rb: Path, monkeypatch: pytest.MonkeyPatch, check_mode: bool
) -> None:
    monkeypatch.setattr(_files, "_mount_points", lambda _mounts: {str(gitlab_rb)})
    before = gitlab_rb.read_bytes()
    asked = params(gitlab_rb, settings={"gitlab_kas": {"enable": True}}, record=str(gitlab_rb.with_name("record.json")))
    with pytest.raises(FileError) as error:
        run(asked, check_mode=check_mode, diff=False)
    assert str(error.value) == (
        f"{gitlab_rb} cannot be replaced (Device or resource busy); it is a mount of its own, which nothing can"
        " replace: mount its directory instead. The file is unchanged."
    )
    assert gitlab_rb.read_bytes() == before
    assert [path.name for path in gitlab_rb.parent.iterdir()] == [gitlab_rb.name], "nor anything beside it"


def test_nothing_to_write_asks_for_no_room(gitlab_rb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(params(gitlab_rb, settings={"gitlab_kas": {"enable": True}}), check_mode=False, diff=False)
    monkeypatch.setattr(_files, "_mount_points", lambda _mounts: {str(gitlab_rb)})
    assert not run(params(gitlab_rb, settings={"gitlab_kas": {"enable": True}}), check_mode=True, diff=False)["changed"]


@pytest.mark.parametrize("include", [None, "kas.rb"])
def test_a_file_of_another_tool(gitlab_rb: Path, include: str | None) -> None:
    """Also for the line that includes a file of ours; once that line is there, nothing of theirs changes."""
    gitlab_rb.write_text("# Ansible managed\nexternal_url 'x'\n")
    asked = params(gitlab_rb, include=str(gitlab_rb.with_name(include)) if include else None)
    expected = [
        f"{gitlab_rb}, line 1: another tool seems to write this file ('Ansible managed'), so its next run may undo what"
        " is set here; set it there, or let that tool write the line from_file for a file of yours (include, of the"
        " roles kas_gitlab_rb_include)."
    ]
    assert run(asked, check_mode=True, diff=False)["warnings"] == expected
    assert run(asked, check_mode=False, diff=False)["warnings"] == expected
    assert run(asked, check_mode=False, diff=False)["warnings"] == []


def test_what_was_last_in_effect_is_kept(gitlab_rb: Path, tmp_path: Path) -> None:
    """A second change after one that was never applied keeps what was there before the first."""
    root = tmp_path / "node"
    (root / "opt/gitlab").mkdir(parents=True)
    (root / "opt/gitlab/version-manifest.json").write_text('{"build_version": "18.6.1"}')
    package = Package(root=root)
    asked = {"previous": str(tmp_path / "state/previous")}
    assert "undo" not in run(params(gitlab_rb, **asked), check_mode=True, diff=False, package=package)
    assert not (tmp_path / "state").exists()
    for settings in ({"gitlab_kas": {"enable": True}}, {"gitlab_kas": {"log_level": "debug"}}):
        undo = run(params(gitlab_rb, settings=settings, **asked), check_mode=False, diff=False, package=package)["undo"]
    assert (
        undo == f"cp {asked['previous']}/{str(gitlab_rb)[1:].replace('/', '-')} {gitlab_rb} && gitlab-ctl reconfigure"
    )
    assert restore(asked["previous"]) == [str(gitlab_rb)]
    assert gitlab_rb.read_text() == BEFORE
    assert "undo" not in run(params(gitlab_rb, state="absent", **asked), check_mode=False, diff=False, package=package)
