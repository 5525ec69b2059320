"""From the command line to a running KAS."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from gitlab_kas import config, grpc, http, own_url, services, sockets
from gitlab_kas.errors import KasError, KasPanic
from gitlab_kas.log import Log
from gitlab_kas.mesh import Mesh, client, trust

MANIFEST = Path(os.environ.get("STAND_IN_MANIFEST", "/opt/gitlab/version-manifest.json"))
HOST = "OWN_PRIVATE_API_HOST"


def main(arguments: list[str]) -> int:
    text = json.loads(MANIFEST.read_text(encoding="utf-8"))["build_version"]
    version = tuple(int(number) for number in re.findall(r"\d+", text)[:3])
    parser = argparse.ArgumentParser(prog="kas", allow_abbrev=False)
    parser.add_argument("--configuration-file", required="--version" not in arguments)
    parser.add_argument("--version", action="store_true")
    options = parser.parse_args(arguments)
    if options.version:
        print(f"kas version v{'.'.join(map(str, version))}, commit: stand-in, built: -")
        return 0
    log = Log(capitals=version >= (17, 8))
    try:
        cfg = config.load(options.configuration_file, version)
        log = Log(cfg["observability"]["logging"]["level"], log.capitals)
        asyncio.run(Kas(cfg, version, log).run())
    except KasPanic as panic:
        print(f"panic: {panic}\n\ngoroutine 1 [running]:\nmain.main()\n\t/cmd/kas/main.go", file=sys.stderr)
        return 2
    except KasError as error:
        log.error("Program aborted", error=str(error))
        return 1
    return 0


def agents(authorization: str) -> None:
    """No agent is known here."""
    grpc.bearer(authorization)
    raise grpc.RpcError(grpc.UNAUTHENTICATED, "unauthenticated")


def interface_addresses() -> list[own_url.Address]:
    """Every address of every interface, in the kernel's order."""
    text = subprocess.run(["/usr/sbin/ip", "-j", "address"], capture_output=True, check=True).stdout
    return [ipaddress.ip_address(item["local"]) for link in json.loads(text) for item in link["addr_info"]]


class Kas:
    """Checks everything, then listens everywhere."""

    def __init__(self, cfg: dict[str, Any], version: tuple[int, ...], log: Log) -> None:
        self.cfg, self.version, self.log = cfg, version, log
        self.sockets: list[socket.socket] = []
        self.ready = dict.fromkeys(["agentServer", "apiServer", "privateApiServer", "kubernetesApiServer"], False)

    async def run(self) -> None:
        self.log.info("Running KAS", version="v" + ".".join(map(str, self.version)))
        secrets = self.secrets()
        private = self.cfg["private_api"]["listen"]
        own = self.own_url(private)
        name = os.environ.get(HOST, "")
        if private.get("certificate_file") and private.get("key_file") and not name:
            raise KasError(
                f"private API server: new server: {HOST} environment variable is not set. Set it to the kas' host"
                " name if you want to use TLS for kas->kas communication"
            )
        await self.join(own.urls(), secrets["private"], name)
        tls = trust(os.environ.get("SSL_CERT_DIR", "/etc/ssl/certs"), private.get("ca_certificate_file"))
        try:
            await self.listen_everywhere(secrets)
            meeting = asyncio.create_task(self.mesh.run(tls))

            def stop() -> None:
                self.mesh.is_over = True  # the client of Redis may take a cancellation for a timeout
                meeting.cancel()

            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            with contextlib.suppress(asyncio.CancelledError):
                await meeting
            await self.mesh.leave()
        finally:
            for bound in self.sockets:
                if bound.family == socket.AF_UNIX:
                    Path(bound.getsockname()).unlink(missing_ok=True)

    async def join(self, own: list[str], secret: bytes, name: str) -> None:
        """Without Redis there is no start; once it runs, KAS is only not ready without it."""
        try:
            store = client(self.cfg["redis"])
        except KasError as error:
            raise KasError(f"redis client: {error}") from None
        self.mesh = Mesh(store, self.cfg["redis"]["key_prefix"], own, secret, name, self.log)
        problem = await self.mesh.probe()
        if problem:
            raise KasError(f"redis client: {problem}")

    def secrets(self) -> dict[str, bytes]:
        agent, api, private = (self.cfg[part] for part in ("agent", "api", "private_api"))
        websocket = agent["kubernetes_api"].get("websocket_token_secret_file")
        if websocket:
            config.load_secret(websocket, 72, "websocket_token_secret_file")
        elif self.version >= (18, 0):
            raise KasError("websocket_token_secret_file: open : no such file or directory")
        config.load_secret(self.cfg["gitlab"]["authentication_secret_file"], 32, "authentication secret")
        return {
            "api": config.load_secret(api["listen"]["authentication_secret_file"], 32, "API server: auth secret file"),
            "private": config.load_secret(
                private["listen"]["authentication_secret_file"], 32, "private API server: auth secret file"
            ),
        }

    def own_url(self, listener: dict[str, str]) -> own_url.OwnUrl:
        try:
            own = own_url.own_url(
                os.environ, listener["network"], listener["address"], self.version, interface_addresses
            )
        except KasError as error:
            raise KasError(f"private API server: {error}") from None
        if self.version < (17, 8):
            self.log.info("Using own private API URL", url=own.urls()[0])
            return own
        self.log.info("Using own private API multi URL", url=own.multi())
        if any(own_url.is_internal(host) for host in own.hosts):
            self.log.warn(
                "Own private API multi URL contains a loopback or a link-local IP address(es)", url=own.multi()
            )
        return own

    async def listen_everywhere(self, secrets: dict[str, bytes]) -> None:
        cfg = self.cfg
        await self.listen_http("Observability", None, cfg["observability"]["listen"], self.observe)
        agent = cfg["agent"]["listen"]
        if agent.get("websocket"):
            await self.listen_http("Agentk API", "agentServer", agent, http.agents)
        else:
            await self.listen_grpc("Agentk API", "agentServer", agent, grpc.Listener(services.AGENTS, agents))
        internal = grpc.Listener(services.INTERNAL, grpc.signed(secrets["api"], None, self.log.debug))
        await self.listen_grpc("API", "apiServer", cfg["api"]["listen"], internal)
        private = cfg["private_api"]["listen"]
        peers = grpc.Listener(services.PRIVATE, grpc.signed(secrets["private"], grpc.KAS, self.log.debug))
        await self.listen_grpc("Private API", "privateApiServer", private, peers)
        kubernetes = cfg["agent"]["kubernetes_api"]["listen"]
        await self.listen_http("Kubernetes API", "kubernetesApiServer", kubernetes, http.kubernetes_api)

    async def listen_http(self, what: str, probe: str | None, listener: dict[str, str], handler: http.Handler) -> None:
        tls = sockets.server_tls(listener, ["http/1.1"])
        await asyncio.start_server(http.server(handler), sock=self.bind(listener), ssl=tls)
        self.up(what, probe)

    async def listen_grpc(self, what: str, probe: str, listener: dict[str, str], served: grpc.Listener) -> None:
        tls = sockets.server_tls(listener, ["h2"])
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: grpc.Server(served), sock=self.bind(listener), ssl=tls)
        self.up(what, probe)

    def bind(self, listener: dict[str, str]) -> socket.socket:
        bound = sockets.listen(listener.get("network", "tcp"), listener["address"])
        self.sockets.append(bound)
        return bound

    def up(self, what: str, probe: str | None) -> None:
        self.log.info(f"{what} endpoint is up", **sockets.described(self.sockets[-1]))
        if probe:
            self.ready[probe] = True

    async def observe(self, method: str, path: str, headers: http.Headers) -> tuple[int, str]:
        paths = self.cfg["observability"]
        if path == paths["liveness_probe"]["url_path"]:
            return 200, ""
        if path == paths["readiness_probe"]["url_path"]:
            problem = await self.problem()
            if problem:
                self.log.error("ReadinessProbe failed", error=problem)
            return (500, problem + "\n") if problem else (200, "")
        if path == paths["prometheus"]["url_path"]:
            return 200, self.metrics()
        return 404, "404 page not found\n"

    async def problem(self) -> str:
        """The first readiness probe that fails, else empty."""
        redis = await self.mesh.probe()
        if redis:
            return f"redis: {redis}"
        return next((f"{name}: not ready yet" for name, ready in self.ready.items() if not ready), "")

    def metrics(self) -> str:
        version = ".".join(map(str, self.version))
        lines = [
            "# TYPE gitlab_build_info gauge",
            f'gitlab_build_info{{built="-",version="v{version}"}} 1',
            "# TYPE kas_peer_up gauge",
            *(f'kas_peer_up{{url="{url}"}} {int(not error)}' for url, error in sorted(self.mesh.answers.items())),
        ]
        return "\n".join(lines) + "\n"
