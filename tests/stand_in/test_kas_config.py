"""What KAS says of a configuration file, word for word."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from gitlab_kas import config, files
from gitlab_kas.errors import KasError

OLD, NEW = (16, 5, 0), (19, 3, 0)
RIGHT = """\
gitlab: {address: "https://gitlab.example.com", authentication_secret_file: /secret}
redis: {server: {address: "10.98.0.1:6379"}}
api: {listen: {authentication_secret_file: /secret}}
private_api: {listen: {authentication_secret_file: /secret}}
"""
VALIDATE = "kascfg.Validate: "
EMBEDDED = "embedded message failed validation | caused by: "
GITLAB = f"{VALIDATE}invalid ConfigurationFile.Gitlab: {EMBEDDED}invalid GitLabCF."
AGENT = f"{VALIDATE}invalid ConfigurationFile.Agent: {EMBEDDED}invalid AgentCF."
REDIS = f"{VALIDATE}invalid ConfigurationFile.Redis: {EMBEDDED}invalid RedisCF."
PRIVATE = f"{VALIDATE}invalid ConfigurationFile.PrivateApi: {EMBEDDED}invalid PrivateApiCF.Listen: {EMBEDDED}"
PROTO = "protojson.Unmarshal: proto: "
NETWORKS = "value must be in list [tcp tcp4 tcp6 unix]"
ZERO = "value must be greater than 0s"


def load(tmp_path: Path, text: str | bytes, release: tuple[int, ...] = OLD) -> dict:
    path = tmp_path / "config.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return config.load(str(path), release)


def test_defaults(tmp_path: Path) -> None:
    cfg = load(tmp_path, RIGHT)
    addresses = [cfg[part]["listen"]["address"] for part in ("agent", "observability", "api", "private_api")]
    assert addresses == ["127.0.0.1:8150", "127.0.0.1:8151", "127.0.0.1:8153", "127.0.0.1:8155"]
    assert "kubernetes_api" not in cfg["agent"]
    cfg = load(tmp_path, RIGHT + "agent: {kubernetes_api: {}}")
    assert cfg["agent"]["kubernetes_api"]["listen"]["address"] == "0.0.0.0:8154"


@pytest.mark.parametrize("address", ["''", "null", ""])
def test_an_empty_address_is_the_default(tmp_path: Path, address: str) -> None:
    cfg = load(tmp_path, f"{RIGHT}observability: {{listen: {{address: {address}}}}}")
    assert cfg["observability"]["listen"]["address"] == "127.0.0.1:8151"


@pytest.mark.parametrize(("addition", "text"), [
    # Fields and types. The column is that of the JSON that KAS makes of the YAML.
    ("x: 1", f'{PROTO}(line 1:263): unknown field "x"'),
    ("agent: {listen: {x: 1}}", f'{PROTO}(line 1:21): unknown field "x"'),
    ("agent: {listen: {certificateFile: /c}}", f'{PROTO}(line 1:21): unknown field "certificateFile"'),
    ("agent: {listen: {websocket: 'yes'}}", f'{PROTO}(line 1:33): invalid value for bool type: "yes"'),
    ("agent: {listen: {address: 8150}}", f"{PROTO}(line 1:31): invalid value for string type: 8150"),
    ("observability: {logging: {level: trace}}", f'{PROTO}(line 1:185): invalid value for enum type: "trace"'),
    ("agent: {configuration: {poll_period: 5m}}",
     f'{PROTO}(line 1:42): invalid google.protobuf.Duration value "5m"'),
    ("agent: {configuration: {poll_period: 300}}", f"{PROTO}syntax error (line 1:42): unexpected token 300"),
    ("agent: {listen: {connections_per_token_per_minute: -1}}",
     f"{PROTO}(line 1:56): invalid value for uint32 type: -1"),
    ("agent: []", f"{PROTO}syntax error (line 1:10): unexpected token ["),
    ("agent: {kubernetes_api: {websocket_token_secret_file: /w}}",
     f'{PROTO}(line 1:29): unknown field "websocket_token_secret_file"'),
    # Values out of range.
    ("agent: {listen: {network: udp}}", f"{AGENT}Listen: {EMBEDDED}invalid ListenAgentCF.Network: {NETWORKS}"),
    ("agent: {listen: {network: TCP}}", f"{AGENT}Listen: {EMBEDDED}invalid ListenAgentCF.Network: {NETWORKS}"),
    ("agent: {listen: {network: ''}}", f"{AGENT}Listen: {EMBEDDED}invalid ListenAgentCF.Network: {NETWORKS}"),
    ("agent: {configuration: {poll_period: 0s}}",
     f"{AGENT}Configuration: {EMBEDDED}invalid AgentConfigurationCF.PollPeriod: {ZERO}"),
    ("agent: {listen: {listen_grace_period: 0s, max_connection_age: -1s}}",
     f"{AGENT}Listen: {EMBEDDED}invalid ListenAgentCF.MaxConnectionAge: {ZERO};"
     f" invalid ListenAgentCF.ListenGracePeriod: {ZERO}"),
    ("agent: {info_cache_ttl: -1s}", f"{AGENT}InfoCacheTtl: value must be greater than or equal to 0s"),
    ("agent: {info_cache_error_ttl: 0s}", f"{AGENT}InfoCacheErrorTtl: {ZERO}"),
    ("agent: {redis_conn_info_refresh: 300s}",
     "kascfg.ValidateExtra: invalid AgentCF.RedisConnInfoRefresh: must be smaller than RedisConnInfoTtl"),
])  # fmt: skip
def test_refused_beside_the_rest(tmp_path: Path, addition: str, text: str) -> None:
    with pytest.raises(KasError) as caught:
        load(tmp_path, RIGHT + addition)
    assert str(caught.value) == text


@pytest.mark.parametrize(("line", "replacement", "text"), [
    ("gitlab", "gitlab: {address: gitlab.example.com, authentication_secret_file: /s}",
     f"{GITLAB}Address: value must be absolute"),
    ("gitlab", "gitlab: {address: '10.98.0.9:80', authentication_secret_file: /s}",
     f"{GITLAB}Address: value must be a valid URI | caused by: parse \"10.98.0.9:80\": first path segment in URL"
     " cannot contain colon"),
    ("gitlab", "gitlab: {authentication_secret_file: /s}",
     f"{GITLAB}Address: value length must be at least 1 bytes; invalid GitLabCF.Address: value must be absolute"),
    ("gitlab", "gitlab: {address: 'https://g', external_url: '', authentication_secret_file: /s}",
     f"{GITLAB}ExternalUrl: value must be absolute"),
    ("gitlab", "gitlab: {address: 'https://g', external_url: g, authentication_secret_file: /s}",
     f"{GITLAB}ExternalUrl: value must be absolute"),
    ("gitlab", "gitlab: {address: 'https://g'}",
     f"{GITLAB}AuthenticationSecretFile: value length must be at least 1 bytes"),
    ("gitlab", "", f"{VALIDATE}invalid ConfigurationFile.Gitlab: value is required"),
    ("redis", "redis: {server: {address: a}, network: udp}", f"{REDIS}Network: value must be in list [ tcp unix]"),
    ("redis", "redis: {}", f"{REDIS}RedisConfig: value is required"),
    ("redis", "redis: {server: {}}",
     f"{REDIS}Server: {EMBEDDED}invalid RedisServerCF.Address: value length must be at least 1 bytes"),
    ("redis", "redis: {sentinel: {}}",
     f"{REDIS}Sentinel: {EMBEDDED}invalid RedisSentinelCF.MasterName: value length must be at least 1 bytes;"
     " invalid RedisSentinelCF.Addresses: value must contain at least 1 item(s)"),
    ("redis", "redis: {server: {address: a}, sentinel: {master_name: m}}",
     f'{PROTO}(line 1:255): error parsing "server", oneof gitlab.agent.kascfg.RedisCF.redis_config is already set'),
    ("redis", "redis: {server: {address: a}, sentinel: null, dial_timeout: 0s}", f"{REDIS}DialTimeout: {ZERO}"),
    ("private_api", "private_api: {listen: {network: udp, authentication_secret_file: /s}}",
     f"{PRIVATE}invalid ListenPrivateApiCF.Network: {NETWORKS}"),
    ("private_api", "private_api: {}",
     f"{VALIDATE}invalid ConfigurationFile.PrivateApi: {EMBEDDED}invalid PrivateApiCF.Listen: value is required"),
])  # fmt: skip
def test_refused_instead(tmp_path: Path, line: str, replacement: str, text: str) -> None:
    lines = [replacement if given.startswith(f"{line}:") else given for given in RIGHT.splitlines()]
    with pytest.raises(KasError) as caught:
        load(tmp_path, "\n".join(lines))
    assert str(caught.value) == text


@pytest.mark.parametrize(("whole", "text"), [
    ("", f"{PROTO}syntax error (line 1:1): unexpected token null"),
    ("[]", f"{PROTO}syntax error (line 1:1): unexpected token ["),
    ("text", f'{PROTO}syntax error (line 1:1): unexpected token "text"'),
    ("a: b: c", "YAMLToJSON: yaml: line 1: mapping values are not allowed here"),
    ("a: &a [*a]", "YAMLToJSON: yaml: anchor value contains itself"),
])  # fmt: skip
def test_no_configuration(tmp_path: Path, whole: str, text: str) -> None:
    with pytest.raises(KasError) as caught:
        load(tmp_path, whole)
    assert str(caught.value) == text


@pytest.mark.parametrize(("path", "text"), [
    ("missing.yml", "open {}: no such file or directory"),
    (".", "read {}: is a directory"),
])  # fmt: skip
def test_no_file(tmp_path: Path, path: str, text: str) -> None:
    with pytest.raises(KasError) as caught:
        config.load(str(tmp_path / path), OLD)
    assert str(caught.value) == "configuration file: " + text.format(tmp_path / path)


WEBSOCKET = "agent: {kubernetes_api: {websocket_token_secret_file: /w}}"
SENTINEL_TLS = "redis: {sentinel: {master_name: m, addresses: [a], tls: {enabled: true}}}"


@pytest.mark.parametrize(("addition", "unknown", "known"), [
    ("agent: {gitops: {poll_period: 300s}}", (18, 0, 0), (17, 11, 9)),
    (WEBSOCKET, (17, 6, 9), (17, 7, 0)),
    ("workspaces: {enabled: false}", (18, 3, 9), (18, 4, 0)),
    ("config: {command: /bin/true}", (16, 7, 9), (16, 8, 0)),
])  # fmt: skip
def test_a_field_by_release(tmp_path: Path, addition: str, unknown: tuple, known: tuple) -> None:
    text = RIGHT + addition
    with pytest.raises(KasError, match="unknown field"):
        load(tmp_path, text, unknown)
    if "command" in addition:
        with pytest.raises(KasError, match="unexpected token null"):  # what the command printed
            load(tmp_path, text, known)
    else:
        load(tmp_path, text, known)


def test_sentinel_tls_by_release(tmp_path: Path) -> None:
    lines = [line for line in RIGHT.splitlines() if not line.startswith("redis")]
    text = "\n".join([*lines, SENTINEL_TLS])
    with pytest.raises(KasError, match='unknown field "tls"'):
        load(tmp_path, text, (18, 7, 9))
    load(tmp_path, text, (18, 8, 0))


def test_words_by_release(tmp_path: Path) -> None:
    with pytest.raises(KasError, match='invalid value for bool field websocket: "yes"'):
        load(tmp_path, RIGHT + "agent: {listen: {websocket: 'yes'}}", NEW)


def test_a_command_adds_to_the_file(tmp_path: Path) -> None:
    script = tmp_path / "command"
    script.write_text("#!/bin/sh\necho 'agent: {listen: {address: \"127.0.0.1:1\"}}'\n")
    script.chmod(0o700)
    cfg = load(tmp_path, f"{RIGHT}config: {{command: {script}}}", NEW)
    assert cfg["agent"]["listen"]["address"] == "127.0.0.1:1"


SECRET = base64.b64encode(b"a" * 32)


@pytest.mark.parametrize("text", [SECRET, SECRET + b"\n", SECRET + b"\r\n", SECRET[:20] + b"\n" + SECRET[20:]])
def test_secret(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "secret").write_bytes(text)
    assert files.secret(str(tmp_path / "secret"), 32) == b"a" * 32


@pytest.mark.parametrize(("text", "error"), [
    (SECRET + b" ", "decoding: illegal base64 data at input byte 44"),
    (SECRET[:-1], "decoding: illegal base64 data at input byte 40"),
    (b"-" + SECRET, "decoding: illegal base64 data at input byte 0"),
    (base64.b64encode(b"a" * 31), "decoding: expecting 32 bytes, was 31"),
    (b"", "decoding: expecting 32 bytes, was 0"),
])  # fmt: skip
def test_no_secret(tmp_path: Path, text: bytes, error: str) -> None:
    (tmp_path / "secret").write_bytes(text)
    with pytest.raises(KasError) as caught:
        files.secret(str(tmp_path / "secret"), 32)
    assert str(caught.value) == error


@pytest.mark.parametrize(("path", "text"), [
    ("missing", "read file: open {}: no such file or directory"),
    (".", "read file: read {}: is a directory"),
])  # fmt: skip
def test_no_secret_file(tmp_path: Path, path: str, text: str) -> None:
    with pytest.raises(KasError) as caught:
        files.secret(str(tmp_path / path))
    assert str(caught.value) == text.format(tmp_path / path)


PACKAGE = json.loads((Path(__file__).parents[1] / "data/package-answers.json").read_text(encoding="utf-8"))


def rendered(release: str) -> list[dict[str, object]]:
    """All that the package makes of KAS's configuration at a release, as flat keys."""
    known: list[dict[str, object]] = []
    for case in PACKAGE["cases"]:
        answer = case["answers"].get(release, {})
        if "set" in answer:
            flat = {key: value for key, value in PACKAGE["defaults"][release].items() if key not in answer["unset"]}
            flat |= answer["set"]
            found = {key.removeprefix("config."): value for key, value in flat.items() if key.startswith("config.")}
            known += [found] if found and found not in known else []
    return known


@pytest.mark.parametrize("release", PACKAGE["defaults"])
def test_what_the_package_renders(tmp_path: Path, release: str) -> None:
    """KAS of each release knows every field that its package renders; but 18.0.0 not the GitOps of its own."""
    unknown = set()
    for flat in rendered(release):
        tree: dict = {}
        for key, value in flat.items():
            node = tree
            *parents, name = key.split(".")
            for parent in parents:
                node = node.setdefault(parent, {})
            node[name] = value
        tree.pop("config", None)  # a command that is not there
        try:
            load(tmp_path, json.dumps(tree), tuple(map(int, release.split("."))))
        except KasError as error:  # of a value that the case makes wrong, else
            unknown |= set(re.findall(r'unknown field "(.*)"', str(error)))
    assert unknown == ({"gitops"} if release == "18.0.0" else set())
