"""Call KAS as Rails does: at the internal URL of gitlab.yml, with a token signed by .gitlab_kas_secret.

`python3 -m gitlab_kas.rails` prints `ok`, or gRPC's error and exits 1. It runs where Rails would: on a Rails node.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import yaml

from gitlab_kas import config, grpc
from gitlab_kas.errors import KasError
from gitlab_kas.mesh import trust

RAILS = Path("/opt/gitlab/embedded/service/gitlab-rails")


def main() -> int:
    settings = yaml.safe_load((RAILS / "config/gitlab.yml").read_text(encoding="utf-8"))["production"]["gitlab_kas"]
    if not settings["enabled"]:
        print("KAS is not enabled")
        return 1
    try:
        secret = config.load_secret(str(RAILS / ".gitlab_kas_secret"), 32, "Rails")
        call = grpc.ping(settings["internal_url"], secret, trust("/opt/gitlab/embedded/ssl/certs", None), "", "gitlab")
        asyncio.run(asyncio.wait_for(call, 5))
    except (grpc.RpcError, KasError, asyncio.TimeoutError) as error:
        print(error or "rpc error: code = DeadlineExceeded desc = context deadline exceeded")
        return 1
    print("ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
