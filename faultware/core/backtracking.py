"""An upper bound for the steps a backtracking matcher takes.

The pattern becomes an automaton with one state for each character position. A backtracking matcher walks its paths, so
the number of paths that end in a state bounds the work. Two states can be reached by the same text, or they cannot:
that is computed exactly, on pairs. The paths into a state are then at most the sum over those predecessors that can be
reached by the same text, the greatest such sum. Counting this up, character by character, gives a bound that holds for
every text, is linear for patterns without ambiguity, and explodes for those that run away: `(a+)+`, `(a|aa)+`.

Everything that only cuts paths off (anchors, atomic groups, possessive repeats) is ignored. This module decides; it
words no message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faultware.core.expressions import EVERYTHING, Anchor, Atomic, Chars, Choice, Intervals, Node, Repeat, Series

if TYPE_CHECKING:
    from collections.abc import Iterable

# A counted repeat is written out up to so many character positions, and taken for an endless one beyond.
_WRITTEN_OUT: Final = 64
_MAX_STATES: Final = 512
_MAX_EDGES: Final = 8192
_MAX_PAIRS: Final = 65536


class TooComplexError(Exception):
    """The automaton is too large to be judged, or repeats what can be empty. It never leaves `core`."""


def runs_away_at(node: Node, *, length: int, limit: int, to_the_end: bool = True) -> int | None:
    """The length of text at which `limit` steps may be passed, or None if no text up to `length` passes them.

    Args:
        node: The pattern, matched against the whole text.
        length: The longest text.
        limit: The steps that are allowed.
        to_the_end: The pattern stands alone, so that a final `.*` always succeeds. False: something follows.

    Returns:
        0 if the pattern is too complex to be judged, or repeats what can be empty.
    """
    automaton = _Automaton()
    try:
        whole = automaton.add(_without_final_anything(node) if to_the_end else node)
        return _first_excess(automaton, whole, length, limit)
    except TooComplexError:
        return 0


def culprit(node: Node, *, length: int, limit: int) -> Node:
    """The smallest part of a pattern that runs away on its own, or the whole."""

    def is_bad(part: Node) -> bool:
        return runs_away_at(part, length=length, limit=limit, to_the_end=False) is not None

    match node:
        case Series(items):
            parts = items
        case Choice(options):
            parts = options
        case Repeat(item=item) | Atomic(item):
            parts = (item,)
        case Chars() | Anchor():
            parts = ()
    for part in parts:
        if is_bad(part):
            return culprit(part, length=length, limit=limit)
    if isinstance(node, Series):
        run = node.items
        while len(run) > 1 and is_bad(Series(run[1:])):
            run = run[1:]
        while len(run) > 1 and is_bad(Series(run[:-1])):
            run = run[:-1]
        return Series(run)
    return node


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the automaton: in how many ways it is empty, begins in a state, ends in a state."""

    empty: int
    first: dict[int, int]
    last: dict[int, int]


class _Automaton:
    """States are character positions; `after[p][q]` is the number of ways from p straight to q."""

    def __init__(self) -> None:
        self.sets: list[Intervals] = []
        self.after: list[dict[int, int]] = []
        self._edges = 0

    def add(self, node: Node) -> _Part:
        match node:
            case Chars(intervals):
                return self._state(intervals)
            case Anchor():
                return _Part(1, {}, {})
            case Series(items):
                whole = _Part(1, {}, {})
                for item in items:
                    whole = self._join(whole, self.add(item))
                return whole
            case Choice(options):
                parts = [self.add(option) for option in options]
                first = _sum((1, part.first) for part in parts)
                return _Part(sum(part.empty for part in parts), first, _sum((1, part.last) for part in parts))
            case Atomic(item):
                return self.add(item)
            case Repeat():
                return self._repeat(node)

    def _state(self, intervals: Intervals) -> _Part:
        state = len(self.sets)
        if state >= _MAX_STATES:
            raise TooComplexError
        self.sets.append(intervals)
        self.after.append({})
        return _Part(0, {state: 1}, {state: 1})

    def _join(self, left: _Part, right: _Part) -> _Part:
        self._link(left.last, right.first)
        first = _sum(((1, left.first), (left.empty, right.first)))
        last = _sum(((1, right.last), (right.empty, left.last)))
        return _Part(left.empty * right.empty, first, last)

    def _link(self, sources: dict[int, int], targets: dict[int, int]) -> None:
        self._edges += len(sources) * len(targets)
        if self._edges > _MAX_EDGES:
            raise TooComplexError
        for source, ways in sources.items():
            after = self.after[source]
            for target, more in targets.items():
                after[target] = after.get(target, 0) + ways * more

    def _repeat(self, repeat: Repeat) -> _Part:
        least, most = repeat.least, repeat.most
        if most == 0:
            return _Part(1, {}, {})
        body = self.add(repeat.item)
        if most == 1:
            return body if least == 1 else _Part(body.empty + 1, body.first, body.last)
        if body.empty:
            raise TooComplexError
        copies = max(least, most or 0)
        if copies * _positions(repeat.item) > _WRITTEN_OUT:
            least, most = min(least, 1), None
        if most is None:
            self._link(body.last, body.first)
            whole = body if least else _Part(1, body.first, body.last)
        else:
            whole = _Part(0, body.first, body.last) if least == most else _Part(1, body.first, body.last)
            for _ in range(most - least - 1):
                tail = self._join(self.add(repeat.item), whole)
                whole = _Part(1, tail.first, tail.last)
        counted = least - 1 if most is None or least == most else least
        for _ in range(counted):
            whole = self._join(self.add(repeat.item), whole)
        return whole


def _sum(parts: Iterable[tuple[int, dict[int, int]]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for factor, ways in parts:
        if factor:
            for state, number in ways.items():
                total[state] = total.get(state, 0) + factor * number
    return total


def _positions(node: Node) -> int:
    match node:
        case Chars():
            return 1
        case Anchor():
            return 0
        case Series(items):
            return sum(map(_positions, items))
        case Choice(options):
            return sum(map(_positions, options))
        case Atomic(item):
            return _positions(item)
        case Repeat(item, least, most):
            copies = max(least, most or 0, 1) * _positions(item)
            return copies if copies <= _WRITTEN_OUT else _positions(item)


def _without_final_anything(node: Node) -> Node:
    """The pattern without a `.*` at its end: whoever reaches it has matched, so it costs no second attempt."""
    match node:
        case Repeat(Chars(intervals), least, None) if intervals == EVERYTHING:
            return Repeat(Chars(intervals), least, least)
        case Repeat(item, least, 1, is_lazy):
            return Repeat(_without_final_anything(item), least, 1, is_lazy)
        case Atomic(item):
            return Atomic(_without_final_anything(item))
        case Choice(options):
            return Choice(tuple(map(_without_final_anything, options)))
        case Series(items):
            end = len(items)
            while end and items[end - 1] in (Anchor(r"\z"), Anchor("(?m:$)")):
                end -= 1
            return Series((*items[: end - 1], _without_final_anything(items[end - 1]))) if end else node
        case _:
            return node


def _first_excess(automaton: _Automaton, whole: _Part, length: int, limit: int) -> int | None:
    states = range(len(automaton.sets))
    together = _reached_together(automaton, whole.first)
    before: list[dict[int, int]] = [{} for _ in states]
    for source in states:
        for target, ways in automaton.after[source].items():
            before[target][source] = ways
    weight = [1 + sum(automaton.after[state].values()) + whole.last.get(state, 0) for state in states]
    all_classes = _classes(states, together)
    steps_in = [[[(p, before[s][p]) for p in own] for own in _classes(before[s], together)] for s in states]
    paths = tuple(whole.first.get(state, 0) if automaton.sets[state] else 0 for state in states)
    total = 1 + sum(whole.first.values()) + whole.empty
    seen: set[tuple[int, ...]] = set()
    most = 0
    for position in range(1, length + 1):
        here = sum(max(paths[state] * weight[state] for state in own) for own in all_classes)
        most = max(most, here)
        total += here
        if total > limit:
            return position
        if not here:
            return None
        if paths in seen:
            # The counts repeat themselves: the rest costs no more for each character than the worst so far.
            total += (length - position) * most
            return length if total > limit else None
        seen.add(paths)
        paths = tuple(sum(max(paths[p] * ways for p, ways in own) for own in classes) for classes in steps_in)
    return None


def _reached_together(automaton: _Automaton, first: dict[int, int]) -> list[int]:
    """For each state the set of states, as bits, that some text reaches as well."""
    alphabet = _letters(automaton.sets)
    count = len(alphabet)
    overlaps = [sum(1 << other for other in range(count) if alphabet[other] & letters) for letters in alphabet]
    after = [sum(1 << target for target in targets) for targets in automaton.after]
    together = [0] * count
    pending: list[tuple[int, int]] = []

    def meet(sources: Iterable[int], targets: int) -> None:
        for state in sources:
            found = targets & overlaps[state] & ~together[state]
            while found:
                lowest = found & -found
                found ^= lowest
                other = lowest.bit_length() - 1
                together[state] |= lowest
                together[other] |= 1 << state
                pending.append((state, other))

    meet(first, sum(1 << state for state in first))
    pairs = 0
    while pending:
        pairs += 1
        if pairs > _MAX_PAIRS:
            raise TooComplexError
        one, other = pending.pop()
        meet(automaton.after[one], after[other])
    return together


def _letters(sets: list[Intervals]) -> list[int]:
    """Each set as bits, one for each stretch of the alphabet in which no set begins or ends."""
    borders = sorted({border for own in sets for low, high in own for border in (low, high + 1)})
    rank = {border: number for number, border in enumerate(borders)}
    return [sum((1 << rank[high + 1]) - (1 << rank[low]) for low, high in own) for own in sets]


def _classes(states: Iterable[int], together: list[int]) -> list[list[int]]:
    """The states in as few groups as a simple search finds, no two of one group reached by the same text."""
    groups: list[list[int]] = []
    members: list[int] = []
    for state in states:
        for number, bits in enumerate(members):
            if not bits & together[state]:
                groups[number].append(state)
                members[number] |= 1 << state
                break
        else:
            groups.append([state])
            members.append(1 << state)
    return groups
