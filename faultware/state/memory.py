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
        self._kills = 0
        self._signal = [word(initial)]
        self.signal: Signal = self._signal

    def follow(self) -> None:
        """There is only one signal."""

    def read(self) -> Snapshot:
        """The present state. What the signal says about killing holds."""
        snapshot = self._snapshot
        return replace(snapshot, killed=True) if self._signal[0] & KILLED else snapshot

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Replace the state by what `change` makes of it."""
        with self._lock:
            kills, before = self._kills, self.read()
            after = self._snapshot = replace(change(before), version=before.version + 1)
            # A kill that came meanwhile holds, though it has yet to wait for its turn.
            self._signal[0] = word(after) | (KILLED if self._kills != kills else 0)
            return after

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Raise the killed bit at once and then `update`."""
        self._kills += 1
        self._signal[0] |= KILLED
        return self.update(change)
