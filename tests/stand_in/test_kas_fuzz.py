"""Whatever KAS is given, it says something of its own: no traceback, and it goes on serving the others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from gitlab_kas import config, files, sockets
from gitlab_kas.errors import KasError, KasPanic
from gitlab_kas.own_url import own_url
from gitlab_kas.schema import CONFIGURATION, Message
from hypothesis import given, settings
from hypothesis import strategies as st
from imitation import Kas

RELEASES = st.sampled_from([(16, 5, 0), (17, 7, 0), (17, 8, 0), (17, 8, 1), (17, 9, 0), (18, 0, 1), (19, 3, 0)])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70000), st.floats(), st.text(max_size=8), st.dates(),
    st.sampled_from(["5s", "0s", "-1s", "tcp", "unix", "info", "/x", "https://[x", "a:b", ":1", "127.0.0.1:1"]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


def paths(message: Message, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in message.fields.items():
        yield (*prefix, name)
        if isinstance(field.kind, Message):
            yield from paths(field.kind, (*prefix, name))


@settings(max_examples=150)
@given(
    values=st.dictionaries(st.sampled_from(list(paths(CONFIGURATION))), VALUES, min_size=1, max_size=4),
    release=RELEASES,
)
def test_documents(values: dict[tuple[str, ...], object], release: tuple[int, ...]) -> None:
    """The fields of KAS, with values that mostly do not fit."""
    document: dict = {}
    for path, value in values.items():
        node: object = document
        for name in path[:-1]:
            node = node.setdefault(name, {}) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node[path[-1]] = value
    try:
        message = config.Reader(release).message(config.plain(document), CONFIGURATION, 1)
    except KasError as error:
        assert str(error).startswith("protojson.Unmarshal: proto: ")
    else:
        assert "invalid ConfigurationFile.Gitlab: " in "; ".join(config.validate(CONFIGURATION, message))


@settings(max_examples=300)
@given(text=st.binary(max_size=60) | st.text("{}[]:,&*!|>'\"#-? \n\tab", max_size=30).map(str.encode))
def test_texts(text: bytes) -> None:
    try:
        config.parse(text, (19, 3, 0))
    except KasError as error:
        assert str(error).startswith(("YAMLToJSON: yaml: ", "protojson.Unmarshal: proto: "))


TEXTS = st.text(max_size=12) | st.text("0123456789.:/[]%-+xfgrpcs,", max_size=30)


@settings(max_examples=500)
@given(
    env=st.fixed_dictionaries(
        {}, optional={f"OWN_PRIVATE_API_{name}": TEXTS for name in ("URL", "CIDR", "SCHEME", "PORT")}
    ),
    network=st.sampled_from(["tcp", "tcp4", "tcp6", "unix"]),
    address=TEXTS,
    release=RELEASES.filter(lambda release: release[:2] != (17, 8)),  # which asks for names
)
def test_own_urls(env: dict[str, str], network: str, address: str, release: tuple[int, ...]) -> None:
    try:
        own = own_url(env, network, address, release, list)
    except (KasError, KasPanic) as error:
        assert str(error)
    else:
        assert own.urls


@settings(max_examples=300)
@given(network=st.sampled_from(["tcp", "tcp4", "tcp6", "unix"]), address=st.text("0123456789.:[]%+-/", max_size=24))
def test_addresses(network: str, address: str) -> None:
    if network == "unix":
        address = f"/nowhere/{address}"
    try:
        sockets.listen(network, address).close()
    except KasError as error:
        assert str(error).startswith(f"listen {network}")


@settings(max_examples=200)
@given(text=st.binary(max_size=50) | st.text("ab=+/-\r\n ", max_size=50).map(str.encode))
def test_secrets(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "secret"
    path.write_bytes(text)
    try:
        assert len(files.secret(str(path))) <= len(text)
    except KasError as error:
        assert str(error).startswith("decoding: illegal base64 data at input byte ")


GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: kas\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ws-tunnel\r\n\r\n"
)
STARTS = [b"", GREETING, HANDSHAKE, b"GET /", b"POST / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
FRAMES = st.tuples(st.integers(0, 10), st.binary(max_size=4), st.binary(max_size=30)).map(
    lambda frame: len(frame[2]).to_bytes(3, "big") + bytes([frame[0]]) + frame[1].ljust(5, b"\x00") + frame[2]
)


@settings(max_examples=60, deadline=None)
@given(
    what=st.sampled_from(["Agentk API", "API", "Private API", "Kubernetes API", "Observability"]),
    start=st.sampled_from(STARTS),
    rest=st.binary(max_size=80) | st.lists(FRAMES, max_size=4).map(b"".join),
)
def test_connections(running: Kas, what: str, start: bytes, rest: bytes) -> None:
    with socket.create_connection(running.address(what), timeout=10) as connection:
        connection.sendall(start + rest)
        connection.shutdown(socket.SHUT_WR)
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert running.process.poll() is None
    assert "Traceback" not in running.log


@pytest.mark.parametrize("text", ["\x00", "gitlab: &a {address: *a}", "? [a, b]\n: c", "1: 2", "!!python/object:x {}"])
def test_whole_files(kas: Kas, text: str) -> None:
    assert "Traceback" not in kas.abort("16.5.0", text)


def test_a_directory_as_file(tmp_path: Path) -> None:
    with pytest.raises(KasError):
        config.load(str(tmp_path), (16, 5, 0))
