"""The steps that an adapter is told to take while a response passes, and the shape of what tells them.

A `Stage` is fed what the application sends: a head, pieces of a body, the end. For each it yields effects, lazily. A
`Wait` names the time until which nothing more is to be done, on the clock that the stage was given, so that errors do
not add up. Adapters drive a `Chain` of stages (`core.shaping.chain`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from faultware.core.faults import BODILESS

Lines: TypeAlias = tuple[tuple[str, str], ...]
Clock: TypeAlias = Callable[[], float]
Data: TypeAlias = bytes | bytearray | memoryview

# What a stage keeps at most, where it has to know the whole body; and the largest piece that is cut from a larger one.
MAX_KEPT: Final = 1024 * 1024


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

    def with_length(self, length: int) -> Head:
        """The same for a body of another length.

        Where the body is sent in chunks, none is announced (RFC 9112, section 6.2).
        """
        bare = self.without("content-length")
        return bare if self.get("transfer-encoding") else bare.with_line("content-length", str(length))

    @property
    def length(self) -> int | None:
        """What Content-Length says, if it says a number."""
        value = (self.get("content-length") or "").strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case; empty if there is none."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    @property
    def is_encoded(self) -> bool:
        """Whether the body is compressed, so that its bytes are not those of its content type."""
        return (self.get("content-encoding") or "identity").strip().lower() != "identity"


@dataclass(frozen=True, slots=True)
class Start:
    """Send the head."""

    head: Head


@dataclass(frozen=True, slots=True)
class Send:
    """Send a piece of the body, which is not empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing more until a time on the clock, in seconds."""

    until: float


# A FIN, with which what was written still goes out, or a RST.
By: TypeAlias = Literal["fin", "reset"]


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection once what was sent has reached the peer; nothing more is sent."""

    by: By


@dataclass(frozen=True, slots=True)
class Raw:
    """Write these bytes to the connection past the server, which is never told of a response: there is no `Start`.

    More of them may follow, with waits in between; the last effect is a `Cut`.
    """

    data: bytes


Effect: TypeAlias = Start | Send | Wait | Cut | Raw
Effects: TypeAlias = Iterator[Effect]


class Stage:
    """Passes everything by. What a stage does otherwise, its class says.

    Whenever a stage yields, `held_head` and `held` are exactly what it was fed and has not passed on: what it yields
    has left them before, so that nothing is lost and nothing comes twice if it is released just then.
    """

    # What the stage has sent binds it: it has to go on after a release. Who was promised four bytes gets four.
    is_bound = False

    def __init__(self) -> None:
        self.held_head: Head | None = None
        self.held: Data = b""

    def start(self, head: Head) -> Effects:
        """The application has sent its head."""
        yield Start(head)

    def feed(self, data: bytes) -> Effects:
        """The application has sent a piece of its body, which is not empty."""
        yield Send(data)

    def finish(self) -> Effects:
        """The body is complete."""
        return iter(())

    def release(self) -> Effects:
        """Let go of what is held, as it came. From now on the stage is not fed any more, unless it is bound."""
        head, self.held_head = self.held_head, None
        if head is not None:
            yield Start(head)
        yield from self.let_go()

    def let_go(self) -> Effects:
        """Pass on all that is held of the body, in pieces that are not too large."""
        view = memoryview(self.held)
        while view:
            self.held = view[MAX_KEPT:]
            yield Send(bytes(view[:MAX_KEPT]))
            view = memoryview(self.held)
        self.held = b""


class BodyStage(Stage):
    """Acts on bodies alone: where the protocol allows none (RFC 9110, section 6.4.1), everything passes by.

    Args:
        method: Of the request.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method
        self.acts = False

    def start(self, head: Head) -> Effects:
        """Find out whether there can be a body."""
        self.acts = may_have_body(self._method, head.status)
        if self.acts:
            yield from self.begin(head)
        else:
            yield Start(head)

    def feed(self, data: bytes) -> Effects:
        """A piece of the body."""
        if self.acts:
            yield from self.take(data)
        else:
            yield Send(data)

    def finish(self) -> Effects:
        """The end of the body."""
        if self.acts:
            yield from self.end()

    def begin(self, head: Head) -> Effects:
        """The head of a response that may have a body."""
        yield Start(head)

    def take(self, data: bytes) -> Effects:
        """A piece of it."""
        yield Send(data)

    def end(self) -> Effects:
        """Its end."""
        return iter(())


def may_have_body(method: str, status: int) -> bool:
    """Whether a response to a request with this method can have a body."""
    return method != "HEAD" and status not in BODILESS
