"""Whether it is worth the while to read a file as a foreign document. Loads nothing of what reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES: Final = (".yaml", ".yml", ".json")
# Words that stand in foreign documents and not in ours.
_WORDS: Final = re.compile(
    rb"VirtualService|HTTPFault|typed_?config|typed_?per_?filter|http_?filters|static_?resources|virtual_?hosts"
    rb"|fault-injection|\"?upstream\"?\s*:",
    re.IGNORECASE,
)
_MOST: Final = 8 * 1024 * 1024


def has_foreign_words(content: bytes) -> bool:
    """Whether a word stands there that only foreign documents have."""
    return _WORDS.search(content) is not None


def may_be_foreign(path: Path) -> bool:
    """Whether a file has a word that only foreign documents have. One that cannot be read has none."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return has_foreign_words(file.read(_MOST))
    except (OSError, ValueError):
        return False
