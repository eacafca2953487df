"""Envoy's fault configurations as rules: a filter, a chain, routes with overrides, or a whole bootstrap.

Each fault filter of a chain becomes a rule, or a group of rules where routes override it. What is no fault is not
looked at; what belongs to a fault is read as strictly as Envoy does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faultware.config.mistakes import shown
from faultware.interop.envoyfilter import (
    FILTER_FIELDS,
    FILTER_NAME,
    FILTER_NAMES,
    FILTER_TYPE,
    MANAGER_TYPE,
    Context,
    Filter,
    Shadow,
    read_filter,
)
from faultware.interop.envoyroutes import Slot, Table, acting, all_of, pick, unpacked
from faultware.interop.envoyunread import tell_unread
from faultware.interop.making import name_of, rules_of_slots, unique, untaken
from faultware.interop.reading import switch, text
from faultware.interop.remarks import Imported, Remarks
from faultware.interop.runtime import read_layer
from faultware.interop.terms import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from faultware.core.rules import Rule
    from faultware.interop.runtime import Runtime
    from faultware.interop.tree import Node

_BOOTSTRAP: Final = ("static_resources", "dynamic_resources", "layered_runtime", "admin", "node")
_GROUP: Final = "routes"
# What a connection manager may do to a request before its filters see it, or to their answer; and what does nothing.
_AS_SENT: Final = "paths and hosts are compared as they were sent"
_REWRITING: Final = {
    **dict.fromkeys(("normalize_path", "merge_slashes", "path_with_escaped_slashes_action"), _AS_SENT),
    **dict.fromkeys(("strip_matching_host_port", "strip_any_host_port", "strip_trailing_host_dot"), _AS_SENT),
    "scheme_header_transformation": "the scheme is the one by which this service was asked",
    "early_header_mutation_extensions": "headers are compared as they were sent",
    "local_reply_config": "an abort is answered as its filter says",
}
_UNCHANGED: Final = ("", "false", "IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED", "0", "1")
_ANOTHER: Final = Shadow("", is_loss=False)
_WANTED: Final = "a bootstrap, a listener, http_filters, a route with overrides, or a fault filter"


def is_envoy(root: Node) -> bool:
    """Whether a document looks like Envoy's."""
    if root.kind == "list":
        return bool(root.items) and all(is_envoy(item) for item in root.items[:3])
    known = (
        *_BOOTSTRAP[:3],
        "filter_chains",
        "http_filters",
        "virtual_hosts",
        "typed_per_filter_config",
        "typed_config",
    )
    if any(pick(root, name) is not None for name in known):
        return True
    kind = root.get("@type")
    return kind is not None and kind.text == FILTER_TYPE


def import_envoy(root: Node, *, runtime: Runtime, cluster: str, listener: str) -> Imported:
    """Read an Envoy document.

    Args:
        root: A bootstrap, a listener, a connection manager or its `http_filters`, a route table, a virtual host, a
            route, a filter, a bare `HTTPFault`, or a list of filters.
        runtime: Runtime keys, which win over those of the document.
        cluster: The name by which the mesh calls this service, for `upstream_cluster`; empty: not known.
        listener: Which of several listeners stands in front of this service; empty: not known.

    Raises:
        RuleError: Envoy would refuse it, or there is no fault filter in it; with file, line and field.
    """
    remarks = Remarks()
    keys = {**_layers(root), **runtime}
    reader = _Reader(Context(remarks, keys, cluster), listener)
    rules = unique(reader.rules(root))
    unread = tell_unread(root, reader.context, reader.names)
    remarks.check()
    if not reader.found:
        where, what = (
            (unread[0], "a fault filter is not read here") if unread else (root, "there is no fault filter here")
        )
        raise where.wrong(what, _WANTED)
    settings = reader.settings()
    return Imported("envoy", rules, remarks.all(), settings)


def _layers(root: Node) -> dict[str, int | float]:
    keys: dict[str, int | float] = {}
    layered = pick(root, "layered_runtime")
    for layer in () if layered is None else all_of(layered, "layers"):
        static = pick(layer, "static_layer")
        if static is not None:
            keys.update(read_layer(static))
    return keys


class _Reader:
    """Finds the fault filters of a document."""

    def __init__(self, context: Context, listener: str) -> None:
        self.context = context
        # Of the fault filters in chains.
        self.names: set[str] = set()
        self._listener = listener
        self._bounds: dict[int, Node] = {}
        self._groups: set[str] = set()
        # Whether there is a fault filter at all.
        self.found = False
        self._is_alone = True

    def rules(self, root: Node) -> list[Rule]:
        """The rules of a document, whatever part of a configuration it is."""
        if root.kind == "list":
            return self._chain(root.items, None)
        if root.kind != "mapping":
            raise root.wrong(f"{root.shown} is no configuration of Envoy")
        if any(pick(root, name) is not None for name in _BOOTSTRAP):
            return self._bootstrap(root)
        if pick(root, "filter_chains") is not None or pick(root, "default_filter_chain") is not None:
            return self._listeners([root])
        if pick(root, "http_filters") is not None:
            return self._manager(root)
        if pick(root, "virtual_hosts") is not None:
            return self._tables(root, "table")
        if pick(root, "domains") is not None:
            return self._tables(root, "host")
        if pick(root, "typed_per_filter_config") is not None:
            return self._tables(root, "route")
        if pick(root, "typed_config") is not None:
            return self._chain([root], None)
        kind, value = unpacked(root)
        if kind == FILTER_TYPE or (not kind and any(pick(root, name) is not None for name in FILTER_FIELDS)):
            own = read_filter(value, self.context)
            return self._made([Slot(ALWAYS, acting(own))], value, "", None)
        return []

    def settings(self) -> dict[str, object]:
        """The bound on requests that are faulted at one time, which is one for a whole process here."""
        if not self._bounds:
            return {}
        least = min(self._bounds)
        for bound, node in self._bounds.items():
            if bound != least:
                self.context.remarks.lost(node, f"one bound holds for the whole process: the least, {least}")
        return {"max_active_faults": least}

    def _bootstrap(self, root: Node) -> list[Rule]:
        static = pick(root, "static_resources")
        listeners = () if static is None else all_of(static, "listeners")
        if not listeners:
            raise root.wrong(
                "this bootstrap has no listeners of its own", "faults that a control plane sends are not here"
            )
        return self._listeners(listeners)

    def _listeners(self, listeners: Sequence[Node]) -> list[Rule]:
        found: list[tuple[str, Node, list[Rule]]] = []
        names: list[str] = []
        for listener in listeners:
            named = listener.get("name")
            name = "" if named is None else text(named)
            names.append(name)
            if self._listener and name != self._listener:
                self.context.shadowed[listener.place] = _ANOTHER
                continue
            rules = self._of_listener(listener)
            if rules:
                found.append((name, listener, rules))
        if self._listener and self._listener not in names:
            known = ", ".join(name for name in names if name)
            raise listeners[0].wrong(f"there is no listener {shown(self._listener)}", known and f"one of {known}")
        if len(found) > 1:
            several = ", ".join(name or "one without a name" for name, _, _ in found)
            raise found[1][1].wrong(
                f"several listeners have faults: {several}", "say which stands in front of this service"
            )
        if len(listeners) > 1 and found and not self._listener:
            name, listener, _ = found[0]
            reason = f"{name or 'this one'}, the only listener with faults, counts as the one in front of this service"
            self.context.remarks.note(listener, reason)
        return found[0][2] if found else []

    def _of_listener(self, listener: Node) -> list[Rule]:
        """The rules of its filter chains, which must be the same ones: a request comes through one of them."""
        chains = [*all_of(listener, "filter_chains")]
        default = pick(listener, "default_filter_chain")
        each: list[list[Rule]] = []
        for chain in [*chains, *([] if default is None else [default])]:
            self._groups.clear()
            each.append([rule for manager in _managers(chain) for rule in self._manager(manager)])
        if any(rules != each[0] for rules in each):
            hint = "import the http_filters of the one in front of this service by itself"
            raise listener.wrong("the filter chains of this listener have different faults", hint)
        return each[0] if each else []

    def _manager(self, node: Node) -> list[Rule]:
        if any(_is_fault(entry) for entry in all_of(node, "http_filters")):
            for name, reason in _REWRITING.items():
                found = pick(node, name)
                if found is not None and (found.fields or found.items or found.text not in _UNCHANGED):
                    self.context.remarks.lost(found, reason)
        for name in ("rds", "scoped_routes"):
            source = pick(node, name)
            if source is not None and any(_is_fault(entry) for entry in all_of(node, "http_filters")):
                self.context.remarks.lost(source, "overrides in routes that a control plane sends are not known")
        return self._chain(all_of(node, "http_filters"), pick(node, "route_config"))

    def _chain(self, entries: Sequence[Node], table: Node | None) -> list[Rule]:
        chained: list[tuple[str, Node, Filter | None]] = []
        for entry in entries:
            if not _is_fault(entry):
                continue
            self.found = True
            named, disabled = entry.get("name"), entry.get("disabled")
            own = None
            with self.context.remarks.gathering():
                own = self._of_entry(entry)
            if disabled is not None and switch(disabled):
                own = None
            chained.append(("" if named is None else text(named), entry, own))
            self.names.add(chained[-1][0])
        self._is_alone = len(chained) == 1
        rules: list[Rule] = []
        for name, entry, own in chained:
            slots = [Slot(ALWAYS, own)] if table is None else Table(name, own, self.context).slots(table)
            rules += self._made(slots, entry, name, table)
        return rules

    def _of_entry(self, entry: Node) -> Filter | None:
        config = pick(entry, "typed_config")
        if config is not None:
            return acting(read_filter(unpacked(config)[1], self.context))
        found = pick(entry, "config_discovery")
        if found is None:
            raise entry.wrong("typed_config is missing", f"'@type': {FILTER_TYPE}")
        self.context.remarks.lost(found, "a filter that a control plane sends is not known")
        return None

    def _made(self, slots: Sequence[Slot], node: Node, name: str, table: Node | None) -> list[Rule]:
        self.found = True
        for slot in slots:
            if slot.filter is not None and slot.filter.max_active_faults is not None:
                self._bounds[slot.filter.max_active_faults] = slot.filter.node
        named = None if table is None else table.get("name")
        group = name_of(text(named)) if named is not None else ""
        own = "" if name == FILTER_NAME else name_of(name)
        group = group or _GROUP
        if not self._is_alone and own not in ("", group):
            group = name_of(f"{group[:30]}-{own}")
        # Filters of the same name all act: each has a group of its own.
        group = untaken(group, self._groups)
        self._groups.add(group)
        return rules_of_slots(slots, node, self.context.remarks, name=own, group=group)

    def _tables(self, root: Node, kind: str) -> list[Rule]:
        """Routes without a chain: the filters are those that are overridden there."""
        names = list(dict.fromkeys(_overridden(root)))
        if not names:
            raise root.wrong("nothing overrides a fault filter here", f"typed_per_filter_config: {{{FILTER_NAME}: …}}")
        self._is_alone = len(names) == 1
        rules: list[Rule] = []
        for name in names:
            reader = Table(name, None, self.context)
            read = {"table": reader.slots, "host": reader.host_slots, "route": reader.route_slots}[kind]
            rules += self._made(read(root), root, name, root)
        return rules


def _managers(chain: Node) -> Iterator[Node]:
    """The HTTP connection managers of a filter chain."""
    for entry in all_of(chain, "filters"):
        config = pick(entry, "typed_config")
        if config is not None:
            kind, value = unpacked(config)
            if kind == MANAGER_TYPE:
                yield value


def _is_fault(entry: Node) -> bool:
    config = pick(entry, "typed_config")
    if config is None:
        named, found = entry.get("name"), pick(entry, "config_discovery")
        kinds = () if found is None else all_of(found, "type_urls")
        return (named is not None and named.text in FILTER_NAMES) or any(kind.text == FILTER_TYPE for kind in kinds)
    return unpacked(config)[0] == FILTER_TYPE


def _overridden(node: Node) -> Iterator[str]:
    """The names under which fault filters are overridden, anywhere below a node."""
    configs = pick(node, "typed_per_filter_config")
    given: Mapping[str, Node] = {} if configs is None else configs.fields
    for name, value in given.items():
        kind = value.get("@type")
        if kind is not None and (kind.text == FILTER_TYPE or FILTER_TYPE in _texts(value)):
            yield name
    for below in (*node.fields.values(), *node.items):
        if below is not configs:
            yield from _overridden(below)


def _texts(node: Node) -> Iterator[str]:
    yield node.text
    for below in (*node.fields.values(), *node.items):
        yield from _texts(below)
