"""Stages that take their time: before the first byte, between pieces, and behind the last one; and reading slowly.

Times are set from absolute numbers, so that a wait which ends late makes the next one shorter and a rate is kept.
"""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Final

from faultware.core.shaping.chance import uniform
from faultware.core.shaping.effects import MAX_KEPT, BodyStage, Send, Stage, Start, Wait

if TYPE_CHECKING:
    from faultware.core.shaping.effects import Clock, Effects, Head

# What a throttled body sends at once is worth so many seconds. It becomes more, as a share of the time so far, since a
# thousand slow downloads that each wake up twenty times a second leave a process no time for anything else.
SLICE_SECONDS: Final = 0.05
MAX_SLICE_SECONDS: Final = 0.25
SLICE_SHARE: Final = 0.04
# Who comes later than this was idle, or waited for a slow client, and makes up for nothing. A little more than a slice:
# behind a stage that paces, too, whole slices come late, and a rate is to be held there all the same.
LATENESS_SECONDS: Final = 0.3


class Pace:
    """Says when something is due that takes a certain time, behind all that was due before.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due = -math.inf

    def step(self, seconds: float) -> float:
        """The time when this much more is over."""
        now = self._clock()
        if now - self._due > LATENESS_SECONDS:
            self._due = now
        self._due += seconds
        return self._due


class Waiting(Stage):
    """Holds the whole response, after the handler ran and before its first byte.

    Args:
        seconds: How long.
        clock: Monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock

    def start(self, head: Head) -> Effects:
        """See `Stage`."""
        self.held_head = head
        yield Wait(self._clock() + self._seconds)
        self.held_head = None
        yield Start(head)


class SlowClosing(BodyStage):
    """Holds the end of a response.

    Args:
        method: Of the request.
        seconds: How long.
        clock: Monotonic seconds.
    """

    def __init__(self, method: str, seconds: float, clock: Clock) -> None:
        super().__init__(method)
        self._seconds = seconds
        self._clock = clock

    def end(self) -> Effects:
        """See `Stage`."""
        yield Wait(self._clock() + self._seconds)


class Throttling(BodyStage):
    """Passes a body no faster than a rate: each slice waits for its own time first, and so does the end.

    Args:
        method: Of the request.
        bytes_per_second: The rate.
        clock: Monotonic seconds.
    """

    def __init__(self, method: str, bytes_per_second: int, clock: Clock) -> None:
        super().__init__(method)
        self._rate = bytes_per_second
        self._clock = clock
        self._pace = Pace(clock)
        self._began = 0.0

    def begin(self, head: Head) -> Effects:
        """See `Stage`."""
        self._began = self._clock()
        yield Start(head)

    def take(self, data: bytes) -> Effects:
        """See `Stage`."""
        view = memoryview(data)
        while view:
            self.held = view
            piece = view[: slice_bytes(self._rate, self._clock() - self._began)]
            yield Wait(self._pace.step(len(piece) / self._rate))
            view = view[len(piece) :]
            self.held = view
            yield Send(bytes(piece))


class Slicing(BodyStage):
    """Passes a body in small pieces, with a pause behind each, also behind the last one.

    Where a piece ends depends on its number alone. What the application sends of one is passed on at once.

    Args:
        method: Of the request.
        size_bytes: How large a piece is.
        vary_bytes: By how much it is smaller or larger, drawn evenly.
        pause_seconds: The pause.
        draw: Where chance begins.
        clock: Monotonic seconds.
    """

    def __init__(
        self, method: str, size_bytes: int, vary_bytes: int, pause_seconds: float, draw: float, clock: Clock
    ) -> None:
        super().__init__(method)
        self._least = size_bytes - vary_bytes
        self._choices = 2 * vary_bytes + 1
        self._pause = pause_seconds
        self._draw = draw
        self._pace = Pace(clock)
        self._numbers = count()
        self._left = 0
        self._is_inside = False

    def take(self, data: bytes) -> Effects:
        """See `Stage`."""
        view = memoryview(data)
        while view:
            if not self._is_inside:
                self._left = self._next_size()
                self._is_inside = True
            piece = view[: min(self._left, MAX_KEPT)]
            self._left -= len(piece)
            view = view[len(piece) :]
            self.held = view
            yield Send(bytes(piece))
            if not self._left:
                self._is_inside = False
                yield Wait(self._pace.step(self._pause))

    def end(self) -> Effects:
        """See `Stage`."""
        if self._is_inside:
            self._is_inside = False
            yield Wait(self._pace.step(self._pause))

    def _next_size(self) -> int:
        if self._choices == 1:
            return self._least
        return self._least + int(uniform(self._draw, "slice", next(self._numbers)) * self._choices)


class Dribbling(BodyStage):
    """Spreads a body evenly over a time: each of so many pieces waits for its own time, the last one to the end.

    If the application itself is slower, nothing is added. Without Content-Length the body is kept until it is complete
    and spread from then on; of one longer than 1 MiB the first 1 MiB are spread, and the rest passes.

    Args:
        method: Of the request.
        duration_seconds: The time.
        pieces: How many.
        clock: Monotonic seconds.
    """

    def __init__(self, method: str, duration_seconds: float, pieces: int, clock: Clock) -> None:
        super().__init__(method)
        self._duration = duration_seconds
        self._pieces = pieces
        self._clock = clock
        self._began = 0.0
        self._total: int | None = None
        self._position = 0
        self._kept = bytearray()

    def begin(self, head: Head) -> Effects:
        """See `Stage`."""
        self._total = head.length
        self._began = self._clock()
        yield Start(head)

    def take(self, data: bytes) -> Effects:
        """See `Stage`."""
        if self._total is not None:
            yield from self._spread(data)
            return
        self._kept += data
        self.held = self._kept
        if len(self._kept) > MAX_KEPT:
            yield from self._spread(self._settle(MAX_KEPT))

    def end(self) -> Effects:
        """See `Stage`."""
        if self._total is None:
            yield from self._spread(self._settle(len(self._kept)))

    def _settle(self, total: int) -> bytes:
        self._total = total
        self._began = self._clock()
        kept, self._kept = bytes(self._kept), bytearray()
        return kept

    def _spread(self, data: bytes) -> Effects:
        view = memoryview(data)
        total = self._total or 0
        while view and self._position < total:
            self.held = view
            # Short bodies have fewer pieces: those that would be empty are passed over.
            number = self._position * self._pieces // total + 1
            while number * total // self._pieces <= self._position:
                number += 1
            yield Wait(self._began + self._duration * number / self._pieces)
            size = min(number * total // self._pieces - self._position, MAX_KEPT)
            piece = view[:size]
            self._position += len(piece)
            view = view[size:]
            self.held = view
            yield Send(bytes(piece))
        self.held = view
        yield from self.let_go()


class Pacer:
    """Says when parts of a request's body may be read, so that they are read no faster than a rate.

    Args:
        bytes_per_second: The rate.
        clock: Monotonic seconds.
    """

    def __init__(self, bytes_per_second: int, clock: Clock) -> None:
        self._rate = bytes_per_second
        self._pace = Pace(clock)
        # What the application gets at once, at most.
        self.slice_bytes = slice_bytes(bytes_per_second, 0)

    def until(self, size: int) -> float:
        """The time until which the application waits for this many bytes, which have been read from the server."""
        return self._pace.step(size / self._rate)


def slice_bytes(bytes_per_second: int, age_seconds: float) -> int:
    """How much is sent at once of a body so old: at least a byte, and nothing that would take much memory."""
    seconds = min(max(SLICE_SECONDS, SLICE_SHARE * age_seconds), MAX_SLICE_SECONDS)
    return max(1, min(int(bytes_per_second * seconds), MAX_KEPT))
