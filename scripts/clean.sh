#!/usr/bin/env bash
# Take away what setup, demo and test made, test hosts and images included. Debian packages stay.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
engine=${MOLECULE_ENGINE:-podman}
if command -v "$engine" >/dev/null; then
  for host in kas1 kas2 kas3; do
    "$engine" rm --force --volumes "$host" >/dev/null 2>&1 || true
  done
  "$engine" network rm gitlab-kas-test >/dev/null 2>&1 || true
  for image in gitlab-kas-ee gitlab-kas-ee-base gitlab-kas-test:bookworm debian-base:bookworm; do
    "$engine" rmi "localhost/$image" >/dev/null 2>&1 || true
  done
  # What earlier builds of the image left without a name.
  "$engine" image prune --force --filter label=gitlab-kas-test.digest >/dev/null 2>&1 || true
fi
rm -rf .venv .ansible .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache kasops-gitlab_kas-*.tar.gz
find . -name __pycache__ -type d -prune -exec rm -rf {} +
