"""What the tests of the stand-in share: the imitated KAS, and a real Redis."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "molecule" / "stand_in"))

from imitation import Kas


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real Redis on a UNIX socket."""
    directory = tmp_path_factory.mktemp("redis")
    path = directory / "redis.socket"
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(directory)],
        stdout=subprocess.DEVNULL,
    )
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)
    yield path
    process.terminate()
    process.wait()


@pytest.fixture
def kas(tmp_path: Path, redis_socket: Path) -> Iterator[Kas]:
    """A KAS that is not started yet."""
    subject = Kas(tmp_path, redis_socket)
    yield subject
    subject.kill()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, redis_socket: Path) -> Iterator[Kas]:
    """A KAS of the newest release with the defaults, for tests that only ask."""
    subject = Kas(tmp_path_factory.mktemp("kas"), redis_socket)
    subject.start()
    yield subject
    subject.kill()
    assert "Traceback" not in subject.log
