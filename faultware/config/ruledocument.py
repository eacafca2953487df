"""The document form of a rule: which keys there are, and what stands under them.

Reading, with its errors, is in `documents`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Protocol, TypeVar, cast

from pydantic import ConfigDict, Field

from faultware.config.fields import (
    PATH_CONDITION,
    TEXT_CONDITION,
    Count,
    Document,
    Duration,
    Name,
    Part,
    PathCondition,
    Percentage,
    SampleKey,
    TextCondition,
    Weight,
)
from faultware.config.forms import Described
from faultware.config.linefaults import parse_delay
from faultware.config.models import (
    AbortDocument,
    AbortField,
    DelayField,
    ExponentialDelay,
    FixedDelay,
    HangDocument,
    HangField,
    LogNormalDelay,
    MatchDocument,
    NormalDelay,
    ParetoDelay,
    RaiseDocument,
    RaiseField,
    UniformDelay,
)
from faultware.core import faults as kinds
from faultware.core.asking import ByHeaders
from faultware.core.faults import FAULTS, Abort, Delay, DelayResponse, Fault, Hang, Raise, attribute
from faultware.core.recurring import Recurring
from faultware.core.rules import Choice, Rule
from faultware.core.sampling import SampleBy
from faultware.core.schedules import Schedule
from faultware.errors import RuleError

T = TypeVar("T", covariant=True)


class _Builds(Protocol[T]):
    def build(self) -> T: ...


class FaultFields(Document):
    """Every fault, under its kind."""

    delay: DelayField | None = Field(default=None, description="Holds the request first.")
    abort: AbortField | None = Field(default=None, description="Answers in the application's place.")
    raise_: RaiseField | None = Field(default=None, alias="raise", description="Raises a registered exception.")
    hang: HangField | None = Field(default=None, description="Never answers.")
    delay_response: DelayField | None = Field(
        default=None, description="Holds the answer after the handler ran, before its first byte."
    )
    rate_limit: Annotated[kinds.RateLimit | None, Described(kinds.RateLimit)] = None
    reset: Annotated[kinds.Reset | None, Described(kinds.Reset)] = None
    close: Annotated[kinds.Close | None, Described(kinds.Close)] = None
    partial_head: Annotated[kinds.PartialHead | None, Described(kinds.PartialHead)] = None
    garbage: Annotated[kinds.Garbage | None, Described(kinds.Garbage)] = None
    stream_reset: Annotated[kinds.StreamReset | None, Described(kinds.StreamReset)] = None
    request_headers: Annotated[kinds.RequestHeaders | None, Described(kinds.RequestHeaders)] = None
    replace_status: Annotated[kinds.ReplaceStatus | None, Described(kinds.ReplaceStatus)] = None
    response_headers: Annotated[kinds.ResponseHeaders | None, Described(kinds.ResponseHeaders)] = None
    replace_body: Annotated[kinds.ReplaceBody | None, Described(kinds.ReplaceBody)] = None
    corrupt: Annotated[kinds.Corrupt | None, Described(kinds.Corrupt)] = None
    slice_: Annotated[kinds.Slice | None, Described(kinds.Slice)] = Field(default=None, alias="slice")
    throttle: Annotated[kinds.Throttle | None, Described(kinds.Throttle)] = None
    dribble: Annotated[kinds.Dribble | None, Described(kinds.Dribble)] = None
    stall: Annotated[kinds.Stall | None, Described(kinds.Stall)] = None
    truncate: Annotated[kinds.Truncate | None, Described(kinds.Truncate)] = None
    limit_data: Annotated[kinds.LimitData | None, Described(kinds.LimitData)] = None
    slow_close: Annotated[kinds.SlowClose | None, Described(kinds.SlowClose)] = None
    content_length: Annotated[kinds.ContentLength | None, Described(kinds.ContentLength)] = None
    malformed_chunk: Annotated[kinds.MalformedChunk | None, Described(kinds.MalformedChunk)] = None
    websocket_refuse: Annotated[kinds.WebsocketRefuse | None, Described(kinds.WebsocketRefuse)] = None
    websocket_close: Annotated[kinds.WebsocketClose | None, Described(kinds.WebsocketClose)] = None
    websocket_messages: Annotated[kinds.WebsocketMessages | None, Described(kinds.WebsocketMessages)] = None
    block: Annotated[kinds.Block | None, Described(kinds.Block)] = None
    cpu: Annotated[kinds.Cpu | None, Described(kinds.Cpu)] = None
    memory: Annotated[kinds.Memory | None, Described(kinds.Memory)] = None
    descriptors: Annotated[kinds.Descriptors | None, Described(kinds.Descriptors)] = None
    kill: Annotated[kinds.Kill | None, Described(kinds.Kill)] = None

    def faults(self) -> list[Fault]:
        """The faults that are given."""
        found = [self._built(kind) for kind in FAULTS]
        return [fault for fault in found if fault is not None]

    def _built(self, kind: type[Fault]) -> Fault | None:
        given = getattr(self, attribute(kind.kind))
        if given is None:
            return None
        if kind is Delay:
            return _delay(given)
        if kind is DelayResponse:
            delay = _delay(given)
            return DelayResponse(delay.distribution, percentage=delay.percentage)
        if kind is Abort:
            return Abort(given) if isinstance(given, int) else _long(given)
        if kind is Raise:
            return Raise(given) if isinstance(given, str) else _long(given)
        if kind is Hang:
            return Hang(given) if isinstance(given, (int, float)) else _long(given)
        return cast("Fault", given)


def _delay(given: str | _Builds[Delay]) -> Delay:
    return parse_delay(given) if isinstance(given, str) else given.build()


def _long(given: _Builds[T]) -> T:
    return given.build()


_NAMES: Final = tuple(fault.kind for fault in FAULTS)
_ONE_OF_THEM: Final[list[Any]] = [{"required": [key]} for key in _NAMES]
# One of these says how often a rule acts.
_HOW_OFTEN: Final = ("percentage", "count", "first", "every", "recurring", "part")
# A rule with one of these needs no fault besides.
_INSTEAD: Final[list[Any]] = [{"required": [key]} for key in ("choose", "group", "by_headers")]


class ChoiceDocument(FaultFields):
    """One of several faults of which a rule does exactly one."""

    model_config = ConfigDict(title="Choice", json_schema_extra={"oneOf": _ONE_OF_THEM})

    weight: Weight = Field(default=1, description="How often, in comparison with the others.")

    def build(self) -> Choice:
        """The choice as the core has it."""
        faults = self.faults()
        if len(faults) != 1:
            named = " and ".join(fault.kind for fault in faults) or "none"
            raise RuleError(f"an alternative is one fault, not {named}", hint="such as {weight: 3, abort: 503}")
        return Choice(self.weight, faults[0])


class RuleDocument(FaultFields):
    """When (a match), how often (a percentage) and what (faults)."""

    model_config = ConfigDict(
        title="Rule",
        json_schema_extra={
            "allOf": [
                {"anyOf": [{"required": [key]} for key in _HOW_OFTEN]},
                {"anyOf": [*_ONE_OF_THEM, *_INSTEAD]},
            ]
        },
    )

    name: Name | None = Field(default=None, description="Unique. Left out: derived from the content.")
    match: MatchDocument = Field(default_factory=MatchDocument, description="Left out: every request.")
    percentage: Percentage | None = Field(
        default=None,
        description="0 to 100, rolled once; mandatory unless count, first, every, recurring or part is given.",
    )
    choose: list[ChoiceDocument] = Field(default=[], description="Of these exactly one is done, drawn by weight.")
    fallback: AbortField | None = Field(
        default=None, description="Answers where the server cannot do what the rule asks for."
    )
    count: Count | None = Field(default=None, description="Acts at most so many times in each process.")
    first: Count | None = Field(default=None, description="Only the first so many matching requests take part.")
    every: Count | None = Field(default=None, description="Only every so-manieth matching request takes part.")
    sample_by: SampleKey | None = Field(
        default=None,
        description="What the decision sticks to: header:NAME, cookie:NAME, query:NAME or client.",
    )
    group: Name | None = Field(default=None, description="Of a group only the first rule that matches takes part.")
    part: Part | None = Field(
        default=None,
        description="From and to, in percent, of one draw for the whole group: there this rule takes part.",
    )
    schedule: Annotated[Schedule | None, Described(Schedule, ())] = None
    recurring: Annotated[Recurring | None, Described(Recurring, ())] = None
    by_headers: Annotated[ByHeaders | None, Described(ByHeaders, ())] = None
    for_: Duration | None = Field(default=None, alias="for", description="How long the rule lives once it is loaded.")

    def build(self) -> Rule:
        """The rule as the core has it."""
        if all(getattr(self, name) is None for name in _HOW_OFTEN):
            hint = "write percentage: 10; 100 hits every request"
            raise RuleError("how often? a percentage is required", hint=hint)
        fallback = self.fallback
        faults: dict[str, Any] = {attribute(fault.kind): fault for fault in self.faults()}
        return Rule(
            self.name or "",
            self.match.build(),
            percentage=100 if self.percentage is None else self.percentage,
            choose=tuple(choice.build() for choice in self.choose),
            fallback=Abort(fallback) if isinstance(fallback, int) else None if fallback is None else fallback.build(),
            count=self.count,
            first=self.first,
            every=self.every,
            sample_by=None if self.sample_by is None else SampleBy.parse(self.sample_by),
            group=self.group or "",
            part=None if self.part is None else (self.part[0], self.part[1]),
            schedule=self.schedule,
            recurring=self.recurring,
            by_headers=self.by_headers,
            lifetime_seconds=self.for_,
            **faults,
        )


# The model behind each mark in the place of an error.
MODELS: Final[dict[str, type[Document]]] = {
    "match": MatchDocument,
    TEXT_CONDITION: TextCondition,
    PATH_CONDITION: PathCondition,
    "(fixed)": FixedDelay,
    "(uniform)": UniformDelay,
    "(normal)": NormalDelay,
    "(lognormal)": LogNormalDelay,
    "(exponential)": ExponentialDelay,
    "(pareto)": ParetoDelay,
    "(abort)": AbortDocument,
    "(raise)": RaiseDocument,
    "(hang)": HangDocument,
    "choose": ChoiceDocument,
}
