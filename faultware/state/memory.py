"""A store for one process: nothing outside it hears of a kill. For tests, and where no directory can be written."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from faultware.state.store import KILLED, word

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.state.store import Signal, Snapshot


class MemoryStore:
    """Keeps the state in this process.

    Args:
        initial: The state to begin with.
    """

    url = "memory:"

    def __init__(self, initial: Snapshot) -> None:
        self._lock = threading.RLock()
        self._snapshot = initial
        self._signal = [word(initial)]
        self.signal: Signal = self._signal

    def follow(self) -> None:
        """There is only one signal."""

    def read(self) -> Snapshot:
        """The present state."""
        return self._snapshot

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Replace the state by what `change` makes of it."""
        with self._lock:
            self._snapshot = replace(change(self._snapshot), version=self._snapshot.version + 1)
            self._signal[0] = word(self._snapshot)
            return self._snapshot

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Raise the killed bit at once and then `update`."""
        self._signal[0] |= KILLED
        return self.update(change)
