"""Fault filters of Envoy that stand in a document and were not read: each is checked as Envoy would, and told.

What Envoy never asks either is worth knowing; what it would ask is not carried over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from faultware.config.mistakes import shown
from faultware.interop.envoyfilter import FILTER_TYPE, MANAGER_TYPE, Context, Shadow, read_filter
from faultware.interop.envoyroutes import pick, unpacked
from faultware.interop.remarks import Remarks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from faultware.interop.tree import Node

# Types that Envoy knows no more, or never knew, and stops its start at: by a part of their names, what they should be.
_UNKNOWN: Final = {".http.fault.": FILTER_TYPE, ".http_connection_manager.v2.": MANAGER_TYPE}
_ELSEWHERE: Final = Shadow("only the fault filters of a chain and of its routes are read", is_loss=True)


def tell_unread(root: Node, context: Context, names: Collection[str]) -> tuple[Node, ...]:
    """Tell of each fault filter that was not read, and give back where they stand.

    Args:
        root: The document.
        context: Knows what was read.
        names: Of the fault filters in the chains; empty: there is no chain.

    Raises:
        RuleError: Envoy would refuse one of them.
    """
    with context.remarks.gathering():
        _refuse_unknown(root)
    aside = replace(context, remarks=Remarks())
    unread = list(_unread(root, context, ""))
    for node, value, key in unread:
        with context.remarks.gathering():
            read_filter(value, aside)
            shadow = _shadow(node, context)
            if shadow is None and key and names and key not in names:
                shadow = Shadow(f"never acts: no filter of the chain is called {key}", is_loss=False)
            shadow = shadow or _ELSEWHERE
            if shadow.is_loss:
                context.remarks.lost(node, shadow.reason)
            else:
                context.remarks.note(node, shadow.reason)
    return tuple(node for node, _, _ in unread)


def _refuse_unknown(node: Node) -> None:
    """What is meant as a fault filter and stops the start of Envoy: it may be one of the v2 API, which is gone."""
    kind = _type(node)
    for part, right in _UNKNOWN.items():
        if part in kind and kind != right:
            raise node.wrong(f"{shown(kind.rpartition('/')[2])} is no type that Envoy knows", f"'@type': {right}")
    for below in (*node.fields.values(), *node.items):
        _refuse_unknown(below)


def _shadow(node: Node, context: Context) -> Shadow | None:
    return next(
        (shadow for place, shadow in context.shadowed.items() if node.place.startswith((f"{place}.", f"{place}["))),
        None,
    )


def _unread(node: Node, context: Context, key: str) -> Iterator[tuple[Node, Node, str]]:
    """Each one: where it stands, its content, and under which key of overrides."""
    if node.place in context.shadowed and not context.shadowed[node.place].reason:
        return
    if _type(node) == FILTER_TYPE:
        value = unpacked(node)[1]
        if id(value) not in context.read:
            yield node, value, key
        return
    overrides = pick(node, "typed_per_filter_config")
    for name, value in () if overrides is None else overrides.fields.items():
        yield from _unread(value, context, name)
    for below in (*node.fields.values(), *node.items):
        if below is not overrides:
            yield from _unread(below, context, key)


def _type(node: Node) -> str:
    """The type of an `Any`, as far as it says one."""
    kind = node.get("@type")
    if kind is None or kind.kind != "text":
        return ""
    inner = pick(node, "type_url")
    return inner.text if inner is not None and node.get("value") is not None else kind.text
