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
from faultware.wsgi.sockets import socket_of, wire_of

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self
    from wsgiref.types import WSGIEnvironment

    from faultware.runtime.injector import Injector
    from faultware.runtime.wire import Wire

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

    __slots__ = ("_gone", "_injector", "_look_at", "_release", "_released")

    def __init__(self, injector: Injector, environ: WSGIEnvironment) -> None:
        self._injector = injector
        # Made here and not earlier: under gevent the module is patched after faultware may have been imported.
        self._released = threading.Event()
        # One and the same object, by which the switch knows the request.
        self._release = self._released.set
        self._gone = None
        self._look_at = 0.0
        try:
            self._gone = departure(environ)
        except Exception as error:  # noqa: BLE001  (a bug of ours must not become the service's)
            injector.failed("act", error)
        injector.hold(self._release)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def is_released(self) -> bool:
        """Whether the switch has been killed since, even if it is armed again."""
        return self._released.is_set()

    def is_over(self) -> bool:
        """Whether there is nothing to be waited for any more: the switch was killed, or the client has left."""
        return self.is_released or self.has_left()

    def has_left(self) -> bool:
        """Whether the client has left, as far as this server can tell; looked at no more often than in a wait."""
        now = self._injector.clocks.monotonic()
        if self._gone is None or now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        return self._gone()

    def end(self) -> None:
        """There are no more waits."""
        self._injector.holding.remove(self._release)
        if isinstance(self._gone, Search):
            self._gone.close()
            self._gone = None

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
    connection = socket_of(environ)
    asked = environ.get("waitress.client_disconnected")
    if callable(asked):
        # Waitress itself knows only if it looks ahead for the next request (`channel_request_lookahead`).
        return lambda: bool(asked()) or (connection is not None and _has_left(connection))
    if not hasattr(socket, "TCP_INFO"):
        return None
    if connection is not None:
        return lambda: _has_left(connection)
    return Search(environ) if "REMOTE_PORT" in environ or "uwsgi.version" in environ else None


class Search:
    """Asks a connection that the server does not hand out.

    uWSGI says which it is, and so it is held from the beginning: once a client has left, there is nothing to be found.
    For cheroot's all descriptors are looked through, which is done only in a longer wait.

    Args:
        environ: Of the request.
    """

    __slots__ = ("_asked", "_environ", "_wire")

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ
        self._asked = 0
        self._wire: Wire | None = wire_of(environ) if "uwsgi.version" in environ else None

    def __call__(self) -> bool:
        """Whether the client has left."""
        self._asked += 1
        if self._asked == 2 and self._wire is None:
            self._wire = wire_of(self._environ)
        try:
            return self._wire is not None and not self._wire.is_established()
        except OSError:  # not a TCP connection any more
            return True

    def close(self) -> None:
        """Let the server alone have the connection."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def _has_left(connection: socket.socket) -> bool:
    """The state of the connection says so even behind unread bytes, where a peek would not (tcp(7), TCP_INFO)."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
    except (OSError, AttributeError):  # not a TCP connection, or no Linux
        return False
