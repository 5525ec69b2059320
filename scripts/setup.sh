#!/usr/bin/env bash
# Put in place what the tests and the demo need: Debian packages (as root; else they must be there) and .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${MOLECULE_ENGINE:-podman}
packages=(haproxy iproute2 nginx openssh-client openssl redis-server ruby ruby-chef-utils ruby-mixlib-config)
if [ -z "${KAS_TEST_INVENTORY:-}" ]; then # hosts of one's own are no containers
  [ "$engine" != podman ] || packages+=(podman runc)
  command -v podman >/dev/null && podman image exists localhost/debian-base:bookworm || packages+=(mmdebstrap)
fi
# ensurepip comes with python3-venv on Debian; a Python of one's own brings it along.
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)

needed() {
  case $1 in
    haproxy | nginx) PATH=$PATH:/usr/sbin command -v "$1" >/dev/null ;;
    iproute2) command -v ip >/dev/null ;;
    openssh-client) command -v ssh ssh-keygen >/dev/null ;;
    ruby-chef-utils) ruby -e "require 'chef-utils/mash'" 2>/dev/null ;;
    ruby-mixlib-config) ruby -e "require 'mixlib/config'" 2>/dev/null ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac && return 1 || return 0
}

missing=()
for package in "${packages[@]}"; do
  ! needed "$package" || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Please install these first, as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # The tests start servers of their own: the packages' are neither started now (a runlevel for that) nor at boot.
  RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  for server in haproxy nginx redis-server; do
    if [[ " ${missing[*]} " == *" $server "* ]] && command -v systemctl >/dev/null; then
      systemctl --root=/ --quiet disable "$server"
    fi
  done
fi

# Of Debian's prometheus only the program that checks its files: the package itself would start a server.
promtool=.cache/bin/promtool
if ! command -v promtool >/dev/null && [ ! -x "$promtool" ]; then
  if ! command -v apt-get >/dev/null; then
    echo "Please install promtool first; it is a part of Prometheus." >&2
    exit 1
  fi
  fetched=$(mktemp -d)
  trap 'rm -rf "$fetched"' EXIT
  download=(apt-get download -qq -o APT::Sandbox::User=root prometheus)
  (cd "$fetched" && ("${download[@]}" 2>/dev/null || { apt-get update -qq && "${download[@]}"; }))
  mkdir -p "${promtool%/*}"
  dpkg-deb --fsys-tarfile "$fetched"/prometheus_*.deb | tar -x -O ./usr/bin/promtool >"$fetched/promtool"
  install -m 0755 "$fetched/promtool" "$promtool"
fi

stamp=.venv/requirements.sha256
if ! sha256sum --check --status "$stamp" 2>/dev/null; then
  python3 -m venv --clear .venv
  .venv/bin/pip install --quiet --quiet --disable-pip-version-check --requirement tests/requirements.txt
  sha256sum tests/requirements.txt >"$stamp"
fi
