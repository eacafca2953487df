"""The OpenAPI 3.1 document of the control endpoint, made from the table that routes it."""

from __future__ import annotations

import json
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from faultware import __version__
from faultware.control.bodies import Fields
from faultware.control.routes import ROUTES, RULES_BODY
from faultware.control.shapes import SCHEMAS

if TYPE_CHECKING:
    from faultware.control.routes import Route
    from faultware.control.shapes import Shape

# What any route may refuse.
_COMMON: Final = (401, 403, 413, 414, 415, 429, 431, 500, 503)
_BODY: Final = (400, 422)
_MEANINGS: Final = {
    400: "The body is not JSON, or a query field cannot be read.",
    401: "The token is missing or wrong.",
    403: "The token's role is too small, the name in Host is not allowed, or another site sent this.",
    404: "There is no rule of that name.",
    409: "The kill file exists, or the rules were changed at the same moment.",
    412: "If-Match does not hold.",
    413: "The body is too large.",
    414: "Path and query are too long.",
    415: "The body is not application/json.",
    422: "What the body says is not possible; where and hint say more.",
    429: "Too many wrong tokens. A right one is let in at once all the same.",
    431: "The headers are too large.",
    500: "A bug in faultware; it was counted.",
    503: "The store does not answer, or too many others are being answered.",
}
_TEXT: Final = {"type": "string"}
_TAG: Final = {"description": "The version.", "schema": {"type": "string", "pattern": '^"[0-9]+"$'}}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "Change only the version with one of these tags; a weakened tag counts as the strong one.",
    "schema": _TEXT,
}
_NAME: Final = {"name": "name", "in": "path", "required": True, "description": "Of a rule."}
_DESCRIPTION: Final = (
    "Kills, arms and changes the faults of a service, and says what they do. Where there is GET, HEAD works, too."
)


@cache
def document(control_path: str) -> dict[str, Any]:
    """The document of an endpoint that is mounted there."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    schemas = {**_rule_schemas(), **SCHEMAS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "faultware control endpoint", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": control_path}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {f"Problem{status}": _problem(status) for status in _MEANINGS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    refusals = {*_COMMON, *route.refusals, *(_BODY if route.body is not None else ())}
    responses = {str(status): _answer(shape) for status, shape in route.answers.items()}
    responses |= {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(refusals)}
    operation: dict[str, Any] = {
        "operationId": route.operation.__name__,
        "summary": (route.operation.__doc__ or "").partition("\n")[0],
        "responses": responses,
        # The role that a token must have (OpenAPI 3.1, section 4.8.30).
        "security": [{"token": [str(route.needs)]}],
    }
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = _body(route.body)
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if "{name}" in route.path:
        parameters.append({**_NAME, "schema": _rule_schemas()["Rule"]["properties"]["name"]})
    parameters += [{"name": name, "in": "query", "schema": dict(schema)} for name, schema in route.query.items()]
    if route.takes_tag:
        parameters.append(_IF_MATCH)
    return parameters


def _body(body: Fields | str) -> dict[str, Any]:
    if isinstance(body, Fields):
        return {"required": not body.is_optional, "content": {"application/json": {"schema": body.schema}}}
    return {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}}


def _answer(shape: Shape) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": shape.description}
    if shape.schema is not None:
        answer["content"] = {kind: {"schema": dict(shape.schema)} for kind in shape.content_types}
    if shape.has_tag:
        answer["headers"] = {"ETag": _TAG}
    return answer


def _problem(status: int) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "description": _MEANINGS[status],
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS):
        problem["headers"] = {"WWW-Authenticate": {"schema": _TEXT}}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        problem["headers"]["Retry-After"] = {"schema": {"type": "string", "pattern": "^[0-9]+$"}}
    return problem


@cache
def _rule_schemas() -> dict[str, Any]:
    """The schemas of the document form, under the names that OpenAPI gives them."""
    from faultware.config.documents import rules_schema  # noqa: PLC0415  (loads pydantic: not at import)

    schema = rules_schema()
    del schema["$schema"]
    text = json.dumps({**schema.pop("$defs"), RULES_BODY: schema})
    return json.loads(text.replace('"#/$defs/', '"#/components/schemas/'))  # type: ignore[no-any-return]
