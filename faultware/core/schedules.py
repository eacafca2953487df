"""How the share of one rule changes over its life: it begins later, grows, and stops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from faultware.core.faults.forms import PERCENT, SECONDS, SOME_SECONDS, Form, settle_fields
from faultware.errors import RuleError


@dataclass(frozen=True, slots=True)
class Schedule:
    """The share of a rule over time, counted from when the rule was loaded.

    From 1 % to the rule's 20 % in 5 minutes, then stop: `Rule(…, percentage=20, schedule=Schedule(from_percentage=1,
    ramp_seconds=300, stop_after_seconds=300))`.

    Args:
        start_after_seconds: Nothing happens before.
        from_percentage: Where the ramp begins; it ends at the rule's percentage.
        ramp_seconds: How long the ramp takes; 0: there is none.
        stop_after_seconds: Counted from the start of the ramp; left out: the rule goes on.

    Raises:
        RuleError: A number is out of its range, or a ramp begins without taking time.
    """

    start_after_seconds: Annotated[float, Form("start_after", SECONDS)] = 0.0
    from_percentage: Annotated[float, Form("from", PERCENT)] = 0.0
    ramp_seconds: Annotated[float, Form("ramp", SECONDS)] = 0.0
    stop_after_seconds: Annotated[float | None, Form("stop_after", SOME_SECONDS)] = None

    def __post_init__(self) -> None:
        settle_fields(self)
        if self.from_percentage and not self.ramp_seconds:
            raise RuleError("a ramp takes time", where="ramp", hint="such as 5m")
        if not (self.start_after_seconds or self.ramp_seconds or self.stop_after_seconds):
            raise RuleError("nothing is scheduled", hint="one of start_after, ramp, stop_after")

    def percentage_at(self, elapsed_seconds: float, percentage: float) -> float:
        """The share after some time, of a rule whose share is `percentage` in the end."""
        running = elapsed_seconds - self.start_after_seconds
        if running < 0 or (self.stop_after_seconds is not None and running >= self.stop_after_seconds):
            return 0.0
        if running >= self.ramp_seconds:
            return percentage
        return self.from_percentage + (percentage - self.from_percentage) * running / self.ramp_seconds
