"""APISIX's `fault-injection` plugin as rules: by itself, on a route, or on all routes of a file.

A delay and an abort have conditions of their own, so they become two rules, unless both say the same. Of several routes
one takes part, as the gateway's router has it; what the others match, they spare. Source: APISIX 3; see the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from faultware.interop.apisixfault import PLUGIN, Part, read_plugin
from faultware.interop.apisixterms import (
    address_terms,
    every_of,
    host_terms,
    method_terms,
    texts,
    uri_terms,
)
from faultware.interop.envoyfilter import Filter
from faultware.interop.envoyroutes import Slot
from faultware.interop.making import make_rule, name_of, rules_of_slots, unique
from faultware.interop.reading import is_mapping, plain_text, whole
from faultware.interop.remarks import Imported, Remarks
from faultware.interop.terms import ALWAYS, NotCarriedError, Terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultware.core.rules import Rule
    from faultware.interop.tree import Node

_GROUP: Final = "apisix"
_CONDITIONS: Final = ("uri", "uris", "methods", "host", "hosts", "remote_addr", "remote_addrs", "vars", "filter_func")
_ROUTE: Final = (
    *_CONDITIONS,
    *(
        "id",
        "name",
        "desc",
        "labels",
        "priority",
        "status",
        "plugins",
        "plugin_config_id",
        "service_id",
        "service_protocol",
    ),
    *("upstream", "upstream_id", "timeout", "enable_websocket", "script", "script_id", "create_time", "update_time"),
)
_ELSEWHERE: Final = ("services", "plugin_configs", "consumers", "consumer_groups")


def is_apisix(root: Node) -> bool:
    """Whether a document has the plugin where APISIX has it."""
    return any(_plugin(node) is not None for _, node in _holders(root))


def _holders(root: Node) -> Iterator[tuple[str, Node]]:
    """What may hold plugins: routes and global rules; and a mapping of plugins, or a plugin, by itself."""
    for section in ("routes", "global_rules", *_ELSEWHERE):
        found = root.get(section)
        if found is not None and found.kind == "list":
            for node in found.items:
                yield section, node
    inner = root.get("value")
    if inner is not None:
        yield "routes", inner
    listed = root.get("list")
    if listed is not None and listed.kind == "list":
        for node in listed.items:
            value = node.get("value")
            if value is not None:
                yield "routes", value
    if root.get("plugins") is not None:
        yield "routes", root
    if root.get(PLUGIN) is not None:
        yield "plugins", root


def _plugin(node: Node) -> Node | None:
    plugins = node.get("plugins")
    return node.get(PLUGIN) or (None if plugins is None else plugins.get(PLUGIN))


def import_apisix(root: Node) -> Imported:
    """Read a document.

    Args:
        root: The plugin's configuration, a mapping of plugins, a route, what the Admin API answered, or a whole file.

    Raises:
        RuleError: APISIX would refuse it, or a rule cannot hold it; with file, line and field; all mistakes.
    """
    is_mapping(root, "document of APISIX")
    remarks = Remarks()
    holders = list(_holders(root))
    rules: list[Rule] = []
    is_bare = not holders and ("abort" in root.fields or "delay" in root.fields)
    if is_bare:
        rules += _separate(read_plugin(root, remarks), ALWAYS, "")
    for section, node in holders:
        if section in ("global_rules", "plugins"):
            with remarks.gathering():
                rules += _everywhere(node, remarks)
        elif section in _ELSEWHERE and (plugin := _plugin(node)) is not None:
            remarks.lost(plugin, "it acts on routes that refer to it: put it on them")
    routes = [node for section, node in holders if section == "routes"]
    rules += _Routes(remarks, _services(root)).rules(routes, root)
    remarks.check()
    if not is_bare and not is_apisix(root):
        raise root.wrong(f"there is no {PLUGIN} here", f"plugins: {{{PLUGIN}: …}}")
    return Imported("apisix", unique(rules), remarks.all())


def _everywhere(node: Node, remarks: Remarks) -> list[Rule]:
    plugin = _plugin(node)
    named = node.get("id")
    return [] if plugin is None else _separate(read_plugin(plugin, remarks), ALWAYS, _name(named))


def _name(node: Node | None) -> str:
    return "" if node is None or node.kind not in ("text", "number") else name_of(node.text)


def _separate(parts: Sequence[Part], scope: Terms, name: str) -> list[Rule]:
    """One rule for a delay and an abort with the same conditions; else one for each."""
    if len({part.terms for part in parts}) == 1:
        faults = {part.key: part.fault for part in parts}
        return [make_rule(parts[0].node, scope & parts[0].terms, faults, name=name)]
    return [
        make_rule(part.node, scope & part.terms, {part.key: part.fault}, name=name and f"{name}-{part.key}")
        for part in parts
    ]


def _services(root: Node) -> dict[str, Node]:
    found = root.get("services")
    nodes = () if found is None or found.kind != "list" else found.items
    return {node.fields["id"].text: node for node in nodes if node.get("id") is not None}


@dataclass(frozen=True, slots=True)
class _Route:
    """A route: which requests it takes, what it does to them, and when it is tried."""

    node: Node
    name: str
    terms: Terms
    parts: tuple[Part, ...]
    unknown: NotCarriedError | None
    order: tuple[Any, ...] = ()


class _Routes:
    """Reads the routes of a file."""

    def __init__(self, remarks: Remarks, services: dict[str, Node]) -> None:
        self._remarks = remarks
        self._services = services

    def rules(self, nodes: Sequence[Node], root: Node) -> list[Rule]:
        """The rules of all routes."""
        routes: list[_Route] = []
        for node in nodes:
            with self._remarks.gathering():
                routes += self._read(node, is_alone=len(nodes) == 1)
        if len(nodes) == 1:
            return [rule for route in routes for rule in self._alone(route)]
        if len(nodes) > 1:
            place = nodes[0].where.partition(": ")[0]
            self._remarks.note_at(place, "of several routes one takes part: by host, by URI, by priority")
        routes.sort(key=lambda route: route.order)
        slots = [slot for route in routes for slot in _slots(route)]
        return rules_of_slots(slots, root, self._remarks, name="", group=_GROUP)

    def _alone(self, route: _Route) -> list[Rule]:
        if route.unknown is not None and route.parts:
            self._remarks.lost(route.unknown.node, f"{route.unknown.reason}; so its faults are left out")
            return []
        return _separate(route.parts, route.terms, route.name)

    def _read(self, node: Node, *, is_alone: bool) -> Iterator[_Route]:
        """A route: once for each of its URIs, if there are others that may come between them."""
        is_mapping(node, "route")
        for field, value in node.fields.items():
            if field not in _ROUTE:
                raise value.wrong(f"a route has no field {field!r}")
        given = {field: value for field, value in node.fields.items() if value.kind != "nothing"}
        if "status" in given and not whole(given["status"], 0, 1):
            self._remarks.note(given["status"], "the route is switched off")
            return
        plugin = _plugin(node)
        parts = () if plugin is None else tuple(read_plugin(plugin, self._remarks))
        name = _name(given.get("name") or given.get("id"))
        hosts = texts(given, "host", "hosts") or self._service_hosts(given)
        terms, unknown = self._terms(given, hosts or [])
        if hosts is None:
            reason = "the hosts of the service are not known: name them in the route"
            unknown = NotCarriedError(given["service_id"], reason)
        uris = texts(given, "uri", "uris")
        priority = whole(given["priority"]) if "priority" in given else 0
        for group in [uris] if is_alone or not uris else [[uri] for uri in uris]:
            # A URI is the more special the sooner it is tried: whole ones first, then long beginnings.
            longest = max((len(uri.text) for uri in group), default=0)
            is_open = not group or group[0].text.endswith("*")
            order = (_rank(hosts or []), is_open, -longest if is_open else 0, -priority)
            try:
                scope, own = uri_terms(group) if group else ALWAYS, unknown
            except NotCarriedError as error:
                scope, own = ALWAYS, error
            yield _Route(node, name, scope & terms, parts, own, order)

    def _service_hosts(self, given: dict[str, Node]) -> list[Node] | None:
        """The hosts that a route has from its service; None: the service is not known."""
        if "service_id" not in given:
            return []
        service = self._services.get(given["service_id"].text)
        return None if service is None else texts(dict(service.fields), "host", "hosts")

    def _terms(self, given: dict[str, Node], hosts: Sequence[Node]) -> tuple[Terms, NotCarriedError | None]:
        """What is known of the conditions besides the URI, and what is not."""
        unknown: NotCarriedError | None = None
        terms = host_terms(hosts) if hosts else ALWAYS
        if "methods" in given:
            terms &= method_terms(given["methods"])
        addresses = texts(given, "remote_addr", "remote_addrs")
        if addresses:
            terms &= address_terms(addresses)
        if "vars" in given:
            try:
                terms &= every_of(given["vars"])
            except NotCarriedError as error:
                unknown = error
        if "filter_func" in given:
            plain_text(given["filter_func"])
            unknown = NotCarriedError(given["filter_func"], "a function of Lua is decided by the gateway")
        return terms, unknown


def _rank(hosts: Sequence[Node]) -> int:
    return 2 if not hosts else int(any(host.text.startswith("*") for host in hosts))


def _slots(route: _Route) -> Iterator[Slot]:
    """What a route does, by what is met: both conditions, one of them, none."""
    if route.unknown is not None:
        faults = {part.key: part.fault for part in route.parts}
        yield Slot(route.terms, Filter(route.parts[0].node, faults, unknown=route.unknown) if faults else None)
        return
    seen: list[Terms] = []
    for parts in _together(route.parts):
        terms = route.terms
        for part in parts:
            terms &= part.terms
        if terms in seen:
            continue
        seen.append(terms)
        faults = {part.key: part.fault for part in parts}
        yield Slot(terms, Filter(parts[0].node, faults) if parts else None, name=route.name)
        if terms == route.terms:
            return


def _together(parts: Sequence[Part]) -> list[Sequence[Part]]:
    """All parts, each one, none."""
    each = [[part] for part in parts] if len(parts) > 1 else []
    return [parts, *each, []] if parts else [[]]
