"""A store for one process: nothing outside it hears of a kill. For tests, and where no directory can be written."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from faultware.state.store import KILLED, Worker, flag_of, local_signal, word

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.state.store import Signal, Snapshot


class MemoryStore:
    """Keeps the state in this process.

    Args:
        initial: The state to begin with.
    """

    url = "memory:"
    age_seconds = 0.0

    def __init__(self, initial: Snapshot) -> None:
        self._lock = threading.RLock()
        self._snapshot = initial
        self._kills = 0
        self._signal = local_signal()
        self._signal[0] = word(initial)
        self.signal: Signal = self._signal
        self.flag = flag_of(self._signal)
        # What was reported last, and since when the last kill is obeyed.
        self._worker: tuple[Worker, float | None] | None = None
        self._obeyed = (False, 0.0)

    def begin(self, wake: Callable[[], object]) -> None:
        """Nobody else writes."""

    def follow(self) -> None:
        """There is only one signal."""

    def known(self) -> Snapshot:
        """The present state."""
        return self.read()

    def read(self) -> Snapshot:
        """The present state. What the signal says about killing holds."""
        snapshot = self._snapshot
        return replace(snapshot, killed=True) if self._signal[0] & KILLED else snapshot

    def update(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """Replace the state by what `change` makes of it."""
        with self._lock:
            kills, before = self._kills, self.read()
            after = self._snapshot = replace(change(before), version=before.version + 1)
            # A kill that came meanwhile holds, though it has yet to wait for its turn. Asked twice, since one may come
            # between the question and the answer.
            self._signal[0] = word(after) | (KILLED if self._kills != kills else 0)
            if self._kills != kills:
                self._signal[0] |= KILLED
            return after

    def stop(self) -> None:
        """Raise the killed bit at once."""
        self._kills += 1
        self._signal[0] |= KILLED

    def kill(self, change: Callable[[Snapshot], Snapshot]) -> Snapshot:
        """`stop`, and then `update`."""
        self.stop()
        return self.update(change)

    def report(self, version: int, *, killed: bool, switched_at: float) -> None:
        """Remember what is in force."""
        worker = Worker(socket.gethostname(), os.getpid(), version, killed, 0.0)
        obeyed = (killed, switched_at)
        # Who begins to serve after a kill had nothing to obey: its first word is no measure of speed.
        since = None if self._worker is None else self._worker[1] if self._obeyed == obeyed else time.time()
        self._worker, self._obeyed = (worker, since), obeyed

    def workers(self) -> tuple[Worker, ...]:
        """This process, if it serves."""
        if self._worker is None:
            return ()
        worker, since = self._worker
        took = max(0.0, since - self._snapshot.changed_at) if worker.killed and since is not None else None
        return (replace(worker, took_seconds=took),)
