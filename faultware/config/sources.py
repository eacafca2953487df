"""Where settings come from: the environment, a file, the arguments of a middleware. Collects; does not read values.

Each source knows what to call a setting that stands in it, so that an error names the place where it can be corrected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faultware.config.files import read_file
from faultware.config.mistakes import nearest, shown
from faultware.errors import ConfigurationError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PREFIX: Final = "FAULTWARE_"

# Kubernetes sets these in every pod of a namespace that has a Service called faultware; nobody misspelt them.
_SERVICE_LINKS: Final = re.compile(r"FAULTWARE_(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)\w*)?)")

# What the command line takes for itself, and may stand in the environment of a service.
_COMMAND_LINE: Final = frozenset({"FAULTWARE_CONTROL_URL"})


# What settings are called elsewhere, or in the head of somebody who has not looked.
_SYNONYMS: Final = {
    "env": "environment",
    "stage": "environment",
    "disabled": "enabled",
    "active": "armed",
    "exempt": "exclude",
    "ignore": "exclude",
    "skip": "exclude",
    "faults": "rules",
    "guards": "abort_when",
    "redis_url": "store",
    "redis": "store",
    "header": "mark_responses",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Settings from one place, by name, as they were given.

    Args:
        values: What was given.
        before: What stands before a setting's name there.
        after: What stands behind it.
        upper: Whether names are in capitals there.
    """

    values: dict[str, object]
    before: str = ""
    after: str = ""
    upper: bool = False

    def label(self, name: str) -> str:
        """What a setting is called in this place."""
        return f"{self.before}{name.upper() if self.upper else name}{self.after}"


def variables_source(
    environ: Mapping[str, str], names: Iterable[str], switches: Iterable[str], mistakes: list[ConfigurationError]
) -> Source:
    """The variables. Their case does not count; a blank one is not set, except that a blank switch is off.

    Args:
        environ: The environment.
        names: The settings there are.
        switches: Those that are on or off.
        mistakes: Unknown variables, and variables set in two spellings, are added here.
    """
    known = {f"{PREFIX}{name.upper()}": name for name in names}
    spellings: dict[str, str] = {}
    values: dict[str, object] = {}
    for variable, text in environ.items():
        upper = variable.upper()
        if not upper.startswith(PREFIX) or upper in _COMMAND_LINE or _SERVICE_LINKS.fullmatch(upper):
            continue
        if upper not in known:
            mistakes.append(
                SettingsError(f"unknown variable {shown(variable)}", hint=_variable_hint(upper, known.values()))
            )
        elif upper in spellings:
            message = f"this is set twice, as {spellings[upper]} and as {variable}"
            mistakes.append(SettingsError(message, where=upper, hint="remove one"))
        else:
            spellings[upper] = variable
            if text.strip() or known[upper] in switches:
                values[known[upper]] = text
    return Source(values, before=PREFIX, upper=True)


def _meant(name: str, names: Iterable[str]) -> str:
    """The setting that was probably meant, or an empty text; the prefix of variables does not count."""
    known = list(names)
    # Some tools write nested names with two underscores; there are none here.
    word = name.lower().removeprefix(PREFIX.lower()).partition("__")[0]
    if word in known:
        return word
    if _SYNONYMS.get(word) in known:
        return _SYNONYMS[word]
    # Half of a name: TOKEN is CONTROL_TOKEN, however much STORE looks like it.
    return nearest(word, [other for other in known if word in other.split("_")], 0) or nearest(word, known)


def _variable_hint(variable: str, names: Iterable[str]) -> str:
    best = _meant(variable, names)
    return f"did you mean {PREFIX}{best.upper()}?" if best else f"{PREFIX} and one of {', '.join(names).upper()}"


def _hint(name: str, names: Iterable[str]) -> str:
    best = _meant(name, names)
    return f"did you mean {best}?" if best else f"one of {', '.join(names)}"


def arguments_source(
    arguments: Mapping[str, object], names: Iterable[str], mistakes: list[ConfigurationError]
) -> Source:
    """The arguments of a middleware; None is not given. Unknown ones are added to `mistakes`."""
    names = list(names)
    mistakes += [
        SettingsError(f"unknown argument {shown(name)}", hint=_hint(name, names))
        for name in arguments
        if name not in names
    ]
    values = {name: value for name, value in arguments.items() if name in names and value is not None}
    return Source(values, after="=")


def file_source(path: Path, names: Iterable[str], mistakes: list[ConfigurationError]) -> Source:
    """The settings in a file. Unknown ones, and those without a value, are added to `mistakes`.

    Raises:
        SettingsError: The file cannot be read.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    names = [name for name in names if name != "config_file"]
    source = Source(read_file(path), before=f"{path}: ")
    for name, value in source.values.items():
        if name == "config_file":
            mistakes.append(SettingsError("a file cannot name another", where=source.label(name), hint="leave it out"))
        elif name not in names:
            hint = _hint(name, names)
            mistakes.append(SettingsError(f"unknown key {shown(name)}", where=str(path), hint=hint))
        elif value is None:
            hint = "leave it out, or write a value"
            mistakes.append(SettingsError("nothing is given", where=source.label(name), hint=hint))
    values = {name: value for name, value in source.values.items() if name in names and value is not None}
    return Source(values, before=source.before)
