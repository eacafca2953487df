"""The `fault-injection` plugin of APISIX: a delay and an abort, each with conditions and dice of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faultware.core.comparing import as_text
from faultware.core.faults import BODILESS, Abort, Delay
from faultware.core.variables import is_variable, names_in, without_gaps
from faultware.errors import RuleError
from faultware.interop.apisixterms import alternatives, every_of
from faultware.interop.reading import is_mapping, number, plain_text, switch, whole
from faultware.interop.terms import ALWAYS, NotCarriedError, Terms, placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.faults import Fault
    from faultware.interop.remarks import Remarks
    from faultware.interop.tree import Node

PLUGIN: Final = "fault-injection"
_LEAST_STATUS, _MOST_STATUS = 200, 599
_LONGEST: Final = 86400


@dataclass(frozen=True, slots=True)
class Part:
    """A delay or an abort.

    Args:
        node: Where it stands.
        key: The field of a rule.
        fault: With the percentage.
        terms: Its conditions, and those of the plugin.
    """

    node: Node
    key: str
    fault: Fault
    terms: Terms


def read_plugin(node: Node, remarks: Remarks) -> list[Part]:
    """What the plugin does: nothing, one thing, or a delay and an abort.

    Raises:
        RuleError: APISIX would refuse it, or a rule cannot hold it.
    """
    is_mapping(node, "fault-injection")
    given = known(node, ("abort", "delay", "_meta"), remarks)
    if "abort" not in given and "delay" not in given:
        raise node.wrong("there is neither an abort nor a delay here", "at least one of them")
    terms = _meta(given["_meta"], remarks) if "_meta" in given else ALWAYS
    parts: list[Part | None] = []
    for key in ("delay", "abort"):
        if key in given:
            with remarks.gathering():
                parts.append(_part(given[key], key, remarks))
    if terms is None or terms.is_never:
        return []
    return [
        Part(part.node, part.key, part.fault, terms & part.terms)
        for part in parts
        if part is not None and not part.terms.is_never
    ]


def known(node: Node, names: Sequence[str], remarks: Remarks) -> dict[str, Node]:
    """The fields with these names; others are overlooked, as APISIX does, and said."""
    is_mapping(node, "mapping")
    for name, value in node.fields.items():
        if name not in names:
            remarks.lost(value, "the plugin has no such field, and APISIX overlooks it")
    return {name: node.fields[name] for name in names if name in node.fields}


def _meta(node: Node, remarks: Remarks) -> Terms | None:
    """What is around the plugin; None: it is off, or nothing in process can tell."""
    is_mapping(node, "mapping")
    terms: Terms | None = ALWAYS
    for name, value in node.fields.items():
        if name == "disable":
            if switch(value):
                remarks.note(value, "the plugin is switched off")
                terms = None
        elif name == "filter":
            try:
                narrower = every_of(value)
                terms = terms and terms & narrower
            except NotCarriedError as error:
                remarks.lost(error.node, f"{error.reason}; so its faults are left out")
                terms = None
        else:
            remarks.lost(value, "it concerns the gateway")
    return terms


def _part(node: Node, key: str, remarks: Remarks) -> Part | None:
    fields = ("duration",) if key == "delay" else ("http_status", "body", "headers")
    given = known(node, (*fields, "percentage", "vars"), remarks)
    if fields[0] not in given:
        raise node.wrong(f"{fields[0]} is missing", "in seconds" if key == "delay" else "200 to 599")
    share = _share(node, given, remarks)
    terms: Terms | None = ALWAYS
    if "vars" in given:
        try:
            terms = alternatives(given["vars"], remarks)
        except NotCarriedError as error:
            remarks.lost(error.node, f"{error.reason}; so the {key} is left out")
            terms = None
    fault = _delay(given, share, remarks) if key == "delay" else _abort(node, given, share, remarks)
    if fault is None or terms is None or not share:
        return None
    return Part(node, key, fault, terms)


def _share(node: Node, given: dict[str, Node], remarks: Remarks) -> int:
    if "percentage" not in given:
        remarks.note(node, "without a percentage it always acts")
        return 100
    place = given["percentage"]
    if place.kind != "number":
        raise place.wrong(f"{place.shown} is not a whole number", "0 to 100, without quotes")
    share = whole(place, 0, 100)
    if not share:
        remarks.note(place, "its percentage is 0, so it never acts")
    return share


def _delay(given: dict[str, Node], share: int, remarks: Remarks) -> Fault | None:
    place = given["duration"]
    seconds = number(place, 0, _LONGEST)
    if not seconds:
        remarks.note(place, "a delay of 0 does nothing")
        return None
    remarks.note_hold(place, seconds)
    try:
        return Delay(seconds, percentage=share)
    except RuleError as error:
        raise placed(error, place) from None


def _abort(node: Node, given: dict[str, Node], share: int, remarks: Remarks) -> Fault:
    place = given["http_status"]
    if place.kind != "number":
        raise place.wrong(f"{place.shown} is not a whole number", "200 to 599, without quotes")
    status = whole(place, _LEAST_STATUS, _MOST_STATUS)
    body = _text(given["body"], remarks) if "body" in given else ""
    headers = _headers(given["headers"], remarks) if "headers" in given else []
    if body and status in BODILESS:
        remarks.note(given["body"], f"an answer with {status} has no body")
    content = None if status in BODILESS else body
    has_gaps = any(names_in(text) for text in (content or "", *(value for _, value in headers)))
    try:
        return Abort(status, body=content, headers=headers, template=has_gaps, percentage=share)
    except RuleError as error:
        raise placed(error, node) from None


def _headers(node: Node, remarks: Remarks) -> list[tuple[str, str]]:
    is_mapping(node, "mapping of names")
    if not node.fields:
        raise node.wrong("there is no header here", "leave it out")
    return [
        (name, as_text(float(value.text)) if value.kind == "number" else _text(value, remarks))
        for name, value in node.fields.items()
    ]


def _text(node: Node, remarks: Remarks) -> str:
    """A text with gaps. Those for what only the gateway knows are filled now, as if it were absent."""
    text = plain_text(node)
    unknown = [name for name in names_in(text) if not is_variable(name)]
    for name in unknown:
        remarks.lost(node, f"the variable {name} is not known in process; it counts as absent")
    return without_gaps(text, unknown)
