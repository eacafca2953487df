"""Faults of the process that come by themselves: when the next one is due, and who does it.

All processes that share a store share one plan; whoever finds an entry due claims it there, and is hit. Everything is
looked at again at that moment: the switch, the window, the day's number. What is late is let pass and not caught up.
Anything that goes wrong on the way means that nothing happens.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from faultware.core.plan import Injection
from faultware.core.recurring import LATE_SECONDS
from faultware.core.request import Request
from faultware.errors import RuleError
from faultware.state.store import Planned

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.core.recurring import Recurring
    from faultware.core.rules import Rule
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.injector import Injector
    from faultware.state.store import Snapshot

_DAY_SECONDS: Final = 24 * 3600.0
# What comes by itself was asked for by no request.
_NOBODY: Final = Request("-", "-")


def zone_of(recurring: Recurring) -> tzinfo:
    """The time zone of a recurring fault.

    Raises:
        RuleError: The machine's database does not know it.
    """
    if recurring.timezone == "UTC":  # which needs no database
        return UTC
    try:
        return ZoneInfo(recurring.timezone)
    except (LookupError, OSError, ValueError):
        hint = "a name of the IANA database, such as Europe/Berlin; pip install tzdata where there is none"
        raise RuleError(f"unknown time zone {recurring.timezone!r}", where="recurring.timezone", hint=hint) from None


def check_zone(rule: Rule) -> None:
    """Refuse a rule whose time zone is unknown here; raises `RuleError`."""
    if rule.recurring is not None:
        zone_of(rule.recurring)


class Timetable:
    """Plans and claims.

    Args:
        random: Gives an even draw from [0, 1) at each call.
        is_dry: Whether nothing is to be done at all.
    """

    def __init__(self, random: Callable[[], float], *, is_dry: bool) -> None:
        self._random = random
        self._is_dry = is_dry

    def tick(self, injector: Injector) -> None:
        """Do what is due. Raises `StoreError`; then nothing was done."""
        snapshot, now = injector.snapshot, injector.clocks.monotonic()
        if snapshot is None or injector.is_stopped:
            return
        planned = {entry.rule: entry for entry in snapshot.plans}
        for live in injector.live_rules():
            recurring = live.rule.recurring
            if recurring is None or live.deadline <= now:
                continue
            known = planned.get(live.rule.name)
            if known is None:
                self._plan(injector, live.rule.name, recurring)
            elif known.at <= injector.clocks.wall():
                self._fall_due(injector, live, recurring, known)

    def _plan(self, injector: Injector, name: str, recurring: Recurring) -> None:
        first = self._next(Planned(name, 0.0), recurring, injector.clocks.wall())

        def planned(before: Snapshot) -> Snapshot:
            if any(entry.rule == name for entry in before.plans):
                raise _SomebodyElse
            return replace(before, plans=(*before.plans, first))

        _write(injector, planned)

    def _fall_due(self, injector: Injector, live: LiveRule, recurring: Recurring, due: Planned) -> None:
        now, zone = injector.clocks.wall(), zone_of(recurring)
        day = recurring.day_of(now, zone)
        count = due.count + 1 if due.day == day else 1
        # The rule may have been replaced by a stricter one of its name since this was planned.
        is_too_much = count > recurring.max_per_day or (due.last and now - due.last < recurring.min_gap_seconds)
        if now - due.at > LATE_SECONDS:
            reason = "late"
        elif not recurring.is_open(now, zone):
            reason = "closed"
        else:
            reason = "enough" if is_too_much else ""
        done = due if reason else replace(due, day=day, count=count, last=now)
        following = self._next(done, recurring, now)

        def claimed(before: Snapshot) -> Snapshot:
            if before.killed or due not in before.plans:
                raise _SomebodyElse
            return replace(before, plans=tuple(following if entry == due else entry for entry in before.plans))

        if not _write(injector, claimed):
            return
        injection = Injection(live, live.rule.faults[0])
        reason = reason or ("dry_run" if self._is_dry else "leashed" if recurring.leashed else "")
        if reason:
            injector.spare(injection, _NOBODY, reason)
        else:
            injector.act(injection, _NOBODY)

    def _next(self, done: Planned, recurring: Recurring, now: float) -> Planned:
        """When it is due next: not before the gap is over, and not on a day that has had its number."""
        zone = zone_of(recurring)
        begin = max(now, done.last + recurring.min_gap_seconds if done.last else now)
        if done.count >= recurring.max_per_day:
            while recurring.day_of(begin, zone) == done.day:
                begin += _DAY_SECONDS / 24
        at = recurring.next_after(begin, self._random(), zone)
        return replace(done, at=begin + 366 * _DAY_SECONDS if at is None else at)


def _write(injector: Injector, change: Callable[[Snapshot], Snapshot]) -> bool:
    """Whether the change was made; False: another process was quicker."""
    try:
        injector.switch.store.update(change)
    except _SomebodyElse:
        return False
    return True


class _SomebodyElse(Exception):  # noqa: N818  (a sign to ourselves)
    """Another process has done it."""
