r"""The one-line form, read: for variables, the command line, the control endpoint and tests.

    rules  = rule {(";" | newline) rule}
    rule   = [METHOD{","METHOD}] PATH {condition} share faults ["or" "abort" STATUS] ["for" DURATION] ["as" NAME]
    condition = ("header" | "query" | "cookie" | "host" | "client") [":" KEY] "=" VALUE
    share  = NUMBER ("%" | "pct") [COUNT "x"]  |  COUNT "x"
    faults = (fault | choice) {"+" (fault | choice)}
    choice = fault ["*" WEIGHT] {"|" fault ["*" WEIGHT]}
    fault  = ("delay" | "delay_response") DURATION [("±" | "+-") DURATION | ".." DURATION]
           | "abort" (STATUS | "grpc=" STATUS) | "hang" [DURATION] | "raise" NAME
           | FAULT [VALUE] {KEY "=" VALUE}

Words are separated by blanks, so a path or a value holds neither blanks nor `;`. Printing is the business of
`faultware.core.rendering`; what is printed there reads back here as an equal rule. Loads neither pydantic nor asyncio.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from faultware.config.linefaults import FAULTS, SYNONYMS, read_duration, read_fallback, read_faults
from faultware.config.mistakes import (
    LEAK_HINT,
    LEAK_MESSAGE,
    MAX_MISTAKES,
    holds_leak,
    holds_surrogates,
    nearest,
    shown,
    together,
)
from faultware.config.quantities import NUMBER, parse_percentage
from faultware.config.words import Words, excerpt
from faultware.core.faults import attribute
from faultware.core.matching import KNOWN_METHODS, Match, PathMatch
from faultware.core.rules import MAX_COUNT, NAME, NAME_HINT, Rule
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONDITIONS: Final = ("header", "query", "cookie", "host", "client")
_EXAMPLES: Final = {"host": "host=api.example.com", "client": "client=10.0.0.0/8"}
_CONDITIONS_HINT: Final = "one of header:NAME=, query:NAME=, cookie:NAME=, host=, client="
_JOIN_HINT: Final = "methods are joined by a comma, without a blank"

_METHOD: Final = re.compile(r"[A-Z][A-Z-]*(?:,[A-Z][A-Z-]*)*", re.ASCII)
_CONDITION: Final = re.compile(rf"({'|'.join(_CONDITIONS)})(?=[:=]|\Z)(?::([^=]*))?(=?)(.*)", re.DOTALL)
_PERCENT: Final = re.compile(r"[0-9.]+(?:%|pct)", re.ASCII)
_COUNT: Final = re.compile(r"([0-9]+)x", re.ASCII)
_JOINED: Final = re.compile(r"([0-9.]+(?:%|pct))([0-9]+x)", re.ASCII)
_BARE: Final = re.compile(NUMBER, re.ASCII)
_GLUED: Final = re.compile(r"([A-Z]+)(/.*)", re.ASCII | re.DOTALL)
_FILE: Final = re.compile(r".*\.(?:toml|ya?ml|json)", re.DOTALL)


def parse_rules(text: str) -> list[Rule]:
    """Read rules in the one-line form; an empty text has none.

    Raises:
        RuleError: With the rule's text and a caret under the word that is wrong, and what would be right. All rules are
            read; several mistakes are told together, one of each rule.
    """
    _check_whole(text)
    rules: list[Rule] = []
    mistakes: list[RuleError] = []
    for line in re.split(r"[;\n]", text):
        if line.strip() and len(mistakes) < MAX_MISTAKES:
            try:
                rules.append(_read_rule(Words(line.strip())))
            except RuleError as error:
                mistakes.append(error)
    mistakes += repeated_names(rules)
    if mistakes:
        raise together(mistakes)
    return rules


def repeated_names(rules: Iterable[Rule]) -> list[RuleError]:
    """The mistakes that lie in names given twice."""
    seen: set[str] = set()
    mistakes: dict[str, RuleError] = {}
    for rule in rules:
        if rule.name in seen and rule.name not in mistakes:
            message, hint = f"the name {rule.name!r} is used twice", "a name is unique: rename or remove one of them"
            if rule.name == rule.derived_name():
                message, hint = f"{shown(str(rule))} is given twice", "remove one, or give it a name of its own"
            mistakes[rule.name] = RuleError(message, hint=hint)
        seen.add(rule.name)
    return list(mistakes.values())


def _check_whole(text: object) -> None:
    if not isinstance(text, str):
        raise RuleError(f"{shown(text)} is not a text", hint="write '/payments 10% abort 503'")
    if holds_leak(text):
        raise RuleError(LEAK_MESSAGE, hint=LEAK_HINT)
    if holds_surrogates(text):
        raise RuleError("the text is not UTF-8", hint="write +- for ±, and decoded characters in paths")
    start = text.lstrip()[:1]
    if start in ('"', "'"):
        hint = "the file that set it keeps quotes: remove them"
        raise RuleError(f"the value begins with a quotation mark\n{excerpt(text.strip(), 0, 1)}", hint=hint)
    if start in ("[", "{"):
        hint = "a rule in one line begins with a method or a path"
        raise RuleError(f"this begins like JSON\n{excerpt(text.strip(), 0, 1)}", hint=hint)


def _read_rule(words: Words) -> Rule:
    """One rule, from left to right."""
    arrow = words.find("->")
    if arrow is not None:
        raise words.wrong("'->' is not part of a rule", "write two rules; each rolls its own dice", at=arrow)
    comma = _comma(words)
    if comma is not None:
        raise words.wrong("a comma does not end a rule", "`;` or a new line begins another", at=comma)
    methods = _methods(words)
    path = _path(words, methods)
    match = _conditions(words, path, methods)
    percentage, count = _share(words)
    start = words.at
    given = read_faults(words)
    fallback = read_fallback(words)
    lifetime = _lifetime(words)
    name = _name(words)
    _end(words)
    faults: dict[str, Any] = {attribute(fault.kind): fault for fault in given.faults}
    try:
        return Rule(
            name,
            match,
            percentage=percentage,
            count=count,
            lifetime_seconds=lifetime,
            choose=tuple(given.choose),
            fallback=fallback,
            **faults,
        )
    except RuleError as error:
        raise words.wrong(error.message, error.hint, at=start) from None


def _comma(words: Words) -> int | None:
    """Where a comma stands between what look like two rules: behind path, share and fault, and before a path."""
    at = 2
    while following := words.peek(at + 1):
        begins = following.startswith("/") or (following in KNOWN_METHODS and words.peek(at + 2).startswith("/"))
        if begins and words.peek(at).endswith(","):
            return at
        at += 1
    return None


def _methods(words: Words) -> tuple[str, ...]:
    word, following = words.peek(), words.peek(1)
    if not _METHOD.fullmatch(word):
        meant = _meant_methods(words)
        if meant:
            hint = f"write {meant}" if following.startswith("/") else f"{_JOIN_HINT}: {meant}"
            raise words.wrong(f"{shown(word)} is not a method", hint)
        is_share = _PERCENT.fullmatch(following) or _COUNT.fullmatch(following)
        if word.upper() in KNOWN_METHODS and following and not is_share:
            raise words.wrong(f"{shown(word)} is not a method", f"write {word.upper()}")
        return ()
    methods = tuple(word.split(","))
    for method in methods:
        if method not in KNOWN_METHODS:
            best = nearest(method, sorted(KNOWN_METHODS), 0.7)
            hint = "a rule begins with a method or a path"
            if method in ("ALL", "ANY"):
                best, hint = "", "leave it out: without a method a rule holds for all"
            raise words.wrong(f"unknown method {shown(method)}", f"did you mean {best}?" if best else hint)
    words.take()
    return methods


def _meant_methods(words: Words) -> str:
    """Methods in front of a path, as they are written rightly; empty: other words stand there, or no path follows."""
    found: list[str] = []
    ahead = 0
    while (word := words.peek(ahead)) and not word.startswith("/"):
        found += filter(None, word.upper().split(","))
        ahead += 1
    return ",".join(found) if word and set(found) <= KNOWN_METHODS else ""


def _path(words: Words, methods: tuple[str, ...]) -> PathMatch:
    word = words.peek()
    if not word.startswith("/"):
        others = _meant_methods(words) or (word if word in KNOWN_METHODS else "")
        joined = f"{_JOIN_HINT}: {','.join(methods)},{others}" if methods and others else ""
        raise words.wrong("a path begins with /", joined or _path_hint(words, word))
    path = words.checked(lambda: PathMatch.parse(word))
    words.take()
    return path


def _path_hint(words: Words, word: str) -> str:
    if not word:
        return "write /payments, or /** for every path"
    if word == "*":
        return "write /** for every path"
    if word[0].isdigit() and words.peek(1).startswith("/"):
        return f"the path comes first: {words.peek(1)[:40]} {word[:40]} …"
    if word in FAULTS or word[0].isdigit():
        return words.rewritten("/** 100% " if word in FAULTS else "/** ")
    if word in SYNONYMS:
        return f"a rule begins with a path: /** 100% {SYNONYMS[word]} …"
    if word.endswith(":"):
        return f"a name goes last: … as {word[:-1][:40].lower()}"
    if word.startswith("#"):
        return "the form has no comments: remove the line"
    if _FILE.fullmatch(word):
        return "a file is given by FAULTWARE_CONFIG_FILE, or as a pathlib.Path"
    if "://" in word:
        return "write the path alone; the host is a condition: host=NAME"
    if (glued := _GLUED.fullmatch(word)) and glued[1] in KNOWN_METHODS:
        return f"write {glued[1]} {glued[2][:40]}"
    joined = re.split(r"[|/+]", word.upper())
    if len(joined) > 1 and KNOWN_METHODS.issuperset(joined):
        return f"{_JOIN_HINT}: {','.join(joined)}"
    return f"write /{word[:40]}"


def _conditions(words: Words, path: PathMatch, methods: Iterable[str]) -> Match:
    fields: dict[str, dict[str, str]] = {"header": {}, "query": {}, "cookie": {}}
    single: dict[str, str] = {}

    def match() -> Match:
        return Match(
            path,
            methods=methods,
            headers=fields["header"],
            query=fields["query"],
            cookies=fields["cookie"],
            host=single.get("host"),
            client=single.get("client", ()),
        )

    while found := _CONDITION.fullmatch(words.peek()):
        place, key, sign, value = found.groups()
        example = f"{place}:{key or 'x-name'}=1" if place in fields else _EXAMPLES[place]
        if place in fields and not key:
            raise words.wrong(f"{place} needs a key", f"write {example}")
        if place not in fields and key is not None:
            raise words.wrong(f"{place} takes no key", f"write {example}")
        if not sign or not value:
            name, colon, text = (key or "").partition(":")  # as headers are written elsewhere: NAME:VALUE
            meant = f"{place}:{name[:40]}={text[:40] or words.peek(1)[:40]}" if colon and name else example
            raise words.wrong(f"{place} needs a value", f"write {meant}")
        target, name = (fields[place], key.lower() if place == "header" else key) if key else (single, place)
        if name in target:
            raise words.wrong(f"{shown(name)} is given twice", "all conditions must hold: keep one")
        target[name] = value
        words.checked(match)
        words.take()
    return match()


def _share(words: Words) -> tuple[float, int | None]:
    word = words.peek()
    if _COUNT.fullmatch(word):
        count = _count(words)
        if _PERCENT.fullmatch(words.peek()):
            raise words.wrong("the percentage comes before the count", f"write {words.peek()} {word}")
        return 100, count
    if not _PERCENT.fullmatch(word):
        raise _no_share(words, word)
    percentage = words.checked(lambda: parse_percentage(word))
    words.take()
    return percentage, _count(words) if _COUNT.fullmatch(words.peek()) else None


def _count(words: Words) -> int:
    digits = words.peek()[:-1].lstrip("0")
    if not digits:
        raise words.wrong("a count is at least 1x")
    if len(digits) > len(str(MAX_COUNT)) or int(digits) > MAX_COUNT:
        raise words.wrong(f"a count is at most {MAX_COUNT}x")
    words.take()
    return int(digits)


def _no_share(words: Words, word: str) -> RuleError:
    following = words.peek(1)
    if not word and _FILE.fullmatch(words.peek(-1)):
        hint = "a file is given by FAULTWARE_CONFIG_FILE, or as a pathlib.Path"
        return words.wrong("how often? a share is required", hint)
    if _BARE.fullmatch(word):
        if following in ("%", "pct", "x"):
            return words.wrong("a share needs its sign", f"write {word}{following} without a blank")
        other = f" or {word}x" if word.isdigit() else f" or {float(word) * 100:g}%" if 0 < float(word) < 1 else ""
        return words.wrong("a share needs its sign", f"write {word}%{other}")
    if joined := _JOINED.fullmatch(word):
        return words.wrong(f"unknown share {shown(word)}", f"write {joined[1]} {joined[2]}")
    if word[:1].isdigit() or word[:1] in tuple("-+.%∞"):
        count = word[:-1] if word.endswith(("*", "X", "×")) else ""
        hint = f"write {count}x" if count.isdigit() else "such as 10%, 0.5%, 3x, 10% 3x"
        return words.wrong(f"unknown share {shown(word)}", hint)
    if not word or _names_fault(word) or word in ("for", "as"):
        hint = words.rewritten("10% abort 503") if not word else f"{words.rewritten('100% ')} to hit every request"
        return words.wrong("how often? a share is required", hint)
    if "=" in word or word.partition(":")[0].rstrip("s") in _CONDITIONS:
        best = nearest(re.split("[:=]", word)[0], _CONDITIONS, 0.75)
        return words.wrong(f"unknown condition {shown(word)}", f"did you mean {best}?" if best else _CONDITIONS_HINT)
    if word in KNOWN_METHODS:
        return words.wrong(f"unexpected {shown(word)}", f"the method comes first: {word} {words.peek(-1)[:40]} …")
    if word.startswith("/"):
        return words.wrong(f"unexpected {shown(word)}", "one path for each rule; `;` or a new line begins another")
    return words.wrong(f"unexpected {shown(word)}", "a share follows the path: 10%, or 3x")


def _names_fault(word: str) -> bool:
    return word in FAULTS or word in SYNONYMS or bool(nearest(word, FAULTS))


def _lifetime(words: Words) -> float | None:
    if words.peek() != "for":
        return None
    words.take()
    if not words.peek():
        raise words.wrong("for needs a duration", "write for 5m")
    seconds = words.checked(lambda: read_duration(words))
    if not seconds:
        raise words.wrong("a rule that lives for 0s does nothing", "leave the rule out")
    words.take()
    return seconds


def _name(words: Words) -> str:
    if words.peek() != "as":
        return ""
    words.take()
    name = words.peek()
    if not name:
        raise words.wrong("as needs a name", "write as pay-slow")
    if not NAME.fullmatch(name):
        raise words.wrong(f"{shown(name)} is not a rule name", NAME_HINT)
    words.take()
    return name


def _end(words: Words) -> None:
    word = words.peek()
    if word in ("for", "as"):
        hint = "for comes before as" if word == "for" else "one name is enough"
        raise words.wrong(f"unexpected {shown(word)}", hint)
    if word in FAULTS:
        raise words.wrong(f"unexpected {shown(word)}", f"write + {word} to add a fault")
    if _PERCENT.fullmatch(word) or _COUNT.fullmatch(word):
        raise words.wrong(f"unexpected {shown(word)}", "a share stands in front of the faults")
    if word:
        hint = "`;` or a new line begins another rule"
        if word in ("and", "then", "&", "&&"):
            hint = "faults are joined by +"
        elif word.startswith("name="):
            hint = f"write as {word[5:45]}"
        elif re.match(r"(?:body|headers?|content_type|after|template)(?:[=:]|\Z)", word):
            hint = "a document can say more of an abort: JSON here, or a file"
        elif words.peek(-2) == "as":
            hint = "a name is one word"
        raise words.wrong(f"unexpected {shown(word)}", hint)
