"""How mistakes are told: what is echoed of an input, the nearest right word, several mistakes in one error.

Everything here takes text that somebody else wrote, so it is cut, kept in one line, and never repeats what may hold
secrets.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Final

from faultware.errors import ConfigurationError, RuleError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_MISTAKES: Final = 20
MAX_ECHO: Final = 200
_MAX_VALUE: Final = 60

# supervisord replaces `% a`, `% r` and `% h` in `environment=` by the repr of its table of variables, which holds the
# whole environment of the daemon.
_LEAK: Final = re.compile(r"\{'(?:here'|ENV_)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

LEAK_MESSAGE: Final = "a process manager ate the % sign and put its variables in its place"
LEAK_HINT: Final = "write %% or pct there; the text is not shown, since it holds the manager's environment"


def holds_leak(text: str) -> bool:
    """Whether a text holds the environment of a process manager, and so must not be shown to anybody."""
    return _LEAK.search(text) is not None


def holds_surrogates(text: str) -> bool:
    """Whether a text holds what is no character: half of an UTF-16 pair, or bytes of a variable that are not UTF-8."""
    return _SURROGATE.search(text) is not None


def shown(value: object) -> str:
    """A value as an error shows it: in one line, quoted if it is a text, cut."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            if holds_leak(value):
                return "this text"
            return repr(value if len(value) <= _MAX_VALUE else value[: _MAX_VALUE - 1] + "…")
        case int():
            return str(value) if -(10**20) < value < 10**20 else "a number of more than 20 digits"
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            name = type(value).__name__
            return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def cut(message: str, limit: int = MAX_ECHO) -> str:
    """A message of ours that repeats an input, cut to a readable length."""
    return message if len(message) <= limit else message[: limit - 1] + "…"


def nearest(word: str, choices: Iterable[str], likeness: float = 0.6) -> str:
    """The choice that was probably meant, or an empty text."""
    found = difflib.get_close_matches(word[:_MAX_VALUE], list(choices), n=1, cutoff=likeness)
    return found[0] if found else ""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint: the choice that was probably meant, or else all of them."""
    choices = list(choices)
    best = nearest(word, choices)
    return f"did you mean {best}?" if best else f"one of {', '.join(choices)}"


def seen_from(
    error: ConfigurationError, place: str, kind: type[ConfigurationError] | None = None
) -> ConfigurationError:
    """The same error with the variable, argument or file in front of its place; of another kind if that is given."""
    where = f"{place}: {error.where}" if error.where else place
    return (kind or type(error))(error.message, where=where, hint=error.hint)


def together(mistakes: Sequence[ConfigurationError]) -> ConfigurationError:
    """One error for all mistakes. A single one stays as it is; several become a list, a paragraph each."""
    if len(mistakes) == 1:
        return mistakes[0]
    kind = RuleError if all(isinstance(mistake, RuleError) for mistake in mistakes) else SettingsError
    shown_mistakes = [str(mistake).replace("\n", "\n  ") for mistake in mistakes[:MAX_MISTAKES]]
    count = f"the first {MAX_MISTAKES}" if len(mistakes) >= MAX_MISTAKES else str(len(mistakes))
    return kind(f"{count} mistakes:\n  " + "\n  ".join(shown_mistakes))
