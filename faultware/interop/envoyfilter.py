"""One fault filter of Envoy, read as faults and the conditions for them. Source: Envoy 1.40, `HTTPFault` v3.

Everything Envoy refuses to load is refused here; what it loads and then never does is read so, and said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from faultware.core.asking import CONTENT_TYPE, DEFAULT_BODY, ByHeaders
from faultware.core.faults import BODILESS, Abort, Delay, Throttle
from faultware.core.matching import TextMatch
from faultware.errors import RuleError
from faultware.interop.envoymatch import header_terms, matched_names, tell_rewritten
from faultware.interop.reading import UINT32, fields, is_mapping, items, one_of, switch, text, whole
from faultware.interop.runtime import fraction, percentage, runtime_percentage, runtime_whole
from faultware.interop.terms import ALWAYS, NotCarriedError, Terms, in_bytes, on_header, placed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultware.core.faults import Fault
    from faultware.interop.remarks import Remarks
    from faultware.interop.runtime import Runtime
    from faultware.interop.tree import Node

FILTER_TYPE: Final = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
FILTER_NAME: Final = "envoy.filters.http.fault"
# The one it has by default, and the one it had once.
FILTER_NAMES: Final = (FILTER_NAME, "envoy.fault")
MANAGER_TYPE: Final = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_CALLER: Final = "x-envoy-downstream-service-cluster"
# Keys for one caller alone, by what it says of itself.
_OF_CALLER: Final = re.compile(r"fault\.http\.(.+)\.(?:abort|delay)\.[a-z_]+", re.ASCII)
SERVICE_NODE: Final = "x-envoy-downstream-service-node"

_RUNTIME: Final = {
    "delay_percent_runtime": "fault.http.delay.fixed_delay_percent",
    "delay_duration_runtime": "fault.http.delay.fixed_duration_ms",
    "abort_percent_runtime": "fault.http.abort.abort_percent",
    "abort_http_status_runtime": "fault.http.abort.http_status",
    "abort_grpc_status_runtime": "fault.http.abort.grpc_status",
    "max_active_faults_runtime": "fault.http.max_active_faults",
    "response_rate_limit_percent_runtime": "fault.http.rate_limit.response_percent",
}
FILTER_FIELDS: Final = (
    "delay",
    "abort",
    "response_rate_limit",
    "headers",
    "upstream_cluster",
    "downstream_nodes",
    "max_active_faults",
    "disable_downstream_cluster_stats",
    "filter_metadata",
    *_RUNTIME,
)
_MAX_SECONDS: Final = 315_576_000_000
_DURATION: Final = re.compile(r"(-?[0-9]{1,20}(?:\.[0-9]{1,9})?)s", re.ASCII)
_MOST_GRPC: Final = 16


@dataclass(frozen=True, slots=True)
class Filter:
    """What one configuration of the fault filter says.

    Args:
        node: Where it stands.
        faults: By the field of a rule; each with its own percentage.
        by_headers: What a request may ask for. Without it and without faults, the filter does nothing.
        terms: The conditions, besides those of the route.
        unknown: A condition that nothing in process can decide.
        max_active_faults: The bound on requests that are faulted at one time.
    """

    node: Node
    faults: Mapping[str, Fault] = field(default_factory=dict[str, "Fault"])
    by_headers: ByHeaders | None = None
    terms: Terms = ALWAYS
    unknown: NotCarriedError | None = None
    max_active_faults: int | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it never does anything."""
        return (not self.faults and self.by_headers is None) or self.terms.is_never


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the document.

    Args:
        remarks: Where is written what has to be said.
        runtime: Envoy's runtime keys.
        cluster: The name by which the mesh calls this service; empty: not known.
        read: The configurations that were read, by their identity.
        shadowed: Places that are not read, and why: what a request never reaches, and what is spared.
    """

    remarks: Remarks
    runtime: Runtime = field(default_factory=dict[str, "int | float"])
    cluster: str = ""
    read: set[int] = field(default_factory=set[int])
    shadowed: dict[str, Shadow] = field(default_factory=dict[str, "Shadow"])


@dataclass(frozen=True, slots=True)
class Shadow:
    """Why a place is not read.

    Args:
        reason: In words.
        is_loss: Whether Envoy would read it.
    """

    reason: str
    is_loss: bool


def read_filter(node: Node, context: Context) -> Filter:
    """A `HTTPFault`.

    Raises:
        RuleError: Envoy would refuse it, or a rule cannot hold it.
    """
    context.read.add(id(node))
    given = fields(node, "fault filter", (*FILTER_FIELDS, "@type"))
    keys = {name: (text(given[name]) if name in given else "") or key for name, key in _RUNTIME.items()}
    faults: dict[str, Fault] = {}
    asked: dict[str, Any] = {}
    for name, read in (("delay", _delay), ("abort", _abort), ("response_rate_limit", _throttle)):
        if name in given:
            faults.update(read(given[name], keys, context, asked))
    terms, unknown = _terms(given, context)
    if faults or asked:
        terms &= _without_callers(node, context)
    most = _max_active(given, keys, context)
    if most == 0 and (faults or asked):
        context.remarks.note(node, "max_active_faults is 0, so it never acts")
        faults, asked = {}, {}
    if terms.is_never and (faults or asked):
        context.remarks.note(node, "its conditions can never be met, so it never acts")
    for name in ("filter_metadata", "disable_downstream_cluster_stats"):
        if name in given and _says_something(given[name], name):
            context.remarks.lost(given[name], _NOWHERE[name])
    if asked:
        context.remarks.note(node, "what a request asks for by headers is heeded where FAULTWARE_ENVOY_HEADERS is true")
    return Filter(node, faults, ByHeaders(**asked) if asked else None, terms, unknown, most)


def _says_something(node: Node, name: str) -> bool:
    if name == "filter_metadata":
        is_mapping(node, "mapping")
        return bool(node.fields)
    return switch(node)


_NOWHERE: Final = {
    "filter_metadata": "there is no dynamic metadata in process",
    "disable_downstream_cluster_stats": "counters are never named after a request's header here",
}


def _terms(given: Mapping[str, Node], context: Context) -> tuple[Terms, NotCarriedError | None]:
    terms, unknown = ALWAYS, None
    if "headers" in given:
        for item in items(given["headers"]):
            try:
                terms &= header_terms(item)
            except NotCarriedError as error:
                unknown = error
        tell_rewritten(matched_names(items(given["headers"])), context.remarks)
    if "downstream_nodes" in given and items(given["downstream_nodes"]):
        terms &= _nodes_terms(given["downstream_nodes"])
    if "upstream_cluster" in given and text(given["upstream_cluster"]) not in ("", context.cluster):
        reason = "which cluster a request is routed to is not known in process; say which one this service is"
        unknown = NotCarriedError(given["upstream_cluster"], reason)
    return terms, unknown


def _without_callers(node: Node, context: Context) -> Terms:
    """Spares the callers for whom runtime keys say something else."""
    found = map(_OF_CALLER.fullmatch, context.runtime)
    callers = tuple(sorted({key[1] for key in found if key}))
    if not callers:
        return ALWAYS
    names = ", ".join(callers)
    context.remarks.lost(node, f"runtime keys of callers ({names}): any client may write their header; they are spared")
    try:
        return on_header(_CALLER, TextMatch(one_of=callers, invert=True, absent_is_empty=True))
    except RuleError as error:
        raise placed(error, node) from None


def _nodes_terms(node: Node) -> Terms:
    names = tuple(in_bytes(text(item)) for item in items(node))
    try:
        condition = TextMatch(exact=names[0]) if len(names) == 1 else TextMatch(one_of=names)
    except RuleError as error:
        raise placed(error, node) from None
    return on_header(SERVICE_NODE, condition)


def _max_active(given: Mapping[str, Node], keys: Mapping[str, str], context: Context) -> int | None:
    configured = None
    if "max_active_faults" in given:
        configured = whole(unwrapped(given["max_active_faults"]), 0, UINT32)
    return runtime_whole(context.runtime, keys["max_active_faults_runtime"], configured, 0, UINT32)


def _delay(node: Node, keys: Mapping[str, str], context: Context, asked: dict[str, Any]) -> Mapping[str, Fault]:
    given = fields(node, "delay", ("fixed_delay", "header_delay", "percentage"))
    kind = one_of(node, given, ("fixed_delay", "header_delay"))
    share = _share(node, given, keys["delay_percent_runtime"], context)
    if kind == "header_delay":
        fields(given[kind], "header_delay", ())
        if context.runtime.get(keys["delay_duration_runtime"]) == 0:
            context.remarks.note(given[kind], "a runtime key says 0 milliseconds, so it never acts")
        elif share:
            _tell_replaced(given[kind], ("delay_duration_runtime",), keys, context)
            asked["delay"], asked["delay_of"] = _fraction(given, keys["delay_percent_runtime"], context)
        return {}
    milliseconds = int(duration(given[kind]) * 1000)
    milliseconds = runtime_whole(context.runtime, keys["delay_duration_runtime"], milliseconds, 0, UINT32) or 0
    if not milliseconds:
        context.remarks.note(given[kind], "a delay is cut to whole milliseconds, so this one does nothing")
    if not milliseconds or not share:
        return {}
    context.remarks.note_hold(given[kind], milliseconds / 1000)
    try:
        return {"delay": Delay(milliseconds / 1000, percentage=share)}
    except RuleError as error:
        raise placed(error, given[kind]) from None


def _abort(node: Node, keys: Mapping[str, str], context: Context, asked: dict[str, Any]) -> Mapping[str, Fault]:
    given = fields(node, "abort", ("http_status", "grpc_status", "header_abort", "percentage", "response_body"))
    kind = one_of(node, given, ("http_status", "grpc_status", "header_abort"))
    share = _share(node, given, keys["abort_percent_runtime"], context)
    body = (text(given["response_body"]) if "response_body" in given else "") or DEFAULT_BODY
    if kind == "header_abort":
        fields(given[kind], "header_abort", ())
        if share:
            _tell_replaced(given[kind], ("abort_http_status_runtime", "abort_grpc_status_runtime"), keys, context)
            asked["abort"], asked["abort_of"] = _fraction(given, keys["abort_percent_runtime"], context)
            asked |= {"body": body} if body != DEFAULT_BODY else {}
        return {}
    if kind == "grpc_status":
        code = whole(given[kind], 0, UINT32)
        code = runtime_whole(context.runtime, keys["abort_grpc_status_runtime"], code, 0, UINT32) or 0
        if code > _MOST_GRPC:
            context.remarks.lost(given[kind], f"gRPC knows no status {code}: 0 to {_MOST_GRPC}")
            return {}
        make: dict[str, Any] = {"grpc_status": code, "status": 200}
    else:
        status = whole(given[kind], 200, 599)
        status = runtime_whole(context.runtime, keys["abort_http_status_runtime"], status, 200, 599) or status
        make = {"status": status}
    if make["status"] in BODILESS:
        if "response_body" in given:
            context.remarks.note(given["response_body"], f"an answer with status {make['status']} has no body here")
        body = ""
    if not share:
        return {}
    try:
        abort = Abort(**make, body=body or None, content_type=CONTENT_TYPE if body else None, percentage=share)
    except RuleError as error:
        raise placed(error, node) from None
    return {"abort": abort}


def _tell_replaced(node: Node, names: Sequence[str], keys: Mapping[str, str], context: Context) -> None:
    """Tell of runtime keys for what a request asks for."""
    for key in map(keys.__getitem__, names):
        if key in context.runtime:
            reason = f"the runtime key {key} replaces what a request asks for; here it gets what it asked for"
            context.remarks.lost(node, reason)


def _throttle(node: Node, keys: Mapping[str, str], context: Context, asked: dict[str, Any]) -> Mapping[str, Fault]:
    given = fields(node, "rate limit", ("fixed_limit", "header_limit", "percentage"))
    kind = one_of(node, given, ("fixed_limit", "header_limit"))
    share = _share(node, given, keys["response_rate_limit_percent_runtime"], context)
    if kind == "header_limit":
        fields(given[kind], "header_limit", ())
        if share:
            key = keys["response_rate_limit_percent_runtime"]
            asked["limit"], asked["limit_of"] = _fraction(given, key, context)
        return {}
    limit = fields(given[kind], "fixed_limit", ("limit_kbps",))
    if "limit_kbps" not in limit:
        raise given[kind].wrong("limit_kbps is missing", "KiB per second, from 1")
    rate = whole(limit["limit_kbps"], 1, 2**64 - 1) * 1024
    if not share:
        return {}
    try:
        return {"throttle": Throttle(rate, percentage=share)}
    except RuleError as error:
        raise placed(error, limit["limit_kbps"]) from None


def _share(node: Node, given: Mapping[str, Node], key: str, context: Context) -> float:
    share = percentage(given["percentage"], context.remarks) if "percentage" in given else 0.0
    share = runtime_percentage(context.runtime, key, share)
    if not share:
        reason = (
            "its percentage is 0, so it never acts" if "percentage" in given else "without percentage it never acts"
        )
        context.remarks.note(node, reason)
    return share


def _fraction(given: Mapping[str, Node], key: str, context: Context) -> tuple[int, int]:
    """The configured fraction itself: a header's numerator counts over its denominator."""
    value = context.runtime.get(key)
    if isinstance(value, int):
        return value, 100
    if value is not None:
        return round(value * 10_000), 1_000_000
    return fraction(given["percentage"])


def unwrapped(node: Node) -> Node:
    """The value of a wrapper, which may be written with and without it."""
    return fields(node, "wrapped value", ("value",)).get("value", node) if node.kind == "mapping" else node


def duration(node: Node) -> Decimal:
    """A `Duration` above 0, in seconds.

    Raises:
        RuleError: Protobuf's JSON form has it otherwise, or it is not above 0.
    """
    if node.kind == "mapping":
        given = fields(node, "duration", ("seconds", "nanos"))
        seconds = Decimal(whole(given["seconds"], -_MAX_SECONDS, _MAX_SECONDS) if "seconds" in given else 0)
        seconds += Decimal(whole(given["nanos"], -999_999_999, 999_999_999) if "nanos" in given else 0).scaleb(-9)
    else:
        found = _DURATION.fullmatch(node.text) if node.kind == "text" else None
        if found is None:
            raise node.wrong(f"{node.shown} is not a duration", "seconds with an s and nothing else, such as 1.5s")
        seconds = Decimal(found[1])
    if not 0 < seconds < _MAX_SECONDS:
        raise node.wrong("a delay is longer than 0" if seconds <= 0 else f"{node.shown} is too long")
    return seconds
