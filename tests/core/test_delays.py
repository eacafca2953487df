"""Delays against the theory of their distributions."""

from __future__ import annotations

import math
import random
from statistics import NormalDist, fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.core.delays import Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.errors import RuleError
from tests.strategies import distributions

ALMOST_ONE = 1 - 2.0**-53
LARGE = 80_000

EVERY = [
    Uniform(0.1, 0.3),
    Normal(2.0, 0.5, LARGE),
    LogNormal(0.5, 0.8, LARGE),
    Exponential(0.25, LARGE),
    Pareto(0.1, 3.0, LARGE),
]


def _mean(distribution, most=math.inf):
    """The mean by the midpoint rule over the quantiles; the ends are refined, where the tails are."""
    total, high = 0.0, 1.0
    while high > 1e-13:
        low = high / 2
        width = (high - low) / 400
        total += sum(distribution.at(1 - (low + (i + 0.5) * width)) * width for i in range(400))
        high = low
    return min(total, most)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (EVERY[0], 0.2),
        (EVERY[1], 2.0),
        (EVERY[2], 0.5),
        (EVERY[3], 0.25 * math.log(2)),
        (EVERY[4], 0.1 * 2 ** (1 / 3)),
    ],
)
def test_half_of_the_delays_are_below_the_median(distribution, expected):
    assert distribution.at(0.5) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (EVERY[0], 0.2),
        (EVERY[1], 2.0),
        (EVERY[2], 0.5 * math.exp(0.8**2 / 2)),
        (EVERY[3], 0.25),
        (EVERY[4], 0.1 * 3 / 2),
    ],
)
def test_the_mean_is_that_of_the_theory(distribution, expected):
    assert _mean(distribution) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("distribution", "cumulative"),
    [
        (EVERY[0], lambda t: (t - 0.1) / 0.2),
        (EVERY[1], NormalDist(2.0, 0.5).cdf),
        (EVERY[2], lambda t: NormalDist(math.log(0.5), 0.8).cdf(math.log(t))),
        (EVERY[3], lambda t: 1 - math.exp(-t / 0.25)),
        (EVERY[4], lambda t: 1 - (0.1 / t) ** 3),
    ],
)
def test_quantiles_invert_the_cumulative_distribution(distribution, cumulative):
    for draw in (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999):
        assert cumulative(distribution.at(draw)) == pytest.approx(draw, abs=1e-9)


@pytest.mark.parametrize("distribution", EVERY)
def test_seeded_draws_have_the_median_of_the_theory(distribution):
    """100,000 draws: the rank of the true median among them is within five standard deviations (one in 1.7 million)."""
    rng = random.Random(7)
    drawn = [distribution.at(rng.random()) for _ in range(100_000)]
    below = sum(value < distribution.at(0.5) for value in drawn)
    assert abs(below - 50_000) < 5 * math.sqrt(25_000)
    assert median(drawn) == pytest.approx(distribution.at(0.5), rel=0.02)
    assert fmean(drawn) == pytest.approx(_mean(distribution), rel=0.03)


@given(distributions(), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_delays_are_finite_bounded_and_grow_with_the_draw(distribution, one, other):
    low, high = sorted((one, other))
    short, long = distribution.at(low), distribution.at(high)
    most = getattr(distribution, "max_seconds", getattr(distribution, "high_seconds", None))
    assert 0 <= short <= long <= most * (1 + 1e-12)
    assert math.isfinite(long)


@given(distributions())
def test_the_least_and_the_greatest_draw_give_delays_within_the_bounds(distribution):
    least, greatest = distribution.at(0.0), distribution.at(ALMOST_ONE)
    assert 0 <= least <= greatest < 86_400.000001


def test_the_ends_of_the_distributions():
    assert Uniform(0.1, 0.3).at(0.0) == 0.1
    assert Uniform(0.1, 0.3).at(ALMOST_ONE) == pytest.approx(0.3)
    assert Uniform(0.2, 0.2).at(0.77) == 0.2
    assert Normal(1, 10, 5).at(0.0) == 0.0
    assert Normal(1, 10, 5).at(ALMOST_ONE) == 5.0
    assert Exponential(1, 5).at(0.0) == 0.0
    assert Exponential(1, 5).at(ALMOST_ONE) == 5.0
    assert Exponential(1, 80_000).at(ALMOST_ONE) == pytest.approx(53 * math.log(2))
    assert Pareto(0.1, 3, 5).at(0.0) == 0.1
    assert Pareto(0.1, 0.001, 5).at(ALMOST_ONE) == 5.0
    assert LogNormal(1, 100, 5).at(0.0) == pytest.approx(0, abs=1e-300)
    assert LogNormal(1, 100, 5).at(ALMOST_ONE) == 5.0


def test_an_upper_bound_cuts_the_tail_and_lowers_the_mean():
    assert _mean(Exponential(1, 1)) == pytest.approx(1 - math.exp(-1), rel=1e-3)
    assert _mean(Pareto(1, 1, 10)) == pytest.approx(1 + math.log(10), rel=1e-3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Uniform(2, 1), "min: the low end lies above the high end (exchange min and max)"),
        (lambda: Uniform(-1, 1), "min: -1 seconds are not possible"),
        (lambda: Uniform(0, math.inf), "max: inf is not a number of seconds"),
        (lambda: Normal(1, 0, 9), "deviation: 0 seconds are not possible (more than 0)"),
        (lambda: Normal(1, 1, 0.5), "max: the upper bound lies below the middle (at least 1 s)"),
        (lambda: Normal(-1, 1, 5), "mean: -1 seconds"),
        (lambda: Normal(1, 4e-7, 9), "deviation: 4e-07 seconds are not possible (more than 0)"),
        (lambda: LogNormal(0, 1, 9), "median: 0 seconds are not possible (more than 0)"),
        (lambda: LogNormal(1, 0, 9), "sigma: 0 is not possible (a number above 0, at most 100)"),
        (lambda: LogNormal(1, 101, 9), "sigma: 101 is not possible"),
        (lambda: LogNormal(1, True, 9), "sigma: True is not possible"),
        (lambda: LogNormal(1, math.nan, 9), "sigma: nan is not possible"),
        (lambda: Exponential(0, 9), "mean: 0 seconds are not possible"),
        (lambda: Exponential(1, 0), "max: 0 seconds are not possible"),
        (lambda: Exponential(1, 86401), "max: 86401 seconds are too long (at most 24h)"),
        (lambda: Exponential(1, 10**400), "seconds are too long (at most 24h)"),
        (lambda: Pareto(0, 1, 9), "scale: 0 seconds are not possible"),
        (lambda: Pareto(1, -1, 9), "shape: -1 is not possible"),
        (lambda: Pareto(1, "3", 9), "shape: '3' is not possible"),
        (lambda: Pareto(2, 1, 1), "max: the upper bound lies below the middle (at least 2 s)"),
    ],
)
def test_a_distribution_that_is_not_possible_is_refused(build, message):
    with pytest.raises(RuleError) as caught:
        build()
    assert message in str(caught.value)


def test_lengths_of_time_are_kept_in_whole_microseconds():
    assert Uniform(0.123456789, 1).low_seconds == 0.123457
