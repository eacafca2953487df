"""HTTP/2 on a raw socket: what becomes of one stream, and of another that shares its connection."""

from __future__ import annotations

import socket
import time

import h2.config
import h2.connection
import h2.events

from faultware.cli.trials import Trial
from faultware.cli.watching import Response, Seen
from faultware.control.selftest import BODY


class Pair:
    """Two requests on one connection: the faulted one, and an innocent one."""

    def __init__(self, port: int, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._port = port
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._statuses: dict[int, int] = {}
        self._headers: dict[int, dict[str, str]] = {}
        self._bodies = {1: b"", 3: b""}
        self._arrivals: list[tuple[float, int]] = []
        self._ends: dict[int, str] = {}

    def see(self, path: str, innocent: str, trial: Trial) -> tuple[Seen, str]:
        """What was seen of the faulted stream, as if it were a connection, and what it amounts to."""
        with socket.create_connection(("127.0.0.1", self._port), self._patience) as wire:
            self._connection.initiate_connection()
            began = time.monotonic()
            self._request(1, path, trial)
            self._request(3, innocent, Trial("", "", "", lambda _seen: True))
            wire.sendall(self._connection.data_to_send())
            end = self._listen(wire, began)
        status = self._statuses.get(1)
        length = self._headers.get(1, {}).get("content-length", "")
        announced = int(length) if length.isdigit() else None
        is_whole = self._ends.get(1) == "whole"
        response = Response(
            status, self._headers.get(1, {}), self._bodies[1], announced, "" if is_whole else "not ended"
        )
        data = b"h2" * bool(status)
        seen = Seen(data, tuple(self._arrivals), "open", time.monotonic() - began, response)
        return seen, f"{self._words(response, end)}; {self._neighbour(end)}"

    def _words(self, response: Response, end: str) -> str:
        if response.is_whole:
            return f"{response.status}, {len(response.body)} body bytes"
        got = "0 bytes" if response.status is None else f"{response.status}, {len(response.body)} body bytes"
        return f"{got}, {self._ends.get(1, end)}"

    def _neighbour(self, end: str) -> str:
        if self._ends.get(3) == "whole" and self._bodies[3] == BODY:
            return "other stream whole"
        return f"other stream {self._ends.get(3, end)}"

    def _request(self, stream: int, path: str, trial: Trial) -> None:
        headers = [(":method", trial.method), (":path", path), (":scheme", "http"), (":authority", "localhost")]
        headers += [*trial.headers.items(), *([("content-length", str(len(trial.body)))] if trial.body else [])]
        self._connection.send_headers(stream, headers, end_stream=not trial.body)
        if trial.body:
            self._connection.send_data(stream, trial.body, end_stream=True)

    def _listen(self, wire: socket.socket, began: float) -> str:
        while len(self._ends) < 2:
            try:
                data = wire.recv(65536)
            except TimeoutError:
                return "open"
            except ConnectionResetError:
                return "RST"
            if not data:
                return "FIN"
            for event in self._connection.receive_data(data):
                self._take(event, time.monotonic() - began)
            wire.sendall(self._connection.data_to_send())
        return ""

    def _take(self, event: h2.events.Event, at: float) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            headers = dict(event.headers)
            self._statuses[event.stream_id] = int(headers[":status"])
            self._headers[event.stream_id] = headers
        elif isinstance(event, h2.events.DataReceived):
            self._bodies[event.stream_id] += event.data
            self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self._ends[event.stream_id] = "whole"
        elif isinstance(event, h2.events.StreamReset):
            self._ends[event.stream_id] = f"stream reset with {int(event.error_code)}"
        if getattr(event, "stream_id", None) == 1:
            self._arrivals.append((at, len(self._bodies[1])))
