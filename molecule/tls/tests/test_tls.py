"""Three nodes that talk TLS to each other."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://gitlab_kas"]

DIRECTORY = "/etc/gitlab/ssl-kas"
URLS = {f"kas{n}": f"grpcs://10.87.0.1{n}:8155" for n in (1, 2, 3)}


def test_own_url_and_name(node):
    assert node.own_environment == {
        "OWN_PRIVATE_API_HOST": "kas.internal",
        "OWN_PRIVATE_API_URL": URLS[node.name],
    }


def test_every_kas_reaches_every_other(node, soon):
    soon(lambda: node.peers == set(URLS.values()) - {URLS[node.name]})


def test_kas_is_ready(node):
    assert node.readiness == "200"


def test_rails_asks_for_tls(node):
    assert node.rails_config["internal_url"] == "grpcs://localhost:8153"
    assert node.rails == "ok"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        (DIRECTORY, 0o755),
        (f"{DIRECTORY}/private-api.crt", 0o644),
        (f"{DIRECTORY}/private-api.key", 0o640),
        (f"{DIRECTORY}/internal-api.crt", 0o644),
        (f"{DIRECTORY}/internal-api.key", 0o640),
        ("/etc/gitlab/trusted-certs/test-ca.crt", 0o644),
    ],
)
def test_modes(host, path, mode):
    file = host.file(path)
    assert (file.user, file.mode) == ("root", mode)
    assert file.is_directory or file.group == "git"


def test_gitlab_s_own_directory_stays_as_it_was(host):
    assert host.file("/etc/gitlab/ssl").mode == 0o700
    assert sorted(host.file("/etc/gitlab/ssl").listdir()) == ["kas.crt", "kas.key"]


@pytest.mark.parametrize(("port", "name"), [(8153, "internal-api"), (8155, "private-api")])
def test_serves_the_certificate_that_is_in_place(host, port, name):
    """KAS reads it only when it starts."""
    fingerprint = "openssl x509 -noout -fingerprint -sha256"
    served = f"openssl s_client -connect localhost:{port} </dev/null 2>/dev/null | {fingerprint}"
    assert host.check_output(served) == host.check_output(f"{fingerprint} -in {DIRECTORY}/{name}.crt")
