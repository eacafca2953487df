"""How long a delay lasts: distributions as quantile functions.

Each distribution maps an even draw from [0, 1) to seconds, so one number from one random source decides, and a seed
decides it everywhere alike. A tail without end has an upper bound, which is mandatory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

from faultware.core.quantities import is_number
from faultware.errors import RuleError

MAX_SECONDS = 24 * 3600.0
_STANDARD_NORMAL = NormalDist()
# The least draw a quantile is asked for: the normal quantile of 0 is not finite.
_LEAST = 2.0**-53


def seconds(where: str, value: float, *, above_zero: bool = False, most: float = MAX_SECONDS) -> float:
    """Check a length of time and round it to microseconds.

    Raises:
        RuleError: It is no number, not finite, negative, zero where that means nothing, or beyond what is allowed.
    """
    if not is_number(value):
        raise RuleError(f"{value!r} is not a number of seconds", where=where)
    if value < 0 or (above_zero and round(value, 6) == 0):
        raise RuleError(f"{value!r} seconds are not possible", where=where, hint="more than 0" if above_zero else "≥ 0")
    if value > most:
        raise RuleError(f"{value!r} seconds are too long", where=where, hint=f"at most {most / 3600:g}h")
    return round(float(value), 6)


def _shape(where: str, value: float) -> float:
    if not is_number(value) or not 0 < value <= 100:
        raise RuleError(f"{value!r} is not possible", where=where, hint="a number above 0, at most 100")
    return float(value)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Evenly from `low_seconds` to `high_seconds`; equal bounds are a fixed delay."""

    low_seconds: float
    high_seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "low_seconds", seconds("min", self.low_seconds))
        object.__setattr__(self, "high_seconds", seconds("max", self.high_seconds))
        if self.low_seconds > self.high_seconds:
            raise RuleError("the low end lies above the high end", where="min", hint="exchange min and max")

    def at(self, draw: float) -> float:
        """The delay in seconds for an even draw from [0, 1)."""
        return self.low_seconds + (self.high_seconds - self.low_seconds) * draw


@dataclass(frozen=True, slots=True)
class Normal:
    """Around `mean_seconds`; what falls below 0 is 0, what lies above `max_seconds` is that."""

    mean_seconds: float
    deviation_seconds: float
    max_seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean_seconds", seconds("mean", self.mean_seconds))
        object.__setattr__(self, "deviation_seconds", seconds("deviation", self.deviation_seconds, above_zero=True))
        object.__setattr__(self, "max_seconds", _bound(self.max_seconds, self.mean_seconds))

    def at(self, draw: float) -> float:
        """The delay in seconds for an even draw from [0, 1)."""
        value = self.mean_seconds + self.deviation_seconds * _STANDARD_NORMAL.inv_cdf(max(draw, _LEAST))
        return min(max(value, 0.0), self.max_seconds)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Half of the delays are below `median_seconds`; `sigma` is the deviation of the logarithm (WireMock's)."""

    median_seconds: float
    sigma: float
    max_seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "median_seconds", seconds("median", self.median_seconds, above_zero=True))
        object.__setattr__(self, "sigma", _shape("sigma", self.sigma))
        object.__setattr__(self, "max_seconds", _bound(self.max_seconds, self.median_seconds))

    def at(self, draw: float) -> float:
        """The delay in seconds for an even draw from [0, 1)."""
        exponent = min(self.sigma * _STANDARD_NORMAL.inv_cdf(max(draw, _LEAST)), 700.0)
        return min(self.median_seconds * math.exp(exponent), self.max_seconds)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless, with `mean_seconds`."""

    mean_seconds: float
    max_seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean_seconds", seconds("mean", self.mean_seconds, above_zero=True))
        object.__setattr__(self, "max_seconds", _bound(self.max_seconds, self.mean_seconds))

    def at(self, draw: float) -> float:
        """The delay in seconds for an even draw from [0, 1)."""
        return min(-self.mean_seconds * math.log1p(-draw), self.max_seconds)


@dataclass(frozen=True, slots=True)
class Pareto:
    """A heavy tail: never below `scale_seconds`; the smaller `shape`, the heavier."""

    scale_seconds: float
    shape: float
    max_seconds: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale_seconds", seconds("scale", self.scale_seconds, above_zero=True))
        object.__setattr__(self, "shape", _shape("shape", self.shape))
        object.__setattr__(self, "max_seconds", _bound(self.max_seconds, self.scale_seconds))

    def at(self, draw: float) -> float:
        """The delay in seconds for an even draw from [0, 1)."""
        exponent = min(-math.log1p(-draw) / self.shape, 700.0)
        return min(self.scale_seconds * math.exp(exponent), self.max_seconds)


Distribution: TypeAlias = Uniform | Normal | LogNormal | Exponential | Pareto


def _bound(value: float, middle: float) -> float:
    bound = seconds("max", value, above_zero=True)
    if bound < middle:
        raise RuleError("the upper bound lies below the middle", where="max", hint=f"at least {middle:g} s")
    return bound
