# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that the kernel has now, asked as KAS asks for them: Go's net.InterfaceAddrs over netlink.

And what becomes of a name or address that KAS is told to listen on.

The messages and their numbers stand in rtnetlink(7), netlink(7) and Linux's include/uapi/linux/rtnetlink.h and
if_addr.h. Every number in them is in the host's byte order, and every part is padded to four bytes.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# Python names these on Linux only; a kernel that does not know them answers with OSError.
_AF_NETLINK = 16
_NETLINK_ROUTE = 0

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_RTM_NEWADDR = 20
_RTM_GETADDR = 22
_NLM_F_REQUEST_DUMP = 0x301
_IFA_ADDRESS = 1
_IFA_LOCAL = 2

_MESSAGE = struct.Struct("=IHHII")  # nlmsghdr: length with this header, type, flags, sequence number, port
_INTERFACE_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, interface
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length with this header, type
_ERROR_CODE = struct.Struct("=i")

# The kernel fills at most 32 KiB of one answer to a dump (netlink_recvmsg in net/netlink/af_netlink.c).
_BUFFER_BYTES = 65536
_TIMEOUT_SECONDS = 10


def canonical_name(
    *,
    name: Callable[[], str] = socket.gethostname,
    resolve: Callable[..., list[tuple[Any, ...]]] = socket.getaddrinfo,
) -> str:
    """The node's name as Chef's Ohai tells it (node['fqdn']); its plain name if that cannot be resolved."""
    try:
        found = resolve(name(), None, flags=socket.AI_CANONNAME)
    except (OSError, UnicodeError):
        return name()
    return found[0][3] or name()


class Resolved(NamedTuple):
    """What the node makes of a name."""

    addresses: list[str]  # each once, in the order in which they are tried
    problem: str | None  # why there is none, as what follows the name in a sentence


def resolved(name: str, *, resolve: Callable[..., list[tuple[Any, ...]]] = socket.getaddrinfo) -> Resolved:
    """Resolve a name here; Python and KAS ask the same files and servers."""
    found, problem = _looked_up(name, resolve)
    return Resolved(list(dict.fromkeys(str(where[0]) for *_kind, where in found)), problem)


class Listening(NamedTuple):
    """What a server finds that is told to listen on a name or address."""

    address: str | None  # where it would listen; None if the name cannot be resolved
    problem: str | None  # why it cannot, as what follows the name in a sentence


def listening(
    host: str,
    *,
    resolve: Callable[..., list[tuple[Any, ...]]] = socket.getaddrinfo,
    open_socket: Callable[..., socket.socket] = socket.socket,
) -> Listening:
    """Resolve a listener's name here and ask the kernel whether it can be listened on; a free port, which is let go.

    Of several addresses a Go server takes the first of IPv4, else the first (net.Listen).
    """
    found, problem = _looked_up(host, resolve)
    if problem:
        return Listening(None, problem)
    family, kind, protocol, _name, where = min(found, key=lambda each: each[0] != socket.AF_INET)
    try:
        with open_socket(family, kind, protocol) as server:
            server.bind(where)
    except OSError as error:
        return Listening(str(where[0]), f"cannot be listened on ({error.strerror})")
    return Listening(str(where[0]), None)


class _Answer(NamedTuple):
    """What getaddrinfo says of a name."""

    found: list[tuple[Any, ...]]
    problem: str | None  # why there is none, as what follows the name in a sentence


def _looked_up(name: str, resolve: Callable[..., list[tuple[Any, ...]]]) -> _Answer:
    try:
        return _Answer(resolve(name, 0, type=socket.SOCK_STREAM), None)
    except OSError as error:
        return _Answer([], f"cannot be resolved ({error.strerror})")
    except UnicodeError as error:  # a part of the name is empty or has more than 63 characters
        return _Answer([], f"cannot be resolved ({error})")


def kernel_addresses(open_socket: Callable[..., socket.socket] = socket.socket) -> list[str]:
    """The addresses of all interfaces in the kernel's order; raises OSError."""
    found: list[str] = []
    with open_socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as netlink:
        netlink.settimeout(_TIMEOUT_SECONDS)
        body = _INTERFACE_ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        netlink.send(_MESSAGE.pack(_MESSAGE.size + len(body), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + body)
        while True:
            addresses, done = parse_answer(netlink.recv(_BUFFER_BYTES))
            found += addresses
            if done:
                return found


def parse_answer(answer: bytes) -> tuple[list[str], bool]:
    """The addresses in one answer of the kernel, and whether it is the last; raises OSError if it is an error."""
    addresses: list[str] = []
    for kind, payload in _parts(answer, _MESSAGE):
        if kind == _NLMSG_DONE:
            return addresses, True
        if kind == _NLMSG_ERROR:
            code = -_ERROR_CODE.unpack_from(payload)[0]
            raise OSError(code, os.strerror(code))
        if kind == _RTM_NEWADDR:
            addresses += _address(payload)
    return addresses, False


def _address(payload: bytes) -> list[str]:
    """The host's own address in one RTM_NEWADDR message, none if it is neither IPv4 nor IPv6.

    On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL, where it is given, is always the host's.
    """
    family = payload[0]
    attributes = dict(_parts(payload[_INTERFACE_ADDRESS.size :], _ATTRIBUTE))
    packed = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS))
    if packed is None or family not in (socket.AF_INET, socket.AF_INET6):
        return []
    return [socket.inet_ntop(family, packed)]


def _parts(data: bytes, header: struct.Struct) -> Iterator[tuple[int, bytes]]:
    """The type and the payload of each part; its header begins with the length and, after it, the type."""
    offset = 0
    while offset < len(data):
        length, kind, *_rest = header.unpack_from(data, offset)
        yield kind, data[offset + header.size : offset + length]
        offset += (length + 3) & ~3
