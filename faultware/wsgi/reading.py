"""What a fault does to the request that a WSGI application sees: its headers, and the speed of its body."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from faultware.runtime.holding import Ending
from faultware.runtime.view import environ_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import InputStream, WSGIEnvironment

    from faultware.core.faults import RequestHeaders
    from faultware.core.shaping.pacing import Pacer

_UNPACED_BYTES: Final = 2**16


def edit(environ: WSGIEnvironment, fault: RequestHeaders) -> None:
    """Remove and set headers of a request; several lines of one name are joined, as servers do."""
    for name in (*fault.remove, *(name for name, _ in fault.set)):
        environ.pop(environ_key(name.lower()), None)
    for name, value in fault.set:
        key = environ_key(name.lower())
        environ[key] = f"{environ[key]},{value}" if key in environ else value


class PacedInput:
    """A `wsgi.input` that gives a body no faster than a rate.

    It has what PEP 3333 names, and nothing else, so that nobody reads past it.

    Args:
        stream: The server's.
        pacer: The rate.
        hold: How to wait. Once the switch is killed or the client has left, nothing is waited for.
        clock: Monotonic seconds.
    """

    def __init__(
        self, stream: InputStream, pacer: Pacer, hold: Callable[[float], Ending], clock: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._pacer = pacer
        self._hold = hold
        self._is_paced = True
        self._clock = clock

    def read(self, size: int | None = -1, /) -> bytes:
        """As of the server's."""
        return self._gather(self._stream.read, size, ends_line=False)

    def readline(self, size: int | None = -1, /) -> bytes:
        """As of the server's."""
        return self._gather(self._stream.readline, size, ends_line=True)

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """As of the server's."""
        lines: list[bytes] = []
        left = math.inf if hint is None or hint <= 0 else hint
        while left > 0 and (line := self.readline()):
            lines.append(line)
            left -= len(line)
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _gather(self, take: Callable[[int], bytes], size: int | None, *, ends_line: bool) -> bytes:
        """Take piece after piece until there is what was asked for, or the stream gives less than asked for."""
        left = math.inf if size is None or size < 0 else size
        gathered = bytearray()
        while left > 0:
            asked = int(min(left, self._pacer.slice_bytes if self._is_paced else _UNPACED_BYTES))
            piece = take(asked)
            if piece and self._is_paced:
                seconds = self._pacer.until(len(piece)) - self._clock()
                self._is_paced = self._hold(seconds) is Ending.OVER
            gathered += piece
            left -= len(piece)
            # A body without an end of its own (a size below 0) is read until there is nothing.
            is_short = len(piece) < asked and (not piece or left != math.inf)
            if is_short or (ends_line and piece.endswith(b"\n")):
                break
        return bytes(gathered)
