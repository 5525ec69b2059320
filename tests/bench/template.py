# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gitlab.rb of any length in the shape of the package's template: nearly all of it commented."""

from __future__ import annotations

from collections.abc import Iterator

TEMPLATE_LINES = 3_800  # about what the package ships
SECTIONS = ("gitlab_rails", "gitlab_workhorse", "postgresql", "redis", "nginx", "puma", "sidekiq", "registry", "gitaly")
HEAD = """\
## Where users reach this GitLab
external_url 'https://gitlab.example.com'

gitlab_rails['time_zone'] = 'UTC' # as the office has it
gitlab_rails['smtp_address'] = "mail.example.com"
nginx['listen_port'] = 443
letsencrypt['enable'] = false
"""
KAS = """\
################################################################################
## The agent server for Kubernetes
################################################################################

## Its address for agents
# gitlab_kas_external_url 'wss://kas.example.com/-/kubernetes-agent/'

# gitlab_kas['enable'] = true
# gitlab_kas['gitlab_address'] = 'https://gitlab.example.com'
# gitlab_kas['api_secret_key'] = '32 bytes in Base64'
# gitlab_kas['private_api_secret_key'] = '32 bytes in Base64'
# gitlab_kas['listen_address'] = 'localhost:8150'
# gitlab_kas['listen_network'] = 'tcp'
# gitlab_kas['internal_api_listen_address'] = 'localhost:8153'
# gitlab_kas['private_api_listen_address'] = 'localhost:8155'
# gitlab_kas['metrics_usage_reporting_period'] = 60
# gitlab_kas['env'] = {
#   'SSL_CERT_DIR' => '/opt/gitlab/embedded/ssl/certs/',
#   'OWN_PRIVATE_API_URL' => 'grpc://localhost:8155'
# }
"""


def _sections() -> Iterator[str]:
    """Endless commented settings, a dozen kinds of lines for each section."""
    number = 0
    while True:
        section = SECTIONS[number % len(SECTIONS)]
        yield f"\n### What {section} needs, part {number}\n###! Read the handbook before you change it.\n\n"
        for key in range(number * 20, number * 20 + 20):
            yield f"# {section}['setting_{key}'] = {('true', '8080', repr('some/text'))[key % 3]}\n"
            if key % 10 == 0:
                yield f"# {section}['map_{key}'] = {{\n#   'one' => 1,\n#   'two' => ['a', 'b'], # both\n# }}\n"
        number += 1


def template(lines: int) -> bytes:
    """The file's text, exactly that many lines, the part about KAS in the middle."""
    head, kas = HEAD.splitlines(keepends=True), KAS.splitlines(keepends=True)
    filler: list[str] = []
    for text in _sections():
        filler += text.splitlines(keepends=True)
        if len(filler) >= lines:
            break
    filler = filler[: max(lines - len(head) - len(kas), 0)]
    middle = len(filler) // 2
    while middle < len(filler) and filler[middle] != "\n":
        middle += 1
    return "".join([*head, *filler[:middle], "\n", *kas, *filler[middle + 1 :]]).encode()


# 25 settings as a role writes them.
SETTINGS = {
    "external_url": "https://gitlab.example.com",
    "gitlab_kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent/",
    "gitlab_kas": {
        "enable": True,
        "gitlab_address": "https://gitlab.example.com",
        "api_secret_key": "c2VjcmV0IHRoYXQgaXMgbm90IG9uZSBhdCBhbGwh",
        "private_api_secret_key": "YW5vdGhlciBzZWNyZXQgdGhhdCBpcyBub3Qgb25l",
        "websocket_token_secret_key": "YSB0aGlyZCBzZWNyZXQ=",
        "listen_address": "0.0.0.0:8150",
        "listen_network": "tcp",
        "internal_api_listen_address": "0.0.0.0:8153",
        "private_api_listen_address": "0.0.0.0:8155",
        "metrics_usage_reporting_period": 120,
        "redis_host": "redis.example.com",
        "redis_port": 6379,
        "redis_password": "a password",
        "log_level": "info",
        "env": {
            "OWN_PRIVATE_API_URL": "grpc://10.0.0.1:8155",
            "OWN_PRIVATE_API_HOST": "kas.example.com",
            "GODEBUG": "netdns=go",
            "NO_PROXY": "10.0.0.0/8",
        },
    },
    "gitlab_rails": {
        "gitlab_kas_enabled": True,
        "gitlab_kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent/",
        "gitlab_kas_internal_url": "grpc://localhost:8153",
        "gitlab_kas_external_k8s_proxy_url": "https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/",
        "time_zone": "Europe/Berlin",
    },
}
