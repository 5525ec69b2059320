"""What an administrator sees on the nodes of a healthy cluster."""

from __future__ import annotations

testinfra_hosts = ["ansible://gitlab_kas"]
HOSTS = {"kas1": "10.87.0.11", "kas2": "10.87.0.12", "kas3": "10.87.0.13"}
FILES = """\
git root 700 /var/opt/gitlab/gitlab-kas
root git 640 /var/opt/gitlab/gitlab-kas/gitlab-kas-config.yml
root git 640 /var/opt/gitlab/gitlab-kas/authentication_secret_file
root git 640 /var/opt/gitlab/gitlab-kas/private_api_authentication_secret_file
root git 640 /var/opt/gitlab/gitlab-kas/websocket_token_secret_file
root git 640 /var/opt/gitlab/gitlab-kas/redis_password_file
root root 644 /var/opt/gitlab/gitlab-kas/VERSION
root root 644 /opt/gitlab/etc/gitlab-kas/env/OWN_PRIVATE_API_CIDR
root root 600 /etc/gitlab/gitlab-secrets.json
root root 644 /var/opt/gitlab/public_attributes.json"""
LISTENERS = ["127.0.0.1:8150", "127.0.0.1:8151", "127.0.0.1:8153", "127.0.0.1:8154", "*:8155"]


def test_every_kas_reaches_every_other(host, eventually):
    name = host.check_output("hostname")
    expected = {f'kas_peer_up{{url="grpcs://{ip}:8155"}} 1' for peer, ip in HOSTS.items() if peer != name}
    eventually(lambda: expected <= set(host.check_output("curl -s localhost:8151/metrics").splitlines()))
    assert host.check_output("curl -sw '%{http_code}' localhost:8151/readiness") == "200"


def test_files(host):
    paths = " ".join(line.split()[-1] for line in FILES.splitlines())
    assert host.check_output(f"stat -c '%U %G %a %n' {paths}") == FILES


def test_kas_listens_as_git(host):
    listening = host.check_output("ss -Hltn | awk '{print $4}'").split()
    assert set(LISTENERS) <= set(listening)
    assert host.process.get(user="git", comm="gitlab-kas")


def test_status(host):
    status = host.run("gitlab-ctl status gitlab-kas")
    assert status.rc == 0
    assert status.stdout.startswith("run: gitlab-kas: (pid ")
    assert "; run: log: (pid " in status.stdout


def test_a_service_that_is_not_enabled_says_nothing(host):
    status = host.run("gitlab-ctl status puma")
    assert (status.rc, status.stdout, status.stderr) == (0, "", "")


def test_rails_reaches_kas(host):
    assert host.check_output("PYTHONPATH=/opt/gitlab/embedded/lib python3 -m gitlab_kas.rails") == "ok"
