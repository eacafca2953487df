"""Time that passes only when everybody waits: for asyncio, for trio, and for threads that wait on an event.

No test sleeps for real. A test asks the very clock that it gave to the middleware how long something took.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from typing import TYPE_CHECKING, Any

import anyio
import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BACKENDS = ("asyncio", "trio")
_BEGIN = 1000.0
# Only a test that hangs waits so long, in real seconds.
_GUARD_SECONDS = 120.0
# What asyncio asks for at most, also for a sleep without end.
_FOR_EVER_SECONDS = 24 * 3600.0
_DEADLOCK = "everybody waits, and nobody will wake them"


class LoopTime:
    """The clock of an event loop: while nothing can run, it jumps to the next moment for which something is planned.

    Called, it gives monotonic seconds, from any thread.

    Args:
        backend: asyncio or trio.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._now = _BEGIN
        self._stands_still = False
        self._mock = trio.testing.MockClock(autojump_threshold=0) if backend == "trio" else None

    def __call__(self) -> float:
        return self._now if self._mock is None else _BEGIN + self._mock.current_time()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if self._mock is None:
            self._now += seconds
        else:
            self._mock.jump(seconds)

    def stand_still(self) -> None:
        """From now on time does not pass while everybody waits: what wakes a request then is another thread."""
        self._stands_still = True
        if self._mock is not None:
            self._mock.autojump_threshold = math.inf

    def run(self, main: Callable[[], Awaitable[Any]]) -> Any:
        """Run a coroutine function to its end, in a loop of its own that lives by this clock."""
        if self._mock is not None:
            return anyio.run(_guarded, main, backend="trio", backend_options={"clock": self._mock})
        return anyio.run(main, backend="asyncio", backend_options={"loop_factory": lambda: _Loop(self)})

    def select(self, wait: Callable[[float], list[Any]], timeout: float | None) -> list[Any]:
        """What a loop's selector does: look for what is ready, and let time pass if nothing is."""
        ready = wait(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is not None and timeout < _FOR_EVER_SECONDS and not self._stands_still:
            self._now += timeout
            return []
        ready = wait(_GUARD_SECONDS)
        assert ready, _DEADLOCK
        return ready


async def _guarded(main: Callable[[], Awaitable[Any]]) -> Any:
    """What the selector does for asyncio: a test that hangs must fail."""
    token = trio.lowlevel.current_trio_token()
    with trio.CancelScope() as scope:
        timer = threading.Timer(_GUARD_SECONDS, token.run_sync_soon, [scope.cancel])
        timer.daemon = True
        timer.start()
        try:
            return await main()
        finally:
            timer.cancel()
    raise AssertionError(_DEADLOCK)


class _Selector(selectors.DefaultSelector):
    def __init__(self, time: LoopTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> list[Any]:
        return self._time.select(super().select, timeout)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, time: LoopTime) -> None:
        self._virtual_time = time
        super().__init__(_Selector(time))

    def time(self) -> float:
        return self._virtual_time()


class EventTime:
    """Stands for the module `threading`: its events let time pass while somebody waits on them.

    Called, it gives monotonic seconds.
    """

    def __init__(self) -> None:
        self.now = _BEGIN
        self.waits: list[float] = []
        self._planned: list[tuple[float, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something at that time, counted from now, if somebody waits then."""
        self._planned.append((self.now + seconds, action))
        self._planned.sort(key=lambda entry: entry[0])

    def Event(self) -> _Event:
        """As `threading.Event()`."""
        return _Event(self)

    def take_due(self, until: float) -> Callable[[], object] | None:
        """The next action that is planned up to a time, which becomes the present."""
        if self._planned and self._planned[0][0] <= until:
            at, action = self._planned.pop(0)
            self.now = max(self.now, at)
            return action
        return None


class _Event:
    def __init__(self, time: EventTime) -> None:
        self._time = time
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float) -> bool:
        self._time.waits.append(timeout)
        until = self._time.now + timeout
        while not self._is_set:
            action = self._time.take_due(until)
            if action is None:
                self._time.now = until
                break
            action()
        return self._is_set
