"""Faults that hurt the connection itself, in place of an answer.

They need the connection's own socket; which servers give it away, `runtime.capabilities` knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from faultware.core.faults.forms import Form, Size, Whole, settle
from faultware.core.faults.phases import Needs, Phase


@dataclass(frozen=True, slots=True)
class Reset:
    """Ends the connection with a TCP RST and not a byte of an answer.

    Sources: RFC 9293, section 3.5.2; Toxiproxy's `reset_peer`. On HTTP/2, where other requests share the connection,
    only the request's stream is reset, where the server can.
    """

    kind: ClassVar = "reset"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.SOCKET
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Close:
    """Ends the connection politely, with a TCP FIN and not a byte of an answer: an empty reply."""

    kind: ClassVar = "close"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.SOCKET
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class PartialHead:
    """Sends half of a response's head, and ends the connection in the middle of a header line."""

    kind: ClassVar = "partial_head"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.RAW
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)

    @property
    def data(self) -> bytes:
        """What is sent."""
        return b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-le"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Sends bytes that are no HTTP, and ends the connection. Source: WireMock's `RANDOM_DATA_THEN_CLOSE`.

    Args:
        size_bytes: How many.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "garbage"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.RAW
    size_bytes: Annotated[int, Form("size", Size(1, 65536), is_first=True)] = 64
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)

    @property
    def data(self) -> bytes:
        """What is sent: never the beginning of a status line, and always the same."""
        return bytes(0x80 | (index * 73 + 29) % 127 for index in range(self.size_bytes))


@dataclass(frozen=True, slots=True)
class StreamReset:
    """Resets the request's stream of HTTP/2, and leaves the connection and its other streams alone.

    Source: RFC 9113, section 6.4.

    Args:
        code: The error code (RFC 9113, section 7): 2 is INTERNAL_ERROR, 7 REFUSED_STREAM, 8 CANCEL.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "stream_reset"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.STREAM
    code: Annotated[int, Form("code", Whole(0, 13, what="error code"), is_first=True)] = 2
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
