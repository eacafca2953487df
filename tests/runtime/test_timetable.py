"""Faults that come by themselves: one plan for all processes of a store, and restraint at the last moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from faultware import RuleError
from faultware.config.documents import read_rules
from faultware.core.recurring import LATE_SECONDS
from faultware.runtime.capabilities import Capabilities
from faultware.runtime.timetable import Timetable
from faultware.telemetry.events import FaultInjected
from tests.runtime.kit import BEGIN, BrokenStore, Heard, Time, ask, make_injector, memory

ALWAYS = {"start": "00:00", "end": "00:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
DAY = 86400.0


class Service:
    """A process with one rule, whose faults only leave a trace."""

    def __init__(self, store=None, time=None, *, kind="kill", dry_run=False, **recurring) -> None:
        self.time, self.heard = time or Time(), Heard()
        words = {"mtbf": "1h", "leashed": False, "max_per_day": 3, **ALWAYS, **recurring}
        rules = read_rules([{"name": "monkey", kind: "1s" if kind == "block" else {}, "recurring": words}])
        self.injector = make_injector(rules, time=self.time, store=store or memory(), heard=self.heard, dry_run=dry_run)
        self.injector.chores.append(Timetable(lambda: 0.5, is_dry=dry_run).tick)
        ask(self.injector)
        self.done: list[float] = []
        self.injector.instances.run = lambda _fault: self.done.append(self.time.wall_now - BEGIN)
        self.injector.instances.reserve = lambda _fault: not self.injector.switch.killed

    @property
    def tally(self):
        return self.injector.live_rules()[0].tally

    @property
    def due(self) -> float:
        (planned,) = self.injector.switch.store.read().plans
        return planned.at

    def tick(self) -> None:
        """Twice: the second sees what the first has written."""
        self.injector.tick()
        self.injector.tick()

    def pass_to(self, at: float) -> None:
        self.time.pass_(at - self.time.wall_now)
        self.tick()


@pytest.fixture
def service():
    service = Service()
    service.tick()
    return service


def test_nothing_happens_before_it_is_due_and_then_once(service):
    assert service.due > service.time.wall_now
    service.pass_to(service.due - 1)
    assert service.done == []
    due = service.due
    service.pass_to(due)
    service.tick()
    assert service.done == [due - BEGIN]
    assert service.due > due
    assert service.tally.injected == {"kill": 1}


def test_of_all_processes_that_share_a_store_one_is_hit():
    store, time = memory(), Time()
    services = [Service(store, time) for _ in range(4)]
    for _ in range(3):
        for service in services:
            service.tick()
        time.pass_(services[0].due - time.wall_now)
        for service in services:
            service.tick()
    assert sum(len(service.done) for service in services) == 3


def test_a_kill_switch_that_is_killed_in_between_keeps_everybody_alive(service):
    due = service.due
    service.injector.switch.kill("me")
    service.pass_to(due)
    assert service.done == []


def test_what_is_late_is_let_pass(service):
    service.pass_to(service.due + LATE_SECONDS + 1)
    assert service.done == []
    assert service.tally.suppressed == {"late": 1}
    assert service.due > service.time.wall_now


def test_a_day_has_only_its_number(service):
    while len(service.done) < 3:
        service.pass_to(service.due)
    assert len({int((BEGIN + at) // DAY) for at in service.done}) == 1
    assert service.due // DAY == (BEGIN + service.done[-1]) // DAY + 1


def test_the_gap_to_the_last_one_is_kept():
    service = Service(min_gap="4h")
    service.tick()
    service.pass_to(service.due)
    assert service.due >= service.time.wall_now + 4 * 3600


@pytest.mark.parametrize("stricter", [{"max_per_day": 1}, {"min_gap_seconds": 4 * 3600.0}], ids=["number", "gap"])
def test_a_stricter_rule_of_the_same_name_holds_for_what_was_planned_before_it(stricter):
    service = Service(mtbf="20m")
    service.tick()
    service.pass_to(service.due)
    due = service.due
    (rule,) = (entry.rule for entry in service.injector.live_rules())
    recurring = replace(rule.recurring, **stricter)
    service.injector.switch.replace_rules([replace(rule, recurring=recurring, lifetime_seconds=3600)])
    service.tick()
    service.pass_to(due)
    assert len(service.done) == 1
    assert service.tally.suppressed == {"enough": 1}
    last = BEGIN + service.done[0]
    assert service.due // DAY > last // DAY if "max_per_day" in stricter else service.due >= last + 4 * 3600


@pytest.mark.parametrize(("options", "reason"), [({"leashed": True}, "leashed"), ({"dry_run": True}, "dry_run")])
def test_on_a_leash_it_only_says_what_it_would_do(options, reason):
    service = Service(**options)
    service.tick()
    service.pass_to(service.due)
    assert service.done == []
    assert service.tally.suppressed == {reason: 1}
    assert [(event.rule, event.dry_run) for event in service.heard.of(FaultInjected)] == [("monkey", True)]


def test_a_store_that_does_not_answer_means_that_nothing_happens():
    store = memory(kind=BrokenStore)
    service = Service(store)
    service.tick()
    store.broken = {"update"}
    service.pass_to(service.due)
    assert service.done == []
    store.broken = set()
    service.tick()
    assert len(service.done) == 1


def test_a_rule_that_has_gone_does_nothing_more(service):
    due = service.due
    service.injector.switch.replace_rules([])
    service.pass_to(due)
    assert service.done == []


def test_an_expired_rule_does_nothing_more():
    service = Service()
    (rule,) = (entry.rule for entry in service.injector.live_rules())
    service.injector.switch.replace_rules([replace(rule, lifetime_seconds=600)])
    service.tick()
    service.time.pass_(601)
    service.time.pass_(max(0.0, service.due - service.time.wall_now))
    service.tick()
    assert service.done == []


def test_no_request_meets_what_comes_by_itself(service):
    assert ask(service.injector) is None
    assert service.tally.matched == 0


def test_an_unknown_time_zone_is_refused_at_the_start():
    with pytest.raises(RuleError, match="unknown time zone 'Mars/Olympus'") as caught:
        Service(timezone="Mars/Olympus")
    assert caught.value.where == "monkey.recurring.timezone"
    assert Service(timezone="Europe/Berlin").injector.live_rules()


def test_it_needs_leave_to_harm_the_process():
    rules = read_rules([{"name": "monkey", "kill": {}, "recurring": {"mtbf": "1h"}}])
    with pytest.raises(RuleError, match="FAULTWARE_ALLOW_INSTANCE_FAULTS is not true"):
        Capabilities().check(rules[0])
