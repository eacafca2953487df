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
    from wsgiref.types import WSGIEnvironment

    from faultware.runtime.injector import Injector

# How often a connection is looked at while its request waits.
LOOK_SECONDS: Final = 0.05
_ESTABLISHED: Final = 1

Gone: TypeAlias = Callable[[], bool]


def hold(injector: Injector, seconds: float, environ: WSGIEnvironment) -> Ending:
    """Hold a request; never shorter than asked, unless the client leaves or the switch is killed."""
    clock = injector.clocks.monotonic
    ends_at = clock() + seconds
    # Made here and not earlier: under gevent the module is patched after faultware may have been imported.
    released = threading.Event()
    gone = departure(environ)
    try:
        injector.hold(released.set)
        while (left := ends_at - clock()) > 0:
            if released.wait(left if gone is None else min(left, LOOK_SECONDS)):
                return Ending.RELEASED
            if gone is not None and gone():
                return Ending.GONE
        return Ending.OVER
    finally:
        injector.holding.remove(released.set)


def departure(environ: WSGIEnvironment) -> Gone | None:
    """How to ask whether the client has left, or None where this server cannot tell."""
    asked = environ.get("waitress.client_disconnected")
    if callable(asked):
        return lambda: bool(asked())
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is None or not hasattr(socket, "TCP_INFO"):
        return None
    return lambda: _has_left(connection)


def _has_left(connection: socket.socket) -> bool:
    """The state of the connection says so even behind unread bytes, where a peek would not (tcp(7), TCP_INFO)."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
    except OSError:  # not a TCP connection
        return False
