"""Who may use the control endpoint: whoever shows the token, through a name that is allowed.

Where a request comes from is never a credential: behind a proxy every client looks like loopback.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Checks the token and the name.

    Args:
        token: The secret; only its digest is kept.
        hosts: Names under which the endpoint may be addressed, besides those of this machine; `*`: any.
    """

    __slots__ = ("_any_host", "_digest", "_hosts")

    def __init__(self, token: str, hosts: Iterable[str] = ()) -> None:
        self._digest = _digest(token)
        self._hosts = _LOCAL | {host.lower().rstrip(".").strip("[]") for host in hosts}
        self._any_host = "*" in self._hosts

    def admits(self, authorization: str) -> bool:
        """Whether an `Authorization` header carries the token (RFC 6750, section 2.1), in constant time."""
        scheme, _, token = authorization.strip().partition(" ")
        # A header's bytes arrive as Latin-1. Clients write what is not ASCII in that, or in UTF-8.
        latin = token.strip()
        utf8 = latin.encode("latin-1", "replace").decode("utf-8", "replace")
        # Digests have one length and are bytes, so that the comparison tells nothing and never fails.
        is_right = hmac.compare_digest(_digest(latin), self._digest) | hmac.compare_digest(_digest(utf8), self._digest)
        return is_right and scheme.lower() == "bearer"

    def allows_host(self, host: str) -> bool:
        """Whether the name the client used is allowed: a web page that rebinds its own name to this machine is not."""
        return self._any_host or host in self._hosts


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
