"""A source of readings that tests set by hand."""

from __future__ import annotations

from faultware import Abort, Match, Rule
from faultware.core.matching import PathMatch
from faultware.core.ruleset import LiveRule
from faultware.telemetry.readings import Readings


def live_rule(name: str, tally=None) -> LiveRule:
    return LiveRule(Rule(name, Match(path=PathMatch("/payments")), percentage=100, abort=Abort(503)), tally=tally)


class HandMade:
    """Counts as requests would, and shows what it is told to show."""

    def __init__(self, *names: str) -> None:
        self.live = tuple(live_rule(name) for name in names)
        self.active_faults = 0
        self.armed = True
        self.generation = 1
        self.is_reloaded = True
        self.reloaded_at = 1000.0
        self.errors: dict[str, int] = {}

    def request(self, times: int = 1, index: int = 0) -> None:
        """So many requests match, roll and are aborted."""
        tally = self.live[index].tally
        tally.matched += times
        tally.rolled += times
        tally.injected["abort"] += times

    def readings(self) -> Readings:
        return Readings(
            live=self.live,
            active_faults=self.active_faults,
            armed=self.armed,
            rules=len(self.live),
            generation=self.generation,
            last_reload_successful=self.is_reloaded,
            last_reload_at=self.reloaded_at,
            internal_errors=dict(self.errors),
        )
