"""Faults that damage or slow the body of a response (and `Throttle` of a request). Done by `core.shaping`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from faultware.core.faults.forms import (
    PERCENT,
    RATE,
    SECONDS,
    SIZE,
    SOME_BYTES,
    SOME_SECONDS,
    At,
    Form,
    Json,
    Place,
    Text,
    Whole,
    Word,
    settle,
)
from faultware.core.faults.headers import check_header
from faultware.core.faults.phases import Needs, Phase
from faultware.errors import RuleError


@dataclass(frozen=True, slots=True)
class Truncate:
    """Passes the body up to a place, and ends the connection there as soon as it is reached.

    A body that ends before passes whole, and so does one that is announced, by Content-Length, to end just there.

    Args:
        at: `Bytes(n)`, `Share(percentage)` or `Events(n)`. The share of a body without Content-Length counts of what
            fits into 1 MiB.
        by: `fin` ends the connection politely, `reset` with a TCP RST.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "truncate"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.SOCKET
    at: Annotated[Place, Form("at", At(), is_first=True)]
    by: Annotated[Literal["fin", "reset"], Form("by", Word(("fin", "reset")))] = "fin"
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class LimitData:
    """Passes so many bytes of a body and ends the connection politely, even if the body is just so long.

    Source: Toxiproxy's `limit_data`.

    Args:
        limit_bytes: How many.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "limit_data"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.SOCKET
    limit_bytes: Annotated[int, Form("bytes", SIZE, is_first=True)]
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Throttle:
    """Passes a body no faster than a rate. Idle time earns no credit.

    Sources: Envoy's `response_rate_limit`, Toxiproxy's `bandwidth`.

    Args:
        bytes_per_second: The rate.
        of: `response`, or `request`: the body that the application reads.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "throttle"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    bytes_per_second: Annotated[int, Form("rate", RATE, is_first=True)]
    of: Annotated[Literal["response", "request"], Form("of", Word(("response", "request")))] = "response"
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Slice:
    """Passes a body in small pieces, with a pause behind each. Source: Toxiproxy's `slicer`.

    Args:
        size_bytes: How large a piece is.
        vary_bytes: A piece is smaller or larger by up to this, drawn evenly; less than `size_bytes`.
        pause_seconds: Behind each piece.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "slice"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    size_bytes: Annotated[int, Form("size", SOME_BYTES, is_first=True)]
    vary_bytes: Annotated[int, Form("vary", SIZE)] = 0
    pause_seconds: Annotated[float, Form("pause", SECONDS)] = 0.0
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
        if self.vary_bytes >= self.size_bytes:
            raise RuleError("pieces would be empty", where="vary", hint=f"less than {self.size_bytes}B")


@dataclass(frozen=True, slots=True)
class Dribble:
    """Spreads a whole body evenly over a time. Source: WireMock's `chunkedDribbleDelay`.

    Args:
        duration_seconds: The time. A body without Content-Length is spread as far as it fits into 1 MiB.
        pieces: Into how many.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "dribble"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    duration_seconds: Annotated[float, Form("duration", SOME_SECONDS, is_first=True)]
    pieces: Annotated[int, Form("pieces", Whole(1, 10_000, what="number of pieces"))] = 20
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Changes a share of the bytes of a body, or of its bits; its length stays. With a seed always the same ones.

    Args:
        share: 0 to 100.
        unit: `bytes`: a byte that is hit becomes another one. `bits`: a bit that is hit is turned.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "corrupt"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    share: Annotated[float, Form("share", PERCENT, is_first=True)]
    unit: Annotated[Literal["bytes", "bits"], Form("unit", Word(("bytes", "bits")))] = "bytes"
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class ReplaceBody:
    """Puts another body in the place of the application's, or changes a JSON body by a merge patch (RFC 7396).

    Args:
        text: The new body.
        merge_patch: In its place: a JSON object, as data or text. A body that is no JSON, compressed or beyond 1 MiB is
            left alone.
        content_type: Of the new body; left out: the application's.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "replace_body"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    text: Annotated[str | None, Form("text", Text(), is_first=True)] = None
    merge_patch: Annotated[str | None, Form("merge_patch", Json())] = None
    content_type: Annotated[str | None, Form("content_type", Text(most=200))] = None
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
        if (self.text is None) is (self.merge_patch is None):
            raise RuleError("exactly one of text and merge_patch is needed", hint="write text: gone")
        if self.content_type is not None:
            check_header("content-type", self.content_type, "content_type")


@dataclass(frozen=True, slots=True)
class ContentLength:
    """Announces another length than the body has, and ends the connection behind the body.

    Args:
        off_by: What is added to the true length; a negative one promises less. Never below 0.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "content_length"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.RAW
    off_by: Annotated[int, Form("off_by", Whole(-(10**9), 10**9, frozenset({0}), "difference"), is_first=True)]
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class MalformedChunk:
    """Sends the beginning of a body as chunks, then a chunk size that is none, and ends the connection.

    Sources: RFC 9112, section 7.1; WireMock's `MALFORMED_RESPONSE_CHUNK`.

    Args:
        after_bytes: How much of the body is sent before.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "malformed_chunk"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.RAW
    after_bytes: Annotated[int, Form("after", SIZE, is_first=True)] = 0
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class SlowClose:
    """Holds the end of a response, after all of its body. Source: Toxiproxy's `slow_close`.

    Args:
        delay_seconds: How long.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "slow_close"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    delay_seconds: Annotated[float, Form("delay", SOME_SECONDS, is_first=True)]
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Stall:
    """Passes a body up to a place, sends nothing for a time, and goes on.

    Args:
        at: `Bytes(n)`, `Share(percentage)` or `Events(n)`.
        duration_seconds: How long; left out: the `max_delay` setting, which also bounds it.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "stall"
    phase: ClassVar = Phase.RESPONSE
    needs: ClassVar = Needs.NOTHING
    at: Annotated[Place, Form("at", At(), is_first=True)]
    duration_seconds: Annotated[float | None, Form("duration", SOME_SECONDS)] = None
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
