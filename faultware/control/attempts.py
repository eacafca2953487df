"""Slows down who shows wrong tokens, without ever keeping out who shows a right one.

A right token is let in whatever came before, or anybody could lock out the kill switch by failing on purpose. Nor is
an answer held back, which would hold a worker. So what slows down is being told to: 429 with `Retry-After`, which
clients obey that have an old token; and what keeps guessing hopeless is the length of a token.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FREE: Final = 5
MOST_SECONDS: Final = 60
MAX_ORIGINS: Final = 256
# After so long without a failure all is forgotten.
_FORGET_SECONDS: Final = 300.0


@dataclass(slots=True)
class _Record:
    failures: int = 0
    last_at: float = 0.0


class Attempts:
    """Counts failures by where they come from.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def failed(self, origin: str) -> tuple[int, int]:
        """Note a failure; how many there have been lately, and how many seconds to wait before the next attempt."""
        now = self._clock()
        with self._lock:
            record = self._records.setdefault(origin, _Record())
            self._records.move_to_end(origin)
            if len(self._records) > MAX_ORIGINS:
                self._records.popitem(last=False)
            if now - record.last_at > _FORGET_SECONDS:
                record.failures = 0
            record.failures += 1
            record.last_at = now
            over = record.failures - FREE
        return record.failures, 0 if over <= 0 else min(2 ** min(over - 1, 10), MOST_SECONDS)

    def succeeded(self, origin: str) -> None:
        """Forget what went wrong there."""
        if origin in self._records:
            with self._lock:
                self._records.pop(origin, None)
