"""What ends the program."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class KasError(Exception):
    """KAS cannot start, or ends; the text is KAS's own."""


class KasPanic(Exception):
    """KAS crashes: plain text instead of a log line."""


@contextlib.contextmanager
def part(what: str) -> Iterator[None]:
    """Names the part of KAS that an error within comes from."""
    try:
        yield
    except KasError as error:
        raise KasError(f"{what}: {error}") from None


def reason(error: OSError) -> str:
    """The system's words for an error, in small letters as Go writes them."""
    return (os.strerror(error.errno) if (error.errno or 0) > 0 else str(error)).lower()
