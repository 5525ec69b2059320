"""What Ruby says of a text, and how a value is written for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import (
    NO_LITERAL,
    NoRubyError,
    Ruby,
    RubyError,
    Symbol,
    find_ruby,
    literal,
)

LITERALS: list[tuple[Any, str]] = [
    (None, "nil"),
    (True, "true"),
    (0, "0"),
    (-5, "-5"),
    (1.5, "1.5"),
    (1e22, "1.0e22"),
    ("", "''"),
    ("a'b", r"'a\'b'"),
    ("a\\", r"'a\\'"),
    ("\\'", r"'\\\''"),
    (r"\d", r"'\d'"),
    ("#{x}", "'#{x}'"),
    ('a\nb#{x}"\\', r'"a\nb\#{x}\"\\"'),
    ("é\0", r'"\u{e9}\u{0}"'),
    ([], "[]"),
    ({}, "{}"),
    ([1, "a", {"b": [None]}], "[1, 'a', { 'b' => [nil] }]"),
    ({"a": {"b": 1}}, "{\n  'a' => {\n    'b' => 1,\n  },\n}"),
]


@pytest.mark.parametrize(("value", "text"), LITERALS)
def test_literal(value: Any, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "nan has no Ruby literal"),
        (b"x", "a bytes has no Ruby literal"),
        (object(), "a object has no Ruby literal"),
        ("\ud800\n", "a lone surrogate has no Ruby literal"),
    ],
)
def test_no_literal(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        literal(value)


VALUES: list[tuple[str, str, Any]] = [
    ("'a'", "string", "a"),
    ('"a\\n"', "string", "a\n"),
    ("'a' 'b'", "string", "ab"),
    ("?a", "scalar", "a"),
    (":a", "scalar", Symbol("a")),
    ("-1", "scalar", -1),
    ("1_000", "scalar", 1000),
    ("nil", "scalar", None),
    ("%w[a b]", "array", ["a", "b"]),
    ("[1, [2.5]]", "array", [1, [2.5]]),
    ("{ a: 1, 'b' => :c, \"d\": 2 }", "hash", {"a": 1, "b": Symbol("c"), "d": 2}),
    ("<<~A\n  x\n  #y\nA", "string", "x\n#y\n"),
    ('"#{a}"', "string", NO_LITERAL),
    ("[a]", "array", NO_LITERAL),
    ("a + 1", "expression", NO_LITERAL),
    ("__FILE__", "expression", NO_LITERAL),
    ("1..2", "expression", NO_LITERAL),
    ("'x'.freeze", "expression", NO_LITERAL),
]


@pytest.mark.parametrize(("code", "kind", "value"), VALUES)
def test_value(ruby: Ruby, code: str, kind: str, value: Any) -> None:
    (statement,) = ruby.outline(f"s['k'] = {code}\n".encode()).statements
    assert statement.path == ("s", "k")
    assert statement.value is not None
    assert (statement.value.type, statement.value.literal) == (kind, value)


STATEMENTS: list[tuple[str, list[str]]] = [
    ("a 1; b['x'] = 2\n", ["a 1", "b['x'] = 2"]),
    ("a(<<A, <<B); c 1\nx\nA\ny\nB\nd 2\n", ["a(<<A, <<B)", "c 1", "d 2"]),
    ("a = [\n 1, # one\n]\n=begin\nx\n=end\nif b\n c 1\nend # e\n", ["a = [\n 1, # one\n]", "if b\n c 1\nend"]),
    ("a \\\n  1\r\nb 2\r\n__END__\nc 3\n", ["a \\\n  1", "b 2"]),
    ("a.b { |c| c }; ;\n", ["a.b { |c| c }"]),
]


@pytest.mark.parametrize(("text", "statements"), STATEMENTS)
def test_statements(ruby: Ruby, text: str, statements: list[str]) -> None:
    outline = ruby.outline(text.encode())
    assert [text.encode()[slice(*s.span)].decode() for s in outline.statements] == statements


MENTIONS: list[tuple[str, list[tuple[tuple[str | None, ...], str, str | None, bool]]]] = [
    ("x = s['a']['b']\n", [(("s", "a", "b"), "read", None, False)]),
    ("s['a'] = 1 if b?\n", [(("b?",), "call", None, False), (("s", "a"), "write", "=", False)]),
    ("s[k] = 1\n", [(("s", None), "write", "=", False), (("k",), "read", None, False)]),
    ("s['a'] += 1\n", [(("s", "a"), "change", "+=", False)]),
    ("s['a'] << 1\n", [(("s", "a"), "change", "<<", False)]),
    ("s.delete('a')\n", [(("s",), "change", "delete", False)]),
    ("s&.[]=('a', 1)\n", [(("s",), "change", "[]=", False)]),
    ("[1].each { s['a'] = 1 }\n", [(("s", "a"), "write", "=", False)]),
    ("foo { s['a'] = 1 }\n", [(("foo",), "call", None, False), (("s", "a"), "write", "=", True)]),
    ("def s = 1\n", [(("s",), "change", None, True)]),
    ("x 'y', \"#{s['a']}\"\n", [(("x",), "call", None, False), (("s", "a"), "read", None, False)]),
    ("x = Gitlab['x']\n", [(("Gitlab",), "read", None, False)]),
    ("x(self)\n", [(("self",), "read", None, False)]),
    ("Gitlab.extend(self)\n", [(("Gitlab",), "read", None, False), (("self",), "read", None, False)]),
    ("s = {}\ns['a'] = 1\n", []),
]


@pytest.mark.parametrize(("text", "mentions"), MENTIONS)
def test_mentions(ruby: Ruby, text: str, mentions: list[Any]) -> None:
    found = [m for s in ruby.outline(text.encode()).statements for m in s.mentions]
    assert [(m.path, m.access, m.via, m.deferred) for m in found] == mentions


RUNS: list[tuple[str, list[tuple[str, bool]]]] = [
    ("eval 'x'\n", [("eval", False)]),
    ("instance_eval(File.read('x')) if y\n", [("instance_eval", False)]),
    ("Gitlab['x'] = 1\n", [("Gitlab", False)]),
    ("self.x = 1\n", [("self", False)]),
    ("if true\n  ::Gitlab.instance_eval 'x'\nend\n", [("Gitlab", False)]),
    ("send(:x, 1)\n", [("send", False)]),
    ("[1].each { eval 'x' }\n", [("eval", False)]),
    ("f = -> { eval 'x' }\n", [("eval", True)]),
    ("at_exit { eval 'x' }\n", [("eval", True)]),
    ("def f = eval('x')\n", [("eval", True)]),
    ("send(:define_method, :x)\n", []),
    ("send(x, 1)\n", []),
    ("Gitlab.tap { |x| x }\n", []),
]


@pytest.mark.parametrize(("text", "runs"), RUNS)
def test_code_that_runs_on_the_spot(ruby: Ruby, text: str, runs: list[Any]) -> None:
    """And has run when its statement has, unless it is deferred; what keeps something is a mention."""
    found = [run for statement in ruby.outline(text.encode()).statements for run in statement.runs]
    assert [(run.name, run.deferred) for run in found] == runs


def test_locals(ruby: Ruby) -> None:
    assert ruby.outline(b"a 1\nb = 2\nc { |d| d }\n").locals == {"b": 2, "d": 3}


def test_commented(ruby: Ruby) -> None:
    text = b"# s['a'] = {\n#   'b' => 1\n# }\n# s['ab'] = 1\n## s ['a'] is a word\n"
    (found,) = ruby.outline(text, [("s", "a"), ("x", None)]).commented
    assert (found.path, found.span) == (("s", "a"), (0, 30))


def test_many_questions(ruby: Ruby) -> None:
    for text in (b"", b"a 1\n", b"\xef\xbb\xbfa 1\n"):
        assert ruby.outline(text).end == len(text)


def test_other_encodings_are_no_plain_text(ruby: Ruby) -> None:
    plain, other = ruby.outline(b"# encoding: iso-8859-1\ns['k'] = 'e'\ns['l'] = '\xe9'\n").statements
    assert plain.value is not None
    assert plain.value.literal == "e"
    assert other.value is not None
    assert other.value.literal is NO_LITERAL


def test_letters_that_the_encoding_does_not_have(ruby: Ruby) -> None:
    """Ruby's message quotes them."""
    with pytest.raises(RubyError) as error:
        ruby.outline("# encoding: us-ascii\na['b'] = :ünï\n".encode())
    assert error.value.line == 2


def test_find_ruby(tmp_path: Path) -> None:
    own = tmp_path / "ruby"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert find_ruby(package_ruby=str(own)) == str(own)
    assert find_ruby(str(own), package_ruby="/nowhere") == str(own)
    with pytest.raises(RubyError) as error:
        find_ruby("/nowhere/ruby")
    assert str(error.value) == (
        "There is no Ruby at /nowhere/ruby, so gitlab.rb cannot be checked; give the path of a Ruby 2.7 or later with"
        " its libraries (the module's option ruby)."
    )


GIVE = "give the path of a Ruby 2.7 or later with its libraries (the module's option ruby)"
BROKEN: list[tuple[str, str]] = [
    ("exit 1", f"ended with exit code 1 while it read gitlab.rb (it said nothing); {GIVE}."),
    (
        "exec ruby --disable=gems -e 'require %q(no_ripper)'",
        "ended with exit code 1 while it read gitlab.rb (-e:1:in `require': cannot load such file -- no_ripper"
        f" (LoadError)); {GIVE}.",
    ),
    (  # the dynamic linker, where a library of the package is gone
        "echo 'ruby: error while loading shared libraries: libruby.so.3: cannot open shared object file' >&2;exit 127",
        "ended with exit code 127 while it read gitlab.rb (ruby: error while loading shared libraries: libruby.so.3:"
        f" cannot open shared object file); {GIVE}.",
    ),
    (  # in the midst of an answer
        "head -n 1 >/dev/null; printf '{\"statements\": ['; kill -9 $$",
        "was ended by signal 9 while it read gitlab.rb (it said nothing); look in dmesg for the reason, such as a lack"
        " of memory, and run again.",
    ),
]


@pytest.mark.parametrize(("script", "expected"), BROKEN)
def test_what_a_broken_ruby_says_is_told(tmp_path: Path, script: str, expected: str) -> None:
    path = tmp_path / "ruby"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    with pytest.raises(NoRubyError) as error, Ruby(str(path)) as ruby:
        ruby.outline(b"a 1\n")
    assert str(error.value) == f"{path} {expected}"


def test_what_the_system_says_of_a_ruby_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ruby"
    path.write_text("no program")
    path.chmod(0o755)
    with pytest.raises(NoRubyError) as error, Ruby(str(path)):
        pass
    assert str(error.value) == (
        f"{path} cannot be started (Exec format error); it is no program of this kind of machine: install the one that"
        " is."
    )
