"""What the unit tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._ruby import Ruby, find_ruby


@pytest.fixture(scope="session")
def ruby() -> Iterator[Ruby]:
    """One Ruby process for all tests."""
    with Ruby(find_ruby()) as process:
        yield process
