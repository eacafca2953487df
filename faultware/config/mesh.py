"""Reads the values of settings that concern meshes. As in `values`, errors name no place: the caller knows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeGuard, cast

from faultware.config.mistakes import shown
from faultware.core.matching import Match
from faultware.errors import RuleError

_UINT32: Final = 2**32 - 1
_KEY: Final = re.compile(r"[\w.-]{1,200}", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


def read_runtime(value: object) -> tuple[tuple[str, int], ...]:
    """Runtime keys of Envoy with their numbers: a mapping, or `key=number` with commas between."""
    if isinstance(value, str):
        words = [word.strip() for word in value.split(",") if word.strip()]
        pairs: list[tuple[object, object]] = [_pair(word) for word in words]
    elif isinstance(value, Mapping):
        pairs = list(cast("Mapping[object, object]", value).items())
    elif _are_pairs(value):
        pairs = list(value)
    else:
        raise RuleError(f"{shown(value)} is not a mapping", hint="fault.http.abort.abort_percent=10")
    return tuple((_key(key), _number(key, number)) for key, number in pairs)


def _are_pairs(value: object) -> TypeGuard[tuple[tuple[object, object], ...]]:
    return isinstance(value, tuple) and all(map(_is_pair, cast("tuple[object, ...]", value)))


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(cast("tuple[object, ...]", value)) == 2


def _pair(word: str) -> tuple[object, object]:
    key, equals, digits = word.partition("=")
    if not equals or not _DIGITS.fullmatch(digits.strip()):
        raise RuleError(f"{shown(word)} is no key with its number", hint="fault.http.abort.abort_percent=10")
    return key.strip(), int(digits)


def _key(key: object) -> str:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise RuleError(f"{shown(key)} is not a runtime key", hint="such as fault.http.abort.abort_percent")
    return key


def _number(key: object, number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _UINT32:
        raise RuleError(f"{shown(number)} is not possible for {key}", hint=f"a whole number from 0 to {_UINT32}")
    return number


def read_networks(value: object) -> tuple[str, ...]:
    """Addresses and networks, separated by commas; `*` is everybody."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)):
        raise RuleError(f"{shown(value)} is not a list", hint="such as 127.0.0.1, 10.0.0.0/8; * is everybody")
    networks = [word.strip() if isinstance(word, str) else word for word in cast("list[object]", words)]
    found = tuple(str(network) for network in networks if network != "")
    if "*" in found:
        if len(found) > 1:
            raise RuleError("* is everybody", hint="leave the others out")
        return found
    return Match(client=cast("list[str]", networks)).client


def read_stats_style(value: object) -> str:
    """Whose names of counters are shown besides ours: empty, or `envoy`."""
    style = value.strip().lower() if isinstance(value, str) else None
    if style not in ("", "envoy"):
        raise RuleError(f"{shown(value)} is not a style", hint="envoy, or nothing")
    return style
