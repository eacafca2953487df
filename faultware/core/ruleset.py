"""The rules in force, filed so that a request only meets those that could match it.

Each rule is filed under the one condition it cannot do without that the fewest rules share: a literal part of its
path, decoded or as it was sent, or a header, query field or cookie. What depends on the path alone is remembered by
path, with a bound on entries and on length. So the cost of a request does not depend on the number of rules that do not
match it. Rules without any such condition are tried on every new path; `scanned` names them.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

from faultware.core.budgets import Budget
from faultware.core.delays import Uniform
from faultware.core.exemptions import Exemptions
from faultware.core.faults import Abort, Delay, Needs, Phase, RateLimit
from faultware.core.filing import KINDS, keys_of
from faultware.core.plan import Injection, Plan
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from faultware.core.bringing import Asking
    from faultware.core.filing import Key
    from faultware.core.request import Fields, Request
    from faultware.core.rules import Rule

MAX_REMEMBERED: Final = 4096
MAX_REMEMBERED_LENGTH: Final = 256

Index: TypeAlias = "dict[Key, tuple[LiveRule, ...]]"
_NEVER: Final = math.inf


class Tally:
    """What became of the requests one rule saw, in this process. The numbers only grow.

    `tickets` numbers the hits of a rule with a count, `turns` the matches of a rule with `first` or `every`; drawing
    from them is atomic. `budget` is what the callers of a rule with a rate limit have left.
    """

    __slots__ = ("budget", "injected", "matched", "rolled", "suppressed", "tickets", "turns")

    def __init__(self) -> None:
        self.matched = 0
        self.rolled = 0
        self.injected: Counter[str] = Counter()
        self.suppressed: Counter[str] = Counter()
        self.tickets = count()
        self.turns = count(1)
        self.budget = Budget()


class LiveRule:
    """A rule in force, with its tally and the moment it expires.

    Args:
        rule: The rule.
        deadline: On the injector's monotonic clock, in seconds; infinite: never.
        tally: Kept when the same rule is loaded again, so that a count is not given twice.
        began: When it was loaded, on the same clock; its schedule counts from then.
    """

    __slots__ = (
        "began",
        "deadline",
        "has_conditions",
        "is_always",
        "is_plain",
        "is_simple",
        "needs_means",
        "needs_time",
        "order",
        "percentage",
        "rule",
        "tally",
        "whole",
    )

    def __init__(self, rule: Rule, deadline: float = _NEVER, tally: Tally | None = None, began: float = 0.0) -> None:
        self.rule = rule
        self.deadline = deadline
        self.began = began
        self.tally = tally or Tally()
        self.order = 0
        # What the engine asks of every request, decided once.
        self.percentage = rule.percentage
        self.has_conditions = bool(rule.match.conditions)
        self.is_always = rule.first is None and rule.every is None
        is_steady = rule.schedule is None
        # Nothing but the same chance every time stands between a path that matches and the faults.
        self.is_plain = (
            not self.has_conditions
            and not rule.group
            and deadline == _NEVER
            and self.is_always
            and is_steady
            and rule.count is None
            and rule.sample_by is None
        )
        is_limited = any(isinstance(fault, RateLimit) for fault in rule.everything)
        self.needs_time = deadline != _NEVER or not is_steady or is_limited
        self.needs_means = any(fault.needs is not Needs.NOTHING for fault in rule.everything)
        # The plan of a rule whose faults leave nothing to chance once it fires: made once, and not for each request.
        self.whole = None if is_limited else self._whole_plan()
        # A roll decides all there is to decide: nothing of the request matters, beyond its path.
        self.is_simple = self.is_plain and self.whole is not None and not self.needs_means

    def _whole_plan(self) -> Plan | None:
        if len(self.rule.faults) != 1 or self.rule.choose or self.rule.by_headers is not None:
            return None
        (fault,) = self.rule.faults
        if fault.percentage != 100:
            return None
        if fault.phase is Phase.TERMINAL:
            if isinstance(fault, Abort) and fault.template:  # a text that each request fills
                return None
            return Plan(ending=Injection(self, fault))
        if fault.phase is Phase.DELAY and isinstance(fault, Delay):
            times = fault.distribution
            if isinstance(times, Uniform) and times.low_seconds == times.high_seconds:
                return Plan((Injection(self, fault, times.low_seconds),), delay_seconds=times.low_seconds)
        return None

    def percentage_at(self, now: float) -> float:
        """The rule's share at a time on the injector's monotonic clock."""
        schedule = self.rule.schedule
        return self.percentage if schedule is None else schedule.percentage_at(now - self.began, self.percentage)


class RuleSet:
    """An immutable set of rules with its index.

    Args:
        live: The rules, in the order in which they are tried.
        exemptions: Paths that rules do not reach.
        for_websockets: Find the rules that concern WebSockets, and not those that concern other requests.
        asking: Finds the rule that a request brings along in a header.
        asking_until: When that ends, as a deadline of a rule.

    Raises:
        RuleError: Two rules have one name.
    """

    def __init__(
        self,
        live: Iterable[LiveRule] = (),
        exemptions: Exemptions | None = None,
        *,
        for_websockets: bool = False,
        asking: Asking | None = None,
        asking_until: float = _NEVER,
    ) -> None:
        self.live = tuple(live)
        self._asking = asking
        self.asking_until = asking_until
        # Whether requests may bring something along for others.
        self.carries = asking is not None and asking.carries
        # When the first of them expires.
        self.ends_at = min((entry.deadline for entry in self.live), default=_NEVER)
        # All whose tallies are counted.
        self.counted = self.live if asking is None else (*self.live, asking.live)
        # A rule that comes by itself is found by no request.
        self._filed = [
            entry for entry in self.live if entry.rule.recurring is None and entry.rule.is_websocket is for_websockets
        ]
        self.exemptions = exemptions or Exemptions()
        self.needs_time = any(entry.needs_time for entry in self.live) or asking_until != _NEVER
        # Whether any of them asks for more than every server can do.
        self.needs_means = asking is not None or any(entry.needs_means for entry in self.live)
        names: set[str] = set()
        for order, entry in enumerate(self.live):
            entry.order = order
            if entry.rule.name in names:
                message = f"the name {entry.rule.name!r} is used twice"
                raise RuleError(message, where=entry.rule.name, hint="a name is unique: rename or remove one of them")
            names.add(entry.rule.name)
        self._index, self._anywhere = self._file()
        self._exact, self._under, self._segment = (self._index[kind] for kind in ("exact", "under", "segment"))
        # Rules are filed under no more segments than one, and so many.
        self._deeper = max((str(key).count("/") for key in self._under), default=1) - 1
        self._lengths = [
            (self._index[kind], kind == "prefix", sorted({len(text) for text in self._index[kind]}))
            for kind in ("prefix", "suffix")
            if self._index[kind]
        ]
        # The rules found for a path before, unless there are none.
        self.known: dict[str, tuple[LiveRule, ...]] = {}
        # Paths on which no rule can match unless a field brings one in. What is remembered is printable ASCII only, so
        # that adapters may ask for a path before it is decoded (WSGI) and before its framework overlooks a newline.
        self.quiet: dict[str, bool] = {}
        headers = [key[0] for key in self._index["header"]] + ["cookie"] * bool(self._index["cookie"])
        self.header_names = frozenset(headers if asking is None else [*headers, *asking.headers])
        self.has_query = bool(self._index["query"])
        # Whether the path as it was sent may bring a rule in, whatever the decoded one is.
        self.has_raw = bool(self._index["raw"]) or bool(self._index["raw prefix"])
        self._raw_lengths = sorted({len(text) for text in self._index["raw prefix"]})
        self._has_fields = bool(self.header_names) or self.has_query or self.has_raw

    @property
    def scanned(self) -> list[str]:
        """The names of the rules that are tried on every new path for want of a condition to file them under."""
        return [entry.rule.name for entry in self._anywhere if not _matches_everything(entry.rule)]

    def find(self, path: str, remember: bool = True) -> tuple[LiveRule, ...]:
        """The rules whose path condition holds and that are not filed under a header, query field or cookie."""
        quiet = self.quiet
        if path in quiet:
            return ()
        found = self.known.get(path)
        if found is not None:
            return found
        found = self._look_up(path)
        if not remember or len(path) > MAX_REMEMBERED_LENGTH or not (path.isascii() and path.isprintable()):
            return found
        if found:
            if len(self.known) >= MAX_REMEMBERED:
                self.known.clear()
            self.known[path] = found
        else:
            if len(quiet) >= MAX_REMEMBERED:
                quiet.clear()
            quiet[path] = True
        return found

    def candidates(self, request: Request, *, remember: bool = True) -> Sequence[LiveRule]:
        """Every rule that could match, in order: all of them accept the path; the other conditions are still open."""
        found = self.find(request.path, remember=remember)
        if not self._has_fields:
            return found
        more = [entry for entry in self._find_by_fields(request) if self._accepts_path(entry, request.path)]
        if more:
            found = tuple(sorted({*found, *more}, key=_order))
        if self._asking is not None and (asked := self._asking.find(request)) is not None:
            asked.deadline = self.asking_until
            asked.is_plain = asked.is_simple = False  # it can expire
            if self._accepts_path(asked, request.path):
                # What a request asks for itself comes before what happens to all.
                return (asked, *found)
        return found

    def carry(self, request: Request) -> Callable[[], str] | None:
        """What a request brings along for the calls that are made for it, unless no fault reaches its path."""
        asking = self._asking
        if asking is None or not self.exemptions.allow(asking.live.rule, request.path):
            return None
        return asking.carry(request)

    def _look_up(self, path: str) -> tuple[LiveRule, ...]:
        hits, under = self._anywhere, self._under
        if path in self._exact:
            hits += self._exact[path]
        if under:
            end = path.find("/", 1)
            deeper = self._deeper
            while deeper and end > 0:
                if (above := path[:end]) in under:
                    hits += under[above]
                end = path.find("/", end + 1)
                deeper -= 1
            if (above := path if end < 0 else path[:end]) in under:
                hits += under[above]
        for index, from_start, lengths in self._lengths:
            for length in lengths:
                hits += index.get(path[:length] if from_start else path[-length:], ())
        if self._segment:
            for segment in set(path.split("/")):
                hits += self._segment.get(segment, ())
        if not hits:
            return ()
        return tuple(entry for entry in sorted(set(hits), key=_order) if self._accepts_path(entry, path))

    def _accepts_path(self, entry: LiveRule, path: str) -> bool:
        condition = entry.rule.match.path
        return (condition is None or condition.accepts(path)) and self.exemptions.allow(entry.rule, path)

    def _find_by_fields(self, request: Request) -> Iterator[LiveRule]:
        if self.header_names and request.has_header(self.header_names):
            yield from _filed(self._index["header"], request.headers)
            if self._index["cookie"]:
                yield from _filed(self._index["cookie"], request.cookies)
        if self.has_query and request.query_string:
            yield from _filed(self._index["query"], request.query)
        if self.has_raw:
            path, prefixes = request.raw_path, self._index["raw prefix"]
            yield from self._index["raw"].get(path, ())
            for length in self._raw_lengths:
                yield from prefixes.get(path[:length], ())

    def _file(self) -> tuple[dict[str, Index], tuple[LiveRule, ...]]:
        """Put each rule where the fewest others are; and what can be put nowhere."""
        index: dict[str, dict[Key, list[LiveRule]]] = {kind: {} for kind in KINDS}
        anywhere: list[LiveRule] = []
        keys = [list(keys_of(entry.rule)) for entry in self._filed]
        shared = Counter(key for own in keys for key in own)
        for entry, own in zip(self._filed, keys, strict=True):
            if own:
                kind, key = min(own, key=lambda key: shared[key])
                index[kind].setdefault(key, []).append(entry)
            else:
                anywhere.append(entry)
        return {kind: {key: tuple(own) for key, own in filed.items()} for kind, filed in index.items()}, tuple(anywhere)


def _filed(index: Index, fields: Fields) -> Iterator[LiveRule]:
    """The rules filed under a field's presence, or under one of its values."""
    for name, values in fields.items():
        yield from index.get((name,), ())
        for value in values:
            yield from index.get((name, value), ())


def _order(entry: LiveRule) -> int:
    return entry.order


def _matches_everything(rule: Rule) -> bool:
    path = rule.match.path
    return path is None or (path.value in ("/", "/**") and path.kind in ("segments", "glob") and not path.invert)
