"""Holding a WSGI request: until its time is over, the client leaves, or the switch is killed.

It waits on an event that the switch can set. WSGI does not say when a client leaves; where a server hands out
the means to see it, they are used.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from faultware.runtime.holding import Ending

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self
    from wsgiref.types import WSGIEnvironment

    from faultware.runtime.injector import Injector

# How often a connection is looked at while its request waits.
LOOK_SECONDS: Final = 0.05
_ESTABLISHED: Final = 1

Gone: TypeAlias = Callable[[], bool]


class Hold:
    """The waits of one request. Leave the block, and the switch forgets the request.

    Args:
        injector: Whose switch releases it.
        environ: Of the request.
    """

    __slots__ = ("_gone", "_injector", "_release", "_released")

    def __init__(self, injector: Injector, environ: WSGIEnvironment) -> None:
        self._injector = injector
        # Made here and not earlier: under gevent the module is patched after faultware may have been imported.
        self._released = threading.Event()
        # One and the same object, by which the switch knows the request.
        self._release = self._released.set
        self._gone = departure(environ)
        injector.hold(self._release)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """There are no more waits."""
        self._injector.holding.remove(self._release)

    def wait(self, seconds: float) -> Ending:
        """Wait; never shorter than asked, unless the client leaves or the switch is killed."""
        clock, gone = self._injector.clocks.monotonic, self._gone
        ends_at = clock() + seconds
        while (left := ends_at - clock()) > 0:
            if self._released.wait(left if gone is None else min(left, LOOK_SECONDS)):
                return Ending.RELEASED
            if gone is not None and gone():
                return Ending.GONE
        return Ending.OVER

    def pause(self, seconds: float) -> Ending:
        """Wait for the client, which nobody can release from that."""
        threading.Event().wait(seconds)
        return Ending.GONE if self._gone is not None and self._gone() else Ending.OVER


def hold(injector: Injector, seconds: float, environ: WSGIEnvironment) -> Ending:
    """Hold a request once."""
    with Hold(injector, environ) as held:
        return held.wait(seconds)


def departure(environ: WSGIEnvironment) -> Gone | None:
    """How to ask whether the client has left, or None where this server cannot tell."""
    asked = environ.get("waitress.client_disconnected")
    if callable(asked):
        # Waitress itself knows only if it looks ahead for the next request (`channel_request_lookahead`).
        connection = socket_of(environ)
        return lambda: bool(asked()) or (connection is not None and _has_left(connection))
    connection = socket_of(environ)
    if connection is None or not hasattr(socket, "TCP_INFO"):
        return None
    return lambda: _has_left(connection)


def socket_of(environ: WSGIEnvironment) -> socket.socket | None:
    """The connection's socket, where the server hands it out."""
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    connection: socket.socket | None = (
        environ.get("gunicorn.socket") or environ.get("werkzeug.socket") or getattr(channel, "socket", None)
    )
    return connection


def _has_left(connection: socket.socket) -> bool:
    """The state of the connection says so even behind unread bytes, where a peek would not (tcp(7), TCP_INFO)."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
    except (OSError, AttributeError):  # not a TCP connection, or no Linux
        return False
