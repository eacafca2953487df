"""The conditions of a rule as one block of Istio's match language. What it cannot say leaves the rule out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from faultware.interop.exporting import NotExportedError
from faultware.interop.patterns import (
    STRANGE_HOST,
    STRANGE_PATH,
    blurs,
    host_pattern,
    is_everything,
    is_plain_field,
    path_pattern,
    raw_pattern,
    text_pattern,
)
from faultware.interop.re2syntax import in_python
from faultware.interop.terms import in_text

if TYPE_CHECKING:
    from faultware.core.matching import Match, TextMatch

Document = dict[str, Any]

_PSEUDO: Final = {":method": "method", ":scheme": "scheme", "host": "authority"}
_UNSEEN: Final = {
    "cookies": "a VirtualService sees cookies as one header only",
    "client": "a VirtualService does not see the client's address",
    "where": "a VirtualService knows none of these conditions",
}


def match_block(match: Match) -> Document:
    """The conditions; empty, if every request meets them.

    Raises:
        NotExportedError: One of them cannot be said.
    """
    for name, reason in _UNSEEN.items():
        if getattr(match, name):
            raise NotExportedError(f"match.{name}", reason)
    block = _uri(match)
    if match.methods:
        methods = sorted(match.methods)
        block["method"] = {"exact": methods[0]} if len(methods) == 1 else {"regex": "|".join(methods)}
    if match.host is not None:
        block["authority"] = _host(match.host)
    _add_headers(match, block)
    queries = {name: _query(name, condition) for name, condition in match.raw_query}
    if len(queries) < len(match.raw_query):
        raise NotExportedError("match.raw_query", "one condition for each name")
    for name, condition in match.query:
        if name in queries or not is_plain_field(name, condition):
            reason = "Istio compares the query as it was sent: only a plain value can be said"
            raise NotExportedError(f"match.query.{name}", reason)
        queries[name] = {"exact": condition.value}
    return {**block, **({"queryParams": queries} if queries else {})}


def missed_blocks(match: Match) -> list[Document] | None:
    """The requests that a route may miss, though the rule has them; None: they cannot be said."""
    patterns = {"path": ("uri", STRANGE_PATH), "host": ("authority", STRANGE_HOST)}
    found = blurs(match)
    if "query" in found:
        return None
    return [{field: {"regex": pattern}} for field, pattern in map(patterns.__getitem__, found)]


def _uri(match: Match) -> Document:
    """What is said of the path, which may be said once."""
    targets = [condition for name, condition in match.headers if name == ":path"]
    path = None if match.path is None or is_everything(match.path) else match.path
    if len(targets) + (match.raw_path is not None) + (path is not None) > 1:
        raise NotExportedError("match", "a VirtualService has one condition on the path")
    if path is not None:
        if path.invert:
            raise NotExportedError("match.path", "a VirtualService cannot turn a condition on the path round")
        return {"uri": {"regex": _known("match.path", path_pattern(path))}}
    if match.raw_path is not None:
        return _raw(match.raw_path)
    for target in targets:
        if target.kind != "prefix" or "?" in target.value or target.invert:
            raise NotExportedError("match.headers.:path", "a VirtualService compares the path without the query")
        return _raw(target)
    return {}


def _raw(condition: TextMatch) -> Document:
    if condition.invert:
        raise NotExportedError("match.raw_path", "a VirtualService cannot turn a condition on the path round")
    value = in_text(condition.value)
    if condition.kind in ("exact", "prefix") and value is not None:
        return {"uri": {condition.kind: value}, **({"ignoreUriCase": True} if condition.ignore_case else {})}
    pattern = text_pattern(condition)
    if pattern is not None and condition.kind != "regex":
        pattern = raw_pattern(in_python(pattern))
    return {"uri": {"regex": _known("match.raw_path", pattern)}}


def _host(condition: TextMatch) -> Document:
    return {"regex": _known("match.host", None if condition.invert else host_pattern(condition))}


def _add_headers(match: Match, block: Document) -> None:
    wanted: Document = {}
    without: Document = {}
    for name, condition in match.headers:
        if name == ":path":
            continue
        if name in _PSEUDO and not condition.invert and condition.present is None:
            if _PSEUDO[name] in block:
                raise NotExportedError(f"match.headers.{name}", "one condition for each")
            block[_PSEUDO[name]] = _string(name, condition)
            continue
        if name.startswith(":"):
            raise NotExportedError(f"match.headers.{name}", "a VirtualService cannot turn this condition round")
        _add_header(name, condition, wanted, without)
    if wanted:
        block["headers"] = wanted
    if without:
        block["withoutHeaders"] = without


def _add_header(name: str, condition: TextMatch, wanted: Document, without: Document) -> None:
    if condition.present is not None:
        place = wanted if condition.present is not condition.invert else without
        if place.setdefault(name, {}):
            if place is wanted:
                return  # what has a value is there
            raise NotExportedError(f"match.headers.{name}", "one condition for each name")
        return
    if condition.absent_is_empty and not condition.invert:
        if condition.accepts(()):
            raise NotExportedError(f"match.headers.{name}", "a header that is absent meets no condition there")
    elif condition.invert and not condition.absent_is_empty:
        wanted.setdefault(name, {})
    place = without if condition.invert else wanted
    if place.get(name):
        raise NotExportedError(f"match.headers.{name}", "one condition for each name")
    if condition.invert and name in without:
        raise NotExportedError(f"match.headers.{name}", "one condition for each name")
    place[name] = _string(name, condition)


def _query(name: str, condition: TextMatch) -> Document:
    if condition.invert or condition.absent_is_empty or condition.present is False:
        raise NotExportedError(f"match.raw_query.{name}", "a VirtualService asks only for what a parameter is")
    return {} if condition.present else _string(name, condition)


def _string(name: str, condition: TextMatch) -> Document:
    value = in_text(condition.value)
    if condition.kind in ("exact", "prefix") and value is not None and not condition.ignore_case:
        return {condition.kind: value}
    return {"regex": _known(f"match.headers.{name}", text_pattern(condition))}


def _known(what: str, pattern: str | None) -> str:
    if pattern is None:
        raise NotExportedError(what, "RE2 has no such pattern")
    return pattern
