"""Write plugins/module_utils/_ruby_outline.py from scripts/ruby_outline.rb: `python scripts/ruby_outline.py`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "scripts" / "ruby_outline.rb"
MODULE = ROOT / "plugins" / "module_utils" / "_ruby_outline.py"

HEAD = '''# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Ruby program that outlines a text for :mod:`_ruby`, made by scripts/ruby_outline.py; change its .rb there."""

from __future__ import annotations

'''


def module() -> str:
    """The module's text. Modules reach a node as Python alone, so the program goes as a text in one."""
    program = PROGRAM.read_text(encoding="utf-8")
    if '"""' in program:
        raise ValueError(f"{PROGRAM} holds three double quotes, which a Python text cannot; write them otherwise")
    return f'{HEAD}OUTLINE = r"""{program}"""\n'


if __name__ == "__main__":
    MODULE.write_text(module(), encoding="utf-8")
