"""Rules of a group that draw between them, as clusters of a route with weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultware.core.rules import Rule

_FINEST: Final = 1_000_000
_MOST: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Run:
    """Rules of a group that stand side by side and become one route.

    Args:
        rules: One; or several with the same conditions, each with a part.
        weights: Of the clusters for these rules, and of one more where nothing happens; empty, if there is one rule.
    """

    rules: tuple[Rule, ...]
    weights: tuple[int, ...] = ()


def runs(members: Sequence[Rule]) -> Iterator[Run]:
    """The rules of a group in their order, those together of which a request meets one by its draw."""
    begin = 0
    while begin < len(members):
        first = members[begin]
        run = (_run(members[begin:]) if first.part is not None else None) or Run((first,))
        yield run
        begin += len(run.rules)


def _run(members: Sequence[Rule]) -> Run | None:
    """The rules in front that have the parts of a whole between them; None: they have not."""
    first, ends = members[0], [0.0]
    for rule in members:
        begin, end = rule.part or (ends[-1], 100.0)
        if rule.match != first.match or begin != ends[-1] or end == begin:
            break
        ends.append(end)
    count = len(ends) - 1
    if ends[-1] < 100:
        # The rest would fall to what stands behind, and a cluster keeps it.
        if count < len(members):
            return None
        ends.append(100.0)
    weights = _weights(ends)
    return Run(tuple(members[:count]), weights) if weights else None


def _weights(ends: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers in the proportions of the parts between these ends; none, if there are no exact ones."""
    shares = [Fraction(end / 100).limit_denominator(_FINEST) for end in ends]
    total = math.lcm(*(share.denominator for share in shares))
    if total > _MOST or any(float(100 * share) != end for share, end in zip(shares, ends, strict=True)):
        return ()
    return tuple(int((end - begin) * total) for begin, end in pairwise(shares))
