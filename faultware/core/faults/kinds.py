"""The kinds of values that the fields of a fault may hold: each checks a value, and writes it down.

Reading text is the business of `faultware.config`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from faultware.core.delays import MAX_SECONDS, seconds
from faultware.core.faults.headers import check_header_name, read_headers
from faultware.core.quantities import duration, number, rate, size
from faultware.core.sampling import SampleBy, check_percentage
from faultware.errors import RuleError

MAX_SIZE: Final = 2**40
MAX_TEXT_BODY: Final = 1024 * 1024
_TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class Bytes:
    """A place in a body: after so many bytes."""

    count: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", SIZE.check(self.count, "at"))

    def __str__(self) -> str:
        return size(self.count)


@dataclass(frozen=True, slots=True)
class Share:
    """A place in a body: after a share of it, 0 to 100 percent."""

    percentage: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentage", check_percentage(self.percentage, "at"))

    def __str__(self) -> str:
        return f"{number(self.percentage)}%"


@dataclass(frozen=True, slots=True)
class Events:
    """A place in a stream: after so many server-sent events, or lines of newline-delimited JSON."""

    count: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", Whole(0, 10**9).check(self.count, "at"))

    def __str__(self) -> str:
        return f"{self.count}events"


Place: TypeAlias = Bytes | Share | Events


@dataclass(frozen=True, slots=True)
class Seconds:
    """A length of time, in seconds; written `200ms`."""

    above_zero: bool = False
    most: float = MAX_SECONDS

    def check(self, value: Any, where: str) -> float:
        """The value in microseconds' steps; raises `RuleError`."""
        return seconds(where, value, above_zero=self.above_zero, most=self.most)

    def write(self, value: Any) -> str:
        """As text."""
        return duration(value)


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes; written `10kB`."""

    least: int = 0
    most: int = MAX_SIZE

    def check(self, value: Any, where: str) -> int:
        """The value; raises `RuleError`."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise RuleError(f"{value!r} is not a number of bytes", where=where, hint="a whole number")
        if not self.least <= value <= self.most:
            hint = f"{size(self.least)} to {size(self.most)}"
            raise RuleError(f"{value} bytes are not possible", where=where, hint=hint)
        return value

    def write(self, value: Any) -> str:
        """As text."""
        return size(value)


@dataclass(frozen=True, slots=True)
class Rate:
    """Bytes per second, above 0; written `10kB/s`."""

    def check(self, value: Any, where: str) -> int:
        """The value; raises `RuleError`."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise RuleError(f"{value!r} is not a number of bytes per second", where=where, hint="a whole number")
        if not 1 <= value <= MAX_SIZE:
            hint = f"1B/s to {size(MAX_SIZE)}/s"
            raise RuleError(f"{value} bytes per second are not possible", where=where, hint=hint)
        return value

    def write(self, value: Any) -> str:
        """As text."""
        return rate(value)


@dataclass(frozen=True, slots=True)
class Percent:
    """A share of something, 0 to 100; written `5%`."""

    def check(self, value: Any, where: str) -> float:
        """The value; raises `RuleError`."""
        return check_percentage(value, where)

    def write(self, value: Any) -> str:
        """As text."""
        return f"{number(value)}%"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number; written as digits.

    Args:
        least: The smallest that is possible.
        most: The largest.
        refused: Numbers in between that are not possible all the same.
        what: What the number is, for errors.
    """

    least: int
    most: int
    refused: frozenset[int] = frozenset()
    what: str = "number"

    def check(self, value: Any, where: str) -> int:
        """The value; raises `RuleError`."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not self.least <= value <= self.most or value in self.refused:
            hint = f"a whole number from {self.least} to {self.most}"
            if self.refused:
                hint += f", but not {', '.join(map(str, sorted(self.refused)))}"
            raise RuleError(f"{_shown(value)} is not a possible {self.what}", where=where, hint=hint)
        return cast("int", value)

    def write(self, value: Any) -> int:
        """As it is."""
        return cast("int", value)


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words."""

    choices: tuple[str, ...]

    def check(self, value: Any, where: str) -> str:
        """The value; raises `RuleError`."""
        if value not in self.choices:
            raise RuleError(f"{_shown(value)} is not possible", where=where, hint=f"one of {', '.join(self.choices)}")
        return cast("str", value)

    def write(self, value: Any) -> str:
        """As it is."""
        return cast("str", value)


@dataclass(frozen=True, slots=True)
class At:
    """A place in a body; written `100B`, `50%` or `3events`."""

    def check(self, value: Any, where: str) -> Place:
        """The value; raises `RuleError`."""
        if not isinstance(value, (Bytes, Share, Events)):
            raise RuleError(f"{value!r} is no place in a body", where=where, hint="Bytes(…), Share(…) or Events(…)")
        return value

    def write(self, value: Any) -> str:
        """As text."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Key:
    """What requests are told apart by; written `header:x-user-id` or `client`."""

    def check(self, value: Any, where: str) -> SampleBy:
        """The value; raises `RuleError`."""
        if not isinstance(value, SampleBy):
            raise RuleError(f"{value!r} is no key", where=where, hint='such as SampleBy("client")')
        return value

    def write(self, value: Any) -> str:
        """As text."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Lines:
    """Header lines; kept as pairs, written as a mapping, and in one line as `name=value` behind a sign."""

    sign: str = ""

    def check(self, value: Any, where: str) -> tuple[tuple[str, str], ...]:
        """The value; raises `RuleError`."""
        return read_headers(value, where)

    def write(self, value: Any) -> dict[str, str] | list[list[str]]:
        """As a mapping, or as pairs where a name comes twice."""
        pairs: dict[str, str] = dict(value)
        return pairs if len(pairs) == len(value) else [list(pair) for pair in value]


@dataclass(frozen=True, slots=True)
class Names:
    """Header names; in one line each stands behind a sign."""

    sign: str = "-"

    def check(self, value: Any, where: str) -> tuple[str, ...]:
        """The value; raises `RuleError`."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise RuleError(f"{_shown(value)} is not a list of names", where=where, hint="write [name]")
        names = tuple(cast("Iterable[str]", value))
        for name in names:
            check_header_name(name, where)
        return names

    def write(self, value: Any) -> list[str]:
        """As a list."""
        return list(value)


@dataclass(frozen=True, slots=True)
class Text:
    """A text that may be sent: a body, a reason."""

    most: int = MAX_TEXT_BODY

    def check(self, value: Any, where: str) -> str:
        """The value; raises `RuleError`."""
        if not isinstance(value, str):
            raise RuleError(f"{_shown(value)} is not a text", where=where, hint="quote it")
        try:
            length = len(value.encode())
        except UnicodeEncodeError as error:
            raise RuleError(f"this text cannot be sent: {error}", where=where) from None
        if length > self.most:
            raise RuleError(f"{length} bytes are too many", where=where, hint=f"at most {self.most}")
        return value

    def write(self, value: Any) -> str:
        """As it is."""
        return cast("str", value)


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON object; kept as compact text, so that faults stay hashable."""

    def check(self, value: Any, where: str) -> str:
        """The value as text; a text is taken for such a text. Raises `RuleError`."""
        try:
            data: object = json.loads(value) if isinstance(value, str) else value
            text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            length = len(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise RuleError(f"this is no JSON: {error}", where=where) from None
        if not isinstance(data, dict):
            raise RuleError("this is no JSON object", where=where, hint="such as {field: null}")
        if length > MAX_TEXT_BODY:
            raise RuleError("the JSON is too long", where=where, hint=f"at most {MAX_TEXT_BODY} bytes")
        return text

    def write(self, value: Any) -> Any:
        """As data."""
        return json.loads(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def check(self, value: Any, where: str) -> bool:
        """The value; raises `RuleError`."""
        if not isinstance(value, bool):
            raise RuleError(f"{_shown(value)} is not true or false", where=where, hint="without quotes")
        return value

    def write(self, value: Any) -> bool:
        """As it is."""
        return bool(value)


@dataclass(frozen=True, slots=True)
class Days:
    """Some of a few words, in their order."""

    choices: tuple[str, ...]

    def check(self, value: Any, where: str) -> tuple[str, ...]:
        """The value; raises `RuleError`."""
        hint = f"some of {', '.join(self.choices)}"
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise RuleError(f"{_shown(value)} is not a list", where=where, hint=hint)
        given = list(cast("Iterable[object]", value))
        unknown = next((item for item in given if item not in self.choices), None)
        if unknown is not None or not given:
            raise RuleError(f"{_shown(unknown) if given else 'nothing'} is no day", where=where, hint=hint)
        return tuple(word for word in self.choices if word in given)

    def write(self, value: Any) -> list[str]:
        """As a list."""
        return list(value)


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Hours and minutes: `09:30`."""

    def check(self, value: Any, where: str) -> str:
        """The value; raises `RuleError`."""
        if not isinstance(value, str) or not _TIME_OF_DAY.fullmatch(value):
            raise RuleError(f"{_shown(value)} is no time of day", where=where, hint="such as '09:30', in quotes")
        return value

    def write(self, value: Any) -> str:
        """As it is."""
        return cast("str", value)


Kind: TypeAlias = (
    Seconds | Size | Rate | Percent | Whole | Word | At | Key | Lines | Names | Text | Json | Flag | Days | TimeOfDay
)

SECONDS: Final = Seconds()
SOME_SECONDS: Final = Seconds(above_zero=True)
SIZE: Final = Size()
SOME_BYTES: Final = Size(least=1)
RATE: Final = Rate()
PERCENT: Final = Percent()


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
