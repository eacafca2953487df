"""The control endpoint on a socket of its own, in threads of its own: it answers whatever becomes of the service.

One worker of a service listens, and another takes over when it has ended; the switch is that of all of them. HTTP/1.1
is h11's business; here are sockets, threads and limits. One request for each connection, and a short time for it.

No thread begins before this process serves: the refresher's thread calls `tend`. Whoever is not let in can only take
places that others are given as soon as they need them.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import weakref
from collections import OrderedDict
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from faultware.control.messages import MAX_BODY, MAX_HEADERS, MAX_TARGET, ControlRequest, Problem
from faultware.control.service import Admitted
from faultware.control.sockets import claim

if TYPE_CHECKING:
    from collections.abc import Callable

    import h11

    from faultware.config.addresses import Address
    from faultware.control.messages import ControlResponse
    from faultware.control.service import Control
    from faultware.control.sockets import Place
    from faultware.runtime.injector import Injector

MOST_CONNECTIONS: Final = 32
# The rest is for kills: whoever may only look must not be able to keep them out, by bodies that never come for example.
MOST_LET_IN: Final = 24
PATIENCE_SECONDS: Final = 10.0
# How often the thread looks whether anybody still wants it.
_LOOK_SECONDS: Final = 0.5
_CHUNK: Final = 65536


class Listener:
    """Listens for a control endpoint, in whichever process serves.

    Args:
        control: What answers.
        address: Where.
    """

    def __init__(self, control: Control, address: Address) -> None:
        self._control = control
        self._address = address
        self._place: Place | None = None
        self._complaint = ""
        _listeners.add(self)

    @property
    def is_listening(self) -> bool:
        """Whether it is this process that listens."""
        return self._place is not None

    def tend(self, injector: Injector) -> None:
        """Listen, unless somebody does; what the refresher's thread does each time."""
        if self._place is not None:
            return
        try:
            place = claim(self._address)
        except OSError as error:
            complaint = f"cannot listen on {self._address}: {error.strerror or error}"
            if complaint != self._complaint:
                self._complaint = complaint
                injector.failed("listen", OSError(complaint))
            return
        if place is not None:
            self._complaint = ""
            place.listening.settimeout(_LOOK_SECONDS)
            name = f"faultware-control {self._address}"
            try:
                threading.Thread(
                    target=_accept, args=(weakref.ref(self._control), place), name=name, daemon=True
                ).start()
            except RuntimeError:  # the system has no thread left; the next time it may, here or in another worker
                place.close()
                raise
            self._place = place

    def after_fork(self) -> None:
        """In a forked child: it is the parent that listens."""
        if self._place is not None:
            self._place.close()
            self._place = None


class _Connections:
    """Those that are open. When there are too many, the one that has waited longest to be let in has to go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[socket.socket, None] = OrderedDict()
        self._let_in: set[socket.socket] = set()
        self._count = 0

    def enter(self, connection: socket.socket) -> bool:
        """Take a place; False: all are taken by those who were let in."""
        with self._lock:
            if self._count >= MOST_CONNECTIONS:
                if not self._waiting:
                    return False
                oldest, _ = self._waiting.popitem(last=False)
                # Its thread finds that out, and gives its place back.
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._waiting[connection] = None
            self._count += 1
            return True

    def let_in(self, connection: socket.socket, *, is_urgent: bool) -> bool:
        """It goes no more to make room for others; False: too many have been let in that are not urgent."""
        with self._lock:
            if not is_urgent:
                if len(self._let_in) >= MOST_LET_IN:
                    return False
                self._let_in.add(connection)
            self._waiting.pop(connection, None)
            return True

    def leave(self, connection: socket.socket) -> None:
        """Give the place back."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._let_in.discard(connection)
            self._count -= 1


def _accept(control: Callable[[], Control | None], place: Place) -> None:
    """The thread that listens. It holds nobody: when the service is gone, it ends."""
    connections = _Connections()
    while True:
        try:
            connection, peer = place.listening.accept()
        except TimeoutError:
            if control() is None:
                place.close()
                return
            continue
        except OSError:
            # It was closed, or there are no descriptors left, which may change.
            if place.listening.fileno() < 0:
                return
            time.sleep(_LOOK_SECONDS)
            continue
        answering = control()
        if answering is None or not connections.enter(connection):
            connection.close()
            continue
        arguments = (answering, connection, _client(connection, peer), connections)
        del answering
        try:
            threading.Thread(target=_serve, args=arguments, name="faultware-control-request", daemon=True).start()
        except RuntimeError:  # the system has no thread left: just then somebody may have to kill
            with suppress(Exception):
                _serve(*arguments)
        del arguments


def _client(connection: socket.socket, peer: object) -> str:
    """Who is there, for the audit trail."""
    if isinstance(peer, tuple):
        return str(peer[0])  # pyright: ignore[reportUnknownArgumentType]
    if hasattr(socket, "SO_PEERCRED"):
        _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return f"user {user} by a Unix socket"
    return "a Unix socket"


def _serve(control: Control, connection: socket.socket, client: str, connections: _Connections) -> None:
    try:
        with connection:
            _Exchange(control, connection, client, connections).serve()
    except OSError:
        pass  # the other side has gone, or was too slow
    finally:
        connections.leave(connection)


class _Exchange:
    """One connection, and the one request on it."""

    def __init__(self, control: Control, connection: socket.socket, client: str, connections: _Connections) -> None:
        import h11  # noqa: PLC0415  (only where somebody listens)

        self._h11 = h11
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADERS + MAX_TARGET)
        self._control = control
        self._connection = connection
        self._client = client
        self._connections = connections
        self._ends_at = time.monotonic() + PATIENCE_SECONDS

    def serve(self) -> None:
        """Answer, if anything is asked."""
        try:
            request = self._next()
            if not isinstance(request, self._h11.Request):
                return
            response = self._respond(request)
            is_head = request.method == b"HEAD"
        except self._h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
            response, is_head = Problem(status, "this is not a request of HTTP/1.1").render(), False
        self._send(response, is_head=is_head)

    def _respond(self, request: h11.Request) -> ControlResponse:
        asked = self._asked(request)
        if asked is None:
            return Problem(HTTPStatus.NOT_FOUND, "here is a control endpoint and nothing else").render()
        admitted = self._control.admit(asked)
        if not isinstance(admitted, Admitted):
            return admitted
        if not self._connections.let_in(self._connection, is_urgent=admitted.is_urgent):
            detail = f"{MOST_LET_IN} others are being answered; only a kill is let in besides"
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"retry-after": "1"}).render()
        try:
            body = self._body()
        except (OSError, self._h11.RemoteProtocolError):
            if admitted.is_urgent:
                self._control.answer(admitted, b"")
            raise
        return self._control.answer(admitted, body)

    def _asked(self, request: h11.Request) -> ControlRequest | None:
        target = request.target.decode("latin-1")
        raw_path, _, query = target.partition("?")
        path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
        if not self._control.owns(path):
            return None
        headers: dict[str, str] = {}
        for name, value in request.headers:
            key, line = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {line}" if key in headers else line
        return ControlRequest(
            method=request.method.decode("latin-1"),
            path=self._control.below(path),
            query_string=query,
            headers=headers,
            client=self._client,
            raw_path=raw_path,
        )

    def _body(self) -> bytes:
        """The body, cut one byte behind the limit."""
        if self._protocol.they_are_waiting_for_100_continue:
            self._write(self._protocol.send(self._h11.InformationalResponse(status_code=100, headers=[])))
        body = bytearray()
        while len(body) <= MAX_BODY and isinstance(event := self._next(), self._h11.Data):
            body += event.data
        return bytes(body[: MAX_BODY + 1])

    def _next(self) -> object:
        while (event := self._protocol.next_event()) is self._h11.NEED_DATA:
            self._set_patience()
            self._protocol.receive_data(self._connection.recv(_CHUNK))
        return event

    def _send(self, response: ControlResponse, *, is_head: bool) -> None:
        length = [] if response.status == HTTPStatus.NO_CONTENT else [("content-length", str(len(response.body)))]
        headers = [*response.headers.items(), *length, ("connection", "close")]
        phrase = HTTPStatus(response.status).phrase.encode("ascii")
        start = self._h11.Response(status_code=int(response.status), headers=headers, reason=phrase)
        data = self._protocol.send(start) or b""
        if response.body and not is_head:
            data += self._protocol.send(self._h11.Data(data=response.body)) or b""
        self._ends_at = time.monotonic() + PATIENCE_SECONDS
        self._write(data)
        # What the client has still to say is read and dropped for a moment: closing over it would take the answer back.
        self._connection.shutdown(socket.SHUT_WR)
        self._ends_at = time.monotonic() + 1.0
        while self._left() > 0 and self._drain():
            pass

    def _drain(self) -> bool:
        self._set_patience()
        return bool(self._connection.recv(_CHUNK))

    def _write(self, data: bytes | None) -> None:
        self._set_patience()
        self._connection.sendall(data or b"")

    def _left(self) -> float:
        return self._ends_at - time.monotonic()

    def _set_patience(self) -> None:
        # Zero would mean not to wait at all, and none to wait for ever.
        self._connection.settimeout(max(self._left(), 0.001))


_listeners: weakref.WeakSet[Listener] = weakref.WeakSet()


def _after_fork() -> None:
    for listener in list(_listeners):
        listener.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
