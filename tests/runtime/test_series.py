"""The last quarter of an hour of a process."""

from __future__ import annotations

import os

import pytest

from faultware.runtime.series import KEPT_SECONDS, STEP_SECONDS, Series, time_class
from faultware.runtime.traffic import ALLOWANCE
from tests.runtime.kit import BEGIN, Time, ask, make_injector

AT = int(BEGIN // STEP_SECONDS) * STEP_SECONDS


@pytest.fixture
def time():
    return Time()


def begun(time, rules="/pay 100% abort 503 as pay"):
    injector, series = make_injector(rules, time=time), Series()
    series.tick(injector)
    return injector, series


def test_a_step_says_what_was_answered_how_fast_and_what_was_injected(time):
    injector, series = begun(time)
    for seconds, status, is_injected in ((0.001, 200, False), (0.1, 503, True), (0.1, 500, False), (9, 0, False)):
        injector.traffic.note(seconds, status, is_injected=is_injected)
    plan = ask(injector)
    for injection in plan.injections:
        injection.live.tally.injected[injection.kind] += 3
    series.tick(injector)
    (point,) = series.since(0)
    times = point.pop("times")
    assert point == {"at": AT, "requests": 4, "measured": 4, "errors": 3, "own_errors": 2, "injected": 3}
    assert [number for _, number in times] == [1, 2, 1]
    for (end, _), seconds in zip(times, (0.001, 0.1, 9), strict=True):
        assert seconds <= end < 1.15 * seconds
    series.tick(injector)
    assert series.since(0)[0]["injected"] == 3


def test_where_only_a_sample_was_measured_the_rest_is_estimated(time):
    injector, series = begun(time)
    for _ in range(ALLOWANCE):
        assert injector.traffic.wants()
        injector.traffic.note(0.001, 200, is_injected=False)
    time.pass_(0.1)
    assert not injector.traffic.wants()
    time.pass_(0.4)
    series.tick(injector)
    (point,) = series.since(0)
    assert (point["requests"], point["measured"]) == (5 * ALLOWANCE, ALLOWANCE)


def test_steps_are_kept_for_a_quarter_of_an_hour(time):
    injector, series = begun(time)
    for _ in range(KEPT_SECONDS // STEP_SECONDS + 10):
        time.pass_(STEP_SECONDS)
        series.tick(injector)
    ats = [point["at"] for point in series.since(0)]
    assert len(ats) == KEPT_SECONDS // STEP_SECONDS
    assert ats[-1] - ats[0] == KEPT_SECONDS - STEP_SECONDS
    assert [point["at"] for point in series.since(ats[-2])] == ats[-2:]
    time.pass_(KEPT_SECONDS)
    series.tick(injector)
    assert len(series.since(0)) == 1


def test_a_tick_has_requests_measured_armed_or_not(time):
    injector, series = begun(time)
    ask(injector)
    series.tick(injector)
    assert injector.view.is_measured
    injector.kill("me")
    assert not injector.current().is_measured
    series.tick(injector)
    assert injector.current().is_measured


def test_tallies_of_rules_that_are_gone_take_nothing_back(time):
    injector, series = begun(time)
    (live,) = injector.live_rules()
    live.tally.injected["abort"] += 5
    series.tick(injector)
    injector.switch.replace_rules([], actor="me")
    injector.refresh()
    series.tick(injector)
    assert [point["injected"] for point in series.since(0)] == [5]


def test_a_child_begins_anew(time, monkeypatch):
    injector, series = begun(time)
    injector.traffic.note(0.001, 200, is_injected=False)
    series.tick(injector)
    assert series.since(0)[0]["measured"] == 1
    monkeypatch.setattr(os, "getpid", lambda: 1)
    injector.traffic.note(0.001, 200, is_injected=False)
    series.tick(injector)
    assert [point["measured"] for point in series.since(0)] == [0]


def test_times_are_put_into_classes_that_grow():
    assert time_class(0) == time_class(0.000_1) == 0.000_1
    assert time_class(500) == time_class(10_000)
    for seconds in (0.000_2, 0.003, 0.04, 0.5, 6, 70):
        end = time_class(seconds)
        assert seconds <= end < 1.15 * seconds
