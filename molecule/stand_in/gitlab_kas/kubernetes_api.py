"""The Kubernetes API proxy, as far as somebody without an agent gets: nobody is known here."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from gitlab_kas import http

METHODS = "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH"
MEDIA_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
REASONS = {400: "BadRequest", 401: "Unauthorized"}


class KubernetesApi:
    """Answers requests; `external_url` is GitLab's, whose pages may ask."""

    def __init__(self, prefix: str, external_url: str, server: str) -> None:
        parts = urlsplit(external_url)
        self.prefix = prefix if prefix.endswith("/") else prefix + "/"
        self.origin, self.server = f"{parts.scheme}://{parts.netloc}", server

    async def answer(self, request: http.Request) -> http.Response:
        origin = request.get("origin")
        headers = [("Server", self.server)]
        if origin:
            if origin != self.origin:
                return http.Response(403)
            headers += [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]
            headers.append(("Vary", "Origin"))
        if request.method == "OPTIONS":
            wanted = request.get("access-control-request-headers")
            headers += [("Access-Control-Allow-Headers", wanted)] if wanted else []
            headers += [("Access-Control-Allow-Methods", METHODS), ("Access-Control-Max-Age", "86400")]
            return http.Response(200, b"", tuple(headers))
        if not request.path.startswith(self.prefix):
            return status(request, 400, "Bad request: URL does not start with expected prefix", headers)
        headers.append(("Gitlab-Unauthorized", "true"))
        return status(request, 401, unauthorized(request), headers)


def unauthorized(request: http.Request) -> str:
    """GitLab, which would be asked about credentials, knows none."""
    given = request.get("authorization") or "_gitlab_kas=" in request.get("cookie")
    return "Unauthorized" if given else "Unauthorized: no valid credentials provided"


def status(request: http.Request, code: int, message: str, headers: list[tuple[str, str]]) -> http.Response:
    """A Status of Kubernetes, if the client takes one."""
    media_type = negotiated(request.get("accept"))
    if not media_type:
        accepted = f"only the following media types are accepted: {', '.join(MEDIA_TYPES)}"
        return http.text(406, f"GitLab Agent Server: Failed to negotiate output media type: {accepted}", *headers)
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"GitLab Agent Server: {message}",
        "reason": REASONS[code],
        "code": code,
    }
    text = json.dumps(body, separators=(",", ":")) + "\n"
    return http.Response(code, text.encode(), (*headers, ("Content-Type", media_type)))


def negotiated(accept: str) -> str:
    """The first of ours that the client names; empty if there is none."""
    for clause in accept.split(",") if accept else ["*/*"]:
        kind, _slash, subtype = clause.partition(";")[0].strip().partition("/")
        for media_type in MEDIA_TYPES[:2]:
            ours = media_type.split("/")
            if kind in ("*", ours[0]) and subtype in ("*", ours[1]):
                return media_type
    return ""
