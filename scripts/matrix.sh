#!/usr/bin/env bash
# Try the collection on every supported ansible-core: the unit tests of what runs on the controller, and the scenario
# secrets as a whole. KAS_TEST_CORES="2.16 2.21" for some of them; KAS_TEST_PYTHON is a Python that runs all of these.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh

for version in ${KAS_TEST_CORES:-2.16 2.18 2.19 2.21}; do
  core=$(scripts/core.sh "$version")
  "$core/ansible" --version | sed -n 1p
  PATH="$core:$PATH" "$core/pytest" tests/unit/plugins/{action,filter,plugin_utils}
  KAS_TEST_CORE="$core" scripts/test-hosts.sh -s secrets
done
