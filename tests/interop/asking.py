"""One request, the same bytes to everybody; and what came back, as far as it is to be the same."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from tests.servers.harness import PATIENCE_SECONDS
from tests.servers.wire import Wire

# Says which case's middleware a request is for. Envoy gets it, too: no case looks at it.
CASE = "x-case"
# What the application puts on everything it answers.
REACHED = "x-reached"
# Envoy counts a delay from when it last looked at the clock: the busier the machine, the earlier its timers end.
ENVOYS_PART = 0.5


@dataclass(frozen=True)
class Ask:
    """A request.

    Args:
        target: As it is sent.
        headers: Lines, in their order; `host` only if it matters.
        method: As it is sent.
        body: Its body.
        delay_seconds: The least time until the answer.
        only_asgi: WSGI servers have joined its repeated headers.
    """

    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: bytes = b""
    delay_seconds: float = 0.0
    only_asgi: bool = False

    def data(self, case: str) -> bytes:
        """The bytes."""
        lines = [*self.headers, (CASE, case)]
        if not any(name.lower() == "host" for name, _ in lines):
            lines.insert(0, ("host", "shop.test"))
        if self.body or self.method == "POST":
            lines.append(("content-length", str(len(self.body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        return f"{self.method} {self.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + self.body


@dataclass(frozen=True)
class Outcome:
    """What a client sees.

    Args:
        reached: Whether the application answered.
        status: Of the response.
        content_type: Of an abort; empty, where the application answered.
        body: Of the response.
        grpc: The gRPC status and message.
    """

    reached: bool
    status: int
    content_type: str
    body: bytes
    grpc: tuple[str, str] = ("", "")


# An answer with these statuses has no body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5). Envoy sends one.
BODILESS = (204, 205, 304)


class Client:
    """Sends requests over one connection, as long as the server keeps it open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, ask: Ask, case: str) -> tuple[Outcome, float]:
        """The outcome, and the seconds it took."""
        data = ask.data(case)
        began = time.monotonic()
        for is_last in (False, True):
            try:
                if self._socket is None:
                    self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE_SECONDS)
                wire = Wire(self._socket)
                wire.send(data)
                message = wire.read(method=ask.method)
            except OSError:
                message = None
            if message is None:
                # It was closed between two requests.
                self.close()
                assert not is_last, f"no answer to {data!r}"
                continue
            break
        took = time.monotonic() - began
        headers = message.headers
        if headers.get("connection", "").lower() == "close" or message.status in BODILESS:
            self.close()
        reached = REACHED in headers
        grpc = (headers.get("grpc-status", ""), headers.get("grpc-message", ""))
        kind = "" if reached or message.status in BODILESS else headers.get("content-type", "")
        if kind.startswith("application/grpc+"):
            # We name the codec of the request, and Envoy none; to a client both are gRPC.
            kind = "application/grpc"
        body = b"" if message.status in BODILESS else message.body
        return Outcome(reached, message.status, kind, body, grpc), took

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
