"""Stages that write a response themselves, past the server, because its framing is to be wrong (HTTP/1.1, RFC 9112)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from faultware.core.shaping.effects import MAX_KEPT, BodyStage, Cut, Head, Raw, Send

if TYPE_CHECKING:
    from faultware.core.shaping.effects import Effects

# What a server or the framing below says about the connection and the body.
_FRAMING: Final = ("connection", "content-length", "keep-alive", "transfer-encoding", "upgrade")
# No hexadecimal number, which is what a chunk begins with.
_NO_SIZE: Final = b"zz\r\n"


class WrongLength(BodyStage):
    """Announces another length than the body has, and ends the connection behind the body.

    Without Content-Length the response is kept until the body is complete; of one longer than 1 MiB the first 1 MiB
    are sent, and the announced length is wrong for those.

    Args:
        method: Of the request.
        off_by: What is added to the true length.
    """

    def __init__(self, method: str, off_by: int) -> None:
        super().__init__(method)
        self._off_by = off_by
        self._kept = bytearray()
        self._is_complete = False

    def begin(self, head: Head) -> Effects:
        """See `Stage`."""
        self.held_head = head
        if head.length is not None:
            yield from self._announce(head, head.length)

    def take(self, data: bytes) -> Effects:
        """See `Stage`."""
        if self._is_complete:
            return
        if self.held_head is None:
            self.held = data
            yield from self.let_go()
            return
        self._kept += data
        self.held = self._kept
        if len(self._kept) > MAX_KEPT:
            del self._kept[MAX_KEPT:]
            yield from self.end()

    def end(self) -> Effects:
        """See `Stage`."""
        self._is_complete = True
        if self.held_head is not None:
            yield from self._announce(self.held_head, len(self._kept))
        yield Cut("fin")

    def let_go(self) -> Effects:
        """Past the server, once the head has gone that way: it does not know of the response."""
        for effect in super().let_go():
            yield Raw(effect.data) if self.is_bound and isinstance(effect, Send) else effect

    def _announce(self, head: Head, length: int) -> Effects:
        self.is_bound = True
        kept, self.held_head, self.held = bytes(self._kept), None, b""
        yield Raw(_serialized(head, ("content-length", str(max(0, length + self._off_by)))) + kept)


class MalformedChunks(BodyStage):
    """Sends the beginning of a body as chunks, then a chunk size that is none, and ends the connection.

    If it is released before, what follows is well-formed.

    Args:
        method: Of the request.
        after_bytes: How much of the body is sent before.
    """

    def __init__(self, method: str, after_bytes: int) -> None:
        super().__init__(method)
        self._left = after_bytes
        self._is_released = False
        self._is_over = False

    def begin(self, head: Head) -> Effects:
        """See `Stage`."""
        self.is_bound = True
        yield Raw(_serialized(head, ("transfer-encoding", "chunked")))
        if not self._left:
            yield from self.end()

    def take(self, data: bytes) -> Effects:
        """See `Stage`."""
        view = memoryview(data)
        while view and not self._is_over:
            size = MAX_KEPT if self._is_released else min(self._left, MAX_KEPT)
            piece = view[:size]
            view = view[size:]
            self.held = view
            self._left -= len(piece)
            yield Raw(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)))
            if self._left <= 0 and not self._is_released:
                yield from self.end()
        self.held = b""

    def end(self) -> Effects:
        """See `Stage`."""
        if not self._is_over:
            self._is_over = True
            yield Raw(b"0\r\n\r\n" if self._is_released else _NO_SIZE)
        yield Cut("fin")

    def release(self) -> Effects:
        """Send what is held as a chunk, and go on: the server does not know of the response."""
        self._is_released = True
        held, self.held = bytes(self.held), b""
        return self.take(held)


def _serialized(head: Head, framing: tuple[str, str]) -> bytes:
    """The head on the wire, without the lines that frame it otherwise; nothing in it can end a line."""
    customary = {status.value: status.phrase for status in HTTPStatus}
    lines = [f"HTTP/1.1 {head.status} {head.reason or customary.get(head.status, '')}"]
    headers = (*head.without(*_FRAMING).headers, framing, ("connection", "close"))
    lines += [f"{name}: {value}" for name, value in headers]
    clean = ("".join(letter for letter in line if letter not in "\r\n\0") for line in lines)
    return "\r\n".join([*clean, "", ""]).encode("latin-1", "replace")
