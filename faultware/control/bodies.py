"""What bodies may say, as data: one description both reads a body and stands in the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

from faultware.config.quantities import DURATION_PATTERN
from faultware.control.messages import Problem
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faultware.control.messages import ControlRequest

DURATION: Final = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["250ms", "5m", "1m30s"]}
_TEXTS: Final = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}
_KINDS: Final = {"string": (str, "a text"), "object": (dict, "an object")}


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with these fields and no others.

    Args:
        schemas: For each field, in JSON Schema; its `type` is checked here, the rest by the operation.
        required: A field that must be there.
        example: A body that is right.
        is_optional: Whether the body may be left out.
    """

    schemas: Mapping[str, Mapping[str, Any]]
    required: str = ""
    example: Mapping[str, str] = field(default_factory=dict[str, str])
    is_optional: bool = False

    def read(self, request: ControlRequest) -> dict[str, Any]:
        """The fields of a body.

        Raises:
            Problem: It is no JSON, no object, has other fields, or lacks one.
        """
        if self.is_optional and not request.body:
            return {}
        data = read_object(request)
        for name, value in data.items():
            if name not in self.schemas:
                known = ", ".join(self.schemas)
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"unknown field {name[:40]!r}; known: {known}")
            kind, word = _KINDS[self.schemas[name]["type"]]
            if not isinstance(value, kind):
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be {word}")
        if self.required and self.required not in data:
            example = f'{{"{self.required}": "{self.example[self.required]}"}}'
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"send {example}")
        return data

    @property
    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        required = {"required": [self.required]} if self.required else {}
        example = {"examples": [dict(self.example)]} if self.example else {}
        properties = {name: dict(schema) for name, schema in self.schemas.items()}
        return {"type": "object", "properties": properties, **required, "additionalProperties": False, **example}


KILL: Final = Fields(
    {"reason": {"type": "string", "description": "Why, for those who ask later; 200 characters are kept."}},
    example={"reason": "checkout is slow"},
    is_optional=True,
)
ARM: Final = Fields(
    {"for": {**DURATION, "description": "How long; an hour at most. Left out: until somebody kills."}},
    example={"for": "10m"},
    is_optional=True,
)
PARSE: Final = Fields(
    {"rules": {"type": "string", "description": "Rules in the one-line form, separated by `;` or line breaks."}},
    required="rules",
    example={"rules": "/payments 10% abort 503"},
)
GUARDS: Final = Fields(
    {"abort_when": {"type": "string", "description": "Guards, separated by `;` or line breaks; blank: none."}},
    required="abort_when",
    example={"abort_when": "error_share > 5%; p99 > 2s"},
)
EXPLAIN: Final = Fields(
    {
        "method": {"type": "string", "default": "GET"},
        "path": {"type": "string", "pattern": "^/", "default": "/", "description": "May carry a query."},
        "query": {"type": "string", "description": "In place of the query that the path carries."},
        "headers": {**_TEXTS, "description": "By name: a text, or a list of texts."},
        "client": {"type": "string", "description": "The peer's address."},
    },
    example={"method": "GET", "path": "/search?q=anvil"},
)


def read_json(request: ControlRequest) -> object:
    """The body as data, read strictly."""
    from faultware.config.documents import load_json  # noqa: PLC0415  (loads pydantic: not at import)

    try:
        return load_json(request.body, "body")
    except RuleError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from None


def read_object(request: ControlRequest) -> dict[str, Any]:
    """The body, which is an object."""
    data = read_json(request)
    if not isinstance(data, dict):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "send a JSON object")
    return cast("dict[str, Any]", data)
