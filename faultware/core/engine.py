"""Decides what happens to one request.

All rules are tried in order and each rolls its own dice, so that each rule's observed share is its configured share.
Delays add up to at most `max_delay_seconds`; the first fault that ends the request ends the search too. Time and chance
come in as arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from faultware.core.faults import Abort, Delay, DelayResponse, Phase, RateLimit
from faultware.core.plan import Injection, Plan
from faultware.core.sampling import Untaken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faultware.core.asking import ByHeaders
    from faultware.core.faults import Fault
    from faultware.core.request import Request
    from faultware.core.rules import Rule
    from faultware.core.ruleset import LiveRule
    from faultware.core.sampling import Dice, Part

# What one request draws for each group, and for what the decision sticks to.
Draws: TypeAlias = dict[tuple[str, str | None], float]


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
        may_ask: Whether a request may ask for faults by headers; None: no request may.
    """

    __slots__ = ("_dice", "_is_unlimited", "_may_ask", "is_plain", "limits")

    def __init__(self, dice: Dice, limits: Limits, may_ask: Callable[[Request], bool] | None = None) -> None:
        self._dice = dice
        self._may_ask = may_ask
        self.limits = limits
        self._is_unlimited = limits.max_percentage >= 100
        # Whether `roll` may be asked instead of `decide`.
        self.is_plain = self._is_unlimited and not dice.is_seeded

    def decide(self, candidates: Sequence[LiveRule], request: Request, now: float) -> Plan | None:
        """What to do to a request whose path the candidates accept; None: nothing.

        Every match, roll and refusal is entered in the rule's tally; what is injected is entered by who injects it.
        """
        chosen: tuple[Injection, ...] = ()
        groups: set[str] | None = None
        draws: Draws | None = None
        is_preflight = request.method == "OPTIONS" and request.is_preflight
        has_plain_roll = not (self._dice.is_seeded or is_preflight)
        for live in candidates:
            rule, tally = live.rule, live.tally
            key = None
            if live.is_plain and has_plain_roll:
                tally.matched += 1
                tally.rolled += 1
                if self._dice.random() * 100 >= live.percentage:
                    continue
            else:
                if live.has_conditions and not rule.match.accepts_rest(request):
                    continue
                if rule.group and now < live.deadline:
                    groups = groups or set()
                    if rule.group in groups or (
                        rule.part is not None and not self._is_in(rule.part, rule, request, draws := draws or {})
                    ):
                        continue
                    groups.add(rule.group)
                tally.matched += 1
                if is_preflight and "OPTIONS" not in rule.match.methods:
                    tally.suppressed["excluded"] += 1
                    continue
                if now >= live.deadline:
                    tally.suppressed["expired"] += 1
                    continue
                key = rule.sample_by.key(request) if rule.sample_by is not None else None
                if not self._fires(live, key, request, now):
                    continue
            whole = live.whole
            if whole is not None and not chosen and self._is_unlimited:
                # What only delays is the whole of it where no other rule has a say.
                is_all = whole.ending is not None or live is candidates[-1]
                if is_all and whole.delay_seconds <= self.limits.max_delay_seconds:
                    return whole
            injections = self._chosen_faults(live, key, request, now)
            chosen = (*chosen, *injections)
            if any(injection.fault.phase is Phase.TERMINAL for injection in injections):
                break
        if not chosen or self._is_over_share(candidates, chosen, request, now):
            return None
        return self._plan(chosen)

    def roll(self, live: LiveRule) -> Plan | None:
        """What `decide` says of a simple rule that is the only candidate, unless the request is a preflight."""
        tally, whole = live.tally, live.whole
        tally.matched += 1
        tally.rolled += 1
        if whole is None or self._dice.random() * 100 >= live.percentage:
            return None
        return whole if whole.delay_seconds <= self.limits.max_delay_seconds else self._plan(whole.before)

    def _is_in(self, part: Part, rule: Rule, request: Request, draws: Draws) -> bool:
        """Whether the draw that a request makes for the rules of a group falls into one rule's part of it."""
        key = None
        if rule.sample_by is not None:
            key = rule.sample_by.key(request)
            if key is None:
                return False
        draw = draws.get((rule.group, key))
        if draw is None:
            draw = draws[rule.group, key] = self._dice.roll(rule.group, "part", key, request)
        return part[0] <= draw * 100 < part[1]

    def _fires(self, live: LiveRule, key: str | None, request: Request, now: float) -> bool:
        rule, tally = live.rule, live.tally
        if not live.is_always and not rule.takes_part(next(tally.turns)):
            return False
        if key is None and rule.sample_by is not None:
            return False
        tally.rolled += 1
        if self._dice.roll(rule.name, "rule", key, request) * 100 >= live.percentage_at(now):
            return False
        if rule.count is not None and next(tally.tickets) >= rule.count:
            tally.suppressed["count"] += 1
            return False
        return True

    def _chosen_faults(self, live: LiveRule, key: str | None, request: Request, now: float) -> list[Injection]:
        """What a rule that fires does: each of its faults rolls its own percentage, and one alternative is drawn."""
        rule = live.rule

        def roll(purpose: str) -> float:
            return self._dice.roll(rule.name, purpose, key, request)

        possible = rule.faults if rule.by_headers is None else self._with_asked(rule, rule.by_headers, request)
        faults = [fault for fault in possible if fault.percentage == 100 or roll(fault.kind) * 100 < fault.percentage]
        if rule.choose:
            faults.append(rule.alternative(roll("choose")))
        injections: list[Injection] = []
        for fault in faults:
            if isinstance(fault, RateLimit):
                seconds = live.tally.budget.spend(fault, fault.by.key(request), now)
                if seconds:
                    injections.append(Injection(live, fault, retry_after_seconds=math.ceil(seconds)))
            elif isinstance(fault, Delay):
                # A delay behind the handler has a chance of its own.
                purpose = "response_duration" if isinstance(fault, DelayResponse) else "duration"
                injections.append(Injection(live, fault, fault.distribution.at(roll(purpose))))
            elif fault.phase is Phase.RESPONSE:
                injections.append(Injection(live, fault, draw=roll(f"{fault.kind} act")))
            else:
                whole = fault.filled(request) if isinstance(fault, Abort) and fault.template else fault
                injections.append(Injection(live, whole))
        return injections

    def _with_asked(self, rule: Rule, by_headers: ByHeaders, request: Request) -> tuple[Fault, ...]:
        """The faults of a rule, and those that a request asks for."""
        if self._may_ask is None or not self._may_ask(request):
            return rule.faults
        return (*rule.faults, *by_headers.asked(request))

    def _is_over_share(
        self, candidates: Sequence[LiveRule], chosen: Sequence[Injection], request: Request, now: float
    ) -> bool:
        """Thin out what fires so that no matching request is faulted with more than the allowed chance."""
        if self._is_unlimited:
            return False
        chance = 100 * _chance(candidates, request, now)
        if chance <= self.limits.max_percentage:
            return False
        first = chosen[0].live.rule
        key = first.sample_by.key(request) if first.sample_by else None
        if self._dice.roll(first.name, "max_percentage", key, request) * chance < self.limits.max_percentage:
            return False
        for injection in chosen:
            injection.live.tally.suppressed["max_share"] += 1
        return True

    def _plan(self, chosen: Sequence[Injection]) -> Plan:
        """Put what was chosen in the order in which it acts. What ends the request leaves nothing to do after it."""
        left = most = self.limits.max_delay_seconds
        before: list[Injection] = []
        after: list[Injection] = []
        ending: Injection | None = None
        for injection in chosen:
            match injection.fault.phase:
                case Phase.DELAY:
                    seconds = min(left, injection.delay_seconds)
                    left -= seconds
                    before.append(injection if seconds == injection.delay_seconds else _shorter(injection, seconds))
                case Phase.INSTANCE:
                    before.append(injection)
                case Phase.TERMINAL:
                    ending = injection
                case Phase.REQUEST | Phase.RESPONSE:
                    after.append(_shorter(injection, min(most, injection.delay_seconds)))
        return Plan(tuple(before), ending, () if ending else tuple(after), most - left)


def _shorter(injection: Injection, seconds: float) -> Injection:
    return replace(injection, delay_seconds=seconds)


def _chance(candidates: Sequence[LiveRule], request: Request, now: float) -> float:
    """The chance, 0 to 1, that any rule does anything: also of those that were not tried, since one ended the request.

    Counts, turns and missing keys are left out of account; they only make the true chance smaller.
    """
    is_preflight = request.is_preflight
    untaken = Untaken()
    # Rules of a group exclude each other: their chances add up.
    chances: dict[object, float] = {}
    for live in candidates:
        rule = live.rule
        if now >= live.deadline or not rule.match.accepts_rest(request):
            continue
        reached = untaken.take(rule.group, rule.part)
        if not is_preflight or "OPTIONS" in rule.match.methods:
            idle = rule.idle_chance
            if rule.by_headers is not None:
                idle *= math.prod(1 - chance for chance in rule.by_headers.chances())
            chance = reached * live.percentage_at(now) / 100 * (1 - idle)
            key = rule.group or live
            chances[key] = chances.get(key, 0.0) + chance
    return 1 - math.prod(1 - chance for chance in chances.values())
