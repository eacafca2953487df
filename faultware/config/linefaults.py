"""The faults of the one-line form: `delay 200ms±50ms + abort 503`, `hang 5s`, `raise TimeoutError`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from faultware.config.mistakes import did_you_mean, shown
from faultware.config.quantities import NUMBER, parse_duration
from faultware.core.delays import Uniform
from faultware.core.faults import Abort, Delay, Fault, Hang, Phase, Raise
from faultware.errors import RuleError

if TYPE_CHECKING:
    from faultware.config.words import Words

FAULTS: Final = ("delay", "abort", "hang", "raise")
# Words of the form whose faults this version does not have.
LATER: Final = frozenset({"reset", "close", "throttle", "truncate", "corrupt"})
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
}
FAULTS_HINT: Final = f"one of {', '.join(FAULTS)}"

_ENDS: Final = frozenset({"", "for", "as", "+"})
_SIGNS: Final = ("±", "+-", "..")
_BARE: Final = re.compile(NUMBER, re.ASCII)
_SPREAD: Final = re.compile(r"(?P<low>.*?)(?P<sign>±|\+-|\.\.)(?P<high>.*)", re.DOTALL)


def read_faults(words: Words) -> list[Fault]:
    """The faults of a rule, of which there is at least one, joined by `+`.

    Raises:
        RuleError: A fault is missing, unknown, given twice or incomplete, or two of them end the request.
    """
    faults: list[Fault] = []
    while True:
        start = words.at
        fault = _fault(words)
        for other in faults:
            if other.kind == fault.kind:
                raise words.wrong(f"{fault.kind} is given twice", "write two rules", at=start)
            if other.phase is fault.phase is Phase.TERMINAL:
                message = f"two faults end the request: {other.kind} and {fault.kind}"
                raise words.wrong(message, "write two rules; each rolls its own dice", at=start)
        faults.append(fault)
        if words.peek() != "+":
            return faults
        words.take()


def parse_delay(text: str, *, percentage: float = 100) -> Delay:
    """Read how long a delay lasts: `200ms`, `200ms±50ms`, `150ms..250ms`.

    Raises:
        RuleError: A duration is none, the jitter exceeds the delay, or the low end lies above the high end.
    """
    spread = _SPREAD.fullmatch(text)
    if spread is None:
        return Delay(_duration(text), percentage=percentage)
    low, high = _duration(spread["low"].rstrip()), _duration(spread["high"].lstrip())
    if spread["sign"] == "..":
        return Delay(Uniform(low, high), percentage=percentage)
    return Delay(low, jitter_seconds=high, percentage=percentage)


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
        case "delay":
            words.take()
            return _delay(words)
        case "abort":
            words.take()
            return _abort(words)
        case "hang":
            words.take()
            return _hang(words)
        case "raise":
            words.take()
            return _raise(words)
        case "" | "for" | "as" | "+":
            raise words.wrong("a fault is missing", FAULTS_HINT)
        case _ if word in LATER:
            raise words.wrong(f"this version cannot {word}", FAULTS_HINT)
        case _ if "+" in word and word.partition("+")[0] in FAULTS:
            raise words.wrong(f"unknown fault {shown(word)}", "put blanks around +")
        case _:
            meant = SYNONYMS.get(word)
            hint = f"did you mean {meant}?" if meant else did_you_mean(word, FAULTS)
            raise words.wrong(f"unknown fault {shown(word)}", hint)


def _delay(words: Words) -> Delay:
    start, word = words.at, words.peek()
    if word in _ENDS:
        raise words.wrong("delay needs a duration", "write delay 200ms")
    # `200ms ± 50ms`: the sign may stand between blanks.
    count = 1
    while count < 3 and words.peek(count) and (word.endswith(_SIGNS) or words.peek(count).startswith(_SIGNS)):
        word += words.peek(count)
        count += 1
    fault = words.checked(lambda: Delay(read_duration(words)) if _BARE.fullmatch(word) else parse_delay(word))
    words.at = start + count
    return fault


def _abort(words: Words) -> Abort:
    word = words.peek()
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
    if name in _ENDS:
        raise words.wrong("raise needs the name of an exception", "write raise TimeoutError")
    fault = words.checked(lambda: Raise(name))
    words.take()
    return fault
