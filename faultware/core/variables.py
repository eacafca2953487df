"""Variables of a request by the names that nginx and APISIX give them, for conditions and for texts with gaps.

What is absent is None; a query field without `=` is True, as in APISIX.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote, unquote_plus

from faultware.core.request import MAX_FIELDS

if TYPE_CHECKING:
    from collections.abc import Collection

    from faultware.core.request import Request

Value: TypeAlias = str | bool | None

PLAIN: Final = ("uri", "request_uri", "request_method", "method", "scheme", "host", "remote_addr")
PREFIXES: Final = ("http_", "cookie_", "arg_")
# `$name`, `${name}` and `${name ?? default}`; a dollar sign behind a backslash is left alone.
_GAP: Final = re.compile(r"(?<!\\)\$(?:([A-Za-z0-9_.]+)|\{([A-Za-z0-9_.]+)(?:\s*\?\?\s*([^}]*))?\})")


def is_variable(name: str) -> bool:
    """Whether a request can have a variable with this name."""
    return name in PLAIN or any(name.startswith(prefix) and name != prefix for prefix in PREFIXES)


def value_of(request: Request, name: str) -> Value:
    """The value of a variable; None: it is absent."""
    match name:
        case "uri":
            return _normal(request.raw_path)
        case "request_uri":
            return request.target
        case "request_method" | "method":
            return request.method
        case "scheme":
            return request.scheme
        case "host":
            return request.host or None
        case "remote_addr":
            return request.client or None
        case _:
            return _named(request, name)


def _named(request: Request, name: str) -> Value:
    if name.startswith("http_"):
        lines = request.header(name[5:].replace("_", "-").lower())
        return ", ".join(lines) if lines else None
    if name.startswith("cookie_"):
        found = request.cookies.get(name[7:])
        return found[0] if found else None
    if name.startswith("arg_"):
        return _argument(request.query_string, name[4:])
    return None


def _argument(query: str, wanted: str) -> Value:
    """The first query field of this name, decoded."""
    for pair in query.split("&", MAX_FIELDS)[:MAX_FIELDS]:
        name, equals, value = pair.partition("=")
        if unquote_plus(name, errors="replace") == wanted:
            return unquote_plus(value, errors="replace") if equals else True
    return None


def _normal(raw_path: str) -> str:
    """A path decoded, with its slashes and dots resolved, as nginx's `$uri` is."""
    path = unquote(raw_path, errors="replace")
    found: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del found[-1:]
        elif segment not in ("", "."):
            found.append(segment)
    normal = "/" + "/".join(found)
    return f"{normal}/" if found and path.endswith(("/", "/.", "/..")) else normal


def names_in(text: str) -> list[str]:
    """The variables for which a text has gaps."""
    return [found[1] or found[2] for found in _GAP.finditer(text)]


def filled(text: str, request: Request, most: int) -> str:
    """A text whose gaps are filled; with the default, or nothing, where the variable is absent.

    Args:
        text: With gaps.
        request: Fills them.
        most: So many characters at most, whatever a request says: the rest is cut.
    """
    known: dict[str, Value] = {}
    parts: list[str] = []
    at = length = 0
    for gap in _GAP.finditer(text):
        name = gap[1] or gap[2]
        if name not in known:
            known[name] = value_of(request, name)
        value = known[name]
        filling = value if isinstance(value, str) else "true" if value else (gap[3] or "")
        parts += [text[at : gap.start()], filling]
        length += gap.start() - at + len(filling)
        at = gap.end()
        if length >= most:
            break
    else:
        parts.append(text[at:])
    return "".join(parts)[:most]


def without_gaps(text: str, names: Collection[str]) -> str:
    """A text without its gaps for some variables: with their defaults, as if they were absent."""

    def closed(gap: re.Match[str]) -> str:
        return (gap[3] or "") if (gap[1] or gap[2]) in names else gap[0]

    return _GAP.sub(closed, text)
