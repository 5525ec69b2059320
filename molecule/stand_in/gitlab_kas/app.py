"""From the command line to a running KAS."""

from __future__ import annotations

import argparse
import asyncio
import sys

from gitlab_kas import config
from gitlab_kas.errors import KasError, KasPanic
from gitlab_kas.kas import Kas
from gitlab_kas.log import Log
from gitlab_kas.release import installed, shown


def main(arguments: list[str]) -> int:
    release = installed()
    parser = argparse.ArgumentParser(prog="kas", allow_abbrev=False)
    parser.add_argument("--configuration-file", required="--version" not in arguments)
    parser.add_argument("--version", action="store_true")
    options = parser.parse_args(arguments)
    if options.version:
        print(f"kas version {shown(release)}, commit: stand-in, built: -")
        return 0
    try:
        cfg = config.load(options.configuration_file, release)
        asyncio.run(Kas(cfg, release, Log(release, cfg["observability"]["logging"]["level"])).run())
    except KasPanic as panic:
        print(f"panic: {panic}\n\ngoroutine 1 [running]:\nmain.main()\n\t/cmd/kas/main.go", file=sys.stderr)
        return 2
    except KasError as error:
        Log(release).aborted(str(error))
        return 1
    return 0
