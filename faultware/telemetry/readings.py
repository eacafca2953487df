"""What the metrics ask of whoever injects faults. Plain data; loads no metrics library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultware.core.ruleset import LiveRule


@dataclass(frozen=True, slots=True)
class Readings:
    """One source at one moment.

    Args:
        live: The rules in force; the same object for as long as they stay the same.
        active_faults: How many requests are being faulted now.
        armed: Whether faults may happen.
        rules: How many rules are in force.
        generation: The version of the configuration in force.
        last_reload_successful: Whether the last reload of the configuration went well.
        last_reload_at: Wall-clock time, in seconds, of the last reload that went well.
        internal_errors: Failures of faultware's own since the source began, by stage.
        trips: How often a guard killed the switch since the source began, by what it measures.
        refusals: Requests to the control endpoint that were not admitted since the source began, by reason.
    """

    live: Sequence[LiveRule]
    active_faults: int
    armed: bool
    rules: int
    generation: int
    last_reload_successful: bool
    last_reload_at: float
    internal_errors: Mapping[str, int]
    refusals: Mapping[str, int] = field(default_factory=dict[str, int])
    trips: Mapping[str, int] = field(default_factory=dict[str, int])


class Source(Protocol):
    """Who can be asked for readings; held weakly."""

    def readings(self) -> Readings:
        """The present readings.

        Takes no lock and waits for nothing: other threads call it, and a child that was just forked.
        """
        ...
