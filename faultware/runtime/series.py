"""The last quarter of an hour of this process, in steps: what it answered, how long that took, what was injected.

Filled by a chore of the refresher from what `Traffic` measures and from the tallies of the rules. A request is looked
at only when it is measured, so that all of this costs the request path nothing more.
"""

from __future__ import annotations

import math
import os
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from faultware.core.ruleset import Tally
    from faultware.runtime.injector import Injector

STEP_SECONDS: Final = 5
KEPT_SECONDS: Final = 900
# The times of answers are counted in classes, each this much longer than the one before: so workers can be added up.
_GROWTH: Final = 1.15
_LEAST_SECONDS: Final = 0.000_1
_MOST_SECONDS: Final = 120.0


@dataclass(slots=True)
class Point:
    """One step.

    Args:
        at: When it begins, in seconds since the epoch.
        requests: How many there were; estimated where only a sample was measured.
        measured: Answers that were measured.
        errors: Those of them with 5xx, or without a status.
        own_errors: Those of them on which no fault acted.
        injected: Faults that were injected, all of them.
        times: How many of the measured answers took how long, by the end of their class in seconds.
    """

    at: int
    requests: float = 0.0
    measured: int = 0
    errors: int = 0
    own_errors: int = 0
    injected: int = 0
    times: Counter[float] = field(default_factory=Counter[float])

    def document(self) -> dict[str, Any]:
        """As JSON says it."""
        return {
            "at": self.at,
            "requests": round(self.requests, 1),
            "measured": self.measured,
            "errors": self.errors,
            "own_errors": self.own_errors,
            "injected": self.injected,
            "times": sorted(self.times.items()),
        }


class Series:
    """The steps of one process."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque(maxlen=KEPT_SECONDS // STEP_SECONDS)
        self._tallies: dict[Tally, int] = {}
        self._process = 0
        self._lock = threading.Lock()

    def tick(self, injector: Injector) -> None:
        """Take in what has happened since the last time, and have more requests measured."""
        answers, share = injector.traffic.take()
        injected = self._newly_injected(injector)
        if self._process != os.getpid():
            # What was before a fork is the parent's.
            self._process, self._lock = os.getpid(), threading.Lock()
            self._points.clear()
            answers, injected = [], 0
        with self._lock:
            point = self._point(injector.clocks.wall())
            point.requests += len(answers) / share
            point.measured += len(answers)
            point.injected += injected
            for answer in answers:
                point.errors += answer.is_error
                point.own_errors += answer.is_error and not answer.is_injected
                point.times[time_class(answer.seconds)] += 1
        injector.measure()

    def since(self, moment: float) -> list[dict[str, Any]]:
        """The steps that end after a moment, the oldest first; the last one is not over yet."""
        with self._lock:
            return [point.document() for point in self._points if point.at + STEP_SECONDS > moment]

    def _point(self, now: float) -> Point:
        at = int(now // STEP_SECONDS) * STEP_SECONDS
        if not self._points or self._points[-1].at != at:
            while self._points and self._points[0].at <= at - KEPT_SECONDS:
                self._points.popleft()
            self._points.append(Point(at))
        return self._points[-1]

    def _newly_injected(self, injector: Injector) -> int:
        """How much the tallies have grown. Those of rules that are gone are forgotten with them."""
        tallies = {live.tally: live.tally.injected.total() for live in injector.live_rules()}
        grown = sum(total - self._tallies.get(tally, 0) for tally, total in tallies.items())
        self._tallies = tallies
        return grown


def time_class(seconds: float) -> float:
    """The end of the class that a time belongs to, in seconds."""
    seconds = min(max(seconds, _LEAST_SECONDS), _MOST_SECONDS)
    return round(_LEAST_SECONDS * _GROWTH ** math.ceil(math.log(seconds / _LEAST_SECONDS, _GROWTH) - 1e-9), 6)
