"""gRPC as a fault needs it: its statuses, how an HTTP status reads as one, and an answer that carries only trailers.

Sources: gRPC over HTTP/2 (`PROTOCOL-HTTP2.md`, Trailers-Only), gRPC's status codes, and Envoy, whose table from HTTP
to gRPC this follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUSES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_UNKNOWN: Final = 2
# As Envoy maps them; every other status is UNKNOWN.
_OF_HTTP: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_KINDS: Final = ("application/grpc", "application/grpc-web", "application/grpc-web-text")
# What a message may hold without being percent-encoded (PROTOCOL-HTTP2.md, Percent-Encoded).
_PLAIN: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def check_grpc_status(value: object, where: str = "grpc_status") -> int:
    """Check a gRPC status: 0 to 16.

    Raises:
        RuleError: It is no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(STATUSES):
        hint = "0 to 16, or a name such as UNAVAILABLE"
        raise RuleError(f"{value!r} is not a gRPC status", where=where, hint=hint)
    return value


def grpc_status_of(http_status: int) -> int:
    """The gRPC status a client of gRPC makes of an HTTP status."""
    return _OF_HTTP.get(http_status, _UNKNOWN)


def grpc_content_type(content_types: Sequence[str]) -> str:
    """The content type of an answer to a request with these; empty: it is no request of gRPC or gRPC-Web."""
    for value in content_types:
        kind = value.partition(";")[0].strip().lower()
        if kind.partition("+")[0] in _KINDS:
            return kind
    return ""


def grpc_headers(content_type: str, status: int, message: str) -> list[tuple[str, str]]:
    """The headers of an answer that carries only trailers: the status is all there is."""
    encoded = quote(message.encode(), safe=_PLAIN)
    headers = [("content-type", content_type), ("grpc-status", str(status))]
    return [*headers, ("grpc-message", encoded)] if encoded else headers
