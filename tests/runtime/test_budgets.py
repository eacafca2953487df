"""Since when the budgets of a process count: since the switch was armed, whoever looks when."""

from __future__ import annotations

from faultware.config.guardlines import read_guards
from faultware.runtime.caps import Budgets, Caps
from faultware.runtime.guard import Watch
from tests.runtime.kit import Time, ask, make_injector


def service(**budgets):
    time = Time()
    injector = make_injector("/pay 100% abort 503", time=time)
    injector.caps = Caps(Budgets(**budgets), time.clocks.monotonic)
    watch = Watch((), read=read_guards)
    injector.chores.append(watch.tick)
    return injector, time


def faults(injector, number):
    """How many of so many requests find a place."""
    found = 0
    for _ in range(number):
        plan = ask(injector)
        if plan is not None and injector.enter(plan):
            injector.caps.leave()
            found += 1
    return found


def test_what_was_faulted_before_the_first_tick_counts():
    injector, _ = service(total=3, per_minute=5)
    assert faults(injector, 2) == 2
    injector.tick()
    assert faults(injector, 9) == 1


def test_who_kills_and_arms_between_two_ticks_has_armed():
    injector, time = service(total=3)
    injector.tick()
    assert faults(injector, 9) == 3
    injector.kill("somebody")
    time.pass_(0.01)
    injector.switch.arm("somebody")
    injector.refresh()
    assert faults(injector, 2) == 2
    injector.tick()
    assert faults(injector, 9) == 1


def test_a_change_of_the_rules_is_no_arming():
    injector, time = service(total=3)
    assert faults(injector, 9) == 3
    injector.switch.replace_guards((), actor="somebody")
    time.pass_(1)
    injector.refresh()
    injector.tick()
    assert injector.caps.enter() == "max_faults"


def test_a_store_that_answers_again_arms_nothing():
    injector, _ = service(total=3)
    injector.tick()
    assert faults(injector, 9) == 3
    injector.cut()
    injector.tick()
    injector.mend()
    injector.tick()
    assert faults(injector, 9) == 0


def test_requests_count_from_arming_too():
    injector, time = service(traffic_percentage=50)
    for _ in range(10):
        injector.traffic.begin()
    injector.kill("somebody")
    time.pass_(1)
    injector.switch.arm("somebody")
    injector.refresh()
    assert injector.traffic.requests == 0
