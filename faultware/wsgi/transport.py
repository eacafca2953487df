"""The connection behind a WSGI request: found, hurt, and given up.

It is found through what each server hands out, hurt past the server, and given up in the way that this server takes
quietly. WSGI has no word for any of it: what each server does was measured. Where there is doubt whose connection it
is, there is none.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from faultware.core.faults import Needs, Reset, Truncate
from faultware.errors import InjectedDisconnect
from faultware.runtime.holding import Ending
from faultware.runtime.wire import LOOK_SECONDS, LOOKS, is_proxied
from faultware.wsgi.requests import EnvironRequest
from faultware.wsgi.sockets import channel_of, is_by_uwsgi_router, is_in_process, number, wire_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from faultware.core.faults import Fault
    from faultware.core.shaping.effects import By
    from faultware.runtime.wire import Wire

Pause: TypeAlias = Callable[[float], Ending]

# On any other version requests share a connection (gunicorn's threads speak HTTP/2).
_ALONE: Final = ("HTTP/1.0", "HTTP/1.1")
_MOST_FORGOTTEN: Final = 2**20


class Connection:
    """What can be done to the connection of one request. Close it in the end: that does nothing to the connection.

    Args:
        wire: The connection; None: none that a fault could hurt.
        is_resettable: A router may stand between, which makes a FIN of every RST.
        is_plain: What is written to it is what the client reads.
        is_in_process: There is none, and the client is in this process.
        pending: What the server keeps to itself, in bytes.
    """

    __slots__ = ("_is_in_process", "_is_plain", "_is_resettable", "_pending", "wire")

    def __init__(
        self,
        wire: Wire | None = None,
        *,
        is_resettable: bool = True,
        is_plain: bool = True,
        is_in_process: bool = False,
        pending: Callable[[], int] = lambda: 0,
    ) -> None:
        self.wire = wire
        self._is_resettable = is_resettable
        self._is_plain = is_plain
        self._is_in_process = is_in_process
        self._pending = pending

    def allows(self, fault: Fault) -> bool:
        """Whether a fault is possible on it."""
        match fault.needs:
            case Needs.SOCKET | Needs.RAW if self.wire is None:
                return self._is_in_process
            case Needs.SOCKET:
                is_reset = isinstance(fault, Reset) or (isinstance(fault, Truncate) and fault.by == "reset")
                return self._is_resettable or not is_reset
            case Needs.RAW:
                return self._is_plain
            case Needs.NOTHING | Needs.PROCESS:
                return True
            case Needs.STREAM | Needs.WEBSOCKET:
                return False

    def write(self, data: bytes, pause: Pause, patience: float) -> Ending:
        """Write past the server, and wait while the client does not read.

        Args:
            data: The bytes.
            pause: How to wait.
            patience: How long, in seconds, a client that does not read is waited for. Then it counts as gone.
        """
        left = patience
        while data and self.wire is not None:
            try:
                written = self.wire.write(data)
            except OSError:
                return Ending.GONE
            data = data[written:]
            left = patience if written else left - LOOK_SECONDS
            if data:
                ending = pause(LOOK_SECONDS) if left > 0 else Ending.GONE
                if ending is not Ending.OVER:
                    return ending
        return Ending.OVER

    def settle(self, pause: Pause, patience: float) -> Ending:
        """Let an answer to an earlier request of the connection out first, if one is under way. Arguments as above.

        A RST would overtake it, and what is written past the server could get into the middle of it.
        """
        try:
            is_clear = self.wire is None or not self._waiting(self.wire)
        except OSError:
            return Ending.GONE
        return Ending.OVER if is_clear else self.drain(pause, patience)

    def drain(self, pause: Pause, patience: float) -> Ending:
        """Wait until the peer's kernel has all that was sent: a RST would overtake the rest. Arguments as above."""
        empty, before, left = 0, -1, patience
        while empty < LOOKS and left > 0 and self.wire is not None:
            # First the wait: what the server has yet to write does not count.
            ending = pause(LOOK_SECONDS)
            if ending is not Ending.OVER:
                return ending
            try:
                waiting = self._waiting(self.wire)
            except OSError:
                return Ending.GONE
            empty = 0 if waiting else empty + 1
            left = left - LOOK_SECONDS if waiting == before else patience
            before = waiting
        return Ending.OVER

    def _waiting(self, wire: Wire) -> int:
        # The server's own first: in between it may be handed on, and is to be seen at least once.
        return self._pending() + wire.unacknowledged()

    def end(self, by: By) -> None:
        """End it; raises `OSError` if that fails."""
        if self.wire is not None:
            self.wire.end(by)

    def close(self) -> None:
        """Let the server alone have it."""
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()


# Shared: it holds nothing.
NO_CONNECTION: Final = Connection()


def reach(environ: WSGIEnvironment, request: EnvironRequest) -> Connection:
    """The connection of a request, as far as a fault can hurt it.

    Args:
        environ: Of the request.
        request: The same, as rules see it.
    """
    version = environ.get("SERVER_PROTOCOL")
    if is_in_process(environ):
        return Connection(is_in_process=True)
    channel = channel_of(environ)
    is_of_proxy = is_proxied(request, number(environ.get("REMOTE_PORT"))) or _is_proxied_in_waitress(channel, environ)
    if is_of_proxy or version not in _ALONE:
        return NO_CONNECTION
    return Connection(
        wire_of(environ),
        is_resettable=not is_by_uwsgi_router(environ),
        is_plain=version == "HTTP/1.1" and environ.get("wsgi.url_scheme") == "http",
        pending=lambda: int(getattr(channel, "total_outbufs_len", 0)),
    )


def part(environ: WSGIEnvironment, start_response: StartResponse | None) -> list[bytes]:
    """Give up a request whose connection has ended, so that the server neither answers it nor complains.

    Args:
        environ: Of the request.
        start_response: The server's; None: a response has begun.

    Returns:
        What a server is to be given that has no exception for it: nothing, or nothing more.

    Raises:
        Exception: What the server takes for a client that has left.
    """
    is_quiet = "gunicorn.socket" in environ or "werkzeug.socket" in environ or _is_cheroot(environ)
    if is_quiet or is_in_process(environ):
        # gunicorn overlooks such an error by its number, cheroot too.
        raise InjectedDisconnect(errno.ECONNRESET, "connection ended by faultware")
    lost = getattr(sys.modules.get("waitress.channel"), "ClientDisconnected", None)
    if start_response is None and "waitress.client_disconnected" in environ and lost is not None:
        raise lost
    # uWSGI is content with nothing. Its `disconnect()` must not be called twice: the descriptor may be somebody else's.
    if start_response is not None and "uwsgi.version" not in environ:
        start_response("200 OK", [("Content-Length", "0")])
    return []


def forget_body(environ: WSGIEnvironment) -> None:
    """Read what cheroot would take for the next request: the rest of a chunked body that nobody has read."""
    if _is_cheroot(environ) and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        stream, left = environ["wsgi.input"], _MOST_FORGOTTEN
        while left > 0 and (data := stream.read(65536)):
            left -= len(data)


def _is_proxied_in_waitress(channel: Any, environ: WSGIEnvironment) -> bool:
    """Waitress drops what an untrusted proxy says from the environment, but not from the request that it has parsed."""
    requests = getattr(channel, "requests", None)
    headers: dict[str, str] = getattr(requests[0], "headers", {}) if requests else {}
    said = {"REQUEST_METHOD": environ["REQUEST_METHOD"], **{f"HTTP_{name}": value for name, value in headers.items()}}
    return is_proxied(EnvironRequest(said, ""), None)


def _is_cheroot(environ: WSGIEnvironment) -> bool:
    return str(environ.get("SERVER_SOFTWARE", "")).startswith("Cheroot/")
