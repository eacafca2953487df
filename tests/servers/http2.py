"""HTTP/2 with prior knowledge on a raw socket: several streams of one connection, and how each of them ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events

if TYPE_CHECKING:
    import socket


@dataclass
class Stream:
    """What came on one stream.

    Args:
        status: Of the answer; 0: there was none.
        headers: Of the answer.
        body: So far.
        end: `whole`, `connection lost`, or the code with which it was reset.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    end: str | int = ""


class Http2:
    """A client.

    Args:
        connection: With a timeout.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._state.initiate_connection()
        self._streams: dict[int, Stream] = {}

    def ask(self, path: str, *headers: tuple[str, str], method: str = "GET") -> Stream:
        """Send a request; what comes of it, `wait` fills in."""
        number = self._state.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "localhost"), *headers]
        self._state.send_headers(number, head, end_stream=True)
        self._flush()
        self._streams[number] = Stream()
        return self._streams[number]

    def wait(self, *streams: Stream) -> None:
        """Until these streams have ended."""
        while not all(stream.end for stream in streams):
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                for stream in self._streams.values():
                    stream.end = stream.end or "connection lost"
                return
            for event in self._state.receive_data(data):
                self._note(event)
            self._flush()

    def _note(self, event: h2.events.Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = dict(event.headers)
            stream.status = int(stream.headers.pop(":status"))
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            self._state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.end = "whole"
        elif isinstance(event, h2.events.StreamReset):
            stream.end = int(event.error_code)

    def _flush(self) -> None:
        self._socket.sendall(self._state.data_to_send())
