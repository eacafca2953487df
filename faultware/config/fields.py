"""The values that stand in the fields of a document: texts, numbers, durations, shares, conditions.

Strict: a number is no text, a text no number, and true is neither. Each value is checked by building what it stands
for, so that the core's own errors arrive at the right field. Values stay as they were written; `models` builds rules.
"""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeAlias, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
    model_validator,
)

from faultware.config.forms import PERCENTAGE_SCHEMA, kind_schema
from faultware.config.mistakes import shown
from faultware.config.quantities import parse_duration, read_percentage
from faultware.core.comparing import MAX_CONDITIONS, parse
from faultware.core.conditions import MAX_CHOICES, MAX_TEXT, PathMatch, TextMatch
from faultware.core.faults import MAX_BODY
from faultware.core.faults.forms import SECONDS
from faultware.core.grpc import STATUSES, check_grpc_status
from faultware.core.rules import MAX_COUNT, MAX_WEIGHT, NAME, NAME_HINT
from faultware.core.sampling import SampleBy
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Marks of the forms of a value that has several. They also stand in the places of pydantic's errors, where they are
# dropped.
PLAIN: Final = "(plain)"
TEXT_CONDITION: Final = "(text condition)"
PATH_CONDITION: Final = "(path condition)"
LIST: Final = "(list)"


def form(mark: str) -> Callable[[object], str]:
    """Tells the long form of a value, a mapping, from the short one; what is neither is refused by the short one."""
    return lambda value: mark if isinstance(value, dict) else PLAIN


def _text_form(value: object) -> str:
    return LIST if isinstance(value, list) else form(TEXT_CONDITION)(value)


class Document(BaseModel, ABC):
    """A mapping of a document: no unknown keys, no conversions; checked by building what it stands for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        self.build()
        return self

    @abstractmethod
    def build(self) -> object:
        """What the mapping stands for.

        Raises:
            RuleError: It is not possible.
        """


def _long_text(value: object) -> str:
    if not isinstance(value, str):
        raise RuleError(f"{shown(value)} is not a text", hint="quote it")
    return value


def _text(value: object) -> str:
    value = _long_text(value)
    if len(value) > MAX_TEXT:
        raise RuleError(f"{len(value)} characters are too many", hint=f"at most {MAX_TEXT}")
    return value


def _name(value: object) -> str:
    value = _long_text(value)
    if not NAME.fullmatch(value):
        raise RuleError(f"{shown(value)} is not a name", hint=NAME_HINT)
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise RuleError(f"{shown(value)} is not true or false", hint="write true or false, without quotes")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise RuleError(f"{shown(value)} is not a count", hint=f"a whole number from 1 to {MAX_COUNT}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RuleError(f"{shown(value)} is not a number", hint="such as 1.5, without quotes")
    return float(value)


def _status(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        is_quoted = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3
        hint = f"write {value} without quotes" if is_quoted else "a whole number from 200 to 599"
        raise RuleError(f"{shown(value)} is not a status", hint=hint)
    return value


def _weight(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WEIGHT:
        raise RuleError(f"{shown(value)} is not a weight", hint=f"a whole number from 1 to {MAX_WEIGHT}")
    return value


def read_grpc_status(value: object) -> int:
    """A gRPC status by its number or its name."""
    if isinstance(value, str) and value in STATUSES:
        return STATUSES.index(value)
    return check_grpc_status(value, "")


def _body(value: object) -> object:
    if not isinstance(value, (str, dict, list)):
        raise RuleError(f"{shown(value)} is no body", hint="a text, or a JSON object or list")
    return value  # pyright: ignore[reportUnknownVariableType]


def _body_base64(value: object) -> str:
    value = _long_text(value)
    if len(value) > MAX_BODY * 2:
        raise RuleError(f"{len(value)} characters are too many", hint=f"at most {MAX_BODY} bytes")
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise RuleError(f"{shown(value)} is not Base64", hint="a plain text stands under body") from None
    return value


def _methods(value: object) -> object:
    if isinstance(value, str):
        raise RuleError(f"{shown(value)} is not a list", hint=f"write [{value[:40]}]")
    return value


def _items(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _expression(value: object) -> object:
    parse(value)
    return value


def _texts(value: object) -> object:
    texts = _items(value)
    if not 1 <= len(texts) <= MAX_CHOICES:
        raise RuleError(f"{shown(value)} is no choice", hint=f"a list of 1 to {MAX_CHOICES} texts")
    return texts


def _range(value: object) -> object:
    ends = _items(value)
    if len(ends) != 2 or any(isinstance(end, bool) or not isinstance(end, int) for end in ends):
        raise RuleError(f"{shown(value)} is no range", hint="two whole numbers: [200, 300]")
    return ends


def _part(value: object) -> object:
    ends = _items(value)
    if len(ends) != 2:
        raise RuleError(f"{shown(value)} is not a part", hint="from and to, in percent: [10, 30]")
    return ends


def _conditions(value: object) -> object:
    if value == []:
        raise RuleError("an empty list says nothing", hint="leave the condition out")
    return value


def checked(build: Callable[[T], object]) -> Callable[[T], T]:
    """A validator that keeps the value, and refuses what nothing can be built from."""

    def check(value: T) -> T:
        build(value)
        return value

    return check


def _short_duration(value: object) -> float:
    if value is True:
        raise RuleError("true is not a duration", hint="write {} to hang until max_delay, or '5s'")
    return parse_duration(value)


_DURATION_SCHEMA: Final = kind_schema(SECONDS)

LongText: TypeAlias = Annotated[str, BeforeValidator(_long_text)]
Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT), BeforeValidator(_text)]
Name: TypeAlias = Annotated[str, Field(pattern=f"^{NAME.pattern}$"), BeforeValidator(_name)]
Switch: TypeAlias = Annotated[bool, BeforeValidator(_switch)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=MAX_COUNT), BeforeValidator(_count)]
Number: TypeAlias = Annotated[float, BeforeValidator(_number)]
Duration: TypeAlias = Annotated[float, PlainValidator(parse_duration), WithJsonSchema(_DURATION_SCHEMA)]
ShortDuration: TypeAlias = Annotated[float, PlainValidator(_short_duration), WithJsonSchema(_DURATION_SCHEMA)]
Percentage: TypeAlias = Annotated[float, PlainValidator(read_percentage), WithJsonSchema(PERCENTAGE_SCHEMA)]
Part: TypeAlias = Annotated[list[Percentage], Field(min_length=2, max_length=2), BeforeValidator(_part)]
Status: TypeAlias = Annotated[int, Field(ge=200, le=599), BeforeValidator(_status)]
Weight: TypeAlias = Annotated[int, Field(ge=1, le=MAX_WEIGHT), BeforeValidator(_weight)]
GrpcStatus: TypeAlias = Annotated[
    int,
    PlainValidator(read_grpc_status),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 16}, {"enum": list(STATUSES)}]}),
]
Body: TypeAlias = Annotated[Any, BeforeValidator(_body), WithJsonSchema({"type": ["string", "object", "array"]})]
Base64: TypeAlias = Annotated[
    str, BeforeValidator(_body_base64), WithJsonSchema({"type": "string", "contentEncoding": "base64"})
]
Pair: TypeAlias = Annotated[list[LongText], Field(min_length=2, max_length=2)]
Methods: TypeAlias = Annotated[list[Text], BeforeValidator(_methods)]
Expression: TypeAlias = Annotated[list[Any], Field(max_length=MAX_CONDITIONS), BeforeValidator(_expression)]
SampleKey: TypeAlias = Annotated[Text, AfterValidator(checked(SampleBy.parse))]


class TextCondition(Document):
    """A condition on a text: exactly one of exact, prefix, suffix, contains, regex, one_of, range, present."""

    exact: Text | None = Field(default=None, description="The whole value.")
    prefix: Text | None = Field(default=None, description="How it begins.")
    suffix: Text | None = Field(default=None, description="How it ends.")
    contains: Text | None = Field(default=None, description="What stands somewhere in it.")
    regex: Text | None = Field(default=None, description="A regular expression for the whole value.")
    one_of: Annotated[list[Text], Field(min_length=1, max_length=MAX_CHOICES), BeforeValidator(_texts)] | None = Field(
        default=None, description="Several whole values, one of which it is."
    )
    range: Annotated[list[int], Field(min_length=2, max_length=2), BeforeValidator(_range)] | None = Field(
        default=None, description="A whole number from the first on, below the second.", examples=[[200, 300]]
    )
    present: Switch | None = Field(default=None, description="Whether there is one at all.")
    ignore_case: Switch = Field(default=False, description="Compare without regard to case.")
    invert: Switch = Field(default=False, description="Turn the result round; an absent value still does not match.")
    absent_is_empty: Switch = Field(default=False, description="A value that is absent counts as an empty one.")

    def build(self) -> TextMatch:
        """The condition as the core has it."""
        given = self.model_dump(exclude={"one_of", "range"})
        one_of = None if self.one_of is None else tuple(self.one_of)
        ends = None if self.range is None else (self.range[0], self.range[1])
        return TextMatch(**given, one_of=one_of, range=ends)


class PathCondition(Document):
    """A condition on the path: exactly one of segments, exact, prefix, suffix, contains, regex, glob, template."""

    segments: Text | None = Field(default=None, description="A prefix on segment borders, as a plain text is.")
    exact: Text | None = Field(default=None, description="The whole path; a trailing slash counts.")
    prefix: Text | None = Field(default=None, description="A raw string prefix, as Envoy and Istio mean it.")
    suffix: Text | None = Field(default=None, description="How it ends.")
    contains: Text | None = Field(default=None, description="What stands somewhere in it.")
    regex: Text | None = Field(default=None, description="A regular expression for the whole path.")
    glob: Text | None = Field(default=None, description="`*` inside a segment, `**` across segments.")
    template: Text | None = Field(default=None, description="`/users/{id}`: a name in braces is one segment.")
    ignore_case: Switch = Field(default=False, description="Compare without regard to case.")
    invert: Switch = Field(default=False, description="Turn the result round.")

    def build(self) -> PathMatch:
        """The condition as the core has it."""
        return PathMatch(**self.model_dump())


def _exactly(text: str) -> TextMatch:
    return TextMatch(exact=text)


PlainText: TypeAlias = Annotated[Text, AfterValidator(checked(_exactly))]
PlainPath: TypeAlias = Annotated[Text, AfterValidator(checked(PathMatch.parse))]
TextField: TypeAlias = Annotated[
    Annotated[PlainText, Tag(PLAIN)] | Annotated[TextCondition, Tag(TEXT_CONDITION)],
    Discriminator(form(TEXT_CONDITION)),
]
TextFields: TypeAlias = Annotated[
    Annotated[PlainText, Tag(PLAIN)]
    | Annotated[TextCondition, Tag(TEXT_CONDITION)]
    | Annotated[Annotated[list[TextField], Field(min_length=1), BeforeValidator(_conditions)], Tag(LIST)],
    Discriminator(_text_form),
]
PathField: TypeAlias = Annotated[
    Annotated[PlainPath, Tag(PLAIN)] | Annotated[PathCondition, Tag(PATH_CONDITION)],
    Discriminator(form(PATH_CONDITION)),
]
