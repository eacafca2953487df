"""Holding an ASGI request: until its time is over, the client leaves, or the switch is killed.

The application is not told when a client leaves (servers do not cancel it), so a held request reads ahead and looks for
`http.disconnect`; what it reads is given to the application afterwards. Waiting happens in the request's own task.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from faultware.runtime.holding import Ending

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import Message, Receive

    from faultware.runtime.injector import Injector

# How much of an upload is kept while its request is held; beyond it nothing more is read, and a client that leaves is
# noticed when the time is over.
MAX_AHEAD: Final = 65536
_NO_BODY: Final[Message] = {"type": "http.request", "body": b"", "more_body": False}


class ReadAhead:
    """A `receive` that can be read before the application reads it.

    Args:
        receive: The server's.
    """

    __slots__ = ("_held", "_reading", "_size", "gone", "is_full", "is_whole", "receive")

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self._held: tuple[Message, ...] = ()  # a list takes twice, a deque ten times as much memory
        self._reading: asyncio.Task[Message] | None = None
        self._size = 0
        self.is_whole = False
        self.is_full = False
        self.gone = False

    async def __call__(self) -> Message:
        """What the application receives: first what was read ahead, then the rest."""
        if self._held:
            message, *rest = self._held
            self._held = tuple(rest)
            return dict(_NO_BODY) if message is _NO_BODY else message
        return await (self.receive() if self._reading is None else self.read())

    async def read(self) -> Message:
        """The server's next message. If the wait for it is cancelled, whoever reads next gets it.

        granian hands out a part of the body when it is asked for, not when it is awaited: a `receive()` that is
        cancelled in between takes that part with it, and the application waits for it for ever.
        """
        if self._reading is None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:  # trio, whose servers lose nothing
                return await self.receive()
            self._reading = asyncio.ensure_future(self.receive())
        message = await asyncio.shield(self._reading)
        self._reading = None
        return message

    def close(self) -> None:
        """The request is over: nobody will read what is still being waited for."""
        if self._reading is not None:
            self._reading.cancel()

    def keep(self, message: Message) -> bool:
        """Keep what was read ahead; whether to read on."""
        # Most requests have no body: one message stands for the first of all of them, and each is given its own.
        self._held = (*self._held, _NO_BODY if message == _NO_BODY else message)
        if message["type"].endswith(".disconnect"):
            self.gone = True
            return False
        if self.is_whole:  # a receive that goes on after the end, as in some tests, does so without end or pause
            return False
        self.is_whole = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        self.is_full = self._size > MAX_AHEAD
        return True


class _Alarm:
    """Ends a wait of the running asyncio task at its time, or as soon as it is called, from any thread.

    What a cancel scope of anyio does, in a fifth of its memory: ten thousand of them may exist.

    Args:
        deadline: On the loop's clock, in seconds.
    """

    __slots__ = ("_before", "_is_over", "_loop", "_task", "_timer", "called", "rang")

    def __init__(self, deadline: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._before = 0 if self._task is None else self._task.cancelling()
        self._is_over = False
        self.called = False
        self.rang = False
        self._timer = self._loop.call_at(deadline, self._ring)

    def __call__(self) -> None:
        self.called = True
        with suppress(RuntimeError):  # the loop has ended, and the request with it
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if self._task is not None and not self._is_over and not self.rang:
            self.rang = True
            self._task.cancel()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._is_over = True
        self._timer.cancel()
        # As asyncio.timeout has it: the cancellation is ours if nobody else has asked for one meanwhile.
        is_ours = self.rang and self._task is not None and self._task.uncancel() <= self._before
        return is_ours and kind is asyncio.CancelledError


class _TrioAlarm:
    """The same for trio."""

    __slots__ = ("_scope", "_token", "called")

    def __init__(self, deadline: float) -> None:
        import trio  # noqa: PLC0415  (it is running, so it is there)

        self._scope = trio.CancelScope(deadline=deadline)
        self._token = trio.lowlevel.current_trio_token()
        self.called = False

    def __call__(self) -> None:
        self.called = True
        with suppress(RuntimeError):
            self._token.run_sync_soon(self._scope.cancel)

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._scope.__exit__(kind, error, trace)


async def hold(injector: Injector, seconds: float, ahead: ReadAhead) -> Ending:
    """Hold a request; never shorter than asked, unless the client leaves or the switch is killed."""
    clock = injector.clocks.monotonic
    ends_at = clock() + seconds
    deadline = anyio.current_time() + seconds
    try:
        alarm: _Alarm | _TrioAlarm = _Alarm(deadline)
    except RuntimeError:  # no asyncio loop runs here
        alarm = _TrioAlarm(deadline)
    with alarm:
        try:
            injector.hold(alarm)
            # Here and not in a coroutine of its own: ten thousand of these wait at once, and each costs memory.
            # Once the body is whole, only the news that the client has left can be lost.
            while not ahead.is_full and ahead.keep(await (ahead.receive() if ahead.is_whole else ahead.read())):
                pass
            if not ahead.gone:
                await anyio.sleep_forever()
        finally:
            injector.holding.remove(alarm)
    if ahead.gone:
        return Ending.GONE
    if alarm.called:
        return Ending.RELEASED
    # uvloop counts in whole milliseconds and can be early by one.
    while (left := ends_at - clock()) > 0:  # noqa: ASYNC110  (time is what is waited for)
        await anyio.sleep(left)
    return Ending.OVER
