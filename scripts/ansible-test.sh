#!/usr/bin/env bash
# Run ansible-test of an ansible-core: `scripts/ansible-test.sh 2.19 sanity`. It needs the project's files alone: a copy
# where ansible-test wants a collection to be, a home of its own with pip's settings (it hands its tools nothing but HOME
# and PATH), and in place of the script that it fetches to install pip, one of ours.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$PWD/.cache/ansible-test
collection=$work/ansible_collections/kasops/gitlab_kas
home=$work/home
core=$(scripts/core.sh "$1")
pythons=$(scripts/pythons.sh)

# Its own environments, below tests/output, stay for the next run.
mkdir -p "$collection/tests/output" "$home/.config/pip" "$home/.ansible/test/cache"
find "$collection" -mindepth 1 -maxdepth 1 ! -name tests ! -name .git -exec rm -rf {} +
find "$collection/tests" -mindepth 1 -maxdepth 1 ! -name output -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard --deduplicate \
  | xargs -0 cp --parents --target-directory "$collection"
git init --quiet "$collection" # else it looks at the checkout around it, which ignores the copy

python3 scripts/pip_settings.py >"$home/.config/pip/pip.conf"
requirements=$(echo "$core"/../lib/python*/site-packages/ansible_test/_internal/python_requirements.py)
for pip in $(sed -n "s/^ *pip='\([0-9.]*\)'.*/\1/p" "$requirements"); do
  cp scripts/get_pip.py "$home/.ansible/test/cache/get_pip_${pip//./_}.py"
done

echo "== ansible-core $1: ansible-test ${*:2}"
cd "$collection"
HOME=$home PATH=$core:$pythons:/usr/bin:/bin exec ansible-test "${@:2}" --color no
