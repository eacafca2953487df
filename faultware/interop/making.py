"""Rules made of what was read: of slots, which become a group, with names that are unique."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from faultware.core.rules import NAME, Rule
from faultware.errors import RuleError
from faultware.interop.terms import ALWAYS, Terms, placed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from faultware.core.asking import ByHeaders
    from faultware.core.faults import Fault
    from faultware.core.sampling import Part
    from faultware.interop.envoyroutes import Slot
    from faultware.interop.remarks import Remarks
    from faultware.interop.tree import Node

_LONGEST: Final = 63


def name_of(text: str) -> str:
    """A name of the original, as a rule's or a group's; empty, if nothing is left of it."""
    words = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_")
    name = words if words[:1].isalpha() or not words else f"r-{words}"
    return name[:_LONGEST].rstrip("-_")


def untaken(name: str, taken: Collection[str]) -> str:
    """The same name; numbered, if it is taken."""
    first, number = name, 2
    while name in taken:
        name, number = f"{first[:58]}-{number}", number + 1
    return name


def make_rule(
    node: Node,
    terms: Terms,
    faults: Mapping[str, Fault],
    *,
    by_headers: ByHeaders | None = None,
    name: str = "",
    share: float = 100.0,
    group: str = "",
    part: Part | None = None,
) -> Rule:
    """A rule: matched once, after which each fault rolls its own percentage. One fault gives its own to the rule.

    Raises:
        RuleError: A rule cannot hold this; with the node's place.
    """
    given: dict[str, Any] = dict(faults)
    if len(faults) == 1 and share == 100 and by_headers is None:
        ((key, fault),) = faults.items()
        share, given[key] = fault.percentage, with_percentage(fault, 100)
    try:
        name = name if NAME.fullmatch(name) else ""
        return Rule(name, terms.match(), percentage=share, group=group, part=part, by_headers=by_headers, **given)
    except RuleError as error:
        raise placed(error, node) from None


def with_percentage(fault: Fault, percentage: float) -> Fault:
    """The same fault with another chance of its own."""
    twin = object.__new__(type(fault))
    for name in _slots(type(fault)):
        object.__setattr__(twin, name, getattr(fault, name))
    object.__setattr__(twin, "percentage", float(percentage))
    return twin


def _slots(kind: type) -> Iterable[str]:
    return (name for base in kind.__mro__ for name in getattr(base, "__slots__", ()))


def rules_of_slots(slots: Sequence[Slot], node: Node, remarks: Remarks, *, name: str, group: str) -> list[Rule]:
    """The rules of one filter: a group of which the first that matches takes part, if there is more than one slot."""
    group = group if len(slots) > 1 else ""
    rules: list[Rule] = []
    for slot in slots:
        acting = slot.filter
        if acting is not None and acting.unknown is not None:
            remarks.lost(acting.unknown.node, f"{acting.unknown.reason}; so its faults are left out")
            acting = None
        if acting is not None:
            terms = slot.terms & acting.terms
            own = slot.name or name
            more: dict[str, Any] = {"name": own, "share": slot.share, "group": group, "part": slot.part}
            rules.append(make_rule(acting.node, terms, acting.faults, by_headers=acting.by_headers, **more))
        if group and (acting is None or acting.terms != ALWAYS):
            rules.append(spare(node, slot.terms, group, slot.part))
    return without_idle_end(rules)


def spare(node: Node, terms: Terms, group: str, part: Part | None = None) -> Rule:
    """A rule that does nothing, and keeps the rest of its group from those that match it."""
    return make_rule(node, terms, {}, share=0, group=group, part=part)


def without_idle_end(rules: list[Rule]) -> list[Rule]:
    """The rules of a group without those at its end that do nothing: there is nobody left to be kept away."""
    while rules and not rules[-1].faults and rules[-1].by_headers is None:
        rules.pop()
    return rules


def unique(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The same rules, those numbered that have a name which another one had before."""
    found: dict[str, Rule] = {}
    # Where to go on, so that thousands of the same name are not counted through for each.
    numbers: dict[str, int] = {}
    for rule in rules:
        name, number = rule.name, numbers.get(rule.name, 2)
        while name in found:
            suffix = f"-{number}"
            name, number = rule.name[: _LONGEST - len(suffix)] + suffix, number + 1
        numbers[rule.name] = number
        found[name] = rule if name == rule.name else replace(rule, name=name)
    return tuple(found.values())
