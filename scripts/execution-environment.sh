#!/usr/bin/env bash
# Make the build context of the execution environment (`create`); the image, too, on a base made here (`build`); run
# scenario cluster from within it (`run`).
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

# Scenario cluster as it is, its refusals and second run included; what Molecule plays on the hosts runs in the image.
run() {
  molecule destroy --scenario-name default
  PATH=$PWD/scripts/execution-environment:$PATH molecule test --scenario-name cluster
}

case ${1:-create} in
  create) create ;;
  build) create && build ;;
  run) run ;;
esac
