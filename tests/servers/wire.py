"""HTTP/1.1 on a raw socket, to see what really arrives and in which order."""

from __future__ import annotations

import http.client
import io
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.servers.harness import Server

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Message:
    """One response off the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of one request."""
    lines = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body or method == "POST":
        lines.setdefault("content-length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Wire:
    """Reads responses from a connection, one after the other.

    Args:
        connection: With a timeout.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.ahead = b""

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def read(self, *, method: str = "GET") -> Message | None:
        """The next response, or None if the connection has ended instead."""
        while HEAD_END not in self.ahead:
            if not self._more():
                assert not self.ahead, f"a response that broke off: {self.ahead!r}"
                return None
        head, _, self.ahead = self.ahead.partition(HEAD_END)
        first, _, rest = head.partition(b"\r\n")
        fields = http.client.parse_headers(io.BytesIO(rest + HEAD_END))
        headers = {name.lower(): value for name, value in fields.items()}
        status = int(first.split()[1])
        if status == 100:
            return self.read(method=method)
        return Message(status, headers, self._body(status, headers, method))

    def rest(self) -> bytes:
        """Everything until the end of the connection."""
        while self._more():
            pass
        return self.ahead

    def _body(self, status: int, headers: dict[str, str], method: str) -> bytes:
        if method == "HEAD" or status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self._take(int(headers["content-length"]))

    def _chunk(self) -> bytes:
        while b"\r\n" not in self.ahead:
            assert self._more(), "a chunk that broke off"
        size, _, self.ahead = self.ahead.partition(b"\r\n")
        return self._take(int(size, 16) + 2)[:-2]

    def _take(self, size: int) -> bytes:
        while len(self.ahead) < size:
            assert self._more(), "a body that broke off"
        taken, self.ahead = self.ahead[:size], self.ahead[size:]
        return taken

    def _more(self) -> bool:
        try:
            data = self._connection.recv(65536)
        except ConnectionResetError:
            return False
        self.ahead += data
        return bool(data)


def pipelined(server: Server, requests: Iterable[bytes], whole: int) -> tuple[list[Message], bytes]:
    """The first so many answers to requests that are sent at once by a client slow to read, and what comes behind them.

    The answers to them wait in the server and in the kernel while the next request is served.
    """
    with socket.socket() as connection:
        connection.settimeout(60)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        connection.connect(("127.0.0.1", server.port))
        wire = Wire(connection)
        wire.send(b"".join(requests))
        time.sleep(0.3)
        answers = [wire.read() for _ in range(whole)]
        with suppress(ConnectionResetError):
            wire.rest()
        return [answer for answer in answers if answer is not None], wire.ahead
