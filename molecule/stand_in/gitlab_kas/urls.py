"""URLs as Go's net/url reads them, as far as a configuration can be wrong in them."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")


def quoted(text: str) -> str:
    """As Go quotes a text."""
    return re.sub(r"\\u00([01][0-9a-f])", r"\\x\1", json.dumps(text, ensure_ascii=False)).replace("\x7f", r"\x7f")


def fault(text: str) -> str:
    """Why it is no URL, in Go's words; empty if it is one."""
    whole = text.partition("#")[0]
    problem = problem_of(whole)
    return f"parse {quoted(whole)}: {problem}" if problem else ""


def problem_of(text: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        return "net/url: invalid control character in URL"
    if text.startswith(":"):
        return "missing protocol scheme"
    scheme = SCHEME.match(text)
    rest = text[scheme.end() if scheme else 0 :].partition("?")[0]
    if not rest.startswith("/"):
        if scheme or ":" not in rest.split("/")[0]:
            return "" if scheme else bad_escape(rest)
        return "first path segment in URL cannot contain colon"
    authority, path = "", rest
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        path = slash + path
    return problem_of_authority(authority) or bad_escape(path)


def problem_of_authority(authority: str) -> str:
    user, at, host = authority.rpartition("@")
    if at and not re.fullmatch(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*", user):
        return "net/url: invalid userinfo"
    if host.startswith("["):
        if "]" not in host:
            return "missing ']' in host"
        port = host[host.rfind("]") + 1 :]
    else:
        port = ":" + host.rpartition(":")[2] if ":" in host else ""
    if port and not re.fullmatch(":[0-9]*", port):
        return f"invalid port {quoted(port)} after host"
    odd = re.search(r'[ "<>\\^`{|}]', host)
    if odd:
        return f"invalid character {quoted(odd[0])} in host name"
    return bad_escape(authority)


def bad_escape(text: str) -> str:
    found = BAD_ESCAPE.search(text)
    return f"invalid URL escape {quoted(found[0])}" if found else ""


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
