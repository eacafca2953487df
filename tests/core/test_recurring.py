"""When faults that come by themselves are due: inside their window, memoryless, whatever clocks and calendars do."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware import RuleError
from faultware.core.recurring import WEEKDAYS, Recurring

HOUR = 3600.0
BERLIN = ZoneInfo("Europe/Berlin")
AUCKLAND = ZoneInfo("Pacific/Auckland")


def at(text: str, zone=UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def test_the_least_draw_is_the_first_moment_of_the_window():
    recurring = Recurring(2 * HOUR)
    friday_evening = at("2026-11-27 20:00")
    assert recurring.next_after(friday_evening, 0.0, UTC) == at("2026-11-30 09:00")
    assert recurring.next_after(at("2026-11-25 10:30"), 0.0, UTC) == at("2026-11-25 10:30")


def test_time_outside_the_window_does_not_count():
    recurring = Recurring(HOUR)
    draw = 1 - 2.718281828459045**-3  # three hours of the window
    assert recurring.next_after(at("2026-11-25 14:00"), draw, UTC) == pytest.approx(at("2026-11-26 11:00"), abs=1)


@given(st.integers(0, 400), st.floats(0, 0.999), st.sampled_from(("00:00", "06:30", "09:00", "22:00")), st.booleans())
def test_every_time_lies_in_an_open_window_and_not_in_the_past(hours, draw, start, is_far):
    zone = AUCKLAND if is_far else BERLIN
    recurring = Recurring(5 * HOUR, start=start, end="06:30" if start != "06:30" else "08:00", days=WEEKDAYS[::2])
    now = at("2026-03-20 00:00") + hours * HOUR
    due = recurring.next_after(now, draw, zone)
    assert due is not None
    assert due >= now
    assert recurring.is_open(due, zone)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens():
    recurring = Recurring(HOUR, start="22:00", end="02:00", days=("fri",))
    assert recurring.is_open(at("2026-11-28 01:00"), UTC)
    assert not recurring.is_open(at("2026-11-27 01:00"), UTC)
    assert not recurring.is_open(at("2026-11-28 02:00"), UTC)


def test_a_window_that_ends_as_it_begins_never_closes():
    recurring = Recurring(HOUR, start="00:00", end="00:00", days=WEEKDAYS)
    assert all(recurring.is_open(at("2026-11-25 00:00") + hour * HOUR, UTC) for hour in range(48))


def test_the_window_is_that_of_its_time_zone_also_far_ahead_of_utc():
    recurring = Recurring(HOUR, start="09:00", end="10:00", days=WEEKDAYS)
    now = at("2026-11-25 23:00")  # noon of the 26th in Auckland
    assert recurring.next_after(now, 0.0, AUCKLAND) == at("2026-11-27 09:00", AUCKLAND)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 4), ("2026-10-25", 6), ("2026-11-25", 5)])
def test_a_window_on_a_day_on_which_the_clocks_change_is_as_long_as_it_is(day, hours):
    recurring = Recurring(HOUR, start="00:00", end="05:00", days=WEEKDAYS)
    moments = (at(f"{day} 00:00", BERLIN) + minute * 60 for minute in range(12 * 60))
    assert sum(recurring.is_open(moment, BERLIN) for moment in moments) == hours * 60


def test_the_mean_time_between_failures_is_the_mean_and_no_rhythm():
    recurring, dice = Recurring(2 * HOUR, start="00:00", end="00:00", days=WEEKDAYS), random.Random(7)
    now = begin = at("2026-01-01 00:00")
    gaps = []
    for _ in range(2000):
        due = recurring.next_after(now, dice.random(), UTC)
        gaps.append(due - now)
        now = due
    assert (now - begin) / 2000 == pytest.approx(2 * HOUR, rel=0.1)
    assert sum(gap < HOUR for gap in gaps) / 2000 == pytest.approx(1 - 2.718281828**-0.5, abs=0.05)


def test_it_is_leashed_and_keeps_office_hours_unless_somebody_says_otherwise():
    recurring = Recurring(HOUR)
    assert (recurring.leashed, recurring.start, recurring.end, recurring.max_per_day) == (True, "09:00", "15:00", 1)
    assert recurring.days == ("mon", "tue", "wed", "thu", "fri")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"mtbf_seconds": 9}, "mtbf"),
        ({"mtbf_seconds": HOUR, "start": "24:00"}, "start"),
        ({"mtbf_seconds": HOUR, "days": "mon"}, "days"),
        ({"mtbf_seconds": HOUR, "days": ["Mon"]}, "days"),
        ({"mtbf_seconds": HOUR, "leashed": 0}, "leashed"),
        ({"mtbf_seconds": HOUR, "max_per_day": 0}, "max_per_day"),
    ],
)
def test_what_is_not_possible_is_refused(arguments, where):
    with pytest.raises(RuleError) as caught:
        Recurring(**arguments)
    assert caught.value.where == where


def test_a_year_without_an_open_day_has_no_time():
    recurring = Recurring(8000 * HOUR)
    assert recurring.next_after(at("2026-11-25 10:00"), 0.999999, UTC) is None
    assert recurring.day_of(at("2026-11-25 23:30"), BERLIN) == "2026-11-26"
