"""How a rule is written down: as a document, and in one line where that can say it all.

What is printed reads back as an equal rule. Reading is the business of `faultware.config`.
"""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from faultware.core.delays import Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.core.faults import Abort, Delay, Hang, Raise
from faultware.core.matching import KNOWN_METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultware.core.delays import Distribution
    from faultware.core.faults import Fault
    from faultware.core.matching import Match, PathMatch, TextMatch
    from faultware.core.rules import Rule

Document = dict[str, Any]

# What the one-line form can carry as a path or a value without quoting.
_PLAIN = re.compile(r"[^\s;]+")
_UNITS = (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))


def duration(seconds: float) -> str:
    """A length of time as the one-line form has it: `200ms`, `1m30s`, `0s`. Exact to the microsecond."""
    left = round(seconds * 1_000_000)
    if left == 0:
        return "0s"
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    if left:
        parts.append(f"{number(left / 1000)}ms")
    return "".join(parts)


def number(value: float) -> str:
    """A number in plain decimals, without exponent and without a fraction that says nothing."""
    if value == int(value):
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def rule_document(rule: Rule, *, with_name: bool = True) -> Document:
    """The rule in the document form, as plain data without what is default."""
    document: Document = {"name": rule.name} if with_name else {}
    match = match_document(rule.match)
    if match:
        document["match"] = match
    document["percentage"] = percentage(rule.percentage)
    for fault in rule.faults:
        document[fault.kind] = fault_document(fault)
    if rule.count is not None:
        document["count"] = rule.count
    if rule.every is not None:
        document["every"] = rule.every
    if rule.sample_by is not None:
        document["sample_by"] = str(rule.sample_by)
    if rule.group:
        document["group"] = rule.group
    if rule.lifetime_seconds is not None:
        document["for"] = duration(rule.lifetime_seconds)
    return document


def percentage(value: float) -> float | int | str:
    """A percentage as the document form takes it: a bare number between 0 and 1 would be refused as ambiguous."""
    if 0 < value < 1:
        return f"{number(value)}%"
    return int(value) if value == int(value) else value


def match_document(match: Match) -> Document:
    """The conditions in the document form."""
    document: Document = {}
    if match.path is not None:
        document["path"] = match.path.value if match.path.is_plain else _path_document(match.path)
    if match.methods:
        document["methods"] = sorted(match.methods)
    if match.raw_path is not None:
        document["raw_path"] = _text_document(match.raw_path)
    places = {"headers": match.headers, "query": match.query, "raw_query": match.raw_query, "cookies": match.cookies}
    for place, fields in places.items():
        if fields:
            document[place] = _fields_document(fields)
    if match.host is not None:
        document["host"] = _text_document(match.host)
    if match.client:
        document["client"] = list(match.client)
    return document


def fault_document(fault: Fault) -> Document:
    """One fault in the document form."""
    document: Document
    match fault:
        case Delay():
            document = _delay_document(fault.distribution)
        case Abort():
            document = _abort_document(fault)
        case Raise():
            document = {"exception": fault.exception}
        case Hang():
            document = {} if fault.duration_seconds is None else {"duration": duration(fault.duration_seconds)}
    if fault.percentage != 100:
        document["percentage"] = percentage(fault.percentage)
    return document


def rule_line(rule: Rule) -> str | None:
    """The rule in the one-line form, or None where that form cannot say it all."""
    head = _match_words(rule.match)
    faults = [_fault_words(fault) for fault in rule.faults]
    if head is None or None in faults or rule.every is not None or rule.sample_by is not None or rule.group:
        return None
    share = "" if rule.percentage == 100 and rule.count is not None else f"{number(rule.percentage)}%"
    words = [*head, share, "" if rule.count is None else f"{rule.count}x", " + ".join(filter(None, faults))]
    if rule.lifetime_seconds is not None:
        words += ["for", duration(rule.lifetime_seconds)]
    if rule.name != rule.derived_name():
        words += ["as", rule.name]
    return " ".join(filter(None, words))


def _match_words(match: Match) -> list[str] | None:
    path = match.path
    if path is None or not path.is_plain or not _PLAIN.fullmatch(path.value) or len(match.client) > 1:
        return None
    if not match.methods <= KNOWN_METHODS or match.raw_path is not None or match.raw_query:
        return None
    words = [",".join(sorted(match.methods)), path.value]
    fields = [("header", match.headers), ("query", match.query), ("cookie", match.cookies)]
    conditions = [(f"{place}:{name}", text) for place, pairs in fields for name, text in pairs]
    if match.host is not None:
        conditions.append(("host", match.host))
    if len({key for key, _ in conditions}) < len(conditions):
        return None
    for key, text in conditions:
        if not text.is_equality or not _PLAIN.fullmatch(f"{key}{text.value}") or "=" in key or not text.value:
            return None
        words.append(f"{key}={text.value}")
    return words + [f"client={network}" for network in match.client]


def _fault_words(fault: Fault) -> str | None:
    if fault.percentage != 100:
        return None
    match fault:
        case Delay(distribution=Uniform(low, high)):
            return f"delay {_range_words(low, high)}"
        case Delay():
            return None
        case Abort():
            return f"abort {fault.status}" if fault == Abort(fault.status) else None
        case Raise():
            return f"raise {fault.exception}"
        case Hang():
            return "hang" if fault.duration_seconds is None else f"hang {duration(fault.duration_seconds)}"


def _range_words(low: float, high: float) -> str:
    middle = _middle(low, high)
    if low == high:
        return duration(low)
    if middle is None:
        return f"{duration(low)}..{duration(high)}"
    return f"{duration(middle)}±{duration(high - middle)}"


def _middle(low: float, high: float) -> float | None:
    """The middle of a range when it is a whole number of microseconds."""
    total = round(low * 1_000_000) + round(high * 1_000_000)
    return total / 2_000_000 if total % 2 == 0 else None


def _delay_document(distribution: Distribution) -> Document:
    match distribution:
        case Uniform(low, high):
            middle = _middle(low, high)
            if low == high:
                return {"fixed": duration(low)}
            if middle is None:
                return {"min": duration(low), "max": duration(high)}
            return {"fixed": duration(middle), "jitter": duration(high - middle)}
        case Normal(mean, deviation, most):
            shape: Document = {"mean": duration(mean), "deviation": duration(deviation)}
            return {"distribution": "normal", **shape, "max": duration(most)}
        case LogNormal(median, sigma, most):
            return {"distribution": "lognormal", "median": duration(median), "sigma": sigma, "max": duration(most)}
        case Exponential(mean, most):
            return {"distribution": "exponential", "mean": duration(mean), "max": duration(most)}
        case Pareto(scale, shape_, most):
            return {"distribution": "pareto", "scale": duration(scale), "shape": shape_, "max": duration(most)}


def _abort_document(abort: Abort) -> Document:
    document: Document = {"status": abort.status}
    if not abort.is_default_body:
        try:
            document["body"] = abort.body.decode()
        except UnicodeDecodeError:
            document["body_base64"] = base64.b64encode(abort.body).decode()
    natural = Abort(abort.status, body=abort.body or None).content_type
    names = [name for name, _ in abort.headers]
    if abort.content_type != natural and "content-type" not in map(str.lower, names):
        document["content_type"] = abort.content_type
    if abort.headers:
        # A name that is given twice does not fit into a mapping.
        is_mapping = len(set(names)) == len(names)
        document["headers"] = dict(abort.headers) if is_mapping else [list(pair) for pair in abort.headers]
    if abort.after:
        document["after"] = True
    return document


def _fields_document(fields: Iterable[tuple[str, TextMatch]]) -> Document:
    gathered: dict[str, list[Any]] = {}
    for name, text in fields:
        gathered.setdefault(name, []).append(_text_document(text))
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in gathered.items()}


def _text_document(text: TextMatch) -> Any:
    if text.is_equality:
        return text.value
    several = text.one_of or text.range
    document = _condition(text, list(several) if several else text.value if text.present is None else text.present)
    if text.absent_is_empty:
        document["absent_is_empty"] = True
    return document


def _path_document(path: PathMatch) -> Document:
    return _condition(path, path.value)


def _condition(match: TextMatch | PathMatch, value: object) -> Document:
    document: Document = {match.kind: value}
    if match.ignore_case:
        document["ignore_case"] = True
    if match.invert:
        document["invert"] = True
    return document
