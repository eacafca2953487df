"""What the service answers, measured on a sample of its requests.

Measuring every request would cost every request. So each tick of the refresher grants an allowance, and measuring ends
when it is used up: a quiet service is measured whole, a busy one at a bounded cost. Requests are measured while the
view they see says so; see `View.is_measured`.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from faultware.core.guards import Answered

if TYPE_CHECKING:
    from collections.abc import Callable

# So many answers of every quarter of a second are measured, in each process.
ALLOWANCE: Final = 50
MAX_KEPT: Final = 20_000
# So many different requests are remembered, and so much of a path: clients choose them.
MAX_RECENT: Final = 64
MAX_PATH: Final = 256


class Traffic:
    """The last answers of this process.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        # Whether all requests are measured, whatever it costs: some numbers cannot be had from a sample.
        self.is_whole = False
        self.in_flight = 0
        # Requests that were measured since the switch was armed.
        self.requests = 0
        self._answers: deque[Answered] = deque(maxlen=MAX_KEPT)
        # Those that `take` has not given out yet.
        self._untaken: deque[Answered] = deque(maxlen=MAX_KEPT)
        # What was asked for lately, by method and path; the newest last.
        self._asked: dict[tuple[str, str], None] = {}
        self._left = 0
        self._granted_at = clock()
        self._spent_at: float | None = None
        self._lock = threading.Lock()

    def grant(self) -> None:
        """A tick has begun."""
        self._left = ALLOWANCE
        self._granted_at, self._spent_at = self.clock(), None

    def wants(self, method: str = "", path: str = "") -> bool:
        """Whether one more answer is to be measured; counts it off, and remembers what was asked for."""
        self._left -= 1
        if self.is_whole or self._left >= 0:
            if path:
                self._remember(method, path[:MAX_PATH])
            return True
        if self._spent_at is None:
            self._spent_at = self.clock()
        return False

    def take(self) -> tuple[list[Answered], float]:
        """The answers since the last time, and in which share of the time since the last grant all were measured."""
        now = self.clock()
        spent = now if self._spent_at is None else self._spent_at
        share = (spent - self._granted_at) / (now - self._granted_at) if now > self._granted_at else 1.0
        answers: list[Answered] = []
        while self._untaken:
            answers.append(self._untaken.popleft())
        return answers, max(share, 0.001)

    def recent(self) -> list[tuple[str, str]]:
        """What was asked for lately, by method and path, the newest first."""
        return list(reversed(tuple(self._asked)))

    def _remember(self, method: str, path: str) -> None:
        with self._lock:
            self._asked.pop((method, path), None)
            self._asked[method, path] = None
            if len(self._asked) > MAX_RECENT:
                del self._asked[next(iter(self._asked))]

    def begin(self) -> None:
        """A measured request has come."""
        with self._lock:
            self.in_flight += 1
            self.requests += 1

    def end(self) -> None:
        """A measured request is over."""
        with self._lock:
            self.in_flight -= 1

    def note(self, seconds: float, status: int, *, is_injected: bool) -> None:
        """The head of an answer has left, or will never; status 0."""
        answer = Answered(self.clock(), seconds, status >= 500 or status == 0, is_injected)
        self._answers.append(answer)
        self._untaken.append(answer)

    def since(self, seconds: float) -> list[Answered]:
        """The answers of the last so many seconds."""
        after = self.clock() - seconds
        return [answer for answer in tuple(self._answers) if answer.at > after]

    def forget(self) -> None:
        """Begin anew: what tripped a guard must not trip it again at once."""
        self._answers.clear()

    def rearm(self) -> None:
        """The switch has been armed: requests are counted from then."""
        with self._lock:
            self.requests = 0

    def after_fork(self) -> None:
        """In a forked child: what was measured is the parent's."""
        self._lock = threading.Lock()
        self.in_flight = self.requests = 0
        for kept in (self._answers, self._untaken, self._asked):
            kept.clear()
