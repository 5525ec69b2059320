# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every value comes out of Ruby as it went in, with its type; nothing in a value becomes code."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import literal
from grammar import NASTY, values
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from referee import Referee, typed

FRAMES = {
    "call": "external_url({})\n",
    "command": "external_url {}\n",
    "before other text": "external_url({}); registry_external_url 'after'\n",
    "under a CRLF": "external_url({})\r\n",
    "frozen": "# frozen_string_literal: true\nexternal_url({})\n",
}


def evaluated(referee: Referee, path: Path, text: str) -> object:
    evaluation = referee.evaluate(text.encode(), path)
    assert evaluation.settings is not None, f"{evaluation.error}\n{text}"
    return evaluation.settings["external_url"]


@examples(max_examples=400, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_any_value(referee: Referee, etc_gitlab: Path, value: object) -> None:
    text = literal(value)
    # A command whose argument begins with a brace is a block to Ruby, so a hash needs the brackets.
    assert evaluated(referee, etc_gitlab / "gitlab.rb", FRAMES["call"].format(text)) == typed(value, "hash")


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("value", NASTY, ids=ascii)
def test_nasty_text(referee: Referee, etc_gitlab: Path, value: str, frame: str) -> None:
    assert evaluated(referee, etc_gitlab / "gitlab.rb", frame.format(literal(value))) == typed(value)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_character_of_the_first_planes(referee: Referee, etc_gitlab: Path, newline: str) -> None:
    """Also in a file whose lines end otherwise than ours."""
    characters = [*map(chr, range(0x300)), *"\u2028\u2029\ufeff\ufffd\uffff\U0001f98a\U0010ffff"]
    value = [*characters, "".join(characters), {character: character for character in characters}]
    text = FRAMES["call"].format(literal(value)).replace("\n", newline)
    assert evaluated(referee, etc_gitlab / "gitlab.rb", text) == typed(value, "hash")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "\ud800", b"bytes", object(), {1, 2}])
def test_a_value_that_ruby_text_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="has no Ruby literal"):
        literal(value)
