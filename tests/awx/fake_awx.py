"""As much of AWX's API as `awx.awx` needs for awx/setup.yml, on loopback. It refuses what AWX would (rules.py)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import rules

TYPES = {
    "credential_types": "credential_type",
    "credentials": "credential",
    "execution_environments": "execution_environment",
    "inventories": "inventory",
    "inventory_sources": "inventory_source",
    "job_templates": "job_template",
    "organizations": "organization",
    "projects": "project",
    "workflow_approval_templates": "workflow_approval_template",
    "workflow_job_template_nodes": "workflow_job_template_node",
    "workflow_job_templates": "workflow_job_template",
}
UNIFIED = ("job_templates", "projects", "inventory_sources", "workflow_job_templates", "workflow_approval_templates")
SUBLISTS = ("credentials", "success_nodes", "failure_nodes", "always_nodes", "galaxy_credentials", "labels")
PROMPTS = {"job_type": "ask_job_type_on_launch", "limit": "ask_limit_on_launch", "inventory": "ask_inventory_on_launch"}


class Refused(Exception):
    """What AWX answers with status 400."""


class Awx:
    """The objects of an AWX, and a server for them."""

    def __init__(self, playbooks: list[str]) -> None:
        self.playbooks = playbooks  # those that it lists for every project
        self.objects: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in TYPES}
        self.surveys: dict[tuple[str, int], Any] = {}
        self.links: dict[tuple[str, int, str], list[int]] = {}
        self.writes: list[str] = []
        self.create("organizations", {"name": "Default"})
        self.create("credential_types", {"name": "Machine", "kind": "ssh", "inputs": {}, "injectors": {}})
        self.create("credential_types", {"name": "Galaxy", "kind": "galaxy", "inputs": {}, "injectors": {}})
        self.create("credentials", {"name": "Nodes", "organization": 1, "credential_type": 1})
        self.create("credentials", {"name": "Ansible Galaxy", "organization": None, "credential_type": 2})
        self.create("inventories", {"name": "GitLab", "organization": 1})
        awx = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            do_POST = do_PATCH = do_DELETE = do_GET

            def answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                data = json.loads(self.rfile.read(size) or b"{}")
                url = urlsplit(self.path)
                try:
                    status, body = awx.request(self.command, url.path, dict(parse_qsl(url.query)), data)
                except Refused as error:
                    status, body = 400, {"__all__": [str(error)]}
                text = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("X-API-Product-Name", "AWX")
                self.send_header("X-API-Product-Version", "24.6.1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The one object of this name, or identifier."""
        (found,) = (each for each in self.objects[kind].values() if name in (each.get("name"), each.get("identifier")))
        return found

    def linked(self, kind: str, name: str, link: str) -> list[str]:
        """The names of what an object is tied to."""
        other = "credentials" if link.endswith("credentials") else "workflow_job_template_nodes"
        ids = self.links.get((kind, self.named(kind, name)["id"], link), [])
        return [self.objects[other][number].get("name") or self.objects[other][number]["identifier"] for number in ids]

    # The API

    def request(self, method: str, path: str, query: Mapping[str, str], data: Any) -> tuple[int, Any]:
        parts = path.removeprefix("/api/v2/").strip("/").split("/")
        if method != "GET":
            self.writes.append(f"{method} {path}")
        if len(parts) == 1:
            return self.list(parts[0], query) if method == "GET" else (201, self.create(parts[0], data))
        kind, number = parts[0], int(parts[1])
        if number not in self.objects[kind]:
            return 404, {"detail": "Not found."}
        if method == "DELETE":
            del self.objects[kind][number]
            for linked in (ids for (of, _number, _link), ids in self.links.items() if of == kind):
                linked[:] = [each for each in linked if each != number]
            return 204, None
        if len(parts) == 2:
            return 200, self.objects[kind][number] if method == "GET" else self.change(kind, number, data)
        return self.below(method, kind, number, parts[2], data)

    def below(self, method: str, kind: str, number: int, name: str, data: Any) -> tuple[int, Any]:
        if name == "survey_spec":
            if method == "GET":
                return 200, self.surveys.get((kind, number), {})
            self.refuse(rules.survey(data))
            self.surveys[kind, number] = data
            return 200, None
        if name == "create_approval_template":
            made = self.create("workflow_approval_templates", data)
            node = self.objects[kind][number]
            node["unified_job_template"] = made["id"]
            node["related"]["unified_job_template"] = made["url"]
            return 201, made
        if name == "update" and kind == "inventory_sources":
            return 202, {"id": 1, "status": "pending", "url": "/api/v2/inventory_updates/1/"}
        if name not in SUBLISTS:
            return 404, {"detail": "Not found."}
        linked = self.links.setdefault((kind, number, name), [])
        if method == "GET":
            return 200, page([{"id": each} for each in linked])
        if data.get("disassociate"):
            linked.remove(data["id"])
        elif name == "credentials":
            kinds = [self.objects["credentials"][each]["credential_type"] for each in (*linked, data["id"])]
            if len(set(kinds)) < len(kinds):
                raise Refused("Cannot assign multiple credentials of one type.")
            linked.append(data["id"])
        else:
            linked.append(data["id"])
        return 204, None

    def list(self, kind: str, query: Mapping[str, str]) -> tuple[int, Any]:
        if kind == "unified_job_templates":
            objects = [each for one in UNIFIED for each in self.objects[one].values()]
        elif kind in self.objects:
            objects = list(self.objects[kind].values())
        else:
            return 404, {"detail": "Not found."}
        either = {key.removeprefix("or__"): value for key, value in query.items() if key.startswith("or__")}
        every = {key: value for key, value in query.items() if not key.startswith("or__") and key != "page_size"}
        found = [
            each
            for each in objects
            if all(str(each.get(key)) == value for key, value in every.items())
            and (not either or any(str(each.get(key)) == value for key, value in either.items()))
        ]
        return 200, page(found)

    def create(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        # One counter for all that can be launched: they share a table.
        others = UNIFIED if kind in UNIFIED else (kind,)
        number = 1 + max((key for other in others for key in self.objects[other]), default=0)
        url = f"/api/v2/{kind}/{number}/"
        made = {
            **data,
            "id": number,
            "url": url,
            "type": TYPES[kind],
            "related": {"survey_spec": f"{url}survey_spec/", "update": f"{url}update/"},
            "summary_fields": {},
        }
        if kind == "projects":
            made.update(status="successful", scm_revision="a1b2c3")  # AWX reads it at once
        if kind == "inventory_sources":
            made["organization"] = self.objects["inventories"][made["inventory"]]["organization"]
        self.check(kind, made)
        self.objects[kind][number] = made
        return made

    def change(self, kind: str, number: int, data: dict[str, Any]) -> dict[str, Any]:
        changed = {**self.objects[kind][number], **data}
        self.check(kind, changed)
        self.objects[kind][number] = changed
        return changed

    def check(self, kind: str, made: Mapping[str, Any]) -> None:
        if kind == "credential_types" and made["kind"] not in ("ssh", "galaxy"):
            self.refuse(rules.credential_type(made["kind"], made["inputs"], made["injectors"]))
        elif kind == "job_templates" and made["playbook"] not in self.playbooks:
            raise Refused(f"Playbook not found for project: {made['playbook']}.")
        elif kind == "workflow_job_template_nodes" and made.get("unified_job_template"):
            template = self.objects["job_templates"].get(made["unified_job_template"], {})
            self.refuse(
                f"{name} is not asked for on launch"
                for name, ask in PROMPTS.items()
                if made.get(name) and not template.get(ask)
            )

    @staticmethod
    def refuse(sentences: Iterator[str]) -> None:
        found = list(sentences)
        if found:
            raise Refused("; ".join(found))


def page(results: list[Any]) -> dict[str, Any]:
    return {"count": len(results), "next": None, "previous": None, "results": results}


def listed(project: Mapping[str, str]) -> list[str]:
    """Of a project's files, name and text, those that AWX lists as playbooks."""
    found = []
    for name, text in project.items():
        folders = name.split("/")[:-1]
        if not re.search(r"\.ya?ml$", name) or {"roles", "tasks", "group_vars", "host_vars"} & set(folders):
            continue
        if any(folder.startswith(".") for folder in folders):
            continue
        if re.search(r"^\s*-?\s*(hosts|(ansible\.builtin\.)?import_playbook):\s*\S", text, re.MULTILINE):
            found.append(name)
    return sorted(found)
