"""The conditions of a rule as matchers of Envoy. What Envoy cannot see, or RE2 cannot say, leaves the rule out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from faultware.interop.envoyfilter import SERVICE_NODE
from faultware.interop.exporting import NotExportedError
from faultware.interop.patterns import (
    PLAIN_TARGET,
    QUERY,
    STRANGE_HOST,
    STRANGE_PATH,
    STRANGE_QUERY,
    blurs,
    host_pattern,
    is_everything,
    is_plain_field,
    path_pattern,
    raw_pattern,
    text_pattern,
)
from faultware.interop.re2syntax import in_python, quote
from faultware.interop.terms import in_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faultware.core.matching import Match, TextMatch

Document = dict[str, Any]

_UNSEEN: Final = {
    "cookies": "Envoy sees cookies as one header only",
    "client": "a fault filter does not see the client's address",
    "where": "a fault filter knows none of these conditions",
}


@dataclass(frozen=True, slots=True)
class Matchers:
    """Conditions of a fault filter: on headers, and on the names of downstream nodes."""

    headers: list[Document] = field(default_factory=list[Document])
    nodes: list[str] = field(default_factory=list[str])


def filter_matchers(match: Match) -> Matchers:
    """The conditions of a filter that stands by itself.

    Raises:
        NotExportedError: One of them cannot be said.
    """
    if match.raw_query:
        raise NotExportedError("match.raw_query", "a fault filter sees the query as a part of :path only")
    found = Matchers()
    if match.raw_path is not None:
        found.headers.append(_raw_matcher(match.raw_path))
    _add_rest(match, found)
    return found


def route_match(match: Match) -> Document:
    """The conditions of a route.

    Raises:
        NotExportedError: One of them cannot be said.
    """
    found = Matchers()
    path: Document = {"prefix": "/"}
    if match.raw_path is not None:
        condition = match.raw_path
        value = in_text(condition.value)
        if condition.invert or condition.kind not in ("exact", "prefix", "regex") or value is None:
            found.headers.append(_raw_matcher(condition))
        elif condition.kind == "regex":
            pattern = text_pattern(condition)
            if pattern is None:
                raise NotExportedError("match.raw_path", "RE2 has no such pattern")
            path = {"safe_regex": {"regex": pattern}}
        else:
            path = {"path" if condition.kind == "exact" else "prefix": value}
            path |= {"case_sensitive": False} if condition.ignore_case else {}
    _add_rest(match, found)
    headers = found.headers + [{"name": SERVICE_NODE, "string_match": {"exact": node}} for node in found.nodes[:1]]
    if len(found.nodes) > 1:
        raise NotExportedError("match.headers", "a route does not know the nodes of callers")
    queries = [_query(name, condition) for name, condition in match.raw_query]
    return {**path, **({"headers": headers} if headers else {}), **({"query_parameters": queries} if queries else {})}


def missed_matches(match: Match) -> Iterator[Document]:
    """The requests that a route with these conditions may miss, though the rule has them."""
    patterns = {
        "path": (":path", STRANGE_PATH + QUERY),
        "query": (":path", STRANGE_QUERY),
        "host": (":authority", STRANGE_HOST),
    }
    for name, pattern in map(patterns.__getitem__, blurs(match)):
        yield {"prefix": "/", "headers": [{"name": name, "string_match": {"safe_regex": {"regex": pattern}}}]}


def _raw_matcher(condition: TextMatch) -> Document:
    """A condition on the path as it was sent, without the query."""
    if condition.kind == "prefix" and "?" not in condition.value:
        # What the path begins with, the target begins with.
        return header_matcher(":path", condition)
    pattern = text_pattern(condition)
    raw = None if pattern is None else raw_pattern(in_python(pattern))
    return _on_target("match.raw_path", raw, invert=condition.invert)


def _on_target(what: str, pattern: str | None, *, invert: bool) -> Document:
    if pattern is None:
        raise NotExportedError(what, "RE2 has no such pattern")
    head, rest = ("(?i)", pattern[4:]) if pattern.startswith("(?i)") else ("", pattern)
    if "|" in rest:
        rest = f"(?:{rest})"
    matcher: Document = {"name": ":path", "string_match": {"safe_regex": {"regex": f"{head}{rest}{QUERY}"}}}
    return {**matcher, "invert_match": True} if invert else matcher


def _add_rest(match: Match, found: Matchers) -> None:
    for name, reason in _UNSEEN.items():
        if getattr(match, name):
            raise NotExportedError(f"match.{name}", reason)
    if match.methods:
        found.headers.append({"name": ":method", "string_match": _methods(match.methods)})
    if match.path is not None and not is_everything(match.path):
        found.headers.append(_on_target("match.path", path_pattern(match.path), invert=match.path.invert))
        if match.path.invert:
            found.headers.append({"name": ":path", "string_match": {"safe_regex": {"regex": PLAIN_TARGET}}})
    if match.host is not None:
        found.headers.append(_host(match.host))
    found.headers.extend(_decoded_query(match))
    for name, condition in match.headers:
        if name == SERVICE_NODE and condition.is_equality:
            found.nodes.append(condition.value)
        elif name == SERVICE_NODE and condition.one_of and not (condition.invert or condition.absent_is_empty):
            found.nodes.extend(condition.one_of)
        else:
            found.headers.append(header_matcher(name, condition))


def _methods(methods: frozenset[str]) -> Document:
    if len(methods) == 1:
        return {"exact": min(methods)}
    return {"safe_regex": {"regex": "|".join(sorted(methods))}}


def _host(condition: TextMatch) -> Document:
    """The host without its port and final dots is what a rule compares."""
    if condition.present is not None:
        return header_matcher("host", condition)
    pattern = host_pattern(condition)
    if pattern is None or condition.invert:
        raise NotExportedError("match.host", "RE2 has no such pattern")
    return {"name": ":authority", "string_match": {"safe_regex": {"regex": pattern}}}


def _decoded_query(match: Match) -> Iterator[Document]:
    for name, condition in match.query:
        if not is_plain_field(name, condition):
            reason = "Envoy compares the query as it was sent: only a plain value can be said"
            raise NotExportedError(f"match.query.{name}", reason)
        regex = rf"[^?]*\?(?:.*&)?{quote(name)}={quote(condition.value)}(?:&.*)?"
        yield {"name": ":path", "string_match": {"safe_regex": {"regex": regex}}}


def header_matcher(name: str, condition: TextMatch) -> Document:
    """One condition on a header."""
    matcher: Document = {"name": ":authority" if name == "host" else name}
    if condition.present is not None:
        return {**matcher, "present_match": condition.present is not condition.invert}
    if condition.range is not None:
        start, end = condition.range
        matcher["range_match"] = {"start": start, "end": end}
    else:
        matcher["string_match"] = _string(name, condition)
    if condition.invert:
        matcher["invert_match"] = True
    if condition.absent_is_empty:
        matcher["treat_missing_header_as_empty"] = True
    return matcher


def _query(name: str, condition: TextMatch) -> Document:
    if condition.invert or condition.absent_is_empty or condition.range is not None or condition.present is False:
        raise NotExportedError(f"match.raw_query.{name}", "a route asks only for what a parameter is")
    if condition.present:
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": _string(name, condition)}


def _string(name: str, condition: TextMatch) -> Document:
    if condition.kind in ("exact", "prefix", "suffix", "contains"):
        value = in_text(condition.value)
        if value is not None:
            return {condition.kind: value, **({"ignore_case": True} if condition.ignore_case else {})}
    pattern = text_pattern(condition)
    if pattern is None:
        raise NotExportedError(f"match.headers.{name}", "RE2 has no such pattern")
    return {"safe_regex": {"regex": pattern}}
