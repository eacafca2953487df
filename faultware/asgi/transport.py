"""What a fault can do to the connection of one request, by the connection's own socket or by its stream of HTTP/2.

On HTTP/2 other requests share the connection, so only the stream is touched, by private objects of the server, each of
which may be missing. An in-process client of a test has no connection at all; an exception stands for its end. How the
connection is found, `finding` knows.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from faultware.asgi.responses import farewell
from faultware.core.faults import Garbage, Needs, PartialHead, Reset, StreamReset
from faultware.errors import InjectedDisconnect
from faultware.runtime.wire import LOOK_SECONDS, LOOKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from starlette.types import Send

    from faultware.asgi.feeding import Feed
    from faultware.core.faults import Fault
    from faultware.core.shaping.effects import By
    from faultware.runtime.wire import Wire


# How long a server may take to notice that its connection has ended.
_NOTICE_SECONDS: Final = 2.0
# RFC 9113, section 7.
_INTERNAL_ERROR: Final = 2


class Line:
    """A way to end a request's connection. Used as a context manager, so that nothing stays open.

    Args:
        feed: What the application receives; waits go by it.
        send: The server's.
        limit: How long to wait at most for a peer that does not read, in seconds.
    """

    # Whether an exception has to come out of the middleware.
    raises = False
    # Whether the response was cut: whoever waits in `cut` for the server to notice may be cancelled meanwhile.
    is_cut = False

    def __init__(self, feed: Feed, send: Send, limit: float) -> None:
        self._feed = feed
        self._send = send
        self._limit = limit

    def can(self, fault: Fault) -> bool:
        """Whether a fault can be done by it."""
        raise NotImplementedError

    async def end(self, fault: Fault) -> bool:
        """Do a fault that ends the request before there is an answer; one that `can` has allowed.

        Returns:
            False: the switch was killed while it waited, and nothing was done.
        """
        raise NotImplementedError

    async def cut(self, by: By, *, at_once: bool = False) -> bool:
        """End the response here, once the peer has what was sent, or has not wanted it for long.

        Args:
            by: How.
            at_once: Whatever the peer has.

        Returns:
            False: the switch was killed while it waited, and nothing was done.
        """
        raise NotImplementedError

    async def write(self, data: bytes) -> None:
        """Write to the connection past the server."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _wait_while(self, waiting: Callable[[], int], *, is_bound: bool = False) -> None:
        """Until nothing is left to be sent, twice: the one buffer may be emptied into the other in between.

        Args:
            waiting: How much is left; a peer that takes none of it for as long as the limit is not waited for.
            is_bound: Whether the kill of the switch does not end it.
        """
        feed = self._feed
        until, looks, before = feed.now() + self._limit, 0, -1
        while looks < LOOKS and not feed.gone and feed.now() < until and (is_bound or not feed.killed):
            if feed.killed:
                await anyio.sleep(LOOK_SECONDS)
            else:
                await feed.pause(feed.now() + LOOK_SECONDS)
            left = waiting()
            looks = 0 if left else looks + 1
            if left != before:
                until, before = feed.now() + self._limit, left


class SocketLine(Line):
    """By the socket of a connection that carries nobody else's request.

    Args:
        feed: See `Line`.
        send: See `Line`.
        limit: See `Line`.
        wire: The connection.
        is_plain: Whether what is written to it is what the client reads: HTTP/1.1 without TLS.
    """

    def __init__(self, feed: Feed, send: Send, limit: float, wire: Wire, *, is_plain: bool) -> None:
        super().__init__(feed, send, limit)
        self._wire = wire
        self._is_plain = is_plain
        self._is_clear = self._is_stuck = False

    def can(self, fault: Fault) -> bool:
        """See `Line`."""
        return self._is_plain if fault.needs is Needs.RAW else fault.needs is not Needs.STREAM

    async def end(self, fault: Fault) -> bool:
        """See `Line`."""
        # An answer to an earlier request may still be under way, and the server (daphne) may keep all of it to itself.
        with suppress(OSError):  # the client was faster
            await self._wait_while(self._wire.unacknowledged)
        if self._feed.killed:
            return False
        self._is_clear = True
        if isinstance(fault, (PartialHead, Garbage)):
            await self.write(fault.data)
            with suppress(OSError):
                if self._wire.unacknowledged():
                    await self._wait_while(self._wire.unacknowledged)
        self._end("reset" if isinstance(fault, Reset) else "fin")
        await farewell(self._send)
        return True

    async def cut(self, by: By, *, at_once: bool = False) -> bool:
        """See `Line`."""
        if not at_once:
            with suppress(OSError):
                await self._wait_while(self._wire.unacknowledged)
            if self._feed.killed:
                return False
        self._end(by)
        self.is_cut = True
        await self._feed.departure(_NOTICE_SECONDS)
        return True

    async def write(self, data: bytes) -> None:
        """See `Line`."""
        feed, limit = self._feed, self._limit
        with suppress(OSError):
            if not self._is_clear:  # nothing may get into the middle of an earlier answer
                await self._wait_while(self._wire.unacknowledged, is_bound=True)
                self._is_clear = True
                self._is_stuck = self._wire.unacknowledged() > 0
            until = feed.now() + limit
            while data and not (feed.gone or self._is_stuck):
                written = self._wire.write(data)
                data = data[written:]
                if written:
                    until = feed.now() + limit
                elif feed.killed:  # what has begun past the server has to go on there
                    await anyio.sleep(LOOK_SECONDS)
                else:
                    await feed.pause(feed.now() + LOOK_SECONDS)
                self._is_stuck = feed.now() >= until

    def close(self) -> None:
        """See `Line`."""
        self._wire.close()

    def _end(self, by: By) -> None:
        with suppress(OSError):
            self._wire.end(by)


class HypercornStream(Line):
    """By hypercorn's own objects for a stream of HTTP/2.

    Args:
        feed: See `Line`.
        send: See `Line`.
        limit: See `Line`.
        stream: Its `HTTPStream`.
        protocol: Its `H2Protocol`.
    """

    def __init__(self, feed: Feed, send: Send, limit: float, stream: Any, protocol: Any) -> None:
        super().__init__(feed, send, limit)
        self._stream = stream
        self._protocol = protocol

    def can(self, fault: Fault) -> bool:
        """See `Line`."""
        return isinstance(fault, (Reset, StreamReset)) or getattr(fault, "by", None) == "reset"

    async def end(self, fault: Fault) -> bool:
        """See `Line`."""
        await self._reset(fault.code if isinstance(fault, StreamReset) else _INTERNAL_ERROR)
        await farewell(self._send)  # goes nowhere, and lets hypercorn forget the stream
        return True

    async def cut(self, by: By, *, at_once: bool = False) -> bool:  # noqa: ARG002  (there is one way)
        """See `Line`."""
        if not at_once:
            await self._wait_while(self._waiting)
            if self._feed.killed:
                return False
        await self._reset(_INTERNAL_ERROR)
        self.is_cut = True
        with suppress(OSError):
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._feed.departure(_NOTICE_SECONDS)
        return True

    def _waiting(self) -> int:
        buffer = self._protocol.stream_buffers.get(self._stream.stream_id)
        return 0 if buffer is None else len(buffer.buffer)

    async def _reset(self, code: int) -> None:
        with suppress(Exception):  # h2's StreamClosedError, which cannot be imported here: the client was faster
            self._protocol.connection.reset_stream(self._stream.stream_id, error_code=code)
            await self._protocol._flush()  # noqa: SLF001

    @classmethod
    def of(cls, feed: Feed, send: Send, limit: float, given: Send) -> HypercornStream | None:
        """The stream behind a `send`, if everything that is needed is where hypercorn 0.14 to 0.18 has it."""
        stream: Any = getattr(given, "__self__", None)
        protocol: Any = getattr(getattr(stream, "send", None), "__self__", None)
        is_known = type(protocol).__name__ == "H2Protocol" and type(protocol).__module__.startswith("hypercorn.")
        is_whole = isinstance(getattr(stream, "stream_id", None), int) and all(
            hasattr(protocol, name) for name in ("connection", "stream_buffers", "_flush")
        )
        return cls(feed, send, limit, stream, protocol) if is_known and is_whole else None


class GranianStream(Line):
    """granian resets a stream of HTTP/2 with INTERNAL_ERROR if the application fails behind a first piece of a body."""

    raises = True

    def can(self, fault: Fault) -> bool:
        """See `Line`."""
        return isinstance(fault, StreamReset) and fault.code == _INTERNAL_ERROR

    async def end(self, fault: Fault) -> bool:  # noqa: ARG002  (there is one code)
        """See `Line`."""
        await self._send({"type": "http.response.start", "status": 200, "headers": []})
        await self._send({"type": "http.response.body", "body": b"\n", "more_body": True})
        raise disconnect()


class InProcess(Line):
    """The client is a test in this process, which has no connection: an exception comes out where it would end."""

    raises = True

    def can(self, fault: Fault) -> bool:
        """See `Line`."""
        return fault.needs is not Needs.STREAM

    async def end(self, fault: Fault) -> bool:  # noqa: ARG002  (to such a client all ends are the same)
        """See `Line`."""
        raise disconnect()

    async def cut(self, by: By, *, at_once: bool = False) -> bool:  # noqa: ARG002
        """See `Line`."""
        raise disconnect()

    async def write(self, data: bytes) -> None:
        """See `Line`. There is nobody to read it."""


def disconnect() -> InjectedDisconnect:
    """The exception that stands for the end of a connection."""
    return InjectedDisconnect(errno.ECONNRESET, "connection ended by faultware")


def is_ours(error: BaseException | None) -> bool:
    """Whether this is the end of a connection that faultware has announced, or what became of it on its way out.

    Starlette's streams raise an error of their own in its place; task groups wrap it.
    """
    if error is None:
        return False
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_ours, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return isinstance(error, InjectedDisconnect) or is_ours(error.__cause__ or error.__context__)
