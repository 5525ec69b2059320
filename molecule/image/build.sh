#!/bin/sh
# Build the image of the test hosts from image/ and stand_in/; nothing is done when it is up to date.
# Usage: build.sh [IMAGE]. The base image comes from a registry or, where none can be reached, from mmdebstrap.
set -eu
cd "$(dirname "$0")/.."
image=${1:-localhost/gitlab-kas-test:bookworm}
engine=${MOLECULE_ENGINE:-podman}
base=${MOLECULE_BASE_IMAGE:-debian:bookworm-slim}
local_base=localhost/debian-base:bookworm
label=gitlab-kas-test.digest

have() {
  "$engine" image inspect "$1" >/dev/null 2>&1
}

digest=$(find image stand_in -type f ! -path '*/.*' ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-32)
if have "$image" && [ "$("$engine" image inspect --format "{{index .Config.Labels \"$label\"}}" "$image")" = "$digest" ]; then
  exit 0
fi

if ! have "$base" && ! "$engine" pull --quiet "$base" >/dev/null 2>&1; then
  base=$local_base
  if ! have "$base"; then
    echo "no registry: making $base with mmdebstrap" >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mmdebstrap --quiet --variant=minbase --include=ca-certificates \
      --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' \
      bookworm "$work/base.tar"
    "$engine" import "$work/base.tar" "$base" >/dev/null
  fi
fi
"$engine" build --quiet --build-arg "BASE=$base" --build-arg "DIGEST=$digest" --tag "$image" --file image/Containerfile .
