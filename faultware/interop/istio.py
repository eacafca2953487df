"""Istio's `VirtualService` as rules: of its HTTP routes the first that matches takes part, fault or not.

Each VirtualService becomes a group of rules, in the order of its routes. A route without a fault spares what it
matches. Who calls cannot be seen in the process that is called: the importer is told, or such a route spares, too, what
the rest of its conditions match, so that no fault ever hits more than it did in the mesh. Source: Istio's API and its
validation; the Envoy route rules that it becomes were measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faultware.interop.envoyfilter import Filter
from faultware.interop.envoymatch import tell_rewritten
from faultware.interop.envoyroutes import Slot, pick
from faultware.interop.istiofault import read_fault
from faultware.interop.istiomatch import host_terms, match_terms
from faultware.interop.making import name_of, rules_of_slots, unique
from faultware.interop.reading import fields, is_mapping, items, text
from faultware.interop.remarks import Imported, Remarks
from faultware.interop.terms import ALWAYS, Terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faultware.core.rules import Rule
    from faultware.interop.istiomatch import Caller
    from faultware.interop.tree import Node

_API: Final = "networking.istio.io/"
_KIND: Final = "VirtualService"
_SPEC: Final = ("hosts", "gateways", "http", "tls", "tcp", "export_to")
_MESH: Final = "mesh"
_GROUP: Final = "virtual-services"
# What a route may have besides a fault; it stays with the mesh.
_ROUTING: Final = (
    "route",
    "redirect",
    "direct_response",
    "delegate",
    "rewrite",
    "timeout",
    "retries",
    "mirror",
    "mirrors",
    "mirror_percent",
    "mirror_percentage",
    "cors_policy",
    "headers",
)


def is_istio(root: Node) -> bool:
    """Whether a document looks like one of Istio's, or of Kubernetes that may come with it."""
    version, kind = root.get("apiVersion"), root.get("kind")
    return version is not None and kind is not None


def import_istio(documents: Sequence[Node], caller: Caller) -> Imported:
    """Read the VirtualServices of a file.

    Args:
        documents: What stands in the file; what is no VirtualService is passed over, and said.
        caller: What is known of those who call.

    Raises:
        RuleError: Istio would refuse it, a rule cannot hold it, or there is no VirtualService; with file, line, field.
    """
    remarks = Remarks()
    services = [node for root in documents for node in _services(root, remarks)]
    if not services:
        lost = next((remark.reason for remark in remarks.all() if remark.is_loss), None)
        hint = lost or f"apiVersion: {_API}v1, kind: {_KIND}"
        raise documents[0].wrong(f"there is no {_KIND} here", hint)
    reader = _Reader(remarks, caller)
    read = [_Service(node, _spec(node)) for node in services]
    specs = [service for service in read if not reader.is_delegate(service)]
    rules = reader.rules([service for service in specs if reader.concerns(service.spec)])
    remarks.check()
    return Imported("istio", unique(rules), remarks.all())


def _services(root: Node, remarks: Remarks) -> Iterator[Node]:
    is_mapping(root, "document of Kubernetes")
    kind, version = root.get("kind"), root.get("apiVersion")
    name = "" if kind is None else text(kind)
    if name.endswith("List") and root.get("items") is not None:
        for item in items(root.fields["items"]):
            yield from _services(item, remarks)
    elif name == _KIND:
        if version is None or not text(version).startswith(_API):
            raise (version or root).wrong(f"this is no {_KIND} of Istio", f"apiVersion: {_API}v1")
        yield root
    elif name == "EnvoyFilter":
        remarks.lost(root, "an EnvoyFilter patches Envoy: import the fault filter in it as Envoy's")
    else:
        remarks.note(root, f"kind {name or 'unknown'} has no faults")


def _spec(node: Node) -> dict[str, Node]:
    spec = node.get("spec")
    if spec is None:
        raise node.wrong("spec is missing")
    given = fields(spec, "spec", _SPEC)
    is_delegate = "http" in given and items(given["http"]) and not {"gateways", "tls", "tcp"} & given.keys()
    if not ("hosts" in given and items(given["hosts"])) and not is_delegate:
        raise spec.wrong("hosts is missing", "the names the routes are for")
    return given


def _openness(one: tuple[Node, object]) -> tuple[int, int]:
    """How much a host leaves open: a whole name, its first part, an ending, nothing."""
    host = text(one[0])
    if host.startswith("*"):
        return (3 if host == "*" else 2), -len(host)
    return int("." not in host), 0


@dataclass(frozen=True, slots=True)
class _Service:
    """A VirtualService."""

    node: Node
    spec: dict[str, Node]

    @property
    def group(self) -> str:
        """Its name, as a group's."""
        metadata = self.node.get("metadata")
        named = None if metadata is None else metadata.get("name")
        return name_of(text(named)) if named is not None else ""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads VirtualServices."""

    remarks: Remarks
    caller: Caller

    def rules(self, services: Sequence[_Service]) -> list[Rule]:
        """The rules of those that act where requests come through."""
        hosts = self._hosts(services)
        found = [service for service in services if any(service is other for _, other in hosts)]
        if not found:
            return []
        if len(found) > 1:
            # The mesh tells services apart by the host a request is for, and asks the most specific one first.
            slots = [slot for host, service in sorted(hosts, key=_openness) for slot in self._of_host(host, service)]
            return rules_of_slots(slots, found[0].node, self.remarks, name="", group=_GROUP)
        # Where there is only one, every request is for it.
        (service,) = found
        names = ", ".join(text(host) for host in items(service.spec["hosts"]))
        self.remarks.note(service.spec["hosts"], f"every request this service receives counts as one for {names}")
        slots = list(self._slots(ALWAYS, service.spec))
        group = service.group or _GROUP
        return rules_of_slots(slots, service.node, self.remarks, name="", group=group) if slots else []

    def _hosts(self, services: Sequence[_Service]) -> list[tuple[Node, _Service]]:
        """Each host with the VirtualService that has it; of several the first."""
        taken: dict[str, _Service] = {}
        found: list[tuple[Node, _Service]] = []
        for service in services:
            for host in items(service.spec["hosts"]):
                first = taken.setdefault(text(host).lower(), service)
                if first is service:
                    found.append((host, service))
                else:
                    reason = f"of several VirtualServices for {text(host)} one acts: here the first, in line"
                    self.remarks.lost(host, f"{reason} {first.node.line}")
        return found

    def _of_host(self, host: Node, service: _Service) -> Iterator[Slot]:
        """The slots of one host; what no route takes does not fall to a host that is less specific."""
        scope = host_terms(host)
        slots = list(self._slots(scope, service.spec))
        yield from slots
        if not slots or slots[-1].terms != scope:
            yield Slot(scope, None)

    def is_delegate(self, service: _Service) -> bool:
        """Whether its routes are for what another one hands to it; their faults are checked nevertheless."""
        if "hosts" in service.spec and items(service.spec["hosts"]):
            return False
        for route in items(service.spec["http"]):
            with self.remarks.gathering():
                self._filter(fields(route, "route", ("name", "match", "fault", *_ROUTING)))
        reason = "it has no hosts: it is for what another VirtualService delegates to it, which is not known here"
        self.remarks.lost(service.node, reason)
        return True

    def concerns(self, spec: dict[str, Node]) -> bool:
        """Whether the routes act where requests come through."""
        for name in ("tls", "tcp"):
            if name in spec:
                self.remarks.note(spec[name], "these routes have no faults")
        gateways = [text(item) for item in items(spec["gateways"])] if "gateways" in spec else [_MESH]
        if self.caller.gateways.isdisjoint(gateways):
            reason = f"these routes act at {', '.join(gateways)} only; say so if requests come through there"
            self.remarks.lost(spec.get("gateways", spec["hosts"]), reason)
            return False
        return True

    def _slots(self, scope: Terms, spec: dict[str, Node]) -> Iterator[Slot]:
        taken: Node | None = None
        for route in items(spec["http"]) if "http" in spec else ():
            with self.remarks.gathering():
                given = fields(route, "route", ("name", "match", "fault", *_ROUTING))
                faults = self._filter(given)
                if taken is None:
                    slots, is_everything = self._route_slots(scope, given, faults)
                    taken = route if is_everything else None
                    yield from slots
                elif faults is not None:
                    reason = f"never reached: the route in line {taken.line} takes every request"
                    self.remarks.note(given["fault"], reason)

    def _route_slots(self, scope: Terms, given: dict[str, Node], faults: Filter | None) -> tuple[list[Slot], bool]:
        """The slots of one route, and whether it takes every request."""
        name = name_of(text(given["name"])) if "name" in given else ""
        blocks = items(given["match"]) if "match" in given else ()
        if not blocks:
            return [Slot(scope, faults, name=name)], True
        slots: list[Slot] = []
        is_everything = False
        for block in blocks:
            terms, unknown = match_terms(block, self.caller)
            for field in ("headers", "without_headers"):
                named = pick(block, field)
                tell_rewritten({} if named is None else named.fields, self.remarks)
            is_everything = is_everything or (unknown is None and terms == ALWAYS)
            if unknown is not None:
                self.remarks.lost(unknown.node, f"{unknown.reason}; what else this block matches is spared")
            if not terms.is_never:
                slots.append(Slot(scope & terms, None if unknown else faults, name=name))
        return slots, is_everything

    def _filter(self, given: dict[str, Node]) -> Filter | None:
        if "delegate" in given:
            self.remarks.lost(
                given["delegate"], "the routes of another document are not known; these requests are spared"
            )
            return None
        if "fault" not in given:
            return None
        for name in ("redirect", "direct_response"):
            if name in given:
                raise given["fault"].wrong("a fault does not go with a redirect or a direct response")
        if "rewrite" in given:
            reason = "conditions see the path the service receives, which is the rewritten one"
            self.remarks.note(given["rewrite"], reason)
        found = Filter(given["fault"], read_fault(given["fault"], self.remarks))
        return None if found.is_idle else found
