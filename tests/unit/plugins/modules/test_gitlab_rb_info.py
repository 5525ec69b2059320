# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gitlab_rb_info: what a gitlab.rb says, where, and what only running it would tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.modules.gitlab_rb_info import main, run
from ansible_collections.kasops.gitlab_kas.tests.unit.plugins.module_args import patch_module_args

ROOT = Path(__file__).resolve().parents[4]
TEMPLATE = ROOT / "molecule" / "stand_in" / "gitlab.rb.template"
# As people put them into their issues: Puppet's head, a proxy in front, LDAP, a block of Ansible, an extra file.
OF_PEOPLE = """\
# This file is managed by Puppet. DO NOT EDIT.
external_url 'https://gitlab.example.com'
gitlab_rails['ldap_servers'] = {
  'main' => { 'host' => 'ldap.example.com', 'port' => 636, 'password' => 'hunter2' },
}
gitlab_rails['smtp_password'] = ENV['SMTP_PASSWORD']
nginx['listen_port'] = 80
nginx['listen_https'] = false
if File.exist?('/etc/gitlab/large')
  puma['worker_processes'] = 16
end
# BEGIN ANSIBLE MANAGED BLOCK
gitlab_kas['env'] = { 'SSL_CERT_DIR' => "/opt/gitlab/embedded/ssl/certs/", 'NOW' => Time.now.to_s }
# END ANSIBLE MANAGED BLOCK
gitlab_kas['redis_password'] = 'hunter2'
roles %w[application_role sidekiq_role]
puts 'Hello'
from_file '$D/more.rb'
Dir.glob('$D/custom.*.rb').each { |file| from_file file }
"""
MORE = "# terraform managed\nsidekiq['concurrency'] = :ten\nregistry_external_url 'https://me:hunter2@registry'\n"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    (tmp_path / "gitlab.rb").write_text(OF_PEOPLE.replace("$D", str(tmp_path)))
    (tmp_path / "more.rb").write_text(MORE)
    return tmp_path


def said(folder: Path, *sections: str) -> dict[str, Any]:
    result = run({"path": str(folder / "gitlab.rb"), "sections": list(sections), "ruby": None})
    assert result["changed"] is False
    assert "hunter2" not in json.dumps(result)
    return dict(result["gitlab_rb"])


def test_everything(node: Path) -> None:
    found = said(node)
    assert found["settings"] == {
        "external_url": "https://gitlab.example.com",
        "gitlab_rails": {"ldap_servers": {"main": {"host": "ldap.example.com", "port": 636, "password": "********"}}},
        "nginx": {"listen_port": 80, "listen_https": False},
        "gitlab_kas": {"redis_password": "********", "env": {"SSL_CERT_DIR": "/opt/gitlab/embedded/ssl/certs/"}},
        "roles": ["application_role", "sidekiq_role"],
        "sidekiq": {"concurrency": "ten"},
        "registry_external_url": "https://********@registry",
    }
    places = {each["name"]: (Path(each["file"]).name, each["line"]) for each in found["lines"]}
    assert places == {
        "external_url": ("gitlab.rb", 2),
        "gitlab_rails['ldap_servers']": ("gitlab.rb", 3),
        "nginx['listen_port']": ("gitlab.rb", 7),
        "nginx['listen_https']": ("gitlab.rb", 8),
        "gitlab_kas['redis_password']": ("gitlab.rb", 15),
        "gitlab_kas['env']['SSL_CERT_DIR']": ("gitlab.rb", 13),
        "roles": ("gitlab.rb", 16),
        "sidekiq['concurrency']": ("more.rb", 2),
        "registry_external_url": ("more.rb", 3),
    }
    assert [each["name"] for each in found["lines"] if each["symbols"]] == ["sidekiq['concurrency']"]
    assert {each["name"]: (each["line"], each["why"]) for each in found["unreadable"]} == {
        "gitlab_rails['smtp_password']": (6, "is computed"),
        "puma['worker_processes']": (10, "is assigned inside an if"),
        "gitlab_kas['env']['NOW']": (13, "is computed"),
    }
    assert [Path(file).name for file in found["files"]] == ["gitlab.rb", "more.rb", "custom.*.rb"]
    assert [{**each, "file": Path(each["file"]).name} for each in found["writers"]] == [
        {"file": "gitlab.rb", "line": 12, "says": "BEGIN ANSIBLE MANAGED BLOCK", "first": 12, "last": 14,
         "whole_file": False},
        {"file": "gitlab.rb", "line": 1, "says": "This file is managed by Puppet. DO NOT EDIT.", "first": 1,
         "last": 20, "whole_file": True},
        {"file": "more.rb", "line": 1, "says": "terraform managed", "first": 1, "last": 4, "whole_file": True},
    ]  # fmt: skip
    assert found["problems"] == []


def test_one_section(node: Path) -> None:
    found = said(node, "nginx", "puma")
    assert found["settings"] == {"nginx": {"listen_port": 80, "listen_https": False}}
    assert found["lines"][0] == {
        "name": "nginx['listen_port']",
        "path": ["nginx", "listen_port"],
        "file": str(node / "gitlab.rb"),
        "line": 7,
        "symbols": False,
    }
    assert found["unreadable"] == [
        {
            "name": "puma['worker_processes']",
            "path": ["puma", "worker_processes"],
            "file": str(node / "gitlab.rb"),
            "line": 10,
            "why": "is assigned inside an if",
        }
    ]


def test_the_template_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "gitlab.rb").write_bytes(TEMPLATE.read_bytes())
    found = said(tmp_path)
    assert found["settings"] == {"external_url": "http://gitlab.example.com"}
    assert (found["unreadable"], found["writers"], found["problems"]) == ([], [], [])


# What stands where one literal is expected, and what is said of it.
UNREADABLE = {
    "k = 'a'\npuma[k] = 1\n": [("puma", 2, "may be what a computed key names")],
    "puma['a'] = 1\nputs puma\n": [("puma", 2, "is handed on to other code")],
    "def tune(x)\n  puma['a'] = x\nend\n": [("puma['a']", 2, "is assigned inside a method")],
    "puma.merge!('a' => 1)\n": [("puma", 1, "is changed by `merge!`")],
    "puma('a' => 1)\n": [("puma", 1, "is set with its whole section")],
    "puma['a'] = { 'b' => 1, **ENV }\n": [("puma['a']", 1, "may be in this hash, a part of which is computed")],
    "url = 'x'\nexternal_url url\n": [("external_url", 2, "is computed")],
    "self.external_url = 'x'\n": [("*", 1, "may be set by what this line runs")],
    "external_url 'x'\neval 'x'\n": [("*", 2, "may be set by what this line runs")],
    "eval 'x'\nexternal_url 'x'\n": [("*", 1, "may be set by what this line runs")],
    "puma['a'] = 1\nreturn if ENV['X']\npuma['a'] = 2\n": [
        ("puma['a']", 3, "is assigned after line 2, which may end the file")
    ],
    "def tune(x)\n  x\nend\ntune 3\nputs 'x'\n": [],
}


@pytest.mark.parametrize(("text", "expected"), UNREADABLE.items())
def test_unreadable(tmp_path: Path, text: str, expected: list[tuple[str, int, str]]) -> None:
    (tmp_path / "gitlab.rb").write_text(text)
    assert [(each["name"], each["line"], each["why"]) for each in said(tmp_path)["unreadable"]] == expected


def test_nobody_knows_after_code_that_runs_later(node: Path) -> None:
    (node / "gitlab.rb").write_text("puma['a'] = 1\nat_exit { puma['a'] = 2 }\nfrom_file '/nowhere.rb'\n")
    found = said(node)
    assert found["settings"] == {}
    assert found["problems"] == [
        f"{node}/gitlab.rb, line 3: /nowhere.rb, which this line includes, cannot be read (No such file or directory),"
        " so nobody knows what it sets; correct that, since gitlab-ctl reconfigure reads it, too."
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": "/nowhere/gitlab.rb"}, "/nowhere/gitlab.rb does not exist;"),
        ({"ruby": "/nowhere/ruby"}, "There is no Ruby at /nowhere/ruby,"),
        ({}, "{}/gitlab.rb: line 1 is not valid Ruby"),
    ],
)
def test_what_cannot_be_read_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: dict[str, Any], message: str
) -> None:
    (tmp_path / "gitlab.rb").write_text("external_url 'x\n")
    with patch_module_args({"path": str(tmp_path / "gitlab.rb"), **given}), pytest.raises(SystemExit):
        main()
    result = json.loads(capsys.readouterr().out)
    assert result["msg"].startswith(message.format(tmp_path))
    assert (result["failed"], result["changed"]) == (True, False)


def test_main(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"path": str(node / "gitlab.rb"), "sections": ["nginx"], "_ansible_check_mode": True}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        main()
    result = json.loads(capsys.readouterr().out)
    assert result["changed"] is False
    assert result["gitlab_rb"]["settings"]["nginx"]["listen_port"] == 80
