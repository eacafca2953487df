"""Limits at which faults stop by themselves: what is measured, and how much is too much. Measures nothing itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from faultware.core.quantities import duration, number, size
from faultware.errors import RuleError

Metric: TypeAlias = Literal["error_share", "p50", "p95", "p99", "lag", "memory", "in_flight", "health", "query"]
Counts: TypeAlias = Literal["own", "injected", "all"]

QUANTILES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Measured on the service's answers; the others are one number at a time.
OF_ANSWERS: Final = frozenset({"error_share", *QUANTILES})
MAX_WINDOW_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Guard:
    """One limit; beyond it the switch is killed.

    Args:
        metric: What is measured: `error_share` (percent of answers with 5xx), `p50`, `p95`, `p99` (seconds to the head
            of an answer), `lag` (seconds an event loop is late), `memory` (resident bytes), `in_flight` (requests),
            `health` (what the application's own callable says), `query` (a Prometheus query).
        bound: The most that is allowed, in the metric's unit; for `query` also the least, if `is_least`.
        window_seconds: How far back answers count.
        min_samples: Fewer answers than this prove nothing.
        counts: Which answers: the service's `own`, those that were `injected` (a fault acted), or `all`.
        query: Of a `query`, in PromQL.
        is_least: Of a `query`: the value must not fall below the bound.

    Raises:
        RuleError: A number is out of its range.
    """

    metric: Metric
    bound: float = 0.0
    window_seconds: float = 30.0
    min_samples: int = 20
    counts: Counts = "own"
    query: str = ""
    is_least: bool = False

    def __post_init__(self) -> None:
        if self.metric not in get_args(Metric):
            raise RuleError(
                f"{self.metric!r} is nothing that is measured", hint=f"one of {', '.join(get_args(Metric))}"
            )
        if not math.isfinite(self.bound):
            raise RuleError(f"{self.bound!r} is no bound", hint="a finite number")
        if self.metric != "query" and self.bound < 0:
            raise RuleError(f"{number(self.bound)} is no bound", hint="0 or more")
        if self.metric == "error_share" and self.bound >= 100:
            raise RuleError("no share is above 100 %", hint="less than 100%")
        if not 1 <= self.window_seconds <= MAX_WINDOW_SECONDS:
            raise RuleError(f"{duration(self.window_seconds)} is no window", hint="1s to 1h")
        if not 1 <= self.min_samples <= 1000:
            raise RuleError(f"{self.min_samples} is no number of samples", hint="1 to 1000")

    def is_beyond(self, value: float) -> bool:
        """Whether a value trips the guard. What is no number does, too."""
        if math.isnan(value):
            return True
        return value < self.bound if self.is_least else value > self.bound

    def shown(self, value: float) -> str:
        """A value in the metric's unit, as exactly as people read it."""
        if math.isnan(value):
            return "no number"
        match self.metric:
            case "error_share":
                return f"{number(round(value, 2))}%"
            case "p50" | "p95" | "p99" | "lag":
                return duration(round(value, 4))
            case "memory":
                return f"{number(round(value / 2**20, 1))}MiB"
            case "health":
                return "unhealthy" if value else "healthy"
            case "in_flight" | "query":
                return number(round(value, 6))

    def _exact_bound(self) -> str:
        match self.metric:
            case "error_share":
                return f"{number(self.bound)}%"
            case "p50" | "p95" | "p99" | "lag":
                return duration(self.bound)
            case "memory":
                return size(round(self.bound))
            case _:
                return number(self.bound)

    def __str__(self) -> str:
        if self.metric == "health":
            return "health"
        sign = "<" if self.is_least else ">"
        if self.metric == "query":
            return f"query {self.query} {sign} {self._exact_bound()}"
        text = f"{self.metric} of {self.counts}" if self.counts != "own" else self.metric
        text = f"{text} > {self._exact_bound()}"
        if self.metric in OF_ANSWERS:
            if self.window_seconds != 30:
                text += f" over {duration(self.window_seconds)}"
            if self.min_samples != 20:
                text += f" min {self.min_samples}"
        return text


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of the service, as it was measured.

    Args:
        at: When its head left, on the monotonic clock, in seconds.
        seconds: How long that took.
        is_error: Whether its status was 5xx, or there was none.
        is_injected: Whether a fault acted on the request.
    """

    at: float
    seconds: float
    is_error: bool
    is_injected: bool


def measure(guard: Guard, answers: list[Answered]) -> float | None:
    """The value of a guard of answers; None: there are too few."""
    chosen = [
        answer for answer in answers if guard.counts == "all" or answer.is_injected is (guard.counts == "injected")
    ]
    if len(chosen) < guard.min_samples:
        return None
    if guard.metric == "error_share":
        return 100 * sum(answer.is_error for answer in chosen) / len(chosen)
    ranked = sorted(answer.seconds for answer in chosen)
    # The nearest rank: the least value that this share of all does not exceed.
    return ranked[max(0, math.ceil(QUANTILES[guard.metric] * len(ranked)) - 1)]
