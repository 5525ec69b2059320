"""gitlab-ctl reconfigure as a program sees it. What it makes of each setting is held to the package's own answers in
tests/stand_in."""

from __future__ import annotations

import json
import re

import pytest

testinfra_hosts = ["ansible://kas3"]
ENV = "/opt/gitlab/etc/gitlab-kas/env"
PID = "/opt/gitlab/sv/gitlab-kas/supervise/pid"
SUMMARY = "Infra Phase complete, "


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("gitlab_kaz['enable'] = true", "Reading unsupported config value gitlab_kaz."),
        ("gitlab_kas['enable'] = = true", "/etc/gitlab/gitlab.rb:17: syntax error, "),
        ("roles ['kas_role']", "The following invalid roles have been set in 'roles': kas_role"),
    ],
)
def test_refused(node, addition, message):
    run = node.reconfigure(addition)
    assert run.rc == 1
    assert run.stderr.startswith(f"There was an error running gitlab-ctl reconfigure:\n\n{message}")
    assert "Reconfigured!" not in run.stdout


@pytest.mark.parametrize(
    ("addition", "name", "content"),
    [
        ("", "SSL_CERT_DIR", "/opt/gitlab/embedded/ssl/certs/"),  # the package's, beside the user's
        ("gitlab_kas['env']['SSL_CERT_DIR'] = nil", "SSL_CERT_DIR", "/opt/gitlab/embedded/ssl/certs/"),
        ("gitlab_kas['env']['SSL_CERT_DIR'] = ''", "SSL_CERT_DIR", ""),
        ("gitlab_kas['env'] = {A: 1}", "A", "1"),
        ("gitlab_kas[:env]['A'] = 'b'", "A", "b"),
        ("gitlab_kas = {}\ngitlab_kas['env'] = {}", "OWN_PRIVATE_API_CIDR", "10.87.0.0/24"),  # a local variable
        ("gitlab_kas['no_such_key']['at_all'] = 1", "OWN_PRIVATE_API_SCHEME", "grpcs"),
    ],
)
def test_environment(node, addition, name, content):
    assert node.reconfigure(addition).rc == 0
    assert node.read(f"{ENV}/{name}") == content


def test_the_default_environment_goes_by_version(node):
    node.reconfigure("gitlab_kas['env'] = {}", version="17.8.1")
    assert node.read(f"{ENV}/OWN_PRIVATE_API_URL") == "grpc://localhost:8155"
    node.reconfigure("gitlab_kas['env'] = {}", version="18.2.0+stable")
    assert node.run(f"ls {ENV}") == "GODEBUG\nSSL_CERT_DIR"


def test_secrets(node):
    """gitlab.rb beats gitlab-secrets.json beats a new one; the winner is written back."""
    path = "/etc/gitlab/gitlab-secrets.json"
    given = json.loads(node.read(path))["gitlab_kas"]
    node.reconfigure("gitlab_kas['private_api_secret_key'] = gitlab_kas['websocket_token_secret_key'] = nil")
    assert json.loads(node.read(path))["gitlab_kas"] == given
    node.write(path, json.dumps({"gitlab_kas": {**given, "private_api_secret_key": None}}))
    node.reconfigure("gitlab_kas['private_api_secret_key'] = nil")
    made = json.loads(node.read(path))["gitlab_kas"]
    assert made["private_api_secret_key"] not in (None, given["private_api_secret_key"])
    assert made["api_secret_key"] == given["api_secret_key"]


def test_a_second_run_changes_nothing(node, eventually):
    node.reconfigure()
    node.start_kas()
    # An earlier test leaves a KAS without Redis, which runit starts again and again.
    eventually(lambda: node.host.run("curl -so /dev/null -w '%{http_code}' localhost:8151/readiness").stdout == "200")
    before = node.run(f"cat {PID}; ls /var/log/gitlab/reconfigure | wc -l")
    lines = node.reconfigure().stdout.splitlines()
    assert lines[-1] == "gitlab Reconfigured!"
    assert lines[-2].startswith(f"{SUMMARY}0/")
    pid, runs = before.split()
    assert node.run(f"cat {PID}; ls /var/log/gitlab/reconfigure | wc -l").split() == [pid, str(int(runs) + 1)]


def test_a_change_restarts_kas_only_if_it_was_up(node, eventually):
    pid = node.run(f"cat {PID}")
    node.reconfigure("gitlab_kas['log_level'] = 'debug'")
    eventually(lambda: node.run(f"cat {PID}") != pid)
    node.run("gitlab-ctl stop gitlab-kas")
    lines = node.reconfigure().stdout.splitlines()
    assert not lines[-2].startswith(f"{SUMMARY}0/")
    status = node.host.run("gitlab-ctl status gitlab-kas")
    assert (status.rc, status.stdout[:18]) == (3, "down: gitlab-kas: ")


def test_off_and_on(node):
    node.reconfigure("gitlab_kas['enable'] = false")
    status = node.host.run("gitlab-ctl status gitlab-kas")
    assert (status.rc, status.stdout) == (0, "")
    assert node.host.file("/var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml").exists
    node.reconfigure()
    assert node.host.run("gitlab-ctl status gitlab-kas").stdout.startswith("run: gitlab-kas: ")


def test_a_second_run_waits_for_the_first(node):
    node.write("/opt/gitlab/etc/reconfigure_seconds", "1")
    both = node.run("gitlab-ctl reconfigure >/dev/null & sleep 0.4; gitlab-ctl reconfigure; wait")
    assert both.startswith("Chef Infra Client is running, will wait for it to finish and then run.\n")
    node.write("/opt/gitlab/etc/reconfigure_seconds", "0")


def test_nginx_does_not_start_without_a_certificate(node, eventually):
    """What reconfigure does not notice."""
    run = node.reconfigure("gitlab_kas_external_url 'wss://kas.gitlab.example.com/'")
    assert (run.rc, run.stdout.splitlines()[-1]) == (0, "gitlab Reconfigured!")
    message = 'cannot load certificate "/etc/gitlab/ssl/kas.gitlab.example.com.crt": BIO_new_file() failed'
    eventually(lambda: message in node.read("/var/log/gitlab/nginx/current"))
    node.reconfigure()
    eventually(lambda: node.host.run("gitlab-ctl status nginx").stdout.startswith("run: nginx: "))


def test_lets_encrypt(node, eventually):
    """It is on by itself where GitLab has no certificate, and goes on only if the authority has answered once."""
    https, certificate = "external_url 'https://gitlab.example.com'", "/etc/gitlab/ssl/gitlab.example.com.crt"
    run = node.reconfigure(https)
    assert run.rc == 1
    assert "letsencrypt_certificate had an error: Failed to open TCP connection to acme-" in run.stderr
    assert "BEGIN CERTIFICATE" in node.read(certificate)
    assert node.reconfigure(https).rc == 0
    assert "letsencrypt" not in json.loads(node.read("/etc/gitlab/gitlab-secrets.json"))
    node.run("rm -r /etc/gitlab/ssl; touch /opt/gitlab/etc/letsencrypt_answers")
    assert node.reconfigure(f"{https}\ngitlab_kas_external_url 'wss://kas.gitlab.example.com/'").rc == 0
    assert json.loads(node.read("/etc/gitlab/gitlab-secrets.json"))["letsencrypt"] == {"auto_enabled": True}
    assert "DNS:kas.gitlab.example.com" in node.run(f"openssl x509 -in {certificate} -noout -text")
    # Just restarted, it may be down for a moment; then it stays up.
    stays = re.compile(r"run: nginx: \(pid \d+\) (?:[2-9]|\d\d+)s")
    eventually(lambda: stays.match(node.host.run("gitlab-ctl status nginx").stdout))
    node.run("rm -r /etc/gitlab/ssl /opt/gitlab/etc/letsencrypt_answers")
