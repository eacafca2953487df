"""Reads the values of settings: each from a text, as a variable has it, or from what a file or an argument has.

Every function raises `RuleError` for what it cannot use, without a place: the caller knows where the value stood.
Values that may be secrets are never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from faultware.config.documents import read_rules, read_text
from faultware.config.files import read_file
from faultware.config.mistakes import holds_surrogates, seen_from, shown, together
from faultware.config.oneline import repeated_names
from faultware.config.quantities import NUMBER, parse_duration, read_percentage
from faultware.config.storeurl import read_redis_url
from faultware.core.delays import MAX_SECONDS
from faultware.core.matching import PathMatch
from faultware.core.rules import Rule
from faultware.errors import RuleError, SettingsError

MAX_INTEGER: Final = 10**9
LEAST_GRACE: Final = 2.0
MOST_GRACE: Final = 3600.0

_ON: Final = frozenset({"true", "t", "1", "yes", "y", "on"})
_OFF: Final = frozenset({"false", "f", "0", "no", "n", "off", ""})
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}(?:_[0-9]{1,20})*(?:\.0{1,20})?", re.ASCII)
_HOST: Final = re.compile(r"\*|\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()+,;=:@-]+)+", re.ASCII)


def read_switch(value: object) -> bool:
    """On or off. A blank text is off."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _ON:
        return True
    if word in _OFF:
        return False
    if isinstance(value, (int, float)):
        raise RuleError(f"{shown(value)} is a number", hint="write true or false")
    raise RuleError(f"{shown(value)} is neither on nor off", hint="true, 1, yes, on; or false, 0, no, off, nothing")


def read_whole(value: object) -> int:
    """A whole number, as digits or as a number."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value.strip().partition(".")[0])
    if isinstance(value, bool) or not isinstance(value, int):
        raise RuleError(f"{shown(value)} is not a whole number", hint="write digits, such as 100")
    if not -(2**63) <= value < 2**63:
        raise RuleError(f"{shown(value)} is too large", hint="64 bits at most")
    return value


def read_bound(value: object) -> int:
    """A whole number that bounds something: 0 or more."""
    number = read_whole(value)
    if not 0 <= number <= MAX_INTEGER:
        raise RuleError(f"{number} is not possible", hint=f"0 to {MAX_INTEGER}")
    return number


def read_delay_bound(value: object) -> float:
    """A duration of at most a day, in seconds."""
    seconds = parse_duration(value.strip() if isinstance(value, str) else value)
    if seconds > MAX_SECONDS:
        raise RuleError(f"{shown(value)} is too long", hint="at most 24h")
    return seconds


def read_grace(value: object) -> float:
    """How long rules may outlive the last answer of their store, in seconds: long enough for it to be asked again."""
    seconds = parse_duration(value.strip() if isinstance(value, str) else value)
    if not LEAST_GRACE <= seconds <= MOST_GRACE:
        raise RuleError(f"{shown(value)} is not possible", hint="2s to 1h")
    return seconds


def read_share(value: object) -> float:
    """A percentage with or without its sign; a number between 0 and 1 only with it."""
    if isinstance(value, str):
        text = value.strip()
        is_bare = re.fullmatch(NUMBER, text, re.ASCII)
        return read_percentage((int(text) if text.isdigit() else float(text)) if is_bare else text)
    return read_percentage(value)


def read_word(value: object) -> str:
    """A text without blanks around it, in lower case."""
    return _text(value).strip().lower()


def read_path(value: object) -> Path | None:
    """A path with its tilde expanded; a blank one is none."""
    if not isinstance(value, (str, Path)):
        raise RuleError(f"{shown(value)} is not a path", hint="quote it")
    text = str(value).strip() if isinstance(value, str) else str(value)
    if not text:
        return None
    if "\0" in text:
        raise RuleError(f"{shown(text)} is not a path", hint="it holds a null character")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise RuleError(f"{shown(text)} is not a path", hint="there is no such user") from None


def read_control_path(value: object) -> str:
    """A path below which the control endpoint lives."""
    path = _text(value).strip()
    if not path.startswith("/"):
        raise RuleError(f"{shown(path)} does not begin with /", hint="such as /_faultware")
    if path == "/":
        raise RuleError("the whole service cannot be the control endpoint", hint="such as /_faultware")
    if path.endswith("/"):
        raise RuleError(f"{shown(path)} ends with /", hint=f"write {shown(path.rstrip('/') or '/_faultware')[1:-1]}")
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise RuleError(f"{shown(path)} holds a segment of dots", hint="which clients resolve: leave it out")
    if not _PLAIN_PATH.fullmatch(path):
        raise RuleError(
            f"{shown(path)} is not a plain path", hint="segments of letters, digits and ._~-, such as /_faultware"
        )
    return path


def read_hosts(value: object) -> tuple[str, ...]:
    """Names under which the control endpoint may be called, separated by commas; `*` is any."""
    hosts = tuple(dict.fromkeys(_text(host).strip().lower().rstrip(".") for host in _several(value) if host != ""))
    for host in hosts:
        if not _HOST.fullmatch(host):
            port = re.fullmatch(r"(.+):[0-9]+", host)
            hint = f"write {port[1][:60]} without the port" if port else "a name alone, such as api.example.com, or *"
            raise RuleError(f"{shown(host)} is not a host name", hint=hint)
    return hosts


def read_url(value: object) -> str:
    """An address of http or https, without user and password; a blank one is none."""
    text = _text(value).strip()
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        is_possible = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        has_user = parts.username is not None
    except ValueError:
        is_possible, has_user = False, False
    # What is no address may hold a password all the same: one with a slash ends the host.
    if has_user or (not is_possible and "@" in text):
        raise RuleError("the address holds a user or a password", hint="leave it out")
    if not is_possible or not text.isprintable() or " " in text:
        raise RuleError(f"{shown(text)} is no address", hint="such as http://prometheus:9090")
    return text


def read_exclude(value: object) -> tuple[PathMatch, ...]:
    """Paths that faults never reach, separated by commas."""
    return tuple(path if isinstance(path, PathMatch) else PathMatch.parse(_text(path)) for path in _several(value))


def read_store(value: object) -> str:
    """Where the state lives: empty, `memory:`, `file:/a/directory`, `mounted:/a/file` or the URL of a Redis.

    Not shown in errors: it may hold a password.
    """
    store = _text(value).strip()
    if store in ("", "memory:"):
        return store
    scheme, colon, place = store.partition(":")
    if colon and scheme.partition("+")[0] in ("redis", "rediss"):
        read_redis_url(store)
        return store
    hint = "memory:, file: and the absolute path of a directory, mounted: and that of a file, or redis://HOST:6379/0"
    if scheme == "memory":
        problem = "memory: takes nothing behind the colon" if colon else "this is no store"
        raise RuleError(problem, hint="write memory:")
    if scheme not in ("file", "mounted") or not colon:
        named = f"the store {shown(scheme)} is unknown" if colon and scheme.isalnum() else "this is no store"
        raise RuleError(named, hint=hint)
    example = "file:/var/lib/faultware" if scheme == "file" else "mounted:/etc/faultware/faults.yaml"
    if place.startswith("//"):
        raise RuleError(f"{scheme}: takes a path, not an address", hint=f"write {example}")
    if not place.startswith("/"):
        raise RuleError("the path of the store is not absolute", hint=f"write {example}")
    if "\0" in place:
        raise RuleError("the path of the store holds a null character", hint=hint)
    return store


def read_rules_value(value: object) -> tuple[Rule, ...]:
    """Rules: one line or JSON as text, documents, a file, or a list of rule objects, lines and documents."""
    if isinstance(value, str):
        return tuple(read_text(value))
    if isinstance(value, Path):
        return _rules_of_file(value)
    if isinstance(value, Rule):
        return (value,)
    if not _is_list(value):
        return tuple(read_rules(value))
    items = _items(value)
    if all(isinstance(item, dict) for item in items):
        return tuple(read_rules(items))
    rules: list[Rule] = []
    mistakes: list[RuleError] = []
    for index, item in enumerate(items):
        try:
            rules += _rules_of_item(item, f"rules[{index}]")
        except RuleError as error:
            mistakes.append(error)
    mistakes += repeated_names(rules)
    if mistakes:
        raise together(mistakes)
    return tuple(rules)


def _rules_of_item(item: object, where: str) -> list[Rule]:
    if isinstance(item, Rule):
        return [item]
    if isinstance(item, str):
        try:
            return read_text(item)
        except RuleError as error:
            raise seen_from(error, where) from None
    if not isinstance(item, dict):
        raise RuleError(f"{shown(item)} is not a rule", where=where, hint="a Rule, a mapping, or a text in one line")
    document: Any = item  # pyright: ignore[reportUnknownVariableType]
    return read_rules(document, where=where)


def _rules_of_file(path: Path) -> tuple[Rule, ...]:
    try:
        data = read_file(path.expanduser())
    except (SettingsError, RuntimeError) as error:
        if isinstance(error, SettingsError):
            raise RuleError(error.message, where=error.where, hint=error.hint) from None
        raise RuleError(f"{shown(str(path))} is not a path", hint="there is no such user") from None
    other = next((key for key in data if key != "rules"), None)
    if other is not None:
        hint = "a file that holds settings is given as config_file"
        raise RuleError(f"unknown key {shown(other)} beside rules", where=str(path), hint=hint)
    try:
        return read_rules_value(data.get("rules", []))
    except RuleError as error:
        raise seen_from(error, str(path)) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RuleError(f"{shown(value)} is not a text", hint="quote it")
    if holds_surrogates(value):
        raise RuleError("the text is not UTF-8")
    return value


def _several(value: object) -> list[object]:
    """The elements of a list, or of a text with commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not _is_list(value):
        raise RuleError(f"{shown(value)} is not a list", hint="a list of texts, or a text with commas")
    return _items(value)


def _is_list(value: object) -> bool:
    """Whether a value has elements, and is not a single thing that happens to have some."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict))


def _items(value: object) -> list[object]:
    return list(cast("Iterable[object]", value))
