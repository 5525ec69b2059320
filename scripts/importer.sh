#!/usr/bin/env bash
# What Galaxy says of the collection when it is published: galaxy-importer, and a warning of its is an error here.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
work=$PWD/.cache/importer
rm -rf "$work"
mkdir -p "$work"
# Rules that ask a server are passed over.
printf '[galaxy-importer]\nOFFLINE_ANSIBLE_LINT = True\n' >"$work/settings.cfg"
ansible-galaxy collection build --output-path "$work" >/dev/null
cd "$work"
GALAXY_IMPORTER_CONFIG=settings.cfg python -m galaxy_importer.main ./*.tar.gz 2>&1 | tee log
! grep -q 'WARNING\|ERROR' log
