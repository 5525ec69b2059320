#!/usr/bin/env bash
# Link every Python 3.9 to 3.14 of this machine into .cache/pythons: those in PATH, and pyenv's. A shim of pyenv's stands
# in PATH also for a Python that it does not start, so each is asked who it really is. Says where the links are.
set -euo pipefail
cd "$(dirname "$0")/.."
links=$PWD/.cache/pythons
mkdir -p "$links"
for version in 3.9 3.10 3.11 3.12 3.13 3.14; do
  for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
    if real=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null); then
      ln -sfn "$real" "$links/python$version"
      break
    fi
  done
done
echo "$links"
