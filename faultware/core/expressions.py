r"""A regular expression as a tree of our own: closed, small, with exact character sets.

It is read from the tree that `re` itself compiles, so that what is analysed is what runs. Classes and case are
ASCII's: `\d` is `[0-9]`, as in RE2. This module reads and prints; how long a match may take is the business of
`backtracking`.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable

Intervals: TypeAlias = tuple[tuple[int, int], ...]

LAST: Final = 0x10FFFF
EVERYTHING: Final[Intervals] = ((0, LAST),)
MAX_COUNT: Final = 1000

_DIGITS: Final[Intervals] = ((48, 57),)
_WORD: Final[Intervals] = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final[Intervals] = ((9, 13), (32, 32))
_CATEGORIES: Final = {"DIGIT": _DIGITS, "WORD": _WORD, "SPACE": _SPACE}
_ANCHORS: Final = {
    "AT_BEGINNING": r"\A",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": r"\z",
    "AT_END_STRING": r"\z",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
}
_LINE_ANCHORS: Final = {"AT_BEGINNING": "(?m:^)", "AT_END": "(?m:$)"}
_REFUSED: Final = {
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a condition on a group",
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "FAILURE": "look-around",
}


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of a set."""

    intervals: Intervals


@dataclass(frozen=True, slots=True)
class Anchor:
    """A condition that takes no character, in RE2's spelling."""

    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """One thing several times; `most` is None without an upper bound."""

    item: Node
    least: int
    most: int | None
    is_lazy: bool = False


@dataclass(frozen=True, slots=True)
class Atomic:
    """What is never tried again once it matched."""

    item: Node


Node: TypeAlias = Chars | Anchor | Series | Choice | Repeat | Atomic


def read(source: str, flags: int) -> Node:
    """The tree of a pattern that `re` accepts.

    Raises:
        RuleError: It is no regular expression, or uses what cannot be bounded: back-references, look-around.
    """
    parser: Any = importlib.import_module("re._parser")
    try:
        tree = parser.parse(source, flags)
    except re.error as error:
        raise RuleError(f"{source!r} is no regular expression: {error}", where="regex") from None
    except (ValueError, OverflowError, RecursionError, FutureWarning) as error:
        raise RuleError(f"{source!r} cannot be used: {error}", where="regex", hint="write it more simply") from None
    return _series(tree, int(tree.state.flags))


def has_ambiguous_set(source: str) -> bool:
    """Whether a set holds `[[`, `--`, `&&`, `~~` or `||`: `re` warns that a later Python may read it otherwise."""
    inside = False
    previous = ""
    position = 0
    while position < len(source):
        letter = source[position]
        if letter == "\\":
            position += 1
            letter = ""
        elif not inside:
            if letter == "[":
                inside = True
                for first in "^]":
                    # A closing bracket at the very beginning is a character of the set.
                    if source[position + 1 : position + 2] == first:
                        position += 1
                        letter = first
        elif letter == "]":
            inside = False
        elif letter == previous and letter in "[-&~|":
            return True
        previous = letter
        position += 1
    return False


def _series(tree: Any, flags: int) -> Node:
    items = tuple(_node(operation.name, argument, flags) for operation, argument in list(tree))
    return items[0] if len(items) == 1 else Series(items)


def _node(name: str, argument: Any, flags: int) -> Node:
    match name:
        case "LITERAL":
            return Chars(_fold(((argument, argument),), flags))
        case "NOT_LITERAL":
            return Chars(_complement(_fold(((argument, argument),), flags)))
        case "ANY":
            return Chars(EVERYTHING if flags & re.DOTALL else _complement(((10, 10),)))
        case "IN":
            return Chars(_set(argument, flags))
        case "BRANCH":
            return Choice(tuple(_series(option, flags) for option in argument[1]))
        case "SUBPATTERN":
            _, added, removed, inner = argument
            if added & (re.UNICODE | re.LOCALE):
                raise RuleError("a group changes the alphabet", where="regex", hint="leave out (?u: and (?L:")
            return _series(inner, (flags | added) & ~removed)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _repeat(name, argument, flags)
        case "ATOMIC_GROUP":
            return Atomic(_series(argument, flags))
        case "AT":
            lines = _LINE_ANCHORS if flags & re.MULTILINE else {}
            return Anchor(lines.get(argument.name) or _ANCHORS[argument.name])
        case _:
            what = _REFUSED.get(name, name.lower().replace("_", " "))
            hint = "describe the text itself; write several rules or conditions, or use invert"
            raise RuleError(f"{what} cannot be matched in bounded time", where="regex", hint=hint)


def _repeat(name: str, argument: Any, flags: int) -> Node:
    least, most, inner = argument
    bound = None if most.__class__ is not int else most
    if max(least, bound or 0) > MAX_COUNT:
        message = f"a count of {max(least, bound or 0)} is too large"
        raise RuleError(message, where="regex", hint=f"at most {MAX_COUNT}, or leave the upper count out: {{1,}}")
    repeat = Repeat(_series(inner, flags), least, bound, name == "MIN_REPEAT")
    return Atomic(repeat) if name == "POSSESSIVE_REPEAT" else repeat


def _set(items: Any, flags: int) -> Intervals:
    found: list[tuple[int, int]] = []
    is_negated = False
    for operation, argument in items:
        match operation.name:
            case "NEGATE":
                is_negated = True
            case "LITERAL":
                found.append((argument, argument))
            case "RANGE":
                found.append((argument[0], argument[1]))
            case _:
                category = argument.name.removeprefix("CATEGORY_")
                base = _CATEGORIES[category.removeprefix("NOT_")]
                found += _complement(base) if category.startswith("NOT_") else base
    chosen = _fold(_union(found), flags)
    return _complement(chosen) if is_negated else chosen


def _fold(intervals: Intervals, flags: int) -> Intervals:
    """The set closed under ASCII case where the pattern ignores it."""
    if not flags & re.IGNORECASE:
        return intervals
    found = list(intervals)
    for low, high in intervals:
        for first, last, shift in ((65, 90, 32), (97, 122, -32)):
            if max(low, first) <= min(high, last):
                found.append((max(low, first) + shift, min(high, last) + shift))
    return _union(found)


def _union(intervals: Iterable[tuple[int, int]]) -> Intervals:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _complement(intervals: Intervals) -> Intervals:
    found: list[tuple[int, int]] = []
    start = 0
    for low, high in intervals:
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    if start <= LAST:
        found.append((start, LAST))
    return tuple(found)


def text(node: Node) -> str:
    """The pattern of a tree, in the spelling that `re` and RE2 share; with `.` for every character."""
    match node:
        case Chars(intervals):
            return _chars_text(intervals)
        case Anchor(spelling):
            return spelling
        case Series(items):
            return "".join(f"(?:{text(item)})" if isinstance(item, Choice) else text(item) for item in items)
        case Choice(options):
            return "|".join(map(text, options))
        case Atomic(item):
            return f"(?>{text(item)})"
        case Repeat(item, least, most, is_lazy):
            inner = text(item) if isinstance(item, Chars) else f"({text(item)})"
            return f"{inner}{_count_text(least, most)}{'?' if is_lazy else ''}"


def _count_text(least: int, most: int | None) -> str:
    short: dict[tuple[int, int | None], str] = {(0, None): "*", (1, None): "+", (0, 1): "?"}
    if (least, most) in short:
        return short[least, most]
    if most is None:
        return f"{{{least},}}"
    return f"{{{least}}}" if least == most else f"{{{least},{most}}}"


def _chars_text(intervals: Intervals) -> str:
    named: dict[Intervals, str] = {EVERYTHING: ".", _DIGITS: r"\d", _WORD: r"\w"}
    if intervals in named:
        return named[intervals]
    if len(intervals) == 1 and intervals[0][0] == intervals[0][1]:
        return _char_text(intervals[0][0])
    is_negated = bool(intervals) and intervals[-1][1] == LAST
    spans = _complement(intervals) if is_negated else intervals
    body = "".join(_char_text(low) if low == high else f"{_char_text(low)}-{_char_text(high)}" for low, high in spans)
    if not intervals:
        body, is_negated = r"\x00-\x{10FFFF}", True
    return f"[{'^' if is_negated else ''}{body}]"


def _char_text(code: int) -> str:
    letter = chr(code)
    if not letter.isprintable():
        return f"\\x{code:02x}" if code < 256 else f"\\x{{{code:x}}}"
    is_plain = letter.isalnum() or not letter.isascii() or letter in " _/@#%&=:;,<>!~'\"`"
    return letter if is_plain else "\\" + letter
