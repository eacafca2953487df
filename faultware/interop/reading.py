"""How values of foreign documents are read, strictly: mappings with known keys, texts, whole numbers, lists.

What is wrong is told with file, line, field, the value, and what would be right. The rules for numbers and texts are
those of Protobuf's JSON form as Envoy 1.40 reads it from YAML, which Istio's are too.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from faultware.config.mistakes import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from faultware.interop.tree import Node

_MANY: Final = 12
UINT32: Final = 2**32 - 1
_LEAST_INT64, _MOST_INT64 = -(2**63), 2**63 - 1

_HEXADECIMAL: Final = re.compile(r"[+-]?0x[0-9a-fA-F]{1,16}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_OCTAL: Final = re.compile(r"0[0-7]{1,20}", re.ASCII)
# What YAML 1.1 takes for true and false besides the words.
_SHORT_SWITCHES: Final = ("y", "Y", "n", "N")
_WHOLE: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)


def is_mapping(node: Node, what: str) -> None:
    """Refuse what is no mapping."""
    if node.kind != "mapping":
        raise node.wrong(f"{node.shown} is no {what}", "write key: value")


def fields(node: Node, what: str, known: Collection[str]) -> dict[str, Node]:
    """The fields of a mapping under their known names; what holds nothing is left out.

    Names may be written in snake_case and in camelCase.

    Raises:
        RuleError: It is no mapping, a field is unknown, or is given twice in two spellings.
    """
    is_mapping(node, what)
    spellings = {spelling: name for name in known for spelling in (name, _camel(name))}
    found: dict[str, Node] = {}
    for key, value in node.fields.items():
        name = spellings.get(key)
        if name is None:
            raise value.wrong(f"{_a(what)} has no field {shown(key)}", _hint(key, known))
        if name in found:
            raise value.wrong(f"{name} is given twice", "remove one")
        found[name] = value
    return {name: value for name, value in found.items() if value.kind != "nothing"}


def _a(what: str) -> str:
    return f"{'an' if what[0] in 'aeio' else 'a'} {what}"


def _hint(key: str, known: Collection[str]) -> str:
    best = nearest(key, known)
    return f"did you mean {best}?" if best else f"one of {', '.join(known)}" if len(known) < _MANY else ""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def one_of(node: Node, given: Collection[str], choices: Sequence[str]) -> str:
    """The one of several fields that exclude each other.

    Raises:
        RuleError: None or several of them are given.
    """
    found = [name for name in choices if name in given]
    if len(found) != 1:
        message = f"{' and '.join(found)} exclude each other" if found else "nothing says what is wanted"
        raise node.wrong(message, f"exactly one of {', '.join(choices)}")
    return found[0]


def text(node: Node) -> str:
    """A text. A fraction without quotes passes for one, as Envoy has it; a whole number and `on` do not."""
    is_text = node.kind == "text" and (node.is_quoted or node.text not in _SHORT_SWITCHES)
    if is_text or (node.kind == "number" and not is_whole(node.text)):
        return node.text
    hint = "quote it" if node.kind in ("number", "switch", "text") else ""
    raise node.wrong(f"{node.shown} is not a text", hint)


def plain_text(node: Node) -> str:
    """A text of a format that converts nothing, as the JSON of Go and of APISIX."""
    if node.kind != "text":
        raise node.wrong(f"{node.shown} is not a text", "quote it" if node.kind in ("number", "switch") else "")
    return node.text


def is_whole(digits: str) -> bool:
    """Whether a number that stands without quotes is a whole one."""
    return bool(_WHOLE.fullmatch(digits) or _HEXADECIMAL.fullmatch(digits))


def switch(node: Node) -> bool:
    """True or false; `"true"` is one, too."""
    if node.kind != "switch" and not (node.kind == "text" and node.text in ("true", "false")):
        raise node.wrong(f"{node.shown} is not true or false", "write true or false, without quotes")
    return node.text.lower() in ("true", "yes", "on")


def whole(node: Node, least: int = _LEAST_INT64, most: int = _MOST_INT64) -> int:
    """A whole number within bounds; `"503"`, `503.0`, `5.03e2` and `0x1f7` are one."""
    value = _whole(node)
    if value is None:
        raise node.wrong(f"{node.shown} is not a whole number", f"{least} to {most}" if least >= 0 else "")
    if not least <= value <= most:
        raise node.wrong(
            f"{value} is not possible" if abs(value) < 10**20 else "this is too large", f"{least} to {most}"
        )
    return value


def _whole(node: Node) -> int | None:
    if node.kind not in ("number", "text"):
        return None
    if _HEXADECIMAL.fullmatch(node.text):
        return int(node.text, 16)
    if node.kind == "number" and _OCTAL.fullmatch(node.text):
        return int(node.text, 8)
    if not _DECIMAL.fullmatch(node.text):
        return None
    value = Decimal(node.text)
    # An exponent could make a number of any length.
    if value.adjusted() > 30 or value != value.to_integral_value():
        return None
    return int(value)


def number(node: Node, least: float, most: float) -> float:
    """A number within bounds, written without quotes; `1e1` is one, though YAML 1.1 has it as a text."""
    if node.kind not in ("number", "text") or node.is_quoted or not _DECIMAL.fullmatch(node.text):
        raise node.wrong(f"{node.shown} is not a number", f"{least:g} to {most:g}")
    value = float(node.text)
    if not least <= value <= most:
        raise node.wrong(f"{node.text} is not possible", f"{least:g} to {most:g}")
    return value


def items(node: Node) -> tuple[Node, ...]:
    """The elements of a list."""
    if node.kind != "list":
        raise node.wrong(f"{node.shown} is not a list", "write [ … ]")
    return node.items
