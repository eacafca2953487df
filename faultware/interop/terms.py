"""Conditions while they are gathered: from a filter, a route and a host, which must all hold together.

Envoy and Istio compare bytes; so does a rule, with values read as Latin-1. A text of a document is UTF-8 there, so its
bytes stand for it: `in_bytes` and `in_text` lead from the one to the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faultware.core.comparing import Group
from faultware.core.matching import PSEUDO_HEADERS, Match, TextMatch, is_token

if TYPE_CHECKING:
    from faultware.core.comparing import Expression
    from faultware.core.matching import PathMatch
    from faultware.errors import RuleError
    from faultware.interop.tree import Node

_METHODS: Final = re.compile(r"[A-Z]+(?:\|[A-Z]+)*", re.ASCII)


class NotCarriedError(Exception):
    """A condition that nothing in process can decide. Dropping it would widen the fault.

    Args:
        node: Where it stands.
        reason: Why.
    """

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Terms:
    """Conditions that must all hold.

    Args:
        headers: Conditions on headers and pseudo-headers, in their order.
        raw_path: On the path as it was sent.
        raw_query: On query fields as they were sent.
        path: On the decoded path.
        where: On variables, as APISIX names them.
        is_never: Whether no request can meet them.
    """

    headers: tuple[tuple[str, TextMatch], ...] = ()
    raw_path: TextMatch | None = None
    raw_query: tuple[tuple[str, TextMatch], ...] = ()
    path: PathMatch | None = None
    where: tuple[Expression, ...] = ()
    is_never: bool = False

    def __and__(self, other: Terms) -> Terms:
        """Both together. Only one of them may have a condition on the path."""
        return Terms(
            tuple(dict.fromkeys(self.headers + other.headers)),
            self.raw_path or other.raw_path,
            self.raw_query + other.raw_query,
            self.path or other.path,
            tuple(dict.fromkeys(self.where + other.where)),
            self.is_never or other.is_never,
        )

    def match(self) -> Match:
        """The conditions of a rule.

        Raises:
            RuleError: There are too many, or a text is too long.
        """
        methods = self._methods()
        headers: dict[str, list[TextMatch]] = {}
        for name, condition in self.headers:
            if not (methods and name == ":method"):
                headers.setdefault(name, []).append(condition)
        raw_query: dict[str, list[TextMatch]] = {}
        for name, condition in self.raw_query:
            raw_query.setdefault(name, []).append(condition)
        return Match(
            self.path,
            methods=methods,
            headers=headers,
            raw_path=self.raw_path,
            raw_query=raw_query,
            where=Group("AND", self.where) if self.where else None,
        )

    def _methods(self) -> list[str]:
        """The methods, if a single condition names them."""
        conditions = [condition for name, condition in self.headers if name == ":method"]
        if len(conditions) != 1 or conditions[0].invert or conditions[0].ignore_case:
            return []
        (condition,) = conditions
        if condition.exact is not None and _METHODS.fullmatch(condition.exact) and "|" not in condition.exact:
            return [condition.exact]
        if condition.regex is not None and _METHODS.fullmatch(condition.regex):
            return condition.regex.split("|")
        return []


ALWAYS: Final = Terms()
NEVER: Final = Terms(is_never=True)


def on_header(name: str, condition: TextMatch) -> Terms:
    """A condition on one header. One that no request can have is absent."""
    name = name.lower()
    if name == ":authority":
        name = "host"
    if not is_token(name) and name not in PSEUDO_HEADERS:
        return ALWAYS if condition.accepts(()) else NEVER
    return Terms(headers=((name, condition),))


def in_bytes(text: str) -> str:
    """The bytes of a text, read as Latin-1."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def in_text(text: str) -> str | None:
    """The text whose bytes these are; None: they are no UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None


def placed(error: RuleError, node: Node) -> RuleError:
    """An error of a rule, in the words of the place it came from."""
    return node.wrong(error.message, error.hint)
