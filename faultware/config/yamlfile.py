"""Strict reading of YAML. Importing this module needs PyYAML, an extra; `files` imports it when it meets a YAML file.

Only what JSON can say as well: no anchors and aliases (a few lines of them unfold into gigabytes), no merge keys, no
tags, one document, no key twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent

from faultware.config.mistakes import cut, shown
from faultware.config.plain import MAX_DEPTH
from faultware.errors import SettingsError

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases, tags and doubled keys."""

    _depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        loader: Any = self
        event = loader.peek_event()
        if isinstance(event, AliasEvent) or event.anchor is not None:
            raise _refused("anchors and aliases are refused", event.start_mark)
        if event.tag is not None:
            raise _refused("tags are refused", event.start_mark)
        if self._depth > MAX_DEPTH:
            raise _refused("this is nested too deep", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        loader: Any = super()
        try:
            return loader.construct_object(node, deep=deep)
        except (ValueError, OverflowError):
            # The parser's own message would repeat the value, which may be a secret.
            mark: Any = node.start_mark
            raise _refused("this looks like a number or a date and is none: quote it", mark) from None

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        loader: Any = self
        pairs: list[tuple[Any, Any]] = node.value
        seen: set[object] = set()
        for key_node, _ in pairs:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise _refused("merge keys (<<) are refused", key_node.start_mark)
            key: object = loader.construct_object(key_node, deep=True)
            if isinstance(key, (list, dict)):
                raise _refused("a key is a text", key_node.start_mark)
            if key in seen:
                raise _refused(f"the key {shown(key)} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _refused(message: str, mark: Any) -> ConstructorError:
    return ConstructorError(None, None, message, mark)


def read_yaml(text: str, where: str) -> object:
    """Read one YAML document.

    Raises:
        SettingsError: It is not YAML, or more than is accepted here; with line and column.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (a subclass of the safe loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise SettingsError(f"this YAML is not read: {cut(error.problem or '')}", where=place) from None
    except yaml.YAMLError as error:
        raise SettingsError(f"this is not YAML: {cut(str(error).splitlines()[0])}", where=where) from None
    except RecursionError:
        raise SettingsError("this is nested too deep", where=where) from None
