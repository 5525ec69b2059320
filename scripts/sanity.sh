#!/usr/bin/env bash
# ansible-test sanity and units on every supported ansible-core (KAS_TEST_CORES="2.16 2.21" for some of them), from the
# checkout's files alone: a copy where ansible-test wants a collection to be, a home of its own with pip's settings (it
# hands its tools nothing but HOME and PATH), and in place of the script that it fetches to install pip, one of ours.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/.cache/sanity
collection=$work/ansible_collections/kasops/gitlab_kas
home=$work/home
pythons=$(scripts/pythons.sh)

rm -rf "$collection"
mkdir -p "$collection" "$home/.config/pip" "$home/.ansible/test/cache"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory "$collection"
git init --quiet "$collection" # else it looks at the checkout around it, which ignores the copy
python3 scripts/pip_settings.py >"$home/.config/pip/pip.conf"

for version in ${KAS_TEST_CORES:-2.16 2.17 2.18 2.19 2.20 2.21}; do
  core=$(scripts/core.sh "$version")
  for pip in $(sed -n "s/^ *pip='\([0-9.]*\)'.*/\1/p" "$core"/../lib/python*/site-packages/ansible_test/_internal/python_requirements.py); do
    cp scripts/get_pip.py "$home/.ansible/test/cache/get_pip_${pip//./_}.py"
  done
  echo "ansible-core $version"
  (cd "$collection" && HOME=$home PATH=$core:$pythons:/usr/bin:/bin ansible-test sanity "$@")
done
