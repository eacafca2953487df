"""Patterns of RE2 for what a rule says of a path, to be compared with the path as it was sent.

A rule compares the decoded path. Where its condition is a literal beginning, that is spelled as clients send it. Any
other condition holds only for paths that need no decoding: without a percent sign both are the same text. So a pattern
made here never matches more than the rule does; it may match less.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, assert_never

from faultware.core.expressions import Anchor, Atomic, Chars, Choice, Repeat, Series, read, text
from faultware.core.request import as_sent
from faultware.interop.re2syntax import in_python, quote, to_re2

if TYPE_CHECKING:
    from faultware.core.expressions import Node
    from faultware.core.matching import PathMatch, TextMatch

# The query, whose question mark no path holds.
QUERY: Final = r"(?:\?.*)?"
_FLAGS: Final = re.DOTALL | re.ASCII


def path_pattern(path: PathMatch) -> str | None:
    """What a condition on the decoded path says of the path as it was sent; None: it cannot be said.

    A condition that is turned round has the pattern of what it denies, for paths that need no decoding.
    """
    case = "(?i)" if path.ignore_case else ""
    if path.invert or path.kind not in ("exact", "segments", "prefix"):
        return plain_pattern(case + _source(path))
    literal = quote(as_sent(path.value))
    if path.kind == "exact":
        return case + literal
    if path.kind == "prefix" or path.value.endswith("/"):
        return f"{case}{literal}.*"
    return f"{case}{literal}(?:/.*)?"


def _source(path: PathMatch) -> str:
    """The condition as a pattern of Python."""
    value = path.value
    match path.kind:
        case "exact":
            return re.escape(value)
        case "segments":
            return f"{re.escape(value)}.*" if value.endswith("/") else f"{re.escape(value)}(?:/.*)?"
        case "prefix":
            return f"{re.escape(value)}.*"
        case "suffix":
            return f".*{re.escape(value)}"
        case "contains":
            return f".*{re.escape(value)}.*"
        case "regex":
            return value
        case "glob" | "template":
            return "".join(map(_segment, value.split("/")[1:]))
        case _ as unknown:
            assert_never(unknown)


def _segment(segment: str) -> str:
    if segment == "**":
        return "(?:/[^/]*)*"
    if segment == "*" or (segment.startswith("{") and segment.endswith("}")):
        return "/[^/]+"
    return "/" + "[^/]*".join(map(re.escape, segment.split("*")))


def plain_pattern(source: str) -> str | None:
    """A pattern of Python for RE2, as far as it matches texts without percent sign and question mark."""
    return _written(_without(read(source, _FLAGS), "%?"))


def host_pattern(condition: TextMatch) -> str | None:
    """What a condition on the host says of a `Host` header, with port and final dots; None: it cannot be said."""
    pattern = None if condition.kind in ("regex", "present") else text_pattern(condition)
    if pattern is None or "[" in condition.value or ":" in condition.value:
        return None
    # Addresses of IPv6 stand in brackets, and are left aside.
    bare = _written(_without(read(in_python(pattern.removeprefix("(?i)")), _FLAGS), ":["))
    return None if bare is None else rf"(?i)(?:{bare})\.*(?::.*)?"


def raw_pattern(source: str) -> str | None:
    """A pattern of Python for RE2, as far as it matches texts without question mark."""
    return _written(_without(read(source, _FLAGS), "?"))


def _written(node: Node) -> str | None:
    return to_re2(in_python(text(node)))


def _without(node: Node, letters: str) -> Node:
    match node:
        case Chars(intervals):
            for code in map(ord, letters):
                intervals = tuple(part for low, high in intervals for part in _cut(low, high, code))
            return Chars(intervals)
        case Anchor():
            return node
        case Series(items):
            return Series(tuple(_without(item, letters) for item in items))
        case Choice(options):
            return Choice(tuple(_without(option, letters) for option in options))
        case Repeat(item, least, most, is_lazy):
            return Repeat(_without(item, letters), least, most, is_lazy)
        case Atomic(item):
            return Atomic(_without(item, letters))


def _cut(low: int, high: int, code: int) -> list[tuple[int, int]]:
    if not low <= code <= high:
        return [(low, high)]
    return [(start, end) for start, end in ((low, code - 1), (code + 1, high)) if start <= end]


def text_pattern(condition: TextMatch) -> str | None:
    """What a condition on a text says, whether or not it is turned round; None: RE2 cannot say it."""
    case = "(?i)" if condition.ignore_case else ""
    value = condition.value
    if any(ord(letter) > 255 for letter in value + "".join(condition.one_of or ())):
        return None
    match condition.kind:
        case "exact":
            return case + quote(value)
        case "prefix":
            return f"{case}{quote(value)}.*"
        case "suffix":
            return f"{case}.*{quote(value)}"
        case "contains":
            return f"{case}.*{quote(value)}.*"
        case "regex":
            return to_re2(case + value)
        case "one_of":
            return "|".join(map(quote, condition.one_of or ()))
        case "range" | "present":
            return None
        case _ as unknown:
            assert_never(unknown)
