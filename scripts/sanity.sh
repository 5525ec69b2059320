#!/usr/bin/env bash
# ansible-test sanity on every supported ansible-core (KAS_TEST_CORES="2.16 2.21" for some of them).
set -euo pipefail
cd "$(dirname "$0")/.."
for version in ${KAS_TEST_CORES:-2.16 2.17 2.18 2.19 2.20 2.21}; do
  scripts/ansible-test.sh "$version" sanity
done
