"""The match language of an Istio route, read as conditions. Source: Istio's `HTTPMatchRequest`; see `istio`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faultware.core.matching import TextMatch
from faultware.interop.envoymatch import pattern_condition, text_condition
from faultware.interop.re2syntax import quote
from faultware.interop.reading import fields, is_mapping, items, one_of, switch, text, whole
from faultware.interop.terms import ALWAYS, NEVER, NotCarriedError, Terms, in_bytes, on_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faultware.interop.tree import Node

_KINDS: Final = ("exact", "prefix", "regex")
_FIELDS: Final = (
    "name",
    "uri",
    "scheme",
    "method",
    "authority",
    "headers",
    "without_headers",
    "query_params",
    "ignore_uri_case",
    "source_labels",
    "source_namespace",
    "gateways",
    "port",
    "stat_prefix",
)
_PSEUDO: Final = {"scheme": ":scheme", "method": ":method", "authority": "host"}
_CLUSTER: Final = ".svc.cluster.local"
# Istio passes over these as names of headers.
_NO_HEADERS: Final = frozenset({"uri", "scheme", "method", "authority"})


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of those who call this service.

    Args:
        labels: Of the calling workload; None: not known.
        namespace: … and its namespace; empty: not known.
        gateways: Through which requests come; `mesh` is none.
    """

    labels: Mapping[str, str] | None = None
    namespace: str = ""
    gateways: frozenset[str] = frozenset({"mesh"})


def match_terms(node: Node, caller: Caller) -> tuple[Terms, NotCarriedError | None]:
    """One block of conditions: what it says, and what of it nothing in process can decide.

    Raises:
        RuleError: Istio would refuse it, or a rule cannot hold it.
    """
    given = fields(node, "match", _FIELDS)
    terms, unknown = _caller_terms(given, caller)
    if "uri" in given:
        ignore_case = "ignore_uri_case" in given and switch(given["ignore_uri_case"])
        terms &= _uri_terms(given["uri"], ignore_case=ignore_case)
    for name, header in _PSEUDO.items():
        if name in given:
            terms &= on_header(header, _condition(given[name]))
    for name in ("headers", "without_headers"):
        for key, value in _pairs(given, name):
            if key.startswith("@"):
                unknown = NotCarriedError(value, "claims of a token are checked by the mesh")
            elif key.lower() not in _NO_HEADERS:
                terms &= on_header(key, _header(value, is_without=name == "without_headers"))
    for key, value in _pairs(given, "query_params"):
        is_present = value.kind == "mapping" and not value.fields
        terms &= Terms(raw_query=((key, TextMatch(present=True) if is_present else _condition(value)),))
    if "port" in given:
        whole(given["port"], 0, 65535)
        unknown = NotCarriedError(given["port"], "the port a request was sent to is known to the mesh only")
    return terms, unknown


def _caller_terms(given: Mapping[str, Node], caller: Caller) -> tuple[Terms, NotCarriedError | None]:
    """What is said of the caller: it is decided now, as Istio does when it builds a configuration."""
    if "gateways" in given and items(given["gateways"]):
        gateways = [text(item) for item in items(given["gateways"])]
        return (NEVER if caller.gateways.isdisjoint(gateways) else ALWAYS), None
    unknown: NotCarriedError | None = None
    if "source_namespace" in given and text(given["source_namespace"]):
        if not caller.namespace:
            unknown = NotCarriedError(given["source_namespace"], "the caller's namespace is not known in process")
        elif caller.namespace != text(given["source_namespace"]):
            return NEVER, None
    labels = {key: text(value) for key, value in _pairs(given, "source_labels")}
    if labels:
        if caller.labels is None:
            unknown = NotCarriedError(given["source_labels"], "the caller's labels are not known in process")
        elif not labels.items() <= caller.labels.items():
            return NEVER, None
    return ALWAYS, unknown


def _pairs(given: Mapping[str, Node], name: str) -> Iterator[tuple[str, Node]]:
    if name in given:
        is_mapping(given[name], "mapping of names")
        for key, value in given[name].fields.items():
            if not key:
                raise value.wrong("the name is empty")
            yield key, value


def _uri_terms(node: Node, *, ignore_case: bool) -> Terms:
    given = fields(node, "uri", _KINDS)
    kind = one_of(node, given, _KINDS)
    if kind == "regex":
        return Terms(raw_path=_condition(node))
    value = text(given[kind])
    if kind == "prefix" and value in ("", "/"):
        return ALWAYS
    return Terms(raw_path=text_condition(given[kind], kind, value, ignore_case=ignore_case))


def _header(node: Node, *, is_without: bool) -> TextMatch:
    regex = node.get("regex")
    if (node.kind == "mapping" and not node.fields) or (regex is not None and regex.text == "*"):
        return TextMatch(present=not is_without)
    return _condition(node, invert=is_without, absent_is_empty=is_without)


def _condition(node: Node, **flags: bool) -> TextMatch:
    """A `StringMatch`."""
    given = fields(node, "string match", _KINDS)
    kind = one_of(node, given, _KINDS)
    value = text(given[kind])
    if kind == "regex":
        if not value:
            raise given[kind].wrong("the regex is empty")
        return pattern_condition(given[kind], **flags)
    if kind == "prefix" and not value:
        raise given[kind].wrong("the prefix is empty")
    return text_condition(given[kind], kind, value, **flags)


def host_terms(node: Node) -> Terms:
    """The requests that are for a host: by its name, or a longer form of it, with or without port."""
    host = text(node)
    if host == "*":
        return ALWAYS
    first, *rest = in_bytes(host).split(".")
    if host.startswith("*"):
        pattern = f".+{quote(in_bytes(host[1:]))}"
    elif not rest:
        pattern = quote(first) + r"(?:\.[^:]*)?"
    elif host.endswith(_CLUSTER):
        # The shorter forms of a name mean the same service.
        pattern = quote(first) + "".join(rf"(?:\.{quote(part)}" for part in rest) + ")?" * len(rest)
    else:
        pattern = quote(in_bytes(host))
    return on_header("host", text_condition(node, "regex", f"(?i){pattern}(?::[0-9]+)?"))
