# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who listens on the TCP ports of this node: proc(5), /proc/net/tcp and the files that each process has open."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_LISTEN = "0A"  # TCP_LISTEN, <net/tcp_states.h>


class Taken(NamedTuple):
    """A port on which a program listens."""

    address: str
    port: int
    program: str  # as ps shows it; '' if that is not known, as for one in another container


def taken(ports: Collection[int], *, proc: Path = Path("/proc")) -> list[Taken]:
    """The programs that listen on these ports; none of a system that does not tell."""
    found = [each for name in ("tcp", "tcp6") for each in _listening(proc / "net" / name) if each[1] in ports]
    programs = _programs({inode for _address, _port, inode in found}, proc) if found else {}
    return [Taken(address, port, programs.get(inode, "")) for address, port, inode in found]


def _listening(table: Path) -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of each socket in such a table that listens."""
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN:
                address, _colon, port = fields[1].partition(":")
                yield _address(address), int(port, 16), fields[9]


def _address(text: str) -> str:
    """The kernel prints each 32 bits in the order of the machine's bytes."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words)))


def _programs(inodes: Collection[str], proc: Path) -> dict[str, str]:
    """The name of the process that has each of these sockets."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    found = {}
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            for file in (process / "fd").iterdir():
                with suppress(OSError):
                    inode = links.get(str(file.readlink()))
                    if inode is not None and inode not in found:
                        found[inode] = (process / "comm").read_text().strip()
    return found
