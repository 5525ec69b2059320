# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Characters that only look right: the quotes, dashes and blanks of web pages and word processors.

Categories are those of the Unicode standard (chapter 4.5), which Python's unicodedata knows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_QUOTES = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\u00b4\u02bc\uff07\uff40", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u301d\u301e\u301f\uff02", '"'),
}
_DASHES = "\u2212\u00ad\u2043"  # beside those whose category says so
_INVISIBLE = ("Cf", "Zs", "Zl", "Zp")
_OF_WORDS = ("L", "M", "N")


def strange(text: str) -> list[str]:
    """The characters that nobody means in a name, a number, a URL or code: neither ASCII nor of a word; each once."""
    return [char for char in dict.fromkeys(text) if _is_strange(char)]


def quotes(text: str) -> list[str]:
    """Those that look like quotes; each once."""
    return [char for char in dict.fromkeys(text) if char in _QUOTES]


def invisible(text: str) -> list[str]:
    """Those that nobody sees, or takes for a blank; each once."""
    return [char for char in dict.fromkeys(text) if not char.isascii() and unicodedata.category(char) in _INVISIBLE]


def shown(chars: Iterable[str]) -> str:
    """Characters with their code points and names, as part of a sentence."""
    return " and ".join(map(_shown, chars))


def instead(chars: Iterable[str]) -> str:
    """What to write instead of some characters, as a remedy."""
    meant = dict.fromkeys(map(_meant, chars))
    write = " and ".join("a plain space" if char == " " else char for char in meant if char)
    parts = [f"write {write} instead"] if write else []
    return " and ".join([*parts, *(["remove what cannot be seen" if write else "remove it"] if "" in meant else [])])


def _is_strange(char: str) -> bool:
    if char.isascii():
        return False
    # Full-width letters and the like are words, too, but stand for ASCII.
    stands_for_ascii = unicodedata.normalize("NFKC", char).isascii() and unicodedata.category(char)[0] not in "LN"
    is_wide = 0xFF01 <= ord(char) <= 0xFF5E
    return char in _QUOTES or stands_for_ascii or is_wide or unicodedata.category(char)[0] not in _OF_WORDS


def _shown(char: str) -> str:
    name = f"U+{ord(char):04X} {unicodedata.name(char, 'without a name')}"
    return name if unicodedata.category(char) in _INVISIBLE else f"{char} ({name})"


def _meant(char: str) -> str:
    """What is meant by it; empty if it stands for nothing."""
    if char in _QUOTES:
        return _QUOTES[char]
    if unicodedata.category(char) == "Pd" or char in _DASHES:
        return "-"
    plain = unicodedata.normalize("NFKC", char)
    return plain if plain.isascii() else " " if unicodedata.category(char) == "Zs" else ""
