"""Rules as fault filters of Envoy: one filter for each rule, and routes for a group.

Several filters in a chain act as several rules do: each rolls for itself, delays add up, the first abort ends the
request. A group becomes routes, of which the first that matches decides.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, cast

from faultware.interop.envoyarms import Run, runs
from faultware.interop.envoyfilter import FILTER_TYPE
from faultware.interop.envoyterms import filter_matchers, missed_matches, route_match
from faultware.interop.exporting import Exported, MeshFaults, Notes, NotExportedError, in_order, mesh_faults
from faultware.interop.patterns import steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultware.core.asking import ByHeaders
    from faultware.core.rules import Rule

Document = dict[str, Any]

_ROUTER: Final = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
# Istio raises it far beyond this.
_MOST_STEPS: Final = 100
_KEY: Final = "re2.max_program_size.error_level"
_DENOMINATORS: Final = ((100, "HUNDRED"), (10_000, "TEN_THOUSAND"), (1_000_000, "MILLION"))


def export_envoy(
    rules: Sequence[Rule], *, cluster: str = "local_service", max_active_faults: int | None = None
) -> Exported:
    """The rules as `http_filters` of a connection manager, and its `route_config`, if there is a group.

    Args:
        rules: In the order in which they are tried.
        cluster: Where the routes of a group lead.
        max_active_faults: The bound on requests that are faulted at one time.
    """
    notes = Notes()
    filters: list[Document] = []
    table: Document | None = None
    # Of filters with one name all would be overridden by a route.
    names = {rule.name for rule in rules if not rule.group}
    for group, members in in_order(rules):
        if not group:
            made = _filter(members[0], notes, max_active_faults)
            if made is not None:
                filters.append({"name": members[0].name, "typed_config": made})
        elif table is None:
            name, number = group, 2
            while name in names:
                name, number = f"{group}-{number}", number + 1
            routes: list[Document] = []
            for run in runs(members):
                routes.append(_route(run, name, notes, cluster, max_active_faults))
                last = run.rules[-1]
                routes += _missed(last, cluster) if last is not members[-1] else []
            filters.append({"name": name, "typed_config": {"@type": FILTER_TYPE}})
            host = {"name": name, "domains": ["*"], "routes": [*routes, _rest(cluster)]}
            table = {"name": group, "virtual_hosts": [host]}
        else:
            for rule in members:
                if rule.faults or rule.by_headers is not None:
                    notes.lost(rule, "group", "one table of routes holds one group; export this one by itself")
    if not filters:
        return Exported((), notes.all())
    filters.append({"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}})
    document: Document = {"http_filters": filters}
    if table is not None:
        document["route_config"] = table
    return Exported((document,), notes.all())


def _filter(rule: Rule, notes: Notes, bound: int | None) -> Document | None:
    try:
        faults, matchers = mesh_faults(rule, notes), filter_matchers(rule.match)
    except NotExportedError as error:
        notes.lost(rule, error.what, f"{error.reason}; the rule is left out")
        return None
    if faults.is_nothing:
        return None
    _tell_long_patterns(rule, matchers.headers, notes)
    headers = {"headers": matchers.headers} if matchers.headers else {}
    nodes = {"downstream_nodes": matchers.nodes} if matchers.nodes else {}
    return {**_config(faults), **headers, **nodes, **({} if bound is None else {"max_active_faults": bound})}


def _route(run: Run, group: str, notes: Notes, cluster: str, bound: int | None) -> Document:
    """One route; of a rule that is left out, one that keeps what stands behind it from its requests."""
    first = run.rules[0]
    try:
        match = route_match(first.match)
    except NotExportedError as error:
        for rule in run.rules:
            notes.lost(rule, error.what, f"{error.reason}; the rule is left out, and the group ends here")
        # What it matches must not fall to the rules behind it: so nothing stands behind it.
        return {"name": first.name, "match": {"prefix": "/"}, "route": {"cluster": cluster}}
    _tell_long_patterns(first, match, notes)
    route: Document = {"name": first.name, "match": match}
    if not run.weights:
        return {**route, **_override(first, group, notes, bound), "route": {"cluster": cluster}}
    drawn: list[Document] = []
    for rule, weight in zip_longest(run.rules, run.weights):
        # What a part is, the weights say.
        faults = {} if rule is None else _override(replace(rule, part=None), group, notes, bound)
        drawn.append({"name": cluster, "weight": weight, **faults})
    return {**route, "route": {"weighted_clusters": {"clusters": drawn}}}


def _override(rule: Rule, group: str, notes: Notes, bound: int | None) -> Document:
    try:
        faults = mesh_faults(rule, notes)
    except NotExportedError as error:
        notes.lost(rule, error.what, f"{error.reason}; the rule is left out, and spares what it matches")
        return {}
    if faults.is_nothing:
        return {}
    config = {**_config(faults), **({} if bound is None else {"max_active_faults": bound})}
    return {"typed_per_filter_config": {group: config}}


def _tell_long_patterns(rule: Rule, matchers: object, notes: Notes) -> None:
    for pattern in _patterns(matchers):
        size = steps(pattern)
        if size > _MOST_STEPS:
            reason = f"Envoy refuses this pattern unless its runtime key {_KEY} is {size} or more"
            notes.note(rule, "match", reason)


def _patterns(part: object) -> Iterator[str]:
    """Every regex in a part of a document."""
    if isinstance(part, dict):
        given = cast("Document", part)
        if isinstance(given.get("regex"), str):
            yield given["regex"]
        for value in given.values():
            yield from _patterns(value)
    elif isinstance(part, list):
        for value in cast("list[object]", part):
            yield from _patterns(value)


def _missed(rule: Rule, cluster: str) -> list[Document]:
    """Routes for what the mesh may not tell of a rule: it must not fall to those behind."""
    return [{"match": match, "route": {"cluster": cluster}} for match in missed_matches(rule.match)]


def _rest(cluster: str) -> Document:
    return {"match": {"prefix": "/"}, "route": {"cluster": cluster}}


def _config(faults: MeshFaults) -> Document:
    config: Document = {"@type": FILTER_TYPE}
    if faults.delay_milliseconds:
        delay = {"fixed_delay": _duration(faults.delay_milliseconds)}
        config["delay"] = {**delay, "percentage": _fraction(faults.delay_millionths)}
    if faults.http_status is not None or faults.grpc_status is not None:
        status = (
            {"http_status": faults.http_status} if faults.grpc_status is None else {"grpc_status": faults.grpc_status}
        )
        body = {"response_body": faults.body} if faults.body else {}
        config["abort"] = {**status, **body, "percentage": _fraction(faults.abort_millionths)}
    if faults.by_headers is not None:
        config.update(_asked(faults.by_headers))
    if faults.limit_kib:
        limit = {"fixed_limit": {"limit_kbps": faults.limit_kib}}
        config["response_rate_limit"] = {**limit, "percentage": _fraction(faults.limit_millionths)}
    return config


def _asked(by_headers: ByHeaders) -> Document:
    config: Document = {}
    for name, kind, most, of in (
        ("delay", "header_delay", by_headers.delay, by_headers.delay_of),
        ("abort", "header_abort", by_headers.abort, by_headers.abort_of),
        ("response_rate_limit", "header_limit", by_headers.limit, by_headers.limit_of),
    ):
        if most:
            config[name] = {kind: {}, "percentage": {"numerator": most, "denominator": dict(_DENOMINATORS)[of]}}
    if by_headers.body and by_headers.abort:
        config["abort"]["response_body"] = by_headers.body
    return config


def _duration(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds}.{rest:03d}".rstrip("0") + "s" if rest else f"{seconds}s"


def _fraction(millionths: int) -> Document:
    for denominator, name in _DENOMINATORS:
        numerator, rest = divmod(millionths * denominator, 1_000_000)
        if not rest:
            return {"numerator": numerator, "denominator": name}
    raise AssertionError(millionths)
