"""How far a count may be from what is expected before it is no chance any more: exact, by the binomial distribution."""

from __future__ import annotations

import math
from functools import cache
from itertools import accumulate
from operator import mul

# How often what is right is taken for wrong, by one comparison of a count.
DOUBT = 1e-8


@cache
def chances(tries: int, share: float) -> tuple[float, ...]:
    """The chance of each count from 0 to `tries`."""
    found = []
    for count in range(tries + 1):
        ways = math.lgamma(tries + 1) - math.lgamma(count + 1) - math.lgamma(tries - count + 1)
        found.append(math.exp(ways + count * math.log(share) + (tries - count) * math.log1p(-share)))
    return tuple(found)


@cache
def tails(tries: int, share: float) -> tuple[float, ...]:
    """The chance of so many or more, for each count from 0 to one more than `tries`."""
    return tuple(accumulate((0.0, *reversed(chances(tries, share)))))[::-1]


def is_chance(count: int, tries: int, share: float) -> bool:
    """Whether a count is one that so many tries give."""
    return min(tails(tries, share)[count], tails(tries, 1 - share)[tries - count]) > DOUBT / 2


def may_differ_by(difference: int, tries: int, share: float) -> bool:
    """Whether two counts of the same may be so far apart."""
    apart = abs(difference)
    return math.fsum(map(mul, chances(tries, share), tails(tries, share)[apart:])) > DOUBT / 2
