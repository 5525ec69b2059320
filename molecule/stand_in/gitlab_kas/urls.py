"""URLs as Go's net/url reads them, as far as a configuration can be wrong in them."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def fault(text: str) -> str:
    """Why it is no URL, in Go's words; empty if it is one."""
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        return f"parse {json.dumps(text)}: net/url: invalid control character in URL"
    if text.startswith(":"):
        return f"parse {json.dumps(text)}: missing protocol scheme"
    scheme = SCHEME.match(text)
    rest = text[scheme.end() :] if scheme else text
    if not scheme and ":" in rest.split("/")[0]:
        return f"parse {json.dumps(text)}: first path segment in URL cannot contain colon"
    if not rest.startswith("//"):
        return ""
    host = re.split("[/?#]", rest[2:])[0].rpartition("@")[2]
    if host.startswith("[") and "]" not in host:
        return f"parse {json.dumps(text)}: missing ']' in host"
    odd = re.search(r'[ "<>\\^`{|}]', host)
    if odd:
        return f"parse {json.dumps(text)}: invalid character {json.dumps(odd[0])} in host name"
    port = host[host.rfind("]") + 1 :].partition(":")
    if port[1] and not re.fullmatch("[0-9]*", port[2].rpartition(":")[2]):
        return f"parse {json.dumps(text)}: invalid port {json.dumps(':' + port[2])} after host"
    return ""


def absolute(text: str) -> list[str]:
    """What a configuration says of a URL that must have a scheme."""
    problem = fault(text)
    if problem:
        return [f"value must be a valid URI | caused by: {problem}"]
    return [] if SCHEME.match(text) else ["value must be absolute"]


def sentry_fault(dsn: str) -> str:
    """Why it is no address of Sentry; empty if it is one."""
    problem = fault(dsn)
    if problem:
        return f"invalid url: {problem}"
    parts = urlsplit(dsn)
    if parts.scheme not in ("http", "https"):
        return "invalid scheme"
    if not parts.username:
        return "empty username"
    if not parts.hostname:
        return "empty host"
    return "" if parts.path.rpartition("/")[2] else "empty project id"
