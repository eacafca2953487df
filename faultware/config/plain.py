"""Plain data: what JSON, TOML and YAML can say, and no more. Strict reading of JSON.

The parsers of the standard library let much pass that has no meaning, or a second one: NaN, doubled keys, numbers of
any length, halves of characters. It is refused here, once for all formats. Knows nothing of rules.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, Final, NoReturn

from faultware.config.mistakes import holds_surrogates, shown
from faultware.errors import RuleError

MAX_DEPTH: Final = 32
MAX_INTEGER: Final = 2**63
_QUOTE_IT: Final = "quote it"


def load_json(text: str | bytes, where: str = "") -> object:
    """Read JSON as RFC 8259 has it, and more strictly where that leaves room.

    Args:
        text: The text, or its bytes in UTF-8; a byte-order mark is skipped.
        where: What the text is, for errors.

    Raises:
        RuleError: It is no JSON, with line and column; or holds NaN, an infinity, a key twice, an integer beyond 64
            bits, half of a character, or is nested more than 32 deep.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RuleError(f"byte {error.start + 1} is not UTF-8", where=where) from None
    try:
        data: object = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_mapping,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RuleError(f"this is not JSON: {error.msg}", where=f"{where}, {place}" if where else place) from None
    except RecursionError:
        raise RuleError("this is nested too deep", where=where, hint=f"at most {MAX_DEPTH} levels") from None
    except RuleError as error:
        raise RuleError(error.message, where=where, hint=error.hint) from None
    for mistake in plain_mistakes(data, ""):
        place = f"{where}: {mistake.where}" if where and mistake.where else where or mistake.where
        raise RuleError(mistake.message, where=place, hint=mistake.hint)
    return data


def plain_mistakes(data: object, where: str, *, nulls: bool = True) -> list[RuleError]:
    """What in some data is not plain: other types, NaN, too deep or too long; each with its place.

    Args:
        data: What a parser or a caller gave.
        where: The place of the whole, in front of the places inside it.
        nulls: Whether null is accepted everywhere, and not only in a body and beside a variable.
    """
    mistakes: list[RuleError] = []
    left: list[tuple[object, str, int, bool]] = [(data, where, 0, nulls)]
    while left and len(mistakes) < MAX_DEPTH:
        value, place, depth, free = left.pop()
        if depth > MAX_DEPTH:
            mistakes.append(RuleError("this is nested too deep", where=where, hint=f"at most {MAX_DEPTH} levels"))
            break
        if isinstance(value, dict):
            items: list[tuple[object, object]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType]
            for key, inner in reversed(items):
                if not isinstance(key, str) or holds_surrogates(key):
                    mistakes.append(RuleError(f"the key {shown(key)} is not a text", where=place, hint=_QUOTE_IT))
                else:
                    left.append(
                        (
                            inner,
                            f"{place}.{key[:60]}" if place else key[:60],
                            depth + 1,
                            free or key in ("body", "merge_patch", "where"),
                        )
                    )
        elif isinstance(value, (list, tuple)):
            elements: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType]
            left += [(inner, f"{place}[{index}]", depth + 1, free) for index, inner in enumerate(elements)][::-1]
        elif problem := _problem(value, nulls=free):
            mistakes.append(RuleError(problem[0], where=place, hint=problem[1]))
    return mistakes


def _problem(value: object, *, nulls: bool) -> tuple[str, str] | None:
    """What is wrong with a single value, and what would be right."""
    match value:
        case None:
            return None if nulls else ("nothing is given", "leave it out, or write a value")
        case bool():
            return None
        case str():
            return ("half of a character is no text", "write whole characters") if holds_surrogates(value) else None
        case int():
            # Not shown: it may be a token of digits that nobody quoted.
            return None if -MAX_INTEGER <= value < MAX_INTEGER else ("this number is too large", "64 bits at most")
        case float():
            return None if math.isfinite(value) else (f"{shown(value)} is not a number", "write a finite number")
        case _:
            return (f"{shown(value)} is not possible here", _QUOTE_IT)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise RuleError(f"the key {shown(twice)} is given twice", hint="remove one")
    return mapping


def _no_constant(name: str) -> NoReturn:
    raise RuleError(f"{name} is not a number", hint="write a finite number")


def _integer(digits: str) -> int:
    # So many are too large already, wherever it stands, and more take time.
    return int(digits[:21])


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise RuleError("this number is too large", hint="write a finite number")
    return value
