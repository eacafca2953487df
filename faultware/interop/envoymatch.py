"""Envoy's matchers of texts and headers, read as conditions. Source: Envoy 1.40 (`HeaderMatcher`, `StringMatcher`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from faultware.core.matching import TextMatch
from faultware.errors import RuleError
from faultware.interop.re2syntax import from_re2
from faultware.interop.reading import fields, one_of, switch, text, whole
from faultware.interop.terms import ALWAYS, NEVER, NotCarriedError, Terms, in_bytes, on_header, placed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultware.interop.remarks import Remarks
    from faultware.interop.tree import Node

_DEPRECATED: Final = {
    "exact_match": "exact",
    "prefix_match": "prefix",
    "suffix_match": "suffix",
    "contains_match": "contains",
    "safe_regex_match": "safe_regex",
}
_KINDS: Final = ("string_match", "range_match", "present_match", *_DEPRECATED)
_FIELDS: Final = frozenset({"name", "invert_match", "treat_missing_header_as_empty", *_KINDS})
# What a connection manager writes, or takes away, before its filters see a request.
_REWRITTEN: Final = frozenset(
    {"connection", "expect", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
    | {"x-envoy-external-address", "x-envoy-internal", "x-forwarded-for", "x-forwarded-proto", "x-request-id"}
)
# No name of a header in Envoy's eyes, which takes everything else.
_ENDS: Final = re.compile(r"[\x00\r\n]")
_STRING_KINDS: Final = ("exact", "prefix", "suffix", "contains", "safe_regex", "custom")


def header_terms(node: Node) -> Terms:
    """A `HeaderMatcher`.

    Raises:
        RuleError: Envoy would refuse it, or a rule cannot hold it.
        NotCarriedError: It asks for what only an extension of Envoy can decide.
    """
    given = fields(node, "header matcher", _FIELDS)
    if "name" not in given:
        raise node.wrong("name is missing", "the header that is matched")
    name = text(given["name"])
    if not name or _ENDS.search(name):
        raise given["name"].wrong(
            "a header has a name" if not name else f"{given['name'].shown} is no name of a header"
        )
    is_inverted = "invert_match" in given and switch(given["invert_match"])
    counts_as_empty = "treat_missing_header_as_empty" in given and switch(given["treat_missing_header_as_empty"])
    kinds = [kind for kind in _KINDS if kind in given]
    if len(kinds) > 1:
        raise node.wrong(f"{' and '.join(kinds)} exclude each other", "leave all but one out")
    kind = kinds[0] if kinds else "present_match"
    if kind == "present_match":
        is_present = switch(given[kind]) if kind in given else True
        if counts_as_empty:
            # Then every header is present.
            return ALWAYS if is_present is not is_inverted else NEVER
        return on_header(name, TextMatch(present=is_present is not is_inverted))
    if kind == "range_match":
        return _range_terms(name, given[kind], invert=is_inverted, absent_is_empty=counts_as_empty)
    if kind == "exact_match" and not text(given[kind]):
        # The old form of presence. Inverted, an absent header fails it as it fails every value.
        return NEVER if is_inverted else ALWAYS if counts_as_empty else on_header(name, TextMatch(present=True))
    if kind == "string_match":
        condition = string_condition(given[kind], is_inverted=is_inverted, absent_is_empty=counts_as_empty)
    else:
        condition = _condition(given[kind], _DEPRECATED[kind], is_inverted=is_inverted, absent_is_empty=counts_as_empty)
    return on_header(name, condition)


def matched_names(matchers: Sequence[Node]) -> dict[str, Node]:
    """The names of headers in a list of matchers."""
    return {name.text: name for matcher in matchers if (name := matcher.get("name")) is not None}


def tell_rewritten(names: Mapping[str, Node], remarks: Remarks) -> None:
    """Tell of conditions on headers that the mesh may have written.

    Args:
        names: Where each name stands.
        remarks: Where it is written.
    """
    for name, node in names.items():
        if name.lower() in _REWRITTEN:
            reason = "Envoy writes this header, or takes it away, before its filters see it; here it is as it was sent"
            remarks.note(node, reason)


def _range_terms(name: str, node: Node, *, invert: bool, absent_is_empty: bool) -> Terms:
    given = fields(node, "range", ("start", "end"))
    start, end = (whole(given[end]) if end in given else 0 for end in ("start", "end"))
    if start < end:
        return on_header(name, TextMatch(range=(start, end), invert=invert, absent_is_empty=absent_is_empty))
    if not invert:
        return NEVER
    # No number lies in it: every value is outside.
    return ALWAYS if absent_is_empty else on_header(name, TextMatch(present=True))


def string_condition(node: Node, *, is_inverted: bool = False, absent_is_empty: bool = False) -> TextMatch:
    """A `StringMatcher`.

    Raises:
        RuleError: Envoy would refuse it, or a rule cannot hold it.
        NotCarriedError: It asks for what only an extension of Envoy can decide.
    """
    given = fields(node, "string matcher", (*_STRING_KINDS, "ignore_case"))
    kind = one_of(node, given, _STRING_KINDS)
    if kind == "custom":
        raise NotCarriedError(given[kind], "only an extension of Envoy can decide this")
    ignore_case = "ignore_case" in given and switch(given["ignore_case"])
    if ignore_case and kind == "safe_regex":
        raise given["ignore_case"].wrong("ignore_case does not go with a regex", "write (?i) inside it")
    return _condition(
        given[kind], kind, ignore_case=ignore_case, is_inverted=is_inverted, absent_is_empty=absent_is_empty
    )


def _condition(
    node: Node, kind: str, *, ignore_case: bool = False, is_inverted: bool = False, absent_is_empty: bool = False
) -> TextMatch:
    if kind == "safe_regex":
        return regex_condition(node, invert=is_inverted, absent_is_empty=absent_is_empty)
    value = text(node)
    if not value and kind != "exact":
        raise node.wrong(f"an empty {kind} is not possible", "leave the matcher out")
    return text_condition(
        node, kind, value, ignore_case=ignore_case, invert=is_inverted, absent_is_empty=absent_is_empty
    )


def text_condition(node: Node, kind: str, value: str, **flags: bool) -> TextMatch:
    """A condition of this kind on the bytes of a text; a regex is written as a rule has it."""
    given: dict[str, Any] = {kind: value if kind == "regex" else in_bytes(value), **flags}
    try:
        return TextMatch(**given)
    except RuleError as error:
        raise placed(error, node) from None


def regex_condition(node: Node, **flags: bool) -> TextMatch:
    """A `RegexMatcher`: the whole value."""
    given = fields(node, "regex", ("regex", "google_re2"))
    pattern = given.get("regex")
    if pattern is None or not text(pattern):
        raise (pattern or node).wrong("the regex is missing", "write regex: …")
    return pattern_condition(pattern, **flags)


def pattern_condition(node: Node, **flags: bool) -> TextMatch:
    """A pattern of RE2 as it stands in a field."""
    given: dict[str, Any] = flags
    try:
        return TextMatch(regex=from_re2(text(node)), **given)
    except RuleError as error:
        raise placed(error, node) from None
