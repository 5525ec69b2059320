#!/usr/bin/env bash
# The main job, as an administrator does it: three hosts, one inventory, one command.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
inventory=molecule/inventory/hosts.yml
log=.cache/demo.log
mkdir -p .cache

say() {
  printf '\n\033[1m%s\033[0m\n' "$*"
}

say 'Three hosts, each with a stand-in for the GitLab Linux package, reached over SSH…'
ansible-playbook --inventory "$inventory" molecule/default/create.yml >"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}

deploy=(ansible-playbook --inventory "$inventory" kasops.gitlab_kas.deploy --diff
  --extra-vars kas_own_private_api_cidr=10.87.0.0/24)
say "${deploy[*]}"
"${deploy[@]}"

say 'The same once more: nothing changes, nothing is reconfigured.'
"${deploy[@]}" >"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}
sed -n '/^PLAY RECAP/,$p' "$log" | grep kas

say 'One KAS cluster, as the last run has seen it:'
sed -n '/^node  *release/,/^ok:/{/^ok:/!s/^/  /p}' "$log"
say 'The hosts stay up (podman exec -it kas1 bash); make clean takes everything away.'
