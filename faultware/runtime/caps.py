"""Budgets of faults: how many at once, in all, in a minute, for each client, and which share of the traffic.

What a budget refuses passes and is counted, not queued. All numbers are of one process.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MINUTE: Final = 60.0
# Clients beyond so many push out those that came first.
MAX_CLIENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Budgets:
    """The bounds; None: there is none.

    Args:
        active: Requests that are being faulted at one time.
        total: Faulted requests since the switch was armed.
        per_minute: Faulted requests in any minute.
        per_client: Faulted requests of one client in any minute.
        traffic_percentage: Of all requests since the switch was armed, 0 to 100.
    """

    active: int = 100
    total: int | None = None
    per_minute: int | None = None
    per_client: int | None = None
    traffic_percentage: float = 100.0


class Caps:
    """Counts what the budgets allow. Any thread may ask.

    Args:
        budgets: The bounds.
        clock: Monotonic seconds.
    """

    def __init__(self, budgets: Budgets, clock: Callable[[], float]) -> None:
        self.budgets = budgets
        self.active = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._is_simple = budgets == Budgets(budgets.active)
        self._forget()

    def enter(self, client: str = "", requests: int = 0) -> str:
        """Claim a place; else the reason why there is none.

        Args:
            client: Who asks; empty: nobody that can be told apart.
            requests: How many requests have come since the switch was armed.
        """
        with self._lock:
            if self.active >= self.budgets.active:
                return "max_active"
            reason = "" if self._is_simple else self._over_budget(client, requests)
            if not reason:
                self.active += 1
            return reason

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self.active -= 1

    def rearm(self) -> None:
        """The switch has been armed: what counts from then begins anew, but not what counts by the minute."""
        with self._lock:
            self._total = 0

    def after_fork(self) -> None:
        """In a forked child, where no request is being faulted."""
        self._lock = threading.Lock()
        self.active = 0
        self._forget()

    def _forget(self) -> None:
        self._total = 0
        self._recent: deque[float] = deque()
        self._clients: dict[str, deque[float]] = {}

    def _over_budget(self, client: str, requests: int) -> str:
        budgets, now = self.budgets, self._clock()
        _drop(self._recent, now - _MINUTE)
        own = self._clients.get(client) or deque[float]()
        _drop(own, now - _MINUTE)
        if budgets.total is not None and self._total >= budgets.total:
            return "max_faults"
        if budgets.per_minute is not None and len(self._recent) >= budgets.per_minute:
            return "max_per_minute"
        if budgets.per_client is not None and client and len(own) >= budgets.per_client:
            return "max_per_client"
        if 100 * (self._total + 1) > budgets.traffic_percentage * requests and budgets.traffic_percentage < 100:
            return "max_traffic"
        self._total += 1
        if budgets.per_minute is not None:
            self._recent.append(now)
        if budgets.per_client is not None and client:
            own.append(now)
            if client not in self._clients and len(self._clients) >= MAX_CLIENTS:
                del self._clients[next(iter(self._clients))]
            self._clients[client] = own
        return ""


def _drop(times: deque[float], until: float) -> None:
    while times and times[0] <= until:
        times.popleft()
