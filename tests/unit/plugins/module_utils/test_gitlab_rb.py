"""What a change makes of a file, to the byte, and what it says when it will not."""
# ruff: noqa: RUF001 - the characters are what is tested

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb import GitlabRb, GitlabRbError, merged
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._gitlab_rb_document import unreadable_as
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby

ENABLE = {"gitlab_kas": {"enable": True}}
ENV_B = {"gitlab_kas": {"env": {"B": "b"}}}


def section(*lines: str) -> str:
    return "\n".join(["# BEGIN kasops.gitlab_kas", *lines, "# END kasops.gitlab_kas", ""])


CHANGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "behind code that has run by then": (
        "external_url 'x'\neval ENV['GITLAB_OMNIBUS_CONFIG'].to_s\ngitlab_kas['enable'] = false\n",
        ENABLE,
        "external_url 'x'\neval ENV['GITLAB_OMNIBUS_CONFIG'].to_s\ngitlab_kas['enable'] = true\n",
    ),
    "before code that runs then": (
        "gitlab_kas['enable'] = true\neval ENV['X'].to_s\n",
        ENABLE,
        "gitlab_kas['enable'] = true\neval ENV['X'].to_s\n\n" + section("gitlab_kas['enable'] = true"),
    ),
    **{
        code: (f"{code}\ngitlab_kas['enable'] = 1\n", ENABLE, f"{code}\ngitlab_kas['enable'] = true\n")
        for code in (
            "instance_eval(File.read('/x.rb'), '/x.rb')",
            "instance_eval File.read('/x.rb') if File.exist?('/x.rb')",
            "if ENV['X']\n  eval(ENV['X'])\nend",
            "Gitlab.instance_eval(File.read('/x.rb'))",
            "Gitlab['gitlab_kas']['enable'] = 2",
            "self.external_url = 'y'",
            "send(:external_url, 'y')",
            "%w[a enable].each { |key| gitlab_kas[key] = 2 }",
            "2.times { |n| gitlab_kas['enable'] = n }",
            "%w[/x /y].each { |file| eval(File.read(file)) }",
        )
    },
    "words of other languages that the file itself knows": (
        "yes = true\ndef no\n  false\nend\nNone = nil\nnginx['a'] = [yes, no, None]\n",
        ENABLE,
        "yes = true\ndef no\n  false\nend\nNone = nil\nnginx['a'] = [yes, no, None]\n\n"
        + section("gitlab_kas['enable'] = true"),
    ),
    "characters of the web in texts and comments": (
        "# \u201cquoted\u201d – text\nnginx['a'] = '\u2018a\u2019\u200b'\nprénom = 1\n",
        ENABLE,
        "# \u201cquoted\u201d – text\nnginx['a'] = '\u2018a\u2019\u200b'\nprénom = 1\n\n"
        + section("gitlab_kas['enable'] = true"),
    ),
    "empty file": ("", ENABLE, section("gitlab_kas['enable'] = true")),
    "appended after a blank line": ("a = 1\n", ENABLE, "a = 1\n\n" + section("gitlab_kas['enable'] = true")),
    "no final newline": ("a = 1", ENABLE, "a = 1\n" + section("gitlab_kas['enable'] = true")),
    "before __END__": (
        "a = 1\n__END__\ngitlab_kas['enable'] = false\n",
        ENABLE,
        "a = 1\n\n" + section("gitlab_kas['enable'] = true") + "__END__\ngitlab_kas['enable'] = false\n",
    ),
    "before a return": (
        "a = 1\nreturn\ngitlab_kas['enable'] = false\n",
        ENABLE,
        "a = 1\n\n" + section("gitlab_kas['enable'] = true") + "return\ngitlab_kas['enable'] = false\n",
    ),
    "call form": ("", {"external_url": "https://x"}, section("external_url 'https://x'")),
    "already so": ("gitlab_kas[:enable] = true # yes\n", ENABLE, "gitlab_kas[:enable] = true # yes\n"),
    "the last assignment": (
        "gitlab_kas['enable'] = 1\ngitlab_kas['enable'] = 2 # two\n",
        ENABLE,
        "gitlab_kas['enable'] = 1\ngitlab_kas['enable'] = true # two\n",
    ),
    "a second statement on the line": (
        "gitlab_kas['enable'] = false; a = 1\n",
        ENABLE,
        "gitlab_kas['enable'] = true; a = 1\n",
    ),
    "quotes as they were": (
        'gitlab_kas["listen_address"] = "a"\n',
        {"gitlab_kas": {"listen_address": "b"}},
        'gitlab_kas["listen_address"] = "b"\n',
    ),
    "call form with brackets": ("external_url('a') # x\n", {"external_url": "b"}, "external_url('b') # x\n"),
    "a heredoc gives way": (
        "gitlab_kas['x'] = <<~A; b = <<B\n  one\nA\ntwo\nB\nc = 1\n",
        {"gitlab_kas": {"x": "y"}},
        "gitlab_kas['x'] = 'y'; b = <<B\ntwo\nB\nc = 1\n",
    ),
    "several lines": (
        "gitlab_kas['x'] = [\n  'a', # one\n  'b',\n]\nc = 1\n",
        {"gitlab_kas": {"x": ["c"]}},
        "gitlab_kas['x'] = ['c']\nc = 1\n",
    ),
    "text that looks like a setting": (
        "a = \"gitlab_kas['enable'] = false\"\n=begin\ngitlab_kas['enable'] = false\n=end\n",
        ENABLE,
        "a = \"gitlab_kas['enable'] = false\"\n=begin\ngitlab_kas['enable'] = false\n=end\n\n"
        + section("gitlab_kas['enable'] = true"),
    ),
    "beside its commented line": (
        "##! KAS\n# gitlab_kas['enable'] = true\n# gitlab_kas['dir'] = 'x'\n",
        ENABLE,
        "##! KAS\n# gitlab_kas['enable'] = true\ngitlab_kas['enable'] = true\n# gitlab_kas['dir'] = 'x'\n",
    ),
    "beside its commented line at the end": (
        "# gitlab_kas['enable'] = true\n",
        ENABLE,
        "# gitlab_kas['enable'] = true\ngitlab_kas['enable'] = true\n",
    ),
    "beside a commented hash": (
        "# gitlab_kas['env'] = {\n#   'A' => \"a\"\n# }\n# end\n",
        ENV_B,
        "# gitlab_kas['env'] = {\n#   'A' => \"a\"\n# }\ngitlab_kas['env'] = {\n  'B' => 'b',\n}\n# end\n",
    ),
    "a commented line inside an if does not count": (
        "if true\n  # gitlab_kas['enable'] = true\n  a = 1\nend\n",
        ENABLE,
        "if true\n  # gitlab_kas['enable'] = true\n  a = 1\nend\n\n" + section("gitlab_kas['enable'] = true"),
    ),
    "a commented line inside a heredoc does not count": (
        "a = <<A\n# gitlab_kas['enable'] = true\nA\n",
        ENABLE,
        "a = <<A\n# gitlab_kas['enable'] = true\nA\n\n" + section("gitlab_kas['enable'] = true"),
    ),
    "into a hash over lines": (
        "gitlab_kas['env'] = {\n    'A' => 'a' # first\n}\n",
        ENV_B,
        "gitlab_kas['env'] = {\n    'A' => 'a', # first\n    'B' => 'b'\n}\n",
    ),
    "into a hash with a last comma": (
        'gitlab_kas[\'env\'] = {\n  "A" => "a",\n}\n',
        ENV_B,
        'gitlab_kas[\'env\'] = {\n  "A" => "a",\n  "B" => "b",\n}\n',
    ),
    "into a hash on one line": (
        "gitlab_kas['env'] = { 'A' => 'a' } # x\n",
        ENV_B,
        "gitlab_kas['env'] = { 'A' => 'a', 'B' => 'b' } # x\n",
    ),
    "into a hash that ends in a heredoc": (
        "gitlab_kas['env'] = {\n  'A' => <<~X\n    a\n  X\n}\n",
        ENV_B,
        "gitlab_kas['env'] = {\n  'A' => <<~X,\n    a\n  X\n  'B' => 'b'\n}\n",
    ),
    "into an empty hash": ("gitlab_kas['env'] = {}\n", ENV_B, "gitlab_kas['env'] = {\n  'B' => 'b',\n}\n"),
    "an empty hash": ("", {"gitlab_kas": {"env": {}}}, section("gitlab_kas['env'] = {}")),
    "into nil": ("gitlab_kas['env'] = nil\n", ENV_B, "gitlab_kas['env'] = {\n  'B' => 'b',\n}\n"),
    "a key of a hash": (
        "gitlab_kas['env'] = { A: 1, B: 2 }\n",
        ENV_B,
        "gitlab_kas['env'] = { A: 1, B: 'b' }\n",
    ),
    "a key set on its own": (
        "gitlab_kas['env'] = { 'B' => 1 }\ngitlab_kas['env']['B'] = 2\n",
        ENV_B,
        "gitlab_kas['env'] = { 'B' => 1 }\ngitlab_kas['env']['B'] = 'b'\n",
    ),
    "beside keys set on their own": (
        "gitlab_kas['env']['A'] = 1\n",
        ENV_B,
        "gitlab_kas['env']['A'] = 1\n\n" + section("gitlab_kas['env']['B'] = 'b'"),
    ),
    "several keys in one hash": (
        "",
        {"gitlab_kas": {"env": {"A": 1, "B": {"C": [1, "x"]}}}},
        section("gitlab_kas['env'] = {", "  'A' => 1,", "  'B' => {", "    'C' => [1, 'x'],", "  },", "}"),
    ),
    "a list of mappings": (
        "",
        {"gitlab_kas": {"redis_sentinels": [{"host": "a", "port": 26379}]}},
        section("gitlab_kas['redis_sentinels'] = [{ 'host' => 'a', 'port' => 26379 }]"),
    ),
    "CRLF": (
        "gitlab_kas['a'] = 1\r\ngitlab_kas['env'] = {\r\n  'A' => 1\r\n}\r\n",
        {"gitlab_kas": {"enable": True, "env": {"B": "b"}}},
        "gitlab_kas['a'] = 1\r\ngitlab_kas['env'] = {\r\n  'A' => 1,\r\n  'B' => 'b'\r\n}\r\n\r\n"
        "# BEGIN kasops.gitlab_kas\r\ngitlab_kas['enable'] = true\r\n# END kasops.gitlab_kas\r\n",
    ),
    "BOM": ("\ufeffgitlab_kas['enable'] = false\n", ENABLE, "\ufeffgitlab_kas['enable'] = true\n"),
    "into our section": (
        section("gitlab_kas['a'] = 1") + "b = 1\n",
        ENABLE,
        section("gitlab_kas['a'] = 1", "gitlab_kas['enable'] = true") + "b = 1\n",
    ),
    "after a file that may set anything": (
        "gitlab_kas['enable'] = false\nfrom_file '/nowhere'\n",
        ENABLE,
        "gitlab_kas['enable'] = false\nfrom_file '/nowhere'\n\n" + section("gitlab_kas['enable'] = true"),
    ),
    "a value that wants to be code": (
        "",
        {"gitlab_kas": {"x": "#{exit}'\n"}},
        section("gitlab_kas['x'] = \"\\#{exit}'\\n\""),
    ),
}


@pytest.mark.parametrize(("before", "settings", "after"), CHANGES.values(), ids=CHANGES.keys())
def test_change(ruby: Ruby, before: str, settings: dict[str, Any], after: str) -> None:
    result = GitlabRb(before.encode(), ruby).change(settings)
    assert result.text.decode() == after
    assert bool(result.names) == (before != after)
    assert GitlabRb(result.text, ruby).change(settings).text == result.text


REMOVALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a line": ("a = 1\ngitlab_kas['enable'] = true\nb = 1\n", ENABLE, "a = 1\nb = 1\n"),
    "its comment stays": ("  gitlab_kas['enable'] = true # why\n", ENABLE, "  # why\n"),
    "every assignment": ("gitlab_kas['enable'] = 1; gitlab_kas['enable'] = 2\nb = 1\n", ENABLE, "\nb = 1\n"),
    "the last on its line": ("a = 1; gitlab_kas['enable'] = true\n", ENABLE, "a = 1\n"),
    "a heredoc": ("gitlab_kas['enable'] = <<A\nx\nA\nb = 1\n", ENABLE, "b = 1\n"),
    "a pair on its line": (
        "gitlab_kas['env'] = {\n  'A' => 'a',\n  'B' => 'b' # x\n}\n",
        ENV_B,
        "gitlab_kas['env'] = {\n  'A' => 'a',\n}\n",
    ),
    "the first pair": ("gitlab_kas['env'] = { 'B' => 1, 'A' => 2 }\n", ENV_B, "gitlab_kas['env'] = { 'A' => 2 }\n"),
    "the last pair": ("gitlab_kas['env'] = { 'A' => 2, 'B' => 1 }\n", ENV_B, "gitlab_kas['env'] = { 'A' => 2 }\n"),
    "the only pair": ("gitlab_kas['env'] = { 'B' => 1 }\n", ENV_B, "gitlab_kas['env'] = {}\n"),
    "what is not there": ("gitlab_kas['env'] = { 'A' => 1 }\n", ENV_B, "gitlab_kas['env'] = { 'A' => 1 }\n"),
    "an empty mapping names nothing": (
        "gitlab_kas['env'] = { 'A' => 1 }\n",
        {"gitlab_kas": {"env": {}}},
        "gitlab_kas['env'] = { 'A' => 1 }\n",
    ),
    "a whole hash": (
        "gitlab_kas['env'] = {\n  'A' => 1\n}\ngitlab_kas['env']['B'] = 2\nb = 1\n",
        {"gitlab_kas": {"env": None}},
        "b = 1\n",
    ),
}


@pytest.mark.parametrize(("before", "names", "after"), REMOVALS.values(), ids=REMOVALS.keys())
def test_remove(ruby: Ruby, before: str, names: dict[str, Any], after: str) -> None:
    assert GitlabRb(before.encode(), ruby).change({}, names).text.decode() == after


TEMPLATE = "# external_url 'x'\n# gitlab_kas['enable'] = true\n# gitlab_kas['env'] = {\n#   'A' => 1\n# }\n"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "a = 1\n",
        "a = 1",
        "a = 1\n\n",
        "a = 1\r\n",
        "a = 1\n__END__\nx\n",
        "# c",
        "\ufeff",
        "\ufeff__END__\n",
        TEMPLATE,
    ],
)
def test_absent_restores_what_was_only_appended_to(ruby: Ruby, before: str) -> None:
    settings = {"external_url": "x", "gitlab_kas": {"enable": True, "env": {"A": 1, "B": {"C": 2}}}}
    added = GitlabRb(before.encode(), ruby).change(settings).text
    assert added.decode() != before
    assert GitlabRb(added, ruby).change({}, settings).text.decode() == before


def test_nothing_to_remove_below_a_plain_value(ruby: Ruby) -> None:
    change = GitlabRb(b"gitlab_kas['env'] = true\n", ruby).change({"external_url": "x"}, ENV_B)
    assert change.names == ("external_url",)


def test_one_way_gives_way_to_another(ruby: Ruby) -> None:
    text = b"gitlab_kas['env'] = {\n  'OWN_PRIVATE_API_CIDR' => '10.0.0.0/8'\n}\n"
    change = GitlabRb(text, ruby).change(
        {"gitlab_kas": {"env": {"OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155"}}},
        {"gitlab_kas": {"env": {"OWN_PRIVATE_API_CIDR": None}}},
    )
    assert change.text == b"gitlab_kas['env'] = {\n  'OWN_PRIVATE_API_URL' => 'grpc://10.0.0.1:8155',\n}\n"
    assert change.names == ("gitlab_kas['env']['OWN_PRIVATE_API_CIDR']", "gitlab_kas['env']['OWN_PRIVATE_API_URL']")


HAND = "or manage it manually."
FILE = "/etc/gitlab/gitlab.rb"

REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "not Ruby": (
        "a = 1\nb = (\n",
        ENABLE,
        f"{FILE}: line 2 is not valid Ruby (unexpected end-of-input). The file is unchanged. Fix the cause and run"
        " again.",
    ),
    "a secret in broken Ruby stays unseen": (
        "gitlab_rails['db_password'] = /x/hunter2\n",
        ENABLE,
        f"{FILE}: line 1 is not valid Ruby (unexpected integer literal). The file is unchanged. Fix the cause and run"
        " again.",
    ),
    "a boolean of Python": (
        "external_url 'x'\n\nnginx['a'] = False\n",
        ENABLE,
        f"{FILE}, line 3: Ruby knows no False, so gitlab-ctl reconfigure would fail; write false.",
    ),
    "booleans of Python, in one line also as a part": (
        "nginx['a'] = True\nnginx['b'] = True\nexternal_url True\nnginx['c'] = [{ 'd' => True }] if true\n",
        ENABLE,
        f"{FILE}, line 1: Ruby knows no True, so gitlab-ctl reconfigure would fail, also in lines 2, 3, 4; write true.",
    ),
    "nothing of Python": (
        "nginx['a'] = None\n",
        ENABLE,
        f"{FILE}, line 1: Ruby knows no None, so gitlab-ctl reconfigure would fail; write nil.",
    ),
    "a boolean of YAML": (
        "nginx['a'] = yes\n",
        ENABLE,
        f"{FILE}, line 1: Ruby knows no yes, so gitlab-ctl reconfigure would fail; write true.",
    ),
    "nothing of JSON": (
        "gitlab_kas({ 'a' => null })\n",
        ENABLE,
        f"{FILE}, line 1: Ruby knows no null, so gitlab-ctl reconfigure would fail; write nil.",
    ),
    "a section whose name lacks a letter": (
        "external_url 'x'\ngitlab_rail['a'] = 1\n\ngitlab_rail['b'] = 2\n",
        ENABLE,
        f"{FILE}, line 2: the Linux package knows no gitlab_rail, so gitlab-ctl reconfigure would fail, also in line 4;"
        " write gitlab_rails.",
    ),
    "a section with a dash": (
        "gitlab-kas['enable'] = true\n",
        ENABLE,
        f"{FILE}, line 1: the Linux package knows no gitlab-kas, so gitlab-ctl reconfigure would fail; write"
        f" gitlab_kas.",
    ),
    "a URL whose name has two letters in the wrong order": (
        "extrenal_url 'x'\n",
        ENABLE,
        f"{FILE}, line 1: the Linux package knows no extrenal_url, so gitlab-ctl reconfigure would fail; write"
        " external_url.",
    ),
    "YAML": (
        "# a comment\nexternal_url: 'x'\n",
        ENABLE,
        f"{FILE}, line 2: `external_url:` is YAML, and this file is Ruby; write external_url 'value'.",
    ),
    "YAML with a section": (
        "gitlab_kas:\n  enable: true\n",
        ENABLE,
        f"{FILE}, line 1: `gitlab_kas:` is YAML, and this file is Ruby; write gitlab_kas['key'] = value for each key.",
    ),
    "quotes of the web": (
        "external_url 'x'\ngitlab_kas[\u2018enable\u2019] = true\nnginx[\u2018a\u2018] = 1\n",
        ENABLE,
        f"{FILE}, line 2: \u2018 (U+2018 LEFT SINGLE QUOTATION MARK) and \u2019 (U+2019 RIGHT SINGLE QUOTATION MARK)"
        " are no signs"
        " to Ruby and only look like ones, also in line 3; write ' instead.",
    ),
    "a space of the web": (
        "nginx['a']\u00a0= 1\n",
        ENABLE,
        f"{FILE}, line 1: U+00A0 NO-BREAK SPACE is no sign to Ruby and only looks like one; write a plain space"
        " instead.",
    ),
    "a byte order mark in the middle": (
        "a = 1\n\ufeffnginx['a'] = 1\n",
        ENABLE,
        f"{FILE}, line 2: U+FEFF ZERO WIDTH NO-BREAK SPACE is no sign to Ruby and only looks like one; remove it.",
    ),
    "quotes of the web that are no Ruby": (
        "external_url \u201chttps://x\u201d\na = (\n",
        ENABLE,
        f"{FILE}, line 1: \u201c (U+201C LEFT DOUBLE QUOTATION MARK) and \u201d (U+201D RIGHT DOUBLE QUOTATION MARK)"
        " are no signs"
        ' to Ruby and only look like ones; write " instead.',
    ),
    "a quote of the web that does not close": (
        "gitlab_kas['enable\u2019] = true\nnginx['a'] = 1\n",
        ENABLE,
        f"{FILE}, line 1: \u2019 (U+2019 RIGHT SINGLE QUOTATION MARK) is no sign to Ruby"
        " and only looks like one; write '"
        " instead.",
    ),
    "a local variable": (
        "a = 1\ngitlab_kas = { 'enable' => true }\n",
        ENABLE,
        f"{FILE}, line 2: `gitlab_kas = …` makes gitlab_kas a Ruby variable, so GitLab ignores it and every later "
        "gitlab_kas; write gitlab_kas['key'] = value for each key.",
    ),
    "a local variable for a call": (
        "external_url = 'x'\n",
        {"external_url": "y"},
        f"{FILE}, line 1: `external_url = …` makes external_url a Ruby variable, so GitLab ignores it and every "
        "later external_url; write external_url 'value' without the equals sign.",
    ),
    "inside an if": (
        "if true\n  gitlab_kas['enable'] = false\nend\n",
        ENABLE,
        f"{FILE}, line 2: gitlab_kas['enable'] is assigned inside an if, so it cannot be edited safely; assign it "
        f"outside of the if, on a line of its own, {HAND}",
    ),
    "with a trailing unless": (
        "gitlab_kas['enable'] = false unless false\n",
        ENABLE,
        f"{FILE}, line 1: gitlab_kas['enable'] is assigned inside an unless, so it cannot be edited safely; assign it "
        f"outside of the unless, on a line of its own, {HAND}",
    ),
    "or-equals": (
        "gitlab_kas['enable'] ||= false\n",
        ENABLE,
        f"{FILE}, line 1: gitlab_kas['enable'] is changed by `||=`, so it cannot be edited safely; assign its whole "
        f"value with = there, {HAND}",
    ),
    "merge!": (
        "gitlab_kas['env'] = {}\ngitlab_kas['env'].merge!('B' => 1)\n",
        ENV_B,
        f"{FILE}, line 2: gitlab_kas['env']['B'] is changed by `merge!`, so it cannot be edited safely; assign its "
        f"whole value with = there, {HAND}",
    ),
    "an alias": (
        "kas = gitlab_kas\n",
        ENABLE,
        f"{FILE}, line 1: gitlab_kas['enable'] is handed on to other code, so it cannot be edited safely; do "
        f"without `gitlab_kas` there, {HAND}",
    ),
    "read by another setting": (
        "gitlab_kas['listen_address'] = 'a'\nregistry['x'] = gitlab_kas['listen_address']\n",
        {"gitlab_kas": {"listen_address": "b"}},
        f"{FILE}, line 2: this line reads gitlab_kas['listen_address'] and would change with it; give it a value of "
        "its own.",
    ),
    "a computed hash": (
        "gitlab_kas['env'] = JSON.parse('{}')\n",
        ENV_B,
        f"{FILE}, line 1: gitlab_kas['env'] is computed, so gitlab_kas['env']['B'] cannot be set in it; write it as "
        "a hash.",
    ),
    "a mapping for a string": (
        "gitlab_kas['listen_address'] = 'a'\n",
        {"gitlab_kas": {"listen_address": {"a": "b"}}},
        f"{FILE}, line 1: gitlab_kas['listen_address'] is a string, but a mapping was given for it; give one value or "
        "remove the line.",
    ),
    "a mapping for a call": (
        "",
        {"external_url": {"a": "b"}},
        "external_url takes one value but was given a mapping; give a string.",
    ),
    "a string for a section": (
        "",
        {"gitlab_kas": "x"},
        "gitlab_kas is a section of gitlab.rb but was given a string; give a mapping.",
    ),
    "one value for what may be a section": (
        "",
        {"nginx": True},
        "nginx is a section of gitlab.rb but was given true or false; give a mapping.",
    ),
    "a method of Ruby": (
        "",
        {"system": {"true": 1}},
        "'system' cannot be the name of a setting in gitlab.rb; correct the name.",
    ),
    "a key of a section in call form": (
        "gitlab_kas({ enable: false })\ngitlab_kas['enable'] = false\n",
        ENABLE,
        f"{FILE}, line 1: gitlab_kas['enable'] is set with its whole section, so it cannot be edited safely; write "
        f"gitlab_kas['key'] = value for each key instead, {HAND}",
    ),
    "a control character that ends the file": (
        "a = 1\n\x1a\n",
        ENABLE,
        f"{FILE}, line 2: Ruby takes a control character for the end of the file; remove it.",
    ),
    "too deep": (
        f"gitlab_kas['x'] = {'[' * 300}{']' * 300}\n",
        ENABLE,
        "/etc/gitlab/gitlab.rb cannot be read, since it is nested too deeply; simplify it.",
    ),
    "a hash set in parts under a condition": (
        "gitlab_kas['env']['A'] ||= 1\n",
        ENV_B,
        f"{FILE}, line 1: gitlab_kas['env'] is changed by `||=`, so gitlab_kas['env']['B'] cannot be set in it; assign "
        f"its whole value with = there, {HAND}",
    ),
    "a section in call form": (
        "gitlab_kas({ enable: false })\n",
        ENABLE,
        f"{FILE}, line 1: gitlab_kas['enable'] is set with its whole section, so it cannot be edited safely; write "
        f"gitlab_kas['key'] = value for each key instead, {HAND}",
    ),
    "a name that is none": (
        "",
        {"gitlab-kas": {"enable": True}},
        "'gitlab-kas' cannot be the name of a setting in gitlab.rb; correct the name.",
    ),
    "a number that Ruby cannot write": (
        "",
        {"gitlab_kas": {"x": float("inf")}},
        "gitlab_kas.x cannot be written to gitlab.rb (inf has no Ruby literal); give another value.",
    ),
    "an effect in the old value": (
        "gitlab_kas['x'] = (a = 1)\n",
        {"gitlab_kas": {"x": 2}},
        f"{FILE}, line 1: the value of gitlab_kas['x'] does more than give a value, so it cannot be replaced or "
        "removed; assign a plain value there.",
    ),
    "a hash after an unreadable file": (
        "from_file '/nowhere'\n",
        ENV_B,
        f"{FILE}, line 1: this line may set gitlab_kas['env'] too, and a hash assigned again would replace it; assign "
        "gitlab_kas['env'] as a whole behind it, such as gitlab_kas['env'] = {}.",
    ),
    "an empty hash after an unreadable file": (
        "from_file '/nowhere'\n",
        {"gitlab_kas": {"env": {}}},
        f"{FILE}, line 1: this line may set gitlab_kas['env'] too, and a hash assigned again would replace it; assign "
        "gitlab_kas['env'] as a whole behind it, such as gitlab_kas['env'] = {}.",
    ),
    "after a return": (
        "return if true\n",
        ENABLE,
        f"{FILE}, line 1: the file may end there, before a new gitlab_kas['enable'] is read; set gitlab_kas['enable'] "
        "before it.",
    ),
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "external_url 'x'\nnginx['a'] = 'Größe'\n".encode("latin-1"),
            f"{FILE}, line 2: the byte 0xF6 is no UTF-8; save the file as UTF-8.",
            id="Latin-1",
        ),
        pytest.param(
            "external_url 'x'\n".encode("utf-16"),
            f"{FILE}, line 1: this file is in UTF-16; save the file as UTF-8.",
            id="UTF-16",
        ),
    ],
)
def test_encodings(ruby: Ruby, text: bytes, message: str) -> None:
    with pytest.raises(GitlabRbError, match=f"^{re.escape(message)}$"):
        GitlabRb(text, ruby)


@pytest.mark.parametrize(
    "text",
    [
        "# Größe\nexternal_url 'x'\n".encode("latin-1"),
        "# encoding: iso-8859-1\nnginx['a'] = 'Größe'\n".encode("latin-1"),
        b"role 'x'\npostgres_role['enable'] = true\ngitlab = 3\nkas = gitlab - 1\n",
    ],
)
def test_what_is_no_mistake(ruby: Ruby, text: bytes) -> None:
    GitlabRb(text, ruby)


@pytest.mark.parametrize(("text", "settings", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal(ruby: Ruby, text: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(GitlabRbError) as error:
        GitlabRb(text.encode(), ruby).change(settings)
    assert str(error.value) == message


OUTSIDE = "assign it outside of the {}, on a line of its own"
VALUE = "assign its whole value with = there"
# What stands there, why it cannot be edited, what to do, and the same text after that was done.
REMEDIES: list[tuple[str, str, str, str]] = [
    ("$ENABLE if x\n", "is assigned inside an if", OUTSIDE.format("if"), "$ENABLE\n"),
    ("case x\nwhen 1 then $ENABLE\nend\n", "is assigned inside a case", OUTSIDE.format("case"), "$ENABLE\n"),
    ("while x do $ENABLE end\n", "is assigned inside a loop", OUTSIDE.format("loop"), "$ENABLE\n"),
    ("[1].each do |n|\n  $ENABLE\nend\n", "is assigned inside a block", OUTSIDE.format("block"), "$ENABLE\n"),
    ("f = -> { $ENABLE }\n", "is assigned inside a block", OUTSIDE.format("block"), "f = -> {}\n$ENABLE\n"),
    ("def f\n  $ENABLE\nend\n", "is assigned inside a method", OUTSIDE.format("method"), "def f\nend\n$ENABLE\n"),
    (
        "begin\n  $ENABLE\nrescue\nend\n",
        "is assigned inside begin … end",
        "assign it outside of begin … end, on a line of its own",
        "$ENABLE\n",
    ),
    ("a = $ENABLE\n", "is assigned inside an expression", OUTSIDE.format("expression"), "a = 1\n$ENABLE\n"),
    (
        "gitlab_kas['enable'], a = false, 1\n",
        "stands in a multiple assignment",
        "give each setting a line of its own",
        "$ENABLE\na = 1\n",
    ),
    ("gitlab_kas['enable'] ||= false\n", "is changed by `||=`", VALUE, "$ENABLE\n"),
    (
        "gitlab_kas.merge!(x)\n",
        "is changed by `merge!`",
        "write gitlab_kas['key'] = value there",
        "gitlab_kas['a'] = x\n",
    ),
    ("gitlab_kas[x] = false\n", "may be what a computed key names", "write that key out", "gitlab_kas['x'] = false\n"),
    ("kas = gitlab_kas\n", "is handed on to other code", "do without `gitlab_kas` there", "\n"),
    (
        "gitlab_kas({ enable: false })\n",
        "is set with its whole section",
        "write gitlab_kas['key'] = value for each key instead",
        "$ENABLE\n",
    ),
    ("k = self\n", "may be set through `self`", "do without `self` there", "\n"),
    (
        "def f\n  eval 'x'\nend\n",
        "may be set through `eval`",
        "call `eval` outside of any method or block",
        "def f\nend\neval 'x'\n",
    ),
    (
        "f = -> { from_file '/nowhere' }\n",
        "may be set through `from_file`",
        "call `from_file` outside of any method or block",
        "from_file '/nowhere'\n",
    ),
    (
        "exit if x\nreturn if x\n$ENABLE\n",
        "is assigned after line 2, which may end the file",
        "assign it before that line",
        "exit if x\n$ENABLE\nreturn if x\n",
    ),
]


@pytest.mark.parametrize(("text", "why", "remedy", "followed"), REMEDIES)
def test_a_remedy_works_where_it_is_followed(ruby: Ruby, text: str, why: str, remedy: str, followed: str) -> None:
    before, after = (each.replace("$ENABLE", "gitlab_kas['enable'] = false").encode() for each in (text, followed))
    with pytest.raises(GitlabRbError) as error:
        GitlabRb(before, ruby).change(ENABLE)
    said = re.sub(r"^.*line \d+: ", "", str(error.value))
    assert said == f"gitlab_kas['enable'] {why}, so it cannot be edited safely; {remedy}, {HAND}"
    assert b"gitlab_kas['enable'] = true\n" in GitlabRb(after, ruby).change(ENABLE).text


BEHIND_EVAL = [
    (
        {"gitlab_kas": {"env": {"B": "b"}}},
        {},
        "this line may set gitlab_kas['env'] too, and a hash assigned again would replace it",
    ),
    (
        ENABLE,
        {"gitlab_kas": {"env": {"A": None}}},
        "gitlab_kas['env']['A'] may be set by what this line runs, so it cannot be removed safely",
    ),
]


@pytest.mark.parametrize(("settings", "remove", "why"), BEHIND_EVAL)
def test_a_hash_behind_code_that_has_run(
    ruby: Ruby, settings: dict[str, Any], remove: dict[str, Any], why: str
) -> None:
    """GitLab's images evaluate a variable of the environment; once the remedy is followed, any key can be changed."""
    text = b"eval ENV['GITLAB_OMNIBUS_CONFIG'].to_s\n"
    with pytest.raises(GitlabRbError) as error:
        GitlabRb(text, ruby).change(settings, remove)
    renew = "assign gitlab_kas['env'] as a whole behind it, such as gitlab_kas['env'] = {}"
    assert str(error.value) == f"{FILE}, line 1: {why}; {renew}."
    for hash_ in (b"{}", b"{ 'A' => 'a' }"):
        followed = text + b"gitlab_kas['env'] = " + hash_ + b"\n"
        change = GitlabRb(followed, ruby).change(merged(settings, ENV_B), {"gitlab_kas": {"env": {"A": None}}})
        assert change.text.split(b"gitlab_kas['env'] = ")[1].split(b"}")[0].split() == [b"{", b"'B'", b"=>", b"'b',"]


def test_a_hash_that_may_never_be_assigned_does_not_count(ruby: Ruby) -> None:
    text = b"from_file '/nowhere'\nreturn if x\ngitlab_kas['env'] = {}\n"
    with pytest.raises(GitlabRbError, match=r"line 1: .* may be set by what this line runs, so it cannot be removed"):
        GitlabRb(text, ruby).change({}, {"gitlab_kas": {"env": {"A": None}}})


@pytest.mark.parametrize("again", ["eval 'x'", "f = -> { gitlab_kas['env']['A'] = 1 }", "kas = gitlab_kas['env']"])
def test_what_may_set_it_again_still_counts(ruby: Ruby, again: str) -> None:
    text = f"gitlab_kas['env'] = {{}}\n{again}\n".encode()
    with pytest.raises(GitlabRbError, match="so it cannot be removed safely"):
        GitlabRb(text, ruby).change({}, {"gitlab_kas": {"env": {"A": None}}})


def test_set_and_remove_contradict(ruby: Ruby) -> None:
    with pytest.raises(GitlabRbError) as error:
        GitlabRb(b"", ruby).change(ENV_B, {"gitlab_kas": {"env": None}})
    assert str(error.value) == (
        "gitlab_kas['env'] stands in remove and gitlab_kas['env']['B'] in settings; keep one of them."
    )


READINGS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "last wins": ("gitlab_kas['a'] = 1\ngitlab_kas['a'] = 2\n", {"gitlab_kas": {"a": 2}}, {}),
    "call form": ("external_url 'x'\n", {"external_url": "x"}, {}),
    "a hash in call form": (
        "git_data_dirs({ 'a' => { 'path' => '/b' } })\n",
        {"git_data_dirs": {"a": {"path": "/b"}}},
        {},
    ),
    "hashes": (
        "gitlab_kas['env'] = { A: 1 }\ngitlab_kas['env']['B'] = :c\n",
        {"gitlab_kas": {"env": {"A": 1, "B": "c"}}},
        {},
    ),
    "an empty hash": ("gitlab_kas['env'] = {}\n", {"gitlab_kas": {"env": {}}}, {}),
    "nil": ("gitlab_kas['a'] = nil\n", {"gitlab_kas": {"a": None}}, {}),
    "other sections": ("nginx['a'] = 1\nnginx['b'] = c\n", {}, {}),
    "what Ruby is asked to load": ("require 'json'\n", {}, {}),
    "comments and text": ("# gitlab_kas['a'] = 1\nb = 'gitlab_kas'\n", {}, {}),
    "a computed call": ("\nexternal_url ENV['URL'] || 'https://x'\n", {}, {"external_url": "line 2"}),
    "computed after a literal": ("gitlab_kas['a'] = 1\ngitlab_kas['a'] = b()\n", {}, {"gitlab_kas['a']": "line 2"}),
    "a literal after it": ("gitlab_kas['a'] = b()\ngitlab_kas['a'] = 1\n", {"gitlab_kas": {"a": 1}}, {}),
    "conditional": ("gitlab_kas['a'] = 1\ngitlab_kas['a'] = 2 if b\n", {}, {"gitlab_kas['a']": "line 2"}),
    "part of a text": ("gitlab_kas['a'] = \"#{b}\"\n", {}, {"gitlab_kas['a']": "line 1"}),
    "part of a list": ("gitlab_kas['a'] = [1, b]\n", {}, {"gitlab_kas['a']": "line 1"}),
    "part of a hash": (
        "gitlab_kas['env'] = {\n  'A' => 1,\n  'B' => ENV['B'],\n}\n",
        {"gitlab_kas": {"env": {"A": 1}}},
        {"gitlab_kas['env']['B']": "line 3"},
    ),
    "a hash that is merged in may hold any key": (
        "gitlab_kas['env'] = { 'A' => 1, **more, 'B' => 2 }\n",
        {"gitlab_kas": {"env": {"B": 2}}},
        {"gitlab_kas['env']": "line 1"},
    ),
    "a computed hash": (
        "gitlab_kas['env'] = ENV.to_h\ngitlab_kas['env']['A'] = 1\n",
        {},
        {"gitlab_kas['env']": "line 1"},
    ),
    "a computed key may be any": ("gitlab_kas['a'] = 1\nk = 'a'\ngitlab_kas[k] = 2\n", {}, {"gitlab_kas": "line 3"}),
    "a section in call form": ("gitlab_kas['a'] = 1\ngitlab_kas('a' => 2)\n", {}, {"gitlab_kas": "line 2"}),
    "a hash that other code gets": (
        "gitlab_kas['env'] = { 'A' => 1 }\nf(gitlab_kas['env'])\n",
        {},
        {"gitlab_kas['env']": "line 2"},
    ),
    "an unreadable file": (
        "external_url 'x'\nfrom_file '/nowhere'\ngitlab_kas['a'] = 1\n",
        {"gitlab_kas": {"a": 1}},
        {"*": "line 2"},
    ),
    "a computed value in a file": (
        "from_file '/included.rb'\n",
        {},
        {"external_url": "line 2 of /included.rb"},
    ),
    "after a return that may end the file": (
        "gitlab_kas['a'] = 1\nreturn if b\ngitlab_kas['a'] = 2\n",
        {},
        {"gitlab_kas['a']": "line 3"},
    ),
    "after a plain return": ("gitlab_kas['a'] = 1\nreturn\ngitlab_kas['a'] = 2\n", {"gitlab_kas": {"a": 1}}, {}),
}


@pytest.mark.parametrize(("text", "settings", "unreadable"), READINGS.values(), ids=READINGS.keys())
def test_reading(ruby: Ruby, text: str, settings: dict[str, Any], unreadable: dict[str, str]) -> None:
    """Not set, set to what cannot be read, and set to this are three values."""
    files = {"/included.rb": b"x = 1\nexternal_url ENV['URL']\n"}

    def read_file(path: str) -> bytes:
        if path not in files:
            raise OSError(2, "No such file or directory")
        return files[path]

    document = GitlabRb(text.encode(), ruby, read_file=read_file)
    assert document.read(["external_url", "gitlab_kas", "git_data_dirs"]) == (settings, unreadable)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("external_url",), "external_url"),
        (("gitlab_kas",), None),
        (("gitlab_kas", "enable"), None),
        (("gitlab_kas", "env"), "gitlab_kas['env']"),
        (("gitlab_kas", "env", "A"), "gitlab_kas['env']"),
        (("gitlab_kas", "env", "B"), "gitlab_kas['env']['B']"),
    ],
)
def test_unreadable_as(path: tuple[str, ...], expected: str | None) -> None:
    unreadable = {"external_url": "line 1", "gitlab_kas['env']": "line 2", "gitlab_kas['env']['B']": "line 3"}
    assert unreadable_as(path, unreadable) == expected
    assert unreadable_as(path, {**unreadable, "*": "line 4"}) == (expected or "*")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("gitlab_rails['ldap_servers'] = YAML.load(<<-'EOS')\n  password: hunter2\nEOS\n", id="YAML"),
        pytest.param(
            "gitlab_rails['ldap_servers'] = YAML.load <<-EOS\n  bind_password:\n    hunter2\nEOS\n", id="below"
        ),
        pytest.param("gitlab_rails['x'] = <<~EOS\n  token\n  hunter2\nEOS\n", id="a plain heredoc"),
        pytest.param("gitlab_rails['x'] = [{ 'args' => { 'app_secret' =>\n  'hunter2' } }]\n", id="a hash in a list"),
        pytest.param("gitlab_rails['x'] = { 'args' => { app_secret:\n  'hunter2' } }\n", id="a hash in a hash"),
        pytest.param("registry['internal_key'] = \"-----BEGIN\\nhunter2\"\n", id="a key in PEM"),
        pytest.param("gitlab_kas['api_secret_key'] = 'hun' \\\n  'ter2'\n", id="continued"),
        pytest.param("gitlab_kas['api_secret_key'] = 'hunter' + '2'\n", id="concatenated"),
        pytest.param("gitlab_kas['api_secret_key'] = ENV['X'] || %q(hunter2)\n", id="an expression"),
        pytest.param("gitlab_kas['api_secret_key'] = 'x' # was hunter2\n", id="in a comment beside it"),
        pytest.param("gitlab_kas['enable'] = true # the password is hunter2\n", id="in another comment"),
        pytest.param("gitlab_rails['x'] = {\n  # password hunter2\n  'a' => 1, # token: hunter2\n}\n", id="in a hash"),
        pytest.param("gitlab_rails['x'] = { 'password' => 'x', # hunter2\n  'a' => 1 }\n", id="beside a pair"),
        pytest.param("gitlab_rails['x'] = 'redis://:hunter2@host'\n", id="in a URL"),
        pytest.param("gitlab_rails['x'] = \"#{host}://kas:hunter2@host password\"\n", id="interpolated"),
        pytest.param("gitlab_rails['x'] = '/bin/echo --token hunter2'\n", id="in a command"),
        pytest.param("gitlab_rails['x'] = 'glpat-hunter2hunter2'\n", id="a token under any name"),
        pytest.param("gitlab_rails['x'] = 'Bearer hunter2hunter2'\n", id="a header under any name"),
        pytest.param("login('kas', password: 'hunter2'); gitlab_kas['enable'] = true\n", id="code on the same line"),
        pytest.param("gitlab_rails['x'] = {\n  'a' => <<~A, 'b' => 1\n    secret hunter2\n  A\n}\n", id="in a pair"),
        pytest.param("gitlab_rails['headers'] = { 'Authorization' => ['hunter2'] }\n", id="a list in a hash"),
        pytest.param("gitlab_rails['x'] = { **{ password: 'hunter2' } }\n", id="a splat"),
        pytest.param("gitlab_rails['x'] = { \"#{a}\" => 'hunter2' }\n", id="under a computed key"),
    ],
)
def test_no_diff_shows_a_secret(ruby: Ruby, line: str) -> None:
    """Neither the line that goes nor the one that comes."""
    with_it, without = GitlabRb(line.encode(), ruby), GitlabRb(b"", ruby)
    lines = line.count("\n")
    for old, new in ((with_it, without), (without, with_it)):
        diff = old.masked_diff(new)
        assert "hunter" not in diff and "ter2" not in diff
        assert len(diff.splitlines()) == 3 + lines


def test_masked_diff(ruby: Ruby) -> None:
    text = (
        "gitlab_rails['db_password'] = 'one'; gitlab_kas['x'] = 'redis://:two@host'\n"
        "gitlab_kas['env'] = { 'A' => 1, 'SENTRY_DSN' => 'three' } # password 'four'\n"
        "gitlab_kas['api_secret_key'] = <<~A\n  five\n  six\nA\n"
        "untouched['password'] = 'seven'\n"
    )
    old = GitlabRb(text.encode(), ruby)
    new = GitlabRb(old.change({"gitlab_kas": {"x": "y", "env": {"A": 2}, "api_secret_key": "eight"}}).text, ruby)
    assert old.masked_diff(new) == (
        "--- /etc/gitlab/gitlab.rb (before)\n"
        "+++ /etc/gitlab/gitlab.rb (after)\n"
        "@@ -1,6 +1,3 @@\n"
        "-gitlab_rails['db_password'] = '********'; gitlab_kas['x'] = '********'\n"
        "-gitlab_kas['env'] = { 'A' => 1, 'SENTRY_DSN' => '********' } # ********\n"
        "-gitlab_kas['api_secret_key'] = '********'\n"
        "-'********'\n"
        "-'********'\n"
        "-'********'\n"
        "+gitlab_rails['db_password'] = '********'; gitlab_kas['x'] = '********'\n"
        "+gitlab_kas['env'] = { 'A' => 2, 'SENTRY_DSN' => '********' } # ********\n"
        "+gitlab_kas['api_secret_key'] = '********'\n"
    )
