#!/usr/bin/env bash
# Run Molecule's scenarios from a clean state: those of `make test`, `--all`, or `-s NAME`. With KAS_TEST_CORE, the bin
# directory of an ansible-core (scripts/core.sh), its programs run the playbooks.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
if [ -n "${KAS_TEST_CORE:-}" ]; then # Molecule, pytest and testinfra stay those of the checkout
  programs=$(mktemp -d)
  trap 'rm -rf "$programs"' EXIT
  ln -s "$KAS_TEST_CORE"/ansible* "$programs"
  PATH="$programs:$PATH"
  ansible-playbook --version | sed -n 1p
fi
molecule destroy --scenario-name default
# `make test` is to take less than twenty minutes; much of what these four try is in the unit tests, too.
[ $# -gt 0 ] || set -- --all --exclude own_url --exclude redis --exclude include --exclude rolling
# secrets takes long: scripts/matrix.sh; package needs a real one: scripts/test-package.sh.
[ "$1" != --all ] || set -- "$@" --exclude secrets
molecule test --exclude package "$@"
