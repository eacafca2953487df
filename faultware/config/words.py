"""One rule of the one-line form as words, read from left to right with one word of look-ahead.

Knows where each word stands, so that an error can point at it; knows nothing of rules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from faultware.config.mistakes import MAX_ECHO
from faultware.errors import RuleError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_BEFORE: Final = 100
_INDENT: Final = "    "


class Words:
    """The words of one line.

    Args:
        line: The text of one rule.
    """

    def __init__(self, line: str) -> None:
        self._line = line
        self._words = [(found.group(), found.start()) for found in re.finditer(r"\S+", line)]
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        """The next word, or one behind it; empty at the end."""
        return self._words[self.at + ahead][0] if self.at + ahead < len(self._words) else ""

    def take(self) -> str:
        """The next word, which is then done with."""
        word = self.peek()
        self.at += 1
        return word

    def find(self, wanted: str) -> int | None:
        """Where a word stands, if it does."""
        return next((position for position, (word, _) in enumerate(self._words) if word == wanted), None)

    def wrong(self, message: str, hint: str = "", *, at: int | None = None) -> RuleError:
        """An error that points at the next word, or at another one; behind the last word, where one is missing."""
        position = self.at if at is None else at
        word, start = self._words[position] if position < len(self._words) else ("", len(self._line) + 1)
        return RuleError(f"{message}\n{excerpt(self._line, start, len(word))}", hint=hint)

    def checked(self, build: Callable[[], T]) -> T:
        """What `build` makes of the next word; an error of its own points there."""
        try:
            return build()
        except RuleError as error:
            raise self.wrong(error.message, error.hint) from None

    def rewritten(self, inserted: str) -> str:
        """A hint: the line with something put in front of the next word."""
        start = self._words[self.at][1] if self.at < len(self._words) else len(self._line)
        better = f"{self._line[:start].rstrip()} {inserted}{self._line[start:]}".strip()
        return f"write {better}" if len(better) <= 100 else f"write {inserted.strip()} here"


def excerpt(line: str, start: int, length: int) -> str:
    """Two lines: at most 200 characters of the text around a word, and carets under it.

    Args:
        line: One line of text.
        start: Where the word begins; at the end of the line, something is missing there.
        length: The word's length.
    """
    begin = max(0, start - _BEFORE) if len(line) > MAX_ECHO else 0
    # Control characters would move the caret, or the terminal.
    visible = "".join(letter if letter.isprintable() else " " for letter in line[begin : begin + MAX_ECHO])
    if begin:
        visible = "…" + visible[1:]
    if begin + MAX_ECHO < len(line):
        visible = visible[:-1] + "…"
    mark = "^" * max(1, min(length, MAX_ECHO - (start - begin)))
    return f"{_INDENT}{visible}\n{_INDENT}{' ' * (start - begin)}{mark}"
