"""Three KAS, each with another way to the same Redis."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]

URLS = {f"kas{n}": f"grpc://10.87.0.1{n}:8155" for n in (1, 2, 3)}
DIRECTORY = "/var/opt/gitlab/gitlab-kas"
REDIS = {
    "kas1": {
        "network": "tcp",
        "tls": {"enabled": False},
        "password_file": f"{DIRECTORY}/redis_password_file",
        "sentinel": {
            "master_name": "gitlab-redis",
            "addresses": ["10.87.0.13:26379"],
            "sentinel_password_file": f"{DIRECTORY}/redis_sentinels_password_file",
        },
    },
    "kas2": {
        "network": "tcp",
        "tls": {
            "enabled": True,
            "ca_certificate_file": "/etc/gitlab/ssl-redis/ca.crt",
            "certificate_file": "/etc/gitlab/ssl-redis/kas.crt",
            "key_file": "/etc/gitlab/ssl-redis/kas.key",
        },
        "username": "kas",
        "password_file": f"{DIRECTORY}/redis_password_file",
        "server": {"address": "10.87.0.13:6380"},
    },
    "kas3": {
        "network": "unix",
        "tls": {"enabled": False},
        "password_file": f"{DIRECTORY}/redis_password_file",
        "server": {"address": "/run/redis.socket"},
    },
}


def test_every_kas_is_ready_and_reaches_every_other(node, soon):
    soon(lambda: node.readiness == "200" and node.peers == set(URLS.values()) - {URLS[node.name]})


def test_each_in_its_own_way(node):
    assert node.config["redis"] == REDIS[node.name]


def test_what_is_written(node):
    """The port of a Sentinel, too; and nothing of what comes from Rails."""
    written = [line for line in node.gitlab_rb.splitlines() if line.startswith("gitlab_kas['redis_")]
    sentinels = "gitlab_kas['redis_sentinels'] = [{ 'host' => '10.87.0.13', 'port' => 26379 }]"
    assert len(written) == {"kas1": 4, "kas2": 8, "kas3": 0}[node.name]
    assert (sentinels in written) == (node.name == "kas1")


def test_nobody_else_reads_the_passwords(node):
    for path in node.lines("grep -rl hunter2 /etc /opt /root /run /tmp /var"):
        file = node.host.file(path)
        expected = ("root", "git", 0o640) if path.startswith(f"{DIRECTORY}/") else ("root", "root", 0o600)
        assert (file.user, file.group, file.mode) == expected, path
    assert node.host.file(DIRECTORY).mode == 0o700


def test_sidekiq_s_node_learns_where_gitlab_is(node):
    is_sidekiq = "\nroles ['sidekiq_role']\n" in node.gitlab_rb
    has_url = "\nexternal_url 'http://gitlab.example.com'\n" in node.gitlab_rb
    assert (is_sidekiq, has_url) == ((True, False) if node.name == "kas1" else (False, True))
    assert node.config["gitlab"]["address"] == "http://gitlab.example.com"
