"""Envoy's route tables: which configuration of a fault filter acts on which request.

The most specific configuration replaces all others: of the weighted cluster, the route, the virtual host, the route
table, the filter. Where no route matches the filter's own acts. A table becomes rules of one group, in the order in
which Envoy asks: first the virtual host by its most specific domain, then its routes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from faultware.config.mistakes import nearest, shown
from faultware.interop.envoyfilter import FILTER_TYPE, Context, Filter, Shadow, read_filter
from faultware.interop.envoymatch import matched_names, tell_rewritten
from faultware.interop.envoyroutematch import domain_terms, match_of, route_terms
from faultware.interop.reading import UINT32, is_mapping, items, switch, text, whole
from faultware.interop.terms import ALWAYS, NotCarriedError, Terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultware.core.sampling import Part
    from faultware.interop.tree import Node

# Of a table: what it does to a request before it compares it.
_UNLIKE: Final = {
    "ignore_path_parameters_in_path_matching": "paths are compared as they were sent, with their parameters",
    "internal_only_headers": "headers are compared as they were sent, whoever sent them",
}
_OVERRIDES: Final = ("typed_per_filter_config", "typedPerFilterConfig")
_FILTER_CONFIG: Final = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
_STRUCTS: Final = ("type.googleapis.com/udpa.type.v1.TypedStruct", "type.googleapis.com/xds.type.v3.TypedStruct")
_OFF: Final = Shadow("never acts: it is switched off here", is_loss=False)
# Other ways to draw a cluster than by chance.
_DRAWN_BY: Final = ("header_name", "use_hash_policy", "runtime_key_prefix")


@dataclass(frozen=True, slots=True)
class Slot:
    """Requests of one kind, and what acts on them.

    Args:
        terms: Which requests, of those that no slot before has taken.
        filter: What acts; None: nothing.
        share: How much of them, in percent: a weighted cluster's, if there is one with faults.
        part: Of several weighted clusters with faults, what falls to this one: from and to, in percent.
        name: What the route is called.
    """

    terms: Terms
    filter: Filter | None
    share: float = 100.0
    name: str = ""
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What acts on the requests for some of the clusters of a route; see `Slot`."""

    filter: Filter | None
    share: float = 100.0
    part: Part | None = None


def pick(node: Node, name: str) -> Node | None:
    """A field in either spelling, of a mapping that is not read as a whole."""
    first, *rest = name.split("_")
    return node.get(name) or node.get(first + "".join(word.capitalize() for word in rest))


def all_of(node: Node, name: str) -> Sequence[Node]:
    """The elements of a field that is a list; none, if it is not there."""
    found = pick(node, name)
    return () if found is None else items(found)


def unpacked(node: Node) -> tuple[str, Node]:
    """The type of an `Any`, and its content."""
    kind = node.get("@type")
    name = "" if kind is None else text(kind)
    if name in _STRUCTS:
        inner, value = pick(node, "type_url"), node.get("value")
        if inner is None or value is None:
            raise node.wrong("a TypedStruct has a type_url and a value")
        return text(inner), value
    return name, node


class Table:
    """Reads route tables for one fault filter of a chain.

    Args:
        name: The filter's name in the chain, under which overrides stand.
        chain: The filter's own configuration; None: it never does anything.
        context: What is known beside.
    """

    def __init__(self, name: str, chain: Filter | None, context: Context) -> None:
        self._name = name
        self._chain = chain
        self._context = context
        # Conditions that are not known, of routes without faults.
        self._unknown: list[NotCarriedError] = []

    def slots(self, config: Node) -> list[Slot]:
        """The slots of a `RouteConfiguration`; a single one, if nothing is overridden."""
        level = self._override(config, self._chain)
        found: list[Slot] = []
        for terms, host in self._hosts(config):
            found += self._host_slots(terms, host, level)
        return self._joined(found)

    def host_slots(self, host: Node) -> list[Slot]:
        """The slots of a virtual host that stands alone."""
        return self._joined(list(self._host_slots(ALWAYS, host, self._chain)))

    def route_slots(self, route: Node) -> list[Slot]:
        """The slots of a route that stands alone."""
        return self._joined(list(self._route_slots(ALWAYS, route, self._chain)))

    def _joined(self, found: list[Slot]) -> list[Slot]:
        """The slots, and the one for requests without a route; what says the same at the end is left out."""
        if self._chain is not None or any(slot.filter is not None for slot in found):
            for unknown in self._unknown:
                reason = f"{unknown.reason}; these requests are spared what stands behind"
                self._context.remarks.lost(unknown.node, reason)
        taken = next((index for index, slot in enumerate(found) if slot.terms == ALWAYS and slot.part is None), None)
        if taken is not None:
            # Nothing comes after what takes every request.
            found, rest = found[:taken], found[taken]
        else:
            rest = Slot(ALWAYS, self._chain)
        while found and found[-1].filter is rest.filter and found[-1].share == rest.share:
            found.pop()
        return [*found, rest]

    def _hosts(self, config: Node) -> list[tuple[Terms, Node]]:
        """Each domain with its virtual host, the most specific domain first."""
        without_port = pick(config, "ignore_port_in_host_matching")
        is_bare = without_port is not None and switch(without_port)
        header = pick(config, "vhost_header")
        by = "host" if header is None else text(header) or "host"
        for field, reason in _UNLIKE.items():
            unlike = pick(config, field)
            if unlike is not None and (unlike.items or unlike.text == "true"):
                self._context.remarks.lost(unlike, reason)
        found: list[tuple[tuple[int, int], Terms, Node]] = []
        seen: set[str] = set()
        for host in all_of(config, "virtual_hosts"):
            if pick(host, "matcher") is not None:
                self._context.remarks.lost(host, "routes that a matcher tree chooses are not read")
            domains = all_of(host, "domains")
            if not domains:
                raise host.wrong("a virtual host has domains", 'domains: ["*"]')
            for domain in domains:
                name = text(domain).lower()
                if name in seen:
                    raise domain.wrong(f"{domain.shown} is given twice", "a domain belongs to one virtual host")
                seen.add(name)
                found.append((*domain_terms(domain, by, is_bare=is_bare), host))
        if seen == {"*"}:
            # Where there is but one, nothing is looked at.
            return [(ALWAYS, host) for _, _, host in found]
        return [(terms, host) for _, terms, host in sorted(found, key=lambda one: one[0])]

    def _host_slots(self, terms: Terms, host: Node, level: Filter | None) -> Iterator[Slot]:
        own = self._override(host, level)
        redirected = pick(host, "require_tls")
        if redirected is not None and redirected.text not in ("NONE", "0"):
            reason = "what comes without TLS the mesh redirects, without the faults of this host"
            self._context.remarks.note(redirected, reason)
        shadow: Shadow | None = None
        for route in all_of(host, "routes"):
            if shadow is not None:
                self._context.shadowed[route.place] = shadow
                with self._context.remarks.gathering():
                    route_terms(match_of(route))
                continue
            slots: list[Slot] = []
            with self._context.remarks.gathering():
                slots = list(self._route_slots(terms, route, own))
            yield from slots
            if slots and slots[-1].terms == terms:
                shadow = _shadow(route)
        if terms != ALWAYS and shadow is None:
            yield Slot(terms, self._chain)

    def _route_slots(self, terms: Terms, route: Node, level: Filter | None) -> Iterator[Slot]:
        named = route.get("name")
        drawn = self._weighted(route, self._override(route, level))
        match = match_of(route)
        matched, unknown = route_terms(match)
        tell_rewritten(matched_names(all_of(match, "headers")), self._context.remarks)
        if unknown is not None and any(one.filter is not None for one in drawn):
            self._context.remarks.lost(unknown.node, f"{unknown.reason}; these requests are spared")
        elif unknown is not None:
            self._unknown.append(unknown)
        if matched.is_never:
            return
        if unknown is not None:
            drawn = [_Drawn(None)]
        for one in drawn:
            # What the whole chain does is not called by one route.
            name = text(named) if named is not None and one.filter is not self._chain else ""
            yield Slot(terms & matched, one.filter, one.share, name, one.part)

    def _weighted(self, route: Node, level: Filter | None) -> list[_Drawn]:
        """What acts on which share of the requests, where clusters are drawn by weight; the last takes the rest."""
        action = route.get("route")
        weighted = None if action is None else pick(action, "weighted_clusters")
        if weighted is None:
            return [_Drawn(level)]
        # Each filter with its weight, those that do the same together.
        found: list[tuple[Filter | None, int]] = []
        for name in _DRAWN_BY:
            drawn_by = pick(weighted, name)
            if drawn_by is not None:
                self._context.remarks.lost(drawn_by, "the clusters are drawn by chance and by their weights here")
        for cluster in all_of(weighted, "clusters"):
            weight = pick(cluster, "weight")
            if weight is None:
                raise cluster.wrong("weight is missing", "0 or more")
            own = self._override(cluster, level)
            found.append((next((one for one, _ in found if _is_same(one, own)), own), whole(weight, 0, UINT32)))
        total = sum(weight for _, weight in found)
        if not 0 < total <= UINT32:
            raise weighted.wrong(f"the weights come to {total}", f"1 to {UINT32}")
        kinds = {id(own): own for own, weight in found if own is not None and weight}
        weights = {key: sum(weight for own, weight in found if id(own) == key) for key in kinds}
        if len(kinds) < 2:
            return [_Drawn(own, 100.0 * weights[key] / total) for key, own in kinds.items()] or [_Drawn(None)]
        drawn: list[_Drawn] = []
        taken = 0
        for key, own in kinds.items():
            begin, taken = taken, taken + weights[key]
            part = None if taken == total else (100.0 * begin / total, 100.0 * taken / total)
            drawn.append(_Drawn(own, part=part))
        return drawn if taken == total else [*drawn, _Drawn(None)]

    def _override(self, node: Node, level: Filter | None) -> Filter | None:
        """The configuration that acts below a node."""
        _check_spelling(node)
        configs = pick(node, "typed_per_filter_config")
        if configs is not None:
            is_mapping(configs, "mapping of filters")
        given = None if configs is None else configs.fields.get(self._name)
        if given is None:
            return level
        kind, value = unpacked(given)
        if kind == _FILTER_CONFIG:
            disabled, inner = value.get("disabled"), value.get("config")
            if disabled is not None and switch(disabled):
                self._context.shadowed[given.place] = _OFF
                return None
            if inner is None:
                raise given.wrong("nothing says what is wanted", "disabled: true, or a config")
            kind, value = unpacked(inner)
        if kind != FILTER_TYPE:
            raise given.wrong(f"{self._name} is a fault filter, and this is none", f"'@type': {FILTER_TYPE}")
        return acting(read_filter(value, self._context))


def _check_spelling(node: Node) -> None:
    """Few fields of a level are read: one that would be, if it were written rightly, is refused."""
    for key, value in node.fields.items():
        # A comparison takes time; and `per_filter_config` is what it was called once.
        is_like = key.startswith(("t", "p")) and key not in _OVERRIDES
        if is_like and (meant := nearest(key, _OVERRIDES, likeness=0.85)):
            raise value.wrong(f"there is no field {shown(key)}", f"did you mean {meant}?")


def _shadow(route: Node) -> Shadow:
    """What becomes of the routes behind one that takes all that reach it."""
    if route_terms(match_of(route))[1] is None:
        return Shadow(f"never reached: the route in line {route.line} takes every request", is_loss=False)
    reason = f"the route in line {route.line} may take every request, so what stands behind it is left out"
    return Shadow(reason, is_loss=True)


def _is_same(one: Filter | None, other: Filter | None) -> bool:
    """Whether two configurations do the same, wherever they stand."""
    if one is None or other is None or one.unknown or other.unknown:
        return one is other
    return replace(one, node=other.node) == other


def acting(filter_: Filter) -> Filter | None:
    """The filter, unless it never does anything."""
    return None if filter_.is_idle else filter_
