# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.utils.vars import merge_hash
from ansible_collections.kasops.gitlab_kas.plugins.plugin_utils._chart import (
    Chart,
    helm_values,
    read_chart,
    refusals,
    secrets_manifest,
    secrets_refusals,
    warnings,
)

ROOT = Path(__file__).resolve().parents[4]

API = base64.b64encode(b"a" * 32).decode()
PRIVATE = base64.b64encode(b"p" * 32).decode()
TOKEN = base64.b64encode(b"t" * 72).decode()

GIVEN = {"kas_chart_gitlab_url": "https://gitlab.example.com"}
# KAS in Kubernetes for Rails on packages, and the other way round.
ONLY_KAS = {
    **GIVEN,
    "kas_chart_runs": "kas",
    "kas_external_url": "wss://kas.gitlab.example.com",
    "kas_chart_api_secret": "gitlab-kas",
}
ONLY_RAILS = {
    **ONLY_KAS,
    "kas_chart_runs": "rails",
    "kas_external_url": "wss://kas.gitlab.example.com/",
    "kas_internal_url": "grpc://kas.internal.example.com:8153",
}
BOTH = {**GIVEN, "kas_external_url": "wss://kas.gitlab.example.com"}


def chart(given: dict[str, Any]) -> Chart:
    found, wrong = read_chart("host", given)
    assert wrong == []
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            ONLY_KAS,
            """
            global:
              kas: {enabled: true, service: {apiExternalPort: 8153}, tls: {enabled: false}}
              hosts: {kas: {name: kas.gitlab.example.com}}
              appConfig: {gitlab_kas: {secret: gitlab-kas, key: kas_shared_secret}}
            gitlab:
              kas:
                customConfig:
                  gitlab: {address: https://gitlab.example.com, external_url: https://gitlab.example.com}
            """,
            id="only KAS",
        ),
        pytest.param(
            {
                **ONLY_KAS,
                "kas_external_url": "wss://kas.gitlab.example.com:8443/",
                "kas_gitlab_address": "http://gitlab.internal.example.com",
                "kas_k8s_proxy_url": "https://kas.gitlab.example.com:8443/k8s-proxy/",
                "kas_internal_url": "grpcs://kas.internal.example.com:443",
                "kas_log_level": "warn",
                "kas_grpc_log_level": "error",
                "kas_chart_api_port": "9153",
                "kas_chart_api_secret": "shared/api",
                "kas_chart_private_api_secret": "shared/private",
                "kas_chart_websocket_token_secret": "gitlab-kas-websocket",
                "kas_chart_tls_secret": "kas-tls",
                "kas_chart_tls_ca_secret": "kas-ca",
                "kas_chart_tls_verify": "false",
                "kas_chart_custom_config": {
                    "gitlab": {"api_rate_limit": {"refill_rate_per_second": 50}},
                    "observability": {"logging": {"level": "debug"}},
                    "redis": {"password_file": "/etc/kas/redis/password"},
                },
            },
            """
            global:
              kas:
                enabled: true
                service: {apiExternalPort: 9153}
                tls: {enabled: true, secretName: kas-tls, caSecretName: kas-ca, verify: false}
              hosts: {kas: {name: kas.gitlab.example.com}}
              appConfig: {gitlab_kas: {secret: shared, key: api}}
            gitlab:
              kas:
                customConfig:
                  gitlab:
                    address: http://gitlab.internal.example.com
                    external_url: https://gitlab.example.com
                    api_rate_limit: {refill_rate_per_second: 50}
                  observability: {logging: {level: debug, grpc_level: error}}
                  redis: {password_file: /etc/kas/redis/password}
                privateApi: {secret: shared, key: private}
                websocketToken: {secret: gitlab-kas-websocket, key: kas_websocket_token_secret}
            """,
            id="only KAS, everything",
        ),
        pytest.param(
            ONLY_RAILS,
            """
            global:
              kas: {enabled: false}
              appConfig:
                gitlab_kas:
                  enabled: true
                  externalUrl: wss://kas.gitlab.example.com/
                  internalUrl: grpc://kas.internal.example.com:8153
                  secret: gitlab-kas
                  key: kas_shared_secret
            """,
            id="only Rails",
        ),
        pytest.param(
            {
                **ONLY_RAILS,
                "kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent/",
                "kas_internal_url": "grpcs://10.0.0.5:8153",
                "kas_k8s_proxy_url": "https://gitlab.example.com/-/kubernetes-agent/k8s-proxy/",
                "kas_chart_api_secret": "gitlab-kas/api",
                "kas_redis": {"host": "redis.example.com"},
                "kas_log_level": "debug",
            },
            """
            global:
              kas: {enabled: false}
              appConfig:
                gitlab_kas:
                  enabled: true
                  externalUrl: wss://gitlab.example.com/-/kubernetes-agent/
                  internalUrl: grpcs://10.0.0.5:8153
                  secret: gitlab-kas
                  key: api
            """,
            id="only Rails, on GitLab's path, with TLS",
        ),
        pytest.param(
            GIVEN,
            """
            global:
              kas: {enabled: true, service: {apiExternalPort: 8153}, tls: {enabled: false}}
              appConfig: {gitlab_kas: {enabled: true}}
            """,
            id="both, the chart decides",
        ),
        pytest.param(
            {
                **BOTH,
                "kas_internal_url": "grpcs://gitlab-kas.gitlab.svc:8153",
                "kas_gitlab_address": "https://gitlab.example.com",
                "kas_chart_api_secret": "gitlab-kas",
                "kas_chart_tls_secret": "kas-tls",
            },
            """
            global:
              kas:
                enabled: true
                service: {apiExternalPort: 8153}
                tls: {enabled: true, secretName: kas-tls, verify: true}
              hosts: {kas: {name: kas.gitlab.example.com}}
              appConfig:
                gitlab_kas:
                  enabled: true
                  externalUrl: wss://kas.gitlab.example.com
                  internalUrl: grpcs://gitlab-kas.gitlab.svc:8153
                  secret: gitlab-kas
                  key: kas_shared_secret
            gitlab:
              kas:
                customConfig:
                  gitlab: {address: https://gitlab.example.com}
            """,
            id="both",
        ),
        pytest.param(
            {**BOTH, "kas_enabled": "no"},
            "global: {kas: {enabled: false}, appConfig: {gitlab_kas: {enabled: false}}}",
            id="both, KAS off",
        ),
        pytest.param(
            {"kas_chart_runs": "kas", "kas_enabled": False},
            "global: {kas: {enabled: false}}",
            id="only KAS, off",
        ),
        pytest.param(
            {"kas_chart_runs": "rails", "kas_enabled": False},
            "global: {kas: {enabled: false}, appConfig: {gitlab_kas: {enabled: false}}}",
            id="only Rails, KAS off",
        ),
    ],
)
def test_values(given: dict[str, Any], expected: str) -> None:
    asked = chart(given)
    assert refusals(asked) == []
    assert helm_values(asked) == yaml.safe_load(expected)


# All that Helm is given for KAS alone, as it was rendered with charts 7.0.9 to 9.9.1: nothing but KAS and jobs.
KAS_ALONE = """
global:
  hosts: {domain: example.com, kas: {name: kas.gitlab.example.com}}
  redis: {host: redis.internal.example.com, auth: {secret: redis, key: password}}
  ingress: {configureCertmanager: false, tls: {secretName: kas-certificate}}
  gitaly: {enabled: false, external: [{name: default, hostname: unused.invalid}]}
  minio: {enabled: false}
  appConfig:
    artifacts: {enabled: false}
    lfs: {enabled: false}
    uploads: {enabled: false}
    packages: {enabled: false}
    gitlab_kas: {secret: gitlab-kas, key: kas_shared_secret}
  kas: {enabled: true, service: {apiExternalPort: 8153}, tls: {enabled: false}}
gitlab:
  webservice: {enabled: false}
  sidekiq: {enabled: false}
  toolbox: {enabled: false}
  gitlab-shell: {enabled: false}
  gitlab-exporter: {enabled: false}
  migrations: {enabled: false}
  kas: {customConfig: {gitlab: {address: https://gitlab.example.com, external_url: https://gitlab.example.com}}}
registry: {enabled: false}
redis: {install: false}
postgresql: {install: false}
prometheus: {install: false}
gitlab-runner: {install: false}
nginx-ingress: {enabled: false}
installCertmanager: false
"""


GUIDE = [
    list(yaml.safe_load_all(block))
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "helm-chart.md").read_text(), re.DOTALL)
]


def test_guide_for_kas_alone() -> None:
    """The variables and the values of one's own that the guide has for KAS alone come to what was rendered."""
    (given,) = next(documents for documents in GUIDE if "kas_chart_runs" in documents[0])
    (own,) = next(documents for documents in GUIDE if "installCertmanager" in documents[0])
    asked = chart(given)
    assert (refusals(asked), warnings(asked)) == ([], [])
    assert merge_hash(own, helm_values(asked)) == yaml.safe_load(KAS_ALONE)


def test_guide_for_others() -> None:
    """Nothing is refused and nothing warned of."""
    both = GUIDE[0][0][0]["tasks"][0]["vars"]
    only_rails = next(documents for documents in GUIDE if "all" in documents[0])[0]["all"]["vars"]
    for given, runs in ((both, "both"), (only_rails, "rails")):
        asked = chart(given)
        assert asked.values["kas_chart_runs"] == runs
        assert (refusals(asked), warnings(asked)) == ([], [])


SECRETS = {"api_secret_key": API, "private_api_secret_key": PRIVATE, "websocket_token_secret_key": TOKEN}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"kas_chart_api_secret": "gitlab-kas"},
            [("gitlab-kas", "gitlab", {"kas_shared_secret": API})],
            id="default key and namespace",
        ),
        pytest.param(
            {
                "kas_chart_api_secret": "shared/api",
                "kas_chart_private_api_secret": "kas.private",
                "kas_chart_websocket_token_secret": "shared",
                "kas_chart_namespace": "ns",
            },
            [
                ("shared", "ns", {"api": API, "kas_websocket_token_secret": TOKEN}),
                ("kas.private", "ns", {"kas_private_api_secret": PRIVATE}),
            ],
            id="two in one",
        ),
    ],
)
def test_secrets_manifest(given: dict[str, Any], expected: list[tuple[str, str, dict[str, str]]]) -> None:
    asked = chart({**given, "kas_secrets_values": SECRETS})
    assert secrets_refusals(asked) == []
    assert secrets_manifest(asked) == {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "type": "Opaque",
                "stringData": data,
            }
            for name, namespace, data in expected
        ],
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kas_chart_runs": "kubernetes"}, "kas_chart_runs is 'kubernetes'; set both, kas or rails."),
        (
            {"kas_chart_gitlab_url": "gitlab.example.com"},
            "kas_chart_gitlab_url is 'gitlab.example.com'; set a URL whose scheme is http or https.",
        ),
        ({"kas_chart_api_port": 0}, "kas_chart_api_port is 0; set a port from 1 to 65535."),
        ({"kas_chart_api_secret": ["x"]}, "kas_chart_api_secret is a list; set text (a number or boolean in quotes)."),
        (
            {"kas_chart_values_path": "kas-values.yml"},
            "kas_chart_values_path is 'kas-values.yml'; set an absolute path on the node.",
        ),
        ({"kas_enabled": "perhaps"}, "kas_enabled is 'perhaps'; set true or false."),
    ],
)
def test_wrong_types(given: dict[str, Any], message: str) -> None:
    _chart, wrong = read_chart("host", {**BOTH, **given})
    assert wrong == [f"host: {message}"]


NO_GITLAB_URL = (
    "kas_chart_gitlab_url is not set, and no other variable tells it; set GitLab's URL, such as"
    " https://gitlab.example.com"
)
NO_API_SECRET = (
    "kas_chart_api_secret is not set, and kas_chart_runs is '{}', so KAS and Rails must share a secret that the chart"
    " cannot make"
    "; set the name of the Kubernetes Secret that holds the nodes' api_secret_key"
)
NO_AGENTS_URL = (
    "kas_external_url is not set, and kas_chart_runs is '{}'; set where agents connect, such as"
    " wss://kas.gitlab.example.com"
)
OF_NO_KAS = "{} is set, but kas_chart_runs is 'rails', so the chart runs no KAS; leave it out"
IN_CONFIG = (
    "kas_chart_custom_config.{} holds a secret, which would stand in the values; set the path of a file that is"
    " mounted from a Kubernetes Secret"
)
OWN_HOST = (
    "kas_external_url is '{}', which is GitLab's own host, and both the chart's KAS and GitLab would claim its path /;"
    " set a name of its own, such as wss://kas.gitlab.example.com"
)
DOT = (
    "{} names a key with a dot, and the chart's job overwrites such a key at every upgrade; set one without a dot, such"
    " as gitlab-kas/{}"
)


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        pytest.param(
            {},
            [NO_GITLAB_URL],
            id="nothing",
        ),
        pytest.param(
            {**GIVEN, "kas_chart_runs": "kas"}, [NO_AGENTS_URL.format("kas"), NO_API_SECRET.format("kas")], id="KAS"
        ),
        pytest.param(
            {**GIVEN, "kas_chart_runs": "rails"},
            [
                NO_AGENTS_URL.format("rails"),
                "kas_internal_url is not set, and kas_chart_runs is 'rails'; set where Rails reaches KAS, such as"
                " grpc://kas.internal.example.com:8153",
                NO_API_SECRET.format("rails"),
            ],
            id="Rails",
        ),
        pytest.param(
            {**BOTH, "kas_chart_namespace": "-n"},
            ["kas_chart_namespace is '-n'; set lower-case letters, digits and '-', at most 63 characters"],
            id="namespace",
        ),
        pytest.param(
            {**BOTH, "kas_chart_namespace": "n" * 64},
            [f"kas_chart_namespace is '{'n' * 64}'; set lower-case letters, digits and '-', at most 63 characters"],
            id="long namespace",
        ),
        pytest.param(
            {**BOTH, "kas_chart_tls_secret": "kas_tls"},
            ["kas_chart_tls_secret is 'kas_tls'; set lower-case letters, digits and '-', at most 253 characters"],
            id="name of the TLS Secret",
        ),
        pytest.param(
            {**BOTH, "kas_chart_api_secret": API, "kas_chart_private_api_secret": "a/b/c"},
            [
                "kas_chart_api_secret does not name a Kubernetes Secret; set NAME or NAME/KEY, such as"
                " gitlab-kas/kas_shared_secret",
                "kas_chart_private_api_secret does not name a Kubernetes Secret; set NAME or NAME/KEY, such as"
                " gitlab-kas/kas_private_api_secret",
            ],
            id="the secret itself is not shown",
        ),
        pytest.param(
            {
                **BOTH,
                "kas_chart_api_secret": "gitlab.kas/api.txt",
                "kas_chart_private_api_secret": "kas/private.",
                "kas_chart_websocket_token_secret": "kas/.token",
            },
            [
                DOT.format("kas_chart_api_secret", "kas_shared_secret"),
                DOT.format("kas_chart_private_api_secret", "kas_private_api_secret"),
                DOT.format("kas_chart_websocket_token_secret", "kas_websocket_token_secret"),
            ],
            id="a dot in a key",
        ),
        pytest.param({**BOTH, "kas_chart_api_secret": "gitlab.kas/2_api-key"}, [], id="a dot in a name only"),
        pytest.param({**ONLY_RAILS, "kas_chart_api_secret": "kas/api.txt"}, [], id="a dot where the job does nothing"),
        pytest.param(
            {**BOTH, "kas_chart_api_secret": "kas/x", "kas_chart_websocket_token_secret": "kas/x"},
            [
                "kas_chart_websocket_token_secret names the same key of the same Secret as kas_chart_api_secret; set"
                " another one for each"
            ],
            id="one key for two",
        ),
        pytest.param(
            {
                **ONLY_RAILS,
                "kas_chart_private_api_secret": "x",
                "kas_chart_websocket_token_secret": "y",
                "kas_chart_tls_secret": "z",
                "kas_chart_tls_ca_secret": "ca",
                "kas_chart_custom_config": {"a": 1},
            },
            [
                OF_NO_KAS.format(name)
                for name in (
                    "kas_chart_private_api_secret",
                    "kas_chart_websocket_token_secret",
                    "kas_chart_tls_secret",
                    "kas_chart_tls_ca_secret",
                    "kas_chart_custom_config",
                )
            ],
            id="no KAS in the chart",
        ),
        pytest.param(
            {**ONLY_KAS, "kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent/"},
            [
                "kas_external_url is 'wss://gitlab.example.com/-/kubernetes-agent/', but the chart's KAS has a name of"
                " its own and no path; set it without one, such as wss://kas.gitlab.example.com"
            ],
            id="path",
        ),
        *(
            pytest.param({**of, "kas_external_url": url}, [OWN_HOST.format(url)], id=f"GitLab's own host, {url}")
            for of, url in (
                (BOTH, "wss://gitlab.example.com"),
                (BOTH, "wss://GitLab.example.com:8443/"),
                (ONLY_KAS, "wss://gitlab.example.com"),
            )
        ),
        pytest.param(
            {**ONLY_RAILS, "kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent"},
            [
                "kas_external_url is 'wss://gitlab.example.com/-/kubernetes-agent', and GitLab would redirect it to its"
                " path with a slash; set 'wss://gitlab.example.com/-/kubernetes-agent/'"
            ],
            id="slash",
        ),
        *(
            pytest.param(
                {**ONLY_RAILS, "kas_internal_url": url},
                [
                    f"kas_internal_url is '{url}', which {reason}, so Rails in Kubernetes cannot reach it; set"
                    " grpc://HOST:8153"
                ],
                id=reason,
            )
            for url, reason in (
                ("unix:///run/kas.sock", "is a UNIX socket"),
                ("grpc://localhost:8153", "is a loopback name"),
                ("grpc://[::1]:8153", "is a loopback address"),
                ("grpc://kas.example.com:8153/x", "is not the URL of a host and a port"),
            )
        ),
        pytest.param(
            {**BOTH, "kas_chart_tls_ca_secret": "kas-ca"},
            ["kas_chart_tls_ca_secret is 'kas-ca', but kas_chart_tls_secret is not set; set both"],
            id="CA alone",
        ),
        pytest.param(
            {**BOTH, "kas_chart_tls_secret": "kas-tls", "kas_internal_url": "grpc://kas:8153"},
            [
                "kas_internal_url is 'grpc://kas:8153', but kas_chart_tls_secret is 'kas-tls', so KAS takes TLS only;"
                " leave the URL out, or set grpcs"
            ],
            id="TLS not in the URL",
        ),
        pytest.param(
            {**BOTH, "kas_internal_url": "grpcs://kas:8153"},
            [
                "kas_internal_url is 'grpcs://kas:8153', but kas_chart_tls_secret is not set, so KAS takes no TLS;"
                " leave the URL out, or set grpc"
            ],
            id="TLS in the URL only",
        ),
        pytest.param(
            {
                **BOTH,
                "kas_chart_custom_config": {
                    "observability": {"sentry": {"dsn": "https://x@y/1"}},
                    "list": [{"api_token": "x", "password_file": "/x"}],
                    "urls": {"plain": "https://a.example.com/b@c", "secret": ["https://user:hunter2@a.example.com"]},
                    "agent": {"kubernetes_api": {"websocket_token_secret_file": "/x"}},
                },
            },
            [
                IN_CONFIG.format("observability.sentry.dsn"),
                IN_CONFIG.format("list.api_token"),
                IN_CONFIG.format("urls.secret"),
            ],
            id="secrets in the configuration",
        ),
        pytest.param({"kas_enabled": False, "kas_internal_url": "unix:///x"}, [], id="off"),
    ],
)
def test_refusals(given: dict[str, Any], messages: list[str]) -> None:
    assert refusals(chart(given)) == [f"host: {message}." for message in messages]


NOT_SET = (
    "kas_secrets_values.{0} is not set, and {1} names the Kubernetes Secret for it; set the nodes' gitlab_kas['{0}']"
    " ({2} bytes in strict Base64)"
)


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        pytest.param(
            {"kas_secrets_values": SECRETS},
            ["no variable names a Kubernetes Secret; set kas_chart_api_secret"],
            id="none named",
        ),
        pytest.param(
            {
                "kas_chart_api_secret": "a",
                "kas_chart_private_api_secret": "b",
                "kas_chart_websocket_token_secret": "c",
            },
            [
                NOT_SET.format("api_secret_key", "kas_chart_api_secret", 32),
                NOT_SET.format("private_api_secret_key", "kas_chart_private_api_secret", 32),
                NOT_SET.format("websocket_token_secret_key", "kas_chart_websocket_token_secret", 72),
            ],
            id="none given",
        ),
        pytest.param(
            {"kas_chart_api_secret": "a", "kas_secrets_values": {"api_secret_key": "hunter2"}},
            [
                "kas_secrets_values.api_secret_key is not strict Base64 (one line, no spaces, padded with '='), and"
                " kas_chart_api_secret names the Kubernetes Secret for it; set the nodes' gitlab_kas['api_secret_key']"
                " (32 bytes in strict Base64)"
            ],
            id="no secret",
        ),
        pytest.param(
            {
                "kas_chart_api_secret": "kas/x.y",
                "kas_chart_private_api_secret": "kas/x",
                "kas_chart_websocket_token_secret": "kas/x",
                "kas_chart_namespace": "N",
                "kas_secrets_values": SECRETS,
            },
            [
                "kas_chart_namespace is 'N'; set lower-case letters, digits and '-', at most 63 characters",
                DOT.format("kas_chart_api_secret", "kas_shared_secret"),
                "kas_chart_websocket_token_secret names the same key of the same Secret as"
                " kas_chart_private_api_secret; set another one for each",
            ],
            id="names",
        ),
        pytest.param(
            {
                "kas_chart_runs": "rails",
                "kas_chart_api_secret": "a",
                "kas_chart_private_api_secret": "b",
                "kas_secrets_values": SECRETS,
            },
            [OF_NO_KAS.format("kas_chart_private_api_secret")],
            id="no KAS in the chart",
        ),
    ],
)
def test_secrets_refusals(given: dict[str, Any], messages: list[str]) -> None:
    assert secrets_refusals(chart(given)) == [f"host: {message}." for message in messages]


BESIDE = (
    "{} puts the Kubernetes API proxy on kas.example.com, which is neither gitlab.example.com nor below it, so"
    " browsers do not send it GitLab's cookie and user access cannot work; use a name such as kas.gitlab.example.com"
)
OTHER_PROXY = (
    "kas_k8s_proxy_url is '{}', but the chart cannot tell Rails, which takes k8s-proxy/ below the URL of the agents;"
    " set kas_external_url to what is above it"
)
PROXY = "https://kas.gitlab.example.com/k8s-proxy/"
NO_CA = (
    "kas_chart_tls_ca_secret is not set, and from chart 10.0 (GitLab 19.0) on the Gateway always checks the certificate"
    " of KAS by it; set the name of the Kubernetes Secret that holds the CA"
)
NO_VERIFY = (
    "kas_chart_tls_verify is false, which only an Ingress obeys: from chart 10.0 (GitLab 19.0) on the Gateway always"
    " checks the certificate of KAS; make sure that it holds the name RELEASE-kas.gitlab.svc"
)
TLS = {"kas_chart_tls_secret": "kas-tls"}


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        pytest.param(BOTH, [], id="below GitLab"),
        pytest.param(ONLY_KAS, [], id="only KAS, below GitLab"),
        pytest.param(
            {**ONLY_RAILS, "kas_external_url": "wss://gitlab.example.com/-/kubernetes-agent/"}, [], id="GitLab's host"
        ),
        pytest.param(
            {**BOTH, "kas_external_url": "wss://kas.example.com"}, [BESIDE.format("kas_external_url")], id="sibling"
        ),
        pytest.param(
            GIVEN,
            [
                "kas_external_url is not set, and the chart by itself puts KAS beside gitlab.example.com, where"
                " browsers do not send GitLab's cookie and user access through the Kubernetes API proxy cannot work;"
                " set a name below it, such as wss://kas.gitlab.example.com"
            ],
            id="the chart's default",
        ),
        pytest.param(
            {**ONLY_KAS, "kas_external_url": "wss://kas.example.com", "kas_k8s_proxy_url": PROXY},
            [],
            id="the proxy below GitLab",
        ),
        pytest.param(
            {**ONLY_KAS, "kas_k8s_proxy_url": "https://kas.example.com/k8s-proxy/"},
            [BESIDE.format("kas_k8s_proxy_url")],
            id="the proxy beside GitLab",
        ),
        pytest.param({**BOTH, "kas_k8s_proxy_url": PROXY}, [], id="the proxy as Rails derives it"),
        pytest.param({**GIVEN, "kas_k8s_proxy_url": PROXY}, [OTHER_PROXY.format(PROXY)], id="nothing to derive from"),
        pytest.param(
            {**BOTH, "kas_k8s_proxy_url": "https://gitlab.example.com/proxy/"},
            [OTHER_PROXY.format("https://gitlab.example.com/proxy/")],
            id="another proxy",
        ),
        pytest.param({**BOTH, **TLS}, [NO_CA], id="TLS without a CA"),
        pytest.param({**BOTH, **TLS, "kas_chart_tls_ca_secret": "ca"}, [], id="TLS with a CA"),
        pytest.param({**BOTH, **TLS, "kas_chart_tls_verify": False}, [NO_CA, NO_VERIFY], id="unchecked TLS"),
        pytest.param(
            {**ONLY_KAS, **TLS, "kas_chart_tls_ca_secret": "ca", "kas_chart_tls_verify": False},
            [NO_VERIFY],
            id="unchecked TLS with a CA",
        ),
        pytest.param({**BOTH, "kas_chart_tls_verify": False}, [], id="no TLS to check"),
        *(
            pytest.param(
                {**BOTH, "kas_external_url": f"{scheme}://kas.gitlab.example.com:8443"},
                [
                    f"kas_external_url is '{scheme}://kas.gitlab.example.com:8443', but the chart's Ingress passes gRPC"
                    " to KAS only with gitlab.kas.ingress.grpc.enabled, which older charts do not have; set it in"
                    " values of your own, or use wss://kas.gitlab.example.com:8443"
                ],
                id=scheme,
            )
            for scheme in ("grpc", "grpcs")
        ),
        pytest.param({**ONLY_RAILS, "kas_external_url": "grpcs://kas.gitlab.example.com"}, [], id="grpcs to nodes"),
        pytest.param(
            {
                **BOTH,
                "kas_redis": {"host": "redis.example.com"},
                "kas_env": {"A": "b"},
                "kas_settings": {"a": 1},
                "kas_sentry_dsn": "https://x@sentry.example.com/1",
            },
            [
                "kas_redis is set, but does not reach KAS in Kubernetes; set global.redis in values of your own",
                "kas_env is set, but does not reach KAS in Kubernetes; set gitlab.kas.extraEnv in values of your own",
                "kas_settings is set, but does not reach KAS in Kubernetes; set kas_chart_custom_config",
                "kas_sentry_dsn is set, but does not reach KAS in Kubernetes; set"
                " gitlab.kas.customConfig.observability.sentry.dsn in values of your own",
            ],
            id="variables of packages",
        ),
        pytest.param({**ONLY_RAILS, "kas_redis": {"host": "redis.example.com"}}, [], id="for KAS on packages"),
        pytest.param({**GIVEN, "kas_enabled": False}, [], id="off"),
    ],
)
def test_warnings(given: dict[str, Any], messages: list[str]) -> None:
    asked = chart(given)
    assert refusals(asked) == []
    assert warnings(asked) == [f"host: {message}." for message in messages]
