# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated gitlab.rb files, and settings to ask for.

A file is a list of items; an item is a list of pieces, and each piece knows which settings its text assigns. So the
invariant can be checked without asking any parser what was touched. An item that may rightly make an edit impossible is
a trap: it knows its name and which settings it is about. A file whose traps are about other settings than those asked
for must never be refused.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Name = tuple[str, ...]  # ("gitlab_kas", "env", "A") is gitlab_kas['env']['A']; () is every setting
Draw = Callable[[st.SearchStrategy[Any]], Any]
Construct = tuple[str, str, str]  # see TRAPS

SECTIONS = ("gitlab_kas", "gitlab_rails", "nginx")
CALLS = ("external_url", "gitlab_kas_external_url", "registry_external_url")
KEYS = ("enable", "env", "url", "listen_address", "list", "it's", "a b", "ünï")
HASH_KEYS = ("A", "B", "OWN_PRIVATE_API_URL", "C d", "q'q")
DIRECTORY = Path(tempfile.gettempdir()) / f"kas-property-{os.getpid()}"  # where the file lies; not made here
INCLUDED = {  # what it can find there
    "sets_ours.rb": "gitlab_kas['enable'] = 'included'\ngitlab_rails['env'] = { 'A' => 'included' }\n",
    "sets_others.rb": "# nothing of interest\nsidekiq['concurrency'] = 9\n",
    "sets_nothing.rb": "x = 1\n",
    "custom.10.rb": "gitlab_kas['url'] = 'ten'\ngitlab_rails['env']['B'] = 'ten'\n",
    "custom.20.rb": "gitlab_kas['url'] = 'twenty'\ngitlab_rails['env']['B'] = gitlab_rails['env']['B'].to_s * 2\n",
    "returns.rb": "gitlab_kas['enable'] = 'before'\nreturn\ngitlab_kas['enable'] = 'after'\n",
    "may_return.rb": "gitlab_kas['url'] = 'before'\nreturn if sidekiq['x'] == {}\ngitlab_kas['url'] = 'after'\n",
    "nested.rb": f"gitlab_kas['enable'] = 1\nfrom_file '{DIRECTORY}/sets_ours.rb'\ngitlab_kas['url'] = 'outer'\n",
    "loaded.rb": "Gitlab['gitlab_kas']['enable'] = 'loaded'\nGitlab['gitlab_rails']['url'] = 'loaded'\n",
}
INCLUDED_NAMES = frozenset({("gitlab_kas", "enable"), ("gitlab_kas", "url"), ("gitlab_rails", "env")})


@dataclass(frozen=True)
class Piece:
    """Text, and the settings whose assignment it is part of.

    The frame of a setting (its name, the brackets of its hash) is touched only with the whole of it, not when
    something below it is set.
    """

    text: str
    names: frozenset[Name] = frozenset()
    frame: Name | None = None

    @property
    def all_names(self) -> frozenset[Name]:
        return self.names | ({self.frame} if self.frame else set())

    def touched_by(self, asked: Name) -> bool:
        if self.frame is not None and self.frame[: len(asked)] == asked:
            return True
        return any(related(name, asked) for name in self.names)

    def is_about(self, asked: Name) -> bool:
        return self.touched_by(asked) or (self.frame is not None and related(self.frame, asked))


@dataclass(frozen=True)
class Heredoc(Piece):
    """The opening of a heredoc; its body stands after the end of the line."""

    body: str = ""


Pieces = tuple[Piece, ...]


@dataclass(frozen=True)
class Trap:
    """A construct that may make it impossible to set what it is about."""

    label: str
    about: frozenset[Name]


@dataclass(frozen=True)
class Item:
    """One statement or comment. Some must begin at the start of a line."""

    pieces: Pieces
    trap: Trap | None = None
    own_line: bool = False


@dataclass(frozen=True)
class GeneratedFile:
    """The text in pieces, its traps, the names with values that only running it would tell, and the constructs."""

    pieces: tuple[Piece, ...]
    traps: tuple[Trap, ...]
    computed: frozenset[Name]
    labels: frozenset[str] = field(compare=False)

    @property
    def text(self) -> bytes:
        return "".join(piece.text for piece in self.pieces).encode()


def related(one: Name, other: Name) -> bool:
    """Whether one of the two holds the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def render(pieces: Iterable[Piece]) -> list[Piece]:
    """Put the bodies of heredocs where they belong: after the line on which they were opened."""
    done: list[Piece] = []
    waiting: list[Piece] = []
    for piece in pieces:
        text = piece.text
        if waiting and "\n" in text:
            line, text = text.split("\n", 1)
            done += [replace(piece, text=line + "\n"), *waiting]
            waiting = []
        done.append(Piece(text, piece.names, piece.frame))
        if isinstance(piece, Heredoc):
            waiting.append(Piece(piece.body, piece.names))
    return done + ([Piece("\n"), *waiting] if waiting else [])


# --- text in quotes ----------------------------------------------------------------------------------------------

TEXTS = (
    "x",
    "",
    "wss://kas.example.com/-/kubernetes-agent/",
    "it's",
    'say "hi"',
    "back\\slash",
    "#{1 + 1}",
    "# no comment",
    "gitlab_kas['enable'] = false",
    "external_url 'http://no'",
    "# gitlab_kas['env'] = {\n#   'A' => 'b',\n# }",
    "two\nlines",
    "\n=begin\n",
    "\n__END__\n",
    "\ttab",
    "ünïcødé ✓ 漢字 🦊",
    "\u201cquoted\u201d \u2018it\u2019 \u2013\u00a0\u200b\ufeff",
    "%w[a] <<A",
    "}])",
    "([{",
    "end",
    "\x00\x07\x7f",
    "trailing \\",
)
ESCAPES = ("\\n", "\\t", "\\u00e9", "\\u{1F98A}", "\\x41", "\\101", "\\e", "\\s", '\\"', "\\\\", "\\#", "\\\n", "\\C-a")
INTERPOLATIONS = (
    "#{1 + 1}",
    "#{\"in#{'ner'}\"}",
    "#{{ 'a' => \"}\" }['a']}",
    "#{%w[a b].join(\"#{','}\")}",
    "#{'a' if true # comment }\n}",
    "#@nothing",
    "#{[1, [2, {3 => '4'}]].flatten.size}",
)
BRACKETS = ("()", "[]", "{}", "<>", "||", "!!", "^^")


def single_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _no_interpolation(text: str) -> str:
    return text.replace("\\", "\\\\").replace("#", "\\#")


def double_quoted(text: str) -> str:
    return '"' + _no_interpolation(text).replace('"', '\\"') + '"'


def percent_quoted(letter: str, brackets: str, text: str) -> str:
    inner = text.replace("\\", "\\\\") if letter == "q" else _no_interpolation(text)
    for bracket in set(brackets):
        inner = inner.replace(bracket, "\\" + bracket)
    return f"%{letter}{brackets[0]}{inner}{brackets[1]}"


# --- values ------------------------------------------------------------------------------------------------------

NUMBERS = ("0", "1", "-1", "8150", "1_000", "0x1f", "0b101", "0o17", "017", "1.5", "-0.0", "1e3", "3r", "2i", "1" * 30)
SYMBOLS = (":on", ':"a b"', ":'it'", "%s(sym)", ":+", ":enable?")
REGEXPS = ("/re/", "/[\\/#'\"]/i", "%r{a{2}/}", "/#{1}x/", "/(?<name>x)/", "/ # /x")
CHARACTERS = ("?a", "?#", "?'", '?"', "?\\n", "?ü")
WORDS = ("%w[a b]", "%w(it's a#b)", "%w[]", "%W[a#{1} b]", "%i[a b]", "%I(x#{1})", "%w[a\n  b\n]", "%w<a <b> c>")
EXPRESSIONS = (
    "ENV['KAS_NOT_SET']",
    "File.exist?('/nowhere') ? 'yes' : 'no'",
    "1 + 1",
    "'a' * 3",
    "'frozen'.freeze",
    "['a', 'b'].join(',')",
    'YAML.load("a: 1\\nb: [1, 2]\\n")',
    "[1, 2].map { |n| n * 2 }",
    "(1..3).map do |n|\n  n\nend",
    "begin\n  Integer('x')\nrescue ArgumentError\n  0\nend",
    "(Integer('x') rescue 7)",
    "if true\n  'yes'\nelse\n  'no'\nend",
    "true && 'and'",
    "nil || 'or'",
    "not(true)",
    "'%s-%d' % ['a', 1]",
    "'a' +\n  'b'",
    "'abc'\n  .upcase\n  .reverse",
    "case 1\nwhen 1 then 'one'\nend",
    "{ 'A' => '1' }.merge('B' => '2')",
    "Hash[[['A', 1]]]",
    "1..2",
    "node['fqdn']",
)


class Writer:
    """Draws pieces, and notes which constructs it wrote."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.labels: set[str] = set()
        self.computed: set[Name] = set()

    def one(self, *options: Any) -> Any:
        return self._draw(st.sampled_from(options))

    def count(self, least: int, most: int) -> int:
        return self._draw(st.integers(least, most))

    def chance(self, one_in: int) -> bool:
        return self._draw(st.integers(1, one_in)) == one_in

    def label(self, label: str) -> None:
        self.labels.add(label)

    def text(self) -> str:
        return self.one(*TEXTS)

    def string(self, names: frozenset[Name]) -> Pieces:
        """A string literal of any form."""
        form = self.one(
            "single",
            "single",
            "double",
            "double",
            "escapes",
            "interpolated",
            "percent",
            "adjacent",
            "character",
            "heredoc",
        )
        self.label(form)
        if form == "single":
            text = single_quoted(self.text())
        elif form == "double":
            text = double_quoted(self.text())
        elif form == "escapes":
            text = '"' + self.one(*ESCAPES) + "a" + self.one(*ESCAPES) + '"'
        elif form == "interpolated":
            text = '"a' + self.one(*INTERPOLATIONS) + self.one("", *INTERPOLATIONS) + '"'
        elif form == "percent":
            letter = self.one("", "q", "Q")
            text = percent_quoted(letter, self.one(*BRACKETS), self.text())
            self.label(f"percent {letter}")
        elif form == "adjacent":
            text = single_quoted(self.text()) + self.one(" ", " \\\n  ", "") + double_quoted(self.text())
        elif form == "character":
            text = self.one(*CHARACTERS)
        else:
            return self.heredoc(names)
        return (Piece(text, names),)

    def heredoc(self, names: frozenset[Name]) -> Pieces:
        mark = self.one("", "-", "~")
        quote = self.one("", '"', "'")
        self.label(f"heredoc <<{mark}{quote}")
        word = self.one("A", "EOS", "EOF") if not quote else self.one("A", "EOS", "two words")
        text = self.one(*TEXTS)
        body = text if quote == "'" else _no_interpolation(text)
        if quote != "'" and self.chance(3):
            self.label("heredoc interpolated")
            nested = "\n#{<<-NESTED.strip + '!'}\ninner # gitlab_kas['enable'] = 1\nNESTED"
            body += self.one(*INTERPOLATIONS, nested)
        indent = self.one("", "  ", "\t") if mark else ""
        if mark == "~":
            body = "\n".join(indent + line for line in body.split("\n"))
        method = self.one("", "", ".strip", ".lines.map(&:chomp)", ".gsub('a', \"b\")")
        return (Heredoc(f"<<{mark}{quote}{word}{quote}{method}", names, body=f"{body}\n{indent}{word}\n"),)

    def scalar(self, names: frozenset[Name]) -> Pieces:
        form = self.one("string", "string", "string", "boolean", "number", "symbol", "regexp", "words", "expression")
        self.label(form)
        if form == "string":
            return self.string(names)
        if form == "expression":
            self.computed |= names
        options = {
            "boolean": ("true", "false", "nil"),
            "number": NUMBERS,
            "symbol": SYMBOLS,
            "regexp": REGEXPS,
            "words": WORDS,
            "expression": EXPRESSIONS,
        }
        return (Piece(self.one(*options[form]), names),)

    def value(self, name: Name, depth: int = 0) -> Pieces:
        """The right-hand side of an assignment to name."""
        form = self.one("scalar", "scalar", "list", "hash")
        if name[-1] == "env" or (len(name) > 1 and name[-1] == "hash"):
            form = self.one("hash", "hash", "hash", "scalar")
        if depth > 1:
            form = "scalar"
        if form == "hash":
            return self.hash(name, depth)
        if form == "list":
            return self.list(name, depth)
        return self.scalar(frozenset({name}))

    def list(self, name: Name, depth: int) -> Pieces:
        self.label("list")
        names = frozenset({name})
        if self.chance(5):
            self.label("several heredocs on one line")
            return (
                Piece("[", names),
                *self.heredoc(names),
                Piece(", ", names),
                *self.heredoc(names),
                Piece("]", names),
            )
        before, between, after = self.one(
            ("[", ", ", "]"), ("[\n  ", ",\n  ", ",\n]"), ("[ ", ", # one\n", " # two\n]")
        )
        pieces: list[Piece] = [Piece(before, names)]
        items = self.count(0, 3)
        if items == 0:
            return (Piece(self.one("[]", "[ ]", "[\n]"), names),)
        for index in range(items):
            pieces += [Piece(between, names)] if index else []
            element = self.value((*name, "[]"), depth + 1)
            pieces += [replace(piece, names=names, frame=None) for piece in element]
        return (*pieces, Piece(after, names))

    def hash(self, name: Name, depth: int) -> Pieces:
        self.label("hash")
        pairs = self.count(0, 3)
        if pairs == 0:
            return (Piece(self.one("{}", "{ }", "{\n}"), frozenset({name})),)
        keys = [self.one(*HASH_KEYS) for _pair in range(pairs)]
        values = [self.value((*name, key), depth + 1) for key in keys]
        on_lines = [
            ("{\n  ", ",\n  ", "\n}"),
            ("{\n\t", ",\n\t", ",\n}"),
            ("{ # open\n  ", ", # between, it's } odd\n\n  # a line\n  ", " # last\n}"),
        ]
        on_one_line = [("{ ", ", ", " }"), ("{", ",", "}")]
        crowded = any(isinstance(piece, Heredoc) for value in values for piece in value)
        before, between, after = self.one(*on_lines, *(() if crowded else on_one_line))
        pieces: list[Piece] = []
        for key, value in zip(keys, values):
            pieces.append(Piece(between if pieces else before, frame=name))
            pieces += [Piece(self.hash_key(key), frame=(*name, key)), *value]
        return (*pieces, Piece(after, frame=name))

    def hash_key(self, key: str) -> str:
        arrow = self.one(" => ", "=>", " =>\n    ")
        old_symbol = f":{key}" if key.isidentifier() else f":{double_quoted(key)}"
        new_symbol = f"{key}: " if key.isidentifier() else f"{double_quoted(key)}: "
        form = self.one("string", "string", "double string", "old symbol", "new symbol", "quoted symbol")
        self.label(f"hash key: {form}")
        return {
            "string": single_quoted(key) + arrow,
            "double string": double_quoted(key) + arrow,
            "old symbol": old_symbol + arrow,
            "new symbol": new_symbol,
            "quoted symbol": double_quoted(key) + ": ",
        }[form]

    # --- statements ----------------------------------------------------------------------------------------------

    def name(self) -> Name:
        return (self.one("gitlab_kas", *SECTIONS), self.one(*KEYS))

    def index(self, key: str) -> str:
        """A key in brackets, in one of the ways people write it."""
        symbols = [f"[:{key}]"] if key.isidentifier() else [f"[:{double_quoted(key)}]"]
        return self.one(
            f"[{single_quoted(key)}]",
            f"[{single_quoted(key)}]",
            f"[{double_quoted(key)}]",
            f"[ {single_quoted(key)} ]",
            f"[%q({key})]",
            *symbols,
        )

    def target(self, name: Name) -> str:
        return name[0] + "".join(self.index(key) for key in name[1:])

    def equals(self) -> str:
        return self.one(" = ", " = ", " = ", "=", "  =  ", "\t=\t", " = \\\n  ", " =\n  ")

    def assignment(self) -> Item:
        name = self.name()
        if name[1] == "env" and self.chance(3):
            name = (*name, self.one(*HASH_KEYS))
            self.label("nested assignment")
        else:
            self.label("assignment")
        return Item((Piece(self.target(name) + self.equals(), frame=name), *self.value(name)))

    def call(self) -> Item:
        name = (self.one(*CALLS),)
        names = frozenset({name})
        before, after = self.one(
            (" ", ""), ("(", ")"), ("( ", " )"), (" (", ")"), ("\t", ""), (" \\\n  ", ""), ("(\n  ", "\n)")
        )
        self.label("call with brackets" if after else "call without brackets")
        value = self.string(names) if self.chance(2) else (Piece(single_quoted(self.one(*TEXTS)), names),)
        return Item((Piece(name[0] + before, names), *value, Piece(after, names)))

    def comment(self) -> Item:
        section, key = self.one("gitlab_kas", *SECTIONS), self.one(*KEYS)
        self.label("comment")
        text = self.one(
            "",
            "\n",
            "# a comment",
            "#! \"unclosed 'quotes #{ and <<A",
            f"# {section}['{key}'] = 'template'",
            f"#{section}['{key}'] = nil",
            f"# {section}['{key}'] = {{\n#   'A' => 'b',\n#   'B' => [\n#     1,\n#   ],\n# }}",
            f"#   {section}['{key}']   =   true    # why",
            f"# {self.one(*CALLS)} 'http://template'",
            "## Section\n##! about\n",
            f"###! {section}['{key}'] is nice",
            f"# {section}['env']['A'] = 'template'",
            "# BEGIN ANSIBLE MANAGED BLOCK",
            f"# BEGIN kas\n# {section}['{key}'] = 'theirs'\n# END kas",
            "# END ANSIBLE MANAGED BLOCK",
            "# Ansible managed, do not edit",
            "# \u201cquoted\u201d \u2013 and\u00a0pasted\u200b",
        )
        if text.startswith("# gitlab") and "{\n" in text:
            self.label("commented hash")
        return Item((Piece(text),))

    def block_comment(self) -> Item:
        self.label("=begin")
        return Item((Piece("=begin\ngitlab_kas['enable'] = 'not code'\n# it's\n=end"),), own_line=True)

    def other(self) -> Item:
        """Code that has nothing to do with settings."""
        self.label("other code")
        text = self.one(
            "require 'json'",
            f"from_file '{DIRECTORY}/sets_nothing.rb'",
            f"Dir.glob('{DIRECTORY}/sets_others*.rb').each {{ |f| from_file f }}",
            "x = 5",
            "a, b = 1, [2]",
            "x ||= 'y'",
            "KAS_NAMES = %w[a b].freeze unless defined?(KAS_NAMES)",
            "x = nil\nif x.nil?\n  # gitlab_kas['enable'] = 'commented in a body'\n  x = 1\nend",
            "def helper(a, b = {}, *c, d: 1, **e, &f)\n  a\nend",
            "def short(a) = a",
            "module Helper\n  X = 1\nend",
            "words = %w[gitlab_kas enable]",
            "puts \"gitlab_kas['enable'] = #{1}\"",
            "$kas = 1",
            "@kas = { enable: true }",
            "l = ->(v) { v }",
            "case { name: 'x' }\nin { name: String => found }\n  found\nend",
            "i = 0\nwhile i < 3\n  i += 1\nend",
            "[1, 2].each do |n|\n  n\nend",
            "s = :gitlab_kas",
            ";;",
            "sidekiq['concurrency'] = 10",
            "sidekiq['a'] = sidekiq['b'] = 1",
            "sidekiq['queue'] ||= ['*']",
            "sidekiq['routing'] = 'x' if true",
        )
        return Item((Piece(text),))

    def trap(self, construct: Construct | None = None) -> Item:
        label, template, level = construct or self.one(*TRAPS)
        self.label(f"trap: {label}")
        name, other = self.name(), self.name()
        call = (self.one(*CALLS),)
        value = single_quoted(self.one("trapped", "x", "it's"))
        assignment = f"{name[0]}{self.index(name[1])} = {value}"
        words = {
            "$A": assignment,
            "$S": name[0],
            "$K": name[1].replace("'", "\\'"),
            "$V": value,
            "$T": other[0],
            "$L": other[1].replace("'", "\\'"),
            "$C": call[0],
            "$D": str(DIRECTORY),
        }
        text = template
        for word, replacement in words.items():
            text = text.replace(word, replacement)
        about: dict[str, set[Name]] = {
            "key": {name},
            "keys": {name, other},
            "section": {name[:1]},
            "section and key": {name[:1], other},
            "sections": {name[:1], other[:1]},
            "call": {call},
            "call and key": {call, other},
            "included": set(INCLUDED_NAMES),
            "included and key": {*INCLUDED_NAMES, name},
            "nothing": set(),
            "any": {()},
        }
        mentioned = {name, other, call} if level != "any" else {name, other, call, ("gitlab_kas",)}
        return Item((Piece(text, frozenset(mentioned)),), trap=Trap(label, frozenset(about[level])))


# Label, Ruby, and what it is about. $A assigns $S['$K'] = $V; $T['$L'] is a second setting, $C a call form.
TRAPS: tuple[Construct, ...] = (
    # not always, not once, or not at the top level
    ("if … end", "if true\n  $A\nend", "key"),
    ("if … else … end", "if 1 > 2\n  $A\n  # $S['$K'] = 'commented'\nelse\n  $T['$L'] = 'else'\nend", "keys"),
    ("if … end, false", "if false\n  $A\nend", "key"),
    ("unless … else", "unless true\n  nil\nelse\n  $A\nend", "key"),
    ("trailing if", "$A if true", "key"),
    ("trailing if, false", "$A if nil", "key"),
    ("trailing unless", "$A unless false", "key"),
    ("one-line if", "if true then $A end", "key"),
    ("case", "case 1\nwhen 1\n  $A\nelse\n  $T['$L'] = 2\nend", "keys"),
    ("case in", "case [1]\nin [Integer]\n  $A\nend", "key"),
    ("while", "n = 0\nwhile n < 2\n  $A\n  n += 1\nend", "key"),
    ("until", "n = 0\nuntil n > 1\n  $S['$K'] = n\n  n += 1\nend", "key"),
    ("loop", "loop do\n  $A\n  break\nend", "key"),
    ("begin … while", "begin\n  $A\nend while false", "key"),
    ("for", "for v in [1, 2]\n  $S['$K'] = v\nend", "key"),
    ("block", "[1].each do |v|\n  $A\nend", "key"),
    ("brace block", "1.times { $A }", "key"),
    ("next", "[1].each { next; $A }", "key"),
    ("throw", "catch(:out) { throw :out; $A }", "key"),
    ("tap", "$S.tap { |h| h['$K'] = $V }", "section"),
    ("computed keys", "%w[enable url].each { |k| $S[k] = $V }", "section"),
    ("rescue modifier", "$A rescue nil", "key"),
    ("begin … rescue", "begin\n  raise 'x'\n  $A\nrescue StandardError\n  nil\nensure\n  $T['$L'] = 1\nend", "keys"),
    ("ternary", "true ? ($A) : nil", "key"),
    ("and", "true and $A", "key"),
    ("&&", "false && ($A)", "key"),
    ("brackets", "($A)", "key"),
    ("begin … end", "begin; $A; end", "key"),
    ("assignment as value", "v = ($A)", "key"),
    ("assignment as argument", "[($A)].compact", "key"),
    ("assignment in a string", '"#{$A}"', "key"),
    ("call in if", "if true\n  $C 'inside'\nend", "call"),
    ("call, trailing if", "$C 'guarded' if false", "call"),
    ("call in block", "[1].each { $C('in a block') }", "call"),
    # other ways to assign
    ("||=", "$S['$K'] ||= $V", "key"),
    ("&&=", "$S['$K'] &&= $V", "key"),
    ("+=", "$S['$K'] = 'a'\n$S['$K'] += $V", "key"),
    ("<< to a list", "$S['$K'] = ['a']\n$S['$K'] << $V", "key"),
    ("<< to a string", "$S['$K'] = +'a'\n$S['$K'] << $V", "key"),
    ("push", "$S['$K'] = []\n$S['$K'].push($V)", "key"),
    ("merge!", "$S['env'] = { 'A' => 'a' }\n$S['env'].merge!('B' => $V)", "section"),
    ("merge! of what is not there", "$S['env'].merge!({ 'A' => $V })", "section"),
    ("section.merge!", "$S.merge!('$K' => $V)", "section"),
    ("section.update", "$S.update({ '$K' => $V })", "section"),
    ("section.store", "$S.store('$K', $V)", "section"),
    ("section.[]=", "$S.[]=('$K', $V)", "section"),
    ("section&.[]=", "$S&.[]=('$K', $V)", "section"),
    ("delete", "$S['$K'] = 1\n$S.delete('$K')", "section"),
    ("delete from a hash", "$S['env'] = { 'A' => 1, 'B' => 2 }\n$S['env'].delete('A')", "section"),
    ("clear", "$S.clear", "section"),
    ("chained", "$S['$K'] = $T['$L'] = $V", "keys"),
    ("chained with a local variable", "v = $S['$K'] = { 'A' => 1 }\nv['A'] = 2", "key"),
    ("multiple", "$S['$K'], $T['$L'] = $V, 2", "keys"),
    ("multiple with splat", "$S['$K'], *rest = [1, 2, 3]", "key"),
    ("multiple, nested", "(v, $S['$K']), w = [1, 2], 3", "key"),
    ("call=", "self.$C = 'with self'", "any"),
    ("call with two values", "$C 'a', 'b'", "call"),
    ("call on Gitlab", "Gitlab.$C 'direct'", "any"),
    ("section as a call", "$S('$K' => $V)", "section"),
    ("section as a command", "$S '$K' => $V", "section"),
    ("section=", "self.$S = { '$K' => $V }", "any"),
    ("frozen section", "$S.freeze", "section"),
    ("key in two literals", "$S['en' 'able'] = $V", "section"),
    ("key with interpolation", "$S[\"en#{'able'}\"] = $V", "section"),
    ("key in a variable", "k = '$K'\n$S[k] = $V", "section"),
    ("key of a method", "$S['$K'.to_s] = $V", "section"),
    ("key below, computed", "$S['env']['A'.downcase.upcase] = $V", "section"),
    ("bracket on the next line", "$S[\n  '$K'\n] = $V", "key"),
    # other names of the same thing
    ("alias", "k = $S\nk['$K'] = $V", "section"),
    ("alias, unused", "k = $S", "section"),
    ("alias of a hash", "e = $S['env']\ne['A'] = $V", "section"),
    ("alias in a list", "[$S].each { |h| h['$K'] = $V }", "section"),
    ("Gitlab[…]", "Gitlab['$S']['$K'] = $V", "any"),
    ("Gitlab.section", "Gitlab.$S['$K'] = $V", "any"),
    ("self[…]", "self['$S']['$K'] = $V", "any"),
    ("self[…]= scalar", "self[:$C] = 'by self'", "any"),
    ("configuration", "configuration[:$S]['$K'] = $V", "any"),
    ("self.section", "self.$S['$K'] = $V", "any"),
    ("send", "send(:$S)['$K'] = $V", "any"),
    ("send with a value", "send(:$C, 'sent')", "any"),
    ("__send__ of a computed name", "__send__('gitlab' + '_kas')['$K'] = $V", "any"),
    ("method object", "method(:internal_set).call(:$C, 'called')", "any"),
    ("method_missing", "method_missing(:$C, 'missing')", "any"),
    ("eval", "eval \"$S['enable'] = 1\"", "any"),
    ("eval of a string that we also hold", "code = %q($S['enable'] = 2)\ninstance_eval(code)", "any"),
    ("instance_exec", "instance_exec { $A }", "any"),
    ("eval of the environment", "eval ENV['KAS_NOT_SET'].to_s", "any"),
    ("eval under a condition", "eval \"$S['$K'] = 1\" if 1 > 0", "any"),
    ("eval in a loop", "%w[enable url].each { |k| eval \"$S['#{k}'] = 1\" }", "any"),
    ("eval in a lambda", "f = -> { eval \"$S['$K'] = 1\" }\n$A\nf.call", "any"),
    ("eval that makes a hash", "eval \"$S['env'] = { 'A' => 1 }\"", "any"),
    ("eval that includes", "eval \"from_file '$D/sets_ours.rb'\"", "any"),
    ("eval as a value", "$S['$K'] = eval(\"$T['$L'] = 1\")", "any"),
    ("instance_eval on Gitlab", "Gitlab.instance_eval \"$S['$K'] = 1\"", "any"),
    ("send with brackets", "send('$C', 'sent')", "any"),
    ("keys in a counted loop", "2.times { |n| $S['$K'] = n }", "key"),
    ("configure", "configure { |c| c[:$S]['$K'] = $V }", "any"),
    # the local-variable trap
    ("local variable", "$S = { '$K' => $V }", "section"),
    ("local variable, then its key", "$S = {}\n$S['$K'] = $V", "section"),
    ("local variable of a call form", "$C = 'nowhere'", "call"),
    ("local variable, multiple", "$S, v = {}, 1", "section"),
    ("local variable, never run", "if false\n  $S = {}\nend", "section"),
    ("local variable, ||=", "$S ||= {}", "section"),
    ("block parameter", "[{}].each { |$S| $S['$K'] = $V }", "section"),
    ("block-local variable", "[1].each { |v; $S| $S = {}; $S['$K'] = $V }", "section"),
    ("for variable", "for $S in [{}]\n  $S['$K'] = $V\nend", "section"),
    ("named capture", "/(?<$S>x)/ =~ 'x'", "section"),
    ("rescue variable", "begin\n  raise 'x'\nrescue => $S\nend", "section"),
    ("pattern variable", "case { v: {} }\nin { v: $S }\n  $S['$K'] = 1\nend", "section"),
    ("rightward assignment", "{} => $S", "section"),
    ("lambda parameter", "->($S = {}) { $S['$K'] = $V }.call", "section"),
    ("method parameter", "def own($S)\n  $S['$K'] = $V\nend\nown({})", "section"),
    ("method of that name", "def $S\n  @own ||= {}\nend", "section"),
    # methods and lambdas
    ("method", "def set_it\n  $A\nend\nset_it", "key"),
    ("method, never called", "def set_it\n  $A\nend", "key"),
    ("method, endless", "def set_it = ($A)\nset_it", "key"),
    ("lambda", "l = lambda { $A }\nl.call", "key"),
    ("lambda, never called", "l = -> { $A }", "key"),
    ("proc with a parameter", "p1 = proc { |v| $S['$K'] = v }\np1.call(1)", "key"),
    ("parameter default", "q = ->(h = $S) { h['$K'] = $V }\nq.call", "section"),
    ("method that yields the section", "def kas_section = $S\nkas_section['$K'] = $V", "section"),
    ("define_singleton_method", "define_singleton_method(:set_it) { $A }\nset_it", "any"),
    # reads
    ("read", "$T['$L'] = $S['$K']", "keys"),
    ("read in a string", "$T['$L'] = \"#{$S['$K']}/x\"", "keys"),
    ("read into a local variable", "u = $S['$K']\n$T['$L'] = u", "keys"),
    ("read in a condition", "$T['$L'] = 'read' if $S['$K']", "keys"),
    ("read of a call form", "$T['$L'] = \"#{$C}/x\"", "call and key"),
    ("read of a call form by self", "$T['$L'] = self.$C.to_s", "any"),
    ("read of a section", "gitlab_rails['seen'] = $S.keys.join(',')", "section"),
    ("read of every key", '$S.keys.each { |k| sidekiq["kas_#{k}"] = $S[k].to_s }', "section"),
    ("key?", "$T['$L'] = $S.key?('$K')", "section and key"),
    ("dup", "$T['$L'] = $S.dup", "section and key"),
    ("shared hash", "$S['env'] = { 'A' => 1 }\n$T['$L'] = $S['env']", "section and key"),
    ("fetch", "$T['$L'] = $S.fetch('$K', 'none')", "section and key"),
    ("dig", "$T['$L'] = $S.dig('env', 'A').to_s", "section and key"),
    ("values_at", "$T['$L'] = $S.values_at('enable', 'url')", "section and key"),
    ("read by a method", "def seen = $S['$K']\n$T['$L'] = seen.to_s", "keys"),
    ("read by defined?", "$T['$L'] = defined?($S).to_s", "section and key"),
    ("line number", "sidekiq['line'] = __LINE__", "any"),
    # other files
    ("from_file that sets ours", "from_file 'sets_ours.rb'", "any"),
    ("from_file that sets others", "from_file 'sets_others.rb'", "any"),
    ("from_file of an absolute path", "from_file(File.join(__dir__, 'sets_ours.rb'))", "any"),
    ("from_file that sets nothing", 'from_file "sets_nothing.rb"', "any"),
    ("from_file under a condition", "from_file 'missing.rb' if File.exist?('missing.rb')", "any"),
    ("from_file in a loop", "Dir['sets_o*.rb'].sort.each { |f| from_file f }", "any"),
    ("from_file of a missing file", "from_file 'missing.rb' rescue nil", "any"),
    ("from_file of a literal path", "from_file '$D/sets_ours.rb'", "included"),
    ("from_file of a literal path, others", 'from_file("$D/sets_others.rb")', "nothing"),
    ("from_file that returns", "from_file '$D/returns.rb'", "included"),
    ("from_file that may return", "from_file '$D/may_return.rb'", "included"),
    ("from_file of a file that includes", "from_file '$D/nested.rb'", "included"),
    ("from_file if it is there", "from_file '$D/sets_ours.rb' if File.exist?('$D/sets_ours.rb')", "included"),
    (
        "from_file if it is there, missing",
        "if File.exist?('$D/no.rb')\n  # why\n  from_file '$D/no.rb'\nend",
        "nothing",
    ),
    ("from_file under a true condition", "from_file '$D/sets_ours.rb' unless 1 > 2", "included"),
    ("from_file under a false condition", "if 1 > 2\n  $A\n  from_file '$D/sets_ours.rb'\nend", "included and key"),
    ("from_file in a block", "[1].each { from_file '$D/sets_ours.rb' }", "included"),
    ("from_file in a lambda", "f = -> { from_file '$D/sets_ours.rb' }\n$A\nf.call", "any"),
    ("loop over a glob", "Dir.glob('$D/custom.*.rb').each { |f| from_file f }", "included"),
    (
        "loop over a sorted glob",
        "Dir['$D/custom.*.rb'].sort.each do |f|\n  from_file(f) if File.file?(f)\nend",
        "included",
    ),
    ("loop over a glob of others", 'Dir.glob("$D/sets_{others,nothing}.rb") { |f| from_file(f) }', "nothing"),
    ("loop over a glob of nothing", "Dir['$D/nothing.*.rb'].each { |f| from_file f }", "nothing"),
    ("loop over braces", "for f in Dir['$D/custom.{20,10}.rb'] do\n  from_file f\nend", "included"),
    ("loop over paths", "%w[$D/custom.20.rb $D/custom.10.rb].each { |f| from_file f }", "included"),
    ("loop over sorted paths", "['$D/returns.rb', '$D/custom.10.rb'].sort.each { |f| from_file f }", "included"),
    ("loop that does more", "Dir['$D/custom.*.rb'].each { |f| g = f; from_file g }", "any"),
    ("load", "load '$D/loaded.rb'", "any"),
    ("load in a loop", "Dir['$D/load*.rb'].each { |f| load f }", "any"),
    ("require of a path", "require '$D/loaded'", "any"),
    ("require of a computed path", "require File.join('$D', 'loaded')", "any"),
    ("require of a library in a path of its own", "$LOAD_PATH.unshift '$D'\nrequire 'loaded'", "any"),
    ("require_relative", "require_relative 'loaded'", "any"),
    ("eval of a file", "instance_eval(File.read('sets_ours.rb'))", "any"),
    # the end comes early or late
    ("return", "return", "any"),
    ("return if", "return if true", "any"),
    ("return that is not taken", "return if false", "any"),
    ("return in if", "if 1 > 0\n  return\nend", "any"),
    ("return in a block", "[1].each { return }", "any"),
    ("BEGIN", "BEGIN { $A }", "any"),
    ("BEGIN of a read", "BEGIN { u = 1 }", "any"),
    ("END", "END { $A }", "any"),
    ("at_exit", "at_exit { $A }", "any"),
)


# --- files -------------------------------------------------------------------------------------------------------


@st.composite
def files(draw: Draw, traps: bool = True, construct: Construct | None = None) -> GeneratedFile:
    """A gitlab.rb; without traps, one that nobody could have a reason to refuse. The construct given is in it."""
    writer = Writer(draw)
    ways = [writer.assignment] * 6 + [writer.call] * 2 + [writer.comment] * 4 + [writer.other, writer.block_comment]
    pieces: list[Piece] = []
    found: list[Trap] = []
    if writer.chance(6):
        writer.label("magic comment")
        pieces.append(
            Piece(writer.one("# frozen_string_literal: true\n", "# -*- coding: utf-8 -*-\n", "#!/usr/bin/ruby\n"))
        )
    if traps and writer.chance(20):
        writer.label("other encoding")
        pieces.append(Piece(writer.one("# encoding: us-ascii\n", "# encoding: ascii-8bit\n", "# coding: iso-8859-1\n")))
        found.append(Trap("other encoding", frozenset({()})))
    line_start = True
    items = writer.count(0, 8)
    forced_at = writer.count(0, items) if construct else None
    for index in range(items + (construct is not None)):
        if index == forced_at:
            item = writer.trap(construct)
        elif traps and writer.chance(4):
            item = writer.trap()
        else:
            item = writer.one(*ways)()
        if item.trap:
            found.append(item.trap)
        indent = writer.one("", "", "", "", "  ", "\t") if not item.own_line else ""
        ending = writer.one("\n", "\n", "\n", "\n", " # trailing, it's a comment\n", ";\n", " ; ", "\n\n", "  \n")
        if item.own_line or item.pieces[-1].text.lstrip().startswith("#"):
            ending = "\n"
        if ending == " ; " and any(isinstance(piece, Heredoc) for piece in item.pieces):
            if traps:  # the next statement may stand around the heredoc's text
                found.append(Trap("; after a heredoc", frozenset({()})))
                writer.label("; after a heredoc")
            else:
                ending = "\n"
        if item.own_line and not line_start:
            pieces.append(Piece("\n"))
        pieces += [Piece(indent), *item.pieces, Piece(ending)]
        line_start = ending.endswith("\n")
        if ending == " ; ":
            writer.label("; between statements")
        elif "trailing" in ending:
            writer.label("trailing comment")
    ends_openly = False
    if writer.chance(8):
        writer.label("__END__")
        pieces.append(Piece(("" if line_start else "\n") + "__END__\ngitlab_kas['enable'] = 'data'\n'\n"))
    elif line_start and writer.chance(4):
        writer.label("no final newline")
        ends_openly = True
    if not pieces:
        writer.label("empty file")
    rendered = [piece for piece in render(pieces) if piece.text]
    if ends_openly and rendered:
        rendered[-1] = replace(rendered[-1], text=rendered[-1].text.removesuffix("\n"))
    newline = "\n"
    if writer.chance(6):
        writer.label("CRLF")
        newline = "\r\n"
    bom: Pieces = ()
    if writer.chance(8):
        writer.label("BOM")
        bom = (Piece("\ufeff"),)
    ended = (replace(piece, text=piece.text.replace("\n", newline)) for piece in rendered)
    return GeneratedFile((*bom, *ended), tuple(found), frozenset(writer.computed), frozenset(writer.labels))


# --- what to ask for ---------------------------------------------------------------------------------------------

NASTY = (
    "",
    " ",
    "x",
    "plain text",
    "it's",
    'say "hi"',
    "\\",
    "\\\\",
    "\\'",
    "'; system('true'); '",
    "#{raise 'code'}",
    '#{raise "code"}',
    "#@x #$x",
    "a\nb",
    "a\r\nb\r",
    "\t",
    "\x00",
    "\x00\x01\x1b\x7f",
    "true",
    "false",
    "nil",
    "null",
    "1",
    "1.0",
    "0x1f",
    ":symbol",
    "=begin\nx\n=end",
    "\n__END__\n",
    "<<A\nx\nA\n",
    "ünïcødé ✓ 漢字 🦊 \u202e\u2028\ufeff\x85",
    "%{x} %s {{ x }}",
    "# gitlab_kas['enable'] = 1",
    "trailing\\",
    "wss://kas.example.com/-/kubernetes-agent/",
)
texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.text("'\"\\#{}\n$@ ab", max_size=8),
)
scalars = st.one_of(
    texts,
    texts,
    st.sampled_from([None, True, False, 0, 1, -1, 8150, 2**31, 2**64, -(2**70), 10**40]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
hash_keys = st.one_of(st.sampled_from(HASH_KEYS), st.sampled_from(HASH_KEYS), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hash_keys, inner, max_size=3)),
    max_leaves=6,
)
section_keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), st.sampled_from(KEYS), texts)
Settings = dict[str, Any]


@st.composite
def settings_trees(draw: Draw, file: GeneratedFile) -> Settings:
    """Settings to ask for: often ones that the file is about, in sections and in call form."""
    wanted: Settings = {}
    there = sorted({piece_name[:3] for piece in file.pieces for piece_name in piece.all_names if piece_name})
    if there and draw(st.integers(0, 3)):
        for name in draw(st.lists(st.sampled_from(there), min_size=1, max_size=2, unique=True)):
            if len(name) == 1 and name[0] in SECTIONS:
                name = (*name, draw(section_keys))
            put(wanted, name, draw(scalars if len(name) == 1 else _value_for(name[1]) if len(name) == 2 else values))
        return wanted
    for section in draw(st.lists(st.sampled_from(("gitlab_kas", *SECTIONS)), max_size=2, unique=True)):
        keys = draw(st.lists(section_keys, min_size=draw(st.integers(0, 2)), max_size=3, unique=True))
        wanted[section] = {key: draw(_value_for(key)) for key in keys}
    for call in draw(st.lists(st.sampled_from(CALLS), min_size=not wanted, max_size=2, unique=True)):
        wanted[call] = draw(st.one_of(scalars, st.lists(values, max_size=2)))
    return wanted


def _value_for(key: str) -> st.SearchStrategy[Any]:
    if key == "env":
        return st.one_of(st.dictionaries(hash_keys, scalars, max_size=3), values)
    return values


@st.composite
def removals(draw: Draw, wanted: Settings) -> Settings:
    """A tree of names to remove, none of which is asked for at the same time. None takes the whole setting."""
    if draw(st.integers(0, 2)) < 2:
        return {}
    asked = list(leaves(wanted))
    gone: Settings = {}
    names = st.one_of(
        st.tuples(st.sampled_from(CALLS)),
        st.tuples(st.sampled_from(SECTIONS), st.sampled_from(KEYS)),
        st.tuples(st.sampled_from(SECTIONS), st.just("env"), st.sampled_from(HASH_KEYS)),
    )
    for name in draw(st.lists(names, min_size=1, max_size=3)):
        if not any(related(name, other) for other in asked):
            put(gone, name, None)
    return gone


def put(tree: Settings, name: Name, value: object) -> None:
    """Set a leaf, unless the tree already takes the whole of what holds it."""
    for part in name[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree[name[-1]] = value


def leaves(tree: Mapping[str, Any], above: Name = ()) -> Iterable[Name]:
    """The names that a tree sets; an empty mapping below a section is a value of its own."""
    for key, value in tree.items():
        name = (*above, key)
        if isinstance(value, Mapping) and (value or len(name) > 1):
            yield from leaves(value, name) if value else (name,)
        elif not isinstance(value, Mapping):
            yield name


def value_at(tree: Mapping[str, Any], name: Name) -> Any:
    """What the tree holds there; None where it holds nothing."""
    value: Any = tree
    for key in name:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
