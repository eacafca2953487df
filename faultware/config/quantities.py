"""Durations, shares, sizes and rates, as people write them.

A number without its unit or sign is refused: whether 200 is milliseconds or seconds, and whether 0.5 is a half or a
half percent, was misread in too many tools. No locale, no calendar units, no exponents.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

from faultware.config.mistakes import shown
from faultware.core.faults.forms import Bytes, Events, Place, Share
from faultware.core.quantities import SIZES, is_number, number
from faultware.errors import RuleError

# Thirty significant digits and fractions are more than anybody needs, and a bound for hostile input.
NUMBER: Final = r"[0-9]{1,30}(?:\.[0-9]{1,30})?"
DURATION_PATTERN: Final = rf"^({NUMBER}(ms|s|m|h))+$"
SIZE_PATTERN: Final = rf"^{NUMBER}({'|'.join(SIZES)})$"
RATE_PATTERN: Final = rf"^{NUMBER}({'|'.join(SIZES)})/s$"
# A percentage near 0 is printed in plain decimals, which take up to 342 places.
PERCENTAGE_PATTERN: Final = r"^[0-9]{1,30}(\.[0-9]{1,400})?(%|pct)$"

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS_HINT: Final = "units are ms, s, m, h"
_MAX_SECONDS: Final = 366 * 24 * 3600.0
_DURATION: Final = re.compile(rf"(?:{NUMBER}(?:ms|s|m|h))+", re.ASCII)
_PART: Final = re.compile(rf"({NUMBER})(ms|s|m|h)", re.ASCII)
_BARE: Final = re.compile(rf"(?:{NUMBER}(?:ms|s|m|h))*({NUMBER})", re.ASCII)
_FOREIGN_UNIT: Final = re.compile(rf"(?:{NUMBER}(?:ms|s|m|h))*({NUMBER})([^\W\d_]+)(.*)", re.DOTALL)
_PERCENTAGE: Final = re.compile(PERCENTAGE_PATTERN.removesuffix("$") + r"\Z")
_FOREIGN_UNITS: Final = {
    "sec": "s is seconds",
    "secs": "s is seconds",
    "second": "s is seconds",
    "seconds": "s is seconds",
    "S": "s is seconds",
    "M": "m is minutes",
    "min": "m is minutes",
    "mins": "m is minutes",
    "minute": "m is minutes",
    "minutes": "m is minutes",
    "H": "h is hours",
    "hr": "h is hours",
    "hour": "h is hours",
    "hours": "h is hours",
    "MS": "ms is milliseconds",
    "msec": "ms is milliseconds",
    "d": "a day is 24h",
}
_SIZE: Final = re.compile(rf"({NUMBER})({'|'.join(SIZES)})", re.ASCII)
_FOREIGN_SIZE: Final = re.compile(rf"({NUMBER})([A-Za-z]+)", re.ASCII)
_FOREIGN_SIZES: Final = {"b": "B", "k": "kB", "K": "KiB", "KB": "kB", "kb": "kB", "kib": "KiB", "KIB": "KiB"}
_FOREIGN_SIZES.update({"M": "MB", "m": "MB", "mb": "MB", "mib": "MiB", "MIB": "MiB", "bytes": "B", "byte": "B"})
_SIZES_HINT: Final = f"units are {', '.join(SIZES)}"
_EVENTS: Final = re.compile(r"([0-9]{1,9})events?", re.ASCII)
_MICROSECONDS: Final = frozenset({"us", "µs", "μs"})


def parse_duration(text: object) -> float:
    """Read a length of time: `250ms`, `1.5s`, `1m30s`. Units are ms, s, m and h; their case counts.

    Returns:
        Seconds, rounded to microseconds.

    Raises:
        RuleError: It is no text, lacks its unit, has another one, or is beyond 366 days.
    """
    if not isinstance(text, str):
        if is_number(text):
            raise RuleError(
                f"{shown(text)} is not a duration: a duration needs its unit", hint="write '30s' or '200ms'"
            )
        raise RuleError(f"{shown(text)} is not a duration", hint="write '30s' or '200ms'")
    if not _DURATION.fullmatch(text):
        raise _no_duration(text)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > _MAX_SECONDS:
        raise RuleError(f"{shown(text)} is too long", hint="at most 366 days, 8784h")
    rounded = round(seconds, 6)
    if seconds and not rounded:
        raise RuleError(f"{shown(text)} is shorter than a microsecond", hint="0.001ms is the least")
    return rounded


def _no_duration(text: str) -> RuleError:
    if bare := _BARE.fullmatch(text):
        number = bare[1]
        units = ("ms", "s") if float(number) >= 60 else ("s", "m")
        hint = f"write {number}{units[0]} or {number}{units[1]}" if number == text else _UNITS_HINT
        return RuleError("a duration needs its unit", hint=hint)
    if foreign := _FOREIGN_UNIT.fullmatch(text):
        number, unit, rest = foreign.groups()
        if not rest and unit in _MICROSECONDS:
            return RuleError(f"unknown unit {unit!r}", hint=f"write {float(number) / 1000:g}ms; {_UNITS_HINT}")
        if not rest:
            meaning = _FOREIGN_UNITS.get(unit)
            return RuleError(
                f"unknown unit {shown(unit)}", hint=f"{meaning}; {_UNITS_HINT}" if meaning else _UNITS_HINT
            )
    return RuleError(f"{shown(text)} is not a duration", hint="such as 250ms, 1.5s, 1m30s")


def parse_percentage(text: str) -> float:
    """Read a share with its sign: `10%`, `0.5%`, `10pct`.

    Returns:
        The number before the sign, 0 to 100.

    Raises:
        RuleError: The sign is missing, or the number is no plain decimal from 0 to 100.
    """
    found = _PERCENTAGE.match(text)
    if not found:
        if re.fullmatch(NUMBER, text, re.ASCII):
            raise RuleError("a percentage needs its sign", hint=f"write {text}%")
        raise RuleError(f"{shown(text)} is not a percentage", hint="such as 10%, 0.5%, 10pct")
    value = float(text.removesuffix(found[2]))
    if value > 100:
        raise RuleError(f"{shown(text)} is not possible", hint="a percentage lies between 0 and 100")
    return value


def read_percentage(value: object) -> float:
    """Read a share where a number may stand without its sign: 10, `"10%"`, `"0.5%"`.

    Raises:
        RuleError: As `parse_percentage`; or a bare number between 0 and 1: it reads as a fraction and as a percentage.
    """
    if isinstance(value, str):
        if re.fullmatch(NUMBER, value, re.ASCII):
            bare = f"{value} without quotes" if not 0 < float(value) < 1 else f"'{float(value) * 100:g}%'"
            raise RuleError(f"{shown(value)} is not a percentage", hint=f"write {bare}, or '{value}%'")
        return parse_percentage(value)
    if not is_number(value):
        raise RuleError(f"{shown(value)} is not a percentage", hint="a number from 0 to 100, or a text such as '0.5%'")
    if 0 < value < 1:
        share = float(f"{value * 100:g}")
        meant = number(share) if share >= 1 else f"'{number(share)}%'"
        hint = f"write '{number(value)}%' or {meant}"
        raise RuleError(f"{value!r} may be a share or a percentage", hint=hint)
    if not 0 <= value <= 100:
        raise RuleError(f"{shown(value)} is not a percentage", hint="a percentage lies between 0 and 100")
    return float(value)


def parse_size(text: object) -> int:
    """Read a number of bytes: `100B`, `10kB`, `1.5MiB`. kB and MB are decimal, KiB and MiB binary.

    Raises:
        RuleError: It is no text, lacks its unit, has another one, or is no whole number of bytes.
    """
    if not isinstance(text, str):
        if is_number(text):
            raise RuleError(f"{shown(text)} is not a size: a size needs its unit", hint=f"write '{text}B'")
        raise RuleError(f"{shown(text)} is not a size", hint="write '100B' or '10kB'")
    found = _SIZE.fullmatch(text)
    if found is None:
        raise RuleError(f"{shown(text)} is not a size", hint=_size_hint(text))
    # Exactly: 32.2 times 1000 is a little more in binary.
    count = Fraction(found[1]) * SIZES[found[2]]
    if count > 2**53:
        raise RuleError(f"{shown(text)} is too large", hint="at most 1TiB, 1048576MiB")
    if count != int(count):
        raise RuleError(f"{shown(text)} is no whole number of bytes", hint=f"such as {math.ceil(count)}B")
    return int(count)


def _size_hint(text: str) -> str:
    if re.fullmatch(NUMBER, text, re.ASCII):
        return f"write {text}B"
    foreign = _FOREIGN_SIZE.fullmatch(text)
    if foreign and foreign[2] in _FOREIGN_SIZES:
        return f"write {foreign[1]}{_FOREIGN_SIZES[foreign[2]]}"
    return _SIZES_HINT if foreign else "such as 100B, 10kB, 1MiB"


def parse_rate(text: object) -> int:
    """Read bytes per second: `10kB/s`.

    Raises:
        RuleError: As `parse_size`; or `/s` is missing.
    """
    if not isinstance(text, str) or not text.endswith("/s"):
        is_size = isinstance(text, str) and _SIZE.fullmatch(text)
        raise RuleError(f"{shown(text)} is not a rate", hint=f"write {text}/s" if is_size else "such as 10kB/s, 1MiB/s")
    try:
        return parse_size(text.removesuffix("/s"))
    except RuleError as error:
        hint = f"{error.hint}/s" if error.hint.startswith("write ") else "such as 10kB/s, 1MiB/s"
        raise RuleError(f"{shown(text)} is not a rate", hint=hint) from None


def parse_place(text: object) -> Place:
    """Read a place in a body: `100B`, `50%`, `3events`.

    Raises:
        RuleError: It is none of these.
    """
    if isinstance(text, str):
        if found := _EVENTS.fullmatch(text):
            return Events(int(found[1]))
        if _PERCENTAGE.match(text):
            return Share(parse_percentage(text))
        if _FOREIGN_SIZE.fullmatch(text):
            return Bytes(parse_size(text))
        if re.fullmatch(NUMBER, text, re.ASCII):
            raise RuleError(f"{text} of what? a place needs a unit", hint=f"write {text}B, {text}% or {text}events")
    raise RuleError(f"{shown(text)} is no place in a body", hint="such as 100B, 50%, 3events")
