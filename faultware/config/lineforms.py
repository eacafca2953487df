"""The faults of the one-line form that are read by their forms: `throttle 10kB/s of=request`, `request_headers x-a=1`.

The first value may stand without its key; all others are `key=value`. Values hold no blanks.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from faultware.config.forms import read_value
from faultware.config.mistakes import did_you_mean, shown
from faultware.config.quantities import parse_percentage
from faultware.core.faults.forms import At, FieldForm, Json, Lines, Names, Percent, Whole, forms_of
from faultware.errors import RuleError

if TYPE_CHECKING:
    from faultware.config.words import Words
    from faultware.core.faults import Fault

# What may follow a fault.
ENDS: Final = frozenset({"", "for", "as", "or", "+", "|"})
WEIGHT: Final = re.compile(r"\*([0-9]{1,9})", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)


def is_end(word: str) -> bool:
    """Whether a fault has ended before this word."""
    return word in ENDS or WEIGHT.fullmatch(word) is not None


def read_form_fault(words: Words, fault: type[Fault]) -> Fault:
    """The fault whose name has just been taken."""
    start = words.at - 1
    forms = forms_of(fault)
    is_headers = any(isinstance(field.form.kind, (Lines, Names)) for field in forms)
    given = _header_words(words, forms) if is_headers else _values(words, forms)
    for field in forms:
        if field.is_required and field.name not in given:
            raise words.wrong(f"{fault.kind} needs {_article(field)}", f"write {example_of(fault)}")
    try:
        return fault(**given)
    except RuleError as error:
        place = f"{error.where}: " if error.where else ""
        raise words.wrong(f"{place}{error.message}", error.hint, at=start) from None


def example_of(fault: type[Fault]) -> str:
    """How the fault is written, in short."""
    return _EXAMPLES.get(fault.kind, fault.kind)


def _article(field: FieldForm) -> str:
    return "a place" if isinstance(field.form.kind, At) else f"its {field.form.key}"


def _values(words: Words, forms: tuple[FieldForm, ...]) -> dict[str, Any]:
    first = next((field for field in forms if field.form.is_first), None)
    keys = {field.form.key: field for field in forms}
    given: dict[str, Any] = {}
    is_first = True
    while not is_end(word := words.peek()):
        key, sign, text = word.partition("=")
        if sign and key in keys:
            field = keys[key]
        elif is_first and first is not None and not (sign and re.fullmatch(r"[a-z_]+", key)):
            field, text = first, word
        elif sign or is_first:
            if not keys:
                return given
            raise words.wrong(f"unknown option {shown(key)}", did_you_mean(key, keys))
        else:
            # Something else follows, such as a fault whose + is missing: whoever reads on will say so.
            return given
        if field.name in given:
            raise words.wrong(f"{field.form.key} is given twice", "keep one")
        given[field.name] = words.checked(partial(_from_text, field, text))
        words.take()
        is_first = False
    return given


def _from_text(field: FieldForm, text: str) -> Any:
    kind = field.form.kind
    if not text:
        raise RuleError(f"{field.form.key} needs a value", hint=f"write {field.form.key}=…")
    value: object = text
    if isinstance(kind, Whole):
        if not _INTEGER.fullmatch(text):
            raise RuleError(f"{shown(text)} is not a whole number", hint=f"{kind.least} to {kind.most}")
        value = int(text)
    elif isinstance(kind, Percent):
        return kind.check(parse_percentage(text), field.form.key)
    elif isinstance(kind, Json):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise RuleError(
                f"{shown(text)} is not JSON", hint="an object without blanks; a document can say more"
            ) from None
        return kind.check(value, field.form.key)
    return kind.check(read_value(kind, value), field.form.key)


def _header_words(words: Words, forms: tuple[FieldForm, ...]) -> dict[str, Any]:
    by_sign = {field.form.kind.sign: field for field in forms if isinstance(field.form.kind, (Lines, Names))}
    given: dict[str, list[Any]] = {}
    while not is_end(word := words.peek()):
        sign = word[:1] if word[:1] in ("+", "-") else ""
        field = by_sign.get(sign)
        if field is None:
            raise words.wrong(f"{shown(word)} is not possible here", "write name=value, or -name")
        name, equals, text = word.removeprefix(sign).partition("=")
        if isinstance(field.form.kind, Names):
            item: Any = name
            if equals:
                raise words.wrong(f"{shown(word)} removes a header, and needs no value", f"write -{name[:40]}")
        elif not equals:
            raise words.wrong(f"{shown(word)} has no value", f"write {sign}{name[:40]}=VALUE, or -{name[:40]}")
        else:
            item = (name, text)
        words.checked(partial(field.form.kind.check, [item], field.form.key))
        given.setdefault(field.name, []).append(item)
        words.take()
    return given


_EXAMPLES: Final = {
    "content_length": "content_length +10",
    "corrupt": "corrupt 1%",
    "cpu": "cpu 50% duration=10s",
    "block": "block 2s",
    "dribble": "dribble 10s pieces=20",
    "limit_data": "limit_data 1kB",
    "memory": "memory 100MB duration=10s",
    "rate_limit": "rate_limit 10 per=1m",
    "replace_status": "replace_status 500",
    "slice": "slice 100B pause=10ms",
    "slow_close": "slow_close 2s",
    "stall": "stall 1kB duration=5s",
    "throttle": "throttle 10kB/s",
    "truncate": "truncate 50%, or truncate 100B",
}
