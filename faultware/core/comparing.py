"""Conditions on variables with and, or and not, in the language of APISIX (`vars`, lua-resty-expr).

`[["http_x_chaos", "==", "on"], ["arg_age", ">", 17]]` holds if both conditions do; `["OR", e1, e2]` if one does; `!AND`
and `!OR` if the whole does not. Numbers are Lua's: a text is converted where it is compared with one.
"""

from __future__ import annotations

import ipaddress
import math
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from faultware.core.conditions import MAX_CHOICES, MAX_TEXT
from faultware.core.patterns import compile_pattern
from faultware.core.quantities import is_number
from faultware.core.variables import PLAIN, PREFIXES, Value, is_variable, value_of
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faultware.core.request import Request

Scalar: TypeAlias = str | float | int | bool | None
Literal: TypeAlias = Scalar | tuple[Scalar, ...]

MAX_CONDITIONS: Final = 100
MAX_DEPTH: Final = 10
GROUPS: Final = ("AND", "OR", "!AND", "!OR")
OPERATORS: Final = ("==", "~=", ">", ">=", "<", "<=", "~~", "~*", "in", "has", "ipmatch")

_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_OTHER_BASE: Final = re.compile(r"([+-]?)0(?:[xX]([0-9a-fA-F]{1,16})|[bB]([01]{1,64}))", re.ASCII)
_NO_NUMBERS: Final = {"inf": math.inf, "nan": math.nan, "infinity": math.inf}
_ANY_CASE: Final = "(?i)"
_BLANKS: Final = " \t\n\r\f\v"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition on one variable.

    Args:
        variable: Its name.
        operator: One of `OPERATORS`.
        value: What it is compared with.
        invert: Turn the result round: also for a variable that is absent.
    """

    variable: str
    operator: str
    value: Literal
    invert: bool = False
    _test: Callable[[Value], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_test", _tester(self.operator, self.value))

    def holds(self, request: Request) -> bool:
        """Whether a request meets it."""
        return self._test(value_of(request, self.variable)) is not self.invert

    def document(self) -> list[Any]:
        """As it is written."""
        value = _plain(self.value)
        return [self.variable, *(["!"] if self.invert else []), self.operator, value]


@dataclass(frozen=True, slots=True)
class Group:
    """Several expressions together: AND, OR, !AND or !OR of them."""

    kind: str
    members: tuple[Expression, ...]

    def holds(self, request: Request) -> bool:
        """Whether a request meets it."""
        found = (member.holds(request) for member in self.members)
        together = any(found) if self.kind.endswith("OR") else all(found)
        return together is not self.kind.startswith("!")

    def document(self) -> list[Any]:
        """As it is written."""
        members = [member.document() for member in self.members]
        return members if self.kind == "AND" else [self.kind, *members]


Expression: TypeAlias = Comparison | Group


def parse(data: object) -> Group:
    """Read an expression: a list of conditions, or one that begins with AND, OR, !AND or !OR.

    Raises:
        RuleError: It is none, an operator is unknown, or there is too much of it.
    """
    found = _expression(data, 0)
    if _count(found) > MAX_CONDITIONS:
        raise RuleError(f"{_count(found)} conditions are too many", hint=f"at most {MAX_CONDITIONS}")
    return found


def _expression(data: object, depth: int) -> Group:
    items = _items(data)
    if depth > MAX_DEPTH:
        raise RuleError("this is nested too deep", hint=f"at most {MAX_DEPTH} levels")
    if items and isinstance(items[0], str):
        kind = items[0].upper()
        if kind not in GROUPS:
            raise RuleError("a condition stands in a list of conditions", hint=f"write [[{items[0]!r}, …]]")
        if len(items) < 3:
            raise RuleError(f"{kind} takes two operands or more")
        return Group(kind, tuple(_member(item, depth) for item in items[1:]))
    return Group("AND", tuple(_member(item, depth) for item in items))


def _member(data: object, depth: int) -> Expression:
    items = _items(data)
    if not items:
        raise RuleError("a condition is empty", hint="[variable, operator, value]")
    if isinstance(items[0], str) and items[0].upper() not in GROUPS:
        return _comparison(items)
    return _expression(data, depth + 1)


def _comparison(items: Sequence[object]) -> Comparison:
    name, *rest = items
    if not isinstance(name, str) or not is_variable(name):
        hint = f"one of {', '.join(PLAIN)}, or {', '.join(PREFIXES)} and a name"
        raise RuleError(f"{name!r} is no variable of a request", hint=hint)
    match rest:
        case [value]:
            # In the short form a number is compared as text.
            literal = _literal(value)
            return Comparison(name, "==", as_text(literal) if is_number(literal) else literal)
        case [str() as operator, value]:
            return Comparison(name, _operator(operator), _literal(value))
        case ["!", str() as operator, value]:
            return Comparison(name, _operator(operator), _literal(value), invert=True)
        case _:
            raise RuleError(
                "this is no condition", hint="[variable, operator, value] or [variable, '!', operator, value]"
            )


def _operator(word: str) -> str:
    operator = word.lower()
    if operator not in OPERATORS:
        hint = "did you mean ~=?" if operator == "!=" else f"one of {' '.join(OPERATORS)}"
        raise RuleError(f"unknown operator {word!r}", hint=hint)
    return operator


def _items(data: object) -> Sequence[object]:
    if not isinstance(data, (list, tuple)):
        raise RuleError(f"{data!r} is not a list", hint="[[variable, operator, value]]")
    return cast("Sequence[object]", data)


def _literal(value: object) -> Literal:
    if not isinstance(value, (list, tuple)):
        return _scalar(value)
    items = cast("Sequence[object]", value)
    if len(items) > MAX_CHOICES:
        raise RuleError(f"a list of {len(items)} values is too long", hint=f"at most {MAX_CHOICES}")
    return tuple(map(_scalar, items))


def _scalar(value: object) -> Scalar:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise RuleError(f"a text of {len(value)} characters is too long", hint=f"at most {MAX_TEXT}")
    # Lua's numbers are floats, so that there is no larger one.
    if isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max:
        raise RuleError(f"{value!r} is no value", hint="a finite number")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise RuleError(f"{value!r} is no value", hint="a text, a number, true, false, null or a list of them")


def as_text(value: float) -> str:
    """A number as Lua writes it."""
    return f"{value:.14g}"


def _plain(value: Literal) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _count(expression: Expression) -> int:
    return sum(map(_count, expression.members)) if isinstance(expression, Group) else 1


def _tester(operator: str, value: Literal) -> Callable[[Value], bool]:
    match operator:
        case "==":
            return _equality(value)
        case "~=":
            equals = _equality(value)
            return lambda found: not equals(found)
        case ">" | ">=" | "<" | "<=":
            return _order(operator, value)
        case "~~" | "~*":
            return _search(value, ignore_case=operator == "~*")
        case "in":
            if not isinstance(value, tuple):
                raise RuleError("in takes a list", hint="[variable, 'in', ['a', 'b']]")
            return lambda found: found is not None and any(_same(found, item) for item in value)
        case "ipmatch":
            return _network(value)
        case _:  # has: a variable of a request is never a list
            return lambda _found: False


def _same(found: Value, wanted: Literal) -> bool:
    """Equal, and of one kind."""
    return type(found) is type(wanted) and found == wanted


def _equality(value: Literal) -> Callable[[Value], bool]:
    if is_number(value):
        return lambda found: number(found) == value
    return lambda found: _same(found, value)


def _order(operator: str, value: Literal) -> Callable[[Value], bool]:
    wanted = float(value) if is_number(value) else number(value if isinstance(value, str) else None)

    def compare(found: Value) -> bool:
        has = number(found)
        if has is None or wanted is None:
            return False
        match operator:
            case ">":
                return has > wanted
            case ">=":
                return has >= wanted
            case "<":
                return has < wanted
            case _:
                return has <= wanted

    return compare


def _search(value: Literal, *, ignore_case: bool) -> Callable[[Value], bool]:
    if not isinstance(value, str):
        raise RuleError(f"{_plain(value)!r} is no pattern", hint="a text")
    if value.startswith(_ANY_CASE):
        value, ignore_case = value.removeprefix(_ANY_CASE), True
    # By itself first: what is no pattern could be one between these brackets.
    compile_pattern(value)
    matches = compile_pattern(f".*(?-s:{value}).*", ignore_case=ignore_case)
    return lambda found: isinstance(found, str) and matches(found)


def _network(value: Literal) -> Callable[[Value], bool]:
    texts = value if isinstance(value, tuple) else (value,)
    try:
        networks = [ipaddress.ip_network(text, strict=False) for text in texts if isinstance(text, str)]
    except ValueError:
        networks = []
    if len(networks) != len(texts):
        raise RuleError(f"{_plain(value)!r} is no address and no network", hint="such as 10.0.0.0/8, or a list of them")

    def is_within(found: Value) -> bool:
        try:
            address = ipaddress.ip_address(found if isinstance(found, str) else "")
        except ValueError:
            return False
        return any(address in network for network in networks)

    return is_within


def number(value: Value) -> float | None:
    """A text as the number Lua makes of it; None: it is none."""
    if not isinstance(value, str):
        return None
    text = value.strip(_BLANKS)
    if len(text) > 64:
        return None
    if _DECIMAL.fullmatch(text):
        return float(text)
    if found := _OTHER_BASE.fullmatch(text):
        size = int(found[2], 16) if found[2] else int(found[3], 2)
        return float(-size if found[1] == "-" else size)
    sign = -1.0 if text[:1] == "-" else 1.0
    known = _NO_NUMBERS.get(text.lstrip("+-").lower()) if len(text.lstrip("+-")) >= len(text) - 1 else None
    return None if known is None else sign * known
