"""What Envoy and Istio can say of a rule's faults; the rest is told, and never widens what is exported.

A rule whose conditions, counts or times the mesh cannot hold is left out as a whole: without them its fault would hit
more. A fault that it does not know is left out by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faultware.core.asking import CONTENT_TYPE, DEFAULT_BODY
from faultware.core.delays import Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.core.faults import BODILESS, Abort, Delay, Throttle
from faultware.core.grpc import grpc_status_of
from faultware.interop.remarks import Remark
from faultware.interop.terms import in_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from faultware.core.asking import ByHeaders
    from faultware.core.delays import Distribution
    from faultware.core.faults import Fault
    from faultware.core.rules import Rule

_TYPES: Final = (CONTENT_TYPE, "text/plain; charset=utf-8")
_NARROWING: Final = {
    "count": "a fault of the mesh has no end",
    "first": "a fault of the mesh has no end",
    "every": "the mesh only knows chance",
    "schedule": "a percentage of the mesh does not change",
    "lifetime_seconds": "a fault of the mesh has no end",
    "choose": "the mesh does not draw between faults",
    "part": "the mesh draws between clusters of one route, and not between rules",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """A document of the mesh.

    Args:
        documents: As plain data, to be written as YAML or JSON.
        remarks: What was not carried over, and what there is to know.
    """

    documents: tuple[dict[str, Any], ...]
    remarks: tuple[Remark, ...]

    @property
    def losses(self) -> tuple[Remark, ...]:
        """What was not carried over."""
        return tuple(remark for remark in self.remarks if remark.is_loss)


class NotExportedError(Exception):
    """A rule that the mesh cannot hold.

    Args:
        what: The field.
        reason: Why.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(reason)
        self.what = what
        self.reason = reason


class Notes:
    """What is said of one rule after the other."""

    def __init__(self) -> None:
        self._found: dict[Remark, None] = {}

    def lost(self, rule: Rule, what: str, reason: str) -> None:
        """Something is not carried over."""
        self._found[Remark(f"rule {rule.name}", what, reason, is_loss=True)] = None

    def note(self, rule: Rule, what: str, reason: str) -> None:
        """Something is carried over, and there is something to know about it."""
        self._found[Remark(f"rule {rule.name}", what, reason, is_loss=False)] = None

    def all(self) -> tuple[Remark, ...]:
        """Everything, in the order in which it was said."""
        return tuple(self._found)


@dataclass(frozen=True, slots=True)
class MeshFaults:
    """The faults of a rule as far as Envoy knows them.

    Args:
        delay_milliseconds: Above 0; 0: there is no delay.
        delay_millionths: How often, of a million.
        http_status: Of an abort; None: there is none, or it has a gRPC status.
        grpc_status: The gRPC status of an abort.
        body: Of the abort; empty: the usual one.
        abort_millionths: How often.
        limit_kib: Of the response, in KiB per second; 0: no limit.
        limit_millionths: How often.
        by_headers: What a request may ask for.
    """

    delay_milliseconds: int = 0
    delay_millionths: int = 0
    http_status: int | None = None
    grpc_status: int | None = None
    body: str = ""
    abort_millionths: int = 0
    limit_kib: int = 0
    limit_millionths: int = 0
    by_headers: ByHeaders | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is left."""
        return not (self.delay_milliseconds or self.abort_millionths or self.limit_kib or self.by_headers)


def mesh_faults(rule: Rule, notes: Notes) -> MeshFaults:
    """What Envoy can do of what a rule does.

    Raises:
        NotExportedError: The rule is bounded by something the mesh does not know.
    """
    for name, reason in _NARROWING.items():
        if getattr(rule, name):
            raise NotExportedError("for" if name == "lifetime_seconds" else name, reason)
    if rule.is_websocket:
        raise NotExportedError("websocket", "a fault of the mesh does not tell handshakes from other requests")
    if rule.sample_by is not None:
        notes.lost(rule, "sample_by", "the mesh rolls for each request anew")
    if rule.fallback is not None:
        notes.note(rule, "fallback", "it concerns servers of Python only")
    found: dict[str, Any] = {}
    for fault in rule.faults:
        found.update(_fault(rule, fault, notes))
    if rule.faults and not any(rule.percentage and fault.percentage for fault in rule.faults):
        notes.note(rule, "percentage", "it is 0, so the rule never acts")
    if rule.by_headers is not None:
        _check_asked(rule, rule.by_headers, found)
        found["by_headers"] = rule.by_headers
    if rule.percentage < 100 and sum(key.endswith("millionths") for key in found) > 1:
        notes.lost(rule, "percentage", "its faults hit the same requests; in the mesh each rolls for itself")
    return MeshFaults(**found)


def _check_asked(rule: Rule, asked: ByHeaders, found: Mapping[str, object]) -> None:
    """Of each kind Envoy has either a fixed fault or one by headers, which is rolled for once.

    Raises:
        NotExportedError: The rule wants more.
    """
    if rule.percentage != 100:
        raise NotExportedError("by_headers", "the mesh rolls once for what is asked for")
    if (asked.delay and "delay_milliseconds" in found) or (asked.limit and "limit_kib" in found):
        raise NotExportedError("by_headers", "in the mesh a fault is fixed or asked for, and not both")


def _fault(rule: Rule, fault: Fault, notes: Notes) -> dict[str, Any]:
    millionths = _millionths(rule, fault, notes)
    match fault:
        case Delay() if type(fault) is Delay:
            milliseconds = _milliseconds(rule, fault.distribution, notes)
            return {"delay_milliseconds": milliseconds, "delay_millionths": millionths} if milliseconds else {}
        case Abort(after=True):
            notes.lost(rule, "abort.after", "an abort of the mesh never reaches the application; the abort is left out")
            return {}
        case Abort():
            return {**_abort(rule, fault, notes), "abort_millionths": millionths}
        case Throttle(bytes_per_second=rate, of="response"):
            limit = rate // 1024
            if not limit:
                notes.lost(rule, "throttle", "Envoy limits to whole KiB per second")
                return {}
            if limit * 1024 != rate:
                notes.lost(rule, "throttle.rate", f"Envoy limits to whole KiB per second: {limit}")
            return {"limit_kib": limit, "limit_millionths": millionths}
        case _:
            notes.lost(rule, fault.kind, "the mesh knows no such fault")
            return {}


def _abort(rule: Rule, abort: Abort, notes: Notes) -> dict[str, Any]:
    found: dict[str, Any] = {"http_status": abort.status}
    if abort.grpc_status is not None:
        if abort.status == 200:
            found = {"grpc_status": abort.grpc_status}
        elif grpc_status_of(abort.status) != abort.grpc_status:
            notes.lost(rule, "abort.grpc_status", f"Envoy derives it from the status: {grpc_status_of(abort.status)}")
    if abort.headers:
        notes.lost(rule, "abort.headers", "an abort of Envoy has no headers of its own")
    if abort.is_default_body or abort.status in BODILESS:
        return found
    if abort.template:
        notes.lost(rule, "abort.template", "a body of Envoy has no gaps: it gets its usual one")
        return found
    body = in_text(abort.body.decode("latin-1"))
    if not body:
        reason = "an empty body becomes Envoy's own" if body == "" else "a body of bytes is no text"
        notes.lost(rule, "abort.body", reason)
        return found
    if abort.content_type not in _TYPES:
        notes.lost(rule, "abort.content_type", f"Envoy answers with {CONTENT_TYPE}")
    elif abort.content_type != CONTENT_TYPE:
        notes.note(rule, "abort.content_type", f"Envoy answers with {CONTENT_TYPE}, without charset")
    return {**found, "body": "" if body == DEFAULT_BODY else body}


def _milliseconds(rule: Rule, distribution: Distribution, notes: Notes) -> int:
    match distribution:
        case Uniform(low, high):
            seconds = (low + high) / 2
            if low != high:
                notes.lost(rule, "delay.jitter", f"a delay of the mesh is fixed: {seconds * 1000:g} ms")
        case Normal(mean_seconds=seconds) | Exponential(mean_seconds=seconds):
            notes.lost(rule, "delay.distribution", f"a delay of the mesh is fixed: its mean, {seconds * 1000:g} ms")
        case LogNormal(median_seconds=seconds):
            notes.lost(rule, "delay.distribution", f"a delay of the mesh is fixed: its median, {seconds * 1000:g} ms")
        case Pareto(scale_seconds=seconds):
            notes.lost(rule, "delay.distribution", f"a delay of the mesh is fixed: its least, {seconds * 1000:g} ms")
    # Microseconds are exact here; a division of floats is not.
    milliseconds, rest = divmod(round(seconds * 1_000_000), 1000)
    if rest:
        notes.lost(rule, "delay", f"a delay of the mesh has whole milliseconds: {milliseconds}")
    return milliseconds


def _millionths(rule: Rule, fault: Fault, notes: Notes) -> int:
    share = rule.percentage * fault.percentage / 100 * 10_000
    millionths = round(share)
    if abs(millionths - share) > 1e-6:
        notes.lost(rule, "percentage", f"the mesh knows millionths: {millionths / 10_000:g} %")
    return millionths


def in_order(rules: Sequence[Rule]) -> Iterator[tuple[str, list[Rule]]]:
    """Groups with their rules, and rules without group by themselves, where the first of each stands."""
    groups: dict[str, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(rule.group or f" {rule.name}", []).append(rule)
    for name, members in groups.items():
        yield name.strip() if members[0].group else "", members
