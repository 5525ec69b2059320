"""A real nginx and what we say of its files, on the node, for each row of pairs.py."""

from __future__ import annotations

import base64
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pairs import Case, cases

testinfra_hosts = ["ansible://gitlab_kas"]

ROOT = Path(__file__).resolve().parents[3]
CASES = list(cases())
PAIR = ("/etc/gitlab/ssl/kas.crt", "/etc/gitlab/ssl/kas.key")
PASSPHRASES = "/etc/gitlab/ssl/kas.pass"
# nginx does without a terminal, as under runit, or it would ask for passphrases.
SCRIPT = """
import json, pathlib, subprocess, sys
sys.path.insert(0, '/tmp/pairs')
import _nginx_files
found = []
for root in sorted(pathlib.Path('/tmp/pairs').glob('[0-9]*'), key=lambda path: int(path.name)):
    argv = ['/usr/sbin/nginx', '-t', '-e', 'stderr', '-c', root / 'nginx.conf']
    tried = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True)
    named = [('ssl_password_file', '/etc/gitlab/ssl/kas.pass')]
    found.append({'rc': tried.returncode, 'said': tried.stderr.decode(), **_nginx_files.look_at_files(root, named)})
print(json.dumps(found))
"""


def configuration(root: str, *, has_passphrases: bool) -> str:
    names = {"ssl_certificate": PAIR[0], "ssl_certificate_key": PAIR[1]}
    if has_passphrases:
        names["ssl_password_file"] = PASSPHRASES
    lines = "".join(f"{setting} {root}{path}; " for setting, path in names.items())
    server = f"server {{ listen 127.0.0.1:9443 ssl; {lines}}}"
    return f"pid {root}/nginx.pid; error_log stderr; events {{}} http {{ access_log off; {server} }}"


def archive() -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        files = {"_nginx_files.py": (ROOT / "plugins/module_utils/_nginx_files.py").read_bytes()}
        for number, case in enumerate(CASES):
            conf = configuration(f"/tmp/pairs/{number}", has_passphrases=case.passphrases is not None)
            contents = (case.certificate, case.key, case.passphrases, conf.encode())
            for path, content in zip((*PAIR, PASSPHRASES, "/nginx.conf"), contents, strict=True):
                if content is not None:
                    files[f"{number}{path}"] = content
        for name, content in files.items():
            member = tarfile.TarInfo(f"pairs/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="module")
def found(host):
    host.check_output("echo %s | base64 -d | tar -xz -C /tmp", archive())
    result = json.loads(host.check_output("python3 -c %s", SCRIPT))
    host.check_output("rm -r /tmp/pairs")
    return result


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_nginx_and_what_is_said_of_its_files(number: int, case: Case, found):
    result = found[number]
    assert (result["rc"] == 0) is case.starts, result["said"]
    certificate, key = (result["unusable"].get(path, "").removesuffix(" instead of two") for path in PAIR)
    assert (certificate, key) == (case.of_certificate, case.of_key)
    is_pair = PAIR[1] in result["certificates"].get(PAIR[0], {}).get("keys", ())
    assert is_pair is (case.is_pair and not (certificate or key))
