"""gitlab-ctl reconfigure: what it refuses, what it takes, what it makes of it."""

from __future__ import annotations

import json

import pytest
import yaml

testinfra_hosts = ["ansible://kas3"]
ENV = "/opt/gitlab/etc/gitlab-kas/env"
PID = "/opt/gitlab/sv/gitlab-kas/supervise/pid"
SUMMARY = "Infra Phase complete, "


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("gitlab_kaz['enable'] = true", "Reading unsupported config value gitlab_kaz."),
        ("gitlab_kas_url 'wss://kas'", "Cannot set unsupported config value gitlab_kas_url."),
        ("gitlab_kas['api_secret_key'] = ''", "gitlab_kas['api_secret_key'] should be exactly 32 bytes"),
        (
            "gitlab_kas['private_api_secret_key'] = 'YQ=='",
            "gitlab_kas['private_api_secret_key'] should be exactly 32 bytes",
        ),
        (
            "gitlab_kas['enable'] = false\ngitlab_kas['websocket_token_secret_key'] = 'YQ=='",
            "gitlab_kas['websocket_token_secret_key'] should be exactly 72 bytes",
        ),
        ("gitlab_kas['api_secret_key'] += \"\\n\"", "invalid base64"),
        ("gitlab_kas['enable'] = = true", "/etc/gitlab/gitlab.rb:17: syntax error, "),
        (
            "gitlab_kas['env'] = nil\nfrom_file '/dev/null'\ngitlab_kas['env']['A'] = 'b'",
            "undefined method `[]=' for nil",
        ),
        (
            "gitlab_kas['internal_api_listen_network'] = 'udp'",
            "gitlab_kas['internal_api_listen_network'] should be 'tcp', 'tcp4', 'tcp6' or 'unix' got 'udp'",
        ),
        (
            "gitlab_kas_external_url 'kas.example.com'",
            "gitlab_kas_external_url must include a scheme and FQDN, e.g. wss://kas.gitlab.example.com/",
        ),
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
    node.reconfigure("gitlab_kas['env'] = {}", version="17.9.1+stable")
    assert node.run(f"ls {ENV}") == "GODEBUG\nSSL_CERT_DIR"


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        (
            "",
            {
                "enabled": True,
                "external_url": "wss://gitlab.example.com/-/kubernetes-agent/",
                "internal_url": "grpc://localhost:8153",
                "external_k8s_proxy_url": "https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/",
            },
        ),
        (
            "external_url 'https://gitlab.example.com:8443'",
            {"external_url": "wss://gitlab.example.com:/-/kubernetes-agent/"},
        ),
        (
            "gitlab_kas_external_url 'wss://kas.gitlab.example.com/'",
            {
                "external_url": "wss://kas.gitlab.example.com/",
                "external_k8s_proxy_url": "https://kas.gitlab.example.com/k8s-proxy/",
            },
        ),
        (
            "gitlab_kas['internal_api_listen_network'] = 'unix'; gitlab_kas['internal_api_listen_address'] = '/run/k'",
            {"internal_url": "unix:///run/k"},
        ),
        ("gitlab_kas['enable'] = false", {"enabled": False, "external_url": None, "internal_url": None}),
        ("roles ['redis_master_role', 'application_role']", {"enabled": True}),
        ("roles ['application_role']; gitlab_rails['enable'] = false", {"enabled": True}),
    ],
)
def test_what_rails_is_told(node, addition, expected):
    assert node.reconfigure(addition).rc == 0
    told = yaml.safe_load(node.read("/var/opt/gitlab/gitlab-rails/etc/gitlab.yml"))["production"]["gitlab_kas"]
    assert told.items() >= expected.items()


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ("", {"network": "tcp", "server": {"address": "10.87.0.11:6379"}}),
        ("gitlab_kas['redis_host'] = 'r'; gitlab_kas['redis_port'] = 1", {"server": {"address": "r:1"}}),
        (
            "gitlab_rails['redis_host'] = nil",
            {"network": "unix", "server": {"address": "/var/opt/gitlab/redis/redis.socket"}},
        ),
        (
            "gitlab_rails['redis_sentinels'] = [{'host' => 'a', 'port' => 26379}, {'host' => 'b'}]",
            {"sentinel": {"master_name": "gitlab-redis", "addresses": ["a:26379", "b:6379"]}},
        ),
    ],
)
def test_redis(node, addition, expected):
    assert node.reconfigure(addition).rc == 0
    redis = yaml.safe_load(node.read("/var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml"))["redis"]
    assert redis.items() >= expected.items()


def test_a_redis_of_its_own_takes_nothing_over(node):
    node.reconfigure("gitlab_kas['redis_host'] = 'redis.example.com'")
    assert "password_file" not in node.read("/var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml")


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
