"""Why a described request would or would not be faulted.

Reads the rules as they are loaded; rolls and counts nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from faultware.control.messages import Problem
from faultware.core.quantities import duration, number
from faultware.core.request import Request
from faultware.core.sampling import Untaken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from faultware.core.exemptions import Exemptions
    from faultware.core.rules import Rule
    from faultware.core.ruleset import LiveRule
    from faultware.runtime.capabilities import Capabilities


@dataclass(frozen=True, slots=True)
class Explained:
    """Whose rules are asked.

    Args:
        rules: As they are loaded.
        exemptions: Paths that they do not reach.
        capabilities: What is possible there.
        is_stopped: Whether no fault can happen.
        now: On the monotonic clock by which rules expire, in seconds.
        max_percentage: The chance that all rules together may not exceed.
    """

    rules: Sequence[LiveRule]
    exemptions: Exemptions
    capabilities: Capabilities
    is_stopped: bool
    now: float
    max_percentage: float = 100.0


def explain(asked: Explained, described: Mapping[str, Any]) -> dict[str, Any]:
    """For each rule: whether it matches, which conditions fail, what keeps it out, what would be rolled.

    Args:
        asked: Whose rules are asked.
        described: `method`, `path` (may carry a query), `query`, `headers`, `client`.
    """
    request = _request(described)
    untaken = Untaken()
    entries: list[dict[str, Any]] = []
    # Rules of a group exclude each other: their chances add up.
    chances: dict[object, float] = {}
    for live in asked.rules:
        entry, reached = _explain_rule(asked, live, request, untaken)
        entries.append(entry)
        if entry["takes_part"]:
            key = live.rule.group or live
            chances[key] = chances.get(key, 0.0) + reached * _chance(live, asked.now)
    escape = math.prod(1 - chance for chance in chances.values())
    chance = 0.0 if asked.is_stopped else min(100 * (1 - escape), asked.max_percentage)
    return {
        "state": "killed" if asked.is_stopped else "armed",
        "request": {"method": request.method, "path": request.path, "query": request.query_string},
        "chance_percentage": round(chance, 6),
        "rules": entries,
    }


def _explain_rule(asked: Explained, live: LiveRule, request: Request, untaken: Untaken) -> tuple[dict[str, Any], float]:
    """What is said of a rule, and how much of such requests, 0 to 1, its group leaves to it."""
    rule = live.rule
    failed = rule.match.failures(request)
    hindrance, reached = "", 0.0
    if not failed:
        hindrance = _out_of_reach(asked, live, request)
        reached = 0.0 if hindrance else untaken.take(rule.group, rule.part)
        hindrance = hindrance or _hindrance(asked, live, request, is_left=reached > 0)
    rolls = [f"{number(round(live.percentage_at(asked.now), 6))}% for the rule"]
    rolls += [f"{number(fault.percentage)}% for {fault.kind}" for fault in rule.faults if fault.percentage != 100]
    if rule.every is not None:
        rolls.insert(0, f"one of every {rule.every} matches in this worker")
    if rule.part is not None:
        begin, end = map(number, rule.part)
        rolls.insert(0, f"from {begin}% to {end}% of the draw for the group {rule.group}")
    if rule.count is not None:
        rolls.append(f"at most {rule.count} times in this worker")
    if rule.sample_by is not None:
        rolls.append(f"sticks to {rule.sample_by}")
    entry = {
        "name": rule.name,
        "rule": str(rule),
        "matches": not failed,
        "failed": failed,
        "hindrance": hindrance or None,
        "takes_part": not failed and not hindrance,
        "rolls": rolls,
        "faults": [fault.kind for fault in rule.everything],
        "expires_in": None if live.deadline == float("inf") else duration(max(0.0, live.deadline - asked.now)),
        "matched": live.tally.matched,
        "rolled": live.tally.rolled,
        "injected": sum(live.tally.injected.values()),
    }
    return entry, reached


def _out_of_reach(asked: Explained, live: LiveRule, request: Request) -> str:
    """What keeps a rule out before its group is asked, and so leaves its place to another."""
    rule = live.rule
    if rule.recurring is not None:
        return "it comes by itself, and no request brings it about"
    if rule.is_websocket is not _is_handshake(request):
        return "it concerns WebSockets" if rule.is_websocket else "it does not concern WebSockets"
    if not asked.exemptions.allow(rule, request.path):
        return "excluded: the path is exempt and the rule does not name it exactly"
    if asked.now >= live.deadline:
        return "expired"
    return _without_key(rule, request) if rule.part is not None else ""


def _without_key(rule: Rule, request: Request) -> str:
    if rule.sample_by is None or rule.sample_by.key(request) is not None:
        return ""
    return f"the request has no {rule.sample_by} for the decision to stick to"


def _hindrance(asked: Explained, live: LiveRule, request: Request, *, is_left: bool) -> str:
    rule = live.rule
    if not is_left:
        return f"another rule of the group {rule.group} matches first"
    if request.is_preflight and "OPTIONS" not in rule.match.methods:
        return "excluded: a preflight is left alone unless the rule names OPTIONS"
    if without := _without_key(rule, request):
        return without
    reasons = [asked.capabilities.why_not(fault) for fault in rule.everything]
    if rule.fallback is None and reasons and all(reasons):
        return f"not possible here: {reasons[0]}"
    if live.tally.suppressed["count"]:
        return "its count is used up in this worker"
    if rule.first is not None and rule.every is None and live.tally.rolled >= rule.first:
        return f"the first {rule.first} matches in this worker are over"
    return ""


def _chance(live: LiveRule, now: float) -> float:
    """The chance, 0 to 1, that a rule that takes part does anything."""
    return live.percentage_at(now) / 100 * (1 - live.rule.idle_chance) / (live.rule.every or 1)


def _is_handshake(request: Request) -> bool:
    """Whether the request asks for a WebSocket (RFC 6455, section 4.1)."""
    return any("websocket" in line.lower() for line in request.header("upgrade"))


def _request(described: Mapping[str, Any]) -> Request:
    path, _, query = str(described.get("path", "/")).partition("?")
    if not path.startswith("/"):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "path begins with /")
    return Request(
        str(described.get("method", "GET")).upper(),
        path,
        query_string=str(described.get("query", query)),
        headers=list(_header_lines(described.get("headers", {}))),
        client=str(described.get("client", "")),
    )


def _header_lines(headers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        lines = cast("list[object]", value) if isinstance(value, list) else [value]
        for line in lines:
            if not isinstance(line, str):
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"headers.{name[:40]} must be a text or a list of texts")
            yield name, line
