# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of which nothing is real but the connection: a script in Python's place answers for each module.

A module that changes nothing may be real, too, with the machine of the tests for its node.

The answers are those of nodes of the stand-in with nothing to change. All that the controller does is real, and each
module is packed and sent; what it would do on the node is left out. Every run of a module is written down.

A node that is to be unreachable for a module is one by SSH, with a script in the client's place.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

COLLECTIONS = Path(__file__).resolve().parents[2] / ".ansible" / "collections"
ROLE_VARIABLES = {
    "kas_own_private_api_cidr": "10.87.0.0/16",
    "kas_redis": {"host": "10.87.255.1", "port": 6379, "password": "sesame"},
}

# Ansible sends the module to its standard input (pipelining); every module names itself in what is sent.
_INTERPRETER = """\
#!/bin/sh
here=$(dirname "$0")
node=$(basename "$0")
if [ -e "$here/$node.real" ]; then
  sent=$(mktemp)
  trap 'rm -f "$sent"' EXIT
  cat > "$sent"
  exec < "$sent"
fi
module=$(grep -aoE '(ansible\\.modules|ansible\\.legacy|kasops\\.gitlab_kas\\.plugins\\.modules)\\.[a-z_]+' | head -n 1)
module=${module##*.}
echo "$module" >> "$here/$node.runs"
if [ -e "$here/$node.real" ] && grep -qx "$module" "$here/$node.real"; then
  "$here/python" < "$sent"
elif [ -e "$here/$node.$module.json" ]; then cat "$here/$node.$module.json"; else cat "$here/$module.json"; fi
"""

# What a node of the stand-in answered to kas_info; its secrets are made up.
_SECRETS = {
    name: base64.b64encode(name[:1].encode() * size).decode()
    for name, size in (("api_secret_key", 32), ("private_api_secret_key", 32), ("websocket_token_secret_key", 72))
}
_FINGERPRINTS = dict(zip(_SECRETS, ("059a4896bded", "2ba21f13cbdd", "dc1b85a9db77")))
_PORTS = {"agent": 8150, "internal_api": 8153, "kubernetes_api": 8154, "observability": 8151}
_ALIKE = {
    "ping": {"ping": "pong"},
    "setup": {"ansible_facts": {"ansible_distribution": "Debian"}},
    "lineinfile": {"changed": False, "msg": "", "backup": ""},
    "gitlab_rb": {"changed": False, "settings_changed": [], "settings_left": []},
    "gitlab_reconfigure": {"changed": True, "reason": "gitlab.rb has changed.", "duration_s": 3.0},
    "kas_socket_directory": {"changed": False},
    "kas_certificate": {"changed": False},
    "kas_certificate_info": {"changed": False, "certificate": {"pem": "", "problems": [], "warnings": []}},
    "kas_log_info": {"changed": False, "findings": [], "unread": [], "files": 2, "bytes": 1_500_000},
}


# Ansible takes 255 for a connection that cannot be made; the command is the last argument.
_SSH = """\
#!/bin/sh
for command; do :; done
sent=$(mktemp)
trap 'rm -f "$sent"' EXIT
cat > "$sent"
if grep -aqE '(modules|legacy)\\.{module}' "$sent"; then echo "No route to host" >&2; exit 255; fi
sh -c "$command" < "$sent"
"""


def make(
    folder: Path,
    count: int,
    pending: Collection[str] = (),
    *,
    answers: Mapping[str, Any] | None = None,
    unreachable: Mapping[str, str] | None = None,
    real: Mapping[str, Sequence[str]] | None = None,
    variables: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Make this many nodes of one deployment, each with KAS and Rails, and return their inventory.

    On those of pending, a write changes gitlab.rb. answers maps NODE.MODULE to what else is answered there,
    unreachable a node to the module that cannot be sent there, real to those that are run, and variables a node to
    variables of its own.
    """
    folder.mkdir(parents=True)
    infos = kas_infos(count)
    urls = {name: info["kas"]["own_private_api_urls"][0] for name, info in infos.items()}
    (folder / "interpreter").write_text(_INTERPRETER)
    (folder / "interpreter").chmod(0o755)
    files = {f"{module}.json": answer for module, answer in _ALIKE.items()}
    for name, info in infos.items():
        (folder / name).symlink_to("interpreter")
        files[f"{name}.kas_info.json"] = info
        if name in pending:
            files[f"{name}.gitlab_rb.json"] = {**_ALIKE["gitlab_rb"], "changed": True, "settings_changed": ["roles"]}
        others, rails = [url for other, url in urls.items() if other != name], reached(["grpc://localhost:8153"])
        # A node without any other KAS to call asks for Rails alone.
        files[f"{name}.kas_probe.json"] = {**reached(others), "rails": rails} if others else rails
    files.update({f"{of}.json": answer for of, answer in (answers or {}).items()})
    for file, answer in files.items():
        (folder / file).write_text(json.dumps(answer))
    hosts: dict[str, dict[str, Any]] = {}
    for name in infos:
        hosts[name] = {"ansible_python_interpreter": str(folder / name), **(variables or {}).get(name, {})}
    (folder / "python").symlink_to(sys.executable)
    for name, modules in (real or {}).items():
        (folder / f"{name}.real").write_text("\n".join(modules))
    for name, module in (unreachable or {}).items():
        client = folder / f"{name}.ssh"
        client.write_text(_SSH.format(module=module))
        client.chmod(0o755)
        hosts[name] |= {"ansible_connection": "ssh", "ansible_ssh_executable": str(client)}
    groups = {"gitlab_kas": {"hosts": hosts}, "gitlab_rails": {"hosts": dict.fromkeys(hosts)}}
    everywhere = {"ansible_connection": "local", "ansible_become": False, **ROLE_VARIABLES}
    (folder / "ansible.cfg").touch()
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"all": {"vars": everywhere, "children": groups}}))
    return inventory


def kas_infos(count: int) -> dict[str, dict[str, Any]]:
    """What kas_info answers on each node."""
    addresses = {f"node{n}": f"10.87.{n // 250}.{n % 250 + 1}" for n in range(1, count + 1)}
    return {
        name: {"changed": False, "kas": _kas(address, f"grpc://{address}:8155")} for name, address in addresses.items()
    }


def module_runs(folder: Path) -> dict[str, list[str]]:
    """Which modules have run on each node."""
    return {file.stem: file.read_text().split() for file in sorted(folder.glob("*.runs"))}


def run(
    playbook: str | Path, inventory: Path, *options: str, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a playbook on the nodes of an inventory: one of the checkout by its last name, any by its whole name or path.

    more is further environment.
    """
    named = playbook if "." in str(playbook) else f"kasops.gitlab_kas.{playbook}"
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, named, *options],
        cwd=cwd,
        env={**environment(inventory.parent, COLLECTIONS), **more},
        capture_output=True,
        text=True,
        check=False,
    )


def environment(folder: Path, collections: Path) -> dict[str, str]:
    """What ansible-playbook needs; nothing of the user's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }


def reached(urls: list[str]) -> dict[str, Any]:
    answer = {"reachable": True, "answered": True, "text": "reachable", "remedy": ""}
    return {"changed": False, "peers": [{"url": url, **answer} for url in urls], "reachable": True}


def _kas(address: str, url: str) -> Mapping[str, Any]:
    redis = ROLE_VARIABLES["kas_redis"]
    listeners = {name: {"address": f"localhost:{port}", "network": "tcp"} for name, port in _PORTS.items()}
    return {
        "addresses": ["127.0.0.1", address, "::1", "fe80::1"],
        "blocking_errors": [],
        "configured": True,
        "enabled": True,
        "gitlab_version": "19.3.0",
        "listeners": {**listeners, "private_api": {"address": "0.0.0.0:8155", "network": "tcp"}},
        "own_private_api_urls": [url],
        "problems": [],
        "readiness": "ok",
        "ready": True,
        "reconfigure_pending": None,
        "restart_pending": None,
        "running": True,
        "secret_values": _SECRETS,
        "secrets": {
            name: {"computed": None, "fingerprint": fingerprint, "problem": None, "source": "gitlab.rb"}
            for name, fingerprint in _FINGERPRINTS.items()
        },
        "settings": {
            "external_url": "http://gitlab.example.com",
            "gitlab_kas": {
                **dict.fromkeys(_SECRETS, "********"),
                "enable": True,
                "env": {"OWN_PRIVATE_API_URL": url},
                "private_api_listen_address": "0.0.0.0:8155",
                "redis_host": redis["host"],
                "redis_port": redis["port"],
                "redis_password": "********",
            },
            "gitlab_rails": {"gitlab_kas_enabled": True},
        },
        "unreadable": {},
    }
