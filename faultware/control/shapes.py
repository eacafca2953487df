"""What is answered, in JSON Schema (2020-12). Objects may gain members in later versions; those here stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON: Final = ("application/json",)


@dataclass(frozen=True, slots=True)
class Shape:
    """A success.

    Args:
        description: What it says.
        schema: Of its body; None: it has none.
        content_types: In which it may come.
        has_tag: Whether it carries the version as its ETag.
    """

    description: str
    schema: Mapping[str, Any] | None = None
    content_types: tuple[str, ...] = JSON
    has_tag: bool = False


def _object(members: Mapping[str, Any], *, needs: tuple[str, ...] | None = None) -> dict[str, Any]:
    """An object with these members; `needs` are those that never miss, left out: all."""
    return {"type": "object", "properties": dict(members), "required": list(members if needs is None else needs)}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer", "minimum": 0}
_NUMBER: Final = {"type": "number"}
_FLAG: Final = {"type": "boolean"}
_TIME: Final = {"type": "number", "description": "Seconds since the epoch."}
_PERHAPS: Final = {"type": ["string", "null"]}
_STATE: Final = {"enum": ["armed", "killed"]}
_MEANS: Final = {"enum": ["native", "socket", "impossible"]}
_WORKER: Final = _object({"host": _TEXT, "pid": _WHOLE})

_MEASURED: Final = _object({"guard": _TEXT, "value": {"type": ["number", "null"]}, "shown": _PERHAPS})
_ALWAYS: Final = {"state": _STATE, "rules": _WHOLE, "active_faults": _WHOLE, "version": _WHOLE}
_REPORTED: Final = _object(
    {
        "host": _TEXT,
        "pid": _WHOLE,
        "state": _STATE,
        "version": _WHOLE,
        "silent_seconds": {**_NUMBER, "description": "How long nothing was heard of it."},
        "confirmed": {**_FLAG, "description": "Whether it has obeyed the last kill; false while armed."},
        "took_seconds": {"type": ["number", "null"], "description": "From the kill until it was obeyed there."},
    }
)
_TOKEN: Final = {
    **_object({"name": _TEXT, "role": {"enum": ["view", "kill", "control"]}}),
    "description": "Of the token that was shown.",
}
_STATUS: Final = _object(
    {
        **_ALWAYS,
        "since": _TIME,
        "by": _TEXT,
        "reason": _TEXT,
        "armed_until": {"type": ["number", "null"]},
        "dry_run": _FLAG,
        "max_active_faults": _WHOLE,
        "held": _WHOLE,
        "guards": _list(_MEASURED),
        "reload_successful": _FLAG,
        "store": _TEXT,
        "token": _TOKEN,
        "worker": _WORKER,
        "workers": {**_list(_REPORTED), "description": "All that serve and have reported."},
        "warning": {
            **_TEXT,
            "description": "What the store does not tell, or what could not be written down.",
        },
    },
    needs=tuple(_ALWAYS),
)
_REQUEST: Final = _object({"method": _TEXT, "path": _TEXT})
_POINT: Final = _object(
    {
        "at": {**_WHOLE, "description": "When the step begins, in seconds since the epoch."},
        "requests": {**_NUMBER, "description": "Estimated where only a sample of them was measured."},
        "measured": {**_WHOLE, "description": "Answers that were measured."},
        "errors": {**_WHOLE, "description": "Those of them with 5xx, or with none."},
        "own_errors": {**_WHOLE, "description": "Those of them on which no fault acted."},
        "injected": {**_WHOLE, "description": "Faults that were injected."},
        "times": {
            **_list({"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}),
            "description": "Seconds, and how many answers took no longer and longer than the seconds before.",
        },
    }
)
_COUNTED: Final = _object(
    {
        "name": _TEXT,
        "line": {**_PERHAPS, "description": "In one line, if that can say it."},
        "percentage": _NUMBER,
        "matched": _WHOLE,
        "rolled": _WHOLE,
        "fired": {**_WHOLE, "description": "Requests on which it acted."},
        "injected": {**_WHOLE, "description": "Faults; one request may have several."},
        "suppressed": _WHOLE,
        "expires_in": {"type": ["number", "null"], "description": "Seconds."},
    }
)
_EXPLAINED: Final = _object(
    {
        "name": _TEXT,
        "rule": _TEXT,
        "matches": _FLAG,
        "failed": _list(_TEXT),
        "hindrance": _PERHAPS,
        "takes_part": _FLAG,
        "rolls": _list(_TEXT),
        "faults": _list(_TEXT),
        "expires_in": _PERHAPS,
        "matched": _WHOLE,
        "rolled": _WHOLE,
        "injected": _WHOLE,
    }
)
_EVENT: Final = _object({"sequence": _WHOLE, "type": _TEXT, "at": _TIME})
_DEED: Final = _object(
    {
        "at": _TIME,
        "actor": _TEXT,
        "origin": _TEXT,
        "action": {"enum": ["kill", "arm", "put_rules", "put_rule", "delete_rule", "put_guards"]},
        "detail": _TEXT,
        "version_before": _WHOLE,
        "version_after": _WHOLE,
    }
)

SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Status": _STATUS,
    "Explanation": _object(
        {
            "state": _STATE,
            "request": _object({"method": _TEXT, "path": _TEXT, "query": _TEXT}),
            "chance_percentage": _NUMBER,
            "rules": _list(_EXPLAINED),
        }
    ),
    "Events": _object({"events": _list(_EVENT), "lost": _WHOLE, "worker": _WORKER}),
    "Series": _object(
        {
            "now": _TIME,
            "step_seconds": _WHOLE,
            "points": _list(_POINT),
            "rules": _list(_COUNTED),
            "worker": _WORKER,
        }
    ),
    "Audit": _object({"entries": _list(_DEED)}),
    "Capabilities": _object(
        {
            "server": _object({"name": _PERHAPS, "worker": _PERHAPS, "version": _PERHAPS, "protocol": _PERHAPS}),
            "faults": _list(_object({"fault": _TEXT, "means": _MEANS, "reason": _TEXT})),
            "worker": _WORKER,
        }
    ),
    "Problem": _object(
        {
            "type": {"const": "about:blank"},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {**_TEXT, "description": "What is wrong with this request, for a person."},
            "where": {**_TEXT, "description": "The place in the body."},
            "hint": {**_TEXT, "description": "What would be right."},
        },
        needs=("type", "title", "status", "detail"),
    ),
}

STATUS: Final = Shape("The state of the switch, and of the worker that answers.", _ref("Status"), has_tag=True)
RULES: Final = Shape("All rules in force.", _object({"rules": _list(_ref("Rule"))}), has_tag=True)
GUARDS: Final = Shape(
    "The guards in force, and what the worker that answers measured last.",
    _object({"abort_when": _list(_TEXT), "measured": _list(_MEASURED)}),
    has_tag=True,
)
RULE: Final = Shape("The rule.", _ref("Rule"), has_tag=True)
NEW_RULE: Final = Shape("The rule, which is new.", _ref("Rule"), has_tag=True)
GONE: Final = Shape("The rule is gone.")
PARSED: Final = Shape(
    "The same rules in both forms, and for each the recent requests that it would match by method and path.",
    _object({"rules": _list(_ref("Rule")), "lines": _list(_TEXT), "hits": _list(_list(_REQUEST))}),
)
EXPLAINED: Final = Shape("Each rule, and what becomes of it.", _ref("Explanation"))
EVENTS: Final = Shape("The events of the worker that answers, the oldest first.", _ref("Events"))
SERIES: Final = Shape("What the worker that answers has seen in the last quarter of an hour.", _ref("Series"))
RECENT: Final = Shape(
    "Requests that the worker that answers has measured lately, the newest first.",
    _object({"requests": _list(_REQUEST), "worker": _WORKER}),
)
AUDIT: Final = Shape("The last changes, the newest last.", _ref("Audit"), has_tag=True)
CAPABILITIES: Final = Shape("The server, and what becomes of every fault under it.", _ref("Capabilities"))
METRICS: Final = Shape(
    "faultware's metrics, in the format that Accept asks for.", _TEXT, ("text/plain", "application/openmetrics-text")
)
DOCUMENT: Final = Shape("This document.", {"type": "object"})
