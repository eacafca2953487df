"""The faults of an Istio route. Source: Istio's `HTTPFaultInjection`, its validation, and what Envoy gets of it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from faultware.core.asking import CONTENT_TYPE, DEFAULT_BODY
from faultware.core.faults import BODILESS, Abort, Delay
from faultware.core.grpc import STATUSES
from faultware.errors import RuleError
from faultware.interop.reading import fields, number, text, whole
from faultware.interop.terms import placed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultware.core.faults import Fault
    from faultware.interop.remarks import Remarks
    from faultware.interop.tree import Node

_DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{0,9})?(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_MILLISECONDS: Final = {
    "ns": Decimal("0.000001"),
    "us": Decimal("0.001"),
    "µs": Decimal("0.001"),
    "μs": Decimal("0.001"),
    "ms": Decimal(1),
    "s": Decimal(1000),
    "m": Decimal(60_000),
    "h": Decimal(3_600_000),
}
_LEAST_SHARE: Final = 0.0001
_MOST_STATUS: Final = 599


def read_fault(node: Node, remarks: Remarks) -> Mapping[str, Fault]:
    """The faults of a route, by the field of a rule.

    Raises:
        RuleError: Istio or Envoy would refuse it, or a rule cannot hold it.
    """
    given = fields(node, "fault", ("delay", "abort"))
    if not given:
        raise node.wrong("a fault has a delay or an abort")
    faults: dict[str, Fault] = {}
    if "delay" in given:
        faults.update(_delay(given["delay"], remarks))
    if "abort" in given:
        faults.update(_abort(given["abort"], remarks))
    return faults


def _delay(node: Node, remarks: Remarks) -> Mapping[str, Fault]:
    given = fields(node, "delay", ("fixed_delay", "exponential_delay", "percentage", "percent"))
    if "exponential_delay" in given:
        raise given["exponential_delay"].wrong("exponentialDelay is not supported by Istio", "write fixedDelay")
    if "fixed_delay" not in given:
        raise node.wrong("fixedDelay is missing", "such as fixedDelay: 5s")
    seconds = _seconds(given["fixed_delay"])
    share = _share(node, given, remarks)
    if not share:
        return {}
    remarks.note_hold(given["fixed_delay"], seconds)
    try:
        return {"delay": Delay(seconds, percentage=share)}
    except RuleError as error:
        raise placed(error, given["fixed_delay"]) from None


def _abort(node: Node, remarks: Remarks) -> Mapping[str, Fault]:
    given = fields(node, "abort", ("http_status", "grpc_status", "http2_error", "percentage"))
    if "http2_error" in given:
        raise given["http2_error"].wrong("http2Error is not supported by Istio", "write httpStatus or grpcStatus")
    if "http_status" in given and "grpc_status" in given:
        raise node.wrong("httpStatus and grpcStatus exclude each other", "leave one out")
    share = _share(node, given, remarks)
    code: int | None = None
    if "grpc_status" in given:
        name = text(given["grpc_status"])
        if name not in STATUSES:
            raise given["grpc_status"].wrong(f"{given['grpc_status'].shown} is no status", "such as UNAVAILABLE")
        status, code = 200, STATUSES.index(name)
    elif "http_status" in given:
        status = whole(given["http_status"], 200, _MOST_STATUS)
    else:
        remarks.note(node, "without a status nothing is injected")
        return {}
    if not share:
        return {}
    body, kind = (None, None) if status in BODILESS else (DEFAULT_BODY, CONTENT_TYPE)
    return {"abort": Abort(status, body=body, content_type=kind, grpc_status=code, percentage=share)}


def _share(node: Node, given: Mapping[str, Node], remarks: Remarks) -> float:
    if "percentage" in given:
        found = given["percentage"]
        if found.kind == "number":
            raise found.wrong(f"{found.shown} is no percentage", f"write percentage: {{value: {found.text}}}")
        inner = fields(found, "percentage", ("value",))
        value = number(inner["value"], 0, 100) if "value" in inner else 0.0
        if 0 < value < _LEAST_SHARE:
            raise inner["value"].wrong(f"{inner['value'].text} is not possible", "0, or 0.0001 to 100")
        if 0 < value < 1:
            shown = f"{value:g} is {value:g} %, here as in Istio, and not {100 * value:g} %"
            remarks.note(inner["value"], shown)
        # As Istio computes it, in binary: 0.57 becomes 5699 of a million.
        millionths = int(value * 10_000)
        if millionths != round(value * 10_000):
            remarks.note(inner["value"], f"Istio makes {millionths / 10_000:g} % of it, and so does this")
        share = millionths / 10_000
    else:
        share = float(whole(given["percent"], 0, 100)) if "percent" in given else 0.0
    if not share:
        has_one = "percentage" in given or "percent" in given
        remarks.note(node, "its percentage is 0, so it never acts" if has_one else "without percentage it never acts")
    return share


def _seconds(node: Node) -> float:
    """A duration as Go writes it: whole milliseconds, at least one."""
    if node.kind != "text" or not _DURATION.fullmatch(node.text):
        raise node.wrong(f"{node.shown} is not a duration", "such as 5s, 100ms, 1h30m")
    milliseconds = sum(Decimal(count) * _MILLISECONDS[unit] for count, unit in _PART.findall(node.text))
    if milliseconds < 1 or milliseconds != int(milliseconds):
        raise node.wrong(f"{node.shown} is not possible", "whole milliseconds, at least 1ms")
    return int(milliseconds) / 1000
