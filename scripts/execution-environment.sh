#!/usr/bin/env bash
# Make the build context of the execution environment (`create`); the image, too, on a base made here (`build`); deploy
# the test hosts from within it (`run`).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
engine=${MOLECULE_ENGINE:-podman}
work=$PWD/.cache/execution-environment
image=localhost/gitlab-kas-ee:latest

create() {
  rm -rf "$work/context"
  ansible-galaxy collection build --force >/dev/null
  ansible-builder create --context "$work/context" "$@"
}

build() {
  mkdir -p "$work/base/wheels"
  # The context says itself what is installed into the image beside the collection's own needs.
  pip download --quiet --disable-pip-version-check --dest "$work/base/wheels" --only-binary :all: --python-version 3.11 \
    'ansible-core>=2.16,<2.22' 'ansible-runner>=2.4' bindep pyyaml packaging dumb-init==1.2.5 setuptools wheel pip \
    --requirement requirements.txt
  cat >"$work/base/Containerfile" <<'BASE'
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends openssh-client python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* && python3 -m venv /opt/ansible
COPY wheels /opt/wheels
RUN printf '[global]\nno-index = true\nfind-links = /opt/wheels\n' >/etc/pip.conf
ENV PATH=/opt/ansible/bin:$PATH
BASE
  "$engine" build --quiet --build-arg "BASE=${MOLECULE_BASE_IMAGE:-localhost/debian-base:bookworm}" \
    --tag localhost/gitlab-kas-ee-base "$work/base"
  "$engine" build --build-arg EE_BASE_IMAGE=localhost/gitlab-kas-ee-base --build-arg PYCMD=/opt/ansible/bin/python3 \
    --build-arg PKGMGR=/usr/bin/apt-get --build-arg PKGMGR_PRESERVE_CACHE=always --tag "$image" "$work/context"
}

# The hosts of scenario cluster are deployed from within the image: by a user id that it does not know, over SSH in the
# hosts' own network. The second run must change nothing.
run() {
  local key=$work/id_ed25519 run recap
  trap 'molecule destroy --scenario-name default' EXIT
  ansible-playbook --inventory molecule/inventory/hosts.yml --extra-vars @molecule/cluster/variables.yml \
    molecule/cluster/prepare.yml
  for host in kas1 kas2 kas3; do
    "$engine" exec "$host" /usr/sbin/sshd
  done
  install --mode 0400 --owner 4711 "$KAS_TEST_KEYS/id_ed25519" "$key"
  for run in first second; do
    "$engine" run --rm --user 4711:0 --network gitlab-kas-test --volume "$key:/runner/key:ro" \
      --volume "$PWD/molecule:/runner/project:ro" --workdir /runner/project "$image" \
      ansible-playbook --inventory inventory/hosts.yml --extra-vars @cluster/variables.yml --private-key /runner/key \
      --extra-vars '{"ansible_host": "{{ node_ip | default(inventory_hostname) }}", "ansible_ssh_common_args": "-o StrictHostKeyChecking=no"}' \
      cluster/converge.yml | tee "$work/$run.log"
  done
  recap=$(grep -c 'changed=0 .*failed=0' "$work/second.log")
  [ "$recap" = 4 ] # localhost and three nodes
}

case ${1:-create} in
  create) create ;;
  build) create && build ;;
  run) run ;;
esac
