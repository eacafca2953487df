"""A WebSocket on a raw socket, to see how the handshake is answered and how the connection ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

if TYPE_CHECKING:
    import socket


class WebSocket:
    """A client. Shakes hands when it is made.

    Args:
        connection: With a timeout.
        path: Of the handshake.
    """

    def __init__(self, connection: socket.socket, path: str) -> None:
        self._socket = connection
        self._state = WSConnection(ConnectionType.CLIENT)
        self._ahead: list[Event] = []
        # How it ended: a code, or `FIN` or `RST` where there was none.
        self.end: int | str = ""
        self.status = 101
        self.body = b""
        self.mark = ""
        self._send(Request(host="localhost", target=path))
        while not isinstance(event := self._next(), AcceptConnection):
            if isinstance(event, RejectConnection):
                self.status = event.status_code
            elif isinstance(event, RejectData):
                self.body += event.data
            if event is None or (isinstance(event, RejectData) and event.body_finished):
                return
        headers = {name.lower(): value for name, value in event.extra_headers}
        self.mark = headers.get(b"faultware-fault", b"").decode()

    def say(self, *texts: str) -> None:
        for text in texts:
            self._send(TextMessage(text))

    def hear(self) -> str | bytes | None:
        """The next message, or None: the connection has ended."""
        while (event := self._next()) is not None:
            if isinstance(event, (TextMessage, BytesMessage)):
                return event.data
            if isinstance(event, CloseConnection):
                self.end = event.code
                return None
        return None

    def _send(self, event: Event) -> None:
        self._socket.sendall(self._state.send(event))

    def _next(self) -> Event | None:
        while not self._ahead:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                self.end = "RST"
                return None
            if not data:
                self.end = "FIN"
                return None
            self._state.receive_data(data)
            self._ahead += self._state.events()
        return self._ahead.pop(0)
