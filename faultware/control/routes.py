"""The table of the control endpoint: it routes requests, and the OpenAPI document is made from it.

A new operation is a method of `Operations` and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from faultware.config.tokens import Role
from faultware.control import bodies, shapes
from faultware.control.messages import Answer, ControlRequest
from faultware.control.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faultware.control.bodies import Fields
    from faultware.control.shapes import Shape

Operation: TypeAlias = Callable[[Operations, ControlRequest, str], Answer]

# What a body that is read by the document form is called in the OpenAPI document.
RULE_BODY: Final = "Rule"
RULES_BODY: Final = "RulesDocument"

_NAME: Final = "{name}"


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked.

    Args:
        method: In capitals. Where there is GET, HEAD works, too.
        path: Below the control path; may end in `/{name}`.
        operation: What answers; its docstring is the description.
        answers: The successes, by status.
        body: What is sent: fields, or the name of a schema of the document form.
        query: Query fields, in JSON Schema.
        refusals: Statuses of refusals beside those that every route has.
        takes_tag: Whether `If-Match` counts.
        is_personal: Whether each worker can only answer for itself, and is asked again and again.
        role: What a token must be for; left out: `view` for GET, else `control`.
    """

    method: str
    path: str
    operation: Operation
    answers: Mapping[int, Shape]
    body: Fields | str | None = None
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    refusals: tuple[int, ...] = ()
    takes_tag: bool = False
    is_personal: bool = False
    role: Role | None = None

    @property
    def needs(self) -> Role:
        """What a token must be for."""
        return self.role or (Role.VIEW if self.method == "GET" else Role.CONTROL)


_SINCE: Final = {
    "type": "integer",
    "minimum": 0,
    "maximum": 10**18 - 1,
    "description": "The number of the last event that was seen.",
}
_AFTER: Final = {
    "type": "integer",
    "minimum": 0,
    "maximum": 10**18 - 1,
    "description": "Seconds since the epoch: only steps that end later. Rules come in any case.",
}

ROUTES: Final = (
    Route("GET", "/status", Operations.status, {200: shapes.STATUS}),
    Route("POST", "/kill", Operations.kill, {200: shapes.STATUS}, bodies.KILL, role=Role.KILL),
    Route("POST", "/arm", Operations.arm, {200: shapes.STATUS}, bodies.ARM, refusals=(409,)),
    Route("GET", "/rules", Operations.get_rules, {200: shapes.RULES}),
    Route("PUT", "/rules", Operations.put_rules, {200: shapes.RULES}, RULES_BODY, refusals=(409, 412), takes_tag=True),
    Route("GET", "/rules/{name}", Operations.get_rule, {200: shapes.RULE}, refusals=(404,)),
    Route(
        "PUT",
        "/rules/{name}",
        Operations.put_rule,
        {200: shapes.RULE, 201: shapes.NEW_RULE},
        RULE_BODY,
        refusals=(409, 412),
        takes_tag=True,
    ),
    Route(
        "DELETE",
        "/rules/{name}",
        Operations.delete_rule,
        {204: shapes.GONE},
        refusals=(404, 409, 412),
        takes_tag=True,
    ),
    Route("GET", "/guards", Operations.get_guards, {200: shapes.GUARDS}),
    Route("PUT", "/guards", Operations.put_guards, {200: shapes.GUARDS}, bodies.GUARDS, refusals=(409,)),
    Route("POST", "/parse", Operations.parse, {200: shapes.PARSED}, bodies.PARSE, role=Role.VIEW),
    Route("POST", "/explain", Operations.explain, {200: shapes.EXPLAINED}, bodies.EXPLAIN, role=Role.VIEW),
    Route("GET", "/events", Operations.events, {200: shapes.EVENTS}, query={"since": _SINCE}, refusals=(400,)),
    Route(
        "GET",
        "/series",
        Operations.series,
        {200: shapes.SERIES},
        query={"since": _AFTER},
        refusals=(400,),
        is_personal=True,
    ),
    Route("GET", "/recent", Operations.recent, {200: shapes.RECENT}),
    Route("GET", "/audit", Operations.audit, {200: shapes.AUDIT}),
    Route("GET", "/capabilities", Operations.capabilities, {200: shapes.CAPABILITIES}),
    Route("GET", "/metrics", Operations.metrics, {200: shapes.METRICS}),
    Route("GET", "/openapi.json", Operations.openapi, {200: shapes.DOCUMENT}),
)


class Table:
    """The routes by their paths.

    Args:
        routes: All of them.
    """

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self._methods: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._methods.setdefault(route.path, {})[route.method] = route

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them, in their order."""
        return tuple(self._methods)

    def find(self, path: str) -> tuple[Mapping[str, Route], str]:
        """The routes of a path by their methods, none if it is unknown, and the name that stands in it."""
        if path in self._methods and not path.endswith(_NAME):
            return self._methods[path], ""
        above, _, name = path[1:].partition("/")
        return (self._methods.get(f"/{above}/{_NAME}", {}) if name else {}), name
