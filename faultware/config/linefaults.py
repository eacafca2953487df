"""The faults of the one-line form: `delay 200ms±50ms + abort 503`, `hang 5s`, `abort 503 *3 | reset`.

Most are read by their forms, in `lineforms`; the four here have a grammar of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from faultware.config.lineforms import ENDS, WEIGHT, is_end, read_form_fault
from faultware.config.mistakes import nearest, shown
from faultware.config.quantities import NUMBER, parse_duration
from faultware.core.delays import Uniform
from faultware.core.faults import FAULTS as KINDS
from faultware.core.faults import Abort, Delay, DelayResponse, Fault, Hang, Phase, Raise
from faultware.core.grpc import STATUSES
from faultware.core.rules import Choice
from faultware.errors import RuleError

if TYPE_CHECKING:
    from faultware.config.words import Words

_BY_NAME: Final[dict[str, type[Fault]]] = {fault.kind: fault for fault in KINDS}
FAULTS: Final = tuple(_BY_NAME)
# What other tools call these faults.
SYNONYMS: Final = {
    "latency": "delay",
    "sleep": "delay",
    "wait": "delay",
    "slow": "delay",
    "error": "abort",
    "status": "abort",
    "fail": "abort",
    "timeout": "hang",
    "exception": "raise",
    "throw": "raise",
    "drop": "reset",
    "disconnect": "close",
    "bandwidth": "throttle",
    "slow_body": "dribble",
    "partial": "truncate",
    "cut": "truncate",
    "slicer": "slice",
    "reset_peer": "reset",
}
FAULTS_HINT: Final = "such as abort 503, delay 200ms, reset, truncate 50%"

_SIGNS: Final = ("±", "+-", "..")
_BARE: Final = re.compile(NUMBER, re.ASCII)
_SPREAD: Final = re.compile(r"(?P<low>.*?)(?P<sign>±|\+-|\.\.)(?P<high>.*)", re.DOTALL)


@dataclass(slots=True)
class Given:
    """What a rule does: its faults, or several of which one is drawn, or both."""

    faults: list[Fault] = field(default_factory=lambda: list[Fault]())
    choose: list[Choice] = field(default_factory=lambda: list[Choice]())


def read_faults(words: Words) -> Given:
    """The faults of a rule, of which there is at least one, joined by `+`; alternatives are joined by `|`.

    Raises:
        RuleError: A fault is missing, unknown, given twice or incomplete, or two of them end the request.
    """
    given = Given()
    while True:
        start = words.at
        fault = _fault(words)
        if words.peek() == "|" or WEIGHT.fullmatch(words.peek()):
            if given.choose:
                raise words.wrong("a rule has one choice", "write two rules")
            given.choose = _alternatives(words, fault)
        else:
            _check_beside(words, fault, given.faults, start)
            given.faults.append(fault)
        if words.peek() != "+":
            return given
        words.take()


def _check_beside(words: Words, fault: Fault, others: list[Fault], start: int) -> None:
    for other in others:
        if other.kind == fault.kind:
            raise words.wrong(f"{fault.kind} is given twice", "write two rules", at=start)
        if other.phase is fault.phase is Phase.TERMINAL:
            message = f"two faults end the request: {other.kind} and {fault.kind}"
            raise words.wrong(message, "write two rules; each rolls its own dice", at=start)


def _alternatives(words: Words, first: Fault) -> list[Choice]:
    """The alternatives, of which the first fault has been read."""
    choices = [Choice(_weight(words), first)]
    while words.peek() == "|":
        words.take()
        fault = _fault(words)
        choices.append(Choice(_weight(words), fault))
    return choices


def _weight(words: Words) -> int:
    found = WEIGHT.fullmatch(words.peek())
    if found is None:
        return 1
    weight = int(found[1])
    words.checked(lambda: Choice(weight, Hang()))
    words.take()
    return weight


def read_fallback(words: Words) -> Abort | None:
    """What stands behind `or`: an abort."""
    if words.peek() != "or":
        return None
    words.take()
    if words.peek() != "abort":
        raise words.wrong("or is followed by an abort", "write or abort 503")
    words.take()
    return _abort(words)


def parse_delay(text: str) -> Delay:
    """Read how long a delay lasts: `200ms`, `200ms±50ms`, `150ms..250ms`.

    Raises:
        RuleError: A duration is none, the jitter exceeds the delay, or the low end lies above the high end.
    """
    spread = _SPREAD.fullmatch(text)
    if spread is None:
        return Delay(_duration(text))
    low, high = _duration(spread["low"].rstrip()), _duration(spread["high"].lstrip())
    if spread["sign"] == "..":
        return Delay(Uniform(low, high))
    return Delay(low, jitter_seconds=high)


def read_duration(words: Words) -> float:
    """The duration that the next word is; it is not taken. Errors do not point at it yet."""
    word, following = words.peek(), words.peek(1)
    if _BARE.fullmatch(word) and following in ("ms", "s", "m", "h"):
        raise RuleError("a duration needs its unit", hint=f"write {word}{following} without a blank")
    return parse_duration(word)


def _duration(text: str) -> float:
    low, dash, high = text.partition("-")
    if dash and low[:1].isdigit() and high[:1].isdigit():
        raise RuleError(f"{shown(text)} is not a duration", hint=f"write {low[:20]}..{high[:20]}")
    if "+" in text:
        raise RuleError(f"{shown(text)} is not a duration", hint="put blanks around +")
    if not text:
        raise RuleError("a duration is missing", hint="such as 200ms±50ms, 150ms..250ms")
    return parse_duration(text)


def _fault(words: Words) -> Fault:
    word = words.peek()
    match word:
        case "delay" | "delay_response":
            words.take()
            return _delay(words, word)
        case "abort":
            words.take()
            return _abort(words)
        case "hang":
            words.take()
            return _hang(words)
        case "raise":
            words.take()
            return _raise(words)
        case _ if word in _BY_NAME:
            words.take()
            return read_form_fault(words, _BY_NAME[word])
        case _ if word in ENDS:
            raise words.wrong("a fault is missing", FAULTS_HINT)
        case _ if "+" in word and word.partition("+")[0] in FAULTS:
            raise words.wrong(f"unknown fault {shown(word)}", "put blanks around +")
        case _ if word.replace("-", "_") in FAULTS:
            raise words.wrong(f"unknown fault {shown(word)}", f"write {word.replace('-', '_')}")
        case _:
            meant = SYNONYMS.get(word) or nearest(word, FAULTS)
            hint = f"did you mean {meant}?" if meant else FAULTS_HINT
            raise words.wrong(f"unknown fault {shown(word)}", hint)


def _delay(words: Words, kind: str) -> Delay:
    start, word = words.at, words.peek()
    if is_end(word):
        raise words.wrong(f"{kind} needs a duration", f"write {kind} 200ms")
    # `200ms ± 50ms`: the sign may stand between blanks.
    count = 1
    while count < 3 and words.peek(count) and (word.endswith(_SIGNS) or words.peek(count).startswith(_SIGNS)):
        word += words.peek(count)
        count += 1
    fault = words.checked(lambda: Delay(read_duration(words)) if _BARE.fullmatch(word) else parse_delay(word))
    words.at = start + count
    return fault if kind == "delay" else DelayResponse(fault.distribution)


def _abort(words: Words) -> Abort:
    word = words.peek()
    if word.startswith("grpc="):
        name = word.removeprefix("grpc=")
        is_number = name.isascii() and name.isdigit() and len(name) < 3
        status = STATUSES.index(name) if name in STATUSES else int(name) if is_number else name
        fault = words.checked(lambda: Abort(grpc_status=status))  # type: ignore[arg-type]
        words.take()
        return fault
    if re.fullmatch(r"[2-5][0-9]{2},", word, re.ASCII) and words.peek(1) in FAULTS:
        raise words.wrong("a comma does not join faults", f"write abort {word[:3]} + {words.peek(1)}")
    if not re.fullmatch(r"[2-5][0-9]{2}", word, re.ASCII):
        raise words.wrong("abort needs a status from 200 to 599", "write abort 503")
    words.take()
    return Abort(int(word))


def _hang(words: Words) -> Hang:
    if not words.peek()[:1].isdigit():
        return Hang()
    fault = words.checked(lambda: Hang(read_duration(words)))
    words.take()
    return fault


def _raise(words: Words) -> Raise:
    name = words.peek()
    if is_end(name):
        raise words.wrong("raise needs the name of an exception", "write raise TimeoutError")
    fault = words.checked(lambda: Raise(name))
    words.take()
    return fault
