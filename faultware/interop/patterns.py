"""Patterns of RE2 for what a rule says of a path, to be compared with the path as it was sent.

A rule compares the decoded path. Where its condition is a literal beginning, that is spelled as clients send it. Any
other condition holds only for paths that need no decoding: in ASCII without a percent sign both are the same text. So a
pattern made here never matches more than the rule does; it may match less. `blurs` tells of what it may miss requests:
the rules behind it in a group must not have them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, assert_never

from faultware.core.expressions import LAST, Anchor, Atomic, Chars, Choice, Repeat, Series, read, text
from faultware.core.request import as_sent
from faultware.interop.re2syntax import EMPTY, from_re2, in_python, quote, to_re2

if TYPE_CHECKING:
    from faultware.core.expressions import Node
    from faultware.core.matching import Match, PathMatch, TextMatch

# The query, whose question mark no path holds.
QUERY: Final = r"(?:\?.*)?"
# What stands in a path as it is.
_PLAIN: Final = r"A-Za-z0-9/._~!$&'()*,;=:@\-"
PLAIN_TARGET: Final = rf"[{_PLAIN}+]*{QUERY}"
STRANGE_PATH: Final = rf"[^?]*[^{_PLAIN}+?][^?]*"
STRANGE_QUERY: Final = rf"[^?]*\?.*[^{_PLAIN}?].*"
STRANGE_HOST: Final = r"[^A-Za-z0-9].*"
# What stands in a query as it is, so that decoding changes nothing.
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_ASCII: Final = (0x21, 0x7E)
_BYTE: Final = 0xFF
# From a capital letter to its small one.
_CASE: Final = 0x20
# RE2's own, at both ends.
_OVERHEAD: Final = 4
_FLAGS: Final = re.DOTALL | re.ASCII
_END: Final = Anchor(r"\z")


def blurs(match: Match) -> list[str]:
    """The fields of a match whose conditions miss some requests, if they are compared with what was sent."""
    found = ["path"] if match.path is not None and not is_everything(match.path) else []
    found += ["query"] if match.query else []
    return found + (["host"] if match.host is not None and match.host.present is None else [])


def is_plain_field(name: str, condition: TextMatch) -> bool:
    """Whether a condition on a decoded field of the query says the same of the query as it was sent."""
    return condition.is_equality and _UNRESERVED.fullmatch(f"{name}{condition.value}") is not None


def is_everything(path: PathMatch) -> bool:
    """Whether a condition holds for every path."""
    return path.kind == "segments" and path.value == "/" and not path.invert


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
    return _written(_without(_open(read(source, _FLAGS)), "%?", _ASCII))


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
    return _written(_without(_open(read(source, _FLAGS)), "?"))


def _open(node: Node) -> Node:
    """The same without the anchors that end it: the whole text is compared anyway, and a query may stand behind it."""
    match node:
        case Series((*items, last)):
            return Series(tuple(items)) if last == _END else Series((*items, _open(last)))
        case Choice(options):
            return Choice(tuple(map(_open, options)))
        case _:
            return Series(()) if node == _END else node


def _written(node: Node) -> str | None:
    return None if _has_nothing(node) else to_re2(in_python(text(node)) or EMPTY)


def _has_nothing(node: Node) -> bool:
    """Whether a place is left at which no character may stand, or an end in the middle."""
    match node:
        case Chars(intervals):
            return not intervals
        case Anchor():
            return node == _END
        case Series(items) | Choice(items):
            return any(map(_has_nothing, items))
        case Repeat(item) | Atomic(item):
            return _has_nothing(item)


def _without(node: Node, letters: str, within: tuple[int, int] = (0, LAST)) -> Node:
    match node:
        case Chars(intervals):
            clipped = ((max(low, within[0]), min(high, within[1])) for low, high in intervals)
            intervals = tuple((low, high) for low, high in clipped if low <= high)
            for code in map(ord, letters):
                intervals = tuple(part for low, high in intervals for part in _cut(low, high, code))
            return Chars(intervals)
        case Anchor():
            return node
        case Series(items):
            return Series(tuple(_without(item, letters, within) for item in items))
        case Choice(options):
            return Choice(tuple(_without(option, letters, within) for option in options))
        case Repeat(item, least, most, is_lazy):
            return Repeat(_without(item, letters, within), least, most, is_lazy)
        case Atomic(item):
            return Atomic(_without(item, letters, within))


def _cut(low: int, high: int, code: int) -> list[tuple[int, int]]:
    if not low <= code <= high:
        return [(low, high)]
    return [(start, end) for start, end in ((low, code - 1), (code + 1, high)) if start <= end]


def steps(pattern: str) -> int:
    """About as many steps as RE2 makes of a pattern. Envoy refuses more than its bound."""
    source = from_re2(pattern)
    # A group that is remembered has a step at each end.
    return _steps(read(source, re.ASCII)) + 2 * re.compile(source).groups + _OVERHEAD


def _steps(node: Node) -> int:
    match node:
        case Chars(((upper, same), (lower, also))) if upper == same == lower - _CASE and lower == also:
            return 1
        case Chars(intervals):
            # Bytes are what is compared.
            return max(sum(low <= _BYTE for low, _ in intervals), 1)
        case Anchor():
            return 1
        case Series(items):
            return sum(map(_steps, items))
        case Choice(options):
            return sum(map(_steps, options)) + len(options)
        case Repeat(item, least, most):
            copies = max(least, 1) if most is None else most
            return (_steps(item) + 1) * copies
        case Atomic(item):
            return _steps(item)


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
            return "|".join(map(quote, dict.fromkeys(condition.one_of or ()))) or EMPTY
        case "range" | "present":
            return None
        case _ as unknown:
            assert_never(unknown)
