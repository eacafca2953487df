"""Rules as VirtualServices of Istio: a group as one, and the rules without group as another.

Of a VirtualService's routes the first that matches wins, and its faults alone are rolled. So rules without group that
could meet on one request are told: the mesh does only what the first of them says.
"""

from __future__ import annotations

from bisect import bisect, insort
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from faultware.core.grpc import STATUSES
from faultware.interop.exporting import Exported, MeshFaults, Notes, NotExportedError, in_order, mesh_faults
from faultware.interop.istioterms import match_block, missed_blocks
from faultware.interop.making import untaken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultware.core.rules import Rule

Document = dict[str, Any]

API_VERSION: Final = "networking.istio.io/v1"
DEFAULT_HOST: Final = "this-service"
_ALONE: Final = "faultware"
_LITERAL: Final = {"exact", "segments", "prefix"}


def export_istio(rules: Sequence[Rule], *, host: str = DEFAULT_HOST) -> Exported:
    """The rules as VirtualServices.

    Args:
        rules: In the order in which they are tried.
        host: The name of this service in the mesh.
    """
    notes = Notes()
    groups: dict[str, list[Rule]] = {}
    for group, members in in_order(rules):
        groups.setdefault(group, []).extend(members)
    documents: list[Document] = []
    names: set[str] = set()
    for group, members in groups.items():
        found = list(_service(group, members, host, notes))
        if documents and found:
            for rule in members:
                notes.lost(rule, "group", "of several VirtualServices for one host the mesh takes the first")
        for document in found:
            # As Kubernetes takes it (RFC 1123).
            name = untaken((group or _ALONE).replace("_", "-").rstrip("-"), names)
            names.add(name)
            document["metadata"] = {"name": name}
        documents += found
    return Exported(tuple(documents), notes.all())


def _service(group: str, rules: Sequence[Rule], host: str, notes: Notes) -> Iterator[Document]:
    destination = {"route": [{"destination": {"host": host}}]}
    routes: list[Document] = []
    reached = _Reached()
    for rule in rules:
        if not group and reached.may_meet(rule):
            reason = "the first route that matches wins: not tried where a rule before it matches"
            notes.lost(rule, "match", reason)
        try:
            route = _route(rule, notes, is_grouped=bool(group))
        except NotExportedError as error:
            notes.lost(
                rule,
                error.what,
                f"{error.reason}; the rule is left out" + (", and the group ends here" if group else ""),
            )
            if group:
                # What it matches must not fall to the rules behind it: so nothing stands behind it.
                break
            continue
        if route is not None:
            routes.append({**route, **destination})
            reached.add(rule)
        if group and rule is not rules[-1]:
            missed = missed_blocks(rule.match)
            if missed is None:
                reason = (
                    "Istio compares the query as it was sent, and could not spare what it misses; the group ends here"
                )
                notes.lost(rule, "match.query", reason)
                break
            routes += [{"match": [block], **destination} for block in missed]
    if not any("fault" in route for route in routes):
        return
    if "match" in routes[-1]:
        # Without it the mesh would answer 404 to everything else.
        routes.append(destination)
    spec = {"hosts": [host], "http": routes}
    yield {"apiVersion": API_VERSION, "kind": "VirtualService", "metadata": {}, "spec": spec}


def _route(rule: Rule, notes: Notes, *, is_grouped: bool) -> Document | None:
    block = match_block(rule.match)
    try:
        faults = _without_limit(rule, mesh_faults(rule, notes), notes)
    except NotExportedError as error:
        if not is_grouped:
            raise
        notes.lost(rule, error.what, f"{error.reason}; the rule is left out, and spares what it matches")
        faults = MeshFaults()
    if faults.is_nothing and not is_grouped:
        return None
    route: Document = {"name": rule.name, **({"match": [block]} if block else {})}
    return route if faults.is_nothing else {**route, "fault": _fault(faults)}


def _without_limit(rule: Rule, faults: MeshFaults, notes: Notes) -> MeshFaults:
    if faults.limit_kib:
        notes.lost(rule, "throttle", "a VirtualService cannot limit a response")
    if faults.body:
        notes.lost(rule, "abort.body", "an abort of a VirtualService has Envoy's body")
    if faults.by_headers is not None:
        notes.lost(rule, "by_headers", "a VirtualService has no faults that are asked for")
    return replace(faults, limit_kib=0, body="", by_headers=None)


def _fault(faults: MeshFaults) -> Document:
    fault: Document = {}
    if faults.delay_milliseconds:
        delay = {"fixedDelay": _duration(faults.delay_milliseconds)}
        fault["delay"] = {"percentage": {"value": _value(faults.delay_millionths)}, **delay}
    if faults.abort_millionths:
        status: Document = {"httpStatus": faults.http_status}
        if faults.grpc_status is not None:
            status = {"grpcStatus": STATUSES[faults.grpc_status]}
        fault["abort"] = {"percentage": {"value": _value(faults.abort_millionths)}, **status}
    return fault


def _duration(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{milliseconds}ms" if rest else f"{seconds}s"


def _value(millionths: int) -> float | int:
    """A percentage of which Istio, which cuts, makes just these millionths."""
    whole, rest = divmod(millionths, 10_000)
    if not rest:
        return whole
    value = millionths / 10_000
    return value if int(value * 10_000) == millionths else round(value + 0.00005, 5)


class _Reached:
    """Rules that are tried before others, filed by their literal paths: few of them are compared with the next one."""

    def __init__(self) -> None:
        self._all: list[Rule] = []
        self._elsewhere: list[Rule] = []
        self._filed: dict[str, list[Rule]] = {}
        # In order: paths that begin alike stand together.
        self._paths: list[str] = []

    def add(self, rule: Rule) -> None:
        """One more."""
        self._all.append(rule)
        path = _literal_path(rule)
        if path is None:
            self._elsewhere.append(rule)
            return
        if path not in self._filed:
            insort(self._paths, path)
        self._filed.setdefault(path, []).append(rule)

    def may_meet(self, rule: Rule) -> bool:
        """Whether one request may meet the conditions of this rule and of another one."""
        return any(_may_meet(rule, other) for other in self._near(rule))

    def _near(self, rule: Rule) -> Iterator[Rule]:
        """Those whose path this one's begins with, those whose path begins with this one's, and those without."""
        path = _literal_path(rule)
        if path is None:
            yield from self._all
            return
        yield from self._elsewhere
        for end in range(len(path) + 1):
            yield from self._filed.get(path[:end], ())
        for index in range(bisect(self._paths, path), len(self._paths)):
            longer = self._paths[index]
            if not longer.startswith(path):
                return
            yield from self._filed[longer]


def _literal_path(rule: Rule) -> str | None:
    """What every path begins with that a rule accepts; None: they have nothing of that kind in common."""
    path = rule.match.path
    if path is None or path.kind not in _LITERAL or path.invert or path.ignore_case:
        return None
    return path.value.rstrip("/")


def _may_meet(rule: Rule, other: Rule) -> bool:
    """Whether one request may meet the conditions of both, as far as methods and literal paths tell."""
    mine, its = rule.match, other.match
    if mine.methods and its.methods and not mine.methods & its.methods:
        return False
    if mine.path is None or its.path is None or mine.path.invert or its.path.invert:
        return True
    if not {mine.path.kind, its.path.kind} <= _LITERAL:
        return True
    return mine.path.accepts(its.path.value) or its.path.accepts(mine.path.value)
