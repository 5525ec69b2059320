# shellcheck shell=bash
# Source this from anywhere: the environment of molecule, ansible-lint, mypy and pytest.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ ! -d "$root/.venv/bin" ] || PATH="$root/.venv/bin:$PATH"
# promtool, where scripts/setup.sh has fetched it.
[ ! -d "$root/.cache/bin" ] || PATH="$root/.cache/bin:$PATH"
# Ansible's state lies in the checkout; a symlink makes the checkout itself the installed collection.
export ANSIBLE_HOME="$root/.ansible"
export ANSIBLE_COLLECTIONS_PATH="$ANSIBLE_HOME/collections"
mkdir -p "$ANSIBLE_COLLECTIONS_PATH/ansible_collections/kasops"
ln -sfn ../../../.. "$ANSIBLE_COLLECTIONS_PATH/ansible_collections/kasops/gitlab_kas"
# Where the SSH key of the test hosts lies; molecule/inventory/hosts.yml names it.
export KAS_TEST_KEYS="${KAS_TEST_KEYS:-$root/.cache/test-hosts}"
# Only where podman's default runtime cannot run (cgroups v1 or hybrid with crun).
if [ -z "${CONTAINERS_CONF:-}" ] && command -v podman >/dev/null \
  && [ "$(podman info --format '{{.Host.CgroupsVersion}}')" = v1 ]; then
  export CONTAINERS_CONF="$root/molecule/image/containers.conf"
fi
