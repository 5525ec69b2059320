"""Runs show no secret: not on the screen, in logs, to callbacks, in caches, on command lines, also where they fail.

Every run prints all it can (-vvvv --diff) and is recorded in every way that ansible-core and ansible-runner have; the
record is searched byte by byte. With KAS_TEST_CORE, the bin directory of an ansible-core (make matrix sets it), every
test is run there; else a few on the installed one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import re
import secrets
import string
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import testinfra
import yaml
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

HERE = Path(__file__).resolve().parent.parent
CORE = Path(os.environ.get("KAS_TEST_CORE") or Path(sys.executable).parent)
long = pytest.mark.skipif(not os.environ.get("KAS_TEST_CORE"), reason="make matrix runs it")

# Of a secret that no node keeps: one that was made in check mode.
MADE = re.compile(rb"(?<![\w+/])(?:[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{96})(?![\w+/=])")

# In place of a node's Python: the module whose turn it is ends behind its last word but one.
ENDING = """#!/bin/bash
turn=$(($(cat /run/turn) - 1))
echo $turn > /run/turn
[ $turn = 0 ] || exec /usr/bin/python3 "$@"
/usr/bin/python3 "$@" | head -c -2
exit 137
"""
SYSLOG = """
import socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
while True:
    with open("/var/log/syslog", "ab") as file:
        file.write(log.recv(1 << 20) + b"\\n")
"""


class Recorder:
    """Runs Ansible with everything switched on that records a run."""

    def __init__(self, directory: Path, inventory: str) -> None:
        self.inventory = inventory
        self.secrets: set[str] = set()
        self.variables = directory / "variables.yml"  # holds the secrets, so it lies beside the record
        self.record = directory / "record"
        self.project = self.record / "project"
        self.project.mkdir(parents=True)
        (self.project / "site.yml").write_text(yaml.safe_dump([{"import_playbook": "kasops.gitlab_kas.deploy"}]))
        self.runs = 0

    def word(self) -> str:
        """A new secret that does not look like one."""
        word = "".join(random.choices(string.ascii_lowercase, k=16))
        self.secrets.add(word)
        return word

    def run(
        self, *arguments: str, shown_by: str = "default", variables: dict[str, Any] | None = None
    ) -> tuple[int, str]:
        """Deploy; return the exit code and what was printed."""
        self.runs += 1
        record = self.record / f"{self.runs:02}"
        record.mkdir()
        own = self.variables.with_name("own.yml")
        own.write_text(yaml.safe_dump(variables or {}))
        options = ["-vvvv", "--diff", "--extra-vars", f"@{self.variables}", "--extra-vars", f"@{own}", *arguments]
        command = [str(CORE / "ansible-playbook"), "--inventory", self.inventory, *options, "site.yml"]
        if shown_by == "runner":
            command = [sys.executable, "-m", "ansible_runner", "run", str(self.record), "--playbook", "site.yml"]
            command += ["--inventory", self.inventory, "--ident", record.name, "--cmdline=" + " ".join(options)]
        with processes(record / "processes"):
            done = subprocess.run(
                command,
                cwd=self.project,
                env={
                    **os.environ,
                    **self._environment(record),
                    "ANSIBLE_STDOUT_CALLBACK": shown_by.replace("runner", "default"),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        (record / "output").write_text(done.stdout)
        return done.returncode, done.stdout

    def _environment(self, record: Path) -> dict[str, str]:
        return {
            "PATH": f"{CORE}:{os.environ['PATH']}",
            "ANSIBLE_LOG_PATH": str(record / "log"),
            "ANSIBLE_LOG_VERBOSITY": "4",
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit,ansible.builtin.tree,everything",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACK_TREE_DIR": str(record / "tree"),
            "JUNIT_OUTPUT_DIR": str(record / "junit"),
            "EVERYTHING": str(record / "everything"),
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(record / "facts"),
            "ANSIBLE_RETRY_FILES_ENABLED": "true",
            "ANSIBLE_RETRY_FILES_SAVE_PATH": str(record / "retry"),
            "ANSIBLE_LOCAL_TEMP": str(record / "temporary"),
            "ANSIBLE_NOCOLOR": "true",
        }

    def seen(self) -> list[str]:
        """Where a secret was seen; what was searched is gone afterwards."""
        forms = {form for secret in self.secrets for form in spellings(secret)}
        known = re.compile(b"|".join(map(re.escape, sorted(forms))))
        known_or_made = re.compile(known.pattern + b"|" + MADE.pattern)
        found = []
        for file in filter(Path.is_file, self.record.rglob("*")):
            pattern = known if file.name == "processes" else known_or_made  # others run programs here, too
            data = file.read_bytes()
            found += [f"{file}: {data[max(0, m.start() - 200) : m.end() + 20]!r}" for m in pattern.finditer(data)]
            if file.parent != self.project:
                file.unlink()
        return found


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as text, in JSON and Python, in a URL, and in Base64; of a PEM file each line."""
    for line in secret.splitlines() if "-----" in secret else [secret]:
        if "-----" not in line:
            for text in (line, json.dumps(line)[1:-1], quote(line, safe="")):
                yield text.encode()
            yield base64.b64encode(line.encode())[:-4]


@contextlib.contextmanager
def processes(file: Path) -> Iterator[None]:
    """Write down the command lines of all processes meanwhile, also those in the containers."""
    lines: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    lines.add(process.read_bytes().replace(b"\0", b" "))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        assert any(b"ansible-playbook" in line for line in lines)
        file.write_bytes(b"\n".join(lines))


def on_nodes(nodes: dict[str, Host], recorder: Recorder) -> None:
    """Put on record what the nodes themselves have written, and learn the secrets that they have now."""
    for name, node in nodes.items():
        folders = "/var/log /var/lib/kasops.gitlab_kas /root /tmp"
        packed = node.run(f"tar c --ignore-failed-read {folders} 2>/dev/null | base64 -w0").stdout
        (recorder.record / name).write_bytes(base64.b64decode(packed))
        text = node.run("cat /etc/gitlab/gitlab.rb /etc/gitlab/gitlab-secrets.json").stdout
        recorder.secrets.update(re.findall(r"""secret_key["'\]]+\s*(?:=|:)\s*["']([\w+/=]{40,})["']""", text))


@pytest.fixture(scope="module")
def nodes(request: pytest.FixtureRequest) -> dict[str, Host]:
    inventory = request.config.option.ansible_inventory
    return {
        name: testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}")
        for name in AnsibleRunner(inventory).get_hosts("gitlab_kas")
    }


@pytest.fixture(scope="module")
def recorder(
    request: pytest.FixtureRequest, nodes: dict[str, Host], tmp_path_factory: pytest.TempPathFactory
) -> Recorder:
    """Nodes and variables with secrets of every kind: given, found on a node, to be made."""
    directory = tmp_path_factory.mktemp("secrets")
    recorder = Recorder(directory, request.config.option.ansible_inventory)
    given, found = (base64.b64encode(secrets.token_bytes(32)).decode() for _which in range(2))
    subprocess.run([sys.executable, HERE.parent / "tls/pki.py", directory / "pki", "node"], check=True)
    key = (directory / "pki/node.key").read_text()
    recorder.secrets |= {given, found, key}
    password, address = recorder.word(), "{{ hostvars.kas1.node_ip }}"
    variables = {
        "kas_serial": "100%",
        "kas_own_private_api_cidr": "{{ node_ip }}/32",
        "kas_own_private_api_host": "kas.internal",
        "kas_private_api_certificate_content": (directory / "pki/node.crt").read_text(),
        "kas_private_api_key_content": key,
        "kas_ca_certificates": [{"name": "test-ca", "content": (directory / "pki/ca.crt").read_text()}],
        "kas_redis": {"host": address, "port": 6379, "password": password},
        "kas_sentry_dsn": f"https://{recorder.word()}@sentry.example.com/1",
        "kas_env": {"DEPLOY_TOKEN": recorder.word(), "TRACES": f"http://kas:{recorder.word()}@proxy.example.com:3128"},
        "kas_settings": {"custom_access_key": recorder.word()},
        "kas_secrets_values": {"api_secret_key": given},
    }
    recorder.variables.write_text(yaml.safe_dump(variables, default_style='"'))
    redis = [f"redis['bind'] = '{nodes['kas1'].backend.get_variables()['node_ip']}'", "redis['port'] = 6379"]
    redis += [f"redis['password'] = '{password}'", f"gitlab_rails['redis_password'] = '{password}'"]
    old = [
        f"gitlab_kas['redis_password'] = '{recorder.word()}'",
        f"gitlab_rails['smtp_password'] = '{recorder.word()}'",
    ]
    old += [f"gitlab_kas['env'] = {{ 'DEPLOY_TOKEN' => '{recorder.word()}', 'OLD_TOKEN' => '{recorder.word()}' }}"]
    old += [f"gitlab_kas['sentry_dsn'] = 'https://{recorder.word()}@sentry.example.com/1'"]
    lines = {"kas1": [*redis, f"gitlab_kas['private_api_secret_key'] = '{found}'"], "kas2": old}
    for name, node in nodes.items():
        for command, arguments in (
            ("setsid python3 -c %s >/dev/null 2>&1 &", [SYSLOG]),
            ("mkdir -p /opt/gitlab/etc; echo 0 > /opt/gitlab/etc/reconfigure_seconds", []),
            ("printf %%s %s > /usr/local/bin/ending; chmod 755 /usr/local/bin/ending", [ENDING]),
            ("printf '%%s\\n' %s >> /etc/gitlab/gitlab.rb", ["\n".join(lines.get(name, []))]),
        ):
            done = node.run(command, *arguments)
            assert done.rc == 0, done.stderr
    return recorder


@pytest.mark.parametrize(
    "shown_by", ["runner", *(pytest.param(each, marks=long) for each in ("default", "minimal", "oneline"))]
)
def test_runs_that_work(shown_by: str, recorder: Recorder, nodes: dict[str, Host]) -> None:
    for arguments, variables in (
        (["--check"], {}),
        ([], {}),
        ([], {}),
        (["--check"], {"kas_state": "absent"}),
        ([], {"kas_state": "absent"}),
    ):
        rc, output = recorder.run(*arguments, shown_by=shown_by, variables=variables)
        assert rc == 0, output[-2000:]
        on_nodes(nodes, recorder)
        assert recorder.seen() == []


# WORD is a secret of the case's own.
PEM = "-----BEGIN PRIVATE KEY-----\nWORD\n-----END PRIVATE KEY-----\n"
SET = "gitlab_kas['redis_password'] = 'WORD'"


@long
@pytest.mark.parametrize(
    ("line", "variables", "sentence"),
    [
        pytest.param("gitlab_rails['ldap_password'] = 'WORD", {}, "kas2", id="Ruby cannot read gitlab.rb"),
        pytest.param(f"{SET} if RUBY_VERSION", {}, "gitlab_kas['redis_password'] is assigned inside", id="dry-run"),
        pytest.param(
            "raise 'the password is: WORD'", {}, "gitlab-ctl reconfigure failed with exit code 1", id="reconfigure"
        ),
        pytest.param("", {"kas_redis": "WORD", "kas_env": "WORD", "kas_settings": ["WORD"]}, "kas_redis", id="types"),
        pytest.param("", {"kas_sentry_dsn": "https://WORD@{{ nothing }}/1"}, "kas_sentry_dsn cannot be", id="template"),
        pytest.param("", {"kas_redis": {"password": "{{ 'WORD' | from_json }}"}}, "kas_redis cannot be", id="filter"),
        pytest.param("", {"kas_secrets_values": {"api_secret_key": "WORD"}}, "api_secret_key", id="a secret"),
        pytest.param("", {"kas_external_url": "wss://kas:WORD@"}, "kas_external_url", id="a URL"),
        pytest.param("", {"kas_private_api_key_content": PEM}, "kas_private_api_key_content", id="a key"),
        pytest.param(
            "",
            {"kas_redis": {"host": "{{ hostvars.kas1.node_ip }}", "password": "WORD"}, "kas_ready_timeout_s": 5},
            "kas2: KAS is not ready after 5 s",
            id="KAS does not start",
        ),
    ],
)
def test_runs_that_fail(
    line: str, variables: dict[str, Any], sentence: str, recorder: Recorder, nodes: dict[str, Host]
) -> None:
    word = recorder.word()
    kept = "/etc/gitlab/kept.rb"
    if line:
        done = nodes["kas2"].run(
            f"cp -p /etc/gitlab/gitlab.rb {kept} && echo %s >> /etc/gitlab/gitlab.rb", line.replace("WORD", word)
        )
        assert done.rc == 0, done.stderr
    rc, output = recorder.run(variables=json.loads(json.dumps(variables).replace("WORD", word)))
    if line:
        nodes["kas2"].run(f"mv {kept} /etc/gitlab/gitlab.rb")
    assert rc == 2, output[-2000:]
    assert sentence in output, output[-2000:]
    on_nodes(nodes, recorder)
    assert recorder.seen() == []


@long
def test_every_module_that_fails(recorder: Recorder, nodes: dict[str, Host]) -> None:
    """Each in its turn, with most of its result on the way, until there is none left to fail."""
    for turn in range(1, 40):
        for node in nodes.values():
            assert node.run(f"echo {turn} > /run/turn").rc == 0
        # Another log level, so that every run has something to write.
        rc, output = recorder.run(
            variables={
                "ansible_python_interpreter": "/usr/local/bin/ending",
                "kas_log_level": ("debug", "info")[turn % 2],
            }
        )
        on_nodes(nodes, recorder)
        assert recorder.seen() == []
        if rc == 0:
            break
        assert rc == 2, output[-2000:]
    assert turn > 10
