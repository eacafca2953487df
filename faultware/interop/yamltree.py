"""Reads YAML into nodes. Importing this module needs PyYAML, an extra; `tree` imports it when it meets YAML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from faultware.config.mistakes import cut, holds_surrogates, shown
from faultware.errors import RuleError
from faultware.interop.tree import MAX_DEPTH, MAX_NODES, Kind, Node, below

if TYPE_CHECKING:
    from collections.abc import Iterator

# The parser in C is thirty times faster, if PyYAML was built with it; both know the same marks.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Keys are counted with the values, before it is known which is which.
MAX_KEYS_AND_VALUES: Final = 2 * MAX_NODES
# As YAML 1.1 counts lines.
_LINE_END: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TAG: Final = "tag:yaml.org,2002:"
_KINDS: Final[dict[str, Kind]] = {"bool": "switch", "int": "number", "float": "number", "null": "nothing"}


def read_yaml_tree(text: str, file: str) -> tuple[Node, ...]:
    """The documents of a file, without those that are empty.

    Raises:
        RuleError: It is not YAML, or more than is accepted here; with line and column.
    """
    try:
        _check(text, file)
        return tuple(node for node in _documents(text, file) if node.kind != "nothing")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file
        raise RuleError(f"this is not YAML: {cut(error.problem or '')}", where=where) from None
    except yaml.reader.ReaderError as error:
        before = text.partition(chr(error.character))[0]
        where = f"{file}, line {len(_LINE_END.findall(before)) + 1}"
        raise RuleError(f"this is not YAML: {cut(str(error).splitlines()[0])}", where=where) from None
    except RecursionError:
        raise RuleError("this is nested too deep", where=file) from None


def _check(text: str, file: str) -> None:
    """Before anything is built: depth would use up the stack of the parser in C, and end the process; so would size."""
    depth = count = 0
    event: Any
    for event in yaml.parse(text, Loader=_LOADER):
        where = f"{file}, line {event.start_mark.line + 1}"
        if getattr(event, "tag", None) is not None:
            raise RuleError("tags are refused", where=where, hint="leave it out")
        count += isinstance(event, yaml.NodeEvent)
        if count > MAX_KEYS_AND_VALUES:
            raise RuleError("this is too much", where=where, hint=f"at most {MAX_NODES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise RuleError("this is nested too deep", where=where, hint=f"at most {MAX_DEPTH} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _documents(text: str, file: str) -> Iterator[Node]:
    build = _Builder(file)
    for root in yaml.compose_all(text, Loader=_LOADER):
        yield build.node(root, "", 0)


class _Builder:
    """Turns the nodes of PyYAML into ours, and counts them: an alias is a node again, each time it occurs."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0

    def node(self, node: Any, place: str, depth: int) -> Node:
        """One value with all below it."""
        self._count += 1
        line = node.start_mark.line + 1
        if self._count > MAX_NODES:
            hint = f"at most {MAX_NODES} values, aliases unfolded"
            raise RuleError("this unfolds into too much", where=f"{self._file}, line {line}", hint=hint)
        if depth > MAX_DEPTH:
            hint = f"at most {MAX_DEPTH} levels, and no anchor inside itself"
            raise RuleError("this is nested too deep", where=f"{self._file}, line {line}", hint=hint)
        match node:
            case MappingNode():
                return Node("mapping", self._file, line, place, fields=self._fields(node, place, depth))
            case SequenceNode():
                items = [self.node(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(node.value)]
                return Node("list", self._file, line, place, items=tuple(items))
            case _:
                return self._scalar(node, place)

    def _fields(self, node: MappingNode, place: str, depth: int) -> dict[str, Node]:
        fields: dict[str, Node] = {}
        pairs: list[tuple[Any, Any]] = node.value
        for key, value in pairs:
            where = f"{self._file}, line {key.start_mark.line + 1}"
            if not isinstance(key, ScalarNode):
                raise RuleError("a key is a text", where=where)
            if key.tag == _TAG + "merge":
                raise RuleError("merge keys (<<) are refused", where=where, hint="write the fields out")
            name = str(key.value)
            if name in fields:
                raise RuleError(f"the key {shown(name)} is given twice", where=where, hint="remove one")
            fields[name] = self.node(value, below(place, name), depth + 1)
        return fields

    def _scalar(self, node: ScalarNode, place: str) -> Node:
        line, text = node.start_mark.line + 1, str(node.value)
        kind = _KINDS.get(node.tag.removeprefix(_TAG), "text")
        made = Node(kind, self._file, line, place, text, is_quoted=bool(node.style))
        if holds_surrogates(text):
            raise made.wrong("half of a character is no text", "write whole characters")
        return made
