# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connecting before a deadline, and saying why it failed as the rest of a sentence: "connection refused"."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")

_CAUSES = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "network unreachable",
    errno.ENOENT: "no such socket",
    errno.EACCES: "permission denied",
}


_REMEDIES = {
    errno.ECONNREFUSED: "make sure that KAS runs there and listens on that address, and that no firewall rejects it",
    errno.ECONNRESET: "make sure that nothing in between, such as a proxy, ends the connection",
    errno.EHOSTUNREACH: "make sure that that host is up, and that no firewall rejects it",
    errno.ENETUNREACH: "give this node a route to it, or let the URL name an address to which it has one",
    errno.ENOENT: "make sure that KAS runs here and listens on that socket",
    errno.EACCES: "give the user of that service access to the socket and its directory",
}
_NO_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
LOOK_WHAT = "check what listens there, and correct the URL or the listener"


class Unreachable(Exception):
    """A client would not be served: the text says why, remedy what to do, both as the rest of a sentence.

    part is what is at fault, if that is told.
    """

    def __init__(self, text: str, remedy: str = LOOK_WHAT, part: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy
        self.part = part


def connect(addresses: Iterable[tuple[int, Any]], deadline: float) -> socket.socket:
    """Connect to the first address (family and address) that answers; raise OSError.

    deadline is in seconds of time.monotonic, for all of them: the others may take what time one has left.
    """
    failure = OSError("no address")
    for family, address in addresses:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(left(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def at_once(calls: Sequence[Callable[[], Result]], seconds: float, late: Result) -> list[Result]:
    """What each call returns, all made at once; late for one that is not over by then.

    For what knows no deadline, such as asking for a name.
    """
    results = [late for _call in calls]

    def make(position: int, call: Callable[[], Result]) -> None:
        results[position] = call()

    threads = [threading.Thread(target=make, args=each, daemon=True) for each in enumerate(calls)]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(results)


def tcp_addresses(host: str, port: int | None) -> list[tuple[int, Any]]:
    """The families and addresses behind a name or an IP address; raise socket.gaierror."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _type, _protocol, _name, address in found]


def left(deadline: float) -> float:
    """Seconds until the deadline; raise socket.timeout behind it."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise socket.timeout
    return seconds


def cause(error: OSError, timeout: float, host: str) -> str:
    """Why a host could not be reached, or did not answer within timeout seconds."""
    if isinstance(error, socket.timeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, socket.gaierror):
        is_unknown = error.errno in _NO_NAME
        return f"the name {host} {'is not known' if is_unknown else f'cannot be resolved: {error.strerror}'}"
    return _CAUSES.get(error.errno or 0) or (error.strerror or str(error)).lower()


def remedy(error: OSError) -> str:
    """What to do about what cause() says, as the rest of a sentence."""
    if isinstance(error, socket.timeout):
        return "make sure that that host is up, and that no firewall drops the packets on the way there or back"
    if isinstance(error, socket.gaierror):
        if error.errno in _NO_NAME:
            return "let this node know the name, by DNS or in /etc/hosts, or correct the URL"
        return "make sure that the name servers in /etc/resolv.conf of this node answer"
    return _REMEDIES.get(error.errno or 0, LOOK_WHAT)
