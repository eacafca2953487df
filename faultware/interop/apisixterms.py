"""Conditions of APISIX as conditions on variables: `vars` of a plugin and of a route, and what else a route names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from faultware.core.comparing import GROUPS, Comparison, Group, parse
from faultware.core.matching import TextMatch
from faultware.core.variables import is_variable
from faultware.errors import RuleError
from faultware.interop.reading import items, plain_text, whole
from faultware.interop.terms import ALWAYS, NEVER, NotCarriedError, Terms, on_header, placed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faultware.core.comparing import Expression
    from faultware.interop.remarks import Remarks
    from faultware.interop.tree import Node

MOST_ALTERNATIVES: Final = 20
_METHOD: Final = re.compile(r"[A-Z]{1,20}", re.ASCII)
_PATTERNS: Final = ("~~", "~*")
# Escapes, in order to step over them; a count without a beginning; a class inside a set.
_PERL: Final = re.compile(r"(\\.)|\{,[0-9]+\}|\[:\^?[a-z]+:\]", re.DOTALL)
_OTHERWISE: Final = (r"\Z", r"\v")
_SWITCHES: Final = ("true", "false")
# Stands for a variable that is not known, while the rest of a condition is looked at.
_ANY: Final = "uri"


def texts(given: Mapping[str, Node], one: str, many: str) -> list[Node]:
    """The values of a field that stands by itself and of its list."""
    found = [given[one]] if one in given else []
    if many in given:
        found += items(given[many])
        if not items(given[many]):
            raise given[many].wrong(f"{many} is empty", "leave it out")
    for node in found:
        if not plain_text(node):
            raise node.wrong("this is empty")
    return found


def alternatives(node: Node, remarks: Remarks) -> Terms:
    """The `vars` of a plugin: several expressions, one of which has to hold.

    Raises:
        RuleError: APISIX would refuse it, or a rule cannot hold it.
        NotCarriedError: No expression of it can be decided in process.
    """
    found: list[Expression] = []
    unknown: list[NotCarriedError] = []
    if len(items(node)) > MOST_ALTERNATIVES:
        raise node.wrong(f"{len(items(node))} expressions are too many", f"at most {MOST_ALTERNATIVES}")
    if not items(node):
        remarks.note(node, "without an expression nothing can hold, so it never acts")
        return NEVER
    for item in items(node):
        try:
            found.append(_unwrapped(expression(item)))
        except NotCarriedError as error:
            unknown.append(error)
    if unknown and not found:
        raise unknown[0]
    for one in unknown:
        remarks.lost(one.node, f"{one.reason}; the other expressions stay")
    if any(isinstance(one, Group) and not one.members and one.kind == "AND" for one in found):
        return ALWAYS
    return _any_of(found)


def every_of(node: Node) -> Terms:
    """The `vars` of a route, or a `_meta.filter`: one expression."""
    found = expression(node)
    return Terms(where=found.members if found.kind == "AND" else (found,))


def expression(node: Node) -> Group:
    """One expression.

    Raises:
        RuleError: APISIX would refuse it, or a rule cannot hold it.
        NotCarriedError: It asks for a variable that is not known in process.
    """
    unknown: list[tuple[Node, str]] = []
    written = _written(node, unknown)
    if node.items and node.items[0].kind != "text":
        for item, member in zip(node.items, written, strict=True):
            _parsed(item, [member])
    found = _parsed(node, written)
    if unknown:
        place, name = unknown[0]
        raise NotCarriedError(place, f"the variable {name} is not known in process")
    return found


def _parsed(node: Node, written: object) -> Group:
    try:
        return parse(written)
    except RuleError as error:
        raise placed(error, node) from None


def _written(node: Node, unknown: list[tuple[Node, str]]) -> Any:
    """An expression as plain data. Variables that are not known are noted, and replaced."""
    if node.kind != "list":
        return _value(node)
    if not node.items or node.items[0].kind != "text":
        return [_written(item, unknown) for item in node.items]
    first, *rest = node.items
    if first.text.upper() in GROUPS:
        return [first.text, *(_written(item, unknown) for item in rest)]
    name = first.text
    if not is_variable(name):
        unknown.append((node, name))
        name = _ANY
    if len(rest) > 1 and rest[-2].text in _PATTERNS and rest[-1].kind == "text":
        _check_pattern(rest[-1])
    return [name, *map(_value, rest)]


def _check_pattern(node: Node) -> None:
    """Refuse what Perl and Python both know, and mean otherwise. What Python does not know, it refuses by itself."""
    for found in _PERL.finditer(node.text):
        if found[1] and found[1] not in _OTHERWISE:
            continue
        raise node.wrong(f"{found[0]} means another thing to Perl than here", "write it otherwise")


def _value(node: Node) -> Any:
    match node.kind:
        case "list":
            return [_value(item) for item in node.items]
        case "text":
            return node.text
        case "nothing":
            return None
        case "switch":
            if node.text not in _SWITCHES:
                raise node.wrong(f"{node.text} is read as true or false", "quote it")
            return node.text == "true"
        case "number":
            return _number(node)
        case _:
            raise node.wrong(f"{node.shown} is no value", "a text, a number, true, false, null or a list of them")


def _number(node: Node) -> float:
    try:
        value = float(node.text)
    except ValueError:
        return whole(node)
    # Numbers of Lua are floats; a whole one is shown as such, if it is not too long to be written again.
    return int(node.text) if node.text.lstrip("-").isdecimal() and abs(value) < 2**63 else value


def _unwrapped(group: Group) -> Expression:
    return group.members[0] if group.kind == "AND" and len(group.members) == 1 else group


def uri_terms(uris: Sequence[Node]) -> Terms:
    """The requests for one of several URIs: exactly, or what begins so, if a `*` stands at the end."""
    exact: list[str] = []
    rest: list[Expression] = []
    for node in uris:
        uri = node.text
        if uri in ("*", "/*"):
            return ALWAYS
        if "*" in uri[:-1]:
            raise NotCarriedError(node, "a * inside a URI is decided by the gateway's router")
        if uri.endswith("*"):
            rest.append(_compared(node, "uri", "~~", f"^{re.escape(uri[:-1])}"))
        else:
            exact.append(uri)
    return _one_of("uri", exact, rest)


def host_terms(hosts: Sequence[Node]) -> Terms:
    """The requests for one of several hosts; `*.shop.example` is every name that ends so."""
    exact: list[str] = []
    rest: list[Expression] = []
    for node in hosts:
        host = node.text.lower()
        if "*" in host[1:] or host == "*":
            raise node.wrong(f"{node.shown} is no host", "such as shop.example or *.shop.example")
        if host.startswith("*"):
            rest.append(_compared(node, "host", "~~", f"{re.escape(host[1:])}$"))
        else:
            exact.append(host)
    return _one_of("host", exact, rest)


def _one_of(variable: str, exact: Sequence[str], rest: Sequence[Expression]) -> Terms:
    found: list[Expression] = []
    if exact:
        found.append(
            Comparison(variable, "==", exact[0]) if len(exact) == 1 else Comparison(variable, "in", tuple(exact))
        )
    return _any_of([*found, *rest])


def _any_of(found: Sequence[Expression]) -> Terms:
    return Terms(where=(found[0] if len(found) == 1 else Group("OR", tuple(found)),))


def address_terms(addresses: Sequence[Node]) -> Terms:
    """The requests of certain clients."""
    for node in addresses:
        _compared(node, "remote_addr", "ipmatch", node.text)
    return Terms(where=(Comparison("remote_addr", "ipmatch", tuple(node.text for node in addresses)),))


def method_terms(node: Node) -> Terms:
    """The requests with one of several methods."""
    methods = [plain_text(item) for item in items(node)]
    for item, method in zip(items(node), methods, strict=True):
        if not _METHOD.fullmatch(method):
            raise item.wrong(f"{item.shown} is no method", "in capitals")
    if not methods:
        raise node.wrong("methods is empty", "leave it out")
    return on_header(":method", TextMatch(regex="|".join(methods)))


def _compared(node: Node, variable: str, operator: str, value: Any) -> Comparison:
    try:
        return Comparison(variable, operator, value)
    except RuleError as error:
        raise placed(error, node) from None
