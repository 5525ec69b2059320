#!/usr/bin/env bash
# Put awx.awx where the tests find it, to hold awx/setup.yml to it. The Python package that has it is large: it is read
# once, and only this part of it is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
collections=.ansible/collections
[ ! -e $collections/ansible_collections/awx/awx/MANIFEST.json ] || exit 0
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
.venv/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$wheels" ansible==12.3.0
.venv/bin/python - "$wheels"/*.whl $collections <<'PYTHON'
import sys
import zipfile

wheel = zipfile.ZipFile(sys.argv[1])
wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith("ansible_collections/awx/awx/")])
PYTHON
