# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on a port: real sockets, and a /proc as another machine has it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ports import Taken, taken

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""
TABLE6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue ... inode
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 998 0 4714 1 0 100 0
"""


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_this_machine(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as server:
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip("no IPv6")
        port = server.getsockname()[1]
        assert taken([port]) == []
        server.listen()
        assert taken([port]) == [Taken(address, port, Path("/proc/self/comm").read_text().strip())]


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(TABLE)
    (tmp_path / "net/tcp6").write_text(TABLE6)
    for pid, name, inode in (("17", "puma", 4711), ("18", "nginx", 4713), ("19", "nginx", 4713)):
        (tmp_path / pid / "fd").mkdir(parents=True)
        (tmp_path / pid / "comm").write_text(f"{name}\n")
        (tmp_path / pid / "fd/3").symlink_to(f"socket:[{inode}]")
        (tmp_path / pid / "fd/4").symlink_to("/dev/null")
    return tmp_path


@pytest.mark.parametrize(
    ("ports", "found"),
    [
        ([8080], [("127.0.0.1", 8080, "puma"), ("::1", 8080, "")]),
        ([80, 443], [("0.0.0.0", 80, "nginx")]),
        ([8081], []),
        ([], []),
    ],
)
@pytest.mark.skipif("__import__('sys').byteorder != 'little'")
def test_another_machine(ports: list[int], found: list[tuple[str, int, str]], proc: Path) -> None:
    """A port that is connected is not listened on; a process of another container is not seen."""
    assert taken(ports, proc=proc) == [Taken(*each) for each in found]


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert taken([80], proc=tmp_path) == []
