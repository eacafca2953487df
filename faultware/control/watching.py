"""What an operator sees of rules at work, as JSON says it: their counts, and which requests a new one would meet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from faultware.core.matching import Match
from faultware.core.rendering import rule_line
from faultware.core.request import Request
from faultware.telemetry.events import MAX_PATH, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.exemptions import Exemptions
    from faultware.core.rules import Rule
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.injector import Injector


def counted(injector: Injector) -> list[dict[str, Any]]:
    """The rules as this worker has loaded them, armed or not, with what became of the requests they saw."""
    now = injector.clocks.monotonic()
    return [
        {
            "name": live.rule.name,
            "line": rule_line(live.rule),
            "percentage": live.rule.percentage,
            "matched": live.tally.matched,
            "rolled": live.tally.rolled,
            "fired": _fired(live),
            "injected": live.tally.injected.total(),
            "suppressed": live.tally.suppressed.total(),
            "expires_in": None if math.isinf(live.deadline) else max(0.0, round(live.deadline - now, 1)),
        }
        for live in injector.live_rules()
    ]


def _fired(live: LiveRule) -> int:
    """On how many requests a rule has acted; of several faults on one request the one that comes most often tells."""
    numbers = live.tally.injected
    return numbers.total() if live.rule.choose else max(numbers.values(), default=0)


def hits(rule: Rule, recent: Sequence[tuple[str, str]], exemptions: Exemptions) -> list[dict[str, str]]:
    """The requests that a rule would match as far as method and path tell; of them no more is remembered."""
    match = Match(rule.match.path, methods=rule.match.methods)
    return [
        shown(method, path)
        for method, path in recent
        if exemptions.allow(rule, path) and not match.failures(Request(method, path))
    ]


def shown(method: str, path: str) -> dict[str, str]:
    """A request that somebody else chose."""
    return {"method": printable(method, MAX_PATH), "path": printable(path, MAX_PATH)}
