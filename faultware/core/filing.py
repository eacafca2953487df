"""What a rule can be filed under: conditions it cannot do without, as keys of an index.

A literal part of its path, decoded or as it was sent, or a header, query field or cookie. Under which of them a rule is
filed, and what a request is looked up by, `ruleset` decides.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final, TypeAlias

from faultware.core.matching import PSEUDO_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultware.core.matching import PathMatch, TextMatch
    from faultware.core.rules import Rule

# A literal part of a path; or a field's name, with or without its value.
Key: TypeAlias = str | tuple[str, ...]

KINDS: Final = ("exact", "under", "prefix", "suffix", "segment", "raw", "raw prefix", "header", "query", "cookie")


def keys_of(rule: Rule) -> Iterator[tuple[str, Key]]:
    """What a rule can be filed under; the path comes first, since it is remembered."""
    if rule.match.path is not None:
        yield from _path_filing(rule.match.path)
    if rule.match.raw_path is not None:
        yield from _raw_filing(rule.match.raw_path)
    for kind, pairs in (("header", rule.match.headers), ("query", rule.match.query), ("cookie", rule.match.cookies)):
        for name, text in pairs:
            if name == ":path":
                yield from _raw_filing(text)
            elif name not in PSEUDO_HEADERS:
                yield from _field_filing(kind, name, text)


def _raw_filing(text: TextMatch) -> Iterator[tuple[str, Key]]:
    """A condition on the path as it was sent, with or without the query: what it says of the part before that."""
    if text.ignore_case or text.invert:
        return
    if text.kind == "exact" or (text.kind == "prefix" and "?" in text.value):
        yield "raw", text.value.partition("?")[0]
    elif text.kind == "prefix":
        yield "raw prefix", text.value


def _field_filing(kind: str, name: str, text: TextMatch) -> Iterator[tuple[str, Key]]:
    if text.kind == "present":
        if text.present is not text.invert:
            yield kind, (name,)
    elif text.absent_is_empty:
        return
    elif text.is_equality:
        yield kind, (name, text.value)
    else:
        yield kind, (name,)


def _path_filing(path: PathMatch) -> Iterator[tuple[str, Key]]:
    if path.ignore_case or path.invert:
        return
    match path.kind:
        case "exact" | "prefix" | "suffix":
            yield path.kind, path.value
        case "segments":
            if path.value.strip("/"):
                yield "under", path.value.rstrip("/")
        case "glob" | "template":
            yield from _wild_filing(path.value)
        case "contains" | "regex":
            return


def _wild_filing(pattern: str) -> Iterator[tuple[str, Key]]:
    """Literal segments in front, or any literal segment. A `{` or `*` anywhere in a segment makes it wild."""
    segments = pattern.split("/")[1:]
    literal = list(takewhile(_is_literal, segments))
    if len(literal) == len(segments):
        yield "exact", pattern
    elif any(literal):
        yield "under", "/" + "/".join(literal)
    for segment in segments:
        if segment and _is_literal(segment):
            yield "segment", segment


def _is_literal(segment: str) -> bool:
    return "*" not in segment and not segment.startswith("{")
