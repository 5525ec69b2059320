# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of releases is what the package's code says, and releases compare as they should."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils import _releases, _rules
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._deployment import VARIABLE_OF_KEY, Deployment
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._releases import BROKEN, ENVIRONMENT, KEYS, Release
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._variables import VARIABLES, normalise

ROOT = Path(__file__).resolve().parents[4]
DATA = json.loads((ROOT / "tests" / "data" / "kas-settings-by-version.json").read_text())
# Every minor release of the data, and around the patch releases in which something changed.
MINORS = {15: (11, 11), 16: (0, 11), 17: (0, 11), 18: (0, 11), 19: (0, 3)}
RELEASES = sorted(
    {Release(major, minor, 0) for major, (low, high) in MINORS.items() for minor in range(low, high + 1)}
    | {Release(17, 8, 1), Release(18, 0, 1), Release(18, 0, 2)}
)


# Of these, a variable is given the first that it takes.
SAMPLES = ("x", 1, True, ":8150", "/file", "https://gitlab.example.com", [{"host": "s1"}])
WITH_SAMPLE = {
    key: name
    for key, name in VARIABLE_OF_KEY.items()
    if key not in ("enable", "env") and name.partition(".")[0] != "kas_secrets_values"
}


def told(span, release):
    """Whether the data says that something is known to a release."""
    after = Release.of(span["from"]) <= release
    return after and ("before" not in span or release < Release.of(span["before"]))


@pytest.mark.parametrize(("part", "table"), [("keys", KEYS), ("env", ENVIRONMENT)])
def test_every_release_knows_what_the_package_knows(part, table):
    for name, facts in DATA[part].items():
        if "." in name:
            continue
        for release in RELEASES:
            assert table[name].known_to(release) is any(told(span, release) for span in facts["known"]), (name, release)
            defaults = [each["default"] for each in facts["defaults"] if told(each, release)]
            if defaults and table[name].known_to(release):
                assert table[name].default(release) == defaults[-1], (name, release)


def given(name):
    """The variables that give one of them, by its name, a value."""
    variable, _dot, option = name.partition(".")
    if VARIABLES[variable].choices:
        return {variable: VARIABLES[variable].choices[-1]}
    tried = [{variable: {option: sample} if option else sample} for sample in SAMPLES]
    return next(each for each in tried if not normalise(each)[1])


@pytest.mark.parametrize("key", WITH_SAMPLE)
def test_a_variable_is_refused_where_the_package_does_not_know_its_key(key, hosts_of):
    """By the data itself; what came before the data begins is known to all of it."""
    (known,) = DATA["keys"][key]["known"]
    for release in RELEASES:
        (host,) = hosts_of({"kas1": {"info": {"gitlab_version": str(release)}, **given(WITH_SAMPLE[key])}})
        said = [text for _rule, _host, text in _rules.refused(Deployment([host]), ["kas"]) if "does not know" in text]
        assert bool(said) is not told(known, release), release


@pytest.mark.parametrize("key", sorted(set(DATA["keys"]) - set(VARIABLE_OF_KEY)))
def test_a_raw_setting_earns_a_warning_where_the_package_does_not_know_it(key, hosts_of):
    (known,) = DATA["keys"][key]["known"]
    for release in RELEASES if "." not in key else ():
        (host,) = hosts_of({"kas1": {"info": {"gitlab_version": str(release)}, "kas_settings": {key: 1}}})
        said = [text for _rule, _host, text in _rules.warned(Deployment([host])) if key in text]
        assert bool(said) is not told(known, release), release


def test_a_key_of_keys_is_known_with_the_first_of_them():
    assert KEYS["workspaces"].since == Release(18, 4, 0)
    assert KEYS["nginx"].since == Release(19, 2, 0)


def test_the_table_is_what_its_script_makes():
    spec = importlib.util.spec_from_file_location("releases", ROOT / "scripts" / "releases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.MODULE.read_text() == module.document(), "run: python scripts/releases.py"


def test_every_variable_becomes_a_key_of_the_table():
    assert set(VARIABLE_OF_KEY) - set(KEYS) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18.6.1", (18, 6, 1)),
        ("18.6.10-ee.0", (18, 6, 10)),
        ("18.6.1+stable", (18, 6, 1)),
        ("18.6", None),
        ("", None),
        (None, None),
        (18.6, None),
    ],
)
def test_release_of_a_version(text, expected):
    assert Release.of(text) == expected


def test_releases_compare_by_number():
    assert Release(16, 11, 0) > Release(16, 9, 6) > Release(16, 9, 0)
    assert [str(Release(17, 8, 0)), str(Release(17, 8, 0).next_patch)] == ["17.8.0", "17.8.1"]


def test_of_a_release_that_is_not_known_nothing_is_said():
    known = KEYS["agent_gitops_poll_period"]
    assert [known.not_yet(None), known.no_longer(None), known.known_to(None)] == [False] * 3


@pytest.mark.parametrize(
    ("release", "url", "address"),
    [
        (Release(17, 8, 0), True, True),
        (Release(17, 9, 0), True, False),
        (Release(18, 0, 0), False, False),
        (Release(17, 8, 1), False, False),
        (None, False, False),
    ],
)
def test_own_urls_that_a_broken_release_starts_with(release, url, address):
    assert [release in _releases.WANTS_URL, release in _releases.WANTS_ADDRESS] == [url, address]


def test_broken_releases():
    assert list(map(str, BROKEN)) == ["16.9.6", "16.10.4", "16.11.1", "17.8.0", "17.9.0", "18.0.0"]
    assert {broken.starts_with for broken in BROKEN.values()} == {"any", "address", "url", "none"}
