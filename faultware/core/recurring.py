"""Faults that come by themselves, without a request: when, how often, and with which restraint.

Times of day are taken in one time zone, which comes in as an argument: this module reads no clock and no files. The
words are kube-monkey's and Chaos Monkey's; where those surprised people, this says it in numbers with units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from faultware.core.faults.forms import Days, Flag, Form, Seconds, Text, TimeOfDay, Whole, settle_fields
from faultware.errors import RuleError

if TYPE_CHECKING:
    from datetime import tzinfo

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEAST_SECONDS: Final = 10.0
# How far ahead is looked for an hour at which something may happen.
_MAX_DAYS: Final = 400
# Whoever wakes up later than this after a planned time, from a pause or a suspended machine, lets it pass.
LATE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Recurring:
    """Repeats a fault of the process in a window of the day, at random times.

    The times are memoryless: `mtbf_seconds` is the mean of the time inside the window from one to the next, and not a
    rhythm. All processes that share a store share one plan, and one of them is hit.

    Args:
        mtbf_seconds: The mean time between failures, counted while the window is open; 10 s to 366 days.
        start: When the window opens, as `09:00`.
        end: When it closes. Before `start`: on the next day. The same as `start`: it never closes.
        days: On which days it opens.
        timezone: A name of the IANA database.
        max_per_day: At most so many on one day.
        min_gap_seconds: At least so long after the last one, whatever the dice say.
        leashed: Only says what it would do. Must be set to false on purpose.

    Raises:
        RuleError: A number is out of its range, or a time or day is none.
    """

    mtbf_seconds: Annotated[float, Form("mtbf", Seconds(above_zero=True, most=366 * 24 * 3600.0))]
    start: Annotated[str, Form("start", TimeOfDay())] = "09:00"
    end: Annotated[str, Form("end", TimeOfDay())] = "15:00"
    days: Annotated[tuple[str, ...], Form("days", Days(WEEKDAYS))] = WEEKDAYS[:5]
    timezone: Annotated[str, Form("timezone", Text(most=64))] = "UTC"
    max_per_day: Annotated[int, Form("max_per_day", Whole(1, 1000, what="number"))] = 1
    min_gap_seconds: Annotated[float, Form("min_gap", Seconds(most=366 * 24 * 3600.0))] = 0.0
    leashed: Annotated[bool, Form("leashed", Flag())] = True

    def __post_init__(self) -> None:
        settle_fields(self)
        if self.mtbf_seconds < LEAST_SECONDS:
            raise RuleError(f"{self.mtbf_seconds:g} seconds are too short", where="mtbf", hint="at least 10s")

    def next_after(self, now: float, draw: float, zone: tzinfo) -> float | None:
        """The next time, as seconds since the epoch; None: there is none in the next year.

        Args:
            now: Seconds since the epoch.
            draw: An even draw from [0, 1).
            zone: The time zone that `timezone` names.
        """
        left = max(-self.mtbf_seconds * math.log1p(-draw), 0.0)
        day = datetime.fromtimestamp(now, zone).date() - timedelta(days=1)
        for _ in range(_MAX_DAYS):
            opens, closes = self._window(day, zone)
            begin = max(opens, now)
            if begin < closes:
                if left < closes - begin:
                    return begin + left
                left -= closes - begin
            day += timedelta(days=1)
        return None

    def is_open(self, now: float, zone: tzinfo) -> bool:
        """Whether the window is open."""
        today = datetime.fromtimestamp(now, zone).date()
        return any(
            opens <= now < closes
            for opens, closes in (self._window(day, zone) for day in (today - timedelta(days=1), today))
        )

    def day_of(self, now: float, zone: tzinfo) -> str:
        """The day on which a time falls, as ISO 8601 writes it."""
        return datetime.fromtimestamp(now, zone).date().isoformat()

    def _window(self, day: date, zone: tzinfo) -> tuple[float, float]:
        """When the window opens on a day and when it closes; the same time twice if it stays closed."""
        opens = datetime.combine(day, time(*divmod(_minutes(self.start), 60)), zone)
        if WEEKDAYS[day.weekday()] not in self.days:
            return opens.timestamp(), opens.timestamp()
        is_next_day = _minutes(self.end) <= _minutes(self.start)
        last = day + timedelta(days=1) if is_next_day else day
        closes = datetime.combine(last, time(*divmod(_minutes(self.end), 60)), zone)
        return opens.timestamp(), closes.timestamp()


def _minutes(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)
