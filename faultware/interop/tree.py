"""Foreign documents as a tree in which every value knows where it stands.

Reads YAML (with PyYAML, an extra) and JSON (without). Values stay as they were written: what `0x1f7` or an unquoted
`on` means is a matter of the format that is read. Anchors are followed, but what unfolds into too much is refused; so
are tags, merge keys, keys given twice, and what is nested too deep. Knows nothing of faults.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from faultware.config.mistakes import cut, holds_surrogates, shown
from faultware.config.plain import load_json
from faultware.errors import MissingExtraError, RuleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind: TypeAlias = Literal["mapping", "list", "text", "number", "switch", "nothing"]

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 500_000

_KINDS: Final[Mapping[Kind, str]] = {
    "mapping": "a mapping",
    "list": "a list",
    "text": "a text",
    "number": "a number",
    "switch": "true or false",
    "nothing": "nothing",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One value.

    Args:
        kind: What it is.
        file: Where it stands: the file's name, or what stands for it.
        line: … and the line, from 1.
        place: The way to it through the document: `spec.http[0].fault`.
        text: A text, a number, or true and false, as they were written.
        is_quoted: Whether the text stood in quotes or in a block.
        fields: What a mapping holds.
        items: What a list holds.
    """

    kind: Kind
    file: str
    line: int
    place: str
    text: str = ""
    is_quoted: bool = False
    fields: Mapping[str, Node] = field(default_factory=dict[str, "Node"])
    items: tuple[Node, ...] = ()

    @property
    def where(self) -> str:
        """File, line and field, as errors name them."""
        return f"{self.file}, line {self.line}" + (f": {self.place}" if self.place else "")

    @property
    def shown(self) -> str:
        """The value as an error shows it."""
        if self.kind in ("mapping", "list", "nothing"):
            return "nothing" if self.kind == "nothing" else _KINDS[self.kind]
        return shown(self.text) if self.kind == "text" else cut(self.text, 60)

    def wrong(self, message: str, hint: str = "") -> RuleError:
        """An error that names this place."""
        return RuleError(message, where=self.where, hint=hint)

    def get(self, name: str) -> Node | None:
        """A field of a mapping; None: it is not there, or holds nothing, or this is no mapping."""
        found = self.fields.get(name)
        return None if found is None or found.kind == "nothing" else found


@dataclass(frozen=True, slots=True)
class Tree:
    """What a file holds.

    Args:
        documents: The roots: several in YAML, one in JSON. Empty documents are left out.
        rest: Where something stands behind the end of a JSON document; empty: nothing does.
    """

    documents: tuple[Node, ...]
    rest: str = ""


def read_tree(text: str, file: str, *, is_json: bool = False) -> Tree:
    """Read a text.

    Args:
        text: The text; a byte-order mark is skipped.
        file: What to call it in errors.
        is_json: Whether it is JSON; else YAML, of which JSON is a part.

    Raises:
        RuleError: It cannot be read, or holds more than it should; with line and column.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        raise RuleError("this is too large", where=file, hint=f"at most {MAX_BYTES} bytes")
    if is_json:
        return _read_json(text, file)
    try:
        from faultware.interop.yamltree import read_yaml_tree  # noqa: PLC0415  (an extra)
    except ImportError:
        raise MissingExtraError(f"the YAML file {file}", "yaml") from None
    return Tree(read_yaml_tree(text, file))


def _read_json(text: str, file: str) -> Tree:
    _check_count(text, file)
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        # Says what is wrong, and where.
        end = len(text)
        load_json(text, file)
    lines = array("I", (found.end() for found in re.finditer("\n", text)))
    try:
        load_json(text[:end], file)
    except RuleError:
        with suppress(RecursionError):
            # Says the same of the most frequent mistakes, and where.
            _Scanner(text, file, lines).value(start, "")
        raise
    rest = text[end:].strip()
    left = end + len(text[end:]) - len(text[end:].lstrip())
    where = f"{file}, line {bisect_right(lines, left) + 1}" if rest else ""
    root, _ = _Scanner(text, file, lines).value(start, "")
    return Tree(() if root.kind == "nothing" else (root,), where)


# A string, or one that does not end.
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def _check_count(text: str, file: str) -> None:
    """Before anything is built, since a value takes a hundred times its two characters."""
    if len(text) <= 2 * MAX_NODES:
        return
    bare = _STRING.sub("0", text)
    for blank in " \t\r\n":
        bare = bare.replace(blank, "")
    # One stands behind each comma, and one at the beginning of whatever is not empty.
    filled = bare.count("[") - bare.count("[]") + bare.count("{") - bare.count("{}")
    if 1 + bare.count(",") + filled > MAX_NODES:
        raise RuleError("this is too much", where=file, hint=f"at most {MAX_NODES} values")


_BLANKS: Final = re.compile(r"[ \t\r\n]*")
# What the standard library lets pass.
_NO_NUMBERS: Final = ("NaN", "Infinity", "-Infinity")
_WORD: Final = re.compile(r"[-+.\w]+")


class _Scanner:
    """Goes once more over JSON that is known to be right, and notes where each value stands."""

    def __init__(self, text: str, file: str, lines: Sequence[int]) -> None:
        self._text = text
        self._file = file
        self._lines = lines

    def value(self, at: int, place: str) -> tuple[Node, int]:
        """The value that begins here, and where it ends."""
        line = bisect_right(self._lines, at) + 1
        letter = self._text[at]
        if letter == "{":
            fields, end = self._fields(at, place)
            return Node("mapping", self._file, line, place, fields=fields), end
        if letter == "[":
            items, end = self._items(at, place)
            return Node("list", self._file, line, place, items=tuple(items)), end
        if letter == '"':
            text, end = _string(self._text, at)
            node = Node("text", self._file, line, place, text=text, is_quoted=True)
            if holds_surrogates(text):
                raise node.wrong("half of a character is no text", "write whole characters")
            return node, end
        word: Any = _WORD.match(self._text, at)
        kind: Kind = "nothing" if word[0] == "null" else "switch" if word[0] in ("true", "false") else "number"
        node = Node(kind, self._file, line, place, text=word[0])
        if word[0] in _NO_NUMBERS:
            raise node.wrong(f"{word[0]} is not a number", "write a finite number")
        return node, word.end()

    def _fields(self, at: int, place: str) -> tuple[dict[str, Node], int]:
        fields: dict[str, Node] = {}
        at = self._skip(at + 1)
        while self._text[at] != "}":
            name, end = _string(self._text, at)
            if name in fields:
                where = f"{self._file}, line {bisect_right(self._lines, at) + 1}"
                raise RuleError(f"the key {shown(name)} is given twice", where=where, hint="remove one")
            fields[name], at = self.value(self._skip(self._skip(end) + 1), below(place, name))
            at = self._behind_comma(at)
        return fields, at + 1

    def _items(self, at: int, place: str) -> tuple[list[Node], int]:
        items: list[Node] = []
        at = self._skip(at + 1)
        while self._text[at] != "]":
            item, at = self.value(at, f"{place}[{len(items)}]")
            items.append(item)
            at = self._behind_comma(at)
        return items, at + 1

    def _skip(self, at: int) -> int:
        found: Any = _BLANKS.match(self._text, at)
        return int(found.end())

    def _behind_comma(self, at: int) -> int:
        at = self._skip(at)
        return self._skip(at + 1) if self._text[at] == "," else at


_SCAN: Final[Any] = vars(json.decoder)["scanstring"]


def _string(text: str, at: int) -> tuple[str, int]:
    found, end = _SCAN(text, at + 1, True)
    return str(found), int(end)


_PLAIN_KEY: Final = re.compile(r"[\w@-]{1,80}")


def below(place: str, name: str) -> str:
    """The place of a field."""
    key = name if _PLAIN_KEY.fullmatch(name) else f'"{cut(name, 60)}"'
    return f"{place}.{key}" if place else key
