"""What will be done to one request: the outcome of all rules, as pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from faultware.core.faults import Fault
    from faultware.core.ruleset import LiveRule

# The header of a response that says what was done to it.
MARK: Final = "faultware-fault"


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault of one rule that was chosen.

    Args:
        live: The rule.
        fault: The fault.
        delay_seconds: What this fault adds to the time the request is held, before the handler or after it.
        draw: An even draw from [0, 1) for what the fault leaves to chance while it acts.
        retry_after_seconds: What a caller is told whose budget is used up.
    """

    live: LiveRule
    fault: Fault
    delay_seconds: float = 0.0
    draw: float = 0.0
    retry_after_seconds: int = 0

    @property
    def kind(self) -> str:
        """The fault's kind, as documents and metrics name it."""
        return self.fault.kind

    @property
    def mark(self) -> str:
        """The fault as the `faultware-fault` header names it: `payments-503;abort` (RFC 9651)."""
        return f"{self.live.rule.name};{self.kind}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults one request gets, in the order in which they act; there is at least one.

    Args:
        before: Delays, and faults of the process.
        ending: What ends the request in the application's place, if anything.
        after: What is done to the request that the application sees, and to its response. Nothing, if there is an
            ending.
        delay_seconds: How long the request is held, all delays before the handler together.
    """

    before: tuple[Injection, ...] = ()
    ending: Injection | None = None
    after: tuple[Injection, ...] = ()
    delay_seconds: float = 0.0

    @property
    def injections(self) -> tuple[Injection, ...]:
        """All of them."""
        return self.before + (() if self.ending is None else (self.ending,)) + self.after

    def without(self, refused: Collection[Injection]) -> Plan | None:
        """What is left when these cannot be done: the first of them whose rule has a fallback ends the request by it.

        Args:
            refused: Injections of this plan.
        """
        before = tuple(injection for injection in self.before if injection not in refused)
        after = tuple(injection for injection in self.after if injection not in refused)
        ending = None if self.ending in refused else self.ending
        for injection in refused:
            fallback = injection.live.rule.fallback
            if fallback is not None and ending is None:
                ending, after = Injection(injection.live, fallback), ()
        if not before and ending is None and not after:
            return None
        return Plan(before, ending, after, self.delay_seconds)


def mark(injections: Iterable[Injection]) -> str:
    """The value of the `faultware-fault` header for what was done."""
    return ", ".join(injection.mark for injection in injections)
