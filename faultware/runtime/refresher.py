"""The one thread of a process that serves: it reads the store so that no request has to.

It starts with the first request in the process that serves it, because threads do not survive a fork. It looks at the
switch four times a second, a hundred times a second while requests are held, and at once when a request has noticed a
change. It holds its owner weakly and ends with it.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS: Final = 0.25
HELD_SECONDS: Final = 0.01


class Owner(Protocol):
    """Whom the thread works for."""

    def tick(self) -> float:
        """Do what is due; how many seconds may pass until the next time."""
        ...


class Refresher:
    """Calls `owner.tick()` again and again, in a daemon thread.

    Args:
        owner: Held weakly.
    """

    def __init__(self, owner: Owner) -> None:
        self._bell = threading.Event()
        self._owner: Callable[[], Owner | None] = weakref.ref(owner, lambda _ref: self._bell.set())
        self._thread = threading.Thread(target=self._run, name="faultware-refresher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the next tick now."""
        self._bell.set()

    def _run(self) -> None:
        pause = 0.0
        while True:
            self._bell.wait(pause)
            self._bell.clear()
            owner = self._owner()
            if owner is None:
                return
            pause = owner.tick()
            del owner
