"""Which headers a fault may set: what can be sent at all, and does not belong to the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, cast

from faultware.core.matching import is_token
from faultware.errors import RuleError

# The server and the connection own these: a wrong one hangs clients, breaks framing or ends a worker.
RESERVED_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def check_header_name(name: object, where: str) -> None:
    """Refuse what is no header's name, or one that belongs to the server."""
    if not isinstance(name, str) or not is_token(name):
        raise RuleError(f"{name!r} is not a header name", where=where, hint="letters, digits and -")
    if name.lower() in RESERVED_HEADERS:
        raise RuleError(f"{name} belongs to the server", where=where, hint="leave it out")


def read_headers(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """Header lines as pairs, from a mapping or from pairs; raises `RuleError` for what cannot be sent."""
    items: object = cast("Mapping[str, str]", value).items() if isinstance(value, Mapping) else value
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise RuleError(f"{items!r} is not a mapping", where=where, hint="write name: value")
    pairs: list[tuple[str, str]] = []
    for item in cast("Iterable[object]", items):
        pair = tuple(cast("Iterable[str]", item)) if isinstance(item, (tuple, list)) else ()
        if len(pair) != 2:
            raise RuleError(f"{item!r} is not a pair", where=where, hint="write (name, value)")
        check_header(*pair, f"{where}.{pair[0]}")
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def check_header(name: object, value: object, where: str) -> None:
    """Refuse a header that cannot be sent (RFC 9110, section 5.5), or that belongs to the server."""
    check_header_name(name, where)
    if not isinstance(value, str):
        raise RuleError(f"{value!r} is not a text", where=where, hint="quote it")
    if any(ord(letter) > 255 or (ord(letter) < 32 and letter != "\t") or ord(letter) == 127 for letter in value):
        raise RuleError("a header value holds printable Latin-1 characters only", where=where)
