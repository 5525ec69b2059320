#!/usr/bin/env bash
# Run Molecule's scenarios from a clean state: every one, or `-s NAME`.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
molecule destroy --scenario-name default
[ "${1:---all}" != --all ] || set -- --all --exclude secrets # it takes long: scripts/matrix.sh
# package needs a real one: scripts/test-package.sh.
molecule test --exclude package "$@"
