"""Reads a configuration file: TOML, YAML or JSON, to plain data.

Says what is wrong with file, line and column. Knows nothing of what the keys mean.
"""

from __future__ import annotations

import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any, Final, cast

from faultware.config.mistakes import cut, shown, together
from faultware.config.plain import load_json, plain_mistakes
from faultware.errors import MissingExtraError, RuleError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 1024 * 1024
_KINDS: Final = (".toml", ".yaml", ".yml", ".json")
_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def read_file(path: Path) -> dict[str, object]:
    """The mapping a file holds. A list at its root stands under `rules`, a table `faultware` is unfolded.

    Raises:
        SettingsError: There is no such file, it is too large, or it is not what its name says; with line and column.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    where = str(path)
    kind = path.suffix.lower()
    if kind not in _KINDS:
        hint = f"one of {', '.join(_KINDS)}"
        raise SettingsError(f"the suffix {shown(path.suffix)} says nothing about its content", where=where, hint=hint)
    return read_document(_text(read_bytes(path, MAX_BYTES), where), where, kind)


def read_document(text: str, where: str, kind: str = ".yaml") -> dict[str, object]:
    """The mapping a text holds; see `read_file`.

    Args:
        text: The text.
        where: What to call it in errors.
        kind: The suffix of a file with the like.
    """
    match kind:
        case ".toml":
            data = _toml(text, where)
        case ".json":
            data = _json(text, where)
        case _:
            data = _yaml(text, where)
    mistakes = plain_mistakes(data, "")
    if mistakes:
        placed = [
            SettingsError(error.message, where=f"{where}: {error.where}" if error.where else where, hint=error.hint)
            for error in mistakes
        ]
        raise together(placed)
    return _unfolded(_root(data, where), where)


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a file that is no longer than `limit`.

    Raises:
        SettingsError: It is not there, is no file, cannot be read, or is longer.
    """
    where = str(path)
    try:
        # A pipe or a device would be read for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SettingsError("this is not a file", where=where, hint="give the path of a file")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        raise SettingsError("there is no such file", where=where) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"this cannot be read: {reason}", where=where) from None
    if len(content) > limit:
        raise SettingsError("this is too large", where=where, hint=f"at most {limit} bytes")
    return content


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError("this is not UTF-8", where=f"{where}, line {line}", hint="save the file as UTF-8") from None


def _toml(text: str, where: str) -> object:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError("this is nested too deep", where=where) from None
    except (ValueError, OverflowError) as error:  # TOMLDecodeError, and numbers and dates that look like some
        message = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number or a date is not possible"
        place = _TOML_PLACE.search(message)
        reason = cut(_TOML_PLACE.sub("", message))
        if place and place[1]:
            where = f"{where}, line {place[1]}, column {place[2]}"
        elif place:
            where = f"{where}, line {text.count(chr(10)) + 1}"
        raise SettingsError(f"this is not TOML: {reason}", where=where) from None


def _json(text: str, where: str) -> object:
    try:
        return load_json(text, where)
    except RuleError as error:
        raise SettingsError(error.message, where=error.where, hint=error.hint) from None


def _yaml(text: str, where: str) -> object:
    try:
        from faultware.config.yamlfile import read_yaml  # noqa: PLC0415  (an extra)
    except ImportError:
        raise MissingExtraError(f"the YAML file {where}", "yaml") from None
    return read_yaml(text, where)


def _root(data: object, where: str) -> dict[str, object]:
    match data:
        case None:
            return {}
        case dict():
            return cast("dict[str, object]", data)
        case list():
            return {"rules": cast("Any", data)}
        case _:
            # Not shown: it may be a secret behind which a colon is missing.
            raise SettingsError("this is not a mapping", where=where, hint="rules: and settings stand here")


def _unfolded(data: dict[str, object], where: str) -> dict[str, object]:
    """The settings at the root and those of the table `faultware` together."""
    table = data.get("faultware")
    if not isinstance(table, dict):
        return data
    inner = cast("dict[str, object]", table)
    outer = {key: value for key, value in data.items() if key != "faultware"}
    twice = sorted(outer.keys() & inner.keys())
    if twice:
        hint = "once at the root, once under faultware: remove one"
        raise SettingsError(f"{', '.join(twice)[:80]} is given twice", where=where, hint=hint)
    return {**outer, **inner}
