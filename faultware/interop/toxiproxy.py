"""Toxiproxy's proxies and toxics as rules, where one request is the unit. Source: Toxiproxy 2.12; see the reference.

A toxic acts on a connection between a client and a database; here every request to this service takes the connection's
place: `downstream` is the response, `upstream` the request's body. So toxicity is a share of requests. What has no
meaning for a request is reported. A toxic of a proxy that is switched off is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from faultware.core.delays import Uniform
from faultware.core.faults import (
    Abort,
    Close,
    Delay,
    DelayResponse,
    Hang,
    LimitData,
    Needs,
    Reset,
    Slice,
    SlowClose,
    Throttle,
)
from faultware.errors import RuleError
from faultware.interop.making import make_rule, name_of, unique
from faultware.interop.reading import is_mapping, items, number, plain_text, switch, whole
from faultware.interop.remarks import Imported, Remarks
from faultware.interop.terms import ALWAYS, placed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from faultware.core.faults import Fault
    from faultware.core.rules import Rule
    from faultware.interop.tree import Node, Tree

_PROXY: Final = ("name", "listen", "upstream", "enabled", "toxics")
_TOXIC: Final = ("name", "type", "stream", "toxicity", "attributes")
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
    "noop": (),
    "packet_loss": ("loss_rate", "correlation"),
}
# What a client of a proxy makes of a connection that ends without an answer.
_FALLBACK: Final = Abort(502)
_STREAMS: Final = ("upstream", "downstream")
_MOST: Final = 2**63 - 1


def is_toxiproxy(root: Node) -> bool:
    """Whether a document looks like Toxiproxy's: a list of proxies, a dump of them, or one proxy."""
    proxies = list(_proxies(root))
    return bool(proxies) and all(proxy.kind == "mapping" and _lower(proxy, "upstream") for proxy in proxies)


def import_toxiproxy(tree: Tree) -> Imported:
    """Read a configuration file, or what `GET /proxies` answered.

    Raises:
        RuleError: Toxiproxy would refuse it, or a rule cannot hold it; with file, line and field; all mistakes.
    """
    remarks = Remarks()
    (root,) = tree.documents
    if tree.rest:
        remarks.note_at(tree.rest, "what stands behind the document is overlooked, as Toxiproxy does")
    found: dict[str, list[Rule]] = {}
    for proxy in _proxies(root):
        with remarks.gathering():
            given = _fields(proxy, "proxy", _PROXY, remarks)
            name = _required(proxy, given, "name")
            _required(proxy, given, "upstream")
            if name in found:
                remarks.note(given["name"], f"{name} stands here a second time; Toxiproxy takes the last")
            found[name] = list(_proxy_rules(name, given, remarks))
    remarks.check()
    if not found:
        raise root.wrong("there is no proxy here", "a list of {name, listen, upstream, toxics}")
    return Imported("toxiproxy", unique(rule for rules in found.values() for rule in rules), remarks.all())


def _proxies(root: Node) -> Sequence[Node]:
    if root.kind == "list":
        return root.items
    inner = root.get("proxies")
    if inner is not None and inner.kind == "list":
        return inner.items
    if _lower(root, "upstream") or _lower(root, "listen"):
        return (root,)
    return tuple(root.fields.values())


def _lower(node: Node, name: str) -> Node | None:
    """A field whose name ignores case, as Go's JSON has it."""
    return next((value for key, value in node.fields.items() if key.lower() == name), None)


def _fields(node: Node, what: str, known: Sequence[str], remarks: Remarks) -> dict[str, Node]:
    is_mapping(node, what)
    found: dict[str, Node] = {}
    for key, value in node.fields.items():
        name = key.lower()
        if name in found:
            raise value.wrong(f"{name} is given twice", "the case of a key does not count: remove one")
        if name in known:
            found[name] = value
        elif name != "logger":
            remarks.lost(value, f"a {what} of Toxiproxy has no such field, and Toxiproxy overlooks it")
    return {name: value for name, value in found.items() if value.kind != "nothing"}


def _required(node: Node, given: Mapping[str, Node], name: str) -> str:
    value = plain_text(given[name]) if name in given else ""
    if not value:
        raise (given.get(name) or node).wrong(f"missing required field: {name}")
    return value


def _switch(node: Node) -> bool:
    if node.kind != "switch":
        raise node.wrong(f"{node.shown} is not true or false", "write true or false, without quotes")
    return switch(node)


def _proxy_rules(name: str, given: Mapping[str, Node], remarks: Remarks) -> Iterator[Rule]:
    toxics = items(given["toxics"]) if "toxics" in given else ()
    if "listen" in given:
        plain_text(given["listen"])
    is_enabled = "enabled" not in given or _switch(given["enabled"])
    if not is_enabled:
        reason = "a proxy that is switched off refuses connections; this service goes on, and its toxics are left out"
        remarks.lost(given["enabled"], reason)
    names: dict[str, Node] = {}
    for node in toxics:
        with remarks.gathering():
            yield from _toxic_rules(name, node, names, remarks, is_enabled=is_enabled)


def _toxic_rules(
    proxy: str, node: Node, names: dict[str, Node], remarks: Remarks, *, is_enabled: bool
) -> Iterator[Rule]:
    toxic = _toxic(node, remarks)
    if toxic.name in names:
        raise node.wrong("toxic already exists", f"{toxic.name} stands in line {names[toxic.name].line}")
    names[toxic.name] = node
    faults: Mapping[str, Fault] = _faults(toxic, remarks) if is_enabled else {}
    if faults and toxic.percentage:
        own = name_of(f"{proxy}-{toxic.name}")
        rule = make_rule(node, ALWAYS, faults, name=own, share=toxic.percentage)
        if any(fault.needs is not Needs.NOTHING for fault in faults.values()):
            remarks.note(node, f"answered with {_FALLBACK.status} under a server that keeps its sockets to itself")
            rule = replace(rule, fallback=_FALLBACK)
        yield rule


@dataclass(frozen=True, slots=True)
class _Toxic:
    node: Node
    name: str
    kind: str
    stream: str
    percentage: float
    attributes: Mapping[str, Node]

    def whole(self, name: str) -> int:
        """An attribute; 0, if it is left out."""
        node = self.attributes.get(name)
        if node is None:
            return 0
        if node.kind != "number" or not node.text.lstrip("-").isdecimal():
            raise node.wrong(f"{node.shown} is not a whole number", "written without quotes, fraction and exponent")
        return whole(node, -_MOST - 1, _MOST)

    def place(self, name: str) -> Node:
        """Where an attribute stands, or would."""
        return self.attributes.get(name, self.node)


def _toxic(node: Node, remarks: Remarks) -> _Toxic:
    given = _fields(node, "toxic", _TOXIC, remarks)
    written = plain_text(given["stream"]) if "stream" in given else "downstream"
    if written.lower() not in _STREAMS:
        raise given["stream"].wrong("stream was invalid, can be either upstream or downstream")
    kind = plain_text(given["type"]) if "type" in given else ""
    if kind not in _ATTRIBUTES:
        raise (given.get("type") or node).wrong("invalid toxic type", f"one of {', '.join(_ATTRIBUTES)}")
    name = (plain_text(given["name"]) if "name" in given else "") or f"{kind}_{written}"
    attributes = _fields(given["attributes"], "toxic", _ATTRIBUTES[kind], remarks) if "attributes" in given else {}
    toxicity = _toxicity(given["toxicity"]) if "toxicity" in given else 1.0
    if not 0 <= toxicity <= 1:
        remarks.note(given["toxicity"], f"a toxicity of {toxicity:g} is {'always' if toxicity > 1 else 'never'}")
    percentage = round(min(max(toxicity, 0.0), 1.0) * 100, 6)
    if not percentage:
        remarks.note(given["toxicity"], "its toxicity is 0, so it never acts")
    return _Toxic(node, name, kind, written.lower(), percentage, attributes)


def _toxicity(node: Node) -> float:
    if node.kind != "number":
        raise node.wrong(f"{node.shown} is not a number", "0 to 1, without quotes")
    return number(node, -_MOST, _MOST)


def _faults(toxic: _Toxic, remarks: Remarks) -> Mapping[str, Fault]:
    try:
        match toxic.kind:
            case "latency":
                return _latency(toxic, remarks)
            case "bandwidth":
                return _bandwidth(toxic, remarks)
            case "timeout":
                return _timeout(toxic, remarks)
            case "reset_peer":
                return _reset(toxic, remarks)
            case "slow_close" | "slicer" | "limit_data":
                return _on_response(toxic, remarks)
            case "packet_loss":
                remarks.lost(toxic.node, "HTTP cannot lose pieces of a stream; corrupt or truncate may do")
            case _:
                remarks.note(toxic.node, "a noop does nothing")
    except RuleError as error:
        raise error if error.where.startswith(f"{toxic.node.file}, line ") else placed(error, toxic.node) from None
    return {}


def _latency(toxic: _Toxic, remarks: Remarks) -> Mapping[str, Fault]:
    middle, jitter = toxic.whole("latency"), max(toxic.whole("jitter"), 0)
    low, high = max(middle - jitter, 0), max(middle + jitter, 0)
    if middle < jitter:
        remarks.note(toxic.place("jitter"), "what falls below 0 is 0 in Toxiproxy; here it is drawn evenly from 0 on")
    if not high:
        remarks.note(toxic.node, "without latency it does nothing")
        return {}
    remarks.note_hold(toxic.node, high / 1000)
    if toxic.stream == "upstream":
        remarks.note(toxic.node, "the request is held as a whole, not each of its pieces")
        return {"delay": Delay(Uniform(low / 1000, high / 1000))}
    remarks.note(toxic.node, "the response is held as a whole, not each of its pieces")
    return {"delay_response": DelayResponse(Uniform(low / 1000, high / 1000))}


def _bandwidth(toxic: _Toxic, remarks: Remarks) -> Mapping[str, Fault]:
    rate = toxic.whole("rate")
    if rate <= 0:
        remarks.lost(toxic.place("rate"), "a rate of 0 stalls for ever; hang does that to a whole request")
        return {}
    return {"throttle": Throttle(rate * 1000, "response" if toxic.stream == "downstream" else "request")}


def _timeout(toxic: _Toxic, remarks: Remarks) -> Mapping[str, Fault]:
    timeout = toxic.whole("timeout")
    if toxic.stream == "downstream":
        remarks.note(toxic.node, "the handler does not run; behind Toxiproxy it does, and its response is lost")
    if timeout <= 0:
        remarks.note(toxic.node, "held no longer than FAULTWARE_MAX_DELAY, and then answered with 504")
        return {"hang": Hang()}
    remarks.note_hold(toxic.node, timeout / 1000)
    return {"delay": Delay(timeout / 1000), "close": Close()}


def _reset(toxic: _Toxic, remarks: Remarks) -> Mapping[str, Fault]:
    remarks.note(toxic.node, "the connection to the client is reset; there is none to a server behind")
    timeout = toxic.whole("timeout")
    remarks.note_hold(toxic.node, timeout / 1000)
    return {"delay": Delay(timeout / 1000), "reset": Reset()} if timeout > 0 else {"reset": Reset()}


def _on_response(toxic: _Toxic, remarks: Remarks) -> Mapping[str, Fault]:
    if toxic.stream == "upstream":
        remarks.lost(toxic.node, f"{toxic.kind} of a request's body has no meaning for the handler that reads it")
        return {}
    if toxic.kind == "slow_close":
        delay = toxic.whole("delay")
        if delay <= 0:
            remarks.note(toxic.node, "without delay it does nothing")
            return {}
        return {"slow_close": SlowClose(delay / 1000)}
    if toxic.kind == "limit_data":
        size = toxic.whole("bytes")
        return {"limit_data": LimitData(max(size, 0))}
    average, variation = toxic.whole("average_size"), max(toxic.whole("size_variation"), 0)
    pause = float(Decimal(max(toxic.whole("delay"), 0)).scaleb(-6))
    if average <= 0:
        remarks.lost(toxic.place("average_size"), "pieces of 0 bytes end Toxiproxy itself")
        return {}
    if variation >= average:
        remarks.note(toxic.place("size_variation"), f"cut to {average - 1}: no piece is empty")
    return {"slice_": Slice(average, min(variation, average - 1), pause)}
