"""A rule: when (a match), how often (a percentage) and what (faults)."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from faultware.core import faults as kinds
from faultware.core.asking import ByHeaders
from faultware.core.faults import FAULTS, Abort, Fault, Phase, attribute
from faultware.core.matching import Match
from faultware.core.quantities import is_number
from faultware.core.recurring import Recurring
from faultware.core.rendering import rule_document, rule_line
from faultware.core.sampling import Part, SampleBy, check_part, check_percentage
from faultware.core.schedules import Schedule
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
NAME_HINT = "lower-case letters, digits, - and _, beginning with a letter, at most 63"
MAX_COUNT = 10**9
MAX_LIFETIME = 366 * 24 * 3600.0
MAX_WEIGHT: Final = 10**6

_NAMES: Final = tuple(attribute(fault.kind) for fault in FAULTS)
_KINDS: Final[dict[str, type]] = {
    **dict(zip(_NAMES, FAULTS, strict=True)),
    "fallback": Abort,
    "sample_by": SampleBy,
    "schedule": Schedule,
    "recurring": Recurring,
    "by_headers": ByHeaders,
}
_FAULTS_HINT: Final = "such as abort, delay, reset, truncate"
# What a WebSocket has in common with a request over HTTP: a handshake, which can be delayed.
_WEBSOCKET: Final = frozenset({kinds.WebsocketRefuse, kinds.WebsocketClose, kinds.WebsocketMessages})


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several faults of which a rule does exactly one.

    Args:
        weight: How often, in comparison with the others: a whole number from 1.
        fault: What is done; its own percentage is 100.
    """

    weight: int
    fault: Fault

    def __post_init__(self) -> None:
        is_whole = isinstance(self.weight, int) and not isinstance(self.weight, bool)
        if not is_whole or not 1 <= self.weight <= MAX_WEIGHT:
            hint = f"a whole number from 1 to {MAX_WEIGHT}"
            raise RuleError(f"{self.weight!r} is not a weight", where="weight", hint=hint)
        if not isinstance(self.fault, FAULTS):
            raise RuleError(f"{self.fault!r} is not a fault", where="choose", hint="such as Abort(503)")
        if self.fault.percentage != 100:
            raise RuleError("an alternative has a weight, and no percentage", where="choose", hint="leave it out")


@dataclass(frozen=True, slots=True, repr=False)
class Rule:
    """What happens to a share of the requests that match. Prints itself in the one-line form where it can.

    Args:
        name: Unique; lower-case letters, digits, `-` and `_`. Empty: derived from the rule's content.
        match: Which requests; every request when left out.
        percentage: 0 to 100, rolled once for the rule; each fault then rolls its own percentage.
        delay: Holds the request first. This and the following are the faults, one field for each kind; see
            `faultware.core.faults`. A rule with a fault of WebSockets concerns WebSockets, and nothing else.
        choose: Of these exactly one is done, drawn by weight.
        fallback: Answers where the server cannot do what the rule asks for. Without it such a rule is refused.
        count: Acts at most so many times in each process. Chance is drawn first; the count falls only on a hit.
        first: Of the matching requests of each process, only the first so many take part.
        every: Of the matching requests of each process, only every so-manieth takes part; beside `first`, of those
            that come after.
        sample_by: What the decision sticks to; a request without that key is left alone.
        group: Of the rules with one group only the first that matches takes part, whether it acts or not. So a rule of
            a group may have no fault: what it matches is spared the rest of the group.
        part: From and to, in percent: of one draw that a request makes for the whole group, where this rule takes part.
            So the rules of a group are arms of an experiment, of which a request is in one.
        schedule: How the percentage changes over time.
        recurring: The fault, which is one of the process, comes by itself and needs no request.
        by_headers: What a request may ask for by Envoy's headers, where these are heeded.
        lifetime_seconds: How long the rule lives once it is loaded.

    Raises:
        RuleError: No fault, two that end the request, a bad name, a number out of its range.
    """

    name: str = ""
    match: Match = field(default_factory=Match)
    percentage: float = field(kw_only=True)
    delay: kinds.Delay | None = field(default=None, kw_only=True)
    abort: Abort | None = field(default=None, kw_only=True)
    raise_: kinds.Raise | None = field(default=None, kw_only=True)
    hang: kinds.Hang | None = field(default=None, kw_only=True)
    rate_limit: kinds.RateLimit | None = field(default=None, kw_only=True)
    reset: kinds.Reset | None = field(default=None, kw_only=True)
    close: kinds.Close | None = field(default=None, kw_only=True)
    partial_head: kinds.PartialHead | None = field(default=None, kw_only=True)
    garbage: kinds.Garbage | None = field(default=None, kw_only=True)
    stream_reset: kinds.StreamReset | None = field(default=None, kw_only=True)
    request_headers: kinds.RequestHeaders | None = field(default=None, kw_only=True)
    delay_response: kinds.DelayResponse | None = field(default=None, kw_only=True)
    replace_status: kinds.ReplaceStatus | None = field(default=None, kw_only=True)
    response_headers: kinds.ResponseHeaders | None = field(default=None, kw_only=True)
    replace_body: kinds.ReplaceBody | None = field(default=None, kw_only=True)
    corrupt: kinds.Corrupt | None = field(default=None, kw_only=True)
    slice_: kinds.Slice | None = field(default=None, kw_only=True)
    throttle: kinds.Throttle | None = field(default=None, kw_only=True)
    dribble: kinds.Dribble | None = field(default=None, kw_only=True)
    stall: kinds.Stall | None = field(default=None, kw_only=True)
    truncate: kinds.Truncate | None = field(default=None, kw_only=True)
    limit_data: kinds.LimitData | None = field(default=None, kw_only=True)
    slow_close: kinds.SlowClose | None = field(default=None, kw_only=True)
    content_length: kinds.ContentLength | None = field(default=None, kw_only=True)
    malformed_chunk: kinds.MalformedChunk | None = field(default=None, kw_only=True)
    websocket_refuse: kinds.WebsocketRefuse | None = field(default=None, kw_only=True)
    websocket_close: kinds.WebsocketClose | None = field(default=None, kw_only=True)
    websocket_messages: kinds.WebsocketMessages | None = field(default=None, kw_only=True)
    block: kinds.Block | None = field(default=None, kw_only=True)
    cpu: kinds.Cpu | None = field(default=None, kw_only=True)
    memory: kinds.Memory | None = field(default=None, kw_only=True)
    descriptors: kinds.Descriptors | None = field(default=None, kw_only=True)
    kill: kinds.Kill | None = field(default=None, kw_only=True)
    choose: tuple[Choice, ...] = field(default=(), kw_only=True)
    fallback: Abort | None = field(default=None, kw_only=True)
    count: int | None = field(default=None, kw_only=True)
    first: int | None = field(default=None, kw_only=True)
    every: int | None = field(default=None, kw_only=True)
    sample_by: SampleBy | None = field(default=None, kw_only=True)
    group: str = field(default="", kw_only=True)
    part: Part | None = field(default=None, kw_only=True)
    schedule: Schedule | None = field(default=None, kw_only=True)
    recurring: Recurring | None = field(default=None, kw_only=True)
    by_headers: ByHeaders | None = field(default=None, kw_only=True)
    lifetime_seconds: float | None = field(default=None, kw_only=True)
    faults: tuple[Fault, ...] = field(init=False, repr=False, compare=False)
    is_websocket: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.choose, Iterable):
            object.__setattr__(self, "choose", tuple(self.choose))
        self._check_types()
        object.__setattr__(self, "percentage", check_percentage(self.percentage))
        given = (getattr(self, name) for name in _NAMES)
        object.__setattr__(self, "faults", tuple(fault for fault in given if fault is not None))
        self._check_faults()
        for where in ("count", "first", "every"):
            _check_count(where, getattr(self, where))
        if self.lifetime_seconds is not None:
            object.__setattr__(self, "lifetime_seconds", _lifetime(self.lifetime_seconds))
        if self.group != "" and (not isinstance(self.group, str) or not NAME.fullmatch(self.group)):
            raise RuleError(f"{self.group!r} is not a group's name", where="group", hint=NAME_HINT)
        if self.part is not None:
            object.__setattr__(self, "part", check_part(self.part))
            if not self.group:
                raise RuleError("a part is one of a group's draw", where="part", hint="name the group besides")
        if not self.name:
            object.__setattr__(self, "name", self.derived_name())
        elif not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise RuleError(f"{self.name!r} is not a rule name", where="name", hint=NAME_HINT)

    def _check_types(self) -> None:
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is not None and type(value) is not kind:
                raise RuleError(f"{value!r} is no {kind.__name__}", where=name, hint=f"write {kind.__name__}(…)")
        if not isinstance(self.match, Match):
            raise RuleError(f"{self.match!r} is no Match", where="match", hint="write Match(…)")
        if not isinstance(self.choose, tuple) or not all(isinstance(choice, Choice) for choice in self.choose):
            raise RuleError("these are no alternatives", where="choose", hint="write [Choice(1, Abort(503)), …]")

    def _check_faults(self) -> None:
        if not self.faults and not self.choose and not self.group and self.by_headers is None:
            raise RuleError("a fault is missing", hint=_FAULTS_HINT)
        terminal = [fault.kind for fault in self.faults if fault.phase is Phase.TERMINAL]
        terminal += [choice.fault.kind for choice in self.choose if choice.fault.phase is Phase.TERMINAL][:1]
        if self.by_headers is not None and self.by_headers.abort:
            terminal.append("abort by headers")
        if len(terminal) > 1:
            message = f"two faults end the request: {' and '.join(terminal)}"
            raise RuleError(message, hint="write two rules; each rolls its own dice")
        known = {type(fault) for fault in self.everything}
        object.__setattr__(self, "is_websocket", not known.isdisjoint(_WEBSOCKET))
        other = next((fault.kind for fault in self.everything if type(fault) not in _WEBSOCKET | {kinds.Delay}), None)
        if self.is_websocket and other is not None:
            raise RuleError(f"{other} does not concern WebSockets", hint="write two rules")
        if self.fallback is not None and self.fallback.template:
            raise RuleError("a fallback has no gaps", where="fallback", hint="leave template out")
        if self.recurring is not None:
            self._check_recurring()

    def _check_recurring(self) -> None:
        """What comes by itself is one fault of the process, and meets no request."""
        if self.choose or [fault.phase for fault in self.faults] != [Phase.INSTANCE]:
            hint = "one of kill, cpu, memory, block, descriptors, and nothing else"
            raise RuleError("what recurs is a fault of the process", where="recurring", hint=hint)
        if self.match != Match():
            raise RuleError("what recurs meets no request", where="match", hint="leave it out")
        for where in ("count", "first", "every", "sample_by", "part", "schedule", "by_headers"):
            if getattr(self, where) is not None:
                raise RuleError("this means nothing beside recurring", where=where, hint="leave it out")

    @property
    def everything(self) -> Iterator[Fault]:
        """Every fault that the rule might do, its alternatives included."""
        yield from self.faults
        for choice in self.choose:
            yield choice.fault

    @property
    def idle_chance(self) -> float:
        """The chance, 0 to 1, that a rule which fires does nothing: each of its faults rolls its own percentage."""
        return 0.0 if self.choose else math.prod(1 - fault.percentage / 100 for fault in self.faults)

    def takes_part(self, turn: int) -> bool:
        """Whether the matching request with this number, counted from 1, takes part at all."""
        if self.first is not None:
            if turn <= self.first:
                return True
            turn -= self.first
        return self.every is not None and turn % self.every == 0

    def alternative(self, draw: float) -> Fault:
        """The alternative that an even draw from [0, 1) falls on."""
        left = draw * sum(choice.weight for choice in self.choose)
        for choice in self.choose:
            left -= choice.weight
            if left < 0:
                return choice.fault
        return self.choose[-1].fault

    def derived_name(self) -> str:
        """The name of a rule that nobody named: its path and faults, and a digest of the whole, never its position."""
        acts = [fault.kind for fault in self.everything]
        if self.by_headers is not None:
            acts.append("by-headers")
        words = re.sub(r"[^a-z0-9]+", "-", "-".join([self.match.written_path.lower(), *(acts or ["spare"])]))
        content = json.dumps(rule_document(self, with_name=False), sort_keys=True)
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
        stem = words.strip("-")[:44].strip("-")
        return f"{stem if stem[:1].isalpha() else 'rule-' + stem}-{digest}"

    def __repr__(self) -> str:
        given = ((part, getattr(self, part.name)) for part in fields(self) if part.init and part.name != "name")
        words = [f"{part.name}={value!r}" for part, value in given if value != part.default and value != Match()]
        return f"Rule({', '.join([repr(self.name), *words])})"

    def __str__(self) -> str:
        return rule_line(self) or json.dumps(rule_document(self), ensure_ascii=False)


def _lifetime(value: float) -> float:
    # In whole microseconds, so that it can be written down.
    if not is_number(value) or not 0.000_001 <= value <= MAX_LIFETIME:
        raise RuleError(f"{value!r} seconds are not possible", where="for", hint="1s to 366 days")
    return round(float(value), 6)


def _check_count(where: str, value: int | None) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_COUNT):
        raise RuleError(f"{value!r} is not a count", where=where, hint=f"a whole number from 1 to {MAX_COUNT}")
