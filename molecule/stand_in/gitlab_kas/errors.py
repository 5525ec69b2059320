"""What ends the program."""

from __future__ import annotations


class KasError(Exception):
    """KAS cannot start; the text is KAS's own."""


class KasPanic(Exception):
    """KAS crashes: plain text instead of a log line."""
