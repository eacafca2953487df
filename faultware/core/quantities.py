"""How numbers with units are written: durations, sizes, rates; and what counts as a number at all.

Reading them is the business of `faultware.config`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final, TypeGuard

_TIMES: Final = (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))
# The largest unit that leaves no rest is written. kB and MB are decimal, KiB and MiB binary (IEC 80000-13).
SIZES: Final = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number, and not true or false; of an integer of any size it is known at once."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def duration(seconds: float) -> str:
    """A length of time as the one-line form has it: `200ms`, `1m30s`, `0s`. Exact to the microsecond."""
    left = round(seconds * 1_000_000)
    if left == 0:
        return "0s"
    parts: list[str] = []
    for unit, length in _TIMES:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    if left:
        parts.append(f"{number(left / 1000)}ms")
    return "".join(parts)


def size(count: int) -> str:
    """A number of bytes: `10kB`, `1MiB`, `0B`."""
    unit = max((unit for unit in SIZES if count % SIZES[unit] == 0), key=SIZES.__getitem__) if count else "B"
    return f"{count // SIZES[unit]}{unit}"


def rate(bytes_per_second: int) -> str:
    """A number of bytes per second: `10kB/s`."""
    return f"{size(bytes_per_second)}/s"


def number(value: float) -> str:
    """A number in plain decimals, without exponent and without a fraction that says nothing."""
    if value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)), "f")
