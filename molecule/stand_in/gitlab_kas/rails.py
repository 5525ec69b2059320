"""Call KAS as Rails does: at the internal URL of gitlab.yml, with a token signed by .gitlab_kas_secret.

`python3 -m gitlab_kas.rails` prints `ok`, or gRPC's error and exits 1. It runs where Rails would: on a Rails node.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from pathlib import Path

import yaml

from gitlab_kas import call, dial, files, grpc
from gitlab_kas.errors import KasError
from gitlab_kas.services import INTERNAL_CALL

RAILS = Path("/opt/gitlab/embedded/service/gitlab-rails")


def main() -> int:
    settings = yaml.safe_load((RAILS / "config/gitlab.yml").read_text(encoding="utf-8"))["production"]["gitlab_kas"]
    if not settings["enabled"]:
        print("KAS is not enabled")
        return 1
    try:
        secret = files.secret(str(RAILS / ".gitlab_kas_secret"), 32)
        tls = dial.client_context("/opt/gitlab/embedded/ssl/certs")
        asyncio.run(ask(settings["internal_url"], grpc.token(secret, "gitlab"), tls))
    except grpc.RpcError as error:
        print(call.shown(error))
        return 1
    except KasError as error:
        print(error)
        return 1
    except TimeoutError:
        print("rpc error: code = DeadlineExceeded desc = context deadline exceeded")
        return 1
    print("ok")
    return 0


async def ask(url: str, bearer: str, tls: ssl.SSLContext) -> None:
    async with asyncio.timeout(5):
        await call.call(url, INTERNAL_CALL, bearer, tls, "")


if __name__ == "__main__":
    sys.exit(main())
