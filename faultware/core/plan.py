"""What will be done to one request: the outcome of all rules, as pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultware.core.faults import Terminal
    from faultware.core.ruleset import LiveRule


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault of one rule that was chosen.

    Args:
        live: The rule.
        kind: The fault's kind, as documents and metrics name it.
        delay_seconds: What this fault adds to the time the request is held.
    """

    live: LiveRule
    kind: str
    delay_seconds: float = 0.0

    @property
    def mark(self) -> str:
        """The fault as the `faultware-fault` header names it: `payments-503;abort` (RFC 9651)."""
        return f"{self.live.rule.name};{self.kind}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults one request gets, in the order in which they act.

    Args:
        injections: What was chosen, in the order of rules; never empty. A terminal fault stands last.
        delay_seconds: How long the request is held, all delays together.
        terminal: What ends the request in the application's place, if anything.
    """

    injections: tuple[Injection, ...]
    delay_seconds: float = 0.0
    terminal: Terminal | None = None

    @property
    def ending(self) -> Injection | None:
        """The injection that is the terminal fault."""
        return self.injections[-1] if self.terminal is not None else None


def mark(injections: Iterable[Injection]) -> str:
    """The value of the `faultware-fault` header for what was done."""
    return ", ".join(injection.mark for injection in injections)
