"""Faults that take time: a delay before the handler or after it, and an answer that never comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from faultware.core.delays import Distribution, Uniform, seconds
from faultware.core.faults.phases import Needs, Phase
from faultware.core.sampling import check_percentage
from faultware.errors import RuleError


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Delay:
    """Holds the request before the application sees it. Source: Envoy's `FaultDelay`, plus distributions.

    Args:
        delay_seconds: How long, at least 0; or a distribution to draw from.
        jitter_seconds: The delay is drawn evenly from `delay_seconds` ± this.
        percentage: Rolled after the rule's own percentage.

    Raises:
        RuleError: A number is negative, not finite or too large; the jitter exceeds the delay.
    """

    kind: ClassVar = "delay"
    phase: ClassVar = Phase.DELAY
    needs: ClassVar = Needs.NOTHING
    distribution: Distribution
    percentage: float

    def __init__(
        self, delay_seconds: float | Distribution, *, jitter_seconds: float = 0, percentage: float = 100
    ) -> None:
        if isinstance(delay_seconds, (int, float)):
            middle, jitter = seconds("fixed", delay_seconds), seconds("jitter", jitter_seconds)
            if jitter > middle:
                raise RuleError("the jitter is larger than the delay", where="jitter", hint=f"at most {middle:g} s")
            distribution: Distribution = Uniform(middle - jitter, middle + jitter)
        elif jitter_seconds:
            raise RuleError("a distribution brings its own spread", where="jitter", hint="leave it out")
        else:
            _check_distribution(delay_seconds)
            distribution = delay_seconds
        object.__setattr__(self, "distribution", distribution)
        object.__setattr__(self, "percentage", check_percentage(percentage))

    def __repr__(self) -> str:
        times = self.distribution
        is_fixed = isinstance(times, Uniform) and times.low_seconds == times.high_seconds
        words = [repr(times.low_seconds if isinstance(times, Uniform) and is_fixed else times)]
        words += [f"percentage={self.percentage!r}"] if self.percentage != 100 else []
        return f"{type(self).__name__}({', '.join(words)})"


@dataclass(frozen=True, slots=True, init=False, repr=False)
class DelayResponse(Delay):
    """Holds the answer after the handler ran, before its first byte. Arguments and errors as for `Delay`."""

    kind: ClassVar = "delay_response"
    phase: ClassVar = Phase.RESPONSE


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answers: holds the request until the client leaves, the bound is reached or the switch is killed.

    Args:
        duration_seconds: The bound; left out: the `max_delay` setting.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "hang"
    phase: ClassVar = Phase.TERMINAL
    needs: ClassVar = Needs.NOTHING
    duration_seconds: float | None = None
    percentage: float = 100

    def __post_init__(self) -> None:
        if self.duration_seconds is not None:
            object.__setattr__(self, "duration_seconds", seconds("duration", self.duration_seconds, above_zero=True))
        object.__setattr__(self, "percentage", check_percentage(self.percentage))


def _check_distribution(value: object) -> None:
    if not isinstance(value, Distribution):
        hint = "a number, or one of Uniform, Normal, LogNormal, Exponential, Pareto"
        raise RuleError(f"{value!r} is not a number of seconds", where="fixed", hint=hint)
