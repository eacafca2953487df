"""Decides what happens to one request.

All rules are tried in order and each rolls its own dice, so that each rule's observed share is its configured share.
Delays add up to at most `max_delay_seconds`; the first fault that ends the request ends the search too. Time and chance
come in as arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faultware.core.faults import Delay, Phase
from faultware.core.plan import Injection, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.faults import Fault, Terminal
    from faultware.core.request import Request
    from faultware.core.rules import Rule
    from faultware.core.ruleset import LiveRule
    from faultware.core.sampling import Dice


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold whatever the rules say.

    Args:
        max_delay_seconds: The longest a request is held, all delays together.
        max_percentage: The chance, 0 to 100, that a matching request is faulted at all, all rules together.
    """

    max_delay_seconds: float = 30.0
    max_percentage: float = 100.0


class Engine:
    """Turns candidates into a plan.

    Args:
        dice: Where chance comes from.
        limits: The bounds.
    """

    __slots__ = ("_dice", "_is_unlimited", "limits")

    def __init__(self, dice: Dice, limits: Limits) -> None:
        self._dice = dice
        self.limits = limits
        self._is_unlimited = limits.max_percentage >= 100

    def decide(self, candidates: Sequence[LiveRule], request: Request, now: float) -> Plan | None:
        """What to do to a request whose path the candidates accept; None: nothing.

        Every match, roll and refusal is entered in the rule's tally; what is injected is entered by who injects it.
        """
        chosen: list[tuple[LiveRule, Fault]] = []
        groups: set[str] | None = None
        is_preflight = request.method == "OPTIONS" and request.is_preflight
        plain_roll = self._dice.plain
        for live in candidates:
            rule, tally = live.rule, live.tally
            if live.has_conditions and not rule.match.accepts_rest(request):
                continue
            if rule.group and now < live.deadline:
                groups = groups or set()
                if rule.group in groups:
                    continue
                groups.add(rule.group)
            tally.matched += 1
            if is_preflight and "OPTIONS" not in rule.match.methods:
                tally.suppressed["excluded"] += 1
                continue
            if now >= live.deadline:
                tally.suppressed["expired"] += 1
                continue
            key = None
            if live.is_plain and plain_roll is not None:
                tally.rolled += 1
                if plain_roll() * 100 >= live.percentage:
                    continue
            else:
                key = rule.sample_by.key(request) if rule.sample_by is not None else None
                if not self._fires(live, key, request):
                    continue
            if live.whole is not None and not chosen and self._is_unlimited:
                return live.whole
            faults = self._chosen_faults(rule, key, request)
            chosen += [(live, fault) for fault in faults]
            if faults and faults[-1].phase is Phase.TERMINAL:
                break
        if not chosen or self._is_over_share(candidates, chosen, request, now):
            return None
        return self._plan(chosen, request)

    def _fires(self, live: LiveRule, key: str | None, request: Request) -> bool:
        rule, tally = live.rule, live.tally
        if rule.every is not None and next(tally.turns) % rule.every:
            return False
        if key is None and rule.sample_by is not None:
            return False
        tally.rolled += 1
        if self._dice.roll(rule.name, "rule", key, request) * 100 >= live.percentage:
            return False
        if rule.count is not None and next(tally.tickets) >= rule.count:
            tally.suppressed["count"] += 1
            return False
        return True

    def _chosen_faults(self, rule: Rule, key: str | None, request: Request) -> list[Fault]:
        return [
            fault
            for fault in rule.faults
            if fault.percentage == 100 or self._dice.roll(rule.name, fault.kind, key, request) * 100 < fault.percentage
        ]

    def _is_over_share(
        self, candidates: Sequence[LiveRule], chosen: Sequence[tuple[LiveRule, Fault]], request: Request, now: float
    ) -> bool:
        """Thin out what fires so that no matching request is faulted with more than the allowed chance."""
        if self._is_unlimited:
            return False
        chance = 100 * _chance(candidates, request, now)
        if chance <= self.limits.max_percentage:
            return False
        first = chosen[0][0].rule
        key = first.sample_by.key(request) if first.sample_by else None
        if self._dice.roll(first.name, "max_percentage", key, request) * chance < self.limits.max_percentage:
            return False
        for live, _ in chosen:
            live.tally.suppressed["max_share"] += 1
        return True

    def _plan(self, chosen: Sequence[tuple[LiveRule, Fault]], request: Request) -> Plan:
        left = self.limits.max_delay_seconds
        terminal: Terminal | None = None
        injections: list[Injection] = []
        for live, fault in chosen:
            seconds = 0.0
            if isinstance(fault, Delay):
                rule = live.rule
                key = rule.sample_by.key(request) if rule.sample_by else None
                seconds = min(left, fault.distribution.at(self._dice.roll(rule.name, "duration", key, request)))
                left -= seconds
            else:
                terminal = fault
            injections.append(Injection(live, fault.kind, seconds))
        return Plan(tuple(injections), self.limits.max_delay_seconds - left, terminal)


def _chance(candidates: Sequence[LiveRule], request: Request, now: float) -> float:
    """The chance, 0 to 1, that any rule does anything: also of those that were not tried, since one ended the request.

    Counts, turns and missing keys are left out of account; they only make the true chance smaller.
    """
    is_preflight = request.is_preflight
    groups: set[str] = set()
    escape = 1.0
    for live in candidates:
        rule = live.rule
        if now >= live.deadline or rule.group in groups or not rule.match.accepts_rest(request):
            continue
        if rule.group:
            groups.add(rule.group)
        if not is_preflight or "OPTIONS" in rule.match.methods:
            idle = math.prod(1 - fault.percentage / 100 for fault in rule.faults)
            escape *= 1 - rule.percentage / 100 * (1 - idle)
    return 1 - escape
