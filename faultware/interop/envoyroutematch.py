"""Which requests a domain and a route of Envoy take, read as conditions. Source: Envoy 1.40 (`RouteMatch`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from faultware.core.matching import TextMatch
from faultware.interop.envoymatch import header_terms, pattern_condition, string_condition, text_condition
from faultware.interop.re2syntax import quote
from faultware.interop.reading import fields, items, one_of, switch, text
from faultware.interop.terms import ALWAYS, NotCarriedError, Terms, in_bytes, on_header

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultware.interop.tree import Node

_PATHS: Final = ("prefix", "path", "safe_regex", "path_separated_prefix", "connect_matcher", "path_match_policy")
_OUTSIDE: Final = ("runtime_fraction", "tls_context", "dynamic_metadata", "filter_state", "cookies")
_ROUTE_MATCH: Final = (*_PATHS, *_OUTSIDE, "case_sensitive", "headers", "query_parameters", "grpc")
# As Envoy takes it off: whatever stands behind the last colon, outside the brackets of IPv6.
_PORT: Final = r":[^:\]]*"
_SEPARATED: Final = re.compile(r"[^?#]+[^?#/]")
_GRPC: Final = TextMatch(regex=r"application/grpc(?:\+.*)?")


def match_of(route: Node) -> Node:
    """The `RouteMatch` of a route."""
    match = route.get("match")
    if match is None:
        raise route.wrong("a route has a match", "match: {prefix: /}")
    return match


def domain_terms(node: Node, header: str, *, is_bare: bool) -> tuple[tuple[int, int], Terms]:
    """How specific a domain is, and what it says of the host, or of the header that stands for it.

    Args:
        node: The domain; `*` stands for anything at one of its ends.
        header: `host`, or the name of the other header.
        is_bare: Whether a port is taken off the host before.
    """
    domain = text(node)
    if domain == "*":
        # Every request has a host.
        return (3, 0), ALWAYS if header == "host" else on_header(header, TextMatch(present=True))
    port, some = "", ".+"
    if is_bare:
        # The port is taken off before anything is compared: where a domain has one, the host has another behind it.
        port, some = (_PORT if ":" in domain.rpartition("]")[2] else f"(?:{_PORT})?"), "[^:].*"
    # A star stands for at least one character.
    if domain.startswith("*"):
        rank, pattern = 1, f".+{quote(in_bytes(domain[1:]))}{port}"
    elif domain.endswith("*"):
        rank, pattern = 2, f"{quote(in_bytes(domain[:-1]))}{some}{'' if port.endswith('?') else port}"
    elif port:
        rank, pattern = 0, f"{quote(in_bytes(domain))}{port}"
    else:
        return (0, 0), on_header(header, text_condition(node, "exact", domain, ignore_case=True))
    return (rank, -len(domain)), on_header(header, text_condition(node, "regex", f"(?i){pattern}"))


def route_terms(node: Node) -> tuple[Terms, NotCarriedError | None]:
    """A `RouteMatch`: what it says, and what of it nothing in process can decide."""
    given = fields(node, "route match", _ROUTE_MATCH)
    kind = one_of(node, given, _PATHS)
    unknown: NotCarriedError | None = None
    terms = ALWAYS
    if kind in ("connect_matcher", "path_match_policy"):
        unknown = NotCarriedError(given[kind], f"{kind} is not known in process")
    else:
        has_case = "case_sensitive" not in given or switch(given["case_sensitive"])
        terms = _path_terms(given[kind], kind, ignore_case=not has_case)
    for name in _OUTSIDE:
        if name in given:
            unknown = NotCarriedError(given[name], f"{name} is not known in process")
    if "grpc" in given:
        fields(given["grpc"], "grpc match", ())
        terms &= on_header("content-type", _GRPC)
    readers: tuple[tuple[str, Callable[[Node], Terms]], ...] = (
        ("headers", header_terms),
        ("query_parameters", _query_terms),
    )
    for name, read in readers:
        for item in items(given[name]) if name in given else ():
            try:
                terms &= read(item)
            except NotCarriedError as error:
                unknown = error
    return terms, unknown


def _path_terms(node: Node, kind: str, *, ignore_case: bool) -> Terms:
    if kind == "safe_regex":
        pattern = fields(node, "regex", ("regex", "google_re2")).get("regex")
        if pattern is None:
            raise node.wrong("the regex is missing", "write regex: …")
        return Terms(raw_path=pattern_condition(pattern))
    value = text(node)
    if kind == "prefix" and value in ("", "/"):
        return ALWAYS
    if kind == "path_separated_prefix":
        if not _SEPARATED.fullmatch(value):
            raise node.wrong(f"{node.shown} is not possible", "two characters or more, no ? and no #, no / at the end")
        case = "(?i)" if ignore_case else ""
        return Terms(raw_path=text_condition(node, "regex", f"{case}{quote(in_bytes(value))}(?:/.*)?"))
    return Terms(raw_path=text_condition(node, "exact" if kind == "path" else kind, value, ignore_case=ignore_case))


def _query_terms(node: Node) -> Terms:
    given = fields(node, "query parameter matcher", ("name", "string_match", "present_match"))
    if "name" not in given:
        raise node.wrong("name is missing", "the parameter that is matched")
    condition = TextMatch(present=True)
    if "string_match" in given and "present_match" in given:
        raise node.wrong("string_match and present_match exclude each other", "leave one out")
    if "string_match" in given:
        condition = string_condition(given["string_match"])
    elif "present_match" in given:
        condition = TextMatch(present=switch(given["present_match"]))
    return Terms(raw_query=((text(given["name"]), condition),))
