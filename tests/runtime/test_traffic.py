"""What is measured is a sample with a bounded cost."""

from __future__ import annotations

from faultware.runtime.traffic import ALLOWANCE, MAX_PATH, MAX_RECENT, Traffic
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
    assert all(injector.measures(measured, "GET", "/a") for _ in range(ALLOWANCE))
    assert injector.view is measured
    assert not injector.measures(measured, "GET", "/b")
    assert injector.view is fast
    injector.measure()
    assert injector.view is measured


def test_what_is_answered_while_the_switch_is_killed_is_measured_too():
    injector = make_injector("")
    injector.kill("me")
    injector.current()
    assert injector.view.is_off
    injector.measure()
    measured = injector.view
    assert (measured.is_measured, injector.view.is_off) == (True, False)
    while injector.measures(measured, "GET", "/"):
        pass
    assert (injector.view.is_measured, injector.view.is_off) == (False, True)


def test_what_was_asked_for_is_remembered_once_each_within_bounds():
    traffic = Traffic(Time().clocks.monotonic)
    traffic.is_whole = True
    for path in ("/a", "/b", "/a", ""):
        traffic.wants("GET", path)
    assert traffic.recent() == [("GET", "/a"), ("GET", "/b")]
    for number in range(2 * MAX_RECENT):
        traffic.wants("GET", f"/{number}".ljust(2 * MAX_PATH, "x"))
    assert len(traffic.recent()) == MAX_RECENT
    assert {len(path) for _, path in traffic.recent()} == {MAX_PATH}
    traffic.after_fork()
    assert traffic.recent() == []


def test_what_is_taken_is_given_once_with_the_share_of_the_time_in_which_all_was_measured():
    time = Time()
    traffic = Traffic(time.clocks.monotonic)
    traffic.grant()
    traffic.note(0.1, 200, is_injected=False)
    time.pass_(1)
    answers, share = traffic.take()
    assert ([one.seconds for one in answers], share) == ([0.1], 1)
    traffic.grant()
    for _ in range(ALLOWANCE):
        assert traffic.wants()
    time.pass_(0.5)
    assert not traffic.wants()
    time.pass_(1.5)
    assert not traffic.wants()
    assert traffic.take() == ([], 0.25)


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
