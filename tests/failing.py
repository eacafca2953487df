"""Stages of ours that fail, for what both protocols make of that."""

from __future__ import annotations

import itertools

from faultware.core.shaping.chain import Chain
from faultware.core.shaping.effects import Start, Wait


class Failing(Chain):
    """Fails at one of its calls, and again when it is asked for what it holds, or not.

    Args:
        at: Which call of `start`, `feed` or `finish`, from 0.
        clock: Monotonic seconds.
        again: Whether the release fails, too.
        first: What comes of the start; None: a wait of a second, and the head.
    """

    def __init__(self, at, clock, *, again=False, first=None) -> None:
        super().__init__([], clock)
        self.at = at
        self.again = again
        self.first = first
        self.calls = itertools.count()

    def _taken(self, effects):
        if next(self.calls) == self.at:
            raise RuntimeError("a bug of ours")
        yield from effects

    def start(self, head):
        return self._taken([Wait(self._clock() + 1), Start(head)] if self.first is None else self.first)

    def feed(self, data):
        return self._taken(super().feed(data))

    def finish(self):
        return self._taken(super().finish())

    def release(self):
        if self.again:
            raise RuntimeError("another bug of ours")
        return iter(())
