"""Times that can be compared on a machine that does other things too.

Every case runs a short batch in every round, with the same batch of the yardstick before it. Each batch runs twice and
only the second counts, so that none pays for what the processor remembers of the case before. The best batch of a case
is set against the best batch of the yardstick: what disturbs a batch only ever makes it longer. The median of the
ratios within the rounds is the second opinion. The collector is off, so that no case pays for another one's garbage.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Runs one batch, of which it makes what it needs first; the seconds it took.
Batch: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case costs, the yardstick being 1.

    Args:
        best: The shortest batch against the shortest batch of the yardstick.
        median: The median of the ratios within the rounds.
    """

    best: float
    median: float

    def __str__(self) -> str:
        return f"{self.best:.2f} ({self.median:.2f})"


def compare(yardstick: Batch, cases: Mapping[str, Batch], rounds: int) -> dict[str, Outcome]:
    """Run all cases in turn, so many times."""
    with quiet_collector():
        shortest = [yardstick()]
        times: dict[str, list[float]] = {name: [] for name in cases}
        ratios: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, batch in cases.items():
                yardstick()
                base = yardstick()
                batch()
                time = batch()
                shortest.append(base)
                times[name].append(time)
                ratios[name].append(time / base)
    floor = min(shortest)
    return {name: Outcome(min(times[name]) / floor, statistics.median(ratios[name])) for name in cases}


@contextmanager
def quiet_collector() -> Iterator[None]:
    """No garbage collection for as long as the block runs."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
