"""How a rule is written down: as a document, and in one line where that can say it all.

What is printed reads back as an equal rule. Reading is the business of `faultware.config`.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from faultware.core.delays import Exponential, LogNormal, Normal, Pareto, Uniform
from faultware.core.faults import Abort, Delay, Hang, Raise
from faultware.core.faults.forms import Json, Lines, Names, forms_of
from faultware.core.matching import KNOWN_METHODS
from faultware.core.quantities import duration, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faultware.core.delays import Distribution
    from faultware.core.faults import Fault
    from faultware.core.matching import Match, PathMatch, TextMatch
    from faultware.core.rules import Rule

Document = dict[str, Any]

# What the one-line form can carry as a path or a value without quoting.
_PLAIN = re.compile(r"[^\s;]+")


def rule_document(rule: Rule, *, with_name: bool = True) -> Document:
    """The rule in the document form, as plain data without what is default."""
    document: Document = {"name": rule.name} if with_name else {}
    match = match_document(rule.match)
    if match:
        document["match"] = match
    document["percentage"] = percentage(rule.percentage)
    for fault in rule.faults:
        document[fault.kind] = fault_document(fault)
    if rule.choose:
        document["choose"] = [
            {"weight": choice.weight, choice.fault.kind: fault_document(choice.fault)} for choice in rule.choose
        ]
    if rule.fallback is not None:
        document["fallback"] = fault_document(rule.fallback)
    for name in ("count", "first", "every"):
        if getattr(rule, name) is not None:
            document[name] = getattr(rule, name)
    if rule.sample_by is not None:
        document["sample_by"] = str(rule.sample_by)
    if rule.group:
        document["group"] = rule.group
    if rule.part is not None:
        document["part"] = [percentage(end) for end in rule.part]
    if rule.schedule is not None:
        document["schedule"] = form_document(rule.schedule)
    if rule.recurring is not None:
        document["recurring"] = form_document(rule.recurring)
    if rule.by_headers is not None:
        document["by_headers"] = form_document(rule.by_headers)
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
        document["path"] = match.path.value if match.path.is_plain else _condition(match.path, match.path.value)
    if match.methods:
        document["methods"] = sorted(match.methods)
    if match.raw_path is not None:
        document["raw_path"] = _text_document(match.raw_path)
    places = {"headers": match.headers, "query": match.query, "raw_query": match.raw_query, "cookies": match.cookies}
    for place, fields in places.items():
        if fields:
            document[place] = _fields_document(fields)
    if match.where is not None:
        document["where"] = match.where.document()
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
        case _:
            document = form_document(fault)
    if fault.percentage != 100:
        document["percentage"] = percentage(fault.percentage)
    return document


def form_document(described: object) -> Document:
    """Whatever is described by the forms of its fields, without what is default."""
    document: Document = {}
    for field in forms_of(type(described)):
        value = getattr(described, field.name)
        if field.is_required or value != field.default:
            document[field.form.key] = field.form.kind.write(value)
    return document


def rule_line(rule: Rule) -> str | None:
    """The rule in the one-line form, or None where that form cannot say it all."""
    head = _match_words(rule.match)
    faults = [fault_words(fault) for fault in rule.faults]
    if rule.choose:
        faults.append(_choice_words(rule))
    fallback = "" if rule.fallback is None else fault_words(rule.fallback)
    if head is None or None in faults or fallback is None or not _is_sayable(rule):
        return None
    share = "" if rule.percentage == 100 and rule.count is not None else f"{number(rule.percentage)}%"
    words = [*head, share, "" if rule.count is None else f"{rule.count}x", " + ".join(filter(None, faults))]
    if fallback:
        words += ["or", fallback]
    if rule.lifetime_seconds is not None:
        words += ["for", duration(rule.lifetime_seconds)]
    if rule.name != rule.derived_name():
        words += ["as", rule.name]
    return " ".join(filter(None, words))


def _match_words(match: Match) -> list[str] | None:
    path = match.path
    if path is None or not path.is_plain or not _PLAIN.fullmatch(path.value) or len(match.client) > 1:
        return None
    if not match.methods <= KNOWN_METHODS or match.raw_path is not None or match.raw_query or match.where:
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


def _is_sayable(rule: Rule) -> bool:
    """Whether what is not a match and not a fault fits into one line."""
    others = (rule.every, rule.first, rule.sample_by, rule.schedule, rule.recurring, rule.by_headers)
    return not rule.group and all(value is None for value in others)


def _choice_words(rule: Rule) -> str | None:
    alternatives: list[str] = []
    for choice in rule.choose:
        words = fault_words(choice.fault)
        if words is None:
            return None
        alternatives.append(f"{words} *{choice.weight}")
    return " | ".join(alternatives)


def fault_words(fault: Fault) -> str | None:
    """One fault in the one-line form, or None where that form cannot say it all."""
    if fault.percentage != 100:
        return None
    match fault:
        case Delay(distribution=Uniform(low, high)):
            return f"{fault.kind} {_range_words(low, high)}"
        case Delay():
            return None
        case Abort(grpc_status=None):
            return f"abort {fault.status}" if fault == Abort(fault.status) else None
        case Abort():
            return f"abort grpc={fault.grpc_status}" if fault == Abort(grpc_status=fault.grpc_status) else None
        case Raise():
            return None if fault.exception in _SIGNS else f"raise {fault.exception}"
        case Hang():
            return "hang" if fault.duration_seconds is None else f"hang {duration(fault.duration_seconds)}"
        case _:
            return _form_words(fault)


def _form_words(fault: Fault) -> str | None:
    words = [fault.kind]
    for field in forms_of(type(fault)):
        value, form = getattr(fault, field.name), field.form
        if not field.is_required and value == field.default:
            continue
        match form.kind:
            case Lines(sign):
                if not sign and any(name.startswith(("+", "-")) for name, _ in value):
                    return None
                words += [f"{sign}{name}={text}" for name, text in value]
            case Names(sign):
                words += [f"{sign}{name}" for name in value]
            case _:
                text = value if isinstance(form.kind, Json) else str(form.kind.write(value))
                has_key = not form.is_first or _MISREAD.fullmatch(text) or text in _SIGNS
                words.append(f"{form.key}={text}" if has_key else text)
    return " ".join(words) if all(map(_PLAIN.fullmatch, words)) else None


# Words that mean something behind a fault.
_SIGNS = frozenset({"+", "|", "or", "for", "as"})
# What a value without its key would be taken for: an option, a weight, or the arrow that is refused anywhere in a rule.
_MISREAD = re.compile(r"[a-z_]+=.*|\*[0-9]+|->", re.DOTALL)


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
    document: Document = {"status": abort.status} if abort.grpc_status is None or abort.status != 200 else {}
    if abort.grpc_status is not None:
        document["grpc_status"] = abort.grpc_status
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
    if abort.template:
        document["template"] = True
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


def _condition(match: TextMatch | PathMatch, value: object) -> Document:
    document: Document = {match.kind: value}
    if match.ignore_case:
        document["ignore_case"] = True
    if match.invert:
        document["invert"] = True
    return document
