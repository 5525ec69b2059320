"""Characters that only look right, what they are called, and what to write instead."""
# ruff: noqa: RUF001 - the characters are what is tested

from __future__ import annotations

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._characters import instead, invisible, shown, strange

STRANGE: list[tuple[str, str, str, str]] = [
    (
        "single quotes",
        "\u2018enable\u2019",
        "\u2018 (U+2018 LEFT SINGLE QUOTATION MARK) and \u2019 (U+2019 RIGHT SINGLE QUOTATION MARK)",
        "'",
    ),
    ("a low quote", "‚x", "‚ (U+201A SINGLE LOW-9 QUOTATION MARK)", "'"),
    (
        "double quotes",
        "\u201cx\u201d",
        "\u201c (U+201C LEFT DOUBLE QUOTATION MARK) and \u201d (U+201D RIGHT DOUBLE QUOTATION MARK)",
        '"',
    ),
    ("an angle quote", "«", "« (U+00AB LEFT-POINTING DOUBLE ANGLE QUOTATION MARK)", '"'),
    ("an accent", "´", "´ (U+00B4 ACUTE ACCENT)", "'"),
    ("a letter that is an apostrophe", "ʼ", "ʼ (U+02BC MODIFIER LETTER APOSTROPHE)", "'"),
    ("a dash", "a–b", "– (U+2013 EN DASH)", "-"),
    ("a minus", "−1", "− (U+2212 MINUS SIGN)", "-"),
    ("a hyphen that does not break", "a\u2011b", "\u2011 (U+2011 NON-BREAKING HYPHEN)", "-"),
    ("a space that does not break", "a\u00a0b", "U+00A0 NO-BREAK SPACE", "a plain space"),
    ("a narrow space", "\u202f", "U+202F NARROW NO-BREAK SPACE", "a plain space"),
    ("an ideographic space", "\u3000", "U+3000 IDEOGRAPHIC SPACE", "a plain space"),
    ("a wide sign", "＝", "＝ (U+FF1D FULLWIDTH EQUALS SIGN)", "="),
    ("a wide letter", "ａ", "ａ (U+FF41 FULLWIDTH LATIN SMALL LETTER A)", "a"),
    ("an ellipsis", "…", "… (U+2026 HORIZONTAL ELLIPSIS)", "..."),
]


@pytest.mark.parametrize(("text", "name", "write"), [row[1:] for row in STRANGE], ids=[row[0] for row in STRANGE])
def test_what_to_write_instead(text: str, name: str, write: str) -> None:
    assert (shown(strange(text)), instead(strange(text))) == (name, f"write {write} instead")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a\u200bb", "U+200B ZERO WIDTH SPACE"),
        ("\ufeffa", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("a\u200e", "U+200E LEFT-TO-RIGHT MARK"),
        ("a\u2060", "U+2060 WORD JOINER"),
        ("☃", "☃ (U+2603 SNOWMAN)"),
    ],
)
def test_what_to_remove(text: str, name: str) -> None:
    assert (shown(strange(text)), instead(strange(text))) == (name, "remove it")


def test_both() -> None:
    assert (
        instead(strange("\u201ca\u201d\u200b\u00a0"))
        == 'write " and a plain space instead and remove what cannot be seen'
    )


@pytest.mark.parametrize("text", ["", "plain 'text'", "prénom", "한국어", "имя_1", "ñ"])
def test_words_of_any_language_are_right(text: str) -> None:
    assert strange(text) == []


def test_invisible() -> None:
    assert invisible("é \u201cx\u201d \u200b\u00a0\u200b") == ["\u200b", "\u00a0"]
