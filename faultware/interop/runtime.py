"""Envoy's fractions, and the runtime keys that override them.

A key overrides what is configured and creates nothing. A number is a percentage whatever the denominator; a value that
Envoy would not check is checked here like a configured one. Unlike in Envoy, no request can escape a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from faultware.errors import RuleError
from faultware.interop.reading import UINT32, fields, whole

if TYPE_CHECKING:
    from faultware.interop.remarks import Remarks
    from faultware.interop.tree import Node

# By key: a whole number, or a percentage that was written as a fraction.
Runtime: TypeAlias = Mapping[str, int | float]

DENOMINATORS: Final = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def percentage(node: Node, remarks: Remarks | None = None) -> float:
    """A `FractionalPercent`, as a percentage."""
    numerator, denominator = fraction(node)
    if numerator > denominator and remarks is not None:
        remarks.note(node, f"{numerator} of {denominator} is always")
    return share_of(numerator, denominator)


def fraction(node: Node) -> tuple[int, int]:
    """A `FractionalPercent`, as numerator and denominator."""
    given = fields(node, "percentage", ("numerator", "denominator"))
    numerator = whole(given["numerator"], 0, UINT32) if "numerator" in given else 0
    return numerator, _denominator(given["denominator"]) if "denominator" in given else 100


def share_of(numerator: int, denominator: int) -> float:
    """A fraction as a percentage, at most 100, the same one however it is written."""
    return min(numerator * (1_000_000 // denominator), 1_000_000) / 10_000


def _denominator(node: Node) -> int:
    if node.kind == "text" and node.text.upper() in DENOMINATORS:
        return DENOMINATORS[node.text.upper()]
    if node.kind == "number" or (node.kind == "text" and node.text.isdecimal()):
        return list(DENOMINATORS.values())[whole(node, 0, len(DENOMINATORS) - 1)]
    raise node.wrong(f"{node.shown} is not a denominator", f"one of {', '.join(DENOMINATORS)}")


def runtime_percentage(runtime: Runtime, key: str, configured: float) -> float:
    """The percentage a key says, or the configured one."""
    value = runtime.get(key)
    return configured if value is None else min(float(value), 100.0)


def runtime_whole(runtime: Runtime, key: str, configured: int | None, least: int, most: int) -> int | None:
    """The number a key says, or the configured one.

    Raises:
        RuleError: The key says what could not be configured.
    """
    value = runtime.get(key)
    if value is None:
        return configured
    if not isinstance(value, int) or not least <= value <= most:
        raise RuleError(f"{value} is not possible", where=f"runtime key {key}", hint=f"{least} to {most}")
    return value


def read_layer(node: Node, prefix: str = "") -> dict[str, int | float]:
    """The numbers in a static layer, whose keys may be nested; what is no number, Envoy overlooks."""
    found: dict[str, int | float] = {}
    for name, value in node.fields.items():
        key = f"{prefix}.{name}" if prefix else name
        if value.kind == "mapping":
            if "numerator" in value.fields or "denominator" in value.fields:
                found[key] = percentage(value)
            else:
                found.update(read_layer(value, key))
        elif value.kind == "number":
            try:
                found[key] = whole(value, 0, UINT32)
            except RuleError:
                continue
    return found
