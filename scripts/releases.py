"""Write the table of gitlab_kas' keys into plugins/plugin_utils/_releases.py: `python scripts/releases.py`.

It is made from tests/data/kas-settings-by-version.json, which was read from the release tags of omnibus-gitlab, and
from the few things below that are not in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data" / "kas-settings-by-version.json"
MODULE = ROOT / "plugins" / "plugin_utils" / "_releases.py"
BEGIN = "# -- made by scripts/releases.py --\n"
END = "# -- up to here --\n"

# The data begins with 15.11; these came before it, but not long before (the package's changelog).
OLDER = {
    f"{listener}{file}_file": "14.8.0"
    for listener in ("", "private_api_", "internal_api_", "kubernetes_api_")
    for file in ("certificate", "key")
}
# Every service of the package takes these (libraries/logfiles_helper.rb), and env, whose names stand in a table of
# their own; '' is known from the beginning.
OF_EVERY_SERVICE = {
    "env": "",
    "log_group": "16.0.0",
    "svlogd_filter": "",
    "svlogd_num": "",
    "svlogd_prefix": "",
    "svlogd_size": "",
    "svlogd_timeout": "",
    "svlogd_udp": "",
    "udp_log_shipping_host": "",
    "udp_log_shipping_hostname": "",
    "udp_log_shipping_port": "",
}

Row = tuple[str, str, dict[str, str]]  # known from, gone from, and each default from a release on


def rows(names: Mapping[str, Any], first: str) -> dict[str, Row]:
    """One row for each name; one with a dot counts for what stands before it."""
    found: dict[str, Row] = {}
    for name, facts in names.items():
        (known,) = facts["known"]
        since = "" if known["from"] == first else known["from"]
        section, _dot, nested = name.partition(".")
        defaults = {} if nested else {each["from"]: each["default"] for each in facts["defaults"]}
        found.setdefault(section, (OLDER.get(name, since), known.get("before", ""), defaults))
    return found


def lines(name: str, table: Mapping[str, Row]) -> Iterator[str]:
    yield f"{name} = _table(\n    {{\n"
    for key, (since, before, defaults) in sorted(table.items()):
        pairs = ", ".join(f"{quoted(release)}: {quoted(default)}" for release, default in defaults.items())
        yield f"        {quoted(key)}: ({quoted(since)}, {quoted(before)}, {{{pairs}}}),\n"
    yield "    }\n)\n"


def quoted(text: str) -> str:
    """A Python text as ruff writes it: between double quotes, unless that takes more backslashes."""
    return f"'{text}'" if text.count('"') > text.count("'") == 0 else json.dumps(text)


def block() -> str:
    data = json.loads(DATA.read_text())
    keys = rows(data["keys"], data["first"])
    keys.update({key: (since, "", {}) for key, since in OF_EVERY_SERVICE.items()})
    first, last = (", ".join(data[end].split(".")) for end in ("first", "last"))
    parts: Iterable[str] = (
        f"FIRST, LAST = Release({first}), Release({last})\n\n",
        *lines("KEYS", keys),
        "\n",
        *lines("ENVIRONMENT", rows(data["env"], data["first"])),
    )
    return "".join(parts)


def document() -> str:
    """The module with the block as the data makes it."""
    before, rest = MODULE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}{block()}{END}{after}"


if __name__ == "__main__":
    MODULE.write_text(document())
