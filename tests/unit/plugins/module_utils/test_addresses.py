# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from base64 import b64decode
from ipaddress import ip_address
from typing import Any

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._addresses import (
    Listening,
    Resolved,
    canonical_name,
    kernel_addresses,
    listening,
    parse_answer,
    resolved,
)

# What Linux 6.18 on x86-64 answered in a network namespace that `ip address` showed so:
#   lo    127.0.0.1/8, ::1/128
#   eth0  192.0.2.1/24, 198.51.100.1 peer 198.51.100.2/32, 192.0.2.2/24 secondary,
#         2001:db8:1::1 peer 2001:db8:1::2/128, 2001:db8::1/64, fe80::1/64
DUMP = b64decode(
    "TAAAABQAAgABAAAADkAAAAIIgP4BAAAACAABAH8AAAEIAAIAfwAAAQcAAwBsbwAACAAIAIAAAAAUAAYA//////////+++wMAvvsDAFAAAAAU"
    "AAIAAQAAAA5AAAACGIAAAwAAAAgAAQDAAAIBCAACAMAAAgELAAMAZHVtbXkwAAAIAAgAgAAAABQABgD//////////7/7AwC/+wMAUAAAABQA"
    "AgABAAAADkAAAAIggAADAAAACAABAMYzZAIIAAIAxjNkAQsAAwBkdW1teTAAAAgACACAAAAAFAAGAP//////////wPsDAMD7AwBQAAAAFAAC"
    "AAEAAAAOQAAAAhiBAAMAAAAIAAEAwAACAggAAgDAAAICCwADAGR1bW15MAAACAAIAIEAAAAUAAYA//////////+/+wMAv/sDAFAAAAAUAAIA"
    "AQAAAA5AAAAKgID+AQAAABQAAQAAAAAAAAAAAAAAAAAAAAABFAAGAP//////////vvsDAL77AwAIAAgAgAAAAAUACwABAAAAXAAAABQAAgAB"
    "AAAADkAAAAqAggADAAAAFAACACABDbgAAQAAAAAAAAAAAAEUAAEAIAENuAABAAAAAAAAAAAAAhQABgD//////////8D7AwDA+wMACAAIAIIA"
    "AABIAAAAFAACAAEAAAAOQAAACkCCAAMAAAAUAAEAIAENuAAAAAAAAAAAAAAAARQABgD//////////8D7AwDA+wMACAAIAIIAAABIAAAAFAAC"
    "AAEAAAAOQAAACkCC/QMAAAAUAAEA/oAAAAAAAAAAAAAAAAAAARQABgD//////////7/7AwC/+wMACAAIAIIAAAA="
)
DONE = b64decode("FAAAAAMAAgABAAAADkAAAAAAAAA=")
ADDRESSES = [
    "127.0.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "192.0.2.2",
    "::1",
    "2001:db8:1::1",
    "2001:db8::1",
    "fe80::1",
]
REFUSED = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno.EPERM) + bytes(16)
APPLETALK = struct.pack("=IHHIIBBBBIHHI", 32, 20, 2, 1, 0, 5, 8, 0, 0, 1, 8, 1, 7)
WITHOUT_ADDRESS = struct.pack("=IHHIIBBBBI", 24, 20, 2, 1, 0, 2, 8, 0, 0, 1)
LINK = struct.pack("=IHHIIBBBBI", 24, 16, 2, 1, 0, 2, 8, 0, 0, 1)

recorded = pytest.mark.skipif(sys.byteorder == "big", reason="recorded on a little-endian machine")


class FakeNetlink:
    """A netlink socket that answers with what was recorded."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.sent = b""
        self.opened: tuple[int, ...] = ()
        self.closed = False

    def __call__(self, *kind: int) -> Any:
        self.opened = kind
        return self

    def __enter__(self) -> FakeNetlink:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def send(self, data: bytes) -> None:
        self.sent = data

    def recv(self, size: int) -> bytes:
        answer = self.answers.pop(0)
        assert len(answer) <= size
        return answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(DUMP, (ADDRESSES, False), marks=recorded, id="recorded"),
        pytest.param(DONE, ([], True), marks=recorded, id="recorded end"),
        pytest.param(DUMP + DONE, (ADDRESSES, True), marks=recorded, id="both in one answer"),
        pytest.param(APPLETALK + LINK + WITHOUT_ADDRESS, ([], False), id="neither IPv4 nor IPv6"),
    ],
)
def test_parsed_answer(answer: bytes, expected: tuple[list[str], bool]) -> None:
    assert parse_answer(answer) == expected


def test_refused_answer() -> None:
    with pytest.raises(PermissionError):
        parse_answer(REFUSED)


@recorded
def test_kernel_addresses() -> None:
    netlink = FakeNetlink(DUMP, DONE)
    assert kernel_addresses(netlink) == ADDRESSES
    assert (netlink.opened, netlink.closed) == ((16, 3, 0), True)
    assert struct.unpack("=IHHIIBBBBI", netlink.sent) == (24, 22, 0x301, 1, 0, 0, 0, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="netlink is Linux's")
def test_addresses_of_this_kernel() -> None:
    assert any(ip_address(text).is_loopback for text in kernel_addresses())


V4, V6 = socket.AF_INET, socket.AF_INET6


def resolver(*found: tuple[int, str]) -> Any:
    def resolve(host: str, port: int, *, type: int) -> list[Any]:
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(family, type, 6, "", (address, port)) for family, address in found]

    return resolve


class FakeServer:
    """Sockets of a node with these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def __call__(self, *kind: int) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def bind(self, where: tuple[str, int]) -> None:
        assert where[1] == 0
        if where[0] not in self.addresses:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(V4, "10.0.0.1")], Listening("10.0.0.1", None)),
        ([(V6, "fd00::1"), (V4, "10.0.0.1")], Listening("10.0.0.1", None)),
        ([(V6, "fd00::1")], Listening("fd00::1", None)),
        ([(V4, "127.0.1.1"), (V4, "10.0.0.1")], Listening("127.0.1.1", None)),
        (
            [(V4, "10.0.0.2")],
            Listening("10.0.0.2", "cannot be listened on (Cannot assign requested address)"),
        ),
        ([], Listening(None, "cannot be resolved (Name or service not known)")),
    ],
)
def test_where_a_listener_would_be(found: list[tuple[int, str]], expected: Listening) -> None:
    server = FakeServer("10.0.0.1", "fd00::1", "127.0.1.1")
    assert listening("kas1", resolve=resolver(*found), open_socket=server) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(V6, "fd00::1"), (V4, "10.0.0.1"), (V6, "fd00::1")], Resolved(["fd00::1", "10.0.0.1"], None)),
        ([], Resolved([], "cannot be resolved (Name or service not known)")),
    ],
)
def test_what_becomes_of_a_name(found: list[tuple[int, str]], expected: Resolved) -> None:
    assert resolved("kas1", resolve=resolver(*found)) == expected


def test_what_becomes_of_a_name_here() -> None:
    assert resolved("127.0.0.1") == Resolved(["127.0.0.1"], None)
    assert str(resolved("kas1..internal").problem).startswith("cannot be resolved (")


def test_where_a_listener_would_be_here() -> None:
    assert listening("kas1..internal").address is None  # Python refuses it in a way of its own
    assert listening("127.0.0.1") == Listening("127.0.0.1", None)
    assert listening("192.0.2.1").problem == "cannot be listened on (Cannot assign requested address)"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(2, 1, 6, "kas1.example.com", ("10.0.0.1", 0)), (2, 2, 17, "", ("10.0.0.1", 0))], "kas1.example.com"),
        ([(2, 1, 6, "", ("10.0.0.1", 0))], "kas1"),
        (socket.gaierror(-2, "Name or service not known"), "kas1"),
    ],
)
def test_the_name_of_the_node(found: Any, expected: str) -> None:
    def resolve(name: str, port: None, flags: int) -> Any:
        assert (name, flags) == ("kas1", socket.AI_CANONNAME)
        if isinstance(found, Exception):
            raise found
        return found

    assert canonical_name(name=lambda: "kas1", resolve=resolve) == expected
