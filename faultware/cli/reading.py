"""Rules as the command line is given them: a file, one line, or the standard input."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faultware.errors import SettingsError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping, Sequence

    from faultware.core.rules import Rule
    from faultware.interop.remarks import Remark


@dataclass(frozen=True, slots=True)
class Target:
    """What stands in a file, or in a text.

    Args:
        rules: The rules.
        settings: What stands beside them, by name, read.
        remarks: What was not carried over, if the file was a foreign one.
    """

    rules: tuple[Rule, ...]
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    remarks: tuple[Remark, ...] = ()


def target_argument(parser: ArgumentParser) -> None:
    """The argument that `read_whole` understands."""
    parser.add_argument("target", metavar="FILE|RULES", help="a file, rules in one line, or - for the standard input")


def read_whole(target: str) -> Target:
    """The rules in a file, in a text, or, for `-`, in what comes in, with what stands beside them.

    A rule holds blanks; what holds none, or names a file, is a path. A file may be a foreign one; so may what comes in.

    Raises:
        ConfigurationError: They cannot be used; a file with settings is looked at as a whole.
    """
    from faultware.config.values import read_rules_value  # noqa: PLC0415  (loads pydantic)

    if target == "-":
        text = standard_input()
        return _of_document(text) if _DOCUMENT.match(text) else Target(read_rules_value(text))
    path = Path(target)
    if any(letter.isspace() for letter in target.strip()) and not path.is_file():
        return Target(read_rules_value(target))
    return _of_file(path)


def documents(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Rules in the document form."""
    from faultware.core.rendering import rule_document  # noqa: PLC0415

    return [rule_document(rule) for rule in rules]


def standard_input() -> str:
    """What comes in.

    Raises:
        SettingsError: It is not UTF-8.
    """
    from faultware.config.mistakes import holds_surrogates  # noqa: PLC0415

    try:
        text = sys.stdin.read()
    except UnicodeDecodeError:
        text = "\udcff"
    # Some locales let through what is no text.
    if holds_surrogates(text):
        raise SettingsError("this is not UTF-8", where=INPUT, hint="send UTF-8")
    return text


def is_json(text: str) -> bool:
    """Whether a text that may be YAML is JSON: behind its first brackets stands a quotation mark, or their end."""
    return _JSON.match(text) is not None


_JSON: Final = re.compile(r"\s*[\[{][\[{\s]*[\"\]}]")
# What no rule in one line begins with: a key, a list, the mark between documents, perhaps behind comments; or JSON.
_DOCUMENT: Final = re.compile(r"(?:\s*#.*\n)*\s*(?:---|[A-Za-z_]\w*\s*:|-\s|[{\[])")
INPUT: Final = "standard input"


def _of_document(text: str) -> Target:
    from faultware.config.files import read_document  # noqa: PLC0415
    from faultware.interop.hints import has_foreign_words  # noqa: PLC0415

    kind = ".json" if is_json(text) else ".yaml"
    if has_foreign_words(text.encode(errors="replace")):
        from faultware.interop.load import import_text  # noqa: PLC0415

        imported = import_text(text, INPUT, is_json=kind == ".json")
        if imported is not None:
            return Target(imported.rules, imported.settings, imported.remarks)
    return _of_data(read_document(text, INPUT, kind))


def _of_data(data: dict[str, object]) -> Target:
    from faultware.config.loading import load_settings  # noqa: PLC0415  (loads asyncio)
    from faultware.config.mistakes import did_you_mean, shown  # noqa: PLC0415
    from faultware.config.settings import NAMES  # noqa: PLC0415  (loads asyncio)
    from faultware.config.values import read_rules_value  # noqa: PLC0415

    if data.keys() <= {"rules"}:
        return Target(read_rules_value(data.get("rules", ())))
    for name in data:
        if name not in NAMES:
            raise SettingsError(f"unknown key {shown(name)}", where=INPUT, hint=did_you_mean(name, NAMES))
    given: dict[str, Any] = {**data, "enabled": True}
    settings = load_settings({}, **given)
    return Target(settings.rules, {name: getattr(settings, name) for name in data if name != "rules"})


def _of_file(path: Path) -> Target:
    from faultware.config.files import read_file  # noqa: PLC0415
    from faultware.config.loading import load_settings  # noqa: PLC0415  (loads asyncio)
    from faultware.config.values import read_rules_value  # noqa: PLC0415
    from faultware.interop.hints import may_be_foreign  # noqa: PLC0415

    if may_be_foreign(path):
        from faultware.interop.load import import_file  # noqa: PLC0415

        imported = import_file(path)
        if imported is not None:
            return Target(imported.rules, imported.settings, imported.remarks)
    data = read_file(path)
    if data.keys() <= {"rules"}:
        return Target(read_rules_value(path))
    settings = load_settings({}, config_file=path, enabled=True)
    beside = {name: getattr(settings, name) for name in data if name != "rules"}
    # A service that a file keeps off does not look at its rules; whoever asks here wants to know.
    return Target(settings.rules if settings.enabled else read_rules_value(data.get("rules", ())), beside)
