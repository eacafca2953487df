"""The requests that are being held, so that the switch can release all of them at once."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ending(Enum):
    """Why a request is not held any longer: its time was over, the switch was killed, or the client has gone."""

    OVER = 1
    RELEASED = 2
    GONE = 3


class Holding:
    """Keeps one callable for each request that is being delayed or hung. Any thread may release them."""

    __slots__ = ("_lock", "_releases")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._releases: set[Callable[[], object]] = set()

    def __len__(self) -> int:
        return len(self._releases)

    def add(self, release: Callable[[], object]) -> bool:
        """Enter a request; True: it is the only one. `release` wakes it and must neither wait nor raise."""
        with self._lock:
            self._releases.add(release)
            return len(self._releases) == 1

    def remove(self, release: Callable[[], object]) -> None:
        """Forget a request that goes on."""
        with self._lock:
            self._releases.discard(release)

    def release_all(self) -> int:
        """Wake every request that is held now; the number of them."""
        with self._lock:
            releases, self._releases = self._releases, set()
        for release in releases:
            release()
        return len(releases)
