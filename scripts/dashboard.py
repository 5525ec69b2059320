"""Write the Grafana dashboard of role kas_monitoring from the panels below: `python scripts/dashboard.py`.

Where an expression has two names beside "or", the first is that of later releases of KAS, the second that of earlier
ones; docs/monitoring.md has both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "roles" / "kas_monitoring" / "files" / "gitlab-kas.dashboard.json"

JOB = 'job="gitlab-kas",deployment=~"$deployment"'
NODE = f'{JOB},instance=~"$instance"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
PEERS = 'grpc_service="gitlab.agent.kubernetes_api.rpc.KubernetesApi"'
# What GitLab does not count as errors of KAS.
FINE = (
    "OK|NotFound|PaymentRequired|FailedPrecondition|Unauthenticated|PermissionDenied|Canceled|DeadlineExceeded"
    "|ResourceExhausted"
)
WIDTH = 24  # of Grafana's grid
HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8}


class Panel(NamedTuple):
    """A panel; expressions maps each to its legend."""

    title: str
    description: str
    expressions: dict[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    steps: tuple[tuple[float, str], ...] = ()  # from which value on which colour
    decimals: int | None = None


def rate(metric: str, labels: str = "", by: str = "", where: str = NODE) -> str:
    inside = f"{where},{labels}" if labels else where
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{inside}}}[$__rate_interval]))"


def either(expression: str, later: str, earlier: str) -> str:
    """The same expression with the later name, or with the earlier one."""
    return f"{expression.replace('METRIC', later)} or {expression.replace('METRIC', earlier)}"


ROUTING = ("tunnel_routing_duration_seconds", "k8s_api_proxy_routing_duration_seconds")
SUCCESS = 'status="success"'
WITHIN = either(rate("METRIC_bucket", f'{SUCCESS},le="4.096"') + " / " + rate("METRIC_count", SUCCESS), *ROUTING)
NOT_PEERS = PEERS.replace("=", "!=")
ERRORS = (
    "("
    + rate("grpc_server_handled_total", f'grpc_code!~"{FINE}",{NOT_PEERS}')
    + " or vector(0)) / "
    + rate("grpc_server_handled_total", NOT_PEERS)
)
BAD_BELOW_95 = ((0, "red"), (0.95, "green"))

ROWS: dict[str, list[Panel]] = {
    "Now": [
        Panel(
            "KAS that answer",
            "Nodes whose KAS answers for its metrics. One that does may still not be ready, which no metric tells:"
            " /readiness does.",
            {f"sum(up{{{NODE}}})": "up", f"count(up{{{NODE}}})": "all"},
            "stat",
            width=6,
        ),
        Panel(
            "Connected agents",
            "Of the whole deployment. Every KAS counts them in Redis, so this is the greatest count, not the sum.",
            {f"max by (deployment) (connected_agents_count{{{NODE}}})": "{{deployment}}"},
            "stat",
            width=6,
        ),
        Panel(
            "Calls with their agent within 4 s",
            "GitLab's own objective is 95 %. No traffic, no value.",
            {WITHIN: "within 4.096 s"},
            "stat",
            "percentunit",
            6,
            BAD_BELOW_95,
            2,
        ),
        Panel(
            "Errors of KAS",
            "The part of the calls that KAS answers with an error, by what GitLab counts as one.",
            {ERRORS: "errors"},
            "stat",
            "percentunit",
            6,
            ((0, "green"), (0.01, "red")),
            2,
        ),
        Panel(
            "Releases",
            "KAS of one deployment should differ only while an upgrade goes on.",
            {f"count by (deployment, instance, version, built) (gitlab_build_info{{{NODE}}})": ""},
            "table",
            width=12,
        ),
        Panel(
            "Starts",
            "A step is a start of KAS. Several in a short time are a KAS that ends by itself.",
            {f"changes(process_start_time_seconds{{{NODE}}}[1h])": "{{instance}}"},
        ),
    ],
    "Agents": [
        Panel(
            "Connected agents",
            "By the KAS that counted them; all count the same agents.",
            {f"connected_agents_count{{{NODE}}}": "{{instance}}"},
        ),
        Panel(
            "Accepted connections",
            "New connections, by KAS; later releases alone. Many with few agents are connections that a proxy cuts.",
            {rate("accepted_connections_total", by="instance"): "{{instance}}"},
            unit="cps",
        ),
        Panel(
            "Turned away by rate limits",
            "Agents that connect too often, and calls beyond a limit.",
            {
                rate("limiter_block_duration_seconds_count", 'allowed="false"', "instance, limiter_name"): (
                    "{{instance}} {{limiter_name}}"
                ),
                rate("agent_server_rate_exceeded_total", by="instance"): "{{instance}} connections",
            },
            unit="reqps",
        ),
        Panel(
            "Limits",
            "The limits that KAS runs with.",
            {f"max by (limiter_name, unit) (limiter_limit{{{NODE}}})": "{{limiter_name}} ({{unit}})"},
        ),
    ],
    "From a call to its agent": [
        Panel(
            "Time until the agent has the call",
            "The median and the slowest twentieth of the calls that reach their agent.",
            {
                either("histogram_quantile(0.95, " + rate("METRIC_bucket", SUCCESS, "le") + ")", *ROUTING): "95 %",
                either("histogram_quantile(0.5, " + rate("METRIC_bucket", SUCCESS, "le") + ")", *ROUTING): "50 %",
            },
            unit="s",
        ),
        Panel(
            "Calls by outcome",
            "A timeout is a call whose agent was not found. Aborted is one whose caller went away before.",
            {either(rate("METRIC_count", by="status"), *ROUTING): "{{status}}"},
            unit="reqps",
        ),
        Panel(
            "Calls without an agent",
            "Of an agent that was connected within 15 minutes: a fault of KAS, or between the nodes. Of one that was"
            " not: the agent is away. Earlier releases do not tell one from the other.",
            {
                rate("tunnel_routing_timeout_connected_recently_total", by="instance"): (
                    "{{instance}} agent was connected"
                ),
                rate(
                    "tunnel_routing_timeout_not_connected_recently_total", by="instance"
                ): "{{instance}} agent is away",
                rate("k8s_api_proxy_routing_timeout_total", by="instance"): "{{instance}} not known which",
            },
            unit="reqps",
        ),
        Panel(
            "Left behind by another KAS",
            "Connections of agents that a KAS removes from Redis because another one did not: it has died. Later"
            " releases alone.",
            {
                rate(
                    "redis_expiring_hash_api_gc_deleted_keys_count_total",
                    'expiring_hash_name=~"listener_conns_.*"',
                    "instance",
                ): "{{instance}}"
            },
        ),
    ],
    "Calls": [
        Panel(
            "Calls of KAS by answer",
            "What KAS answered to agents, to Rails and to other KAS.",
            {rate("grpc_server_handled_total", by="grpc_code"): "{{grpc_code}}"},
            unit="reqps",
        ),
        Panel(
            "Errors by service",
            "What GitLab counts as an error, by service and answer.",
            {
                rate("grpc_server_handled_total", f'grpc_code!~"{FINE}"', "grpc_service, grpc_code"): (
                    "{{grpc_service}} {{grpc_code}}"
                )
            },
            unit="reqps",
        ),
        Panel(
            "From KAS to KAS by answer",
            "Unauthenticated: the secrets differ. Unimplemented: no KAS is at the own URL of one. Unavailable: it is"
            " not reached.",
            {rate("grpc_client_handled_total", PEERS, "instance, grpc_code"): "{{instance}} {{grpc_code}}"},
            unit="reqps",
        ),
        Panel(
            "Calls of KAS to others by answer",
            "To Gitaly, to GitLab and to other KAS.",
            {rate("grpc_client_handled_total", by="grpc_service, grpc_code"): "{{grpc_service}} {{grpc_code}}"},
            unit="reqps",
        ),
        Panel(
            "Calls under way",
            "Streams of agents stay open, so this follows their number.",
            {
                f"sum by (instance) (grpc_server_requests_in_flight{{{NODE}}})": "{{instance}} served",
                f"sum by (instance) (grpc_client_requests_in_flight{{{NODE}}})": "{{instance}} asked",
            },
        ),
        Panel(
            "Notifications of Git pushes",
            "Sent to agents with Flux, and dropped because KAS had too many.",
            {
                rate("flux_git_push_notifications_total"): "sent",
                rate("flux_dropped_git_push_notifications_total"): "dropped",
            },
            unit="reqps",
        ),
    ],
    "The process": [
        Panel("CPU", "In cores.", {rate("process_cpu_seconds_total", by="instance"): "{{instance}}"}),
        Panel("Memory", "Resident.", {f"process_resident_memory_bytes{{{NODE}}}": "{{instance}}"}, unit="bytes"),
        Panel(
            "Open files",
            "Of those that KAS may open; each connection is one.",
            {f"process_open_fds{{{NODE}}} / process_max_fds{{{NODE}}}": "{{instance}}"},
            unit="percentunit",
        ),
        Panel("Goroutines", "They follow the number of connections.", {f"go_goroutines{{{NODE}}}": "{{instance}}"}),
    ],
}


def targets(panel: Panel) -> Iterator[dict[str, Any]]:
    is_now = panel.kind != "timeseries"
    for number, (expression, legend) in enumerate(panel.expressions.items()):
        yield {
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": expression,
            "legendFormat": legend or "__auto",
            "refId": chr(ord("A") + number),
            "instant": is_now,
            "range": not is_now,
            **({"format": "table"} if panel.kind == "table" else {}),
        }


def shown(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    steps = [{"color": color, "value": start or None} for start, color in panel.steps]
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0 if panel.kind == "timeseries" else None}
    if steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    options: dict[str, Any] = {}
    if panel.kind == "stat":
        options = {"textMode": "auto", "colorMode": "value" if steps else "none", "reduceOptions": {"calcs": ["last"]}}
    if panel.kind == "timeseries":
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHTS[panel.kind], "w": panel.width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {key: value for key, value in defaults.items() if value is not None},
            "overrides": [],
        },
        "options": options,
        "targets": list(targets(panel)),
        **({"transformations": [RELEASES]} if panel.kind == "table" else {}),
    }


RELEASES = {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}


def panels() -> Iterator[dict[str, Any]]:
    number = y = 0
    for title, row in ROWS.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y},
            "panels": [],
        }
        y += 1
        x = height = 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            number += 1
            height = HEIGHTS[panel.kind]
            yield shown(panel, number, x, y)
            x += panel.width
        y += height


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def dashboard() -> dict[str, Any]:
    return {
        "uid": "gitlab-kas",
        "title": "GitLab KAS",
        "description": "The GitLab agent server for Kubernetes: whether it runs, its agents, and its way to them.",
        "tags": ["gitlab", "kas", "kubernetes"],
        "schemaVersion": 38,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {
                    "type": "datasource",
                    "name": "datasource",
                    "label": "Prometheus",
                    "query": "prometheus",
                    "refresh": 1,
                    "options": [],
                },
                variable("deployment", "Deployment", 'label_values(up{job="gitlab-kas"}, deployment)'),
                variable("instance", "Node", f"label_values(up{{{JOB}}}, instance)"),
            ]
        },
        "annotations": {"list": []},
        "panels": list(panels()),
    }


def document() -> str:
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
