"""Rules as the command line is given them: a file, one line, or the standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faultware.core.rules import Rule


def read_target(target: str) -> tuple[Rule, ...]:
    """The rules in a file, in a text, or, for `-`, in what comes in.

    A rule holds blanks; what holds none, or names a file, is a path. A file may be a foreign one.

    Raises:
        ConfigurationError: They cannot be used; a file with settings is looked at as a whole.
    """
    from faultware.config.values import read_rules_value  # noqa: PLC0415  (loads pydantic)

    if target == "-":
        return read_rules_value(sys.stdin.read())
    path = Path(target)
    if any(letter.isspace() for letter in target.strip()) and not path.is_file():
        return read_rules_value(target)
    return _of_file(path)


def documents(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Rules in the document form."""
    from faultware.core.rendering import rule_document  # noqa: PLC0415

    return [rule_document(rule) for rule in rules]


def _of_file(path: Path) -> tuple[Rule, ...]:
    from faultware.config.files import read_file  # noqa: PLC0415
    from faultware.config.settings import load_settings  # noqa: PLC0415  (loads asyncio)
    from faultware.config.values import read_rules_value  # noqa: PLC0415
    from faultware.interop.hints import may_be_foreign  # noqa: PLC0415

    if may_be_foreign(path):
        from faultware.interop.load import import_file  # noqa: PLC0415

        imported = import_file(path)
        if imported is not None:
            return imported.rules
    data = read_file(path)
    if data.keys() <= {"rules"}:
        return read_rules_value(path)
    settings = load_settings({}, config_file=path, enabled=True)
    # A service that a file keeps off does not look at its rules; whoever asks here wants to know.
    return settings.rules if settings.enabled else read_rules_value(data.get("rules", ()))
