"""Stages that act at one place of a body: they end the connection there, or let it wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from faultware.core.faults import Bytes, Events, Share
from faultware.core.shaping.effects import MAX_KEPT, BodyStage, Cut, Send, Start, Wait
from faultware.core.shaping.places import ByteFinder, event_finder

if TYPE_CHECKING:
    from faultware.core.faults.forms import Place
    from faultware.core.shaping.effects import By, Clock, Effects, Head
    from faultware.core.shaping.places import Finder


class PlaceStage(BodyStage):
    """Passes a body, and does something at a place. Nothing is kept beyond the piece in hand.

    One place needs more: a share of a body without Content-Length. The body is kept until it is complete; if it is
    longer than 1 MiB, the share counts of its first 1 MiB.

    Args:
        method: Of the request.
        place: Where.
    """

    def __init__(self, method: str, place: Place) -> None:
        super().__init__(method)
        self._place = place
        self._finder: Finder | None = None
        self._kept: bytearray | None = None
        self._length: int | None = None
        self._passed = 0

    @property
    def is_at_announced_end(self) -> bool:
        """Whether what has passed is all that Content-Length promises."""
        return self._length is not None and self._passed >= self._length

    def reached(self) -> Effects:
        """What is done at the place. What comes behind it is held."""
        raise NotImplementedError

    def begin(self, head: Head) -> Effects:
        """See `Stage`."""
        self._length = head.length
        match self._place:
            case Bytes(count):
                self._finder = ByteFinder(count)
            case Share(percentage) if self._length is not None:
                self._finder = ByteFinder(_share(self._length, percentage))
            case Share():
                self._kept = bytearray()
            case Events(count):
                self._finder = event_finder(head, count)
            case _ as unknown:
                assert_never(unknown)
        yield Start(head)
        if self._finder is not None and self._finder.find(b"") is not None:
            self._finder = None
            yield from self.reached()

    def take(self, data: bytes) -> Effects:
        """See `Stage`."""
        if self._kept is None:
            yield from self._pass(data)
            return
        self._kept += data
        self.held = self._kept
        if len(self._kept) > MAX_KEPT:
            yield from self._pass(self._settle(MAX_KEPT))

    def end(self) -> Effects:
        """See `Stage`."""
        if self._kept is not None:
            self._length = len(self._kept)
            yield from self._pass(self._settle(self._length))
        elif self._finder is not None and self._finder.is_at_end():
            self._finder = None
            yield from self.reached()

    def _settle(self, length: int) -> bytes:
        """Enough of the body is known to say where the place is; this is what was kept of it."""
        if isinstance(self._place, Share):
            self._finder = ByteFinder(_share(length, self._place.percentage))
        kept, self._kept = self._kept or b"", None
        return bytes(kept)

    def _pass(self, data: bytes) -> Effects:
        count = None if self._finder is None else self._finder.find(data)
        if count is None:
            self._passed += len(data)
            if data:
                yield Send(data)
            return
        self._finder = None
        self._passed += count
        self.held = memoryview(data)[count:]
        if count:
            yield Send(data[:count])
        yield from self.reached()
        self._passed += len(self.held)
        yield from self.let_go()


class Truncation(PlaceStage):
    """Ends the connection at the place, as soon as it is reached, unless Content-Length says that the body ends there.

    Args:
        method: Of the request.
        place: Where.
        by: How.
    """

    def __init__(self, method: str, place: Place, by: By) -> None:
        super().__init__(method, place)
        self._by: By = by

    def reached(self) -> Effects:
        """See `PlaceStage`."""
        if not self.is_at_announced_end:
            yield Cut(self._by)


class Limit(PlaceStage):
    """Ends the connection behind so many bytes, even if the body ends there.

    Args:
        method: Of the request.
        limit_bytes: How many.
    """

    def __init__(self, method: str, limit_bytes: int) -> None:
        super().__init__(method, Bytes(limit_bytes))

    def reached(self) -> Effects:
        """See `PlaceStage`."""
        yield Cut("fin")


class Stalling(PlaceStage):
    """Sends nothing for a time once the place is reached.

    Args:
        method: Of the request.
        place: Where.
        seconds: How long.
        clock: Monotonic seconds.
    """

    def __init__(self, method: str, place: Place, seconds: float, clock: Clock) -> None:
        super().__init__(method, place)
        self._seconds = seconds
        self._clock = clock

    def reached(self) -> Effects:
        """See `PlaceStage`."""
        yield Wait(self._clock() + self._seconds)


def _share(length: int, percentage: float) -> int:
    return min(length, int(length * percentage / 100))
