r"""Reads guards: `error_share > 5%; p99 of all > 2s over 1m min 100; memory > 512MiB; health`.

guards = guard {(";" | newline) guard}
guard  = METRIC ["of" ("own" | "injected" | "all")] ">" VALUE ["over" DURATION] ["min" COUNT]
| "health"  |  "query" PROMQL (">" | "<") NUMBER
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast, get_args

from faultware.config.mistakes import did_you_mean, shown, together
from faultware.config.quantities import NUMBER, parse_duration, parse_percentage, parse_size
from faultware.core.guards import OF_ANSWERS, Counts, Guard, Metric
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable

_METRICS: Final = get_args(Metric)
_COUNTS: Final = get_args(Counts)
_QUERY: Final = re.compile(rf"query\s+(?P<query>\S.*?)\s+(?P<sign>[<>])\s+(?P<bound>-?{NUMBER})", re.ASCII)
_GUARD: Final = re.compile(
    r"(?P<metric>\S+)(?:\s+of\s+(?P<counts>\S+))?\s*>\s*(?P<bound>\S+)"
    r"(?:\s+over\s+(?P<over>\S+))?(?:\s+min\s+(?P<min>\S+))?"
)
_LATE_COUNTS: Final = re.compile(r">.*\sof\s+(own|injected|all)\b")
_SYNONYMS: Final = {
    "errors": "error_share",
    "error_rate": "error_share",
    "latency": "p99",
    "loop_lag": "lag",
    "rss": "memory",
    "inflight": "in_flight",
    "promql": "query",
}
_HINT: Final = "such as error_share > 5%, p99 > 2s over 1m, lag > 250ms, memory > 512MiB, in_flight > 200, health"
_COMMA_HINT: Final = "`;` stands between two guards, not a comma"
_MAX_GUARDS: Final = 20


def read_guards(value: object) -> tuple[Guard, ...]:
    """Guards from a text, or from a list of texts; a blank text has none.

    Raises:
        RuleError: Naming the guard, and what would be right; several mistakes together.
    """
    guards: list[Guard] = []
    mistakes: list[RuleError] = []
    for text in _texts(value):
        try:
            guards.append(_guard(text))
        except RuleError as error:
            mistakes.append(RuleError(error.message, where=shown(text), hint=error.hint))
    if len(guards) > _MAX_GUARDS:
        mistakes.append(RuleError(f"{len(guards)} guards are too many", hint=f"at most {_MAX_GUARDS}"))
    if mistakes:
        raise together(mistakes)
    return tuple(guards)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[;\n]", value) if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise RuleError(f"{shown(value)} is no list of guards", hint=_HINT)
    texts: list[str] = []
    for item in cast("Iterable[object]", value):
        if isinstance(item, Guard):
            texts.append(str(item))
        elif isinstance(item, str) and item.strip():
            texts.append(item.strip())
        else:
            raise RuleError(f"{shown(item)} is no guard", hint=_HINT)
    return texts


def _no_part(metric: str, name: str, value: str) -> RuleError:
    return RuleError(f"{metric} is one number, and takes no {name}", hint=f"leave {name} {value} out")


def _guard(text: str) -> Guard:
    if text == "health":
        return Guard("health")
    if text.partition(" ")[0] == "query":
        return _query(text)
    found = _GUARD.fullmatch(text)
    metric = text.split()[0].partition(">")[0] if found is None else found["metric"]
    if metric not in _METRICS:
        meant = _SYNONYMS.get(metric)
        hint = f"did you mean {meant}?" if meant else did_you_mean(metric, _METRICS)
        raise RuleError(f"{shown(metric)} is nothing that is measured", hint=hint)
    if found is None:
        late = _LATE_COUNTS.search(text)
        if late is not None and metric in OF_ANSWERS:
            raise RuleError(f"of {late[1]} stands in front of the sign", hint=f"write {metric} of {late[1]} > …")
        if late is not None:
            raise _no_part(metric, "of", late[1])
        raise RuleError("this is no guard", hint=_COMMA_HINT if "," in text else _HINT)
    if metric == "health":
        raise RuleError("health has no bound", hint="write health alone")
    is_of_answers = metric in OF_ANSWERS
    for name, part in (("of", "counts"), ("over", "over"), ("min", "min")):
        if found[part] and not is_of_answers:
            raise _no_part(metric, name, found[part])
    counts = found["counts"] or "own"
    if counts not in _COUNTS:
        raise RuleError(f"of {shown(counts)} is not possible", hint=f"one of {', '.join(_COUNTS)}")
    least = found["min"] or "20"
    if not (least.isascii() and least.isdigit() and len(least) < 5):
        raise RuleError(f"min {shown(least)} is no number of answers", hint="such as min 100")
    return Guard(
        cast("Metric", metric),
        _bound(metric, found["bound"]),
        window_seconds=parse_duration(found["over"]) if found["over"] else 30.0,
        min_samples=int(least),
        counts=cast("Counts", counts),
    )


def _bound(metric: str, text: str) -> float:
    match metric:
        case "error_share":
            return parse_percentage(text)
        case "memory":
            return float(parse_size(text))
        case "in_flight":
            if not (text.isascii() and text.isdigit() and len(text) < 10):
                raise RuleError(f"{shown(text)} is no number of requests", hint="such as 200")
            return float(text)
        case _:
            return parse_duration(text)


def _query(text: str) -> Guard:
    found = _QUERY.fullmatch(text)
    if found is None:
        hint = "such as query sum(rate(http_errors_total[1m])) > 0.5, or … < 0.5"
        raise RuleError("a query ends with a bound", hint=hint)
    return Guard("query", float(found["bound"]), query=found["query"], is_least=found["sign"] == "<")
