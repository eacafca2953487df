"""What an application receives while its response is being held up.

A wait in the middle of a response has to notice that the client leaves, and only `receive` says so; the application
may be waiting for the same. So there is one reader, and what it reads is kept for the application in order: as much as
`MAX_AHEAD`, and beyond it nothing is read until the application has taken some. Nobody reads while nobody waits. There
is no task group: what the application raises passes as it is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from faultware.asgi.waiting import MAX_AHEAD

if TYPE_CHECKING:
    from starlette.types import Message, Receive

    from faultware.runtime.injector import Injector


class Feed:
    """A `receive` for the application, and waits that end when the client leaves or the switch is killed.

    The request's place among the active faults is the feed's, and given back as soon as the switch is killed: nothing
    is done to the request any more, however long its answer, or its WebSocket, goes on.

    Args:
        receive: Where messages come from.
        injector: Its clock is waited by, and its switch releases.
    """

    __slots__ = (
        "_clock",
        "_end",
        "_error",
        "_held",
        "_injector",
        "_is_killed",
        "_is_silent",
        "_is_stopped",
        "_is_whole",
        "_places",
        "_receive",
        "_size",
        "gone",
    )

    def __init__(self, receive: Receive, injector: Injector) -> None:
        self._receive = receive
        self._injector = injector
        self._clock = injector.clocks.monotonic
        self._held: deque[Message] = deque()
        self._size = 0
        self._error: BaseException | None = None
        self._is_whole = False
        self._is_silent = False
        self._is_stopped = False
        self._is_killed = False
        self._end: Message | None = None
        self._places = [injector.leave]
        self.gone = False

    def now(self) -> float:
        """The time that waits go by."""
        return self._clock()

    @property
    def killed(self) -> bool:
        """Whether the switch was killed since the feed was opened."""
        return self._is_killed

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be held up any longer."""
        return self.gone or self.killed

    @property
    def reason(self) -> str:
        """Why what has not begun to act by the end never will, as metrics name it."""
        return "killed" if self.killed else "gone" if self.gone else "unanswered"

    async def __call__(self) -> Message:
        """The next message for the application."""
        raise NotImplementedError

    async def pause(self, until: float) -> None:
        """Wait for a time on the injector's monotonic clock; not longer than until `is_over`."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Read no more: granian closes a WebSocket only while nobody waits for a message of it."""
        self._is_stopped = True

    def finish(self, message: Message) -> None:
        """Behind what is there, the application gets this message, which the server has not sent, and no other."""
        self._is_stopped = True
        self._end = message
        self._held.append(message)
        self._wake()

    def leave(self) -> None:
        """Give the place back. Any thread may call this; only the first time counts."""
        with suppress(IndexError):
            self._places.pop()()

    def close(self) -> None:
        """The request is over."""
        self._injector.holding.remove(self._release)
        self.leave()

    def _release(self) -> None:
        """The switch was killed. Any thread may call this."""
        self._is_killed = True
        self.leave()

    def _wake(self) -> None:
        """Let everybody who waits look again."""
        raise NotImplementedError

    async def departure(self, seconds: float) -> None:
        """Wait until the server has noticed that the connection has ended, but no longer than this.

        What the client had sent before is in the way, and nobody wants it any more.
        """
        until = self._clock() + seconds
        while not self.gone and self._clock() < until and not self._is_silent:
            self._held.clear()
            self._size = 0
            await self.pause(min(until, self._clock() + 0.02))
            if self.killed:
                return

    @property
    def _may_read(self) -> bool:
        return not (self.gone or self._is_silent or self._is_stopped) and self._size <= MAX_AHEAD

    def _keep(self, message: Message) -> None:
        self._held.append(message)
        self._size += _size(message)
        kind = message["type"]
        if kind.endswith(".disconnect"):
            self.gone = True
        elif kind == "http.request":
            # A receive that goes on after the end, as in some tests, does so without end or pause.
            self._is_silent = self._is_whole
            self._is_whole = self._is_whole or not message.get("more_body", False)

    def _take(self) -> Message:
        message = self._held.popleft()
        self._size -= _size(message)
        if message is self._end:  # whoever asks again is told again
            self._held.append(message)
        return message

    def _fail(self, error: BaseException) -> None:
        """The server's `receive` raises: whoever asks next is told."""
        self._error = error
        self._is_silent = True

    def _complain(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error


def _size(message: Message) -> int:
    return len(message.get("body") or message.get("bytes") or message.get("text") or b"")


class _LoopFeed(Feed):
    """For asyncio: a message is waited for in a task of its own, which nobody cancels while the request lives.

    A `receive` that is cancelled takes with it what granian had already given it. Waits come twenty times a second and
    in a thousand responses at once, so a wait is one timer and one future.
    """

    __slots__ = ("_loop", "_reading", "_slack", "_waiters")

    def __init__(self, receive: Receive, injector: Injector) -> None:
        super().__init__(receive, injector)
        self._loop = asyncio.get_running_loop()
        # uvloop rounds to milliseconds, and half of its timers would be early and have to be set again.
        self._slack = 0.0005 if type(self._loop).__module__ == "uvloop" else 0.0
        self._reading: asyncio.Task[Message] | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        injector.hold(self._release)

    async def __call__(self) -> Message:
        while not self._held:
            self._complain()
            if not self._is_stopped:
                self._read_on()
            await self._woken(None)
        return self._take()

    async def pause(self, until: float) -> None:
        # More than once where a timer is early, or a message has come and the next one is to be read.
        while (left := until - self._clock()) > 0 and not self.is_over:
            if self._may_read:
                self._read_on()
            await self._woken(left)

    async def stop(self) -> None:
        await super().stop()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def close(self) -> None:
        super().close()
        if self._reading is not None:
            self._reading.cancel()

    async def _woken(self, seconds: float | None) -> None:
        waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds + self._slack, _settle, waiter)
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        for waiter in self._waiters:
            _settle(waiter)

    def _release(self) -> None:
        super()._release()
        with suppress(RuntimeError):  # the loop has ended, and the request with it
            self._loop.call_soon_threadsafe(self._wake)

    def _read_on(self) -> None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._receive())
            self._reading.add_done_callback(self._arrived)

    def _arrived(self, reading: asyncio.Task[Message]) -> None:
        self._reading = None
        if reading.cancelled():
            if not self._is_stopped:
                self._fail(asyncio.CancelledError())
        elif (error := reading.exception()) is not None:
            self._fail(error)
        else:
            self._keep(reading.result())
        self._wake()


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class _TrioFeed(Feed):
    """For trio, which has no tasks outside of task groups: whoever waits reads, and hands over when it stops."""

    __slots__ = ("_news", "_pauses", "_reading", "_token")

    def __init__(self, receive: Receive, injector: Injector) -> None:
        super().__init__(receive, injector)
        import trio  # noqa: PLC0415  (it is running, so it is there)

        self._token = trio.lowlevel.current_trio_token()
        self._news = anyio.Event()
        self._pauses: set[anyio.CancelScope] = set()
        self._reading: anyio.CancelScope | None = None
        injector.hold(self._release)

    async def __call__(self) -> Message:
        while not self._held:
            self._complain()
            await self._read()
        return self._take()

    async def pause(self, until: float) -> None:
        while (left := until - self._clock()) > 0 and not self.is_over:
            with anyio.move_on_after(left) as pause:
                self._pauses.add(pause)
                try:
                    while not self.is_over:
                        await (self._read() if self._may_read else self._news.wait())
                finally:
                    self._pauses.discard(pause)

    async def _read(self) -> None:
        """Until there is news: a message, a reader that gives up, the end of everything."""
        if self._reading is not None or self._is_stopped:
            await self._news.wait()
            return
        try:
            with anyio.CancelScope() as self._reading:
                self._keep(await self._receive())
        except Exception as error:  # noqa: BLE001  (it is the application's to hear)
            self._fail(error)
        finally:
            self._reading = None
            self._wake()

    async def stop(self) -> None:
        await super().stop()
        if self._reading is not None:
            self._reading.cancel()
            await self._news.wait()

    def finish(self, message: Message) -> None:
        super().finish(message)
        if self._reading is not None:
            self._reading.cancel()

    def _wake(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()
        if self.is_over:
            for pause in self._pauses:
                pause.cancel()

    def _release(self) -> None:
        super()._release()
        with suppress(Exception):  # trio's RunFinishedError: the loop has ended, and the request with it
            self._token.run_sync_soon(self._wake)


def feed(receive: Receive, injector: Injector) -> Feed:
    """A feed for the loop that runs here. It is entered among what the switch releases until it is closed."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _TrioFeed(receive, injector)
    return _LoopFeed(receive, injector)
