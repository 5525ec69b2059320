#!/usr/bin/env bash
# Try the collection on every supported ansible-core (KAS_TEST_CORES="2.16 2.21" for some of them): whole playbooks on
# simulated nodes, where any warning fails, the unit tests, and the scenario cluster on the test hosts
# (KAS_TEST_SCENARIO="redis" for another one, "" for none); then, with the newest of them, what runs on a node on each
# Python that a node may have, as far as this machine has it.
set -euo pipefail
cd "$(dirname "$0")/.."
cores=${KAS_TEST_CORES:-2.16 2.17 2.18 2.19 2.20 2.21}
scenario=${KAS_TEST_SCENARIO-cluster}
for version in $cores; do
  core=$(scripts/core.sh "$version")
  echo "== ansible-core $version: playbooks on simulated nodes"
  "$core/pytest" tests/playbooks
  scripts/ansible-test.sh "$version" units --target-python venv/3.12
  if [ -n "$scenario" ]; then
    echo "== ansible-core $version: scenario $scenario"
    KAS_TEST_CORE="$core" scripts/test-hosts.sh -s "$scenario"
  fi
done
pythons=$(scripts/pythons.sh)
for python in "$pythons"/python3.*; do
  scripts/ansible-test.sh "${cores##* }" units --target-python "venv/${python##*/python}" \
    tests/unit/plugins/modules/ tests/unit/plugins/module_utils/
done
