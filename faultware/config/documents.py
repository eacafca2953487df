"""Reads rules in the document form, and publishes its JSON Schema.

Nothing is guessed: an unknown key, a number where a text belongs, a share without its meaning are refused, with the
rule's name, the field, the value and what would be right; one error for each mistake, all mistakes together.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from faultware.config.fields import PLAIN
from faultware.config.mistakes import MAX_MISTAKES, cut, nearest, shown, together
from faultware.config.models import AbortDocument, MatchDocument
from faultware.config.oneline import parse_rules, repeated_names
from faultware.config.plain import load_json, plain_mistakes
from faultware.config.ruledocument import MODELS, RuleDocument
from faultware.core.rules import NAME
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails, core_schema

    from faultware.core.rules import Rule

__all__ = ["load_json", "read_rules", "read_text", "rules_schema"]

# What other tools call these keys.
_SYNONYMS: Final = {
    "probability": "percentage",
    "rate": "percentage",
    "chance": "percentage",
    "share": "percentage",
    "latency": "delay",
    "error": "abort",
    "exception": "raise",
    "timeout": "hang",
    "limit": "count",
    "times": "count",
    "duration": "for",
    "lifetime": "for",
    "expires": "for",
    "ttl": "for",
    "drop": "reset",
    "bandwidth": "throttle",
    "slicer": "slice",
    "reset_peer": "reset",
    "alternatives": "choose",
    "ramp": "schedule",
}


def read_rules(data: object, *, where: str = "rules") -> list[Rule]:
    """Read rules in the document form: a list of rules, one rule, or a mapping with `rules` (a list, or lines).

    Args:
        data: Plain data: mappings, lists, texts, numbers, true and false.
        where: What to call the whole in errors; a rule with a name is called by it.

    Raises:
        RuleError: A rule is not possible. All mistakes are told together; a single one keeps its own place and hint.
    """
    lines = _lines(data)
    if lines is not None:
        return parse_rules(lines)
    rules: list[Rule] = []
    mistakes: list[RuleError] = []
    for place, item in _items(data, where):
        try:
            rules.append(_read_rule(item, place, mistakes))
        except _NotPossible:
            if len(mistakes) >= MAX_MISTAKES:
                break
    mistakes += [RuleError(error.message, where=where, hint=error.hint) for error in repeated_names(rules)]
    if mistakes:
        raise together(mistakes)
    return rules


def read_text(text: str) -> list[Rule]:
    """Read rules from a text that is JSON when it begins with `[` or `{`, and else in the one-line form.

    Raises:
        RuleError: As `read_rules`, `load_json` and `parse_rules`.
    """
    if not text.lstrip().startswith(("[", "{")):
        return parse_rules(text)
    try:
        data = load_json(text)
    except RuleError as error:
        if error.message.startswith("this is not JSON"):
            message = f"this begins like JSON but is not: {error.message.partition(': ')[2]}"
            raise RuleError(message, where=error.where, hint=error.hint) from None
        raise
    return read_rules(data)


class _NotPossible(Exception):  # noqa: N818  (a sign between two functions here; the mistakes themselves are listed)
    """A rule has mistakes."""


def _lines(data: object) -> str | None:
    """The rules of a mapping that has nothing but lines; None: it is another document."""
    mapping = cast("dict[object, object]", data) if isinstance(data, dict) else {}
    lines = mapping.get("rules")
    return lines if isinstance(lines, str) and len(mapping) == 1 else None


def _items(data: object, where: str) -> Iterator[tuple[str, object]]:
    if isinstance(data, dict) and "rules" in data:
        root = cast("Mapping[Any, Any]", data)
        other = next((key for key in root if key != "rules"), None)
        if other is not None:
            raise RuleError(f"unknown key {shown(other)} beside rules", where=where, hint="leave it out")
        data = root["rules"]
        if not isinstance(data, (list, tuple)):
            raise RuleError(f"{shown(data)} is not a list", where=where, hint="rules: a list of rules")
    if isinstance(data, (list, tuple)):
        yield from ((f"{where}[{index}]", item) for index, item in enumerate(cast("list[object]", data)))
    elif isinstance(data, dict):
        _check_not_named(cast("Mapping[Any, object]", data), where)
        yield where, cast("object", data)
    else:
        raise RuleError(
            f"{shown(data)} is not a list of rules", where=where, hint="a list, one rule, or {rules: [...]}"
        )


def _check_not_named(data: Mapping[Any, object], where: str) -> None:
    """Refuse rules that stand under their names: `rules: {a: {…}}`, or `[rules.a]` in TOML."""
    known = set(_keys(("",)))
    name, rule = next(iter(data.items()), ("", None))
    if isinstance(rule, dict) and known.isdisjoint(data) and not known.isdisjoint(cast("Mapping[Any, object]", rule)):
        message = f"{shown(name)} is no key of a rule"
        hint = f"rules are a list, each with its name: - name: {str(name)[:40]}; in TOML [[rules]]"
        raise RuleError(message, where=where, hint=hint)


def _read_rule(item: object, place: str, mistakes: list[RuleError]) -> Rule:
    place = _name(item) or place
    found = plain_mistakes(item, place, nulls=False)
    if not found:
        try:
            return RuleDocument.model_validate(item).build()
        except ValidationError as error:
            found = list(islice(_translated(error, place), MAX_MISTAKES))
    mistakes += found
    raise _NotPossible


def _name(item: object) -> str:
    name = cast("Mapping[Any, object]", item).get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and NAME.fullmatch(name) else ""


def _translated(error: ValidationError, place: str) -> Iterator[RuleError]:
    """The errors of pydantic as ours."""
    details = error.errors(include_url=False)
    unknown = {detail["loc"][:-1] for detail in details if detail["type"] == "extra_forbidden"}
    for detail in details:
        # A key that is missing beside one that is unknown is misspelt: one mistake, not two.
        if detail["type"] != "missing" or detail["loc"][:-1] not in unknown:
            yield _mistake(detail, place)


def _mistake(detail: ErrorDetails, place: str) -> RuleError:
    loc, value = detail["loc"], detail["input"]
    where = _place(place, loc)
    match detail["type"]:
        case "value_error":
            cause = detail.get("ctx", {}).get("error")
            if isinstance(cause, RuleError):
                # A plain value is the only one in its field, whatever it is called inside.
                inside = "" if loc[-1:] == (PLAIN,) or where.endswith(f".{cause.where}") else cause.where
                inner = RuleError(cut(cause.message), where=inside, hint=cause.hint)
                return cast("RuleError", inner.inside(where))
        case "extra_forbidden":
            return RuleError(f"unknown key {shown(loc[-1])}", where=_place(place, loc[:-1]), hint=_key_hint(loc))
        case "missing":
            hint = "it bounds the tail, such as max: 5s" if loc[-1] == "max" and "(uniform)" not in loc else ""
            return RuleError(f"{loc[-1]} is missing", where=_place(place, loc[:-1]), hint=hint)
        case "model_type" | "dict_type" | "model_attributes_type":
            hint = "write a rule in one line as the whole of rules" if not loc and isinstance(value, str) else ""
            return RuleError(f"{shown(value)} is not a mapping", where=where, hint=hint or "write key: value")
        case "list_type":
            return RuleError(f"{shown(value)} is not a list", where=where, hint="write [ … ]")
        case "too_short" | "too_long":
            return RuleError("this is not a pair", where=where, hint="write [name, value]")
        case _:
            pass
    return RuleError(f"{shown(value)} is not possible here", where=where)


def _place(place: str, loc: tuple[int | str, ...]) -> str:
    for part in loc:
        if isinstance(part, int):
            place += f"[{part}]"
        elif not part.startswith(("(", "[")):
            place += f".{part[:60]}"
    return place


def _keys(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that are known where an unknown one stands."""
    model = next((MODELS[part] for part in reversed(loc[:-1]) if part in MODELS), RuleDocument)
    return [field.alias or name for name, field in model.model_fields.items()]


def _key_hint(loc: tuple[int | str, ...]) -> str:
    key, known = str(loc[-1]), _keys(loc)
    if len(loc) == 1:
        if key in _SYNONYMS:
            return f"did you mean {_SYNONYMS[key]}?"
        for model, home in ((MatchDocument, "match"), (AbortDocument, "abort")):
            if key in model.model_fields:
                return f"it stands under {home}"
    best = nearest(key, known)
    others = ["min", "max", "distribution"]
    if "(fixed)" in loc[-2:-1] and not best and key not in others:  # those are known, but not beside `fixed`
        known += others
    elif "abort" in loc[-3:-1] and key == "code":
        best = "status"
    elif loc[:1] == ("fallback",) and key == "abort":
        return "write fallback: 504, or {status: 504, …}"
    return f"did you mean {best}?" if best else f"one of {', '.join(known)}"


class _Schema(GenerateJsonSchema):
    """A schema without null: what is not wanted is left out. The same from every version of pydantic."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  (titles would repeat the keys)
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        # A copy: what is generated may be shared by all fields of a type.
        described = dict(self.generate_inner(schema["schema"]))
        default = schema.get("default")
        if isinstance(default, (bool, int, str)):
            described["default"] = default
        return described

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return {"type": "string", "const": schema["expected"][0]}


def rules_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `read_rules` reads, for editors and other programs.

    It is necessary, not sufficient: what only a reader can know, such as names given twice, is not in it.
    """
    rule = RuleDocument.model_json_schema(schema_generator=_Schema)
    definitions = rule.pop("$defs")
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "faultware rules",
        "description": "A list of rules, one rule, or a mapping with rules, as a list or in the one-line form.",
        "anyOf": [
            {"$ref": "#/$defs/Rules"},
            {
                "type": "object",
                "properties": {
                    "rules": {
                        "anyOf": [
                            {"$ref": "#/$defs/Rules"},
                            {
                                "type": "string",
                                "description": "Rules in the one-line form, separated by `;` or line breaks.",
                                "examples": ["POST /payments 10% abort 503 for 5m as payments-503"],
                            },
                        ]
                    }
                },
                "required": ["rules"],
                "additionalProperties": False,
            },
            {"$ref": "#/$defs/Rule"},
        ],
        "$defs": {"Rules": {"type": "array", "items": {"$ref": "#/$defs/Rule"}}, "Rule": rule, **definitions},
    }
