"""Which headers a fault may set: what can be sent at all, and does not belong to the server."""

from __future__ import annotations

from typing import Final

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


def check_header(name: object, value: object, where: str) -> None:
    """Refuse a header that cannot be sent (RFC 9110, section 5.5), or that belongs to the server."""
    check_header_name(name, where)
    if not isinstance(value, str):
        raise RuleError(f"{value!r} is not a text", where=where, hint="quote it")
    if any(ord(letter) > 255 or (ord(letter) < 32 and letter != "\t") or ord(letter) == 127 for letter in value):
        raise RuleError("a header value holds printable Latin-1 characters only", where=where)
