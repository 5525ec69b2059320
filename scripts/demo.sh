#!/bin/bash
# The main job, as an administrator does it: three hosts, one inventory, one command.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
inventory=molecule/inventory/hosts.yml

echo 'Starting three hosts, each with a stand-in for the GitLab Linux package…'
ansible-playbook --inventory "$inventory" molecule/default/create.yml >.cache/create.log 2>&1 || {
  cat .cache/create.log >&2
  exit 1
}
echo
echo '$ ansible-playbook kasops.gitlab_kas.deploy --extra-vars kas_own_private_api_cidr=10.87.0.0/24'
ansible-playbook --inventory "$inventory" kasops.gitlab_kas.deploy --diff \
  --extra-vars kas_own_private_api_cidr=10.87.0.0/24
echo
echo 'The hosts stay up: podman exec -it kas1 bash. `make clean` takes everything away.'
