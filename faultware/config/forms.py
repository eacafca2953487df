"""Reads faults from what the forms of their fields say (`faultware.core.faults.forms`), in documents and in one line.

One function reads a value of each kind, whatever it stands in; the JSON Schema of a fault follows from the same forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from pydantic_core import core_schema

from faultware.config.mistakes import did_you_mean, shown
from faultware.config.quantities import (
    DURATION_PATTERN,
    PERCENTAGE_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    parse_duration,
    parse_place,
    parse_rate,
    parse_size,
    read_percentage,
)
from faultware.core.faults.forms import (
    At,
    Days,
    FieldForm,
    Flag,
    Json,
    Key,
    Kind,
    Lines,
    Names,
    Percent,
    Rate,
    Seconds,
    Size,
    Text,
    TimeOfDay,
    Whole,
    Word,
    forms_of,
)
from faultware.core.sampling import SampleBy
from faultware.errors import RuleError

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler

Schema: TypeAlias = dict[str, Any]

PERCENTAGE_SCHEMA: Final[Schema] = {
    "anyOf": [
        {"type": "number", "minimum": 1, "maximum": 100},
        {"const": 0},
        {"type": "string", "pattern": PERCENTAGE_PATTERN},
    ],
    "examples": [10, "0.5%"],
}


def read_value(kind: Kind, value: object) -> Any:
    """What stands in a document, as the fault takes it.

    Raises:
        RuleError: It is not written as this kind is. Whether the value is possible, the fault checks.
    """
    match kind:
        case Seconds():
            return parse_duration(value)
        case Size():
            return parse_size(value)
        case Rate():
            return parse_rate(value)
        case Percent():
            return read_percentage(value)
        case At():
            return parse_place(value)
        case Key():
            if not isinstance(value, str):
                raise RuleError(f"{shown(value)} is not a text", hint="such as header:x-user-id, or client")
            return SampleBy.parse(value)
        case Lines():
            return _lines(value)
        case Names():
            if not isinstance(value, list):
                raise RuleError(f"{shown(value)} is not a list", hint="write [name]")
            return cast("list[str]", value)
        case Json() if isinstance(value, str):
            raise RuleError(f"{shown(value)} is a text", hint="write the mapping itself, without quotes")
        case Whole() | Word() | Text() | Json() | Flag() | Days() | TimeOfDay():
            return value


def _lines(value: object) -> object:
    """A mapping from names to texts, or a list of pairs."""
    if isinstance(value, list):
        pairs = cast("list[object]", value)
        if any(not isinstance(pair, list) or len(cast("list[object]", pair)) != 2 for pair in pairs):
            raise RuleError("this is not a list of pairs", hint="write [[name, value]]")
    elif not isinstance(value, dict):
        raise RuleError(f"{shown(value)} is not a mapping", hint="write name: value")
    return value  # pyright: ignore[reportUnknownVariableType]


def read_described(described: type[Any], value: object, *extra: str) -> Any:
    """Something that is described by the forms of its fields, from a mapping; or from its first value alone.

    Args:
        described: A fault's class, or another one whose fields have forms.
        value: What stands in the document.
        extra: Keys besides the forms': `percentage`, where a fault takes one.

    Raises:
        RuleError: Naming the key.
    """
    forms = {field.form.key: field for field in forms_of(described)}
    first = next((field for field in forms.values() if field.form.is_first), None)
    if not isinstance(value, dict):
        if first is not None and value is not True:
            return described(**{first.name: read_value(first.form.kind, value)})
        if value is True and not any(field.is_required for field in forms.values()):
            return described()
        raise RuleError(f"{shown(value)} is not a mapping", hint=_mapping_hint(forms))
    given: dict[str, Any] = {}
    for key, inner in cast("dict[str, object]", value).items():
        if key not in forms and key not in extra:
            raise RuleError(f"unknown key {shown(key)}", hint=did_you_mean(key, [*forms, *extra]))
        try:
            if key in forms:
                given[forms[key].name] = read_value(forms[key].form.kind, inner)
            else:
                given[key] = read_percentage(inner)
        except RuleError as error:
            raise error.inside(key) from None
    for key, field in forms.items():
        if field.is_required and field.name not in given:
            raise RuleError(f"{key} is missing", hint=_mapping_hint(forms))
    return described(**given)


def _mapping_hint(forms: dict[str, FieldForm]) -> str:
    example = ", ".join(forms)
    return f"a mapping with {example}" if example else "write {} or true"


def schema_of(described: type[Any], *extra: str) -> Schema:
    """The JSON Schema of what `read_described` takes."""
    forms = forms_of(described)
    properties: Schema = {field.form.key: _described_value(field) for field in forms}
    properties.update({key: {**PERCENTAGE_SCHEMA, "default": 100} for key in extra})
    required = [field.form.key for field in forms if field.is_required]
    mapping: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        mapping["required"] = required
    first = next((field for field in forms if field.form.is_first), None)
    short: list[Schema] = [] if first is None else [kind_schema(first.form.kind)]
    if not required:
        short.append({"const": True})
    return {"anyOf": [*short, mapping]}


def _described_value(field: FieldForm) -> Schema:
    schema = dict(kind_schema(field.form.kind))
    if not field.is_required and field.default is not None:
        schema["default"] = field.form.kind.write(field.default)
    return schema


def kind_schema(kind: Kind) -> Schema:  # noqa: C901  (one case for each kind, and nothing else)
    """The JSON Schema of a value of a kind."""
    match kind:
        case Seconds():
            return {"type": "string", "pattern": DURATION_PATTERN, "examples": ["250ms", "1.5s", "1m30s"]}
        case Size():
            return {"type": "string", "pattern": SIZE_PATTERN, "examples": ["100B", "10kB", "1MiB"]}
        case Rate():
            return {"type": "string", "pattern": RATE_PATTERN, "examples": ["10kB/s", "1MiB/s"]}
        case Percent():
            return PERCENTAGE_SCHEMA
        case At():
            return {"type": "string", "examples": ["100B", "50%", "3events"]}
        case Key():
            return {"type": "string", "examples": ["client", "header:x-user-id"]}
        case Whole(least, most):
            return {"type": "integer", "minimum": least, "maximum": most}
        case Word(choices):
            return {"type": "string", "enum": list(choices)}
        case Lines():
            texts: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
            pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
            return {"anyOf": [texts, {"type": "array", "items": pair}]}
        case Names():
            return {"type": "array", "items": {"type": "string"}}
        case Text():
            return {"type": "string"}
        case Json():
            return {"type": "object"}
        case Flag():
            return {"type": "boolean"}
        case Days(choices):
            return {"type": "array", "items": {"enum": list(choices)}}
        case TimeOfDay():
            return {"type": "string", "examples": ["09:00"]}


@dataclass(frozen=True, slots=True)
class Described:
    """Marks a field of a model that is read by `read_described`.

    Args:
        described: What is read.
        extra: Keys besides the forms'.
    """

    described: type[Any]
    extra: tuple[str, ...] = ("percentage",)

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: read_described(self.described, value, *self.extra)
        )

    def __get_pydantic_json_schema__(self, _core: object, _handler: GetJsonSchemaHandler) -> Schema:
        text = " ".join((self.described.__doc__ or "").partition("\n\n")[0].split())
        return {"description": text.partition(". ")[0].rstrip(".") + ".", **schema_of(self.described, *self.extra)}
