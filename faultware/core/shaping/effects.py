"""The steps that an adapter is told to take while a response passes, and the shape of what tells them.

A `Stage` is fed what the application sends: a head, pieces of a body, the end. For each it yields effects, lazily. Time
comes in as `now`, and a `Wait` names the time until which nothing more is to be done, so stages keep no clock and
errors do not add up. Several stages in a row are one (`Chain`). When the switch is killed, `release` gives what is
still held, as the application sent it, and from then on the adapter passes everything by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

if TYPE_CHECKING:
    from collections.abc import Sequence

Lines: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of a response.

    Args:
        status: 200 to 599.
        headers: Pairs, in the order of the wire; names as the application wrote them.
        reason: The reason phrase, where the protocol has one; empty: the customary one.
    """

    status: int
    headers: Lines
    reason: str = ""

    def get(self, name: str) -> str | None:
        """The first line of a header, whose name is given in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def without(self, *names: str) -> Head:
        """The same without any line of these headers, given in lower case."""
        left = tuple((key, value) for key, value in self.headers if key.lower() not in names)
        return Head(self.status, left, self.reason)

    def with_line(self, name: str, value: str) -> Head:
        """The same with one more line."""
        return Head(self.status, (*self.headers, (name, value)), self.reason)

    @property
    def length(self) -> int | None:
        """What Content-Length says, if it says a number."""
        value = (self.get("content-length") or "").strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


@dataclass(frozen=True, slots=True)
class Start:
    """Send the head."""

    head: Head


@dataclass(frozen=True, slots=True)
class Send:
    """Send a piece of the body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing more until a time on the injector's monotonic clock, in seconds."""

    until: float


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection once what was sent has reached the peer; nothing more is sent."""

    by: Literal["fin", "reset"]


@dataclass(frozen=True, slots=True)
class Raw:
    """Write these bytes to the connection past the server, which is never told of a response. A `Cut` follows."""

    data: bytes


Effect: TypeAlias = Start | Send | Wait | Cut | Raw
Effects: TypeAlias = Iterator[Effect]


class Stage:
    """Passes everything by. What a stage does otherwise, its class says.

    A stage that holds something back keeps it in `held_head` and `held`, and lets it go there once it has yielded it
    (or something in its place), so that `release` gives exactly what has not been passed on.
    """

    def __init__(self) -> None:
        self.held_head: Head | None = None
        self.held = b""

    def start(self, head: Head, now: float) -> Effects:  # noqa: ARG002
        """The application has sent its head."""
        yield Start(head)

    def feed(self, data: bytes, now: float) -> Effects:  # noqa: ARG002
        """The application has sent a piece of its body, which is not empty."""
        yield Send(data)

    def finish(self, now: float) -> Effects:  # noqa: ARG002
        """The body is complete. An adapter ends the response after these effects."""
        return iter(())

    def release(self) -> tuple[Head | None, bytes]:
        """What is held back, as it came; the stage holds nothing afterwards."""
        head, data = self.held_head, self.held
        self.held_head, self.held = None, b""
        return head, data


class Chain(Stage):
    """Several stages in a row: what one yields, the next is fed.

    Args:
        stages: The first is fed by the application.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        self._stages = tuple(stages)
        self._is_over = False

    def start(self, head: Head, now: float) -> Effects:
        """The application has sent its head."""
        return self._through(0, iter((Start(head),)), now)

    def feed(self, data: bytes, now: float) -> Effects:
        """The application has sent a piece of its body."""
        return self._through(0, iter((Send(data),)), now)

    def finish(self, now: float) -> Effects:
        """The body is complete: for the first stage, then for the next one behind what it still had."""
        for index, stage in enumerate(self._stages):
            for effect in self._through(index + 1, stage.finish(now), now):
                now = max(now, effect.until) if isinstance(effect, Wait) else now
                yield effect

    def release(self) -> tuple[Head | None, bytes]:
        """What all stages hold back: the last one holds what came first."""
        heads, data = zip(*(stage.release() for stage in reversed(self._stages)), strict=True)
        return next((head for head in heads if head is not None), None), b"".join(data)

    def _through(self, index: int, effects: Effects, now: float) -> Effects:
        """Feed effects to the stages from one on; after a wait, time has passed for those behind it."""
        if index == len(self._stages):
            for effect in effects:
                if self._is_over:
                    return
                self._is_over = isinstance(effect, Cut)
                yield effect
            return
        stage = self._stages[index]
        for effect in effects:
            match effect:
                case Start(head):
                    inner = self._through(index + 1, stage.start(head, now), now)
                case Send(data):
                    inner = self._through(index + 1, stage.feed(data, now), now)
                case Wait(until):
                    now = max(now, until)
                    yield effect
                    continue
                case Cut() | Raw():
                    yield effect
                    continue
                case _ as unknown:
                    assert_never(unknown)
            for outcome in inner:
                if isinstance(outcome, Wait):
                    now = max(now, outcome.until)
                yield outcome
