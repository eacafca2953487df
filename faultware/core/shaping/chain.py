"""Several stages in a row, which an adapter drives as one.

```python
for effect in chain.feed(data):  # take it; after a Cut, stop
    ...
for effect in chain.release():  # the switch was killed: what is held goes out at once
    ...
```
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, assert_never

from faultware.core.shaping.effects import Cut, Effects, Head, Raw, Send, Start, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.shaping.effects import Clock, Stage


class Chain:
    """Feeds each stage what the one in front of it yields.

    An adapter takes the effects one by one, in order, and ends the response behind those of `finish`, as the
    application asked it to. After a `Cut` nothing more comes. If the switch is killed, the adapter drops the effects
    it has not asked for yet, takes those of `release`, and goes on from there: what it still feeds is passed by, with
    no more waits, and no cuts but those behind a `Raw` that has already gone out.

    Args:
        stages: The first is fed by the application.
        clock: Monotonic seconds; the one that waits are meant for.
    """

    def __init__(self, stages: Sequence[Stage], clock: Clock) -> None:
        self._stages = tuple(stages)
        self._clock = clock
        self._is_over = False
        self._is_finishing = False
        self._is_released = False

    def start(self, head: Head) -> Effects:
        """The application has sent its head."""
        return self._out(self._through(0, iter((Start(head),))))

    def feed(self, data: bytes) -> Effects:
        """The application has sent a piece of its body."""
        return self._out(self._through(0, iter((Send(data),)))) if data else iter(())

    def finish(self) -> Effects:
        """The body is complete: for the first stage, then for the next one behind what the first still had."""
        self._is_finishing = True
        for index, stage in enumerate(self._stages):
            if not self._is_released or stage.is_bound:
                yield from self._out(self._through(index + 1, stage.finish()))

    def release(self) -> Effects:
        """What all stages hold back, from the last, which holds what came first.

        A cut that was announced, and that the adapter has not made, is off.
        """
        self._is_released = True
        self._is_over = False
        return self._released()

    def _released(self) -> Effects:
        for index in reversed(range(len(self._stages))):
            yield from self._out(self._through(index + 1, self._stages[index].release()))
        if self._is_finishing:
            yield from self.finish()

    def _out(self, effects: Effects) -> Effects:
        """Leave out waits whose time is over, and all that comes behind a cut."""
        if self._is_over:
            return
        for effect in effects:
            if isinstance(effect, Wait) and effect.until <= self._clock():
                continue
            self._is_over = isinstance(effect, Cut)
            yield effect
            if self._is_over:
                return

    def _through(self, index: int, effects: Effects) -> Effects:
        """What comes out behind the last stage when these effects enter the stage with this index."""
        if index == len(self._stages):
            yield from effects
            return
        stage = self._stages[index]
        passes_by = self._is_released and not stage.is_bound
        for effect in effects:
            match effect:
                case Start(head):
                    inner = iter((effect,)) if passes_by else stage.start(head)
                case Send(data):
                    inner = iter((effect,)) if passes_by else stage.feed(data)
                case Cut():
                    # For those behind, the body ends here: they pass on what they have kept before the connection ends.
                    inner = iter((effect,)) if passes_by else chain(stage.finish(), (effect,))
                case Wait() | Raw():
                    yield effect
                    continue
                case _ as unknown:
                    assert_never(unknown)
            yield from self._through(index + 1, inner)
