"""What is measured is a sample with a bounded cost."""

from __future__ import annotations

from faultware.runtime.traffic import ALLOWANCE, Traffic
from tests.runtime.kit import PAY, Time, ask, make_injector


def test_each_tick_grants_an_allowance():
    traffic = Traffic(Time().clocks.monotonic)
    assert not traffic.wants()
    traffic.grant()
    assert sum(traffic.wants() for _ in range(500)) == ALLOWANCE
    traffic.is_whole = True
    assert all(traffic.wants() for _ in range(500))


def test_a_view_is_measured_until_enough_is():
    injector = make_injector(PAY)
    ask(injector)
    fast = injector.view
    injector.measure()
    measured = injector.view
    assert (measured.is_measured, fast.is_measured) == (True, False)
    assert (measured.word, measured.rules, measured.quiet) == (fast.word, fast.rules, {})
    assert all(injector.measures(measured) for _ in range(ALLOWANCE))
    assert injector.view is measured
    assert not injector.measures(measured)
    assert injector.view is fast
    injector.measure()
    assert injector.view is measured


def test_an_idle_view_is_not_measured():
    injector = make_injector("")
    injector.measure()
    assert not injector.view.is_measured


def test_answers_are_kept_with_what_they_say():
    time = Time()
    traffic = Traffic(time.clocks.monotonic)
    traffic.note(0.1, 200, is_injected=False)
    time.pass_(5)
    traffic.note(0.2, 503, is_injected=True)
    traffic.note(0.3, 0, is_injected=False)
    kept = [(one.seconds, one.is_error, one.is_injected) for one in traffic.since(4)]
    assert kept == [(0.2, True, True), (0.3, True, False)]
    assert len(traffic.since(10)) == 3
    traffic.forget()
    assert traffic.since(10) == []


def test_what_is_in_flight_is_counted_and_a_child_has_none():
    traffic = Traffic(Time().clocks.monotonic)
    traffic.begin()
    traffic.begin()
    traffic.end()
    assert (traffic.in_flight, traffic.requests) == (1, 2)
    traffic.after_fork()
    assert (traffic.in_flight, traffic.requests) == (0, 0)
