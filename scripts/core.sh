#!/usr/bin/env bash
# Make a virtual environment with an ansible-core (2.16, say), if there is none yet, and say where its programs are.
# One Python runs all of them, 3.12; KAS_TEST_PYTHON names another.
set -euo pipefail
cd "$(dirname "$0")/.."
core=$PWD/.cache/core/$1
if [ ! -x "$core/bin/pytest" ]; then
  python=${KAS_TEST_PYTHON:-$(scripts/pythons.sh)/python3.12}
  if [ ! -x "$(command -v "$python")" ]; then
    echo "ansible-core $1 needs a Python that runs it; install Python 3.12, or set KAS_TEST_PYTHON to one." >&2
    exit 1
  fi
  "$python" -m venv --clear "$core"
  "$core/bin/pip" install --quiet --disable-pip-version-check \
    "ansible-core==$1.*" --requirement tests/unit/requirements.txt pytest >&2
fi
echo "$core/bin"
