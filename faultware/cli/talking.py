"""A client of WebSockets that shows how a conversation really ended (RFC 6455)."""

from __future__ import annotations

import base64
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faultware.cli.watching import Connection, read_response, request_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultware.cli.watching import Address, End

_TEXT: Final = 1
_BINARY: Final = 2
_CLOSE: Final = 8
_PING: Final = 9
_PONG: Final = 10
_HEAD_END: Final = b"\r\n\r\n"
_NO_STATUS: Final = 1005


@dataclass(frozen=True, slots=True)
class Talk:
    """What came back in one conversation.

    Args:
        status: Of the handshake; None: there was no whole answer.
        messages: What the server sent.
        code: Of its close frame; None: there was none.
        end: How the connection ended.
    """

    status: int | None
    messages: tuple[bytes, ...] = ()
    code: int | None = None
    end: End = "open"

    def __str__(self) -> str:
        if self.status != 101:
            return f"handshake answered with {self.status}" if self.status else f"handshake unanswered, {self.end}"
        # Behind a close frame it depends on who is faster.
        close = f"no close frame, {self.end}" if self.code is None else f"closed with {self.code}"
        return f"{len(self.messages)} messages, {close}"


def talk(
    address: Address, target: str, headers: Mapping[str, str], messages: Sequence[bytes], patience_seconds: float
) -> Talk:
    """Shake hands, send messages, read until nothing more comes, and say goodbye.

    Args:
        address: Of the server.
        target: Path and query.
        headers: Of the handshake, besides its own.
        messages: Texts.
        patience_seconds: How long to wait for each answer.

    Raises:
        OSError: The server cannot be reached.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    own = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": key, "sec-websocket-version": "13"}
    with Connection(address, patience_seconds) as connection:
        connection.send(request_bytes("GET", target, {**headers, **own}))
        data = b""
        while _HEAD_END not in data:
            received = connection.receive()
            if not isinstance(received, bytes):
                return Talk(None, end=received)
            data += received
        head, _, rest = data.partition(_HEAD_END)
        status = read_response(head + _HEAD_END).status
        if status != 101:
            return Talk(status)
        return _converse(connection, rest, messages)


def _converse(connection: Connection, data: bytes, messages: Sequence[bytes]) -> Talk:
    heard: list[bytes] = []
    code: int | None = None
    is_leaving = False
    was_reset = False
    for message in messages:
        was_reset |= _meets_reset(connection, _frame(_TEXT, message))
    while True:
        frames, data = _frames(data)
        for kind, payload in frames:
            if kind in (_TEXT, _BINARY):
                heard.append(payload)
            elif kind == _PING:
                was_reset |= _meets_reset(connection, _frame(_PONG, payload))
            elif kind == _CLOSE and not is_leaving:
                code = struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else _NO_STATUS
                is_leaving = True
                was_reset |= _meets_reset(connection, _frame(_CLOSE, payload[:2]))
        received = connection.receive()
        if received == "open" and not is_leaving:
            is_leaving = True
            was_reset |= _meets_reset(connection, _frame(_CLOSE, struct.pack("!H", 1000)))
        elif isinstance(received, bytes):
            data += received
        else:
            return Talk(101, tuple(heard), code, "RST" if was_reset else received)


def _meets_reset(connection: Connection, data: bytes) -> bool:
    """Send; whether that meets a reset. What had come before can still be read, and after it there is only an end."""
    try:
        connection.send(data)
    except ConnectionResetError:
        return True
    except OSError:
        return False
    return False


def _frame(kind: int, payload: bytes) -> bytes:
    """A frame from a client, which is masked; payloads here are short."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | kind, 0x80 | len(payload)]) + mask + masked


def _frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames at the beginning, and what is left. A server's are not masked."""
    frames: list[tuple[int, bytes]] = []
    while len(data) >= 2:
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            form, start = ("!H", 4) if size == 126 else ("!Q", 10)
            if len(data) < start:
                break
            size = struct.unpack_from(form, data, 2)[0]
        if len(data) < start + size:
            break
        frames.append((data[0] & 0x0F, data[start : start + size]))
        data = data[start + size :]
    return frames, data
