"""KAS: everything is made in order, then all listeners start at once; it ends in the opposite order."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import random
import signal
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitlab_kas import dial, files, grpc, http, own_url, services, sockets, urls
from gitlab_kas.errors import KasError, part
from gitlab_kas.kubernetes_api import KubernetesApi
from gitlab_kas.log import Log
from gitlab_kas.mesh import Mesh
from gitlab_kas.observability import Observability
from gitlab_kas.release import NEW_FORM, Release, shown
from gitlab_kas.store import Store, StoreError, within
from gitlab_kas.websocket import Agents

HOST = "OWN_PRIVATE_API_HOST"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Endpoint:
    """A listener of KAS: what it is called, where it listens, whom it serves."""

    name: str
    cfg: dict[str, Any]
    tls: ssl.SSLContext | None
    serve: Serve
    probe: str = ""  # its name in the readiness
    server: asyncio.Server | None = None

    @property
    def grace_s(self) -> float:
        """How long it goes on after it was told to end."""
        return self.cfg.get("listen_grace_period", 0.0)

    async def close(self) -> None:
        """Stop listening; the file of a UNIX socket goes with it, one that another process left does not."""
        await asyncio.sleep(self.grace_s)
        if self.server:
            self.server.close()
            if self.cfg["network"] == "unix" and not self.cfg["address"].startswith("@"):
                Path(self.cfg["address"]).unlink(missing_ok=True)


class Kas:
    """Raises KasError with the reason why it does not start, or ends."""

    def __init__(self, cfg: dict[str, Any], release: Release, log: Log) -> None:
        self.cfg, self.release, self.log = cfg, release, log
        self.server = f"gitlab-kas/{shown(release)}/stand-in"

    async def run(self) -> None:
        if self.release >= NEW_FORM:
            self.log.info("Running KAS", version=shown(self.release))
        self.gitlab()
        await self.redis()
        private = self.private_api()
        agents = self.agents()
        internal = self.internal_api()
        observability = self.make(
            "observability", "Observability", self.cfg["observability"], self.observability.answer
        )
        kubernetes = self.kubernetes_api()
        await self.live([observability], [agents, internal, private], kubernetes)

    def gitlab(self) -> None:
        """Sentry and GitLab's API."""
        dsn = self.cfg["observability"].get("sentry", {}).get("dsn")
        fault = urls.sentry_fault(dsn) if dsn else ""
        if fault:
            raise KasError(f"error tracker: [Sentry] DsnParseError: {fault}")
        gitlab = self.cfg["gitlab"]
        if gitlab.get("ca_certificate_file"):
            files.check_ca(gitlab["ca_certificate_file"])
        with part("authentication secret"):
            files.secret(gitlab["authentication_secret_file"], 32)

    async def redis(self) -> None:
        """Without Redis there is no start; once KAS runs, it is only not ready without it."""
        with part("redis client") if self.release >= NEW_FORM else contextlib.nullcontext():
            self.store = Store(self.cfg["redis"], os.environ.get("SSL_CERT_DIR", "/etc/ssl/certs"))
            try:
                await within(self.store.timeout, self.store.ping())
            except StoreError as error:
                raise KasError(str(error)) from None
        self.observability = Observability(self.cfg["observability"], self.release, self.server, self.log, self.store)

    def private_api(self) -> Endpoint:
        listener, name = self.cfg["private_api"]["listen"], os.environ.get(HOST, "")
        with part("private API server"), part("auth secret file"):
            secret = files.secret(listener["authentication_secret_file"])
        # Later a URL that cannot be made has a message of its own.
        with part("private API server") if self.release < own_url.SEVERAL else contextlib.nullcontext():
            own = self.own_url(listener)
        with part("private API server"):
            if listener.get("ca_certificate_file"):
                with part("kas pool"):
                    files.check_ca(listener["ca_certificate_file"])
            with part("new server"):
                tls = files.server_tls(listener, ["h2"])
                if tls and not name:
                    raise KasError(
                        f"{HOST} environment variable is not set. Set it to the kas' host name if you want to use"
                        " TLS for kas->kas communication"
                    )
        self.trust = dial.client_context(self.store.certificates, listener.get("ca_certificate_file"))
        self.trust.set_alpn_protocols(["h2"])
        prefix = self.cfg["redis"]["key_prefix"]
        self.observability.mesh = Mesh(self.store, prefix, list(own.urls), secret, name, self.log)
        served = grpc.Listener(services.PRIVATE, grpc.signed(secret, grpc.KAS, self.log.debug))
        return self.grpc_server("Private API", "privateApiServer", listener, tls, served)

    def own_url(self, listener: dict[str, Any]) -> own_url.OwnUrl:
        own = own_url.own_url(os.environ, listener["network"], listener["address"], self.release, interface_addresses)
        if self.release < own_url.SEVERAL:
            self.log.info("Using own private API URL", url=own.shown)
            return own
        self.log.info("Using own private API multi URL", url=own.shown)
        if any(own_url.is_internal(ipaddress.ip_address(host)) for host in own.hosts):
            self.log.warn("Own private API multi URL contains a loopback or a link-local IP address(es)", url=own.shown)
        return own

    def agents(self) -> Endpoint:
        listener = self.cfg["agent"]["listen"]
        with part("agent server"):
            tls = files.server_tls(listener, ["h2", "http/1.1"] if listener.get("websocket") else ["h2"])
        served = grpc.Listener(services.AGENTS, services.agent_token)
        endpoint = self.grpc_server("Agentk API", "agentServer", listener, tls, served)
        if listener.get("websocket"):
            endpoint.serve = Agents(served, self.server).serve
        return endpoint

    def internal_api(self) -> Endpoint:
        listener = self.cfg["api"]["listen"]
        with part("API server"):
            with part("auth secret file"):
                secret = files.secret(listener["authentication_secret_file"])
            tls = files.server_tls(listener, ["h2"])
        served = grpc.Listener(services.INTERNAL, grpc.signed(secret, None, self.log.debug))
        return self.grpc_server("API", "apiServer", listener, tls, served)

    def kubernetes_api(self) -> list[Endpoint]:
        """Only where the configuration has its section."""
        cfg = self.cfg["agent"].get("kubernetes_api")
        if cfg is None:
            return []
        secret = cfg.get("websocket_token_secret_file", "")
        if secret or self.release >= (18, 0):
            with part("websocket_token_secret_file"):
                files.secret(secret, 72)
        external_url = self.cfg["gitlab"].get("external_url") or self.cfg["gitlab"]["address"]
        proxy = KubernetesApi(cfg["url_path_prefix"], external_url, self.server)
        return [self.make("kubernetes_api", "Kubernetes API", cfg, proxy.answer)]

    def make(self, what: str, name: str, cfg: dict[str, Any], handler: http.Handler) -> Endpoint:
        """An endpoint that speaks HTTP."""
        with part(what):
            tls = files.server_tls(cfg["listen"], ["http/1.1"])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await http.serve(handler, reader, writer)

        return Endpoint(name, cfg["listen"], tls, serve)

    def grpc_server(
        self, name: str, probe: str, cfg: dict[str, Any], tls: ssl.SSLContext | None, served: grpc.Listener
    ) -> Endpoint:
        """An endpoint that speaks gRPC."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await grpc.serve(served, reader, writer)

        self.observability.listeners.append(served)
        self.observability.ready[probe] = False
        return Endpoint(name, cfg, tls, serve, probe)

    async def live(self, first: list[Endpoint], servers: list[Endpoint], last: list[Endpoint]) -> None:
        """Listen everywhere until a signal comes, or until a listener fails; then end in three steps.

        The listeners that are up serve on while KAS ends, five seconds for each step unless configured: so a listener
        that cannot bind ends KAS only after ten.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.signalled, stop)
        endpoints = [*first, *servers, *last]
        errors = [error for one in random.sample(endpoints, len(endpoints)) if (error := await self.listen(one))]
        background = []
        if not errors:
            mesh = self.observability.mesh
            background = [asyncio.create_task(work) for work in (mesh.run(self.trust), self.subscribe())]
            await stop.wait()
        for task in background:
            task.cancel()
        for stage in (last, servers, first):
            await asyncio.gather(*(endpoint.close() for endpoint in stage))
        await asyncio.gather(*background, return_exceptions=True)
        if errors:
            raise errors[0]
        if self.release >= NEW_FORM:
            self.log.info("KAS shutdown done, exiting")

    def signalled(self, stop: asyncio.Event) -> None:
        if self.release >= NEW_FORM and not stop.is_set():
            self.log.info("Received shutdown signal")
        stop.set()

    async def listen(self, endpoint: Endpoint) -> KasError | None:
        try:
            bound = sockets.listen(endpoint.cfg["network"], endpoint.cfg["address"])
        except KasError as error:
            if not endpoint.probe:  # its step of the end has nothing to wait for
                endpoint.cfg["listen_grace_period"] = 0.0
            return error
        serve = guarded(endpoint.serve)
        endpoint.server = await asyncio.start_server(serve, sock=bound, ssl=endpoint.tls)
        extra = {"is_websocket": bool(endpoint.cfg.get("websocket"))} if endpoint.probe == "agentServer" else {}
        self.log.info(f"{endpoint.name} endpoint is up", **sockets.described(bound), **extra)
        if endpoint.probe:
            self.observability.ready[endpoint.probe] = True
        return None

    async def subscribe(self) -> None:
        """Every KAS listens to the others' events in Redis, if its user may."""
        while True:
            try:
                await self.store.events()
            except StoreError as error:
                self.log.error("Error handling Redis SUBSCRIBE", error=str(error))
            await asyncio.sleep(1)


def guarded(serve: Serve) -> Serve:
    """A connection that ends badly is no line in KAS's log."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            await serve(reader, writer)
        writer.close()

    return connection


def interface_addresses() -> list[own_url.Address]:
    """Every address of every interface, in the kernel's order."""
    text = subprocess.run(["/usr/sbin/ip", "-j", "address"], capture_output=True, check=True).stdout
    return [ipaddress.ip_address(item["local"]) for link in json.loads(text) for item in link["addr_info"]]
