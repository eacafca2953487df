"""The document form of conditions, and of the four faults whose values have several forms.

The models are strict and build the core's objects; the published JSON Schema comes from them. All other faults are read
by their forms (`forms`); the rule as a whole is in `ruledocument`.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from faultware.config.fields import (
    LIST,
    PLAIN,
    Base64,
    Body,
    Document,
    Duration,
    Expression,
    GrpcStatus,
    LongText,
    Methods,
    Number,
    Pair,
    PathCondition,
    PathField,
    Percentage,
    ShortDuration,
    Status,
    Switch,
    Text,
    TextCondition,
    TextField,
    TextFields,
    checked,
    form,
)
from faultware.config.linefaults import parse_delay
from faultware.config.mistakes import did_you_mean, shown
from faultware.config.quantities import parse_duration
from faultware.core.delays import Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.core.faults import Abort, Delay, Hang, Raise
from faultware.core.matching import Match, TextMatch
from faultware.errors import RuleError


def _list_form(value: object) -> str:
    """Tells a list from the other form of a value."""
    return LIST if isinstance(value, list) else PLAIN


ClientField: TypeAlias = Annotated[
    Annotated[Text, Tag(PLAIN)] | Annotated[list[Text], Tag(LIST)], Discriminator(_list_form)
]


class MatchDocument(Document):
    """Conditions on one request, all of which must hold."""

    path: PathField | None = Field(
        default=None, description="A prefix on segment borders; with `*` a glob, with `{name}` a template."
    )
    methods: Methods = Field(default=[], description="One of these, in capitals.", examples=[["POST"]])
    headers: dict[str, TextFields] = Field(
        default={}, description="A text is the exact value; of several conditions in a list all must hold."
    )
    query: dict[str, TextFields] = Field(default={}, description="Query fields, percent-decoded.")
    cookies: dict[str, TextFields] = Field(default={}, description="Cookies.")
    host: TextField | None = Field(default=None, description="Without the port.")
    client: ClientField = Field(default=[], description="Addresses and networks, one of which is the peer's.")
    raw_path: TextField | None = Field(default=None, description="The path as it was sent: not decoded, no query.")
    where: Expression | None = Field(
        default=None, description="Conditions on variables with and, or and not, as APISIX has them."
    )
    raw_query: dict[str, TextFields] = Field(
        default={}, description="The first value of a query field, as it was sent."
    )

    def build(self) -> Match:
        """The conditions as the core has them."""
        return Match(
            self.path.build() if isinstance(self.path, PathCondition) else self.path,
            methods=self.methods,
            headers=_fields(self.headers),
            query=_fields(self.query),
            cookies=_fields(self.cookies),
            host=None if self.host is None else _text_match(self.host),
            client=self.client,
            raw_path=None if self.raw_path is None else _text_match(self.raw_path),
            raw_query=_fields(self.raw_query),
            where=self.where,
        )


def _fields(given: dict[str, str | TextCondition | list[str | TextCondition]]) -> dict[str, list[TextMatch]]:
    return {
        name: [_text_match(text) for text in (asked if isinstance(asked, list) else [asked])]
        for name, asked in given.items()
    }


def _text_match(text: str | TextCondition) -> TextMatch:
    return text.build() if isinstance(text, TextCondition) else TextMatch(exact=text)


class FaultDocument(Document):
    """What every fault has."""

    percentage: Percentage = Field(default=100, description="Rolled after the rule's own percentage.")


class FixedDelay(FaultDocument):
    """A fixed delay, or an even spread around one."""

    fixed: Duration
    jitter: Duration = Field(default=0.0, description="Drawn evenly from the delay ± this.")

    def build(self) -> Delay:
        """The delay as the core has it."""
        return Delay(self.fixed, jitter_seconds=self.jitter, percentage=self.percentage)


class UniformDelay(FaultDocument):
    """Evenly from min to max."""

    distribution: Literal["uniform"] = "uniform"
    low: Duration = Field(alias="min")
    high: Duration = Field(alias="max")

    def build(self) -> Delay:
        """The delay as the core has it."""
        return Delay(Uniform(self.low, self.high), percentage=self.percentage)


class NormalDelay(FaultDocument):
    """Around a mean, never below 0, never above max."""

    distribution: Literal["normal"]
    mean: Duration
    deviation: Duration
    high: Duration = Field(alias="max")

    def build(self) -> Delay:
        """The delay as the core has it."""
        return Delay(Normal(self.mean, self.deviation, self.high), percentage=self.percentage)


class LogNormalDelay(FaultDocument):
    """Half of the delays below the median; sigma is the deviation of the logarithm."""

    distribution: Literal["lognormal"]
    median: Duration
    sigma: Number
    high: Duration = Field(alias="max")

    def build(self) -> Delay:
        """The delay as the core has it."""
        return Delay(LogNormal(self.median, self.sigma, self.high), percentage=self.percentage)


class ExponentialDelay(FaultDocument):
    """Memoryless, with a mean, never above max."""

    distribution: Literal["exponential"]
    mean: Duration
    high: Duration = Field(alias="max")

    def build(self) -> Delay:
        """The delay as the core has it."""
        return Delay(Exponential(self.mean, self.high), percentage=self.percentage)


class ParetoDelay(FaultDocument):
    """A heavy tail from scale to max; the smaller shape, the heavier."""

    distribution: Literal["pareto"]
    scale: Duration
    shape: Number
    high: Duration = Field(alias="max")

    def build(self) -> Delay:
        """The delay as the core has it."""
        return Delay(Pareto(self.scale, self.shape, self.high), percentage=self.percentage)


DISTRIBUTIONS: Final = ("uniform", "normal", "lognormal", "exponential", "pareto")


_OF_DISTRIBUTIONS: Final = frozenset({"mean", "deviation", "median", "sigma", "scale", "shape"})


def _delay(value: object) -> object:
    """Refuse what has no form of a delay, before its keys are looked at."""
    if isinstance(value, dict):
        _check_distribution(value)  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        parse_duration(value)
    elif not isinstance(value, str):
        raise RuleError(f"{shown(value)} is not a delay", hint="such as '200ms', '200ms±50ms', '150ms..250ms'")
    return value  # pyright: ignore[reportUnknownVariableType]


def _check_distribution(delay: dict[Any, Any]) -> None:
    name = delay.get("distribution", "uniform")
    if name not in DISTRIBUTIONS:
        hint = did_you_mean(name, DISTRIBUTIONS) if isinstance(name, str) else f"one of {', '.join(DISTRIBUTIONS)}"
        raise RuleError(f"unknown distribution {shown(name)}", where="distribution", hint=hint)
    if "distribution" not in delay and not delay.keys().isdisjoint(_OF_DISTRIBUTIONS):
        raise RuleError("which distribution?", hint=f"distribution: one of {', '.join(DISTRIBUTIONS)}")


def _delay_form(value: Any) -> str:
    if not isinstance(value, dict):
        return PLAIN
    if "distribution" in value:
        return f"({value['distribution']})"
    return "(uniform)" if "fixed" not in value and ("min" in value or "max" in value) else "(fixed)"


DelayField: TypeAlias = Annotated[
    Annotated[Text, AfterValidator(checked(parse_delay)), Tag(PLAIN)]
    | Annotated[FixedDelay, Tag("(fixed)")]
    | Annotated[UniformDelay, Tag("(uniform)")]
    | Annotated[NormalDelay, Tag("(normal)")]
    | Annotated[LogNormalDelay, Tag("(lognormal)")]
    | Annotated[ExponentialDelay, Tag("(exponential)")]
    | Annotated[ParetoDelay, Tag("(pareto)")],
    Discriminator(_delay_form),
    BeforeValidator(_delay),
]


class AbortDocument(FaultDocument):
    """An answer in the application's place."""

    status: Status | None = Field(default=None, description="200 to 599; mandatory unless grpc_status is given.")
    grpc_status: GrpcStatus | None = Field(default=None, description="0 to 16, or a name: for requests of gRPC.")
    body: Body = Field(default=None, description="A text, or a JSON object or list.")
    body_base64: Base64 | None = Field(default=None, description="In place of body, for bytes.")
    headers: Annotated[
        Annotated[dict[str, LongText], Tag(PLAIN)] | Annotated[list[Pair], Tag(LIST)],
        Discriminator(_list_form),
    ] = Field(default={}, description="A mapping; or pairs, where one name is given twice.")
    content_type: LongText | None = Field(default=None, description="application/json for JSON, else text/plain.")
    after: Switch = Field(default=False, description="Let the application answer first, and lose its answer.")
    template: Switch = Field(default=False, description="Body and headers have gaps: `${http_x_user ?? nobody}`.")

    def build(self) -> Abort:
        """The abort as the core has it."""
        if self.body is not None and self.body_base64 is not None:
            raise RuleError("body and body_base64 exclude each other", hint="leave one out")
        if self.status is None and self.grpc_status is None:
            raise RuleError("status is missing", hint="write status: 503")
        headers = (
            self.headers.items() if isinstance(self.headers, dict) else [(pair[0], pair[1]) for pair in self.headers]
        )
        return Abort(
            self.status,
            body=self.body if self.body_base64 is None else base64.b64decode(self.body_base64),
            headers=headers,
            content_type=self.content_type,
            after=self.after,
            template=self.template,
            grpc_status=self.grpc_status,
            percentage=self.percentage,
        )


class RaiseDocument(FaultDocument):
    """An exception that the application registered, in its place."""

    exception: LongText

    def build(self) -> Raise:
        """The exception as the core has it."""
        return Raise(self.exception, self.percentage)


class HangDocument(FaultDocument):
    """No answer at all."""

    duration: Duration | None = Field(default=None, description="Left out: max_delay.")

    def build(self) -> Hang:
        """The hang as the core has it."""
        return Hang(self.duration, self.percentage)


AbortField: TypeAlias = Annotated[
    Annotated[Status, Tag(PLAIN)] | Annotated[AbortDocument, Tag("(abort)")], Discriminator(form("(abort)"))
]
RaiseField: TypeAlias = Annotated[
    Annotated[LongText, AfterValidator(checked(Raise)), Tag(PLAIN)] | Annotated[RaiseDocument, Tag("(raise)")],
    Discriminator(form("(raise)")),
]
HangField: TypeAlias = Annotated[
    Annotated[ShortDuration, AfterValidator(checked(Hang)), Tag(PLAIN)] | Annotated[HangDocument, Tag("(hang)")],
    Discriminator(form("(hang)")),
]
