"""What a client really sees: every byte, when it came, and how the connection ended.

No HTTP library tells a reset from a polite end, or gives back half an answer, so this one speaks to a socket. Under TLS
it decrypts by itself, since OpenSSL hides how the connection below it ends.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, parse_headers
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

# How a connection ended; `open`: not within the time that the client had.
End: TypeAlias = Literal["FIN", "RST", "open"]

_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Address:
    """Whom to speak to.

    Args:
        host: A name or an address.
        port: The port.
        tls: The rules of TLS; None: there is none.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def authority(self) -> str:
        """As the Host header has it (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Connection:
    """A connection whose end can be seen.

    Args:
        address: Of the server.
        patience_seconds: How long to wait for a byte.

    Raises:
        OSError: It cannot be reached.
    """

    def __init__(self, address: Address, patience_seconds: float) -> None:
        self._socket = socket.create_connection((address.host, address.port), patience_seconds)
        self._tls: _Tls | None = None
        try:
            if address.tls is not None:
                self._tls = _Tls(address.tls, address.host, self._socket)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it; raises `OSError`."""
        self._socket.sendall(data if self._tls is None else self._tls.encrypt(data))

    def receive(self) -> bytes | End:
        """The next bytes, or how the connection ended."""
        while True:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return "open"
            except ConnectionResetError:
                return "RST"
            if not data:
                return "FIN"
            plain = data if self._tls is None else self._tls.decrypt(data)
            if self._tls is not None and (farewell := self._tls.farewell()):
                with suppress(OSError):
                    self._socket.sendall(farewell)
            if plain:
                return plain


class _Tls:
    """TLS over a socket that it does not own.

    Args:
        rules: Which certificates are good.
        host: Whose certificate it has to be.
        connection: Here the hands are shaken.
    """

    def __init__(self, rules: ssl.SSLContext, host: str, connection: socket.socket) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._is_over = False
        self._object = rules.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while self._wants_more():
            connection.sendall(self._outgoing.read())
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("the server ended the handshake of TLS")
            self._incoming.write(data)
        connection.sendall(self._outgoing.read())

    def encrypt(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """What can be read now."""
        self._incoming.write(data)
        plain = bytearray()
        try:
            while piece := self._object.read(65536):
                plain += piece
        except ssl.SSLWantReadError:
            return bytes(plain)
        except ssl.SSLZeroReturnError:
            pass
        self._is_over = True
        return bytes(plain)

    def farewell(self) -> bytes:
        """What to answer once the server has said that it sends no more: it waits for that before it closes."""
        if not self._is_over:
            return b""
        with suppress(ssl.SSLError):
            self._object.unwrap()
        return self._outgoing.read()

    def _wants_more(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back for one request.

    Args:
        data: Every byte.
        arrivals: When, in seconds since the request was sent, and how many bytes had come by then.
        end: How the connection ended.
        seconds: When that was.
        response: The bytes, read as a response as far as they are one.
    """

    data: bytes
    arrivals: tuple[tuple[float, int], ...]
    end: End
    seconds: float
    response: Response

    @property
    def first_byte_seconds(self) -> float:
        """When the first byte came; the end, if none did."""
        return self.arrivals[0][0] if self.arrivals else self.seconds

    @property
    def longest_pause_seconds(self) -> float:
        """The longest time between two arrivals."""
        times = [at for at, _ in self.arrivals]
        return max((later - at for at, later in pairwise(times)), default=0.0)

    @property
    def last_byte_seconds(self) -> float:
        """When the last byte came."""
        return self.arrivals[-1][0] if self.arrivals else self.seconds

    def __str__(self) -> str:
        if not self.data:
            return {"FIN": "FIN, 0 bytes", "RST": "RST, 0 bytes", "open": f"nothing for {self.seconds:.1f} s"}[self.end]
        response = self.response
        if response.status is None:
            return f"{len(self.data)} bytes that are no response, {self.end}"
        if response.is_whole:
            return f"{response.status}, {len(response.body)} body bytes"
        expected = "" if response.length is None else f" of {response.length}"
        return f"{response.status}, {len(response.body)}{expected} body bytes, {response.flaw}, {self.end}"


@dataclass(frozen=True, slots=True)
class Response:
    """A response, as far as it came.

    Args:
        status: None: what came is no response with a whole head.
        headers: By lower-case names; of repeated ones the last.
        body: Without its framing.
        length: What Content-Length announced.
        flaw: What is wrong with the framing; empty: nothing.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    length: int | None = None
    flaw: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether a client finds nothing wrong with it."""
        return self.status is not None and not self.flaw


def exchange(address: Address, request: bytes, patience_seconds: float) -> Seen:
    """Send a request on a connection of its own, and watch until the connection ends.

    Args:
        address: Of the server.
        request: All of its bytes; it asks for `connection: close`.
        patience_seconds: How long to wait for each byte, and for the end behind the last.

    Raises:
        OSError: The server cannot be reached.
    """
    with Connection(address, patience_seconds) as connection:
        began = time.monotonic()
        connection.send(request)
        data = bytearray()
        arrivals: list[tuple[float, int]] = []
        while isinstance(received := connection.receive(), bytes):
            data += received
            arrivals.append((time.monotonic() - began, len(data)))
        seconds = time.monotonic() - began
        return Seen(bytes(data), tuple(arrivals), received, seconds, read_response(bytes(data)))


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request of HTTP/1.1."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def read_response(data: bytes) -> Response:
    """Read a response as far as it came (RFC 9112)."""
    head, found, rest = data.partition(_HEAD_END)
    first, _, lines = head.partition(b"\r\n")
    words = first.split(maxsplit=2)
    if not found or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        return Response()
    if words[1] == b"100":
        return read_response(rest)
    try:
        fields = parse_headers(io.BytesIO(lines + _HEAD_END))
    except HTTPException:
        return Response()
    headers = {name.lower(): value for name, value in fields.items()}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, flaw = _dechunked(rest)
        return Response(int(words[1]), headers, body, flaw=flaw)
    text = headers.get("content-length", "")
    length = int(text) if text.isascii() and text.isdigit() else None
    flaw = ""
    if length is not None and len(rest) != length:
        flaw = "too short" if len(rest) < length else "too long"
    return Response(int(words[1]), headers, rest, length, flaw)


def _dechunked(data: bytes) -> tuple[bytes, str]:
    """The body, and what is wrong with its chunks."""
    body = bytearray()
    while True:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return bytes(body), "no last chunk"
        try:
            size = int(line.partition(b";")[0].strip(), 16)
        except ValueError:
            return bytes(body), "a bad chunk"
        if size == 0:
            return bytes(body), ""
        body += rest[:size]
        if len(rest) < size + 2:
            return bytes(body), "no last chunk"
        if rest[size : size + 2] != b"\r\n":
            return bytes(body), "a bad chunk"
        data = rest[size + 2 :]
