"""Holding an ASGI request: until its time is over, the client leaves, or the switch is killed.

The application is not told when a client leaves (servers do not cancel it), so a held request reads ahead and looks for
`http.disconnect`; what it reads is given to the application afterwards. Waiting happens in the request's own task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio

from faultware.runtime.holding import Ending

if TYPE_CHECKING:
    from starlette.types import Message, Receive

    from faultware.runtime.injector import Injector

# How much of an upload is kept while its request is held; beyond it nothing more is read, and a client that leaves is
# noticed when the time is over.
MAX_AHEAD: Final = 65536

_Soon: TypeAlias = Callable[[Callable[[], Any]], Any]


class ReadAhead:
    """A `receive` that can be read before the application reads it.

    Args:
        receive: The server's.
    """

    __slots__ = ("_held", "_receive", "_size", "gone")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._held: deque[Message] = deque()
        self._size = 0
        self.gone = False

    async def __call__(self) -> Message:
        """What the application receives: first what was read ahead, then the rest."""
        if self._held:
            return self._held.popleft()
        return await self._receive()

    async def watch(self) -> None:
        """Return when the client has left, and not before."""
        while self._size <= MAX_AHEAD:
            message = await self._receive()
            self._held.append(message)
            if message["type"] == "http.disconnect":
                self.gone = True
                return
            self._size += len(message.get("body", b""))
        await anyio.sleep_forever()


class _Release:
    """Wakes one held request from any thread. An object, not a closure: ten thousand of them may exist."""

    __slots__ = ("_scope", "_soon", "called")

    def __init__(self, scope: anyio.CancelScope, soon: _Soon) -> None:
        self._scope = scope
        self._soon = soon
        self.called = False

    def __call__(self) -> None:
        self.called = True
        with suppress(RuntimeError):  # the loop has ended, and the request with it
            self._soon(self._scope.cancel)


async def hold(injector: Injector, seconds: float, ahead: ReadAhead) -> Ending:
    """Hold a request; never shorter than asked, unless the client leaves or the switch is killed."""
    clock = injector.clocks.monotonic
    ends_at = clock() + seconds
    scope = anyio.CancelScope(deadline=anyio.current_time() + seconds)
    release = _Release(scope, _soon())
    with scope:
        try:
            injector.hold(release)
            await ahead.watch()
        finally:
            injector.holding.remove(release)
    if ahead.gone:
        return Ending.GONE
    if release.called:
        return Ending.RELEASED
    # uvloop counts in whole milliseconds and can be early by one.
    while (left := ends_at - clock()) > 0:  # noqa: ASYNC110  (time is what is waited for)
        await anyio.sleep(left)
    return Ending.OVER


def _soon() -> _Soon:
    """How another thread has something done in the running event loop."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        import trio  # noqa: PLC0415  (it is running, so it is there)

        return trio.lowlevel.current_trio_token().run_sync_soon
