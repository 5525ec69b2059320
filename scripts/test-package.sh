#!/usr/bin/env bash
# Run the playbooks on a real package: on three hosts from a GitLab image, or on hosts that the user names.
set -euo pipefail
export KAS_TEST_IMAGE=${KAS_TEST_IMAGE:-} KAS_TEST_INVENTORY=${KAS_TEST_INVENTORY:-}
case ${KAS_TEST_IMAGE:+image}${KAS_TEST_INVENTORY:+inventory} in
  image) ;;
  inventory) KAS_TEST_INVENTORY=$(realpath -e "$KAS_TEST_INVENTORY") ;;
  *)
    echo 'Set either KAS_TEST_IMAGE to a GitLab image or KAS_TEST_INVENTORY to an inventory whose hosts may be thrown away.' >&2
    exit 2
    ;;
esac
cd "$(dirname "$0")/.."
scripts/setup.sh
# shellcheck source=scripts/test-env.sh
. scripts/test-env.sh
molecule destroy --scenario-name package
molecule test --scenario-name package
