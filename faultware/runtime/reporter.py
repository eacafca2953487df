"""What happens is counted here, and told to whoever listens. Nothing that goes wrong in that reaches a request."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from faultware.telemetry.events import FaultInjected, InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.plan import Injection
    from faultware.core.request import Request
    from faultware.runtime.switch import Clocks
    from faultware.telemetry.events import Event, Observer
    from faultware.telemetry.prometheus import Metrics


class Reporter:
    """Counts and tells.

    Args:
        observers: Hear of everything that happens.
        clocks: The times.
        metrics: Told of delays.
    """

    def __init__(self, observers: Sequence[Observer], clocks: Clocks, metrics: Metrics) -> None:
        self.observers = tuple(observers)
        self.clocks = clocks
        self.metrics = metrics
        self.internal_errors: Counter[str] = Counter()
        # Requests to the control endpoint that were not let in, by reason.
        self.refusals: Counter[str] = Counter()
        # Guards that killed the switch, by what they measure.
        self.trips: Counter[str] = Counter()

    def injected(self, injection: Injection, request: Request) -> None:
        """Note that a fault begins."""
        try:
            injection.live.tally.injected[injection.kind] += 1
            if injection.kind == "delay":
                self.metrics.observe_delay(injection.live.rule.name, injection.delay_seconds)
            self._tell_fault(injection, request, dry_run=False)
        except Exception as error:  # noqa: BLE001  (counting must not break the request)
            self.failed("observe", error)

    def withdrawn(self, injection: Injection, reason: str) -> None:
        """Note that a fault that was chosen does not come about."""
        injection.live.tally.suppressed[reason] += 1

    def spare(self, injection: Injection, request: Request, reason: str) -> None:
        """Say what would have been done, and count why it is not."""
        self.withdrawn(injection, reason)
        self._tell_fault(injection, request, dry_run=True)

    def failed(self, stage: str, error: BaseException) -> None:
        """Note a failure of our own."""
        self.internal_errors[stage] += 1
        self.tell(InternalError(self.clocks.wall(), stage, f"{type(error).__name__}: {error}"))

    def tell(self, event: Event) -> None:
        """Let every observer know; what they raise is counted and goes no further."""
        for observer in self.observers:
            try:
                observer.notice(event)
            except Exception:  # noqa: BLE001  (an observer must not break the request)
                self.internal_errors["observe"] += 1

    def _tell_fault(self, injection: Injection, request: Request, *, dry_run: bool) -> None:
        self.tell(
            FaultInjected(
                at=self.clocks.wall(),
                rule=injection.live.rule.name,
                fault=injection.kind,
                method=request.method,
                path=request.path,
                delay_seconds=injection.delay_seconds,
                dry_run=dry_run,
            )
        )
