"""Print the settings that pip has on this machine, from files and environment, as a pip.conf."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys

listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
settings = configparser.RawConfigParser()
for line in sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:")):  # the environment wins
    name, value = line.split("=", 1)
    section, key = name.replace(":env:", "global").rsplit(".", 1)
    if not settings.has_section(section):
        settings.add_section(section)
    settings.set(section, key, ast.literal_eval(value))
settings.write(sys.stdout)
