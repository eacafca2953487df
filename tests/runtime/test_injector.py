"""The live object: what a request sees, and what is told of it."""

from __future__ import annotations

import pytest

from faultware.core.engine import Limits
from faultware.runtime import injector as module
from faultware.runtime.view import environ_key
from faultware.state.store import KILLED
from faultware.telemetry.events import FaultInjected, InternalError
from tests.runtime.kit import (
    BEGIN,
    PAY,
    FakeRequest,
    StillRefresher,
    ask,
    make_injector,
    memory,
    names,
    other_worker,
    rules_of,
)

# What a request sees.


def test_the_first_request_is_faulted_without_waiting_for_a_tick():
    assert names(make_injector(PAY)) == ["pay"]


def test_before_the_first_request_nothing_runs_and_no_view_is_in_force():
    injector = make_injector(PAY)
    assert injector._refresher is None
    assert injector.view.word != injector.signal[0]
    assert injector.view.alarm
    injector.current()
    assert isinstance(injector._refresher, StillRefresher)
    assert injector.view.word == injector.signal[0]
    assert not injector.view.alarm


def test_a_view_stays_the_same_while_nothing_changes():
    injector = make_injector(PAY)
    view = injector.current()
    assert injector.current() is view
    injector.tick()
    assert injector.current() is view


def test_a_kill_is_seen_by_the_next_request_in_another_worker(time):
    injector = make_injector(PAY, time=time)
    assert names(injector) == ["pay"]
    other_worker(injector, time).kill("me")
    assert names(injector) == []
    assert injector.current().rules.live == ()


def test_a_service_that_starts_killed_faults_nothing_until_it_is_armed(time):
    injector = make_injector(PAY, time=time, store=memory(killed=True))
    assert names(injector) == []
    other_worker(injector, time).arm("me")
    injector.tick()
    assert names(injector) == ["pay"]


def test_while_it_is_killed_the_signal_is_left_to_the_refresher(time):
    injector = make_injector(PAY, time=time)
    assert not injector.view.is_off  # nothing is known before the first request
    assert names(injector) == ["pay"]
    injector.switch.kill("me")
    assert not injector.view.is_off  # nobody has noticed
    assert names(injector) == []
    assert injector.view.is_off
    other_worker(injector, time).arm("another worker")
    assert injector.view.is_off
    injector.tick()
    assert not injector.view.is_off
    assert names(injector) == ["pay"]


def test_a_signal_that_is_what_it_was_before_a_kill_is_seen_though_nothing_is_to_be_loaded():
    injector = make_injector(PAY)
    ask(injector)
    injector.signal[0] |= KILLED
    assert injector.view.alarm
    ask(injector)
    assert injector.view.is_off
    injector.signal[0] &= ~KILLED
    injector.tick()
    assert names(injector) == ["pay"]


def test_a_request_that_puts_an_old_view_back_does_so_until_the_next_tick(time):
    injector = make_injector(PAY, time=time)
    assert names(injector) == ["pay"]
    armed = injector.view
    injector.switch.kill("me")
    assert names(injector) == []
    killed = injector.view
    other_worker(injector, time).arm("another worker")
    other_worker(injector, time).replace_rules(rules_of("/pay 100% abort 500 as new"))
    injector.tick()
    assert names(injector) == ["new"]
    for late in (armed, killed):
        injector.view = late
        injector.tick()
        assert injector.view.alarm
        assert names(injector) == ["new"]


def test_a_child_of_a_killed_process_looks_at_the_switch_for_itself():
    injector = make_injector(PAY)
    ask(injector)
    injector.switch.kill("me")
    ask(injector)
    injector.after_fork()
    assert not injector.view.is_off
    assert injector.view.alarm


def test_rules_that_another_worker_put_are_seen_after_a_tick_and_wake_the_refresher(time):
    injector = make_injector(PAY, time=time)
    assert names(injector) == ["pay"]
    other_worker(injector, time).replace_rules(rules_of("/pay 100% abort 500 as new"))
    assert names(injector) == ["pay"]
    assert injector._refresher.wakes == 1
    injector.tick()
    assert names(injector) == ["new"]


def test_rules_that_were_put_here_are_seen_at_once():
    injector = make_injector(PAY)
    assert names(injector) == ["pay"]
    snapshot = injector.switch.replace_rules(rules_of("/pay 100% abort 500 as new"))
    assert injector.refresh() == snapshot
    assert names(injector) == ["new"]


def test_a_kill_and_an_arm_between_two_requests_leave_no_trace(time):
    injector = make_injector(PAY, time=time)
    ask(injector)
    other = other_worker(injector, time)
    other.kill("me")
    other.arm("me")
    injector.tick()
    assert names(injector) == ["pay"]


def test_rules_expire_without_a_tick(time):
    injector = make_injector("/pay 100% abort 503 for 60s as pay", time=time)
    assert names(injector) == ["pay"]
    time.pass_(60)
    assert names(injector) == []


def test_a_tick_drops_what_has_expired(time):
    injector = make_injector("/pay 100% abort 503 for 60s as pay; /x 1% abort 503 as x", time=time)
    time.pass_(59)
    injector.tick()
    assert [entry.rule.name for entry in injector.live_rules()] == ["pay", "x"]
    time.pass_(1)
    injector.tick()
    assert [entry.rule.name for entry in injector.live_rules()] == ["x"]
    assert injector.readings().rules == 1


def test_a_rule_that_has_expired_does_not_come_back_when_the_wall_clock_is_set_back(time):
    injector = make_injector("", time=time)
    injector.switch.put_rule(rules_of(PAY)[0])
    injector.refresh()
    time.jump(-7200)
    time.pass_(600)
    injector.tick()
    assert names(injector) == []
    reads = []
    injector.switch.store.read = lambda: reads.append(1)
    injector.tick()
    assert not reads


def test_a_tally_goes_on_when_rules_change(time):
    injector = make_injector("/pay 100% 2x abort 503 as pay", time=time)
    assert names(injector) == ["pay"]
    other_worker(injector, time).put_rule(rules_of("/x 1% abort 503 as x")[0])
    injector.tick()
    assert [names(injector), names(injector)] == [["pay"], []]


def test_a_view_without_conditions_on_fields_shares_the_memory_of_its_rules():
    view = make_injector(PAY).current()
    assert view.quiet is view.rules.quiet
    assert view.known is view.rules.known


@pytest.mark.parametrize(
    ("condition", "names_", "raw_names"),
    [
        ("header:x-canary=1", {"HTTP_X_CANARY"}, {b"x-canary"}),
        ("cookie:a=1", {"HTTP_COOKIE"}, {b"cookie"}),
        ("query:a=1", set(), set()),
    ],
)
def test_a_view_says_what_besides_the_path_may_bring_a_rule_in(condition, names_, raw_names):
    injector = make_injector(f"/** {condition} 100% abort 503")
    ask(injector, "/x")
    view = injector.current()
    assert view.known == {}
    assert (view.header_names, view.raw_header_names) == (names_, raw_names)
    assert view.rules.has_query == (not names_)
    assert view.quiet == {}
    assert ("/x" in view.nearly_quiet) == bool(names_)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("x-user-id", "HTTP_X_USER_ID"),
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("accept", "HTTP_ACCEPT"),
    ],
)
def test_a_header_has_its_place_in_a_wsgi_environment(name, key):
    assert environ_key(name) == key


# A failure of our own lets the request pass.


def test_an_engine_that_fails_lets_the_request_pass_and_is_counted(heard, monkeypatch):
    injector = make_injector(PAY, heard=heard)
    monkeypatch.setattr(type(injector._engine), "decide", lambda *_args: 1 / 0)
    assert ask(injector) is None
    assert injector.internal_errors == {"decide": 1}
    assert heard.of(InternalError) == [InternalError(BEGIN, "decide", "ZeroDivisionError: division by zero")]


def test_an_observer_that_fails_is_counted_and_the_others_hear_all_the_same(heard):
    class Deaf:
        def notice(self, event):
            raise RuntimeError("what?")

    injector = make_injector(PAY)
    injector.observers = (Deaf(), heard)
    plan = ask(injector)
    injector.injected(plan.injections[0], FakeRequest())
    assert len(heard.of(FaultInjected)) == 1
    assert injector.internal_errors == {"observe": 1}


def test_metrics_that_fail_do_not_break_the_request(monkeypatch):
    injector = make_injector("/pay 100% delay 1s as pay")
    monkeypatch.setattr(injector.metrics, "observe_delay", lambda *_args: 1 / 0)
    injector.injected(ask(injector).injections[0], FakeRequest())
    assert injector.internal_errors == {"observe": 1}


def test_a_thread_that_cannot_start_means_no_faults_and_is_tried_again(monkeypatch, heard):
    def cannot(_owner):
        raise RuntimeError("can't start new thread")

    injector = make_injector(PAY, heard=heard)
    monkeypatch.setattr(module, "Refresher", cannot)
    assert [names(injector), names(injector)] == [[], []]
    assert injector.internal_errors == {"refresh": 2}
    monkeypatch.setattr(module, "Refresher", StillRefresher)
    assert names(injector) == ["pay"]


# What is told.


def test_a_dry_run_decides_and_counts_and_does_nothing(heard):
    injector = make_injector("/pay 100% delay 1s as slow; /pay 100% abort 503 as pay", dry_run=True, heard=heard)
    assert ask(injector) is None
    assert [(event.rule, event.fault, event.dry_run) for event in heard.of(FaultInjected)] == [
        ("slow", "delay", True),
        ("pay", "abort", True),
    ]
    tallies = [entry.tally for entry in injector.live_rules()]
    assert [tally.suppressed for tally in tallies] == [{"dry_run": 1}, {"dry_run": 1}]
    assert [tally.matched for tally in tallies] == [1, 1]
    assert not any(tally.injected for tally in tallies)


def test_what_is_injected_is_counted_and_told(heard):
    injector = make_injector("/pay 100% delay 1s as slow", heard=heard)
    injector.injected(ask(injector).injections[0], FakeRequest())
    assert heard.of(FaultInjected) == [FaultInjected(BEGIN, "slow", "delay", "GET", "/pay", 1.0, False)]
    assert injector.live_rules()[0].tally.injected == {"delay": 1}


def test_what_is_withdrawn_is_counted_with_its_reason():
    injector = make_injector(PAY)
    injector.withdrawn(ask(injector).injections[0], "killed")
    assert injector.live_rules()[0].tally.suppressed == {"killed": 1}


def test_a_hang_lasts_as_long_as_its_rule_says_but_no_longer_than_any_delay():
    injector = make_injector(PAY, limits=Limits(max_delay_seconds=10))
    assert [injector.hang_seconds(seconds) for seconds in (None, 5.0, 20.0)] == [10, 5, 10]


def test_readings_say_what_is_so(time):
    injector = make_injector("/pay 100% abort 503 for 60s as pay; /x 1% abort 503 as x", time=time)
    injector.enter(ask(injector))
    readings = injector.readings()
    assert (readings.rules, readings.active_faults, readings.armed, readings.generation) == (2, 1, True, 1)
    assert (readings.last_reload_successful, readings.last_reload_at) == (True, BEGIN)
    time.pass_(60)
    injector.switch.kill("me")
    injector.failed("x", ValueError())
    readings = injector.readings()
    assert (readings.rules, readings.armed, readings.internal_errors) == (1, False, {"x": 1})


def test_rules_that_the_index_cannot_file_are_named():
    assert make_injector("/**/pay* 1% abort 503 as wide; /pay 1% abort 503 as pay").scanned_rules() == ["wide"]


# Faults of the process.


def test_a_fault_of_the_process_is_noted_before_it_acts(heard):
    injector = make_injector("/pay 100% kill as worker", heard=heard)
    injector.instances = FakeInstances(heard)
    injector.act(ask(injector).before[0], FakeRequest())
    assert injector.instances.heard_before == [("worker", "kill")]
    assert injector.live_rules()[0].tally.injected == {"kill": 1}


@pytest.mark.parametrize(("killed_by", "reason"), [("nobody", "busy"), ("switch", "killed"), ("file", "killed")])
def test_a_fault_of_the_process_that_finds_no_place_is_withdrawn(monkeypatch, killed_by, reason):
    injector = make_injector("/pay 100% cpu 50% as burn")
    injection = ask(injector).before[0]
    injector.instances.reserve(injection.fault)
    if killed_by == "switch":
        injector.switch.kill("me")
    monkeypatch.setattr(injector.switch, "kill_file_exists", lambda: killed_by == "file")
    injector.act(injection, FakeRequest())
    assert injector.live_rules()[0].tally.suppressed == {reason: 1}


def test_a_failure_while_the_process_is_being_harmed_is_our_own():
    injector = make_injector("/pay 100% block 1s as stuck")
    injector.instances = FakeInstances()
    injector.act(ask(injector).before[0], FakeRequest())
    assert injector.internal_errors == {"instance": 1}


class FakeInstances:
    """Notes what has been heard by the time something acts."""

    def __init__(self, heard=None):
        self.heard = heard

    def reserve(self, _fault):
        return True

    def run(self, _fault):
        if self.heard is None:
            raise OSError("cannot")
        self.heard_before = [(event.rule, event.fault) for event in self.heard.of(FaultInjected)]
