"""8151: probes, metrics and a little of pprof."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from gitlab_kas import http
from gitlab_kas.grpc import Listener
from gitlab_kas.log import Log
from gitlab_kas.mesh import Mesh
from gitlab_kas.release import NEW_FORM, Release, shown
from gitlab_kas.store import Store

# What a KAS shows that nobody has asked for anything: type and sample.
ALWAYS = (
    ("gauge", "connected_agents_count 0"),
    ("gauge", 'limiter_limit{limiter_name="agent_connection",unit="{connection/token/m}"} 40000'),
    ("gauge", "promhttp_metric_handler_requests_in_flight 1"),
    ("gauge", 'target_info{service_name="gitlab-kas"} 1'),
)
OLD = (
    ("counter", "agent_server_rate_exceeded_total 0"),
    ("counter", "flux_dropped_git_push_notifications_total 0"),
    ("counter", "flux_git_push_notifications_total 0"),
    ("counter", "k8s_api_proxy_routing_timeout_total 0"),
)
NEW = (
    ("counter", "accepted_connections_total 0"),
    ("counter", "tunnel_routing_timeout_connected_recently_total 0"),
    ("counter", "tunnel_routing_timeout_not_connected_recently_total 0"),
)


class Observability:
    """Answers requests. `ready` says of each gRPC server whether it listens."""

    def __init__(self, cfg: dict[str, Any], release: Release, server: str, log: Log, store: Store) -> None:
        self.cfg, self.release, self.server, self.log, self.store = cfg, release, server, log, store
        self.ready: dict[str, bool] = {}
        self.listeners: list[Listener] = []
        self.mesh: Mesh | None = None
        self.started = time.time()

    async def answer(self, request: http.Request) -> http.Response:
        server = ("Server", self.server)
        if request.path == self.cfg["liveness_probe"]["url_path"]:
            return http.Response(200, b"", (server,))
        if request.path == self.cfg["readiness_probe"]["url_path"]:
            problem = await self.problem()
            if not problem:
                return http.Response(200, b"", (server,))
            self.log.error("ReadinessProbe failed", error=problem)
            return http.text(500, problem, server)
        if request.path == self.cfg["prometheus"]["url_path"]:
            version = ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            return http.Response(200, "".join(f"{line}\n" for line in self.metrics()).encode(), (server, version))
        if request.path == "/debug/pprof/cmdline":
            arguments = "\0".join(["/opt/gitlab/embedded/bin/gitlab-kas", *sys.argv[1:]])
            return http.Response(200, arguments.encode(), (server, *http.TEXT, ("X-Content-Type-Options", "nosniff")))
        return http.text(404, "404 page not found")

    async def problem(self) -> str:
        """One of the readiness probes that fail, any of them, else empty."""
        redis = await self.store.probe()
        problems = [f"redis: redis: {redis}"] if redis else []
        problems += [f"{name}: not ready yet" for name, is_ready in self.ready.items() if not is_ready]
        return random.choice(problems) if problems else ""

    def metrics(self) -> Iterator[str]:
        yield "# TYPE gitlab_build_info gauge"
        yield f'gitlab_build_info{{built="-",version="{shown(self.release)}"}} 1'
        for kind, sample in ALWAYS + (NEW if self.release >= NEW_FORM else OLD):
            yield f"# TYPE {re.split('[{ ]', sample)[0]} {kind}"
            yield sample
        yield "# TYPE process_start_time_seconds gauge"
        yield f"process_start_time_seconds {self.started}"
        yield "# TYPE grpc_server_handled_total counter"
        for listener in self.listeners:
            for (path, kind, code), count in sorted(listener.handled.items()):
                service, _slash, method = path.removeprefix("/").rpartition("/")
                labels = f'grpc_code="{code}",grpc_method="{method}",grpc_service="{service}",grpc_type="{kind}"'
                yield f"grpc_server_handled_total{{{labels}}} {count}"
        if self.mesh:
            yield "# HELP kas_peer_up An instrument of these tests; no real KAS has it."
            yield "# TYPE kas_peer_up gauge"
            for url, error in sorted(self.mesh.answers.items()):
                yield f'kas_peer_up{{url="{url}"}} {int(not error)}'
