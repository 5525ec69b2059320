"""gitlab-kas on a host: what ends it there, and what its neighbours answer. More is in tests/stand_in."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://kas3"]
SOCKETS = "/var/opt/gitlab/gitlab-kas/sockets"
PRIVATE_UNIX = (
    f"gitlab_kas['private_api_listen_network'] = 'unix'\n"
    f"gitlab_kas['private_api_listen_address'] = '{SOCKETS}/private.socket'\n"
    "gitlab_kas['private_api_key_file'] = nil\n"
    "gitlab_kas['env'] = {}\n"
)


@pytest.mark.parametrize(
    ("addition", "version", "text"),
    [
        (
            "",  # the default URL of old packages beside the CIDR
            "17.8.1",
            "either OWN_PRIVATE_API_URL or OWN_PRIVATE_API_CIDR should be specified, not both",
        ),
        (
            "gitlab_kas['env'] = {'OWN_PRIVATE_API_URL' => '', 'OWN_PRIVATE_API_CIDR' => '0.0.0.0/0'}",
            "17.7.0",
            "Program aborted: private API server: multiple IPs matched CIDR",
        ),
        (
            "gitlab_kas['env'] = {}",  # the default URL
            "17.8.0",
            "failed to parse OWN_PRIVATE_API_URL grpc://localhost:8155: ParseAddr(",
        ),
        (
            "gitlab_kas['env'] = {}; gitlab_kas['private_api_listen_address'] = 'localhost:8155'",
            "17.9.0",
            "panic: multi URL: no addresses and no host",
        ),
        ("", "18.0.0", 'unknown field \\"gitops\\"'),
        ("gitlab_kas['private_api_listen_address'] = '[::]:8155'", "19.3.0", "YAMLToJSON: yaml: "),
        (
            "gitlab_kas['private_api_key_file'] = '/root/kas.key'",
            "19.3.0",
            "open /root/kas.key: permission denied",
        ),
        ("gitlab_rails['redis_port'] = 6380", "19.3.0", "redis client: dial tcp 10.87.0.11:6380: connect: "),
        ("gitlab_rails['redis_password'] = 'wrong'", "19.3.0", "redis client: WRONGPASS invalid username"),
        (f"{PRIVATE_UNIX}system 'install -d -o root {SOCKETS}'", "19.3.0", "bind: permission denied"),
    ],
)
def test_refused(node, addition, version, text):
    assert node.reconfigure(addition, version).rc == 0
    assert text in node.try_kas()


def test_a_socket_in_a_directory_of_git(node, eventually):
    node.reconfigure(f"{PRIVATE_UNIX}system 'install -d -o git {SOCKETS}'")
    node.start_kas()
    eventually(lambda: "Kubernetes API endpoint is up" in node.log())
    assert f'"url":"unix:{SOCKETS}/private.socket"' in node.log()
    assert node.host.file(f"{SOCKETS}/private.socket").is_socket
    node.run("gitlab-ctl stop gitlab-kas")
    assert not node.host.file(f"{SOCKETS}/private.socket").exists


def test_a_listener_that_cannot_bind_is_tried_again(node, eventually):
    """Most of the time KAS runs and is not ready; every ten seconds it ends, and runit starts it again."""
    node.reconfigure("gitlab_kas['listen_address'] = '192.0.2.1:8150'")
    node.start_kas()
    eventually(lambda: "agentServer: not ready yet" in node.run("curl -s localhost:8151/readiness || true"))
    assert "Program aborted" not in node.log()
    eventually(lambda: node.log().count('"msg":"Running KAS"') == 2, within=15)
    assert "listen tcp 192.0.2.1:8150: bind: cannot assign requested address" in node.log()
    node.run("gitlab-ctl stop gitlab-kas")


@pytest.mark.parametrize(
    ("addition", "text"),
    [
        (
            "gitlab_kas['private_api_secret_key'] = gitlab_kas['api_secret_key']",
            "rpc error: code = Unauthenticated desc = JWT validation failed",
        ),
        ("gitlab_kas['env']['OWN_PRIVATE_API_HOST'] = 'kas.other'", "tls: failed to verify certificate: x509: "),
        ("gitlab_kas['env']['SSL_CERT_DIR'] = '/var/empty'", "x509: certificate signed by unknown authority"),
    ],
)
def test_neighbours_refuse(node, eventually, addition, text):
    assert node.reconfigure(addition).rc == 0
    node.start_kas()
    eventually(lambda: node.log().count(text) == 2)
    assert 'kas_peer_up{url="grpcs://10.87.0.11:8155"} 0' in node.run("curl -s localhost:8151/metrics")
    node.run("gitlab-ctl stop gitlab-kas")


def test_the_older_generation(node, eventually):
    node.reconfigure("gitlab_kas['env']['OWN_PRIVATE_API_URL'] = ''", version="17.7.0")
    node.start_kas()
    eventually(lambda: node.log().count('"msg":"Reached KAS"') == 2)
    assert '"msg":"Using own private API URL","url":"grpcs://10.87.0.13:8155"' in node.log()
    node.run("gitlab-ctl stop gitlab-kas")


def test_an_address_that_others_cannot_reach(node):
    node.reconfigure("gitlab_kas['env']['OWN_PRIVATE_API_CIDR'] = '127.0.0.0/8'")
    warning = '"level":"WARN","msg":"Own private API multi URL contains a loopback or a link-local IP address(es)"'
    assert warning in node.try_kas()


@pytest.mark.parametrize(
    ("addition", "secret", "text"),
    [
        ("", "Y" * 43 + "=", "rpc error: code = Unauthenticated desc = JWT validation failed"),
        ("gitlab_rails['gitlab_kas_internal_url'] = 'grpc://localhost:8152'", "", "dial tcp localhost:8152: connect: "),
        ("gitlab_rails['gitlab_kas_internal_url'] = 'grpcs://localhost:8153'", "", "handshake failed: tls: "),
    ],
)
def test_rails_is_refused(node, eventually, addition, secret, text):
    node.reconfigure(addition)
    if secret:
        node.write("/var/opt/gitlab/gitlab-rails/etc/gitlab_kas_secret", secret)
    node.start_kas()
    eventually(lambda: "Kubernetes API endpoint is up" in node.log())
    answer = node.host.run("PYTHONPATH=/opt/gitlab/embedded/lib python3 -m gitlab_kas.rails")
    node.run("gitlab-ctl stop gitlab-kas")
    assert answer.rc == 1
    assert text in answer.stdout
